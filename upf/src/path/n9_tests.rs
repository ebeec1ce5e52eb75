//! A UPF between others: N9 (TS 23.501 §4.2.3), with containers as TS 38.415 §5.5.2 has them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tern_gtpu::{Elements, PduSessionContainer, element};
use tern_pfcp::*;

use super::{DropReason, Peer, ReferencePoint, Verdict};
use crate::config::{Addresses, N9Config};
use crate::testing::*;

/// The UPF nearer to the core.
const ANCHOR_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 40);
const ANCHOR: Peer = Peer::gtpu(IpAddr::V4(ANCHOR_ADDRESS));
const ANCHOR_TEID: u32 = 0xA4C;
const TO_GNB: Verdict = Verdict::ToAccess(GNB);
const TO_ANCHOR: Verdict = Verdict::ToAccess(ANCHOR);

/// What goes uplink leaves in a tunnel to the anchor, what comes from there goes to the gNB.
fn between() -> SessionEstablishmentRequest {
    let mut request = establishment();
    let far = request.create_far[0].forwarding_parameters.as_mut().expect("parameters");
    far.outer_header_creation = Some(OuterHeaderCreation::gtpu_v4(ANCHOR_TEID, ANCHOR_ADDRESS));
    let from_core = &mut request.create_pdr[1].pdi;
    from_core.f_teid = Some(FTeid::Choose { ipv4: true, ipv6: false, choose_id: Some(2) });
    from_core.ue_ip_addresses.clear();
    request
}

/// SEID, and the TEIDs towards the access and the core.
fn session(bench: &mut Bench, request: SessionEstablishmentRequest) -> (u64, u32, u32) {
    let response = bench.establish(request);
    assert_eq!(response.cause, Cause::REQUEST_ACCEPTED, "{response:?}");
    let teid = |at: usize| match response.created_pdr[at].f_teid {
        Some(FTeid::Assigned { teid, .. }) => teid,
        other => panic!("{other:?}"),
    };
    (response.up_f_seid.expect("UP F-SEID").seid, teid(0), teid(1))
}

#[test]
fn when_a_upf_is_between_gnb_and_anchor_then_packets_go_from_tunnel_to_tunnel_each_with_its_container() {
    let mut bench = Bench::new();
    let (_, access, core) = session(&mut bench, between());
    assert_ne!(access, core);
    let up = udp(UE, SERVER, (1, 2), 60);
    let (verdict, sent) = bench.uplink(&gtpu(access, Some(9), &up));
    let sent = tern_gtpu::Packet::parse(&sent).expect("GTP-U");
    assert_eq!((verdict, sent.teid, sent.payload), (TO_ANCHOR, ANCHOR_TEID, &up[..]));
    assert_eq!(sent.container, Some(PduSessionContainer::uplink(9)));
    let down = udp(SERVER, UE, (2, 1), 60);
    let (verdict, sent) = bench.uplink(&gtpu(core, Some(9), &down));
    let sent = tern_gtpu::Packet::parse(&sent).expect("GTP-U");
    assert_eq!((verdict, sent.teid, sent.payload), (TO_GNB, GNB_TEID, &down[..]));
    assert_eq!(sent.container, Some(PduSessionContainer::downlink(9)));
}

/// The QFI is the QER's, if one has it.
#[test]
fn when_no_qer_has_a_qfi_then_that_of_the_tunnel_before_is_kept() {
    let mut bench = Bench::new();
    let mut request = between();
    request.create_qer[0].qfi = None;
    let (_, access, core) = session(&mut bench, request);
    for (teid, packet, container) in [
        (access, udp(UE, SERVER, (1, 2), 60), Some(PduSessionContainer::uplink(5))),
        (core, udp(SERVER, UE, (2, 1), 60), Some(PduSessionContainer::downlink(5))),
    ] {
        let (_, sent) = bench.uplink(&gtpu(teid, Some(5), &packet));
        assert_eq!(tern_gtpu::Packet::parse(&sent).expect("GTP-U").container, container);
    }
}

