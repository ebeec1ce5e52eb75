//! URRs: monitoring time, inactivity, validity of quotas, dropped traffic, usage before QoS enforcement (TS 29.244
//! §5.2.2.2).

use tern_pfcp::*;
use tern_types::Duration;

use super::usage::*;
use crate::path::{DropReason, Verdict};
use crate::pfcp::{FEATURES, ntp_seconds};
use crate::testing::*;

const RATE: Verdict = Verdict::Drop(DropReason::GateClosed);

fn total(octets: u64) -> Option<Volume> {
    Some(Volume { total: Some(octets), ..Volume::default() })
}

/// So many seconds from now, as an SMF says it.
fn ahead(bench: &Bench, seconds: u64) -> Option<NtpSeconds> {
    Some(ntp_seconds(bench.now + Duration::from_secs(seconds)))
}

/// What one usage report says: trigger, period of how many seconds, octets, whether before or after.
type Said = (UsageReportTrigger, u32, Option<u64>, Option<UsageInformation>);

fn said(report: &UsageReport) -> Said {
    let (start, end) = (report.start_time.expect("a start"), report.end_time.expect("an end"));
    let octets = report.volume.and_then(|volume| volume.total);
    (report.trigger, end.0 - start.0, octets, report.usage_information)
}

fn last(bench: &Bench) -> Vec<Said> {
    bench.reports.last().expect("a report").usage_report.iter().map(said).collect()
}

const BEFORE: Option<UsageInformation> = Some(UsageInformation::BEF);
const AFTER: Option<UsageInformation> = Some(UsageInformation::AFT);
const MONIT: UsageReportTrigger = UsageReportTrigger::MONIT;
const VOLTH: UsageReportTrigger = UsageReportTrigger::VOLTH;

#[test]
fn when_a_monitoring_time_passes_then_usage_before_and_after_it_is_told_apart_in_the_next_report() {
    let mut bench = Bench::new();
    let at = ahead(&bench, 30);
    bench.session_of(with_urr(|urr| {
        urr.reporting_triggers = ReportingTriggers::VOLTH;
        urr.volume_threshold = total(300);
        urr.monitoring_time = at;
    }));
    (0..2).for_each(|_| assert_eq!(down(&mut bench), TO_GNB));
    bench.pass(Duration::from_secs(40));
    // The threshold counts anew from the monitoring time on, which is no reason for a report.
    (0..2).for_each(|_| assert_eq!(down(&mut bench), TO_GNB));
    assert!(bench.reports.is_empty());
    down(&mut bench);
    assert_eq!(last(&bench), [(MONIT, 30, Some(200), BEFORE), (VOLTH, 10, Some(300), AFTER)]);
    let numbers: Vec<u32> = bench.reports[0].usage_report.iter().map(|report| report.ur_seqn.0).collect();
    assert_eq!(numbers, [0, 1]);
    // It was one moment: what comes behind it is one again.
    (0..3).for_each(|_| _ = down(&mut bench));
    assert_eq!(last(&bench), [(VOLTH, 0, Some(300), None)]);
}

#[test]
fn when_a_monitoring_time_passes_then_the_subsequent_thresholds_and_quotas_hold_until_there_are_others() {
    let mut bench = Bench::new();
    let at = ahead(&bench, 30);
    let (seid, _) = bench.session_of(with_urr(|urr| {
        urr.reporting_triggers = ReportingTriggers::VOLTH | ReportingTriggers::VOLQU;
        (urr.volume_threshold, urr.subsequent_volume_threshold) = (total(1_000), total(200));
        (urr.volume_quota, urr.subsequent_volume_quota) = (total(100), total(500));
        urr.monitoring_time = at;
    }));
    assert_eq!([down(&mut bench), down(&mut bench)], [TO_GNB, OUT]);
    assert_eq!(triggers(&bench), [UsageReportTrigger::VOLQU]);
    bench.pass(Duration::from_secs(31));
    assert_eq!([down(&mut bench), down(&mut bench)], [TO_GNB, TO_GNB]);
    assert_eq!(last(&bench), [(MONIT, 30, Some(0), BEFORE), (VOLTH, 1, Some(200), AFTER)]);
    // The subsequent threshold stays, and the quota goes on.
    assert_eq!([down(&mut bench), down(&mut bench)], [TO_GNB, TO_GNB]);
    assert_eq!((last(&bench), bench.reports.len()), (vec![(VOLTH, 0, Some(200), None)], 3));
    assert_eq!([down(&mut bench), down(&mut bench)], [TO_GNB, OUT]);
    // A threshold that the SMF gives takes the place of the subsequent one.
    let update =
        UpdateUrr { volume_threshold: total(300), volume_quota: total(10_000), ..Default::default() };
    bench.modify(seid, renew(update));
    let told = bench.reports.len();
    (0..2).for_each(|_| assert_eq!(down(&mut bench), TO_GNB));
    assert_eq!(bench.reports.len(), told);
    down(&mut bench);
    assert_eq!(bench.reports.len(), told + 1);
}

