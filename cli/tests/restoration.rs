//! UPF, SMF and AMF are killed while UEs use their sessions: TS 23.527 §4.3, §4.4.

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
fn when_the_smf_is_killed_again_and_again_then_no_ue_loses_a_session_or_a_packet() {
    isolated(
        "restoration::when_the_smf_is_killed_again_and_again_then_no_ue_loses_a_session_or_a_packet",
        smf_is_killed,
    );
}

#[test]
fn when_the_amf_is_killed_again_and_again_then_no_ue_registers_again_or_loses_a_packet() {
    isolated(
        "restoration::when_the_amf_is_killed_again_and_again_then_no_ue_registers_again_or_loses_a_packet",
        amf_is_killed,
    );
}

async fn start() -> Result<(World, Rig, Vec<(Ue, Session)>)> {
    start_with(0).await
}

/// The same with so many subscribers more.
async fn start_with(others: u32) -> Result<(World, Rig, Vec<(Ue, Session)>)> {
    let mut world = World::start("").await?;
    world.add_subscribers(UES + others).await?;
    let config = world.config(UES + others);
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

/// Pings of each UE while the network function is away.
const PINGS: u32 = 50;
/// Times that it is killed.
const DEATHS: u32 = 3;

async fn smf_is_killed() -> Result<()> {
    let (mut world, rig, mut ues) = start().await?;
    for _ in 0..DEATHS {
        kill_nf(&mut world, "smf").await?;
        for (_, session) in &mut ues {
            let ping = session.ping(DN_ADDRESS, PINGS, Duration::from_millis(10)).await?;
            ensure!(ping.rtt.len() == PINGS as usize, "{} of {PINGS} pings came back", ping.rtt.len());
        }
        world.wait_for("smf", "sessions", u64::from(UES), LIMIT).await?;
        // It goes on with those that it has, and with new ones.
        let (ue, session) = &mut ues[0];
        ue.go_idle().await?;
        ue.wake(session).await?;
        let mut other = ue.establish_session(Default::default()).await?;
        ensure!(other.address != session.address, "one address for two sessions");
        pings_again(&mut other, Instant::now()).await?;
        ue.release_session(other.psi).await?;
        pings_again(session, Instant::now()).await?;
        // What is under way when it is killed is repeated by its timers: T3592 is longer than a test.
        world.wait_for("smf", "sessions", u64::from(UES), LIMIT).await?;
    }
    finish(world, rig, ues).await
}

/// UEs that come while the AMF is away, and go.
const OTHERS: u32 = 1;

async fn amf_is_killed() -> Result<()> {
    let (mut world, mut rig, mut ues) = start_with(OTHERS).await?;
    let gutis: Vec<_> = ues.iter().map(|(ue, _)| ue.guti()).collect();
    let mut other = rig.ue(UES)?;
    for death in 1..=DEATHS {
        ues[0].0.go_idle().await?;
        let began = Instant::now();
        kill_nf(&mut world, "amf").await?;
        // The user plane does not need it, one UE comes, and the idle one wakes.
        for (_, session) in &mut ues[1..] {
            let ping = session.ping(DN_ADDRESS, PINGS, Duration::from_millis(10)).await?;
            ensure!(ping.rtt.len() == PINGS as usize, "{} of {PINGS} pings came back", ping.rtt.len());
        }
        other.register().await?;
        println!("MEASURED AMF killed, run {death}: a UE is registered after {:?}", began.elapsed());
        let mut session = other.establish_session(Default::default()).await?;
        pings_again(&mut session, Instant::now()).await?;
        let (ue, session) = &mut ues[0];
        ue.wake(session).await?;
        pings_again(session, Instant::now()).await?;
        world.wait_for("amf", "registered", u64::from(UES + OTHERS), LIMIT).await?;
        world.wait_for("amf", "connected", u64::from(UES + OTHERS), LIMIT).await?;
        other.deregister(false).await?;
        world.wait_for("amf", "sessions", u64::from(UES), LIMIT).await?;
        ensure!(rig.gnbs[0].is_up(), "the gNB has lost N2");
    }
    // Each has the identity and the session that it had.
    for ((ue, session), guti) in ues.iter().zip(gutis) {
        ensure!(ue.guti() == guti && ue.is_connected(), "a UE has registered again");
        ensure!(ue.sessions().map(|(psi, _)| psi).eq([session.psi]));
    }
    finish(world, rig, ues).await
}