#[test]
fn when_a_packet_comes_by_one_side_then_the_rules_of_the_other_do_not_take_it() {
    let mut bench = Bench::new();
    let mut request = between();
    // The same session has a data network of its own: N6 beside N9, of the same UE.
    let mut local = downlink_pdr(3, 1, 3);
    local.far_id = Some(FarId(2));
    request.create_pdr.push(local);
    let (_, access, core) = session(&mut bench, request);
    assert_eq!(bench.downlink(&udp(SERVER, UE, (2, 1), 60)).0, TO_GNB);
    // From the core nothing is the UE's to send, from the access nothing is another's.
    let foreign = udp(SERVER, UE, (2, 1), 60);
    let spoofed = Verdict::Drop(DropReason::SpoofedSource);
    assert_eq!(bench.uplink(&gtpu(access, Some(9), &foreign)).0, spoofed);
    assert_eq!(bench.uplink(&gtpu(core, Some(9), &foreign)).0, TO_GNB);
    // A rule for N6 alone does not take what came by a tunnel.
    let mut alone = between();
    alone.create_pdr[1].pdi.sdf_filters = vec![SdfFilter::flow("permit out 17 from any 99 to any")];
    let mut local = downlink_pdr(3, 1, 3);
    local.far_id = Some(FarId(2));
    alone.create_pdr.push(local);
    let mut bench = Bench::new();
    let (_, _, core) = session(&mut bench, alone);
    assert_eq!(bench.uplink(&gtpu(core, Some(9), &foreign)).0, Verdict::Drop(DropReason::NoRule));
}

#[test]
fn when_a_tunnel_is_said_to_have_two_sides_then_the_rule_is_refused() {
    let mut bench = Bench::new();
    let mut request = between();
    request.create_pdr[1].pdi.f_teid = request.create_pdr[0].pdi.f_teid;
    let response = bench.establish(request);
    assert_eq!((response.cause, response.offending_ie), (Cause(73), Some(OffendingIe(21))));
}

/// The UE is idle: what comes by N9 waits, and goes by the rule of its tunnel when it may.
#[test]
fn when_packets_of_n9_are_buffered_then_they_wait_with_the_tunnel_that_they_came_by() {
    let mut bench = Bench::new();
    let mut request = between();
    request.create_far[1].apply_action = ApplyAction(ApplyAction::BUFF.0 | ApplyAction::NOCP.0);
    let (_, _, core) = session(&mut bench, request);
    let down = udp(SERVER, UE, (2, 1), 60);
    // The container's QFI makes a header of 16 octets; what is behind the packet is not kept.
    let padded = [&down[..], &[0; 7]].concat();
    assert_eq!(bench.uplink(&gtpu(core, Some(9), &padded)).0, Verdict::Buffered);
    assert_eq!(bench.reports.len(), 1);
    let waiting = bench.published[0].state.take();
    let [(side, datagram)] = waiting.as_slices().0 else { panic!("{waiting:?}") };
    assert_eq!((*side, &datagram[..]), (super::Side::Access, &gtpu(core, Some(9), &down)[..]));
}

const N9_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 19);
const N9: ReferencePoint = ReferencePoint::N9;

/// With an address and a network instance of N9.
fn with_n9() -> Bench {
    Bench::with(|config| {
        let (address, network_instance) = (N9_ADDRESS.into(), Some("n9.example".to_owned()));
        config.n9 = Some(N9Config { address, network_instance, link: None });
        config.validate().expect("valid");
    })
}

/// The IPv4 addresses of the F-TEIDs of a session's PDRs.
fn addresses(response: &SessionEstablishmentResponse) -> Vec<Option<Ipv4Addr>> {
    let address = |created: &CreatedPdr| match created.f_teid {
        Some(FTeid::Assigned { ipv4, .. }) => ipv4,
        _ => None,
    };
    response.created_pdr.iter().map(address).collect()
}

#[test]
fn when_n9_has_an_address_then_its_f_teids_have_it_and_packets_leave_from_there() {
    let mut bench = with_n9();
    let response = bench.establish(between());
    let n3 = Ipv4Addr::new(127, 0, 0, 18);
    assert_eq!(addresses(&response), [Some(n3), Some(N9_ADDRESS)]);
    bench.delete(response.up_f_seid.expect("UP F-SEID").seid);
    let (_, access, core) = session(&mut bench, between());
    let up = udp(UE, SERVER, (1, 2), 60);
    assert_eq!(bench.uplink(&gtpu(access, Some(9), &up)).0, Verdict::ToAccess(ANCHOR.on(N9)));
    let down = udp(SERVER, UE, (2, 1), 60);
    assert_eq!(bench.uplink(&gtpu(core, Some(9), &down)).0, TO_GNB);
}

