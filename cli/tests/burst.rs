//! Many UEs at once.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tern_tests::core::Sim;
use tern_tests::topology::DN_ADDRESS;

use crate::world::{TERN, World, isolated, runs};

/// Longest run of the simulator.
const RUN_TIME: Duration = Duration::from_secs(60);

#[test]
fn when_64_ues_come_at_once_then_all_register_and_have_sessions() {
    isolated("burst::when_64_ues_come_at_once_then_all_register_and_have_sessions", all_have_sessions);
}

async fn all_have_sessions() -> Result<()> {
    let mut world = World::start("").await?;
    world.add_subscribers(64).await?;
    let before = world.memory()?;
    let more = format!("ping_target: {DN_ADDRESS}\nping: 1\n");
    for run in 1..=runs(2) {
        let sim = Sim { ues: 64, tun: false, exec: Vec::new(), more: more.clone() };
        let mut sim = sim.start(TERN.as_ref(), &world.topology, &world.directory, "sim", false)?;
        sim.succeed(RUN_TIME).await.with_context(|| format!("run {run}"))?;
        let report: Value = serde_json::from_slice(&std::fs::read(world.directory.join("sim.json"))?)?;
        let spread =
            |name: &str| format!("{name} p50 {} p99 {} µs", report[name]["p50_us"], report[name]["p99_us"]);
        println!("MEASURED 64 UEs, run {run}: {}, {}", spread("registration"), spread("session"));
        ensure!(report["ok"] == true && report["ues_ok"] == 64, "run {run}: {report}");
        ensure!(report["session"]["count"] == 64 && report["ping"]["received"] == 64, "run {run}: {report}");
        world.wait_for_nobody().await?;
    }
    world.check_growth(&before, 24 * 1024, "64 UEs at once")?;
    world.finish().await
}
