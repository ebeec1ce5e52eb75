//! Subscriptions to changes of subscription data: TS29503_Nudm_SDM.

use tern_types::{Dnn, PlmnId, Snssai};

use crate::common::{DateTime, NfInstanceId, NotifyItem, SupportedFeatures, Uri};
use crate::model::model;

model! {
    /// TS29503_Nudm_SDM SdmSubscription.
    pub struct SdmSubscription {
        required {
            nf_instance_id: NfInstanceId,
            callback_reference: Uri,
            monitored_resource_uris: Vec<Uri>,
        }
        optional {
            implicit_unsubscribe: bool,
            expires: DateTime,
            single_nssai: Snssai,
            dnn: Dnn,
            subscription_id: String,
            plmn_id: PlmnId,
            immediate_report: bool,
            supported_features: SupportedFeatures,
            unique_subscription: bool,
        }
    }
}

model! {
    /// TS29503_Nudm_SDM ModificationNotification.
    pub struct ModificationNotification {
        required { notify_items: Vec<NotifyItem>, }
    }
}
