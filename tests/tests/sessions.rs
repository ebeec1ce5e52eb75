//! PDU sessions: what a UE may ask for, and what it is told. TS 24.501 §6.4.1, §5.4.5.2,
//! TS 23.502 §4.3.2.

use std::time::Duration;

use tern_nas::nas_5gs::PduSessionTypeValue;
use tern_types::{Dnn, PduSessionId, Snssai};
use ue_ransim::ue::SessionRequest;

use crate::outcome::rejection;
use crate::simulation::{Nf, Setup, simulate};

fn dnn(name: &str) -> Option<Dnn> {
    Some(Dnn::new(name).expect("a DNN"))
}

fn psi(number: u8) -> Option<PduSessionId> {
    PduSessionId::new(number)
}

/// TS 24.501 §6.4.1.3: IPv4v6 is answered with IPv4 and 5GSM cause #50, which the simulator checks.
#[test]
fn when_ipv4v6_is_asked_for_then_ipv4_with_cause_50() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let request = SessionRequest { kind: PduSessionTypeValue::Ipv4v6, ..SessionRequest::default() };
        let session = ue.establish_session(request).await.expect("a session");
        assert!(session.address.to_string().starts_with("10.45."), "{}", session.address);
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §6.4.1.4.1: #50 "PDU session type IPv4 only allowed".
#[test]
fn when_ipv6_alone_is_asked_for_then_cause_50() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let request = SessionRequest { kind: PduSessionTypeValue::Ipv6, ..SessionRequest::default() };
        let refused = rejection(ue.establish_session(request).await);
        assert_eq!(refused, ("PDU SESSION ESTABLISHMENT REJECT", 50));
        sim.settle().await;
        let held = sim.held().await;
        assert!(!held.contains_key("SMF sessions") && !held.contains_key("AMF sessions"), "{held:?}");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §5.4.5.2.4: #91 "DNN not supported or not subscribed in the slice".
#[test]
fn when_the_dnn_is_not_subscribed_then_cause_91() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let request = SessionRequest { dnn: dnn("corporate"), ..SessionRequest::default() };
        assert_eq!(rejection(ue.establish_session(request).await), ("DL NAS TRANSPORT", 91));
        // The UE is served on.
        ue.establish_session(Default::default()).await.expect("a session");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 23.502 §4.3.2.2.1 step 2: without a DNN the subscribed default one; and a second session to
