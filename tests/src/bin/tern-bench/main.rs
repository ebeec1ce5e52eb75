//! `make bench`: registration and PDU session latency at N2, and the core's CPU time, with 1, 4,
//! 16 and 64 UEs at once.
//!
//! What is measured, and from where to where, is in [`tern_tests::bench::load`]. NAS is not ciphered
//! (NEA0), so that the capture can be read. Nothing is pinned.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use tern_figures::machine;
use tern_tests::bench::load::{Loaded, Point};
use tern_tests::bench::plot;
use tern_tests::core::Setup;
use tern_tests::netns;

/// UEs at once.
const POINTS: [u32; 4] = [1, 4, 16, 64];
/// Runs before those that count.
const WARM_UP_RUNS: u32 = 1;

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
    let machine = machine::describe()?;
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
        "load_1_min": machine::load()?,
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
    let setup = Setup::new(&arguments.tern, arguments.output.join(format!("core-{ues}")));
    let more: String = arguments.core.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    let mut core = Loaded::start(arguments.output.clone(), setup, &more, ues).await?;
    for _ in 0..WARM_UP_RUNS {
        core.warm_up().await?;
    }
    for _ in 0..arguments.runs {
        core.run().await?;
    }
    core.finish().await
}
