//! The edge: N4's socket, the worker threads, the NRF.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use tern_nf::{Burst, Datagram, Env, Nf, Outgoing, ProfileSeed, Routes, Shutdown};
use tern_sbi::common::NfType;
use tern_sbi::nnrf_nfm::{DnnUpfInfoItem, SnssaiUpfInfoItem, UpfInfo};
use tern_types::{Duration, Instant};
use tokio::sync::mpsc;

use crate::config::{Config, DataPathKind};
use crate::path::{DataPath, DropReason, EVENTS_MAX, Event, NoDataPath, PathCounters, ReferencePoint};
use crate::pfcp::{Core, Figures, Output};
use crate::workers::{Workers, written};

/// Events of the data path that are taken in one turn, so that they and N4 go on beside each other.
const EVENTS_PER_TURN: usize = 256;

/// How often the data path's counters become the NF's.
const COUNTERS_INTERVAL: Duration = Duration::from_secs(1);
/// Bursts of all workers in [`COUNTERS_INTERVAL`] from which on their lengths say how busy they are.
const BURSTS_TELLING: u64 = 1_000;
/// Between two log lines about packets dropped on N3.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(10);

/// Runs the UPF until `shutdown`: makes the data path, serves N4, registers at the NRF.
pub async fn run(config: Config, env: Env, shutdown: Shutdown) -> anyhow::Result<()> {
    config.validate()?;
    let started = env.clock.now();
    let core = Core::new(&config, started, env.entropy.random());
    let counters = Arc::new(PathCounters::default());
    let (events_sender, events) = mpsc::channel(EVENTS_MAX);
    let mut workers = match config.data_path {
        DataPathKind::None => None,
        _ => Some(Workers::start(&config, &events_sender, &counters)?),
    };
    let path: Box<dyn DataPath> = match &workers {
        Some(workers) => Box::new(workers.path()),
        None => Box::new(NoDataPath),
    };
    let socket = env
        .datagrams
        .bind(config.n4_at())
        .await
        .with_context(|| format!("cannot bind N4 to {}", config.n4_at()))?;
    tracing::info!(n4 = %config.n4_at(), n3 = %config.n3.address, n6 = ?config.n6.iter().map(|n| (&n.tun, n.address)).collect::<Vec<_>>(), "UPF serves");
    let gauges = Arc::new(Gauges::default());
    set_status(&env, &config, &gauges, &counters);
    let outgoing = Vec::new();
    let edge = Edge { core, socket, outgoing, path, events, env: env.clone(), counters, gauges };
    let serving = edge.serve(shutdown.clone());
    let registered = register(&config, &env, &shutdown);
    let (served, registered) = tokio::join!(serving, registered);
    if let Some(workers) = &mut workers {
        workers.stop();
    }
    served.and(registered)
}

/// Registers at the NRF and stays registered until the end.
async fn register(config: &Config, env: &Env, shutdown: &Shutdown) -> anyhow::Result<()> {
    let mut profile = ProfileSeed::new(NfType::Upf, Vec::new());
    profile.snssais.clone_from(&config.slices);
    let dnns: Vec<DnnUpfInfoItem> =
        config.n6.iter().map(|network| DnnUpfInfoItem::new(network.dnn.clone())).collect();
    let slices = config.slices.iter().map(|slice| SnssaiUpfInfoItem::new(*slice, dnns.clone())).collect();
    profile.upf_info = Some(UpfInfo::new(slices));
    Nf::prepare(env, &config.sbi, NfType::Upf).await?.run(profile, Routes::new(), shutdown).await
}

/// What the status tells.
#[derive(Debug, Default)]
struct Gauges {
    sessions: AtomicU64,
    load_percent: AtomicU64,
    reduction_percent: AtomicU64,
    smfs: std::sync::Mutex<Vec<String>>,
}

fn set_status(env: &Env, config: &Config, gauges: &Arc<Gauges>, counters: &Arc<PathCounters>) {
    let (gauges, counters) = (gauges.clone(), counters.clone());
    let at = |wanted: ReferencePoint| {
        let mut all = config.tunnels_at();
        all.retain(|(_, interface)| *interface == wanted);
        written(&all)
    };
    let (n3, n9, n4) = (at(ReferencePoint::N3), at(ReferencePoint::N9), config.n4_at().to_string());
    env.status.set(move || {
        let smfs = gauges.smfs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let path: serde_json::Map<String, serde_json::Value> =
            counters.snapshot().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        serde_json::json!({
            "n3": n3,
            "n9": if n9.is_empty() { &n3 } else { &n9 },
            "n4": n4,
            "sessions": gauges.sessions.load(Ordering::Relaxed),
            "load_percent": gauges.load_percent.load(Ordering::Relaxed),
            "reduction_percent": gauges.reduction_percent.load(Ordering::Relaxed),
            "smfs": smfs,
            "path": path,
        })
    });
}

