//! Generated rules in each classifier: how long a lookup takes, and what each has to search.
//!
//! `cargo run --release -p pdr-classifier --example compare -- 1000 firewall`, or a ClassBench file's rules:
//! `cargo run --release -p pdr-classifier --example compare -- path/to/filters`

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use pdr_classifier::generate::{Family, Hits, RULES_MAX, Shape, rules, trace};
use pdr_classifier::{
    BlockedScan, Classifier, Filters, Hybrid, LinkedList, PartitionSort, Pdr, Rule, SortedVector,
    TupleSpaceSearch, classbench,
};

const SEED: u64 = 1;
const PACKETS: usize = 512;
const ROUNDS: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let pdrs = chosen(arguments.first().map(String::as_str), arguments.get(1).map(String::as_str))?;
    let count = pdrs.len();
    let rules: Vec<Rule> = pdrs.iter().map(|pdr| pdr.compile(&Filters::new())).collect::<Result<_, _>>()?;
    let keys = trace(&rules, Hits::LastHalf, PACKETS, SEED);

    let (mut list, mut vector) = (LinkedList::new(), SortedVector::new());
    let (mut scan, mut tuples, mut online) =
        (BlockedScan::new(), TupleSpaceSearch::new(), PartitionSort::new());
    for rule in &rules {
        list.insert(rule)?;
        vector.insert(rule)?;
        scan.insert(rule)?;
        tuples.insert(rule)?;
        online.insert(rule)?;
    }
    let (built, hybrid) = (PartitionSort::build(&rules)?, Hybrid::build(&rules)?);
    println!("{count} rules, {PACKETS} packets that the last half of them match");
    println!("tuple space search: {} tables", tuples.tables());
    for (name, set) in [("one by one", &online), ("at once", &built)] {
        println!(
            "partition sort, built {name}: {} partitions, {} boxes over",
            set.partitions(),
            set.overflow()
        );
    }
    let sets: [(&str, &dyn Classifier); 7] = [
        ("linked list", &list),
        ("sorted vector", &vector),
        ("blocked scan", &scan),
        ("tuple space search", &tuples),
        ("partition sort, built one by one", &online),
        ("partition sort, built at once", &built),
        ("hybrid, built at once", &hybrid),
    ];
    let mut verdicts = vec![None; keys.len()];
    for (name, set) in sets {
        // The fastest round is the one that the rest of the machine disturbed least.
        let round = || {
            let started = Instant::now();
            set.classify_batch(black_box(&keys), black_box(&mut verdicts));
            started.elapsed().as_nanos()
        };
        let ns = std::iter::repeat_with(round).take(ROUNDS).min().unwrap_or_default() / PACKETS as u128;
        println!("{name:>34}: {ns:>6} ns a lookup");
    }
    Ok(())
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
        Some(other) => return Err(format!("no shape {other}: firewall, qos, gateway, fields").into()),
    };
    if count > RULES_MAX {
        return Err(format!("at most {RULES_MAX} rules").into());
    }
    Ok(rules(shape, Family::V4, count, SEED))
}
