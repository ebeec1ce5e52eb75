//! UPF and SMF are killed while UEs use their sessions: TS 23.527 §4.3, §4.4.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use tern_tests::topology::DN_ADDRESS;
use tokio::time::timeout;
use ue_ransim::Rig;
use ue_ransim::ue::{Session, Ue};

use crate::world::{World, clean, isolated, kill, lives};

const UES: u32 = 4;
/// The goal is five seconds; a busy machine may need more, a core that does nothing would never do it.
const LIMIT: Duration = Duration::from_secs(20);
/// Between two pings of a UE whose session may be dead.
const PING_TIME: Duration = Duration::from_millis(100);

#[test]
fn when_the_upf_is_killed_then_ues_ping_again_with_the_sessions_that_they_have() {
    isolated(
        "restoration::when_the_upf_is_killed_then_ues_ping_again_with_the_sessions_that_they_have",
        upf_is_killed,
    );
}

#[test]
fn when_the_smf_is_killed_then_ues_know_that_their_sessions_are_gone_and_get_others() {
    isolated(
        "restoration::when_the_smf_is_killed_then_ues_know_that_their_sessions_are_gone_and_get_others",
        smf_is_killed,
    );
}

async fn start() -> Result<(World, Rig, Vec<(Ue, Session)>)> {
    let mut world = World::start("").await?;
    world.add_subscribers(UES).await?;
    let config = world.config(UES);
    let mut rig = world.rig(config).await?;
    let mut ues = Vec::new();
    for index in 0..UES {
        let mut ue = rig.ue(index)?;
        ue.register().await?;
        let mut session = ue.establish_session(Default::default()).await?;
        ensure!(session.ping(DN_ADDRESS, 3, Duration::from_millis(10)).await?.rtt.len() == 3);
        ues.push((ue, session));
    }
    Ok((world, rig, ues))
}

async fn kill_nf(world: &mut World, nf: &str) -> Result<()> {
    let pid = world.pids()?[nf];
    kill(pid, Signal::KILL)?;
    while lives(pid) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// Pings until a reply comes; how long that took.
async fn pings_again(session: &mut Session, since: Instant) -> Result<Duration> {
    loop {
        let ping = timeout(PING_TIME, session.ping(DN_ADDRESS, 1, Duration::ZERO)).await;
        if ping.is_ok_and(|ping| ping.is_ok_and(|ping| ping.rtt.len() == 1)) {
            return Ok(since.elapsed());
        }
        ensure!(since.elapsed() < LIMIT, "no ping of session {} within {LIMIT:?}", session.address);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn finish(world: World, rig: Rig, ues: Vec<(Ue, Session)>) -> Result<()> {
    for (mut ue, _) in ues {
        ue.deregister(false).await?;
    }
    rig.stop().await;
    clean(&rig)?;
    world.wait_for_nobody().await?;
    world.stop().await
}

async fn upf_is_killed() -> Result<()> {
    let (mut world, rig, mut ues) = start().await?;
    for run in 1..=2 {
        let began = Instant::now();
        kill_nf(&mut world, "upf").await?;
        let mut last = Duration::ZERO;
        for (_, session) in &mut ues {
            last = pings_again(session, began).await?;
        }
        println!("MEASURED UPF killed, run {run}: {UES} UEs ping again after {last:?}");
        world.logged(&["UPF has its sessions again"]).await?;
        world.logged(&["upf is registered again"]).await?;
    }
    // They are the sessions of before.
    for (ue, session) in &mut ues {
        ue.idle(Duration::from_millis(10)).await?;
        ensure!(ue.sessions().map(|(psi, _)| psi).eq([session.psi]), "the session was released");
    }
    finish(world, rig, ues).await
}

async fn smf_is_killed() -> Result<()> {
    let (mut world, rig, mut ues) = start().await?;
    let began = Instant::now();
    kill_nf(&mut world, "smf").await?;
    for (ue, _) in &mut ues {
        while ue.sessions().count() > 0 {
            ensure!(began.elapsed() < LIMIT, "a UE does not know that its session is gone");
            ue.idle(Duration::from_millis(20)).await?;
        }
    }
    println!("MEASURED SMF killed: {UES} UEs know it after {:?}", began.elapsed());
    for (ue, session) in &mut ues {
        *session = loop {
            // The new SMF may have no UPF yet.
            match ue.establish_session(Default::default()).await {
                Ok(session) => break session,
                Err(error) => ensure!(began.elapsed() < LIMIT, "no new session: {error}"),
            }
            ue.idle(Duration::from_millis(100)).await?;
        };
        pings_again(session, began).await?;
    }
    println!("MEASURED SMF killed: {UES} UEs ping with new sessions after {:?}", began.elapsed());
    finish(world, rig, ues).await
}
