//! Rules, headers and drops, packet by packet.

use proptest::prelude::*;
use tern_gtpu::{Elements, element, message_type};
use tern_pfcp::*;
use tern_types::Duration;

use super::{DropReason, Meter, REFERENCES_MAX, Side, Verdict};
use crate::config::ClassifierKind;
use crate::testing::*;

const TO_N6: Verdict = Verdict::ToNetwork(0);
const TO_GNB: Verdict = Verdict::ToAccess(GNB);

#[test]
fn when_an_uplink_packet_matches_then_the_outer_header_goes() {
    let mut bench = Bench::new();
    let (_, teid) = bench.session();
    let packet = udp(UE, SERVER, (4000, 53), 60);
    let (verdict, bytes) = bench.uplink(&gtpu(teid, Some(9), &packet));
    assert_eq!((verdict, bytes), (TO_N6, packet.clone()));
    // Without the container, and with octets behind the packet, it is the same.
    let mut padded = packet.clone();
    padded.extend_from_slice(&[0; 7]);
    let (verdict, bytes) = bench.uplink(&gtpu(teid, None, &padded));
    assert_eq!((verdict, bytes), (TO_N6, packet));
}

#[test]
fn when_a_downlink_packet_matches_then_it_gets_tunnel_and_qfi() {
    let mut bench = Bench::new();
    bench.session();
    let packet = udp(SERVER, UE, (53, 4000), 60);
    let (verdict, bytes) = bench.downlink(&packet);
    assert_eq!(verdict, TO_GNB);
    // Flags E, G-PDU, length 60 + 8, TEID, container of 4 octets: DL, QFI 9.
    assert_eq!(hex::encode(&bytes[..16]), "34ff00440000cafe0000008501000900");
    assert_eq!(&bytes[16..], packet);
}

#[test]
fn when_no_session_fits_then_the_packet_is_dropped_and_the_peer_told() {
    let mut bench = Bench::new();
    let (_, teid) = bench.session();
    let packet = udp(UE, SERVER, (4000, 53), 60);
    let (verdict, bytes) = bench.uplink(&gtpu(teid ^ 1, Some(9), &packet));
    assert_eq!(verdict, TO_GNB);
    let answer = tern_gtpu::Packet::parse(&bytes).expect("an error indication");
    assert_eq!((answer.message_type, answer.teid), (message_type::ERROR_INDICATION, 0));
    let elements = Elements::new(answer.payload);
    assert_eq!(elements.find(element::TEID_DATA_I), Some(&(teid ^ 1).to_be_bytes()[..]));
    assert_eq!(elements.find(element::GTPU_PEER_ADDRESS), Some(&[127, 0, 0, 18][..]));
    let (verdict, _) = bench.downlink(&udp(SERVER, [10, 45, 0, 3].into(), (53, 4000), 60));
    assert_eq!(verdict, Verdict::Drop(DropReason::UnknownUe));
    assert_eq!(bench.counters.drops(DropReason::UnknownTeid), 1);
}

#[test]
fn when_the_upf_has_just_started_then_it_sends_no_error_indications() {
    let mut bench = Bench::with(|config| config.n3.error_indications_after_s = 10);
    let datagram = gtpu(5, None, &udp(UE, SERVER, (1, 2), 40));
    bench.pass(Duration::from_millis(8_999));
    assert_eq!(bench.uplink(&datagram).0, Verdict::Consumed);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.uplink(&datagram).0, TO_GNB);
    assert_eq!(bench.counters.drops(DropReason::UnknownTeid), 2);
}

#[test]
fn when_unknown_teids_flood_then_error_indications_are_limited() {
    let mut bench = Bench::new();
    let datagram = gtpu(5, None, &udp(UE, SERVER, (1, 2), 40));
    let told = (0..1000).filter(|_| bench.uplink(&datagram).0 != Verdict::Consumed).count();
    assert_eq!(told, 100);
    bench.now = bench.now + Duration::from_secs(1);
    assert_eq!(bench.uplink(&datagram).0, TO_GNB);
}

