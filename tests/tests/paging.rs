//! UEs that sleep: paging, waking, AN release, periodic updates. TS 23.502 §4.2.3, §4.2.6,
//! TS 24.501 §5.3.7, §5.6.

use std::time::Duration;

use tern_pfcp::ApplyAction;
use ue_ransim::scenario;
use ue_ransim::ue::RegistrationKind;

use crate::simulation::{Downlink, Nf, Setup, simulate};

/// How long a page may take to be heard.
const PAGE: Duration = Duration::from_millis(500);

/// Packets wait, and the first one is told.
fn buffers() -> ApplyAction {
    ApplyAction::BUFF | ApplyAction::NOCP
}

/// TS 23.502 §4.2.3.3: the whole way, from a packet that waits to one that may go; TS 33.501 §6.12.3.
#[test]
fn when_data_comes_for_an_idle_ue_then_it_is_paged_and_the_tunnel_is_back() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut n4 = Downlink::watch(sim).await;
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let mut session = ue.establish_session(Default::default()).await.expect("a session");
        ue.go_idle().await.expect("idle");
        sim.settle().await;
        assert_eq!(n4.half(0).action, Some(buffers()));
        let before = ue.guti();
        n4.packet_waits(0).await;
        ue.await_page(PAGE).await.expect("paged");
        ue.resume(&mut session).await.expect("resources");
        ue.idle(Duration::from_secs(1)).await.expect("connected");
        assert!(ue.is_connected());
        assert_eq!(n4.half(0).action, Some(ApplyAction::FORW));
        assert_ne!(ue.guti(), before);
        assert_eq!(sim.counted(Nf::Amf, "amf.paging.answered"), 1);
        assert_eq!(sim.counted(Nf::Amf, "amf.gmm.guti_reallocated"), 1);
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §5.6.2.2.1, TS 23.502 §4.2.3.3 step 3c: four pages; then packets are dropped for ten seconds,
/// and the next one has the UE paged again.
#[test]
fn when_no_page_is_answered_then_the_upf_drops_what_waits_and_tries_again_later() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut n4 = Downlink::watch(sim).await;
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let mut session = ue.establish_session(Default::default()).await.expect("a session");
        ue.go_idle().await.expect("idle");
        sim.settle().await;
        n4.packet_waits(0).await;
        assert_eq!(ue.ignore_pages(Duration::from_secs(15)).await, 4);
        let half = n4.half(0);
        assert_eq!((half.action, half.dropped), (Some(ApplyAction::DROP), 1));
        sim.pass(Duration::from_secs(10)).await;
        assert_eq!(n4.half(0).action, Some(buffers()));
        n4.packet_waits(0).await;
        ue.await_page(PAGE).await.expect("paged again");
        ue.resume(&mut session).await.expect("resources");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 23.502 §4.2.3.3 step 4b: all gNBs of the registration area, wherever the UE is.
#[test]
fn when_the_ue_has_moved_within_its_area_then_it_is_paged_there() {
    simulate(Setup::new(1, 1).gnbs(3), async |sim| {
        let mut n4 = Downlink::watch(sim).await;
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let mut session = ue.establish_session(Default::default()).await.expect("a session");
        ue.go_idle().await.expect("idle");
        sim.settle().await;
        let elsewhere = sim.rig.gnbs[2].clone();
        ue.move_to(&elsewhere);
        n4.packet_waits(0).await;
        ue.await_page(PAGE).await.expect("paged");
        ue.resume(&mut session).await.expect("resources");
        assert_eq!(sim.rig.journal.counted("gnb.paging"), 3);
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §5.6.1.4.1: of two sessions just the one that has data comes back.
#[test]
fn when_one_of_two_sessions_has_data_then_only_it_comes_back() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut n4 = Downlink::watch(sim).await;
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let _first = ue.establish_session(Default::default()).await.expect("a session");
        let mut second = ue.establish_session(Default::default()).await.expect("another session");
        ue.go_idle().await.expect("idle");
        sim.settle().await;
        n4.packet_waits(1).await;
        ue.await_page(PAGE).await.expect("paged");
        ue.resume(&mut second).await.expect("resources");
        sim.settle().await;
        assert_eq!(n4.half(0).action, Some(buffers()));
        assert_eq!(n4.half(1).action, Some(ApplyAction::FORW));
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §5.6.2.2: the UE comes by itself before it has heard the page.
#[test]
fn when_a_registration_or_service_request_crosses_the_page_then_the_session_comes_with_it() {
    for registers in [false, true] {
        simulate(Setup::new(1, 1), async |sim| {
            let mut n4 = Downlink::watch(sim).await;
            let mut ue = sim.ue(0);
            ue.register().await.expect("registered");
            let mut session = ue.establish_session(Default::default()).await.expect("a session");
            ue.go_idle().await.expect("idle");
            sim.settle().await;
            n4.packet_waits(0).await;
            sim.pass(Duration::from_millis(100)).await;
            if registers {
                ue.register_as(RegistrationKind::Mobility).await.expect("registered");
            } else {
                ue.service_request(&[]).await.expect("served");
            }
            ue.resume(&mut session).await.expect("resources");
            sim.settle().await;
            assert_eq!(n4.half(0).action, Some(ApplyAction::FORW), "registers: {registers}");
            assert_eq!(sim.counted(Nf::Amf, "amf.paging.answered"), 1);
            ue.deregister(false).await.expect("deregistered");
            sim.assert_nothing_held().await;
            sim.assert_conforming();
        });
    }
}

/// TS 29.518 §6.1.7.3: no gNB serves the area; TS 23.502 §4.2.3.3 step 3c.
#[test]
fn when_no_gnb_is_there_then_the_upf_drops_what_waits() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut n4 = Downlink::watch(sim).await;
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        ue.establish_session(Default::default()).await.expect("a session");
        sim.rig.gnbs[0].abort();
        sim.settle().await;
        n4.packet_waits(0).await;
        sim.settle().await;
        assert_eq!(n4.half(0).action, Some(ApplyAction::DROP));
        assert_eq!(sim.counted(Nf::Amf, "amf.paging.not_reachable"), 1);
        sim.assert_conforming();
    });
}

