//! Registration over tracking areas, with the slices of each and where a UE has service:
//! TS 24.501 §5.5.1.3, §5.3.5, TS 23.501 §5.15.5.2.2, §5.3.4.1.2.

use std::time::Duration;

use serde_json::json;
use tern_amf::ServedPlmn;
use tern_types::{ServiceArea, Snssai, Tac, Tai};
use ue_ransim::gnb::Gnb;
use ue_ransim::gnb_config;
use ue_ransim::ue::{RegistrationKind, SessionRequest};

use crate::outcome::cause;
use crate::simulation::{Nf, Setup, Simulation, simulate};

fn slice(sst: u8) -> Snssai {
    Snssai::new(sst, None)
}

fn tac(tac: u32) -> Tac {
    Tac::new(tac).expect("a TAC")
}

/// Tracking areas 1 and 2 have slices 1 and 2, and are one registration area; 3 and 4 have slice 2 alone.
fn setup(seed: u64) -> Setup {
    let mut setup = Setup::new(seed, 1);
    setup.amf.served = vec![
        ServedPlmn { tacs: vec![tac(1), tac(2)], slices: vec![slice(1), slice(2)], ..Default::default() },
        ServedPlmn { tacs: vec![tac(3), tac(4)], slices: vec![slice(2)], ..Default::default() },
    ];
    let dnns = json!([{ "dnn": "internet" }]);
    setup.subscribers[0].slices = serde_json::from_value(json!([
        { "snssai": "1", "dnns": dnns }, { "snssai": "2", "dnns": dnns },
    ]))
    .expect("slices");
    let mut internet = setup.smf.data_networks[0].clone();
    internet.snssai = slice(2);
    setup.smf.data_networks.push(internet);
    setup.ran.slices = vec![slice(1), slice(2)];
    setup.group().requested_nssai = vec![slice(1), slice(2)];
    setup
}

/// A further gNB, of this tracking area and with these slices.
async fn gnb_of(sim: &mut Simulation, area: u32, slices: &[u8]) -> Gnb {
    let mut config = gnb_config(&sim.setup.ran, area).expect("a usable configuration");
    config.tac = tac(area);
    config.slices = slices.iter().copied().map(slice).collect();
    sim.rig.add_gnb(config).await.expect("the gNB is set up")
}

fn of_slice(sst: u8) -> SessionRequest {
    SessionRequest { slice: Some(slice(sst)), ..SessionRequest::default() }
}

fn tais(gnb: &Gnb, tacs: &[u32]) -> Vec<Tai> {
    tacs.iter().map(|&area| Tai { plmn_id: gnb.config().plmn, tac: tac(area) }).collect()
}

/// TS 24.501 §5.5.1.3.2 a: within the registration area nothing is said; outside of it the UE registers,
/// and its context stays.
#[test]
fn when_a_ue_leaves_its_registration_area_then_it_registers_and_keeps_what_is_allowed_there() {
    simulate(setup(1), async |sim| {
        let near = gnb_of(sim, 2, &[1, 2]).await;
        let far = gnb_of(sim, 3, &[2]).await;
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        assert_eq!(ue.registration_area(), tais(&near, &[1, 2]));
        let _one = ue.establish_session(of_slice(1)).await.expect("a session of slice 1");
        let two = ue.establish_session(of_slice(2)).await.expect("a session of slice 2");
        ue.go_idle().await.expect("idle");
        ue.move_to(&near);
        assert!(ue.update_area().await.expect("nothing to do").is_none());
        ue.move_to(&far);
        assert!(ue.update_area().await.expect("registered").is_some());
        assert_eq!(ue.registration_area(), tais(&far, &[3, 4]));
        assert_eq!(ue.allowed_nssai(), [slice(2)]);
        sim.settle().await;
        let held = sim.held().await;
        assert_eq!((held["AMF sessions"], held["SMF sessions"], held["UPF sessions"]), (1, 1, 1));
        assert_eq!(sim.counted(Nf::Amf, "amf.session.slice_not_allowed"), 1);
        assert_eq!(sim.counted(Nf::Ausf, "ausf.challenges"), 1, "its security context is good here");
        ue.go_idle().await.expect("idle");
        let resources = ue.service_request(&[two.psi]).await.expect("connected");
        assert_eq!(resources.len(), 1);
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §5.5.1.3.5, cause #62: nothing of the UE is allowed there.
#[test]
fn when_no_slice_of_the_ue_is_served_in_an_area_then_it_is_rejected_there() {
    let mut setup = setup(2);
    setup.subscribers[0].slices.truncate(1);
    setup.group().requested_nssai = vec![slice(1)];
    simulate(setup, async |sim| {
        let far = gnb_of(sim, 3, &[2]).await;
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let _session = ue.establish_session(of_slice(1)).await.expect("a session");
        ue.go_idle().await.expect("idle");
        ue.move_to(&far);
        assert_eq!(cause(ue.update_area().await), 62);
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// From the UDR to UE and gNB; TS 24.501 §5.6.1.5, cause #28.
#[test]
fn when_a_ue_is_in_a_non_allowed_area_then_it_registers_and_has_no_service() {
    let mut setup = setup(3);
    let area = json!({ "restriction": "NOT_ALLOWED_AREAS", "tacs": ["000002"] });
    setup.subscribers[0].service_area = serde_json::from_value(area).expect("a service area");
    simulate(setup, async |sim| {
        let near = gnb_of(sim, 2, &[1, 2]).await;
        let home = sim.rig.gnbs[0].clone();
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let told = ServiceArea { allowed: false, tais: tais(&near, &[2]) };
        assert_eq!(ue.service_area(), Some(&told));
        let session = ue.establish_session(of_slice(1)).await.expect("a session");
        ue.go_idle().await.expect("idle");
        ue.move_to(&near);
        assert_eq!(cause(ue.service_request(&[session.psi]).await), 28);
        ue.register_as(RegistrationKind::Periodic).await.expect("registered");
        assert_eq!(cause(ue.establish_session(of_slice(2)).await), 28);
        ue.go_idle().await.expect("idle");
        ue.move_to(&home);
        ue.service_request(&[session.psi]).await.expect("service where it is allowed");
        ue.idle(Duration::from_secs(1)).await.expect("connected");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}
