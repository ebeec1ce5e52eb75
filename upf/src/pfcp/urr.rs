//! A usage reporting rule at work: TS 29.244 §5.2.2.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;
use tern_pfcp::*;
use tern_types::{Duration, Instant};

use super::ntp_seconds;
use crate::path::{Limits, Measured, Usage};

/// The state of one URR.
#[derive(Debug)]
pub(crate) struct Urr {
    pub(crate) rule: Arc<CreateUrr>,
    pub(crate) usage: Arc<Usage>,
    /// Counts at the last report.
    reported: [u64; 4],
    /// When the measurement that is going on began.
    since: Instant,
    sequence: u32,
    /// Counts at which the quota is used up, until it was reported.
    quota: Limits,
    /// Of the period and of the time threshold, the earlier one.
    pub(crate) deadline: Option<Instant>,
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
    pub(crate) fn take_others(&mut self, rules: &BTreeMap<UrrId, CreateUrr>) -> Vec<Urr> {
        let (stay, others): (Vec<Urr>, Vec<Urr>) =
            self.0.drain(..).partition(|urr| rules.contains_key(&urr.rule.urr_id));
        self.0.extend(stay);
        others
    }
}

impl Urr {
    pub(crate) fn new(rule: Arc<CreateUrr>, usage: Arc<Usage>, now: Instant) -> Self {
        let mut urr = Self {
            rule,
            usage,
            reported: [0; 4],
            since: now,
            sequence: 0,
            quota: Limits::NEVER,
            deadline: None,
        };
        urr.arm_quota();
        urr.arm_threshold();
        urr
    }

    /// The rule has changed: thresholds and quotas count from the last report.
    pub(crate) fn update(&mut self, rule: &Arc<CreateUrr>) {
        let quota = self.rule.volume_quota != rule.volume_quota;
        self.rule = rule.clone();
        if quota {
            self.arm_quota();
        }
        self.arm_threshold();
    }

    fn measures_volume(&self) -> bool {
        self.rule.measurement_method.contains(MeasurementMethod::VOLUM)
    }

    fn triggered_by(&self, trigger: ReportingTriggers) -> bool {
        self.rule.reporting_triggers.contains(trigger)
    }

    fn limits(&self, volume: Volume) -> Limits {
        let [uplink, downlink, ..] = self.reported;
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
        self.quota = match self.rule.volume_quota {
            Some(volume) if self.measures_volume() => self.limits(volume),
            _ => Limits::NEVER,
        };
        self.usage.set_quota(self.quota);
    }

    /// When the next report by time is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let after = |seconds: Option<Seconds>, trigger: ReportingTriggers| {
            let seconds = seconds.filter(|seconds| seconds.0 > 0 && self.triggered_by(trigger))?;
            Some(self.since + Duration::from_secs(u64::from(seconds.0)))
        };
        let period = after(self.rule.measurement_period, ReportingTriggers::PERIO);
        let threshold = after(self.rule.time_threshold, ReportingTriggers::TIMTH);
        period.into_iter().chain(threshold).min()
    }

    /// What triggers the report that is due by time at `at`.
    pub(crate) fn time_trigger(&self, at: Instant) -> UsageReportTrigger {
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
        trigger
    }

    /// Whether the report that the data path asks for has a reason, and what triggers it. A quota
    /// is reported once; that it is used up lasts until a new one comes.
    pub(crate) fn volume_trigger(&mut self, quota: bool) -> Option<UsageReportTrigger> {
        let counts = self.usage.counts();
        let threshold = self.rule.volume_threshold.map_or(Limits::NEVER, |volume| self.limits(volume));
        let limits = if quota { self.quota } else { threshold };
        let reached = counts.uplink >= limits.uplink
            || counts.downlink >= limits.downlink
            || counts.uplink.saturating_add(counts.downlink) >= limits.total;
        if !reached {
            return None;
        }
        if !quota {
            return Some(UsageReportTrigger::VOLTH);
        }
        self.quota = Limits::NEVER;
        self.triggered_by(ReportingTriggers::VOLQU).then_some(UsageReportTrigger::VOLQU)
    }

    /// Reports what was counted since the last report, and begins the next measurement.
    pub(crate) fn report(&mut self, now: Instant, trigger: UsageReportTrigger) -> UsageReport {
        let counts = self.usage.counts();
        let current = [counts.uplink, counts.downlink, counts.uplink_packets, counts.downlink_packets];
        let [uplink, downlink, uplink_packets, downlink_packets] =
            std::array::from_fn(|index| current[index].saturating_sub(self.reported[index]));
        let volume = self.measures_volume().then(|| VolumeMeasurement {
            total: Some(uplink.saturating_add(downlink)),
            uplink: Some(uplink),
            downlink: Some(downlink),
            ..self.packets(uplink_packets, downlink_packets)
        });
        let duration = self.rule.measurement_method.contains(MeasurementMethod::DURAT);
        let seconds = u32::try_from(now.since(self.since).as_secs()).unwrap_or(u32::MAX);
        let report = UsageReport {
            urr_id: self.rule.urr_id,
            ur_seqn: UrSeqn(self.sequence),
            trigger,
            start_time: Some(ntp_seconds(self.since)),
            end_time: Some(ntp_seconds(now)),
            volume,
            duration: duration.then_some(DurationMeasurement(seconds)),
            ..Default::default()
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.since = now;
        // A quota goes on from where it began; what was used up stays used up.
        self.reported = current;
        self.arm_threshold();
        report
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
