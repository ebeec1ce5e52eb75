//! Authentication server function: 5G AKA and EAP-AKA' for the serving networks (TS 29.509, TS 33.501 §6.1).
//!
//! A challenge and its result live as a context in the store, within a limit and for a short
//! time, so that a confirmation also finds the process that came after.

mod config;
mod context;
mod contexts;
mod eap_aka_prime;
mod eap_session;
mod ue_authentication;

pub use config::Config;
pub use context::AuthContext;

use std::sync::Arc;

use tern_nf::{Env, Nf, ProfileSeed, Routes, Shutdown};
use tern_sbi::Call;
use tern_sbi::common::{NfType, ServiceName};
use tern_sbi::nausf_auth::{Authenticate, Confirm5gAka, DeleteAuth, DeleteEapAuth, EapAuthMethod};
use tern_types::Duration;

use contexts::Contexts;
use ue_authentication::{UeAuthentication, events};

/// Pause between two removals of expired contexts.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// Serves until asked to stop.
///
/// # Errors
/// If the store or the address cannot be used.
pub async fn run(config: Config, env: Env, shutdown: Shutdown) -> anyhow::Result<()> {
    let prepared = Nf::prepare(&env, &config.sbi, NfType::Ausf).await?;
    let lifetime = Duration::from_secs(config.authentication_lifetime_s.into());
    let now = env.clock.now();
    let contexts = Contexts::open(env.store.clone(), lifetime, config.authentications_max, now).await?;
    let service = Arc::new(UeAuthentication {
        env: env.clone(),
        consumer: prepared.consumer(),
        api_root: prepared.api_root(),
        nf_instance_id: prepared.instance_id(),
        serving_networks: config.serving_networks,
        contexts,
        events: events(),
    });
    let state = service.clone();
    env.status
        .set(move || serde_json::json!({ "authentications": state.contexts.live(state.env.clock.now()) }));
    let profile = ProfileSeed::new(NfType::Ausf, vec![ServiceName::NausfAuth]);
    let starting = prepared.start(profile, routes(&service));
    let nf = tokio::select! {
        biased;
        () = shutdown.requested() => return Ok(()),
        nf = starting => nf?,
    };
    env.ready(&nf.api_root());
    loop {
        tokio::select! {
            biased;
            () = shutdown.requested() => break,
            () = env.clock.sleep(SWEEP_INTERVAL) => {
                if let Err(error) = service.contexts.sweep(env.clock.now()).await {
                    tracing::warn!(%error, "expired authentications are not removed");
                }
            }
        }
    }
    nf.stop().await;
    Ok(())
}

fn routes(service: &Arc<UeAuthentication>) -> Routes {
    let (authenticate, confirm, eap) = (service.clone(), service.clone(), service.clone());
    let (delete, delete_eap) = (service.clone(), service.clone());
    Routes::new()
        .on(move |call: Call, operation: Authenticate| {
            let service = authenticate.clone();
            async move { service.authenticate(call, operation).await }
        })
        .on(move |_: Call, operation: Confirm5gAka| confirm.clone().confirm(operation))
        .on(move |call: Call, operation: DeleteAuth| {
            let service = delete.clone();
            async move { service.delete(call, operation.auth_ctx_id).await }
        })
        .on(move |call: Call, operation: EapAuthMethod| eap.clone().eap_session(call, operation))
        .on(move |call: Call, operation: DeleteEapAuth| {
            let service = delete_eap.clone();
            async move { service.delete(call, operation.auth_ctx_id).await }
        })
}
