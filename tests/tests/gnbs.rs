//! gNBs that are not served, that vanish and that return: TS 38.413 §8.7, TS 24.501 §5.5.1.2.8 a.

use std::time::Duration;

use tern_sctp::mem::{MemFaults, MemVerdict};
use tern_types::{PlmnId, Snssai, Tac};
use ue_ransim::SimError;

use crate::outcome::cause;
use crate::simulation::{AMF_ADDRESS, Nf, RAN_ADDRESS, Setup, simulate};

/// TS 38.413 §8.7.1.3: "unknown PLMN or SNPN" if neither the PLMN nor the tracking area is served.
#[test]
fn when_plmn_or_tracking_area_or_slices_are_not_served_then_ng_setup_failure() {
    let mut plmn = Setup::new(1, 1);
    plmn.ran.plmn = PlmnId::new("999", "99").expect("a PLMN");
    let mut tac = Setup::new(2, 1);
    tac.ran.tac = Tac::new(9).expect("a TAC");
    let mut slices = Setup::new(3, 1);
    slices.ran.slices = vec![Snssai::new(9, None)];
    for (setup, why) in [(plmn, "unknown PLMN"), (tac, "unknown PLMN"), (slices, "slice")] {
        simulate(setup, async |sim| {
            assert!(sim.rig.gnbs.is_empty());
            let errors = sim.rig.journal.report(0, 0, 0).errors;
            assert!(errors.len() == 1 && errors[0].contains("NG SETUP FAILURE"), "{errors:?}");
            assert!(errors[0].contains(why), "{errors:?}");
            sim.assert_conforming();
            assert_eq!(sim.status(Nf::Amf)["gnbs"], 0);
        });
    }
}

/// TS 24.501 §5.5.1.2.5: #15 in a tracking area that the AMF does not serve, although its gNB does.
#[test]
fn when_the_ue_is_in_a_tracking_area_that_is_not_served_then_cause_15() {
    simulate(Setup::new(1, 1), async |sim| {
        // 001-01, 000001 becomes 001-01, 000002 in what the gNB says of the UE's place.
        sim.on_n2(|from, _, message| {
            let tai = [0x00, 0xf1, 0x10, 0x00, 0x00, 0x01];
            let at = message.data.windows(tai.len()).position(|window| window == tai);
            match at {
                Some(at) if from.ip() == RAN_ADDRESS => {
                    let mut data = message.data.to_vec();
                    data[at + 5] = 2;
                    MemVerdict::Replace(data.into())
                }
                _ => MemVerdict::Pass,
            }
        });
        let mut ue = sim.ue(0);
        assert_eq!(cause(ue.register().await), 15);
        sim.assert_nothing_held().await;
        sim.assert_conforming();
        assert_eq!(sim.status(Nf::Amf)["ues"], 0);
    });
}

/// Delays make the messages of one registration and session spread over time.
const ONE_WAY: Duration = Duration::from_millis(10);
/// Beyond this all is done.
const ALL_DONE: u64 = 260;

fn slow(sim: &crate::simulation::Simulation) {
    sim.network.sctp.set_faults(MemFaults::delayed(ONE_WAY));
}

/// A gNB whose association is aborted at any moment; it returns and the UE with it. Nothing of
/// before stays (TS 24.501 §5.5.1.2.8 a, TS 38.413 §8.7.1.2).
#[test]
fn when_a_gnb_disappears_at_any_moment_then_the_ue_registers_again_when_it_is_back() {
    for moment in (5..ALL_DONE).step_by(20) {
        simulate(Setup::new(moment, 1), async |sim| {
            slow(sim);
            let mut ue = sim.ue(0);
            let gnb = sim.rig.gnbs[0].clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(moment)).await;
                gnb.abort();
            });
            let lived = async {
                ue.register().await?;
                ue.establish_session(Default::default()).await?;
                ue.idle(Duration::from_secs(1)).await
            };
            let ended = lived.await;
            assert!(matches!(ended, Err(SimError::GnbLost(_) | SimError::Send(_))), "{moment}: {ended:?}");
            sim.settle().await;
            assert!(!sim.held().await.contains_key("AMF connected"), "{moment}");
            let gnb = sim.new_gnb(0).await;
            ue.move_to(&gnb);
            ue.register().await.unwrap_or_else(|error| panic!("{moment}: {error}"));
            ue.establish_session(Default::default()).await.expect("a session");
            ue.deregister(false).await.expect("deregistered");
            sim.assert_nothing_held().await;
            sim.assert_conforming();
        });
    }
}

