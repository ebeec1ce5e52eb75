//! Many seeds, each with other faults: UEs that do what comes to their mind (they move, sleep, are called)
//! while messages are lost, repeated and overtaken, gNBs vanish and network functions restart. Whatever
//! happens: no panic, every UE gets away with what the specification allows, and afterwards each is served
//! and nothing of it stays.
//!
//! `TERN_SIM_SEEDS` says how many seeds (100 by default), `TERN_SIM_SEED` the first. A seed that fails is run
//! once more for its capture.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tern_types::{PduSessionId, Random};
use tokio::task::JoinSet;
use ue_ransim::SimError;
use ue_ransim::gnb::{Forwarding, Gnb};
use ue_ransim::ue::{Fate, SessionRequest, Ue};

use crate::simulation::{Downlink, Nf, Recording, Setup, Simulation, Witness, simulate};

const UES: u32 = 6;
const GNBS: u32 = 2;
/// Things that each UE does.
const DEEDS: u32 = 12;
/// PDU session identities that a UE may have used: the lowest free one is taken.
const SESSIONS: u8 = 6;
/// All timers of the procedures have expired then: T3592 five times, T3550, the AUSF's contexts.
const ALL_OVER: Duration = Duration::from_secs(180);

type Gnbs = Arc<Mutex<Vec<Gnb>>>;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Half of the seeds each, so that two cores share them.
#[test]
fn when_everything_goes_wrong_then_all_are_served_afterwards_even_seeds() {
    seeds(0);
}

#[test]
fn when_everything_goes_wrong_then_all_are_served_afterwards_odd_seeds() {
    seeds(1);
}

fn seeds(remainder: u64) {
    let (first, count) = (number("TERN_SIM_SEED", 1), number("TERN_SIM_SEEDS", 100));
    for seed in (first..first + count).filter(|seed| seed % 2 == remainder) {
        if let Err(panic) = catch_unwind(|| one_seed(seed, None)) {
            eprintln!("the seed is {seed}: TERN_SIM_SEED={seed} TERN_SIM_SEEDS=1");
            record(seed);
            resume_unwind(panic);
        }
    }
}

/// The same once more: whatever went wrong goes wrong again, and is seen.
fn record(seed: u64) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("seed-{seed}.pcap"));
    let recording = Arc::new(Recording::create(&file).expect("a writable directory"));
    let again = catch_unwind(AssertUnwindSafe(|| one_seed(seed, Some(recording.clone()))));
    match recording.finish() {
        Ok(file) => eprintln!("what was said is in {} (it failed again: {})", file.display(), again.is_err()),
        Err(error) => eprintln!("there is no capture: {error:#}"),
    }
}

fn one_seed(seed: u64, witness: Option<Arc<dyn Witness>>) {
    simulate(Setup { witness, ..Setup::new(seed, UES).gnbs(GNBS) }, async |sim| {
        let mut downlink = Downlink::watch(sim).await;
        sim.make_unreliable();
        let gnbs: Gnbs = Arc::new(Mutex::new(sim.rig.gnbs.clone()));
        let mut lives = JoinSet::new();
        for index in 0..UES {
            let (mut ue, mut random) = (sim.ue(index), sim.random.fork());
            ue.set_radio(radio(random.fork()));
            let gnbs = Arc::clone(&gnbs);
            lives.spawn(async move {
                live(&mut ue, &mut random, &gnbs).await;
                ue
            });
        }
        let mut survivors = Vec::new();
        while survivors.len() < UES as usize {
            let pause = Duration::from_millis(500 + sim.random.u64() % 5000);
            match tokio::time::timeout(pause, lives.join_next()).await {
                Ok(ended) => survivors.push(ended.expect("a life").expect("no panic")),
                Err(_) => havoc(sim, &gnbs, &mut downlink).await,
            }
        }
        sim.make_reliable();
        sim.pass(ALL_OVER).await;
        restore_gnbs(sim, &gnbs).await;
        for mut ue in survivors {
            again(&mut ue, &gnbs).await;
        }
        sim.pass(ALL_OVER).await;
        sim.assert_nothing_held().await;
    });
}

/// One message in a hundred is lost on the radio, one arrives twice.
fn radio(mut random: Random) -> impl FnMut(ue_ransim::ue::Way, &[u8]) -> Fate + Send + 'static {
    move |_, _| match random.u32() % 100 {
        0 => Fate::Lost,
        1 => Fate::Twice,
        _ => Fate::Arrives,
    }
}

async fn live(ue: &mut Ue, random: &mut Random, gnbs: &Gnbs) {
    for _ in 0..DEEDS {
        let done = deed(ue, random, gnbs).await;
        match done {
            Ok(())
            | Err(
                SimError::Timeout { .. }
                | SimError::Rejected { .. }
                | SimError::Released { .. }
                | SimError::Handover(_),
            ) => {}
            // It is not connected, or not registered: it did what it should not.
            Err(SimError::State(_) | SimError::NotAuthentic) => {}
            Err(SimError::GnbLost(_) | SimError::Send(_)) => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                move_on(ue, random, gnbs);
            }
            Err(error) => panic!("{ue}: {error:?}"),
        }
        let pause = Duration::from_millis(u64::from(random.u32() % 3000));
        let _ = ue.idle(pause).await;
    }
}

