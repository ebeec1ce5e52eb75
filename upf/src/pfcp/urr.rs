//! A usage reporting rule at work: TS 29.244 §5.2.2.

use std::sync::Arc;

use smallvec::SmallVec;
use tern_pfcp::*;
use tern_types::{Duration, Instant};

use super::ntp_seconds;
use super::ordered::Ordered;
use super::rules::Refusal;
use crate::path::{Limits, Measured, Usage};

/// The state of one URR. There are millions: what most do not need is elsewhere.
#[derive(Debug)]
pub(crate) struct Urr {
    pub(crate) rule: Arc<CreateUrr>,
    pub(crate) usage: Arc<Usage>,
    /// When the measurement that is going on began.
    since: Instant,
    sequence: u32,
    /// There from the first report, quota, deadline or look on.
    course: Option<Box<Course>>,
}

/// What has happened to a URR.
#[derive(Debug)]
struct Course {
    /// Counts at the last report.
    reported: [u64; 4],
    /// Counts at which the quota is used up, until it was reported.
    quota: Limits,
    /// When the time quota is used up, until it was reported.
    time_quota_end: Option<Instant>,
    /// The time quota is used up, or the quota was held for too long: no packet passes until there is a new one.
    is_out: bool,
    /// Packets when somebody looked last, and when they had become more.
    seen: (u64, Instant),
    /// When somebody looked last.
    looked: Instant,
    /// Packets have come since the last stop of traffic.
    is_flowing: bool,
    /// The earliest of what is due by time.
    deadline: Option<Instant>,
}

impl Course {
    /// Of a URR that measures since then, and to which nothing has happened.
    fn new(since: Instant) -> Self {
        Self {
            reported: [0; 4],
            quota: Limits::NEVER,
            time_quota_end: None,
            is_out: false,
            seen: (0, since),
            looked: since,
            is_flowing: false,
            deadline: None,
        }
    }
}

/// Without an inactivity detection time, traffic without packets for so long has stopped.
const STOPPED_AFTER: Duration = Duration::from_secs(10);
/// How often a time without packets is looked for until it is over.
const LOOKS: u32 = 4;

/// Triggers that are understood (TS 29.244 §8.2.19).
const TRIGGERS: u32 = ReportingTriggers::PERIO.0
    | ReportingTriggers::VOLTH.0
    | ReportingTriggers::TIMTH.0
    | ReportingTriggers::QUHTI.0
    | ReportingTriggers::START.0
    | ReportingTriggers::STOPT.0
    | ReportingTriggers::LIUSA.0
    | ReportingTriggers::VOLQU.0
    | ReportingTriggers::TIMQU.0;

/// IEs of a URR that would change what it measures or reports, and are not understood: subsequent thresholds and
/// quotas, dropped traffic, FARs and time for quotas, aggregation, events, Ethernet.
const UNSUPPORTED: [u16; 16] = [34, 35, 72, 108, 115, 118, 121, 122, 146, 147, 148, 149, 150, 151, 181, 182];

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
    if rule.monitoring_time.is_some() {
        return refuse(33, "usage is not split at a monitoring time");
    }
    let pauses = rule.inactivity_detection_time.is_some_and(|time| time.0 > 0);
    if pauses && rule.measurement_method.contains(MeasurementMethod::DURAT) {
        return refuse(36, "time is measured without regard to inactivity");
    }
    let wanted = rule.measurement_information.unwrap_or_default();
    if wanted.0 & (MeasurementInformation::MBQE | MeasurementInformation::INAM).0 != 0 {
        return refuse(100, "usage is measured behind the QERs, and always");
    }
    match rule.unknown.iter().find(|ie| UNSUPPORTED.contains(&ie.ie_type)) {
        Some(ie) => refuse(ie.ie_type, "not supported"),
        None => Ok(()),
    }
}

/// The URRs of one session, in the order of their IDs.
#[derive(Debug, Default)]
pub(crate) struct Urrs(SmallVec<[Urr; 1]>);

impl Urrs {
    /// These rules measure from now on, each into what the data path counts in; both are in the order of the
    /// IDs. Measurements of `before` go on.
    pub(crate) fn new(rules: &[Arc<CreateUrr>], usages: &[Measured], mut before: Self, now: Instant) -> Self {
        let mut urrs = SmallVec::with_capacity(rules.len());
        for (rule, measured) in rules.iter().zip(usages) {
            let known = before.place(rule.urr_id).map(|at| before.0.remove(at));
            urrs.push(match known {
                Some(mut urr) => {
                    urr.update(rule);
                    urr
                }
                None => Urr::new(rule.clone(), measured.usage.clone(), now),
            });
        }
        Self(urrs)
    }

