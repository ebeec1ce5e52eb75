//! UEs that go from one gNB's cell to another's by N2: TS 23.502 §4.9.1.3, TS 38.413 §8.4.

use ue_ransim::SimError;
use ue_ransim::gnb::Forwarding;
use ue_ransim::ue::Session;

use crate::handover::{HANDOVERS, give_another_nh, gnb_of_ue, leave, refuse_updates, with_sessions};
use crate::simulation::{Nf, Setup, Simulation, simulate};

fn ids(sessions: &[Session; 2]) -> [u8; 2] {
    [sessions[0].psi, sessions[1].psi]
}

/// Nothing is left of a handover that came to nothing, and the UE is served at the first gNB.
async fn stays(sim: &mut Simulation) {
    sim.settle().await;
    assert_eq!(gnb_of_ue(sim), sim.rig.gnbs[0].to_string());
    assert_eq!(sim.rig.gnbs[1].connected(), 0);
}

/// TS 23.502 §4.9.1.3, TS 33.501 §6.9.2.3.3. The simulator compares the keys each time, beyond the wrap of
/// NCC, and the counts of packets.
#[test]
fn when_a_ue_is_handed_over_by_n2_again_and_again_then_its_sessions_and_keys_go_with_it() {
    simulate(Setup::new(1, 1).gnbs(2), async |sim| {
        let (mut ue, sessions) = with_sessions(sim).await;
        for turn in 1..=HANDOVERS {
            let target = sim.rig.gnbs[turn % 2].clone();
            let forwarding = if turn % 3 == 0 { Forwarding::Direct } else { Forwarding::Indirect };
            let moved = ue.handover_n2(&target, forwarding).await.expect("handed over");
            assert_eq!((moved.moved, moved.released), (ids(&sessions).to_vec(), vec![]));
            assert_eq!(gnb_of_ue(sim), target.to_string());
            assert_eq!(sim.rig.gnbs[(turn + 1) % 2].connected(), 0);
        }
        // N1 goes on at the target gNB, and so does Xn.
        ue.release_session(sessions[1].psi).await.expect("released");
        let target = sim.rig.gnbs[(HANDOVERS + 1) % 2].clone();
        ue.handover_xn(&target).await.expect("handed over by Xn");
        leave(sim, ue).await;
        sim.assert_conforming();
        assert_eq!(sim.counted(Nf::Amf, "amf.ngap.handed_over"), HANDOVERS as u64);
        assert_eq!(sim.counted(Nf::Smf, "smf.handover.completed"), 2 * HANDOVERS as u64);
        assert_eq!(sim.counted(Nf::Smf, "smf.handover.not_forwarded"), 0);
    });
}

/// The network is slow, and messages come late: keys and sessions still go with the UE.
#[test]
fn when_messages_are_late_then_handovers_by_n2_still_succeed() {
    for seed in 20..25 {
        simulate(Setup::new(seed, 1).gnbs(2), async |sim| {
            let (mut ue, sessions) = with_sessions(sim).await;
            sim.make_unreliable();
            let mut done = 0;
            for turn in 1..=HANDOVERS {
                let target = sim.rig.gnbs[(done + 1) % 2].clone();
                match ue.handover_n2(&target, Forwarding::Indirect).await {
                    Ok(_) => done += 1,
                    // An SMF was not reached: the UE stays.
                    Err(SimError::Handover(_)) => {}
                    Err(error) => panic!("turn {turn}: {error}"),
                }
            }
            sim.make_reliable();
            sim.settle().await;
            assert!(done > HANDOVERS / 2, "{done}");
            assert_eq!(gnb_of_ue(sim), sim.rig.gnbs[done % 2].to_string());
            drop(sessions);
            leave(sim, ue).await;
            sim.assert_conforming();
        });
    }
}

/// TS 38.413 §8.4.1.2: PDU Session Resource to Release List.
#[test]
fn when_the_target_refuses_a_session_then_it_stays_without_resources_until_it_is_wanted() {
    simulate(Setup::new(2, 1).gnbs(2), async |sim| {
        let (mut ue, sessions) = with_sessions(sim).await;
        let [internet, ims] = ids(&sessions);
        let target = sim.rig.gnbs[1].clone();
        target.refuse_sessions(&[ims]);
        let moved = ue.handover_n2(&target, Forwarding::Direct).await.expect("handed over");
        assert_eq!((moved.moved, moved.released), (vec![internet], vec![ims]));
        ue.go_idle().await.expect("idle");
        let resources = ue.service_request(&[internet, ims]).await.expect("connected");
        assert_eq!(resources.len(), 2);
        leave(sim, ue).await;
        sim.assert_conforming();
    });
}

