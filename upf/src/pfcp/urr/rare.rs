//! What few URRs have: a monitoring time, time without inactivity, an end of a quota's validity, dropped traffic
//! (TS 29.244 §5.2.2.2).

use std::sync::Arc;

use tern_pfcp::*;
use tern_types::{Duration, Instant};

use super::{Mark, Urr, seconds};
use crate::path::{Dropped, Metered};
use crate::pfcp::ntp_seconds;

/// The least time until measured time is looked at again.
const LOOK_MIN: Duration = Duration::from_millis(1);

/// Values that hold from a monitoring time on, if the rule has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Subsequent {
    pub(super) volume_threshold: bool,
    pub(super) time_threshold: bool,
    pub(super) volume_quota: bool,
    pub(super) time_quota: bool,
}

#[derive(Debug, Default)]
pub(super) struct Rare {
    /// The monitoring time that is to come.
    monitoring_time: Option<Instant>,
    /// Where the measurement began that ended at a monitoring time, until it is reported.
    pub(super) before: Option<Mark>,
    pub(super) subsequent: Subsequent,
    /// When the quota is no longer valid.
    pub(super) validity_end: Option<Instant>,
    /// Dropped packets at the last report.
    dropped: Dropped,
    metered: Option<Clocked>,
    /// What the clock of measured time said when the measurement that is going on began, if there is one.
    began: Duration,
}

/// What the data path meters, by its clock.
#[derive(Debug)]
struct Clocked {
    metered: Arc<Metered>,
    /// Origin of the data path's clock.
    origin: Instant,
    /// What was on the measured clock when metering began.
    base: Duration,
}

