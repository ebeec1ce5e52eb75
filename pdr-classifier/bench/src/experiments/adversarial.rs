//! Rule sets made to hurt: whatever they do to one classifier, `Hybrid` must stay near the better of its
//! parts.

use std::ops::RangeInclusive;

use anyhow::{Context as _, Result};
use pdr_classifier::generate::{Family, Hits, Shape, rules};
use pdr_classifier::{Address, Pdi, Pdr, PdrId, Prefix, Sdf, SdfFilter};
use tern_figures::Bound;

use super::{compared, find};
use crate::Bench;
use crate::goals::HYBRID_TO_PARTS_MAX;
use crate::report::Report;
use crate::scene::{SEED, Scene};
use crate::subjects::{HYBRID, PARTS};
use crate::turns::{Arm, Series, in_turn};

/// Bits of an IPv4 address.
const ADDRESS_BITS: u32 = 32;
/// Rules that all match the same packets.
const OVERLAPPING: usize = 1_000;

pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let generated = |shape, count| rules(shape, Family::V4, count, SEED);
    let sets: [(&str, Vec<Pdr>); 7] = [
        ("each rule its partition", nested(16)),
        ("each rule its partition", nested(64)),
        ("each rule its partition", nested(500)),
        ("each rule its partition", nested(2_000)),
        ("tuple explosion", generated(Shape::EachItsTuple, 2_000)),
        ("maximal overlap", overlapping(OVERLAPPING)),
        ("wildcards", generated(Shape::Wildcards, 10_000)),
    ];
    for (name, pdrs) in sets {
        let scene = Scene::new(&pdrs, Hits::Uniform).with_context(|| name.to_owned())?;
        let mut arms: Vec<Arm<'_>> = scene.arms().collect();
        let series = in_turn(name, &mut arms, bench.rounds, bench.pass);
        let (part, better) = better_part(&series, pdrs.len())?;
        let what = format!("{name}, {} rules: {HYBRID} ÷ {part}", pdrs.len());
        let hybrid = find(&series, HYBRID, pdrs.len())?;
        report.row(compared(what, hybrid, better).must(Bound::AtMost(HYBRID_TO_PARTS_MAX)));
        report.series.extend(series);
    }
    Ok(())
}

/// The fastest of what the hybrid may choose.
pub fn better_part(series: &[Series], rules: usize) -> Result<(&'static str, &Series)> {
    let mut parts = Vec::new();
    for name in PARTS {
        parts.push((name, find(series, name, rules)?));
    }
    parts.into_iter().min_by(|a, b| a.1.ns.p50.total_cmp(&b.1.ns.p50)).context("a hybrid without parts")
}

/// Ranges of source ports, one in the other, the narrowest first: no order of lanes sorts two of them.
fn nested(count: usize) -> Vec<Pdr> {
    let rule = |at: u32| of_filter(at, SdfFilter { source_ports: around(at), ..SdfFilter::default() });
    (0..count as u32).map(rule).collect()
}

/// Rules around one point, from narrow to wide: a packet that one of them matches is matched by all
/// after it. Prefixes of all lengths on both sides, and no two rules are alike.
fn overlapping(count: usize) -> Vec<Pdr> {
    let address = std::net::Ipv4Addr::new(203, 0, 113, 7).into();
    let steps = 2 * ADDRESS_BITS + 1;
    let rule = |at: u32| {
        // Widened on one side after the other, then in the ports.
        let step = at % steps;
        let prefix = |length: u32| Prefix::new(address, length as u8).map_or(Address::Any, Address::Prefix);
        let filter = SdfFilter {
            source: prefix(ADDRESS_BITS - step.div_ceil(2)),
            destination: prefix(ADDRESS_BITS - step / 2),
            source_ports: around(at / steps),
            ..SdfFilter::default()
        };
        of_filter(at, filter)
    };
    (0..count as u32).map(rule).collect()
}

/// So many ports on either side of one in the middle.
fn around(distance: u32) -> Vec<RangeInclusive<u16>> {
    const MIDDLE: u16 = 0x8000;
    let distance = u16::try_from(distance).unwrap_or(u16::MAX);
    vec![MIDDLE.saturating_sub(distance)..=MIDDLE.saturating_add(distance)]
}

fn of_filter(at: u32, filter: SdfFilter) -> Pdr {
    let pdi = Pdi { sdf_filters: vec![Sdf::Filter(filter)], ..Pdi::default() };
    Pdr { id: PdrId(at + 1), precedence: at, pdi }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::compiled;

    #[test]
    fn nested_rules_need_a_partition_each() {
        let rules = compiled(&nested(20)).unwrap();
        assert_eq!(pdr_classifier::PartitionSort::build(&rules).unwrap().partitions(), 20);
    }
}
