//! QoS flows that a gNB does not admit, or releases: they are taken back from the UE and the UPF, and the PCF knows
//! that their rules are not in force. TS 23.502 §4.3.2.2.1, §4.3.3.2, §4.9.1; TS 29.512 §4.2.4.

use std::time::Duration;

use serde_json::json;
use tern_types::Qfi;
use ue_ransim::gnb::Forwarding;
use ue_ransim::ue::{Session, SessionRequest, Ue};

use crate::data_changes::{set, with_policies, with_session};
use crate::simulation::{Nf, Setup, Simulation, simulate};

/// 5QI of the flow with a guaranteed bit rate.
const GUARANTEED: u8 = 2;
/// 5QIs by QFI of a session that has the default flow alone, and of one that has the other too.
const DEFAULT_ALONE: &[(u8, u8)] = &[(1, 9)];
const BOTH: &[(u8, u8)] = &[(1, 9), (2, GUARANTEED)];

fn gold(seed: u64) -> Setup {
    let mut setup = with_policies(seed).gnbs(2);
    setup.subscribers[0].categories = vec!["gold".to_owned()];
    setup
}

/// QoS rules that the UE has, and 5QI of each of its flows.
fn known(ue: &Ue, session: &Session) -> (usize, Vec<(u8, u8)>) {
    let qos = ue.session_qos(session.psi).expect("a session");
    (qos.rules(), qos.flows().into_iter().collect())
}

/// The UE, SMF and PCF have the rules that need no flow of their own.
async fn taken_back(sim: &mut Simulation, ue: &mut Ue, session: &Session) {
    ue.idle(Duration::from_secs(5)).await.expect("connected");
    assert_eq!(known(ue, session), (2, DEFAULT_ALONE.to_vec()));
    assert_eq!(sim.counted(Nf::Smf, "smf.policy.rule_failed"), 1);
    assert_eq!(sim.counted(Nf::Pcf, "pcf.sm.rules_failed"), 1);
    assert_eq!(sim.counted(Nf::Smf, "smf.modification.taken_back"), 1);
    assert_eq!(sim.held().await["UPF sessions"], 1);
}

async fn leave(sim: &Simulation, mut ue: Ue) {
    ue.deregister(false).await.expect("deregistered");
    sim.assert_nothing_held().await;
    sim.assert_conforming();
}

#[test]
fn when_the_gnb_does_not_admit_a_pushed_flow_then_it_is_taken_back_until_it_is_decided_anew() {
    simulate(with_policies(1), async |sim| {
        let (mut ue, session) = with_session(sim).await;
        sim.rig.gnbs[0].refuse_flows(&[GUARANTEED]);
        set(sim, "/categories", json!(["gold"])).await;
        taken_back(sim, &mut ue, &session).await;
        // There is room now, but nobody asks: a rule that failed is not tried again and again.
        sim.rig.gnbs[0].refuse_flows(&[]);
        ue.idle(Duration::from_secs(60)).await.expect("connected");
        assert_eq!(known(&ue, &session), (2, DEFAULT_ALONE.to_vec()));
        set(sim, "/categories", json!([])).await;
        ue.idle(Duration::from_secs(5)).await.expect("connected");
        set(sim, "/categories", json!(["gold"])).await;
        ue.idle(Duration::from_secs(5)).await.expect("connected");
        assert_eq!(known(&ue, &session), (3, BOTH.to_vec()));
        leave(sim, ue).await;
    });
}

#[test]
fn when_the_gnb_sets_a_session_up_without_a_flow_then_it_is_taken_back() {
    simulate(gold(2), async |sim| {
        sim.rig.gnbs[0].refuse_flows(&[GUARANTEED]);
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let session = ue.establish_session(SessionRequest::default()).await.expect("a session");
        assert_eq!(known(&ue, &session), (3, BOTH.to_vec()));
        taken_back(sim, &mut ue, &session).await;
        leave(sim, ue).await;
    });
}

/// The resources come back without the flow.
#[test]
fn when_the_gnb_refuses_a_flow_as_an_idle_ue_returns_then_it_is_taken_back() {
    simulate(gold(3), async |sim| {
        let (mut ue, mut session) = with_session(sim).await;
        assert_eq!(known(&ue, &session), (3, BOTH.to_vec()));
        ue.go_idle().await.expect("idle");
        sim.rig.gnbs[0].refuse_flows(&[GUARANTEED]);
        ue.wake(&mut session).await.expect("served");
        taken_back(sim, &mut ue, &session).await;
        leave(sim, ue).await;
    });
}

#[test]
fn when_the_gnb_releases_a_flow_then_it_is_taken_back() {
    simulate(gold(4), async |sim| {
        let (mut ue, session) = with_session(sim).await;
        let flow = Qfi::new(2).expect("a QFI");
        ue.link().expect("connected").release_flow(session.psi, flow).await.expect("notified");
        taken_back(sim, &mut ue, &session).await;
        leave(sim, ue).await;
    });
}

#[test]
fn when_the_target_of_an_xn_handover_does_not_admit_a_flow_then_it_is_taken_back() {
    simulate(gold(5), async |sim| {
        let (mut ue, session) = with_session(sim).await;
        let target = sim.rig.gnbs[1].clone();
        target.refuse_flows(&[GUARANTEED]);
        ue.handover_xn(&target).await.expect("handed over");
        taken_back(sim, &mut ue, &session).await;
        leave(sim, ue).await;
    });
}

#[test]
fn when_the_target_of_an_n2_handover_does_not_admit_a_flow_then_it_is_taken_back() {
    simulate(gold(6), async |sim| {
        let (mut ue, session) = with_session(sim).await;
        let target = sim.rig.gnbs[1].clone();
        target.refuse_flows(&[GUARANTEED]);
        ue.handover_n2(&target, Forwarding::Direct).await.expect("handed over");
        taken_back(sim, &mut ue, &session).await;
        leave(sim, ue).await;
    });
}
