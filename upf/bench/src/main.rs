//! `make bench-upf`: the user plane against its goals, on three levels. In process the loop of a worker thread is
//! the shipped one, its packets come out of nothing and go nowhere, or its ports are DPDK's without a device. In
//! two processes the whole UPF has a generator on another core. In namespaces packets come by the kernel.

// Without ports some of it has no user.
#[cfg_attr(not(feature = "dpdk"), allow(dead_code))]
mod child;
mod floor;
#[cfg(feature = "dpdk")]
mod frames;
#[cfg(feature = "dpdk")]
mod generator;
#[cfg(feature = "dpdk")]
mod io;
mod memory;
mod n4;
#[cfg(feature = "dpdk")]
mod namespaces;
#[cfg(feature = "dpdk")]
#[path = "../../../tests/src/netns.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod netns;
mod pfcp;
mod pipeline;
#[cfg(feature = "dpdk")]
mod ports;
#[cfg(feature = "dpdk")]
mod processes;
mod report;
mod scene;
mod smf;
mod source;
#[cfg(feature = "dpdk")]
mod testpmd;

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
    /// Part of a measurement, as standard input says.
    #[arg(long, hide = true)]
    child: bool,
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
    /// PFCP requests to the whole UPF, over UDP.
    N4,
    /// Packets on ports of DPDK without a device, in process.
    Io,
    /// Two workers beside one.
    Workers,
    /// Packets between two processes.
    Processes,
    /// Packets by the kernel, between network namespaces.
    Namespaces,
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
    let arguments = Arguments::parse();
    let is_whole = if arguments.child { child::Role::play().map(|()| true) } else { bench(arguments) };
    tern_figures::exit_code("tern-upf-bench", is_whole)
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
    let mut report = Report::new(Some(bench.core), &bench.cores)?;
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
            Self::N4 => n4::measure(bench, report),
            #[cfg(not(feature = "dpdk"))]
            Self::Io | Self::Workers | Self::Processes | Self::Namespaces => {
                println!("  skipped: built without DPDK (`scripts/setup dpdk`)");
                Ok(())
            }
            #[cfg(feature = "dpdk")]
            Self::Io => io::measure(bench, report),
            #[cfg(feature = "dpdk")]
            Self::Workers => io::workers(bench, report),
            #[cfg(feature = "dpdk")]
            Self::Processes => processes::measure(bench, report),
            #[cfg(feature = "dpdk")]
            Self::Namespaces if !rustix::process::geteuid().is_root() => {
                println!("  skipped: network namespaces need root");
                Ok(())
            }
            #[cfg(feature = "dpdk")]
            Self::Namespaces => namespaces::measure(bench, report),
        }
    }
}
