//! What the bench says: figures and goals on standard output; `upf.json` with every round, `upf.md` with
//! tables.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tern_figures::{Broken, Row, digits, goals_table, machine, markdown};

use crate::pipeline::Series;
use crate::{Bench, Section};

/// What the figures are not.
const NOT_SHOWN: &str = "In process: no interface, no interrupt, no other core. 64 packets are in flight, so \
    their octets are always in the nearest cache. A rate of packets here is none of any line.";

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

    /// A line of the goals table.
    pub fn row(&mut self, row: Row) {
        println!("  {}", row.line());
        self.rows.push(row);
    }

    /// What is behind the lines.
    pub fn series(&mut self, series: &[Series]) {
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
        self.series.extend_from_slice(series);
    }

    /// How long a section took.
    pub fn took(&mut self, section: Section, time: Duration) {
        println!("{section:?}: {:.0} s\n", time.as_secs_f64());
        self.took.push(Took { section: format!("{section:?}"), s: time.as_secs_f64() });
    }

    /// Prints the tables and writes the files.
    pub fn write(&self, bench: &Bench, took: Duration) -> Result<()> {
        let tables = format!("{}\n{}", goals_table(&self.rows), self.series_table());
        println!("{tables}");
        self.broken.print();
        let json = serde_json::json!({
            "machine": self.machine,
            "load_1_min_before": self.load_before,
            "load_1_min_after": machine::load()?,
            "processor": bench.core,
            "processors": bench.cores,
            "rounds": bench.rounds,
            "took_s": took.as_secs_f64(),
            "sections": self.took,
            "rows": self.rows,
            "series": self.series,
            "broken": self.broken,
        });
        let path = bench.output.join("upf.json");
        std::fs::write(&path, serde_json::to_vec_pretty(&json)?)?;
        let text = format!(
            "# The user plane in process\n\n{}. Load over the last minute {} before, {} after. The measuring \
             thread is pinned to processor {} of {:?}. {} rounds of all arms in turn; {:.0} s in all.\n\n\
             {tables}\n{NOT_SHOWN}\n{}",
            self.machine,
            self.load_before,
            machine::load()?,
            bench.core,
            bench.cores,
            bench.rounds,
            took.as_secs_f64(),
            self.broken.markdown(),
        );
        std::fs::write(bench.output.join("upf.md"), text)?;
        println!("written: {} and upf.md beside it; {:.0} s in all", path.display(), took.as_secs_f64());
        Ok(())
    }

    fn series_table(&self) -> String {
        let head = ["", "direction", "sessions", "PDRs", "burst", "ns a packet", "min–max", "source, ns"];
        let mut lines = vec![head.map(str::to_owned).to_vec()];
        for one in &self.series {
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
}