#[test]
fn when_the_source_is_not_the_ue_then_it_is_dropped() {
    let mut bench = Bench::new();
    let (_, teid) = bench.session();
    let spoofed = udp([10, 45, 0, 3].into(), SERVER, (4000, 53), 60);
    assert_eq!(bench.uplink(&gtpu(teid, Some(9), &spoofed)).0, Verdict::Drop(DropReason::SpoofedSource));
}

#[test]
fn when_rules_overlap_then_the_lowest_precedence_value_counts_and_then_the_lower_id() {
    for (first, second, expected) in [
        ((7, 50), (8, 60), TO_N6),
        ((7, 60), (8, 50), Verdict::Drop(DropReason::FarDrop)),
        ((7, 50), (8, 50), TO_N6),
        ((8, 50), (7, 50), Verdict::Drop(DropReason::FarDrop)),
    ] {
        let mut bench = Bench::new();
        let mut request = establishment();
        let filtered = |id, precedence, far| {
            let mut pdr = uplink_pdr(id, precedence, far);
            pdr.pdi.sdf_filters = vec![SdfFilter::flow("permit out 17 from any 53 to assigned")];
            pdr
        };
        request.create_pdr.push(filtered(first.0, first.1, 1));
        request.create_pdr.push(filtered(second.0, second.1, 3));
        let drop = CreateFar { far_id: FarId(3), apply_action: ApplyAction::DROP, ..Default::default() };
        request.create_far.push(drop);
        let (_, teid) = bench.session_of(request);
        let (verdict, _) = bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (4000, 53), 60)));
        assert_eq!(verdict, expected, "{first:?} {second:?}");
        // What no filter takes falls to the default rule.
        assert_eq!(bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (4000, 54), 60))).0, TO_N6);
    }
}

/// TS 29.244 §5.2.1: a packet matches if it matches one of a PDI's SDF filters.
#[test]
fn when_a_pdr_has_several_filters_then_a_packet_of_any_of_them_matches() {
    let mut bench = Bench::new();
    let mut request = establishment();
    let mut pdr = downlink_pdr(7, 50, 3);
    pdr.pdi.sdf_filters = [
        "permit out 17 from 203.0.113.0/24 53 to assigned",
        "permit out 17 from any 5000-5010 to assigned 80,443",
        "permit out 1 from any to assigned",
    ]
    .map(SdfFilter::flow)
    .to_vec();
    request.create_pdr.push(pdr);
    request.create_far.push(CreateFar {
        far_id: FarId(3),
        apply_action: ApplyAction::DROP,
        ..Default::default()
    });
    bench.session_of(request);
    let taken = Verdict::Drop(DropReason::FarDrop);
    let other = [198, 51, 100, 9].into();
    for (source, ports, expected) in [
        (SERVER, (53, 4000), taken),
        (other, (53, 4000), TO_GNB),
        (other, (5000, 80), taken),
        (other, (5010, 443), taken),
        (other, (5011, 443), TO_GNB),
        (other, (5005, 81), TO_GNB),
    ] {
        assert_eq!(bench.downlink(&udp(source, UE, ports, 60)).0, expected, "{source} {ports:?}");
    }
    let mut icmp = udp(SERVER, UE, (0, 0), 60);
    icmp[9] = 1;
    assert_eq!(bench.downlink(&icmp).0, taken);
}

/// Forty rules of ports and prefixes that overlap, each with a FAR that drops or forwards.
fn many_rules() -> SessionEstablishmentRequest {
    let mut request = establishment();
    let drop = CreateFar { far_id: FarId(3), apply_action: ApplyAction::DROP, ..Default::default() };
    request.create_far.push(drop);
    for number in 0..40 {
        let far = if number % 2 == 0 { 3 } else { 2 };
        let mut pdr = downlink_pdr(100 + number, 1 + u32::from(number * 7 % 40), far);
        let (low, bits) = (1000 + number * 10, 8 + number % 24);
        let flow = format!("permit out 17 from 203.0.113.9/{bits} {low}-{} to assigned", low + 25);
        pdr.pdi.sdf_filters = vec![SdfFilter::flow(&flow)];
        request.create_pdr.push(pdr);
    }
    request
}

