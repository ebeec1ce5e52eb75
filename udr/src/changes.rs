//! What of a subscriber's documents has changed, and what those who subscribed hear of it.

use serde::Serialize;
use serde_json::Value;
use tern_sbi::common::{ChangeItem, ChangeType, NotifyItem};
use tern_sbi::nudr_dr::{
    DataChangeNotify, PolicyDataChangeNotification, PolicyDataSubscription, QueryAmData, QuerySmData,
    QuerySmfSelectData, ReadAmPolicyData, ReadSmPolicyData, SubscriptionDataSubscriptions,
};
use tern_sbi::{Location, Operation};
use tern_types::Supi;

use crate::subscriber::Subscriber;

/// In place of a UE's identity in the URI of a monitored resource: every UE's.
const EVERY_UE: &str = "{ueId}";

/// A document of which changes are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Document {
    AmData,
    SmfSelection,
    SmData,
    AmPolicyData,
    SmPolicyData,
}

/// A document that changed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Changed {
    document: Document,
    /// As it is now; `None` if it is no more.
    value: Option<Value>,
}

impl Changed {
    /// Whether it is what a UDM monitors, rather than policy data.
    pub(crate) fn is_subscription_data(&self) -> bool {
        matches!(self.document, Document::AmData | Document::SmfSelection | Document::SmData)
    }

    /// In a log.
    pub(crate) fn name(&self) -> &'static str {
        match self.document {
            Document::AmData => "am-data",
            Document::SmfSelection => "smf-selection-subscription-data",
            Document::SmData => "sm-data",
            Document::AmPolicyData => "policy/am-data",
            Document::SmPolicyData => "policy/sm-data",
        }
    }
}

impl Document {
    const ALL: [Self; 5] =
        [Self::AmData, Self::SmfSelection, Self::SmData, Self::AmPolicyData, Self::SmPolicyData];

    /// The template of its URI.
    fn path(self) -> &'static str {
        match self {
            Self::AmData => <QueryAmData as Operation>::PATH,
            Self::SmfSelection => <QuerySmfSelectData as Operation>::PATH,
            Self::SmData => <QuerySmData as Operation>::PATH,
            Self::AmPolicyData => <ReadAmPolicyData as Operation>::PATH,
            Self::SmPolicyData => <ReadSmPolicyData as Operation>::PATH,
        }
    }

    fn of(self, subscriber: &Subscriber) -> Value {
        match self {
            Self::AmData => value(&subscriber.am_data()),
            Self::SmfSelection => value(&subscriber.smf_selection_data()),
            Self::SmData => value(&subscriber.sm_data(None, None)),
            Self::AmPolicyData => value(&subscriber.am_policy_data()),
            Self::SmPolicyData => value(&subscriber.sm_policy_data(None, None)),
        }
    }

    /// The path of the UE's document, if the URI is of it. A serving network may stand in it; the document
    /// is the same in each.
    fn monitored_by(self, uri: &str, supi: &Supi) -> Option<String> {
        let path = Location::parse(uri).map_or_else(|| uri.to_owned(), |location| location.path);
        let params = tern_sbi::PathParams::matching(self.path(), &path)?.0;
        let (ue, rest) = params.split_first()?;
        if ue != EVERY_UE && *ue != supi.to_string() {
            return None;
        }
        let ue = supi.to_string();
        let values: Vec<&str> = std::iter::once(ue.as_str()).chain(rest.iter().map(String::as_str)).collect();
        Some(tern_sbi::PathParams::fill(self.path(), &values))
    }
}

fn value(document: &impl Serialize) -> Value {
    serde_json::to_value(document).unwrap_or_default()
}

/// What changed from `before` to `after`; nobody has a record any more if there is none.
pub(crate) fn between(before: &Subscriber, after: Option<&Subscriber>) -> Vec<Changed> {
    let changed = |document: Document| {
        let value = after.map(|after| document.of(after));
        (value.as_ref() != Some(&document.of(before))).then_some(Changed { document, value })
    };
    Document::ALL.into_iter().filter_map(changed).collect()
}

