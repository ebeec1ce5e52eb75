//! N3 with addresses of IPv6: TS 29.244 §8.2.3, §8.2.56, §8.2.64; TS 29.281 §7.3.1.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tern_gtpu::{Elements, element, message_type};
use tern_pfcp::*;

use crate::config::Addresses;
use crate::path::{Peer, Side, Verdict};
use crate::testing::*;

const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 18);
const OURS6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x18);
const GNB6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 3, 0, 0, 0, 2);
const TO_N6: Verdict = Verdict::ToNetwork(0);

const ONLY_V4: Addresses = Addresses { ipv4: Some(OURS), ipv6: None };
const ONLY_V6: Addresses = Addresses { ipv4: None, ipv6: Some(OURS6) };
const BOTH: Addresses = Addresses { ipv4: Some(OURS), ipv6: Some(OURS6) };

fn bench(addresses: Addresses) -> Bench {
    Bench::with(|config| config.n3.address = addresses)
}

/// The session with an F-TEID of these versions, and a gNB with these addresses.
fn request(asked: (bool, bool), gnb: (Option<Ipv4Addr>, Option<Ipv6Addr>)) -> SessionEstablishmentRequest {
    let mut request = establishment();
    request.create_pdr[0].pdi.f_teid =
        Some(FTeid::Choose { ipv4: asked.0, ipv6: asked.1, choose_id: Some(1) });
    let far = request.create_far[1].forwarding_parameters.as_mut().expect("parameters");
    far.outer_header_creation = Some(OuterHeaderCreation::gtpu(GNB_TEID, gnb.0, gnb.1));
    request
}

/// The usual session over IPv6, and a second PDR with the same F-TEID.
fn session(bench: &mut Bench) -> (u64, u32) {
    bench.from = Peer::new(GNB6.into(), 40_000);
    bench.session_of(request((false, true), (None, Some(GNB6))))
}

#[test]
fn when_an_f_teid_is_asked_for_then_it_has_those_addresses_that_are_asked_for_and_there() {
    let refused = None;
    for (ours, asked, expected) in [
        (ONLY_V4, (true, false), Some(ONLY_V4)),
        (ONLY_V4, (true, true), Some(ONLY_V4)),
        (ONLY_V4, (false, true), refused),
        (ONLY_V6, (false, true), Some(ONLY_V6)),
        (ONLY_V6, (true, true), Some(ONLY_V6)),
        (ONLY_V6, (true, false), refused),
        (BOTH, (true, false), Some(ONLY_V4)),
        (BOTH, (false, true), Some(ONLY_V6)),
        (BOTH, (true, true), Some(BOTH)),
    ] {
        let mut bench = bench(ours);
        let mut request = request(asked, (ours.ipv4.map(|_| GNB_ADDRESS), ours.ipv6.map(|_| GNB6)));
        // Another PDR of the same CHOOSE ID shares it.
        request.create_pdr.push(CreatePdr { pdr_id: PdrId(3), ..request.create_pdr[0].clone() });
        let response = bench.establish(request);
        let Some(expected) = expected else {
            assert_eq!(response.cause, Cause::RULE_CREATION_MODIFICATION_FAILURE, "{ours} {asked:?}");
            assert_eq!((response.offending_ie, bench.core.kept()), (Some(OffendingIe(21)), 0));
            continue;
        };
        let f_teids: Vec<FTeid> = response.created_pdr.iter().filter_map(|created| created.f_teid).collect();
        let [FTeid::Assigned { ipv4, ipv6, .. }, second] = f_teids[..] else { panic!("{response:?}") };
        assert_eq!(Addresses { ipv4, ipv6 }, expected, "{ours} {asked:?}");
        assert_eq!(second, f_teids[0]);
    }
}

#[test]
fn when_another_address_is_advertised_then_it_is_the_one_of_its_version() {
    let nat = Ipv4Addr::new(203, 0, 113, 18);
    let mut bench = Bench::with(|config| {
        config.n3.address = BOTH;
        config.n3.advertise = Some(nat.into());
    });
    let response = bench.establish(request((true, true), (Some(GNB_ADDRESS), None)));
    let Some(FTeid::Assigned { ipv4, ipv6, .. }) = response.created_pdr[0].f_teid else {
        panic!("{response:?}")
    };
    assert_eq!((ipv4, ipv6), (Some(nat), Some(OURS6)));
}

#[test]
fn when_the_gnb_has_an_ipv6_address_then_packets_go_there_and_come_from_there() {
    for removal in [1, 6, 0] {
        let mut bench = bench(BOTH);
        let mut asked = request((true, true), (None, Some(GNB6)));
        asked.create_pdr[0].outer_header_removal = Some(OuterHeaderRemoval::new(removal));
        let (_, teid) = bench.session_of(asked);
        bench.from = Peer::new(GNB6.into(), 40_000);
        assert_eq!(bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (1, 2), 60))).0, TO_N6);
        let (verdict, sent) = bench.downlink(&udp(SERVER, UE, (2, 1), 60));
        assert_eq!(verdict, Verdict::ToAccess(Peer::gtpu(GNB6.into())));
        assert_eq!(tern_gtpu::Packet::parse(&sent).expect("GTP-U").teid, GNB_TEID);
    }
}

