//! What the kernel has of a network: asked in each of its namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    AfSpecInet, AfSpecUnspec, InfoData, InfoKind, InfoVxlan, LinkAttribute, LinkExtentMask, LinkFlags,
    LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::found::{Found, FoundKind, FoundLink, FoundNamespace};
use crate::message::{ALL_STATIONS, LOOPBACK, ROUTE_PROTOCOL};
use crate::netlink::Socket;
use crate::{Cidr, NetError, namespace, workers};

/// The namespaces whose names begin with `prefix`, and what is in them.
pub fn observe(prefix: &str) -> Result<Found, NetError> {
    let names = namespace::names(prefix)?;
    let there = names.into_iter().filter(|name| namespace::is_there(name)).collect::<Vec<_>>();
    let found = workers::each(there, |name| {
        namespace::enter(&name)?;
        let found = inside()?;
        Ok((name, found))
    })?;
    Ok(found.into_iter().collect())
}

/// The links of the calling thread's namespace by name, each with its number.
pub fn indices(socket: &Socket) -> Result<BTreeMap<String, u32>, NetError> {
    let links = links(socket)?;
    Ok(links.into_iter().filter_map(|message| Some((name(&message)?, message.header.index))).collect())
}

fn links(socket: &Socket) -> Result<Vec<LinkMessage>, NetError> {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])];
    let all = socket.dump("links", &RouteNetlinkMessage::GetLink(message))?;
    let links = all.into_iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewLink(message) => Some(message),
        _ => None,
    });
    Ok(links.collect())
}

fn name(message: &LinkMessage) -> Option<String> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })
}

/// What is in the calling thread's namespace.
pub fn inside() -> Result<FoundNamespace, NetError> {
    let socket = Socket::open()?;
    let messages = links(&socket)?;
    let names: BTreeMap<u32, String> =
        messages.iter().filter_map(|message| Some((message.header.index, name(message)?))).collect();
    let mut addresses = addresses(&socket)?;
    let has_vxlan = |message: &LinkMessage| matches!(kind(message), FoundKind::Vxlan { .. });
    let mut remotes = if messages.iter().any(has_vxlan) { remotes(&socket)? } else { BTreeMap::new() };
    let mut links = BTreeMap::new();
    for message in &messages {
        let index = message.header.index;
        let Some(name) = names.get(&index) else { continue };
        let (mut mac, mut mtu, mut bridge) = (Vec::new(), 0, None);
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::Address(octets) => mac.clone_from(octets),
                LinkAttribute::Mtu(octets) => mtu = *octets,
                LinkAttribute::Controller(index) => bridge = names.get(index).cloned(),
                _ => {}
            }
        }
        let mut kind = kind(message);
        if let FoundKind::Vxlan { remotes: ends, .. } = &mut kind {
            *ends = remotes.remove(&index).unwrap_or_default();
        }
        let up = message.header.flags.contains(LinkFlags::Up);
        let addresses = addresses.remove(&index).unwrap_or_default();
        links.insert(name.clone(), FoundLink { index, kind, mac, mtu, up, bridge, addresses });
    }
    Ok(FoundNamespace { forwarding: messages.iter().any(forwards), links, routes: routes(&socket)? })
}

/// Whether it is the loopback interface of a namespace that forwards packets. The parameter
/// `net.ipv4.ip_forward` is set for each link too, and a file of `/proc/sys` takes the longer to find the
/// more namespaces have been asked for theirs.
fn forwards(message: &LinkMessage) -> bool {
    let specs = message.attributes.iter().filter_map(|attribute| match attribute {
        LinkAttribute::AfSpecUnspec(specs) if message.header.index == LOOPBACK => Some(specs),
        _ => None,
    });
    let settings = specs.flatten().filter_map(|spec| match spec {
        AfSpecUnspec::Inet(settings) => Some(settings),
        _ => None,
    });
    let forwards =
        |setting: &AfSpecInet| matches!(setting, AfSpecInet::DevConf(conf) if conf.forwarding != 0);
    settings.flatten().any(forwards)
}