#[test]
fn when_a_monitoring_time_is_past_then_nothing_is_split_and_what_follows_it_holds_at_once() {
    let mut bench = Bench::new();
    let at = ahead(&bench, 0);
    bench.session_of(with_urr(|urr| {
        urr.reporting_triggers = ReportingTriggers::VOLTH;
        (urr.volume_threshold, urr.subsequent_volume_threshold) = (total(1_000), total(100));
        urr.monitoring_time = at;
    }));
    down(&mut bench);
    assert_eq!(last(&bench), [(VOLTH, 0, Some(100), None)]);
}

#[test]
fn when_a_second_monitoring_time_passes_before_a_report_then_all_before_it_is_one() {
    let mut bench = Bench::new();
    let at = ahead(&bench, 10);
    let (seid, _) = bench.session_of(with_urr(|urr| urr.monitoring_time = at));
    down(&mut bench);
    bench.pass(Duration::from_secs(20));
    down(&mut bench);
    let update = UpdateUrr { monitoring_time: ahead(&bench, 10), ..Default::default() };
    bench.modify(seid, renew(update));
    bench.pass(Duration::from_secs(15));
    (0..2).for_each(|_| _ = down(&mut bench));
    let reports: Vec<Said> = bench.delete(seid).usage_report.iter().map(said).collect();
    let termination = UsageReportTrigger::TERMR;
    assert_eq!(reports, [(MONIT, 30, Some(200), BEFORE), (termination, 5, Some(200), AFTER)]);
    assert_eq!(bench.core.kept(), 0);
}

#[test]
fn when_there_is_no_room_for_reports_then_usage_is_split_at_the_monitoring_time_all_the_same() {
    let mut bench = Bench::with(|config| config.reports_max = 1);
    let at = ahead(&bench, 10);
    bench.session_of(with_urr(|urr| {
        urr.reporting_triggers = ReportingTriggers::PERIO;
        urr.measurement_period = Some(Seconds(25));
        urr.monitoring_time = at;
    }));
    down(&mut bench);
    bench.pass(Duration::from_secs(20));
    down(&mut bench);
    assert!(bench.reports.is_empty());
    // The period began with the measurement, not at the monitoring time.
    bench.pass(Duration::from_secs(5));
    let periodic = UsageReportTrigger::PERIO;
    assert_eq!(last(&bench), [(MONIT, 10, Some(100), BEFORE), (periodic, 15, Some(100), AFTER)]);
}

fn timed(triggers: ReportingTriggers, idle_after: u32) -> SessionEstablishmentRequest {
    with_urr(|urr| {
        urr.measurement_method = MeasurementMethod::DURAT;
        urr.reporting_triggers = triggers;
        urr.inactivity_detection_time = Some(Seconds(idle_after));
        (urr.time_threshold, urr.time_quota) = (Some(Seconds(30)), Some(Seconds(50)));
    })
}

/// The inactivity detection time itself counts.
#[test]
fn when_no_packet_comes_then_time_rests_and_neither_threshold_nor_quota_is_reached() {
    let mut bench = Bench::new();
    bench.session_of(timed(ReportingTriggers::TIMTH | ReportingTriggers::TIMQU, 10));
    // Without a packet time does not even begin.
    bench.pass(Duration::from_secs(1_000));
    for _ in 0..2 {
        assert_eq!(down(&mut bench), TO_GNB);
        bench.pass(Duration::from_secs(1_000));
        assert!(bench.reports.is_empty());
    }
    // Ten seconds twice, and now ten in which packets come.
    down(&mut bench);
    bench.pass(Duration::from_secs(9));
    assert!(bench.reports.is_empty());
    bench.pass(Duration::from_secs(1));
    assert_eq!(triggers(&bench), [UsageReportTrigger::TIMTH]);
    assert_eq!(bench.reports[0].usage_report[0].duration, Some(DurationMeasurement(30)));
    for second in 0..20 {
        assert_eq!(down(&mut bench), TO_GNB, "{second}");
        bench.pass(Duration::from_secs(1));
    }
    assert_eq!(triggers(&bench), [UsageReportTrigger::TIMTH, UsageReportTrigger::TIMQU]);
    assert_eq!(down(&mut bench), OUT);
}

#[test]
fn when_time_is_to_be_metered_at_once_or_without_regard_to_inactivity_then_it_is() {
    let mut bench = Bench::new();
    let mut request = timed(ReportingTriggers::TIMTH, 10);
    request.create_urr[0].measurement_information = Some(MeasurementInformation::ISTM);
    let (seid, _) = bench.session_of(request);
    let duration = |bench: &mut Bench| {
        let query_urr = vec![QueryUrr { urr_id: UrrId(1), ..Default::default() }];
        let request = SessionModificationRequest { query_urr, ..Default::default() };
        bench.modify(seid, request).usage_report[0].duration
    };
    bench.pass(Duration::from_secs(100));
    assert_eq!(duration(&mut bench), Some(DurationMeasurement(10)));
    let always = UpdateUrr { inactivity_detection_time: Some(Seconds(0)), ..Default::default() };
    bench.modify(seid, renew(always));
    bench.pass(Duration::from_secs(20));
    assert_eq!(duration(&mut bench), Some(DurationMeasurement(20)));
    bench.pass(Duration::from_secs(31));
    assert_eq!(triggers(&bench), [UsageReportTrigger::TIMTH]);
}

