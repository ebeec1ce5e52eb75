//! What a rule means, case by case.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use pdr_classifier::{
    Address, BOXES_MAX, Classifier as _, EthernetFilter, ExpandError, FTeid, Filters, IngressTunnel,
    InsertError, Key, Lane, LinkedList, MacAddresses, Masked, MulticastFlows, MulticastGroups, Pdi, Pdr,
    PdrId, Prefix, QfiSet, RedundantTransmission, Rule, Sdf, SdfFilter, Side, SortedVector, SourceInterface,
    Tag, UeIp,
};

fn compile(pdi: Pdi) -> Result<Rule, ExpandError> {
    Pdr { id: PdrId(1), precedence: 1, pdi }.compile(&Filters::new())
}

fn matches(rule: &Rule, key: &Key) -> bool {
    let mut rules = SortedVector::new();
    rules.insert(rule).unwrap();
    rules.classify(key).is_some()
}

fn downlink(filter: SdfFilter) -> Pdi {
    Pdi {
        source_interface: SourceInterface::Core,
        ue_ip: Some(UeIp {
            side: Side::Destination,
            v4: Some("10.45.0.2".parse().unwrap()),
            v6: Some(Prefix::new("2001:db8:45::".parse().unwrap(), 64).unwrap()),
        }),
        sdf_filters: vec![Sdf::Filter(filter)],
        ..Pdi::default()
    }
}

fn key(source: &str, destination: &str) -> Key {
    Key::new()
        .with(Lane::SourceInterface, SourceInterface::Core as u32)
        .with_address(Side::Source, source.parse().unwrap())
        .with_address(Side::Destination, destination.parse().unwrap())
}

#[test]
fn when_the_ue_has_both_ip_versions_then_a_filter_to_assigned_takes_either() {
    let to_ue = SdfFilter { destination: Address::Assigned, protocol: Some(17), ..SdfFilter::default() };
    let rule = compile(downlink(to_ue)).unwrap();
    assert_eq!(rule.boxes(), 2);
    let udp = |key: Key| key.with(Lane::Protocol, 17);
    assert!(matches(&rule, &udp(key("203.0.113.1", "10.45.0.2"))));
    assert!(!matches(&rule, &udp(key("203.0.113.1", "10.45.0.3"))));
    assert!(matches(&rule, &udp(key("2001:db8::1", "2001:db8:45::9:9"))));
    assert!(!matches(&rule, &udp(key("2001:db8::1", "2001:db8:45:1::9"))));
    assert!(!matches(&rule, &key("203.0.113.1", "10.45.0.2").with(Lane::Protocol, 6)));
}

#[test]
fn when_nothing_is_assigned_then_a_filter_to_assigned_is_refused() {
    let to_ue = SdfFilter { destination: Address::Assigned, ..SdfFilter::default() };
    let pdi = Pdi { sdf_filters: vec![Sdf::Filter(to_ue)], ..Pdi::default() };
    assert_eq!(compile(pdi), Err(ExpandError::NothingAssigned));
}

#[test]
fn when_a_filter_is_a_reference_then_its_direction_is_reversed() {
    let filter = SdfFilter {
        source: Address::Prefix("203.0.113.7".parse::<std::net::IpAddr>().unwrap().into()),
        source_ports: vec![443..=443],
        ..SdfFilter::default()
    };
    let mut filters = Filters::new();
    filters.define(7, filter).unwrap();
    let pdr = |id| Pdr {
        id: PdrId(1),
        precedence: 1,
        pdi: Pdi { sdf_filters: vec![Sdf::Reference(id)], ..Pdi::default() },
    };
    let rule = pdr(7).compile(&filters).unwrap();
    let uplink = key("10.45.0.2", "203.0.113.7").with(Lane::SourceInterface, 0);
    assert!(matches(&rule, &uplink.with(Lane::DestinationPort, 443)));
    assert!(!matches(&rule, &uplink.with(Lane::SourcePort, 443)));
    assert_eq!(pdr(8).compile(&filters), Err(ExpandError::UnknownFilter(8)));
}

#[test]
fn when_port_ranges_overlap_or_touch_then_they_are_one_box() {
    let ports = vec![80..=90, 443..=443, 85..=100, 101..=110, RangeInclusive::new(9, 3)];
    let rule = compile(downlink(SdfFilter { source_ports: ports, ..SdfFilter::default() })).unwrap();
    assert_eq!(rule.boxes(), 4, "two intervals for each of the two addresses");
    let at = |port| key("203.0.113.1", "10.45.0.2").with(Lane::SourcePort, port);
    for (port, hit) in [(79, false), (80, true), (110, true), (111, false), (443, true), (5, false)] {
        assert_eq!(matches(&rule, &at(port)), hit, "port {port}");
    }
    assert!(!matches(&rule, &key("203.0.113.1", "10.45.0.2")), "a packet without ports");
}

