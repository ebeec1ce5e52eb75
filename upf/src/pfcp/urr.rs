//! A usage reporting rule at work: TS 29.244 §5.2.2.

mod check;
mod rare;

pub(crate) use check::check;
pub(crate) use rare::is_metered;

use std::sync::Arc;

use smallvec::SmallVec;
use tern_pfcp::*;
use tern_types::{Duration, Instant};

use super::ntp_seconds;
use super::ordered::Ordered;
use crate::path::{Account, Limits, Session};
use rare::{Rare, is_before_qos};

/// The state of one URR. There are millions: what most do not need is elsewhere.
#[derive(Debug)]
pub(crate) struct Urr {
    pub(crate) rule: Arc<CreateUrr>,
    pub(crate) usage: Arc<Account>,
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
    /// When the time quota is used up, by the clock of measured time, until it was reported.
    time_quota_end: Option<Duration>,
    /// The time quota is used up, or the quota was held or valid for long enough: no packet passes until there is a
    /// new one.
    is_out: bool,
    /// Packets when somebody looked last, and when they had become more.
    seen: (u64, Instant),
    /// When somebody looked last.
    looked: Instant,
    /// Packets have come since the last stop of traffic.
    is_flowing: bool,
    /// The earliest of what is due by time.
    deadline: Option<Instant>,
    rare: Option<Box<Rare>>,
}

/// A moment, and what was measured until then.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    counts: [u64; 4],
    /// By the clock of measured time.
    time: Duration,
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
            rare: None,
        }
    }
}

/// Without an inactivity detection time, traffic without packets for so long has stopped.
const STOPPED_AFTER: Duration = Duration::from_secs(10);
/// How often a time without packets is looked for until it is over.
const LOOKS: u32 = 4;

/// The URRs of one session, in the order of their IDs.
#[derive(Debug, Default)]
pub(crate) struct Urrs(SmallVec<[Urr; 1]>);