/// The loop around the PFCP core.
struct Edge {
    core: Core,
    socket: Arc<dyn Datagram>,
    /// Answers, until all of a turn's rules are in force.
    outgoing: Vec<Outgoing>,
    path: Box<dyn DataPath>,
    events: mpsc::Receiver<Event>,
    env: Env,
    counters: Arc<PathCounters>,
    gauges: Arc<Gauges>,
}

enum Wake {
    Stop,
    Datagrams,
    Event(Event),
    Time,
}

impl Edge {
    async fn serve(mut self, shutdown: Shutdown) -> anyhow::Result<()> {
        let mut burst = Burst::new();
        let mut counted = Counted::default();
        let mut bursts = (0, 0);
        let mut complaints = Complaints::default();
        let mut next_counters = self.env.clock.now() + COUNTERS_INTERVAL;
        loop {
            self.drain().await;
            self.gauges.sessions.store(self.core.session_count() as u64, Ordering::Relaxed);
            let wake = self.wait(&shutdown, &mut burst, next_counters).await?;
            let now = self.env.clock.now();
            match wake {
                Wake::Stop => return Ok(()),
                Wake::Datagrams => {
                    burst.iter().for_each(|(from, bytes)| self.core.handle_datagram(now, from, bytes));
                }
                Wake::Event(event) => self.core.handle_event(now, event),
                Wake::Time => {}
            }
            // Also while there is always a datagram.
            for _ in 0..EVENTS_PER_TURN {
                let Ok(event) = self.events.try_recv() else { break };
                self.core.handle_event(now, event);
            }
            if self.core.next_deadline().is_some_and(|at| at <= now) {
                self.core.handle_deadline(now);
            }
            if now >= next_counters {
                counted.update(&self);
                complaints.about(now, &self.counters);
                self.show_smfs();
                self.weigh(now, &mut bursts);
                next_counters = now + COUNTERS_INTERVAL;
            }
        }
    }

    async fn wait(
        &mut self,
        shutdown: &Shutdown,
        burst: &mut Burst,
        next_counters: Instant,
    ) -> anyhow::Result<Wake> {
        let clock = &self.env.clock;
        let deadline = self.core.next_deadline().map_or(next_counters, |at| at.min(next_counters));
        tokio::select! {
            biased;
            () = shutdown.requested() => Ok(Wake::Stop),
            received = self.socket.recv_burst(burst) => match received {
                Ok(()) => Ok(Wake::Datagrams),
                // An ICMP error about something that we sent.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(Wake::Time),
                Err(error) => Err(error).context("cannot receive on N4"),
            },
            Some(event) = self.events.recv() => Ok(Wake::Event(event)),
            () = clock.sleep_until(deadline) => Ok(Wake::Time),
        }
    }

    /// Rules are in force before the SMF hears that they are.
    async fn drain(&mut self) {
        while let Some(output) = self.core.next_output() {
            match output {
                Output::Path(command) => self.path.apply(command),
                Output::Transmit { to, bytes } => self.outgoing.push((to, bytes)),
            }
        }
        let mut failed = |to: SocketAddr, error: std::io::Error| {
            tracing::warn!(peer = %to, %error, "PFCP message not sent");
        };
        self.socket.send_burst(&mut self.outgoing, &mut failed).await;
    }

    /// Tells the core how much there is to do; `bursts` are those of the workers until the last time.
    fn weigh(&mut self, now: Instant, bursts: &mut (u64, u64)) {
        let all = self.counters.bursts.load(Ordering::Relaxed);
        let full = self.counters.full_bursts.load(Ordering::Relaxed).min(all);
        let (new, new_full) = (all.saturating_sub(bursts.0), full.saturating_sub(bursts.1));
        *bursts = (all, full);
        let percent = |part: u64, whole: u64| {
            let percent = part.saturating_mul(100).checked_div(whole).unwrap_or(0);
            u8::try_from(percent.min(100)).unwrap_or(100)
        };
        // A few bursts say nothing.
        let workers = if new < BURSTS_TELLING { 0 } else { percent(new_full, new) };
        let events = percent(self.events.len() as u64, EVENTS_MAX as u64);
        self.core.set_figures(now, Figures { workers, events });
        let (load, reduction) = self.core.load();
        self.gauges.load_percent.store(load.into(), Ordering::Relaxed);
        self.gauges.reduction_percent.store(reduction.into(), Ordering::Relaxed);
    }