#[test]
fn when_another_classifier_is_chosen_then_each_packet_meets_the_same_rule() {
    let verdicts = |classifier| {
        let mut bench = Bench::with(|config| config.classifier = classifier);
        bench.session_of(many_rules());
        let sources = [SERVER, [203, 0, 120, 1].into(), [203, 200, 0, 1].into(), [9, 9, 9, 9].into()];
        let ports = (990..1430).step_by(3);
        let packets = ports.flat_map(|port| sources.map(|source| udp(source, UE, (port, 80), 60)));
        packets.map(|packet| bench.downlink(&packet).0).collect::<Vec<_>>()
    };
    let expected = verdicts(ClassifierKind::LinkedList);
    let dropped = expected.iter().filter(|verdict| **verdict != TO_GNB).count();
    assert!((50..expected.len() - 50).contains(&dropped), "{dropped} of {}", expected.len());
    for kind in [ClassifierKind::Hybrid, ClassifierKind::PartitionSort, ClassifierKind::TupleSpaceSearch] {
        assert_eq!(verdicts(kind), expected, "{kind:?}");
    }
}

#[test]
fn when_filters_multiply_into_too_many_alternatives_then_the_rule_is_refused_and_the_old_ones_stay() {
    let mut bench = Bench::new();
    let (seid, teid) = bench.session();
    let ports = |first: u32| (0..32).map(|n| (first + 2 * n).to_string()).collect::<Vec<_>>().join(",");
    let flow = format!("permit out 17 from any {} to assigned {}", ports(1000), ports(2000));
    // 32 times 32 alternatives are as many as one rule may have.
    let pdr = |id, filters| {
        let mut pdr = downlink_pdr(id, 50, 2);
        pdr.pdi.sdf_filters = vec![SdfFilter::flow(&flow); filters];
        pdr
    };
    let cause = |bench: &mut Bench, create_pdr| {
        let request = SessionModificationRequest { create_pdr, ..Default::default() };
        match bench.ask(seid, request) {
            (_, Message::SessionModificationResponse(response)) => (response.cause, response.failed_rule_id),
            other => panic!("{other:?}"),
        }
    };
    let refused = |id| (Cause::NO_RESOURCES_AVAILABLE, Some(FailedRuleId::Pdr(PdrId(id))));
    assert_eq!(cause(&mut bench, vec![pdr(7, 2)]), refused(7), "in one rule");
    assert_eq!(cause(&mut bench, (10..30).map(|id| pdr(id, 1)).collect()), refused(25), "in all of them");
    assert_eq!(bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (4000, 53), 60))).0, TO_N6);
    assert_eq!(cause(&mut bench, vec![pdr(7, 1)]), (Cause::REQUEST_ACCEPTED, None));
}

#[test]
fn when_a_pdr_names_qfis_then_only_these_match() {
    let mut bench = Bench::new();
    let mut request = establishment();
    request.create_pdr[0].pdi.qfis = vec![Qfi(9), Qfi(63)];
    let (_, teid) = bench.session_of(request);
    let packet = udp(UE, SERVER, (4000, 53), 60);
    assert_eq!(bench.uplink(&gtpu(teid, Some(63), &packet)).0, TO_N6);
    let no_rule = Verdict::Drop(DropReason::NoRule);
    assert_eq!(bench.uplink(&gtpu(teid, Some(8), &packet)).0, no_rule);
    assert_eq!(bench.uplink(&gtpu(teid, None, &packet)).0, no_rule);
}

