//! UPF and SMF start again: within five seconds each session is restored, or the UE knows that it is
//! gone (TS 23.527 §4.3, §4.4, §6.2).

use std::time::Duration;

use tern_nf::DatagramFaults;
use tern_types::{PduSessionId, Random};
use ue_ransim::SimError;
use ue_ransim::ue::{Session, SessionRequest, Ue};

use crate::outcome::is_allowed;
use crate::simulation::{Nf, Setup, Simulation, simulate};

/// From the restart to sessions that work.
const WITHIN: Duration = Duration::from_secs(5);
pub const UES: u32 = 6;
const SESSIONS: u64 = UES as u64;

/// UEs with a session each; the last one is idle.
pub async fn ues_with_sessions(sim: &mut Simulation) -> Vec<(Ue, Session)> {
    let mut all = Vec::new();
    for index in 0..UES {
        let mut ue = sim.ue(index);
        ue.register().await.expect("registered");
        let session = ue.establish_session(Default::default()).await.expect("a session");
        all.push((ue, session));
    }
    all.last_mut().expect("UEs").0.go_idle().await.expect("idle");
    sim.settle().await;
    all
}

pub async fn all_leave(sim: &mut Simulation, ues: Vec<(Ue, Session)>) {
    for (mut ue, _) in ues {
        ue.deregister(false).await.expect("deregistered");
    }
    sim.pass(Duration::from_secs(30)).await;
    sim.assert_nothing_held().await;
    sim.assert_conforming();
}

fn sessions(sim: &Simulation, nf: Nf) -> u64 {
    sim.status(nf)["sessions"].as_u64().expect("a number")
}

/// Waits until the UPF has all sessions again.
async fn restored(sim: &Simulation, count: u64) {
    sim.until(WITHIN, "the UPF has its sessions again", |sim| sessions(sim, Nf::Upf) == count).await;
    sim.settle().await;
    assert_eq!((sessions(sim, Nf::Smf), sessions(sim, Nf::Upf)), (count, count));
}

/// A UE whose establishment, with requests up to 10 ms late, is `moment` milliseconds old when `nf` starts
/// again; what became of it.
async fn restart_amid_establishment(sim: &mut Simulation, nf: Nf, moment: u64) -> (Ue, Result<(), SimError>) {
    let mut late = tern_sbi_transport::Faults::new(Random::from_seed([7; 32]));
    late.delay_max = Duration::from_millis(10);
    sim.network.sbi.set_faults(Some(late));
    let mut ue = sim.ue(0);
    ue.register().await.expect("registered");
    let life = tokio::spawn(async move {
        let established = ue.establish_session(Default::default()).await;
        (ue, established.map(|_| ()))
    });
    sim.pass(Duration::from_millis(moment)).await;
    sim.restart(nf).await;
    life.await.expect("no panic")
}

/// TS 23.527 §4.3.2.
#[test]
fn when_the_upf_restarts_then_its_sessions_are_restored_and_no_ue_notices() {
    for down in [0, 300, 1_500, 2_900] {
        simulate(Setup::new(down, UES), async |sim| {
            let mut ues = ues_with_sessions(sim).await;
            sim.kill(Nf::Upf).await;
            sim.pass(Duration::from_millis(down)).await;
            sim.restart(Nf::Upf).await;
            restored(sim, SESSIONS).await;
            assert_eq!(sim.counted(Nf::Smf, "smf.restoration.completed"), SESSIONS, "down {down}");
            assert_eq!(sim.counted(Nf::Smf, "smf.upf.restarted"), 1, "down {down}");
            assert_eq!(sim.counted(Nf::Smf, "smf.release.completed"), 0);
            for (ue, session) in &mut ues {
                ue.idle(Duration::from_millis(10)).await.expect("idle");
                assert_eq!(ue.sessions().map(|(psi, _)| psi).collect::<Vec<_>>(), [session.psi]);
            }
            sim.pass(Duration::from_secs(1)).await;
            assert_eq!(sim.counted(Nf::Upf, "upf.sessions.restored"), SESSIONS);
            all_leave(sim, ues).await;
        });
    }
}

/// The second restart comes while the first one is being repaired, or right behind that: also within
/// the second that a recovery time stamp counts in.
#[test]
fn when_the_upf_restarts_twice_then_its_sessions_are_restored_all_the_same() {
    for between in [0, 1, 400, 900, 1_001, 2_003, 2_600, 4_000] {
        simulate(Setup::new(between, UES), async |sim| {
            let ues = ues_with_sessions(sim).await;
            sim.restart(Nf::Upf).await;
            sim.pass(Duration::from_millis(between)).await;
            sim.restart(Nf::Upf).await;
            // Not what the first one had: it dies with it.
            sim.pass(Duration::from_millis(100)).await;
            restored(sim, SESSIONS).await;
            all_leave(sim, ues).await;
        });
    }
}

