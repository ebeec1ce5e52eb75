//! UEs that are registered in large numbers: what one costs in processor time and memory.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tern_figures::{Row, Spread};
use tern_tests::bench::cpu::{self, ByCommand};
use tern_tests::core::Sbi;

use crate::ues::{Arrivals, REGISTERED, Role};
use crate::{Bench, Report, Series, Served};

/// UEs a second.
const RATE: f64 = 150.0;
/// What the core does behind the last registration is over by then.
const SETTLE: Duration = Duration::from_secs(3);
/// Beyond the time in which they come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one UE costs.
#[derive(Debug, Serialize)]
pub struct Costs {
    ues: u32,
    /// Of the core's processes, without the simulator.
    cpu_us_per_registration: f64,
    cpu_us_by_process: ByCommand<f64>,
    /// Memory that is more than before they came, shared pages divided among those who share them.
    octets_per_ue: f64,
    octets_by_process: ByCommand<f64>,
}

/// Measures and reports.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let costs = bench.stop.unless_asked(register(bench))?;
    let most = |by: &ByCommand<f64>| {
        let mut all: Vec<_> = by.iter().collect();
        all.sort_by(|a, b| b.1.total_cmp(a.1));
        all.iter().take(4).map(|(name, of)| format!("{name} {of:.0}")).collect::<Vec<_>>().join(", ")
    };
    let figure = |value| Spread::of(vec![value]);
    let ues = costs.ues;
    report.row(Row::new(
        format!("the core's CPU for a registration, {ues} UEs at {RATE} a second"),
        figure(costs.cpu_us_per_registration),
        "µs",
        format!("most: {}", most(&costs.cpu_us_by_process)),
    ));
    report.row(Row::new(
        format!("memory of the core for a registered UE, {ues} UEs"),
        figure(costs.octets_per_ue),
        "octets",
        format!("most: {}", most(&costs.octets_by_process)),
    ));
    report.series.push(Series::Many(costs));
    Ok(())
}

async fn register(bench: &Bench) -> Result<Costs> {
    let ues = bench.many;
    let mut core = Served::start(bench, "many", Sbi::Auto, ues + 1).await?;
    // What a first registration makes once is not of each.
    let first = Role::Arrive { rate: 1.0, seconds: 1 };
    core.measure::<Arrivals>(&first, PATIENCE).await.context("the first UEs")?;
    let launcher = core.launcher()?;
    let (cpu_before, memory_before) = (cpu::of_tree(launcher)?, cpu::memory(launcher)?);
    let mut staying = core.ues(&Role::Stay { ues, rate: RATE })?;
    let limit = Duration::from_secs_f64(f64::from(ues) / RATE) + PATIENCE;
    staying.wait_for_line(REGISTERED, limit).await?;
    tokio::time::sleep(SETTLE).await;
    let (cpu_after, memory_after) = (cpu::of_tree(launcher)?, cpu::memory(launcher)?);
    staying.kill().await?;
    core.stop().await?;
    let each = |total: f64| total / f64::from(ues);
    let cpu_us_by_process: ByCommand<f64> = cpu_after
        .into_iter()
        .map(|(name, after)| {
            let used = after.saturating_sub(cpu_before.get(&name).copied().unwrap_or_default());
            (name, each(used.as_secs_f64() * 1e6))
        })
        .collect();
    let octets_by_process: ByCommand<f64> = memory_after
        .into_iter()
        .map(|(name, (_, after))| {
            let before = memory_before.get(&name).map_or(0, |(_, before)| *before);
            (name, each((after as f64 - before as f64) * 1024.0))
        })
        .collect();
    Ok(Costs {
        ues,
        cpu_us_per_registration: cpu_us_by_process.values().sum(),
        cpu_us_by_process,
        octets_per_ue: octets_by_process.values().sum(),
        octets_by_process,
    })
}
