//! `tern sim load`: UEs in numbers.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::Args;
use ue_ransim::config::Config;
use ue_ransim::env::SimEnv;
use ue_ransim::load::{self, Activity, LoadConfig};

use super::memory::Processes;
use super::progress::Bar;
use super::{Flags, configured, stopped_by_signal, write};

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    tern sim load --ues 1000 --rate 50 --gnbs 4 --duration 600 --html load.html --k … --opc …\n  \
    tern sim load --ues 100 --do idle,page …    UEs that sleep and are called by the last one\n\n\
    Each UE registers, has a session, does something every --pause seconds in the mean, and deregisters \
    --duration seconds after it came. Ctrl-C has all of them deregister at once. The report has, for each \
    procedure, how often it succeeded and how long it took, and why it failed; resident memory of this \
    machine's network functions if they are of this binary. Exit status 0 only if nothing failed.")]
pub struct Arguments {
    /// Seconds from a UE's arrival until it deregisters
    #[arg(long, default_value_t = 60)]
    duration: u64,
    /// Seconds between two activities of a UE, in the mean
    #[arg(long, default_value_t = 10.0)]
    pause: f64,
    /// What UEs do: idle (and wake), xn, n2 (handover to another gNB), update (a periodic registration while
    /// idle), page (the last UE calls the others: the data network must route between UEs); without it all
    /// but page that the number of gNBs allows
    #[arg(long = "do", value_delimiter = ',')]
    activities: Vec<Activity>,
    /// All that the simulator chooses follows from it; a random one without it
    #[arg(long)]
    seed: Option<u64>,
    /// Where to write the report as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where to write the report as an HTML page with its pictures
    #[arg(long)]
    html: Option<PathBuf>,
    #[command(flatten)]
    flags: Box<Flags>,
}

/// Runs it; success only if nothing failed.
pub fn run(arguments: &Arguments) -> ExitCode {
    tern_nf::log_to_stderr();
    crate::tool(async {
        let config = configured(&arguments.flags)?;
        let mut random = tern_nf::Entropy::real()?.random();
        let load = load_config(arguments, &config, || random.u64())?;
        let sctp = tern_sctp::choose(arguments.flags.sctp)?.backend;
        let env = SimEnv::real(sctp, random, stopped_by_signal());
        let (mut bar, mut processes) = (Bar::new(), Processes::default());
        let mut report = load::run(config, load, env, |progress| {
            bar.show(progress);
            processes.look(progress.elapsed);
        })
        .await?;
        bar.clear();
        report.memory = processes.into_memory();
        crate::print(&report.to_string())?;
        if let Some(path) = &arguments.json {
            write(path, &serde_json::to_vec_pretty(&report)?)?;
        }
        if let Some(path) = &arguments.html {
            write(path, report.html().as_bytes())?;
        }
        ensure!(report.ok, "not all went well");
        Ok(())
    })
}

fn load_config(arguments: &Arguments, config: &Config, seed: impl FnOnce() -> u64) -> Result<LoadConfig> {
    let pause = Duration::try_from_secs_f64(arguments.pause).context("--pause")?;
    let activities = match &arguments.activities[..] {
        [] if config.gnbs < 2 => vec![Activity::Idle, Activity::Update],
        [] => Activity::DEFAULT.to_vec(),
        named => named.to_vec(),
    };
    let seed = arguments.seed.unwrap_or_else(seed);
    let load = LoadConfig { seed, duration: Duration::from_secs(arguments.duration), pause, activities };
    load.check(config).map_err(|wrong| anyhow!(wrong))?;
    Ok(load)
}
