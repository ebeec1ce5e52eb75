//! What every network function does the same way: serve, register, stay registered, stop.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;
use tern_sbi::common::PatchItem;
use tern_sbi::common::{NfInstanceId, NfType};
use tern_sbi::nnrf_nfm::{
    CreateSubscription, DeregisterNfInstance, NfProfile, NotificationEventType, RegisterNfInstance,
    StatusNotify, SubscrCond, SubscriptionData, UpdateNfInstance,
};
use tern_sbi::{Body, Call, Method, OperationError, Reply, Response};
use tern_sbi_transport::{Routes, Serving};
use tern_store::Condition;
use tern_types::{Duration, Instant};
use tokio::task::JoinHandle;

use crate::SbiConfig;
use crate::consumer::Consumer;
use crate::env::Env;
use crate::profile::ProfileSeed;
use crate::selection::Target;
use crate::shutdown::{Shutdown, Trigger};

/// Path of the counters.
pub const COUNTERS_PATH: &str = "/tern/v1/counters";
/// Path of the state.
pub const STATUS_PATH: &str = "/tern/v1/status";

/// First and longest pause between two attempts to register.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// Waiting for the NRF.
const NRF_TIMEOUT: Duration = Duration::from_secs(3);
/// Waiting for the NRF when stopping.
const DEREGISTER_TIMEOUT: Duration = Duration::from_secs(1);
/// An NRF that does not give a heartbeat timer.
const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(10);
/// A subscription without an end is renewed this often.
const SUBSCRIPTION_DEFAULT: Duration = Duration::from_secs(3600);

/// A network function before it serves: who it is, and the consumer its handlers use.
#[derive(Clone)]
pub struct Prepared {
    env: Env,
    config: SbiConfig,
    nf_type: NfType,
    instance_id: NfInstanceId,
    consumer: Consumer,
}

/// A network function that serves. Stop it by [`Nf::stop`]; dropped, it does not deregister.
pub struct Nf {
    prepared: Prepared,
    serving: Box<dyn Serving>,
    /// Ends the upkeep.
    trigger: Trigger,
    upkeep: Option<JoinHandle<()>>,
}

impl Nf {
    /// Serves `routes`, registers at the NRF, trying until it answers, and stays registered.
    pub async fn start(
        env: &Env,
        config: &SbiConfig,
        profile: ProfileSeed,
        routes: Routes,
    ) -> anyhow::Result<Self> {
        Self::prepare(env, config, profile.nf_type.clone()).await?.start(profile, routes).await
    }

    /// The first half of [`Nf::start`], for handlers that need the consumer or the apiRoot.
    pub async fn prepare(env: &Env, config: &SbiConfig, nf_type: NfType) -> anyhow::Result<Prepared> {
        let instance_id = match config.nf_instance_id {
            Some(id) => id,
            None => instance_id(env, config, &nf_type).await?,
        };
        let consumer = Consumer::new(env, config, nf_type.clone());
        Ok(Prepared { env: env.clone(), config: config.clone(), nf_type, instance_id, consumer })
    }

    /// Calls other network functions.
    pub fn consumer(&self) -> Consumer {
        self.prepared.consumer()
    }

    /// Where others call it.
    pub fn api_root(&self) -> String {
        self.prepared.api_root()
    }

    /// Its identity at the NRF.
    pub fn instance_id(&self) -> NfInstanceId {
        self.prepared.instance_id
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.serving.local_addr()
    }

    /// Deregisters, then lets running requests end.
    pub async fn stop(self) {
        self.end(true).await;
    }

    /// Lets running requests end; the NRF keeps the profile until heartbeats are missing. For one that goes on later
    /// with the contexts that it has.
    pub async fn pause(self) {
        self.end(false).await;
    }

    async fn end(self, deregisters: bool) {
        self.trigger.shut_down();
        if let Some(upkeep) = self.upkeep {
            // It ends by itself; a panic of it ended the process.
            let _ = upkeep.await;
        }
        if deregisters && self.prepared.config.nrf.is_some() {
            let op = DeregisterNfInstance { nf_instance_id: self.prepared.instance_id };
            let call = Call { timeout: Some(DEREGISTER_TIMEOUT), ..Call::default() };
            if let Err(error) = self.prepared.at_nrf(&call, &op).await {
                tracing::warn!(%error, "not deregistered");
            }
        }
        self.serving.stop().await;
        tracing::info!(nf = %self.prepared.nf_type, "stopped");
    }
}

impl Prepared {
    /// Calls other network functions.
    pub fn consumer(&self) -> Consumer {
        self.consumer.clone()
    }

