//! A firewall's rules in each classifier: how long a lookup takes, and what each has to search.
//!
//! `cargo run --release -p pdr-classifier --example firewall -- 1000`

use std::hint::black_box;
use std::time::Instant;

use pdr_classifier::generate::{Family, Hits, RULES_MAX, Shape, rules, trace};
use pdr_classifier::{Classifier, Filters, LinkedList, PartitionSort, Rule, SortedVector, TupleSpaceSearch};

const SEED: u64 = 1;
const PACKETS: usize = 4096;
const ROUNDS: usize = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: usize = std::env::args().nth(1).map_or(Ok(100), |text| text.parse())?;
    if count > RULES_MAX {
        return Err(format!("at most {RULES_MAX} rules").into());
    }
    let pdrs = rules(Shape::Firewall, Family::V4, count, SEED);
    let rules: Vec<Rule> = pdrs.iter().map(|pdr| pdr.compile(&Filters::new())).collect::<Result<_, _>>()?;
    let keys = trace(&rules, Hits::LastHalf, PACKETS, SEED);

    let (mut list, mut vector) = (LinkedList::new(), SortedVector::new());
    let (mut tuples, mut online) = (TupleSpaceSearch::new(), PartitionSort::new());
    for rule in &rules {
        list.insert(rule)?;
        vector.insert(rule)?;
        tuples.insert(rule)?;
        online.insert(rule)?;
    }
    let built = PartitionSort::build(&rules)?;
    println!("{count} rules, {PACKETS} packets that the last half of them match");
    println!("tuple space search: {} tables", tuples.tables());
    for (name, set) in [("one by one", &online), ("at once", &built)] {
        println!(
            "partition sort, built {name}: {} partitions, {} boxes over",
            set.partitions(),
            set.overflow()
        );
    }
    let sets: [(&str, &dyn Classifier); 5] = [
        ("linked list", &list),
        ("sorted vector", &vector),
        ("tuple space search", &tuples),
        ("partition sort, built one by one", &online),
        ("partition sort, built at once", &built),
    ];
    let mut verdicts = vec![None; keys.len()];
    for (name, set) in sets {
        let started = Instant::now();
        for _ in 0..ROUNDS {
            set.classify_batch(black_box(&keys), black_box(&mut verdicts));
        }
        let ns = started.elapsed().as_nanos() / (ROUNDS * PACKETS) as u128;
        println!("{name:>34}: {ns:>6} ns a lookup");
    }
    Ok(())
}
