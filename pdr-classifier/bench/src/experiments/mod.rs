//! One file for each experiment.

pub mod adversarial;
pub mod cold;
pub mod filters;
pub mod micro;
pub mod published;
pub mod updates;
pub mod warm;

use anyhow::{Context as _, Result};
use tern_figures::{Bound, Row, ratio};

use crate::goals::Goal;
use crate::turns::Series;

/// The series of an arm at a number of rules.
pub fn find<'a>(series: &'a [Series], arm: &str, rules: usize) -> Result<&'a Series> {
    let found = series.iter().find(|one| one.arm == arm && one.rules == rules);
    found.with_context(|| format!("{arm} was not measured with {rules} rules"))
}

/// One arm over another, round by round.
pub fn compared(what: String, over: &Series, under: &Series) -> Row {
    let note = format!("{:.1} ÷ {:.1} ns", over.ns.p50, under.ns.p50);
    Row::ratio(what, ratio(&over.round_ns, &under.round_ns), note)
}

/// The row with a goal that it should not exceed.
pub fn at_most(row: Row, goal: Goal) -> Row {
    row.goal(Bound::AtMost(goal.aim)).must(Bound::AtMost(goal.must))
}