#[test]
fn when_a_quota_is_valid_no_longer_then_it_is_reported_and_nothing_passes_until_there_is_another() {
    assert!(FEATURES.contains(UpFunctionFeatures::VTIME));
    let mut bench = Bench::new();
    let (seid, _) = bench.session_of(with_urr(|urr| {
        urr.reporting_triggers = ReportingTriggers::VOLQU | ReportingTriggers::QUVTI;
        urr.volume_quota = total(1_000_000);
        urr.quota_validity_time = Some(Seconds(60));
    }));
    bench.pass(Duration::from_secs(50));
    assert_eq!((down(&mut bench), triggers(&bench)), (TO_GNB, vec![]));
    // A new quota is valid for as long again.
    bench.modify(seid, renew(UpdateUrr { volume_quota: total(1_000_000), ..Default::default() }));
    bench.pass(Duration::from_secs(50));
    assert_eq!((down(&mut bench), triggers(&bench)), (TO_GNB, vec![]));
    bench.pass(Duration::from_secs(11));
    assert_eq!((down(&mut bench), triggers(&bench)), (OUT, vec![UsageReportTrigger::QUVTI]));
    assert_eq!(last(&bench)[0].2, Some(200));
    bench.pass(Duration::from_secs(1_000));
    assert_eq!(bench.reports.len(), 1);
    bench.modify(seid, renew(UpdateUrr { volume_quota: total(1_000_000), ..Default::default() }));
    assert_eq!(down(&mut bench), TO_GNB);
}

#[test]
fn when_downlink_traffic_is_dropped_then_it_is_reported_at_each_threshold() {
    let mut bench = Bench::new();
    let (seid, teid) = bench.session_of(with_urr(|urr| {
        urr.reporting_triggers = ReportingTriggers::DROTH;
        urr.dropped_dl_traffic_threshold = Some(DroppedDlTrafficThreshold { packets: Some(3), octets: None });
    }));
    assert_eq!(down(&mut bench), TO_GNB);
    bench.modify(seid, forward_update(ApplyAction::DROP));
    let dropped = Verdict::Drop(DropReason::FarDrop);
    for told in [0, 0, 1, 1, 1, 2] {
        assert_eq!((down(&mut bench), bench.reports.len()), (dropped, told));
    }
    assert_eq!(triggers(&bench), [UsageReportTrigger::DROTH; 2]);
    assert_eq!(
        (last(&bench)[0].2, bench.reports[0].usage_report[0].volume.unwrap().total),
        (Some(0), Some(100))
    );
    // Octets, from now on; what the UE sends is another matter.
    let threshold = Some(DroppedDlTrafficThreshold { packets: None, octets: Some(150) });
    bench.modify(seid, renew(UpdateUrr { dropped_dl_traffic_threshold: threshold, ..Default::default() }));
    let close = GateStatus { uplink_closed: true, downlink_closed: false };
    bench.modify(seid, gate(close));
    for _ in 0..5 {
        assert_eq!(bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (2, 1), 100))).0, RATE);
    }
    assert_eq!(bench.reports.len(), 2);
    for told in [2, 3, 3, 4] {
        assert_eq!((down(&mut bench), bench.reports.len()), (dropped, told));
    }
}

fn gate(gate_status: GateStatus) -> SessionModificationRequest {
    let update = UpdateQer { qer_id: QerId(1), gate_status: Some(gate_status), ..Default::default() };
    SessionModificationRequest { update_qer: vec![update], ..Default::default() }
}

#[test]
fn when_usage_is_measured_before_qos_enforcement_then_what_qers_keep_back_counts_and_nothing_else_that_is_dropped()
 {
    let mut bench = Bench::new();
    let (seid, _) = bench.session_of(with_urr(|urr| {
        urr.reporting_triggers = ReportingTriggers::VOLTH;
        urr.volume_threshold = total(300);
        urr.measurement_information = Some(MeasurementInformation::MBQE);
    }));
    assert_eq!(down(&mut bench), TO_GNB);
    bench.modify(seid, gate(GateStatus { uplink_closed: false, downlink_closed: true }));
    assert_eq!([down(&mut bench), down(&mut bench)], [RATE, RATE]);
    assert_eq!(last(&bench), [(VOLTH, 0, Some(300), Some(UsageInformation::UBE))]);
    bench.modify(seid, gate(GateStatus::default()));
    bench.modify(seid, forward_update(ApplyAction::DROP));
    (0..9).for_each(|_| _ = down(&mut bench));
    assert_eq!(bench.reports.len(), 1);
}
