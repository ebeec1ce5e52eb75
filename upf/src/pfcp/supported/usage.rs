//! URRs: quotas of time, start and stop of traffic, linked reports, what is refused (TS 29.244 §5.2.2, §7.5.2.4).

use tern_pfcp::*;
use tern_types::Duration;

use crate::path::{DropReason, Verdict};
use crate::testing::*;

pub(super) const TO_GNB: Verdict = Verdict::ToAccess(GNB);
pub(super) const OUT: Verdict = Verdict::Drop(DropReason::QuotaExhausted);

pub(super) fn with_urr(change: impl Fn(&mut CreateUrr)) -> SessionEstablishmentRequest {
    let mut request = establishment();
    change(&mut request.create_urr[0]);
    request
}

pub(super) fn down(bench: &mut Bench) -> Verdict {
    bench.downlink(&udp(SERVER, UE, (1, 2), 100)).0
}

pub(super) fn triggers(bench: &Bench) -> Vec<UsageReportTrigger> {
    bench.reports.iter().flat_map(|report| &report.usage_report).map(|usage| usage.trigger).collect()
}

pub(super) fn renew(update: UpdateUrr) -> SessionModificationRequest {
    SessionModificationRequest {
        update_urr: vec![UpdateUrr { urr_id: UrrId(1), ..update }],
        ..Default::default()
    }
}

#[test]
fn when_a_time_quota_is_over_then_it_is_reported_once_and_nothing_passes_until_there_is_more() {
    let mut bench = Bench::new();
    let (seid, _) = bench.session_of(with_urr(|urr| {
        urr.measurement_method = MeasurementMethod::DURAT;
        urr.reporting_triggers = ReportingTriggers::TIMQU;
        urr.time_quota = Some(Seconds(30));
    }));
    bench.pass(Duration::from_secs(29));
    assert_eq!((down(&mut bench), triggers(&bench)), (TO_GNB, vec![]));
    bench.pass(Duration::from_secs(2));
    assert_eq!((down(&mut bench), triggers(&bench)), (OUT, vec![UsageReportTrigger::TIMQU]));
    bench.pass(Duration::from_secs(100));
    assert_eq!(bench.reports.len(), 1);
    // As large as before, but a new one.
    bench.modify(seid, renew(UpdateUrr { time_quota: Some(Seconds(30)), ..Default::default() }));
    assert_eq!(down(&mut bench), TO_GNB);
    bench.pass(Duration::from_secs(31));
    assert_eq!((down(&mut bench), bench.reports.len()), (OUT, 2));
}

#[test]
fn when_a_volume_quota_is_given_again_as_large_as_before_then_it_is_a_new_one() {
    let mut bench = Bench::new();
    let quota = Some(Volume { total: Some(100), ..Volume::default() });
    let (seid, _) = bench.session_of(with_urr(|urr| {
        urr.reporting_triggers = ReportingTriggers::VOLQU;
        urr.volume_quota = quota;
    }));
    assert_eq!([down(&mut bench), down(&mut bench)], [TO_GNB, OUT]);
    bench.modify(seid, renew(UpdateUrr { volume_quota: quota, ..Default::default() }));
    assert_eq!([down(&mut bench), down(&mut bench)], [TO_GNB, OUT]);
    assert_eq!(triggers(&bench), [UsageReportTrigger::VOLQU; 2]);
}

#[test]
fn when_nothing_passes_for_the_holding_time_then_the_quota_is_gone_and_that_is_reported() {
    let mut bench = Bench::new();
    let quota = Some(Volume { total: Some(1_000_000), ..Volume::default() });
    let (seid, _) = bench.session_of(with_urr(|urr| {
        urr.reporting_triggers = ReportingTriggers::VOLQU | ReportingTriggers::QUHTI;
        urr.volume_quota = quota;
        urr.quota_holding_time = Some(Seconds(20));
    }));
    for _ in 0..5 {
        bench.pass(Duration::from_secs(15));
        assert_eq!(down(&mut bench), TO_GNB);
    }
    assert!(bench.reports.is_empty());
    bench.pass(Duration::from_secs(30));
    assert_eq!((down(&mut bench), triggers(&bench)), (OUT, vec![UsageReportTrigger::QUHTI]));
    bench.modify(seid, renew(UpdateUrr { volume_quota: quota, ..Default::default() }));
    assert_eq!(down(&mut bench), TO_GNB);
}

