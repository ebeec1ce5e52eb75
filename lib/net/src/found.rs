//! What the kernel has: the namespaces of a network, and what is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::Cidr;

/// Namespaces by their names in `/run/netns`.
pub type Found = BTreeMap<String, FoundNamespace>;

/// A namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundNamespace {
    /// Whether packets are forwarded between its links.
    pub forwarding: bool,
    /// By name.
    pub links: BTreeMap<String, FoundLink>,
    /// Routes that we made.
    pub routes: BTreeSet<(Cidr, IpAddr)>,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLink {
    /// Its number.
    pub index: u32,
    /// What it is.
    pub kind: FoundKind,
    /// MAC address.
    pub mac: Vec<u8>,
    /// Octets of a packet.
    pub mtu: u32,
    /// Whether it is to be up.
    pub up: bool,
    /// Name of the bridge that it is a port of.
    pub bridge: Option<String>,
    /// Its addresses.
    pub addresses: BTreeSet<Cidr>,
}

/// What a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundKind {
    /// A bridge.
    Bridge,
    /// VXLAN.
    Vxlan {
        /// VXLAN Network Identifier.
        vni: u32,
        /// This end.
        local: Option<IpAddr>,
        /// UDP port.
        port: u16,
        /// The ends that frames to all go to.
        remotes: BTreeSet<IpAddr>,
    },
    /// A veth, and the number of the other end in its own namespace.
    Veth {
        /// Zero where it is not known.
        peer: u32,
    },
    /// Loopback, a TUN device of a process inside, …: not ours.
    Other,
}
