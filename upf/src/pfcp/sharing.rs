//! Sessions with equal rules share what is compiled of them, and each is decided by its own.

use std::net::Ipv4Addr;
use std::sync::Arc;

use pdr_classifier::{Classifier, Filters, LinkedList, Prefix, QfiSet, Sdf, Side, UeIp};
use proptest::prelude::*;
use proptest::sample::select;
use smallvec::smallvec;
use tern_pfcp::*;

use super::detection::{Detection, Ends, Part, References};
use super::intern::{Interner, Use};
use super::rules::{Refusal, RuleSet};
use crate::config::ClassifierKind;
use crate::path::{
    DropReason, Ends as FlowEnds, Flow, N3, Origin, Places, SharedRules, Verdict, downlink_key,
    network_instance, sdf_filters, tunnelled_key,
};
use crate::testing::*;

const OTHER_UE: Ipv4Addr = Ipv4Addr::new(10, 45, 0, 3);
const TO_N6: Verdict = Verdict::ToNetwork(0);
const FILTER: &str = "permit out 17 from any 53 to assigned";

/// The usual session with a filter that drops what goes to the port, of this UE and with this number.
fn request_of(ue: Ipv4Addr, number: u64) -> SessionEstablishmentRequest {
    let mut request = establishment();
    request.cp_f_seid.seid = CP_SEID + number;
    let mut drops = uplink_pdr(3, 50, 3);
    drops.pdi.sdf_filters = vec![SdfFilter::flow(FILTER)];
    request.create_pdr.push(drops);
    let far = CreateFar { far_id: FarId(3), apply_action: ApplyAction::DROP, ..Default::default() };
    request.create_far.push(far);
    for address in request.create_pdr.iter_mut().flat_map(|pdr| &mut pdr.pdi.ue_ip_addresses) {
        address.ipv4 = Some(ue);
    }
    request
}

/// The session's SEID and TEID.
fn establish(bench: &mut Bench, request: SessionEstablishmentRequest) -> (u64, u32) {
    let (_, message) = bench.ask(0, request);
    let Message::SessionEstablishmentResponse(response) = message else { panic!("{message:?}") };
    assert_eq!(response.cause, Cause::REQUEST_ACCEPTED, "{response:?}");
    let Some(FTeid::Assigned { teid, .. }) = response.created_pdr[0].f_teid else { panic!("no F-TEID") };
    (response.up_f_seid.expect("UP F-SEID").seid, teid)
}

fn share(bench: &Bench) -> bool {
    let [.., one, other] = &bench.published[..] else { panic!("two sessions") };
    Arc::ptr_eq(&one.rules, &other.rules)
}

fn to_port(bench: &mut Bench, teid: u32, ue: Ipv4Addr, port: u16) -> Verdict {
    bench.uplink(&gtpu(teid, Some(9), &udp(ue, SERVER, (4000, port), 60))).0
}

#[test]
fn when_sessions_have_equal_rules_then_they_share_them_and_differ_in_ends_and_tunnels() {
    let mut bench = Bench::new();
    let mut second = request_of(OTHER_UE, 1);
    let header = OuterHeaderCreation::gtpu_v4(0xBEEF, [198, 51, 100, 7].into());
    second.create_far[1].forwarding_parameters.as_mut().expect("forwards").outer_header_creation =
        Some(header);
    let (_, teid) = establish(&mut bench, request_of(UE, 0));
    let (_, other_teid) = establish(&mut bench, second);
    assert!(share(&bench));
    for (teid, ue, other) in [(teid, UE, OTHER_UE), (other_teid, OTHER_UE, UE)] {
        assert_eq!(to_port(&mut bench, teid, ue, 53), Verdict::Drop(DropReason::FarDrop));
        assert_eq!(to_port(&mut bench, teid, ue, 54), TO_N6);
        assert_eq!(to_port(&mut bench, teid, other, 54), Verdict::Drop(DropReason::SpoofedSource));
    }
    let tunnel = |bench: &mut Bench, ue| match bench.downlink(&udp(SERVER, ue, (53, 4000), 60)) {
        (Verdict::ToAccess(peer), bytes) => {
            (peer.address, tern_gtpu::Packet::parse(&bytes).expect("GTP-U").teid)
        }
        (verdict, _) => panic!("{verdict:?}"),
    };
    assert_eq!(tunnel(&mut bench, UE), (GNB.address, GNB_TEID));
    assert_eq!(tunnel(&mut bench, OTHER_UE), ([198, 51, 100, 7].into(), 0xBEEF));
}

