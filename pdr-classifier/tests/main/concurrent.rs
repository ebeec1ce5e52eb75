//! Sets that threads search while they change, and sets that others share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pdr_classifier::generate::{Family, Hits, Shape, rules, trace};
use pdr_classifier::{
    Change, Classifier, Filters, Hybrid, InsertError, Key, LAYERS_MAX, Layer, Layered, Pdi, Pdr, PdrId,
    Prefix, Rule, SET_BOXES_MAX, SortedVector, SourceInterface, UeIp, shared,
};

use crate::oracle;

const READERS: usize = 3;
const SWAPS: u32 = 1_000;

/// A rule that every packet of the access side matches.
fn rule(id: u32) -> Rule {
    let pdr = Pdr { id: PdrId(id), precedence: 255, pdi: Pdi::default() };
    pdr.compile(&Filters::new()).unwrap()
}

fn compiled(count: usize) -> Vec<Rule> {
    let pdrs = rules(Shape::Firewall, Family::V4, count, 3);
    pdrs.iter().map(|pdr| pdr.compile(&Filters::new()).unwrap()).collect()
}

#[test]
fn when_one_rule_replaces_another_then_no_reader_finds_neither_or_both() {
    let (mut writer, reader) = shared(Hybrid::new());
    writer.apply([Change::Insert(rule(0))]).unwrap();
    let is_over = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|_| (reader.clone(), &is_over))
            .map(|(reader, is_over)| {
                scope.spawn(move || {
                    let mut last = PdrId(0);
                    while !is_over.load(Ordering::Acquire) {
                        let set = reader.enter().expect("the writer is there");
                        assert_eq!(set.len(), 1);
                        let found = set.classify(&Key::new()).expect("one of the two is there");
                        assert!(found >= last, "{found:?} after {last:?}");
                        last = found;
                    }
                    reader.classify(&Key::new())
                })
            })
            .collect();
        for id in 0..SWAPS {
            writer.apply([Change::Remove(PdrId(id)), Change::Insert(rule(id + 1))]).unwrap();
        }
        is_over.store(true, Ordering::Release);
        readers.into_iter().map(|reader| reader.join().expect("no reader fails")).collect::<Vec<_>>()
    });
    assert_eq!(seen, vec![Some(PdrId(SWAPS)); READERS]);
}

#[test]
fn when_a_set_with_rules_is_divided_then_both_copies_hold_them_and_every_change() {
    let rules = compiled(200);
    let (first, later) = rules.split_at(100);
    let (mut writer, reader) = shared(Hybrid::build(first).unwrap());
    let mut expected = SortedVector::new();
    first.iter().for_each(|rule| expected.insert(rule).unwrap());
    let keys = trace(&rules, Hits::Uniform, 200, 5);
    for (old, new) in first.iter().zip(later) {
        writer.apply([Change::Insert(new.clone()), Change::Remove(old.id())]).unwrap();
        expected.insert(new).unwrap();
        assert!(expected.remove(old.id()));
        let set = reader.enter().unwrap();
        for key in &keys {
            assert_eq!(set.classify(key), expected.classify(key));
        }
        assert_eq!((set.len(), set.boxes()), (expected.len(), expected.boxes()));
    }
}

#[test]
fn when_one_of_several_changes_cannot_be_made_then_none_is() {
    let (mut writer, reader) = shared(Hybrid::new());
    writer.apply([Change::Insert(rule(1))]).unwrap();
    let refused = [
        vec![Change::Insert(rule(2)), Change::Insert(rule(1))],
        vec![Change::Remove(PdrId(1)), Change::Insert(rule(2)), Change::Insert(rule(2))],
        vec![Change::Remove(PdrId(1)), Change::Insert(rule(1)), Change::Insert(rule(1))],
    ];
    for (changes, duplicate) in refused.into_iter().zip([1, 2, 1]) {
        assert_eq!(writer.apply(changes), Err(InsertError::Duplicate(PdrId(duplicate))));
        assert_eq!((reader.classify(&Key::new()), reader.enter().unwrap().len()), (Some(PdrId(1)), 1));
    }
    // One that goes makes place for itself; one that is not there is no fault.
    writer.apply([Change::Remove(PdrId(7)), Change::Remove(PdrId(1)), Change::Insert(rule(1))]).unwrap();
    assert_eq!(reader.enter().unwrap().len(), 1);
}