/// Datagrams are lost, doubled and overtake each other.
#[test]
fn when_n4_is_unreliable_while_the_upf_restarts_then_no_session_is_forgotten() {
    for seed in 0..6 {
        simulate(Setup::new(seed, UES), async |sim| {
            let mut ues = ues_with_sessions(sim).await;
            let mut faults = DatagramFaults::new(Random::from_seed([seed as u8; 32]));
            (faults.drop_ppm, faults.duplicate_ppm) = (100_000, 100_000);
            faults.delay_max = Duration::from_millis(20);
            sim.network.datagrams.set_faults(Some(faults));
            sim.restart(Nf::Upf).await;
            sim.pass(Duration::from_secs(20)).await;
            sim.network.datagrams.set_faults(None);
            sim.pass(Duration::from_secs(20)).await;
            // A session that could not be restored was released: both know the same.
            assert_eq!(sessions(sim, Nf::Upf), sessions(sim, Nf::Smf), "seed {seed}");
            for (ue, _) in &mut ues {
                ue.idle(Duration::from_millis(10)).await.expect("idle");
            }
            all_leave(sim, ues).await;
        });
    }
}

#[test]
fn when_the_upf_restarts_at_any_moment_of_an_establishment_then_nothing_is_left_half() {
    for moment in (0..120).step_by(8) {
        simulate(Setup::new(moment, 1), async |sim| {
            let (mut ue, lived) = restart_amid_establishment(sim, Nf::Upf, moment).await;
            sim.pass(WITHIN).await;
            ue.idle(Duration::from_secs(20)).await.expect("idle");
            assert_eq!(sessions(sim, Nf::Upf), ue.sessions().count() as u64, "{moment}: {lived:?}");
            if ue.sessions().count() == 0 {
                ue.establish_session(Default::default()).await.expect("a session");
            }
            ue.deregister(false).await.expect("deregistered");
            sim.pass(Duration::from_secs(30)).await;
            sim.assert_nothing_held().await;
            sim.assert_conforming();
        });
    }
}

/// TS 23.527 §4.3.3: a UPF that does not come again keeps no UE from knowing.
#[test]
fn when_the_upf_does_not_come_again_then_its_sessions_are_released() {
    simulate(Setup::new(1, UES), async |sim| {
        let mut ues = ues_with_sessions(sim).await;
        sim.kill(Nf::Upf).await;
        // The heartbeat, its repetitions, and the time that sessions wait.
        sim.pass(Duration::from_secs(17)).await;
        for (ue, _) in &mut ues[..UES as usize - 1] {
            ue.idle(Duration::from_millis(200)).await.expect("idle");
            assert_eq!(ue.sessions().count(), 0, "the UE was told");
        }
        sim.restart(Nf::Upf).await;
        sim.pass(WITHIN).await;
        for (ue, _) in &mut ues {
            ue.establish_session(Default::default()).await.expect("a session");
        }
        all_leave(sim, ues).await;
    });
}

/// TS 23.527 §4.4.2: the UPF lets the sessions of an SMF go that knows none of them any more; the AMF
/// hears of the restart from the NRF (§6.2), and the UEs from the AMF.
#[test]
fn when_the_smf_restarts_then_ues_are_told_and_get_other_sessions() {
    for down in [0, 300, 1_500] {
        simulate(Setup::new(down, UES), async |sim| {
            let mut ues = ues_with_sessions(sim).await;
            sim.kill(Nf::Smf).await;
            sim.pass(Duration::from_millis(down)).await;
            sim.restart(Nf::Smf).await;
            let restarted = tokio::time::Instant::now();
            for (ue, _) in &mut ues {
                ue.idle(Duration::from_millis(500)).await.expect("idle");
            }
            assert!(restarted.elapsed() <= WITHIN);
            for (ue, _) in &ues[..UES as usize - 1] {
                assert_eq!(ue.sessions().count(), 0, "down {down}: the UE was told");
            }
            assert_eq!((sessions(sim, Nf::Smf), sessions(sim, Nf::Upf)), (0, 0));
            assert_eq!(sessions(sim, Nf::Amf), 0);
            for (ue, session) in &mut ues {
                // The idle one learns it as it comes.
                let psi = PduSessionId::new(session.psi);
                let request = SessionRequest { psi, ..SessionRequest::default() };
                ue.establish_session(request).await.expect("a session");
            }
            sim.settle().await;
            assert_eq!((sessions(sim, Nf::Smf), sessions(sim, Nf::Upf)), (SESSIONS, SESSIONS));
            all_leave(sim, ues).await;
        });
    }
}

