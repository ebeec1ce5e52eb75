//! Lookups in warm caches with 20 fields and more, from 2 rules to 10,000.

use anyhow::Result;
use pdr_classifier::generate::{Hits, Shape};

use super::{at_most, compared, find};
use crate::Bench;
use crate::goals::WARM;
use crate::report::Report;
use crate::scene::Scene;
use crate::subjects::{HYBRID, LIST, SORT};
use crate::turns::{Arm, in_turn};

/// Its name in the figures.
pub const SET: &str = "warm, 20 fields";

pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let scenes = WARM.iter().map(|goal| Scene::generated(Shape::OneTuple, goal.rules, Hits::LastHalf));
    let scenes: Vec<Scene> = scenes.collect::<Result<_>>()?;
    let mut arms: Vec<Arm<'_>> = scenes.iter().flat_map(Scene::arms).collect();
    let series = in_turn(SET, &mut arms, bench.rounds, bench.pass);
    for name in [HYBRID, SORT] {
        for goal in WARM {
            let (over, under) = (find(&series, name, goal.rules)?, find(&series, LIST, goal.rules)?);
            let what = format!("warm lookup, 20 fields, {} rules: {name} ÷ {LIST}", goal.rules);
            report.row(at_most(compared(what, over, under), goal));
        }
    }
    report.series.extend(series);
    Ok(())
}