    fn place(&self, id: UrrId) -> Option<usize> {
        self.0.binary_search_by_key(&id, |urr| urr.rule.urr_id).ok()
    }

    pub(crate) fn get(&self, id: UrrId) -> Option<&Urr> {
        self.place(id).and_then(|at| self.0.get(at))
    }

    pub(crate) fn get_mut(&mut self, id: UrrId) -> Option<&mut Urr> {
        self.place(id).and_then(|at| self.0.get_mut(at))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Urr> {
        self.0.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Urr> {
        self.0.iter_mut()
    }

    /// Takes out those that are not among these rules.
    pub(crate) fn take_others(&mut self, rules: &Ordered<CreateUrr>) -> Vec<Urr> {
        let (stay, others): (Vec<Urr>, Vec<Urr>) =
            self.0.drain(..).partition(|urr| rules.contains(urr.rule.urr_id));
        self.0.extend(stay);
        others
    }
}

impl Urr {
    pub(crate) fn new(rule: Arc<CreateUrr>, usage: Arc<Usage>, now: Instant) -> Self {
        let mut urr = Self { rule, usage, since: now, sequence: 0, course: None };
        urr.arm_quota();
        urr.arm_time_quota(now);
        urr.usage.set_start(urr.awaits_start());
        urr.arm_threshold();
        urr
    }

    /// What has happened, for changing it.
    fn course(&mut self) -> &mut Course {
        // Nothing has, if it is not there: so it measures since its beginning.
        self.course.get_or_insert_with(|| Box::new(Course::new(self.since)))
    }

    fn has(&self, what: impl FnOnce(&Course) -> bool) -> bool {
        self.course.as_deref().is_some_and(what)
    }

    /// The earliest of what is due by time.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.course.as_ref().and_then(|course| course.deadline)
    }

    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) {
        if deadline.is_some() || self.course.is_some() {
            self.course().deadline = deadline;
        }
    }

    /// The rule has changed: thresholds count from the last report.
    fn update(&mut self, rule: &Arc<CreateUrr>) {
        let awaited = self.awaits_start();
        self.rule = rule.clone();
        if self.awaits_start() != awaited {
            self.usage.set_start(self.awaits_start() && !self.has(|course| course.is_flowing));
        }
        self.arm_threshold();
    }

    /// A quota that a request gives is a new one, also if it is as large as the one before.
    pub(crate) fn renew(&mut self, update: &UpdateUrr, now: Instant) {
        if update.volume_quota.is_none() && update.time_quota.is_none() {
            return;
        }
        let has_time_quota = self.rule.time_quota.is_some();
        let packets = self.packets_seen();
        let course = self.course();
        let time_is_out = has_time_quota && course.time_quota_end.is_none();
        course.is_out &= time_is_out && update.time_quota.is_none();
        course.seen = (packets, now);
        if update.time_quota.is_some() {
            self.arm_time_quota(now);
        }
        self.arm_quota();
    }

    fn packets_seen(&self) -> u64 {
        let counts = self.usage.counts();
        counts.uplink_packets.wrapping_add(counts.downlink_packets)
    }

    fn awaits_start(&self) -> bool {
        self.triggered_by(ReportingTriggers::START)
    }

    fn arm_time_quota(&mut self, now: Instant) {
        let quota = self.rule.time_quota;
        let end = quota.map(|quota| now + Duration::from_secs(u64::from(quota.0)));
        if end.is_some() || self.course.is_some() {
            self.course().time_quota_end = end;
        }
    }

    /// Time without packets that is to be told, or that ends a quota.
    fn patience(&self) -> Option<Duration> {
        let seconds = |seconds: Seconds| Duration::from_secs(u64::from(seconds.0.max(1)));
        let holds = self.rule.quota_holding_time.filter(|_| self.holds_quota()).map(seconds);
        let stops = (self.triggered_by(ReportingTriggers::STOPT)).then(|| {
            self.rule.inactivity_detection_time.filter(|time| time.0 > 0).map_or(STOPPED_AFTER, seconds)
        });
        holds.into_iter().chain(stops).min()
    }

    /// Whether there is a quota, and packets pass by it.
    fn holds_quota(&self) -> bool {
        let has_quota = self.rule.volume_quota.is_some() || self.rule.time_quota.is_some();
        has_quota && !self.has(|course| course.is_out)
    }

    fn measures_volume(&self) -> bool {
        self.rule.measurement_method.contains(MeasurementMethod::VOLUM)
    }

