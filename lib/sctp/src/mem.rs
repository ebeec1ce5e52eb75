//! SCTP in one process, for simulations: seeded faults, tokio's clock.
//!
//! A message lost on the way is delivered late, as retransmission would; too
//! many losses in a row end the association. The same seed and the same calls
//! give the same events in the same order.

mod link;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::admission::Admission;
use crate::association::{Association, BoxFuture, Message, SctpBackend, SctpListener};
use crate::counters::SctpCounters;
use crate::error::{LostCause, SctpError};
use crate::options::{ConnectOptions, ListenOptions};
use link::{End, MemAssociation};

/// First local port given to a connection that names none.
const PORT_FIRST: u16 = 49_152;
/// Associations waiting for `accept`; one more is refused.
const BACKLOG_MAX: usize = 1024;

/// What happens to packets between two hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemFaults {
    /// One way.
    pub delay: Duration,
    /// Added to the delay, uniformly from zero to this.
    pub jitter: Duration,
    /// Packets lost, of a thousand.
    pub loss_per_mille: u32,
    /// Time after which a lost packet is sent again.
    pub retransmission: Duration,
    /// Losses in a row after which the association ends.
    pub retransmissions_max: u32,
    /// A host that answers nothing for this long is given up.
    pub silence_max: Duration,
}

impl Default for MemFaults {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss_per_mille: 0,
            retransmission: Duration::from_millis(300),
            retransmissions_max: 8,
            silence_max: Duration::from_secs(20),
        }
    }
}

/// What becomes of a message, says whoever taps the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemVerdict {
    /// It goes its way.
    Pass,
    /// It is never delivered, as a peer would have it that loses it above SCTP.
    Discard,
    /// It is delivered twice.
    Repeat,
    /// Other octets arrive in its place.
    Replace(bytes::Bytes),
}

/// Sees each message as it is sent: from, to, what. It must not use the network itself.
type Tap = Box<dyn FnMut(SocketAddr, SocketAddr, &Message) -> MemVerdict + Send>;

/// A network that several endpoints share.
#[derive(Clone)]
pub struct MemNetwork {
    inner: Arc<Mutex<Network>>,
}

struct Network {
    random: u64,
    faults: MemFaults,
    between: BTreeMap<(IpAddr, IpAddr), MemFaults>,
    /// Pairs of addresses that do not reach one another.
    cut: BTreeMap<(IpAddr, IpAddr), ()>,
    listeners: BTreeMap<SocketAddr, Arc<Mutex<Backlog>>>,
    /// Live associations by both sides' first address.
    associations: BTreeMap<(SocketAddr, SocketAddr), Weak<link::Link>>,
    port_next: u16,
    tap: Option<Tap>,
}

struct Backlog {
    waiting: VecDeque<(Arc<MemAssociation>, SocketAddr)>,
    options: ListenOptions,
    admission: Arc<Admission>,
    counters: Arc<SctpCounters>,
    waker: Option<Waker>,
}

impl MemNetwork {
    /// An empty network; every random choice follows from the seed.
    pub fn new(seed: u64) -> Self {
        let network = Network {
            random: seed ^ 0x9e37_79b9_7f4a_7c15,
            faults: MemFaults::default(),
            between: BTreeMap::new(),
            cut: BTreeMap::new(),
            listeners: BTreeMap::new(),
            associations: BTreeMap::new(),
            port_next: PORT_FIRST,
            tap: None,
        };
        Self { inner: Arc::new(Mutex::new(network)) }
    }

    /// A host with these addresses.
    pub fn endpoint(&self, addresses: Vec<IpAddr>) -> Arc<MemBackend> {
        let network = self.clone();
        Arc::new(MemBackend { network, addresses, counters: Arc::default() })
    }

    /// Faults of all paths that have none of their own, from now on.
    pub fn set_faults(&self, faults: MemFaults) {
        self.lock().faults = faults;
    }

    /// Faults between two addresses, both ways, from now on.
    pub fn set_faults_between(&self, one: IpAddr, other: IpAddr, faults: MemFaults) {
        self.lock().between.insert(pair(one, other), faults);
    }

    /// Shows each message as it is sent to `tap`, which says what becomes of it.
    pub fn set_tap(&self, tap: impl FnMut(SocketAddr, SocketAddr, &Message) -> MemVerdict + Send + 'static) {
        self.lock().tap = Some(Box::new(tap));
    }

    /// Cuts the path between two addresses. An association whose every path is
    /// cut is given up by both sides after `silence_max`.
    pub fn cut(&self, one: IpAddr, other: IpAddr) {
        self.lock().cut.insert(pair(one, other), ());
        self.refresh(one, other);
    }

    /// Mends a path; what was sent meanwhile arrives late.
    pub fn mend(&self, one: IpAddr, other: IpAddr) {
        self.lock().cut.remove(&pair(one, other));
        self.refresh(one, other);
    }

    fn refresh(&self, one: IpAddr, other: IpAddr) {
        for link in self.links() {
            if link.uses(one, other) {
                link.path_changed(&mut self.lock(), one, other);
            }
        }
    }

