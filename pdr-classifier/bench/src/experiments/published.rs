//! The published experiments: the curves of latency and throughput at 2 to 100 rules with 20 information
//! elements, their shape, and the worst case of a tuple space.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use pdr_classifier::generate::{Family, Hits, Shape, rules};
use pdr_classifier::{Pdr, Sdf};
use tern_figures::{Bound, Row, Spread, ratio};

use super::{compared, find};
use crate::Bench;
use crate::goals::{PUBLISHED, PUBLISHED_GBIT_S, PUBLISHED_WORST_US, shape};
use crate::report::Report;
use crate::scene::{SEED, Scene};
use crate::subjects::{HYBRID, LIST, SORT, TUPLES};
use crate::turns::{Arm, Series, in_turn};

/// Rules of the published curves, with the worst case of a tuple space between them.
const RULES: [usize; 7] = [2, 20, 40, 50, 60, 80, 100];
/// Bits of the published packet.
pub const PACKET_BITS: f64 = 68.0 * 8.0;
/// The tuple space where each rule has a tuple of its own.
const WORST: &str = "TupleSpaceSearch, worst case";
/// Its name in the figures.
pub const SET: &str = "published, 20 IEs";

pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let scenes: Vec<Scene> = RULES
        .iter()
        .map(|&count| Scene::generated(Shape::OneTuple, count, Hits::LastHalf))
        .collect::<Result<_>>()?;
    let worst: Vec<Scene> =
        RULES.iter().map(|&count| Scene::new(&own_tuples(count), Hits::Last)).collect::<Result<_>>()?;
    let mut arms: Vec<Arm<'_>> = scenes.iter().flat_map(Scene::arms).collect();
    arms.extend(worst.iter().filter_map(|scene| Some(Arm { name: WORST, ..scene.arm(TUPLES)? })));
    let series = in_turn(SET, &mut arms, bench.rounds, bench.pass);
    latency(&series, report)?;
    shapes(&series, report)?;
    throughput(&series, report)?;
    report.series.extend(series);
    // What the others do with the rules that hurt a tuple space.
    let mut arms: Vec<Arm<'_>> = worst.iter().flat_map(Scene::arms).collect();
    report.series.extend(in_turn(
        "20 IEs, each rule its tuple, the last hit",
        &mut arms,
        bench.rounds,
        bench.pass,
    ));
    Ok(())
}

/// Rules of twenty and more lanes, each with a tuple of masks of its own.
fn own_tuples(count: usize) -> Vec<Pdr> {
    let mut pdrs = rules(Shape::OneTuple, Family::V4, count, SEED);
    let tuples = rules(Shape::EachItsTuple, Family::V4, count, SEED);
    for (pdr, tuple) in pdrs.iter_mut().zip(tuples) {
        for filter in pdr.pdi.ethernet_filters.iter_mut().flat_map(|frame| &mut frame.sdf_filters) {
            if let (Sdf::Filter(filter), Some(Sdf::Filter(tuple))) = (filter, tuple.pdi.sdf_filters.first()) {
                filter.source = tuple.source;
                filter.destination = tuple.destination;
                filter.source_ports.clone_from(&tuple.source_ports);
                filter.destination_ports.clone_from(&tuple.destination_ports);
            }
        }
    }
    pdrs
}

/// Each point beside the published one, and the published ratios.
fn latency(series: &[Series], report: &mut Report) -> Result<()> {
    for (published, arm) in PUBLISHED.iter().zip([LIST, TUPLES, SORT]) {
        for (rules, us) in published.us {
            let ours = find(series, arm, rules)?;
            report.row(Row::new(
                format!("lookup latency, {rules} PDRs, 20 IEs: {arm}"),
                ours.ns,
                "ns",
                format!("published: {} {us} µs, as a part of a UPF", published.name),
            ));
        }
    }
    let (rules, us) = PUBLISHED_WORST_US;
    let worst = find(series, WORST, rules)?;
    report.row(Row::new(format!("{WORST}, {rules} rules"), worst.ns, "ns", format!("published: {us} µs")));
    for arm in [SORT, HYBRID] {
        let what = format!("shape: {LIST} ÷ {arm} at 100 rules");
        let row = compared(what, find(series, LIST, 100)?, find(series, arm, 100)?);
        let note = format!("{}; published: about 3.2 for PartitionSort", row.note);
        report.row(Row { note, ..row }.must(Bound::AtLeast(shape::FASTER_MIN)));
    }
    Ok(())
}

