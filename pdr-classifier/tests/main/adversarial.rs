//! Rule sets made to hurt: answers stay right, and the cost is what the README says.

use pdr_classifier::generate::{Family, Hits, Shape, rules, trace};
use pdr_classifier::{
    Classifier, Crossovers, Filters, GATHER_UPDATES_MIN, Hybrid, Key, Lane, PARTITIONS_MAX, PartitionSort,
    Pdi, Pdr, PdrId, Rule, Sdf, SdfFilter, SortedVector, TupleSpaceSearch, Vectors,
};

fn compiled(shape: Shape, count: usize) -> Vec<Rule> {
    let pdrs = rules(shape, Family::V4, count, 3);
    pdrs.iter().map(|pdr| pdr.compile(&Filters::new()).unwrap()).collect()
}

fn inserted(rules: &[Rule]) -> PartitionSort {
    let mut set = PartitionSort::new();
    rules.iter().for_each(|rule| set.insert(rule).unwrap());
    set
}

fn hybrids(rules: &[Rule]) -> [Hybrid; 2] {
    let mut set = Hybrid::new();
    rules.iter().for_each(|rule| set.insert(rule).unwrap());
    [set, Hybrid::build(rules).unwrap()]
}

/// The rule as another one, that comes after those with lower numbers.
fn renumbered(shape: Shape, count: usize, first: u32) -> Vec<Rule> {
    let renumber = |pdr: Pdr| {
        let pdr = Pdr { id: PdrId(first + pdr.id.0), precedence: first + pdr.precedence, ..pdr };
        pdr.compile(&Filters::new()).unwrap()
    };
    rules(shape, Family::V4, count, 3).into_iter().map(renumber).collect()
}

fn same_answers(left: &dyn Classifier, right: &SortedVector, keys: &[Key]) {
    for key in keys {
        assert_eq!(left.classify(key), right.classify(key));
    }
}

#[test]
fn when_each_rule_needs_its_own_partition_then_their_number_is_limited_and_the_rest_is_scanned() {
    let rules = compiled(Shape::Overlapping, 500);
    let keys = trace(&rules, Hits::Uniform, 500, 5);
    for mut set in [inserted(&rules), PartitionSort::build(&rules).unwrap()] {
        assert_eq!((set.partitions(), set.overflow()), (PARTITIONS_MAX, 500 - PARTITIONS_MAX));
        let mut list = SortedVector::new();
        rules.iter().for_each(|rule| list.insert(rule).unwrap());
        same_answers(&set, &list, &keys);
        // As partitions are given up, the rest moves into them.
        for id in (1..=480).map(PdrId) {
            assert!(set.remove(id) && list.remove(id));
            same_answers(&set, &list, &keys[..20]);
        }
        same_answers(&set, &list, &keys);
        assert_eq!((set.partitions(), set.overflow()), (20, 0));
    }
}

#[test]
fn when_every_rule_has_its_own_tuple_then_partition_sort_needs_one_partition() {
    let rules = compiled(Shape::EachItsTuple, 2000);
    let mut tuples = TupleSpaceSearch::new();
    rules.iter().for_each(|rule| tuples.insert(rule).unwrap());
    assert_eq!(tuples.tables(), 2000);
    assert_eq!(inserted(&rules).partitions(), 1);
    for key in trace(&rules, Hits::Last, 10, 5) {
        assert_eq!(tuples.classify(&key), Some(PdrId(2000)));
    }
    rules.iter().for_each(|rule| assert!(tuples.remove(rule.id())));
    assert_eq!(tuples.tables(), 0);
}

#[test]
fn when_rules_share_a_tuple_then_one_table_and_one_partition_hold_them() {
    let rules = compiled(Shape::OneTuple, 2000);
    let mut tuples = TupleSpaceSearch::new();
    rules.iter().for_each(|rule| tuples.insert(rule).unwrap());
    assert_eq!((tuples.tables(), inserted(&rules).partitions()), (1, 1));
}

#[test]
fn when_ten_thousand_rules_ask_nothing_then_the_best_is_found_and_can_go() {
    let rules = compiled(Shape::Wildcards, 10_000);
    let mut set = inserted(&rules);
    assert_eq!((set.partitions(), set.overflow()), (1, 0));
    for id in (1..=10_000).map(PdrId) {
        assert_eq!(set.classify(&Key::new()), Some(id));
        assert!(set.remove(id));
    }
    assert_eq!((set.classify(&Key::new()), set.partitions()), (None, 0));
}

