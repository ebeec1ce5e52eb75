//! `make bench`: registration and PDU session latency at N2, and the core's CPU time, with 1, 4,
//! 16 and 64 UEs at once.
//!
//! Registration is INITIAL UE MESSAGE to the UPLINK NAS TRANSPORT with REGISTRATION COMPLETE, the
//! session is the UPLINK NAS TRANSPORT with its establishment request to PDU SESSION RESOURCE
//! SETUP REQUEST; both from a capture at the core's N2 interface, read by tshark. CPU time is
//! that of the core's processes, without the simulator. NAS is not ciphered (NEA0), so that the
//! capture can be read. Nothing is pinned. One run before those that count fills the caches of
//! discovery, as in a core that has been up for a while.

mod cpu;
mod n2;
mod plot;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use serde::Serialize;
use tern_tests::capture::Capture;
use tern_tests::core::{Core, Setup, Sim};
use tern_tests::netns;
use tern_tests::topology::Topology;

use cpu::ByCommand;

/// UEs at once.
const POINTS: [u32; 4] = [1, 4, 16, 64];
/// Runs before those that count.
const WARM_UP_RUNS: u32 = 1;
/// How long the simulator may take for one run.
const SIM_TIME: Duration = Duration::from_secs(60);

#[derive(Parser)]
#[command(about = "Latency at N2 and CPU time of the core, by UEs at once")]
struct Arguments {
    /// The `tern` binary.
    #[arg(long, default_value = "target/release/tern")]
    tern: PathBuf,
    /// Where figures and captures go.
    #[arg(long, default_value = "target/bench/registration")]
    output: PathBuf,
    /// Runs of each point; the median over all UEs of all runs is reported.
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// UEs at once; the default is each of 1, 4, 16 and 64.
    #[arg(long, value_delimiter = ',', default_values_t = POINTS)]
    ues: Vec<u32>,
    /// A further line of the core's file, such as `sessions_establishing_max: 8`; may be repeated.
    #[arg(long = "core", value_name = "LINE")]
    core: Vec<String>,
}

/// One point's figures.
#[derive(Debug, Serialize)]
struct Point {
    ues: u32,
    runs: u32,
    registration_ms: Spread,
    session_ms: Spread,
    /// First INITIAL UE MESSAGE to the last PDU SESSION RESOURCE SETUP REQUEST.
    last_done_ms: Spread,
    core_cpu_ms_per_ue: Spread,
    /// Which process used it: the mean over the runs.
    cpu_ms_per_ue_by_process: ByCommand<f64>,
    /// After the last run.
    memory_kib_by_process: ByCommand<Memory>,
    memory_kib: Memory,
}

/// Median, 99th percentile and the extremes.
#[derive(Debug, Serialize)]
struct Spread {
    p50: f64,
    p99: f64,
    min: f64,
    max: f64,
}

/// Resident, and resident with shared pages divided among those who share them.
#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Memory {
    rss: u64,
    pss: u64,
}

/// What the runs of one point gave.
#[derive(Default)]
struct Measured {
    registration_ms: Vec<f64>,
    session_ms: Vec<f64>,
    last_done_ms: Vec<f64>,
    cpu_ms_per_ue: Vec<f64>,
    by_process: ByCommand<f64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    std::fs::create_dir_all(&arguments.output)?;
    netns::remove_orphans()?;
    let mut points = Vec::new();
    println!(
        "UEs  registration ms p50 / p99  session ms p50 / p99  last done ms  core CPU ms per UE (min-max)  PSS MiB"
    );
    for &ues in &arguments.ues {
        let point = measure(&arguments, ues).await.with_context(|| format!("{ues} UEs"))?;
        let Point { registration_ms, session_ms, last_done_ms, core_cpu_ms_per_ue, .. } = &point;
        println!(
            "{ues:>3}  {:>18.2} / {:<7.2} {:>12.2} / {:<7.2} {:>11.2} {:>13.2} ({:.2}-{:.2}) {:>16.1}",
            registration_ms.p50,
            registration_ms.p99,
            session_ms.p50,
            session_ms.p99,
            last_done_ms.p50,
            core_cpu_ms_per_ue.p50,
            core_cpu_ms_per_ue.min,
            core_cpu_ms_per_ue.max,
            point.memory_kib.pss as f64 / 1024.0,
        );
        points.push(point);
    }
    write(&arguments, &points)
}

