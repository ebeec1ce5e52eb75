//! More UEs than there is room for, and UEs that flood: TS 24.501 §5.5.1.2.5 (#22, T3346), §5.3.9.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tern_ngap::ngap::RRCEstablishmentCause;
use tern_sbi_transport::Fault;
use tokio::task::JoinSet;
use tokio::time::Instant;
use ue_ransim::SimError;
use ue_ransim::ue::{Fate, Way};

use crate::simulation::{Downlink, Nf, Setup, simulate};

/// Beyond the limit of registrations at once UEs are told to stay away for a while, and all are
/// served in the end.
#[test]
fn when_too_many_register_at_once_then_some_back_off_and_all_register_in_the_end() {
    let mut setup = Setup::new(1, 60);
    setup.amf.limits.registrations = 10;
    simulate(setup, async |sim| {
        sim.network.sctp.set_faults(tern_sctp::mem::MemFaults::delayed(Duration::from_millis(5)));
        let mut tasks = JoinSet::new();
        for index in 0..60 {
            let mut ue = sim.ue(index);
            tasks.spawn(async move {
                let first = ue.register().await;
                if let Err(SimError::Rejected { cause: 22, back_off, .. }) = &first {
                    // TS 24.501 §5.5.1.2.5: T3346 is told.
                    let wait = back_off.expect("T3346");
                    tokio::time::sleep(wait).await;
                    ue.register_persistently(10).await.expect("registered in the end");
                    return true;
                }
                first.expect("registered");
                false
            });
        }
        let mut backed_off = 0;
        while let Some(done) = tasks.join_next().await {
            backed_off += u32::from(done.expect("no panic"));
        }
        sim.settle().await;
        assert!(backed_off >= 40, "{backed_off}");
        assert!(sim.counted(Nf::Amf, "amf.gmm.congestion") >= 40);
        assert_eq!(sim.held().await["AMF registered"], 60);
        sim.assert_conforming();
    });
}

/// Each message begins a registration that nobody goes on with: what the AMF holds is bounded, others
/// are served when T3560 has ended the first, and nothing stays.
#[test]
fn when_a_ue_floods_registrations_then_what_is_held_is_bounded() {
    let mut setup = Setup::new(1, 2);
    setup.amf.limits.registrations = 50;
    simulate(setup, async |sim| {
        let mut ue = sim.ue(0);
        let request = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&request);
        ue.set_radio(move |way, octets| {
            if way == Way::Up {
                keep.lock().expect("unpoisoned").get_or_insert(octets.to_vec());
            }
            Fate::Lost
        });
        assert!(ue.register().await.is_err());
        let request = request.lock().expect("unpoisoned").clone().expect("a request");
        let gnb = sim.rig.gnbs[0].clone();
        let mut links = Vec::new();
        for _ in 0..2000 {
            // As an answer to a page, which no gNB turns away for the AMF.
            let link = gnb.open(request.clone().into(), None, RRCEstablishmentCause::mt_Access).await;
            links.push(link.expect("opened"));
            sim.pass(Duration::from_millis(1)).await;
        }
        let contexts = sim.status(Nf::Amf)["ues"].as_u64().expect("a number");
        assert!(contexts <= 50, "{contexts}");
        assert!(sim.counted(Nf::Amf, "amf.gmm.congestion") >= 1900);
        sim.pass(Duration::from_secs(40)).await;
        let mut other = sim.ue(1);
        other.register().await.expect("another is served");
        other.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
    });
}