    fn triggered_by(&self, trigger: ReportingTriggers) -> bool {
        self.rule.reporting_triggers.contains(trigger)
    }

    fn reported(&self) -> [u64; 4] {
        self.course.as_ref().map_or([0; 4], |course| course.reported)
    }

    fn limits(&self, volume: Volume) -> Limits {
        let [uplink, downlink, ..] = self.reported();
        let end = |from: u64, step: Option<u64>| step.map_or(u64::MAX, |step| from.saturating_add(step));
        Limits {
            total: end(uplink.saturating_add(downlink), volume.total),
            uplink: end(uplink, volume.uplink),
            downlink: end(downlink, volume.downlink),
        }
    }

    fn arm_threshold(&self) {
        let limits = match self.rule.volume_threshold {
            Some(volume) if self.measures_volume() && self.triggered_by(ReportingTriggers::VOLTH) => {
                self.limits(volume)
            }
            _ => Limits::NEVER,
        };
        self.usage.set_threshold(limits);
    }

    fn arm_quota(&mut self) {
        let quota = match self.rule.volume_quota {
            Some(volume) if self.measures_volume() => self.limits(volume),
            _ => Limits::NEVER,
        };
        if quota != Limits::NEVER || self.course.is_some() {
            self.course().quota = quota;
        }
        self.usage.set_quota(if self.has(|course| course.is_out) { Limits::NONE } else { quota });
    }

    /// No packet passes until there is a new quota.
    fn end_quota(&mut self) {
        let course = self.course();
        (course.is_out, course.time_quota_end, course.quota) = (true, None, Limits::NEVER);
        self.usage.set_quota(Limits::NONE);
    }