/// another.
#[test]
fn when_a_ue_has_two_sessions_then_each_has_its_data_network() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let first = ue.establish_session(SessionRequest::default()).await.expect("the default one");
        let ims = SessionRequest { dnn: dnn("ims"), ..SessionRequest::default() };
        let second = ue.establish_session(ims).await.expect("ims");
        assert!(first.address.to_string().starts_with("10.45."), "{}", first.address);
        assert!(second.address.to_string().starts_with("10.46."), "{}", second.address);
        assert_ne!(first.psi, second.psi);
        sim.settle().await;
        assert_eq!(sim.held().await["UPF sessions"], 2);
        ue.release_session(first.psi).await.expect("released");
        sim.settle().await;
        assert_eq!(sim.held().await["UPF sessions"], 1);
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §6.4.1.7 c: an initial request for a live PDU session identity replaces the session.
#[test]
fn when_a_session_identity_is_used_again_then_the_session_is_replaced() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let request = SessionRequest { psi: psi(5), ..SessionRequest::default() };
        let first = ue.establish_session(request.clone()).await.expect("a session");
        let second = ue.establish_session(request).await.expect("another session");
        assert_eq!((first.psi, second.psi), (5, 5));
        sim.settle().await;
        let held = sim.held().await;
        for what in ["AMF sessions", "SMF sessions", "SMF addresses", "UPF sessions", "PCF SM policies"] {
            assert_eq!(held[what], 1, "{what}");
        }
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §5.4.5.2.4: #65 at the limit of sessions.
#[test]
fn when_a_ue_has_too_many_sessions_then_cause_65() {
    let mut setup = Setup::new(1, 1);
    setup.amf.limits.sessions_per_ue = 2;
    simulate(setup, async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        for _ in 0..2 {
            ue.establish_session(Default::default()).await.expect("a session");
        }
        assert_eq!(rejection(ue.establish_session(Default::default()).await), ("DL NAS TRANSPORT", 65));
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §6.4.1.4.1: #26 when the SMF has no room, #67 when no address of the data network is
/// left.
#[test]
fn when_the_smf_has_no_room_then_cause_26_or_67() {
    let mut few_contexts = Setup::new(1, 2);
    few_contexts.smf.limits.sessions_max = 1;
    let mut few_addresses = Setup::new(2, 2);
    few_addresses.smf.data_networks[0].pool = Some("10.45.0.0/30".parse().expect("a network"));
    for (setup, cause) in [(few_contexts, 26), (few_addresses, 67)] {
        simulate(setup, async |sim| {
            let (mut one, mut other) = (sim.ue(0), sim.ue(1));
            one.register().await.expect("registered");
            other.register().await.expect("registered");
            one.establish_session(Default::default()).await.expect("a session");
            let refused = rejection(other.establish_session(Default::default()).await);
            assert_eq!(refused, ("PDU SESSION ESTABLISHMENT REJECT", cause));
            one.deregister(false).await.expect("deregistered");
            sim.settle().await;
            other.establish_session(Default::default()).await.expect("there is room now");
            other.deregister(false).await.expect("deregistered");
            sim.assert_nothing_held().await;
            sim.assert_conforming();
        });
    }
}

/// TS 23.502 §4.2.6, §4.2.3.2: the user plane goes with the connection and comes back with it.
#[test]
fn when_a_ue_goes_idle_and_returns_then_its_session_is_activated_again() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let session = ue.establish_session(Default::default()).await.expect("a session");
        ue.go_idle().await.expect("idle");
        sim.settle().await;
        assert!(!sim.held().await.contains_key("AMF connected"));
        assert_eq!(sim.held().await["UPF sessions"], 1);
        let resources = ue.service_request(&[session.psi]).await.expect("served");
        assert_eq!(resources.len(), 1);
        ue.release_session(session.psi).await.expect("released");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §6.3.3.5: PDU SESSION RELEASE COMPLETE never comes; T3592 expires five times.
#[test]
fn when_release_complete_never_comes_then_the_session_goes_all_the_same() {
    use ue_ransim::ue::{Misdeed, Moment, Trick};
    let mut setup = Setup::new(1, 1);
    setup.group().tricks = vec![Trick { at: Moment::SessionReleaseComplete, what: Misdeed::Silence }];
    simulate(setup, async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let session = ue.establish_session(Default::default()).await.expect("a session");
        ue.release_session(session.psi).await.expect("the command comes");
        let _ = ue.idle(Duration::from_secs(16 * 5 + 1)).await;
        let held = sim.held().await;
        assert!(!held.contains_key("SMF sessions") && !held.contains_key("AMF sessions"), "{held:?}");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
    });
}

/// TS 24.501 §5.5.1.2.5: #62 where no slice can be allowed; TS 23.501 §5.15.5.2.1: a slice that is
/// not allowed gives way to the default ones.
#[test]
fn when_no_slice_is_served_then_cause_62_else_the_default_one() {
    let mut setup = Setup::new(1, 1);
    setup.subscribers[0].slices[0].snssai = Snssai::new(7, None);
    simulate(setup, async |sim| {
        let mut ue = sim.ue(0);
        assert_eq!(rejection(ue.register().await), ("REGISTRATION REJECT", 62));
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
    let mut setup = Setup::new(1, 1);
    setup.group().requested_nssai = vec![Snssai::new(7, None)];
    simulate(setup, async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        assert_eq!(ue.allowed_nssai(), [Snssai::new(1, None)]);
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
        assert_eq!(sim.counted(Nf::Amf, "amf.gmm.registered"), 1);
    });
}
