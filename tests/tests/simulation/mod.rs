//! The whole core in one thread on a virtual clock: every network function's own `run`, with
//! SBI, SCTP, datagrams and stores in memory, and the simulator's gNBs and UEs. All that is
//! random follows from one seed.

mod core;
mod downlink;
mod panics;
mod recording;
mod setup;
mod trace;
mod watchdog;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tern_nf::{DatagramFaults, SimNetwork};
use tern_sbi::{Body, Call, Method, PathParams, Request};
use tern_sbi_transport::{Fault, Faults, Transport as _};
use tern_sctp::Message;
use tern_sctp::mem::{MemFaults, MemVerdict};
use tern_store::RANGE_LEN_MAX;
use tern_types::Random;
use tokio::time::timeout;
use ue_ransim::gnb::Gnb;
use ue_ransim::scenario::{self, Scenario, ScenarioReport};
use ue_ransim::ue::{Subscriber, Ue};
use ue_ransim::{Rig, SimEnv, gnb_config};

pub use core::Nf;
use core::Running;
pub use downlink::Downlink;
pub use recording::Recording;
pub use setup::{Setup, supi};
pub use trace::{Trace, Witness};

/// Bounds the whole scenario, in virtual time.
const VIRTUAL_TIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// For all network functions to serve and to have their associations.
const START_MAX: Duration = Duration::from_secs(60);
/// For one network function to stop.
const STOP_MAX: Duration = Duration::from_secs(30);
/// For all that was begun to end, where nothing is lost.
const SETTLE: Duration = Duration::from_secs(2);
/// N2's end of the gNBs.
pub const RAN_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 1));
/// N2's end of the AMF.
pub const AMF_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 16));
/// Subscribers in one request of the UDR's administration.
const IMPORT_LEN: usize = 100;

/// A running core with its gNBs.
pub struct Simulation {
    /// What carries messages, and loses them if told to.
    pub network: SimNetwork,
    /// gNBs, UEs and what they have seen.
    pub rig: Rig,
    /// All that was said so far.
    pub trace: Trace,
    /// What it was made of; restarts take it from here.
    pub setup: Setup,
    /// For the scenario's own choices.
    pub random: Random,
    nfs: BTreeMap<Nf, Running>,
}

/// What a scenario came to.
pub struct Outcome<T> {
    /// What it returned.
    pub value: T,
    /// Of all inputs and outputs of every network function, with their times.
    pub hash: u64,
    /// The same as text, if [`Setup::keep_trace`] was set.
    pub lines: Vec<String>,
}

/// Brings the core up, lets `scenario` run, and stops everything. Fails on a panic of any task,
/// on a network function that ends by itself, and on a scenario that does not end.
pub fn simulate<T>(setup: Setup, scenario: impl AsyncFnOnce(&mut Simulation) -> T) -> Outcome<T> {
    panics::count_in_this_thread();
    if std::env::var_os(tern_nf::LOG_VARIABLE).is_some() {
        tern_nf::log_to_stderr();
    }
    let _watched = watchdog::Watched::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let outcome = runtime.block_on(async {
        let mut sim = Simulation::start(setup).await;
        let value = timeout(VIRTUAL_TIME_MAX, scenario(&mut sim)).await.expect("the scenario ends");
        sim.stop().await;
        Outcome { value, hash: sim.trace.hash(), lines: sim.trace.lines() }
    });
    drop(runtime);
    assert_eq!(panics::seen(), 0, "a task has panicked");
    outcome
}

impl Simulation {
    async fn start(setup: Setup) -> Self {
        let network = SimNetwork::new(setup.seed);
        let trace = Trace::new(setup.keep_trace, setup.witness.clone());
        trace.follow(&network);
        let mut nfs = BTreeMap::new();
        if setup.amf.n2.bridge.is_some() {
            nfs.insert(Nf::N2, core::start(Nf::N2, &setup, &network, 0, None));
        }
        for nf in Nf::ALL {
            let mut running = core::start(nf, &setup, &network, 0, None);
            if nf == Nf::Nrf {
                running.ready(START_MAX).await;
            }
            nfs.insert(nf, running);
        }
        for running in nfs.values_mut() {
            running.ready(START_MAX).await;
        }
        import(&network, &setup).await;
        let mut random = Random::from_seed(seed_bytes(setup.seed, u64::MAX));
        let rig = connect_ran(&setup, &network, &mut random).await;
        let sim = Self { network, rig, trace, setup, random, nfs };
        sim.until(START_MAX, "the SMF has its UPF", |sim| {
            sim.status(Nf::Smf)["upfs"][0]["associated"] == true
        })
        .await;
        sim
    }

