//! Rules of a ClassBench file that the user gives.

use std::path::Path;

use anyhow::{Context as _, Result};
use pdr_classifier::generate::Hits;
use pdr_classifier::{PartitionSort, TupleSpaceSearch, classbench};
use tern_figures::Bound;

use super::adversarial::better_part;
use super::{compared, find};
use crate::Bench;
use crate::goals::HYBRID_TO_PARTS_MAX;
use crate::report::Report;
use crate::scene::Scene;
use crate::subjects::{HYBRID, LIST};
use crate::turns::{Arm, in_turn};

pub fn measure(bench: &Bench, report: &mut Report, path: &Path) -> Result<()> {
    let pdrs = classbench::load(path).with_context(|| path.display().to_string())?;
    let scene = Scene::new(&pdrs, Hits::Uniform)?;
    let mut tuples = TupleSpaceSearch::new();
    let inserted =
        scene.rules.iter().try_for_each(|rule| pdr_classifier::Classifier::insert(&mut tuples, rule));
    inserted?;
    let sort = PartitionSort::build(&scene.rules)?;
    println!(
        "  {} rules: {} tables of a tuple space; {} partitions and {} boxes over",
        pdrs.len(),
        tuples.tables(),
        sort.partitions(),
        sort.overflow(),
    );
    let set = format!("ClassBench file {}", path.display());
    let mut arms: Vec<Arm<'_>> = scene.arms().collect();
    let series = in_turn(&set, &mut arms, bench.rounds, bench.pass);
    let hybrid = find(&series, HYBRID, pdrs.len())?;
    let (part, better) = better_part(&series, pdrs.len())?;
    let list = find(&series, LIST, pdrs.len())?;
    report.row(compared(format!("{set}: {HYBRID} ÷ {LIST}"), hybrid, list));
    let row = compared(format!("{set}: {HYBRID} ÷ {part}"), hybrid, better);
    report.row(row.must(Bound::AtMost(HYBRID_TO_PARTS_MAX)));
    report.series.extend(series);
    Ok(())
}
