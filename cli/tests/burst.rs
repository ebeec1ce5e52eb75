//! Many UEs at once.

use anyhow::{Result, ensure};
use tern_tests::topology::DN_ADDRESS;

use crate::world::{World, isolated, runs};

#[test]
fn when_64_ues_come_at_once_then_all_register_and_have_sessions() {
    isolated("burst::when_64_ues_come_at_once_then_all_register_and_have_sessions", all_have_sessions);
}

async fn all_have_sessions() -> Result<()> {
    let mut world = World::start("").await?;
    world.add_subscribers(64).await?;
    let before = world.memory()?;
    for run in 1..=runs(2) {
        let mut config = world.config(64);
        config.ping_target = Some(DN_ADDRESS);
        config.ping = 1;
        let report = ue_ransim::run(config, world.sim_env()).await?;
        println!(
            "MEASURED 64 UEs, run {run}: registration p50 {} p99 {} µs, session p50 {} p99 {} µs",
            report.registration.p50_us,
            report.registration.p99_us,
            report.session.p50_us,
            report.session.p99_us
        );
        ensure!(report.ok, "run {run}: {:#?} {:#?}", report.failures, report.errors);
        ensure!(report.ues_ok == 64 && report.session.count == 64 && report.ping.received == 64);
        world.wait_for_nobody().await?;
    }
    world.check_growth(&before, 24 * 1024, "64 UEs at once")?;
    world.finish().await
}