/// A path that is cut: SCTP gives up, and what a gNB sent in vain is gone with it.
#[test]
fn when_the_path_to_a_gnb_is_cut_then_its_ues_are_idle_and_come_again_over_another() {
    simulate(Setup::new(1, 2).gnbs(1), async |sim| {
        let (mut one, mut other) = (sim.ue(0), sim.ue(1));
        one.register().await.expect("registered");
        one.establish_session(Default::default()).await.expect("a session");
        other.register().await.expect("registered");
        sim.network.sctp.cut(AMF_ADDRESS, RAN_ADDRESS);
        sim.pass(Duration::from_secs(30)).await;
        assert!(!sim.held().await.contains_key("AMF connected"));
        assert_eq!(sim.held().await["AMF registered"], 2);
        sim.network.sctp.mend(AMF_ADDRESS, RAN_ADDRESS);
        let gnb = sim.new_gnb(1).await;
        one.move_to(&gnb);
        other.move_to(&gnb);
        let psi: Vec<u8> = one.sessions().map(|(psi, _)| psi).collect();
        assert_eq!(one.service_request(&psi).await.expect("served").len(), 1);
        one.deregister(false).await.expect("deregistered");
        other.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 38.413 §8.7.4.2.2: NG RESET of the gNB, of all its UEs or of one.
#[test]
fn when_a_gnb_resets_then_its_connections_are_gone_and_the_ues_return() {
    for all in [true, false] {
        simulate(Setup::new(1, 2), async |sim| {
            let (mut one, mut other) = (sim.ue(0), sim.ue(1));
            for ue in [&mut one, &mut other] {
                ue.register().await.expect("registered");
                ue.establish_session(Default::default()).await.expect("a session");
            }
            let id = one.link().expect("connected").ran_id();
            let gnb = sim.rig.gnbs[0].clone();
            gnb.reset(if all { None } else { Some(std::slice::from_ref(&id)) }).await.expect("acknowledged");
            sim.settle().await;
            let connected = sim.held().await.get("AMF connected").copied().unwrap_or(0);
            assert_eq!(connected, if all { 0 } else { 1 });
            one.lose_radio();
            one.service_request(&[1]).await.expect("served");
            one.deregister(false).await.expect("deregistered");
            if all {
                other.lose_radio();
            }
            other.deregister(false).await.expect("deregistered");
            sim.assert_nothing_held().await;
            sim.assert_conforming();
        });
    }
}

/// A gNB that answers nothing while its association lives: T3550 and the SMF's own timer end what
/// waits for it (TS 24.501 §5.5.1.2.8 c), and the UE gets away over another gNB.
#[test]
fn when_a_gnb_is_mute_then_its_ues_get_away() {
    for moment in (5..ALL_DONE).step_by(40) {
        simulate(Setup::new(moment, 1).gnbs(2), async |sim| {
            slow(sim);
            let mut ue = sim.ue(0);
            let gnb = sim.rig.gnbs[0].clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(moment)).await;
                gnb.mute();
            });
            let _ = ue.register().await;
            if ue.is_registered() && ue.is_connected() {
                let _ =
                    tokio::time::timeout(Duration::from_secs(60), ue.establish_session(Default::default()))
                        .await;
            }
            sim.pass(Duration::from_secs(120)).await;
            let gnb = sim.rig.gnbs[1].clone();
            ue.move_to(&gnb);
            ue.register().await.unwrap_or_else(|error| panic!("{moment}: {error}"));
            ue.establish_session(Default::default()).await.expect("a session");
            ue.deregister(false).await.expect("deregistered");
            sim.assert_nothing_held().await;
        });
    }
}
