//! User packets of IPv6 through the rules.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tern_pfcp::*;

use super::flow::{Ends, Flow};
use super::{DropReason, Verdict};
use crate::testing::*;

/// The UE's prefix is 2001:db8:45:2::/64.
pub(crate) const UE6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x45, 2, 0, 0, 0, 9);
pub(crate) const SERVER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 7);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const TO_N6: Verdict = Verdict::ToNetwork(0);
const TO_GNB: Verdict = Verdict::ToAccess(GNB);
const UNKNOWN_UE: Verdict = Verdict::Drop(DropReason::UnknownUe);
const SPOOFED: Verdict = Verdict::Drop(DropReason::SpoofedSource);
const MALFORMED: Verdict = Verdict::Drop(DropReason::MalformedInner);

/// A packet whose payload is of this next header.
pub(crate) fn packet6(ends: (Ipv6Addr, Ipv6Addr), next: u8, payload: &[u8]) -> Vec<u8> {
    // Traffic class 0x28, flow label 0x12345.
    let mut packet = vec![0x62, 0x81, 0x23, 0x45];
    packet.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    packet.extend_from_slice(&[next, 64]);
    packet.extend_from_slice(&ends.0.octets());
    packet.extend_from_slice(&ends.1.octets());
    packet.extend_from_slice(payload);
    packet
}

/// UDP from port 4000 to 53, without data.
const UDP: [u8; 8] = [0x0f, 0xa0, 0, 53, 0, 8, 0, 0];

pub(crate) fn udp6(source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    packet6((source, destination), 17, &UDP)
}

/// A session whose UE has these addresses; in the PDIs of both directions.
pub(crate) fn establishment_of(ue: UeIpAddress) -> SessionEstablishmentRequest {
    let mut request = establishment();
    request.create_pdr[0].pdi.ue_ip_addresses = vec![ue];
    request.create_pdr[1].pdi.ue_ip_addresses = vec![UeIpAddress { destination: true, ..ue }];
    request
}

pub(crate) fn prefix6() -> UeIpAddress {
    UeIpAddress { ipv6: Some(Ipv6Addr::new(0x2001, 0xdb8, 0x45, 2, 0, 0, 0, 0)), ..UeIpAddress::default() }
}

#[test]
fn when_a_ue_has_an_ipv6_prefix_then_all_its_addresses_reach_it_and_no_others() {
    let mut bench = Bench::new();
    let (seid, teid) = bench.session_of(establishment_of(prefix6()));
    let second = Ipv6Addr::from(UE6.to_bits() | 0xffff_0000);
    for ue in [UE6, second] {
        let up = udp6(ue, SERVER6);
        assert_eq!(bench.uplink(&gtpu(teid, Some(9), &up)), (TO_N6, up));
        let (verdict, sent) = bench.downlink(&udp6(SERVER6, ue));
        assert_eq!(verdict, TO_GNB);
        assert_eq!(tern_gtpu::Packet::parse(&sent).expect("GTP-U").payload, udp6(SERVER6, ue));
    }
    let other = Ipv6Addr::from(UE6.to_bits() ^ 1 << 64);
    assert_eq!(bench.downlink(&udp6(SERVER6, other)).0, UNKNOWN_UE);
    assert_eq!(bench.uplink(&gtpu(teid, Some(9), &udp6(other, SERVER6))).0, SPOOFED);
    // It has no IPv4 address.
    assert_eq!(bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (1, 2), 60))).0, SPOOFED);
    bench.delete(seid);
    assert_eq!((bench.downlink(&udp6(SERVER6, UE6)).0, bench.tables.len()), (UNKNOWN_UE, 0));
}

#[test]
fn when_a_ue_has_addresses_of_both_versions_then_both_reach_it() {
    let mut bench = Bench::new();
    let ue = UeIpAddress { ipv4: Some(UE), ..prefix6() };
    let (_, teid) = bench.session_of(establishment_of(ue));
    assert_eq!(bench.uplink(&gtpu(teid, Some(9), &udp6(UE6, SERVER6))).0, TO_N6);
    assert_eq!(bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (1, 2), 60))).0, TO_N6);
    assert_eq!(bench.downlink(&udp6(SERVER6, UE6)).0, TO_GNB);
    assert_eq!(bench.downlink(&udp(SERVER, UE, (2, 1), 60)).0, TO_GNB);
    let other = Ipv4Addr::new(10, 45, 0, 3);
    assert_eq!(bench.uplink(&gtpu(teid, Some(9), &udp(other, SERVER, (1, 2), 60))).0, SPOOFED);
}

