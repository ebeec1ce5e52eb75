//! Operations of Nsmf_PDUSession on SM contexts: TS 29.502 §5.2.2.

use super::{
    SmContextCreateData, SmContextCreateError, SmContextCreatedData, SmContextReleaseData,
    SmContextReleasedData, SmContextRetrieveData, SmContextRetrievedData, SmContextStatusNotification,
    SmContextUpdateData, SmContextUpdateError, SmContextUpdatedData,
};
use crate::Related;
use crate::define::operation;

operation! {
    /// Creates an SM context; 201 with its URI. The N1 part is the UE's request.
    pub struct PostSmContexts("Nsmf_PDUSession_CreateSMContext"): Post "/nsmf-pdusession/v1/sm-contexts" {
        related { data: SmContextCreateData }
        answer Related<SmContextCreatedData> as WithParts;
        failure Related<SmContextCreateError>;
    }
}

operation! {
    /// Changes an SM context; 204 where there is nothing to tell.
    pub struct UpdateSmContext("Nsmf_PDUSession_UpdateSMContext"):
        Post "/nsmf-pdusession/v1/sm-contexts/{smContextRef}/modify"
    {
        path { sm_context_ref: String, }
        related { data: SmContextUpdateData }
        answer Related<SmContextUpdatedData> as WithPartsOrEmpty;
        failure Related<SmContextUpdateError>;
    }
}

operation! {
    /// Ends an SM context.
    pub struct ReleaseSmContext("Nsmf_PDUSession_ReleaseSMContext"):
        Post "/nsmf-pdusession/v1/sm-contexts/{smContextRef}/release"
    {
        path { sm_context_ref: String, }
        related { data: SmContextReleaseData }
        answer Option<SmContextReleasedData> as JsonOrEmpty;
    }
}

operation! {
    /// Reads an SM context.
    pub struct RetrieveSmContext("Nsmf_PDUSession_RetrieveSMContext"):
        Post "/nsmf-pdusession/v1/sm-contexts/{smContextRef}/retrieve"
    {
        path { sm_context_ref: String, }
        body { data: SmContextRetrieveData as Json }
        answer SmContextRetrievedData as Json;
    }
}

operation! {
    /// Tells the AMF what became of an SM context, at its `smContextStatusUri`.
    pub struct SmContextStatusNotify("Nsmf_PDUSession_SMContextStatusNotify"):
        Post "/callbacks/v1/sm-context-status/{session}"
    {
        callback { session }
        body { notification: SmContextStatusNotification as Json }
        answer () as Empty;
    }
}
