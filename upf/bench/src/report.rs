//! What is behind the goals table, and how the report is written.

use std::time::Duration;

use anyhow::Result;
use tern_figures::{Page, digits, markdown};

use crate::Bench;
use crate::pipeline::Series;

/// What the figures are not.
const NOT_SHOWN: &str = "In process: no interface, no interrupt, no other core. 64 packets are in flight, so \
    their octets are always in the nearest cache. A rate of packets here is none of any line.";

/// All that was measured.
pub type Report = tern_figures::Report<Series>;

/// Records series, and says them at once.
pub fn add(report: &mut Report, series: &[Series]) {
    for one in series {
        println!(
            "  {}, {}, {} sessions, {} PDRs, bursts of {}: {} ns a packet ({}–{}), source {} ns",
            one.what,
            one.direction,
            one.sessions,
            one.pdrs,
            one.burst,
            digits(one.ns.p50),
            digits(one.ns.min),
            digits(one.ns.max),
            digits(one.source_ns.p50),
        );
    }
    report.series.extend_from_slice(series);
}

/// Prints the tables and writes `upf.json` and `upf.md`.
pub fn write(report: &Report, bench: &Bench, took: Duration) -> Result<()> {
    report.write(&Page {
        directory: &bench.output,
        name: "upf",
        title: "The user plane in process",
        how: format!("{} rounds of all arms in turn.", bench.rounds),
        settings: serde_json::json!({ "rounds": bench.rounds, "sessions": bench.sessions }),
        tables: table(&report.series),
        remarks: NOT_SHOWN.to_owned(),
        took,
    })
}

fn table(series: &[Series]) -> String {
    let head = ["", "direction", "sessions", "PDRs", "burst", "ns a packet", "min–max", "source, ns"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    for one in series {
        lines.push(vec![
            one.what.clone(),
            one.direction.to_owned(),
            one.sessions.to_string(),
            one.pdrs.to_string(),
            one.burst.to_string(),
            digits(one.ns.p50),
            format!("{}–{}", digits(one.ns.min), digits(one.ns.max)),
            digits(one.source_ns.p50),
        ]);
    }
    markdown(&lines)
}
