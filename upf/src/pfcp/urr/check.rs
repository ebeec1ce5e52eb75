//! What a URR asks for and does not get: TS 29.244 §7.5.2.4.

use tern_pfcp::*;

use crate::pfcp::rules::Refusal;

/// Triggers that are understood (TS 29.244 §8.2.19).
const TRIGGERS: u32 = ReportingTriggers::PERIO.0
    | ReportingTriggers::VOLTH.0
    | ReportingTriggers::TIMTH.0
    | ReportingTriggers::QUHTI.0
    | ReportingTriggers::START.0
    | ReportingTriggers::STOPT.0
    | ReportingTriggers::DROTH.0
    | ReportingTriggers::LIUSA.0
    | ReportingTriggers::VOLQU.0
    | ReportingTriggers::TIMQU.0
    | ReportingTriggers::QUVTI.0;

/// IEs of a URR that would change what it measures or reports, and are not understood: a FAR or a mechanism for
/// quotas, aggregation, Ethernet, further monitoring times, events, a number of reports.
const UNSUPPORTED: [u16; 10] = [108, 115, 118, 146, 147, 148, 149, 150, 151, 182];

const MONITORING_TIME: u16 = 33;

/// Refuses what a URR asks for and would not get (TS 29.244 §7.5.2.4).
pub(crate) fn check(rule: &CreateUrr) -> Result<(), Refusal> {
    let refuse = |ie, why| Err(Refusal::rule(FailedRuleId::Urr(rule.urr_id), ie, why));
    let triggers = rule.reporting_triggers;
    if triggers.0 & !TRIGGERS != 0 {
        return refuse(37, "a reporting trigger that is not supported");
    }
    let of_traffic = triggers.0 & (ReportingTriggers::START.0 | ReportingTriggers::STOPT.0) != 0;
    if rule.measurement_method.contains(MeasurementMethod::EVENT) && !of_traffic {
        return refuse(62, "no events are measured but start and stop of traffic");
    }
    let subsequent_times = [rule.subsequent_time_threshold, rule.subsequent_time_quota];
    let subsequent_volumes = [rule.subsequent_volume_threshold, rule.subsequent_volume_quota];
    let has_subsequent =
        subsequent_times.iter().any(Option::is_some) || subsequent_volumes.iter().any(Option::is_some);
    if has_subsequent && rule.monitoring_time.is_none() {
        let refusal = Refusal::rule(
            FailedRuleId::Urr(rule.urr_id),
            MONITORING_TIME,
            "it is not said when the subsequent values hold",
        );
        return Err(Refusal { cause: Cause::CONDITIONAL_IE_MISSING, ..refusal });
    }
    let wanted = rule.measurement_information.unwrap_or_default();
    if wanted.contains(MeasurementInformation::INAM) {
        return refuse(100, "measuring is not paused");
    }
    match rule.unknown.iter().find(|ie| UNSUPPORTED.contains(&ie.ie_type)) {
        Some(ie) => refuse(ie.ie_type, "not supported"),
        None => Ok(()),
    }
}
