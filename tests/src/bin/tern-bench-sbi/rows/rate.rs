//! CPU time at 1,000 calls a second: ends that never sleep against ends that wait for events. By
//! blocking calls, where the polling consumer sleeps between two calls all the same; and by tern's
//! transport on tokio, as network functions run it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tern_figures::{Bound, Row, place::Pinned, ratio};
use tern_tests::bench::cpu;

use crate::Bench;
use crate::message::{self, Consumer, Kind, Way};
use crate::peer::Node;
use crate::place::Placement;
use crate::report::Report;
use crate::serve::waiting;

use super::message::start;

/// Between two calls.
const PAUSE: Duration = Duration::from_millis(1);
/// A round.
const ROUND: Duration = Duration::from_secs(2);
const ROUNDS_MAX: u32 = 3;
/// Below this share of the calls the rate was not what it should be.
const CALLS_MIN: f64 = 0.8;

pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let Some(&placement) = Placement::all(&bench.cores).last() else { return Ok(()) };
    let _pinned = Pinned::to(placement.client(&bench.cores))?;
    for (way, name) in [(Way::TypedShm, "blocking"), (Way::TernShm, "tern's transport on tokio")] {
        let (mut polling, mut driven) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds.min(ROUNDS_MAX) {
            polling.push(share(bench, placement, way, true)?);
            driven.push(share(bench, placement, way, false)?);
        }
        let mean = |shares: &[f64]| 100.0 * shares.iter().sum::<f64>() / shares.len() as f64;
        let note = format!(
            "{}, {name}; {:.1} % ÷ {:.2} % of a core, both ends",
            placement.name(),
            mean(&polling),
            mean(&driven)
        );
        let row =
            Row::ratio("CPU at 1,000 calls/s: busy polling ÷ event-driven", ratio(&polling, &driven), note);
        report.row(row.goal(Bound::AtLeast(10.0)).must(Bound::AtLeast(10.0)));
    }
    Ok(())
}

/// CPU time of both ends in a second of calls. A producer that polls lives no longer than its round.
fn share(bench: &Bench, placement: Placement, way: Way, poll: bool) -> Result<f64> {
    bench.stop.check()?;
    let core = placement.server(&bench.cores);
    let node = Node::start(core, &[])?;
    let peer = start(core, Kind::Vector, way, &node.socket, poll)?;
    let consumer = Consumer { at: peer.at, socket: &node.socket, waiting: waiting(poll), pace: Some(PAUSE) };
    let mut client = message::client(Kind::Vector, way, consumer)?;
    let mut times = Vec::new();
    client.run(Instant::now() + ROUND / 10, &mut times)?;
    times.clear();
    let used = || anyhow::Ok(cpu::of_self() + cpu::of_process(peer.id())?);
    let (before, started) = (used()?, Instant::now());
    client.run(started + ROUND, &mut times)?;
    let (used, elapsed) = (used()?.saturating_sub(before), started.elapsed());
    let expected = elapsed.as_secs_f64() / PAUSE.as_secs_f64();
    // Fewer calls would flatter the end that pays by the call; polling costs the same without any.
    ensure!(poll || times.len() as f64 > CALLS_MIN * expected, "{} calls in {elapsed:?}", times.len());
    Ok(used.as_secs_f64() / elapsed.as_secs_f64())
}
