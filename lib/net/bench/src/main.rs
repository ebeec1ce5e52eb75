//! `make bench-net`: how fast `tern net up` makes networks, next to loops that make one thing after the
//! other, and what is left behind.
//!
//! All arms make the same network, in turn (A B C, B C A, …), in one run. Before each the kernel has taken
//! apart what was there before.

mod arms;
mod left;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use serde::Serialize;
use tern_figures::{Bound, Page, Row, Spread, ratio, turns};

use arms::Arm;

/// How many times faster than moving it should be, by the number of endpoints.
const GOALS: [(u32, f64); 2] = [(100, 40.0), (1_000, 300.0)];

#[derive(Parser)]
#[command(about = "How fast networks of endpoints are made, next to loops")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where figures go.
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
    /// Endpoints of a network.
    #[arg(long, value_delimiter = ',', default_values_t = GOALS.map(|(endpoints, _)| endpoints))]
    endpoints: Vec<u32>,
    /// Runs of each arm.
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

#[derive(Subcommand)]
enum Command {
    /// Brings a network up, to be killed: started by the bench itself
    #[command(hide = true)]
    Up {
        /// How many endpoints.
        endpoints: u32,
    },
}

/// What is behind the lines: seconds of each arm, run by run.
#[derive(Serialize)]
struct Series {
    endpoints: u32,
    arm: Arm,
    s: Vec<f64>,
}

type Report = tern_figures::Report<Series>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Some(Command::Up { endpoints }) => arms::make(Arm::Up, endpoints).map(|_| true),
        None => bench(&arguments),
    };
    tern_figures::exit_code("tern-net-bench", outcome)
}

/// Whether every measurement could be made.
fn bench(arguments: &Arguments) -> Result<bool> {
    ensure!(rustix::process::geteuid().is_root(), "network namespaces need root");
    let started = Instant::now();
    std::fs::create_dir_all(&arguments.output)?;
    let mut report = Report::new(None, &tern_figures::place::cores()?)?;
    let runs = arguments.runs.max(1);
    report.measure(&arguments.endpoints, |endpoints, report| {
        speed(report, endpoints, runs)?;
        left::measure(report, endpoints)
    });
    let is_whole = report.broken.is_empty();
    report.write(&Page {
        directory: &arguments.output,
        name: "net",
        title: "Networks of endpoints",
        how: format!(
            "Each arm had {runs} runs in turn. An endpoint is a namespace with a veth to one bridge, an address and \
             a route."
        ),
        settings: serde_json::json!({ "runs": runs, "endpoints": arguments.endpoints }),
        tables: String::new(),
        remarks: String::new(),
        took: started.elapsed(),
    })?;
    Ok(is_whole)
}

/// Times all arms, and compares them run by run.
fn speed(report: &mut Report, endpoints: u32, runs: usize) -> Result<()> {
    let mut failed = None;
    let figures = turns::in_turn(&mut Arm::ALL.clone(), runs, |arm, run| {
        let took = arms::time(*arm, endpoints).unwrap_or_else(|error| {
            failed.get_or_insert(error);
            Duration::MAX
        });
        println!("  {endpoints} endpoints, {arm:?}, run {run}: {:.0} ms", took.as_secs_f64() * 1e3);
        took.as_secs_f64()
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let of = |arm: Arm| {
        let at = Arm::ALL.iter().position(|other| *other == arm);
        figures[at.expect("invariant: one of all")].as_slice()
    };
    for arm in Arm::ALL {
        let ms = Spread::of(of(arm).iter().map(|s| s * 1e3).collect());
        report.row(Row::new(format!("{} ({endpoints})", arm.what()), ms, "ms", arm.note()));
        report.series.push(Series { endpoints, arm, s: of(arm).to_vec() });
    }
    let goal = GOALS.iter().find(|(at, _)| *at == endpoints);
    let mut row = Row::ratio(
        format!("up against moving each interface ({endpoints})"),
        ratio(of(Arm::Moved), of(Arm::Up)),
        "run by run",
    );
    if let Some((_, goal)) = goal {
        row = row.goal(Bound::AtLeast(*goal));
    }
    report.row(row);
    report.row(Row::ratio(
        format!("up against one thing after the other in place ({endpoints})"),
        ratio(of(Arm::InPlace), of(Arm::Up)),
        "run by run",
    ));
    report.row(Row::ratio(
        format!("up with shared namespaces against moving each interface ({endpoints})"),
        ratio(of(Arm::Moved), of(Arm::Shared)),
        "not the same network: an endpoint is an address, ten namespaces hold all",
    ));
    Ok(())
}
