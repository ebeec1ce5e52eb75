//! Where UEs are, and what gNBs hear when the core stops: Namf_Location, TS 38.413 §8.12.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tern_tests::core::SUPI;

use crate::world::{World, clean, isolated};

/// How long what the AMF knows may take to be in its status.
const WITHIN: Duration = Duration::from_secs(5);

#[test]
fn when_a_ue_is_located_then_its_gnb_says_where_it_is_and_a_core_that_stops_ends_its_association() {
    isolated(
        "reports::when_a_ue_is_located_then_its_gnb_says_where_it_is_and_a_core_that_stops_ends_its_association",
        located,
    );
}

async fn located() -> Result<()> {
    let mut world = World::start("").await?;
    world.add_subscribers(1).await?;
    let unknown = world.tern_fails(&["locate", SUPI]).await?;
    ensure!(unknown.contains("404"), "{unknown}");
    let config = world.config(1);
    let mut rig = world.rig(config).await?;
    let mut ue = rig.ue(0)?;
    ue.register().await?;
    let first = rig.gnbs[0].config().location().nr_cell_id;
    ue.change_cell(3).await?;
    let known = world.tern(&["locate", SUPI]).await?;
    ensure!(known.contains(&format!("cell {first:09x}  0 min ago")), "{known}");
    let current = world.tern(&["locate", SUPI, "--current"]).await?;
    ensure!(current.contains(&format!("cell {:09x}  now", first + 3)), "{current}");
    let cell = format!("{:09x}", first + 3);
    world.wait_until("amf", "the cell", WITHIN, |status| status["ueList"][0]["cell"] == cell).await?;
    ue.enter_rrc_inactive().await?;
    let current = world.tern(&["locate", SUPI, "--current"]).await?;
    ensure!(current.contains("now"), "{current}");
    world
        .wait_until("amf", "RRC_INACTIVE", WITHIN, |status| status["ueList"][0]["rrc"] == "inactive")
        .await?;

    ensure!(rig.gnbs[0].is_up());
    world.core.take().context("the core")?.stop().await?;
    ensure!(!rig.gnbs[0].is_up(), "the association outlives the core");
    // What it had is there when it comes again: nobody is told that it has gone for good.
    ensure!(!rig.gnbs[0].is_amf_leaving());
    rig.stop().await;
    clean(&rig)
}
