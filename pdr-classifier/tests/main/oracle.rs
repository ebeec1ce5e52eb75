//! What TS 29.244 means, written a second time: each condition of each rule is asked of the packet, with
//! no box, interval or order in between.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use pdr_classifier::{
    Address, EthernetFilter, Key, Lane, MulticastFlows, MulticastGroups, Pdi, Pdr, PdrId, Prefix, Sdf,
    SdfFilter, Side, Tag,
};

/// The first of the rules that the packet matches, whatever order they are in.
pub fn first<'a>(
    pdrs: impl IntoIterator<Item = &'a Pdr>,
    shared: &[(u32, SdfFilter)],
    key: &Key,
) -> Option<PdrId> {
    let matching = pdrs.into_iter().filter(|pdr| matches(&pdr.pdi, shared, key));
    matching.min_by_key(|pdr| (pdr.precedence, pdr.id.0)).map(|pdr| pdr.id)
}

fn matches(pdi: &Pdi, shared: &[(u32, SdfFilter)], key: &Key) -> bool {
    let is = |lane: Lane, value: Option<u32>| value.is_none_or(|value| key.get(lane) == value);
    is(Lane::SourceInterface, Some(pdi.source_interface as u32))
        && is(Lane::SourceInterfaceType, pdi.source_interface_type.map(u32::from))
        && came_in(pdi, key)
        && is(Lane::Application, pdi.application.map(u32::from))
        && is(Lane::MbsSession, pdi.mbs_session.map(u32::from))
        && (!pdi.ethernet_pdu_session || key.get(Lane::Frame) == 1)
        && any(&pdi.traffic_endpoints, |&endpoint| key.get(Lane::TrafficEndpoint) == u32::from(endpoint))
        && qfi_matches(pdi, key)
        && ue_matches(pdi, key)
        && any(&pdi.multicast, |flows| multicast_matches(flows, key))
        && any(&pdi.sdf_filters, |sdf| sdf_matches(sdf, pdi, shared, key))
        && any(&pdi.ethernet_filters, |filter| ethernet_matches(filter, pdi, shared, key))
}

/// By a tunnel of the PDI, or by that of the copies.
fn came_in(pdi: &Pdi, key: &Key) -> bool {
    let by = |address: NonZeroU32, end: u32| {
        key.get(Lane::TunnelAddress) == address.get() && key.get(Lane::Teid) == end
    };
    let instance = |wanted: Option<NonZeroU32>| {
        wanted.is_none_or(|wanted| key.get(Lane::NetworkInstance) == wanted.get())
    };
    let some_tunnel = pdi.f_teids.is_empty() && pdi.ingress_tunnels.is_empty()
        || pdi.f_teids.iter().any(|f_teid| by(f_teid.address, f_teid.teid))
        || pdi.ingress_tunnels.iter().any(|ingress| by(ingress.address, u32::from(ingress.port)));
    let copy = pdi.redundant_transmission.is_some_and(|copies| {
        by(copies.f_teid.address, copies.f_teid.teid)
            && instance(copies.network_instance.or(pdi.network_instance))
    });
    some_tunnel && instance(pdi.network_instance) || copy
}

fn multicast_matches(flows: &MulticastFlows, key: &Key) -> bool {
    let group = match (&flows.groups, address(key, Side::Destination)) {
        (_, None) => false,
        (MulticastGroups::Any, Some(address)) => address.is_multicast(),
        (MulticastGroups::V4(range), Some(IpAddr::V4(address))) => range.contains(&address),
        (MulticastGroups::V6(range), Some(IpAddr::V6(address))) => range.contains(&address),
        _ => false,
    };
    group && any(&flows.sources, |source| within(key, Side::Source, source))
}

fn any<T>(items: &[T], condition: impl Fn(&T) -> bool) -> bool {
    items.is_empty() || items.iter().any(condition)
}

fn qfi_matches(pdi: &Pdi, key: &Key) -> bool {
    let asked = (0..64).any(|qfi| pdi.qfis.contains(qfi));
    !asked || u8::try_from(key.get(Lane::Qfi)).is_ok_and(|qfi| pdi.qfis.contains(qfi))
}

fn address(key: &Key, side: Side) -> Option<IpAddr> {
    let lanes = match side {
        Side::Source => [Lane::Source0, Lane::Source1, Lane::Source2, Lane::Source3],
        Side::Destination => [Lane::Destination0, Lane::Destination1, Lane::Destination2, Lane::Destination3],
    };
    match key.get(Lane::IpVersion) {
        4 => Some(Ipv4Addr::from(key.get(lanes[0])).into()),
        6 => {
            let bits = lanes.iter().fold(0, |bits, &lane| bits << 32 | u128::from(key.get(lane)));
            Some(Ipv6Addr::from(bits).into())
        }
        _ => None,
    }
}