#[test]
fn when_a_pdr_names_a_network_instance_then_packets_of_other_networks_do_not_match() {
    let mut bench = Bench::new();
    let mut request = establishment();
    request.create_pdr[1].pdi.network_instance = Some(Name::from("IMS"));
    bench.session_of(request);
    let packet = udp(SERVER, UE, (53, 4000), 60);
    assert_eq!(bench.packet(Side::Network(1), &packet).0, TO_GNB);
    assert_eq!(bench.packet(Side::Network(0), &packet).0, Verdict::Drop(DropReason::NoRule));
}

#[test]
fn when_a_network_instance_is_none_of_ours_then_it_restricts_nothing() {
    let mut bench = Bench::new();
    let mut request = establishment();
    request.create_pdr[1].pdi.network_instance = Some(Name::from("core-side"));
    bench.session_of(request);
    assert_eq!(bench.packet(Side::Network(1), &udp(SERVER, UE, (53, 4000), 60)).0, TO_GNB);
}

#[test]
fn when_a_pdr_refers_to_too_many_qers_then_it_is_refused() {
    let mut bench = Bench::new();
    let mut request = establishment();
    let more = 2..=REFERENCES_MAX as u32 + 1;
    request.create_qer.extend(more.map(|id| CreateQer { qer_id: QerId(id), ..Default::default() }));
    request.create_pdr[0].qer_ids = request.create_qer.iter().map(|qer| qer.qer_id).collect();
    let response = bench.establish(request.clone());
    assert_eq!(response.cause, Cause::NO_RESOURCES_AVAILABLE);
    assert_eq!(response.failed_rule_id, Some(FailedRuleId::Pdr(PdrId(1))));
    request.create_pdr[0].qer_ids.pop();
    bench.session_of(request);
}

#[test]
fn when_a_meter_runs_at_a_high_rate_then_small_packets_are_not_rounded_away() {
    // 100 Gbit/s: 64 octets take 5.12 ns.
    let meter = Meter::new(100_000_000);
    let now_ns = 1_000_000_000;
    let passed = (0..50_000_000).take_while(|_| meter.take(64, now_ns, true)).count();
    // 250 ms at that rate, within 1 %.
    assert!((48_340_000..=49_317_000).contains(&passed), "{passed}");
}

#[test]
fn when_a_gate_is_closed_then_that_direction_stops() {
    let mut bench = Bench::new();
    let mut request = establishment();
    request.create_qer[0].gate_status = GateStatus { uplink_closed: true, downlink_closed: false };
    let (_, teid) = bench.session_of(request);
    let (verdict, _) = bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (1, 2), 60)));
    assert_eq!(verdict, Verdict::Drop(DropReason::GateClosed));
    assert_eq!(bench.downlink(&udp(SERVER, UE, (2, 1), 60)).0, TO_GNB);
}

/// Octets that pass in ten seconds, offered four times the rate.
fn passed(bench: &mut Bench, packet: &[u8], kbps: usize) -> usize {
    let interval = Duration::from_nanos((packet.len() * 8_000_000 / kbps / 4) as u64);
    let (start, mut octets) = (bench.now, 0);
    while bench.now.since(start) < Duration::from_secs(10) {
        if bench.downlink(packet).0 == TO_GNB {
            octets += packet.len();
        }
        bench.now = bench.now + interval;
    }
    octets
}

#[test]
fn when_more_comes_than_the_mbr_then_the_mbr_passes() {
    // Alone, and with other workers, a meter and a counter are written in two ways.
    for workers in [1, 2] {
        let mut bench = Bench::with(|config| config.workers = workers);
        let mut request = establishment();
        request.create_qer[0].mbr = Some(BitRate { uplink_kbps: 1, downlink_kbps: 1_000 });
        let (seid, _) = bench.session_of(request);
        let octets = passed(&mut bench, &udp(SERVER, UE, (1, 2), 1250), 1_000);
        // 1 Mbit/s for 10 s is 1,250,000 octets; the burst adds 31,250.
        assert!((1_275_000..=1_285_000).contains(&octets), "{octets}");
        let volume = bench.delete(seid).usage_report[0].volume.expect("volume");
        assert_eq!(volume.downlink, Some(octets as u64));
    }
}

