//! Data that change while UEs are registered and have sessions: from the UDR over UDM and PCF to AMF, SMF,
//! UPF, gNB and UE. TS 23.502 §4.2.2.3.3, §4.2.4.2, §4.3.3.2, §4.5.1.

use std::time::Duration;

use serde_json::json;
use tern_types::{Ambr, BitRate, ServiceArea, Snssai};
use ue_ransim::gnb::Link;
use ue_ransim::ue::{SessionRequest, Ue};

use crate::outcome::cause;
use crate::simulation::{Nf, Setup, Simulation, simulate};

/// The operator sets an attribute of the first subscriber.
pub async fn set(sim: &Simulation, path: &str, value: serde_json::Value) {
    let patch = json!([{ "op": "replace", "path": path, "value": value }]);
    assert_eq!(sim.administer(tern_sbi::Method::Patch, 0, Some(patch)).await, 204);
}

async fn remove(sim: &Simulation) {
    assert_eq!(sim.administer(tern_sbi::Method::Delete, 0, None).await, 204);
}

/// A UE that is registered and has a session, and the session.
pub async fn with_session(sim: &mut Simulation) -> (Ue, ue_ransim::ue::Session) {
    let mut ue = sim.ue(0);
    ue.register().await.expect("registered");
    let session = ue.establish_session(SessionRequest::default()).await.expect("a session");
    sim.settle().await;
    (ue, session)
}

