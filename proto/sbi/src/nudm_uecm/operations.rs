//! Operations of Nudm_UEContextManagement: TS 29.503 §5.3.2.

use tern_types::{Dnn, PduSessionId, Snssai, Supi};

use super::{
    Amf3GppAccessRegistration, Amf3GppAccessRegistrationModification, DeregistrationData, SmfRegistration,
    SmfRegistrationInfo,
};
use crate::common::{NfInstanceId, PatchResult, SupportedFeatures};
use crate::define::operation;

operation! {
    /// Registers the serving AMF: 201 with the resource's URI if there was none, else 200 or 204.
    pub struct RegisterAmf3gpp("Nudm_UECM_Registration_Amf3gpp"):
        Put "/nudm-uecm/v1/{ueId}/registrations/amf-3gpp-access"
    {
        path { ue_id: Supi, }
        body { registration: Amf3GppAccessRegistration as Json }
        answer Option<Amf3GppAccessRegistration> as JsonOrEmpty;
    }
}

operation! {
    /// Changes the AMF's registration; `purgeFlag` true ends it.
    pub struct UpdateAmf3gpp("Nudm_UECM_Update_Amf3gpp"):
        Patch "/nudm-uecm/v1/{ueId}/registrations/amf-3gpp-access"
    {
        path { ue_id: Supi, }
        body { modification: Amf3GppAccessRegistrationModification as MergePatch }
        answer Option<PatchResult> as JsonOrEmpty;
    }
}

operation! {
    /// Reads the AMF's registration.
    pub struct GetAmf3gpp("Nudm_UECM_Get_Amf3gpp"): Get "/nudm-uecm/v1/{ueId}/registrations/amf-3gpp-access" {
        path { ue_id: Supi, }
        optional { "supported-features" supported_features: SupportedFeatures as Text, }
        answer Amf3GppAccessRegistration as Json;
    }
}

operation! {
    /// Registers the SMF of a session: 201 with the resource's URI if there was none.
    pub struct RegisterSmf("Nudm_UECM_Registration_Smf"):
        Put "/nudm-uecm/v1/{ueId}/registrations/smf-registrations/{pduSessionId}"
    {
        path {
            ue_id: Supi,
            pdu_session_id: PduSessionId,
        }
        body { registration: SmfRegistration as Json }
        answer Option<SmfRegistration> as JsonOrEmpty;
    }
}

operation! {
    /// Ends the registration of a session's SMF.
    pub struct DeregisterSmf("Nudm_UECM_Deregistration_Smf"):
        Delete "/nudm-uecm/v1/{ueId}/registrations/smf-registrations/{pduSessionId}"
    {
        path {
            ue_id: Supi,
            pdu_session_id: PduSessionId,
        }
        optional {
            "smf-set-id" smf_set_id: String as Text,
            "smf-instance-id" smf_instance_id: NfInstanceId as Text,
        }
        answer () as Empty;
    }
}

operation! {
    /// Reads the registration of a session's SMF.
    pub struct GetSmfRegistration("Nudm_UECM_Get_SmfRegistration"):
        Get "/nudm-uecm/v1/{ueId}/registrations/smf-registrations/{pduSessionId}"
    {
        path {
            ue_id: Supi,
            pdu_session_id: PduSessionId,
        }
        answer SmfRegistration as Json;
    }
}

operation! {
    /// Reads the registrations of all sessions' SMFs.
    pub struct ListSmfRegistrations("Nudm_UECM_Get_SmfRegistrations"):
        Get "/nudm-uecm/v1/{ueId}/registrations/smf-registrations"
    {
        path { ue_id: Supi, }
        optional {
            "single-nssai" single_nssai: Snssai as Json,
            "dnn" dnn: Dnn as Text,
        }
        answer SmfRegistrationInfo as Json;
    }
}

operation! {
    /// Tells an AMF or SMF that its registration ended, at its `deregCallbackUri`.
    pub struct DeregistrationNotify("Nudm_UECM_DeregistrationNotification"):
        Post "/callbacks/v1/uecm-deregistration/{ue}"
    {
        callback { ue }
        body { data: DeregistrationData as Json }
        answer () as Empty;
    }
}