#[test]
fn when_rules_differ_then_each_session_is_decided_by_its_own() {
    let dropped = Verdict::Drop(DropReason::FarDrop);
    let no_rule = Verdict::Drop(DropReason::NoRule);
    type Change = fn(&mut SessionEstablishmentRequest);
    // What differs, and what becomes of packets to ports 53 and 54.
    let cases: [(Change, Verdict, Verdict); 7] = [
        (
            |request| {
                let other = "permit out 17 from any 54 to assigned";
                request.create_pdr[2].pdi.sdf_filters = vec![SdfFilter::flow(other)];
            },
            TO_N6,
            dropped,
        ),
        (|request| request.create_pdr[2].precedence = Precedence(101), TO_N6, TO_N6),
        (|request| request.create_pdr[0].pdi.qfis = vec![Qfi(8)], dropped, no_rule),
        (|request| request.create_pdr[2].far_id = Some(FarId(1)), TO_N6, TO_N6),
        // From the UE to the UE.
        (
            |request| {
                let other = "permit out 17 from assigned to assigned";
                request.create_pdr[2].pdi.sdf_filters = vec![SdfFilter::flow(other)];
            },
            TO_N6,
            TO_N6,
        ),
        // It names an address as the UE's that is not the session's only one.
        (
            |request| request.create_pdr[2].pdi.ue_ip_addresses = vec![UeIpAddress::source_v4(UE)],
            TO_N6,
            TO_N6,
        ),
        // It has a TEID of its own.
        (
            |request| {
                let choose = FTeid::Choose { ipv4: true, ipv6: false, choose_id: None };
                request.create_pdr[2].pdi.f_teid = Some(choose);
            },
            TO_N6,
            TO_N6,
        ),
    ];
    for (at, (change, to_53, to_54)) in cases.into_iter().enumerate() {
        let mut bench = Bench::new();
        let (_, teid) = establish(&mut bench, request_of(UE, 0));
        let mut second = request_of(OTHER_UE, 1);
        change(&mut second);
        let (_, other_teid) = establish(&mut bench, second);
        assert!(!share(&bench), "case {at}");
        assert_eq!(to_port(&mut bench, other_teid, OTHER_UE, 53), to_53, "case {at}");
        assert_eq!(to_port(&mut bench, other_teid, OTHER_UE, 54), to_54, "case {at}");
        assert_eq!(to_port(&mut bench, teid, UE, 53), dropped, "case {at}");
        assert_eq!(to_port(&mut bench, teid, UE, 54), TO_N6, "case {at}");
    }
}

#[test]
fn when_the_last_session_of_a_set_goes_then_the_set_goes() {
    let mut bench = Bench::new();
    let (one, _) = establish(&mut bench, request_of(UE, 0));
    let (other, teid) = establish(&mut bench, request_of(OTHER_UE, 1));
    let kept = |bench: &Bench| (bench.core.shared.rules.len(), bench.core.templates.len());
    assert_eq!(kept(&bench), (1, 1));
    // A handover changes nothing of what packets match.
    bench.modify(one, forward_update(ApplyAction::BUFF));
    assert_eq!(kept(&bench), (1, 2));
    bench.delete(one);
    assert_eq!(kept(&bench), (1, 1));
    assert_eq!(to_port(&mut bench, teid, OTHER_UE, 54), TO_N6);
    let update = UpdatePdr { pdr_id: PdrId(3), precedence: Some(Precedence(51)), ..Default::default() };
    bench.modify(other, SessionModificationRequest { update_pdr: vec![update], ..Default::default() });
    assert_eq!(kept(&bench), (1, 1));
    bench.published.clear();
    bench.delete(other);
    assert_eq!((kept(&bench), bench.core.kept()), ((0, 0), 0));
}

#[test]
fn when_a_request_is_refused_then_it_leaves_no_shared_rules() {
    let mut bench = Bench::new();
    let (seid, _) = establish(&mut bench, request_of(UE, 0));
    let before = bench.core.kept();
    let mut bad = request_of(OTHER_UE, 1);
    bad.create_pdr[2].pdi.sdf_filters = vec![SdfFilter::flow("permit out 17 from nowhere to assigned")];
    let (_, message) = bench.ask(0, bad);
    assert_eq!(message.cause(), Some(Cause::RULE_CREATION_MODIFICATION_FAILURE));
    let update = UpdatePdr { pdr_id: PdrId(3), far_id: Some(FarId(99)), ..Default::default() };
    bench.modify(seid, SessionModificationRequest { update_pdr: vec![update], ..Default::default() });
    assert_eq!(bench.core.kept(), before);
}

