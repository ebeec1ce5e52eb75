//! The edge: operations, the store, the sweep.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tern_nf::{Env, Routes};
use tern_sbi::common::{Links, LinksValue, NfInstanceId};
use tern_sbi::nnrf_disc::{SearchNfInstances, SearchResult};
use tern_sbi::nnrf_nfm::{
    CreateSubscription, DeregisterNfInstance, GetNfInstance, ListNfInstances, NfProfile, RegisterNfInstance,
    RemoveSubscription, SubscriptionData, UpdateNfInstance, UpdateSubscription, UriList,
};
use tern_sbi::{OperationError, ProblemDetails, Response};
use tern_types::Duration;

use crate::Config;
use crate::discovery;
use crate::notify::Notifier;
use crate::registry::{Change, Limits, Registry};
use crate::subscriptions::Subscriptions;

const INSTANCE_KEY: &str = "nrf/instance/";
const SUBSCRIPTION_KEY: &str = "nrf/subscription/";

/// Entries read from the store at a time.
const RESTORE_CHUNK: usize = 256;

/// Items in one list.
const LIST_MAX: usize = 1024;

type Outcome<T> = Result<Response<T>, OperationError>;

/// What all handlers share.
pub(crate) struct Nrf {
    env: Env,
    api_root: String,
    discovery_validity: Duration,
    /// Held while a change is made and stored, so that the store sees changes in their order.
    changing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    notifier: Arc<Notifier>,
}

struct State {
    registry: Registry,
    subscriptions: Subscriptions,
}

impl Nrf {
    /// With what the store kept from before.
    pub(crate) async fn restore(
        env: &Env,
        config: &Config,
        api_root: String,
        notifier: Arc<Notifier>,
    ) -> anyhow::Result<Arc<Self>> {
        let mut registry = Registry::new(Limits {
            instances_max: config.nf_instances_max,
            heartbeat_seconds: config.heartbeat_seconds.max(1),
            suspend_after: config.suspend_after(),
            remove_after: config.remove_after(),
        });
        let validity = Duration::from_secs(config.subscription_validity_seconds.max(1).into());
        let mut subscriptions = Subscriptions::new(config.subscriptions_max, validity);
        let now = env.clock.now();
        read_all::<NfProfile>(env, INSTANCE_KEY, |profile| registry.restore(now, profile)).await?;
        read_all::<SubscriptionData>(env, SUBSCRIPTION_KEY, |data| subscriptions.restore(data)).await?;
        let known = registry.count(None);
        if known > 0 {
            tracing::info!(instances = known, subscriptions = subscriptions.count(), "restored");
        }
        Ok(Arc::new(Self {
            env: env.clone(),
            api_root,
            discovery_validity: Duration::from_secs(config.discovery_validity_seconds.into()),
            changing: tokio::sync::Mutex::default(),
            state: Mutex::new(State { registry, subscriptions }),
            notifier,
        }))
    }

    pub(crate) fn routes(self: &Arc<Self>) -> Routes {
        macro_rules! on {
            ($routes:expr, $($method:ident($op:ty)),+ $(,)?) => {{
                let routes = $routes;
                $(
                    let nrf = self.clone();
                    let routes = routes.on(move |_, op: $op| {
                        let nrf = nrf.clone();
                        async move { nrf.$method(op).await }
                    });
                )+
                routes
            }};
        }
        on!(
            Routes::new(),
            register(RegisterNfInstance),
            update(UpdateNfInstance),
            deregister(DeregisterNfInstance),
            get(GetNfInstance),
            list(ListNfInstances),
            subscribe(CreateSubscription),
            prolong(UpdateSubscription),
            unsubscribe(RemoveSubscription),
            search(SearchNfInstances),
        )
    }

    /// What `tern status` shows.
    pub(crate) fn status(&self) -> serde_json::Value {
        let state = self.state();
        let instances: Vec<_> = state
            .registry
            .profiles()
            .map(|p| {
                serde_json::json!({
                    "nfType": p.nf_type, "nfInstanceId": p.nf_instance_id, "nfStatus": p.nf_status,
                    "address": p.ipv4_addresses.first(),
                    "services": p.services().map(|s| s.service_name.as_str()).collect::<Vec<_>>(),
                })
            })
            .collect();
        serde_json::json!({ "nfInstances": instances, "subscriptions": state.subscriptions.count() })
    }

