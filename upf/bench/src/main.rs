//! `make bench-upf`: the user plane in process, against its goals.
//!
//! The loop of a worker thread is the shipped one; its packets come out of nothing and go nowhere, so what is
//! measured is what the user plane itself costs. What the interfaces cost is not in it.

mod floor;
mod memory;
mod pfcp;
mod pipeline;
mod report;
mod scene;
mod smf;
mod source;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use tern_figures::place::cores;

use report::Report;

/// That of the `tern` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "The user plane in process against its goals")]
struct Arguments {
    /// Where figures go.
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
    /// What is measured; all of it by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// Rounds of each arm.
    #[arg(long, default_value_t = 21)]
    rounds: usize,
    /// Sessions of the largest scene.
    #[arg(long, default_value_t = 1_000_000)]
    sessions: usize,
}

/// A part of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Packets by the number of sessions.
    Sessions,
    /// Packets by the number of rules of a session, by classifiers, with and without QER and URR.
    Rules,
    /// PFCP requests.
    Pfcp,
    /// Memory of a session.
    Memory,
}

/// What all measurements need.
struct Bench {
    output: PathBuf,
    rounds: usize,
    sessions: usize,
    /// Processors that this process may use, and the one that the measuring thread does use.
    cores: Vec<usize>,
    core: usize,
}

fn main() -> ExitCode {
    tern_figures::exit_code("tern-upf-bench", bench(Arguments::parse()))
}

/// Whether every measurement could be made.
fn bench(arguments: Arguments) -> Result<bool> {
    let started = Instant::now();
    let cores = cores()?;
    let bench = Bench {
        output: arguments.output,
        rounds: arguments.rounds.max(1),
        sessions: arguments.sessions.clamp(1, scene::SESSIONS_MAX),
        // The first serves most interrupts.
        core: cores.last().copied().unwrap_or_default(),
        cores,
    };
    std::fs::create_dir_all(&bench.output)?;
    let mut report = Report::new(bench.core, &bench.cores)?;
    let sections = if arguments.only.is_empty() { Section::value_variants() } else { &arguments.only };
    report.measure(sections, |section, report| section.measure(&bench, report));
    report::write(&report, &bench, started.elapsed())?;
    Ok(report.broken.is_empty())
}

impl Section {
    fn measure(self, bench: &Bench, report: &mut Report) -> Result<()> {
        match self {
            Self::Sessions => pipeline::by_sessions(bench, report),
            Self::Rules => pipeline::by_rules(bench, report),
            Self::Pfcp => pfcp::measure(bench, report),
            Self::Memory => memory::measure(bench, report),
        }
    }
}