/// A PDR with TEID and UE address by their numbers.
#[derive(Clone, Debug)]
struct Sketch {
    uplink: bool,
    other_interface: bool,
    precedence: u32,
    teid: usize,
    ue: Option<usize>,
    filters: Vec<&'static str>,
    qfis: Vec<u8>,
    network: Option<u16>,
}

/// By the numbers of sketches.
struct Numbers {
    teids: [u32; 2],
    ues: [Ipv4Addr; 2],
}

const ONE: Numbers = Numbers {
    teids: [0x0100_0001, 0x0100_0002],
    ues: [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)],
};
const OTHER: Numbers = Numbers {
    teids: [0x0200_0001, 0x0100_0001],
    ues: [Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3)],
};

fn sketch() -> impl Strategy<Value = Sketch> {
    const FILTERS: [&str; 9] = [
        "permit out ip from any to assigned",
        "permit out 17 from any 53 to assigned",
        "permit out ip from 10.0.0.2 to assigned 7",
        "permit out ip from any to 10.0.0.2",
        "permit out ip from any to 10.0.0.0/24",
        "permit out ip from assigned to any",
        "permit out 17 from  assigned 53 to assigned",
        "permit out 6 from 10.0.0.1 to any",
        "permit out ip from any to 10.0.0.1/32",
    ];
    let common = (any::<bool>(), prop::bool::weighted(0.1), 1u32..4, prop::bool::weighted(0.1));
    let filters = prop::collection::vec(select(&FILTERS), 0..3);
    let qfis = prop::collection::vec(8u8..10, 0..2);
    let ue = prop_oneof![4 => Just(Some(0)), 1 => Just(Some(1)), 1 => Just(None)];
    (common, ue, filters, qfis, prop::option::weighted(0.2, 0u16..2)).prop_map(
        |((uplink, other_interface, precedence, other_teid), ue, filters, qfis, network)| Sketch {
            uplink,
            other_interface,
            precedence,
            teid: usize::from(other_teid),
            ue: if uplink { ue } else { Some(ue.unwrap_or(0)) },
            filters,
            qfis,
            network,
        },
    )
}

fn rule_set(sketches: &[Sketch], numbers: &Numbers) -> RuleSet {
    let pdrs = (1..).zip(sketches).map(|(id, sketch)| {
        let ue_ip_addresses =
            sketch.ue.map(|ue| UeIpAddress::source_v4(numbers.ues[ue])).into_iter().collect();
        let teid = FTeid::assigned_v4(numbers.teids[sketch.teid], Ipv4Addr::LOCALHOST);
        let pdi = Pdi {
            source_interface: match (sketch.uplink, sketch.other_interface) {
                (true, _) => Interface::Access,
                (false, true) => Interface::CpFunction,
                (false, false) => Interface::Core,
            },
            f_teid: sketch.uplink.then_some(teid),
            ue_ip_addresses,
            sdf_filters: sketch.filters.iter().map(|text| SdfFilter::flow(text)).collect(),
            qfis: sketch.qfis.iter().copied().map(Qfi).collect(),
            ..Default::default()
        };
        let precedence = Precedence(sketch.precedence);
        CreatePdr { pdr_id: PdrId(id), precedence, pdi, ..Default::default() }
    });
    let mut rules = RuleSet::default();
    rules.pdrs.add(pdrs.collect(), usize::MAX).expect("no ID is there twice");
    rules
}

/// Each rule in full, in a list.
fn oracle(sketches: &[Sketch], numbers: &Numbers, uplink: bool) -> LinkedList {
    let assigned =
        sketches.iter().find_map(|sketch| sketch.ue).map(|ue| Prefix::host(numbers.ues[ue].into()));
    let assigned: Vec<Prefix> = assigned.into_iter().collect();
    let mut list = LinkedList::new();
    for (id, sketch) in (1..).zip(sketches).filter(|(_, sketch)| sketch.uplink == uplink) {
        let teid = pdr_classifier::FTeid { address: N3, teid: numbers.teids[sketch.teid] };
        let filters = |text: &&str| sdf_filters(&SdfFilter::flow(text), uplink, &assigned).expect("is read");
        let pdi = pdr_classifier::Pdi {
            source_interface: match (uplink, sketch.other_interface) {
                (true, _) => pdr_classifier::SourceInterface::Access,
                (false, true) => pdr_classifier::SourceInterface::CpFunction,
                (false, false) => pdr_classifier::SourceInterface::SgiLanN6Lan,
            },
            f_teids: uplink.then_some(teid).into_iter().collect(),
            ue_ip: sketch.ue.map(|ue| UeIp {
                side: if uplink { Side::Source } else { Side::Destination },
                v4: Some(numbers.ues[ue]),
                v6: None,
            }),
            sdf_filters: sketch.filters.iter().flat_map(filters).map(Sdf::Filter).collect(),
            network_instance: sketch.network.filter(|_| !uplink).map(network_instance),
            qfis: QfiSet::new(&sketch.qfis).expect("6 bits"),
            ..Default::default()
        };
        let pdr = pdr_classifier::Pdr { id: pdr_classifier::PdrId(id), precedence: sketch.precedence, pdi };
        list.insert(&pdr.compile(&Filters::new()).expect("compiles")).expect("there is room");
    }
    list
}

