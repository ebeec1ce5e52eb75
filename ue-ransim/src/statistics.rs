//! Procedures by name: how long they took, when they ended, and why they failed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::histogram::Histogram;

/// Distinct ways to fail that are kept; the others count as [`OTHER`].
const WAYS_MAX: usize = 256;
const OTHER: &str = "another cause";

/// A procedure that was done many times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Procedure {
    /// Its name.
    pub name: String,
    /// Times that it succeeded.
    pub succeeded: u64,
    /// Times that it did not.
    pub failed: u64,
    /// Of those that succeeded, in µs.
    pub mean_us: u64,
    /// Median.
    pub p50_us: u64,
    /// 99th percentile (nearest rank).
    pub p99_us: u64,
    /// 99.9th percentile.
    pub p999_us: u64,
    /// Largest.
    pub max_us: u64,
    /// The longest duration of each class, in µs, and how many there were.
    pub histogram: Vec<(u64, u64)>,
    /// Seconds since the start in which it succeeded, and how often.
    pub per_second: Vec<(u64, u64)>,
}

/// A way in which a procedure failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedProcedure {
    /// Its name.
    pub procedure: String,
    /// The message with its cause, or what did not come.
    pub cause: String,
    /// How often.
    pub times: u64,
    /// Who saw it first.
    pub who: String,
    /// When it was seen first, in µs since the start.
    pub at_us: u64,
    /// Seconds since the start in which it came, and how often.
    pub per_second: Vec<(u64, u64)>,
}

/// What one run counts.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    done: BTreeMap<&'static str, Done>,
    failed: BTreeMap<(&'static str, String), Failed>,
}

#[derive(Debug, Default)]
struct Done {
    durations: Histogram,
    per_second: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Failed {
    who: String,
    at_us: u64,
    per_second: BTreeMap<u64, u64>,
}

const SECOND_US: u64 = 1_000_000;

impl Statistics {
    /// A procedure that succeeded.
    pub(crate) fn done(&mut self, name: &'static str, ended_us: u64, duration_us: u64) {
        let done = self.done.entry(name).or_default();
        done.durations.record(duration_us);
        *done.per_second.entry(ended_us / SECOND_US).or_default() += 1;
    }

    /// A procedure that did not.
    pub(crate) fn failed(&mut self, name: &'static str, cause: String, who: String, at_us: u64) {
        let mut key = (name, cause);
        if self.failed.len() >= WAYS_MAX && !self.failed.contains_key(&key) {
            key.1 = OTHER.into();
        }
        let fresh = || Failed { who, at_us, per_second: BTreeMap::new() };
        let failed = self.failed.entry(key).or_insert_with(fresh);
        *failed.per_second.entry(at_us / SECOND_US).or_default() += 1;
    }

    /// The durations of a procedure, if it was done.
    pub(crate) fn durations(&self, name: &str) -> Option<&Histogram> {
        self.done.get(name).map(|done| &done.durations)
    }

    /// Procedures that were done, and those that were not.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let done = self.done.values().map(|done| done.durations.count()).sum();
        let failed = self.failed.values().flat_map(|failed| failed.per_second.values()).sum();
        (done, failed)
    }

    pub(crate) fn procedures(&self) -> Vec<Procedure> {
        let mut names: Vec<&'static str> = self.done.keys().copied().collect();
        names.extend(self.failed.keys().map(|(name, _)| *name).filter(|name| !self.done.contains_key(name)));
        names.dedup();
        names.into_iter().map(|name| self.procedure(name)).collect()
    }

    fn procedure(&self, name: &str) -> Procedure {
        let (none, never) = (Histogram::default(), BTreeMap::new());
        let done = self.done.get(name);
        let durations = done.map_or(&none, |done| &done.durations);
        let failed = self.failed.iter().filter(|((of, _), _)| *of == name);
        Procedure {
            name: name.to_owned(),
            succeeded: durations.count(),
            failed: failed.flat_map(|(_, failed)| failed.per_second.values()).sum(),
            mean_us: durations.mean(),
            p50_us: durations.quantile(500_000),
            p99_us: durations.quantile(990_000),
            p999_us: durations.quantile(999_000),
            max_us: durations.max(),
            histogram: durations.coarse(),
            per_second: pairs(done.map_or(&never, |done| &done.per_second)),
        }
    }

    pub(crate) fn failures(&self) -> Vec<FailedProcedure> {
        let each = self.failed.iter().map(|((name, cause), failed)| FailedProcedure {
            procedure: (*name).to_owned(),
            cause: cause.clone(),
            times: failed.per_second.values().sum(),
            who: failed.who.clone(),
            at_us: failed.at_us,
            per_second: pairs(&failed.per_second),
        });
        each.collect()
    }
}

fn pairs(map: &BTreeMap<u64, u64>) -> Vec<(u64, u64)> {
    map.iter().map(|(&second, &times)| (second, times)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_and_what_failed_stand_beside_one_another() {
        let mut statistics = Statistics::default();
        for (ended, took) in [(100, 50), (1_500_000, 70), (1_600_000, 60)] {
            statistics.done("paging", ended, took);
        }
        for at in [2_000_000, 2_100_000] {
            statistics.failed("paging", "no PAGING".into(), "ue".into(), at);
        }
        statistics.failed("registration", "#22".into(), "ue".into(), 5);
        let procedures = statistics.procedures();
        assert_eq!(procedures.len(), 2);
        let paging = &procedures[0];
        assert_eq!((paging.succeeded, paging.failed, paging.p50_us, paging.max_us), (3, 2, 60, 70));
        assert_eq!(paging.per_second, [(0, 1), (1, 2)]);
        assert_eq!((procedures[1].name.as_str(), procedures[1].failed), ("registration", 1));
        let failures = statistics.failures();
        assert_eq!((failures[0].times, failures[0].at_us), (2, 2_000_000));
        assert_eq!(statistics.counts(), (3, 3));
    }

    #[test]
    fn ways_to_fail_are_bounded() {
        let mut statistics = Statistics::default();
        for way in 0..2 * WAYS_MAX {
            statistics.failed("paging", way.to_string(), "ue".into(), 0);
        }
        let failures = statistics.failures();
        assert_eq!(failures.len(), WAYS_MAX + 1);
        let other = failures.iter().find(|failure| failure.cause == OTHER);
        assert_eq!(other.map(|other| other.times), Some(WAYS_MAX as u64));
    }
}
