//! All that a network function has of the world outside it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tern_datagrams::{Datagrams, MemoryDatagrams, Udp};
use tern_sbi_transport::{Hybrid, HybridOptions, MemoryTransport, Stack, Transport};
use tern_sctp::mem::MemNetwork;
use tern_sctp::{
    Association, ConnectOptions, ListenOptions, SctpBackend, SctpCounters, SctpError, SctpListener, SctpMode,
};
use tern_store::{Memory, Redb, RedbOptions, Store};

use crate::clock::{Clock, Entropy};
use crate::counters::{Counters, Status};
use crate::local::{Locals, MemoryLocals};
use crate::shutdown::Ready;

/// All that a network function has of the world outside it: the process gives it the real
/// one, the simulation its own.
#[derive(Clone)]
pub struct Env {
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// Service requests, both ways.
    pub sbi: Arc<dyn Transport>,
    /// SCTP; [`NoSctp`] in those that have no use for it.
    pub sctp: Arc<dyn SctpBackend>,
    /// UDP, or what stands for it: PFCP.
    pub datagrams: Arc<dyn Datagrams>,
    /// Local streams to other processes of this machine: AMF and N2 termination.
    pub locals: Locals,
    /// What outlives the process, if `keeps`.
    pub store: Arc<dyn Store>,
    /// Whether `store` outlives the process.
    pub keeps: bool,
    /// What is counted.
    pub counters: Counters,
    /// What is told of the state.
    pub status: Status,
    /// Whether it serves.
    pub readiness: Ready,
}

/// What [`Env::real`] is made of.
#[derive(Debug, Clone)]
pub struct EnvOptions {
    /// How service requests travel.
    pub sbi: HybridOptions,
    /// The runtime's park hooks, if it has some.
    pub park_hooks: Option<ParkHooks>,
    /// A store on disk; one in memory if none.
    pub store: Option<RedbOptions>,
    /// The SCTP backend; none if not needed.
    pub sctp: Option<SctpMode>,
    /// Where liveness and readiness are told ([`Health`](crate::Health)); nowhere if none.
    pub health: Option<SocketAddr>,
}

impl EnvOptions {
    /// From an NF's `sbi` configuration, without a store on disk.
    pub fn new(user_agent: &str, sbi: &crate::SbiConfig) -> Self {
        Self { sbi: sbi.hybrid(user_agent), park_hooks: None, store: None, sctp: None, health: None }
    }

    /// With SCTP.
    #[must_use]
    pub fn with_sctp(mut self, mode: SctpMode) -> Self {
        self.sctp = Some(mode);
        self
    }

    /// With liveness and readiness told at `at`, if anywhere.
    #[must_use]
    pub fn with_health(mut self, at: Option<SocketAddr>) -> Self {
        self.health = at;
        self
    }

    /// With a store on disk.
    #[must_use]
    pub fn with_store(mut self, store: RedbOptions) -> Self {
        self.store = Some(store);
        self
    }
}

/// What a runtime does before and after its only thread parks: it drives the stack of shared memory,
/// so that peers wake the process only when it sleeps. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct ParkHooks(Arc<OnceLock<Driven>>);

struct Driven(Stack);

impl std::fmt::Debug for Driven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Driven")
    }
}

impl ParkHooks {
    fn drive(&self, stack: &Stack) {
        stack.hook_runtime();
        let _ = self.0.set(Driven(stack.clone()));
    }

    /// Before the thread parks.
    pub fn before_park(&self) {
        if let Some(Driven(stack)) = self.0.get() {
            stack.before_park();
        }
    }

    /// After it has parked.
    pub fn after_unpark(&self) {
        if let Some(Driven(stack)) = self.0.get() {
            stack.after_unpark();
        }
    }
}

/// What the network functions of one simulation have in common.
#[derive(Clone)]
pub struct SimNetwork {
    /// Time, the same for all.
    pub clock: Clock,
    /// Service requests, with hooks for faults.
    pub sbi: MemoryTransport,
    /// SCTP associations, with faults.
    pub sctp: MemNetwork,
    /// Datagrams, with faults.
    pub datagrams: MemoryDatagrams,
    /// Local streams.
    pub locals: MemoryLocals,
}

impl SimNetwork {
    /// Without faults. Use it inside a tokio runtime, its clock paused.
    pub fn new(seed: u64) -> Self {
        Self {
            clock: Clock::simulated(),
            sbi: MemoryTransport::new(),
            sctp: MemNetwork::new(seed),
            datagrams: MemoryDatagrams::new(),
            locals: MemoryLocals::default(),
        }
    }
}

/// No SCTP: for network functions without N2.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSctp;

impl NoSctp {
    fn unavailable() -> SctpError {
        SctpError::Unavailable { backend: "none", why: "this network function was started without it".into() }
    }
}

impl SctpBackend for NoSctp {
    fn name(&self) -> &'static str {
        "none"
    }

    fn listen(&self, _: ListenOptions) -> Result<Box<dyn SctpListener>, SctpError> {
        Err(Self::unavailable())
    }

    fn connect(&self, _: ConnectOptions) -> tern_sctp::BoxFuture<'static, Result<Association, SctpError>> {
        Box::pin(std::future::ready(Err(Self::unavailable())))
    }

    fn counters(&self) -> Arc<SctpCounters> {
        Arc::default()
    }
}

impl Env {
    /// The real world. Use it inside a tokio runtime.
    pub fn real(options: EnvOptions) -> io::Result<Self> {
        let sctp: Arc<dyn SctpBackend> = match options.sctp {
            Some(mode) => tern_sctp::choose(mode).map_err(io::Error::other)?.backend,
            None => Arc::new(NoSctp),
        };
        let hooks = options.park_hooks;
        let sbi = Hybrid::new(options.sbi, move |stack| {
            if let Some(hooks) = &hooks {
                hooks.drive(stack);
            }
        })?;
        let store: Arc<dyn Store> = match &options.store {
            Some(redb) => Arc::new(Redb::open(redb).map_err(io::Error::other)?),
            None => Arc::new(Memory::new()),
        };
        Ok(Self {
            clock: Clock::real(),
            entropy: Entropy::real()?,
            sbi: Arc::new(sbi),
            sctp,
            datagrams: Arc::new(Udp),
            locals: Locals::Kernel,
            store,
            keeps: options.store.is_some(),
            counters: Counters::new(),
            status: Status::default(),
            readiness: Ready::default(),
        })
    }

    /// One network function's part of a simulation, with a store of its own in memory. Give
    /// each another seed. One with N2 replaces `sctp` by an endpoint of `network.sctp`.
    pub fn simulated(seed: u64, network: &SimNetwork) -> Self {
        Self {
            clock: network.clock,
            entropy: Entropy::simulated(seed),
            sbi: Arc::new(network.sbi.clone()),
            sctp: Arc::new(NoSctp),
            datagrams: Arc::new(network.datagrams.clone()),
            locals: Locals::Memory(network.locals.clone()),
            store: Arc::new(Memory::new()),
            keeps: false,
            counters: Counters::new(),
            status: Status::default(),
            readiness: Ready::default(),
        }
    }

    /// Tells that the network function is registered and serves at `api_root`.
    pub fn ready(&self, api_root: &str) {
        self.readiness.set(api_root);
    }
}