#[test]
fn when_a_long_list_is_dropped_then_the_stack_holds() {
    let mut list = pdr_classifier::LinkedList::new();
    // From last to first: each is inserted at the head.
    compiled(Shape::Wildcards, 100_000).iter().rev().for_each(|rule| list.insert(rule).unwrap());
    assert_eq!(list.classify(&Key::new()), Some(PdrId(1)));
}

fn of_ports(id: u32, source: std::ops::RangeInclusive<u16>, to: std::ops::RangeInclusive<u16>) -> Rule {
    let filter =
        SdfFilter { source_ports: vec![source], destination_ports: vec![to], ..SdfFilter::default() };
    let pdi = Pdi { sdf_filters: vec![Sdf::Filter(filter)], ..Pdi::default() };
    Pdr { id: PdrId(id), precedence: id, pdi }.compile(&Filters::new()).unwrap()
}

#[test]
fn when_the_first_order_does_not_sort_a_second_rule_then_another_order_is_found() {
    // The first rule's destination port is a point, and is compared first; there the second overlaps.
    let mut set = inserted(&[of_ports(1, 1..=10, 5..=5), of_ports(2, 20..=30, 0..=100)]);
    assert_eq!(set.partitions(), 1);
    // Now only the source port can be first; this one overlaps there, whatever comes after.
    set.insert(&of_ports(3, 5..=25, 5..=5)).unwrap();
    assert_eq!(set.partitions(), 2);
    let packet = |source, to| {
        let key = Key::new().with(Lane::IpVersion, 4);
        key.with(Lane::SourcePort, source).with(Lane::DestinationPort, to)
    };
    for (source, to, expected) in [(7, 5, Some(1)), (25, 5, Some(2)), (15, 5, Some(3)), (25, 101, None)] {
        assert_eq!(set.classify(&packet(source, to)), expected.map(PdrId));
    }
}

#[test]
fn when_a_rule_at_a_crossover_comes_and_goes_then_the_others_stay_where_they_are() {
    let sets = Vectors::available().into_iter().map(|vectors| Hybrid::new().with_vectors(vectors));
    for (set, first) in sets.flat_map(|set| [(set.clone(), true), (set, false)]) {
        let Crossovers { few_max, few_again, scan_max, scan_again, .. } = set.crossovers();
        let (most, again) = if first { (few_max, few_again) } else { (scan_max, scan_again) };
        let beyond = |set: &Hybrid| if first { !set.is_small() } else { set.is_large() };
        let rules = compiled(Shape::Wildcards, most + 1);
        let mut set = set;
        let (last, others) = rules.split_last().unwrap();
        others.iter().for_each(|rule| set.insert(rule).unwrap());
        assert!(!beyond(&set));
        set.insert(last).unwrap();
        assert!(beyond(&set));
        for _ in 0..3 {
            assert!(set.remove(last.id()) && beyond(&set));
            set.insert(last).unwrap();
        }
        for rule in &rules[again..] {
            assert!(beyond(&set) && set.remove(rule.id()));
        }
        assert!(!beyond(&set));
        assert_eq!((set.len(), set.classify(&Key::new())), (again, Some(PdrId(1))));
    }
}

#[test]
fn when_each_rule_needs_its_own_partition_then_the_hybrid_makes_none_and_scans() {
    for count in [16, 64, 500, 2000] {
        let rules = compiled(Shape::Overlapping, count);
        let mut list = SortedVector::new();
        rules.iter().for_each(|rule| list.insert(rule).unwrap());
        for set in hybrids(&rules) {
            assert_eq!((set.partitions(), set.scanned()), (0, count));
            same_answers(&set, &list, &trace(&rules, Hits::Uniform, 100, 5));
        }
    }
}

#[test]
fn when_ten_thousand_rules_ask_nothing_then_the_hybrid_scans_one_block() {
    let rules = compiled(Shape::Wildcards, 10_000);
    for mut set in hybrids(&rules) {
        assert_eq!((set.partitions(), set.scanned()), (0, 10_000));
        for id in (1..=100).map(PdrId) {
            assert_eq!(set.classify(&Key::new()), Some(id));
            assert!(set.remove(id));
        }
    }
}