/// TS 38.413 §8.4.2.3: HANDOVER FAILURE.
#[test]
fn when_the_target_refuses_all_sessions_then_the_ue_stays() {
    simulate(Setup::new(3, 1).gnbs(2), async |sim| {
        let (mut ue, sessions) = with_sessions(sim).await;
        let target = sim.rig.gnbs[1].clone();
        target.refuse_sessions(&ids(&sessions));
        let failed = ue.handover_n2(&target, Forwarding::Direct).await;
        assert!(
            matches!(&failed, Err(SimError::Handover(why)) if why.contains("no radio resources")),
            "{failed:?}"
        );
        stays(sim).await;
        leave(sim, ue).await;
        sim.assert_conforming();
    });
}

/// One SMF does not take what the target gNB has: its session is released at the source.
#[test]
fn when_one_smf_does_not_go_along_then_the_other_session_is_handed_over() {
    simulate(Setup::new(4, 1).gnbs(2), async |sim| {
        let (mut ue, sessions) = with_sessions(sim).await;
        let [internet, ims] = ids(&sessions);
        // Two updates prepare; of the two that follow, the second.
        refuse_updates(sim, 4, 4);
        let target = sim.rig.gnbs[1].clone();
        let moved = ue.handover_n2(&target, Forwarding::Direct).await.expect("handed over");
        assert_eq!(moved.released.len(), 1);
        assert!([internet, ims].contains(&moved.released[0]));
        leave(sim, ue).await;
        // The target gNB has got a session more than the UE brings.
        sim.assert_conforming();
    });
}

/// TS 38.413 §8.4.5: prepared, cancelled, prepared again.
#[test]
fn when_a_handover_is_cancelled_then_the_ue_stays_and_may_go_later() {
    simulate(Setup::new(5, 1).gnbs(2), async |sim| {
        let (mut ue, _sessions) = with_sessions(sim).await;
        let target = sim.rig.gnbs[1].clone();
        let prepared = ue.prepare_handover_n2(&target, Forwarding::Indirect).await.expect("prepared");
        ue.cancel_handover_n2(Some(prepared)).await.expect("cancelled");
        stays(sim).await;
        ue.handover_n2(&target, Forwarding::Indirect).await.expect("handed over");
        assert_eq!(gnb_of_ue(sim), target.to_string());
        leave(sim, ue).await;
        sim.assert_conforming();
    });
}

/// The target gNB answers nothing, or is gone when the UE wants to go.
#[test]
fn when_the_target_is_silent_or_gone_then_the_ue_stays() {
    simulate(Setup::new(6, 1).gnbs(2), async |sim| {
        let (mut ue, _sessions) = with_sessions(sim).await;
        let target = sim.rig.gnbs[1].clone();
        let prepared = ue.prepare_handover_n2(&target, Forwarding::Indirect).await.expect("prepared");
        target.abort();
        sim.settle().await;
        let failed = ue.execute_handover_n2(&target, prepared).await;
        assert!(matches!(failed, Err(SimError::Handover(_))), "{failed:?}");
        // The gNB that is gone has forgotten the UE's key.
        assert_eq!(sim.failed_clauses(), ["TS 33.501 §6.9.2.3"]);
        stays(sim).await;
        let failed = ue.handover_n2(&target, Forwarding::Indirect).await;
        assert!(
            matches!(&failed, Err(SimError::Handover(why)) if why.contains("unknown targetID")),
            "{failed:?}"
        );
        let silent = sim.new_gnb(1).await;
        silent.mute();
        let failed = ue.handover_n2(&silent, Forwarding::Indirect).await;
        assert!(matches!(failed, Err(SimError::Handover(_))), "{failed:?}");
        stays(sim).await;
        leave(sim, ue).await;
    });
}

/// TS 33.501 §6.9.2.3.3: an NH that is not the UE's is noticed at once; the UE stays where it was.
#[test]
fn when_the_amf_gives_another_nh_then_the_handover_fails_on_the_key() {
    simulate(Setup::new(7, 1).gnbs(2), async |sim| {
        let (mut ue, _sessions) = with_sessions(sim).await;
        give_another_nh(sim);
        let target = sim.rig.gnbs[1].clone();
        let failed = ue.handover_n2(&target, Forwarding::Direct).await;
        assert!(matches!(failed, Err(SimError::Handover(_))), "{failed:?}");
        assert_eq!(sim.failed_clauses(), ["TS 33.501 §6.9.2.3"]);
        stays(sim).await;
        leave(sim, ue).await;
    });
}
