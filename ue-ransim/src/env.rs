//! All input and output of the simulator, so that it runs over sockets and in simulation alike.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tern_sctp::SctpBackend;
use tern_types::Random;

pub use tern_datagrams::{BoxFuture, Datagram, Datagrams, Udp};

/// Makes the devices through which programs use sessions.
pub trait Tuns: Send + Sync {
    /// A device of this name for a UE with these addresses.
    fn create(&self, name: &str, addresses: &[IpAddr], mtu: u16) -> io::Result<Arc<dyn Tun>>;
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

    /// With each TUN device in a network namespace of its own.
    #[must_use]
    pub fn with_tun_namespaces(mut self) -> Self {
        self.tun = Some(Arc::new(crate::tun::NamespacedTuns));
        self
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