/// TS 29.244 §8.2.62: bits that are delegated, or a length.
#[test]
fn when_the_prefix_is_not_of_64_bits_then_it_is_as_long_as_is_said_and_the_longest_is_found() {
    let mut bench = Bench::new();
    let delegated = UeIpAddress { ipv6_delegation_bits: Some(8), ..prefix6() };
    let (_, wide) = bench.session_of(establishment_of(delegated));
    let host = UeIpAddress { ipv6: Some(UE6), ipv6_prefix_length: Some(128), ..prefix6() };
    let mut request = establishment_of(host);
    request.cp_f_seid = FSeid::new(CP_SEID + 1, [127, 0, 0, 17].into());
    let (_, message) = bench.ask(0, request);
    let Message::SessionEstablishmentResponse(response) = message else { panic!("{message:?}") };
    let Some(FTeid::Assigned { teid: narrow, .. }) = response.created_pdr[0].f_teid else { panic!() };
    // 2001:db8:45:ff::9 and the UE of one address, which is in the /56 of the other.
    let far = Ipv6Addr::from(UE6.to_bits() | 0xff << 64);
    let beyond = Ipv6Addr::from(UE6.to_bits() ^ 0x100 << 64);
    assert_eq!(bench.uplink(&gtpu(wide, Some(9), &udp6(far, SERVER6))).0, TO_N6);
    assert_eq!(bench.uplink(&gtpu(wide, Some(9), &udp6(beyond, SERVER6))).0, SPOOFED);
    assert_eq!(bench.uplink(&gtpu(narrow, Some(9), &udp6(UE6, SERVER6))).0, TO_N6);
    assert_eq!(bench.uplink(&gtpu(narrow, Some(9), &udp6(far, SERVER6))).0, SPOOFED);
    assert_eq!(bench.downlink(&udp6(SERVER6, beyond)).0, UNKNOWN_UE);
    let found = |address: Ipv6Addr| {
        let slot = bench.tables.by_prefix(address.into())?;
        bench.tables.session(slot).map(|session| session.teids[0])
    };
    assert_eq!((found(far), found(UE6)), (Some(wide), Some(narrow)));
    for wrong in [
        UeIpAddress { ipv6_delegation_bits: Some(65), ..prefix6() },
        UeIpAddress { ipv6_prefix_length: Some(129), ..prefix6() },
        UeIpAddress { ipv6_prefix_length: Some(0), ..prefix6() },
    ] {
        let response = bench.establish(establishment_of(wrong));
        assert_eq!((response.cause, response.offending_ie), (Cause(73), Some(OffendingIe(93))));
    }
}