    /// When the next report by time is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let after = |seconds: Option<Seconds>, trigger: ReportingTriggers| {
            let seconds = seconds.filter(|seconds| seconds.0 > 0 && self.triggered_by(trigger))?;
            Some(self.since + Duration::from_secs(u64::from(seconds.0)))
        };
        let period = after(self.rule.measurement_period, ReportingTriggers::PERIO);
        let threshold = after(self.rule.time_threshold, ReportingTriggers::TIMTH);
        // When it would be over if no packet comes, but not without a look on the way.
        let look = self.patience().map(|patience| {
            let step = patience / LOOKS;
            let looked = self.course.as_ref().map(|course| course.looked.max(course.seen.1));
            looked.unwrap_or(self.since) + step
        });
        let time_quota_end = self.course.as_ref().and_then(|course| course.time_quota_end);
        period.into_iter().chain(threshold).chain(look).chain(time_quota_end).min()
    }

    /// What triggers the report that is due by time at `at`: nothing, if it was only time to look.
    pub(crate) fn time_trigger(&mut self, at: Instant) -> UsageReportTrigger {
        let idle = self.idle_trigger(at);
        self.due_trigger(at) | idle
    }

    /// What the time without packets triggers.
    fn idle_trigger(&mut self, at: Instant) -> UsageReportTrigger {
        let mut trigger = UsageReportTrigger::default();
        let packets = self.packets_seen();
        let course = self.course();
        course.looked = at;
        if packets != course.seen.0 {
            (course.seen, course.is_flowing) = ((packets, at), true);
            return trigger;
        }
        let idle = at.since(course.seen.1);
        let is_flowing = course.is_flowing;
        let seconds = |seconds: Seconds| Duration::from_secs(u64::from(seconds.0.max(1)));
        let holding = self.rule.quota_holding_time.filter(|_| self.holds_quota());
        if holding.is_some_and(|time| idle >= seconds(time)) {
            self.end_quota();
            if self.triggered_by(ReportingTriggers::QUHTI) {
                trigger |= UsageReportTrigger::QUHTI;
            }
        }
        let detection = self.rule.inactivity_detection_time.filter(|time| time.0 > 0);
        let stopped = idle >= detection.map_or(STOPPED_AFTER, seconds);
        if is_flowing && stopped && self.triggered_by(ReportingTriggers::STOPT) {
            self.course().is_flowing = false;
            self.usage.set_start(self.awaits_start());
            trigger |= UsageReportTrigger::STOPT;
        }
        trigger
    }

    /// The first packet came; whether that is to be told.
    pub(crate) fn start_trigger(&mut self, now: Instant) -> Option<UsageReportTrigger> {
        if self.has(|course| course.is_flowing) || !self.awaits_start() {
            return None;
        }
        let packets = self.packets_seen();
        let course = self.course();
        (course.is_flowing, course.seen) = (true, (packets, now));
        Some(UsageReportTrigger::START)
    }

    /// Whether it reports when this other one does.
    pub(crate) fn is_linked_to(&self, other: UrrId) -> bool {
        self.triggered_by(ReportingTriggers::LIUSA) && self.rule.linked_urr_ids.contains(&other)
    }

    fn due_trigger(&mut self, at: Instant) -> UsageReportTrigger {
        let is_due = |seconds: Option<Seconds>| {
            seconds.is_some_and(|seconds| self.since + Duration::from_secs(u64::from(seconds.0)) <= at)
        };
        let mut trigger = UsageReportTrigger::default();
        if self.triggered_by(ReportingTriggers::PERIO) && is_due(self.rule.measurement_period) {
            trigger |= UsageReportTrigger::PERIO;
        }
        if self.triggered_by(ReportingTriggers::TIMTH) && is_due(self.rule.time_threshold) {
            trigger |= UsageReportTrigger::TIMTH;
        }
        if self.has(|course| course.time_quota_end.is_some_and(|end| end <= at)) {
            self.end_quota();
            if self.triggered_by(ReportingTriggers::TIMQU) {
                trigger |= UsageReportTrigger::TIMQU;
            }
        }
        trigger
    }

    /// Whether the report that the data path asks for has a reason, and what triggers it. A quota
    /// is reported once; that it is used up lasts until a new one comes.
    pub(crate) fn volume_trigger(&mut self, quota: bool) -> Option<UsageReportTrigger> {
        let counts = self.usage.counts();
        let threshold = self.rule.volume_threshold.map_or(Limits::NEVER, |volume| self.limits(volume));
        let left = self.course.as_ref().map_or(Limits::NEVER, |course| course.quota);
        let limits = if quota { left } else { threshold };
        let reached = counts.uplink >= limits.uplink
            || counts.downlink >= limits.downlink
            || counts.uplink.saturating_add(counts.downlink) >= limits.total;
        if !reached {
            return None;
        }
        if !quota {
            return Some(UsageReportTrigger::VOLTH);
        }
        self.course().quota = Limits::NEVER;
        self.triggered_by(ReportingTriggers::VOLQU).then_some(UsageReportTrigger::VOLQU)
    }

    /// Reports what was counted since the last report, and begins the next measurement.
    pub(crate) fn report(&mut self, now: Instant, trigger: UsageReportTrigger) -> UsageReport {
        let current = self.current();
        let report = self.measured(now, trigger, current);
        self.sequence = self.sequence.wrapping_add(1);
        // A quota goes on from where it began; what was used up stays used up.
        self.course().reported = current;
        self.since = now;
        self.arm_threshold();
        report
    }

    /// The last report: the rule is gone.
    pub(crate) fn last_report(&self, now: Instant) -> UsageReport {
        self.measured(now, UsageReportTrigger::TERMR, self.current())
    }

    fn current(&self) -> [u64; 4] {
        let counts = self.usage.counts();
        [counts.uplink, counts.downlink, counts.uplink_packets, counts.downlink_packets]
    }

    fn measured(&self, now: Instant, trigger: UsageReportTrigger, current: [u64; 4]) -> UsageReport {
        let reported = self.reported();
        let [uplink, downlink, uplink_packets, downlink_packets] =
            std::array::from_fn(|index| current[index].saturating_sub(reported[index]));
        let volume = self.measures_volume().then(|| VolumeMeasurement {
            total: Some(uplink.saturating_add(downlink)),
            uplink: Some(uplink),
            downlink: Some(downlink),
            ..self.packets(uplink_packets, downlink_packets)
        });
        let duration = self.rule.measurement_method.contains(MeasurementMethod::DURAT);
        let seconds = u32::try_from(now.since(self.since).as_secs()).unwrap_or(u32::MAX);
        UsageReport {
            urr_id: self.rule.urr_id,
            ur_seqn: UrSeqn(self.sequence),
            trigger,
            start_time: Some(ntp_seconds(self.since)),
            end_time: Some(ntp_seconds(now)),
            volume,
            duration: duration.then_some(DurationMeasurement(seconds)),
            ..Default::default()
        }
    }

    fn packets(&self, uplink: u64, downlink: u64) -> VolumeMeasurement {
        let wanted = self.rule.measurement_information.unwrap_or_default();
        if !wanted.contains(MeasurementInformation::MNOP) {
            return VolumeMeasurement::default();
        }
        VolumeMeasurement {
            total_packets: Some(uplink.saturating_add(downlink)),
            uplink_packets: Some(uplink),
            downlink_packets: Some(downlink),
            ..Default::default()
        }
    }
}