    /// Suspends and removes what is silent or no longer valid.
    pub(crate) async fn sweep(&self) {
        let _order = self.changing.lock().await;
        let now = self.env.clock.now();
        let (changes, ended) = {
            let mut state = self.state();
            (state.registry.sweep(now), state.subscriptions.sweep(now))
        };
        for id in ended {
            self.forget(&format!("{SUBSCRIPTION_KEY}{id}")).await;
        }
        for change in changes {
            let profile = change.profile();
            let (nf_type, id) = (&profile.nf_type, profile.nf_instance_id);
            match &change {
                Change::Deregistered(_) => {
                    tracing::warn!(%nf_type, %id, "removed: no heartbeat");
                    self.forget(&instance_key(id)).await;
                }
                _ => {
                    tracing::warn!(%nf_type, %id, "suspended: heartbeats missed");
                    self.env.counters.add("nrf.instance.suspended", 1);
                    if let Err(problem) = self.keep(&instance_key(id), profile).await {
                        tracing::warn!(%problem, "suspension not stored");
                    }
                }
            }
            self.tell(&change);
        }
    }

    async fn register(&self, op: RegisterNfInstance) -> Outcome<NfProfile> {
        let _order = self.changing.lock().await;
        let id = op.nf_instance_id;
        let change = self.state().registry.register(self.env.clock.now(), id, op.profile).map_err(refused)?;
        let profile = change.profile().clone();
        self.keep(&instance_key(id), &profile).await.map_err(refused)?;
        self.tell(&change);
        tracing::info!(nf_type = %profile.nf_type, %id, "registered");
        Ok(match change {
            Change::Registered(_) => {
                Response::created(format!("{}/nnrf-nfm/v1/nf-instances/{id}", self.api_root), profile)
            }
            _ => Response::ok(profile),
        })
    }

    async fn update(&self, op: UpdateNfInstance) -> Outcome<Option<NfProfile>> {
        let _order = self.changing.lock().await;
        let id = op.nf_instance_id;
        let updated = self.state().registry.update(self.env.clock.now(), id, &op.patch).map_err(refused)?;
        if let Some(change) = &updated.change {
            self.keep(&instance_key(id), change.profile()).await.map_err(refused)?;
            self.tell(change);
        }
        Ok(match updated.profile {
            Some(profile) => Response::ok(Some(profile)),
            None => Response { status: 204, ..Response::ok(None) },
        })
    }

    async fn deregister(&self, op: DeregisterNfInstance) -> Outcome<()> {
        let _order = self.changing.lock().await;
        let id = op.nf_instance_id;
        let change = self.state().registry.deregister(id).map_err(refused)?;
        self.forget(&instance_key(id)).await;
        self.tell(&change);
        tracing::info!(nf_type = %change.profile().nf_type, %id, "deregistered");
        Ok(Response::no_content())
    }

    async fn get(&self, op: GetNfInstance) -> Outcome<NfProfile> {
        let state = self.state();
        Ok(Response::ok(state.registry.get(op.nf_instance_id).map_err(refused)?.clone()))
    }

    async fn list(&self, op: ListNfInstances) -> Outcome<UriList> {
        let base = format!("{}/nnrf-nfm/v1/nf-instances", self.api_root);
        let state = self.state();
        let of_type = |profile: &&NfProfile| op.nf_type.as_ref().is_none_or(|t| profile.nf_type == *t);
        let bound = |asked: Option<u32>| {
            asked.map_or(LIST_MAX, |n| usize::try_from(n).unwrap_or(LIST_MAX)).min(LIST_MAX)
        };
        let size = bound(op.page_size).min(bound(op.limit));
        let page = op.page_number.map_or(0, |n| usize::try_from(n).unwrap_or(usize::MAX).saturating_sub(1));
        let profiles = state.registry.profiles().filter(of_type);
        let shown = profiles.skip(page.saturating_mul(size)).take(size);
        let links: Vec<_> = shown
            .map(|p| tern_sbi::common::Link { href: Some(format!("{base}/{}", p.nf_instance_id)) })
            .collect();
        let links = Links::from([
            ("self".to_owned(), LinksValue::to(base)),
            ("item".to_owned(), LinksValue::Many(links)),
        ]);
        let total = u32::try_from(state.registry.count(op.nf_type.as_ref())).ok();
        Ok(Response::ok(UriList { links: Some(links), total_item_count: total }))
    }

