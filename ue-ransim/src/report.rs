//! What happened: times of steps, and what the core did that it must not.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::error::SimError;
use crate::histogram::Histogram;
use crate::statistics::{FailedProcedure, Procedure, Statistics};

/// Distinct failures kept; the others are only counted.
const FAILURES_MAX: usize = 1000;
/// Steps told one by one; of the others [`Journal::progress`] tells.
const STEPS_TOLD_MAX: usize = 16;
/// Steps kept; the others only count in the spreads.
const STEPS_MAX: usize = 20_000;

/// One thing the core did that a specification does not allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The UE or gNB that saw it first.
    pub who: String,
    /// The clause.
    pub clause: &'static str,
    /// What was wrong.
    pub what: String,
    /// When it was seen first, in µs since the start.
    pub at_us: u64,
    /// How often.
    pub times: u64,
}

/// One step of a UE or gNB.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// Who did it.
    pub who: String,
    /// µs since the start.
    pub start_us: u64,
    /// µs.
    pub duration_us: u64,
}

/// A program that ran while the sessions were up.
#[derive(Debug, Clone, Serialize)]
pub struct Exec {
    /// The command line.
    pub command: String,
    /// Exit status; `None` if it was ended by a signal or did not start.
    pub status: Option<i32>,
    /// What it printed, errors included.
    pub output: String,
    /// µs since the start.
    pub start_us: u64,
    /// µs.
    pub duration_us: u64,
}

/// How a set of durations is spread, in µs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Spread {
    /// Number of durations.
    pub count: usize,
    /// Median.
    pub p50_us: u64,
    /// 99th percentile (nearest rank).
    pub p99_us: u64,
    /// 99.9th percentile.
    pub p999_us: u64,
    /// Largest.
    pub max_us: u64,
}

impl Spread {
    fn of(durations: &Histogram) -> Self {
        Self {
            count: usize::try_from(durations.count()).unwrap_or(usize::MAX),
            p50_us: durations.quantile(500_000),
            p99_us: durations.quantile(990_000),
            p999_us: durations.quantile(999_000),
            max_us: durations.max(),
        }
    }
}

/// Echo requests of all sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pings {
    /// Echo requests sent.
    pub sent: u64,
    /// Echo replies received.
    pub received: u64,
    /// Round trip times.
    #[serde(flatten)]
    pub rtt: Spread,
}

/// The whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Every UE did every step, and the core did nothing wrong.
    pub ok: bool,
    /// µs from start to end.
    pub duration_us: u64,
    /// gNBs that were set up.
    pub gnbs: usize,
    /// UEs that were to run.
    pub ues: usize,
    /// UEs that did every step.
    pub ues_ok: usize,
    /// From INITIAL UE MESSAGE to REGISTRATION COMPLETE.
    pub registration: Spread,
    /// From PDU SESSION ESTABLISHMENT REQUEST to PDU SESSION RESOURCE SETUP REQUEST.
    pub session: Spread,
    /// Echo requests that the simulator sent itself.
    pub ping: Pings,
    /// Each step of each UE.
    pub steps: Vec<Step>,
    /// Programs that used the sessions.
    pub exec: Vec<Exec>,
    /// What the core did that it must not.
    pub failures: Vec<Failure>,
    /// Failures beyond those listed.
    pub failures_unlisted: u64,
    /// Steps that did not succeed.
    pub errors: Vec<String>,
    /// Events by name.
    pub counters: BTreeMap<&'static str, u64>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Registrations that succeeded.
    pub registrations: usize,
    /// Sessions that were established.
    pub sessions: usize,
    /// Steps that did not succeed, and what the core did wrong.
    pub errors: usize,
}

/// Collects what all gNBs and UEs of a run report.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Inner {
    started: Instant,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    failures: Vec<Failure>,
    failures_unlisted: u64,
    steps: Vec<Step>,
    statistics: Statistics,
    round_trips: Histogram,
    exec: Vec<Exec>,
    errors: Vec<String>,
    counters: BTreeMap<&'static str, u64>,
}