    /// The UE with this number.
    pub fn ue(&mut self, index: u32) -> Ue {
        self.rig.ue(index).expect("a configured UE")
    }

    /// A UE as another setup has it, in the cell of the first gNB.
    pub fn ue_of(&mut self, setup: &Setup, index: u32) -> Ue {
        let subscriber = Subscriber::new(&setup.ran.ues[0], index, setup.ran.plmn);
        self.rig.ue_of(subscriber.expect("a usable subscriber"), 0).expect("a gNB")
    }

    /// The gNB with this number, connecting (again); an association that it had is not ended first.
    pub async fn new_gnb(&mut self, index: u32) -> Gnb {
        self.try_new_gnb(index).await.expect("the gNB is set up")
    }

    /// The same where its set-up may fail.
    pub async fn try_new_gnb(&mut self, index: u32) -> Option<Gnb> {
        let config = gnb_config(&self.setup.ran, index).expect("a usable configuration");
        self.rig.add_gnb(config).await.ok()
    }

    /// Plays scenarios with gNBs of their own.
    pub async fn play(&mut self, scenarios: &[Scenario]) -> Vec<ScenarioReport> {
        let mut config = self.setup.ran.clone();
        config.gnb_id += self.rig.gnbs.len() as u32;
        config.n3_port += 1;
        let n3 = Arc::new(self.network.datagrams.clone());
        let env = SimEnv::new(self.network.sctp.endpoint(vec![RAN_ADDRESS]), n3, self.random.fork());
        scenario::play(config, env, scenarios).await.expect("gNBs and subscribers")
    }

    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Lets what was begun end.
    pub async fn settle(&self) {
        self.pass(SETTLE).await;
    }

    /// Waits for a state; panics if it does not come within `limit`.
    pub async fn until(&self, limit: Duration, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let end = tokio::time::Instant::now() + limit;
        while !holds(self) {
            assert!(tokio::time::Instant::now() < end, "within {limit:?}: {what}\n{:#?}", self.all_status());
            self.pass(Duration::from_millis(50)).await;
        }
    }

    /// What a network function tells of its state.
    pub fn status(&self, nf: Nf) -> serde_json::Value {
        self.nfs[&nf].env.status.get()
    }

    fn all_status(&self) -> BTreeMap<Nf, serde_json::Value> {
        Nf::ALL.iter().map(|&nf| (nf, self.status(nf))).collect()
    }

    /// One of its counters, since it was started last.
    pub fn counted(&self, nf: Nf, name: &str) -> u64 {
        self.nfs[&nf].env.counters.get(name)
    }

    /// It dies: nothing of it runs any more, its store stays.
    pub async fn kill(&mut self, nf: Nf) {
        let running = self.nfs.get_mut(&nf).expect("invariant: all network functions are there");
        running.kill().await;
    }

    /// It comes (again), with the store it had.
    pub async fn restart(&mut self, nf: Nf) {
        self.kill(nf).await;
        let before = &self.nfs[&nf];
        let (incarnation, store) = (before.incarnation + 1, Arc::clone(&before.env.store));
        let mut running = core::start(nf, &self.setup, &self.network, incarnation, Some(store));
        running.ready(START_MAX).await;
        self.nfs.insert(nf, running);
    }