#[test]
fn when_a_tos_mask_is_not_an_interval_then_the_leaf_decides() {
    let tos = Some(Masked::new(0b0010_0010, 0b0110_0011));
    let rule = compile(downlink(SdfFilter { tos, ..SdfFilter::default() })).unwrap();
    for value in 0..=255 {
        let packet = key("203.0.113.1", "10.45.0.2").with(Lane::Tos, value);
        assert_eq!(matches(&rule, &packet), value & 0b0110_0011 == 0b0010_0010, "{value:08b}");
    }
    assert!(!matches(&rule, &key("203.0.113.1", "10.45.0.2")));
}

#[test]
fn when_qfis_are_listed_then_these_and_no_others_match() {
    let pdi = Pdi { qfis: QfiSet::new(&[1, 5, 63]).unwrap(), ..Pdi::default() };
    let rule = compile(pdi).unwrap();
    assert_eq!(rule.boxes(), 1);
    for qfi in 0..64 {
        assert_eq!(matches(&rule, &Key::new().with(Lane::Qfi, qfi)), [1, 5, 63].contains(&qfi));
    }
    assert!(!matches(&rule, &Key::new()));
    assert_eq!(QfiSet::new(&[64]), Err(ExpandError::Qfi(64)));
}

#[test]
fn when_a_mac_range_crosses_a_lane_then_its_ends_hold() {
    let range = 0x0002_FFFF_FFF0..=0x0005_0000_000F;
    let addresses = vec![MacAddresses { source: Some(range.clone()), destination: None }];
    let vlan = Some(Tag { vlan: Some(7), ..Tag::default() });
    let filter = EthernetFilter { addresses, c_tag: vlan, ..EthernetFilter::default() };
    let rule = compile(Pdi { ethernet_filters: vec![filter.clone()], ..Pdi::default() }).unwrap();
    let reversed = compile(Pdi { ethernet_filters: vec![filter.reversed()], ..Pdi::default() }).unwrap();
    let octets = |mac: u64| <[u8; 6]>::try_from(&mac.to_be_bytes()[2..]).unwrap();
    for mac in [range.start() - 1, *range.start(), 0x0003_1234_5678, *range.end(), range.end() + 1] {
        let frame = Key::new().with_macs(octets(mac), [0; 6]).with(Lane::CTag, 0xE007);
        assert_eq!(matches(&rule, &frame), range.contains(&mac), "{mac:012x}");
        assert!(!matches(&rule, &frame.with(Lane::CTag, 0xE008)));
        let back = Key::new().with_macs([0; 6], octets(mac)).with(Lane::CTag, 0xE007);
        assert_eq!(matches(&reversed, &back), range.contains(&mac), "{mac:012x} back");
    }
}

#[test]
fn when_a_filter_has_an_spi_then_only_esp_and_ah_match() {
    let rule = compile(downlink(SdfFilter { spi: Some(0), ..SdfFilter::default() })).unwrap();
    let packet = key("203.0.113.1", "10.45.0.2");
    assert!(matches(&rule, &packet.with(Lane::Protocol, 50)));
    assert!(matches(&rule, &packet.with(Lane::Protocol, 51)));
    assert!(!matches(&rule, &packet.with(Lane::Protocol, 17)));
}

fn of_groups(groups: MulticastGroups, sources: &[(&str, u8)]) -> Rule {
    let sources =
        sources.iter().map(|(address, length)| Prefix::new(address.parse().unwrap(), *length).unwrap());
    let flows = MulticastFlows { groups, sources: sources.collect() };
    let source_interface = SourceInterface::Core;
    compile(Pdi { source_interface, multicast: vec![flows], ..Pdi::default() }).unwrap()
}