fn write(arguments: &Arguments, points: &[Point]) -> Result<()> {
    let machine = cpu::machine()?;
    let curve = |name, colour, of: fn(&Point) -> f64| {
        let points = points.iter().map(|point| (point.ues, of(point))).collect();
        plot::Curve { name, colour, points }
    };
    let curves = [
        curve("registration, p50", "#1b6ca8", |p| p.registration_ms.p50),
        curve("registration, p99", "#8fc1e3", |p| p.registration_ms.p99),
        curve("session, p50", "#b8570d", |p| p.session_ms.p50),
        curve("session, p99", "#f0b27a", |p| p.session_ms.p99),
    ];
    let title = "tern: registration and PDU session at N2";
    std::fs::write(arguments.output.join("registration.svg"), plot::svg(title, &machine, &curves))?;
    let report = serde_json::json!({
        "machine": machine,
        "load_1_min": cpu::load()?,
        "pinned": false,
        "ciphering": "NEA0",
        "core": arguments.core,
        "points": points,
    });
    let path = arguments.output.join("registration.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&report)?)?;
    println!("written: {}", path.display());
    Ok(())
}

/// Runs one point on a core of its own, so that no point profits from the one before.
async fn measure(arguments: &Arguments, ues: u32) -> Result<Point> {
    let topology = Topology::create()?;
    let directory = arguments.output.join(format!("core-{ues}"));
    let more: String = arguments.core.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    let setup = Setup::new(&arguments.tern, directory);
    let mut core = Core::start_with(setup, &topology.core, &more).await?;
    core.add_subscribers(&topology.core, ues).await?;
    let launcher = core.process().id().context("tern up has ended")?;
    let mut measured = Measured::default();
    for run in 0..WARM_UP_RUNS {
        let mut not_counted = Measured::default();
        let name = format!("{ues}-warm-up-{run}");
        one_run(arguments, &topology, ues, launcher, &name, &mut not_counted).await?;
    }
    for run in 0..arguments.runs {
        one_run(arguments, &topology, ues, launcher, &format!("{ues}-{run}"), &mut measured).await?;
    }
    let memory = cpu::memory(launcher)?;
    let memory: ByCommand<Memory> =
        memory.into_iter().map(|(name, (rss, pss))| (name, Memory { rss, pss })).collect();
    core.stop().await?;
    measured.by_process.values_mut().for_each(|ms| *ms /= f64::from(arguments.runs));
    Ok(Point {
        ues,
        runs: arguments.runs,
        registration_ms: Spread::of(measured.registration_ms),
        session_ms: Spread::of(measured.session_ms),
        last_done_ms: Spread::of(measured.last_done_ms),
        core_cpu_ms_per_ue: Spread::of(measured.cpu_ms_per_ue),
        cpu_ms_per_ue_by_process: measured.by_process,
        memory_kib: memory
            .values()
            .fold(Memory::default(), |sum, one| Memory { rss: sum.rss + one.rss, pss: sum.pss + one.pss }),
        memory_kib_by_process: memory,
    })
}

async fn one_run(
    arguments: &Arguments,
    topology: &Topology,
    ues: u32,
    launcher: u32,
    name: &str,
    measured: &mut Measured,
) -> Result<()> {
    let file = arguments.output.join(format!("n2-{name}.pcap"));
    let capture = Capture::start(&topology.core, &["n2"], "", &file).await?;
    let before = cpu::of_tree(launcher)?;
    let sim = Sim { ues, tun: false, exec: Vec::new(), more: "ping: 0".to_owned() };
    let mut sim = sim.start(&arguments.tern, topology, &arguments.output, &format!("sim-{name}"), false)?;
    sim.succeed(SIM_TIME).await?;
    let after = cpu::of_tree(launcher)?;
    let times = n2::read(&capture.stop().await?)?;
    ensure!(times.registration_ms.len() == ues as usize, "{} registrations", times.registration_ms.len());
    ensure!(times.session_ms.len() == ues as usize, "{} sessions", times.session_ms.len());
    measured.registration_ms.extend(times.registration_ms);
    measured.session_ms.extend(times.session_ms);
    measured.last_done_ms.push(times.last_done_ms);
    let mut total = 0.0;
    for (process, time) in after {
        // Threads that ended meanwhile took their time with them.
        let used = time.saturating_sub(before.get(&process).copied().unwrap_or_default());
        let ms_per_ue = used.as_secs_f64() * 1e3 / f64::from(ues);
        *measured.by_process.entry(process).or_default() += ms_per_ue;
        total += ms_per_ue;
    }
    measured.cpu_ms_per_ue.push(total);
    Ok(())
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (share * values.len() as f64).ceil() as usize;
            values.get(index.saturating_sub(1)).copied().unwrap_or(f64::NAN)
        };
        Self { p50: at(0.5), p99: at(0.99), min: at(0.0), max: at(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_by_rank() {
        let spread = Spread::of((1..=100).rev().map(f64::from).collect());
        assert_eq!((spread.p50, spread.p99, spread.min, spread.max), (50.0, 99.0, 1.0, 100.0));
    }
}
