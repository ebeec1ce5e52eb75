//! The file that declares a network, as it is written.

use std::net::IpAddr;

use serde::Deserialize;
use tern_config::Spanned;

use crate::{Cidr, Name};

/// Tenants of a file.
pub const TENANTS_MAX: usize = 256;
/// Networks of a tenant.
pub const NETWORKS_MAX: usize = 64;
/// Endpoints of a file, each counted as often as its `count` says.
pub const ENDPOINTS_MAX: usize = 16_384;
/// Links of an endpoint.
pub const LINKS_MAX: usize = 16;
/// Addresses of an endpoint's link.
pub const ADDRESSES_MAX: usize = 16;
/// Routes of an endpoint.
pub const ROUTES_MAX: usize = 64;
/// Other ends of a VXLAN.
pub const REMOTES_MAX: usize = 64;
/// Ports of a bridge: the kernel has ten bits for their number, and none has number 0.
pub const PORTS_MAX: usize = 1_023;
/// Octets of a packet on a link, where nothing else is said.
pub const MTU: u32 = 1_500;
/// What the headers of VXLAN over IPv4 take of it.
pub const VXLAN_OVERHEAD: u32 = 50;
/// The same over IPv6.
pub const VXLAN_OVERHEAD_V6: u32 = 70;
/// UDP port of VXLAN (RFC 7348 §8).
pub const VXLAN_PORT: u16 = 4_789;

/// A network: what `tern net up` makes and `tern net down` removes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Of which the names of its namespaces are made.
    pub name: Name,
    /// Who share no network: their addresses may be the same.
    pub tenants: Vec<Tenant>,
}

/// Networks and endpoints apart from those of others.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Its name, of its own in the file.
    pub name: Spanned<Name>,
    /// What endpoints are linked to.
    #[serde(default)]
    pub networks: Vec<Network>,
    /// Network functions, gNBs, UEs, hosts.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
}

/// A network of a tenant: a bridge, unless it is a cable.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Its name, which is the name of the endpoints' interfaces.
    pub name: Spanned<Name>,
    /// Octets of a packet; 1,500 if it is not said, less what VXLAN takes.
    #[serde(default)]
    pub mtu: Option<Spanned<u32>>,
    /// Two endpoints and nothing between them.
    #[serde(default)]
    pub cable: bool,
    /// The network goes on on other machines.
    #[serde(default)]
    pub vxlan: Option<VxlanFile>,
}

/// How a network goes on on other machines: VXLAN (RFC 7348) with a list of its ends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VxlanFile {
    /// VXLAN Network Identifier, 24 bits.
    pub vni: Spanned<u32>,
    /// This end's address.
    pub local: Spanned<IpAddr>,
    /// The other ends' addresses.
    pub remotes: Vec<Spanned<IpAddr>>,
    /// UDP port of all ends.
    #[serde(default = "vxlan_port")]
    pub port: u16,
    /// Namespace (of `ip netns`) that `local` is in; where `tern` runs if it is not said.
    #[serde(default)]
    pub underlay: Option<Spanned<String>>,
}

fn vxlan_port() -> u16 {
    VXLAN_PORT
}

/// One endpoint, or `count` alike.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its name; with a count the names are `name-1`, `name-2`, ….
    pub name: Spanned<Name>,
    /// How many; the addresses count up.
    #[serde(default)]
    pub count: Option<Spanned<u32>>,
    /// Namespace that it shares with all who name the same; one of its own if none is named.
    #[serde(default)]
    pub namespace: Option<Spanned<Name>>,
    /// Whether it forwards packets between its links.
    #[serde(default)]
    pub forward: bool,
    /// Its links to networks.
    #[serde(default)]
    pub links: Vec<Attachment>,
    /// Its routes beyond its networks.
    #[serde(default)]
    pub routes: Vec<RouteFile>,
}

/// A link of an endpoint.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// To which network.
    pub network: Spanned<Name>,
    /// With which addresses.
    #[serde(default)]
    pub addresses: Vec<Spanned<Cidr>>,
}

/// A route of an endpoint.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteFile {
    /// Where to.
    pub to: Spanned<Cidr>,
    /// The next hop, on one of the endpoint's networks.
    pub via: Spanned<IpAddr>,
}
