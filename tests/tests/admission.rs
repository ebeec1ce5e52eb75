//! More PDU session requests at once than the AMF lets the SMF work on: TS 24.501 §5.4.5.3.1 (#22
//! with a back-off timer), §6.2.7 (T3396).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tern_sbi::{Method, Request};
use tern_sctp::mem::{MemFaults, MemVerdict};
use tokio::task::JoinSet;
use ue_ransim::ue::Ue;

use crate::simulation::{AMF_ADDRESS, Nf, Setup, Simulation, simulate};

/// Establishments that the SMF has begun and the gNB has not answered yet, as they pass on the SBI.
#[derive(Default)]
struct AtTheSmf {
    begun: usize,
    answered: usize,
    most: usize,
}

fn watch(sim: &Simulation) -> Arc<Mutex<AtTheSmf>> {
    let seen = Arc::new(Mutex::new(AtTheSmf::default()));
    let watched = Arc::clone(&seen);
    sim.on_sbi(move |request: &Request| {
        let mut seen = watched.lock().expect("unpoisoned");
        if request.method == Method::Post && request.path.ends_with("/sm-contexts") {
            seen.begun += 1;
        } else if request.path.contains("/sm-contexts/") && request.path.ends_with("/modify") {
            // The first update of each session is the gNB's answer.
            seen.answered += 1;
        }
        seen.most = seen.most.max(seen.begun.saturating_sub(seen.answered));
        None
    });
    seen
}

async fn registered(sim: &mut Simulation, count: u32) -> Vec<Ue> {
    let mut ues = Vec::new();
    for index in 0..count {
        let mut ue = sim.ue(index);
        ue.register().await.expect("registered");
        ues.push(ue);
    }
    ues
}

/// All ask at the same time. Those beyond the queue are told when to come again, and everybody has a
/// session in the end.
#[test]
fn when_many_ask_at_once_then_few_are_at_the_smf_and_all_have_sessions_in_the_end() {
    let mut setup = Setup::new(1, 40);
    setup.amf.limits.sessions_establishing = 4;
    setup.amf.limits.sessions_waiting = 10;
    simulate(setup, async |sim| {
        let ues = registered(sim, 40).await;
        sim.network.sctp.set_faults(MemFaults::delayed(Duration::from_millis(5)));
        let seen = watch(sim);
        let mut tasks = JoinSet::new();
        for mut ue in ues {
            tasks.spawn(async move {
                let session = ue.establish_session_persistently(Default::default(), 10).await;
                session.map(|session| (ue, session)).expect("a session in the end")
            });
        }
        let done = tasks.join_all().await;
        sim.settle().await;
        {
            let seen = seen.lock().expect("unpoisoned");
            assert_eq!((seen.begun, seen.answered, seen.most), (40, 40, 4));
        }
        // 4 begin and 10 wait; of the others none has a session without having been turned away.
        assert!(sim.counted(Nf::Amf, "amf.session.queued") >= 10);
        assert!(sim.counted(Nf::Amf, "amf.session.congestion") >= 26);
        assert_eq!(sim.rig.journal.counted("ue.t3396"), sim.counted(Nf::Amf, "amf.session.congestion"));
        assert_eq!(sim.held().await["AMF sessions"], 40);
        assert_eq!(sim.status(Nf::Amf)["sessionsEstablishing"], 0);
        for (mut ue, _session) in done {
            ue.deregister(false).await.expect("deregistered");
        }
        sim.assert_nothing_held().await;
        sim.assert_conforming();
    });
}

/// TS 24.501 §6.2.7: the UE does not ask before T3396 has expired, though its user would.
#[test]
fn when_a_ue_is_turned_away_then_it_waits_for_t3396() {
    let mut setup = Setup::new(1, 2);
    setup.amf.limits.sessions_establishing = 1;
    setup.amf.limits.sessions_waiting = 0;
    simulate(setup, async |sim| {
        let mut ues = registered(sim, 2).await;
        let (mut other, mut one) = (ues.pop().expect("two"), ues.pop().expect("two"));
        sim.network.sctp.set_faults(MemFaults::delayed(Duration::from_millis(5)));
        let began = tokio::time::Instant::now();
        let (first, refused) = tokio::join!(
            one.establish_session(Default::default()),
            other.establish_session(Default::default())
        );
        first.expect("a session");
        let Err(ue_ransim::SimError::Rejected { cause: 22, back_off: Some(wait), .. }) = refused else {
            panic!("{refused:?}")
        };
        other.establish_session(Default::default()).await.expect("a session");
        assert!(began.elapsed() >= wait, "{:?} of {wait:?}", began.elapsed());
        sim.assert_conforming();
    });
}

/// A UE that the gNB does not reach does not keep others from their sessions.
#[test]
fn when_a_gnb_does_not_answer_then_others_have_their_sessions_soon() {
    let mut setup = Setup::new(1, 3);
    setup.amf.limits.sessions_establishing = 1;
    simulate(setup, async |sim| {
        let mut ues = registered(sim, 3).await;
        let mut silent = ues.remove(0);
        let lost = Arc::new(Mutex::new(false));
        let seen = Arc::clone(&lost);
        sim.on_n2(move |from, _, message| {
            // PDU SESSION RESOURCE SETUP REQUEST: an initiating message of procedure 29.
            let mut lost = seen.lock().expect("unpoisoned");
            if from.ip() != AMF_ADDRESS || !message.data.starts_with(&[0, 29]) || *lost {
                return MemVerdict::Pass;
            }
            *lost = true;
            MemVerdict::Discard
        });
        let asking = tokio::spawn(async move { silent.establish_session(Default::default()).await });
        sim.pass(Duration::from_millis(10)).await;
        assert!(*lost.lock().expect("unpoisoned"));
        let began = tokio::time::Instant::now();
        for ue in &mut ues {
            ue.establish_session(Default::default()).await.expect("a session");
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        // The silent one asks again, and has its session as well.
        asking.await.expect("no panic").expect("a session");
    });
}