#[test]
fn when_flow_and_session_have_an_mbr_then_the_lower_one_passes_and_the_other_is_not_used_up() {
    let mut bench = Bench::new();
    let mut request = establishment();
    let rate = |downlink_kbps| Some(BitRate { uplink_kbps: 9_000, downlink_kbps });
    request.create_qer[0].mbr = rate(2_000);
    request.create_qer.push(CreateQer { qer_id: QerId(2), mbr: rate(500), ..Default::default() });
    request.create_pdr[1].qer_ids = vec![QerId(1), QerId(2)];
    bench.session_of(request);
    let octets = passed(&mut bench, &udp(SERVER, UE, (1, 2), 1250), 2_000);
    assert!((625_000..=645_000).contains(&octets), "{octets}");
}

#[test]
fn when_the_mbr_is_zero_then_nothing_passes() {
    let mut bench = Bench::new();
    let mut request = establishment();
    request.create_qer[0].mbr = Some(BitRate::default());
    bench.session_of(request);
    let (verdict, _) = bench.downlink(&udp(SERVER, UE, (1, 2), 100));
    assert_eq!(verdict, Verdict::Drop(DropReason::RateExceeded));
}

#[test]
fn when_a_peer_asks_for_an_echo_then_it_is_answered() {
    let mut bench = Bench::new();
    let mut request = [0; 12];
    tern_gtpu::echo_request(0x1234, &mut request);
    let (verdict, bytes) = bench.uplink(&request);
    assert_eq!((verdict, hex::encode(bytes)), (TO_GNB, "3202000600000000123400000e00".to_owned()));
}

#[test]
fn when_an_extension_must_be_understood_then_the_supported_ones_are_told() {
    let mut bench = Bench::new();
    let datagram = hex::decode("34ff000800000001000000830100000000").expect("hex");
    let (verdict, bytes) = bench.uplink(&datagram);
    assert_eq!((verdict, bytes[1]), (TO_GNB, message_type::SUPPORTED_EXTENSION_HEADERS_NOTIFICATION));
}

#[test]
fn when_the_inner_packet_is_unsound_then_the_reason_is_counted() {
    let mut bench = Bench::new();
    let (_, teid) = bench.session();
    let mut long = udp(UE, SERVER, (1, 2), 60);
    long[3] = 61;
    let version_7 = [0x70; 60];
    for (inner, reason) in [
        (&long[..], DropReason::MalformedInner),
        (&long[..10], DropReason::MalformedInner),
        (&version_7[..], DropReason::NotIp),
    ] {
        assert_eq!(bench.uplink(&gtpu(teid, Some(9), inner)).0, Verdict::Drop(reason));
        assert_eq!(bench.downlink(inner).0, Verdict::Drop(reason));
    }
    assert_eq!(bench.counters.drops(DropReason::NotIp), 2);
}

#[test]
fn when_a_session_is_removed_then_its_packets_find_nothing() {
    let mut bench = Bench::new();
    let (seid, teid) = bench.session();
    bench.delete(seid);
    let (_, bytes) = bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (1, 2), 60)));
    assert_eq!(bytes[1], message_type::ERROR_INDICATION);
    assert_eq!(bench.downlink(&udp(SERVER, UE, (2, 1), 60)).0, Verdict::Drop(DropReason::UnknownUe));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_packets_get_a_verdict(
        packets in proptest::collection::vec(
            (any::<bool>(), any::<bool>(), proptest::collection::vec(any::<u8>(), 0..100)), 1..20),
    ) {
        let mut bench = Bench::new();
        let (_, teid) = bench.session();
        for (network, wrapped, bytes) in packets {
            let side = if network { Side::Network(0) } else { Side::Access };
            let bytes = if wrapped { gtpu(teid, Some(9), &bytes) } else { bytes };
            bench.packet(side, &bytes);
        }
        let packet = udp(UE, SERVER, (1, 2), 60);
        prop_assert_eq!(bench.uplink(&gtpu(teid, Some(9), &packet)).0, TO_N6);
    }
}