    /// Where others will call it: what `Location`s and callback URIs begin with.
    pub fn api_root(&self) -> String {
        self.config.api_root()
    }

    /// Its identity at the NRF.
    pub fn instance_id(&self) -> NfInstanceId {
        self.instance_id
    }

    /// Serves and registers.
    pub async fn start(self, profile: ProfileSeed, routes: Routes) -> anyhow::Result<Nf> {
        let routes = own_routes(&self, routes);
        let at = self.config.at();
        let serving = self.env.sbi.serve(at, Arc::new(routes)).await;
        let serving = serving.with_context(|| format!("cannot serve at {at}"))?;
        tracing::info!(nf = %self.nf_type, at = %serving.local_addr(), "serving");
        let (trigger, shutdown) = Shutdown::new();
        let upkeep = match &self.config.nrf {
            None => None,
            Some(nrf) => {
                let profile = profile.profile(
                    self.instance_id,
                    &self.api_root(),
                    self.env.clock.now(),
                    self.env.sbi.node(),
                );
                let mut upkeep = Upkeep {
                    prepared: self.clone(),
                    profile,
                    followed: BTreeSet::new(),
                    heartbeat: HEARTBEAT_DEFAULT,
                    renew_at: None,
                };
                upkeep.register().await;
                tracing::info!(nf = %self.nf_type, id = %self.instance_id, nrf, "registered");
                Some(tokio::spawn(upkeep.run(shutdown)))
            }
        };
        Ok(Nf { prepared: self, serving, trigger, upkeep })
    }

    /// All the life of a network function that only answers: serves, registers, says that it is
    /// ready, and stops when it is asked to.
    pub async fn run(self, profile: ProfileSeed, routes: Routes, shutdown: &Shutdown) -> anyhow::Result<()> {
        let env = self.env.clone();
        let nf = tokio::select! {
            biased;
            () = shutdown.requested() => return Ok(()),
            nf = self.start(profile, routes) => nf?,
        };
        env.ready(&nf.api_root());
        shutdown.requested().await;
        nf.stop().await;
        Ok(())
    }

    async fn at_nrf<O: tern_sbi::Operation>(
        &self,
        call: &Call,
        op: &O,
    ) -> Result<Response<O::Answer>, OperationError<O::Failure>> {
        let nrf = Target::ApiRoot(self.consumer.nrf()?);
        self.consumer.call(&nrf, call, op).await
    }
}

/// The identity kept in the store, made at the first start.
async fn instance_id(env: &Env, config: &SbiConfig, nf_type: &NfType) -> anyhow::Result<NfInstanceId> {
    let key = format!("nf/instance/{nf_type}/{}", config.at());
    if let Some(entry) = env.store.get(&key).await?
        && let Ok(id) = NfInstanceId::from_slice(&entry.value)
    {
        return Ok(id);
    }
    let id = env.entropy.uuid();
    let value = id.as_bytes().to_vec().into();
    env.store.compare_and_put(&key, Condition::Any, value).await?;
    Ok(id)
}

fn own_routes(prepared: &Prepared, routes: Routes) -> Routes {
    let counters = prepared.env.counters.clone();
    let status = prepared.env.status.clone();
    let (nf_type, id, clock) = (prepared.nf_type.clone(), prepared.instance_id, prepared.env.clock);
    let (api_root, started) = (prepared.api_root(), clock.now());
    let consumer = prepared.consumer.clone();
    let routes = routes
        .raw(Method::Get, COUNTERS_PATH, move |_, _| {
            let counters = counters.snapshot();
            async move { json_reply(&json!(counters)) }
        })
        .raw(Method::Get, STATUS_PATH, move |_, _| {
            let status = json!({
                "nfType": nf_type, "nfInstanceId": id, "apiRoot": api_root,
                "uptimeSeconds": clock.now().since(started).as_secs(), "state": status.get(),
            });
            async move { json_reply(&status) }
        });
    if prepared.config.nrf.is_none() {
        return routes;
    }
    routes.on(move |_, op: StatusNotify| {
        let consumer = consumer.clone();
        async move {
            if let Some(key) = op.key() {
                let nf_type = NfType::from(key.as_str());
                let event = &op.notification.event;
                tracing::debug!(%nf_type, %event, uri = op.notification.nf_instance_uri, "NRF notifies");
                consumer.forget(&nf_type);
                if let Some(profile) = op.notification.nf_profile {
                    consumer.learn(&Arc::new(profile));
                }
                if *event == NotificationEventType::NfDeregistered {
                    consumer.gone(&op.notification.nf_instance_uri);
                    tracing::info!(%nf_type, uri = op.notification.nf_instance_uri, "a producer is gone");
                }
            }
            Ok(Response::no_content())
        }
    })
}

