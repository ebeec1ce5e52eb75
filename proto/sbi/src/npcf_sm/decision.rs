//! What the PCF decides: TS29512_Npcf_SMPolicyControl.

use tern_types::{Ambr, Arp, BitRate};

use super::{PolicyControlRequestTrigger, SmPolicyAssociationReleaseCause, SmPolicyContextData};
use crate::common::{DateTime, FiveQi, SupportedFeatures};
use crate::model::{model, open_enum};

model! {
    /// TS29512_Npcf_SMPolicyControl SmPolicyControl.
    pub struct SmPolicyControl {
        required {
            context: SmPolicyContextData,
            policy: SmPolicyDecision,
        }
    }
}

model! {
    /// TS29512_Npcf_SMPolicyControl SmPolicyDecision. Keys are the rules' and data's own
    /// identities; `None` (null) in an update removes one (TS 29.512 §4.2.6.2).
    pub struct SmPolicyDecision {
        optional {
            /// Seconds.
            #[serde(rename = "reflectiveQoSTimer")]
            reflective_qos_timer: u32,
            revalidation_time: DateTime,
            offline: bool,
            online: bool,
            rel_cause: SmPolicyAssociationReleaseCause,
            supp_feat: SupportedFeatures,
        }
        lists { policy_ctrl_req_triggers: PolicyControlRequestTrigger, }
        maps {
            sess_rules: Option<SessionRule>,
            pcc_rules: Option<PccRule>,
            qos_decs: Option<QosData>,
            traff_cont_decs: Option<TrafficControlData>,
        }
    }
}

model! {
    /// TS29512_Npcf_SMPolicyControl SessionRule.
    pub struct SessionRule {
        required { sess_rule_id: String, }
        optional {
            auth_sess_ambr: Ambr,
            auth_def_qos: AuthorizedDefaultQos,
        }
    }
}

model! {
    /// TS29512_Npcf_SMPolicyControl AuthorizedDefaultQos.
    pub struct AuthorizedDefaultQos {
        optional {
            #[serde(rename = "5qi")]
            five_qi: FiveQi,
            arp: Arp,
            priority_level: u8,
            aver_window: u16,
            max_data_burst_vol: u16,
            maxbr_ul: BitRate,
            maxbr_dl: BitRate,
            gbr_ul: BitRate,
            gbr_dl: BitRate,
        }
    }
}

model! {
    /// TS29512_Npcf_SMPolicyControl PccRule.
    pub struct PccRule {
        required { pcc_rule_id: String, }
        optional {
            app_id: String,
            /// The lower, the earlier it is tried.
            precedence: u32,
        }
        lists {
            flow_infos: FlowInformation,
            ref_qos_data: String,
            ref_tc_data: String,
        }
    }
}

model! {
    /// TS29512_Npcf_SMPolicyControl FlowInformation.
    pub struct FlowInformation {
        optional {
            /// `permit out <protocol> from <remote> to <local>` (TS 29.212 §5.4.2).
            flow_description: String,
            pack_filt_id: String,
            packet_filter_usage: bool,
            /// Type of service octet and mask, 4 hexadecimal digits.
            tos_traffic_class: String,
            /// 8 hexadecimal digits.
            spi: String,
            /// 6 hexadecimal digits.
            flow_label: String,
            flow_direction: FlowDirection,
        }
    }
}

open_enum! {
    /// TS29512_Npcf_SMPolicyControl FlowDirection.
    pub enum FlowDirection {
        Downlink = "DOWNLINK",
        Uplink = "UPLINK",
        Bidirectional = "BIDIRECTIONAL",
        Unspecified = "UNSPECIFIED",
    }
}

model! {
    /// TS29512_Npcf_SMPolicyControl QosData.
    pub struct QosData {
        required { qos_id: String, }
        optional {
            #[serde(rename = "5qi")]
            five_qi: FiveQi,
            maxbr_ul: BitRate,
            maxbr_dl: BitRate,
            gbr_ul: BitRate,
            gbr_dl: BitRate,
            arp: Arp,
            qnc: bool,
            priority_level: u8,
            aver_window: u16,
            max_data_burst_vol: u16,
            reflective_qos: bool,
            def_qos_flow_indication: bool,
        }
    }
}

model! {
    /// TS29512_Npcf_SMPolicyControl TrafficControlData.
    pub struct TrafficControlData {
        required { tc_id: String, }
        optional { flow_status: FlowStatus, }
    }
}

open_enum! {
    /// TS29514_Npcf_PolicyAuthorization FlowStatus.
    pub enum FlowStatus {
        EnabledUplink = "ENABLED-UPLINK",
        EnabledDownlink = "ENABLED-DOWNLINK",
        Enabled = "ENABLED",
        Disabled = "DISABLED",
        Removed = "REMOVED",
    }
}
