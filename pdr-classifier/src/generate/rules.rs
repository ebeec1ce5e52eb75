//! Rule sets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use super::Rng;
use crate::ethernet::{EthernetFilter, MacAddresses, Tag};
use crate::key::Side;
use crate::pdi::{FTeid, Pdi, Pdr, PdrId, QfiSet, SourceInterface, UeIp};
use crate::region::Masked;
use crate::sdf::{Address, Prefix, Sdf, SdfFilter};

/// The most rules that [`rules`] makes.
pub const RULES_MAX: usize = 100_000;

const UDP: u8 = 17;
const TCP: u8 = 6;
const VOICE_TOS: u32 = 0xB8;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86DD;

/// What the rules of a set look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A flow a rule, uplink and downlink in turn, each pair of one precedence: remote host, ports,
    /// protocol; QFIs uplink. The last pair takes all the rest.
    Qos,
    /// Downlink access control: prefixes of many lengths on both sides, port ranges, protocols, some
    /// classes by ToS mask. The last rule takes all the rest.
    Firewall,
    /// A home gateway with devices behind framed routes: hosts and networks, services by port list.
    Gateway,
    /// Twenty and more lanes, all exact: one table in a tuple space, one partition.
    OneTuple,
    /// A tuple of masks of its own for each rule: the worst case of a tuple space.
    EachItsTuple,
    /// Any two rules overlap in each lane in which they differ: the worst case of PartitionSort.
    Overlapping,
    /// No rule asks anything beyond its interface; they differ in precedence.
    Wildcards,
}

/// Of which IP version a set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    fn address(self, low_bits: u32, rng: &mut Rng) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::from_bits(low_bits).into(),
            Self::V6 => {
                let site = 0x2001_0DB8_u128 << 96 | u128::from(rng.below(1 << 32)) << 64;
                Ipv6Addr::from_bits(site | u128::from(low_bits)).into()
            }
        }
    }

    fn prefix(self, low_bits: u32, length: u8, rng: &mut Rng) -> Address {
        let length = match self {
            Self::V4 => length.min(32),
            Self::V6 => (length * 4).min(128),
        };
        let prefix = Prefix::new(self.address(low_bits, rng), length);
        prefix.map_or(Address::Any, Address::Prefix)
    }

    /// The UE of all sets but gateways' devices.
    fn ue(self, side: Side) -> UeIp {
        match self {
            Self::V4 => UeIp { side, v4: Some(Ipv4Addr::new(10, 45, 0, 2)), v6: None },
            Self::V6 => {
                let prefix = Prefix::new(Ipv6Addr::new(0x2001, 0xDB8, 0x45, 2, 0, 0, 0, 0).into(), 64);
                UeIp { side, v4: None, v6: prefix.ok() }
            }
        }
    }
}

/// A set of up to [`RULES_MAX`] rules, with the IDs 1, 2 and so on, in precedence order.
pub fn rules(shape: Shape, family: Family, count: usize, seed: u64) -> Vec<Pdr> {
    let mut rng = Rng::new(seed);
    let count = count.min(RULES_MAX) as u32;
    let rule = |at: u32| {
        let (precedence, pdi) = match shape {
            Shape::Qos => (at / 2, qos(family, at, at + 2 >= count, &mut rng)),
            Shape::Firewall => (at, firewall(family, at + 1 == count, &mut rng)),
            Shape::Gateway => (at, gateway(family, at, &mut rng)),
            Shape::OneTuple => (at, one_tuple(family, at, &mut rng)),
            Shape::EachItsTuple => (at, each_its_tuple(family, at, &mut rng)),
            Shape::Overlapping => (at, overlapping(at)),
            Shape::Wildcards => (at, Pdi::default()),
        };
        Pdr { id: PdrId(at + 1), precedence, pdi }
    };
    (0..count).map(rule).collect()
}

fn number(value: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(value)
}

fn port(value: u32) -> RangeInclusive<u16> {
    let port = value as u16;
    port..=port
}

fn one_of(rng: &mut Rng, ports: &[u16]) -> Vec<RangeInclusive<u16>> {
    rng.pick(ports).map(|&port| port..=port).into_iter().collect()
}

/// The rule without a flow: of the tunnel uplink, to the UE downlink.
fn session(family: Family, uplink: bool) -> Pdi {
    if uplink {
        let tunnel = FTeid { address: number(0), teid: 0x0100_0001 };
        Pdi { f_teids: vec![tunnel], network_instance: Some(number(0)), ..Pdi::default() }
    } else {
        Pdi {
            source_interface: SourceInterface::Core,
            network_instance: Some(number(1)),
            ue_ip: Some(family.ue(Side::Destination)),
            ..Pdi::default()
        }
    }
}

fn qos(family: Family, at: u32, rest: bool, rng: &mut Rng) -> Pdi {
    let uplink = at.is_multiple_of(2);
    let mut pdi = session(family, uplink);
    if rest {
        return pdi;
    }
    let length = if rng.percent(80) { 32 } else { 24 };
    let filter = SdfFilter {
        source: family.prefix(rng.bits() as u32, length, rng),
        source_ports: one_of(rng, &[53, 80, 443, 3478, 5060, 8080]),
        destination: if uplink { Address::Any } else { Address::Assigned },
        destination_ports: if rng.percent(50) { vec![port(rng.between(1024, 65535))] } else { Vec::new() },
        protocol: Some(if rng.percent(60) { UDP } else { TCP }),
        ..SdfFilter::default()
    };
    if uplink {
        let first = rng.between(1, 40) as u8;
        pdi.qfis = QfiSet::new(&[first, first + rng.between(0, 3) as u8]).unwrap_or_default();
    }
    pdi.sdf_filters = vec![Sdf::Filter(if uplink { filter.reversed() } else { filter })];
    pdi
}

