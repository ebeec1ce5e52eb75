//! PFCP that loses and repeats: TS 29.244 §6.4. What becomes of sessions when UPF or SMF start again is in
//! `restoration.rs`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::simulation::{Setup, simulate};

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
