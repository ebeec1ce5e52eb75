//! The SMF as the router of UEs' IPv6 links: TS 23.501 §5.8.2.2, RFC 4861 §6.2.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;
use tern_gtpu::{GpduHeader, Packet};
use tern_nas::nas_5gs::NasPduSessionReleaseRequest;
use tern_ngap::transfer::GtpTunnel;
use tern_pfcp::{
    ApplyAction, Cause, FSeid, FTeid, Interface, Message, NodeId, OuterHeaderCreation, PdrId,
    SessionEstablishmentResponse,
};
use tern_smf::Input;
use tern_smf::router::{SOLICITATION_INTERVAL, SOLICITATIONS_MAX};
use tern_types::Duration;

use crate::bench::*;
use crate::ipv6::{BOTH, V4, V6, accepted, asks, dual, establish, to_all, v6};
use crate::restoration::restarted;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// The UE's link-local address, of the interface identifier that it is given.
const UE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

/// TS 29.244 §5.2.1.
#[test]
fn when_a_session_has_ipv6_then_the_upf_has_rules_for_solicitations_and_for_advertisements() {
    let mut bench = Bench::with(dual());
    let (reference, installed, _) = accepted(&mut bench, asks(V6), to_all());
    let [_, _, solicitations, advertisements] = &installed.create_pdr[..] else { panic!("{installed:?}") };
    assert_eq!(solicitations.pdi.source_interface, Interface::Access);
    assert_eq!(solicitations.pdi.f_teid, installed.create_pdr[0].pdi.f_teid, "the access network's tunnel");
    let filter = solicitations.pdi.sdf_filters[0].flow_description.as_deref();
    assert_eq!(filter, Some("permit out 58 from ff02::2/128 to any"));
    assert!(installed.create_pdr.iter().all(|pdr| pdr.precedence >= solicitations.precedence));
    let far = installed.create_far.iter().find(|far| Some(far.far_id) == solicitations.far_id).unwrap();
    let to = far.forwarding_parameters.as_ref().unwrap();
    assert_eq!((far.apply_action, to.destination_interface), (ApplyAction::FORW, Interface::CpFunction));
    let smf = Some(Ipv4Addr::new(127, 0, 0, 17));
    assert_eq!(to.outer_header_creation, Some(OuterHeaderCreation::gtpu(teid(&reference), smf, None)));
    assert_eq!(advertisements.pdi.source_interface, Interface::CpFunction);
    let choose = FTeid::Choose { ipv4: true, ipv6: false, choose_id: Some(2) };
    assert_eq!(advertisements.pdi.f_teid, Some(choose), "not the access network's");
    // As any packet for the UE: with the default QoS flow's QFI, and buffered while it is idle.
    assert_eq!(advertisements.far_id, installed.create_pdr[1].far_id);
    assert!(installed.create_pdr[1].qer_ids.contains(&advertisements.qer_ids[0]));
}

#[test]
fn when_a_session_has_ipv4_alone_then_it_has_no_router() {
    let mut bench = Bench::with(dual());
    let (_, installed, _) = accepted(&mut bench, asks(V4), to_all());
    assert_eq!((installed.create_pdr.len(), installed.create_far.len()), (2, 2));
    // There is nothing to say once it is up.
    let mut bench = Bench::with(dual());
    bench.establish(1);
    assert_eq!(bench.smf.deadline(), None);
}

fn router_solicitation(source: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![133, 0, 0, 0, 0, 0, 0, 0];
    let pseudo = [&source.octets()[..], &ALL_ROUTERS.octets(), &[0, 0, 0, 8, 0, 0, 0, 58], &message].concat();
    let mut sum: u32 = pseudo.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    message[2..4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    let mut packet = vec![0x60, 0, 0, 0, 0, 8, 58, 255];
    packet.extend(source.octets());
    packet.extend(ALL_ROUTERS.octets());
    packet.extend(message);
    packet
}

fn in_tunnel(teid: u32, packet: &[u8]) -> Vec<u8> {
    let header = GpduHeader { teid, container: None };
    let mut datagram = vec![0; header.length()];
    header.write(&mut datagram, packet.len());
    datagram.extend_from_slice(packet);
    datagram
}

/// The upper half of the SEID.
fn teid(reference: &str) -> u32 {
    u32::from_str_radix(&reference[..8], 16).unwrap()
}

fn upf_n3() -> SocketAddr {
    SocketAddr::new(UPLINK.ipv4.unwrap().into(), tern_gtpu::PORT)
}

/// An advertisement that goes to the UPF: whom it is for, and its packet.
fn advertised(bench: &mut Bench) -> Option<(Ipv6Addr, Vec<u8>)> {
    let (to, datagram) = bench.gtpu()?;
    assert_eq!(to, SocketAddr::new(ROUTER_TUNNEL.ipv4.unwrap().into(), tern_gtpu::PORT));
    let packet = Packet::parse(&datagram).unwrap();
    assert_eq!((packet.teid, packet.is_g_pdu()), (ROUTER_TUNNEL.teid, true));
    let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&packet.payload[at..at + 16]).unwrap());
    assert_eq!((address(8), packet.payload[40]), (ROUTER, 134));
    Some((address(24), packet.payload.to_vec()))
}