#[test]
fn when_the_smf_restarts_at_any_moment_of_an_establishment_then_the_ue_gets_a_session() {
    for moment in (0..120).step_by(12) {
        simulate(Setup::new(moment, 1), async |sim| {
            let (mut ue, lived) = restart_amid_establishment(sim, Nf::Smf, moment).await;
            assert!(is_allowed(&lived), "{moment}: {lived:?}");
            ue.idle(WITHIN).await.expect("idle");
            let psi = PduSessionId::new(1);
            let request = SessionRequest { psi, ..SessionRequest::default() };
            ue.establish_session(request).await.expect("a session");
            // Requests overtake each other here: the SMF's registration at the UDM is over first.
            sim.settle().await;
            ue.deregister(false).await.expect("deregistered");
            sim.pass(Duration::from_secs(60)).await;
            sim.assert_nothing_held().await;
        });
    }
}

#[test]
fn when_the_smf_restarts_twice_in_a_row_then_ues_are_told_once_more() {
    simulate(Setup::new(1, UES), async |sim| {
        let mut ues = ues_with_sessions(sim).await;
        sim.restart(Nf::Smf).await;
        sim.restart(Nf::Smf).await;
        for (ue, _) in &mut ues {
            ue.idle(Duration::from_millis(800)).await.expect("idle");
        }
        for (ue, session) in &mut ues {
            let psi = PduSessionId::new(session.psi);
            let request = SessionRequest { psi, ..SessionRequest::default() };
            ue.establish_session(request).await.expect("a session");
        }
        all_leave(sim, ues).await;
    });
}

/// An SMF that keeps its contexts: nobody notices.
#[test]
fn when_an_smf_that_keeps_its_contexts_restarts_then_no_ue_notices_and_all_goes_on() {
    for down in [0, 300, 1_500] {
        simulate(Setup { keeps: true, ..Setup::new(down, UES) }, async |sim| {
            let mut ues = ues_with_sessions(sim).await;
            sim.kill(Nf::Smf).await;
            sim.pass(Duration::from_millis(down)).await;
            sim.restart(Nf::Smf).await;
            sim.pass(WITHIN).await;
            for (ue, session) in &mut ues {
                ue.idle(Duration::from_millis(10)).await.expect("idle");
                assert_eq!(
                    ue.sessions().map(|(psi, _)| psi).collect::<Vec<_>>(),
                    [session.psi],
                    "down {down}"
                );
            }
            assert_eq!((sessions(sim, Nf::Smf), sessions(sim, Nf::Upf)), (SESSIONS, SESSIONS));
            assert_eq!(sim.counted(Nf::Upf, "upf.sessions.restored"), 0, "the UPF still has them");
            // Old sessions go, new ones come, and the idle UE wakes with its own.
            let (idle, session) = ues.last_mut().expect("UEs");
            idle.wake(session).await.expect("awake");
            let (ue, session) = &mut ues[0];
            ue.release_session(session.psi).await.expect("released");
            *session = ue.establish_session(Default::default()).await.expect("a session");
            sim.settle().await;
            assert_eq!((sessions(sim, Nf::Smf), sessions(sim, Nf::Upf)), (SESSIONS, SESSIONS));
            all_leave(sim, ues).await;
        });
    }
}

#[test]
fn when_smf_and_upf_restart_together_then_the_sessions_that_the_smf_keeps_are_restored() {
    for between in [0, 500] {
        simulate(Setup { keeps: true, ..Setup::new(between, UES) }, async |sim| {
            let ues = ues_with_sessions(sim).await;
            sim.kill(Nf::Smf).await;
            sim.restart(Nf::Upf).await;
            sim.pass(Duration::from_millis(between)).await;
            sim.restart(Nf::Smf).await;
            restored(sim, SESSIONS).await;
            all_leave(sim, ues).await;
        });
    }
}

#[test]
fn when_an_smf_that_keeps_its_contexts_restarts_at_any_moment_of_an_establishment_then_nothing_is_left_half()
{
    for moment in (0..120).step_by(4) {
        simulate(Setup { keeps: true, ..Setup::new(moment, 1) }, async |sim| {
            let (mut ue, lived) = restart_amid_establishment(sim, Nf::Smf, moment).await;
            assert!(is_allowed(&lived), "{moment}: {lived:?}");
            ue.idle(Duration::from_secs(20)).await.expect("idle");
            let request = SessionRequest { psi: PduSessionId::new(1), ..SessionRequest::default() };
            ue.establish_session(request).await.expect("a session");
            sim.settle().await;
            assert_eq!((sessions(sim, Nf::Smf), sessions(sim, Nf::Upf)), (1, 1), "{moment}");
            ue.deregister(false).await.expect("deregistered");
            sim.pass(Duration::from_secs(60)).await;
            sim.assert_nothing_held().await;
        });
    }
}
