//! `make check-upf`: rates, buffering and usage of the UPF with real packets, on both of its packet backends.

mod overload;
mod rates;
mod report;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use tern_tests::core::UpfIo;
use tern_tests::netns;
use tern_tests::process::unless_told_to_end;
use tern_tests::upf::scenarios::{buffering, gates, quotas};
use tern_tests::upf::{Rig, UpfSetup};

use crate::report::Report;

/// Packets that may wait of a session: as the UPF has it by default.
const BOUND: u32 = 64;
/// Packets of a quota.
const QUOTA_PACKETS: u32 = 20_000;

#[derive(Parser)]
#[command(about = "Rates, buffering and usage of the UPF with real packets, wanted and measured")]
struct Arguments {
    /// The `tern` binary; for `dpdk` built with that feature.
    #[arg(long, default_value = "target/release/tern")]
    tern: PathBuf,
    /// Where `upf.json` and the logs go.
    #[arg(long, default_value = "target/check")]
    output: PathBuf,
    /// How the UPF's packets move, one or several.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [UpfIo::Kernel, UpfIo::Dpdk])]
    io: Vec<UpfIo>,
    /// What is checked.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::value_variants().to_vec())]
    only: Vec<Part>,
    /// UDP packets of a direction that usage is compared by.
    #[arg(long, default_value_t = 1_000_000)]
    packets: u64,
    /// Microseconds of every ten milliseconds that an overloaded worker has, in the place of those that fit here:
    /// too few to forward 100,000 packets a second, enough to receive them.
    #[arg(long)]
    worker_us: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// MBR, Session-AMBR, GBR.
    Rates,
    /// Guaranteed flows beside more than the worker can do.
    Overload,
    /// Packets of an idle UE.
    Buffering,
    /// Usage reports and quotas.
    Usage,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match check(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("check-upf: not all lines hold");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("check-upf: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Checks everything; an interrupt ends it, so that all is removed in any case.
async fn check(arguments: &Arguments) -> Result<bool> {
    std::fs::create_dir_all(&arguments.output)?;
    netns::remove_orphans()?;
    let mut report = Report::default();
    let result = unless_told_to_end(all(arguments, &mut report)).await;
    report.write(&arguments.output.join("upf.json"))?;
    result.map(|()| report.holds())
}

async fn all(arguments: &Arguments, report: &mut Report) -> Result<()> {
    for &io in &arguments.io {
        let at = if io == UpfIo::Dpdk { "dpdk" } else { "kernel" };
        report.backend(at);
        for part in &arguments.only {
            let done = match part {
                Part::Rates => rates::check(arguments, io, report).await,
                Part::Overload => overload::check(arguments, io, report).await,
                Part::Buffering => waiting(arguments, io, report).await,
                Part::Usage => usage::check(arguments, io, report).await,
            };
            done.with_context(|| format!("on {at}"))?;
        }
    }
    Ok(())
}

/// A rig with two UEs and one worker.
async fn rig(arguments: &Arguments, io: UpfIo, more: &str) -> Result<Rig> {
    let setup = UpfSetup { io, workers: 1, more: more.to_owned() };
    Rig::start("upf", &arguments.tern, &arguments.output, &setup, 2).await
}

async fn waiting(arguments: &Arguments, io: UpfIo, report: &mut Report) -> Result<()> {
    let one = rig(arguments, io, "").await?;
    report.add("4", buffering(&one, BOUND, true).await?);
    report.add("4", gates(&one).await?);
    report.add("5", quotas(&one, QUOTA_PACKETS).await?);
    one.stop().await?;
    // DPDK's virtual devices have one queue.
    if io == UpfIo::Kernel {
        let setup = UpfSetup { io, workers: 2, more: String::new() };
        let two = Rig::start("upf", &arguments.tern, &arguments.output, &setup, 2).await?;
        report.say("with two workers");
        report.add("4", buffering(&two, BOUND, false).await?);
        two.stop().await?;
    }
    Ok(())
}
