//! Operations of Nnrf_NFManagement: TS 29.510 §5.2.2.

use super::{NfProfile, NotificationData, SubscriptionData, UriList};
use crate::common::{NfInstanceId, NfType, PatchItem};
use crate::define::operation;

operation! {
    /// Registers an NF instance, or replaces its profile.
    pub struct RegisterNfInstance("Nnrf_NFManagement_NFRegister"):
        Put "/nnrf-nfm/v1/nf-instances/{nfInstanceID}"
    {
        path { nf_instance_id: NfInstanceId, }
        body { profile: NfProfile as Json }
        answer NfProfile as Json;
    }
}

operation! {
    /// Changes an NF profile. A heartbeat replaces `/nfStatus` with `REGISTERED`; its answer is
    /// 204 without content, or 200 with the profile.
    pub struct UpdateNfInstance("Nnrf_NFManagement_NFUpdate"):
        Patch "/nnrf-nfm/v1/nf-instances/{nfInstanceID}"
    {
        path { nf_instance_id: NfInstanceId, }
        body { patch: Vec<PatchItem> as JsonPatch }
        answer Option<NfProfile> as JsonOrEmpty;
    }
}

operation! {
    /// Removes an NF instance.
    pub struct DeregisterNfInstance("Nnrf_NFManagement_NFDeregister"):
        Delete "/nnrf-nfm/v1/nf-instances/{nfInstanceID}"
    {
        path { nf_instance_id: NfInstanceId, }
        answer () as Empty;
    }
}

operation! {
    /// Reads an NF profile.
    pub struct GetNfInstance("Nnrf_NFManagement_NFProfileRetrieval"):
        Get "/nnrf-nfm/v1/nf-instances/{nfInstanceID}"
    {
        path { nf_instance_id: NfInstanceId, }
        answer NfProfile as Json;
    }
}

operation! {
    /// Lists the URIs of NF instances.
    pub struct ListNfInstances("Nnrf_NFManagement_NFListRetrieval"): Get "/nnrf-nfm/v1/nf-instances" {
        optional {
            "nf-type" nf_type: NfType as Text,
            "limit" limit: u32 as Text,
            "page-number" page_number: u32 as Text,
            "page-size" page_size: u32 as Text,
        }
        answer UriList as Hal;
    }
}

operation! {
    /// Subscribes to changes of NF instances.
    pub struct CreateSubscription("Nnrf_NFManagement_NFStatusSubscribe"): Post "/nnrf-nfm/v1/subscriptions" {
        body { subscription: SubscriptionData as Json }
        answer SubscriptionData as Json;
    }
}

operation! {
    /// Prolongs a subscription: replaces `/validityTime`.
    pub struct UpdateSubscription("Nnrf_NFManagement_NFStatusSubscribe_Update"):
        Patch "/nnrf-nfm/v1/subscriptions/{subscriptionID}"
    {
        path { subscription_id: String, }
        body { patch: Vec<PatchItem> as JsonPatch }
        answer Option<SubscriptionData> as JsonOrEmpty;
    }
}

operation! {
    /// Ends a subscription.
    pub struct RemoveSubscription("Nnrf_NFManagement_NFStatusUnsubscribe"):
        Delete "/nnrf-nfm/v1/subscriptions/{subscriptionID}"
    {
        path { subscription_id: String, }
        answer () as Empty;
    }
}

operation! {
    /// Tells a subscriber of a change, at its `nfStatusNotificationUri`.
    pub struct StatusNotify("Nnrf_NFManagement_NFStatusNotify"): Post "/callbacks/v1/nf-status/{subscriber}" {
        callback { subscriber }
        body { notification: NotificationData as Json }
        answer () as Empty;
    }
}