    /// The operator's request about a subscriber, as `tern subscriber` makes it; its status.
    pub async fn administer(
        &self,
        method: Method,
        subscriber: u32,
        content: Option<serde_json::Value>,
    ) -> u16 {
        let path = PathParams::fill(tern_udr::SUBSCRIBER_PATH, &[&setup::supi(subscriber).to_string()]);
        let text = |content: serde_json::Value| content.to_string().into();
        let body = match content {
            None => Body::Empty,
            Some(content) if method == Method::Patch => Body::JsonPatch(text(content)),
            Some(content) => Body::Json(text(content)),
        };
        let request = Request { method, path, query: Vec::new(), headers: Default::default(), body };
        let udr = self.setup.udr.sbi.api_root();
        let reply = self.network.sbi.send(&udr, &Call::default(), request).await;
        reply.expect("the UDR answers").status
    }

    /// It is asked to stop, and goes on as long as it likes to.
    pub fn ask_to_stop(&mut self, nf: Nf) {
        self.nfs.get_mut(&nf).expect("invariant: all network functions are there").ask_to_stop();
    }

    /// It has stopped, as it was asked to, and is started again.
    pub async fn come_again(&mut self, nf: Nf) {
        let running = self.nfs.get_mut(&nf).expect("invariant: all network functions are there");
        running.stopped(STOP_MAX).await;
        self.restart(nf).await;
    }

    /// Asks `hook` about each service request from now on, by path.
    pub fn on_sbi(&self, mut hook: impl FnMut(&Request) -> Option<Fault> + Send + 'static) {
        self.network.sbi.set_hook(move |_, request| hook(request));
    }

    /// From now on messages are late, some service requests, replies and datagrams are lost, and
    /// SCTP has to repeat packets.
    pub fn make_unreliable(&mut self) {
        let mut sbi = Faults::new(self.random.fork());
        (sbi.drop_request_ppm, sbi.drop_reply_ppm) = (3_000, 3_000);
        sbi.delay_max = Duration::from_millis(20);
        self.network.sbi.set_faults(Some(sbi));
        let mut datagrams = DatagramFaults::new(self.random.fork());
        (datagrams.drop_ppm, datagrams.duplicate_ppm) = (50_000, 50_000);
        datagrams.delay_max = Duration::from_millis(5);
        self.network.datagrams.set_faults(Some(datagrams));
        self.network.sctp.set_faults(MemFaults {
            delay: Duration::from_millis(2),
            jitter: Duration::from_millis(3),
            loss_per_mille: 10,
            ..MemFaults::default()
        });
    }

    /// From now on nothing is lost any more.
    pub fn make_reliable(&self) {
        self.network.sbi.set_faults(None);
        self.network.datagrams.set_faults(None);
        self.network.sctp.set_faults(MemFaults::default());
    }

    /// Asks `tap` about each N2 message from now on.
    pub fn on_n2(&self, tap: impl FnMut(SocketAddr, SocketAddr, &Message) -> MemVerdict + Send + 'static) {
        self.trace.follow_n2(&self.network, tap);
    }

    /// Asks `hook` about each datagram from now on: whether it goes on.
    pub fn on_datagram(&self, hook: impl FnMut(SocketAddr, SocketAddr, &[u8]) -> bool + Send + 'static) {
        self.trace.follow_datagrams(&self.network, hook);
    }

