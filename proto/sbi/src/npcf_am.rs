//! Npcf_AMPolicyControl: TS 29.507.

use tern_types::{Ambr, Guami, Imei, Snssai, Supi};

use crate::common::{
    AccessType, PlmnIdNid, RatType, ServiceAreaRestriction, ServiceName, SupportedFeatures, Uri, UserLocation,
};
use crate::define::operation;
use crate::model::{model, open_enum};

operation! {
    /// Creates an AM policy association; 201 with its URI.
    pub struct CreateAmPolicy("Npcf_AMPolicyControl_Create"): Post "/npcf-am-policy-control/v1/policies" {
        body { request: PolicyAssociationRequest as Json }
        answer PolicyAssociation as Json;
    }
}

operation! {
    /// Reads an AM policy association.
    pub struct ReadAmPolicy("Npcf_AMPolicyControl_Get"): Get "/npcf-am-policy-control/v1/policies/{polAssoId}" {
        path { pol_asso_id: String, }
        answer PolicyAssociation as Json;
    }
}

operation! {
    /// Reports the triggers that were met.
    pub struct UpdateAmPolicy("Npcf_AMPolicyControl_Update"):
        Post "/npcf-am-policy-control/v1/policies/{polAssoId}/update"
    {
        path { pol_asso_id: String, }
        body { request: PolicyAssociationUpdateRequest as Json }
        answer PolicyUpdate as Json;
    }
}

operation! {
    /// Ends an AM policy association.
    pub struct DeleteAmPolicy("Npcf_AMPolicyControl_Delete"):
        Delete "/npcf-am-policy-control/v1/policies/{polAssoId}"
    {
        path { pol_asso_id: String, }
        answer () as Empty;
    }
}

operation! {
    /// Changes the policy, at `update` under the AMF's `notificationUri`.
    pub struct AmPolicyUpdateNotify("Npcf_AMPolicyControl_UpdateNotify"):
        Post "/callbacks/v1/am-policy/{ue}/update"
    {
        callback { ue }
        body { update: PolicyUpdate as Json }
        answer () as Empty;
    }
}

operation! {
    /// Asks for the association's end, at `terminate` under the AMF's `notificationUri`.
    pub struct AmPolicyTerminateNotify("Npcf_AMPolicyControl_TerminateNotify"):
        Post "/callbacks/v1/am-policy/{ue}/terminate"
    {
        callback { ue }
        body { notification: TerminationNotification as Json }
        answer () as Empty;
    }
}

model! {
    /// TS29507_Npcf_AMPolicyControl PolicyAssociationRequest.
    pub struct PolicyAssociationRequest {
        required {
            notification_uri: Uri,
            supp_feat: SupportedFeatures,
            supi: Supi,
        }
        optional {
            gpsi: String,
            access_type: AccessType,
            pei: Imei,
            user_loc: UserLocation,
            time_zone: String,
            serving_plmn: PlmnIdNid,
            rat_type: RatType,
            serv_area_res: ServiceAreaRestriction,
            /// 1 to 256.
            rfsp: u16,
            ue_ambr: Ambr,
            guami: Guami,
            /// So spelt in the schema.
            #[serde(rename = "serviveName")]
            service_name: ServiceName,
        }
        lists {
            access_types: AccessType,
            rat_types: RatType,
            group_ids: String,
            allowed_snssais: Snssai,
            target_snssais: Snssai,
        }
    }
}

model! {
    /// TS29507_Npcf_AMPolicyControl PolicyAssociation.
    pub struct PolicyAssociation {
        required { supp_feat: SupportedFeatures, }
        optional {
            request: PolicyAssociationRequest,
            serv_area_res: ServiceAreaRestriction,
            /// 1 to 256.
            rfsp: u16,
            target_rfsp: u16,
            ue_ambr: Ambr,
        }
        lists { triggers: RequestTrigger, }
    }
}

model! {
    /// TS29507_Npcf_AMPolicyControl PolicyAssociationUpdateRequest.
    pub struct PolicyAssociationUpdateRequest {
        optional {
            notification_uri: Uri,
            serv_area_res: ServiceAreaRestriction,
            rfsp: u16,
            ue_ambr: Ambr,
            user_loc: UserLocation,
            guami: Guami,
        }
        lists {
            triggers: RequestTrigger,
            allowed_snssais: Snssai,
            target_snssais: Snssai,
            access_types: AccessType,
            rat_types: RatType,
        }
    }
}

model! {
    /// TS29507_Npcf_AMPolicyControl PolicyUpdate.
    pub struct PolicyUpdate {
        required { resource_uri: Uri, }
        optional {
            serv_area_res: ServiceAreaRestriction,
            rfsp: u16,
            target_rfsp: u16,
            ue_ambr: Ambr,
        }
        lists { triggers: RequestTrigger, }
    }
}

model! {
    /// TS29507_Npcf_AMPolicyControl TerminationNotification.
    pub struct TerminationNotification {
        required {
            resource_uri: Uri,
            cause: PolicyAssociationReleaseCause,
        }
    }
}

open_enum! {
    /// TS29507_Npcf_AMPolicyControl RequestTrigger.
    pub enum RequestTrigger {
        LocCh = "LOC_CH",
        PraCh = "PRA_CH",
        ServAreaCh = "SERV_AREA_CH",
        RfspCh = "RFSP_CH",
        AllowedNssaiCh = "ALLOWED_NSSAI_CH",
        UeAmbrCh = "UE_AMBR_CH",
        AccessTypeCh = "ACCESS_TYPE_CH",
    }
}

open_enum! {
    /// TS29507_Npcf_AMPolicyControl PolicyAssociationReleaseCause.
    pub enum PolicyAssociationReleaseCause {
        Unspecified = "UNSPECIFIED",
        UeSubscription = "UE_SUBSCRIPTION",
        InsufficientRes = "INSUFFICIENT_RES",
    }
}
