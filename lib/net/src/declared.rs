//! What there should be: namespaces with their links, addresses and routes, as a file says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::{Cidr, Name};

/// Every namespace's name begins so.
pub const PREFIX: &str = "tern";

/// A network that a file declares, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: Name,
    /// By their names in `/run/netns`.
    pub namespaces: BTreeMap<String, Namespace>,
    /// By `tenant/endpoint`.
    pub endpoints: BTreeMap<String, Place>,
}

/// Where an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its namespace.
    pub namespace: String,
    /// Whether others are in that too.
    pub shared: bool,
    /// Its own addresses.
    pub own: Own,
}

/// An endpoint's own addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    /// All of them, in the order of the file.
    pub addresses: Vec<IpAddr>,
    /// Which is for which destinations: the longest prefixes first.
    pub sources: Vec<(Cidr, IpAddr)>,
}

impl Own {
    /// Of addresses with the networks that they are in, and routes by neighbours there.
    pub fn of(addresses: &[Cidr], routes: impl IntoIterator<Item = (Cidr, IpAddr)>) -> Self {
        let mut sources: Vec<(Cidr, IpAddr)> =
            addresses.iter().map(|address| (address.network(), address.address)).collect();
        for (to, via) in routes {
            let near = addresses.iter().find(|address| address.contains(via));
            sources.extend(near.map(|address| (to, address.address)));
        }
        // What no route leads to is refused by the kernel; what another one's route leads to goes from here.
        for everywhere in [IpAddr::from([0; 4]), IpAddr::from([0; 16])] {
            let first = addresses.iter().find(|address| address.address.is_ipv4() == everywhere.is_ipv4());
            sources.extend(first.map(|address| (Cidr { address: everywhere, length: 0 }, address.address)));
        }
        // Those of equal length stay in their order: the file's routes before what is left.
        sources.sort_by_key(|(to, _)| std::cmp::Reverse(to.length));
        Self { addresses: addresses.iter().map(|address| address.address).collect(), sources }
    }
}

/// A namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespace {
    /// Whether packets are forwarded between its links.
    pub forwarding: bool,
    /// By name.
    pub links: BTreeMap<String, Link>,
    /// Routes beyond its networks: to where, by which next hop.
    pub routes: BTreeMap<Cidr, IpAddr>,
}

/// A link, which should be up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it is.
    pub kind: Kind,
    /// Octets of a packet.
    pub mtu: u32,
    /// The bridge that it is a port of, in the same namespace.
    pub bridge: Option<String>,
    /// Its addresses.
    pub addresses: BTreeSet<Cidr>,
}

/// What a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A bridge.
    Bridge,
    /// A way to other machines.
    Vxlan(Vxlan),
    /// One end of a veth pair, and the other one.
    Veth(End),
}

/// VXLAN (RFC 7348) to ends that are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vxlan {
    /// VXLAN Network Identifier.
    pub vni: u32,
    /// This end.
    pub local: IpAddr,
    /// UDP port of all ends.
    pub port: u16,
    /// The other ends.
    pub remotes: BTreeSet<IpAddr>,
    /// Namespace of `local`; where we run if there is none.
    pub underlay: Option<String>,
}

/// A link by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct End {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub link: String,
}

impl End {
    /// The MAC address of this end of a cable to `far`. It says which cable that is: the kernel tells no
    /// name of the other end's namespace, and both addresses are there from the pair's first moment.
    pub fn mac(&self, far: &Self) -> [u8; 6] {
        let text = format!("{}/{}>{}/{}", self.namespace, self.link, far.namespace, far.link);
        let [a, b, c, d, e, f, ..] = fnv1a(&text).to_be_bytes();
        // Administered locally, of one station.
        [a & !0b11 | 0b10, b, c, d, e, f]
    }
}

/// Begins the names of all namespaces of a network: `tern.lab.`.
pub fn prefix(network: &Name) -> String {
    format!("{PREFIX}.{network}.")
}

/// The namespace of a tenant's bridges.
pub fn switch(network: &Name, tenant: &Name) -> String {
    format!("{}{tenant}", prefix(network))
}

/// The namespace of endpoints.
pub fn namespace(network: &Name, tenant: &Name, name: &str) -> String {
    format!("{}.{name}", switch(network, tenant))
}

/// The port of a network's bridge to the endpoints' namespace `name`. Interface names are short: one that
/// would be longer is a hash, which has no dot in it.
pub fn port(network: &Name, name: &str) -> String {
    let readable = format!("{network}.{name}");
    if readable.len() <= crate::name::NAME_MAX {
        readable
    } else {
        format!("h{:012x}", fnv1a(&readable) & 0xffff_ffff_ffff)
    }
}

/// FNV-1a with 64 bits: names stay the same from build to build.
pub fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_published_vectors() {
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn names_of_ports_fit_and_differ() {
        let network: Name = "n3".parse().unwrap();
        assert_eq!(port(&network, "ue-1"), "n3.ue-1");
        let names: BTreeSet<String> =
            (0..10_000).map(|n| port(&network, &format!("long-name-{n}"))).collect();
        assert_eq!(names.len(), 10_000);
        assert!(names.iter().all(|name| name.len() <= 15), "{names:?}");
    }

    #[test]
    fn a_mac_address_says_both_ends() {
        let end = |namespace: &str| End { namespace: namespace.to_owned(), link: "n3".to_owned() };
        let (a, b, c) = (end("a"), end("b"), end("c"));
        assert_eq!(a.mac(&b)[0] & 0b11, 0b10);
        assert_eq!(a.mac(&b), a.mac(&b));
        assert!(a.mac(&b) != b.mac(&a) && a.mac(&b) != a.mac(&c));
    }
}
