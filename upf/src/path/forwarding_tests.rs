//! Packets from one gNB to another: indirect data forwarding (TS 23.502 §4.9.1.3, TS 29.244 §8.2.2).

use std::net::{IpAddr, Ipv4Addr};

use tern_gtpu::{PduSessionContainer, message_type};
use tern_pfcp::*;

use super::{DropReason, Peer, Verdict};
use crate::testing::*;

/// The gNB to which the UE goes.
const TARGET_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 50);
const TARGET: Verdict = Verdict::ToAccess(Peer::gtpu(IpAddr::V4(TARGET_ADDRESS)));
const TARGET_TEID: u32 = 0xF0F0;
const PDR: PdrId = PdrId(u16::MAX);
const FAR: FarId = FarId(3);

fn forwarding() -> SessionModificationRequest {
    let pdi = Pdi {
        source_interface: Interface::Access,
        f_teid: Some(FTeid::Choose { ipv4: true, ipv6: true, choose_id: None }),
        ..Default::default()
    };
    let pdr = CreatePdr {
        pdr_id: PDR,
        precedence: Precedence(65_535),
        pdi,
        outer_header_removal: Some(OuterHeaderRemoval::new(OuterHeaderRemoval::GTPU_UDP_IP)),
        far_id: Some(FAR),
        ..Default::default()
    };
    let parameters = ForwardingParameters {
        destination_interface: Interface::Access,
        outer_header_creation: Some(OuterHeaderCreation::gtpu_v4(TARGET_TEID, TARGET_ADDRESS)),
        ..Default::default()
    };
    let far = CreateFar {
        far_id: FAR,
        apply_action: ApplyAction::FORW,
        forwarding_parameters: Some(parameters),
        ..Default::default()
    };
    SessionModificationRequest { create_pdr: vec![pdr], create_far: vec![far], ..Default::default() }
}

/// A session, its uplink TEID, and the one of the tunnel for forwarding.
fn forwarded(bench: &mut Bench) -> (u64, u32, u32) {
    let response = bench.establish(establishment());
    let seid = response.up_f_seid.expect("UP F-SEID").seid;
    let teid = |f_teid: Option<FTeid>| match f_teid {
        Some(FTeid::Assigned { teid, .. }) => teid,
        other => panic!("{other:?}"),
    };
    let access = teid(response.created_pdr[0].f_teid);
    let response = bench.modify(seid, forwarding());
    assert_eq!(response.cause, Cause::REQUEST_ACCEPTED, "{response:?}");
    (seid, access, teid(response.created_pdr[0].f_teid))
}

#[test]
fn when_a_gnb_forwards_then_packets_go_to_the_other_gnb_as_they_came_and_all_else_goes_on() {
    let mut bench = Bench::new();
    let (_, access, forwarding) = forwarded(&mut bench);
    let down = udp(SERVER, UE, (2, 1), 60);
    let (verdict, sent) = bench.uplink(&gtpu(forwarding, Some(5), &down));
    let sent = tern_gtpu::Packet::parse(&sent).expect("GTP-U");
    assert_eq!((verdict, sent.teid, sent.payload), (TARGET, TARGET_TEID, &down[..]));
    assert_eq!(sent.container, Some(PduSessionContainer::downlink(5)));
    // Uplink and downlink are what they were; in the UE's own tunnel nobody else sends.
    let up = udp(UE, SERVER, (1, 2), 60);
    assert!(matches!(bench.uplink(&gtpu(access, Some(9), &up)).0, Verdict::ToNetwork(_)));
    assert_eq!(bench.downlink(&down).0, Verdict::ToAccess(GNB));
    let spoofed = Verdict::Drop(DropReason::SpoofedSource);
    assert_eq!(bench.uplink(&gtpu(access, Some(9), &down)).0, spoofed);
}

/// TS 23.502 §4.9.1.3.3: the End Marker follows the packets that it ends.
#[test]
fn when_an_end_marker_comes_by_the_forwarding_tunnel_then_the_other_gnb_has_it() {
    let mut bench = Bench::new();
    let (_, access, forwarding) = forwarded(&mut bench);
    let mut marker = [0; 20];
    let length = tern_gtpu::end_marker(forwarding, None, &mut marker);
    let (verdict, sent) = bench.uplink(&marker[..length]);
    let sent = tern_gtpu::Packet::parse(&sent).expect("GTP-U");
    assert_eq!((verdict, sent.message_type, sent.teid), (TARGET, message_type::END_MARKER, TARGET_TEID));
    let length = tern_gtpu::end_marker(access, None, &mut marker);
    assert_eq!(bench.uplink(&marker[..length]).0, Verdict::Consumed);
}

#[test]
fn when_the_forwarding_ends_then_its_tunnel_is_gone() {
    let mut bench = Bench::new();
    let (seid, access, forwarding) = forwarded(&mut bench);
    let end = SessionModificationRequest {
        remove_pdr: vec![RemovePdr { pdr_id: PDR, ..Default::default() }],
        remove_far: vec![RemoveFar { far_id: FAR, ..Default::default() }],
        ..Default::default()
    };
    assert_eq!(bench.modify(seid, end).cause, Cause::REQUEST_ACCEPTED);
    let (_, answer) = bench.uplink(&gtpu(forwarding, Some(5), &udp(SERVER, UE, (2, 1), 60)));
    let answer = tern_gtpu::Packet::parse(&answer).expect("GTP-U");
    assert_eq!(answer.message_type, message_type::ERROR_INDICATION);
    let up = udp(UE, SERVER, (1, 2), 60);
    assert!(matches!(bench.uplink(&gtpu(access, Some(9), &up)).0, Verdict::ToNetwork(_)));
}
