//! What PFCP requests cost.

use anyhow::{Result, ensure};
use tern_figures::place::Pinned;
use tern_figures::turns::timed;
use tern_figures::{Bound, Row, Spread};
use tern_pfcp::*;

use crate::Bench;
use crate::report::Report;
use crate::scene::{Scene, Shape};
use crate::source::{Direction, Trace};

/// Requests of one pass.
const PASS: usize = 10_000;
const PDRS: usize = 4;
/// Thousand establishments a second.
const ESTABLISHMENTS_MUST: f64 = 100.0;
const ESTABLISHMENTS_AIM: f64 = 250.0;

/// Requests in process, with one worker that is told.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let rounds = bench.rounds.min(9);
    let shape = Shape::new(PASS * (rounds + 1), PDRS);
    let mut scene = Scene::new(&shape)?;
    let mut worker = scene.plane.worker(Trace::new(&[], &shape, Direction::Uplink).source(0));
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    let mut established = Vec::new();
    let _pinned = Pinned::to(bench.core)?;
    for round in 0..=rounds {
        let numbers = round * PASS..(round + 1) * PASS;
        let establishments = numbers.clone().map(|number| (0, shape.establishment(number).into()));
        let (rate, answers) = pass(&mut scene, establishments)?;
        rates[0].push(rate);
        worker.turn();
        let seids: Vec<u64> = answers.iter().filter_map(seid_of).collect();
        ensure!(seids.len() == PASS, "{} of {PASS} sessions have an endpoint", seids.len());
        let handovers = seids.iter().zip(numbers).map(|(seid, number)| (*seid, handover(number).into()));
        rates[1].push(pass(&mut scene, handovers)?.0);
        worker.turn();
        established.push(seids);
    }
    for seids in established {
        let deletions = seids.into_iter().map(|seid| (seid, SessionDeletionRequest::default().into()));
        rates[2].push(pass(&mut scene, deletions)?.0);
        worker.turn();
    }
    ensure!(scene.plane.sessions() == 0, "{} sessions are left", scene.plane.sessions());
    let names =
        ["PFCP establishments in process", "PFCP modifications in process", "PFCP deletions in process"];
    for (at, (name, rates)) in names.into_iter().zip(rates).enumerate() {
        let note = "4 PDRs, 2 FARs, 1 QER, 1 URR; one core, with decoding and answer";
        let row = Row::new(name, Spread::of(rates[1..].to_vec()), "thousand/s", note);
        report.row(match at {
            0 => row.goal(Bound::AtLeast(ESTABLISHMENTS_AIM)).must(Bound::AtLeast(ESTABLISHMENTS_MUST)),
            _ => row,
        });
    }
    Ok(())
}

/// A handover: the downlink tunnel ends elsewhere.
pub fn handover(number: usize) -> SessionModificationRequest {
    let header = OuterHeaderCreation::gtpu_v4(number as u32 | 0x8000_0000, [198, 51, 100, 2].into());
    SessionModificationRequest {
        update_far: vec![UpdateFar {
            far_id: FarId(2),
            update_forwarding_parameters: Some(UpdateForwardingParameters {
                outer_header_creation: Some(header),
                ..Default::default()
            }),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn seid_of(answer: &Message) -> Option<u64> {
    match answer {
        Message::SessionEstablishmentResponse(answer) => answer.up_f_seid.map(|f_seid| f_seid.seid),
        _ => None,
    }
}

/// Thousand requests a second, and their answers; the requests are encoded before the clock starts.
fn pass(scene: &mut Scene, requests: impl Iterator<Item = (u64, Message)>) -> Result<(f64, Vec<Message>)> {
    let mut datagrams = Vec::new();
    for (seid, message) in requests {
        datagrams.push(Frame::session(seid, scene.smf.next_sequence(), message).encode()?);
    }
    let ns = timed(|| datagrams.iter().for_each(|datagram| scene.smf.send(&mut scene.plane, datagram)));
    let answers = scene.smf.answered()?;
    ensure!(answers.len() == datagrams.len(), "{} answers to {} requests", answers.len(), datagrams.len());
    Ok((datagrams.len() as f64 / ns * 1e6, answers))
}