#[test]
fn when_more_rules_come_than_a_set_holds_then_they_are_refused() {
    // Both addresses cannot be the UE's: rules that no packet matches, which take no room but their own.
    let nothing = |id| {
        let host = |text: &str| Prefix::host(text.parse().unwrap());
        let ue_ip = UeIp { side: pdr_classifier::Side::Source, v4: Some([10, 0, 0, 1].into()), v6: None };
        let pdi = Pdi {
            source_interface: SourceInterface::Access,
            ue_ip: Some(ue_ip),
            sdf_filters: vec![pdr_classifier::Sdf::Filter(pdr_classifier::SdfFilter {
                source: pdr_classifier::Address::Prefix(host("10.0.0.2")),
                ..Default::default()
            })],
            ..Pdi::default()
        };
        Pdr { id: PdrId(id), precedence: 1, pdi }.compile(&Filters::new()).unwrap()
    };
    assert_eq!(nothing(1).boxes(), 0);
    let (mut writer, reader) = shared(SortedVector::new());
    let too_many = 0..=SET_BOXES_MAX as u32;
    assert_eq!(writer.apply(too_many.map(|id| Change::Insert(nothing(id)))), Err(InsertError::Full));
    assert!(reader.enter().unwrap().is_empty());
}

#[test]
fn when_the_writer_is_gone_then_readers_find_nothing() {
    let (mut writer, reader) = shared(Hybrid::new());
    writer.apply([Change::Insert(rule(1))]).unwrap();
    let another = writer.reader();
    assert_eq!(another.classify(&Key::new()), Some(PdrId(1)));
    drop(writer);
    assert!(reader.enter().is_none() && another.classify(&Key::new()).is_none());
}

/// The rule of the lowest precedence, then of the first layer, then of the lowest ID.
fn first_of_layers(layers: &[(Layer, &[Pdr])], key: &Key) -> Option<(Layer, PdrId)> {
    let ranks = layers.iter().enumerate().filter_map(|(place, (layer, pdrs))| {
        let id = oracle::first(pdrs.iter(), &[], key)?;
        let precedence = pdrs.iter().find(|pdr| pdr.id == id)?.precedence;
        Some((precedence, place, (*layer, id)))
    });
    ranks.min_by_key(|&(precedence, place, _)| (precedence, place)).map(|(.., found)| found)
}

#[test]
fn when_sets_are_layered_then_the_lowest_precedence_of_all_holds_and_of_equal_ones_the_first_layer() {
    // The same precedences in each set, so that layers often tie.
    let set = |seed| {
        let mut pdrs = rules(Shape::Firewall, Family::V4, 60, seed);
        pdrs.iter_mut().for_each(|pdr| pdr.precedence %= 5);
        let compiled: Vec<Rule> = pdrs.iter().map(|pdr| pdr.compile(&Filters::new()).unwrap()).collect();
        (pdrs, compiled)
    };
    let (own, first, second) = (set(1), set(2), set(3));
    let shared = [&first, &second].map(|(_, rules)| Arc::new(Hybrid::build(rules).unwrap()));
    let mut session = Layered::new(Hybrid::build(&own.1).unwrap());
    shared.iter().for_each(|set| session.attach(set.clone()).unwrap());
    let keys: Vec<Key> =
        [&own.1, &first.1, &second.1].iter().flat_map(|rules| trace(rules, Hits::Uniform, 200, 9)).collect();
    let layers = [(Layer::Own, &own.0[..]), (Layer::Shared(0), &first.0), (Layer::Shared(1), &second.0)];
    let mut hits = [0; 3];
    for key in &keys {
        let found = session.classify(key);
        assert_eq!(found, first_of_layers(&layers, key));
        let place = layers.iter().position(|(layer, _)| found.is_some_and(|(found, _)| found == *layer));
        hits[place.expect("a trace hits")] += 1;
    }
    assert!(hits.iter().all(|&hits| hits > 20), "{hits:?}");
    assert!(session.detach(&shared[0]) && !session.detach(&shared[0]));
    let layers = [(Layer::Own, &own.0[..]), (Layer::Shared(0), &second.0)];
    for key in &keys {
        assert_eq!(session.classify(key), first_of_layers(&layers, key));
    }
}

#[test]
fn when_a_set_is_attached_beyond_the_limit_then_it_is_refused() {
    let set = Arc::new(Hybrid::new());
    let mut session = Layered::new(Hybrid::new());
    (0..LAYERS_MAX).for_each(|_| session.attach(set.clone()).unwrap());
    assert_eq!(session.attach(set), Err(InsertError::Full));
}
