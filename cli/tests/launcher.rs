//! `tern up` and `tern status`: nobody is left behind, whatever happens to the launcher.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use tern_tests::core::{Core, SUPI};

use crate::world::{NFS, World, clean, isolated, kill, lives};

/// How long processes may take to end without their launcher.
const END_TIME: Duration = Duration::from_secs(10);

#[test]
fn when_the_launcher_ends_then_no_process_is_left() {
    isolated("launcher::when_the_launcher_ends_then_no_process_is_left", ends);
}

#[test]
fn when_a_network_function_dies_then_it_is_started_again() {
    isolated("launcher::when_a_network_function_dies_then_it_is_started_again", restarts);
}

#[test]
fn when_status_is_asked_then_it_shows_who_is_there() {
    isolated("launcher::when_status_is_asked_then_it_shows_who_is_there", status);
}

async fn ends() -> Result<()> {
    let mut world = World::without_core().await?;
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let began = Instant::now();
        world.core = Some(Core::start(world.setup(), &world.topology.core).await?);
        let started = began.elapsed();
        let pids = world.pids()?;
        ensure!(pids.len() == NFS.len());
        let mut core = world.core.take().context("the core")?;
        let began = Instant::now();
        core.process().signal(signal)?;
        let ended = core.process().succeed(END_TIME).await;
        ensure!(ended.is_ok() == (signal != Signal::KILL), "{signal:?}: {ended:?}");
        while let Some((nf, pid)) = pids.iter().find(|&(_, &pid)| lives(pid)) {
            ensure!(began.elapsed() < END_TIME, "{nf} ({pid}) lives on after {signal:?} of the launcher");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("MEASURED core up in {started:?}, gone {:?} after {signal:?}", began.elapsed());
        crate::world::check_log(&core.process().lines())?;
    }
    Ok(())
}

/// Each of them, one after the other; then the core serves as before.
async fn restarts() -> Result<()> {
    let mut world = World::start("").await?;
    world.add_subscribers(1).await?;
    for nf in NFS {
        let pid = world.pids()?[nf];
        kill(pid, Signal::KILL)?;
        world.logged(&[&format!("{nf} ended"), "starting it again"]).await?;
        world.logged(&[&format!("{nf} is registered again")]).await?;
    }
    // The others learn of the new ones.
    let mut last = Ok(());
    for _ in 0..10 {
        last = world.serves().await;
        if last.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    last?;
    crate::world::check_log(&world.log())?;
    world.core.take().context("the core")?.stop().await
}

async fn status() -> Result<()> {
    let mut world = World::start("").await?;
    world.add_subscribers(1).await?;
    let text = world.tern(&["status"]).await?;
    for nf in NFS {
        ensure!(text.lines().any(|line| line.starts_with(nf) && line.contains("up ")), "{nf}: {text}");
    }
    let config = world.config(1);
    let mut rig = world.rig(config).await?;
    let mut ue = rig.ue(0)?;
    ue.register().await?;
    ue.establish_session(Default::default()).await?;
    world.wait_for("smf", "sessions", 1, END_TIME).await?;
    let amf = world.status("amf").await?;
    ensure!(amf["gnbList"][0]["name"] == "gnb-1", "{amf}");
    for name in ["registered", "connected", "sessions"] {
        ensure!(amf[name] == 1, "{name}: {amf}");
    }
    ensure!(world.status("smf").await?.to_string().contains(SUPI));
    let text = world.tern(&["status"]).await?;
    ensure!(text.contains("gnb-1") && text.contains(SUPI), "{text}");
    ue.deregister(false).await?;
    rig.stop().await;
    clean(&rig)?;
    world.wait_for_nobody().await?;

    // One that is down is said to be.
    let pid = world.pids()?["pcf"];
    world.core.as_mut().context("the core")?.process().signal(Signal::STOP)?;
    kill(pid, Signal::KILL)?;
    let text = world.tern_fails(&["status"]).await?;
    ensure!(text.lines().any(|line| line.starts_with("pcf") && line.contains("DOWN")), "{text}");
    world.core.as_mut().context("the core")?.process().signal(Signal::CONT)?;
    world.logged(&["pcf is registered again"]).await?;
    world.core.take().context("the core")?.stop().await
}
