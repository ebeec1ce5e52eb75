//! Rates on a virtual clock: TS 23.501 §5.7.2.6 (Session-AMBR), §5.7.2.4, §5.7.2.5 (GFBR, MFBR).

use std::net::Ipv4Addr;

use tern_pfcp::*;
use tern_types::Duration;

use super::{DropReason, Event, Meter, Side, Verdict};
use crate::testing::*;

/// The gNB's QoS flows: port of the data network, QFI.
pub(super) const FIRST: u16 = 5001;
pub(super) const SECOND: u16 = 5002;
pub(super) const GUARANTEED: u16 = 5003;

/// Octets that pass a meter in ten seconds after the burst of the start, offered half as much again.
fn passed(kbps: u64, octets: usize) -> f64 {
    let meter = Meter::new(kbps);
    let interval_ps = octets as u64 * 8_000_000_000 / kbps * 2 / 3;
    let (start_ns, seconds) = (3_000_000_000, 10);
    let mut passed = 0;
    for packet in 0.. {
        let now_ns = 1 + packet * interval_ps / 1_000;
        let taken = meter.take(octets, now_ns, packet % 2 == 0);
        if now_ns >= start_ns {
            passed += u64::from(taken) * octets as u64;
        }
        if now_ns >= start_ns + seconds * 1_000_000_000 {
            break;
        }
    }
    passed as f64 * 8.0 / seconds as f64 / 1e3 / kbps as f64
}

#[test]
fn when_more_is_offered_than_a_rate_then_the_rate_passes_from_64_kbit_to_10_gbit() {
    for kbps in [64, 100, 333, 1_000, 7_777, 100_000, 1_000_000] {
        for octets in [64, 128, 577, 1_000, 1_400] {
            let rate = passed(kbps, octets);
            assert!((0.97..=1.03).contains(&rate), "{rate} of {kbps} kbit/s with {octets} octets");
        }
    }
    for octets in [577, 1_400] {
        let rate = passed(10_000_000, octets);
        assert!((0.97..=1.03).contains(&rate), "{rate} of 10 Gbit/s with {octets} octets");
    }
}

/// Each flow has a PDR and a QER of its own; the first two are under a Session-AMBR.
pub(super) fn flows(ambr_kbps: u64, first_kbps: Option<u64>) -> SessionEstablishmentRequest {
    let rate = |kbps| BitRate { uplink_kbps: kbps, downlink_kbps: kbps };
    let mut request = establishment();
    request.create_qer = vec![
        CreateQer { qer_id: QerId(1), mbr: Some(rate(ambr_kbps)), ..Default::default() },
        CreateQer { qer_id: QerId(2), mbr: first_kbps.map(rate), qfi: Some(Qfi(2)), ..Default::default() },
        CreateQer { qer_id: QerId(3), qfi: Some(Qfi(3)), ..Default::default() },
        CreateQer {
            qer_id: QerId(4),
            mbr: Some(rate(2_000)),
            gbr: Some(rate(1_000)),
            qfi: Some(Qfi(4)),
            ..Default::default()
        },
    ];
    request.create_pdr.clear();
    for (number, (port, qers)) in
        (0..).zip([(FIRST, vec![2, 1]), (SECOND, vec![3, 1]), (GUARANTEED, vec![4])])
    {
        let filter = SdfFilter::flow(&format!("permit out 17 from any {port} to assigned"));
        for mut pdr in [uplink_pdr(1 + 2 * number, 50, 1), downlink_pdr(2 + 2 * number, 50, 2)] {
            pdr.pdi.sdf_filters = vec![filter.clone()];
            pdr.qer_ids = qers.iter().copied().map(QerId).collect();
            request.create_pdr.push(pdr);
        }
    }
    request
}

/// A packet of the flow, as its interface brings it.
pub(super) fn packet(teid: u32, port: u16, octets: usize, uplink: bool) -> (Side, Vec<u8>) {
    if uplink {
        (Side::Access, gtpu(teid, Some(9), &udp(UE, SERVER, (4000, port), octets)))
    } else {
        (Side::Network(0), udp(SERVER, UE, (port, 4000), octets))
    }
}

