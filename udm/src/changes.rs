//! Changes of subscription data: the UDM hears of them at the UDR (TS 29.504 §5.2.2.6), and tells those
//! who serve the UE (TS 29.503 §5.2.2.5, §5.3.2.3).

use std::convert::Infallible;
use std::sync::Arc;

use serde_json::Value;
use tern_nf::Target;
use tern_sbi::common::{ChangeItem, ChangeType, NfType, NotifyItem, ServiceName, VarPlmnId};
use tern_sbi::nudm_sdm::{
    AccessAndMobilitySubscriptionData, DataChangeNotify, ModificationNotification, SdmSubscription,
};
use tern_sbi::nudr_dr::{
    QueryAmData, QuerySmData, QuerySmfSelectData, SubscribeToSubscriptionData, SubscriptionDataChange,
    SubscriptionDataSubscriptions,
};
use tern_sbi::{Call, Location, Operation, PathParams, Response};
use tern_types::Supi;

use crate::Udm;
use crate::refusal::{Refused, refuse, status};

/// In the URI of a monitored resource in place of a UE's identity: every UE's.
const EVERY_UE: &str = "{ueId}";

/// Documents of the UDR, and what they are as resources of Nudm_SDM.
const RESOURCES: [(&str, &[&str]); 3] = [
    (<QueryAmData as Operation>::PATH, &["am-data", "nssai"]),
    (<QuerySmfSelectData as Operation>::PATH, &["smf-select-data"]),
    (<QuerySmData as Operation>::PATH, &["sm-data"]),
];

/// Subscribes at the UDR to the changes of every UE's data.
pub(crate) async fn stay_subscribed(udm: &Udm) -> Infallible {
    let path = SubscriptionDataChange::callback_path("udm");
    let plmn = VarPlmnId(udm.plmn).to_string();
    let monitored = RESOURCES.iter().map(|(path, _)| PathParams::fill(path, &[EVERY_UE, &plmn])).collect();
    let subscription = SubscriptionDataSubscriptions::new(format!("{}{path}", udm.api_root), monitored);
    let udr = Target::service(NfType::Udr, ServiceName::NudrDr);
    tern_nf::stay_subscribed(&udm.env, &udm.consumer, &udr, &SubscribeToSubscriptionData { subscription })
        .await
}

/// A resource of Nudm_SDM that changed.
struct Changed {
    name: &'static str,
    value: Option<Value>,
}

impl Udm {
    /// The UDR tells of a UE's data. What is to be told is read before the answer: the UDR keeps the
    /// registrations of a subscriber who is no more until then.
    pub(crate) async fn data_changed(
        self: Arc<Self>,
        call: Call,
        operation: SubscriptionDataChange,
    ) -> Result<Response<()>, Refused> {
        let notification = operation.notification;
        let supi = notification.ue_id.ok_or_else(|| refuse(400, "MANDATORY_IE_MISSING"))?;
        let changed: Vec<Changed> = notification.notify_items.iter().flat_map(changes_of).collect();
        if changed.iter().any(is_withdrawn) {
            self.withdraw(&call, &supi).await?;
            return Ok(Response::no_content());
        }
        for subscription in self.repository.sdm_subscriptions(&call, &supi).await? {
            self.tell(&supi, &subscription, &changed);
        }
        Ok(Response::no_content())
    }

    /// Nudm_SDM_Notification: TS 29.503 §5.2.2.5.2.
    fn tell(self: &Arc<Self>, supi: &Supi, subscription: &SdmSubscription, changed: &[Changed]) {
        let notify_items: Vec<NotifyItem> =
            changed.iter().filter_map(|changed| item(supi, subscription, changed)).collect();
        let ended = subscription.expires.is_some_and(|at| at.0 <= self.env.clock.now());
        let Some(callback) = Location::parse(&subscription.callback_reference) else { return };
        if notify_items.is_empty() || ended {
            return;
        }
        let notification = ModificationNotification::new(notify_items);
        let operation = DataChangeNotify { path: callback.path, notification };
        let (id, owner) = (subscription.subscription_id.clone(), supi.clone());
        self.notify(supi.clone(), Target::ApiRoot(callback.api_root), operation, move |udm, told| {
            // It serves the UE no longer.
            let gone = told.is_err_and(|error| status(&error) == Some(404));
            if let Some(id) = id.filter(|_| gone) {
                tokio::spawn(async move {
                    let _ = udm.repository.delete_sdm_subscription(&Call::default(), &owner, &id).await;
                });
            }
        });
    }
}

/// What a subscription says of a change; nothing if it does not monitor the resource.
fn item(supi: &Supi, subscription: &SdmSubscription, changed: &Changed) -> Option<NotifyItem> {
    let own = format!("/{supi}/{}", changed.name);
    let whole = format!("/{supi}");
    let monitored = |uri: &&String| uri.ends_with(&own) || uri.ends_with(&whole);
    let uri = subscription.monitored_resource_uris.iter().find(monitored)?;
    let resource = if uri.ends_with(&whole) { format!("{uri}/{}", changed.name) } else { uri.clone() };
    let op = if changed.value.is_some() { ChangeType::Replace } else { ChangeType::Remove };
    let change = ChangeItem { new_value: changed.value.clone(), ..ChangeItem::new(op, String::new()) };
    Some(NotifyItem::new(resource, vec![change]))
}

/// A document of the UDR as the resources that consumers know.
fn changes_of(item: &NotifyItem) -> Vec<Changed> {
    let path = Location::parse(&item.resource_id).map_or_else(|| item.resource_id.clone(), |at| at.path);
    let found = RESOURCES.iter().find(|(template, _)| PathParams::matching(template, &path).is_some());
    let removed = item.changes.iter().any(|change| change.op == ChangeType::Remove && change.path.is_empty());
    let value = item.changes.iter().rev().find_map(|change| change.new_value.clone()).filter(|_| !removed);
    let names = found.map_or(&[][..], |(_, names)| names);
    let changed = |&name: &&'static str| {
        let value = value.as_ref().and_then(|value| match name {
            "nssai" => value.get("nssai").cloned(),
            _ => Some(value.clone()),
        });
        Changed { name, value }
    };
    names.iter().map(changed).collect()
}

/// Whether the UE may not be served any more: there is no access and mobility subscription, or the operator
/// has barred it.
fn is_withdrawn(changed: &Changed) -> bool {
    if changed.name != "am-data" {
        return false;
    }
    let Some(value) = changed.value.clone() else { return true };
    let data = serde_json::from_value::<AccessAndMobilitySubscriptionData>(value).unwrap_or_default();
    data.is_barred() || data.excludes_5gc()
}
