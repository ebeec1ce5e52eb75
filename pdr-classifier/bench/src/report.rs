//! What the bench says: figures and goals on standard output; `classifier.json` with every round,
//! `classifier.md` with tables and plots.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tern_figures::{Broken, Row, goals_table, machine, markdown};

use crate::turns::Series;
use crate::{Bench, Section, plots};

/// What another command shows of the goals.
const ELSEWHERE: &str = "Not measured here: 10⁷ lookups against the oracle with 10⁶ updates between them are a \
    test (see the crate's README). Before anything is timed, all classifiers must give the same answers on \
    its packets.";

/// How long a section took.
#[derive(Debug, Serialize)]
struct Took {
    section: String,
    s: f64,
}

/// All that was measured.
pub struct Report {
    machine: String,
    load_before: String,
    rows: Vec<Row>,
    series: Vec<Series>,
    took: Vec<Took>,
    /// Measurements that could not be made.
    pub broken: Broken,
}

impl Report {
    /// Of nothing yet.
    pub fn new(bench: &Bench) -> Result<Self> {
        let (machine, load_before) = (machine::describe()?, machine::load()?);
        println!(
            "{machine}; load over the last minute {load_before}; pinned to processor {} of {:?}",
            bench.core, bench.cores
        );
        Ok(Self {
            machine,
            load_before,
            rows: Vec::new(),
            series: Vec::new(),
            took: Vec::new(),
            broken: Broken::default(),
        })
    }

    /// A line of the table.
    pub fn row(&mut self, row: Row) {
        println!("  {}", row.line());
        self.rows.push(row);
    }

    /// What is behind the lines.
    pub fn series(&mut self, series: Vec<Series>) {
        self.series.extend(series);
    }

    /// How long a section took.
    pub fn took(&mut self, section: Section, time: Duration) {
        println!("{section:?}: {:.0} s\n", time.as_secs_f64());
        self.took.push(Took { section: format!("{section:?}"), s: time.as_secs_f64() });
    }

    /// Prints the tables and writes the files.
    pub fn write(&self, bench: &Bench, took: Duration) -> Result<()> {
        let tables = format!("{}\n{}", goals_table(&self.rows), self.series_tables());
        println!("{tables}");
        self.broken.print();
        let json = serde_json::json!({
            "machine": self.machine,
            "load_1_min_before": self.load_before,
            "load_1_min_after": machine::load()?,
            "processor": bench.core,
            "processors": bench.cores,
            "rounds": bench.rounds,
            "pass_us": bench.pass.as_micros() as u64,
            "sessions": bench.sessions,
            "took_s": took.as_secs_f64(),
            "sections": self.took,
            "rows": self.rows,
            "series": self.series,
            "broken": self.broken,
        });
        let path = bench.output.join("classifier.json");
        std::fs::write(&path, serde_json::to_vec_pretty(&json)?)?;
        let mut text = format!(
            "# Packet detection rule classifiers\n\n{}. Load over the last minute {} before, {} after. One \
             thread, pinned to processor {} of {:?}. {} rounds of all classifiers in turn, passes of {} µs; \
             {:.0} s in all.\n\n{tables}\n{ELSEWHERE}\n",
            self.machine,
            self.load_before,
            machine::load()?,
            bench.core,
            bench.cores,
            bench.rounds,
            bench.pass.as_micros(),
            took.as_secs_f64(),
        );
        for (name, svg) in plots::all(&self.series, &self.machine)? {
            std::fs::write(bench.output.join(name), svg)?;
            writeln!(text, "\n![{name}]({name})")?;
        }
        text += &self.broken.markdown();
        std::fs::write(bench.output.join("classifier.md"), text)?;
        let sections = self.took.iter().map(|took| format!("{} {:.0} s", took.section, took.s));
        println!("{}; {:.0} s in all", sections.collect::<Vec<_>>().join(", "), took.as_secs_f64());
        println!("written: {}, classifier.md and plots beside it", path.display());
        Ok(())
    }

    /// A table for each set of rules: an arm a line, a number of rules a column.
    fn series_tables(&self) -> String {
        let mut sets: Vec<&str> = Vec::new();
        for series in &self.series {
            if !sets.contains(&series.set.as_str()) {
                sets.push(&series.set);
            }
        }
        let mut text = String::new();
        for set in sets {
            let here: Vec<&Series> = self.series.iter().filter(|one| one.set == set).collect();
            let _ = writeln!(text, "{set}: median ns (min–max of the rounds), by rules\n\n{}", table(&here));
        }
        text
    }
}

fn table(series: &[&Series]) -> String {
    let rules: BTreeSet<usize> = series.iter().map(|one| one.rules).collect();
    let mut lines = vec![std::iter::once(String::new()).chain(rules.iter().map(usize::to_string)).collect()];
    let mut arms: Vec<&str> = Vec::new();
    for one in series {
        if !arms.contains(&one.arm.as_str()) {
            arms.push(&one.arm);
        }
    }
    for arm in arms {
        let cell = |rules: &usize| {
            let found = series.iter().find(|one| one.arm == arm && one.rules == *rules);
            found.map_or(String::new(), |one| {
                format!("{:.1} ({:.1}–{:.1})", one.ns.p50, one.ns.min, one.ns.max)
            })
        };
        lines.push(std::iter::once(arm.to_owned()).chain(rules.iter().map(cell)).collect());
    }
    markdown(&lines)
}
