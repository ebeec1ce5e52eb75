//! Arms that work on numbered items, measured in turn.

use std::ops::Range;
use std::time::Duration;

use pdr_classifier::{Key, PdrId};
use serde::Serialize;
use tern_figures::Spread;
use tern_figures::turns::{self, timed};

use crate::subjects::Subject;

/// A pass before those that count is of so many items.
const TRIAL: usize = 16;
/// This part of a pass goes before the clock starts, to bring the arm's memory near again.
const APPROACH: usize = 8;

/// One of the things that are compared: work on numbered items, again and again.
pub struct Arm<'a> {
    /// In tables.
    pub name: &'a str,
    /// The size of its rule set.
    pub rules: usize,
    /// How many items there are.
    pub items: usize,
    /// Works on these.
    pub work: Box<dyn FnMut(Range<usize>) + 'a>,
}

impl<'a> Arm<'a> {
    /// Lookups, one call each.
    pub fn lookups(name: &'a str, rules: usize, set: &'a dyn Subject, keys: &'a [Key]) -> Self {
        let mut verdicts: Vec<Option<PdrId>> = vec![None; keys.len()];
        let work = move |range: Range<usize>| set.one_by_one(&keys[range.clone()], &mut verdicts[range]);
        Self { name, rules, items: keys.len(), work: Box::new(work) }
    }

    /// Works on so many items beginning with this one; after the last comes the first.
    fn run(&mut self, first: usize, mut count: usize) {
        let mut at = first % self.items;
        while count > 0 {
            let here = count.min(self.items - at);
            (self.work)(at..at + here);
            count -= here;
            at = 0;
        }
    }
}

/// What an arm's rounds gave.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// The experiment, or its rule set.
    pub set: String,
    /// The arm.
    pub arm: String,
    /// The size of its rule set.
    pub rules: usize,
    /// Nanoseconds an item, by rounds.
    pub ns: Spread,
    /// The same in the order of the rounds.
    pub round_ns: Vec<f64>,
}

impl Series {
    /// Of these rounds.
    pub fn new(set: &str, arm: &str, rules: usize, round_ns: Vec<f64>) -> Self {
        let ns = Spread::of(round_ns.clone());
        Self { set: set.to_owned(), arm: arm.to_owned(), rules, ns, round_ns }
    }
}

/// Runs the arms in turn, each pass about as long as `pass`.
pub fn in_turn(set: &str, arms: &mut [Arm<'_>], rounds: usize, pass: Duration) -> Vec<Series> {
    arms.iter_mut().for_each(|arm| arm.run(0, TRIAL));
    let counts: Vec<usize> = arms
        .iter_mut()
        .map(|arm| {
            let trial_ns = timed(|| arm.run(0, TRIAL)) / TRIAL as f64;
            ((pass.as_nanos() as f64 / trial_ns.max(1.0)) as usize).max(TRIAL)
        })
        .collect();
    let mut counted: Vec<_> = arms.iter_mut().zip(counts).collect();
    let round_ns = turns::in_turn(&mut counted, rounds, |(arm, count), round| {
        let (approach, first) = (*count / APPROACH, round * *count);
        arm.run(first, approach);
        timed(|| arm.run(first + approach, *count)) / *count as f64
    });
    arms.iter().zip(round_ns).map(|(arm, ns)| Series::new(set, arm.name, arm.rules, ns)).collect()
}
