//! All input and output of the simulator, so that it runs over sockets and in simulation alike.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use tern_sctp::SctpBackend;
use tern_types::Random;
use tokio::net::UdpSocket;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Makes the endpoints of N3.
pub trait Datagrams: Send + Sync {
    /// An endpoint at this address and port.
    fn bind(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Arc<dyn Datagram>>>;
}

/// An endpoint of N3.
pub trait Datagram: Send + Sync {
    /// Sends one datagram.
    fn send_to<'a>(&'a self, data: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>>;

    /// Receives one datagram, cut to `buffer`: its length and its sender. Cancel safe.
    fn recv_from<'a>(&'a self, buffer: &'a mut [u8]) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>>;
}

/// Makes the devices through which programs use sessions.
pub trait Tuns: Send + Sync {
    /// A device of this name for a UE with this address.
    fn create(&self, name: &str, address: Ipv4Addr, mtu: u16) -> io::Result<Arc<dyn Tun>>;
}

/// A device through which programs use a session: IP packets without any header.
pub trait Tun: Send + Sync {
    /// The next packet that a program sent. Cancel safe.
    fn recv<'a>(&'a self, buffer: &'a mut [u8]) -> BoxFuture<'a, io::Result<usize>>;

    /// Gives a packet to the programs.
    fn send<'a>(&'a self, packet: &'a [u8]) -> BoxFuture<'a, io::Result<()>>;
}

/// Everything the simulator reaches the world through. Time is tokio's.
#[derive(Clone)]
pub struct SimEnv {
    /// N2.
    pub sctp: Arc<dyn SctpBackend>,
    /// N3.
    pub n3: Arc<dyn Datagrams>,
    /// TUN devices; `None` where there are none.
    pub tun: Option<Arc<dyn Tuns>>,
    /// Randomness: ephemeral keys, TEIDs, arrival times.
    pub random: Random,
    /// Becomes true when the user wants the run to end.
    pub stop: tokio::sync::watch::Receiver<bool>,
}

impl SimEnv {
    /// Sockets and TUN devices of this host.
    pub fn real(
        sctp: Arc<dyn SctpBackend>,
        random: Random,
        stop: tokio::sync::watch::Receiver<bool>,
    ) -> Self {
        Self { sctp, n3: Arc::new(Udp), tun: Some(Arc::new(crate::tun::HostTuns)), random, stop }
    }

    /// As [`SimEnv::real`] with N2 and N3 given, without TUN devices, never stopped.
    pub fn new(sctp: Arc<dyn SctpBackend>, n3: Arc<dyn Datagrams>, random: Random) -> Self {
        let (_, stop) = tokio::sync::watch::channel(false);
        Self { sctp, n3, tun: None, random, stop }
    }
}

impl fmt::Debug for SimEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimEnv").field("sctp", &self.sctp).finish_non_exhaustive()
    }
}

/// UDP sockets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Udp;

impl Datagrams for Udp {
    fn bind(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Arc<dyn Datagram>>> {
        Box::pin(async move {
            let socket = UdpSocket::bind(at).await?;
            Ok(Arc::new(socket) as Arc<dyn Datagram>)
        })
    }
}

impl Datagram for UdpSocket {
    fn send_to<'a>(&'a self, data: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move { UdpSocket::send_to(self, data, to).await.map(drop) })
    }

    fn recv_from<'a>(&'a self, buffer: &'a mut [u8]) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>> {
        Box::pin(UdpSocket::recv_from(self, buffer))
    }
}