/// Of two addresses the UP function may take either.
#[test]
fn when_the_gnb_has_two_addresses_then_packets_go_to_one_whose_version_we_have() {
    let v4 = IpAddr::V4(GNB_ADDRESS);
    for (ours, expected) in [(ONLY_V4, v4), (BOTH, v4), (ONLY_V6, GNB6.into())] {
        let mut bench = bench(ours);
        bench.session_of(request((true, true), (Some(GNB_ADDRESS), Some(GNB6))));
        let (verdict, _) = bench.downlink(&udp(SERVER, UE, (2, 1), 60));
        assert_eq!(verdict, Verdict::ToAccess(Peer::gtpu(expected)));
    }
    for (ours, gnb) in [(ONLY_V4, (None, Some(GNB6))), (ONLY_V6, (Some(GNB_ADDRESS), None))] {
        let response = bench(ours).establish(request((true, true), gnb));
        assert_eq!(response.cause, Cause::RULE_CREATION_MODIFICATION_FAILURE);
        assert_eq!(response.offending_ie, Some(OffendingIe(84)));
    }
}

#[test]
fn when_a_tunnel_over_ipv6_moves_then_the_old_end_gets_the_end_marker() {
    let mut bench = bench(BOTH);
    let (seid, _) = session(&mut bench);
    let parameters = UpdateForwardingParameters {
        outer_header_creation: Some(OuterHeaderCreation::gtpu_v4(8, GNB_ADDRESS)),
        flags: Some(PfcpSmReqFlags::SNDEM),
        ..Default::default()
    };
    let far =
        UpdateFar { far_id: FarId(2), update_forwarding_parameters: Some(parameters), ..Default::default() };
    bench.modify(seid, SessionModificationRequest { update_far: vec![far], ..Default::default() });
    let ends: Vec<_> =
        bench.end_markers.iter().map(|tunnel| (tunnel.teid, tunnel.remote.end.address)).collect();
    assert_eq!(ends, [(GNB_TEID, IpAddr::V6(GNB6))]);
    assert_eq!(bench.downlink(&udp(SERVER, UE, (2, 1), 60)).0, Verdict::ToAccess(GNB));
}

#[test]
fn when_a_gnb_with_ipv6_does_not_know_the_tunnel_then_the_smf_is_told_with_its_address() {
    let mut bench = bench(BOTH);
    session(&mut bench);
    let mut bytes = [0; 40];
    let other = Ipv6Addr::new(0x2001, 0xdb8, 0, 3, 0, 0, 0, 3);
    for (teid, address) in [(GNB_TEID ^ 1, GNB6), (GNB_TEID, other), (GNB_TEID, GNB6)] {
        let length = tern_gtpu::error_indication(teid, address.into(), None, &mut bytes);
        assert_eq!(bench.uplink(&bytes[..length]).0, Verdict::Consumed);
    }
    assert_eq!(bench.reports.len(), 1);
    let report = bench.reports[0].error_indication_report.as_ref().expect("error indication");
    let expected = FTeid::Assigned { teid: GNB_TEID, ipv4: None, ipv6: Some(GNB6) };
    assert_eq!(report.remote_f_teids, [expected]);
}

#[test]
fn when_a_peer_with_ipv6_uses_a_tunnel_that_is_not_there_then_it_is_told_our_ipv6_address() {
    let mut bench = bench(BOTH);
    let (_, teid) = session(&mut bench);
    let user = udp(UE, SERVER, (1, 2), 60);
    for (from, ours) in [(IpAddr::V6(GNB6), &OURS6.octets()[..]), (IpAddr::V4(GNB_ADDRESS), &OURS.octets())] {
        bench.from = Peer::new(from, 40_000);
        let (verdict, bytes) = bench.uplink(&gtpu(teid ^ 1, Some(9), &user));
        // To the port of GTP-U (TS 29.281 §4.4.2.3).
        assert_eq!(verdict, Verdict::ToAccess(Peer::gtpu(from)));
        let answer = tern_gtpu::Packet::parse(&bytes).expect("an error indication");
        assert_eq!((answer.message_type, answer.udp_port), (message_type::ERROR_INDICATION, Some(40_000)));
        assert_eq!(Elements::new(answer.payload).find(element::GTPU_PEER_ADDRESS), Some(ours));
    }
}

#[test]
fn when_a_peer_with_ipv6_asks_for_an_echo_then_it_is_answered_where_it_asks_from() {
    let mut bench = bench(ONLY_V6);
    bench.from = Peer::new(GNB6.into(), 40_000);
    let mut request = [0; 12];
    tern_gtpu::echo_request(0x1234, &mut request);
    let (verdict, bytes) = bench.packet(Side::Access, &request);
    assert_eq!(verdict, Verdict::ToAccess(bench.from));
    assert_eq!(bytes[1], message_type::ECHO_RESPONSE);
}

/// TS 29.244 §5.5.1: what was given away before a restart is given again.
#[test]
fn when_a_session_is_restored_with_an_f_teid_of_ipv6_then_it_has_it_again_if_it_is_ours() {
    let other = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x19);
    for (ipv4, ipv6, accepted) in [
        (Some(OURS), Some(OURS6), true),
        (None, Some(OURS6), true),
        (Some(OURS), Some(other), false),
        (None, Some(other), false),
    ] {
        let mut bench = bench(BOTH);
        let mut asked = request((true, true), (None, Some(GNB6)));
        asked.create_pdr[0].pdi.f_teid = Some(FTeid::Assigned { teid: 77, ipv4, ipv6 });
        asked.flags = Some(PfcpSeReqFlags::RESTI);
        let response = bench.establish(asked);
        assert_eq!(response.cause.is_accepted(), accepted, "{response:?}");
        if accepted {
            assert_eq!(response.created_pdr[0].f_teid, Some(FTeid::Assigned { teid: 77, ipv4, ipv6 }));
            assert_eq!(bench.uplink(&gtpu(77, Some(9), &udp(UE, SERVER, (1, 2), 60))).0, TO_N6);
        }
    }
}
