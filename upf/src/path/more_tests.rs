//! Markings, copies and redirection, packet by packet.

use std::net::Ipv4Addr;

use tern_pfcp::*;

use super::{DropReason, Verdict};
use crate::testing::*;

const TO_N6: Verdict = Verdict::ToNetwork(0);
const TO_GNB: Verdict = Verdict::ToAccess(GNB);
const PORTAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);

/// The usual session, and what is to be changed in the parameters of one of its FARs.
fn with_parameters(far: usize, change: impl Fn(&mut ForwardingParameters)) -> SessionEstablishmentRequest {
    let mut request = establishment();
    change(request.create_far[far].forwarding_parameters.as_mut().expect("it forwards"));
    request
}

fn marked(value: u8, mask: u8) -> SessionEstablishmentRequest {
    with_parameters(1, |to| to.transport_level_marking = Some(TransportLevelMarking([value, mask])))
}

/// ToS around a downlink packet that has this one.
fn tos_around(bench: &mut Bench, tos: u8) -> u8 {
    let mut packet = udp(SERVER, UE, (53, 4000), 60);
    packet[1] = tos;
    assert_eq!(bench.downlink(&packet).0, TO_GNB);
    bench.tos
}

/// TS 29.244 §8.2.12.
#[test]
fn when_the_smf_marks_a_far_then_the_outer_header_has_its_dscp() {
    let mut bench = Bench::new();
    let (seid, _) = bench.session_of(marked(0xB8, 0xFC));
    assert_eq!(tos_around(&mut bench, 0x28), 0xB8);
    let update = UpdateForwardingParameters {
        transport_level_marking: Some(TransportLevelMarking([0x20, 0xFC])),
        ..Default::default()
    };
    let update =
        UpdateFar { far_id: FarId(2), update_forwarding_parameters: Some(update), ..Default::default() };
    bench.modify(seid, SessionModificationRequest { update_far: vec![update], ..Default::default() });
    assert_eq!(tos_around(&mut bench, 0x28), 0x20);
}

#[test]
fn when_the_configuration_marks_then_it_is_by_qfi_or_from_inside_and_the_smf_comes_first() {
    let mut plain = Bench::new();
    plain.session();
    assert_eq!(tos_around(&mut plain, 0xB8), 0);
    let mut by_qfi = Bench::with(|config| {
        config.n3.dscp = [(9, 10)].into();
        config.n3.dscp_from_inner = true;
    });
    by_qfi.session();
    assert_eq!(tos_around(&mut by_qfi, 0xB8), 10 << 2);
    let mut inner = Bench::with(|config| config.n3.dscp_from_inner = true);
    inner.session();
    assert_eq!(tos_around(&mut inner, 0xB9), 0xB8);
    inner.session_of(marked(0x40, 0xFC));
    assert_eq!(tos_around(&mut inner, 0xB9), 0x40);
}

fn copy_to(teid: u32) -> DuplicatingParameters {
    DuplicatingParameters {
        destination_interface: Interface::Four,
        outer_header_creation: Some(OuterHeaderCreation::gtpu_v4(teid, GNB_ADDRESS)),
        ..Default::default()
    }
}

/// TS 29.244 §8.2.26: with any of DROP, FORW and BUFF.
#[test]
fn when_a_far_duplicates_then_each_place_gets_a_copy_and_the_packet_goes_its_way() {
    for (action, expected) in
        [(ApplyAction::FORW, TO_N6), (ApplyAction::DROP, Verdict::Drop(DropReason::FarDrop))]
    {
        let mut bench = Bench::new();
        let mut request = establishment();
        request.create_far[0].apply_action = action | ApplyAction::DUPL;
        let network = DuplicatingParameters { destination_interface: Interface::Core, ..Default::default() };
        request.create_far[0].duplicating_parameters = vec![copy_to(0x77), network];
        let (seid, teid) = bench.session_of(request);
        let packet = udp(UE, SERVER, (4000, 53), 60);
        let (verdict, _) = bench.uplink(&gtpu(teid, Some(9), &packet));
        assert_eq!(verdict, expected);
        let [(to_tunnel, tunnelled), (to_network, plain)] = &bench.copied[..] else { panic!("two copies") };
        assert_eq!((*to_tunnel, *to_network), (TO_GNB, TO_N6));
        assert_eq!((&tunnelled[4..8], &tunnelled[8..]), (&[0, 0, 0, 0x77][..], &packet[..]));
        assert_eq!(*plain, packet);
        // Another packet of a rule without copies makes none.
        bench.downlink(&udp(SERVER, UE, (53, 4000), 60));
        assert!(bench.copied.is_empty());
        let update = UpdateFar { far_id: FarId(1), apply_action: Some(action), ..Default::default() };
        bench.modify(seid, SessionModificationRequest { update_far: vec![update], ..Default::default() });
        bench.uplink(&gtpu(teid, Some(9), &packet));
        assert!(bench.copied.is_empty());
    }
}

