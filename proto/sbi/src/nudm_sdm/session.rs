//! Session management subscription and SMF selection: TS29503_Nudm_SDM.

use serde::{Deserialize, Serialize};
use tern_types::{Ambr, Dnn, PlmnId, Snssai};

use crate::common::{
    DnnOrWildcard, IpAddr, NfInstanceId, PduSessionType, SscMode, SubscribedDefaultQos, SupportedFeatures,
    UpSecurity,
};
use crate::model::model;

model! {
    /// TS29503_Nudm_SDM SmfSelectionSubscriptionData; keys are S-NSSAIs in text form.
    pub struct SmfSelectionSubscriptionData {
        optional { supported_features: SupportedFeatures, }
        maps { subscribed_snssai_infos: SnssaiInfo, }
    }
}

impl SmfSelectionSubscriptionData {
    /// What is subscribed in a slice.
    pub fn slice(&self, snssai: Snssai) -> Option<&SnssaiInfo> {
        let is = |text: &str| text.parse() == Ok(snssai);
        self.subscribed_snssai_infos.iter().find(|(key, _)| is(key)).map(|(_, info)| info)
    }
}

model! {
    /// TS29503_Nudm_SDM SnssaiInfo.
    pub struct SnssaiInfo {
        required { dnn_infos: Vec<DnnInfo>, }
    }
}

impl SnssaiInfo {
    /// The DNN for a UE that names none.
    pub fn default_dnn(&self) -> Option<&Dnn> {
        let is_default = |info: &&DnnInfo| info.default_dnn_indicator == Some(true);
        self.dnn_infos.iter().find(is_default)?.dnn.dnn()
    }
}

model! {
    /// TS29503_Nudm_SDM DnnInfo.
    pub struct DnnInfo {
        required { dnn: DnnOrWildcard, }
        optional {
            default_dnn_indicator: bool,
            lbo_roaming_allowed: bool,
            iwk_eps_ind: bool,
            dnn_barred: bool,
            same_smf_ind: bool,
        }
        lists { smf_list: NfInstanceId, }
    }
}

/// TS29503_Nudm_SDM SmSubsData.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SmSubsData {
    /// One item a slice.
    Individual(Vec<SessionManagementSubscriptionData>),
    /// With identifiers of data shared between subscribers.
    Extended(ExtendedSmSubsData),
}

impl SmSubsData {
    /// The subscriber's own items.
    pub fn individual(&self) -> &[SessionManagementSubscriptionData] {
        match self {
            Self::Individual(items) => items,
            Self::Extended(data) => &data.individual_sm_subs_data,
        }
    }
}

model! {
    /// TS29503_Nudm_SDM ExtendedSmSubsData.
    pub struct ExtendedSmSubsData {
        required { shared_sm_subs_data_ids: Vec<String>, }
        lists { individual_sm_subs_data: SessionManagementSubscriptionData, }
    }
}

model! {
    /// TS29503_Nudm_SDM SessionManagementSubscriptionData; keys are DNNs or `*`.
    pub struct SessionManagementSubscriptionData {
        required { single_nssai: Snssai, }
        optional { supported_features: SupportedFeatures, }
        lists { internal_group_ids: String, }
        maps { dnn_configurations: DnnConfiguration, }
    }
}

impl SessionManagementSubscriptionData {
    /// The configuration of `dnn`: its own, else the wildcard's.
    pub fn dnn(&self, dnn: &Dnn) -> Option<&DnnConfiguration> {
        let own = self.dnn_configurations.iter().find(|(key, _)| key.eq_ignore_ascii_case(dnn.as_str()));
        own.map(|(_, configuration)| configuration).or_else(|| self.dnn_configurations.get("*"))
    }
}

model! {
    /// TS29503_Nudm_SDM DnnConfiguration.
    pub struct DnnConfiguration {
        required {
            pdu_session_types: PduSessionTypes,
            ssc_modes: SscModes,
        }
        optional {
            iwk_eps_ind: bool,
            #[serde(rename = "5gQosProfile")]
            qos_profile: SubscribedDefaultQos,
            session_ambr: Ambr,
            #[serde(rename = "3gppChargingCharacteristics")]
            charging_characteristics: String,
            up_security: UpSecurity,
        }
        lists { static_ip_address: IpAddr, }
    }
}

model! {
    /// TS29503_Nudm_SDM PduSessionTypes.
    pub struct PduSessionTypes {
        optional { default_session_type: PduSessionType, }
        lists { allowed_session_types: PduSessionType, }
    }
}

model! {
    /// TS29503_Nudm_SDM SscModes.
    pub struct SscModes {
        required { default_ssc_mode: SscMode, }
        lists { allowed_ssc_modes: SscMode, }
    }
}

model! {
    /// TS29503_Nudm_SDM UeContextInSmfData; keys are PDU session identities.
    pub struct UeContextInSmfData {
        maps { pdu_sessions: PduSession, }
    }
}

model! {
    /// TS29503_Nudm_SDM PduSession.
    pub struct PduSession {
        required {
            dnn: Dnn,
            smf_instance_id: NfInstanceId,
            plmn_id: PlmnId,
        }
        optional { single_nssai: Snssai, }
    }
}