/// RFC 4861 §6.2.4, §6.2.6.
#[test]
fn when_a_session_is_up_then_its_prefix_is_advertised_and_again_whenever_the_ue_solicits() {
    let mut bench = Bench::with(dual());
    let reference = establish(&mut bench, BOTH);
    let (to, packet) = advertised(&mut bench).expect("one that nobody has asked for");
    assert_eq!(to, ALL_NODES);
    assert_eq!(packet[packet.len() - 16..], v6("2001:db8:45:1::").octets());
    bench.nothing();
    for (source, to) in [(UE, UE), (Ipv6Addr::UNSPECIFIED, ALL_NODES)] {
        let datagram = in_tunnel(teid(&reference), &router_solicitation(source));
        bench.input(Input::Gtpu(upf_n3(), datagram));
        assert_eq!(advertised(&mut bench).map(|(to, _)| to), Some(to));
        bench.nothing();
    }
}

#[test]
fn when_a_ue_solicits_without_end_then_so_many_are_answered_and_no_more() {
    let mut bench = Bench::with(dual());
    let reference = establish(&mut bench, V6);
    bench.ignore();
    let datagram = in_tunnel(teid(&reference), &router_solicitation(UE));
    let answered = |bench: &mut Bench, times: u32| {
        let asked = (0..times).map(|_| bench.input(Input::Gtpu(upf_n3(), datagram.clone()))).count();
        assert_eq!(asked, times as usize);
        std::iter::from_fn(|| advertised(bench)).count() as u32
    };
    assert_eq!(answered(&mut bench, 100), SOLICITATIONS_MAX);
    bench.now = bench.now + SOLICITATION_INTERVAL;
    assert_eq!(answered(&mut bench, 100), 1);
    bench.now = bench.now + SOLICITATION_INTERVAL * 100;
    assert_eq!(answered(&mut bench, 100), SOLICITATIONS_MAX);
}

#[test]
fn when_what_comes_is_of_no_session_or_no_upf_or_no_solicitation_then_nothing_is_answered() {
    let mut bench = Bench::with(dual());
    let reference = establish(&mut bench, V6);
    bench.ignore();
    let (of, solicitation) = (teid(&reference), router_solicitation(UE));
    let other = SocketAddr::from(([10, 0, 0, 66], tern_gtpu::PORT));
    let mut far = solicitation.clone();
    far[7] = 64;
    for (from, datagram) in [
        (other, in_tunnel(of, &solicitation)),
        (upf_n3(), in_tunnel(of ^ 1, &solicitation)),
        (upf_n3(), in_tunnel(0, &solicitation)),
        (upf_n3(), in_tunnel(of, &far)),
        (upf_n3(), in_tunnel(of, &[])),
        (upf_n3(), in_tunnel(of, &solicitation[..47])),
        (upf_n3(), Vec::new()),
        (upf_n3(), vec![0x30, 254, 0, 0, 0, 0, 0, 1]),
    ] {
        bench.input(Input::Gtpu(from, datagram));
        bench.nothing();
    }
    // TS 29.281 §7.2.1.
    let mut echo = [0; 12];
    let length = tern_gtpu::echo_request(7, &mut echo);
    bench.input(Input::Gtpu(other, echo[..length].to_vec()));
    let (to, answer) = bench.gtpu().unwrap();
    assert_eq!((to, Packet::parse(&answer).unwrap().sequence), (other, Some(7)));
}

/// RFC 4861 §6.2.4: before the router's lifetime is over.
#[test]
fn when_hours_pass_then_the_prefix_is_advertised_again_and_never_after_the_session() {
    let mut bench = Bench::with(dual());
    let reference = establish(&mut bench, V6);
    let (_, packet) = advertised(&mut bench).unwrap();
    let lifetime = Duration::from_secs(u16::from_be_bytes([packet[46], packet[47]]).into());
    for _ in 0..3 {
        let wait = bench.smf.deadline().unwrap().since(bench.now);
        assert!(wait * 2 < lifetime && wait > Duration::from_secs(3_600), "{wait:?}");
        bench.pass(wait);
        assert_eq!(advertised(&mut bench).map(|(to, _)| to), Some(ALL_NODES));
        bench.nothing();
    }
    bench.send_n1(&reference, n1(NasPduSessionReleaseRequest::new(), 1, 3));
    bench.ignore();
    bench.pass(lifetime);
    assert!(!bench.any_gtpu());
}

