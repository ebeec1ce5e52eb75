//! Operations of Npcf_SMPolicyControl: TS 29.512 §4.2.

use super::{
    ErrorReport, SmPolicyContextData, SmPolicyControl, SmPolicyDecision, SmPolicyDeleteData,
    SmPolicyNotification, SmPolicyUpdateContextData, SmPolicyUpdateReport, TerminationNotification,
};
use crate::define::operation;

operation! {
    /// Creates an SM policy association; 201 with its URI.
    pub struct CreateSmPolicy("Npcf_SMPolicyControl_Create"): Post "/npcf-smpolicycontrol/v1/sm-policies" {
        body { context: SmPolicyContextData as Json }
        answer SmPolicyDecision as Json;
    }
}

operation! {
    /// Reads an SM policy association.
    pub struct GetSmPolicy("Npcf_SMPolicyControl_Get"):
        Get "/npcf-smpolicycontrol/v1/sm-policies/{smPolicyId}"
    {
        path { sm_policy_id: String, }
        answer SmPolicyControl as Json;
    }
}

operation! {
    /// Reports the triggers that were met.
    pub struct UpdateSmPolicy("Npcf_SMPolicyControl_Update"):
        Post "/npcf-smpolicycontrol/v1/sm-policies/{smPolicyId}/update"
    {
        path { sm_policy_id: String, }
        body { update: SmPolicyUpdateContextData as Json }
        answer SmPolicyDecision as Json;
    }
}

operation! {
    /// Ends an SM policy association.
    pub struct DeleteSmPolicy("Npcf_SMPolicyControl_Delete"):
        Post "/npcf-smpolicycontrol/v1/sm-policies/{smPolicyId}/delete"
    {
        path { sm_policy_id: String, }
        body { data: SmPolicyDeleteData as Json }
        answer () as Empty;
    }
}

operation! {
    /// Changes the policy, at `update` under the SMF's `notificationUri`: 204, or 200 with what of it does not hold.
    pub struct SmPolicyUpdateNotify("Npcf_SMPolicyControl_UpdateNotify"):
        Post "/callbacks/v1/sm-policy/{session}/update"
    {
        callback { session }
        body { notification: SmPolicyNotification as Json }
        answer Option<SmPolicyUpdateReport> as JsonOrEmpty;
        failure ErrorReport;
    }
}

operation! {
    /// Asks for the association's end, at `terminate` under the SMF's `notificationUri`.
    pub struct SmPolicyTerminateNotify("Npcf_SMPolicyControl_TerminateNotify"):
        Post "/callbacks/v1/sm-policy/{session}/terminate"
    {
        callback { session }
        body { notification: TerminationNotification as Json }
        answer () as Empty;
    }
}
