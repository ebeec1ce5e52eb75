//! Datagrams: UDP, or memory with faults. N3 and N4 reach the world through them.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tern_types::{Duration, Random};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

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

    /// Where it is bound.
    fn local_addr(&self) -> SocketAddr;
}

/// UDP.
#[derive(Debug, Clone, Copy, Default)]
pub struct Udp;

struct UdpEndpoint {
    socket: UdpSocket,
    at: SocketAddr,
}

impl Datagrams for Udp {
    fn bind(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Arc<dyn Datagram>>> {
        Box::pin(async move {
            let socket = UdpSocket::bind(at).await?;
            let at = socket.local_addr()?;
            Ok(Arc::new(UdpEndpoint { socket, at }) as Arc<dyn Datagram>)
        })
    }
}

impl Datagram for UdpEndpoint {
    fn send_to<'a>(&'a self, data: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move { self.socket.send_to(data, to).await.map(|_| ()) })
    }

    fn recv_from<'a>(&'a self, buf: &'a mut [u8]) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>> {
        Box::pin(self.socket.recv_from(buf))
    }

    fn local_addr(&self) -> SocketAddr {
        self.at
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
