//! What every network function does the same way: its environment, configuration, registration
//! and discovery at the NRF, serving, counting and stopping.
//!
//! A network function is `async fn run(config, env, shutdown) -> anyhow::Result<()>`. All that
//! it has of the outside is in [`Env`]: the process ([`process_main`]) gives it the real one,
//! the simulation its own ([`SimNetwork`]).
//!
//! ```ignore
//! pub async fn run(config: Config, env: Env, shutdown: Shutdown) -> anyhow::Result<()> {
//!     let prepared = Nf::prepare(&env, &config.sbi, NfType::Ausf).await?;
//!     let routes = routes(prepared.consumer(), prepared.api_root());
//!     let profile = ProfileSeed::new(NfType::Ausf, vec![ServiceName::NausfAuth]);
//!     prepared.run(profile, routes, &shutdown).await
//! }
//! ```

mod clock;
mod config;
mod consumer;
mod counters;
mod env;
mod health;
mod kept;
mod local;
mod nf;
pub mod patch;
mod process;
mod producers;
mod profile;
mod selection;
mod shutdown;
mod subscription;

pub use clock::{Clock, Entropy};
pub use config::{SBI_PORT, SbiConfig, manager_of};
pub use consumer::Consumer;
pub use counters::{Counters, Status};
pub use env::{Env, EnvOptions, NoSctp, ParkHooks, SimNetwork};
pub use health::{HEALTH_VARIABLE, Health, LIVE_PATH, READY_PATH};
pub use kept::{Change, Kept, KeptRequest};
pub use local::{LocalListener, LocalStream, Locals, MemoryLocals};
pub use nf::{COUNTERS_PATH, Nf, Prepared, STATUS_PATH};
pub use process::{
    LOG_NAME_VARIABLE, LOG_VARIABLE, abort_on_panic, harden, log_to_stderr, on_signals, one_line,
    process_main, tell_health,
};
pub use producers::LostProducer;
pub use profile::ProfileSeed;
pub use selection::{Selection, Target};
pub use shutdown::{Ready, Shutdown, Trigger};
pub use subscription::stay_subscribed;
pub use tern_datagrams::{
    Burst, Datagram, DatagramFaults, Datagrams, MemoryDatagrams, Outgoing, Udp, control_message, cut_at,
};

pub use tern_sbi_transport::{
    BoxFuture, Codec, Connections, HttpLimits, Routes, Service, Transport, TransportChoice,
};