#[test]
fn when_a_rule_is_for_multicast_then_group_and_source_decide() {
    let one = "239.1.2.3".parse().unwrap();
    let rule = of_groups(MulticastGroups::V4(one..=one), &[("203.0.113.0", 24), ("192.0.2.1", 32)]);
    for (source, group, hit) in [
        ("203.0.113.9", "239.1.2.3", true),
        ("192.0.2.1", "239.1.2.3", true),
        ("192.0.2.2", "239.1.2.3", false),
        ("203.0.113.9", "239.1.2.4", false),
    ] {
        assert_eq!(matches(&rule, &key(source, group)), hit, "{source} to {group}");
    }
    let any = of_groups(MulticastGroups::Any, &[]);
    for (source, group, hit) in [
        ("203.0.113.9", "223.255.255.255", false),
        ("203.0.113.9", "224.0.0.0", true),
        ("203.0.113.9", "239.255.255.255", true),
        ("203.0.113.9", "240.0.0.0", false),
        ("2001:db8::1", "feff::1", false),
        ("2001:db8::1", "ff00::", true),
        ("2001:db8::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
    ] {
        assert_eq!(matches(&any, &key(source, group)), hit, "{source} to {group}");
    }
    assert_eq!(any.boxes(), 2);
    // A source of the other IP version sends to none of these groups.
    assert_eq!(of_groups(MulticastGroups::V4(one..=one), &[("2001:db8::", 32)]).boxes(), 0);
}

#[test]
fn when_a_range_of_groups_crosses_lanes_then_its_ends_hold() {
    let range = "ff3e::ffff:ffff".parse().unwrap()..="ff3e:0:0:2::5".parse().unwrap();
    let rule = of_groups(MulticastGroups::V6(range), &[]);
    for (group, hit) in [
        ("ff3e::ffff:fffe", false),
        ("ff3e::ffff:ffff", true),
        ("ff3e::1:0:0", true),
        ("ff3e:0:0:1:2:3:4:5", true),
        ("ff3e:0:0:2::5", true),
        ("ff3e:0:0:2::6", false),
        ("ff3e:0:1::", false),
    ] {
        assert_eq!(matches(&rule, &key("2001:db8::1", group)), hit, "{group}");
    }
    let (first, last) = ("239.0.0.9".parse().unwrap(), "239.0.0.8".parse().unwrap());
    assert_eq!(of_groups(MulticastGroups::V4(RangeInclusive::new(first, last)), &[]).boxes(), 0);
}

#[test]
fn when_copies_come_in_elsewhere_then_each_tunnel_has_its_network_instance() {
    let number = |value| NonZeroU32::new(value).unwrap();
    let copies = |network_instance| RedundantTransmission {
        f_teid: FTeid { address: number(2), teid: 9 },
        network_instance,
    };
    let pdi = |network_instance| Pdi {
        f_teids: vec![FTeid { address: number(1), teid: 7 }],
        ingress_tunnels: vec![IngressTunnel { address: number(3), port: 7 }],
        network_instance: Some(number(5)),
        redundant_transmission: Some(copies(network_instance)),
        ..Pdi::default()
    };
    let packet = |address, teid, instance| {
        Key::new().with_tunnel(number(address), teid).with(Lane::NetworkInstance, instance)
    };
    let (other, own) = (compile(pdi(Some(number(6)))).unwrap(), compile(pdi(None)).unwrap());
    for (address, teid, instance, in_other, in_own) in [
        (1, 7, 5, true, true),
        (1, 7, 6, false, false),
        (2, 9, 6, true, false),
        (2, 9, 5, false, true),
        (3, 7, 5, true, true),
        (1, 9, 5, false, false),
    ] {
        let key = packet(address, teid, instance);
        assert_eq!(
            (matches(&other, &key), matches(&own, &key)),
            (in_other, in_own),
            "{address} {teid} {instance}"
        );
    }
}

#[test]
fn when_conditions_contradict_each_other_then_no_packet_matches() {
    let elsewhere = Address::Prefix("10.45.0.3".parse::<std::net::IpAddr>().unwrap().into());
    let rule = compile(downlink(SdfFilter { destination: elsewhere, ..SdfFilter::default() })).unwrap();
    assert_eq!(rule.boxes(), 0);
    let mut rules = LinkedList::new();
    rules.insert(&rule).unwrap();
    assert_eq!((rules.len(), rules.classify(&key("203.0.113.1", "10.45.0.3"))), (1, None));
    assert!(rules.remove(PdrId(1)) && rules.is_empty());
}

#[test]
fn when_alternatives_multiply_beyond_the_limit_then_the_rule_is_refused() {
    let ports = |count: u16| (0..count).map(|at| at * 2..=at * 2).collect::<Vec<_>>();
    let filter = |source, destination| SdfFilter {
        source_ports: ports(source),
        destination_ports: ports(destination),
        ..SdfFilter::default()
    };
    let pdi = |filter| Pdi { sdf_filters: vec![Sdf::Filter(filter)], ..Pdi::default() };
    assert_eq!(compile(pdi(filter(32, 32))).unwrap().boxes(), BOXES_MAX);
    assert_eq!(compile(pdi(filter(33, 32))), Err(ExpandError::TooManyBoxes));
    assert_eq!(compile(pdi(filter(32_768, 32_768))), Err(ExpandError::TooManyBoxes));
}

#[test]
fn when_a_rule_is_there_already_then_another_of_its_id_is_refused() {
    let rule = compile(Pdi::default()).unwrap();
    let mut rules = LinkedList::new();
    rules.insert(&rule).unwrap();
    assert_eq!(rules.insert(&rule), Err(InsertError::Duplicate(PdrId(1))));
    assert_eq!(rules.len(), 1);
}
