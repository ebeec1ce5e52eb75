//! Rules of every kind of field, from so few values that they often meet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use pdr_classifier::generate::Rng;
use pdr_classifier::{
    Address, EthernetFilter, FTeid, Filters, IngressTunnel, Key, Lane, MacAddresses, Masked, MulticastFlows,
    MulticastGroups, Pdi, Prefix, QfiSet, RedundantTransmission, Sdf, SdfFilter, Side, SourceInterface, Tag,
    UeIp,
};

const INTERFACES: [SourceInterface; 2] = [SourceInterface::Access, SourceInterface::Core];

/// The bidirectional filters that rules refer to.
pub fn shared(rng: &mut Rng) -> (Vec<(u32, SdfFilter)>, Filters) {
    let list: Vec<_> = (0..4).map(|id| (id, filter(rng, false))).collect();
    let mut filters = Filters::new();
    for (id, filter) in &list {
        filters.define(*id, filter.clone()).unwrap();
    }
    (list, filters)
}

fn maybe<T>(rng: &mut Rng, percent: u64, value: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    rng.percent(percent).then(|| value(rng))
}

fn some_of<T>(rng: &mut Rng, most: u64, value: impl Fn(&mut Rng) -> T) -> Vec<T> {
    (0..rng.below(most + 1)).map(|_| value(rng)).collect()
}

fn number(rng: &mut Rng) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(rng.below(3) as u32)
}

fn v4(rng: &mut Rng) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, rng.below(3) as u8, rng.below(6) as u8)
}

/// Differs in any of its four lanes.
fn v6(rng: &mut Rng) -> Ipv6Addr {
    let part = |rng: &mut Rng| rng.below(2) as u16;
    Ipv6Addr::new(0x2001, part(rng), part(rng), 0, 0, part(rng), 0, part(rng))
}

fn group_v4(rng: &mut Rng) -> Ipv4Addr {
    Ipv4Addr::new(*rng.pick(&[223, 224, 239, 239]).unwrap(), 0, 0, rng.below(4) as u8)
}

/// On both sides of what ends a lane.
fn group_v6(rng: &mut Rng) -> Ipv6Addr {
    let part = |rng: &mut Rng| *rng.pick(&[0, 1, 0xFFFF]).unwrap();
    Ipv6Addr::new(0xFF3E, part(rng), part(rng), part(rng), 0, 0, part(rng), part(rng))
}

fn multicast(rng: &mut Rng) -> MulticastFlows {
    let groups = match rng.below(5) {
        0 => MulticastGroups::Any,
        1 => MulticastGroups::V4(RangeInclusive::new(group_v4(rng), group_v4(rng))),
        2 => {
            let group = group_v4(rng);
            MulticastGroups::V4(group..=group)
        }
        _ => MulticastGroups::V6(RangeInclusive::new(group_v6(rng), group_v6(rng))),
    };
    MulticastFlows { groups, sources: some_of(rng, 2, prefix) }
}

fn f_teid(rng: &mut Rng) -> FTeid {
    FTeid { address: number(rng), teid: rng.below(3) as u32 }
}

fn redundant(rng: &mut Rng) -> RedundantTransmission {
    RedundantTransmission { f_teid: f_teid(rng), network_instance: maybe(rng, 50, number) }
}

fn address(rng: &mut Rng) -> IpAddr {
    if rng.percent(60) { v4(rng).into() } else { v6(rng).into() }
}

fn prefix(rng: &mut Rng) -> Prefix {
    let address = address(rng);
    let lengths: &[u8] = if address.is_ipv4() {
        &[0, 8, 22, 24, 30, 31, 32, 32]
    } else {
        &[0, 31, 32, 48, 64, 95, 96, 128, 128]
    };
    Prefix::new(address, *rng.pick(lengths).unwrap()).unwrap()
}

fn end(rng: &mut Rng, assigned: bool) -> Address {
    match rng.below(10) {
        0..3 => Address::Any,
        3 | 4 if assigned => Address::Assigned,
        _ => Address::Prefix(prefix(rng)),
    }
}