fn firewall(family: Family, rest: bool, rng: &mut Rng) -> Pdi {
    let mut pdi = session(family, false);
    if rest {
        return pdi;
    }
    let ports = |rng: &mut Rng| match rng.below(10) {
        0..3 => Vec::new(),
        3 => vec![0..=1023],
        4 => vec![1024..=65535],
        5 => {
            let first = rng.between(1024, 60_000) as u16;
            vec![first..=first + rng.between(1, 999) as u16]
        }
        _ => one_of(rng, &[22, 25, 53, 80, 110, 123, 143, 443, 993, 1433, 3306, 3389, 8080]),
    };
    let length = *rng.pick(&[32, 32, 32, 28, 24, 24, 20, 16, 8]).unwrap_or(&32);
    let filter = SdfFilter {
        source: family.prefix(rng.bits() as u32, length, rng),
        destination: if rng.percent(50) { Address::Assigned } else { Address::Any },
        source_ports: if rng.percent(20) { ports(rng) } else { Vec::new() },
        destination_ports: ports(rng),
        protocol: rng.pick(&[Some(TCP), Some(TCP), Some(UDP), Some(1), None]).copied().flatten(),
        tos: rng.percent(5).then(|| Masked::new(VOICE_TOS, 0xFC)),
        ..SdfFilter::default()
    };
    pdi.sdf_filters = vec![Sdf::Filter(filter)];
    pdi
}

fn gateway(family: Family, at: u32, rng: &mut Rng) -> Pdi {
    let uplink = at.is_multiple_of(2);
    let mut pdi = session(family, uplink);
    // One device or its whole network, of a home of 65,536 addresses.
    let device = Ipv4Addr::new(192, 168, 0, 0).to_bits() | rng.below(1 << 16) as u32;
    let length = if rng.percent(85) { 32 } else { 24 };
    if let Address::Prefix(route) = family.prefix(device, length, rng) {
        pdi.ue_ip = None;
        pdi.framed_routes = vec![route];
    }
    let services: [&[RangeInclusive<u16>]; 5] = [&[], &[], &[80..=80, 443..=443], &[53..=53], &[5000..=5999]];
    let remote_ports = rng.pick(&services).map(|ports| ports.to_vec()).unwrap_or_default();
    let filter = SdfFilter {
        source_ports: remote_ports,
        protocol: rng.pick(&[None, Some(TCP), Some(UDP)]).copied().flatten(),
        tos: rng.percent(10).then(|| Masked::new(VOICE_TOS, 0xFC)),
        ..SdfFilter::default()
    };
    pdi.sdf_filters = vec![Sdf::Filter(if uplink { filter.reversed() } else { filter })];
    pdi
}

fn one_tuple(family: Family, at: u32, rng: &mut Rng) -> Pdi {
    let filter = SdfFilter {
        source: Address::Prefix(family.address(at, rng).into()),
        destination: Address::Prefix(family.address(at.rotate_left(16), rng).into()),
        source_ports: vec![port(at)],
        destination_ports: vec![port(at / 7)],
        protocol: Some(UDP),
        tos: Some(Masked::new(at, 0xFF)),
        spi: None,
        flow_label: (family == Family::V6).then_some(at),
    };
    let mac = |side: u64| Some((side << 32 | u64::from(at))..=(side << 32 | u64::from(at)));
    let ethernet = EthernetFilter {
        addresses: vec![MacAddresses { source: mac(2), destination: mac(4) }],
        ethertype: Some(if family == Family::V4 { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 }),
        c_tag: Some(Tag { priority: Some(1), drop_eligible: Some(false), vlan: Some(at as u16) }),
        s_tag: Some(Tag { priority: Some(2), drop_eligible: Some(false), vlan: Some(at as u16) }),
        sdf_filters: vec![Sdf::Filter(filter)],
    };
    Pdi {
        source_interface_type: Some((at % 4) as u8),
        f_teids: vec![FTeid { address: number(0), teid: at }],
        network_instance: Some(number(at % 3)),
        traffic_endpoints: vec![at as u8],
        application: Some(number(at)),
        ethernet_pdu_session: true,
        ethernet_filters: vec![ethernet],
        qfis: QfiSet::new(&[(at % 64) as u8]).unwrap_or_default(),
        mbs_session: Some(number(at)),
        ..Pdi::default()
    }
}

fn each_its_tuple(family: Family, at: u32, rng: &mut Rng) -> Pdi {
    // Prefixes of all lengths on both sides, then port ranges of all powers of two.
    let (source, rest) = (at % 33, at / 33);
    let (destination, rest) = (rest % 33, rest / 33);
    let ports = |power: u32| vec![0..=u16::MAX.checked_shr(power).unwrap_or(0)];
    let filter = SdfFilter {
        source: family.prefix(rng.bits() as u32, source as u8, rng),
        destination: family.prefix(rng.bits() as u32, destination as u8, rng),
        source_ports: ports(rest % 17),
        destination_ports: ports(rest / 17),
        ..SdfFilter::default()
    };
    // The tunnel keeps the rules apart, and has the same mask in all.
    let tunnel = FTeid { address: number(0), teid: at };
    Pdi { f_teids: vec![tunnel], sdf_filters: vec![Sdf::Filter(filter)], ..Pdi::default() }
}

fn overlapping(at: u32) -> Pdi {
    // Each range is inside those before it.
    let nested = |depth: u32| vec![depth as u16..=u16::MAX - depth as u16];
    let filter = SdfFilter {
        source_ports: nested(at % 0x8000),
        destination_ports: nested(at / 0x8000),
        ..SdfFilter::default()
    };
    Pdi { sdf_filters: vec![Sdf::Filter(filter)], ..Pdi::default() }
}