/// What passes of each flow, kilobits a second over ten seconds after the burst of the start: each offers so
/// many kilobits a second in packets of its own length.
fn measure(request: SessionEstablishmentRequest, uplink: bool, offered: &[(u16, usize, u64)]) -> Vec<f64> {
    let mut bench = Bench::new();
    let (_, teid) = bench.session_of(request);
    let packets: Vec<_> =
        offered.iter().map(|(port, octets, _)| packet(teid, *port, *octets, uplink)).collect();
    let (begin, end) = (Duration::from_secs(2), Duration::from_secs(12));
    let start = bench.now;
    let mut next = vec![Duration::ZERO; offered.len()];
    let mut octets_passed = vec![0; offered.len()];
    loop {
        let flow = (0..offered.len()).min_by_key(|flow| next[*flow]).expect("a flow");
        let at = next[flow];
        if at >= end {
            return octets_passed.iter().map(|octets| *octets as f64 * 8.0 / 10.0 / 1e3).collect();
        }
        let (_, octets, kbps) = offered[flow];
        next[flow] = at + Duration::from_nanos(octets as u64 * 8_000_000 / kbps);
        bench.now = start + at;
        let (side, bytes) = &packets[flow];
        let passes = matches!(bench.packet(*side, bytes).0, Verdict::ToAccess(_) | Verdict::ToNetwork(_));
        if passes && at >= begin {
            octets_passed[flow] += octets;
        }
    }
}

fn is_near(kbps: f64, wanted: f64) -> bool {
    (kbps / wanted - 1.0).abs() <= 0.03
}

#[test]
fn when_two_flows_are_under_a_session_ambr_then_together_they_get_it_and_a_gbr_flow_its_own() {
    for uplink in [true, false] {
        let offered = [(FIRST, 1_400, 1_500), (SECOND, 200, 1_500), (GUARANTEED, 300, 900)];
        let [first, second, guaranteed] = measure(flows(1_000, None), uplink, &offered)[..] else {
            panic!("three flows")
        };
        assert!(is_near(first + second, 1_000.0), "{first} and {second}");
        assert!(is_near(guaranteed, 900.0), "{guaranteed}");
    }
}

#[test]
fn when_a_flow_has_an_mbr_below_the_session_ambr_then_the_rest_is_for_the_other() {
    for uplink in [true, false] {
        let offered = [(FIRST, 1_000, 900), (SECOND, 64, 1_500), (GUARANTEED, 1_400, 3_000)];
        let [first, second, guaranteed] = measure(flows(1_000, Some(300)), uplink, &offered)[..] else {
            panic!("three flows")
        };
        assert!(first <= 300.0 * 1.03, "{first}");
        assert!(is_near(first + second, 1_000.0), "{first} and {second}");
        assert!(is_near(guaranteed, 2_000.0), "the MFBR: {guaranteed}");
    }
}

#[test]
fn when_too_many_reports_have_no_answer_then_usage_is_reported_later_and_data_told_again() {
    let mut bench = Bench::with(|config| config.reports_max = 1);
    let mut request = establishment();
    request.create_urr[0].reporting_triggers = ReportingTriggers::VOLTH;
    request.create_urr[0].volume_threshold = Some(Volume { total: Some(150), ..Default::default() });
    let (seid, _) = bench.session_of(request);
    let session = bench.published.last().expect("published").clone();
    let (now, buffered) = (bench.now, Event::Buffered { seid, pdr_id: 2, qfi: None });
    bench.core.handle_event(now, buffered);
    assert!(session.state.must_notify());
    bench.core.handle_event(now, buffered);
    assert_eq!((bench.core.counts().reports, bench.core.counts().reports_lost), (1, 1));
    assert!(session.state.must_notify(), "the next packet tells");
    // Octets that a worker counts, and more while the report waits.
    session.usages[0].usage.count(false, 200, true);
    bench.core.handle_event(now, Event::UsageReached { seid, urr_id: 1, quota: false });
    assert_eq!(bench.core.counts().reports, 1);
    session.usages[0].usage.count(false, 50, true);
    bench.settle();
    let usage: Vec<_> = bench.reports.iter().flat_map(|report| &report.usage_report).collect();
    assert_eq!((bench.reports.len(), usage.len()), (2, 1));
    assert_eq!(usage[0].volume.expect("volume").downlink, Some(250));
}