#[test]
fn when_a_rule_that_asks_nothing_comes_first_and_goes_then_it_holds_as_long_as_it_is_there() {
    for count in [1, 5, 100, 600] {
        let rules = compiled(Shape::Firewall, count);
        let keys = trace(&rules, Hits::Uniform, 100, 5);
        // Before all, before the others but for the first, and behind all.
        let wide = |id, precedence| Pdr { id: PdrId(id), precedence, pdi: Pdi::default() };
        let middle = rules[count / 2].rank().precedence;
        let wide = [(900_001, 0), (900_002, middle), (900_003, u32::MAX), (900_000, 0)]
            .map(|(id, precedence)| wide(id, precedence).compile(&Filters::new()).unwrap());
        for mut set in hybrids(&rules) {
            let mut list = SortedVector::new();
            rules.iter().for_each(|rule| list.insert(rule).unwrap());
            let check = |set: &Hybrid, list: &SortedVector| {
                for key in &keys {
                    assert_eq!(set.classify(key), list.classify(key));
                    let below = Some(rules[0].rank());
                    assert_eq!(set.find(key, below), list.find(key, below));
                }
            };
            for rule in wide.iter().chain(&rules[..1]) {
                list.remove(rule.id());
                set.remove(rule.id());
                set.insert(rule).unwrap();
                list.insert(rule).unwrap();
                check(&set, &list);
            }
            for rule in [&wide[3], &rules[0], &wide[0], &wide[2], &wide[1]] {
                assert!(set.remove(rule.id()) && list.remove(rule.id()));
                check(&set, &list);
            }
        }
    }
}

#[test]
fn when_a_set_is_large_then_the_hybrid_has_only_partitions_of_many_boxes() {
    for shape in [Shape::Firewall, Shape::Gateway, Shape::Qos, Shape::EachItsTuple] {
        let rules = compiled(shape, 3000);
        for mut set in hybrids(&rules) {
            let boxes: usize = rules.iter().map(Rule::boxes).sum();
            assert!(set.is_large() && set.partitions() > 0, "{shape:?}");
            assert!(
                set.partitions() * set.crossovers().partition_boxes_min <= boxes - set.scanned(),
                "{shape:?}"
            );
            // What is left of a partition goes to the scan before a lookup in it is not worth its time.
            rules[..2800].iter().for_each(|rule| assert!(set.remove(rule.id())));
            let boxes: usize = rules[2800..].iter().map(Rule::boxes).sum();
            assert!(
                set.partitions() * set.crossovers().partition_boxes_min / 2 <= boxes - set.scanned(),
                "{shape:?}"
            );
        }
    }
}

#[test]
fn when_boxes_that_are_scanned_make_a_partition_then_they_move_there_and_back_when_few_are_left() {
    let scanned = compiled(Shape::Overlapping, 300);
    let sorted = renumbered(Shape::EachItsTuple, 300 + 2 * GATHER_UPDATES_MIN, 10_000);
    let all = [scanned.as_slice(), &sorted].concat();
    let mut list = SortedVector::new();
    let [mut set, _] = hybrids(&scanned);
    scanned.iter().for_each(|rule| list.insert(rule).unwrap());
    assert_eq!((set.partitions(), set.scanned()), (0, 300));
    for rule in &sorted {
        set.insert(rule).unwrap();
        list.insert(rule).unwrap();
    }
    // One order sorts the second part; what came since the last trial finds its place by itself.
    assert_eq!(set.partitions(), 1);
    assert!(set.scanned() < 300 + GATHER_UPDATES_MIN, "{} of {}", set.scanned(), all.len());
    let keys = trace(&all, Hits::Uniform, 300, 5);
    same_answers(&set, &list, &keys);
    let (left, gone) = sorted.split_at(set.crossovers().partition_boxes_min / 2);
    for rule in gone {
        assert!(set.remove(rule.id()) && list.remove(rule.id()));
    }
    assert_eq!((set.partitions(), set.scanned()), (0, 300 + left.len()));
    same_answers(&set, &list, &keys);
}

#[test]
fn when_a_few_rules_ask_many_fields_and_one_order_sorts_them_then_the_hybrid_has_one_partition() {
    let Crossovers { few_max, few_again, .. } = Hybrid::new().crossovers();
    let rules = compiled(Shape::OneTuple, few_max + 1);
    for mut set in hybrids(&rules) {
        assert!(set.is_large());
        assert_eq!((set.partitions(), set.scanned()), (1, 0));
        for rule in &rules[few_again..] {
            assert!(set.is_large() && set.remove(rule.id()));
        }
        assert!(set.is_small());
    }
}