impl Urrs {
    /// These rules measure from now on, each into what the session's data path counts in, which is in the order of
    /// the IDs, as they are. Measurements of `before` go on. The data path's clock begins at `origin`.
    pub(crate) fn new(
        rules: &[Arc<CreateUrr>],
        session: &Session,
        mut before: Self,
        (now, origin): (Instant, Instant),
    ) -> Self {
        let mut urrs = SmallVec::with_capacity(rules.len());
        let metered = session.besides().map_or(&[][..], |besides| &besides.metered);
        for (place, (rule, measured)) in rules.iter().zip(session.usages.iter()).enumerate() {
            let known = before.place(rule.urr_id).map(|at| before.0.remove(at));
            let mut urr = match known {
                Some(mut urr) => {
                    urr.update(rule);
                    urr
                }
                None => Urr::new(rule.clone(), measured.usage.clone(), now),
            };
            let metered = metered.iter().find(|(of, _)| usize::from(*of) == place);
            urr.meter(metered.map(|(_, metered)| metered), now, origin);
            urrs.push(urr);
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
    pub(crate) fn new(rule: Arc<CreateUrr>, usage: Arc<Account>, now: Instant) -> Self {
        let mut urr = Self { rule, usage, since: now, sequence: 0, course: None };
        urr.arm_quota();
        urr.arm_time_quota(now);
        urr.arm_validity(now);
        urr.usage.set_start(urr.awaits_start());
        urr.arm_threshold();
        urr.arm_monitoring_time(now);
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

    /// A quota that a request gives is a new one, also if it is as large as the one before; what it gives holds
    /// from now on, and a monitoring time is one that is to come.
    pub(crate) fn renew(&mut self, update: &UpdateUrr, now: Instant) {
        let (volume, time) = (update.volume_quota.is_some(), update.time_quota.is_some());
        let mut subsequent = self.subsequent();
        let given = update.monitoring_time.is_some();
        subsequent.volume_threshold &= !given && update.volume_threshold.is_none();
        subsequent.time_threshold &= !given && update.time_threshold.is_none();
        subsequent.volume_quota &= !given && !volume;
        subsequent.time_quota &= !given && !time;
        if subsequent != self.subsequent() {
            self.rare_mut().subsequent = subsequent;
            self.arm_threshold();
        }
        self.renew_quota(volume, time, now);
        if update.quota_validity_time.is_some() {
            self.arm_validity(now);
        }
        if given {
            self.arm_monitoring_time(now);
        }
    }

    /// Of volume, of time, or both.
    fn renew_quota(&mut self, volume: bool, time: bool, now: Instant) {
        if !volume && !time {
            return;
        }
        let has_time_quota = self.time_quota().is_some();
        let packets = self.packets_seen();
        let course = self.course();
        let time_is_out = has_time_quota && course.time_quota_end.is_none();
        course.is_out &= time_is_out && !time;
        course.seen = (packets, now);
        if time {
            self.arm_time_quota(now);
        }
        self.arm_quota();
        self.arm_validity(now);
    }

    fn packets_seen(&self) -> u64 {
        let counts = self.usage.counts();
        counts.uplink_packets.wrapping_add(counts.downlink_packets)
    }

    fn awaits_start(&self) -> bool {
        self.triggered_by(ReportingTriggers::START)
    }

    fn arm_time_quota(&mut self, now: Instant) {
        let quota = self.time_quota();
        let end = quota.map(|quota| self.measured_time(now) + Duration::from_secs(u64::from(quota.0)));
        if end.is_some() || self.course.is_some() {
            self.course().time_quota_end = end;
        }
    }

    /// Time without packets that is to be told, or that ends a quota.
    fn patience(&self) -> Option<Duration> {
        let holds = self.rule.quota_holding_time.filter(|_| self.holds_quota()).map(seconds);
        let stops = (self.triggered_by(ReportingTriggers::STOPT)).then(|| {
            self.rule.inactivity_detection_time.filter(|time| time.0 > 0).map_or(STOPPED_AFTER, seconds)
        });
        holds.into_iter().chain(stops).min()
    }

    /// Whether there is a quota, and packets pass by it.
    fn holds_quota(&self) -> bool {
        let has_quota = self.volume_quota().is_some() || self.time_quota().is_some();
        has_quota && !self.has(|course| course.is_out)
    }

    fn volume_threshold(&self) -> Option<Volume> {
        let subsequent = self.rule.subsequent_volume_threshold.filter(|_| self.subsequent().volume_threshold);
        subsequent.or(self.rule.volume_threshold)
    }

    fn time_threshold(&self) -> Option<Seconds> {
        let subsequent = self.rule.subsequent_time_threshold.filter(|_| self.subsequent().time_threshold);
        subsequent.or(self.rule.time_threshold)
    }

    fn volume_quota(&self) -> Option<Volume> {
        let subsequent = self.rule.subsequent_volume_quota.filter(|_| self.subsequent().volume_quota);
        subsequent.or(self.rule.volume_quota)
    }

    fn time_quota(&self) -> Option<Seconds> {
        let subsequent = self.rule.subsequent_time_quota.filter(|_| self.subsequent().time_quota);
        subsequent.or(self.rule.time_quota)
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
        let limits = match self.volume_threshold() {
            Some(volume) if self.measures_volume() && self.triggered_by(ReportingTriggers::VOLTH) => {
                self.limits(volume)
            }
            _ => Limits::NEVER,
        };
        self.usage.set_threshold(limits);
    }

    fn arm_quota(&mut self) {
        let quota = match self.volume_quota() {
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
        if let Some(rare) = &mut course.rare {
            rare.validity_end = None;
        }
        self.usage.set_quota(Limits::NONE);
    }

    /// When the next report of a period is due.
    fn period_end(&self) -> Option<Instant> {
        let triggered = self.rule.measurement_period.filter(|_| self.triggered_by(ReportingTriggers::PERIO));
        let period = triggered.filter(|period| period.0 > 0).map(seconds)?;
        // A monitoring time ends none.
        let before = self.rare().and_then(|rare| rare.before.as_ref());
        Some(before.map_or(self.since, |mark| mark.at) + period)
    }

    /// What the clock of measured time says when the time threshold is reached.
    fn time_threshold_end(&self) -> Option<Duration> {
        let triggered = self.time_threshold().filter(|_| self.triggered_by(ReportingTriggers::TIMTH));
        Some(self.start().time + triggered.filter(|time| time.0 > 0).map(seconds)?)
    }

    /// When something is due by time at the earliest.
    pub(crate) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        // When it would be over if no packet comes, but not without a look on the way.
        let look = self.patience().map(|patience| {
            let step = patience / LOOKS;
            let looked = self.course.as_ref().map(|course| course.looked.max(course.seen.1));
            looked.unwrap_or(self.since) + step
        });
        let time_quota_end = self.course.as_ref().and_then(|course| course.time_quota_end);
        let measured = self.time_threshold_end().into_iter().chain(time_quota_end).min();
        let measured = measured.and_then(|time| self.when_measured(time, now));
        let others = [self.period_end(), self.validity_end(), self.next_monitoring_time(), look, measured];
        others.into_iter().flatten().min()
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
        let mut trigger = UsageReportTrigger::default();
        let time = self.measured_time(at);
        if self.period_end().is_some_and(|end| end <= at) {
            trigger |= UsageReportTrigger::PERIO;
        }
        if self.time_threshold_end().is_some_and(|end| end <= time) {
            trigger |= UsageReportTrigger::TIMTH;
        }
        let is_valid = self.validity_end().is_none_or(|end| end > at);
        if self.has(|course| course.time_quota_end.is_some_and(|end| end <= time)) {
            self.end_quota();
            if self.triggered_by(ReportingTriggers::TIMQU) {
                trigger |= UsageReportTrigger::TIMQU;
            }
        }
        if !is_valid {
            self.end_quota();
            if self.triggered_by(ReportingTriggers::QUVTI) {
                trigger |= UsageReportTrigger::QUVTI;
            }
        }
        trigger
    }

    /// Whether the report that the data path asks for has a reason, and what triggers it. A quota
    /// is reported once; that it is used up lasts until a new one comes.
    pub(crate) fn volume_trigger(&mut self, quota: bool) -> Option<UsageReportTrigger> {
        let counts = self.usage.counts();
        let threshold = self.volume_threshold().map_or(Limits::NEVER, |volume| self.limits(volume));
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

    /// Reports what was measured since the last report, and begins the next measurement. What was before a
    /// monitoring time has a report of its own, in front.
    pub(crate) fn report(
        &mut self,
        now: Instant,
        trigger: UsageReportTrigger,
        reports: &mut Vec<UsageReport>,
    ) {
        self.pass_monitoring_time(now);
        let (start, here) = (self.start(), self.mark(now));
        let mut information = UsageInformation::default();
        if is_before_qos(&self.rule) {
            information |= UsageInformation::UBE;
        }
        if let Some(before) = self.course().rare.as_mut().and_then(|rare| rare.before.take()) {
            let of_before = information | UsageInformation::BEF;
            reports.push(self.measured(UsageReportTrigger::MONIT, (before, start), of_before));
            information |= UsageInformation::AFT;
        }
        reports.push(self.measured(trigger, (start, here), information));
        // A quota goes on from where it began; what was used up stays used up.
        self.set_start(here);
        self.arm_threshold();
        self.restart_dropped(now);
    }

    fn mark(&self, now: Instant) -> Mark {
        let counts = self.usage.counts();
        Mark {
            at: now,
            counts: [counts.uplink, counts.downlink, counts.uplink_packets, counts.downlink_packets],
            time: self.measured_time(now),
        }
    }

    fn measured(
        &mut self,
        trigger: UsageReportTrigger,
        (from, to): (Mark, Mark),
        information: UsageInformation,
    ) -> UsageReport {
        let [uplink, downlink, uplink_packets, downlink_packets] =
            std::array::from_fn(|index| to.counts[index].saturating_sub(from.counts[index]));
        let volume = self.measures_volume().then(|| VolumeMeasurement {
            total: Some(uplink.saturating_add(downlink)),
            uplink: Some(uplink),
            downlink: Some(downlink),
            ..self.packets(uplink_packets, downlink_packets)
        });
        let duration = self.rule.measurement_method.contains(MeasurementMethod::DURAT);
        let seconds = u32::try_from(to.time.saturating_sub(from.time).as_secs()).unwrap_or(u32::MAX);
        let ur_seqn = UrSeqn(self.sequence);
        self.sequence = self.sequence.wrapping_add(1);
        UsageReport {
            urr_id: self.rule.urr_id,
            ur_seqn,
            trigger,
            start_time: Some(ntp_seconds(from.at)),
            end_time: Some(ntp_seconds(to.at)),
            volume,
            duration: duration.then_some(DurationMeasurement(seconds)),
            usage_information: Some(information).filter(|information| information.0 != 0),
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

fn seconds(seconds: Seconds) -> Duration {
    Duration::from_secs(u64::from(seconds.0.max(1)))
}
