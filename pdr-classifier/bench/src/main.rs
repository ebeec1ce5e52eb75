//! `make bench-classifier`: the classifiers against their goals and against what was published.
//!
//! All classifiers are measured in turn in one run, on one thread that is pinned. What is compared is
//! compared round by round.

mod experiments;
mod goals;
mod plots;
mod report;
mod scene;
mod subjects;
mod turns;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Parser, ValueEnum};
use tern_figures::place::{Pinned, cores};

use experiments::{adversarial, cold, filters, micro, published, updates, warm};
use report::Report;

/// That of the `tern` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "The classifiers of packet detection rules against their goals")]
struct Arguments {
    /// Where figures and plots go.
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
    /// What is measured; all of it by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// Rounds of each classifier.
    #[arg(long, default_value_t = 51)]
    rounds: usize,
    /// How long one pass of a classifier lasts.
    #[arg(long, default_value_t = 2_000, value_name = "US")]
    pass_us: u64,
    /// Sessions of the experiment with cold caches: up to 150 KiB each in each classifier.
    #[arg(long, default_value_t = 10_000)]
    sessions: usize,
    /// A ClassBench file, for the section of its name.
    #[arg(long, value_name = "PATH")]
    filters: Option<PathBuf>,
}

/// A part of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Warm caches, 20 fields, 2 to 10,000 rules.
    Warm,
    /// The published curves.
    Published,
    /// Cold caches.
    Cold,
    /// Inserts and removes.
    Updates,
    /// Sets made to hurt.
    Adversarial,
    /// The rules of `--filters`, if there are any.
    Filters,
    /// Warm lookups by Criterion.
    Micro,
}

/// What all measurements need.
struct Bench {
    output: PathBuf,
    rounds: usize,
    pass: Duration,
    sessions: usize,
    filters: Option<PathBuf>,
    /// Processors that this process may use, and the one that it does use.
    cores: Vec<usize>,
    core: usize,
}

fn main() -> ExitCode {
    tern_figures::exit_code("pdr-classifier-bench", bench(Arguments::parse()))
}

/// Whether every measurement could be made.
fn bench(arguments: Arguments) -> Result<bool> {
    let started = Instant::now();
    let cores = cores()?;
    let bench = Bench {
        output: arguments.output,
        rounds: arguments.rounds.max(1),
        pass: Duration::from_micros(arguments.pass_us.max(1)),
        sessions: arguments.sessions.clamp(1, u32::MAX as usize),
        filters: arguments.filters,
        // The first serves most interrupts.
        core: cores.last().copied().unwrap_or_default(),
        cores,
    };
    std::fs::create_dir_all(&bench.output)?;
    let mut report = Report::new(Some(bench.core), &bench.cores)?;
    let _pinned = Pinned::to(bench.core)?;
    let sections = if arguments.only.is_empty() { Section::value_variants() } else { &arguments.only };
    report.measure(sections, |section, report| section.measure(&bench, report));
    report::write(&report, &bench, started.elapsed())?;
    Ok(report.broken.is_empty())
}

impl Section {
    fn measure(self, bench: &Bench, report: &mut Report) -> Result<()> {
        match self {
            Self::Warm => warm::measure(bench, report),
            Self::Published => published::measure(bench, report),
            Self::Cold => cold::measure(bench, report),
            Self::Updates => updates::measure(bench, report),
            Self::Adversarial => adversarial::measure(bench, report),
            Self::Filters => {
                bench.filters.as_deref().map_or(Ok(()), |path| filters::measure(bench, report, path))
            }
            Self::Micro => micro::measure(bench, report),
        }
    }
}
