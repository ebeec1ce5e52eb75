//! Lookups in cold caches: many sessions, a random one each packet.
//!
//! The rules are the same in all sessions, and the packets few: what is cold is the sets, not the keys,
//! as in a user plane function, which has just read the packet.

use std::ops::Range;

use anyhow::{Result, ensure};
use pdr_classifier::generate::{Family, Hits, Rng, Shape, rules, trace};
use pdr_classifier::{Key, PdrId};

use tern_figures::{Row, Spread};

use super::{at_most, compared, find};
use crate::Bench;
use crate::goals::COLD;
use crate::report::Report;
use crate::scene::{SEED, compiled};
use crate::subjects::{ALL, Filling, HYBRID, Implementation, LIST, SORT, Sessions, VECTOR};
use crate::turns::{Arm, Series, in_turn};

/// Packets before the random sessions repeat.
const PACKETS: usize = 1 << 16;
/// Different keys among them.
const KEYS: usize = 512;
/// Packets of one session in a burst, for the batch interface.
const BURST: usize = 8;

pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    scene(bench, report, Shape::OneTuple, "20 fields", Filling::SessionBySession)?;
    scene(bench, report, Shape::OneTuple, "20 fields", Filling::RuleByRule)?;
    scene(bench, report, Shape::Firewall, "firewall", Filling::SessionBySession)
}

/// All classifiers, one set for each session, filled in this order.
fn scene(bench: &Bench, report: &mut Report, shape: Shape, name: &str, filling: Filling) -> Result<()> {
    let how = match filling {
        Filling::SessionBySession => "filled session by session",
        Filling::RuleByRule => "filled rule by rule (nodes scattered)",
    };
    let first = shape == Shape::OneTuple && filling == Filling::SessionBySession;
    let rules = compiled(&rules(shape, Family::V4, COLD.rules, SEED))?;
    let hits = trace(&rules, Hits::LastHalf, KEYS, SEED);
    let keys: Vec<Key> = hits.iter().copied().cycle().take(PACKETS).collect();
    let mut rng = Rng::new(SEED);
    let order: Vec<u32> = (0..PACKETS).map(|_| rng.below(bench.sessions as u64) as u32).collect();
    let mut subjects = Vec::new();
    for one in ALL.iter().filter(|one| filling == Filling::SessionBySession || one.one_by_one) {
        let before = resident_kib()?;
        let sessions = (one.sessions)(&rules, bench.sessions, filling)?;
        // Later scenes use what the first has given back.
        if first {
            let kib = resident_kib()?.saturating_sub(before) as f64 / bench.sessions as f64;
            report.row(memory(one.name, kib));
        }
        subjects.push((one, sessions));
    }
    check(&subjects, &order, &keys)?;
    let set = format!("cold, {name}, {} sessions, {how}", bench.sessions);
    let mut arms: Vec<Arm<'_>> =
        subjects.iter().map(|(one, sessions)| arm(one, &**sessions, &order, &keys, 1)).collect();
    let series = in_turn(&set, &mut arms, bench.rounds, bench.pass);
    drop(arms);
    let mut arms: Vec<Arm<'_>> =
        subjects.iter().map(|(one, sessions)| arm(one, &**sessions, &order, &keys, BURST)).collect();
    let set = format!("{set}, bursts of {BURST}");
    let bursts = in_turn(&set, &mut arms, bench.rounds, bench.pass);
    let a_packet = |ns: &f64| ns / BURST as f64;
    let bursts: Vec<Series> = bursts
        .iter()
        .map(|one| Series::new(&set, &one.arm, one.rules, one.round_ns.iter().map(a_packet).collect()))
        .collect();
    rows(report, &series, &format!("cold, {name}, {how}"), shape == Shape::OneTuple)?;
    rows(report, &bursts, &format!("cold, {name}, {how}, bursts of {BURST} in a batch"), false)?;
    report.series.extend(series);
    report.series.extend(bursts);
    Ok(())
}

fn memory(name: &str, kib: f64) -> Row {
    Row::new(
        format!("memory of a session of {} rules, 20 fields: {name}", COLD.rules),
        Spread::of(vec![kib]),
        "KiB",
        "from the process's resident memory",
    )
}

fn rows(report: &mut Report, series: &[Series], what: &str, goal: bool) -> Result<()> {
    for arm in [HYBRID, SORT] {
        for base in [LIST, VECTOR] {
            let (over, under) = (find(series, arm, COLD.rules)?, find(series, base, COLD.rules)?);
            let row = compared(format!("{what}: {arm} ÷ {base}"), over, under);
            report.row(if goal && base == LIST { at_most(row, COLD) } else { row });
        }
    }
    Ok(())
}

type Subjects = [(&'static Implementation, Box<dyn Sessions>)];

/// Bursts of so many packets, a session for each and an item; of several packets in one call.
fn arm<'a>(
    one: &'a Implementation,
    sessions: &'a dyn Sessions,
    order: &'a [u32],
    keys: &'a [Key],
    burst: usize,
) -> Arm<'a> {
    let mut verdicts: Vec<Option<PdrId>> = vec![None; PACKETS];
    let work = move |items: Range<usize>| {
        let packets = items.start * burst..items.end * burst;
        let (order, keys, verdicts) = (&order[items], &keys[packets.clone()], &mut verdicts[packets]);
        match burst {
            1 => sessions.one_by_one(order, keys, verdicts),
            _ => sessions.batches(order, keys, verdicts),
        }
    };
    Arm { name: one.name, rules: COLD.rules, items: PACKETS / burst, work: Box::new(work) }
}

/// All give the same answers.
fn check(subjects: &Subjects, order: &[u32], keys: &[Key]) -> Result<()> {
    let mut expected: Option<Vec<Option<PdrId>>> = None;
    for (one, sessions) in subjects {
        let mut verdicts = vec![None; keys.len()];
        sessions.one_by_one(order, keys, &mut verdicts);
        let expected = expected.get_or_insert_with(|| verdicts.clone());
        ensure!(verdicts == *expected, "{}: other answers than {}", one.name, ALL[0].name);
    }
    Ok(())
}

/// Memory of this process.
fn resident_kib() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default())
}