fn ports(rng: &mut Rng) -> Vec<RangeInclusive<u16>> {
    if rng.percent(50) {
        return Vec::new();
    }
    some_of(rng, 3, |rng| {
        let first = rng.below(12) as u16;
        match rng.below(8) {
            0 => 0..=u16::MAX,
            1 => u16::MAX - first..=u16::MAX,
            // Now and then one that ends before it begins.
            2 => RangeInclusive::new(first, rng.below(12) as u16),
            3..5 => first..=first + rng.below(6) as u16,
            _ => first..=first,
        }
    })
}

fn protocol(rng: &mut Rng) -> u8 {
    *rng.pick(&[1, 6, 17, 50, 51]).unwrap()
}

fn filter(rng: &mut Rng, assigned: bool) -> SdfFilter {
    SdfFilter {
        source: end(rng, assigned),
        destination: end(rng, assigned),
        source_ports: ports(rng),
        destination_ports: ports(rng),
        protocol: maybe(rng, 40, protocol),
        tos: maybe(rng, 20, |rng| Masked::new(rng.below(16) as u32, rng.below(16) as u32)),
        spi: maybe(rng, 8, |rng| rng.below(3) as u32),
        flow_label: maybe(rng, 8, |rng| rng.below(3) as u32),
    }
}

fn sdf(rng: &mut Rng, assigned: bool) -> Sdf {
    if rng.percent(15) { Sdf::Reference(rng.below(4) as u32) } else { Sdf::Filter(filter(rng, assigned)) }
}

fn mac(rng: &mut Rng) -> u64 {
    rng.below(4) << 32 | *rng.pick(&[0, 1, 2, 0xFFFF_FFFE, 0xFFFF_FFFF]).unwrap()
}

fn mac_range(rng: &mut Rng) -> RangeInclusive<u64> {
    let first = mac(rng);
    if rng.percent(50) { first..=first } else { first..=mac(rng) }
}

fn tag(rng: &mut Rng) -> Tag {
    Tag {
        priority: maybe(rng, 40, |rng| rng.below(3) as u8),
        drop_eligible: maybe(rng, 40, |rng| rng.percent(50)),
        vlan: maybe(rng, 60, |rng| rng.below(3) as u16),
    }
}

fn ethernet(rng: &mut Rng, assigned: bool) -> EthernetFilter {
    let addresses = |rng: &mut Rng| MacAddresses {
        source: maybe(rng, 60, mac_range),
        destination: maybe(rng, 60, mac_range),
    };
    let filter = EthernetFilter {
        addresses: some_of(rng, 2, addresses),
        ethertype: maybe(rng, 30, |rng| 0x0800 + rng.below(2) as u16),
        c_tag: maybe(rng, 40, tag),
        s_tag: maybe(rng, 20, tag),
        sdf_filters: some_of(rng, 1, |rng| sdf(rng, assigned)),
    };
    if rng.percent(30) { filter.reversed() } else { filter }
}

fn ue_ip(rng: &mut Rng) -> UeIp {
    let v6 = |rng: &mut Rng| Prefix::new(v6(rng).into(), *rng.pick(&[32, 64, 128]).unwrap()).unwrap();
    UeIp {
        side: if rng.percent(50) { Side::Source } else { Side::Destination },
        v4: Some(v4(rng)),
        v6: maybe(rng, 40, v6),
    }
}

