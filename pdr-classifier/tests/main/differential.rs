//! Every classifier against the oracle, with updates between lookups.

use std::collections::BTreeMap;

use pdr_classifier::generate::{Family, Hits, Rng, Shape, rules, trace};
use pdr_classifier::{
    BlockedScan, Classifier, Filters, Hybrid, Key, LinkedList, PartitionSort, Pdr, PdrId, Rank, Rule,
    SdfFilter, SortedVector, TupleSpaceSearch, Vectors,
};
use proptest::prelude::*;

use crate::{oracle, random};

/// How many lookups the long test makes; the environment may say otherwise.
const LOOKUPS: u64 = 60_000;
const LOOKUPS_VARIABLE: &str = "PDR_CLASSIFIER_LOOKUPS";

/// So many lookups on average from one update to the next.
const LOOKUPS_PER_UPDATE: u64 = 8;

type Named = (String, Box<dyn Classifier>);

/// All classifiers, each with all the vector instructions that the machine has.
fn classifiers() -> Vec<Named> {
    let mut sets: Vec<Named> = vec![
        ("linked list".into(), Box::new(LinkedList::new())),
        ("sorted vector".into(), Box::new(SortedVector::new())),
        ("tuple space search".into(), Box::new(TupleSpaceSearch::new())),
    ];
    for vectors in Vectors::available() {
        let mut add = |name: &str, set: Box<dyn Classifier>| sets.push((format!("{name}, {vectors}"), set));
        add("sorted vector", Box::new(SortedVector::new().with_vectors(vectors)));
        add("blocked scan", Box::new(BlockedScan::new().with_vectors(vectors)));
        add("partition sort", Box::new(PartitionSort::new().with_vectors(vectors)));
        add("hybrid", Box::new(Hybrid::new().with_vectors(vectors)));
    }
    sets
}

/// Those that can be made of all rules at once.
fn built(rules: &[Rule]) -> Vec<Named> {
    let (partitions, hybrid) = (PartitionSort::build(rules).unwrap(), Hybrid::build(rules).unwrap());
    let mut sets: Vec<Named> = Vec::new();
    for vectors in Vectors::available() {
        let mut add = |name: &str, set: Box<dyn Classifier>| sets.push((format!("{name}, {vectors}"), set));
        add("built partition sort", Box::new(partitions.clone().with_vectors(vectors)));
        add("built hybrid", Box::new(hybrid.clone().with_vectors(vectors)));
    }
    sets
}

/// All classifiers with the same rules.
struct World {
    sets: Vec<Named>,
    pdrs: BTreeMap<PdrId, (Pdr, Rule)>,
    shared: Vec<(u32, SdfFilter)>,
    filters: Filters,
}

impl World {
    fn new(rng: &mut Rng) -> Self {
        let (shared, filters) = random::shared(rng);
        Self { sets: classifiers(), pdrs: BTreeMap::new(), shared, filters }
    }

    /// Inserts a rule or removes one, so that there are about as many as wanted.
    fn update(&mut self, rng: &mut Rng, wanted: usize) {
        let id = PdrId(rng.below(wanted as u64 * 2) as u32);
        if self.pdrs.remove(&id).is_some() {
            for (name, set) in &mut self.sets {
                assert!(set.remove(id), "{name}");
                assert!(!set.remove(id), "{name}");
            }
        } else {
            let pdr = Pdr { id, precedence: rng.below(8) as u32, pdi: random::pdi(rng) };
            let rule = pdr.compile(&self.filters).expect("few alternatives");
            for (name, set) in &mut self.sets {
                set.insert(&rule).expect(name.as_str());
            }
            self.pdrs.insert(id, (pdr, rule));
        }
    }

    /// The same rules in sets that are built at once.
    fn rebuild(&mut self) {
        self.forget_built();
        let rules: Vec<Rule> = self.pdrs.values().map(|(_, rule)| rule.clone()).collect();
        self.sets.extend(built(&rules));
    }

    fn forget_built(&mut self) {
        self.sets.retain(|(name, _)| !name.starts_with("built"));
    }

    fn key(&self, rng: &mut Rng) -> Key {
        if rng.percent(40) {
            return random::key(rng);
        }
        let at = PdrId(rng.below(self.pdrs.len() as u64 * 2) as u32);
        let near = self.pdrs.range(at..).next().map(|(_, (_, rule))| std::slice::from_ref(rule));
        let mut key = match near.map(|rule| trace(rule, Hits::Uniform, 1, rng.bits())) {
            Some(keys) if keys.len() == 1 => keys[0],
            _ => random::key(rng),
        };
        if rng.percent(30) {
            random::perturb(&mut key, rng);
        }
        key
    }

    /// Compares a lookup, and tells whether it found a rule.
    fn look_up(&self, key: &Key) -> bool {
        let expected = oracle::first(self.pdrs.values().map(|(pdr, _)| pdr), &self.shared, key);
        let rank = expected.map(|id| self.pdrs[&id].1.rank());
        for (name, set) in &self.sets {
            for bound in [(0, 0), (3, 20), (7, u32::MAX)] {
                let below = Rank { precedence: bound.0, id: PdrId(bound.1) };
                assert_eq!(set.find(key, Some(below)), rank.filter(|rank| *rank < below), "{name}: {key:?}");
            }
            assert_eq!(set.classify(key), expected, "{name}: {key:?}");
            assert_eq!(set.len(), self.pdrs.len(), "{name}");
        }
        expected.is_some()
    }
}

