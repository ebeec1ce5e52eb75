//! What a session takes.

use anyhow::{Context as _, Result};
use tern_figures::{Bound, Row, Spread};

use crate::Bench;
use crate::report::Report;
use crate::scene::{Scene, Shape};
use crate::source::{Direction, Trace};

const PDRS: usize = 4;
/// Sessions between two turns of the worker, which is as fast.
const TURN: usize = 1_000;
const MUST: f64 = 768.0;
const AIM: f64 = 512.0;

/// The process before and after all sessions.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let shape = Shape::new(bench.sessions, PDRS);
    let mut scene = Scene::new(&shape)?;
    let mut worker = scene.plane.worker(Trace::new(&[], &shape, Direction::Uplink).source(0));
    scene.ends.reserve_exact(shape.sessions);
    let before = resident()?;
    for first in (0..shape.sessions).step_by(TURN) {
        scene.establish_some(&shape, first..shape.sessions.min(first + TURN))?;
        worker.turn();
    }
    let ends = std::mem::size_of_val(&scene.ends[..]) as f64;
    let octets = (resident()? - before - ends) / shape.sessions as f64;
    let note = format!("{} sessions; PFCP and one worker, 4 PDRs, 2 FARs, 1 QER, 1 URR", shape.sessions);
    let row = Row::new("memory of a session", Spread::of(vec![octets]), "octets", note);
    report.row(row.goal(Bound::AtMost(AIM)).must(Bound::AtMost(MUST)));
    Ok(())
}

/// Octets of this process that are in memory.
fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    Ok(kib.context("no VmRSS")?.trim().parse::<f64>()? * 1024.0)
}
