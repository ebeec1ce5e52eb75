//! The AMF dies and goes on where it was, while `tern n2` keeps the gNBs: no UE notices. One that keeps its contexts
//! and loses its gNBs finds its UEs idle.

use std::time::Duration;

use tern_sbi_transport::Faults;
use tern_sctp::mem::MemFaults;
use tern_types::Random;
use ue_ransim::gnb::Forwarding;
use ue_ransim::ue::{Session, Ue};

use crate::handover::{leave, with_sessions};
use crate::restoration::{UES, all_leave, ues_with_sessions};
use crate::simulation::{Downlink, Nf, Setup, Simulation, simulate};

/// Milliseconds of a procedure under the delays of [`slow`].
const PROCEDURE_MS: u64 = 240;
/// Between two moments at which the AMF dies.
const STEP_MS: usize = 6;

/// Messages take their time, so that a procedure has moments.
fn slow(sim: &Simulation) {
    let mut late = Faults::new(Random::from_seed([7; 32]));
    late.delay_max = Duration::from_millis(10);
    sim.network.sbi.set_faults(Some(late));
    sim.network.sctp.set_faults(MemFaults::delayed(Duration::from_millis(5)));
}

fn number(sim: &Simulation, name: &str) -> u64 {
    sim.status(Nf::Amf)[name].as_u64().expect("a number")
}

/// The AMF dies while a UE's step runs, `moment` milliseconds after that has begun.
async fn die_amid<T: Send + 'static>(
    sim: &mut Simulation,
    moment: u64,
    step: impl Future<Output = T> + Send + 'static,
) -> T {
    let step = tokio::spawn(step);
    sim.pass(Duration::from_millis(moment)).await;
    sim.restart(Nf::Amf).await;
    step.await.expect("no panic")
}

async fn leaves(sim: &mut Simulation, mut ue: Ue) {
    ue.deregister(false).await.expect("deregistered");
    sim.pass(Duration::from_secs(60)).await;
    sim.assert_nothing_held().await;
    sim.assert_conforming();
}

/// The gNBs are gone: UEs are idle, come back over another one with the sessions that they have, and leave.
async fn all_come_back(sim: &mut Simulation, ues: Vec<(Ue, Session)>) {
    let gnb = sim.new_gnb(0).await;
    sim.settle().await;
    assert_eq!((number(sim, "registered"), number(sim, "connected")), (u64::from(UES), 0));
    for (mut ue, mut session) in ues {
        ue.lose_radio();
        ue.move_to(&gnb);
        ue.wake(&mut session).await.expect("awake, without a registration");
        ue.deregister(false).await.expect("deregistered");
    }
    sim.pass(Duration::from_secs(30)).await;
    sim.assert_nothing_held().await;
}

#[test]
fn when_the_amf_dies_then_no_ue_notices_and_all_goes_on() {
    for down in [0, 300, 1_200] {
        simulate(Setup::new(down, UES).mortal(), async |sim| {
            let mut n4 = Downlink::watch(sim).await;
            let mut ues = ues_with_sessions(sim).await;
            sim.kill(Nf::Amf).await;
            sim.pass(Duration::from_millis(down)).await;
            sim.restart(Nf::Amf).await;
            sim.settle().await;
            assert_eq!(number(sim, "registered"), u64::from(UES));
            assert_eq!(number(sim, "connected"), u64::from(UES - 1));
            assert_eq!(number(sim, "sessions"), u64::from(UES));
            for (ue, session) in &mut ues {
                ue.idle(Duration::from_millis(10)).await.expect("idle");
                assert_eq!(ue.sessions().map(|(psi, _)| psi).collect::<Vec<_>>(), [session.psi]);
            }
            assert_eq!(sim.counted(Nf::Amf, "amf.ngap.initial_ue_message"), 0, "nobody comes anew");
            assert_eq!(sim.counted(Nf::Amf, "amf.session.smf_lost"), 0);
            // The idle UE is paged, old sessions go and new ones come.
            let (idle, session) = ues.last_mut().expect("UEs");
            n4.packet_waits(UES as usize - 1).await;
            idle.await_page(Duration::from_millis(500)).await.expect("paged");
            idle.resume(session).await.expect("resources");
            let (ue, session) = &mut ues[0];
            ue.release_session(session.psi).await.expect("released");
            *session = ue.establish_session(Default::default()).await.expect("a session");
            let (ue, session) = &mut ues[1];
            ue.go_idle().await.expect("idle");
            ue.wake(session).await.expect("awake");
            all_leave(sim, ues).await;
        });
    }
}

#[test]
fn when_the_amf_dies_at_any_moment_of_a_registration_then_the_ue_is_registered_once() {
    for moment in (1..PROCEDURE_MS).step_by(STEP_MS) {
        simulate(Setup::new(moment, 1).mortal(), async |sim| {
            slow(sim);
            let mut ue = sim.ue(0);
            let (mut ue, registered) = die_amid(sim, moment, async move {
                let registered = ue.register().await;
                (ue, registered)
            })
            .await;
            registered.unwrap_or_else(|error| panic!("{moment}: {error}"));
            ue.establish_session(Default::default()).await.expect("a session");
            sim.settle().await;
            assert_eq!(number(sim, "registered"), 1);
            leaves(sim, ue).await;
        });
    }
}