/// Step names whose durations the report spreads.
pub(crate) const REGISTRATION: &str = "registration";
pub(crate) const SESSION: &str = "PDU session establishment";
/// Others that the load tells of.
pub(crate) const MOBILITY_UPDATE: &str = "mobility registration update";
pub(crate) const PERIODIC_UPDATE: &str = "periodic registration update";
pub(crate) const DEREGISTRATION: &str = "deregistration";
pub(crate) const SERVICE: &str = "service request";
pub(crate) const PAGE: &str = "answer to a page";
pub(crate) const AN_RELEASE: &str = "AN release";
pub(crate) const HANDOVER_XN: &str = "Xn handover";
pub(crate) const HANDOVER_N2: &str = "N2 handover";

impl Journal {
    /// An empty journal that starts now, on tokio's clock.
    pub fn start() -> Self {
        Self(Arc::new(Inner { started: Instant::now(), notes: Mutex::default() }))
    }

    /// Keeps a deviation of the core, with its clause.
    pub fn failure(&self, who: impl fmt::Display, clause: &'static str, what: impl fmt::Display) {
        let (who, what) = (who.to_string(), what.to_string());
        let at_us = self.micros(Instant::now());
        let mut notes = self.notes();
        if let Some(known) = notes.failures.iter_mut().find(|f| f.clause == clause && f.what == what) {
            known.times += 1;
            return;
        }
        tracing::warn!(%who, clause, "{what}");
        if notes.failures.len() >= FAILURES_MAX {
            notes.failures_unlisted += 1;
        } else {
            notes.failures.push(Failure { who, clause, what, at_us, times: 1 });
        }
    }

    /// Keeps a step that succeeded.
    pub fn step(&self, who: impl fmt::Display, name: &'static str, began: Instant, duration: Duration) {
        let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let start_us = self.micros(began);
        let step = Step { name: name.into(), who: who.to_string(), start_us, duration_us };
        let mut notes = self.notes();
        if notes.steps.len() < STEPS_TOLD_MAX {
            tracing::info!(who = %step.who, duration_us, "{name}");
        } else {
            tracing::debug!(who = %step.who, duration_us, "{name}");
        }
        notes.statistics.done(name, start_us.saturating_add(duration_us), duration_us);
        if notes.steps.len() < STEPS_MAX {
            notes.steps.push(step);
        }
    }

    /// Keeps a round trip.
    pub fn round_trip(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.notes().round_trips.record(micros);
    }

    /// Keeps a procedure that did not succeed, by its cause; it is told as an error as well.
    pub fn failed(&self, who: impl fmt::Display, procedure: &'static str, error: &SimError) {
        let at_us = self.micros(Instant::now());
        self.error(&who, format_args!("{procedure}: {error}"));
        self.notes().statistics.failed(procedure, error.kind(), who.to_string(), at_us);
    }

    /// Each procedure that was done so far, with its durations.
    pub fn procedures(&self) -> Vec<Procedure> {
        self.notes().statistics.procedures()
    }

    /// The ways in which procedures have failed so far.
    pub fn failed_procedures(&self) -> Vec<FailedProcedure> {
        self.notes().statistics.failures()
    }

    /// How many procedures succeeded and failed so far.
    pub fn procedure_counts(&self) -> (u64, u64) {
        self.notes().statistics.counts()
    }

    /// How long it is ago that the journal was started, in µs.
    pub fn elapsed_us(&self) -> u64 {
        self.micros(Instant::now())
    }

