//! The messages of rtnetlink that steps are made of.

use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoKind, InfoVeth, InfoVxlan, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rustix::io::Errno;

use crate::Cidr;
use crate::declared::{End, Vxlan};
use crate::netlink::Request;
use crate::plan::Pair;

/// The protocol that our routes are of, so that they are told from others. No routing daemon has it
/// (`/etc/iproute2/rt_protos`).
pub const ROUTE_PROTOCOL: RouteProtocol = RouteProtocol::Other(84);
/// Every namespace's loopback interface has this number.
pub const LOOPBACK: u32 = 1;
/// Frames to all are sent to the ends that this address stands for in the table of a VXLAN.
pub const ALL_STATIONS: [u8; 6] = [0; 6];

const GONE_LINK: &[i32] = &[Errno::NODEV.raw_os_error()];
const GONE_ADDRESS: &[i32] = &[Errno::ADDRNOTAVAIL.raw_os_error(), Errno::NODEV.raw_os_error()];
const GONE_ROUTE: &[i32] = &[Errno::SRCH.raw_os_error()];
const GONE_REMOTE: &[i32] = &[Errno::NOENT.raw_os_error()];
const THERE_ALREADY: &[i32] = &[Errno::EXIST.raw_os_error()];
const NONE: &[i32] = &[];

fn request(what: String, message: RouteNetlinkMessage, flags: u16, forgiven: &'static [i32]) -> Request {
    Request { what, message, flags, forgiven }
}

fn link(attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes = attributes;
    message
}

fn up(mut message: LinkMessage) -> LinkMessage {
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    message
}

/// A link that is there.
fn existing(index: u32, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = link(attributes);
    message.header.index = index;
    message
}

fn info(kind: InfoKind, data: Option<InfoData>) -> LinkAttribute {
    LinkAttribute::LinkInfo(
        [Some(LinkInfo::Kind(kind)), data.map(LinkInfo::Data)].into_iter().flatten().collect(),
    )
}

/// Makes a bridge, up: when it comes up it looks at each of its ports, of which it has none yet.
pub fn bridge(name: &str, mtu: u32) -> Request {
    let attributes =
        vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::Mtu(mtu), info(InfoKind::Bridge, None)];
    let message = RouteNetlinkMessage::NewLink(up(link(attributes)));
    request(format!("bridge {name}"), message, NLM_F_CREATE | NLM_F_EXCL, NONE)
}

/// Makes a VXLAN inside a namespace. Its packets are those of the namespace that this is sent from.
pub fn vxlan(name: &str, mtu: u32, vxlan: &Vxlan, inside: BorrowedFd<'_>) -> Request {
    let local = match vxlan.local {
        IpAddr::V4(address) => InfoVxlan::Local(address),
        IpAddr::V6(address) => InfoVxlan::Local6(address),
    };
    let data = vec![InfoVxlan::Id(vxlan.vni), local, InfoVxlan::Port(vxlan.port), InfoVxlan::Learning(true)];
    let attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::Mtu(mtu),
        LinkAttribute::NetNsFd(inside.as_raw_fd()),
        info(InfoKind::Vxlan, Some(InfoData::Vxlan(data))),
    ];
    let message = RouteNetlinkMessage::NewLink(link(attributes));
    request(format!("vxlan {name} of {}", vxlan.local), message, NLM_F_CREATE | NLM_F_EXCL, NONE)
}

/// Makes a pair, its ends in place: the near one in the namespace that this is sent from, where its bridge
/// has the number `bridge`; the far one in `inside`.
pub fn pair(near: &End, pair: &Pair, bridge: Option<u32>, inside: BorrowedFd<'_>) -> Request {
    let far = link(vec![
        LinkAttribute::IfName(pair.far.link.clone()),
        LinkAttribute::Mtu(pair.mtu),
        LinkAttribute::Address(pair.far.mac(near).to_vec()),
        LinkAttribute::NetNsFd(inside.as_raw_fd()),
    ]);
    let mut attributes = vec![
        LinkAttribute::IfName(pair.link.clone()),
        LinkAttribute::Mtu(pair.mtu),
        LinkAttribute::Address(near.mac(&pair.far).to_vec()),
        info(InfoKind::Veth, Some(InfoData::Veth(InfoVeth::Peer(far)))),
    ];
    attributes.extend(bridge.map(LinkAttribute::Controller));
    let mut near_end = link(attributes);
    if bridge.is_some() {
        near_end = up(near_end);
    }
    let what = format!("pair {}/{} {}/{}", near.namespace, near.link, pair.far.namespace, pair.far.link);
    request(what, RouteNetlinkMessage::NewLink(near_end), NLM_F_CREATE | NLM_F_EXCL, NONE)
}

/// Makes a pair where this is sent from, both ends with the names that they have later.
pub fn pair_here(near: &End, pair: &Pair) -> Request {
    let end = |name: &str, mac: [u8; 6]| {
        let address = LinkAttribute::Address(mac.to_vec());
        vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::Mtu(pair.mtu), address]
    };
    let far = link(end(&pair.far.link, pair.far.mac(near)));
    let mut attributes = end(&near.link, near.mac(&pair.far));
    attributes.push(info(InfoKind::Veth, Some(InfoData::Veth(InfoVeth::Peer(far)))));
    let message = RouteNetlinkMessage::NewLink(link(attributes));
    request(format!("pair {} {}", near.link, pair.far.link), message, NLM_F_CREATE | NLM_F_EXCL, NONE)
}