#[test]
fn when_the_amf_dies_at_any_moment_of_a_session_establishment_then_the_ue_has_one_session() {
    for moment in (1..PROCEDURE_MS).step_by(STEP_MS) {
        simulate(Setup::new(moment, 1).mortal(), async |sim| {
            let mut ue = sim.ue(0);
            ue.register().await.expect("registered");
            slow(sim);
            let (ue, session) = die_amid(sim, moment, async move {
                let session = ue.establish_session_persistently(Default::default(), 3).await;
                (ue, session)
            })
            .await;
            session.unwrap_or_else(|error| panic!("{moment}: {error}"));
            sim.settle().await;
            assert_eq!(number(sim, "sessions"), 1, "{moment}");
            assert_eq!(sim.status(Nf::Smf)["sessions"], 1, "{moment}");
            leaves(sim, ue).await;
        });
    }
}

#[test]
fn when_the_amf_dies_at_any_moment_of_a_service_request_then_the_ue_is_served() {
    for moment in (1..PROCEDURE_MS).step_by(STEP_MS) {
        simulate(Setup::new(moment, 1).mortal(), async |sim| {
            let mut ue = sim.ue(0);
            ue.register().await.expect("registered");
            let mut session = ue.establish_session(Default::default()).await.expect("a session");
            ue.go_idle().await.expect("idle");
            sim.settle().await;
            slow(sim);
            let (ue, awake) = die_amid(sim, moment, async move {
                let awake = ue.wake(&mut session).await;
                (ue, awake)
            })
            .await;
            awake.unwrap_or_else(|error| panic!("{moment}: {error}"));
            assert_eq!(number(sim, "sessions"), 1);
            leaves(sim, ue).await;
        });
    }
}

#[test]
fn when_the_amf_dies_at_any_moment_of_a_handover_then_the_ue_is_served_by_one_gnb() {
    for moment in (1..PROCEDURE_MS).step_by(STEP_MS) {
        for by_n2 in [false, true] {
            simulate(Setup::new(moment, 1).gnbs(2).mortal(), async |sim| {
                let (mut ue, sessions) = with_sessions(sim).await;
                slow(sim);
                let target = sim.rig.gnbs[1].clone();
                let (ue, moved) = die_amid(sim, moment, async move {
                    let moved = if by_n2 {
                        ue.handover_n2(&target, Forwarding::Indirect).await
                    } else {
                        ue.handover_xn(&target).await
                    };
                    (ue, moved)
                })
                .await;
                let moved = moved.unwrap_or_else(|error| panic!("{moment} {by_n2}: {error}"));
                assert_eq!(moved.moved, [sessions[0].psi, sessions[1].psi], "{moment} {by_n2}");
                sim.settle().await;
                assert_eq!(sim.rig.gnbs[0].connected(), 0, "{moment} {by_n2}");
                leave(sim, ue).await;
                sim.assert_conforming();
            });
        }
    }
}

/// N2 inside the AMF dies with it: the contexts stay, the connections do not.
#[test]
fn when_the_amf_dies_with_its_n2_then_its_ues_are_idle_and_come_back_with_what_they_have() {
    simulate(Setup { keeps: true, ..Setup::new(1, UES) }, async |sim| {
        let ues = ues_with_sessions(sim).await;
        sim.restart(Nf::Amf).await;
        all_come_back(sim, ues).await;
        sim.assert_conforming();
    });
}

/// Both die: the next N2 has no gNB of before.
#[test]
fn when_amf_and_n2_die_together_then_ues_are_idle_and_come_back() {
    for n2_first in [false, true] {
        simulate(Setup::new(1, UES).mortal(), async |sim| {
            let ues = ues_with_sessions(sim).await;
            if !n2_first {
                sim.kill(Nf::Amf).await;
            }
            sim.restart(Nf::N2).await;
            sim.restart(Nf::Amf).await;
            sim.settle().await;
            all_come_back(sim, ues).await;
        });
    }
}

/// Under load, and more than once.
#[test]
fn when_the_amf_dies_again_and_again_while_ues_come_and_go_then_each_is_served_in_the_end() {
    const DEATHS: u64 = 5;
    for seed in 0..4 {
        simulate(Setup::new(seed, 12).mortal(), async |sim| {
            slow(sim);
            let lives: Vec<_> = (0..12)
                .map(|index| {
                    let mut ue = sim.ue(index);
                    tokio::spawn(async move {
                        for _ in 0..4 {
                            ue.register().await?;
                            let mut session =
                                ue.establish_session_persistently(Default::default(), 3).await?;
                            ue.go_idle().await?;
                            ue.wake(&mut session).await?;
                            ue.deregister(false).await?;
                        }
                        Ok::<_, ue_ransim::SimError>(())
                    })
                })
                .collect();
            for death in 1..=DEATHS {
                sim.pass(Duration::from_millis(100 + 37 * (seed + death))).await;
                sim.restart(Nf::Amf).await;
            }
            for life in lives {
                let lived = life.await.expect("no panic");
                lived.unwrap_or_else(|error| panic!("{seed}: {error}"));
            }
            sim.pass(Duration::from_secs(60)).await;
            sim.assert_nothing_held().await;
            sim.assert_conforming();
        });
    }
}