/// Whether the curves have the published shape.
fn shapes(series: &[Series], report: &mut Report) -> Result<()> {
    let list: Vec<&Series> = RULES.iter().map(|&rules| find(series, LIST, rules)).collect::<Result<_>>()?;
    let rounds = list.first().map_or(0, |one| one.round_ns.len());
    let linear = (0..rounds).map(|round| {
        let points: Vec<_> = list.iter().map(|one| (one.rules as f64, one.round_ns[round])).collect();
        linearity(&points)
    });
    report.row(
        Row::new(
            "shape: the list grows linearly",
            Spread::of(linear.collect()),
            "R²",
            "of a straight line through its points; 0 if it does not rise",
        )
        .must(Bound::AtLeast(shape::LINEAR_MIN)),
    );
    let growth = |what: &str, arm: &str, from: usize, bound: Bound| {
        let (many, few) = (find(series, arm, 100)?, find(series, arm, from)?);
        anyhow::Ok(compared(format!("shape: {arm} {what}, 100 rules ÷ {from}"), many, few).must(bound))
    };
    report.row(growth("is flat in its best case", TUPLES, 20, Bound::AtMost(shape::FLAT_MAX))?);
    report.row(growth("explodes", WORST, 2, Bound::AtLeast(shape::EXPLODES_MIN))?);
    report.row(growth("is flat", SORT, 20, Bound::AtMost(shape::FLAT_MAX))?);
    report.row(growth("is flat", HYBRID, 20, Bound::AtMost(shape::FLAT_MAX))?);
    Ok(())
}

/// R² of the least squares line through the points; 0 of a line that does not rise.
fn linearity(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let sum = |of: fn(f64, f64) -> f64| points.iter().map(|&(x, y)| of(x - mean_x, y - mean_y)).sum::<f64>();
    let (both, of_x, of_y) = (sum(|x, y| x * y), sum(|x, _| x * x), sum(|_, y| y * y));
    if both > 0.0 { both * both / (of_x * of_y) } else { 0.0 }
}

/// Gbit/s of 68-octet packets, if there were nothing to do but to classify them.
fn throughput(series: &[Series], report: &mut Report) -> Result<()> {
    let published: HashMap<&str, f64> = PUBLISHED_GBIT_S.into_iter().collect();
    let gbit_s = |of: &Series| Spread::of(of.round_ns.iter().map(|ns| PACKET_BITS / ns).collect());
    for (arm, name) in
        [(LIST, "list"), (TUPLES, "TSS best"), (WORST, "TSS worst"), (SORT, "PartitionSort"), (HYBRID, "")]
    {
        let ours = find(series, arm, 100)?;
        let beside = published
            .get(name)
            .map_or(String::new(), |gbit_s| format!("; published: {gbit_s} of all of a UPF"));
        let what = format!("throughput of classification alone, 68 B, 100 PDRs: {arm}");
        report.row(Row::new(what, gbit_s(ours), "Gbit/s", format!("derived from ns a packet{beside}")));
    }
    let of = |name: &str| published.get(name).copied().context(name.to_owned());
    let (list, sort) = (find(series, LIST, 100)?, find(series, SORT, 100)?);
    let note = format!("of classification alone; published: {:.1}", of("PartitionSort")? / of("list")?);
    let figure = ratio(&list.round_ns, &sort.round_ns);
    report.row(Row::ratio(format!("throughput, 100 PDRs: {SORT} ÷ {LIST}"), figure, note));
    for arm in [SORT, HYBRID] {
        let (few, many) = (find(series, arm, 2)?, find(series, arm, 100)?);
        let figure = ratio(&few.round_ns, &many.round_ns);
        let note = "of classification alone; published: 0.94 of all of a UPF, for PartitionSort".to_owned();
        report.row(Row::ratio(format!("throughput, 100 PDRs ÷ 2: {arm}"), figure, note));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rising_line_is_linear_and_nothing_else() {
        assert!(linearity(&[(2.0, 5.0), (20.0, 50.0), (100.0, 250.0)]) > 0.999);
        assert!(linearity(&[(2.0, 250.0), (20.0, 50.0), (100.0, 5.0)]).abs() < f64::EPSILON);
        assert!(linearity(&[(0.0, 0.0), (50.0, 0.0), (100.0, 100.0)]) < 0.8);
    }

    #[test]
    fn rules_of_the_worst_case_have_a_table_each() {
        let mut tuples = pdr_classifier::TupleSpaceSearch::new();
        for rule in crate::scene::compiled(&own_tuples(100)).unwrap() {
            pdr_classifier::Classifier::insert(&mut tuples, &rule).unwrap();
        }
        assert_eq!(tuples.tables(), 100);
    }
}
