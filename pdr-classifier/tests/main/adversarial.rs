//! Rule sets made to hurt: answers stay right, and the cost is what the README says.

use pdr_classifier::generate::{Family, Hits, Shape, rules, trace};
use pdr_classifier::{
    Classifier as _, Filters, Hybrid, Key, LARGE_BOXES_MIN, Lane, PARTITIONS_MAX, PartitionSort, Pdi, Pdr,
    PdrId, Rule, SMALL_BOXES_MAX, Sdf, SdfFilter, SortedVector, TupleSpaceSearch,
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

fn same_answers(left: &PartitionSort, right: &SortedVector, keys: &[Key]) {
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
fn when_a_rule_at_the_crossover_comes_and_goes_then_the_others_stay_where_they_are() {
    let rules = compiled(Shape::Wildcards, SMALL_BOXES_MAX + 1);
    let mut set = Hybrid::new();
    let (last, others) = rules.split_last().unwrap();
    others.iter().for_each(|rule| set.insert(rule).unwrap());
    assert!(!set.is_large());
    set.insert(last).unwrap();
    assert!(set.is_large());
    for _ in 0..3 {
        assert!(set.remove(last.id()) && set.is_large());
        set.insert(last).unwrap();
    }
    for rule in &rules[LARGE_BOXES_MIN..] {
        assert!(set.is_large() && set.remove(rule.id()));
    }
    assert!(!set.is_large());
    assert_eq!((set.len(), set.classify(&Key::new())), (LARGE_BOXES_MIN, Some(PdrId(1))));
}