/// TS 23.501 §5.8.2.2: router solicitations go to the SMF in a tunnel, and its advertisements come so.
#[test]
fn when_a_ue_solicits_a_router_then_its_rule_takes_it_to_the_smf_and_to_nowhere_else() {
    let smf = Ipv4Addr::new(192, 0, 2, 17);
    let mut request = establishment_of(prefix6());
    let mut solicitations = uplink_pdr(3, 10, 3);
    solicitations.pdi.ue_ip_addresses.clear();
    solicitations.pdi.sdf_filters = vec![SdfFilter::flow("permit out 58 from ff02::2/128 to any")];
    request.create_pdr.push(solicitations);
    let mut to_smf = far_to_gnb(3);
    to_smf.forwarding_parameters = Some(ForwardingParameters {
        destination_interface: Interface::CpFunction,
        outer_header_creation: Some(OuterHeaderCreation::gtpu_v4(0x5151, smf)),
        ..Default::default()
    });
    request.create_far.push(to_smf);
    let mut bench = Bench::new();
    let (_, teid) = bench.session_of(request.clone());
    // RFC 4861 §4.1: from a link-local address or from none.
    for source in [LINK_LOCAL, Ipv6Addr::UNSPECIFIED] {
        let solicitation = packet6((source, ALL_ROUTERS), 58, &[133, 0, 0, 0, 0, 0, 0, 0]);
        let (verdict, sent) = bench.uplink(&gtpu(teid, Some(9), &solicitation));
        let Verdict::ToAccess(peer) = verdict else { panic!("{verdict:?}") };
        let sent = tern_gtpu::Packet::parse(&sent).expect("GTP-U");
        assert_eq!((peer.address, sent.teid, sent.payload), (IpAddr::V4(smf), 0x5151, &solicitation[..]));
        // Nothing of the link leaves it, and nothing says that it is of the link to pass as another.
        let leaves = packet6((source, SERVER6), 58, &[133, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bench.uplink(&gtpu(teid, Some(9), &leaves)).0, SPOOFED);
    }
    request.create_pdr[2].far_id = Some(FarId(1));
    request.cp_f_seid = FSeid::new(CP_SEID + 1, [127, 0, 0, 17].into());
    let (_, message) = bench.ask(0, request);
    let Message::SessionEstablishmentResponse(response) = message else { panic!("{message:?}") };
    let Some(FTeid::Assigned { teid, .. }) = response.created_pdr[0].f_teid else { panic!() };
    let solicitation = packet6((LINK_LOCAL, ALL_ROUTERS), 58, &[133, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bench.uplink(&gtpu(teid, Some(9), &solicitation)).0, SPOOFED, "its FAR leads to N6");
}

#[test]
fn when_filters_name_ipv6_prefixes_label_or_class_then_they_are_looked_at() {
    let blocked = |filter: SdfFilter, packet: &[u8], uplink: bool| {
        let mut request = establishment_of(UeIpAddress { ipv4: Some(UE), ..prefix6() });
        for (id, mut pdr) in [(3, uplink_pdr(3, 1, 3)), (4, downlink_pdr(4, 1, 3))] {
            pdr.pdi.ue_ip_addresses = request.create_pdr[id - 3].pdi.ue_ip_addresses.clone();
            pdr.pdi.sdf_filters = vec![filter.clone()];
            request.create_pdr.push(pdr);
        }
        request.create_far.push(CreateFar { apply_action: ApplyAction::DROP, ..far_to_n6(3) });
        let mut bench = Bench::new();
        let (_, teid) = bench.session_of(request);
        let verdict =
            if uplink { bench.uplink(&gtpu(teid, Some(9), packet)).0 } else { bench.downlink(packet).0 };
        assert!([Verdict::Drop(DropReason::FarDrop), TO_N6, TO_GNB].contains(&verdict), "{verdict:?}");
        verdict == Verdict::Drop(DropReason::FarDrop)
    };
    let (up, down) = (udp6(UE6, SERVER6), udp6(SERVER6, UE6));
    let flow = |text: &str| SdfFilter::flow(text);
    let to_ue = flow("permit out 17 from 2001:db8:ff::/48 to assigned 53");
    assert!(blocked(to_ue.clone(), &down, false) && !blocked(to_ue, &up, true));
    let from_ue = flow("permit out 17 from 2001:db8:ff::/48 53 to assigned");
    assert!(blocked(from_ue.clone(), &up, true) && !blocked(from_ue, &down, false));
    let elsewhere = flow("permit out 17 from 2001:db8:fe::/48 to assigned");
    assert!(!blocked(elsewhere.clone(), &down, false) && !blocked(elsewhere, &up, true));
    // "assigned" is the IPv4 address as well.
    let any = flow("permit out ip from any to assigned");
    assert!(blocked(any.clone(), &udp(SERVER, UE, (2, 1), 60), false) && blocked(any, &down, false));
    for (label, is) in [(0x12345, true), (0x12344, false)] {
        let filter = SdfFilter { flow_label: Some(label), ..SdfFilter::default() };
        assert_eq!(blocked(filter, &up, true), is);
    }
    for (class, is) in [(0x28, true), (0x2c, false)] {
        let filter = SdfFilter { tos_traffic_class: Some([class, 0xFC]), ..SdfFilter::default() };
        assert_eq!(blocked(filter, &down, false), is);
    }
}

/// An extension header of eight octets, in front of the rest.
fn extended(next: u8, rest: &[u8]) -> Vec<u8> {
    [&[next, 0, 0, 0, 0, 0, 0, 0], rest].concat()
}

fn flow(next: u8, payload: &[u8]) -> Result<Flow, DropReason> {
    Flow::parse(&packet6((UE6, SERVER6), next, payload))
}

/// RFC 8200 §4.
#[test]
fn when_extension_headers_come_first_then_what_is_behind_them_is_looked_at() {
    let ports = Some((4000, 53));
    let plain = flow(17, &UDP).expect("sound");
    assert_eq!((plain.ends, plain.tos, plain.total_length), (Ends::V6 { flow_label: 0x12345 }, 0x28, 48));
    // Hop-by-Hop, Destination, Routing, Fragment (the first), Destination: all that there are, in their order.
    let mut first = extended(60, &extended(17, &UDP));
    first[3] = 1;
    let chain = extended(60, &extended(43, &extended(44, &first)));
    for (next, payload) in [(17, UDP.to_vec()), (60, extended(17, &UDP)), (0, chain)] {
        let flow = flow(next, &payload).expect("sound");
        assert_eq!((flow.protocol, flow.ports), (17, ports), "{payload:?}");
    }
    // A later fragment has no ports; nor has what is not looked into.
    let mut later = extended(17, &UDP);
    later[2] = 1;
    assert_eq!(flow(44, &later).map(|flow| (flow.protocol, flow.ports)), Ok((17, None)));
    assert_eq!(flow(59, &UDP).map(|flow| (flow.protocol, flow.ports)), Ok((59, None)));
    // ESP and AH have their SPI at different places (RFC 4303 §2, RFC 4302 §2).
    assert_eq!(flow(50, &[0, 0, 0, 7, 0, 0, 0, 1]).map(|flow| flow.spi), Ok(Some(7)));
    let ah = [&[17, 4, 0, 0, 0, 0, 0, 8][..], &[0; 12], &UDP].concat();
    assert_eq!(flow(51, &ah).map(|flow| (flow.protocol, flow.spi)), Ok((51, Some(8))));
}

#[test]
fn when_a_chain_of_headers_is_cut_off_too_long_or_out_of_order_then_it_is_malformed() {
    let mut bench = Bench::new();
    let (_, teid) = bench.session_of(establishment_of(prefix6()));
    let ends = (UE6, SERVER6);
    let long = (0..9).fold(UDP.to_vec(), |rest, number| extended(if number == 0 { 17 } else { 60 }, &rest));
    let many = (0..180).fold(Vec::new(), |rest: Vec<u8>, _| extended(60, &rest));
    let mut beyond = extended(17, &UDP);
    beyond[1] = 2;
    let second_fragment_header = extended(44, &extended(17, &UDP));
    for (what, next, payload) in [
        ("nothing behind", 60, vec![]),
        ("one octet", 0, vec![17]),
        ("half a header", 43, vec![17, 0, 0, 0]),
        ("longer than the packet", 60, beyond),
        ("half a Fragment header", 44, vec![17, 0, 0, 1]),
        ("two Fragment headers", 44, second_fragment_header),
        ("Hop-by-Hop not first", 60, extended(0, &extended(17, &UDP))),
        ("Hop-by-Hop twice", 0, extended(0, &extended(17, &UDP))),
        ("nine headers", 60, long),
        ("headers without end", 60, many),
    ] {
        let packet = packet6(ends, next, &payload);
        assert_eq!(bench.uplink(&gtpu(teid, Some(9), &packet)).0, MALFORMED, "{what}");
        assert_eq!(bench.downlink(&packet6((SERVER6, UE6), next, &payload)).0, MALFORMED, "{what}");
    }
    let sound = udp6(UE6, SERVER6);
    for length in 0..sound.len() {
        let verdict = bench.uplink(&gtpu(teid, Some(9), &sound[..length])).0;
        assert_eq!(verdict, MALFORMED, "{length} octets");
    }
    // A jumbogram (RFC 2675), and a length beyond the packet.
    let mut jumbo = packet6(ends, 0, &[17, 0, 0xC2, 4, 0, 1, 0, 0]);
    jumbo[4..6].fill(0);
    let mut longer = sound.clone();
    longer[5] += 1;
    for packet in [jumbo, longer] {
        assert_eq!(bench.uplink(&gtpu(teid, Some(9), &packet)).0, MALFORMED);
    }
    // What the link padded is left behind.
    let padded = [&sound[..], &[0; 20]].concat();
    assert_eq!(bench.uplink(&gtpu(teid, Some(9), &padded)), (TO_N6, sound));
}

proptest::proptest! {
    #[test]
    fn any_ipv6_packet_gets_a_verdict(
        next in proptest::prelude::any::<u8>(),
        payload in proptest::collection::vec(proptest::prelude::prop_oneof![
            proptest::prelude::Just(0u8), proptest::prelude::Just(60), proptest::prelude::Just(44),
            proptest::prelude::any::<u8>()], 0..120),
    ) {
        let _ = flow(next, &payload);
    }
}

/// TS 23.501 §5.6.14: networks behind the UE, by the texts of RFC 2865 §5.22 and RFC 3162 §2.5.
#[test]
fn when_networks_are_behind_a_ue_then_the_longest_prefix_leads_to_it_and_its_source_may_be_theirs() {
    let mut bench = Bench::new();
    let framed =
        |texts: &[&str]| texts.iter().map(|text| FramedRoute((*text).to_owned())).collect::<Vec<_>>();
    let mut request = establishment();
    for pdr in &mut request.create_pdr {
        pdr.pdi.framed_routes = framed(&["192.168.0.0/16 10.45.0.2 1", "172.16.0.0"]);
        pdr.pdi.framed_ipv6_routes = framed(&["2001:db8:77::/48 :: 1"]);
        pdr.pdi.framed_routing = Some(FramedRouting(0));
    }
    let (wide_seid, wide) = bench.session_of(request.clone());
    let mut narrow = establishment_of(UeIpAddress::source_v4(Ipv4Addr::new(10, 45, 0, 3)));
    narrow.cp_f_seid = FSeid::new(CP_SEID + 1, [127, 0, 0, 17].into());
    for pdr in &mut narrow.create_pdr {
        pdr.pdi.framed_routes = framed(&["192.168.7.0/24"]);
    }
    let (_, message) = bench.ask(0, narrow);
    assert!(
        matches!(message, Message::SessionEstablishmentResponse(ref response) if response.cause == Cause::REQUEST_ACCEPTED)
    );
    let behind = [Ipv4Addr::new(192, 168, 8, 1), Ipv4Addr::new(172, 16, 9, 9), UE];
    for address in behind {
        assert_eq!(bench.downlink(&udp(SERVER, address, (2, 1), 60)).0, TO_GNB, "{address}");
        assert_eq!(
            bench.uplink(&gtpu(wide, Some(9), &udp(address, SERVER, (1, 2), 60))).0,
            TO_N6,
            "{address}"
        );
    }
    let host6 = Ipv6Addr::new(0x2001, 0xdb8, 0x77, 5, 0, 0, 0, 1);
    assert_eq!(bench.downlink(&udp6(SERVER6, host6)).0, TO_GNB);
    assert_eq!(bench.uplink(&gtpu(wide, Some(9), &udp6(host6, SERVER6))).0, TO_N6);
    // The more particular network is the other UE's.
    let theirs = Ipv4Addr::new(192, 168, 7, 1);
    let slot = bench.tables.by_address(theirs);
    let found = slot.and_then(|slot| bench.tables.session(slot)).map(|session| session.ue_addresses[0]);
    assert_eq!(found, Some(Ipv4Addr::new(10, 45, 0, 3)));
    for address in [Ipv4Addr::new(192, 169, 0, 1), Ipv4Addr::new(172, 17, 0, 1)] {
        assert_eq!(bench.downlink(&udp(SERVER, address, (2, 1), 60)).0, UNKNOWN_UE, "{address}");
        assert_eq!(
            bench.uplink(&gtpu(wide, Some(9), &udp(address, SERVER, (1, 2), 60))).0,
            SPOOFED,
            "{address}"
        );
    }
    bench.delete(wide_seid);
    assert_eq!(bench.downlink(&udp(SERVER, behind[0], (2, 1), 60)).0, UNKNOWN_UE);
    assert_eq!(bench.downlink(&udp(SERVER, theirs, (2, 1), 60)).0, TO_GNB);
    for (texts, ie) in
        [("0.0.0.0/0", 153), ("2001:db8::/32", 153), ("", 153), ("10.0.0.0/33", 153), ("nonsense", 153)]
    {
        let mut wrong = request.clone();
        wrong.create_pdr[1].pdi.framed_routes = framed(&[texts]);
        let response = bench.establish(wrong);
        assert_eq!((response.cause, response.offending_ie), (Cause(73), Some(OffendingIe(ie))), "{texts}");
    }
    request.create_pdr[1].pdi.framed_ipv6_routes = framed(&["10.0.0.0/8"]);
    assert_eq!(bench.establish(request).offending_ie, Some(OffendingIe(155)));
}
