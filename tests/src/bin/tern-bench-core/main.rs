//! `make bench-core`: what the core does for UEs, and what they cost.
//!
//! UEs and gNBs are in a process of this binary in the gNBs' namespace (`tern-bench-core ues …`), and their
//! times are taken there. What is compared is measured in turn (A B A B …) on two cores that are up at the
//! same time. Nothing is pinned. NAS is not ciphered (NEA0).

mod at_once;
mod many;
mod sustained;
mod ues;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tern_figures::Page;
use tern_tests::bench::stop::Stop;
use tern_tests::core::{Core, Sbi, Setup};
use tern_tests::netns;
use tern_tests::process::Process;
use tern_tests::topology::Topology;

/// That of the `tern` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How a process of UEs begins the line that says what it measured.
const RESULT: &str = "RESULT ";

#[derive(Parser)]
#[command(about = "What the core does for UEs, and what they cost")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The `tern` binary.
    #[arg(long, default_value = "target/release/tern")]
    tern: PathBuf,
    /// Where figures, plots and logs go.
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
    /// What is measured; all of it by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// UEs at once.
    #[arg(long, value_delimiter = ',', default_values_t = at_once::POINTS)]
    ues: Vec<u32>,
    /// Runs of each core at each number of UEs.
    #[arg(long, default_value_t = 7)]
    runs: u32,
    /// UEs that are registered in the end, to see what one costs.
    #[arg(long, default_value_t = 10_000)]
    many: u32,
}

#[derive(Subcommand)]
enum Command {
    /// UEs and gNBs: started by the bench itself
    #[command(hide = true)]
    Ues {
        /// What they do, as JSON.
        role: String,
    },
}

/// A part of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Procedures of UEs that all do the same at the same time.
    AtOnce,
    /// UEs that come at a rate.
    Sustained,
    /// UEs that are registered in large numbers.
    Many,
}

/// What all measurements need.
struct Bench {
    tern: PathBuf,
    output: PathBuf,
    ues: Vec<u32>,
    runs: u32,
    many: u32,
    stop: Stop,
}

/// What is behind the lines.
#[derive(Serialize)]
#[serde(untagged)]
enum Series {
    AtOnce(at_once::Point),
    Sustained(sustained::Step),
    Many(many::Costs),
}

type Report = tern_figures::Report<Series>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        Some(Command::Ues { role }) => ues::main(role).map(|()| true),
        None => bench(arguments),
    };
    tern_figures::exit_code("tern-bench-core", outcome)
}

/// Whether every measurement could be made.
fn bench(arguments: Arguments) -> Result<bool> {
    let started = Instant::now();
    let bench = Bench {
        tern: arguments.tern,
        output: arguments.output,
        ues: arguments.ues,
        runs: arguments.runs.max(1),
        many: arguments.many,
        stop: Stop::on_signals()?,
    };
    std::fs::create_dir_all(bench.directory())?;
    netns::remove_orphans()?;
    let mut report = Report::new(None, &tern_figures::place::cores()?)?;
    let sections = if arguments.only.is_empty() { Section::value_variants() } else { &arguments.only };
    report.measure(sections, |section, report| {
        bench.stop.check()?;
        match section {
            Section::AtOnce => at_once::measure(&bench, report),
            Section::Sustained => sustained::measure(&bench, report),
            Section::Many => many::measure(&bench, report),
        }
    });
    bench.stop.check()?;
    let plots = plots(&report, &bench.output)?;
    report.write(&Page {
        directory: &bench.output,
        name: "core",
        title: "The core and its UEs",
        how: format!(
            "Each of the compared cores had {} runs in turn; both were up at the same time, with the simulator on \
             the same processors.",
            bench.runs
        ),
        settings: serde_json::json!({ "ciphering": "NEA0", "runs": bench.runs }),
        tables: String::new(),
        remarks: plots,
        took: started.elapsed(),
    })?;
    Ok(report.broken.is_empty())
}

/// Writes the pictures; how the report shows them.
fn plots(report: &Report, output: &Path) -> Result<String> {
    let mut shown = String::new();
    for (name, svg) in at_once::plots(report) {
        std::fs::write(output.join(&name), svg)?;
        shown += &format!("\n![{name}]({name})\n");
    }
    Ok(shown)
}

impl Bench {
    /// Where files of cores go.
    fn directory(&self) -> PathBuf {
        self.output.join("core")
    }
}

/// A core in namespaces of its own, for UEs of other processes. Removed when dropped.
struct Served {
    name: &'static str,
    topology: Topology,
    core: Core,
}

impl Served {
    /// Starts it with so many subscribers.
    async fn start(bench: &Bench, name: &'static str, sbi: Sbi, subscribers: u32) -> Result<Self> {
        let setup = Setup { sbi, ..Setup::new(&bench.tern, bench.directory().join(name)) };
        let topology = Topology::create_as(name)?;
        let core = Core::start(setup, &topology.core).await.context(name)?;
        core.add_subscribers(&topology.core, subscribers).await?;
        Ok(Self { name, topology, core })
    }

    /// UEs that do this.
    fn ues(&self, role: &ues::Role) -> Result<Process> {
        let mut command = self.topology.gnb.task(std::env::current_exe()?);
        command.arg("ues").arg(serde_json::to_string(role)?);
        Process::start("ues", command, false)
    }

    /// What UEs measure that do this.
    async fn measure<T: DeserializeOwned>(&self, role: &ues::Role, limit: Duration) -> Result<T> {
        let mut process = self.ues(role)?;
        let line = process.wait_for_line(RESULT, limit).await.with_context(|| self.name)?;
        let result = line.split_once(RESULT).map(|(_, json)| json).context("no result")?;
        let result = serde_json::from_str(result)?;
        process.succeed(limit).await?;
        Ok(result)
    }

    /// The process of `tern up`.
    fn launcher(&mut self) -> Result<u32> {
        self.core.process().id().context("tern up has ended")
    }

    async fn stop(self) -> Result<()> {
        self.core.stop().await.with_context(|| self.name)
    }
}
