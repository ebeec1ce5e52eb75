//! Context data: what serving network functions have registered (TS29505_Subscription_Data).

use tern_types::{PduSessionId, Supi};

use crate::common::{PatchItem, PatchResult, SupportedFeatures};
use crate::define::operation;
use crate::nudm_sdm::SdmSubscription;
use crate::nudm_uecm::{Amf3GppAccessRegistration, SmfRegistration};

operation! {
    /// Reads the AMF's registration.
    pub struct QueryAmfContext3gpp("Nudr_DR_QueryAmfContext3gpp"):
        Get "/nudr-dr/v2/subscription-data/{ueId}/context-data/amf-3gpp-access"
    {
        path { ue_id: Supi, }
        optional { "supported-features" supported_features: SupportedFeatures as Text, }
        answer Amf3GppAccessRegistration as Json;
    }
}

operation! {
    /// Stores the AMF's registration: 201 if there was none, else 204.
    pub struct CreateAmfContext3gpp("Nudr_DR_CreateAmfContext3gpp"):
        Put "/nudr-dr/v2/subscription-data/{ueId}/context-data/amf-3gpp-access"
    {
        path { ue_id: Supi, }
        body { registration: Amf3GppAccessRegistration as Json }
        answer Option<Amf3GppAccessRegistration> as JsonOrEmpty;
    }
}

operation! {
    /// Changes the AMF's registration.
    pub struct AmfContext3gpp("Nudr_DR_AmfContext3gpp"):
        Patch "/nudr-dr/v2/subscription-data/{ueId}/context-data/amf-3gpp-access"
    {
        path { ue_id: Supi, }
        body { patch: Vec<PatchItem> as JsonPatch }
        answer Option<PatchResult> as JsonOrEmpty;
    }
}

operation! {
    /// Reads the registrations of all sessions' SMFs.
    pub struct QuerySmfRegList("Nudr_DR_QuerySmfRegList"):
        Get "/nudr-dr/v2/subscription-data/{ueId}/context-data/smf-registrations"
    {
        path { ue_id: Supi, }
        optional { "supported-features" supported_features: SupportedFeatures as Text, }
        answer Vec<SmfRegistration> as Json;
    }
}

operation! {
    /// Reads the registration of a session's SMF.
    pub struct QuerySmfRegistration("Nudr_DR_QuerySmfRegistration"):
        Get "/nudr-dr/v2/subscription-data/{ueId}/context-data/smf-registrations/{pduSessionId}"
    {
        path {
            ue_id: Supi,
            pdu_session_id: PduSessionId,
        }
        answer SmfRegistration as Json;
    }
}

operation! {
    /// Stores the registration of a session's SMF: 201 if there was none, else 204.
    pub struct CreateOrUpdateSmfRegistration("Nudr_DR_CreateOrUpdateSmfRegistration"):
        Put "/nudr-dr/v2/subscription-data/{ueId}/context-data/smf-registrations/{pduSessionId}"
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
    /// Removes the registration of a session's SMF.
    pub struct DeleteSmfRegistration("Nudr_DR_DeleteSmfRegistration"):
        Delete "/nudr-dr/v2/subscription-data/{ueId}/context-data/smf-registrations/{pduSessionId}"
    {
        path {
            ue_id: Supi,
            pdu_session_id: PduSessionId,
        }
        answer () as Empty;
    }
}

operation! {
    /// Reads a subscriber's SDM subscriptions.
    pub struct QuerySdmSubscriptions("Nudr_DR_QuerySdmSubscriptions"):
        Get "/nudr-dr/v2/subscription-data/{ueId}/context-data/sdm-subscriptions"
    {
        path { ue_id: Supi, }
        answer Vec<SdmSubscription> as Json;
    }
}

operation! {
    /// Stores an SDM subscription; 201 with its URI.
    pub struct CreateSdmSubscription("Nudr_DR_CreateSdmSubscriptions"):
        Post "/nudr-dr/v2/subscription-data/{ueId}/context-data/sdm-subscriptions"
    {
        path { ue_id: Supi, }
        body { subscription: SdmSubscription as Json }
        answer SdmSubscription as Json;
    }
}

operation! {
    /// Replaces an SDM subscription.
    pub struct UpdateSdmSubscription("Nudr_DR_UpdateSdmSubscriptions"):
        Put "/nudr-dr/v2/subscription-data/{ueId}/context-data/sdm-subscriptions/{subsId}"
    {
        path {
            ue_id: Supi,
            subs_id: String,
        }
        body { subscription: SdmSubscription as Json }
        answer () as Empty;
    }
}

operation! {
    /// Removes an SDM subscription.
    pub struct RemoveSdmSubscription("Nudr_DR_RemoveSdmSubscriptions"):
        Delete "/nudr-dr/v2/subscription-data/{ueId}/context-data/sdm-subscriptions/{subsId}"
    {
        path {
            ue_id: Supi,
            subs_id: String,
        }
        answer () as Empty;
    }
}