    /// What was counted.
    pub fn counters(&self) -> BTreeMap<&'static str, u64> {
        self.notes().counters.clone()
    }

    /// Keeps a step that did not succeed.
    pub fn error(&self, who: impl fmt::Display, error: impl fmt::Display) {
        tracing::warn!(%who, "{error}");
        let mut notes = self.notes();
        if notes.errors.len() < FAILURES_MAX {
            notes.errors.push(format!("{who}: {error}"));
        }
    }

    /// Counts an event.
    pub fn count(&self, name: &'static str) {
        self.add(name, 1);
    }

    /// Counts events.
    pub fn add(&self, name: &'static str, by: u64) {
        *self.notes().counters.entry(name).or_default() += by;
    }

    /// Keeps what a program printed.
    pub fn exec(&self, command: String, status: Option<i32>, output: String, began: Instant) {
        let duration_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let start_us = self.micros(began);
        self.notes().exec.push(Exec { command, status, output, start_us, duration_us });
    }

    /// How many registrations and sessions succeeded so far, and how many steps did not.
    pub fn progress(&self) -> Progress {
        let notes = self.notes();
        let done = |name| notes.statistics.durations(name).map_or(0, |done| done.count() as usize);
        Progress {
            registrations: done(REGISTRATION),
            sessions: done(SESSION),
            errors: notes.errors.len() + notes.failures.len(),
        }
    }

    /// The failures so far.
    pub fn failures(&self) -> Vec<Failure> {
        self.notes().failures.clone()
    }

    /// How often an event was counted.
    pub fn counted(&self, name: &'static str) -> u64 {
        self.notes().counters.get(name).copied().unwrap_or(0)
    }

    /// The report of a run of these gNBs and UEs.
    pub fn report(&self, gnbs: usize, ues: usize, ues_ok: usize) -> Report {
        let notes = self.notes();
        let spread = |name| notes.statistics.durations(name).map(Spread::of).unwrap_or_default();
        let counted = |name| notes.counters.get(name).copied().unwrap_or(0);
        let programs_ok = notes.exec.iter().all(|exec| exec.status == Some(0));
        let clean = notes.failures.is_empty() && notes.errors.is_empty() && programs_ok;
        let rtt = Spread::of(&notes.round_trips);
        Report {
            ok: clean && ues_ok == ues && gnbs > 0,
            duration_us: self.micros(Instant::now()),
            gnbs,
            ues,
            ues_ok,
            registration: spread(REGISTRATION),
            session: spread(SESSION),
            ping: Pings { sent: counted("ping.sent"), received: rtt.count as u64, rtt },
            steps: notes.steps.clone(),
            exec: notes.exec.clone(),
            failures: notes.failures.clone(),
            failures_unlisted: notes.failures_unlisted,
            errors: notes.errors.clone(),
            counters: notes.counters.clone(),
        }
    }

    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.0.started).as_micros()).unwrap_or(u64::MAX)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Journal(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut durations = Histogram::default();
        assert_eq!(Spread::of(&durations), Spread::default());
        (1..=200).rev().for_each(|duration| durations.record(duration));
        let spread = Spread { count: 200, p50_us: 100, p99_us: 198, p999_us: 200, max_us: 200 };
        assert_eq!(Spread::of(&durations), spread);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_counts_what_is_done_and_what_went_wrong() {
        let journal = Journal::start();
        for (step, times) in [(REGISTRATION, 3), (SESSION, 2)] {
            (0..times).for_each(|_| journal.step("ue", step, Instant::now(), Duration::from_millis(1)));
        }
        journal.error("ue", "no answer");
        journal.failure("ue", "TS 24.501 §5.4.2.2", "wrong");
        assert_eq!(journal.progress(), Progress { registrations: 3, sessions: 2, errors: 2 });
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_listed_once_and_make_the_run_fail() {
        let journal = Journal::start();
        assert!(journal.report(1, 0, 0).ok);
        for _ in 0..3 {
            journal.failure("ue", "TS 24.501 §5.4.2.2", "wrong");
        }
        let report = journal.report(1, 0, 0);
        assert!(!report.ok);
        assert_eq!((report.failures.len(), report.failures[0].times), (1, 3));
    }
}
