//! PFCP that loses and repeats, and user plane functions that come and go: TS 29.244 §6.4, §6.2.2,
//! §6.2.6, TS 23.527 §4.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tern_types::PduSessionId;
use ue_ransim::ue::SessionRequest;

use crate::simulation::{Nf, Setup, simulate};

/// TS 29.244 §6.4: each PFCP message, and each answer, is lost once: T1 repeats the request, and a
/// request that comes again is answered again, not executed.
#[test]
fn when_a_pfcp_message_is_lost_then_it_is_repeated() {
    for number in 0.. {
        let lost = simulate(Setup::new(number, 1), async |sim| {
            let lost = Arc::new(Mutex::new(false));
            let (told, mut seen) = (Arc::clone(&lost), 0);
            sim.on_datagram(move |_, _, data| {
                // Session messages have types of 50 and more (TS 29.244 Table 7.3-1).
                if data.get(1).is_none_or(|kind| *kind < 50) {
                    return true;
                }
                seen += 1;
                let passes = seen - 1 != number;
                *told.lock().expect("unpoisoned") |= !passes;
                passes
            });
            let mut ue = sim.ue(0);
            ue.register().await.expect("registered");
            let session = ue.establish_session(Default::default()).await.expect("a session");
            sim.settle().await;
            assert_eq!(sim.held().await["UPF sessions"], 1);
            ue.release_session(session.psi).await.expect("released");
            ue.deregister(false).await.expect("deregistered");
            sim.pass(Duration::from_secs(5)).await;
            sim.assert_nothing_held().await;
            sim.assert_conforming();
            *lost.lock().expect("unpoisoned")
        });
        if !lost.value {
            assert!(number >= 6, "establishment, modification and deletion with their answers");
            return;
        }
    }
}

/// A user plane that answers nothing: the UE is told #26 or #69 (TS 24.501 §6.4.1.4.1), and nothing
/// stays.
#[test]
fn when_the_upf_answers_nothing_then_the_session_is_refused() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        sim.on_datagram(|_, _, data| data.get(1).is_none_or(|kind| *kind < 50));
        let refused = ue.establish_session(Default::default()).await;
        assert!(refused.is_err(), "{refused:?}");
        sim.on_datagram(|_, _, _| true);
        let _ = ue.idle(Duration::from_secs(60)).await;
        ue.establish_session(Default::default()).await.expect("a session");
        ue.deregister(false).await.expect("deregistered");
        sim.pass(Duration::from_secs(30)).await;
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 23.527 §4.2: a UPF whose recovery time stamp has changed has lost its sessions.
#[test]
fn when_the_upf_restarts_then_its_sessions_are_released_and_new_ones_work() {
    simulate(Setup::new(1, 2), async |sim| {
        let (mut ue, mut idle) = (sim.ue(0), sim.ue(1));
        for ue in [&mut ue, &mut idle] {
            ue.register().await.expect("registered");
            ue.establish_session(Default::default()).await.expect("a session");
        }
        idle.go_idle().await.expect("idle");
        // A recovery time stamp counts in seconds.
        sim.settle().await;
        sim.restart(Nf::Upf).await;
        // The next heartbeat shows it; the UE answers the release.
        ue.idle(Duration::from_secs(90)).await.expect("idle");
        let held = sim.held().await;
        assert!(!held.contains_key("UPF sessions"), "{held:?}");
        assert_eq!(ue.sessions().count(), 0, "the UE was told: {held:?}");
        for ue in [&mut ue, &mut idle] {
            ue.establish_session(Default::default()).await.expect("a session");
        }
        sim.settle().await;
        assert_eq!(sim.held().await["UPF sessions"], 2);
        for ue in [&mut ue, &mut idle] {
            ue.deregister(false).await.expect("deregistered");
        }
        sim.pass(Duration::from_secs(60)).await;
        sim.assert_nothing_held().await;
    });
}

/// An SMF that has died knows none of its sessions; the UPF lets them go when it associates anew
/// (TS 29.244 §6.2.6.2.2), and the UE gets another one.
#[test]
fn when_the_smf_restarts_then_the_ue_gets_another_session() {
    simulate(Setup::new(1, 1), async |sim| {
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let session = ue.establish_session(Default::default()).await.expect("a session");
        sim.settle().await;
        sim.restart(Nf::Smf).await;
        let _ = ue.idle(Duration::from_secs(90)).await;
        assert!(!sim.held().await.contains_key("UPF sessions"));
        // The UE believes in its session; the network does not.
        let psi = PduSessionId::new(session.psi);
        let request = SessionRequest { psi, ..SessionRequest::default() };
        ue.establish_session(request).await.expect("a session");
        ue.deregister(false).await.expect("deregistered");
        sim.pass(Duration::from_secs(60)).await;
        sim.assert_nothing_held().await;
    });
}