/// TS 23.527 §4.3.2.
#[test]
fn when_a_upf_restarts_then_the_link_is_restored_with_its_tunnels_and_goes_on() {
    let mut bench = Bench::with(dual());
    let reference = establish(&mut bench, BOTH);
    bench.ignore();
    restarted(&mut bench);
    let (token, _, message) = bench.n4();
    let Message::SessionEstablishmentRequest(request) = message else { panic!("{message:?}") };
    let f_teid = |id: u16| {
        request.create_pdr.iter().find(|pdr| pdr.pdr_id == PdrId(id)).and_then(|pdr| pdr.pdi.f_teid)
    };
    let assigned = |GtpTunnel { teid, ipv4, ipv6 }| Some(FTeid::Assigned { teid, ipv4, ipv6 });
    assert_eq!(f_teid(u16::MAX - 2), assigned(ROUTER_TUNNEL));
    assert_eq!((f_teid(u16::MAX - 1), f_teid(1)), (assigned(UPLINK), assigned(UPLINK)));
    assert_eq!(request.create_pdr[0].pdi.ue_ip_addresses[0].ipv6, Some(v6("2001:db8:45:1::")));
    let response = SessionEstablishmentResponse {
        node_id: NodeId::Address(upf().ip()),
        cause: Cause::REQUEST_ACCEPTED,
        up_f_seid: Some(FSeid::new(UP_SEID, upf().ip())),
        ..SessionEstablishmentResponse::default()
    };
    bench.input(Input::N4(token, Some(response.into())));
    bench.nothing();
    bench.input(Input::Gtpu(upf_n3(), in_tunnel(teid(&reference), &router_solicitation(UE))));
    assert_eq!(advertised(&mut bench).map(|(to, _)| to), Some(UE));
}

/// The independent oracle: tshark reads the advertisement as it was meant.
#[test]
fn tshark_reads_the_advertisement() {
    let mut bench = Bench::with(dual());
    establish(&mut bench, V6);
    let (_, packet) = advertised(&mut bench).unwrap();
    let mut pcap = Vec::new();
    // Raw IP.
    for field in [0xA1B2_C3D4_u32, 0x0004_0002, 0, 0, 0xFFFF, 101] {
        pcap.extend_from_slice(&field.to_le_bytes());
    }
    for field in [0, 0, packet.len() as u32, packet.len() as u32] {
        pcap.extend_from_slice(&field.to_le_bytes());
    }
    pcap.extend_from_slice(&packet);
    let path = std::env::temp_dir().join(format!("tern-smf-advertisement-{}.pcap", std::process::id()));
    std::fs::write(&path, pcap).unwrap();
    let expected = [
        ("_ws.malformed", ""),
        ("_ws.expert.severity", ""),
        ("icmpv6.checksum.status", "1"),
        ("ipv6.hlim", "255"),
        ("icmpv6.type", "134"),
        ("icmpv6.nd.ra.router_lifetime", "64800"),
        ("icmpv6.nd.ra.flag", "0x00"),
        ("icmpv6.opt.prefix", "2001:db8:45:1::"),
        ("icmpv6.opt.prefix.length", "64"),
        // Not on-link, autonomous.
        ("icmpv6.opt.prefix.flag", "0x40"),
        ("icmpv6.opt.prefix.valid_lifetime", "4294967295"),
        ("icmpv6.opt.prefix.preferred_lifetime", "4294967295"),
        ("icmpv6.opt.mtu", "1400"),
    ];
    let mut command = std::process::Command::new("tshark");
    command.args(["-T", "fields"]).args(expected.iter().flat_map(|(field, _)| ["-e", *field]));
    let output = command.arg("-r").arg(&path).output();
    std::fs::remove_file(&path).unwrap();
    let Ok(output) = output else {
        println!("SKIPPED tern-smf router::tshark_reads_the_advertisement: tshark is not installed");
        return;
    };
    let listing = String::from_utf8_lossy(&output.stdout);
    let read: Vec<&str> = listing.trim_end_matches('\n').split('\t').collect();
    assert_eq!(read, expected.map(|(_, value)| value), "{listing}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_datagram_panics(
        octets in prop::collection::vec(any::<u8>(), 0..120),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bench = Bench::with(dual());
        let reference = establish(&mut bench, V6);
        let mut solicitation = router_solicitation(UE);
        for (at, to) in changes {
            let at = at.index(solicitation.len());
            solicitation[at] = to;
        }
        let of = teid(&reference);
        for datagram in [octets.clone(), in_tunnel(of, &octets), in_tunnel(of, &solicitation)] {
            bench.input(Input::Gtpu(upf_n3(), datagram));
        }
        prop_assert_eq!(bench.smf.sessions(), 1);
    }
}