/// What sessions of these sketches find by, given one after the other.
fn shared(
    sketches: &[Sketch],
    numbers: &Numbers,
    interner: &mut Interner<SharedRules>,
) -> (Ends, Arc<SharedRules>) {
    let rules = rule_set(sketches, numbers);
    let ends = Ends::of(&rules).expect("ends");
    let none = Places::default();
    let mut networks = sketches.iter().map(|sketch| sketch.network);
    let detection = Detection::new(&rules, &ends, |pdr| {
        let refers = References { action: 0, qers: none, meters: none, usages: none, flow: None };
        let whole = Part { flows: &pdr.pdi.sdf_filters, refers };
        Ok((networks.next().flatten(), smallvec![whole]))
    });
    let detection = detection.expect("is supported");
    let taken: Result<(Use, _), Refusal> =
        interner.take(&detection.octets(), || detection.compile(ClassifierKind::Hybrid));
    (ends, taken.expect("compiles").1)
}

fn flows(numbers: &Numbers) -> impl Iterator<Item = Flow> {
    let addresses = [numbers.ues[0], numbers.ues[1], Ipv4Addr::new(10, 0, 0, 1), SERVER];
    let pairs = addresses.into_iter().flat_map(move |source| addresses.map(|to| (source, to)));
    pairs.flat_map(|(source, destination)| {
        [(17, 53, 7), (17, 7, 53), (6, 53, 53)].map(|(protocol, from, to)| Flow {
            ends: FlowEnds::V4 { source, destination },
            protocol,
            tos: 0,
            ports: Some((from, to)),
            spi: None,
            total_length: 28,
        })
    })
}

proptest! {
    /// The second session may get the rules that the first one compiled.
    #[test]
    fn shared_rules_find_what_a_list_of_all_rules_in_full_finds(
        sketches in prop::collection::vec(sketch(), 1..12),
    ) {
        let mut interner = Interner::default();
        for numbers in [ONE, OTHER] {
            let (ends, rules) = shared(&sketches, &numbers, &mut interner);
            let (up, down) = (oracle(&sketches, &numbers, true), oracle(&sketches, &numbers, false));
            for flow in flows(&numbers) {
                let qfis = [None, Some(8), Some(9)];
                let uplink = ends.teids.iter().flat_map(|teid| qfis.map(|qfi| tunnelled_key(&flow, &[], Origin::Access, *teid, qfi)));
                let FlowEnds::V4 { source, destination } = flow.ends else { continue };
                let is_ues = ends.ue_addresses.is_empty() || ends.ue_addresses.contains(&source);
                for key in uplink.filter(|_| is_ues) {
                    let found = rules.uplink.find(&key).map(|pdr| u32::from(pdr.id));
                    prop_assert_eq!(found, up.classify(&key).map(|id| id.0), "{:?}", flow);
                }
                let downlink = [0, 1].map(|network| downlink_key(&flow, &[], network));
                for key in downlink.into_iter().filter(|_| ends.ue_addresses.contains(&destination)) {
                    let found = rules.downlink.find(&key).map(|pdr| u32::from(pdr.id));
                    prop_assert_eq!(found, down.classify(&key).map(|id| id.0), "{:?}", flow);
                }
            }
        }
    }

    /// Equal rules of sessions with one TEID and one address are compiled once, unless they say where "assigned"
    /// is that nobody looks for it.
    #[test]
    fn sessions_of_one_teid_and_address_share(mut sketches in prop::collection::vec(sketch(), 1..12)) {
        for sketch in &mut sketches {
            (sketch.teid, sketch.ue) = (0, Some(0));
            sketch.filters.retain(|text| !text.contains("from  assigned") && !text.contains("from assigned"));
        }
        let mut interner = Interner::default();
        let (_, one) = shared(&sketches, &ONE, &mut interner);
        let (ends, other) = shared(&sketches, &OTHER, &mut interner);
        prop_assert!(Arc::ptr_eq(&one, &other));
        prop_assert_eq!(ends.ue_addresses, smallvec![OTHER.ues[0]] as smallvec::SmallVec<[Ipv4Addr; 2]>);
    }
}