fn kind(message: &LinkMessage) -> FoundKind {
    let mut kind = FoundKind::Other;
    let mut peer = 0;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Link(index) => peer = *index,
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    match info {
                        LinkInfo::Kind(InfoKind::Bridge) => kind = FoundKind::Bridge,
                        LinkInfo::Kind(InfoKind::Veth) => kind = FoundKind::Veth { peer: 0 },
                        LinkInfo::Data(InfoData::Vxlan(data)) => kind = vxlan(data),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if let FoundKind::Veth { peer: known } = &mut kind {
        *known = peer;
    }
    kind
}

fn vxlan(data: &[InfoVxlan]) -> FoundKind {
    let (mut id, mut from, mut to) = (0, None, 0);
    for attribute in data {
        match attribute {
            InfoVxlan::Id(vni) => id = *vni,
            InfoVxlan::Local(address) => from = Some(IpAddr::V4(*address)),
            InfoVxlan::Local6(address) => from = Some(IpAddr::V6(*address)),
            InfoVxlan::Port(port) => to = *port,
            _ => {}
        }
    }
    FoundKind::Vxlan { vni: id, local: from, port: to, remotes: BTreeSet::new() }
}

/// Addresses by the number of their link.
fn addresses(socket: &Socket) -> Result<BTreeMap<u32, BTreeSet<Cidr>>, NetError> {
    let mut addresses: BTreeMap<u32, BTreeSet<Cidr>> = BTreeMap::new();
    for message in socket.dump("addresses", &RouteNetlinkMessage::GetAddress(AddressMessage::default()))? {
        let RouteNetlinkMessage::NewAddress(message) = message else { continue };
        let local = message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Local(address) => Some(*address),
            _ => None,
        });
        let address = local.or_else(|| {
            message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Address(address) => Some(*address),
                _ => None,
            })
        });
        if let Some(address) = address {
            let cidr = Cidr { address, length: message.header.prefix_len };
            addresses.entry(message.header.index).or_default().insert(cidr);
        }
    }
    Ok(addresses)
}

/// The routes that we made.
fn routes(socket: &Socket) -> Result<BTreeSet<(Cidr, IpAddr)>, NetError> {
    let mut routes = BTreeSet::new();
    for message in socket.dump("routes", &RouteNetlinkMessage::GetRoute(RouteMessage::default()))? {
        let RouteNetlinkMessage::NewRoute(message) = message else { continue };
        if message.header.protocol != ROUTE_PROTOCOL {
            continue;
        }
        let (mut to, mut via) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(address) => to = ip(address),
                RouteAttribute::Gateway(address) => via = ip(address),
                _ => {}
            }
        }
        let Some(via) = via else { continue };
        // The route to everywhere has no destination.
        let nowhere = match via {
            IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        };
        let length = message.header.destination_prefix_length;
        routes.insert((Cidr { address: to.unwrap_or(nowhere), length }, via));
    }
    Ok(routes)
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

/// The ends that frames to all stations go to, by the number of the VXLAN.
fn remotes(socket: &Socket) -> Result<BTreeMap<u32, BTreeSet<IpAddr>>, NetError> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    let mut remotes: BTreeMap<u32, BTreeSet<IpAddr>> = BTreeMap::new();
    for message in socket.dump("tables of VXLANs", &RouteNetlinkMessage::GetNeighbour(message))? {
        let RouteNetlinkMessage::NewNeighbour(message) = message else { continue };
        let is_all = |attribute: &NeighbourAttribute| matches!(attribute, NeighbourAttribute::LinkLayerAddress(mac) if *mac == ALL_STATIONS);
        if !message.attributes.iter().any(is_all) {
            continue;
        }
        for attribute in &message.attributes {
            let NeighbourAttribute::Destination(address) = attribute else { continue };
            let address = match address {
                NeighbourAddress::Inet(address) => Some(IpAddr::V4(*address)),
                NeighbourAddress::Inet6(address) => Some(IpAddr::V6(*address)),
                NeighbourAddress::Other(octets) => of_octets(octets),
                _ => None,
            };
            remotes.entry(message.header.ifindex).or_default().extend(address);
        }
    }
    Ok(remotes)
}

fn of_octets(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}
