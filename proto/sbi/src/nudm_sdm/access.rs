//! Access and mobility subscription: TS29503_Nudm_SDM.

use tern_types::{Ambr, Guami, Snssai};

use super::{SmSubsData, SmfSelectionSubscriptionData, UeContextInSmfData};
use crate::common::{
    AccessType, Area, CoreNetworkType, DateTime, DnnOrWildcard, NfInstanceId, OdbPacketServices, RatType,
    ServiceAreaRestriction, SupportedFeatures,
};
use crate::model::{model, open_enum};

open_enum! {
    /// TS29503_Nudm_SDM DataSetName.
    pub enum DataSetName {
        Am = "AM",
        SmfSel = "SMF_SEL",
        UecSmf = "UEC_SMF",
        UecAmf = "UEC_AMF",
        Sm = "SM",
        Trace = "TRACE",
    }
}

model! {
    /// TS29503_Nudm_SDM SubscriptionDataSets.
    pub struct SubscriptionDataSets {
        optional {
            am_data: AccessAndMobilitySubscriptionData,
            smf_sel_data: SmfSelectionSubscriptionData,
            uec_amf_data: UeContextInAmfData,
            uec_smf_data: UeContextInSmfData,
            sm_data: SmSubsData,
        }
    }
}

model! {
    /// TS29503_Nudm_SDM AccessAndMobilitySubscriptionData.
    pub struct AccessAndMobilitySubscriptionData {
        optional {
            supported_features: SupportedFeatures,
            subscribed_ue_ambr: Ambr,
            nssai: Nssai,
            service_area_restriction: ServiceAreaRestriction,
            /// 1 to 256.
            rfsp_index: u16,
            /// Seconds: T3512.
            subs_reg_timer: u32,
            ue_usage_type: u32,
            mps_priority: bool,
            mcs_priority: bool,
            /// Seconds.
            active_time: u32,
            mico_allowed: bool,
            routing_indicator: String,
            nssai_inclusion_allowed: bool,
            odb_packet_services: OdbPacketServices,
        }
        lists {
            gpsis: String,
            internal_group_ids: String,
            rat_restrictions: RatType,
            forbidden_areas: Area,
            core_network_type_restrictions: CoreNetworkType,
            subscribed_dnn_list: DnnOrWildcard,
        }
    }
}

impl AccessAndMobilitySubscriptionData {
    /// Whether all packet oriented services are barred (TS 23.015).
    pub fn is_barred(&self) -> bool {
        self.odb_packet_services == Some(OdbPacketServices::AllPacketServices)
    }

    /// Whether the 5G core is a core network that may not serve.
    pub fn excludes_5gc(&self) -> bool {
        self.core_network_type_restrictions.contains(&CoreNetworkType::FiveGc)
    }
}

model! {
    /// TS29503_Nudm_SDM Nssai.
    pub struct Nssai {
        required { default_single_nssais: Vec<Snssai>, }
        optional {
            supported_features: SupportedFeatures,
            provisioning_time: DateTime,
        }
        lists { single_nssais: Snssai, }
        maps { additional_snssai_data: AdditionalSnssaiData, }
    }
}

impl Nssai {
    /// Every subscribed slice, the default ones first, none twice.
    pub fn subscribed(&self) -> Vec<Snssai> {
        let mut all = Vec::new();
        for &snssai in self.default_single_nssais.iter().chain(&self.single_nssais) {
            if !all.contains(&snssai) {
                all.push(snssai);
            }
        }
        all
    }
}

model! {
    /// TS29503_Nudm_SDM AdditionalSnssaiData.
    pub struct AdditionalSnssaiData {
        optional { required_authn_authz: bool, }
    }
}

model! {
    /// TS29503_Nudm_SDM UeContextInAmfData.
    pub struct UeContextInAmfData {
        lists { amf_info: AmfInfo, }
    }
}

model! {
    /// TS29503_Nudm_SDM AmfInfo.
    pub struct AmfInfo {
        required {
            amf_instance_id: NfInstanceId,
            guami: Guami,
        }
        optional { access_type: AccessType, }
    }
}