#[test]
fn when_a_copy_has_nowhere_to_go_then_the_far_is_named() {
    let mut bench = Bench::new();
    let far = FailedRuleId::Far(FarId(1));
    let core = || DuplicatingParameters { destination_interface: Interface::Core, ..Default::default() };
    let policy = ForwardingPolicy(b"x".to_vec());
    for (places, cause, ie) in [
        (vec![], Cause::CONDITIONAL_IE_MISSING, 5),
        (vec![core(); 5], Cause::NO_RESOURCES_AVAILABLE, 5),
        (vec![DuplicatingParameters::default()], Cause::RULE_CREATION_MODIFICATION_FAILURE, 84),
        (
            vec![DuplicatingParameters { forwarding_policy: Some(policy), ..core() }],
            Cause::INVALID_FORWARDING_POLICY,
            41,
        ),
    ] {
        let mut request = establishment();
        request.create_far[0].apply_action = ApplyAction::FORW | ApplyAction::DUPL;
        request.create_far[0].duplicating_parameters = places;
        let refused = bench.establish(request);
        assert_eq!((refused.cause, refused.offending_ie), (cause, Some(OffendingIe(ie))));
        assert_eq!(refused.failed_rule_id, Some(far));
    }
}

/// TS 29.244 §8.2.20.
#[test]
fn when_a_far_redirects_to_an_address_then_packets_go_there_and_answers_seem_to_come_from_the_server() {
    let mut bench = Bench::new();
    let to = RedirectInformation::Ipv4(PORTAL);
    let request = with_parameters(0, |parameters| parameters.redirect_information = Some(to.clone()));
    let (_, teid) = bench.session_of(request);
    let (verdict, bytes) = bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (4000, 53), 60)));
    assert_eq!((verdict, &bytes[16..20]), (TO_N6, &PORTAL.octets()[..]));
    let (verdict, bytes) = bench.downlink(&udp(PORTAL, UE, (53, 4000), 60));
    assert_eq!((verdict, &bytes[16 + 12..16 + 16]), (TO_GNB, &SERVER.octets()[..]));
    // What answers nothing keeps its sender.
    let (_, bytes) = bench.downlink(&udp(PORTAL, UE, (54, 4000), 60));
    assert_eq!(&bytes[16 + 12..16 + 16], &PORTAL.octets());
}

const SYN: u8 = 2;
const PSH_ACK: u8 = 0x18;

fn tcp(flags: u8, sequence: u32, acknowledged: u32, data: &[u8]) -> Vec<u8> {
    let mut packet = udp(UE, SERVER, (4000, 80), 40);
    packet[9] = 6;
    packet[24..28].copy_from_slice(&sequence.to_be_bytes());
    packet[28..32].copy_from_slice(&acknowledged.to_be_bytes());
    packet[32..36].copy_from_slice(&[0x50, flags, 0xFF, 0xFF]);
    packet.extend_from_slice(data);
    let length = packet.len() as u16;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet
}

#[test]
fn when_a_far_redirects_to_a_url_then_a_request_of_http_is_answered_with_it() {
    let mut bench = Bench::new();
    let url = RedirectInformation::Url("http://portal.example/pay".to_owned());
    let request = with_parameters(0, |to| {
        (to.destination_interface, to.redirect_information) = (Interface::Access, Some(url.clone()));
    });
    let (_, teid) = bench.session_of(request);
    let (verdict, answer) = bench.uplink(&gtpu(teid, Some(9), &tcp(SYN, 100, 0, b"")));
    assert_eq!(verdict, TO_GNB);
    // A GTP-U header of 16 octets, as every packet to the UE has.
    let answer = &answer[16..];
    assert_eq!((&answer[12..16], &answer[16..20]), (&SERVER.octets()[..], &UE.octets()[..]));
    assert_eq!((answer[20..24].to_vec(), answer[33]), (vec![0, 80, 0x0F, 0xA0], 0x12));
    assert_eq!(answer[28..32], 101u32.to_be_bytes());
    let ours = u32::from_be_bytes([answer[24], answer[25], answer[26], answer[27]]).wrapping_add(1);
    let get = tcp(PSH_ACK, 101, ours, b"GET / HTTP/1.1\r\n\r\n");
    let (verdict, answer) = bench.uplink(&gtpu(teid, Some(9), &get));
    assert_eq!(verdict, TO_GNB);
    let answer = &answer[16..];
    assert_eq!((answer[24..28].to_vec(), answer[33]), (ours.to_be_bytes().to_vec(), 0x19));
    let text = String::from_utf8_lossy(&answer[40..]);
    assert!(text.starts_with("HTTP/1.1 302 Found\r\nLocation: http://portal.example/pay\r\n"), "{text}");
    let mut sum = super::checksum::sum(&answer[20..], super::checksum::sum(&answer[12..20], 6));
    sum += answer.len() as u32 - 20;
    assert_eq!(super::checksum::fold(sum), 0);
    // What is not HTTP has no answer, and goes nowhere.
    let (verdict, _) = bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (4000, 443), 60)));
    assert_eq!(verdict, Verdict::Drop(DropReason::Redirected));
}

