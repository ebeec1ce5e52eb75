//! Subscriptions to changes of data, and who is told of what: TS 29.504 §5.2.2.6 to §5.2.2.8.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tern_nf::{Consumer, Target};
use tern_sbi::common::DateTime;
use tern_sbi::nudr_dr::{
    PolicyDataChange, PolicyDataSubscription, SubscribeToPolicyData, SubscribeToSubscriptionData,
    SubscriptionDataChange, SubscriptionDataSubscriptions, UnsubscribeFromPolicyData,
    UnsubscribeFromSubscriptionData,
};
use tern_sbi::{Call, Location, Operation, PathParams, ProblemDetails, Response};
use tern_sbi_transport::Routes;
use tern_store::{Condition, StoreError};
use tern_types::{Duration, Instant, Supi};
use tokio::sync::Notify;

use crate::Udr;
use crate::changes::{self, Changed};
use crate::repository::{Refused, Untold, broken, refuse};

/// Subscriptions of each kind; the next is refused.
const SUBSCRIPTIONS_MAX: usize = 64;
/// Resources of one subscription.
const MONITORED_MAX: usize = 32;
/// A subscription that is not renewed ends after that.
const VALIDITY: Duration = Duration::from_secs(3600);
/// Until those who did not answer are told again.
const RETRY: Duration = Duration::from_secs(2);
/// Waiting for one who is told.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Changes that are told of at the same time.
const UNTOLD_MAX: usize = 256;

const SUBSCRIPTION_DATA: &str = "udr/subs-to-notify/subscription-data/";
const POLICY_DATA: &str = "udr/subs-to-notify/policy-data/";

/// A subscription of either kind.
trait Subscription: serde::Serialize + serde::de::DeserializeOwned {
    const PREFIX: &'static str;
    /// What the URI of one begins with.
    const COLLECTION: &'static str;

    fn callback(&self) -> &str;
    fn monitored(&self) -> &[String];
    fn of_one_ue(&self) -> Option<&Supi>;
    fn expiry(&mut self) -> &mut Option<DateTime>;
}

impl Subscription for SubscriptionDataSubscriptions {
    const PREFIX: &'static str = SUBSCRIPTION_DATA;
    const COLLECTION: &'static str = <UnsubscribeFromSubscriptionData as Operation>::PATH;

    fn callback(&self) -> &str {
        &self.callback_reference
    }

    fn monitored(&self) -> &[String] {
        &self.monitored_resource_uris
    }

    fn of_one_ue(&self) -> Option<&Supi> {
        self.ue_id.as_ref()
    }

    fn expiry(&mut self) -> &mut Option<DateTime> {
        &mut self.expiry
    }
}

impl Subscription for PolicyDataSubscription {
    const PREFIX: &'static str = POLICY_DATA;
    const COLLECTION: &'static str = <UnsubscribeFromPolicyData as Operation>::PATH;

    fn callback(&self) -> &str {
        &self.notification_uri
    }

    fn monitored(&self) -> &[String] {
        &self.monitored_resource_uris
    }

    fn of_one_ue(&self) -> Option<&Supi> {
        None
    }

    fn expiry(&mut self) -> &mut Option<DateTime> {
        &mut self.expiry
    }
}

pub(crate) fn routes(udr: &Udr, routes: Routes) -> Routes {
    let (a, b, c, d) = (udr.clone(), udr.clone(), udr.clone(), udr.clone());
    routes
        .on(move |_, op: SubscribeToSubscriptionData| subscribe(a.clone(), op.subscription))
        .on(move |_, op: UnsubscribeFromSubscriptionData| {
            unsubscribe::<SubscriptionDataSubscriptions>(b.clone(), op.subs_id)
        })
        .on(move |_, op: SubscribeToPolicyData| subscribe(c.clone(), op.subscription))
        .on(move |_, op: UnsubscribeFromPolicyData| {
            unsubscribe::<PolicyDataSubscription>(d.clone(), op.subs_id)
        })
}

/// Stores a subscription. Who subscribes again, with the same callback for the same UE, renews it.
async fn subscribe<S: Subscription>(udr: Udr, mut subscription: S) -> Result<Response<S>, Refused> {
    let usable = Location::parse(subscription.callback()).is_some()
        && (1..=MONITORED_MAX).contains(&subscription.monitored().len());
    if !usable {
        return Err(refuse(400, "MANDATORY_IE_INCORRECT"));
    }
    let now = udr.env.clock.now();
    let latest = now + VALIDITY;
    let expiry = subscription.expiry();
    *expiry = Some(expiry.filter(|at| at.0 <= latest).unwrap_or(DateTime::from(latest)));
    let others = current::<S>(&udr, now).await.map_err(broken)?;
    let same = |other: &S| {
        other.callback() == subscription.callback() && other.of_one_ue() == subscription.of_one_ue()
    };
    let id = match others.iter().find(|(_, other)| same(other)) {
        Some((id, _)) => id.clone(),
        None if others.len() >= SUBSCRIPTIONS_MAX => {
            let problem = ProblemDetails::new(403, "INSUFFICIENT_RESOURCES")
                .with_detail(format_args!("at most {SUBSCRIPTIONS_MAX} subscriptions"));
            return Err(Refused::Problem(problem));
        }
        None => udr.env.entropy.uuid().to_string(),
    };
    udr.repository
        .write(&format!("{}{id}", S::PREFIX), Condition::Any, &subscription)
        .await
        .map_err(broken)?;
    // What was changed before the subscriber came back may wait for it.
    udr.changed.notify_one();
    let path = PathParams::fill(S::COLLECTION, &[&id]);
    Ok(Response::created(format!("{}{path}", udr.repository.api_root()), subscription))
}