impl Clocked {
    fn now_ns(&self, now: Instant) -> u64 {
        u64::try_from(now.since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    fn time(&self, now: Instant) -> Duration {
        self.base + Duration::from_nanos(self.metered.time_ns(self.now_ns(now)))
    }
}

/// Whether the data path has to meter more than volume for a rule.
pub(crate) fn is_metered(rule: &CreateUrr) -> bool {
    idle_after(rule).is_some() || is_before_qos(rule) || dropped_threshold(rule).is_some()
}

/// Without packets for so long, the time that is measured rests.
fn idle_after(rule: &CreateUrr) -> Option<Duration> {
    let is_timed = rule.measurement_method.contains(MeasurementMethod::DURAT);
    rule.inactivity_detection_time.filter(|time| is_timed && time.0 > 0).map(seconds)
}

fn wants(rule: &CreateUrr, what: MeasurementInformation) -> bool {
    rule.measurement_information.is_some_and(|wanted| wanted.contains(what))
}

pub(super) fn is_before_qos(rule: &CreateUrr) -> bool {
    wants(rule, MeasurementInformation::MBQE)
}

fn dropped_threshold(rule: &CreateUrr) -> Option<Dropped> {
    let is_told = rule.reporting_triggers.contains(ReportingTriggers::DROTH);
    let threshold = rule.dropped_dl_traffic_threshold.filter(|_| is_told)?;
    Some([threshold.packets, threshold.octets].map(|count| count.unwrap_or(u64::MAX)))
}

fn since_epoch(now: Instant) -> Duration {
    now.since(Instant::from_micros(0))
}

/// A moment that N4 says: by a clock of 32 bits, the half of which is before now.
fn moment(said: NtpSeconds, now: Instant) -> Instant {
    let ahead = said.0.wrapping_sub(ntp_seconds(now).0).cast_signed();
    let second = Instant::from_micros(now.as_micros() / 1_000_000 * 1_000_000);
    match u64::try_from(ahead) {
        Ok(ahead) => second + Duration::from_secs(ahead),
        Err(_) => second - Duration::from_secs(u64::from(ahead.unsigned_abs())),
    }
}

impl Urr {
    pub(super) fn rare(&self) -> Option<&Rare> {
        self.course.as_ref().and_then(|course| course.rare.as_deref())
    }

    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.course().rare.get_or_insert_default()
    }

    pub(super) fn subsequent(&self) -> Subsequent {
        self.rare().map(|rare| rare.subsequent).unwrap_or_default()
    }

    /// What the data path meters for it.
    pub(crate) fn metered(&self) -> Option<&Arc<Metered>> {
        self.rare()?.metered.as_ref().map(|clocked| &clocked.metered)
    }

    /// Has the data path meter what the rule asks for, from now on.
    pub(super) fn meter(&mut self, metered: Option<&Arc<Metered>>, now: Instant, origin: Instant) {
        if self.metered().is_none() {
            let Some(metered) = metered.cloned() else { return };
            let (base, began) = (since_epoch(now), self.start().time);
            let is_timed = idle_after(&self.rule).is_some() && now <= self.since;
            let begins = !is_timed || wants(&self.rule, MeasurementInformation::ISTM);
            let clocked = Clocked { metered, origin, base };
            if begins {
                clocked.metered.pass(clocked.now_ns(now));
            }
            let rare = self.rare_mut();
            (rare.metered, rare.began) = (Some(clocked), began);
        }
        let rule = self.rule.clone();
        let dropped = self.rare().map(|rare| rare.dropped).unwrap_or_default();
        let Some(clocked) = self.rare().and_then(|rare| rare.metered.as_ref()) else { return };
        let idle_after = idle_after(&rule).map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        clocked.metered.set_idle_after(idle_after, clocked.now_ns(now));
        clocked.metered.set_before_qos(is_before_qos(&rule));
        let limits = dropped_threshold(&rule).map(|threshold| {
            let end = |from: u64, step: u64| if step == u64::MAX { step } else { from.saturating_add(step) };
            [end(dropped[0], threshold[0]), end(dropped[1], threshold[1])]
        });
        clocked.metered.await_dropped(limits);
    }

    /// Where the measurement that is going on began.
    pub(super) fn start(&self) -> Mark {
        let rare = self.rare().filter(|rare| rare.metered.is_some());
        let time = rare.map_or(since_epoch(self.since), |rare| rare.began);
        Mark { at: self.since, counts: self.reported(), time }
    }

    pub(super) fn set_start(&mut self, mark: Mark) {
        self.since = mark.at;
        let course = self.course();
        course.reported = mark.counts;
        if let Some(rare) = &mut course.rare {
            rare.began = mark.time;
        }
    }

    /// What the clock of measured time says: only differences mean something.
    pub(super) fn measured_time(&self, now: Instant) -> Duration {
        let clocked = self.rare().and_then(|rare| rare.metered.as_ref());
        clocked.map_or(since_epoch(now), |clocked| clocked.time(now))
    }

    /// When the clock of measured time may say so much at the earliest; `None` if it rests until the next packet,
    /// which will be told.
    pub(super) fn when_measured(&self, time: Duration, now: Instant) -> Option<Instant> {
        let Some(clocked) = self.rare().and_then(|rare| rare.metered.as_ref()) else {
            return Some(Instant::from_micros(0) + time);
        };
        let rests = || clocked.metered.rests(clocked.now_ns(now));
        let left = time.saturating_sub(clocked.time(now));
        if left > Duration::ZERO && rests() {
            self.usage.set_start(true);
            // A packet may have come in between.
            if rests() {
                return None;
            }
        }
        Some(now + left.max(LOOK_MIN))
    }

    /// The first packet after a rest came.
    pub(crate) fn resume(&self, now: Instant) {
        if let Some(clocked) = self.rare().and_then(|rare| rare.metered.as_ref()) {
            let now_ns = clocked.now_ns(now);
            if clocked.metered.rests(now_ns) {
                clocked.metered.pass(now_ns);
            }
        }
    }

    /// Usage is split at the monitoring time that the rule says. One that is past splits nothing, and what holds
    /// behind it holds at once.
    pub(super) fn arm_monitoring_time(&mut self, now: Instant) {
        let Some(at) = self.rule.monitoring_time.map(|said| moment(said, now)) else { return };
        let is_ahead = at > now;
        self.rare_mut().monitoring_time = is_ahead.then_some(at);
        if !is_ahead {
            self.begin_subsequent(now);
        }
    }

    pub(super) fn next_monitoring_time(&self) -> Option<Instant> {
        self.rare().and_then(|rare| rare.monitoring_time)
    }

    /// If it is time for it, what is measured from now on is told apart from what was before. Thresholds begin
    /// anew.
    pub(crate) fn pass_monitoring_time(&mut self, now: Instant) {
        if self.next_monitoring_time().is_none_or(|at| at > now) {
            return;
        }
        let (start, here) = (self.start(), self.mark(now));
        let rare = self.rare_mut();
        rare.monitoring_time = None;
        // What was split and not yet reported stays one.
        rare.before.get_or_insert(start);
        self.set_start(here);
        self.begin_subsequent(now);
    }

    fn begin_subsequent(&mut self, now: Instant) {
        let subsequent = Subsequent {
            volume_threshold: self.rule.subsequent_volume_threshold.is_some(),
            time_threshold: self.rule.subsequent_time_threshold.is_some(),
            volume_quota: self.rule.subsequent_volume_quota.is_some(),
            time_quota: self.rule.subsequent_time_quota.is_some(),
        };
        self.rare_mut().subsequent = subsequent;
        self.renew_quota(subsequent.volume_quota, subsequent.time_quota, now);
        self.arm_threshold();
    }

    /// A quota that is new is valid for so long as the rule says.
    pub(super) fn arm_validity(&mut self, now: Instant) {
        let validity = self.rule.quota_validity_time.filter(|time| time.0 > 0 && self.holds_quota());
        let end = validity.map(|validity| now + seconds(validity));
        if end.is_some() || self.rare().is_some() {
            self.rare_mut().validity_end = end;
        }
    }

    pub(super) fn validity_end(&self) -> Option<Instant> {
        self.rare().and_then(|rare| rare.validity_end)
    }

    /// Whether enough was dropped since the last report.
    pub(crate) fn dropped_trigger(&self) -> Option<UsageReportTrigger> {
        let threshold = dropped_threshold(&self.rule)?;
        let rare = self.rare()?;
        let dropped = rare.metered.as_ref()?.metered.dropped();
        let is_reached = |at: usize| dropped[at].saturating_sub(rare.dropped[at]) >= threshold[at];
        (is_reached(0) || is_reached(1)).then_some(UsageReportTrigger::DROTH)
    }

    /// What was dropped counts from this report on.
    pub(super) fn restart_dropped(&mut self, now: Instant) {
        let clocked = self.rare().and_then(|rare| rare.metered.as_ref());
        let Some((dropped, origin)) = clocked.map(|clocked| (clocked.metered.dropped(), clocked.origin))
        else {
            return;
        };
        self.rare_mut().dropped = dropped;
        self.meter(None, now, origin);
    }
}
