//! What a load came to: as data, as a table, and as a page (`html.rs`).

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::LoadConfig;
use crate::config::Config;
use crate::report::{Failure, Journal};
use crate::statistics::{FailedProcedure, Procedure};

/// A run of many UEs.
#[derive(Debug, Clone, Serialize)]
pub struct LoadReport {
    /// Nothing failed, and the core did nothing wrong.
    pub ok: bool,
    /// What the simulator's choices followed from.
    pub seed: u64,
    /// New UEs a second; none if all came at once.
    pub rate: Option<f64>,
    /// Seconds from a UE's arrival until it deregistered.
    pub life_s: u64,
    /// µs from start to end.
    pub duration_us: u64,
    /// gNBs that were set up.
    pub gnbs: usize,
    /// UEs that were to live.
    pub ues: u32,
    /// UEs with which nothing failed.
    pub ues_ok: u32,
    /// Procedures, in the order of their names.
    pub procedures: Vec<Procedure>,
    /// Ways in which procedures failed.
    pub failed: Vec<FailedProcedure>,
    /// What the core did that it must not.
    pub deviations: Vec<Failure>,
    /// What failed, in words; a thousand at most.
    pub errors: Vec<String>,
    /// UEs registered, by seconds since the start.
    pub registered: Vec<(u64, u32)>,
    /// Resident memory of network functions of this machine, if it was looked at.
    pub memory: Vec<Memory>,
    /// Events by name.
    pub counters: BTreeMap<&'static str, u64>,
}

/// Resident memory of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Which one.
    pub process: String,
    /// KiB, by seconds since the start.
    pub samples: Vec<(u64, u64)>,
}

impl Memory {
    /// At the start, in the middle and at the end, in KiB.
    pub fn course(&self) -> Option<[u64; 3]> {
        let middle = self.samples.get(self.samples.len() / 2)?;
        Some([self.samples.first()?.1, middle.1, self.samples.last()?.1])
    }
}

impl LoadReport {
    pub(super) fn new(load: &LoadConfig, config: &Config, gnbs: usize, ues: u32) -> Self {
        Self {
            ok: false,
            seed: load.seed,
            rate: config.rate,
            life_s: load.duration.as_secs(),
            duration_us: 0,
            gnbs,
            ues,
            ues_ok: 0,
            procedures: Vec::new(),
            failed: Vec::new(),
            deviations: Vec::new(),
            errors: Vec::new(),
            registered: Vec::new(),
            memory: Vec::new(),
            counters: BTreeMap::new(),
        }
    }

    /// So many are registered in this second.
    pub(super) fn registered(&mut self, second: u64, ues: u32) {
        match self.registered.last_mut() {
            Some((last, count)) if *last == second => *count = ues,
            _ => self.registered.push((second, ues)),
        }
    }

    pub(super) fn end(&mut self, journal: &Journal, ues_ok: u32) {
        self.duration_us = journal.elapsed_us();
        self.ues_ok = ues_ok;
        self.procedures = journal.procedures();
        self.failed = journal.failed_procedures();
        self.deviations = journal.failures();
        self.errors = journal.report(self.gnbs, 0, 0).errors;
        self.counters = journal.counters();
        let clean = self.failed.is_empty() && self.deviations.is_empty() && self.errors.is_empty();
        self.ok = clean && self.ues_ok == self.ues;
    }
}

/// µs as ms.
fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ues, ues_ok, gnbs, seed, .. } = self;
        writeln!(
            f,
            "{ues_ok} of {ues} UEs lived without a failure, by {gnbs} gNBs, in {:.1} s (seed {seed})\n",
            self.duration_us as f64 / 1e6
        )?;
        let width = self.procedures.iter().map(|procedure| procedure.name.len()).max().unwrap_or_default();
        writeln!(
            f,
            "{:width$}  {:>8} {:>7}  {:>9} {:>9} {:>9} {:>9}",
            "ms", "done", "failed", "p50", "p99", "p99.9", "max"
        )?;
        for procedure in &self.procedures {
            let Procedure { name, succeeded, failed, p50_us, p99_us, p999_us, max_us, .. } = procedure;
            writeln!(
                f,
                "{name:width$}  {succeeded:>8} {failed:>7}  {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
                millis(*p50_us),
                millis(*p99_us),
                millis(*p999_us),
                millis(*max_us)
            )?;
        }
        if !self.memory.is_empty() {
            writeln!(f, "\nresident MiB      start    middle       end")?;
        }
        for memory in &self.memory {
            if let Some(course) = memory.course() {
                let [start, middle, end] = course.map(|kib| kib as f64 / 1024.0);
                writeln!(f, "{:13} {start:>9.1} {middle:>9.1} {end:>9.1}", memory.process)?;
            }
        }
        for FailedProcedure { procedure, cause, times, who, .. } in &self.failed {
            writeln!(f, "FAILED {procedure}: {cause}, {times} times, first {who}")?;
        }
        for Failure { who, clause, what, times, .. } in &self.deviations {
            writeln!(f, "WRONG {who}: {what} ({clause}), {times} times")?;
        }
        // Procedures that failed stand above by their causes.
        let other = self.errors.iter().filter(|_| self.failed.is_empty());
        other.take(ERRORS_TOLD_MAX).try_for_each(|error| writeln!(f, "ERROR {error}"))
    }
}

/// Errors in the table; the report as data has more.
const ERRORS_TOLD_MAX: usize = 20;

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::error::SimError;

    /// A report of ten registrations and a page that did not come to a UE with a name of its own.
    pub(in crate::load) async fn sample(who: &str) -> LoadReport {
        let journal = Journal::start();
        for ms in 1..=10 {
            journal.step("ue", "registration", Instant::now(), Duration::from_millis(ms));
        }
        let error = SimError::Timeout { waiting_for: "PAGING", timer: "page" };
        journal.failed(who, "answer to a page", &error);
        journal.failure("gnb-1", "TS 38.413 §8.5.1.2", "a <b>wrong</b> cell");
        let mut report = LoadReport::new(&LoadConfig::default(), &Config::default(), 1, 10);
        report.registered(0, 4);
        report.registered(0, 5);
        report.registered(1, 10);
        report.end(&journal, 9);
        report.memory =
            vec![Memory { process: "amf".into(), samples: vec![(0, 1024), (1, 2048), (2, 4096)] }];
        report
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_has_procedures_causes_and_what_was_wrong() {
        let report = sample("imsi-7").await;
        assert!(!report.ok);
        assert_eq!(report.registered, [(0, 5), (1, 10)]);
        let text = report.to_string();
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_default();
        for part in ["10", "0", "5.00", "10.00"] {
            assert!(line("registration").split_whitespace().any(|word| word == part), "{text}");
        }
        assert!(text.contains("FAILED answer to a page: no PAGING (page), 1 times, first imsi-7"), "{text}");
        assert!(text.contains("WRONG gnb-1: a <b>wrong</b> cell (TS 38.413 §8.5.1.2), 1 times"), "{text}");
        assert!(line("amf").ends_with("1.0       2.0       4.0"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_in_which_nothing_failed_is_fine() {
        let journal = Journal::start();
        let mut report = LoadReport::new(&LoadConfig::default(), &Config::default(), 1, 10);
        report.end(&journal, 10);
        assert!(report.ok);
        report.end(&journal, 9);
        assert!(!report.ok);
        journal.failed("ue", "registration", &SimError::NotAuthentic);
        report.end(&journal, 10);
        assert!(!report.ok);
    }
}