#[test]
fn every_classifier_finds_what_the_oracle_finds_while_rules_come_and_go() {
    let lookups = match std::env::var(LOOKUPS_VARIABLE) {
        Ok(text) => text.parse().expect("a number of lookups"),
        Err(_) => LOOKUPS,
    };
    let mut rng = Rng::new(4);
    let (mut made, mut found, mut updates) = (0, 0, 0);
    // Worlds of different sizes; each lives long enough for its rules to be replaced many times.
    while made < lookups {
        let wanted = *rng.pick(&[3, 12, 40, 120, 300]).unwrap();
        let mut world = World::new(&mut rng);
        for _ in 0..wanted {
            world.update(&mut rng, wanted);
        }
        for round in 0..2000.min(lookups - made) {
            if rng.below(LOOKUPS_PER_UPDATE) == 0 {
                world.update(&mut rng, wanted);
                updates += 1;
                // Most built sets are updated too; some worlds have none.
                if rng.percent(2) {
                    world.forget_built();
                }
            }
            if round % 400 == 0 {
                world.rebuild();
            }
            let key = world.key(&mut rng);
            found += u64::from(world.look_up(&key));
            made += 1;
        }
    }
    println!("{made} lookups, {found} of them found a rule, {updates} updates");
    assert!(found > made / 4 && found < made, "the traffic must both find and miss");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_set_that_is_emptied_and_filled_again_answers_as_before(seed: u64, wanted in 1usize..60) {
        let mut rng = Rng::new(seed);
        let mut world = World::new(&mut rng);
        for _ in 0..wanted {
            world.update(&mut rng, wanted);
        }
        world.rebuild();
        let keys: Vec<Key> = (0..50).map(|_| world.key(&mut rng)).collect();
        for key in &keys {
            world.look_up(key);
        }
        let World { mut sets, pdrs, shared, .. } = world;
        for (name, set) in &mut sets {
            for id in pdrs.keys() {
                prop_assert!(set.remove(*id), "{}", name);
            }
            prop_assert!(set.is_empty() && keys.iter().all(|key| set.classify(key).is_none()), "{}", name);
            for (_, rule) in pdrs.values().rev() {
                set.insert(rule).unwrap();
            }
            let mut verdicts = vec![None; keys.len()];
            set.classify_batch(&keys, &mut verdicts);
            for (key, verdict) in keys.iter().zip(verdicts) {
                let expected = oracle::first(pdrs.values().map(|(pdr, _)| pdr), &shared, key);
                prop_assert_eq!(verdict, expected, "{}", name);
            }
        }
    }
}

#[test]
fn every_classifier_finds_what_the_oracle_finds_in_generated_sets() {
    let shapes = [
        Shape::Qos,
        Shape::Firewall,
        Shape::Gateway,
        Shape::OneTuple,
        Shape::EachItsTuple,
        Shape::Overlapping,
        Shape::Wildcards,
    ];
    for (shape, family) in shapes.into_iter().flat_map(|shape| [(shape, Family::V4), (shape, Family::V6)]) {
        for count in [2, 37, 600] {
            let pdrs = rules(shape, family, count, 11);
            let rules: Vec<Rule> = pdrs.iter().map(|pdr| pdr.compile(&Filters::new()).unwrap()).collect();
            let mut sets = classifiers();
            for (_, set) in &mut sets {
                rules.iter().for_each(|rule| set.insert(rule).unwrap());
            }
            sets.extend(built(&rules));
            for (at, key) in trace(&rules, Hits::Uniform, 200, 12).into_iter().enumerate() {
                let expected = oracle::first(&pdrs, &[], &key);
                assert!(expected.is_some(), "{shape:?} {family:?} {count}: a trace hits");
                for (name, set) in &sets {
                    let place = format_args!("{name}: {shape:?} {family:?} {count}, packet {at}");
                    assert_eq!(set.classify(&key), expected, "{place}");
                }
            }
        }
    }
}

#[test]
fn when_rules_of_a_large_set_come_and_go_then_all_classifiers_agree_with_the_list() {
    for (shape, seed) in [(Shape::Firewall, 1), (Shape::Gateway, 2), (Shape::Qos, 3), (Shape::OneTuple, 4)] {
        let pdrs = rules(shape, Family::V4, 1200, seed);
        let rules: Vec<Rule> = pdrs.iter().map(|pdr| pdr.compile(&Filters::new()).unwrap()).collect();
        let keys = trace(&rules, Hits::Uniform, 500, seed);
        let mut list = SortedVector::new();
        let mut sets: Vec<Box<dyn Classifier>> =
            vec![Box::new(PartitionSort::new()), Box::new(Hybrid::new()), Box::new(BlockedScan::new())];
        let mut rng = Rng::new(seed);
        // Up to all rules, down to a tenth of them and up again.
        for chance in [95, 10, 80] {
            for _ in 0..3000 {
                let rule = rng.pick(&rules).unwrap();
                let there = list.remove(rule.id());
                let back = rng.percent(chance);
                if back {
                    list.insert(rule).unwrap();
                }
                for set in &mut sets {
                    assert_eq!(set.remove(rule.id()), there);
                    if back {
                        set.insert(rule).unwrap();
                    }
                }
                let key = rng.pick(&keys).unwrap();
                let expected = list.classify(key);
                assert!(sets.iter().all(|set| set.classify(key) == expected), "{shape:?}");
            }
            for key in &keys {
                let expected = list.classify(key);
                assert!(sets.iter().all(|set| set.classify(key) == expected), "{shape:?}");
            }
        }
    }
}
