//! What the bench says: the goals table on standard output, `sbi.json` with every figure, `sbi.md`
//! with table and plots.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use tern_figures::{Broken, Row, Spread, goals_table, machine, markdown};
use tern_tests::bench::load::Point;
use tern_tests::bench::plot;

use crate::Bench;
use crate::rows::idle::Busy;
use crate::turns::Figures;

/// What other commands show of the goals.
const ELSEWHERE: &str = "Not measured here: paging (`make bench-core`); forged \
    descriptors, model checking of ring and wake-up, and the stress of 10⁸ messages are tests (`make test`, \
    `make stress`).";

/// All that was measured.
pub struct Report {
    machine: String,
    load_before: String,
    rows: Vec<Row>,
    figures: Vec<Figures>,
    /// Points of the cores under load, by arm.
    pub points: BTreeMap<String, Vec<Point>>,
    /// Threads of the idle core.
    pub idle: Vec<Busy>,
    /// Measurements that could not be made.
    pub broken: Broken,
}

impl Report {
    /// Of nothing yet.
    pub fn new(bench: &Bench) -> Result<Self> {
        let machine = machine::describe()?;
        let load_before = machine::load()?;
        println!("{machine}; load over the last minute {load_before}; processors {:?}", bench.cores);
        Ok(Self {
            machine,
            load_before,
            rows: Vec::new(),
            figures: Vec::new(),
            points: BTreeMap::new(),
            idle: Vec::new(),
            broken: Broken::default(),
        })
    }

    /// A line of the table.
    pub fn row(&mut self, row: Row) {
        println!("  {} = {:.2} {} ({})", row.what, row.figure.p50, row.unit, row.note);
        self.rows.push(row);
    }

    /// What is behind the lines.
    pub fn figures(&mut self, figures: Vec<Figures>) {
        self.figures.extend(figures);
    }

    /// Prints the table and writes the files.
    pub fn write(&self, bench: &Bench, took: Duration) -> Result<()> {
        println!("\n{}", goals_table(&self.rows));
        self.broken.print();
        let json = serde_json::json!({
            "machine": self.machine,
            "load_1_min_before": self.load_before,
            "load_1_min_after": machine::load()?,
            "processors": bench.cores,
            "rounds": bench.rounds,
            "round_ms": bench.round_time.as_millis() as u64,
            "runs": bench.runs,
            "took_s": took.as_secs_f64(),
            "rows": self.rows,
            "figures": self.figures,
            "core": self.points,
            "idle": self.idle,
            "broken": self.broken,
        });
        let path = bench.output.join("sbi.json");
        std::fs::write(&path, serde_json::to_vec_pretty(&json)?)?;
        let mut plots = Vec::new();
        for (name, svg) in self.plots() {
            std::fs::write(bench.output.join(name), svg)?;
            plots.push(name);
        }
        std::fs::write(bench.output.join("sbi.md"), self.markdown(bench, took, &plots)?)?;
        println!("written: {} and sbi.md beside it; {:.0} s in all", path.display(), took.as_secs_f64());
        Ok(())
    }

    fn markdown(&self, bench: &Bench, took: Duration, plots: &[&str]) -> Result<String> {
        let mut text = format!(
            "# The SBI through shared memory\n\n{}. Load over the last minute {} before, {} after; {:.0} s in \
             all. Small measurements: {} rounds of {} ms of each arm in turn, pinned to processors {:?}. \
             Cores: {} runs of each in turn, not pinned.\n\n{}\n{ELSEWHERE}\n",
            self.machine,
            self.load_before,
            machine::load()?,
            took.as_secs_f64(),
            bench.rounds,
            bench.round_time.as_millis(),
            bench.cores,
            bench.runs,
            goals_table(&self.rows),
        );
        text += &self.broken.markdown();
        for plot in plots {
            writeln!(text, "\n![{plot}]({plot})")?;
        }
        writeln!(text, "\n## Small measurements\n\n{}", self.figures_table())?;
        Ok(text)
    }

    fn figures_table(&self) -> String {
        let head =
            ["what", "arm", "placement", "operations", "p50 µs", "p99 µs", "p50 of rounds µs", "CPU µs"];
        let mut lines = vec![head.map(str::to_owned).to_vec()];
        for figures in &self.figures {
            let rounds = Spread::of(figures.round_p50_us.clone());
            lines.push(vec![
                figures.what.clone(),
                figures.arm.clone(),
                figures.placement.name().to_owned(),
                figures.operations.to_string(),
                format!("{:.2}", figures.us.p50),
                format!("{:.2}", figures.us.p99),
                format!("{:.2}–{:.2}", rounds.min, rounds.max),
                format!("{:.2}", figures.cpu_us.p50),
            ]);
        }
        markdown(&lines)
    }

    /// File names and their pictures; none of what was not measured.
    fn plots(&self) -> Vec<(&'static str, String)> {
        let mut plots = Vec::new();
        let of = |arm: &str| self.points.get(arm).map(Vec::as_slice).unwrap_or_default();
        let curve = |name, colour, arm, value: fn(&Point) -> f64| plot::Curve {
            name,
            colour,
            points: of(arm).iter().map(|point| (point.ues, value(point))).collect(),
        };
        if !self.points.is_empty() {
            let latency = [
                curve("registration, TCP", "#8fc1e3", "tcp", |p| p.registration_ms.p50),
                curve("registration, shm", "#1b6ca8", "shm", |p| p.registration_ms.p50),
                curve("session, TCP", "#f0b27a", "tcp", |p| p.session_ms.p50),
                curve("session, shm", "#b8570d", "shm", |p| p.session_ms.p50),
            ];
            plots.push(("sbi-latency.svg", plot::svg("Latency at N2, median", &self.machine, &latency)));
            let cpu = [
                curve("TCP", "#8fc1e3", "tcp", |p| p.core_cpu_ms_per_ue.p50),
                curve("shared memory", "#1b6ca8", "shm", |p| p.core_cpu_ms_per_ue.p50),
            ];
            plots.push(("sbi-cpu.svg", plot::svg("The core's CPU time per UE", &self.machine, &cpu)));
        }
        if !self.figures.is_empty() {
            let bars: Vec<_> = self
                .figures
                .iter()
                .map(|f| (format!("{}, {}, {}", f.what, f.arm, f.placement.name()), f.us.p50))
                .collect();
            let title = "Small measurements, median";
            plots.push(("sbi-round-trips.svg", plot::bars(title, &self.machine, "µs", &bars)));
        }
        plots
    }
}