/// The AUSF and the SMF have limits of their own.
#[test]
fn when_the_ausf_is_full_then_the_ue_backs_off() {
    let mut setup = Setup::new(1, 2);
    setup.ausf.authentications_max = 1;
    simulate(setup, async |sim| {
        let (mut one, mut other) = (sim.ue(0), sim.ue(1));
        one.register().await.expect("registered");
        let refused = other.register().await;
        assert!(
            matches!(refused, Err(SimError::Rejected { cause: 22, back_off: Some(_), .. })),
            "{refused:?}"
        );
        sim.pass(Duration::from_secs(70)).await;
        other.register().await.expect("registered");
        one.deregister(false).await.expect("deregistered");
        other.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §5.5.2.3.2: who is deregistered with #22 for one with priority stays away while T3346 runs.
#[test]
fn when_one_with_priority_needs_the_room_of_another_then_that_one_stays_away_for_t3346() {
    let mut setup = Setup::new(1, 2);
    setup.amf.limits.ues = 1;
    setup.amf.overload.room_for_priority = true;
    simulate(setup, async |sim| {
        let (mut one, mut urgent) = (sim.ue(0), sim.ue(1));
        one.register().await.expect("registered");
        one.establish_session(Default::default()).await.expect("a session");
        urgent.set_establishment_cause(RRCEstablishmentCause::highPriorityAccess);
        urgent.register().await.expect("registered");
        one.idle(Duration::from_secs(5)).await.expect("deregistered");
        assert!(!one.is_registered() && one.sessions().count() == 0);
        assert_eq!(sim.counted(Nf::Amf, "amf.gmm.congestion_deregistered"), 1);
        let told = one.t3346().expect("T3346");
        assert!(told >= Duration::from_secs(11), "{told:?}");
        urgent.deregister(false).await.expect("deregistered");
        let began = Instant::now();
        one.register().await.expect("registered");
        assert!(began.elapsed() >= told, "{:?}", began.elapsed());
        one.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 38.413 §8.7.7, §8.7.8: a gNB turns half of the UEs away that want to signal, and takes all of them
/// again once the AMF says so; UEs that are let in do not notice.
#[test]
fn when_the_amf_is_overloaded_then_gnbs_turn_ues_away_until_it_is_not() {
    let mut setup = Setup::new(4, 60).gnbs(2);
    setup.amf.limits.registrations = 30;
    simulate(setup, async |sim| {
        sim.network.sctp.set_faults(tern_sctp::mem::MemFaults::delayed(Duration::from_millis(5)));
        // So that more than the 24 of the threshold are under way, and never the 30 of the limit.
        sim.on_sbi(|request| {
            let challenge = request.path == "/nausf-auth/v1/ue-authentications";
            challenge.then_some(Fault::Delay(Duration::from_millis(100)))
        });
        let mut tasks = JoinSet::new();
        for index in 0..60 {
            let mut ue = sim.ue(index);
            tasks.spawn(async move {
                tokio::time::sleep(Duration::from_millis(4 * u64::from(index))).await;
                ue.register_persistently(20).await
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("no panic").expect("registered in the end");
        }
        sim.settle().await;
        let counted = |name| sim.rig.journal.counted(name);
        assert!(counted("gnb.rrc_reject") >= 5, "{}", counted("gnb.rrc_reject"));
        assert!(counted("gnb.overload_start") >= 2 && counted("gnb.overload_stop") >= 2);
        assert_eq!(sim.counted(Nf::Amf, "amf.gmm.congestion"), 0, "what the gNBs let through had room");
        assert_eq!(sim.held().await["AMF registered"], 60);
        sim.assert_conforming();
    });
}

/// TS 24.501 §5.3.9, §5.5.1.2.5: the UE keeps away by itself as long as T3346 runs, whatever is asked of it.
#[test]
fn when_a_ue_is_turned_away_then_it_keeps_away_until_t3346_expires() {
    let mut setup = Setup::new(6, 2);
    setup.ausf.authentications_max = 1;
    simulate(setup, async |sim| {
        let (mut one, mut other) = (sim.ue(0), sim.ue(1));
        one.register().await.expect("registered");
        let refused = other.register().await;
        let Err(SimError::Rejected { cause: 22, back_off: Some(wait), .. }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(other.t3346(), Some(wait));
        let (messages, began) = (sim.counted(Nf::Amf, "amf.ngap.initial_ue_message"), Instant::now());
        let trying = tokio::spawn(async move { (other.register().await, other) });
        sim.pass(wait - Duration::from_secs(1)).await;
        assert_eq!(sim.counted(Nf::Amf, "amf.ngap.initial_ue_message"), messages);
        let (_, mut other) = trying.await.expect("no panic");
        assert!(began.elapsed() >= wait);
        assert_eq!(sim.rig.journal.counted("ue.t3346_waited"), 1);
        sim.pass(Duration::from_secs(70)).await;
        other.register().await.expect("registered");
        assert_eq!(other.t3346(), None);
        one.deregister(false).await.expect("deregistered");
        other.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §5.3.9, §5.6.1.5, §5.6.2.2: T3346 of a SERVICE REJECT, which a page stops.
#[test]
fn when_service_is_refused_for_congestion_then_the_ue_waits_but_for_a_page() {
    let mut setup = Setup::new(7, 1);
    setup.amf.limits.services = 0;
    simulate(setup, async |sim| {
        let mut n4 = Downlink::watch(sim).await;
        let mut ue = sim.ue(0);
        ue.register().await.expect("registered");
        let mut session = ue.establish_session(Default::default()).await.expect("a session");
        ue.go_idle().await.expect("idle");
        sim.settle().await;
        let refused = ue.wake(&mut session).await;
        assert!(
            matches!(refused, Err(SimError::Rejected { cause: 22, back_off: Some(_), .. })),
            "{refused:?}"
        );
        assert!(ue.is_registered() && ue.t3346().is_some());
        ue.idle(Duration::from_secs(1)).await.expect("released");
        let began = Instant::now();
        n4.packet_waits(0).await;
        ue.await_page(Duration::from_secs(5)).await.expect("paged");
        ue.resume(&mut session).await.expect("resources");
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!(ue.t3346(), None);
        ue.idle(Duration::from_secs(1)).await.expect("connected");
        ue.deregister(false).await.expect("deregistered");
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §5.3.9: who comes with priority is not turned away with the others.
#[test]
fn when_a_ue_has_priority_then_congestion_does_not_concern_it() {
    let mut setup = Setup::new(5, 1);
    setup.amf.limits.registrations = 1;
    simulate(setup, async |sim| {
        let gnb = sim.rig.gnbs[0].clone();
        let request = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&request);
        let mut ue = sim.ue(0);
        ue.set_radio(move |way, octets| {
            if way == Way::Up {
                keep.lock().expect("unpoisoned").get_or_insert(octets.to_vec());
            }
            Fate::Lost
        });
        assert!(ue.register().await.is_err());
        let request = request.lock().expect("unpoisoned").clone().expect("a request");
        let mut links = Vec::new();
        for why in [RRCEstablishmentCause::mt_Access, RRCEstablishmentCause::mt_Access] {
            links.push(gnb.open(request.clone().into(), None, why).await.expect("opened"));
            sim.pass(Duration::from_millis(50)).await;
        }
        assert_eq!(sim.counted(Nf::Amf, "amf.gmm.congestion"), 1);
        links.push(
            gnb.open(request.into(), None, RRCEstablishmentCause::highPriorityAccess).await.expect("opened"),
        );
        sim.pass(Duration::from_millis(50)).await;
        assert_eq!(sim.counted(Nf::Amf, "amf.gmm.congestion"), 1);
        assert_eq!(sim.counted(Nf::Ausf, "ausf.challenges"), 2);
    });
}