#[test]
fn when_traffic_starts_and_stops_then_each_is_reported_once() {
    let mut bench = Bench::new();
    bench.session_of(with_urr(|urr| {
        urr.measurement_method = MeasurementMethod::EVENT;
        urr.reporting_triggers = ReportingTriggers::START | ReportingTriggers::STOPT;
        urr.inactivity_detection_time = Some(Seconds(20));
    }));
    bench.pass(Duration::from_secs(100));
    assert!(bench.reports.is_empty());
    for round in 1..3 {
        (0..3).for_each(|_| assert_eq!(down(&mut bench), TO_GNB));
        assert_eq!(bench.reports.len(), 2 * round - 1);
        bench.pass(Duration::from_secs(15));
        down(&mut bench);
        bench.pass(Duration::from_secs(100));
        assert_eq!(bench.reports.len(), 2 * round);
    }
    let (start, stop) = (UsageReportTrigger::START, UsageReportTrigger::STOPT);
    assert_eq!(triggers(&bench), [start, stop, start, stop]);
}

/// A URR that is linked to another reports with it, in one message.
#[test]
fn when_a_urr_is_linked_then_it_reports_with_the_other_and_is_told_in_one_message() {
    let mut bench = Bench::new();
    let mut request = with_urr(|urr| {
        urr.reporting_triggers = ReportingTriggers::VOLTH;
        urr.volume_threshold = Some(Volume { total: Some(150), ..Volume::default() });
    });
    let linked = |id, to| CreateUrr {
        reporting_triggers: ReportingTriggers::LIUSA,
        linked_urr_ids: vec![UrrId(to)],
        ..volume_urr(id)
    };
    request.create_urr.extend([linked(2, 1), linked(3, 2)]);
    request.create_pdr[1].urr_ids = vec![UrrId(1), UrrId(2), UrrId(3)];
    bench.session_of(request);
    (0..2).for_each(|_| _ = down(&mut bench));
    let [report] = &bench.reports[..] else { panic!("one message") };
    let told: Vec<_> = report.usage_report.iter().map(|usage| (usage.urr_id.0, usage.trigger)).collect();
    assert_eq!(told, [(1, UsageReportTrigger::VOLTH), (2, UsageReportTrigger::LIUSA)]);
    assert_eq!(report.usage_report[1].volume.and_then(|volume| volume.total), Some(200));
}

type Change = fn(&mut CreateUrr);

#[test]
fn when_a_urr_asks_for_what_is_not_supported_then_it_is_refused_and_never_ignored() {
    let mut bench = Bench::new();
    let cases: [(Change, u16); 7] = [
        (|urr| urr.reporting_triggers = ReportingTriggers::ENVCL, 37),
        (|urr| urr.reporting_triggers = ReportingTriggers::PERIO | ReportingTriggers::REEMR, 37),
        (|urr| urr.reporting_triggers = ReportingTriggers::EVETH, 37),
        (|urr| urr.measurement_method = MeasurementMethod::EVENT, 62),
        (|urr| urr.measurement_information = Some(MeasurementInformation::INAM), 100),
        (|urr| urr.unknown.push(RawIe { ie_type: 115, value: vec![0, 0, 0, 0, 1] }), 115),
        (|urr| urr.unknown.push(RawIe { ie_type: 147, value: vec![0, 33, 0, 4, 0, 0, 0, 1] }), 147),
    ];
    for (change, ie) in cases {
        let refused = bench.establish(with_urr(change));
        assert_eq!(refused.cause, Cause::RULE_CREATION_MODIFICATION_FAILURE);
        assert_eq!(refused.failed_rule_id, Some(FailedRuleId::Urr(UrrId(1))));
        assert_eq!(refused.offending_ie, Some(OffendingIe(ie)));
    }
    // Nor does a change bring it in.
    let (seid, _) = bench.session();
    let information = Some(MeasurementInformation::INAM);
    let update = UpdateUrr { measurement_information: information, ..Default::default() };
    assert_eq!(bench.modify(seid, renew(update)).offending_ie, Some(OffendingIe(100)));
    // Without a monitoring time nobody knows when these begin to hold.
    let update = UpdateUrr { subsequent_time_quota: Some(Seconds(1)), ..Default::default() };
    let refused = bench.modify(seid, renew(update));
    assert_eq!((refused.cause, refused.offending_ie), (Cause::CONDITIONAL_IE_MISSING, Some(OffendingIe(33))));
}