    fn links(&self) -> Vec<Arc<link::Link>> {
        self.lock().associations.values().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Network> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemNetwork {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MemNetwork").finish_non_exhaustive()
    }
}

impl Network {
    fn faults(&self, one: IpAddr, other: IpAddr) -> MemFaults {
        self.between.get(&pair(one, other)).copied().unwrap_or(self.faults)
    }

    fn verdict(&mut self, from: SocketAddr, to: SocketAddr, message: &Message) -> MemVerdict {
        self.tap.as_mut().map_or(MemVerdict::Pass, |tap| tap(from, to, message))
    }

    fn is_cut(&self, one: IpAddr, other: IpAddr) -> bool {
        self.cut.contains_key(&pair(one, other))
    }

    /// Time from sending to arrival; None when too many packets are lost.
    fn transit(&mut self, faults: &MemFaults) -> Option<Duration> {
        let mut time = faults.delay;
        let jitter_us = u64::try_from(faults.jitter.as_micros()).unwrap_or(u64::MAX);
        if jitter_us > 0 {
            time += Duration::from_micros(self.random() % jitter_us.saturating_add(1));
        }
        let mut losses = 0;
        while faults.loss_per_mille > 0 && self.random() % 1000 < u64::from(faults.loss_per_mille) {
            losses += 1;
            if losses > faults.retransmissions_max {
                return None;
            }
            time += faults.retransmission;
        }
        Some(time)
    }

    /// splitmix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn port(&mut self) -> u16 {
        let port = self.port_next;
        self.port_next = port.checked_add(1).unwrap_or(PORT_FIRST);
        port
    }

    fn forget(&mut self, key: (SocketAddr, SocketAddr), link: &link::Link) {
        let same = |known: &Weak<link::Link>| std::ptr::eq(known.as_ptr(), link);
        if self.associations.get(&key).is_some_and(same) {
            self.associations.remove(&key);
        }
    }
}

fn pair(one: IpAddr, other: IpAddr) -> (IpAddr, IpAddr) {
    if one <= other { (one, other) } else { (other, one) }
}

/// A host on a [`MemNetwork`].
#[derive(Debug)]
pub struct MemBackend {
    network: MemNetwork,
    addresses: Vec<IpAddr>,
    counters: Arc<SctpCounters>,
}

impl MemBackend {
    /// The host dies: its associations end here at once, and its peers notice
    /// nothing until they give it up or it connects again from the same port,
    /// which they see as [`crate::Event::Restart`].
    pub fn crash(&self) {
        for link in self.network.links() {
            link.crash(&self.addresses, &mut self.network.lock());
        }
        let mut network = self.network.lock();
        network.listeners.retain(|address, _| !self.addresses.contains(&address.ip()));
    }

    fn open(&self, options: &ConnectOptions) -> Result<Opening, SctpError> {
        let first = options.check()?;
        let local = if options.local.is_empty() { &self.addresses } else { &options.local };
        let Some(own) = local.first().copied() else {
            return Err(SctpError::Options("the endpoint has no address"));
        };
        if let Some(foreign) = local.iter().find(|ip| !self.addresses.contains(ip)) {
            let address = SocketAddr::new(*foreign, options.local_port);
            let source = std::io::ErrorKind::AddrNotAvailable.into();
            return Err(SctpError::Bind { address, source });
        }
        let mut network = self.network.lock();
        let port = if options.local_port == 0 { network.port() } else { options.local_port };
        let reachable = options
            .remote
            .iter()
            .copied()
            .find(|remote| local.iter().any(|ip| !network.is_cut(*ip, remote.ip())));
        let Some(remote) = reachable else { return Ok(Opening::Silence) };
        let faults = network.faults(own, remote.ip());
        let Some(there) = network.transit(&faults) else { return Ok(Opening::Silence) };
        let Some(back) = network.transit(&faults) else { return Ok(Opening::Silence) };
        let listener = network.listener(remote);
        let Some(listener) = listener else { return Ok(Opening::Refused(there + back)) };
        let local = local.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        Ok(Opening::Found { first, local, remote, listener, time: there + back })
    }
}

enum Opening {
    Silence,
    Refused(Duration),
    Found {
        first: SocketAddr,
        local: Vec<SocketAddr>,
        remote: SocketAddr,
        listener: Arc<Mutex<Backlog>>,
        time: Duration,
    },
}

impl Network {
    fn listener(&self, remote: SocketAddr) -> Option<Arc<Mutex<Backlog>>> {
        let wildcard = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), remote.port());
        self.listeners.get(&remote).or_else(|| self.listeners.get(&wildcard)).cloned()
    }
}

