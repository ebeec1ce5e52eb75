//! `make bench`: registration and PDU session latency at N2, and the core's CPU time, with 1, 4,
//! 16 and 64 UEs at once.
//!
//! Registration is INITIAL UE MESSAGE to the UPLINK NAS TRANSPORT with REGISTRATION COMPLETE, the
//! session is the UPLINK NAS TRANSPORT with its establishment request to PDU SESSION RESOURCE
//! SETUP REQUEST; both from a capture at the core's N2 interface, read by tshark. CPU time is
//! that of the core's processes, without the simulator.

mod cpu;
mod n2;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use serde::Serialize;
use tern_tests::capture::Capture;
use tern_tests::core::{Core, Setup, Sim};
use tern_tests::netns;
use tern_tests::topology::Topology;

/// UEs at once.
const POINTS: [u32; 4] = [1, 4, 16, 64];
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
}

/// Median, 99th percentile, and the extremes.
#[derive(Debug, Serialize)]
struct Spread {
    p50: f64,
    p99: f64,
    min: f64,
    max: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    std::fs::create_dir_all(&arguments.output)?;
    netns::remove_orphans()?;
    let mut points = Vec::new();
    println!("UEs  registration ms p50 / p99   session ms p50 / p99   last done ms   core CPU ms per UE");
    for ues in POINTS {
        let point = measure(&arguments, ues).await.with_context(|| format!("{ues} UEs"))?;
        let Point { registration_ms, session_ms, last_done_ms, core_cpu_ms_per_ue, .. } = &point;
        println!(
            "{ues:>3}  {:>17.2} / {:<7.2} {:>12.2} / {:<7.2} {:>14.2} {:>20.2}",
            registration_ms.p50,
            registration_ms.p99,
            session_ms.p50,
            session_ms.p99,
            last_done_ms.p50,
            core_cpu_ms_per_ue.p50
        );
        points.push(point);
    }
    let report = serde_json::json!({ "machine": cpu::machine()?, "pinned": false, "points": points });
    let path = arguments.output.join("registration.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&report)?)?;
    println!("written: {}", path.display());
    Ok(())
}

/// Runs one point on a core of its own, so that no run profits from the one before.
async fn measure(arguments: &Arguments, ues: u32) -> Result<Point> {
    let topology = Topology::create()?;
    let directory = arguments.output.join(format!("core-{ues}"));
    let setup = Setup { tern: arguments.tern.clone(), directory, echo: false };
    let mut core = Core::start(setup, &topology.core).await?;
    core.add_subscribers(&topology.core, ues).await?;
    let launcher = core.process().id().context("tern up has ended")?;

    let (mut registrations, mut sessions, mut last_done, mut cpu_ms) = (vec![], vec![], vec![], vec![]);
    for run in 0..arguments.runs {
        let file = arguments.output.join(format!("n2-{ues}-{run}.pcap"));
        let capture = Capture::start(&topology.core, &["n2"], "", &file).await?;
        let before = cpu::of_tree(launcher)?;
        let sim = Sim { ues, tun: false, exec: Vec::new(), more: "ping: 0".to_owned() };
        let name = format!("sim-{ues}-{run}");
        let mut sim = sim.start(&arguments.tern, &topology, &arguments.output, &name, false)?;
        sim.succeed(SIM_TIME).await?;
        let used = cpu::of_tree(launcher)? - before;
        let times = n2::read(&capture.stop().await?)?;
        ensure!(times.registration_ms.len() == ues as usize, "{} registrations", times.registration_ms.len());
        ensure!(times.session_ms.len() == ues as usize, "{} sessions", times.session_ms.len());
        registrations.extend(times.registration_ms);
        sessions.extend(times.session_ms);
        last_done.push(times.last_done_ms);
        cpu_ms.push(used.as_secs_f64() * 1e3 / f64::from(ues));
    }
    core.stop().await?;
    Ok(Point {
        ues,
        runs: arguments.runs,
        registration_ms: Spread::of(registrations),
        session_ms: Spread::of(sessions),
        last_done_ms: Spread::of(last_done),
        core_cpu_ms_per_ue: Spread::of(cpu_ms),
    })
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
