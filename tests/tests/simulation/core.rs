//! The network functions, each with its own `run`, as tasks.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tern_nf::{Env, Shutdown, SimNetwork, Trigger};
use tern_store::Store;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Setup;

/// A network function, in the order in which they are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nf {
    Nrf,
    Udr,
    Udm,
    Ausf,
    Pcf,
    Nssf,
    Upf,
    Smf,
    Amf,
    /// The N2 termination, where it is a process of its own.
    N2,
}

impl Nf {
    /// What the specifications call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nrf => "NRF",
            Self::Udr => "UDR",
            Self::Udm => "UDM",
            Self::Ausf => "AUSF",
            Self::Pcf => "PCF",
            Self::Nssf => "NSSF",
            Self::Upf => "UPF",
            Self::Smf => "SMF",
            Self::Amf => "AMF",
            Self::N2 => "N2",
        }
    }

    /// All of them that serve others.
    pub const ALL: [Self; 9] =
        [Self::Nrf, Self::Udr, Self::Udm, Self::Ausf, Self::Pcf, Self::Nssf, Self::Upf, Self::Smf, Self::Amf];
}

impl fmt::Display for Nf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A network function that runs.
pub struct Running {
    pub env: Env,
    /// How often it was started before.
    pub incarnation: u64,
    nf: Nf,
    trigger: Option<Trigger>,
    task: Option<JoinHandle<anyhow::Result<()>>>,
}

/// Starts a network function, with the store it had before if it had one.
pub fn start(
    nf: Nf,
    setup: &Setup,
    network: &SimNetwork,
    incarnation: u64,
    store: Option<Arc<dyn Store>>,
) -> Running {
    let seed = setup.seed.wrapping_mul(1_000_003) + nf as u64 * 100 + incarnation;
    let mut env = Env::simulated(seed, network);
    env.sbi = Arc::new(network.sbi.of(nf.name()));
    env.keeps = setup.keeps;
    if let Some(store) = store {
        env.store = store;
    }
    let n2 = if setup.amf.n2.bridge.is_some() { Nf::N2 } else { Nf::Amf };
    if nf == n2 {
        env.sctp = network.sctp.endpoint(vec![super::AMF_ADDRESS]);
    }
    let (trigger, shutdown) = Shutdown::new();
    let task = spawn(nf, setup, &env, shutdown);
    Running { env, incarnation, nf, trigger: Some(trigger), task: Some(task) }
}

fn spawn(nf: Nf, setup: &Setup, env: &Env, shutdown: Shutdown) -> JoinHandle<anyhow::Result<()>> {
    fn go(run: impl Future<Output = anyhow::Result<()>> + Send + 'static) -> JoinHandle<anyhow::Result<()>> {
        tokio::spawn(run)
    }
    let env = env.clone();
    match nf {
        Nf::Nrf => go(tern_nrf::run(setup.nrf.clone(), env, shutdown)),
        Nf::Udr => go(tern_udr::run(setup.udr.clone(), env, shutdown)),
        Nf::Udm => go(tern_udm::run(setup.udm.clone(), env, shutdown)),
        Nf::Ausf => go(tern_ausf::run(setup.ausf.clone(), env, shutdown)),
        Nf::Pcf => go(tern_pcf::run(setup.pcf.clone(), env, shutdown)),
        Nf::Nssf => go(tern_nssf::run(setup.nssf.clone(), env, shutdown)),
        Nf::Smf => go(tern_smf::run(setup.smf.clone(), env, shutdown)),
        Nf::Upf => go(tern_upf::run(setup.upf.clone(), env, shutdown)),
        Nf::Amf => go(tern_amf::run(setup.amf.clone(), env, shutdown)),
        Nf::N2 => go(tern_amf::n2::run(setup.amf.n2.clone(), env, shutdown)),
    }
}

impl Running {
    /// Waits until it serves.
    pub async fn ready(&mut self, limit: Duration) {
        if timeout(limit, self.env.readiness.wait()).await.is_err() {
            let ended = self.task.take().filter(JoinHandle::is_finished);
            let why = match ended {
                Some(task) => format!("{:?}", task.await),
                None => "it still tries".to_owned(),
            };
            panic!("the {} does not come up: {why}", self.nf);
        }
    }

    /// Ends its task where it stands.
    pub async fn kill(&mut self) {
        let Some(task) = self.task.take() else { return };
        assert!(!task.is_finished(), "the {} has ended by itself: {:?}", self.nf, task.await);
        task.abort();
        let ended = task.await;
        assert!(ended.is_err_and(|error| error.is_cancelled()), "the {} has panicked", self.nf);
        // What it has spawned ends with its trigger, as soon as it is its turn.
        self.trigger = None;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Asks it to stop.
    pub fn ask_to_stop(&mut self) {
        if let Some(trigger) = &self.trigger {
            trigger.shut_down();
        }
    }

    /// Sees that it stops, as it was asked to.
    pub async fn stopped(&mut self, limit: Duration) {
        let Some(task) = self.task.take() else { return };
        let ended = timeout(limit, task).await;
        assert!(matches!(ended, Ok(Ok(Ok(())))), "the {} does not stop cleanly: {ended:?}", self.nf);
        self.trigger = None;
    }

    /// Asks it to stop, and sees that it does.
    pub async fn stop(&mut self, limit: Duration) {
        let Some(task) = self.task.take() else { return };
        assert!(!task.is_finished(), "the {} has ended by itself: {:?}", self.nf, task.await);
        self.ask_to_stop();
        self.task = Some(task);
        self.stopped(limit).await;
    }
}
