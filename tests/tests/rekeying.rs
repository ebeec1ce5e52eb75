//! Re-authentication and new AS keys of UEs that are connected: TS 33.501 §6.9.4.4, §6.9.2.3, §6.9.5,
//! TS 38.413 §8.3.4. The simulator's gNB and UE derive the keys each on their own, and compare them.

use std::time::Duration;

use tern_amf::Reauthentication;
use tern_ngap::ngap::CauseRadioNetwork as R;
use tern_sctp::mem::MemVerdict;
use ue_ransim::gnb::Forwarding;
use ue_ransim::ue::{RegistrationKind, Ue};

use crate::handover::{HANDOVERS, leave, with_sessions};
use crate::simulation::{AMF_ADDRESS, Nf, Setup, Simulation, simulate};

/// Two gNBs, and an AMF that authenticates at each registration.
fn setup(seed: u64) -> Setup {
    let mut setup = Setup::new(seed, 1).gnbs(2);
    setup.amf.security.reauthentication = Reauthentication::EachRegistration;
    setup
}

/// The UE registers on its connection and is authenticated again.
async fn reauthenticate(sim: &Simulation, ue: &mut Ue) {
    ue.register_connected(RegistrationKind::Mobility).await.expect("registered on its connection");
    ue.idle(Duration::from_secs(1)).await.expect("what the gNB says of keys");
    sim.settle().await;
}

fn rekeyed(sim: &Simulation) -> [u64; 2] {
    [sim.counted(Nf::Amf, "amf.ngap.rekeyed"), sim.rig.journal.counted("ue.rekeyed")]
}

#[test]
fn when_a_connected_ue_is_authenticated_again_then_keys_of_the_new_chain_go_through_handovers() {
    simulate(setup(1), async |sim| {
        let (mut ue, [internet, ims]) = with_sessions(sim).await;
        for turn in 1..=HANDOVERS {
            if turn % 3 == 1 {
                reauthenticate(sim, &mut ue).await;
            }
            let target = sim.rig.gnbs[turn % 2].clone();
            let moved = if turn % 2 == 0 {
                ue.handover_xn(&target).await.expect("handed over by Xn")
            } else {
                ue.handover_n2(&target, Forwarding::Direct).await.expect("handed over by N2")
            };
            assert_eq!(moved.moved, [internet.psi, ims.psi]);
        }
        assert_eq!(rekeyed(sim), [4, 4]);
        leave(sim, ue).await;
        sim.assert_conforming();
    });
}

/// The gNB is about to hand the UE over when the new key comes: the target gNB has it.
#[test]
fn when_a_handover_keeps_the_gnb_from_new_keys_then_the_target_takes_them_into_use() {
    for (seed, xn) in [(2, true), (3, false)] {
        simulate(setup(seed), async |sim| {
            let (mut ue, [internet, ims]) = with_sessions(sim).await;
            let (home, other) = (sim.rig.gnbs[0].clone(), sim.rig.gnbs[1].clone());
            let why = if xn { R::xn_handover_triggered } else { R::ng_intra_system_handover_triggered };
            home.refuse_keys(Some(why));
            reauthenticate(sim, &mut ue).await;
            assert_eq!(rekeyed(sim), [0, 0]);
            let moved = if xn {
                ue.handover_xn(&other).await.expect("handed over by Xn")
            } else {
                ue.handover_n2(&other, Forwarding::Direct).await.expect("handed over by N2")
            };
            assert_eq!(moved.moved, [internet.psi, ims.psi]);
            ue.idle(Duration::from_secs(1)).await.expect("what the gNB says of keys");
            // By N2 it is the handover itself that takes the UE to the new key.
            assert_eq!(rekeyed(sim), [1, u64::from(xn)]);
            home.refuse_keys(None);
            ue.handover_xn(&home).await.expect("handed over with the new chain");
            ue.handover_n2(&other, Forwarding::Direct).await.expect("and again");
            leave(sim, ue).await;
            sim.assert_conforming();
        });
    }
}

/// TS 38.413 §8.3.4.3.
#[test]
fn when_the_gnb_takes_no_new_keys_then_the_ue_comes_again_with_them() {
    simulate(setup(4), async |sim| {
        let (mut ue, [internet, ims]) = with_sessions(sim).await;
        sim.rig.gnbs[0].refuse_keys(Some(R::unspecified));
        let _ = ue.register_connected(RegistrationKind::Mobility).await;
        let _ = ue.idle(Duration::from_secs(1)).await;
        assert!(!ue.is_connected());
        assert_eq!(sim.counted(Nf::Amf, "amf.ngap.rekeying_failed"), 1);
        ue.register_as(RegistrationKind::Mobility).await.expect("registered again");
        ue.go_idle().await.expect("idle");
        let resources = ue.service_request(&[internet.psi, ims.psi]).await.expect("connected");
        assert_eq!(resources.len(), 2);
        leave(sim, ue).await;
        sim.assert_conforming();
    });
}

/// The UE finds out a gNB that was given another key.
#[test]
fn when_the_amf_gives_another_key_then_the_ue_notices() {
    simulate(setup(5), async |sim| {
        let (mut ue, _sessions) = with_sessions(sim).await;
        let mut changed = false;
        sim.on_n2(move |from, _, message| {
            // UE CONTEXT MODIFICATION REQUEST begins so; SecurityKey ends the first one.
            let request = from.ip() == AMF_ADDRESS && message.data.starts_with(&[0x00, 0x28]);
            if request && !std::mem::replace(&mut changed, true) {
                let mut data = message.data.to_vec();
                *data.last_mut().expect("octets") ^= 1;
                return MemVerdict::Replace(data.into());
            }
            MemVerdict::Pass
        });
        reauthenticate(sim, &mut ue).await;
        assert_eq!(rekeyed(sim), [1, 1]);
        assert_eq!(sim.failed_clauses(), ["TS 33.501 §6.9.4.4"]);
        leave(sim, ue).await;
    });
}
