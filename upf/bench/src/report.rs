//! What is behind the goals table, and how the report is written.

use std::time::Duration;

use anyhow::Result;
use tern_figures::{Page, digits, markdown, plot};

use crate::Bench;
use crate::pipeline::Series;

/// What the figures are, and are not.
const NOT_SHOWN: &str = "In process: no interface, no interrupt, no other core, except where a row says so. 64 \
    packets are in flight, so their octets are always in the nearest cache. A rate of packets here is none of any \
    line.\n\n\
    net_null: the shipped interfaces on DPDK's null devices, which give empty buffers; the bench writes a frame into \
    each as it is received, and the time of it is in the figure. It shows what one core does with its interfaces and \
    no device. net_ring: another core writes the frames, so they come from its cache, as they would from a device; \
    both cores must be had at the same time, so a machine that is not quiet makes it slower.\n\n\
    Two processes: the whole UPF, its own buffers, and a copy into and out of memif's memory on both sides. It shows \
    what the UPF is in front of a real border; the generator is as busy as the UPF, and one of them is the limit.\n\n\
    Namespaces: function, loss and latency at a rate that the kernel manages. Sender and receiver are one thread on \
    one core, so a packet waits while the thread sends. What a packet costs on veth is the kernel's work, beside which \
    the UPF's is small: no figure of it is one of throughput.";
/// Pictures: the unit of their rows, and their title.
const PICTURES: [(&str, &str, &str); 3] = [
    ("Mpps", "rates", "Million packets a second"),
    ("cycles", "cycles", "Cycles a packet"),
    ("µs", "latency", "Latency between namespaces, median"),
];

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

/// Prints the tables and writes `upf.json`, `upf.md` and the pictures.
pub fn write(report: &Report, bench: &Bench, took: Duration) -> Result<()> {
    for (unit, name, title) in PICTURES {
        let of_unit = report.rows().iter().filter(|row| row.unit == unit);
        let bars: Vec<(String, f64)> = of_unit.map(|row| (row.what.clone(), row.figure.p50)).collect();
        if !bars.is_empty() {
            let picture = plot::bars(title, report.machine(), unit, &bars);
            std::fs::write(bench.output.join(format!("upf-{name}.svg")), picture)?;
        }
    }
    report.write(&Page {
        directory: &bench.output,
        name: "upf",
        title: "The user plane",
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