impl SctpBackend for MemBackend {
    fn name(&self) -> &'static str {
        "mem"
    }

    fn listen(&self, options: ListenOptions) -> Result<Box<dyn SctpListener>, SctpError> {
        options.check()?;
        let addresses = if options.addresses.is_empty() { &self.addresses } else { &options.addresses };
        let bound: Vec<SocketAddr> = addresses.iter().map(|ip| SocketAddr::new(*ip, options.port)).collect();
        let mut network = self.network.lock();
        for address in &bound {
            let own = self.addresses.contains(&address.ip());
            if !own || network.listeners.contains_key(address) {
                let kind =
                    if own { std::io::ErrorKind::AddrInUse } else { std::io::ErrorKind::AddrNotAvailable };
                return Err(SctpError::Bind { address: *address, source: kind.into() });
            }
        }
        let counters = Arc::clone(&self.counters);
        let admission = Admission::new(options.limits, Arc::clone(&counters));
        let (waiting, waker) = Default::default();
        let backlog = Backlog { waiting, options, admission, counters, waker };
        let backlog = Arc::new(Mutex::new(backlog));
        for address in &bound {
            network.listeners.insert(*address, Arc::clone(&backlog));
        }
        drop(network);
        Ok(Box::new(MemListener { network: self.network.clone(), bound, backlog }))
    }

    fn connect(&self, options: ConnectOptions) -> BoxFuture<'static, Result<Association, SctpError>> {
        let opening = self.open(&options);
        let (network, counters) = (self.network.clone(), Arc::clone(&self.counters));
        Box::pin(async move {
            let peer = options.check()?;
            let opening = opening?;
            let time = match &opening {
                Opening::Silence => options.timeout,
                Opening::Refused(time) | Opening::Found { time, .. } => *time,
            };
            let expired = time >= options.timeout;
            if !time.is_zero() {
                tokio::time::sleep(time.min(options.timeout)).await;
            }
            match opening {
                _ if expired => Err(SctpError::TimedOut { peer }),
                Opening::Silence => Err(SctpError::TimedOut { peer }),
                Opening::Refused(_) => Err(SctpError::Refused { peer }),
                Opening::Found { first, local, remote, listener, .. } => {
                    let driver = join(&network, &options, &counters, (first, local, remote), &listener)?;
                    counters.connected.add(1);
                    Ok(Association::new(driver))
                }
            }
        })
    }

    fn counters(&self) -> Arc<SctpCounters> {
        Arc::clone(&self.counters)
    }
}

/// The handshake's end: both sides of a new association, or a restart of one.
fn join(
    network: &MemNetwork,
    options: &ConnectOptions,
    counters: &Arc<SctpCounters>,
    (first, local, remote): (SocketAddr, Vec<SocketAddr>, SocketAddr),
    listener: &Arc<Mutex<Backlog>>,
) -> Result<Arc<MemAssociation>, SctpError> {
    let from = local[0];
    let known = network.lock().associations.get(&(from, remote)).and_then(Weak::upgrade);
    if let Some(link) = known
        && let Some(driver) = link.restart(network, options, counters)
    {
        return Ok(driver);
    }
    let mut backlog = lock(listener);
    let full = backlog.waiting.len() >= BACKLOG_MAX;
    let permit = if full { None } else { backlog.admission.admit(from.ip()) };
    let Some(permit) = permit else { return Err(SctpError::Refused { peer: first }) };
    let listening: Vec<SocketAddr> =
        backlog.options.addresses.iter().map(|ip| SocketAddr::new(*ip, remote.port())).collect();
    let theirs = if listening.is_empty() { vec![remote] } else { listening };
    let granted = |asked: u16, allowed: u16| asked.min(allowed);
    let up = granted(options.streams.outbound, backlog.options.streams.inbound_max);
    let down = granted(backlog.options.streams.outbound, options.streams.inbound_max);
    let client = link::Side::new(local, options.limits, up, counters);
    let server = link::Side::new(theirs, backlog.options.limits, down, &backlog.counters);
    let (client, server) = link::Link::join(network, (from, remote), [client, server], permit);
    backlog.waiting.push_back((server, from));
    if let Some(waker) = backlog.waker.take() {
        waker.wake();
    }
    Ok(client)
}

struct MemListener {
    network: MemNetwork,
    bound: Vec<SocketAddr>,
    backlog: Arc<Mutex<Backlog>>,
}

impl SctpListener for MemListener {
    fn accept(&mut self) -> BoxFuture<'_, Result<Association, SctpError>> {
        Box::pin(std::future::poll_fn(|context: &mut Context<'_>| {
            let mut backlog = lock(&self.backlog);
            match backlog.waiting.pop_front() {
                Some((driver, _)) => Poll::Ready(Ok(Association::new(driver))),
                None => {
                    backlog.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        }))
    }
}

impl Drop for MemListener {
    fn drop(&mut self) {
        let mut network = self.network.lock();
        for address in &self.bound {
            let ours = |known: &Arc<Mutex<Backlog>>| Arc::ptr_eq(known, &self.backlog);
            if network.listeners.get(address).is_some_and(ours) {
                network.listeners.remove(address);
            }
        }
        drop(network);
        let waiting = std::mem::take(&mut lock(&self.backlog).waiting);
        for (driver, _) in waiting {
            driver.lose_both(LostCause::AbortedHere, LostCause::AbortedByPeer);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The later of two instants, where one may be missing.
fn later(one: Option<Instant>, other: Instant) -> Instant {
    one.map_or(other, |one| one.max(other))
}

/// Which side of a link; the client opened it.
const CLIENT: End = End(0);
/// The side that accepted.
const SERVER: End = End(1);