/// What a subscription to subscription data has to say of them, if anything.
pub(crate) fn notification(
    subscription: &SubscriptionDataSubscriptions,
    supi: &Supi,
    changed: &[Changed],
) -> Option<DataChangeNotify> {
    let mut notify_items = Vec::new();
    for Changed { document, value } in changed {
        let uris = &subscription.monitored_resource_uris;
        let Some(path) = uris.iter().find_map(|uri| document.monitored_by(uri, supi)) else { continue };
        let op = if value.is_some() { ChangeType::Replace } else { ChangeType::Remove };
        let item = ChangeItem { new_value: value.clone(), ..ChangeItem::new(op, String::new()) };
        notify_items.push(NotifyItem::new(path, vec![item]));
    }
    (!notify_items.is_empty()).then(|| DataChangeNotify {
        ue_id: Some(supi.clone()),
        original_callback_reference: subscription.original_callback_reference.iter().cloned().collect(),
        notify_items,
    })
}

/// The same of a subscription to policy data.
pub(crate) fn policy_notification(
    subscription: &PolicyDataSubscription,
    supi: &Supi,
    changed: &[Changed],
) -> Option<PolicyDataChangeNotification> {
    let mut notification = PolicyDataChangeNotification {
        ue_id: Some(supi.clone()),
        notif_id: subscription.notif_id.clone(),
        ..PolicyDataChangeNotification::default()
    };
    let mut any = false;
    for Changed { document, value } in changed {
        let uris = &subscription.monitored_resource_uris;
        let Some(path) = uris.iter().find_map(|uri| document.monitored_by(uri, supi)) else { continue };
        any = true;
        match (document, value) {
            (Document::AmPolicyData, Some(value)) => {
                notification.am_policy_data = serde_json::from_value(value.clone()).ok();
            }
            (Document::SmPolicyData, Some(value)) => {
                notification.sm_policy_data = serde_json::from_value(value.clone()).ok();
            }
            _ => notification.del_resources.push(path),
        }
    }
    any.then_some(notification)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscriber() -> Subscriber {
        serde_json::from_str(
            r#"{"supi":"imsi-001010000000001","authentication":{
                "k":"465b5ce8b199b49faa5f0a2ee238a6bc","opc":"cd63cb71954a9f4e48a5994e37a02baf"}}"#,
        )
        .unwrap()
    }

    fn names(changed: &[Changed]) -> Vec<&'static str> {
        changed.iter().map(Changed::name).collect()
    }

    #[test]
    fn what_changed_is_named_and_nothing_else() {
        let before = subscriber();
        assert!(between(&before, Some(&before)).is_empty());
        let mut after = before.clone();
        after.ue_ambr.uplink = tern_types::BitRate::from_bps(1);
        assert_eq!(names(&between(&before, Some(&after))), ["am-data"]);
        let mut after = before.clone();
        after.slices[0].dnns.pop();
        let all = ["smf-selection-subscription-data", "sm-data", "policy/sm-data"];
        assert_eq!(names(&between(&before, Some(&after))), all);
        let mut after = before.clone();
        after.categories.push("gold".to_owned());
        assert_eq!(names(&between(&before, Some(&after))), ["policy/am-data", "policy/sm-data"]);
        assert_eq!(between(&before, None).len(), 5);
    }

    #[test]
    fn when_a_uri_is_of_another_ue_or_document_then_nothing_is_said() {
        let supi = subscriber().supi;
        let of = |uri: &str| Document::AmData.monitored_by(uri, &supi);
        let own = "/nudr-dr/v2/subscription-data/imsi-001010000000001/00101/provisioned-data/am-data";
        assert_eq!(of(own).as_deref(), Some(own));
        assert_eq!(of(&format!("http://udr:8080{own}")).as_deref(), Some(own));
        assert_eq!(of(&own.replace("imsi-001010000000001", "%7BueId%7D")).as_deref(), Some(own));
        assert_eq!(of(&own.replace("00001/", "00002/")), None);
        assert_eq!(of(&own.replace("am-data", "sm-data")), None);
        assert_eq!(of("/nudr-dr/v2/subscription-data"), None);
    }
}
