//! Generated rules in each classifier: how long a lookup and an update take, and what there is to search.
//!
//! `cargo run --release -p pdr-classifier --example compare -- 1000 firewall`, or a ClassBench file's rules:
//! `cargo run --release -p pdr-classifier --example compare -- path/to/filters`

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use pdr_classifier::generate::{Family, Hits, RULES_MAX, Rng, Shape, rules, trace};
use pdr_classifier::{
    BlockedScan, Classifier, Filters, Hybrid, LinkedList, PartitionSort, Pdr, Rule, SortedVector,
    TupleSpaceSearch, Vectors, classbench,
};

const SEED: u64 = 1;
const PACKETS: usize = 512;
const ROUNDS: usize = 400;
const UPDATES: usize = 4000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let pdrs = chosen(arguments.first().map(String::as_str), arguments.get(1).map(String::as_str))?;
    let count = pdrs.len();
    let rules: Vec<Rule> = pdrs.iter().map(|pdr| pdr.compile(&Filters::new())).collect::<Result<_, _>>()?;
    let keys = trace(&rules, Hits::LastHalf, PACKETS, SEED);

    let (partitions, built) = (filled(PartitionSort::new(), &rules)?, PartitionSort::build(&rules)?);
    for (name, set) in [("one by one", &partitions), ("at once", &built)] {
        let (partitions, over) = (set.partitions(), set.overflow());
        println!("partition sort, built {name}: {partitions} partitions, {over} boxes over");
    }
    let (hybrid, hybrid_built) = (filled(Hybrid::new(), &rules)?, Hybrid::build(&rules)?);
    for (name, set) in [("one by one", &hybrid), ("at once", &hybrid_built)] {
        let (partitions, scanned) = (set.partitions(), set.scanned());
        println!("hybrid, built {name}: {partitions} partitions, {scanned} boxes scanned");
    }
    let mut sets: Vec<(String, Box<dyn Classifier>)> = vec![
        ("linked list".into(), Box::new(filled(LinkedList::new(), &rules)?)),
        ("sorted vector".into(), Box::new(filled(SortedVector::new(), &rules)?)),
        ("tuple space search".into(), Box::new(filled(TupleSpaceSearch::new(), &rules)?)),
    ];
    for vectors in Vectors::available() {
        let mut add = |name: &str, set: Box<dyn Classifier>| sets.push((format!("{name}, {vectors}"), set));
        let vector = filled(SortedVector::new(), &rules)?;
        add("sorted vector", Box::new(vector.with_vectors(vectors)));
        add("blocked scan", Box::new(filled(BlockedScan::new(), &rules)?.with_vectors(vectors)));
        add("partition sort, one by one", Box::new(partitions.clone().with_vectors(vectors)));
        add("partition sort, at once", Box::new(built.clone().with_vectors(vectors)));
        add("hybrid, one by one", Box::new(hybrid.clone().with_vectors(vectors)));
        add("hybrid, at once", Box::new(hybrid_built.clone().with_vectors(vectors)));
    }
    println!("{count} rules, {PACKETS} packets that the last half of them match; {UPDATES} updates");
    println!("{:>36} {:>8} {:>12} {:>12}", "", "lookup", "update p50", "p99, ns");
    for (name, set) in &mut sets {
        let lookup = lookup_ns(set.as_ref(), &keys);
        let (median, rare) = update_ns(set.as_mut(), &rules)?;
        println!("{name:>36} {lookup:>8.1} {median:>12} {rare:>12}");
    }
    Ok(())
}

fn filled<C: Classifier>(mut set: C, rules: &[Rule]) -> Result<C, pdr_classifier::InsertError> {
    set.insert_all(rules)?;
    Ok(set)
}

/// The fastest round is the one that the rest of the machine disturbed least.
fn lookup_ns(set: &dyn Classifier, keys: &[pdr_classifier::Key]) -> f64 {
    let mut verdicts = vec![None; keys.len()];
    let round = || {
        let started = Instant::now();
        set.classify_batch(black_box(keys), black_box(&mut verdicts));
        started.elapsed().as_nanos()
    };
    std::iter::repeat_with(round).take(ROUNDS).min().unwrap_or_default() as f64 / keys.len().max(1) as f64
}

/// Median and 99th percentile of updates: random rules are taken out and put in again later.
fn update_ns(set: &mut dyn Classifier, rules: &[Rule]) -> Result<(u128, u128), pdr_classifier::InsertError> {
    let mut rng = Rng::new(SEED);
    let mut out = vec![false; rules.len()];
    let mut times = Vec::with_capacity(UPDATES);
    while times.len() < UPDATES && !rules.is_empty() {
        let at = rng.below(rules.len() as u64) as usize;
        let started = Instant::now();
        if out[at] {
            set.insert(&rules[at])?;
        } else {
            set.remove(rules[at].id());
        }
        times.push(started.elapsed().as_nanos());
        out[at] = !out[at];
    }
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    Ok((at(50), at(99)))
}

/// So many rules of a shape, or those of a file.
fn chosen(count: Option<&str>, shape: Option<&str>) -> Result<Vec<Pdr>, Box<dyn std::error::Error>> {
    let count = count.unwrap_or("100");
    let Ok(count) = count.parse::<usize>() else { return Ok(classbench::load(Path::new(count))?) };
    let shape = match shape {
        None | Some("firewall") => Shape::Firewall,
        Some("qos") => Shape::Qos,
        Some("gateway") => Shape::Gateway,
        Some("fields") => Shape::OneTuple,
        Some("tuples") => Shape::EachItsTuple,
        Some("overlapping") => Shape::Overlapping,
        Some("wildcards") => Shape::Wildcards,
        Some(other) => {
            let shapes = "firewall, qos, gateway, fields, tuples, overlapping, wildcards";
            return Err(format!("no shape {other}: {shapes}").into());
        }
    };
    if count > RULES_MAX {
        return Err(format!("at most {RULES_MAX} rules").into());
    }
    Ok(rules(shape, Family::V4, count, SEED))
}
