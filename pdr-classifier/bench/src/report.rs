//! What is behind the goals table, and how the report is written.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use tern_figures::{Page, markdown};

use crate::turns::Series;
use crate::{Bench, plots};

/// What another command shows of the goals.
const ELSEWHERE: &str = "Not measured here: 10⁷ lookups against the oracle with 10⁶ updates between them are a \
    test (see the crate's README). Before anything is timed, all classifiers must give the same answers on \
    its packets.";

/// All that was measured.
pub type Report = tern_figures::Report<Series>;

/// Prints the tables and writes `classifier.json`, `classifier.md` and the plots.
pub fn write(report: &Report, bench: &Bench, took: Duration) -> Result<()> {
    let mut remarks = format!("{ELSEWHERE}\n");
    for (name, svg) in plots::all(&report.series, report.machine())? {
        std::fs::write(bench.output.join(name), svg)?;
        writeln!(remarks, "\n![{name}]({name})")?;
    }
    report.write(&Page {
        directory: &bench.output,
        name: "classifier",
        title: "Packet detection rule classifiers",
        how: format!(
            "{} rounds of all classifiers in turn, passes of {} µs.",
            bench.rounds,
            bench.pass.as_micros()
        ),
        settings: serde_json::json!({
            "rounds": bench.rounds,
            "pass_us": bench.pass.as_micros() as u64,
            "sessions": bench.sessions,
        }),
        tables: series_tables(&report.series),
        remarks,
        took,
    })
}

/// A table for each set of rules: an arm a line, a number of rules a column.
fn series_tables(series: &[Series]) -> String {
    let mut sets: Vec<&str> = Vec::new();
    for one in series {
        if !sets.contains(&one.set.as_str()) {
            sets.push(&one.set);
        }
    }
    let mut text = String::new();
    for set in sets {
        let here: Vec<&Series> = series.iter().filter(|one| one.set == set).collect();
        let _ = writeln!(text, "{set}: median ns (min–max of the rounds), by rules\n\n{}", table(&here));
    }
    text
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