pub fn pdi(rng: &mut Rng) -> Pdi {
    let ue_ip = maybe(rng, 40, ue_ip);
    let assigned = ue_ip.is_some();
    let filters = rng.percent(70);
    let frames = rng.percent(12);
    Pdi {
        source_interface: *rng.pick(&INTERFACES).unwrap(),
        source_interface_type: maybe(rng, 10, |rng| rng.below(3) as u8),
        f_teids: if rng.percent(30) { some_of(rng, 2, f_teid) } else { Vec::new() },
        ingress_tunnels: if rng.percent(10) {
            some_of(rng, 2, |rng| IngressTunnel { address: number(rng), port: rng.below(3) as u16 })
        } else {
            Vec::new()
        },
        redundant_transmission: maybe(rng, 10, redundant),
        network_instance: maybe(rng, 20, number),
        ue_ip,
        traffic_endpoints: if rng.percent(10) {
            some_of(rng, 2, |rng| rng.below(3) as u8)
        } else {
            Vec::new()
        },
        sdf_filters: if filters { some_of(rng, 2, |rng| sdf(rng, assigned)) } else { Vec::new() },
        application: maybe(rng, 10, number),
        ethernet_pdu_session: rng.percent(5),
        ethernet_filters: if frames { some_of(rng, 2, |rng| ethernet(rng, assigned)) } else { Vec::new() },
        qfis: if rng.percent(25) {
            QfiSet::new(&some_of(rng, 4, |rng| *rng.pick(&[0, 1, 2, 5, 62, 63]).unwrap())).unwrap()
        } else {
            QfiSet::default()
        },
        framed_routes: if rng.percent(15) { some_of(rng, 2, prefix) } else { Vec::new() },
        multicast: if rng.percent(15) { some_of(rng, 2, multicast) } else { Vec::new() },
        mbs_session: maybe(rng, 5, number),
    }
}

pub fn key(rng: &mut Rng) -> Key {
    let mut key = Key::new().with(Lane::SourceInterface, *rng.pick(&INTERFACES).unwrap() as u32);
    if rng.percent(30) {
        let octets = |mac: u64| <[u8; 6]>::try_from(&mac.to_be_bytes()[2..]).unwrap();
        key = key.with_macs(octets(mac(rng)), octets(mac(rng)));
        for lane in [Lane::CTag, Lane::STag] {
            if let Some(tag) = maybe(rng, 50, tag) {
                let priority = u32::from(tag.priority.unwrap_or(7)) << 13;
                let eligible = u32::from(tag.drop_eligible.unwrap_or_default()) << 12;
                key.set(lane, priority | eligible | u32::from(tag.vlan.unwrap_or(9)));
            }
        }
        key.set(Lane::Ethertype, 0x0800 + rng.below(2) as u32);
    }
    if rng.percent(95) {
        let (source, destination): (IpAddr, IpAddr) =
            if rng.percent(60) { (v4(rng).into(), v4(rng).into()) } else { (v6(rng).into(), v6(rng).into()) };
        key = key.with_address(Side::Source, source).with_address(Side::Destination, destination);
        if rng.percent(15) {
            let group = if source.is_ipv4() { group_v4(rng).into() } else { group_v6(rng).into() };
            key = key.with_address(Side::Destination, group);
        }
        key.set(Lane::Protocol, u32::from(protocol(rng)));
        key.set(Lane::Tos, rng.below(16) as u32);
    }
    for _ in 0..rng.below(6) {
        perturb(&mut key, rng);
    }
    key
}

/// Gives one lane another value, which it may have or not.
pub fn perturb(key: &mut Key, rng: &mut Rng) {
    let (lane, bound) = *rng
        .pick(&[
            (Lane::SourceInterfaceType, 3),
            (Lane::TunnelAddress, 4),
            (Lane::Teid, 3),
            (Lane::NetworkInstance, 4),
            (Lane::TrafficEndpoint, 3),
            (Lane::Application, 4),
            (Lane::Qfi, 64),
            (Lane::MbsSession, 4),
            (Lane::SourcePort, 14),
            (Lane::DestinationPort, 14),
            (Lane::SourcePort, 65_536),
            (Lane::Spi, 3),
            (Lane::FlowLabel, 3),
            (Lane::Protocol, 60),
            (Lane::Tos, 256),
        ])
        .unwrap();
    key.set(lane, rng.below(bound) as u32);
}
