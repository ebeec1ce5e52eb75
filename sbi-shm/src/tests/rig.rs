//! A stack's state paired with a peer that writes what it likes; and a manager in a thread.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::connection::{Connection, Phase, Waiters};
use crate::counters::{self, Counters};
use crate::descriptor::{Descriptor, End, WORDS};
use crate::link::Link;
use crate::manager::{Domain, Manager, ManagerOptions, Stopper};
use crate::pair::{Pair, PeerInfo};
use crate::region::{OwnRegion, PoolShape, StatusPage};
use crate::returns::{Giver, Storage as _, Taker};
use crate::ring::{Consumer, NotPushed, Producer, Storage as _};
use crate::stack::{AttachOptions, Stack};
use crate::state::{ListenPhase, Listening, State};

pub(super) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn end(text: &str) -> End {
    at(text).into()
}

/// A peer with the descriptors that a stack is given, and no manners.
pub(super) struct Peer {
    pub(super) link: Arc<Link>,
    producer: Producer<WORDS>,
    consumer: Consumer<WORDS>,
    giver: Giver,
    taker: Taker,
}

impl Peer {
    pub(super) fn push(&mut self, slot: &[u64; WORDS]) -> Result<(), NotPushed> {
        self.producer.push(&self.link.regions.outbound(), slot)
    }

    pub(super) fn give(&mut self, index: u32, generation: u32) {
        let entry = u64::from(generation) << 32 | u64::from(index);
        self.giver.give(&self.link.regions.returns_out(), entry);
    }

    /// What the stack has said.
    pub(super) fn heard(&mut self) -> Vec<Descriptor> {
        let ring = self.link.regions.inbound();
        std::iter::from_fn(|| self.consumer.pop(&ring).unwrap())
            .map(|slot| Descriptor::read(&slot).expect("the stack writes what means something"))
            .collect()
    }

    /// The buffers that the stack has given back.
    pub(super) fn given_back(&mut self) -> Vec<u64> {
        let returns = self.link.regions.returns_in();
        std::iter::from_fn(|| self.taker.take(&returns).unwrap()).collect()
    }

    pub(super) fn jump_tail(&self, by: u32) {
        self.link.regions.outbound().tail().fetch_add(by, Ordering::Relaxed);
    }

    pub(super) fn jump_head(&self, by: u32) {
        self.link.regions.inbound().head().fetch_add(by, Ordering::Relaxed);
    }

    pub(super) fn jump_returns(&self, by: u32) {
        self.link.regions.returns_out().tail().fetch_add(by, Ordering::Relaxed);
    }
}

/// A state without a manager or threads. Its address range and its peers' is 127.0.0.0/8.
pub(super) fn state() -> State {
    let mut state = State::new(StatusPage::create().unwrap().0, 50_000);
    state.addresses = vec!["127.0.0.0/8".parse().unwrap()];
    state
}

/// Pairs it with a peer.
pub(super) fn pair_with(state: &mut State, shape: PoolShape) -> (usize, Peer) {
    let (own, own_file) = OwnRegion::create(shape).unwrap();
    let (peer, peer_file) = OwnRegion::create(shape).unwrap();
    let peer_page = StatusPage::create().unwrap().0;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let sockets = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    let ours =
        Link::new(own.join(&peer_file).unwrap(), peer_page.clone(), Arc::new(sockets.0), state.page.clone());
    let theirs = Link::new(peer.join(&own_file).unwrap(), state.page.clone(), Arc::new(sockets.1), peer_page);
    let addresses = vec!["127.0.0.0/8".parse().unwrap()];
    let about = PeerInfo { instance: 1, name: "peer".into(), addresses };
    let index = state.add_pair(Pair::new(about, Arc::new(ours)));
    let (producer, consumer) = (Producer::default(), Consumer::default());
    let (giver, taker) = (Giver::default(), Taker::default());
    (index, Peer { link: Arc::new(theirs), producer, consumer, giver, taker })
}

/// Listens there, without a manager's word.
pub(super) fn listen(state: &mut State, at: End, window: u32) {
    let listening = Listening {
        phase: ListenPhase::Open,
        backlog: VecDeque::new(),
        backlog_max: 8,
        protocols: Vec::new(),
        window,
        acceptors: Waiters::default(),
        openers: Waiters::default(),
    };
    state.listeners.insert(at, listening);
}

/// Opens a connection to the peer.
pub(super) fn connect(state: &mut State, pair: usize, to: End, window: u32) -> usize {
    let key = state.insert(Connection::new(end("127.0.0.1:0"), to, Phase::Routing, window));
    state.establish(key, pair);
    key
}

/// What `Shared::with` does after the work.
pub(super) fn settle(state: &mut State) {
    std::mem::take(&mut state.rings).iter().for_each(|link| link.ring());
    state.wakes.clear();
}

pub(super) fn counters(state: &State) -> Counters {
    counters::read(&state.page)
}

/// What was refused, and why.
pub(super) fn refusals(counters: &Counters) -> Vec<(&'static str, u64)> {
    const NAMES: [&str; 8] = [
        "refused",
        "stray",
        "malformed",
        "out_of_domain",
        "out_of_range",
        "stale",
        "forged_return",
        "corrupt",
    ];
    counters.each().filter(|(name, _)| NAMES.contains(name)).collect()
}

/// A manager in a thread, for this process's user, on 127.0.0.0/8.
pub(super) struct Node {
    pub(super) socket: String,
    pub(super) stopper: Stopper,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    pub(super) fn new(shape: PoolShape) -> Self {
        static NODES: AtomicU32 = AtomicU32::new(0);
        let number = NODES.fetch_add(1, Ordering::Relaxed);
        let socket = format!("@sbi-shm-unit-{}-{number}", std::process::id());
        let user = rustix::process::geteuid().as_raw();
        let domain = Domain::new("test", user, vec!["127.0.0.0/8".parse().unwrap()]);
        let domains = vec![Domain { pool: shape, processes_max: 8, ..domain }];
        let manager = Manager::bind(ManagerOptions { domains, ..ManagerOptions::new(&socket) }).unwrap();
        let stopper = manager.stopper();
        let thread = std::thread::spawn(move || manager.run(|_| {}).unwrap());
        Self { socket, stopper, thread: Some(thread) }
    }

    pub(super) fn attach(&self, name: &str) -> Stack {
        Stack::attach(&AttachOptions::new(&self.socket, name)).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