    /// What each network function holds for UEs, by name; zeros are left out.
    pub async fn held(&self) -> BTreeMap<&'static str, u64> {
        let (amf, smf, upf, pcf) =
            (self.status(Nf::Amf), self.status(Nf::Smf), self.status(Nf::Upf), self.status(Nf::Pcf));
        let number = |value: &serde_json::Value| match value.as_array() {
            Some(each) => each.iter().filter_map(serde_json::Value::as_u64).sum(),
            None => value.as_u64().unwrap_or_else(|| panic!("no number: {value}")),
        };
        let mut held = BTreeMap::from([
            ("AMF registered", number(&amf["registered"])),
            ("AMF connected", number(&amf["connected"])),
            ("AMF sessions", number(&amf["sessions"])),
            ("SMF sessions", number(&smf["sessions"])),
            ("SMF addresses", number(&smf["addressesInUse"])),
            ("SMF prefixes", number(&smf["prefixesInUse"])),
            ("UPF sessions", number(&upf["sessions"])),
            ("PCF AM policies", number(&pcf["amPolicies"])),
            ("PCF SM policies", number(&pcf["smPolicies"])),
            ("UDM SMF registrations", self.documents("udr/smf-registrations/", |_| true).await),
            ("UDM subscriptions", self.documents("udr/sdm-subscriptions/", |_| true).await),
            ("UDM AMF registrations", self.documents("udr/amf-3gpp-access/", is_in_force).await),
        ]);
        held.retain(|_, count| *count != 0);
        held
    }

    async fn documents(&self, prefix: &str, counts: impl Fn(&serde_json::Value) -> bool) -> u64 {
        let found = self.entries(prefix).await;
        found.iter().filter(|(_, document)| counts(document)).count() as u64
    }

    /// What the UDR has stored under keys that begin so.
    async fn entries(&self, prefix: &str) -> Vec<(String, serde_json::Value)> {
        let store = &self.nfs[&Nf::Udr].env.store;
        let (mut entries, mut after) = (Vec::new(), None::<String>);
        loop {
            let found = store.range(prefix, after.as_deref(), RANGE_LEN_MAX).await.expect("a store");
            let full = found.len() == RANGE_LEN_MAX;
            after = found.last().map(|(key, _)| key.clone());
            let parsed = found
                .into_iter()
                .filter_map(|(key, entry)| Some((key, serde_json::from_slice(&entry.value).ok()?)));
            entries.extend(parsed);
            if !full {
                return entries;
            }
        }
    }

    /// Fails if anything is held for a UE that is gone.
    pub async fn assert_nothing_held(&self) {
        self.settle().await;
        let held = self.held().await;
        if held.is_empty() {
            return;
        }
        let mut stored = self.entries("udr/").await;
        stored.retain(|(key, _)| !key.starts_with("udr/subscriber/") && !key.starts_with("udr/sqn/"));
        let stored: Vec<_> = stored.iter().map(|(key, _)| key).collect();
        panic!("{held:#?}\n{stored:#?}\n{:#?}", self.rig.journal.failures());
    }

    /// Fails if the simulator has found the core against a specification.
    pub fn assert_conforming(&self) {
        let failures = self.rig.journal.failures();
        assert!(failures.is_empty(), "{failures:#?}");
    }

    /// Clauses that the simulator has found not obeyed.
    pub fn failed_clauses(&self) -> Vec<&'static str> {
        self.rig.journal.failures().iter().map(|failure| failure.clause).collect()
    }

    async fn stop(&mut self) {
        self.rig.stop().await;
        for nf in Nf::ALL.into_iter().rev().chain([Nf::N2]) {
            // There may be no N2 apart from the AMF.
            if let Some(running) = self.nfs.get_mut(&nf) {
                running.stop(STOP_MAX).await;
            }
        }
    }
}

fn is_in_force(registration: &serde_json::Value) -> bool {
    registration["purgeFlag"] != true
}

/// 32 octets of a seed and what it is for.
fn seed_bytes(seed: u64, purpose: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&purpose.to_le_bytes());
    bytes
}

async fn connect_ran(setup: &Setup, network: &SimNetwork, random: &mut Random) -> Rig {
    let n3 = Arc::new(network.datagrams.clone());
    let env = SimEnv::new(network.sctp.endpoint(vec![RAN_ADDRESS]), n3, random.fork());
    Rig::connect(setup.ran.clone(), env).await.expect("a usable configuration of the simulator")
}

/// Gives the subscribers to the UDR, as `tern subscriber import` does.
async fn import(network: &SimNetwork, setup: &Setup) {
    let udr = setup.udr.sbi.api_root();
    for subscribers in setup.subscribers.chunks(IMPORT_LEN) {
        let content = serde_json::to_vec(subscribers).expect("subscribers are JSON");
        let request = Request {
            method: Method::Post,
            path: tern_udr::SUBSCRIBERS_PATH.to_owned(),
            query: Vec::new(),
            headers: Default::default(),
            body: Body::Json(content.into()),
        };
        let reply = network.sbi.send(&udr, &Call::default(), request).await.expect("the UDR answers");
        assert_eq!(reply.status, 200, "{:?}", reply.body);
    }
}
