//! Policy data: TS29519_Policy_Data.

use tern_types::{BitRate, Dnn, Snssai, Supi};

use crate::common::SupportedFeatures;
use crate::define::operation;
use crate::model::model;

operation! {
    /// Reads a subscriber's access and mobility policy data.
    pub struct ReadAmPolicyData("Nudr_DR_ReadAccessAndMobilityPolicyData"):
        Get "/nudr-dr/v2/policy-data/ues/{ueId}/am-data"
    {
        path { ue_id: Supi, }
        answer AmPolicyData as Json;
    }
}

operation! {
    /// Reads a subscriber's session management policy data.
    pub struct ReadSmPolicyData("Nudr_DR_ReadSessionManagementPolicyData"):
        Get "/nudr-dr/v2/policy-data/ues/{ueId}/sm-data"
    {
        path { ue_id: Supi, }
        optional {
            "snssai" snssai: Snssai as Json,
            "dnn" dnn: Dnn as Text,
            "supp-feat" supp_feat: SupportedFeatures as Text,
        }
        answer SmPolicyData as Json;
    }
}

model! {
    /// TS29519_Policy_Data AmPolicyData.
    pub struct AmPolicyData {
        lists { subsc_cats: String, }
    }
}

model! {
    /// TS29519_Policy_Data SmPolicyData; keys are S-NSSAIs in text form.
    pub struct SmPolicyData {
        required { sm_policy_snssai_data: std::collections::BTreeMap<String, SmPolicySnssaiData>, }
        optional { supp_feat: SupportedFeatures, }
    }
}

model! {
    /// TS29519_Policy_Data SmPolicySnssaiData; keys are DNNs.
    pub struct SmPolicySnssaiData {
        required { snssai: Snssai, }
        maps { sm_policy_dnn_data: SmPolicyDnnData, }
    }
}

model! {
    /// TS29519_Policy_Data SmPolicyDnnData.
    pub struct SmPolicyDnnData {
        required { dnn: Dnn, }
        optional {
            gbr_ul: BitRate,
            gbr_dl: BitRate,
            adc_support: bool,
            offline: bool,
            online: bool,
            mps_priority: bool,
            ims_signalling_prio: bool,
        }
        lists {
            allowed_services: String,
            subsc_cats: String,
        }
    }
}
