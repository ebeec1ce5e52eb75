//! The user plane with its interfaces on ports of DPDK, in one process.

use anyhow::Result;
use tern_figures::{Bound, Row, Spread, ratio};

use crate::Bench;
use crate::child::{Child, Role};
use crate::frames::{LONG, SHORT};
use crate::ports::{Ask, CHANGES, Found};
use crate::report::Report;

/// Million packets a second of one core, at so many sessions: what must be, and the aim.
const RATES: [(usize, f64, f64); 2] = [(10_000, 20.0, 30.0), (1_000_000, 7.0, 12.0)];
/// Two workers ÷ one.
const TWO_MUST: f64 = 1.8;
const TWO_AIM: f64 = 1.95;
/// Throughput with changes of rules ÷ without.
const CHANGES_MUST: f64 = 0.9;
const CHANGES_AIM: f64 = 0.95;

/// What is asked of the process that measures.
fn ask(bench: &Bench, sessions: usize) -> Ask {
    Ask {
        sessions,
        rounds: bench.rounds,
        core: bench.core,
        other: bench.cores.first().copied().unwrap_or_default(),
        all: sessions == RATES[0].0,
    }
}

fn found(role: &Role) -> Result<Found> {
    Child::start(&[], role)?.hear()
}

/// By sessions, on null devices and rings.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    for (sessions, must, aim) in RATES.into_iter().filter(|(sessions, ..)| *sessions <= bench.sessions) {
        let found = found(&Role::Ports(ask(bench, sessions)))?;
        for direction in ["uplink", "downlink", "both"] {
            null_rows(report, &found, sessions, direction, (must, aim))?;
        }
        for direction in ["uplink", "downlink", "both"] {
            let rates = found.arm(&format!("ring, {direction}"))?;
            let note = "frames that another core writes, by rings; wall clock";
            let what = format!("net_ring, {direction}, {sessions} sessions, one core");
            let row = Row::new(what, Spread::of(rates.to_vec()), "Mpps", note);
            report.row(row.goal(Bound::AtLeast(aim)).must(Bound::AtLeast(must)));
        }
        let copying = Spread::of(found.arm("ring, copying")?.to_vec());
        let note = "a loop in the UPF's place that copies each frame once; what the generator gives at most";
        report.row(Row::new(
            format!("net_ring, copying loop, beside {sessions} sessions"),
            copying,
            "Mpps",
            note,
        ));
        if found.arm("changes").is_ok() {
            more_rows(report, &found)?;
        }
    }
    Ok(())
}

fn null_rows(
    report: &mut Report,
    found: &Found,
    sessions: usize,
    direction: &str,
    (must, aim): (f64, f64),
) -> Result<()> {
    let ns = found.arm(&format!("null, {direction}"))?;
    let writing = |direction: &str| Ok::<f64, anyhow::Error>(Spread::of(found.arm(direction)?.to_vec()).p50);
    let writing = match direction {
        "both" => (writing("writing, uplink")? + writing("writing, downlink")?) / 2.0,
        one => writing(&format!("writing, {one}"))?,
    };
    let p50 = Spread::of(ns.to_vec()).p50;
    let pages = if found.huge_pages { "huge pages" } else { "4 KiB pages" };
    let note = format!(
        "{p50:.1} ns, {:.0} cycles a packet, of which {writing:.1} ns write the frame; 8 PDRs, QER, URR; {pages}",
        p50 * found.ghz
    );
    let rates = Spread::of(ns.iter().map(|ns| 1e3 / ns).collect());
    let what = format!("net_null, {direction}, {sessions} sessions, one core");
    let row = Row::new(what, rates, "Mpps", note);
    report.row(row.goal(Bound::AtLeast(aim)).must(Bound::AtLeast(must)));
    Ok(())
}

/// What does not depend on the number of sessions.
fn more_rows(report: &mut Report, found: &Found) -> Result<()> {
    for octets in [SHORT, LONG] {
        let with = found.arm(&format!("{octets} octets, copied"))?;
        let without = found.arm(&format!("{octets} octets, not copied"))?;
        let cycles = |ns: &[f64]| -> Vec<f64> { ns.iter().map(|ns| ns * found.ghz).collect() };
        let moving = Spread::of(cycles(without)).p50;
        let added: Vec<f64> =
            cycles(with).iter().zip(cycles(without)).map(|(with, without)| with - without).collect();
        let note = format!(
            "what copies to a buffer of one's own and back would add; sent in the buffer that it came in, a frame takes \
             {moving:.0}"
        );
        report.row(Row::new(format!("copies, {octets} octets"), Spread::of(added), "cycles", note));
    }
    for direction in ["uplink", "downlink"] {
        let cycles =
            |arm: &str| -> Result<Vec<f64>> { Ok(found.arm(arm)?.iter().map(|ns| ns * found.ghz).collect()) };
        let (long, short) =
            (cycles(&format!("null, long, {direction}"))?, cycles(&format!("null, {direction}"))?);
        let note = format!("10,000 sessions; {:.0} cycles with {SHORT} octets", Spread::of(short).p50);
        let what = format!("net_null, {direction}, user packets of {LONG} octets");
        report.row(Row::new(what, Spread::of(long), "cycles", note));
    }
    let note = format!(
        "{:.0} changes a second were made of {CHANGES:.0} asked for, by the PFCP core on the other core; both directions, \
         10,000 sessions",
        found.changes
    );
    // Throughput is the inverse of time.
    let kept = ratio(found.arm("no changes")?, found.arm("changes")?);
    let row = Row::ratio("throughput with PFCP modifications ÷ without", kept, note);
    report.row(row.goal(Bound::AtLeast(CHANGES_AIM)).must(Bound::AtLeast(CHANGES_MUST)));
    Ok(())
}

/// Two workers beside one.
pub fn workers(bench: &Bench, report: &mut Report) -> Result<()> {
    let found = found(&Role::Pair(ask(bench, RATES[0].0)))?;
    let rate = |arm: &str| Ok::<f64, anyhow::Error>(Spread::of(found.arm(arm)?.to_vec()).p50);
    let two = ratio(found.arm("two")?, found.arm("one")?);
    let note = format!(
        "{:.1} Mpps with one, {:.1} with two, net_null, both directions, 10,000 sessions, each worker its own; processor \
         time of two cores, on which this machine's other processes run too",
        rate("one")?,
        rate("two")?
    );
    let row = Row::ratio("two workers ÷ one", two, note);
    report.row(row.goal(Bound::AtLeast(TWO_AIM)).must(Bound::AtLeast(TWO_MUST)));
    let loops = ratio(found.arm("two, null loop")?, found.arm("one, null loop")?);
    let note = format!("what these cores give: {:.0} Mpps with one", rate("one, null loop")?);
    report.row(Row::ratio("two loops that only move frames ÷ one", loops, note));
    Ok(())
}