/// At the anchor both N3 and N9 are of the access side: the network instance tells them apart.
#[test]
fn when_a_rule_of_the_access_side_names_the_network_instance_of_n9_then_it_is_of_n9() {
    let mut bench = with_n9();
    let instance = Some(Name::from("N9.example"));
    let mut request = establishment();
    request.create_pdr[0].pdi.network_instance = instance.clone();
    let far = request.create_far[1].forwarding_parameters.as_mut().expect("parameters");
    far.network_instance = instance;
    let response = bench.establish(request);
    assert_eq!(addresses(&response), [Some(N9_ADDRESS)]);
    let down = udp(SERVER, UE, (2, 1), 60);
    assert_eq!(bench.downlink(&down).0, Verdict::ToAccess(GNB.on(N9)));
    // The old tunnel ends where it began.
    let parameters = UpdateForwardingParameters {
        network_instance: Some(Name::from("n3.example")),
        outer_header_creation: Some(OuterHeaderCreation::gtpu_v4(8, ANCHOR_ADDRESS)),
        flags: Some(PfcpSmReqFlags::SNDEM),
        ..Default::default()
    };
    let far =
        UpdateFar { far_id: FarId(2), update_forwarding_parameters: Some(parameters), ..Default::default() };
    let seid = response.up_f_seid.expect("UP F-SEID").seid;
    bench.modify(seid, SessionModificationRequest { update_far: vec![far], ..Default::default() });
    let ends: Vec<Peer> = bench.end_markers.iter().map(|tunnel| tunnel.remote.end).collect();
    assert_eq!((ends, bench.downlink(&down).0), (vec![GNB.on(N9)], TO_ANCHOR));
}

#[test]
fn when_n9_has_no_address_of_the_version_that_is_asked_for_then_the_rule_is_refused_though_n3_has_one() {
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 9, 0, 0, 0, 1);
    let mut bench = Bench::with(|config| {
        let address = Addresses::one(v6.into());
        config.n9 = Some(N9Config { address, network_instance: None, link: None });
    });
    let refused = bench.establish(between());
    let failed = (refused.failed_rule_id, refused.offending_ie);
    assert_eq!(failed, (Some(FailedRuleId::Pdr(PdrId(2))), Some(OffendingIe(21))));
    let mut request = between();
    request.create_pdr[1].pdi.f_teid = Some(FTeid::Choose { ipv4: false, ipv6: true, choose_id: None });
    let refused = bench.establish(request);
    let failed = (refused.failed_rule_id, refused.offending_ie);
    assert_eq!(failed, (Some(FailedRuleId::Far(FarId(1))), Some(OffendingIe(84))));
}

/// TS 29.281 §7.2, §7.3.1: what comes by N9 is answered there.
#[test]
fn when_a_peer_of_n9_asks_or_uses_a_tunnel_that_is_not_there_then_it_is_answered_on_n9() {
    let mut bench = with_n9();
    bench.from = Peer::new(ANCHOR_ADDRESS.into(), 40_000).on(N9);
    let mut request = [0; 12];
    tern_gtpu::echo_request(0x1234, &mut request);
    assert_eq!(bench.uplink(&request).0, Verdict::ToAccess(bench.from));
    let (verdict, bytes) = bench.uplink(&gtpu(0x1234, Some(9), &udp(SERVER, UE, (2, 1), 60)));
    assert_eq!(verdict, Verdict::ToAccess(ANCHOR.on(N9)));
    let answer = tern_gtpu::Packet::parse(&bytes).expect("an error indication");
    let told = Elements::new(answer.payload).find(element::GTPU_PEER_ADDRESS);
    assert_eq!(told, Some(&N9_ADDRESS.octets()[..]));
}

/// With several workers a packet may come while those of before it are still on their way out.
#[test]
fn when_packets_of_n9_still_wait_then_those_that_come_later_by_n9_wait_behind_them() {
    let mut bench = with_n9();
    let mut request = between();
    request.create_far[1].apply_action = ApplyAction::BUFF;
    let (seid, access, core) = session(&mut bench, request);
    let down = |number: u16| gtpu(core, Some(9), &udp(SERVER, UE, (number, 1), 60));
    let come = |bench: &mut Bench, number| bench.uplink(&down(number)).0;
    assert_eq!([come(&mut bench, 0), come(&mut bench, 1)], [Verdict::Buffered; 2]);
    bench.modify(seid, forward_update(ApplyAction::FORW));
    assert_eq!(come(&mut bench, 2), Verdict::Buffered);
    // What the UE sends has nobody to overtake.
    let up = gtpu(access, Some(9), &udp(UE, SERVER, (1, 2), 60));
    assert_eq!(bench.uplink(&up).0, Verdict::ToAccess(ANCHOR.on(N9)));
    let session = bench.published.last().expect("published").clone();
    assert!(session.state.begin_to_send(session.generation));
    let next = || session.state.next(session.generation);
    let mut sent: Vec<_> = next().expect("three wait").into();
    assert_eq!(come(&mut bench, 3), Verdict::Buffered);
    sent.extend(next().expect("one more"));
    assert!(next().is_none());
    // Each as it came, header and all.
    let expected: Vec<_> =
        (0..4).map(|number| (super::Side::Access, down(number).into_boxed_slice())).collect();
    assert_eq!(sent, expected);
    assert_eq!(come(&mut bench, 4), TO_GNB);
}