async fn unsubscribe<S: Subscription>(udr: Udr, id: String) -> Result<Response<()>, Refused> {
    let found = udr.repository.erase(&format!("{}{id}", S::PREFIX)).await.map_err(broken)?;
    if found { Ok(Response::no_content()) } else { Err(refuse(404, "SUBSCRIPTION_NOT_FOUND")) }
}

/// The subscriptions in force, by their identities; those that have ended are removed.
async fn current<S: Subscription>(udr: &Udr, now: Instant) -> Result<Vec<(String, S)>, StoreError> {
    let mut all = Vec::new();
    for (key, mut subscription) in udr.repository.read_all_keyed::<S>(S::PREFIX).await? {
        if subscription.expiry().is_some_and(|at| at.0 <= now) {
            udr.repository.erase(&key).await?;
            continue;
        }
        let id = key.strip_prefix(S::PREFIX).unwrap_or(&key).to_owned();
        all.push((id, subscription));
    }
    Ok(all)
}

/// Tells subscribers what has changed, for as long as the UDR lives.
pub(crate) async fn tell(udr: Udr, consumer: Consumer, changed: Arc<Notify>) {
    // Who has heard of a change that others have not.
    let mut heard = Heard::new();
    loop {
        let waits = match round(&udr, &consumer, &mut heard).await {
            Ok(waits) => waits,
            Err(error) => {
                tracing::error!(%error, "the store failed");
                true
            }
        };
        tokio::select! {
            biased;
            () = changed.notified() => {}
            () = udr.env.clock.sleep(RETRY), if waits => {}
        }
    }
}

/// Version of a change and the subscriptions that were told of it.
type Heard = BTreeMap<Supi, (u64, BTreeSet<String>)>;

/// Tells of all that is untold; says whether somebody did not answer.
async fn round(udr: &Udr, consumer: &Consumer, heard: &mut Heard) -> Result<bool, StoreError> {
    loop {
        let untold = udr.repository.untold(UNTOLD_MAX).await?;
        heard.retain(|supi, _| untold.iter().any(|untold| untold.supi == *supi));
        let (count, mut told) = (untold.len(), 0);
        for untold in &untold {
            if tell_of(udr, consumer, untold, heard).await? {
                udr.repository.told(untold).await?;
                told += 1;
            }
        }
        // A full page of which some are done makes room for others.
        if count < UNTOLD_MAX || told == 0 {
            return Ok(told < count);
        }
    }
}

/// Tells of one change; says whether all have heard of it.
async fn tell_of(
    udr: &Udr,
    consumer: &Consumer,
    untold: &Untold,
    heard: &mut Heard,
) -> Result<bool, StoreError> {
    let now = udr.env.clock.now();
    let after = udr.repository.subscriber(&untold.supi).await?;
    let changed = changes::between(&untold.before, after.as_ref());
    let supi = &untold.supi;
    let (version, told) = heard.entry(supi.clone()).or_default();
    if *version != untold.version {
        (*version, *told) = (untold.version, BTreeSet::new());
    }
    // While a UE is served and nobody hears of its data, its UDM is one that has yet to subscribe, or to come
    // again.
    let mut missed =
        changed.iter().any(Changed::is_subscription_data) && udr.repository.is_served(supi).await?;
    let mut all = true;
    for (id, subscription) in current::<SubscriptionDataSubscriptions>(udr, now).await? {
        if subscription.ue_id.as_ref().is_some_and(|own| own != supi) {
            continue;
        }
        let Some(notification) = changes::notification(&subscription, supi, &changed) else { continue };
        missed = false;
        if told.contains(&id) {
            continue;
        }
        let Some(callback) = Location::parse(&subscription.callback_reference) else { continue };
        let operation = SubscriptionDataChange { path: callback.path, notification };
        all &= send(udr, consumer, callback.api_root, &operation, supi).await && told.insert(id);
    }
    for (id, subscription) in current::<PolicyDataSubscription>(udr, now).await? {
        if told.contains(&id) {
            continue;
        }
        let Some(notification) = changes::policy_notification(&subscription, supi, &changed) else {
            continue;
        };
        let Some(callback) = Location::parse(&subscription.notification_uri) else { continue };
        let operation = PolicyDataChange { path: callback.path, notifications: vec![notification] };
        all &= send(udr, consumer, callback.api_root, &operation, supi).await && told.insert(id);
    }
    if missed {
        udr.env.counters.add("udr.changes_without_hearer", 1);
    }
    let all = all && !missed;
    if !changed.is_empty() {
        tracing::debug!(%supi, documents = changed.iter().map(Changed::name).collect::<Vec<_>>().join(" "), all, "changes told");
    }
    Ok(all)
}

/// Whether the subscriber has taken it, or wants none of it.
async fn send<O: Operation<Failure = ProblemDetails>>(
    udr: &Udr,
    consumer: &Consumer,
    api_root: String,
    operation: &O,
    supi: &Supi,
) -> bool {
    let call = Call { timeout: Some(TIMEOUT), ..Call::default() };
    match consumer.call(&Target::ApiRoot(api_root), &call, operation).await {
        Ok(_) => {
            udr.env.counters.add("udr.changes_told", 1);
            true
        }
        Err(error) if error.status().is_some_and(|status| (400..500).contains(&status) && status != 429) => {
            tracing::warn!(%supi, operation = O::NAME, %error, "a subscriber refuses to hear of a change");
            true
        }
        Err(error) => {
            udr.env.counters.add("udr.changes_not_told", 1);
            tracing::warn!(%supi, operation = O::NAME, %error, "a subscriber is not told of a change yet");
            false
        }
    }
}