/// Buffered packets: what the configuration allows, of one session and of all.
#[test]
fn when_buffers_are_full_then_packets_are_dropped_and_room_is_given_back() {
    type Limit = fn(&mut crate::Config, usize);
    let limits: [(Limit, usize); 4] = [
        (|config, limit| config.buffer_packets_max = limit, 3),
        (|config, limit| config.buffer_bytes_max = limit, 3 * 100 + 99),
        (|config, limit| config.buffer_packets_max_total = limit, 3),
        (|config, limit| config.buffer_bytes_max_total = limit, 3 * 100 + 99),
    ];
    for (at, (set, limit)) in limits.into_iter().enumerate() {
        let mut bench = Bench::with(|config| set(config, limit));
        let data = udp(SERVER, UE, (53, 4000), 100);
        for _ in 0..3 {
            let (seid, _) = bench.session();
            bench.modify(seid, forward_update(ApplyAction::BUFF | ApplyAction::NOCP));
            for _ in 0..3 {
                assert_eq!(bench.downlink(&data).0, Verdict::Buffered, "limit {at}");
            }
            assert_eq!(bench.downlink(&data).0, Verdict::Drop(DropReason::BufferFull), "limit {at}");
            bench.delete(seid);
            bench.published.clear();
        }
        assert_eq!(bench.reports.len(), 3, "one notification each");
        assert_eq!(bench.counters.drops(DropReason::BufferFull), 3);
    }
}

#[test]
fn when_one_worker_still_sends_what_waited_then_packets_of_another_wait_behind() {
    let mut bench = Bench::with(|config| {
        config.workers = 2;
        (config.buffer_packets_max, config.buffer_packets_max_total) = (1, 2);
    });
    let (seid, _) = bench.session();
    bench.modify(seid, forward_update(ApplyAction::BUFF));
    let numbered = |number| udp(SERVER, Ipv4Addr::from(u32::from(UE)), (number, 4000), 60);
    assert_eq!(bench.downlink(&numbered(1)).0, Verdict::Buffered);
    bench.modify(seid, forward_update(ApplyAction::FORW));
    let session = bench.published.last().expect("published").clone();
    let (state, generation) = (&session.state, session.generation);
    assert!(state.begin_to_send(generation));
    assert!(!state.begin_to_send(generation), "one worker at a time");
    assert_eq!(bench.downlink(&numbered(2)).0, Verdict::Buffered, "the session has resumed: none is lost");
    assert_eq!(bench.downlink(&numbered(9)).0, Verdict::Drop(DropReason::BufferFull), "of all sessions");
    assert_eq!(state.next(generation).map(|packets| packets.len()), Some(2));
    assert_eq!(bench.downlink(&numbered(3)).0, Verdict::Buffered, "the first two may still be on their way");
    assert_eq!(state.next(generation).map(|packets| packets.len()), Some(1));
    assert_eq!(state.next(generation), None);
    assert_eq!(bench.downlink(&numbered(4)).0, Verdict::ToAccess(GNB));
}

#[test]
fn when_newer_rules_have_packets_wait_then_older_ones_do_not_send_them() {
    let mut bench = Bench::with(|config| config.workers = 2);
    let (seid, _) = bench.session();
    bench.modify(seid, forward_update(ApplyAction::BUFF));
    let data = udp(SERVER, UE, (53, 4000), 60);
    bench.downlink(&data);
    bench.modify(seid, forward_update(ApplyAction::FORW));
    let older = bench.published.last().expect("published").clone();
    assert!(older.state.begin_to_send(older.generation));
    bench.modify(seid, forward_update(ApplyAction::BUFF));
    assert_eq!(bench.downlink(&data).0, Verdict::Buffered);
    assert_eq!(older.state.next(older.generation), None);
    assert!(older.state.has_waiting() && !older.state.begin_to_send(older.generation));
    bench.modify(seid, forward_update(ApplyAction::FORW));
    let newer = bench.published.last().expect("published").clone();
    assert!(newer.state.begin_to_send(newer.generation));
    assert_eq!(newer.state.next(newer.generation).map(|packets| packets.len()), Some(2));
}
