//! Single inserts and removes, and the published mean of 50 updates.

use std::time::Instant;

use anyhow::{Result, ensure};
use pdr_classifier::generate::{Family, Rng, Shape, rules};
use pdr_classifier::{PdrId, Rule};
use tern_figures::turns::timed;
use tern_figures::{Row, Spread};

use super::at_most;
use crate::Bench;
use crate::goals::{Goal, PUBLISHED_UPDATE_US, UPDATE_P50_NS, UPDATE_P99_NS, UPDATE_RULES};
use crate::report::Report;
use crate::scene::{SEED, compiled};
use crate::subjects::{ALL, HYBRID, SORT, Subject};
use crate::turns::Series;

/// Updates of a set in one round.
const UPDATES: usize = 200;
/// Updates of the published experiment, and rules of its set.
const PUBLISHED_UPDATES: usize = 50;
const PUBLISHED_RULES: usize = 100;
/// Times that the clock is read to learn what it costs.
const CLOCK_READINGS: usize = 20_000;

pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let clock_ns = clock_ns();
    println!("  reading the clock takes {clock_ns:.0} ns, which is taken off each update");
    for (shape, name) in [(Shape::OneTuple, "20 fields"), (Shape::Firewall, "firewall")] {
        for count in UPDATE_RULES {
            single(bench, report, shape, name, count, clock_ns)?;
        }
    }
    mean_of_50(bench, report)
}

/// Nanoseconds between two readings of the clock, the median.
fn clock_ns() -> f64 {
    let reading = || {
        let before = Instant::now();
        before.elapsed().as_nanos() as f64
    };
    Spread::of((0..CLOCK_READINGS).map(|_| reading()).collect()).p50
}

/// The times of single updates, in nanoseconds.
#[derive(Default)]
struct Times {
    insert: Vec<f64>,
    remove: Vec<f64>,
}

/// By rounds: median and 99th percentile.
#[derive(Default)]
struct Rounds {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, times: Vec<f64>) {
        let spread = Spread::of(times);
        self.p50.push(spread.p50);
        self.p99.push(spread.p99);
    }
}

fn single(
    bench: &Bench,
    report: &mut Report,
    shape: Shape,
    name: &str,
    count: usize,
    clock_ns: f64,
) -> Result<()> {
    let rules = compiled(&rules(shape, Family::V4, count, SEED))?;
    let mut sets = filled(&rules)?;
    let mut rounds: Vec<(Rounds, Rounds)> = sets.iter().map(|_| Default::default()).collect();
    let mut rng = Rng::new(SEED);
    for round in 0..bench.rounds {
        let chosen: Vec<&Rule> = (0..UPDATES).filter_map(|_| rng.pick(&rules)).collect();
        for turn in 0..sets.len() {
            let at = (round + turn) % sets.len();
            let times = updated(&mut *sets[at], &chosen, clock_ns)?;
            rounds[at].0.add(times.insert);
            rounds[at].1.add(times.remove);
        }
    }
    for (one, (insert, remove)) in ALL.iter().zip(rounds) {
        for (operation, rounds) in [("insert", insert), ("remove", remove)] {
            let row = |percentile: &str, goal: Goal, rounds: &[f64]| {
                let what = format!("{operation}, {name}, {count} rules, {percentile}: {}", one.name);
                let note = format!("of {UPDATES} updates; median over the rounds");
                at_most(Row::new(what, Spread::of(rounds.to_vec()), "ns", note), goal)
            };
            if one.name == HYBRID || one.name == SORT {
                report.row(row("p50", UPDATE_P50_NS, &rounds.p50));
                report.row(row("p99", UPDATE_P99_NS, &rounds.p99));
            }
            for (percentile, values) in [("p50", rounds.p50), ("p99", rounds.p99)] {
                let set = format!("{operation}, {name}, {percentile}");
                report.series.extend(vec![Series::new(&set, one.name, count, values)]);
            }
        }
    }
    Ok(())
}

fn filled(rules: &[Rule]) -> Result<Vec<Box<dyn Subject>>> {
    Ok(ALL.iter().map(|one| (one.set)(rules)).collect::<Result<_, _>>()?)
}

/// Takes each rule out and puts it back.
fn updated(set: &mut dyn Subject, chosen: &[&Rule], clock_ns: f64) -> Result<Times> {
    let mut times = Times::default();
    for rule in chosen {
        let started = Instant::now();
        let removed = set.remove(rule.id());
        let between = Instant::now();
        let inserted = set.insert(rule);
        let done = Instant::now();
        ensure!(removed, "{:?} was not there", rule.id());
        inserted?;
        let ns = |from: Instant, to: Instant| ((to - from).as_nanos() as f64 - clock_ns).max(0.0);
        times.remove.push(ns(started, between));
        times.insert.push(ns(between, done));
    }
    Ok(times)
}

/// The mean of 50 updates of a set of 100 rules: each takes a rule out and inserts it as changed.
fn mean_of_50(bench: &Bench, report: &mut Report) -> Result<()> {
    let rules = compiled(&rules(Shape::OneTuple, Family::V4, PUBLISHED_RULES, SEED))?;
    let mut sets = filled(&rules)?;
    let mut round_ns: Vec<Vec<f64>> = vec![Vec::new(); sets.len()];
    let mut rng = Rng::new(SEED);
    for round in 0..bench.rounds {
        let chosen: Vec<&Rule> = (0..PUBLISHED_UPDATES).filter_map(|_| rng.pick(&rules)).collect();
        for turn in 0..sets.len() {
            let at = (round + turn) % sets.len();
            let mut outcome = Ok(());
            let ns = timed(|| outcome = chosen.iter().try_for_each(|rule| change(&mut *sets[at], rule)));
            outcome?;
            round_ns[at].push(ns / PUBLISHED_UPDATES as f64);
        }
    }
    for (one, ns) in ALL.iter().zip(round_ns) {
        let published = PUBLISHED_UPDATE_US.iter().find(|(name, _)| *name == one.name);
        let note = published.map_or(String::new(), |(_, us)| format!("; published: {us} µs"));
        let what =
            format!("one update (remove and insert), mean of 50, {PUBLISHED_RULES} rules: {}", one.name);
        report.row(Row::new(what, Spread::of(ns), "ns", format!("20 fields{note}")));
    }
    Ok(())
}

fn change(set: &mut dyn Subject, rule: &Rule) -> Result<()> {
    let id: PdrId = rule.id();
    ensure!(set.remove(id), "{id:?} was not there");
    Ok(set.insert(rule)?)
}
