//! `tern n2` as a process of its own: an AMF that keeps nothing dies, the gNBs stay.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use tern_tests::core::Sbi;
use tern_tests::process::Process;
use tern_tests::topology::{DN_ADDRESS, N2_CORE};

use crate::world::{NFS, TERN, World, check_log, clean, isolated, sbi};

/// How long a network function may take until it serves.
const START_TIME: Duration = Duration::from_secs(10);

#[test]
fn when_the_amf_is_killed_then_n2_keeps_the_gnb_and_the_ue_registers_again() {
    isolated("n2::when_the_amf_is_killed_then_n2_keeps_the_gnb_and_the_ue_registers_again", amf_is_killed);
}

async fn amf_is_killed() -> Result<()> {
    // `tern up` makes the files; the network functions are then started by hand, the AMF without a store.
    let mut world = World::start("").await?;
    world.add_subscribers(1).await?;
    world.core.take().context("the core")?.stop().await?;
    let files = world.directory.join("data").join("config");
    let mut n2 = start(&world, &files, "n2")?;
    let mut others = Vec::new();
    if sbi() == Sbi::Shm {
        others.push(ready(&world, &files, "manager").await?);
    }
    for nf in NFS {
        others.push(ready(&world, &files, nf).await?);
    }
    n2.wait_for_line("N2 listens", START_TIME).await?;

    let config = world.config(1);
    let mut rig = world.rig(config).await?;
    let mut ue = rig.ue(0)?;
    ue.register().await?;
    let mut session = ue.establish_session(Default::default()).await?;
    ensure!(session.ping(DN_ADDRESS, 3, Duration::from_millis(10)).await?.rtt.len() == 3);

    let amf = others.pop().context("the AMF")?;
    let log = amf.lines();
    amf.kill().await?;
    check_log(&log)?;
    n2.wait_for_line("the AMF is gone; associations are kept", START_TIME).await?;
    ensure!(rig.gnbs[0].is_up(), "the gNB has lost N2");
    // The user plane does not need the AMF.
    ensure!(session.ping(DN_ADDRESS, 3, Duration::from_millis(10)).await?.rtt.len() == 3);

    let began = std::time::Instant::now();
    let mut amf = ready(&world, &files, "amf").await?;
    amf.wait_for_line("N2 termination attached gnbs=1", START_TIME).await?;
    println!("MEASURED a new AMF has its gNB after {:?}", began.elapsed());
    ensure!(rig.gnbs[0].is_up(), "the gNB has lost N2");
    // The new AMF knows no connection: it resets those that the gNB has (TS 38.413 §8.7.4.2.1).
    while rig.gnbs[0].connected() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ue.lose_radio();
    ue.register().await.context("with the new AMF")?;
    let mut session = ue.establish_session(Default::default()).await?;
    ensure!(session.ping(DN_ADDRESS, 3, Duration::from_millis(10)).await?.rtt.len() == 3);
    ue.deregister(false).await?;
    rig.stop().await;
    clean(&rig)?;

    others.push(amf);
    others.push(n2);
    for process in others.into_iter().rev() {
        check_log(&process.lines())?;
        process.stop().await?;
    }
    Ok(())
}

fn start(world: &World, files: &Path, nf: &str) -> Result<Process> {
    let mut command = world.topology.core.task(TERN);
    command.arg(nf).arg("--config").arg(files.join(format!("{nf}.yaml")));
    Process::start(nf, command, false)
}

async fn ready(world: &World, files: &Path, nf: &str) -> Result<Process> {
    let mut process = start(world, files, nf)?;
    process.wait_for_line(&format!("ready {nf}"), START_TIME).await?;
    Ok(process)
}

#[test]
fn when_n2_is_killed_then_the_amf_waits_for_a_new_one() {
    isolated("n2::when_n2_is_killed_then_the_amf_waits_for_a_new_one", n2_is_killed);
}

async fn n2_is_killed() -> Result<()> {
    let world = World::without_core().await?;
    let directory = world.directory.parent().context("a directory")?.to_owned();
    let bridge = directory.join("n2.sock");
    let text = format!("bridge: {}\naddresses: [{N2_CORE}]\n", bridge.display());
    std::fs::write(directory.join("n2.yaml"), text)?;
    let text = format!("n2:\n  bridge: {}\n  addresses: [{N2_CORE}]\n", bridge.display());
    std::fs::write(directory.join("amf.yaml"), text)?;
    std::fs::write(directory.join("nrf.yaml"), "")?;
    let nrf = ready(&world, &directory, "nrf").await?;
    let n2 = start(&world, &directory, "n2")?;
    let mut amf = ready(&world, &directory, "amf").await?;
    amf.wait_for_line("N2 termination attached", START_TIME).await?;
    n2.kill().await?;
    amf.wait_for_line("the N2 process is lost", START_TIME).await?;
    // The socket of the dead one is still there.
    ensure!(bridge.exists());
    let mut n2 = start(&world, &directory, "n2")?;
    n2.wait_for_line("an AMF is attached", START_TIME).await?;
    n2.wait_for_line("N2 listens", START_TIME).await?;
    amf.signal(Signal::TERM)?;
    amf.succeed(START_TIME).await?;
    n2.stop().await?;
    nrf.stop().await
}
