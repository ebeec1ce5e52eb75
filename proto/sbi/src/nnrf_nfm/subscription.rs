//! Subscriptions to NF instances and the list of them: TS29510_Nnrf_NFManagement.

use serde::{Deserialize, Serialize};
use tern_types::{Guami, PlmnId, Snssai};

use super::{NfProfile, PlmnSnssai};
use crate::common::{ChangeItem, DateTime, Links, NfInstanceId, NfType, ServiceName, Uri};
use crate::model::{model, open_enum};

model! {
    /// TS29510_Nnrf_NFManagement UriList: `_links` has `item` and `self`.
    pub struct UriList {
        optional {
            #[serde(rename = "_links")]
            links: Links,
            total_item_count: u32,
        }
    }
}

model! {
    /// TS29510_Nnrf_NFManagement SubscriptionData. A consumer's request has no
    /// `subscription_id` yet: the schema requires the attribute in the answer only.
    pub struct SubscriptionData {
        required { nf_status_notification_uri: Uri, }
        optional {
            subscription_id: String,
            req_nf_instance_id: NfInstanceId,
            subscr_cond: SubscrCond,
            validity_time: DateTime,
            plmn_id: PlmnId,
            req_nf_type: NfType,
            req_nf_fqdn: String,
        }
        lists {
            req_notif_events: NotificationEventType,
            req_snssais: Snssai,
            req_per_plmn_snssais: PlmnSnssai,
            req_plmn_list: PlmnId,
        }
    }
}

/// TS29510_Nnrf_NFManagement SubscrCond: the conditions that NF instances are told apart by here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SubscrCond {
    /// NfInstanceIdCond: one instance.
    #[serde(rename_all = "camelCase")]
    NfInstanceId {
        /// The instance.
        nf_instance_id: NfInstanceId,
    },
    /// NfInstanceIdListCond: any of these.
    #[serde(rename_all = "camelCase")]
    NfInstanceIdList {
        /// The instances.
        nf_instance_id_list: Vec<NfInstanceId>,
    },
    /// NfTypeCond: all of a type.
    #[serde(rename_all = "camelCase")]
    NfType {
        /// The type.
        nf_type: NfType,
    },
    /// ServiceNameCond: all that offer a service.
    #[serde(rename_all = "camelCase")]
    ServiceName {
        /// The service.
        service_name: ServiceName,
    },
    /// GuamiListCond: all AMFs that serve one of these.
    #[serde(rename_all = "camelCase")]
    GuamiList {
        /// The AMFs.
        guami_list: Vec<Guami>,
    },
    /// AmfCond: all AMFs of a set, a region, or both.
    #[serde(rename_all = "camelCase")]
    Amf {
        /// 3 hexadecimal digits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amf_set_id: Option<String>,
        /// 2 hexadecimal digits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amf_region_id: Option<String>,
    },
}

model! {
    /// TS29510_Nnrf_NFManagement NotificationData.
    pub struct NotificationData {
        required {
            event: NotificationEventType,
            nf_instance_uri: Uri,
        }
        optional { nf_profile: NfProfile, }
        lists { profile_changes: ChangeItem, }
    }
}

open_enum! {
    /// TS29510_Nnrf_NFManagement NotificationEventType.
    pub enum NotificationEventType {
        NfRegistered = "NF_REGISTERED",
        NfDeregistered = "NF_DEREGISTERED",
        NfProfileChanged = "NF_PROFILE_CHANGED",
    }
}