    async fn subscribe(&self, op: CreateSubscription) -> Outcome<SubscriptionData> {
        let _order = self.changing.lock().await;
        let id = self.env.entropy.uuid().simple().to_string();
        let now = self.env.clock.now();
        let data = self.state().subscriptions.create(now, id, op.subscription).map_err(refused)?;
        let id = data.subscription_id.clone().unwrap_or_default();
        self.keep(&format!("{SUBSCRIPTION_KEY}{id}"), &data).await.map_err(refused)?;
        Ok(Response::created(format!("{}/nnrf-nfm/v1/subscriptions/{id}", self.api_root), data))
    }

    async fn prolong(&self, op: UpdateSubscription) -> Outcome<Option<SubscriptionData>> {
        let _order = self.changing.lock().await;
        let (now, id) = (self.env.clock.now(), &op.subscription_id);
        let data = self.state().subscriptions.update(now, id, &op.patch).map_err(refused)?;
        self.keep(&format!("{SUBSCRIPTION_KEY}{id}"), &data).await.map_err(refused)?;
        Ok(Response::ok(Some(data)))
    }

    async fn unsubscribe(&self, op: RemoveSubscription) -> Outcome<()> {
        let _order = self.changing.lock().await;
        self.state().subscriptions.remove(&op.subscription_id).map_err(refused)?;
        self.forget(&format!("{SUBSCRIPTION_KEY}{}", op.subscription_id)).await;
        Ok(Response::no_content())
    }

    async fn search(&self, op: SearchNfInstances) -> Outcome<SearchResult> {
        let found = discovery::search(self.state().registry.profiles(), &op);
        self.env.counters.add("nrf.discovery.request", 1);
        if found.is_empty() {
            self.env.counters.add("nrf.discovery.nothing_found", 1);
            let (of, by, services) = (&op.target_nf_type, &op.requester_nf_type, &op.service_names);
            tracing::debug!(target_nf_type = %of, requester = %by, ?services, dnn = ?op.dnn, "nothing found");
        }
        let seconds = u32::try_from(self.discovery_validity.as_secs()).unwrap_or(u32::MAX);
        let result = SearchResult { validity_period: Some(seconds), ..SearchResult::new(found) };
        Ok(Response { max_age: Some(self.discovery_validity), ..Response::ok(result) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: &Change) {
        let now = self.env.clock.now();
        let notifications = self.state().subscriptions.notifications(now, &self.api_root, change);
        self.notifier.send(notifications);
    }

    async fn keep<T: Serialize>(&self, key: &str, value: &T) -> Result<(), ProblemDetails> {
        let json = serde_json::to_vec(value).expect("invariant: models are plain JSON");
        match self.env.store.put(key, json.into(), None).await {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::error!(key, %error, "not stored");
                Err(ProblemDetails::new(500, "SYSTEM_FAILURE").with_detail("the store failed"))
            }
        }
    }

    /// What could not be deleted is deleted again after a restart and a silence.
    async fn forget(&self, key: &str) {
        if let Err(error) = self.env.store.delete(key, tern_store::Condition::Any).await {
            tracing::error!(key, %error, "not deleted from the store");
        }
    }
}

fn instance_key(id: NfInstanceId) -> String {
    format!("{INSTANCE_KEY}{id}")
}

fn refused(problem: ProblemDetails) -> OperationError {
    OperationError::Problem(problem)
}

async fn read_all<T: DeserializeOwned>(
    env: &Env,
    prefix: &str,
    mut take: impl FnMut(T),
) -> anyhow::Result<()> {
    let mut after: Option<String> = None;
    loop {
        let entries = env.store.range(prefix, after.as_deref(), RESTORE_CHUNK).await?;
        let Some((last, _)) = entries.last() else { return Ok(()) };
        after = Some(last.clone());
        for (key, entry) in entries {
            match serde_json::from_slice(&entry.value) {
                Ok(value) => take(value),
                Err(error) => tracing::warn!(key, %error, "stored value not understood"),
            }
        }
    }
}
