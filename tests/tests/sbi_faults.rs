//! Each service request of a UE's life fails once, in each way: the UE is told what the
//! specification allows, and nothing of it stays in any network function. TS 29.500 §6.10,
//! TS 23.502 §4.2.2.2.2.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tern_sbi_transport::Fault;
use ue_ransim::SimError;
use ue_ransim::ue::Ue;

use crate::outcome::is_allowed;
use crate::simulation::{Setup, Simulation, simulate};

/// Requests between network functions that are none of a UE's.
const UPKEEP: [&str; 2] = ["/nnrf-nfm/", "/tern/"];

/// The `number`-th request of the UE's life fails so; the path of the one that did.
fn fail(sim: &Simulation, number: usize, fault: Fault) -> Arc<Mutex<Option<String>>> {
    let failed = Arc::new(Mutex::new(None));
    let (told, mut seen) = (Arc::clone(&failed), 0);
    sim.on_sbi(move |request| {
        if UPKEEP.iter().any(|path| request.path.starts_with(path)) {
            return None;
        }
        seen += 1;
        if seen - 1 != number {
            return None;
        }
        *told.lock().expect("unpoisoned") = Some(format!("{:?} {}", request.method, request.path));
        Some(fault)
    });
    failed
}

async fn life(ue: &mut Ue) -> Result<(), SimError> {
    ue.register().await?;
    let session = ue.establish_session(Default::default()).await?;
    ue.go_idle().await?;
    ue.service_request(&[session.psi]).await?;
    ue.establish_session(Default::default()).await?;
    ue.release_session(session.psi).await?;
    ue.deregister(false).await
}

/// Runs the life with one fault after the other until it has none left; how many there were.
fn each_request_fails(fault: Fault) -> usize {
    for number in 0.. {
        let outcome = simulate(Setup::new(number as u64, 1), async |sim| {
            let mut ue = sim.ue(0);
            let failed = fail(sim, number, fault);
            let lived = life(&mut ue).await;
            let failed = failed.lock().expect("unpoisoned").clone();
            let what = failed.clone().unwrap_or_default();
            assert!(is_allowed(&lived), "{fault:?} of {what}: {lived:?}");
            sim.on_sbi(|_| None);
            // Whatever waits runs into its time limit; then the UE has another life, without faults.
            sim.pass(Duration::from_secs(60)).await;
            ue.lose_radio();
            let again = life(&mut ue).await;
            assert!(again.is_ok(), "after {fault:?} of {what} ({lived:?}): {again:?}");
            sim.settle().await;
            let held = sim.held().await;
            assert!(held.is_empty(), "after {fault:?} of {what} ({lived:?}): {held:?}");
            failed.is_some()
        });
        if !outcome.value {
            return number;
        }
    }
    unreachable!("a life has an end")
}

#[test]
fn when_a_request_is_lost_then_the_ue_is_told_and_nothing_stays() {
    assert!(each_request_fails(Fault::DropRequest) > 30);
}

#[test]
fn when_a_reply_is_lost_then_the_ue_is_told_and_nothing_stays() {
    assert!(each_request_fails(Fault::DropReply) > 30);
}

#[test]
fn when_a_producer_fails_then_the_ue_is_told_and_nothing_stays() {
    assert!(each_request_fails(Fault::Answer(500)) > 30);
}

#[test]
fn when_a_producer_is_overloaded_then_the_ue_is_told_and_nothing_stays() {
    assert!(each_request_fails(Fault::Answer(503)) > 30);
}

#[test]
fn when_a_connection_is_refused_then_the_ue_is_told_and_nothing_stays() {
    assert!(each_request_fails(Fault::Refuse) > 30);
}

#[test]
fn when_a_request_is_late_then_the_ue_is_told_and_nothing_stays() {
    assert!(each_request_fails(Fault::Delay(Duration::from_secs(2))) > 30);
}
