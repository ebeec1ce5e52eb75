//! What the SMF tells the PCF: TS29512_Npcf_SMPolicyControl.

use std::net::Ipv4Addr;

use tern_types::{Ambr, Dnn, Guami, Imei, PduSessionId, Snssai, Supi};

use super::{RuleReport, SmPolicyDecision};
use crate::common::{
    AccessType, DateTime, NfInstanceId, PduSessionType, PlmnIdNid, RatType, SubscribedDefaultQos,
    SupportedFeatures, Uri, UserLocation,
};
use crate::model::{model, open_enum};
use crate::nsmf_pdusession::DnnSelectionMode;

model! {
    /// TS29512_Npcf_SMPolicyControl SmPolicyContextData.
    pub struct SmPolicyContextData {
        required {
            supi: Supi,
            pdu_session_id: PduSessionId,
            pdu_session_type: PduSessionType,
            dnn: Dnn,
            notification_uri: Uri,
            slice_info: Snssai,
        }
        optional {
            gpsi: String,
            invalid_supi: bool,
            chargingcharacteristics: String,
            dnn_sel_mode: DnnSelectionMode,
            access_type: AccessType,
            rat_type: RatType,
            serving_network: PlmnIdNid,
            user_location_info: UserLocation,
            ue_time_zone: String,
            pei: Imei,
            ipv4_address: Ipv4Addr,
            ipv6_address_prefix: String,
            ip_domain: String,
            subs_sess_ambr: Ambr,
            auth_prof_index: String,
            subs_def_qos: SubscribedDefaultQos,
            num_of_pack_filter: u32,
            online: bool,
            offline: bool,
            #[serde(rename = "3gppPsDataOffStatus")]
            ps_data_off_status: bool,
            ref_qos_indication: bool,
            serv_nf_id: ServingNfIdentity,
            supp_feat: SupportedFeatures,
            smf_id: NfInstanceId,
            recovery_time: DateTime,
        }
        lists { inter_grp_ids: String, }
    }
}

model! {
    /// TS29512_Npcf_SMPolicyControl ServingNfIdentity.
    pub struct ServingNfIdentity {
        optional {
            serv_nf_inst_id: NfInstanceId,
            guami: Guami,
        }
    }
}

model! {
    /// TS29512_Npcf_SMPolicyControl SmPolicyUpdateContextData.
    pub struct SmPolicyUpdateContextData {
        optional {
            access_type: AccessType,
            rat_type: RatType,
            serving_network: PlmnIdNid,
            user_location_info: UserLocation,
            ue_time_zone: String,
            rel_ipv4_address: Ipv4Addr,
            ipv4_address: Ipv4Addr,
            subs_sess_ambr: Ambr,
            auth_prof_index: String,
            subs_def_qos: SubscribedDefaultQos,
            num_of_pack_filter: u32,
            user_location_info_time: DateTime,
            ref_qos_indication: bool,
            serv_nf_id: ServingNfIdentity,
        }
        lists {
            rep_policy_ctrl_req_triggers: PolicyControlRequestTrigger,
            rule_reports: RuleReport,
        }
    }
}

open_enum! {
    /// TS29512_Npcf_SMPolicyControl PolicyControlRequestTrigger.
    pub enum PolicyControlRequestTrigger {
        PlmnCh = "PLMN_CH",
        ResMoRe = "RES_MO_RE",
        AcTyCh = "AC_TY_CH",
        UeIpCh = "UE_IP_CH",
        PsDaOff = "PS_DA_OFF",
        DefQosCh = "DEF_QOS_CH",
        SeAmbrCh = "SE_AMBR_CH",
        QosNotif = "QOS_NOTIF",
        SareaCh = "SAREA_CH",
        ScnnCh = "SCNN_CH",
        ReTimeout = "RE_TIMEOUT",
        ResRelease = "RES_RELEASE",
        SuccResAllo = "SUCC_RES_ALLO",
        RatTyCh = "RAT_TY_CH",
        UeTzCh = "UE_TZ_CH",
        ScellCh = "SCELL_CH",
        UserLocationCh = "USER_LOCATION_CH",
    }
}

model! {
    /// TS29512_Npcf_SMPolicyControl SmPolicyDeleteData.
    pub struct SmPolicyDeleteData {
        optional {
            user_location_info: UserLocation,
            ue_time_zone: String,
            serving_network: PlmnIdNid,
            user_location_info_time: DateTime,
            pdu_sess_rel_cause: PduSessionRelCause,
        }
    }
}

open_enum! {
    /// TS29512_Npcf_SMPolicyControl PduSessionRelCause.
    pub enum PduSessionRelCause {
        PsToCsHo = "PS_TO_CS_HO",
        RuleError = "RULE_ERROR",
    }
}

model! {
    /// TS29512_Npcf_SMPolicyControl SmPolicyNotification.
    pub struct SmPolicyNotification {
        optional {
            resource_uri: Uri,
            sm_policy_decision: SmPolicyDecision,
        }
    }
}

model! {
    /// TS29512_Npcf_SMPolicyControl TerminationNotification.
    pub struct TerminationNotification {
        required {
            resource_uri: Uri,
            cause: SmPolicyAssociationReleaseCause,
        }
    }
}

open_enum! {
    /// TS29512_Npcf_SMPolicyControl SmPolicyAssociationReleaseCause.
    pub enum SmPolicyAssociationReleaseCause {
        Unspecified = "UNSPECIFIED",
        UeSubscription = "UE_SUBSCRIPTION",
        InsufficientRes = "INSUFFICIENT_RES",
        ValidationConditionNotMet = "VALIDATION_CONDITION_NOT_MET",
        ReactivationRequested = "REACTIVATION_REQUESTED",
    }
}
