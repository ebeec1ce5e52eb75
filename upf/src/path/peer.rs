//! Who is at the other end of a tunnel.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Which of our addresses a tunnel ends at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReferencePoint {
    /// Towards gNBs, and towards UPFs if N9 has no addresses of its own.
    #[default]
    N3,
    /// Towards other UPFs.
    N9,
}

/// A GTP-U peer. Each packet carries one, so it has 20 octets, where a [`SocketAddr`] has 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Its UDP port.
    pub port: u16,
    /// Which interface of ours it talks to.
    pub at: ReferencePoint,
}

impl Peer {
    /// The sender of what does not come from a peer.
    pub const NOBODY: Self = Self::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

    /// At this address and port, on N3.
    pub const fn new(address: IpAddr, port: u16) -> Self {
        Self { address, port, at: ReferencePoint::N3 }
    }

    /// Where this address receives what tunnels carry (TS 29.281 §4.4.2.3), on N3.
    pub const fn gtpu(address: IpAddr) -> Self {
        Self::new(address, tern_gtpu::PORT)
    }

    /// The same on this interface.
    pub const fn on(self, at: ReferencePoint) -> Self {
        Self { at, ..self }
    }
}

impl From<SocketAddr> for Peer {
    fn from(at: SocketAddr) -> Self {
        Self::new(at.ip(), at.port())
    }
}

impl From<Peer> for SocketAddr {
    fn from(peer: Peer) -> Self {
        Self::new(peer.address, peer.port)
    }
}

const _: () = assert!(size_of::<Peer>() == 20, "a peer grows with each packet that carries it");