fn move_on(ue: &mut Ue, random: &mut Random, gnbs: &Gnbs) {
    ue.move_to(&any(gnbs, random));
}

fn any(gnbs: &Gnbs, random: &mut Random) -> Gnb {
    let gnbs = gnbs.lock().expect("unpoisoned");
    gnbs[random.u32() as usize % gnbs.len()].clone()
}

/// To the other gNB, which may have vanished.
async fn hand_over(ue: &mut Ue, random: &mut Random, gnbs: &Gnbs) -> Result<(), SimError> {
    let target = any(gnbs, random);
    if ue.link().is_none_or(|link| link.gnb().to_string() == target.to_string()) {
        return Ok(());
    }
    match random.u32() % 4 {
        0 | 1 => ue.handover_xn(&target).await.map(drop),
        2 => {
            let forwarding =
                if random.u32().is_multiple_of(2) { Forwarding::Direct } else { Forwarding::Indirect };
            ue.handover_n2(&target, forwarding).await.map(drop)
        }
        _ => {
            let prepared = ue.prepare_handover_n2(&target, Forwarding::Direct).await?;
            ue.cancel_handover_n2(Some(prepared)).await
        }
    }
}

async fn deed(ue: &mut Ue, random: &mut Random, gnbs: &Gnbs) -> Result<(), SimError> {
    if !ue.is_registered() {
        return ue.register().await.map(drop);
    }
    let sessions: Vec<u8> = ue.sessions().map(|(psi, _)| psi).collect();
    let any = sessions.get(random.u32() as usize % sessions.len().max(1)).copied();
    match random.u32() % 13 {
        0 | 1 => ue.establish_session(SessionRequest::default()).await.map(drop),
        2 => {
            let psi = any.and_then(PduSessionId::new);
            ue.establish_session(SessionRequest { psi, ..SessionRequest::default() }).await.map(drop)
        }
        3 if any.is_some() && ue.is_connected() => ue.release_session(any.unwrap_or_default()).await,
        4 if ue.is_connected() => ue.go_idle().await,
        5 if !ue.is_connected() => ue.service_request(&sessions).await.map(drop),
        6 => ue.deregister(random.u32().is_multiple_of(2)).await,
        7 => {
            ue.lose_radio();
            Ok(())
        }
        8 => {
            move_on(ue, random, gnbs);
            Ok(())
        }
        9 => ue.register().await.map(drop),
        10..=12 if ue.is_connected() => hand_over(ue, random, gnbs).await,
        _ => Ok(()),
    }
}

/// Something dies, or was dead and returns; or somebody calls.
async fn havoc(sim: &mut Simulation, gnbs: &Gnbs, downlink: &mut Downlink) {
    match sim.random.u32() % 17 {
        0 => gnbs.lock().expect("unpoisoned")[0].abort(),
        1 => {
            let gnb = gnbs.lock().expect("unpoisoned")[1].clone();
            let _ = gnb.reset(None).await;
        }
        2 => sim.restart(Nf::Ausf).await,
        3 => sim.restart(Nf::Udm).await,
        4 => sim.restart(Nf::Udr).await,
        5 => sim.restart(Nf::Pcf).await,
        6 => sim.restart(Nf::Upf).await,
        7 => sim.restart(Nf::Nrf).await,
        8 => sim.restart(Nf::Nssf).await,
        9 => sim.restart(Nf::Smf).await,
        // Its gNBs lose their associations, and set NG up again with its successor.
        16 => sim.restart(Nf::Amf).await,
        10..=14 if downlink.sessions() > 0 => {
            let called = sim.random.u32() as usize % downlink.sessions();
            downlink.packet_waits(called).await;
        }
        _ => {}
    }
    restore_gnbs(sim, gnbs).await;
}

async fn restore_gnbs(sim: &mut Simulation, gnbs: &Gnbs) {
    for index in 0..GNBS {
        let is_up = gnbs.lock().expect("unpoisoned")[index as usize].is_up();
        if !is_up && let Some(gnb) = sim.try_new_gnb(index).await {
            gnbs.lock().expect("unpoisoned")[index as usize] = gnb;
        }
    }
}

/// Without any fault, a UE is served whatever it went through.
async fn again(ue: &mut Ue, gnbs: &Gnbs) {
    ue.set_radio(|_, _| Fate::Arrives);
    let gnb = gnbs.lock().expect("unpoisoned")[0].clone();
    ue.move_to(&gnb);
    ue.register_persistently(3).await.unwrap_or_else(|error| panic!("{ue}: {error}"));
    // Where a reply was lost, only a session of the same identity shows that the first is gone.
    for psi in 1..=SESSIONS {
        let request = SessionRequest { psi: PduSessionId::new(psi), ..SessionRequest::default() };
        let session = ue.establish_session(request).await;
        session.unwrap_or_else(|error| panic!("{ue}: {error}"));
    }
    ue.deregister(false).await.unwrap_or_else(|error| panic!("{ue}: {error}"));
}
