//! Unified Data Repository: Nudr_DataRepository (TS 29.504) over a store that outlives it.
//!
//! The operator keeps one record a subscriber ([`Subscriber`]); the documents of TS 29.505 and
//! TS 29.519 are made from it when they are read. What network functions write (registrations,
//! subscriptions, the authentication sequence number) stands beside it under keys of its own.

mod administration;
mod authentication;
mod changes;
mod config;
mod context;
mod documents;
mod notification;
mod provisioned;
mod repository;
mod subscriber;

use std::sync::Arc;

use anyhow::Context as _;
use tern_nf::{Env, Nf, ProfileSeed, Shutdown};
use tern_sbi::common::{NfType, ServiceName};
use tern_sbi_transport::Routes;
use tokio::sync::Notify;

pub use administration::{
    ImportOutcome, SUBSCRIBER_PATH, SUBSCRIBERS_PATH, SubscriberList, SubscriberSummary, masked,
};
pub use config::Config;
pub use repository::{ChangeError, Repository};
pub use subscriber::{
    Algorithm, Authentication, Barring, DNNS_MAX, Method, RecordError, SLICES_MAX, Secret, Slice,
    SubscribedDnn, Subscriber,
};

/// Requests answered at the same time; more are refused with 503.
const REQUESTS_MAX: usize = 4096;

/// Serves until `shutdown`.
///
/// # Errors
/// The SBI address cannot be served at.
pub async fn run(config: Config, env: Env, shutdown: Shutdown) -> anyhow::Result<()> {
    let prepared = Nf::prepare(&env, &config.sbi, NfType::Udr).await?;
    let api_root = prepared.api_root();
    let repository = Arc::new(Repository::new(Arc::clone(&env.store), api_root.clone()));
    let count = repository.count().await.context("the store cannot be read")?;
    tracing::info!(subscribers = count, "store opened");
    env.status.set({
        let counters = env.counters.clone();
        move || serde_json::json!({ "authentications": counters.get("udr.sqn_advanced") })
    });
    let changed = Arc::new(Notify::new());
    let udr = Udr { repository, env: env.clone(), changed: changed.clone() };
    let profile = ProfileSeed::new(NfType::Udr, vec![ServiceName::NudrDr]);
    let consumer = prepared.consumer();
    let nf = prepared.start(profile, udr.routes(&config)).await?;
    env.ready(&api_root);
    tokio::select! {
        biased;
        () = shutdown.requested() => {}
        () = notification::tell(udr, consumer, changed) => {}
    }
    nf.stop().await;
    Ok(())
}

/// What the handlers have in common.
#[derive(Clone)]
struct Udr {
    repository: Arc<Repository>,
    env: Env,
    /// Records have changed.
    changed: Arc<Notify>,
}

impl Udr {
    fn routes(&self, config: &Config) -> Routes {
        let mut routes = Routes::new().in_progress_max(REQUESTS_MAX);
        routes = authentication::routes(self, routes);
        routes = provisioned::routes(self, routes);
        routes = context::routes(self, routes);
        routes = notification::routes(self, routes);
        if config.administration {
            routes = administration::routes(self, routes);
        }
        routes
    }
}
