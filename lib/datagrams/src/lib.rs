//! Datagrams: UDP, or memory with faults. N3 and N4 reach the world through them.

mod udp;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tern_types::{Duration, Random};
use tokio::sync::mpsc;

pub use udp::{Udp, control_message, cut_at};

/// Datagrams that wait in memory for a receiver; more are lost, as in a socket's buffer.
const QUEUE_MAX: usize = 4096;

/// First port given where port 0 was asked for.
const EPHEMERAL_FIRST: u16 = 49152;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Opens datagram endpoints.
pub trait Datagrams: Send + Sync + 'static {
    /// An endpoint at `at`; port 0 picks a free one.
    fn bind(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Arc<dyn Datagram>>>;
}

/// A datagram endpoint.
pub trait Datagram: Send + Sync + 'static {
    /// Sends one datagram.
    fn send_to<'a>(&'a self, data: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>>;

    /// Receives one datagram, cut to `buf`: its length and its sender. Cancel safe.
    fn recv_from<'a>(&'a self, buf: &'a mut [u8]) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>>;

    /// Receives the datagrams that have come, at least one and as many as there is room for: what `burst` had
    /// before goes. Cancel safe.
    fn recv_burst<'a>(&'a self, burst: &'a mut Burst) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            burst.clear();
            let (len, from) = self.recv_from(burst.room().unwrap_or_default()).await?;
            burst.push(len, from);
            Ok(())
        })
    }

    /// Sends datagrams in their order, and forgets them. What cannot be sent is told to `failed`.
    fn send_burst<'a>(&'a self, datagrams: &'a mut Vec<Outgoing>, failed: Failed<'a>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            for (to, data) in datagrams.drain(..) {
                if let Err(error) = self.send_to(&data, to).await {
                    failed(to, error);
                }
            }
        })
    }

    /// Where it is bound.
    fn local_addr(&self) -> SocketAddr;
}

/// A datagram to be sent, and to whom.
pub type Outgoing = (SocketAddr, Vec<u8>);

/// Hears to whom a datagram was not sent, and why.
pub type Failed<'a> = &'a mut (dyn FnMut(SocketAddr, io::Error) + Send);

/// The longest datagram, and more.
const DATAGRAM_MAX: usize = 1 << 16;

/// Datagrams that were received together, one behind the other in memory that is used again.
pub struct Burst {
    octets: Box<[u8]>,
    /// Where each ends, and its sender.
    ends: Vec<(usize, SocketAddr)>,
}

impl Burst {
    /// Datagrams of one burst, at most: so few that who sends many gets answers while others are at work.
    pub const MAX: usize = 16;
    /// So many short ones fit, and always one that is as long as can be.
    const OCTETS: usize = 2 * DATAGRAM_MAX;

    /// Without datagrams.
    pub fn new() -> Self {
        Self { octets: vec![0; Self::OCTETS].into(), ends: Vec::with_capacity(Self::MAX) }
    }

