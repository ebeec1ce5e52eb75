//! Three hosts: gNB with its UE, core, and a host of the data network.
//!
//! ```text
//!   gnb 10.99.2.2 ──n2── 10.99.2.1 core 10.99.6.1 ──n6── 10.99.6.2 dn
//!       10.99.3.2 ──n3── 10.99.3.1      (UEs: 10.45.0.0/16)
//! ```

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use tern_types::{Ipv4Prefix, Ipv6Prefix};

use crate::netns::Netns;

/// The host in the data network.
pub const DN_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 99, 6, 2);
/// The same over IPv6, once it is there.
pub const DN_ADDRESS_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 6, 0, 0, 0, 0, 2);
const N6_CORE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 6, 0, 0, 0, 0, 1);
const N6_CORE_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const DN_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
/// Where the AMF listens.
pub const N2_CORE: Ipv4Addr = Ipv4Addr::new(10, 99, 2, 1);
/// The gNBs' side of N2.
pub const N2_GNB: Ipv4Addr = Ipv4Addr::new(10, 99, 2, 2);
/// The UPF's side of N3.
pub const N3_CORE: Ipv4Addr = Ipv4Addr::new(10, 99, 3, 1);
/// The gNBs' side of N3.
pub const N3_GNB: Ipv4Addr = Ipv4Addr::new(10, 99, 3, 2);
/// The UPF's side of N6.
pub const N6_CORE: Ipv4Addr = Ipv4Addr::new(10, 99, 6, 1);
const UES: Ipv4Prefix = Ipv4Prefix { address: Ipv4Addr::new(10, 45, 0, 0), length: 16 };
const UES_V6: Ipv6Prefix =
    Ipv6Prefix { address: Ipv6Addr::new(0x2001, 0xdb8, 0x45, 0, 0, 0, 0, 0), length: 48 };
/// Room for a GTP-U header around a packet of 1,500 octets.
pub const N3_MTU: u16 = 1600;

/// The namespaces and their cables; removed when dropped.
pub struct Topology {
    /// gNB and UE.
    pub gnb: Netns,
    /// All network functions.
    pub core: Netns,
    /// A host of the data network.
    pub dn: Netns,
}

impl Topology {
    /// Makes the namespaces, cables, addresses and routes.
    pub fn create() -> Result<Self> {
        Self::of(Netns::create("gnb")?, Netns::create("core")?, Netns::create("dn")?)
    }

    /// The same under another name, for several at the same time.
    pub fn create_as(name: &str) -> Result<Self> {
        let netns = |role| Netns::create(&format!("{name}-{role}"));
        Self::of(netns("gnb")?, netns("core")?, netns("dn")?)
    }

    fn of(gnb: Netns, core: Netns, dn: Netns) -> Result<Self> {
        core.connect("n2", link(N2_CORE), &gnb, link(N2_GNB))?;
        core.connect("n3", link(N3_CORE), &gnb, link(N3_GNB))?;
        core.connect("n6", link(N6_CORE), &dn, link(DN_ADDRESS))?;
        for netns in [&core, &gnb] {
            netns.ip(&["link", "set", "n3", "mtu", &N3_MTU.to_string()])?;
        }
        core.sysctl("net.ipv4.ip_forward", "1")?;
        dn.route(UES, N6_CORE)?;
        Ok(Self { gnb, core, dn })
    }
}

impl Topology {
    /// Gives N6 IPv6, with a way to the UEs' prefixes.
    pub fn add_ipv6(&self) -> Result<()> {
        // The kernel asks for the neighbour of what it forwards from a link-local address, and sends nothing
        // while it is not sure of its own: up to two seconds from here.
        let core = [N6_CORE_V6, N6_CORE_LINK_LOCAL].map(|address| (&self.core, address));
        let dn = [DN_ADDRESS_V6, DN_LINK_LOCAL].map(|address| (&self.dn, address));
        for (netns, address) in core.into_iter().chain(dn) {
            netns.ip(&["addr", "add", &format!("{address}/64"), "dev", "n6", "nodad"])?;
        }
        self.core.sysctl("net.ipv6.conf.all.forwarding", "1")?;
        self.dn.ip(&["route", "add", &UES_V6.to_string(), "via", &N6_CORE_V6.to_string()])
    }

    /// Leaves the core's ends of N3 and N6 to a UPF that reads and writes their frames: the kernel has no
    /// address there. A frame must be whole then, with its checksums, so no end leaves them to a device.
    pub fn leave_to_upf(&self) -> Result<()> {
        for (far, link) in [(&self.gnb, "n3"), (&self.dn, "n6")] {
            self.core.ip(&["addr", "flush", "dev", link])?;
            for netns in [&self.core, far] {
                netns.whole_frames(link)?;
            }
        }
        self.core.sysctl("net.ipv4.ip_forward", "0")
    }
}

/// An end of a cable.
fn link(address: Ipv4Addr) -> Ipv4Prefix {
    Ipv4Prefix { address, length: 24 }
}

/// Who has this address in a core that `tern up` started in the topology.
pub fn name_of(address: &str) -> &str {
    match address {
        "127.0.0.1" => "operator",
        "127.0.0.10" => "NRF",
        "127.0.0.11" => "UDR",
        "127.0.0.12" => "UDM",
        "127.0.0.13" => "AUSF",
        "127.0.0.14" => "PCF",
        "127.0.0.15" => "NSSF",
        "127.0.0.16" | "10.99.2.1" => "AMF",
        "127.0.0.17" => "SMF",
        "127.0.0.18" => "UPF",
        "10.99.2.2" => "gNB",
        other => other,
    }
}