/// TS 23.502 §4.2.2.3.3.
#[test]
fn when_a_subscriber_is_removed_then_its_ue_is_deregistered_and_nothing_of_it_stays() {
    simulate(Setup::new(1, 1), async |sim| {
        let (mut ue, _session) = with_session(sim).await;
        remove(sim).await;
        ue.idle(Duration::from_secs(5)).await.expect("deregistered");
        assert!(!ue.is_registered());
        assert_eq!(sim.counted(Nf::Udm, "udm.subscriptions_withdrawn"), 1);
        sim.assert_nothing_held().await;
        assert_eq!(cause(ue.register().await), 3);
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 23.502 §4.2.2.3.3 step 2.
#[test]
fn when_the_ue_of_a_removed_subscriber_is_idle_then_it_is_paged_to_be_deregistered() {
    simulate(Setup::new(2, 1), async |sim| {
        let (mut ue, _session) = with_session(sim).await;
        ue.go_idle().await.expect("idle");
        remove(sim).await;
        ue.idle(Duration::from_secs(10)).await.expect("deregistered");
        assert!(!ue.is_registered());
        assert_eq!(sim.counted(Nf::Amf, "amf.paging.answered"), 1);
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §5.5.1.2.5, cause #11; TS 23.015.
#[test]
fn when_a_subscriber_is_barred_then_its_ue_is_deregistered_and_rejected_until_it_is_not() {
    simulate(Setup::new(3, 1), async |sim| {
        let (mut ue, _session) = with_session(sim).await;
        set(sim, "/barred", json!("services")).await;
        ue.idle(Duration::from_secs(5)).await.expect("deregistered");
        assert!(!ue.is_registered());
        assert_eq!(cause(ue.register().await), 11);
        sim.assert_nothing_held().await;
        set(sim, "/barred", json!(null)).await;
        ue.register().await.expect("registered");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §5.5.1.2.5, cause #27.
#[test]
fn when_the_5g_core_is_not_among_the_core_networks_of_a_subscriber_then_it_is_rejected_with_27() {
    let mut setup = Setup::new(4, 1);
    setup.subscribers[0].barred = Some(tern_udr::Barring::FiveGc);
    simulate(setup, async |sim| {
        let mut ue = sim.ue(0);
        assert_eq!(cause(ue.register().await), 27);
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 23.527: what changed while the UDM was away is told when it is back.
#[test]
fn when_the_udm_is_away_while_a_subscriber_is_removed_then_it_hears_of_it_later() {
    simulate(Setup::new(5, 1), async |sim| {
        let (mut ue, _session) = with_session(sim).await;
        sim.kill(Nf::Udm).await;
        remove(sim).await;
        ue.idle(Duration::from_secs(20)).await.expect("connected");
        assert!(ue.is_registered());
        sim.restart(Nf::Udm).await;
        ue.idle(Duration::from_secs(20)).await.expect("deregistered");
        assert!(!ue.is_registered());
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// The same after so long that its subscription at the UDR has ended: nobody was there to be told.
#[test]
fn when_the_udm_was_away_for_so_long_that_its_subscription_has_ended_then_it_hears_of_changes_all_the_same() {
    simulate(Setup::new(16, 1), async |sim| {
        let (mut ue, _session) = with_session(sim).await;
        sim.kill(Nf::Udm).await;
        ue.idle(Duration::from_secs(3700)).await.expect("connected");
        set(sim, "/barred", json!("services")).await;
        ue.idle(Duration::from_secs(20)).await.expect("connected");
        assert!(ue.is_registered());
        sim.restart(Nf::Udm).await;
        ue.idle(Duration::from_secs(20)).await.expect("deregistered");
        assert!(!ue.is_registered());
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// The UDR keeps what is to be told.
#[test]
fn when_the_udr_dies_before_it_has_told_of_a_change_then_it_does_when_it_is_back() {
    simulate(Setup::new(6, 1), async |sim| {
        let (mut ue, _session) = with_session(sim).await;
        sim.kill(Nf::Udm).await;
        set(sim, "/barred", json!("services")).await;
        sim.restart(Nf::Udr).await;
        sim.restart(Nf::Udm).await;
        ue.idle(Duration::from_secs(20)).await.expect("deregistered");
        assert!(!ue.is_registered());
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 38.413 §8.3.4: the gNB is told at once.
#[test]
fn when_the_subscribed_ue_ambr_changes_then_the_gnb_has_it() {
    simulate(Setup::new(7, 1), async |sim| {
        let (mut ue, _session) = with_session(sim).await;
        set(sim, "/ue_ambr", json!({ "uplink": "3 Mbps", "downlink": "4 Mbps" })).await;
        ue.idle(Duration::from_secs(2)).await.expect("connected");
        assert_eq!(sim.counted(Nf::Amf, "amf.ngap.ue_ambr_told"), 1);
        let told = Ambr { uplink: BitRate::from_bps(3_000_000), downlink: BitRate::from_bps(4_000_000) };
        assert_eq!(ue.link().and_then(Link::ue_ambr), Some(told));
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// A slice more, and one less.
fn two_slices(seed: u64) -> Setup {
    let (one, two) = (Snssai::new(1, None), Snssai::new(2, None));
    let mut setup = Setup::new(seed, 1);
    setup.amf.served[0].slices = vec![one, two];
    let mut internet = setup.smf.data_networks[0].clone();
    internet.snssai = two;
    setup.smf.data_networks.push(internet);
    setup.ran.slices = vec![one, two];
    setup.group().requested_nssai = vec![one, two];
    let dnns = json!([{ "dnn": "internet" }]);
    let slices = json!([{ "snssai": "1", "dnns": dnns }, { "snssai": "2", "default": false, "dnns": dnns }]);
    setup.subscribers[0].slices = serde_json::from_value(slices).expect("slices");
    setup
}

/// TS 23.501 §5.15.5.2.2, TS 24.501 §5.4.4.2.
#[test]
fn when_a_slice_is_withdrawn_then_its_session_ends_and_the_ue_hears_of_it() {
    simulate(two_slices(8), async |sim| {
        let two = Snssai::new(2, None);
        let (mut ue, _session) = with_session(sim).await;
        let request = SessionRequest { slice: Some(two), ..SessionRequest::default() };
        let _gone = ue.establish_session(request).await.expect("a session");
        let slices = json!([{ "snssai": "1", "dnns": [{ "dnn": "internet" }] }]);
        set(sim, "/slices", slices).await;
        ue.idle(Duration::from_secs(5)).await.expect("connected");
        assert_eq!(ue.allowed_nssai(), [Snssai::new(1, None)]);
        assert_eq!(ue.sessions().count(), 1);
        let held = sim.held().await;
        assert_eq!((held["AMF sessions"], held["SMF sessions"], held["UPF sessions"]), (1, 1, 1));
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// Idle UEs are paged for it.
#[test]
fn when_the_service_area_of_an_idle_ue_changes_and_is_lifted_then_it_hears_of_both() {
    simulate(Setup::new(9, 1), async |sim| {
        let (mut ue, _session) = with_session(sim).await;
        let here = sim.rig.gnbs[0].config().tai();
        ue.go_idle().await.expect("idle");
        set(sim, "/service_area", json!({ "restriction": "ALLOWED_AREAS", "tacs": [here.tac] })).await;
        ue.idle(Duration::from_secs(10)).await.expect("told");
        assert_eq!(ue.service_area(), Some(&ServiceArea { allowed: true, tais: vec![here] }));
        set(sim, "/service_area", json!(null)).await;
        ue.idle(Duration::from_secs(10)).await.expect("told");
        assert_eq!(ue.service_area(), None);
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// Visitors have no service in tracking area 9; who is gold has a video flow of a guaranteed rate.
pub fn with_policies(seed: u64) -> Setup {
    let mut setup = Setup::new(seed, 1);
    let text = "\
access:
  - when: { categories: [visitor] }
    ue_ambr: { uplink: 1 Mbps, downlink: 2 Mbps }
    service_area: { restriction: NOT_ALLOWED_AREAS, tacs: [\"000009\"] }
sessions:
  - when: { categories: [gold] }
    session_ambr: { uplink: 5 Mbps, downlink: 6 Mbps }
    rules:
      - name: video
        precedence: 10
        flows: [permit out 17 from 192.0.2.0/24 to assigned]
        five_qi: 2
        maximum: { uplink: 4 Mbps, downlink: 8 Mbps }
        guaranteed: { uplink: 1 Mbps, downlink: 2 Mbps }
      - name: no-telnet
        precedence: 20
        flows: [permit out 6 from any 23 to assigned]
        gate: DISABLED
  - when: { categories: [silver] }
    rules:
      - name: video
        precedence: 10
        flows: [permit out 17 from 192.0.2.0/24 to assigned]
        five_qi: 7
";
    setup.pcf = tern_config::parse("pcf.yaml", text).expect("policies");
    setup
}

/// TS 23.502 §4.3.3.2, TS 29.512 §4.2.3.
#[test]
fn when_a_subscriber_changes_its_category_then_pcc_rules_come_change_and_go_in_its_session() {
    simulate(with_policies(10), async |sim| {
        let (mut ue, session) = with_session(sim).await;
        let rules = |ue: &Ue| ue.session_qos(session.psi).expect("a session").rules();
        let flows = |ue: &Ue| ue.session_qos(session.psi).expect("a session").flows();
        assert_eq!((rules(&ue), flows(&ue).len()), (1, 1));

        set(sim, "/categories", json!(["gold"])).await;
        ue.idle(Duration::from_secs(5)).await.expect("connected");
        assert_eq!((rules(&ue), flows(&ue)), (3, [(1, 9), (2, 2)].into()));
        let qos = ue.session_qos(session.psi).expect("a session");
        assert_eq!(qos.guaranteed_kbps(2), Some(2000));
        assert_eq!(qos.ambr().map(|ambr| ambr.downlink.bps()), Some(6_000_000));
        assert_eq!(sim.counted(Nf::Smf, "smf.modification.completed"), 1);

        set(sim, "/categories", json!(["silver"])).await;
        ue.idle(Duration::from_secs(5)).await.expect("connected");
        assert_eq!((rules(&ue), flows(&ue).values().copied().collect::<Vec<_>>()), (2, vec![9, 7]));

        set(sim, "/categories", json!([])).await;
        ue.idle(Duration::from_secs(5)).await.expect("connected");
        assert_eq!((rules(&ue), flows(&ue)), (1, [(1, 9)].into()));
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 23.502 §4.3.3.2 step 3b: an idle UE is paged; the gNB has the flows when the user plane is back.
#[test]
fn when_pcc_rules_are_pushed_to_an_idle_ue_then_it_is_paged_for_them() {
    simulate(with_policies(11), async |sim| {
        let (mut ue, session) = with_session(sim).await;
        ue.go_idle().await.expect("idle");
        set(sim, "/categories", json!(["gold"])).await;
        ue.idle(Duration::from_secs(10)).await.expect("told");
        assert_eq!(ue.session_qos(session.psi).expect("a session").rules(), 3);
        ue.go_idle().await.expect("idle");
        let resources = ue.service_request(&[session.psi]).await.expect("connected");
        let flows: Vec<_> =
            resources[0].request.flows.iter().map(|flow| (flow.qfi.get(), flow.gbr)).collect();
        assert_eq!((flows.len(), flows[1].0, flows[1].1.is_some()), (2, 2, true));
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 29.507 §4.2.4.2.
#[test]
fn when_the_access_policy_changes_then_the_amf_hears_of_it_at_once_and_of_its_end_too() {
    simulate(with_policies(12), async |sim| {
        let (mut ue, _session) = with_session(sim).await;
        assert_eq!(ue.service_area(), None);
        set(sim, "/categories", json!(["visitor"])).await;
        ue.idle(Duration::from_secs(5)).await.expect("connected");
        assert!(ue.service_area().is_some_and(|area| !area.allowed && area.tais.len() == 1));
        assert_eq!(ue.link().and_then(Link::ue_ambr).map(|ambr| ambr.downlink.bps()), Some(2_000_000));
        set(sim, "/categories", json!([])).await;
        ue.idle(Duration::from_secs(5)).await.expect("connected");
        assert_eq!(ue.service_area(), None);
        assert_eq!(ue.link().and_then(Link::ue_ambr).map(|ambr| ambr.downlink.bps()), Some(2_000_000_000));
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 29.507 §4.2.3.2: the PCF decides on what is subscribed anew, and the UE has what it decides.
#[test]
fn when_the_subscription_of_a_ue_with_a_policy_changes_then_the_pcf_has_the_last_word() {
    simulate(with_policies(15), async |sim| {
        let (mut ue, _session) = with_session(sim).await;
        let ambr = |ue: &Ue| ue.link().and_then(Link::ue_ambr).map(|ambr| ambr.downlink.bps());
        let mbps =
            |rate: u64| json!({ "uplink": format!("{rate} Mbps"), "downlink": format!("{rate} Mbps") });
        set(sim, "/ue_ambr", mbps(3)).await;
        ue.idle(Duration::from_secs(2)).await.expect("connected");
        assert_eq!((ambr(&ue), sim.counted(Nf::Amf, "amf.policy.change_told")), (Some(3_000_000), 1));
        set(sim, "/categories", json!(["visitor"])).await;
        ue.idle(Duration::from_secs(5)).await.expect("connected");
        assert_eq!(ambr(&ue), Some(2_000_000));
        set(sim, "/ue_ambr", mbps(6)).await;
        ue.idle(Duration::from_secs(2)).await.expect("connected");
        assert_eq!((ambr(&ue), sim.counted(Nf::Amf, "amf.policy.change_told")), (Some(2_000_000), 2));
        // The PCF knows what was subscribed meanwhile.
        set(sim, "/categories", json!([])).await;
        ue.idle(Duration::from_secs(5)).await.expect("connected");
        assert_eq!(ambr(&ue), Some(6_000_000));

        let here = sim.rig.gnbs[0].config().tai();
        set(sim, "/service_area", json!({ "restriction": "ALLOWED_AREAS", "tacs": [here.tac] })).await;
        ue.idle(Duration::from_secs(5)).await.expect("connected");
        assert_eq!(ue.service_area(), Some(&ServiceArea { allowed: true, tais: vec![here] }));
        set(sim, "/service_area", json!(null)).await;
        ue.idle(Duration::from_secs(5)).await.expect("connected");
        assert_eq!((ue.service_area(), sim.counted(Nf::Amf, "amf.policy.change_told")), (None, 4));
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 23.502 §4.3.3.2: without a word of the policies the subscription holds.
#[test]
fn when_the_subscribed_session_ambr_and_5qi_change_then_the_session_has_them() {
    simulate(Setup::new(13, 1), async |sim| {
        let (mut ue, session) = with_session(sim).await;
        set(sim, "/slices/0/dnns/0/session_ambr", json!({ "uplink": "7 Mbps", "downlink": "8 Mbps" })).await;
        set(sim, "/slices/0/dnns/0/five_qi", json!(7)).await;
        ue.idle(Duration::from_secs(10)).await.expect("connected");
        let qos = ue.session_qos(session.psi).expect("a session");
        assert_eq!(qos.ambr().map(|ambr| ambr.uplink.bps()), Some(7_000_000));
        assert_eq!(qos.flows(), [(1, 7)].into());
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 23.502 §4.3.4.2: the SMF releases what is not subscribed any more.
#[test]
fn when_a_data_network_is_withdrawn_then_its_session_ends_and_the_other_stays() {
    simulate(Setup::new(14, 1), async |sim| {
        let (mut ue, session) = with_session(sim).await;
        let ims = SessionRequest { dnn: Some("ims".parse().expect("a DNN")), ..SessionRequest::default() };
        let _gone = ue.establish_session(ims.clone()).await.expect("a session");
        let slices = json!([{ "snssai": "1", "dnns": [{ "dnn": "internet" }] }]);
        set(sim, "/slices", slices).await;
        ue.idle(Duration::from_secs(10)).await.expect("connected");
        assert_eq!(ue.sessions().map(|(psi, _)| psi).collect::<Vec<_>>(), [session.psi]);
        assert_eq!(cause(ue.establish_session(ims).await), 91);
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}
