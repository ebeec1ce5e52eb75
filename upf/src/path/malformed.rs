//! What is malformed or abusive on N3: each kind has its verdict, and a session of before works on and is measured
//! right. `docs/testing.md` has the table of kinds.

use std::net::Ipv4Addr;

use tern_gtpu::{EXTENSION_HEADERS_MAX, message_type};
use tern_pfcp::{CreateFar, FarId, Interface, SdfFilter};

use super::{DropReason, Side, Verdict};
use crate::testing::*;

const TO_N6: Verdict = Verdict::ToNetwork(0);
const TO_GNB: Verdict = Verdict::ToAccess(GNB);
const MALFORMED: Verdict = Verdict::Drop(DropReason::MalformedGtpu);

/// A UPF with a session.
struct Scene {
    bench: Bench,
    seid: u64,
    teid: u32,
}

impl Scene {
    fn new() -> Self {
        let mut bench = Bench::new();
        let (seid, teid) = bench.session();
        Self { bench, seid, teid }
    }

    /// A sound packet of the session.
    fn sound(&self) -> Vec<u8> {
        gtpu(self.teid, Some(9), &udp(UE, SERVER, (4_000, 53), 60))
    }

    /// A GTP-U message without optional fields.
    fn message(&self, kind: u8, teid: u32, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u16).to_be_bytes();
        [&[0x30, kind], &length[..], &teid.to_be_bytes(), payload].concat()
    }

    /// A G-PDU with these extension headers behind the optional fields, the first of this type.
    fn extended(&self, first: u8, headers: &[u8]) -> Vec<u8> {
        let packet = udp(UE, SERVER, (4_000, 53), 60);
        let rest = [&[0, 0, 0, first], headers, &packet].concat();
        let mut datagram = self.message(message_type::G_PDU, self.teid, &rest);
        datagram[0] |= 4;
        datagram
    }

    fn verdict(&mut self, datagram: &[u8]) -> Verdict {
        self.bench.uplink(datagram).0
    }

    /// The session is as it was: nothing but the packets of now was measured, and the SMF was told nothing.
    fn serves(mut self) {
        assert!(self.bench.reports.is_empty());
        assert_eq!(self.verdict(&self.sound()), TO_N6);
        assert_eq!(self.bench.downlink(&udp(SERVER, UE, (53, 4_000), 60)).0, TO_GNB);
        let response = self.bench.delete(self.seid);
        let volume = response.usage_report[0].volume.expect("it is measured");
        assert_eq!((volume.uplink, volume.downlink), (Some(60), Some(60)));
    }
}

#[test]
fn when_a_packet_is_cut_anywhere_then_it_is_malformed() {
    let mut scene = Scene::new();
    let sound = scene.sound();
    for end in 0..sound.len() {
        assert_eq!(scene.verdict(&sound[..end]), MALFORMED, "{end}");
    }
    // With a header that agrees, what is cut is the user packet.
    for end in 16..sound.len() {
        let mut cut = sound[..end].to_vec();
        cut[2..4].copy_from_slice(&((end - 8) as u16).to_be_bytes());
        assert_eq!(scene.verdict(&cut), Verdict::Drop(DropReason::MalformedInner), "{end}");
    }
    scene.serves();
}