#[test]
fn when_a_redirection_cannot_be_done_then_the_far_is_refused() {
    let mut bench = Bench::new();
    for to in [
        RedirectInformation::Ipv6(Ipv4Addr::LOCALHOST.to_ipv6_mapped()),
        RedirectInformation::SipUri("sip:a@example".to_owned()),
        RedirectInformation::Other(6, vec![0, 1]),
        RedirectInformation::Url("http://a\r\nSet-Cookie: b".to_owned()),
        RedirectInformation::Url(String::new()),
        RedirectInformation::Url("a".repeat(1025)),
    ] {
        let refused = bench.establish(with_parameters(0, |parameters| {
            parameters.redirect_information = Some(to.clone());
        }));
        assert_eq!(refused.offending_ie, Some(OffendingIe(38)), "{to:?}");
        assert_eq!(refused.failed_rule_id, Some(FailedRuleId::Far(FarId(1))));
    }
    // Packets to the UE are not redirected.
    let refused = bench.establish(with_parameters(1, |to| {
        to.redirect_information = Some(RedirectInformation::Ipv4(PORTAL))
    }));
    assert_eq!(refused.failed_rule_id, Some(FailedRuleId::Pdr(PdrId(2))));
}

/// TS 29.244 §8.2.88: the RQI of the QER goes into the PDU Session Container of downlink packets.
#[test]
fn when_a_qer_says_reflective_qos_then_downlink_packets_tell_the_ue() {
    let mut bench = Bench::new();
    let (seid, _) = bench.session();
    let container = |bench: &mut Bench| {
        let (_, bytes) = bench.downlink(&udp(SERVER, UE, (53, 4000), 60));
        bytes[12..16].to_vec()
    };
    assert_eq!(container(&mut bench), [1, 0, 9, 0]);
    for (rqi, octet) in [(true, 0x49), (false, 9)] {
        let qer = UpdateQer { qer_id: QerId(1), rqi: Some(Rqi(rqi)), ..Default::default() };
        bench.modify(seid, SessionModificationRequest { update_qer: vec![qer], ..Default::default() });
        assert_eq!(container(&mut bench), [1, 0, octet, 0]);
    }
}

/// TS 29.244 §8.2.66: for a PGW, and so for no SMF.
#[test]
fn when_a_qer_asks_for_dl_flow_level_marking_then_it_is_refused_and_never_ignored() {
    let mut bench = Bench::new();
    let marking = |tos_traffic_class, service_class_indicator| {
        Some(DlFlowLevelMarking { tos_traffic_class, service_class_indicator })
    };
    for asked in [marking(Some([0xB8, 0xFC]), None), marking(None, Some([0, 1])), marking(None, None)] {
        let mut request = establishment();
        request.create_qer[0].dl_flow_level_marking = asked;
        let refused = bench.establish(request);
        assert_eq!(refused.cause, Cause::RULE_CREATION_MODIFICATION_FAILURE);
        assert_eq!(refused.failed_rule_id, Some(FailedRuleId::Qer(QerId(1))));
        assert_eq!((refused.offending_ie, bench.core.kept()), (Some(OffendingIe(97)), 0));
    }
    let (seid, _) = bench.session();
    let dl_flow_level_marking = marking(Some([0xB8, 0xFC]), None);
    let update = UpdateQer { qer_id: QerId(1), dl_flow_level_marking, ..Default::default() };
    let request = SessionModificationRequest { update_qer: vec![update], ..Default::default() };
    assert_eq!(bench.modify(seid, request).offending_ie, Some(OffendingIe(97)));
    assert_eq!(tos_around(&mut bench, 0), 0);
}