/// TS 38.413 §8.3.2, TS 23.502 §4.2.6: the gNB releases a UE with which nothing is exchanged, and only then.
#[test]
fn when_a_ue_is_inactive_then_its_gnb_releases_it_and_its_session_is_deactivated() {
    let mut setup = Setup::new(1, 1);
    setup.ran.inactivity_s = Some(10);
    simulate(setup, async |sim| {
        let n4 = Downlink::watch(sim).await;
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let mut session = ue.establish_session(Default::default()).await.expect("a session");
        for _ in 0..3 {
            ue.idle(Duration::from_secs(8)).await.expect("connected");
            session.send(&[0x45; 20]).await.expect("sent");
        }
        assert!(ue.is_connected());
        ue.idle(Duration::from_secs(11)).await.expect("idle");
        assert!(!ue.is_connected());
        assert_eq!(n4.half(0).action, Some(buffers()));
        ue.wake(&mut session).await.expect("awake");
        sim.settle().await;
        assert_eq!(n4.half(0).action, Some(ApplyAction::FORW));
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §5.3.7: who updates when T3512 expires stays, with its session, for as long as it does.
#[test]
fn when_an_idle_ue_updates_periodically_then_it_stays_registered() {
    let mut setup = Setup::new(1, 1);
    setup.amf.timers.t3512_s = 600;
    setup.ran.inactivity_s = Some(10);
    simulate(setup, async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let mut session = ue.establish_session(Default::default()).await.expect("a session");
        ue.idle(Duration::from_secs(4 * 3600)).await.expect("alive");
        // Every 610 s: T3512, and the connection that the update holds until the gNB releases it.
        assert_eq!(sim.rig.journal.counted("ue.periodic_update"), 4 * 3600 / 610);
        let held = sim.held().await;
        assert_eq!((held["AMF registered"], held["UPF sessions"], held["UDM AMF registrations"]), (1, 1, 1));
        ue.wake(&mut session).await.expect("awake");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 23.501 §5.4.1.1: once the mobile reachable timer has expired the UE is not paged; it still may come.
#[test]
fn when_the_mobile_reachable_timer_has_expired_then_the_ue_is_not_paged() {
    let mut setup = Setup::new(1, 1);
    setup.amf.timers.t3512_s = 600;
    simulate(setup, async |sim| {
        let mut n4 = Downlink::watch(sim).await;
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let mut session = ue.establish_session(Default::default()).await.expect("a session");
        ue.go_idle().await.expect("idle");
        sim.pass(Duration::from_secs(600 + 240 + 60)).await;
        n4.packet_waits(0).await;
        sim.settle().await;
        assert_eq!(sim.counted(Nf::Amf, "amf.paging.started"), 0);
        assert_eq!(n4.half(0).action, Some(ApplyAction::DROP));
        ue.wake(&mut session).await.expect("awake");
        sim.settle().await;
        assert_eq!(n4.half(0).action, Some(ApplyAction::FORW));
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// The scenarios of `tern sim run` that need no user plane.
#[test]
fn every_scenario_without_user_plane_passes_in_simulation() {
    let mut setup = Setup::new(1, 3).ipv6();
    setup.subscribers[2].authentication.method = tern_udr::Method::EapAkaPrime;
    setup.amf.timers.t3512_s = 60;
    setup.ran.inactivity_s = Some(5);
    simulate(setup, async |sim| {
        let names = [
            "register",
            "register-eap-aka-prime",
            "pdu-session-ipv6",
            "pdu-session-ipv4v6",
            "idle-wake",
            "periodic-update",
            "rrc-inactive",
            "location-report",
            "handover-xn",
            "handover-n2",
            "handover-n2-indirect",
            "handover-n2-failure",
            "handover-n2-cancel",
            "deregister",
        ]
        .map(String::from);
        let scenarios = scenario::named(&names).expect("names");
        let reports = sim.play(&scenarios).await;
        assert_eq!(reports.len(), names.len());
        for report in reports {
            assert!(report.ok, "{report:#?}");
        }
        sim.assert_nothing_held().await;
    });
}