    fn show_smfs(&self) {
        let mut smfs = self.gauges.smfs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *smfs = self.core.smfs();
    }
}

/// Counter values that the NF's counters have already.
#[derive(Default)]
struct Counted(std::collections::BTreeMap<&'static str, u64>);

impl Counted {
    fn update(&mut self, edge: &Edge) {
        let counts = edge.core.counts();
        let core = [
            ("upf.sessions.established", counts.established),
            ("upf.sessions.restored", counts.restored),
            ("upf.sessions.deleted", counts.deleted),
            ("upf.requests.refused", counts.refused),
            ("upf.reports.sent", counts.reports),
            ("upf.reports.lost", counts.reports_lost),
        ];
        for (name, value) in edge.counters.snapshot().into_iter().chain(core) {
            let before = self.0.insert(name, value).unwrap_or(0);
            if value > before {
                edge.env.counters.add(name, value - before);
            }
        }
    }
}

/// What N3 brought that is no traffic of any session is logged, but seldom: who sends it decides
/// how much it is.
#[derive(Default)]
struct Complaints {
    said: [u64; Self::REASONS.len()],
    next: Option<Instant>,
}

impl Complaints {
    const REASONS: [DropReason; 3] =
        [DropReason::MalformedGtpu, DropReason::UnknownMessage, DropReason::UnknownTeid];

    fn about(&mut self, now: Instant, counters: &PathCounters) {
        let drops = Self::REASONS.map(|reason| counters.drops(reason));
        if drops == self.said || self.next.is_some_and(|next| now < next) {
            return;
        }
        let [malformed, unknown_message, unknown_teid] =
            std::array::from_fn(|index| drops[index] - self.said[index]);
        tracing::warn!(malformed, unknown_message, unknown_teid, "packets dropped that came on N3");
        (self.said, self.next) = (drops, Some(now + COMPLAINT_PAUSE));
    }
}

#[cfg(test)]
mod tests {
    use tern_n4::{Node, NodeConfig, Output as N4Output};
    use tern_nf::SimNetwork;
    use tern_pfcp::{Cause, Message, NodeId, RecoveryTimeStamp, SessionEstablishmentRequest};

    use super::*;
    use crate::testing;

    /// An SMF with a session in a simulated network; the cause of the establishment.
    async fn establish(network: &SimNetwork, at: SocketAddr) -> Option<Cause> {
        let env = Env::simulated(2, network);
        let socket = env.datagrams.bind("127.0.0.17:8805".parse().expect("address")).await.expect("binds");
        let mut config = NodeConfig::new(NodeId::Address(socket.local_addr().ip()), RecoveryTimeStamp(1));
        config.associate = vec![at];
        let mut smf = Node::new(config, env.clock.now());
        let mut buffer = [0; 4096];
        loop {
            while let Some(output) = smf.next_output() {
                match output {
                    N4Output::Transmit { to, bytes } => socket.send_to(&bytes, to).await.expect("sent"),
                    N4Output::PeerUp { .. } => {
                        let request: SessionEstablishmentRequest = testing::establishment();
                        smf.send_request(env.clock.now(), at, Some(0), request.into()).expect("sent");
                    }
                    N4Output::Response { message: Message::SessionEstablishmentResponse(answer), .. } => {
                        return Some(answer.cause);
                    }
                    N4Output::TimedOut { .. } => return None,
                    _ => {}
                }
            }
            let deadline = smf.next_deadline().unwrap_or(env.clock.now() + COUNTERS_INTERVAL);
            tokio::select! {
                biased;
                received = socket.recv_from(&mut buffer) => {
                    let (length, from) = received.expect("received");
                    smf.handle_datagram(env.clock.now(), from, &buffer[..length]);
                }
                () = env.clock.sleep_until(deadline) => smf.handle_deadline(env.clock.now()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_upf_runs_in_a_simulation_then_sessions_are_established_and_it_stops() {
        let network = SimNetwork::new(1);
        let config = Config { data_path: DataPathKind::None, ..Config::default() };
        let at = config.n4_at();
        let env = Env::simulated(1, &network);
        let (trigger, shutdown) = Shutdown::new();
        let upf = tokio::spawn(run(config, env.clone(), shutdown));
        assert_eq!(establish(&network, at).await, Some(Cause::REQUEST_ACCEPTED));
        tokio::time::sleep(COUNTERS_INTERVAL * 2).await;
        assert_eq!(env.counters.get("upf.sessions.established"), 1);
        assert_eq!(env.status.get()["sessions"], 1);
        trigger.shut_down();
        upf.await.expect("ended").expect("ended well");
    }
}