fn json_reply(value: &serde_json::Value) -> Reply {
    Reply { body: Body::Json(value.to_string().into()), ..Reply::empty(200) }
}

/// What is done as long as the network function lives.
struct Upkeep {
    prepared: Prepared,
    profile: NfProfile,
    /// NF types whose changes the NRF tells us.
    followed: BTreeSet<NfType>,
    heartbeat: Duration,
    /// When the first subscription ends.
    renew_at: Option<Instant>,
}

impl Upkeep {
    async fn run(mut self, shutdown: Shutdown) {
        let clock = self.prepared.env.clock;
        let consumer = self.prepared.consumer();
        let mut next_heartbeat = clock.now() + self.heartbeat;
        loop {
            tokio::select! {
                biased;
                () = shutdown.requested() => return,
                () = consumer.another_type() => self.follow().await,
                () = clock.sleep_until(next_heartbeat) => {
                    self.beat().await;
                    next_heartbeat = clock.now() + self.heartbeat;
                    if self.renew_at.is_some_and(|at| at <= clock.now()) {
                        self.followed.clear();
                    }
                    // Also what could not be followed before.
                    self.follow().await;
                }
            }
        }
    }

    /// Registers (TS 29.510 §5.2.2.2), trying until the NRF accepts.
    async fn register(&mut self) {
        let op =
            RegisterNfInstance { nf_instance_id: self.prepared.instance_id, profile: self.profile.clone() };
        let mut pause = RETRY.0;
        loop {
            match self.prepared.at_nrf(&nrf_call(), &op).await {
                Ok(response) => {
                    let seconds = response.body.heart_beat_timer.filter(|s| *s > 0);
                    self.heartbeat = seconds.map_or(HEARTBEAT_DEFAULT, |s| Duration::from_secs(s.into()));
                    return;
                }
                Err(error) => tracing::debug!(%error, "not registered yet"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY.1);
        }
    }

    /// NF Heart-Beat (TS 29.510 §5.2.2.3.2). An NRF that forgot us is told again.
    async fn beat(&mut self) {
        let op = UpdateNfInstance {
            nf_instance_id: self.prepared.instance_id,
            patch: vec![PatchItem::replace("/nfStatus", json!("REGISTERED"))],
        };
        match self.prepared.at_nrf(&nrf_call(), &op).await {
            Ok(_) => {}
            Err(OperationError::Problem(problem)) | Err(OperationError::Refused { body: problem, .. })
                if problem.status == Some(404) =>
            {
                tracing::info!(nf = %self.prepared.nf_type, "the NRF forgot us: registering again");
                self.prepared.env.readiness.suspend();
                self.followed.clear();
                self.register().await;
                self.prepared.env.readiness.resume();
            }
            Err(error) => tracing::warn!(%error, "heartbeat failed"),
        }
    }

    /// Subscribes to the changes of each NF type that was asked for.
    async fn follow(&mut self) {
        for nf_type in self.prepared.consumer.types() {
            if self.followed.contains(&nf_type) {
                continue;
            }
            let path = StatusNotify::callback_path(nf_type.as_str());
            let uri = format!("{}{path}", self.prepared.api_root());
            let subscription = SubscriptionData {
                req_nf_instance_id: Some(self.prepared.instance_id),
                req_nf_type: Some(self.prepared.nf_type.clone()),
                subscr_cond: Some(SubscrCond::NfType { nf_type: nf_type.clone() }),
                ..SubscriptionData::new(uri)
            };
            match self.prepared.at_nrf(&nrf_call(), &CreateSubscription { subscription }).await {
                Ok(response) => {
                    let now = self.prepared.env.clock.now();
                    let end = response.body.validity_time.map_or(now + SUBSCRIPTION_DEFAULT, |time| time.0);
                    // In time: half of the validity is left for a late heartbeat.
                    let renew = now + end.since(now) / 2;
                    self.renew_at =
                        Some(self.renew_at.filter(|at| *at > now).map_or(renew, |at| at.min(renew)));
                    self.followed.insert(nf_type);
                }
                Err(error) => tracing::warn!(%nf_type, %error, "not subscribed to changes"),
            }
        }
    }
}

fn nrf_call() -> Call {
    Call { timeout: Some(NRF_TIMEOUT), ..Call::default() }
}
