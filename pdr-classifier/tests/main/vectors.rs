//! Each kind of vector instructions at the ends of lanes, blocks and numbers.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;

use pdr_classifier::generate::{Family, Hits, Shape, rules, trace};
use pdr_classifier::{
    BlockedScan, Classifier, FTeid, Filters, Hybrid, Key, Lane, PartitionSort, Pdi, Pdr, PdrId, Prefix, Rule,
    Side, SortedVector, Vectors,
};

/// The boxes of a block, and some more.
const RULES: u32 = 16 + 3;

fn classifiers(rules: &[Rule]) -> Vec<(String, Box<dyn Classifier>)> {
    let mut sets: Vec<(String, Box<dyn Classifier>)> = Vec::new();
    for vectors in Vectors::available() {
        let mut add = |name: &str, mut set: Box<dyn Classifier>| {
            rules.iter().for_each(|rule| set.insert(rule).unwrap());
            sets.push((format!("{name}, {vectors}"), set));
        };
        add("sorted vector", Box::new(SortedVector::new().with_vectors(vectors)));
        add("blocked scan", Box::new(BlockedScan::new().with_vectors(vectors)));
        add("partition sort", Box::new(PartitionSort::new().with_vectors(vectors)));
        add("hybrid", Box::new(Hybrid::new().with_vectors(vectors)));
    }
    sets
}

fn rule(id: u32, pdi: Pdi) -> Rule {
    Pdr { id: PdrId(id), precedence: id, pdi }.compile(&Filters::new()).unwrap()
}

fn teid(teid: u32) -> Pdi {
    Pdi { f_teids: vec![FTeid { address: NonZeroU32::MIN, teid }], ..Pdi::default() }
}

#[test]
fn when_portable_code_is_asked_for_then_it_is_there_and_the_best_is_the_first() {
    let available = Vectors::available();
    assert_eq!(available.first(), Some(&Vectors::best()));
    assert_eq!(available.last(), Some(&Vectors::PORTABLE));
}

#[test]
fn when_values_have_the_highest_bit_then_they_are_compared_without_a_sign() {
    let values = [0, 1, i32::MAX as u32 - 1, i32::MAX as u32, 1 << 31, (1 << 31) + 1, u32::MAX - 1, u32::MAX];
    for exact in values {
        // A prefix of one bit: an interval that ends at, or begins behind, the greatest signed number.
        let half = |id: u32, network: [u8; 4]| {
            let route = Prefix::new(IpAddr::from(network), 1).unwrap();
            rule(id, Pdi { framed_routes: vec![route], ..Pdi::default() })
        };
        let rules = [rule(1, teid(exact)), half(2, [0, 0, 0, 0]), half(3, [128, 0, 0, 0])];
        for (name, set) in classifiers(&rules) {
            for value in values {
                let key = Key::new().with(Lane::TunnelAddress, 1).with(Lane::Teid, value);
                assert_eq!(
                    set.classify(&key),
                    (value == exact).then_some(PdrId(1)),
                    "{name}: {value} {exact}"
                );
                let address = Ipv4Addr::from(value).into();
                let key = Key::new().with_address(Side::Source, address);
                let key = key.with_address(Side::Destination, address);
                let expected = if value >> 31 == 0 { PdrId(2) } else { PdrId(3) };
                assert_eq!(set.classify(&key), Some(expected), "{name}: {value}");
            }
        }
    }
}

#[test]
fn when_a_block_is_full_then_each_of_its_boxes_is_found_and_no_other() {
    let rules: Vec<Rule> = (0..RULES).map(|at| rule(at, teid(at * 3))).collect();
    for (name, mut set) in classifiers(&rules) {
        let find = |set: &dyn Classifier, teid| {
            set.classify(&Key::new().with(Lane::TunnelAddress, 1).with(Lane::Teid, teid))
        };
        for value in 0..RULES * 3 {
            let expected = value.is_multiple_of(3).then_some(PdrId(value / 3));
            assert_eq!(find(set.as_ref(), value), expected, "{name}: {value}");
        }
        // What went is not found, and what is put in its place is.
        for at in (0..RULES).rev() {
            assert!(set.remove(PdrId(at)), "{name}");
            assert_eq!(find(set.as_ref(), at * 3), None, "{name}: {at}");
            set.insert(&rules[at as usize]).unwrap();
            assert_eq!(find(set.as_ref(), at * 3), Some(PdrId(at)), "{name}: {at}");
        }
    }
}

#[test]
fn when_one_lane_alone_is_outside_then_a_box_that_restricts_all_others_is_not_found() {
    // Every lane that a rule can restrict to one value, by the generator's rule of the most lanes.
    let pdrs = rules(Shape::OneTuple, Family::V6, RULES as usize, 7);
    let rules: Vec<Rule> = pdrs.iter().map(|pdr| pdr.compile(&Filters::new()).unwrap()).collect();
    let keys = trace(&rules, Hits::Uniform, 64, 7);
    const LANES: [Lane; 28] = [
        Lane::SourceInterface,
        Lane::SourceInterfaceType,
        Lane::TunnelAddress,
        Lane::Teid,
        Lane::NetworkInstance,
        Lane::TrafficEndpoint,
        Lane::Application,
        Lane::Qfi,
        Lane::MbsSession,
        Lane::Frame,
        Lane::IpVersion,
        Lane::Source0,
        Lane::Source3,
        Lane::Destination0,
        Lane::Destination3,
        Lane::Protocol,
        Lane::Tos,
        Lane::SourcePort,
        Lane::DestinationPort,
        Lane::FlowLabel,
        Lane::SourceMacHigh,
        Lane::SourceMacLow,
        Lane::DestinationMacHigh,
        Lane::DestinationMacLow,
        Lane::Ethertype,
        Lane::CTag,
        Lane::STag,
        Lane::Source1,
    ];
    for (name, set) in classifiers(&rules) {
        for key in &keys {
            assert!(set.classify(key).is_some(), "{name}");
            for lane in LANES {
                let outside = key.with(lane, key.get(lane) ^ 1 << 31);
                assert_eq!(set.classify(&outside), None, "{name}: {lane:?}");
            }
        }
    }
}
