//! UEs that go from one gNB's cell to another's: TS 23.502 §4.9.1, TS 33.501 §6.9.2.3.

use tern_sbi_transport::Fault;
use tern_sctp::mem::MemVerdict;
use tern_types::Dnn;
use ue_ransim::SimError;
use ue_ransim::ue::{Session, SessionRequest, Ue};

use crate::simulation::{AMF_ADDRESS, Nf, Setup, Simulation, simulate};

/// More than NCC has values.
pub const HANDOVERS: usize = 11;

/// A registered UE with two sessions, in the first of two gNBs' cells.
pub async fn with_sessions(sim: &mut Simulation) -> (Ue, [Session; 2]) {
    let mut ue = sim.ue(0);
    ue.register().await.expect("registered");
    let internet = ue.establish_session(SessionRequest::default()).await.expect("internet");
    let ims = SessionRequest { dnn: Some(Dnn::new("ims").expect("a DNN")), ..SessionRequest::default() };
    let ims = ue.establish_session(ims).await.expect("ims");
    sim.settle().await;
    (ue, [internet, ims])
}

/// The gNB through which the AMF takes the only UE to be connected.
pub fn gnb_of_ue(sim: &Simulation) -> String {
    sim.status(Nf::Amf)["ueList"][0]["gnb"].as_str().unwrap_or_default().to_owned()
}

pub async fn leave(sim: &mut Simulation, mut ue: Ue) {
    ue.deregister(false).await.expect("deregistered");
    sim.assert_nothing_held().await;
}

/// TS 23.502 §4.9.1.2.2. The simulator compares the keys each time, beyond the wrap of NCC.
#[test]
fn when_a_ue_is_handed_over_by_xn_again_and_again_then_its_sessions_and_keys_go_with_it() {
    simulate(Setup::new(1, 1).gnbs(2), async |sim| {
        let (mut ue, [internet, ims]) = with_sessions(sim).await;
        for turn in 1..=HANDOVERS {
            let target = sim.rig.gnbs[turn % 2].clone();
            let moved = ue.handover_xn(&target).await.expect("handed over");
            assert_eq!((moved.moved, moved.released), (vec![internet.psi, ims.psi], vec![]));
            assert_eq!(gnb_of_ue(sim), target.to_string());
        }
        // N1 goes on at the target gNB.
        ue.release_session(ims.psi).await.expect("released");
        leave(sim, ue).await;
        sim.assert_conforming();
        assert_eq!(sim.counted(Nf::Amf, "amf.ngap.path_switched"), HANDOVERS as u64);
        assert_eq!(sim.counted(Nf::Smf, "smf.path_switch"), 2 * HANDOVERS as u64);
    });
}

/// TS 23.502 §4.9.1.2.2 step 1: the target gNB has no resources for one of the sessions.
#[test]
fn when_the_target_refuses_a_session_then_it_stays_without_resources_until_it_is_wanted() {
    simulate(Setup::new(2, 1).gnbs(2), async |sim| {
        let (mut ue, [internet, ims]) = with_sessions(sim).await;
        let target = sim.rig.gnbs[1].clone();
        target.refuse_sessions(&[ims.psi]);
        let moved = ue.handover_xn(&target).await.expect("handed over");
        assert_eq!((moved.moved, moved.released), (vec![internet.psi], vec![ims.psi]));
        ue.go_idle().await.expect("idle");
        let resources = ue.service_request(&[internet.psi, ims.psi]).await.expect("connected");
        assert_eq!(resources.len(), 2);
        leave(sim, ue).await;
        sim.assert_conforming();
    });
}

/// Updates of SM contexts fail from the `first` to the `last` that is sent from now on.
pub fn refuse_updates(sim: &Simulation, first: u32, last: u32) {
    let mut updates = 0;
    sim.on_sbi(move |request| {
        let update = request.path.starts_with("/nsmf-pdusession") && request.path.ends_with("/modify");
        updates += u32::from(update);
        (update && (first..=last).contains(&updates)).then_some(Fault::Answer(500))
    });
}

/// TS 38.413 §8.4.4.2: PDU Session Resource Released List.
#[test]
fn when_one_smf_does_not_switch_then_the_target_releases_that_session() {
    simulate(Setup::new(3, 1).gnbs(2), async |sim| {
        let (mut ue, [internet, ims]) = with_sessions(sim).await;
        refuse_updates(sim, 2, 2);
        let target = sim.rig.gnbs[1].clone();
        let moved = ue.handover_xn(&target).await.expect("handed over");
        assert_eq!((moved.moved, moved.released), (vec![internet.psi], vec![ims.psi]));
        leave(sim, ue).await;
        sim.assert_conforming();
    });
}

/// TS 38.413 §8.4.4.3: the UE loses its connection, and comes again.
#[test]
fn when_no_path_is_switched_then_the_ue_is_idle_and_comes_again() {
    simulate(Setup::new(4, 1).gnbs(2), async |sim| {
        let (mut ue, [internet, ims]) = with_sessions(sim).await;
        refuse_updates(sim, 1, 2);
        let target = sim.rig.gnbs[1].clone();
        let failed = ue.handover_xn(&target).await;
        assert!(matches!(failed, Err(SimError::Handover(_))), "{failed:?}");
        sim.settle().await;
        assert_eq!(sim.held().await.get("AMF connected"), None);
        let resources = ue.service_request(&[internet.psi, ims.psi]).await.expect("connected");
        assert_eq!(resources.len(), 2);
        assert_eq!(gnb_of_ue(sim), target.to_string());
        leave(sim, ue).await;
        sim.assert_conforming();
    });
}

/// The AMF's messages to gNBs have another NH than the UE's.
pub fn give_another_nh(sim: &Simulation) {
    sim.on_n2(|from, _, message| {
        // Security Context: NCC and the octets of NH.
        let context = [0x00, 0x5d, 0x00, 0x21];
        let at = message.data.windows(context.len()).position(|window| window == context);
        match at {
            Some(at) if from.ip() == AMF_ADDRESS => {
                let mut data = message.data.to_vec();
                data[at + context.len() + 8] ^= 1;
                MemVerdict::Replace(data.into())
            }
            _ => MemVerdict::Pass,
        }
    });
}

/// TS 33.501 §6.9.2.3.2: an NH that is not the UE's is noticed at the handover after the one with which
/// the AMF gave it.
#[test]
fn when_the_amf_gives_another_nh_then_the_next_handover_fails_on_the_key() {
    simulate(Setup::new(5, 1).gnbs(2), async |sim| {
        let (mut ue, _sessions) = with_sessions(sim).await;
        give_another_nh(sim);
        let (first, second) = (sim.rig.gnbs[0].clone(), sim.rig.gnbs[1].clone());
        ue.handover_xn(&second).await.expect("by the key of before");
        let failed = ue.handover_xn(&first).await;
        assert!(matches!(failed, Err(SimError::Handover(_))), "{failed:?}");
        assert_eq!(sim.failed_clauses(), ["TS 33.501 §6.9.2.3"]);
        // The UE stays where it was, and is served there.
        assert_eq!(gnb_of_ue(sim), second.to_string());
        leave(sim, ue).await;
    });
}