fn within(key: &Key, side: Side, prefix: &Prefix) -> bool {
    address(key, side).is_some_and(|address| prefix.contains(address))
}

fn assigned(pdi: &Pdi, key: &Key, side: Side) -> bool {
    let Some(ue_ip) = pdi.ue_ip else { return false };
    let v4 = ue_ip.v4.is_some_and(|v4| address(key, side) == Some(v4.into()));
    v4 || ue_ip.v6.is_some_and(|v6| within(key, side, &v6))
}

fn ue_matches(pdi: &Pdi, key: &Key) -> bool {
    let asks_address = pdi.ue_ip.is_some_and(|ue_ip| ue_ip.v4.is_some() || ue_ip.v6.is_some());
    if !asks_address && pdi.framed_routes.is_empty() {
        return true;
    }
    let side = pdi.ue_side();
    assigned(pdi, key, side) || pdi.framed_routes.iter().any(|route| within(key, side, route))
}

fn sdf_matches(sdf: &Sdf, pdi: &Pdi, shared: &[(u32, SdfFilter)], key: &Key) -> bool {
    match sdf {
        Sdf::Filter(filter) => flow_matches(filter, false, pdi, key),
        Sdf::Reference(id) => {
            shared.iter().any(|(shared, filter)| shared == id && flow_matches(filter, true, pdi, key))
        }
    }
}

fn flow_matches(filter: &SdfFilter, reversed: bool, pdi: &Pdi, key: &Key) -> bool {
    let (source, destination) =
        if reversed { (Side::Destination, Side::Source) } else { (Side::Source, Side::Destination) };
    let on = |side: Side, wanted: &Address| match wanted {
        Address::Any => true,
        Address::Assigned => assigned(pdi, key, side),
        Address::Prefix(prefix) => within(key, side, prefix),
    };
    let port = |side: Side, ranges: &[RangeInclusive<u16>]| {
        let lane = if side == Side::Source { Lane::SourcePort } else { Lane::DestinationPort };
        let port = u16::try_from(key.get(lane)).ok();
        any(ranges, |range| port.is_some_and(|port| range.contains(&port)))
    };
    let protocol = key.get(Lane::Protocol);
    matches!(key.get(Lane::IpVersion), 4 | 6)
        && on(source, &filter.source)
        && on(destination, &filter.destination)
        && port(source, &filter.source_ports)
        && port(destination, &filter.destination_ports)
        && filter.protocol.is_none_or(|wanted| protocol == u32::from(wanted))
        && filter.tos.is_none_or(|tos| key.get(Lane::Tos) < 256 && tos.matches(key.get(Lane::Tos)))
        && filter.spi.is_none_or(|spi| matches!(protocol, 50 | 51) && key.get(Lane::Spi) == spi)
        && filter.flow_label.is_none_or(|label| key.get(Lane::FlowLabel) == label)
}

fn ethernet_matches(filter: &EthernetFilter, pdi: &Pdi, shared: &[(u32, SdfFilter)], key: &Key) -> bool {
    let mac = |high, low| u64::from(key.get(high)) << 32 | u64::from(key.get(low));
    let source = mac(Lane::SourceMacHigh, Lane::SourceMacLow);
    let destination = mac(Lane::DestinationMacHigh, Lane::DestinationMacLow);
    let in_range = |range: &Option<RangeInclusive<u64>>, mac: u64| {
        range.as_ref().is_none_or(|range| range.contains(&mac))
    };
    key.get(Lane::Frame) == 1
        && any(&filter.addresses, |addresses| {
            in_range(&addresses.source, source) && in_range(&addresses.destination, destination)
        })
        && filter.ethertype.is_none_or(|ethertype| key.get(Lane::Ethertype) == u32::from(ethertype))
        && filter.c_tag.is_none_or(|tag| tag_matches(tag, key.get(Lane::CTag)))
        && filter.s_tag.is_none_or(|tag| tag_matches(tag, key.get(Lane::STag)))
        && any(&filter.sdf_filters, |sdf| sdf_matches(sdf, pdi, shared, key))
}

fn tag_matches(wanted: Tag, tag: u32) -> bool {
    if wanted == Tag::default() {
        return true;
    }
    u16::try_from(tag).is_ok_and(|tag| {
        wanted.priority.is_none_or(|priority| tag >> 13 == u16::from(priority))
            && wanted.drop_eligible.is_none_or(|eligible| (tag >> 12 & 1 == 1) == eligible)
            && wanted.vlan.is_none_or(|vlan| tag & 0xFFF == vlan)
    })
}
