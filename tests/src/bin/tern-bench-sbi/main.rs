//! `make bench-sbi`: the SBI through shared memory against the goals it was built for.
//!
//! Each row of the goals table is measured with both arms in turn (A B A B …) in one run of the same
//! binaries; what is compared is compared round by round, so that what disturbs the machine for a
//! while disturbs both. Servers of the small measurements are processes of this binary
//! (`tern-bench-sbi serve …`), pinned; cores are those of `tern up`, not pinned.

mod message;
mod peer;
mod place;
mod report;
mod rows;
mod serve;
mod turns;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use tern_tests::bench::stop::Stop;
use tern_tests::netns;

use report::Report;

/// That of the `tern` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "The SBI through shared memory against its goals")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The `tern` binary.
    #[arg(long, default_value = "target/release/tern")]
    tern: PathBuf,
    /// Where figures, plots and captures go.
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
    /// What is measured; all of it by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// Rounds of each arm of a small measurement.
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// How long a round of a small measurement lasts.
    #[arg(long, default_value_t = 150, value_name = "MS")]
    round_ms: u64,
    /// Runs of each core at each number of UEs.
    #[arg(long, default_value_t = 15)]
    runs: u32,
    /// How long the idle core is watched.
    #[arg(long, default_value_t = 60, value_name = "S")]
    idle_s: u64,
}

#[derive(Subcommand)]
enum Command {
    /// The other end of a measurement: started by the bench itself
    #[command(hide = true)]
    Serve(serve::Arguments),
}

/// A part of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// The small pieces, by Criterion.
    Pieces,
    /// What writing and reading one message costs.
    Codec,
    /// One SBI message.
    Message,
    /// Round trips of 1 KiB.
    Stream,
    /// Connect and first octet.
    Connect,
    /// Processor time at 1,000 calls a second.
    Rate,
    /// Through the manager.
    Hop,
    /// Two tenants.
    Tenants,
    /// Registrations and sessions.
    Core,
    /// The core without work.
    Idle,
}

/// What all measurements need.
struct Bench {
    tern: PathBuf,
    output: PathBuf,
    rounds: u32,
    round_time: Duration,
    runs: u32,
    idle_time: Duration,
    /// Processors that this process may use.
    cores: Vec<usize>,
    stop: Stop,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Some(Command::Serve(arguments)) => serve::main(&arguments).map(|()| true),
        None => bench(arguments),
    };
    tern_figures::exit_code("tern-bench-sbi", outcome)
}

/// Whether every measurement could be made.
fn bench(arguments: Arguments) -> Result<bool> {
    let started = Instant::now();
    let bench = Bench {
        tern: arguments.tern,
        output: arguments.output,
        rounds: arguments.rounds.max(1),
        round_time: Duration::from_millis(arguments.round_ms.max(1)),
        runs: arguments.runs.max(1),
        idle_time: Duration::from_secs(arguments.idle_s.max(1)),
        cores: tern_figures::place::cores()?,
        stop: Stop::on_signals()?,
    };
    std::fs::create_dir_all(&bench.output)?;
    netns::remove_orphans()?;
    let mut report = Report::new(&bench)?;
    let sections = if arguments.only.is_empty() { Section::value_variants() } else { &arguments.only };
    for &section in sections {
        bench.stop.check()?;
        let begun = Instant::now();
        if let Err(error) = section.measure(&bench, &mut report) {
            bench.stop.check()?;
            report.broken.add(section, &error);
        }
        println!("{section:?}: {:.0} s", begun.elapsed().as_secs_f64());
    }
    report.write(&bench, started.elapsed())?;
    Ok(report.broken.is_empty())
}

impl Section {
    fn measure(self, bench: &Bench, report: &mut Report) -> Result<()> {
        match self {
            Self::Pieces => rows::pieces::measure(bench, report),
            Self::Codec => rows::codec::measure(bench, report),
            Self::Message => rows::message::measure(bench, report),
            Self::Stream => rows::stream::measure(bench, report),
            Self::Connect => rows::connect::measure(bench, report),
            Self::Rate => rows::rate::measure(bench, report),
            Self::Hop => rows::hop::measure(bench, report),
            Self::Tenants => rows::tenants::measure(bench, report),
            Self::Core => rows::core::measure(bench, report),
            Self::Idle => rows::idle::measure(bench, report),
        }
    }
}