    /// The datagrams in their order, each with its sender.
    pub fn iter(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let mut begin = 0;
        self.ends.iter().map(move |&(end, from)| {
            let datagram = &self.octets[begin..end];
            begin = end;
            (from, datagram)
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn clear(&mut self) {
        self.ends.clear();
    }

    /// Where the next datagram goes, unless there is no room for every datagram.
    fn room(&mut self) -> Option<&mut [u8]> {
        let used = self.ends.last().map_or(0, |(end, _)| *end);
        let rest = self.octets.get_mut(used..)?;
        (self.ends.len() < Self::MAX && rest.len() >= DATAGRAM_MAX).then_some(rest)
    }

    fn push(&mut self, len: usize, from: SocketAddr) {
        let used = self.ends.last().map_or(0, |(end, _)| *end);
        self.ends.push((used + len, from));
    }
}

impl Default for Burst {
    fn default() -> Self {
        Self::new()
    }
}

/// What goes wrong with datagrams in memory.
#[derive(Debug)]
pub struct DatagramFaults {
    random: Random,
    /// Datagrams lost, of a million.
    pub drop_ppm: u32,
    /// Datagrams that arrive twice, of a million.
    pub duplicate_ppm: u32,
    /// Each is late by up to this, and so may overtake.
    pub delay_max: Duration,
}

impl DatagramFaults {
    /// No fault until a field says otherwise; `random` decides each.
    pub fn new(random: Random) -> Self {
        Self { random, drop_ppm: 0, duplicate_ppm: 0, delay_max: Duration::ZERO }
    }

    /// How late each copy is.
    fn draw(&mut self) -> Vec<Duration> {
        let ppm = self.random.u32() % 1_000_000;
        let copies = if ppm < self.drop_ppm {
            0
        } else {
            1 + usize::from(ppm < self.drop_ppm.saturating_add(self.duplicate_ppm))
        };
        let span = u64::try_from(self.delay_max.as_micros()).unwrap_or(u64::MAX).saturating_add(1);
        (0..copies).map(|_| Duration::from_micros(self.random.u64() % span)).collect()
    }
}

/// Datagrams between endpoints of one process. Clones are one network.
#[derive(Clone, Default)]
pub struct MemoryDatagrams {
    network: Arc<Mutex<Network>>,
}

/// Sees each datagram as it is sent: from, to, content. Says whether it may go on.
type Hook = Box<dyn FnMut(SocketAddr, SocketAddr, &[u8]) -> bool + Send>;

#[derive(Default)]
struct Network {
    endpoints: BTreeMap<SocketAddr, mpsc::Sender<(Bytes, SocketAddr)>>,
    faults: Option<DatagramFaults>,
    hook: Option<Hook>,
}

struct MemoryEndpoint {
    at: SocketAddr,
    network: MemoryDatagrams,
    queue: tokio::sync::Mutex<mpsc::Receiver<(Bytes, SocketAddr)>>,
}

impl MemoryDatagrams {
    /// A network without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on, these faults; `None` for none.
    pub fn set_faults(&self, faults: Option<DatagramFaults>) {
        self.lock().faults = faults;
    }

    /// Shows each datagram to `hook` (from, to, content), before the seeded faults; one that it
    /// says `false` to is lost.
    pub fn set_hook(&self, hook: impl FnMut(SocketAddr, SocketAddr, &[u8]) -> bool + Send + 'static) {
        self.lock().hook = Some(Box::new(hook));
    }

    fn lock(&self) -> MutexGuard<'_, Network> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliver(&self, data: Bytes, from: SocketAddr, to: SocketAddr) {
        if let Some(queue) = self.lock().endpoints.get(&to) {
            // A full queue loses the datagram.
            let _ = queue.try_send((data, from));
        }
    }
}

impl Datagrams for MemoryDatagrams {
    fn bind(&self, mut at: SocketAddr) -> BoxFuture<'_, io::Result<Arc<dyn Datagram>>> {
        let mut network = self.lock();
        if at.port() == 0 {
            let free = (EPHEMERAL_FIRST..=u16::MAX)
                .find(|port| !network.endpoints.contains_key(&SocketAddr::new(at.ip(), *port)));
            at.set_port(free.unwrap_or(EPHEMERAL_FIRST));
        }
        if network.endpoints.contains_key(&at) {
            return Box::pin(std::future::ready(Err(io::ErrorKind::AddrInUse.into())));
        }
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        network.endpoints.insert(at, sender);
        let endpoint = MemoryEndpoint { at, network: self.clone(), queue: receiver.into() };
        Box::pin(std::future::ready(Ok(Arc::new(endpoint) as Arc<dyn Datagram>)))
    }
}

impl Datagram for MemoryEndpoint {
    fn send_to<'a>(&'a self, data: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>> {
        let delays = {
            let mut network = self.network.lock();
            let passes = network.hook.as_mut().is_none_or(|hook| hook(self.at, to, data));
            let drawn = network.faults.as_mut().map(DatagramFaults::draw);
            if passes { drawn } else { Some(Vec::new()) }
        };
        let data = Bytes::copy_from_slice(data);
        for delay in delays.unwrap_or_else(|| vec![Duration::ZERO]) {
            let (network, data, from) = (self.network.clone(), data.clone(), self.at);
            if delay.is_zero() {
                network.deliver(data, from, to);
            } else {
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    network.deliver(data, from, to);
                });
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn recv_from<'a>(&'a self, buf: &'a mut [u8]) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>> {
        Box::pin(async move {
            let received = self.queue.lock().await.recv().await;
            let (data, from) = received.ok_or(io::ErrorKind::NotConnected)?;
            let len = data.len().min(buf.len());
            buf[..len].copy_from_slice(&data[..len]);
            Ok((len, from))
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.at
    }
}

impl Drop for MemoryEndpoint {
    fn drop(&mut self) {
        self.network.lock().endpoints.remove(&self.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What has come, in bursts of any size.
    async fn received(endpoint: &dyn Datagram, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
        let (mut burst, mut all) = (Burst::new(), Vec::new());
        while all.len() < count {
            endpoint.recv_burst(&mut burst).await.unwrap();
            assert!((1..=Burst::MAX).contains(&burst.len()));
            all.extend(burst.iter().map(|(from, datagram)| (from, datagram.to_vec())));
        }
        all
    }

    async fn bursts_conform(datagrams: &dyn Datagrams) {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (a, b) = (datagrams.bind(any).await.unwrap(), datagrams.bind(any).await.unwrap());
        // More than one burst holds, in number and in octets; rows of one length and peer, and others.
        let lengths = (0..280).map(|n| if n % 16 == 7 { 30_000 } else { (n / 70 + n / 6 % 2) * 100 });
        let sent: Vec<Vec<u8>> = lengths.enumerate().map(|(n, len)| vec![n as u8; len]).collect();
        for (round, some) in sent.chunks(70).enumerate() {
            let mut out: Vec<Outgoing> = Vec::new();
            for datagram in some {
                out.extend([(b.local_addr(), datagram.clone()), (a.local_addr(), datagram.clone())]);
            }
            if round > 0 {
                // In their order all the same.
                out.sort_by_key(|(to, _)| *to);
            }
            a.send_burst(&mut out, &mut |to, error| panic!("{to}: {error}")).await;
            assert!(out.is_empty());
            for endpoint in [&a, &b] {
                let expected: Vec<_> =
                    some.iter().map(|datagram| (a.local_addr(), datagram.clone())).collect();
                assert!(received(&**endpoint, some.len()).await == expected);
            }
        }
    }

    #[tokio::test]
    async fn bursts_of_udp_and_memory_conform() {
        bursts_conform(&Udp).await;
        bursts_conform(&MemoryDatagrams::new()).await;
    }

    async fn conforms(datagrams: &dyn Datagrams) {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (a, b) = (datagrams.bind(any).await.unwrap(), datagrams.bind(any).await.unwrap());
        assert_ne!(a.local_addr(), b.local_addr());
        a.send_to(b"12345", b.local_addr()).await.unwrap();
        let mut buf = [0; 4];
        assert_eq!(b.recv_from(&mut buf).await.unwrap(), (4, a.local_addr()));
        assert_eq!(&buf, b"1234");
        assert!(datagrams.bind(a.local_addr()).await.is_err());
        a.send_to(b"x", "127.0.0.1:9".parse().unwrap()).await.unwrap();
        let at = a.local_addr();
        drop(a);
        datagrams.bind(at).await.unwrap();
    }

    #[tokio::test]
    async fn udp_and_memory_conform() {
        conforms(&Udp).await;
        conforms(&MemoryDatagrams::new()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn faults_follow_from_the_seed() {
        async fn run() -> Vec<u8> {
            let network = MemoryDatagrams::new();
            let any: SocketAddr = "10.0.0.1:0".parse().unwrap();
            let (a, b) = (network.bind(any).await.unwrap(), network.bind(any).await.unwrap());
            let mut faults = DatagramFaults::new(Random::from_seed([3; 32]));
            (faults.drop_ppm, faults.duplicate_ppm) = (300_000, 300_000);
            faults.delay_max = Duration::from_millis(10);
            network.set_faults(Some(faults));
            for n in 0..50u8 {
                a.send_to(&[n], b.local_addr()).await.unwrap();
            }
            let mut got = Vec::new();
            let mut buf = [0; 1];
            while tokio::time::timeout(Duration::from_secs(1), b.recv_from(&mut buf)).await.is_ok() {
                got.push(buf[0]);
            }
            got
        }
        let got = run().await;
        assert_eq!(got, run().await);
        assert!(!got.is_sorted(), "{got:?}");
        assert!((0..50).any(|n| !got.contains(&n)));
    }
}