#[test]
fn when_the_length_is_zero_or_beyond_the_datagram_then_it_is_malformed() {
    let mut scene = Scene::new();
    let empty = scene.message(message_type::G_PDU, scene.teid, &[]);
    assert_eq!(scene.verdict(&empty), Verdict::Drop(DropReason::MalformedInner));
    let mut sound = scene.sound();
    for length in [sound.len() as u16 - 7, 1_500, u16::MAX] {
        sound[2..4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(scene.verdict(&sound), MALFORMED);
    }
    // Optional fields that are said to be there, and are not.
    sound[2..4].copy_from_slice(&[0, 3]);
    assert_eq!(scene.verdict(&sound), MALFORMED);
    scene.serves();
}

#[test]
fn when_the_version_is_another_or_it_is_gtp_prime_then_it_is_malformed() {
    let mut scene = Scene::new();
    let mut sound = scene.sound();
    for flags in [0x00, 0x14, 0x24, 0x48, 0x54, 0xFF] {
        sound[0] = flags;
        assert_eq!(scene.verdict(&sound), MALFORMED, "{flags:#x}");
    }
    scene.serves();
}

#[test]
fn when_an_extension_header_has_length_zero_or_goes_beyond_then_it_is_malformed() {
    let mut scene = Scene::new();
    for headers in [&[0, 0, 0, 0x20][..], &[0, 0x85, 0, 0x85], &[200, 0, 0, 0], &[255, 0, 0, 0x85]] {
        for first in [0x20, 0x40, 0x85, 0xC0] {
            assert_eq!(scene.verdict(&scene.extended(first, headers)), MALFORMED, "{first:#x} {headers:?}");
        }
    }
    // The octets of free5gc/gtp5g issue 74, for a tunnel that there is.
    let mut datagram = [&[0x36, 0xFF, 0, 0x34][..], &scene.teid.to_be_bytes(), &[0, 0, 0, 0xFF, 0]].concat();
    datagram.resize(8 + 0x34, 0x10);
    assert_eq!(scene.verdict(&datagram), MALFORMED);
    scene.serves();
}

#[test]
fn when_extension_headers_do_not_end_then_it_is_malformed() {
    let mut scene = Scene::new();
    for count in [EXTENSION_HEADERS_MAX + 1, 300] {
        let chain = [1, 0, 0, 0x20].repeat(count);
        assert_eq!(scene.verdict(&scene.extended(0x20, &chain)), MALFORMED, "{count}");
    }
    // As many as may be, the last of which says that it is the last.
    let mut chain = [1, 0, 0, 0x20].repeat(EXTENSION_HEADERS_MAX);
    *chain.last_mut().expect("headers") = 0;
    chain.truncate(4 * EXTENSION_HEADERS_MAX);
    let datagram = scene.extended(0x20, &chain);
    assert_eq!(scene.verdict(&datagram), TO_N6);
    scene.bench.delete(scene.seid);
}

/// TS 29.281 §7.2.3.
#[test]
fn when_packets_with_an_unknown_extension_flood_then_each_answer_is_no_longer_than_its_packet() {
    let mut scene = Scene::new();
    let datagram = scene.extended(0x83, &[1, 0, 0, 0]);
    for _ in 0..1_000 {
        let (verdict, answer) = scene.bench.uplink(&datagram);
        assert_eq!(verdict, TO_GNB);
        assert_eq!(answer[1], message_type::SUPPORTED_EXTENSION_HEADERS_NOTIFICATION);
        assert!(answer.len() <= datagram.len());
    }
    scene.serves();
}

#[test]
fn when_the_teid_is_zero_then_nobody_is_told() {
    let mut scene = Scene::new();
    let datagram = gtpu(0, Some(9), &udp(UE, SERVER, (1, 2), 60));
    assert_eq!(scene.verdict(&datagram), Verdict::Consumed);
    assert_eq!(scene.bench.counters.drops(DropReason::UnknownTeid), 1);
    scene.serves();
}

#[test]
fn when_echo_requests_flood_then_each_has_a_short_answer_and_nothing_is_kept() {
    let mut scene = Scene::new();
    let (kept, reachable) = (scene.bench.core.kept(), scene.bench.tables.len());
    let mut request = vec![0x32, message_type::ECHO_REQUEST, 0, 4, 0, 0, 0, 0, 0, 7, 0, 0];
    request.resize(1_400, 0);
    for _ in 0..10_000 {
        let (verdict, answer) = scene.bench.uplink(&request);
        assert_eq!((verdict, answer.len()), (TO_GNB, 14));
    }
    assert_eq!((scene.bench.core.kept(), scene.bench.tables.len()), (kept, reachable));
    scene.serves();
}

fn error_indication(scene: &Scene, teid: u32, address: &[u8]) -> Vec<u8> {
    let length = (address.len() as u16).to_be_bytes();
    let elements = [&[16][..], &teid.to_be_bytes(), &[133], &length, address].concat();
    scene.message(message_type::ERROR_INDICATION, 0, &elements)
}

/// TS 29.281 §7.3.1.
#[test]
fn when_an_error_indication_is_about_the_tunnel_of_somebody_else_then_the_smf_is_not_told() {
    let mut scene = Scene::new();
    let gnb = GNB_ADDRESS.octets();
    // The bench's packets come from the gNB: a tunnel of another peer, a TEID that is not its own, and an IPv6
    // address that begins like its own.
    let other = error_indication(&scene, GNB_TEID, &[198, 51, 100, 2]);
    let no_tunnel = error_indication(&scene, GNB_TEID ^ 1, &gnb);
    let ipv6 = error_indication(&scene, GNB_TEID, &[&gnb[..], &[0; 12]].concat());
    for datagram in [other, no_tunnel, ipv6] {
        assert_eq!(scene.verdict(&datagram), Verdict::Consumed);
    }
    let long = error_indication(&scene, GNB_TEID, &[&gnb[..], &[0; 13]].concat());
    let short = error_indication(&scene, GNB_TEID, &gnb[..3]);
    let bare = scene.message(message_type::ERROR_INDICATION, 0, &[]);
    let cut = scene.message(message_type::ERROR_INDICATION, 0, &[16, 0, 0, 0xCA, 0xFE, 133, 0xFF, 0xFF, 1]);
    for datagram in [long, short, bare, cut] {
        assert_eq!(scene.verdict(&datagram), MALFORMED);
    }
    scene.serves();
}

/// Each packet to a peer that has lost its tunnel may come back as one.
#[test]
fn when_error_indications_flood_then_the_smf_is_told_once_until_it_answers() {
    let mut scene = Scene::new();
    let datagram = error_indication(&scene, GNB_TEID, &GNB_ADDRESS.octets());
    // The SMF is out of reach for a while.
    let address = std::mem::replace(&mut scene.bench.smf_address, ([127, 0, 0, 200], 8805).into());
    let kept = scene.bench.core.kept();
    for _ in 0..1_000 {
        assert_eq!(scene.verdict(&datagram), Verdict::Consumed);
    }
    assert_eq!((scene.bench.core.kept(), scene.bench.core.counts().reports), (kept + 1, 1));
    // It hears the retransmission, and then of the next one.
    scene.bench.smf_address = address;
    scene.bench.pass(tern_types::Duration::from_secs(2));
    assert_eq!((scene.bench.core.kept(), scene.bench.reports.len()), (kept, 1));
    assert_eq!(scene.verdict(&datagram), Verdict::Consumed);
    assert_eq!(scene.bench.reports.len(), 2);
    scene.bench.reports.clear();
    scene.serves();
}

#[test]
fn when_end_markers_and_notifications_come_from_nowhere_then_nothing_happens() {
    let mut scene = Scene::new();
    for kind in [
        message_type::END_MARKER,
        message_type::SUPPORTED_EXTENSION_HEADERS_NOTIFICATION,
        message_type::ECHO_RESPONSE,
    ] {
        for payload in [&[][..], &[141, 255], &[0xFF; 100]] {
            for teid in [0, scene.teid, scene.teid ^ 1] {
                let datagram = scene.message(kind, teid, payload);
                assert_eq!(scene.verdict(&datagram), Verdict::Consumed, "{kind}");
            }
        }
    }
    assert!(scene.bench.end_markers.is_empty());
    scene.serves();
}

#[test]
fn when_a_message_type_is_unknown_then_it_is_dropped_without_answer() {
    let mut scene = Scene::new();
    for kind in [0, 3, 16, 27, 32, 112, 240, 253] {
        let datagram = scene.message(kind, scene.teid, &udp(UE, SERVER, (1, 2), 60));
        assert_eq!(scene.verdict(&datagram), Verdict::Drop(DropReason::UnknownMessage), "{kind}");
    }
    scene.serves();
}

#[test]
fn when_the_inner_packet_is_not_ip_or_lies_about_its_header_then_it_is_dropped() {
    let mut scene = Scene::new();
    // Versions that are none; then IPv4 with headers that are too short or too long.
    for version in [0x00, 0x30, 0x50, 0x70, 0xF0] {
        let not_ip = Verdict::Drop(DropReason::NotIp);
        assert_eq!(scene.verdict(&gtpu(scene.teid, Some(9), &[version; 60])), not_ip);
        assert_eq!(scene.bench.downlink(&[version; 60]).0, not_ip);
    }
    let malformed = Verdict::Drop(DropReason::MalformedInner);
    for (at, value) in [(0, 0x40), (0, 0x44), (3, 19), (3, 61), (2, 0xFF)] {
        let (mut up, mut down) = (udp(UE, SERVER, (1, 2), 60), udp(SERVER, UE, (2, 1), 60));
        (up[at], down[at]) = (value, value);
        assert_eq!(scene.verdict(&gtpu(scene.teid, Some(9), &up)), malformed, "{at} {value:#x}");
        assert_eq!(scene.bench.downlink(&down).0, malformed, "{at} {value:#x}");
    }
    scene.serves();
}

/// A fragment has no ports: it must not come by a rule for a port, nor past one.
#[test]
fn when_fragments_come_then_rules_for_ports_do_not_take_them() {
    let mut bench = Bench::new();
    let mut request = establishment();
    let mut blocked = uplink_pdr(3, 1, 3);
    blocked.pdi.sdf_filters = vec![SdfFilter::flow("permit out 17 from any 53 to assigned")];
    request.create_pdr.push(blocked);
    let mut drop = CreateFar { far_id: FarId(3), ..far_to_n6(3) };
    drop.apply_action = tern_pfcp::ApplyAction::DROP;
    assert_eq!(request.create_pdr[2].pdi.source_interface, Interface::Access);
    request.create_far.push(drop);
    let (_, teid) = bench.session_of(request);
    let mut packet = udp(UE, SERVER, (4_000, 53), 60);
    assert_eq!(bench.uplink(&gtpu(teid, Some(9), &packet)).0, Verdict::Drop(DropReason::FarDrop));
    // A later fragment; its first octets look like the ports of before.
    (packet[6], packet[7]) = (0x20, 1);
    assert_eq!(bench.uplink(&gtpu(teid, Some(9), &packet)).0, TO_N6);
    // A first fragment that is too short for ports.
    let mut short = udp(UE, SERVER, (4_000, 53), 28);
    short.truncate(22);
    (short[3], short[6]) = (22, 0x20);
    assert_eq!(bench.uplink(&gtpu(teid, Some(9), &short)).0, TO_N6);
}

#[test]
fn when_a_ue_sends_as_another_or_to_another_or_to_us_then_it_comes_no_further_than_the_data_network() {
    let mut scene = Scene::new();
    let other = Ipv4Addr::new(10, 45, 0, 3);
    for source in [other, SERVER, Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, Ipv4Addr::new(127, 0, 0, 18)] {
        let spoofed = gtpu(scene.teid, Some(9), &udp(source, SERVER, (8_805, 8_805), 60));
        assert_eq!(scene.verdict(&spoofed), Verdict::Drop(DropReason::SpoofedSource), "{source}");
    }
    // A G-PDU inside a G-PDU is a user packet like any other.
    let inner = gtpu(scene.teid, Some(9), &udp(UE, SERVER, (1, 2), 60));
    let mut packet = udp(UE, other, (2_152, 2_152), 28 + inner.len());
    packet.splice(28.., inner);
    let datagram = gtpu(scene.teid, Some(9), &packet);
    let (verdict, left) = scene.bench.packet(Side::Access, &datagram);
    assert_eq!((verdict, left), (TO_N6, packet));
    scene.bench.delete(scene.seid);
}
