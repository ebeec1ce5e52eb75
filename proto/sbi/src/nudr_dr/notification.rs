//! Subscriptions to changes of data and their notifications: TS 29.504 §5.2.2.6 to §5.2.2.8
//! (TS29505_Subscription_Data, TS29519_Policy_Data).

use tern_types::Supi;

use super::{AmPolicyData, SmPolicyData};
use crate::common::{DateTime, NotifyItem, SupportedFeatures, Uri};
use crate::define::operation;
use crate::model::model;

operation! {
    /// Subscribes to changes of subscription data; 201 with the subscription's URI.
    pub struct SubscribeToSubscriptionData("Nudr_DR_SubscriptionDataSubscriptions"):
        Post "/nudr-dr/v2/subscription-data/subs-to-notify"
    {
        body { subscription: SubscriptionDataSubscriptions as Json }
        answer SubscriptionDataSubscriptions as Json;
    }
}

operation! {
    /// Ends a subscription to changes of subscription data.
    pub struct UnsubscribeFromSubscriptionData("Nudr_DR_RemovesubscriptionDataSubscriptions"):
        Delete "/nudr-dr/v2/subscription-data/subs-to-notify/{subsId}"
    {
        path { subs_id: String, }
        answer () as Empty;
    }
}

operation! {
    /// Tells of changes of one UE's subscription data, at the subscription's `callbackReference`.
    pub struct SubscriptionDataChange("Nudr_DR_DataChangeNotify"):
        Post "/callbacks/v1/subscription-data-change/{subscriber}"
    {
        callback { subscriber }
        body { notification: DataChangeNotify as Json }
        answer () as Empty;
    }
}

operation! {
    /// Subscribes to changes of policy data; 201 with the subscription's URI.
    pub struct SubscribeToPolicyData("Nudr_DR_CreateIndividualPolicyDataSubscription"):
        Post "/nudr-dr/v2/policy-data/subs-to-notify"
    {
        body { subscription: PolicyDataSubscription as Json }
        answer PolicyDataSubscription as Json;
    }
}

operation! {
    /// Ends a subscription to changes of policy data.
    pub struct UnsubscribeFromPolicyData("Nudr_DR_DeleteIndividualPolicyDataSubscription"):
        Delete "/nudr-dr/v2/policy-data/subs-to-notify/{subsId}"
    {
        path { subs_id: String, }
        answer () as Empty;
    }
}

operation! {
    /// Tells of changes of policy data, at the subscription's `notificationUri`.
    pub struct PolicyDataChange("Nudr_DR_PolicyDataChangeNotification"):
        Post "/callbacks/v1/policy-data-change/{subscriber}"
    {
        callback { subscriber }
        body { notifications: Vec<PolicyDataChangeNotification> as Json }
        answer () as Empty;
    }
}

model! {
    /// TS29505_Subscription_Data SubscriptionDataSubscriptions.
    pub struct SubscriptionDataSubscriptions {
        required {
            callback_reference: Uri,
            monitored_resource_uris: Vec<Uri>,
        }
        optional {
            /// Whose data; all UEs' if absent.
            ue_id: Supi,
            original_callback_reference: Uri,
            expiry: DateTime,
            subscription_id: String,
            unique_subscription: bool,
            supported_features: SupportedFeatures,
        }
    }
}

model! {
    /// TS29505_Subscription_Data DataChangeNotify.
    pub struct DataChangeNotify {
        optional { ue_id: Supi, }
        lists {
            original_callback_reference: Uri,
            notify_items: NotifyItem,
        }
    }
}

model! {
    /// TS29519_Policy_Data PolicyDataSubscription.
    pub struct PolicyDataSubscription {
        required {
            notification_uri: Uri,
            monitored_resource_uris: Vec<Uri>,
        }
        optional {
            notif_id: String,
            expiry: DateTime,
            supported_features: SupportedFeatures,
        }
    }
}

model! {
    /// TS29519_Policy_Data PolicyDataChangeNotification.
    pub struct PolicyDataChangeNotification {
        optional {
            am_policy_data: AmPolicyData,
            sm_policy_data: SmPolicyData,
            ue_id: Supi,
            notif_id: String,
        }
        lists { del_resources: Uri, }
    }
}