/// Moves a link into a namespace.
pub fn moved(name: &str, inside: BorrowedFd<'_>) -> Request {
    let attributes = vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::NetNsFd(inside.as_raw_fd())];
    request(format!("link {name} moved"), RouteNetlinkMessage::SetLink(link(attributes)), 0, NONE)
}

/// Makes the link of a name the port of a bridge.
pub fn port_by_name(name: &str, bridge: u32) -> Request {
    let attributes = vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::Controller(bridge)];
    request(format!("link {name} in its bridge"), RouteNetlinkMessage::SetLink(link(attributes)), 0, NONE)
}

/// Brings the link of a name up.
pub fn up_by_name(name: &str) -> Request {
    let message = up(link(vec![LinkAttribute::IfName(name.to_owned())]));
    request(format!("link {name} up"), RouteNetlinkMessage::SetLink(message), 0, NONE)
}

/// Removes a link.
pub fn remove_link(name: &str) -> Request {
    let message = RouteNetlinkMessage::DelLink(link(vec![LinkAttribute::IfName(name.to_owned())]));
    request(format!("removal of link {name}"), message, 0, GONE_LINK)
}

/// Sets a link's MTU.
pub fn mtu(name: &str, index: u32, mtu: u32) -> Request {
    let message = RouteNetlinkMessage::SetLink(existing(index, vec![LinkAttribute::Mtu(mtu)]));
    request(format!("link {name} mtu {mtu}"), message, 0, NONE)
}

/// Makes a link the port of a bridge, or of none (0).
pub fn port_of(name: &str, index: u32, bridge: u32) -> Request {
    let message = RouteNetlinkMessage::SetLink(existing(index, vec![LinkAttribute::Controller(bridge)]));
    request(format!("link {name} in its bridge"), message, 0, NONE)
}

/// Has the kernel give a link no address of its own. With a thousand links on a bridge, what each would
/// send to all others to see whether it is alone in having it would be millions of packets.
pub fn no_address_of_its_own(name: &str, index: u32) -> Request {
    let spec = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
    let message =
        RouteNetlinkMessage::SetLink(existing(index, vec![LinkAttribute::AfSpecUnspec(vec![spec])]));
    request(format!("link {name} without an address of its own"), message, 0, NONE)
}

/// Brings a link up.
pub fn link_up(name: &str, index: u32) -> Request {
    let message = RouteNetlinkMessage::SetLink(up(existing(index, Vec::new())));
    request(format!("link {name} up"), message, 0, NONE)
}

fn address_message(index: u32, cidr: Cidr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(cidr.address);
    message.header.prefix_len = cidr.length;
    message.header.index = index;
    message.header.scope = match cidr.address {
        IpAddr::V6(address) if address.is_unicast_link_local() => AddressScope::Link,
        _ => AddressScope::Universe,
    };
    message.attributes = vec![AddressAttribute::Local(cidr.address), AddressAttribute::Address(cidr.address)];
    message
}

/// Gives a link an address. The file's check has seen that it is the only one to have it, so the kernel
/// need not ask for seconds.
pub fn address(link: &str, index: u32, cidr: Cidr) -> Request {
    let mut message = address_message(index, cidr);
    if cidr.address.is_ipv6() {
        message.header.flags = AddressHeaderFlags::Nodad;
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    let message = RouteNetlinkMessage::NewAddress(message);
    request(format!("address {cidr} of link {link}"), message, NLM_F_CREATE | NLM_F_EXCL, THERE_ALREADY)
}

/// Takes an address away.
pub fn remove_address(link: &str, index: u32, cidr: Cidr) -> Request {
    let message = RouteNetlinkMessage::DelAddress(address_message(index, cidr));
    request(format!("removal of address {cidr} of link {link}"), message, 0, GONE_ADDRESS)
}

fn route_message(to: Cidr, via: IpAddr) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(via);
    message.header.destination_prefix_length = to.length;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = ROUTE_PROTOCOL;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes =
        vec![RouteAttribute::Destination(to.address.into()), RouteAttribute::Gateway(via.into())];
    message
}

/// A route, in the place of another one to the same network.
pub fn route(to: Cidr, via: IpAddr) -> Request {
    let message = RouteNetlinkMessage::NewRoute(route_message(to, via));
    request(format!("route {to} via {via}"), message, NLM_F_CREATE | NLM_F_REPLACE, NONE)
}

/// Takes a route away.
pub fn remove_route(to: Cidr, via: IpAddr) -> Request {
    let message = RouteNetlinkMessage::DelRoute(route_message(to, via));
    request(format!("removal of route {to} via {via}"), message, 0, GONE_ROUTE)
}

fn remote_message(index: u32, remote: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index;
    message.header.state =
        NeighbourState::Other(u16::from(NeighbourState::Noarp) | u16::from(NeighbourState::Permanent));
    message.header.flags = NeighbourFlags::Own;
    let to = match remote {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    };
    message.attributes = vec![
        NeighbourAttribute::LinkLayerAddress(ALL_STATIONS.to_vec()),
        NeighbourAttribute::Destination(to),
    ];
    message
}

/// One more end that a VXLAN sends frames to all to.
pub fn remote(link: &str, index: u32, remote: IpAddr) -> Request {
    let message = RouteNetlinkMessage::NewNeighbour(remote_message(index, remote));
    request(format!("remote {remote} of link {link}"), message, NLM_F_CREATE | NLM_F_APPEND, THERE_ALREADY)
}

/// One end less.
pub fn remove_remote(link: &str, index: u32, remote: IpAddr) -> Request {
    let message = RouteNetlinkMessage::DelNeighbour(remote_message(index, remote));
    request(format!("removal of remote {remote} of link {link}"), message, 0, GONE_REMOTE)
}

/// The address family of an address.
pub fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}
