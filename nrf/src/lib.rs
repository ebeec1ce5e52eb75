//! The network repository function: TS 29.510.
//!
//! [`registry`] and [`subscriptions`] are the state, [`discovery`] and [`tern_nf::patch`] what is done
//! with it, all without I/O; `net.rs` answers the operations, keeps the state in the store so
//! that a restart forgets nobody, and notifies.

pub mod discovery;
pub mod registry;
pub mod subscriptions;

mod config;
mod net;
mod notify;

pub use config::Config;

use tern_nf::{Env, Nf, ProfileSeed, Shutdown};
use tern_sbi::common::{NfType, ServiceName};
use tern_types::Duration;

/// How often silent instances are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// Serves until asked to stop.
pub async fn run(config: Config, env: Env, shutdown: Shutdown) -> anyhow::Result<()> {
    // The NRF has no NRF.
    let sbi = tern_nf::SbiConfig { nrf: None, ..config.sbi.clone() };
    let prepared = Nf::prepare(&env, &sbi, NfType::Nrf).await?;
    let notifier = notify::Notifier::start(&prepared.consumer(), &env.counters);
    let nrf = net::Nrf::restore(&env, &config, prepared.api_root(), notifier).await?;
    let shown = nrf.clone();
    env.status.set(move || shown.status());
    let profile = ProfileSeed::new(NfType::Nrf, vec![ServiceName::NnrfNfm, ServiceName::NnrfDisc]);
    let nf = prepared.start(profile, nrf.routes()).await?;
    env.ready(&nf.api_root());
    loop {
        tokio::select! {
            biased;
            () = shutdown.requested() => break,
            () = env.clock.sleep(SWEEP) => nrf.sweep().await,
        }
    }
    nf.stop().await;
    Ok(())
}
