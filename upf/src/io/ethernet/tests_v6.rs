//! The same ports, with IPv6.

use std::process::Command;

use smoltcp::wire::{Icmpv6Message, Icmpv6Packet, IpAddress};

use super::link::Frame;
use super::tests::*;
use super::*;

pub(super) const US: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 1);
/// The address that our Ethernet address makes.
const US_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1);
const GNB: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 2);
const N6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 6, 0, 0, 0, 0, 1);
pub(super) const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);
const SERVER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 7);
const UE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x45, 9, 0, 0, 0, 2);
const OUTER_UDP: usize = ipv6::HEADER + UDP_HEADER;

fn peer(address: Ipv6Addr) -> Peer {
    Peer::new(address.into(), 3_000)
}

/// A packet of UDP from port 3000.
fn datagram(ends: (Ipv6Addr, Ipv6Addr), port: u16, payload: &[u8]) -> Vec<u8> {
    let mut octets = [&[0; OUTER_UDP][..], payload].concat();
    ipv6::write_datagram(&mut octets, ends, (3_000, port), 0);
    octets
}

fn message(ends: (Ipv6Addr, Ipv6Addr), kind: u8, body: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; ipv6::HEADER];
    octets.extend_from_slice(&[kind, 0, 0, 0]);
    octets.extend_from_slice(body);
    let length = octets.len() - ipv6::HEADER;
    ipv6::write_header(&mut octets, length, ends, IpProtocol::Icmpv6, 0);
    Icmpv6Packet::new_unchecked(&mut octets[ipv6::HEADER..]).fill_checksum(&ends.0, &ends.1);
    octets
}

/// A frame to our Ethernet address, or a group's.
fn framed(port: usize, packet: &[u8]) -> Vec<u8> {
    let mut octets = frame(port, EthernetProtocol::Ipv6, packet);
    let to = Ipv6Packet::new_unchecked(packet).dst_addr();
    if to.is_multicast() {
        octets[..6].copy_from_slice(ndisc::group_mac(to).as_bytes());
    }
    octets
}

/// A packet in a frame, and where the frame goes.
fn read(octets: &[u8]) -> (EthernetAddress, Ipv6Packet<&[u8]>) {
    let frame = Frame::parse(octets).expect("a frame");
    assert_eq!((frame.from, frame.protocol), (OUR_MAC, EthernetProtocol::Ipv6));
    let (packet, whole) = ipv6::sound(frame.payload).expect("IPv6");
    assert_eq!(whole.len(), frame.payload.len(), "no padding of ours");
    (frame.to, packet)
}

fn icmp<'a>(packet: &Ipv6Packet<&'a [u8]>) -> Icmpv6Packet<&'a [u8]> {
    let icmp = Icmpv6Packet::new_checked(packet.payload()).expect("ICMPv6");
    assert!(icmp.verify_checksum(&packet.src_addr(), &packet.dst_addr()));
    icmp
}

impl Bench {
    fn give(&mut self, port: usize, packet: &[u8]) {
        self.to[port].send(framed(port, packet)).expect("sent");
    }

    /// A neighbour asks for us, and is known from then on.
    fn introduce_v6(&mut self, port: usize, neighbour: Ipv6Addr) {
        let target = if port == N3_PORT { US } else { N6 };
        self.give(port, &ndisc::solicitation(THEIR_MAC, neighbour, ndisc::solicited_node(target), target));
        assert!(self.look().is_empty());
        let (frames, dropped) = self.sent(port);
        assert!(dropped.is_empty(), "{dropped:?}");
        let [answer] = &frames[..] else { panic!("{frames:?}") };
        let (to, packet) = read(answer);
        assert_eq!((to, packet.src_addr(), packet.dst_addr()), (THEIR_MAC, target, neighbour));
        let said = ndisc::Message::Advertisement { target, mac: Some(OUR_MAC), overrides: true };
        assert_eq!(ndisc::read(&packet), Some(said));
    }
}

#[test]
fn when_somebody_asks_for_an_address_of_ours_then_we_answer_and_for_no_other() {
    let mut bench = Bench::new();
    bench.introduce_v6(N6_PORT, SERVER);
    // Nobody's address, one that is being tried for duplicates, one by who may not say where he is, and one that came
    // from elsewhere.
    let group = ndisc::solicited_node(UE);
    bench.give(N6_PORT, &ndisc::solicitation(THEIR_MAC, SERVER, group, UE));
    assert!(bench.look().is_empty());
    assert_eq!(bench.sent(N6_PORT), (Vec::new(), vec![(DropReason::NotForUs, 1)]));
    for (from, to, expected) in [
        (
            Ipv6Addr::UNSPECIFIED,
            ndisc::solicited_node(US),
            ndisc::group_mac(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)),
        ),
        (GNB, US, THEIR_MAC),
    ] {
        let asked = message((from, to), 135, &[&[0; 4][..], &US.octets()].concat());
        let mut near = asked.clone();
        Ipv6Packet::new_unchecked(&mut near[..]).set_hop_limit(255);
        bench.give(N3_PORT, &asked);
        assert!(bench.look().is_empty());
        assert_eq!(bench.sent(N3_PORT), (Vec::new(), vec![(DropReason::MalformedFrame, 1)]));
        bench.give(N3_PORT, &near);
        assert!(bench.look().is_empty());
        let (frames, dropped) = bench.sent(N3_PORT);
        assert!(dropped.is_empty() && frames.len() == 1);
        assert_eq!(read(&frames[0]).0, expected);
    }
}

#[test]
fn when_gtpu_comes_over_ipv6_then_the_data_path_has_it_and_nothing_else() {
    let mut bench = Bench::new();
    let good = datagram((GNB, US), tern_gtpu::PORT, b"gtpu");
    let changed = |change: fn(&mut Vec<u8>)| {
        let mut octets = good.clone();
        change(&mut octets);
        octets
    };
    let packets = [
        good.clone(),
        changed(|octets| octets[OUTER_UDP] ^= 1),
        // Zero is no checksum here.
        changed(|octets| octets[46..48].fill(0)),
        changed(|octets| octets[0] = 0x40),
        changed(|octets| octets[5] = 200),
        datagram((GNB, US), 53, b"dns"),
        datagram((GNB, SERVER), tern_gtpu::PORT, b"gtpu"),
        datagram((GNB, US_LOCAL), tern_gtpu::PORT, b"gtpu"),
        // A message of a router, which nobody has asked for.
        message((ROUTER, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)), 134, &[0; 12]),
    ];
    packets.iter().for_each(|packet| bench.give(N3_PORT, packet));
    assert_eq!(bench.look(), [(Side::Access, peer(GNB), b"gtpu".to_vec())]);
    assert_eq!(bench.dropped(), [(DropReason::MalformedFrame, 4), (DropReason::NotForUs, 4)]);
}

#[test]
fn when_the_next_hop_is_not_known_then_packets_over_ipv6_wait_for_its_answer_in_order() {
    let mut bench = Bench::new();
    for number in 0..WAITING_FOR_ONE_MAX + 2 {
        let mut packet = packet(&[number as u8; 50]);
        packet.tos = 0xb8;
        bench.io.send_access(&mut packet, Peer::gtpu(GNB.into()));
    }
    let (frames, dropped) = bench.sent(N3_PORT);
    assert_eq!(dropped, [(DropReason::NoNeighbour, 2)]);
    let [asked] = &frames[..] else { panic!("{frames:?}") };
    let (to, question) = read(asked);
    assert_eq!(to, ndisc::group_mac(ndisc::solicited_node(GNB)));
    let expected = ndisc::Message::Solicitation { target: GNB, from: US, mac: Some(OUR_MAC) };
    assert_eq!(ndisc::read(&question), Some(expected));
    bench.give(N3_PORT, &ndisc::advertisement(THEIR_MAC, GNB, US));
    assert!(bench.look().is_empty());
    let (frames, _) = bench.sent(N3_PORT);
    assert_eq!(frames.len(), WAITING_FOR_ONE_MAX);
    for (number, octets) in frames.iter().enumerate() {
        let (to, packet) = read(octets);
        assert_eq!((to, packet.src_addr(), packet.dst_addr()), (THEIR_MAC, US, GNB));
        assert_eq!((packet.traffic_class(), packet.hop_limit()), (0xb8, ipv4::TIME_TO_LIVE));
        let udp = UdpPacket::new_checked(packet.payload()).expect("UDP");
        assert!(udp.checksum() != 0 && udp.verify_checksum(&IpAddress::Ipv6(US), &IpAddress::Ipv6(GNB)));
        assert_eq!((udp.src_port(), udp.dst_port()), (tern_gtpu::PORT, tern_gtpu::PORT));
        assert_eq!(udp.payload(), [number as u8; 50]);
    }
    // What was said once is asked again of who said it.
    bench.io.now += Duration::from_secs(60);
    bench.io.send_access(&mut packet(&[1; 50]), Peer::gtpu(GNB.into()));
    let (frames, _) = bench.sent(N3_PORT);
    assert_eq!(frames.len(), 2);
    let (to, question) = read(&frames[0]);
    assert_eq!((to, question.dst_addr()), (THEIR_MAC, GNB));
}

#[test]
fn when_nothing_leads_to_a_peer_over_ipv6_then_the_packet_is_dropped_with_its_reason() {
    let mut bench = Bench::new();
    bench.io.send_access(&mut packet(&[1; 50]), Peer::gtpu(SERVER.into()));
    assert_eq!(bench.dropped(), [(DropReason::NoNeighbour, 1)]);
}

#[test]
fn when_a_ue_sends_ipv6_then_its_packet_goes_to_the_router_and_nothing_of_its_link_does() {
    let mut bench = Bench::new();
    bench.introduce_v6(N6_PORT, ROUTER);
    let sent = datagram((UE, SERVER), 9, b"hello");
    bench.io.send_network(&mut packet(&sent), 0);
    let (frames, dropped) = bench.sent(N6_PORT);
    let frame = Frame::parse(&frames[0]).expect("a frame");
    assert_eq!((frame.to, frame.vlan, frame.payload), (THEIR_MAC, Some(N6_VLAN), &sent[..]));
    assert!(dropped.is_empty());
    for nowhere in [ROUTER, Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0, 1)] {
        bench.io.send_network(&mut packet(&datagram((UE, nowhere), 9, b"hello")), 0);
        assert_eq!(bench.sent(N6_PORT), (Vec::new(), vec![(DropReason::NoWay, 1)]));
    }
    bench.io.send_network(&mut packet(&sent[..39]), 0);
    assert_eq!(bench.sent(N6_PORT), (Vec::new(), vec![(DropReason::MalformedInner, 1)]));
}

#[test]
fn when_a_link_has_no_ipv6_then_a_packet_of_it_does_not_leave_there() {
    let mut bench = Bench::with(|link| link.ipv6 = None);
    bench.io.send_network(&mut packet(&datagram((UE, SERVER), 9, b"hello")), 0);
    assert_eq!(bench.sent(N6_PORT), (Vec::new(), vec![(DropReason::NoWay, 1)]));
    // Nor does it hear any.
    let asked = ndisc::solicitation(THEIR_MAC, SERVER, ndisc::solicited_node(N6), N6);
    bench.give(N6_PORT, &asked);
    assert!(bench.look().is_empty());
    assert_eq!(bench.sent(N6_PORT), (Vec::new(), vec![(DropReason::NotForUs, 1)]));
}

#[test]
fn when_a_packet_of_ipv6_is_for_a_ue_then_the_data_path_has_it_if_it_fits_into_the_tunnel() {
    let mut bench = Bench::new();
    bench.introduce_v6(N6_PORT, ROUTER);
    let fits = datagram((SERVER, UE), 9, &[5; UE_MTU as usize - OUTER_UDP]);
    let long = datagram((SERVER, UE), 9, &[5; UE_MTU as usize - OUTER_UDP + 1]);
    for packet in [&fits, &long, &datagram((ROUTER, UE), 9, b"of the link")] {
        bench.give(N6_PORT, packet);
    }
    assert_eq!(bench.look(), [(Side::Network(0), Peer::NOBODY, fits)]);
    let (frames, dropped) = bench.sent(N6_PORT);
    assert_eq!(dropped, [(DropReason::TooLong, 1), (DropReason::NotForUs, 1)]);
    let [error] = &frames[..] else { panic!("{frames:?}") };
    let (to, packet) = read(error);
    assert_eq!((to, packet.src_addr(), packet.dst_addr()), (THEIR_MAC, N6, SERVER));
    let told = icmp(&packet);
    assert_eq!((told.msg_type(), told.pkt_too_big_mtu()), (Icmpv6Message::PktTooBig, u32::from(UE_MTU)));
}

#[test]
fn when_a_ue_sends_more_ipv6_than_the_link_takes_then_it_is_told_through_its_tunnel() {
    let mut bench = Bench::new();
    bench.introduce_v6(N6_PORT, ROUTER);
    bench.io.send_network(&mut packet(&datagram((UE, SERVER), 9, &[5; 1_500])), 0);
    assert_eq!(bench.sent(N6_PORT), (Vec::new(), vec![(DropReason::TooLong, 1)]));
    let told = bench.look();
    let [(Side::Network(0), _, octets)] = &told[..] else { panic!("{told:?}") };
    let packet = Ipv6Packet::new_checked(&octets[..]).expect("IPv6");
    assert_eq!((packet.src_addr(), packet.dst_addr()), (N6, UE));
    assert_eq!(
        (icmp(&packet).msg_type(), icmp(&packet).pkt_too_big_mtu()),
        (Icmpv6Message::PktTooBig, 1_500)
    );
}

/// The payload of fragments that we have sent.
fn joined(frames: &[Vec<u8>], mtu: usize) -> Vec<u8> {
    let mut joined = Vec::new();
    for (number, octets) in frames.iter().enumerate() {
        let (_, packet) = read(octets);
        assert!(packet.total_len() <= mtu, "{}", packet.total_len());
        let piece = ipv6::fragment(&packet).expect("a fragment");
        assert_eq!((piece.protocol, piece.offset), (IpProtocol::Udp, joined.len()));
        assert_eq!(piece.more, number + 1 < frames.len());
        joined.extend_from_slice(piece.octets);
    }
    let udp = UdpPacket::new_checked(&joined[..]).expect("UDP");
    assert!(udp.verify_checksum(&IpAddress::Ipv6(US), &IpAddress::Ipv6(GNB)));
    joined
}

#[test]
fn when_a_gtpu_packet_is_longer_than_the_way_takes_then_its_source_fragments_it() {
    let mut bench = Bench::new();
    bench.introduce_v6(N3_PORT, GNB);
    let to = Peer::gtpu(GNB.into());
    bench.io.send_access(&mut packet(&[7; 1_453]), to);
    let (frames, dropped) = bench.sent(N3_PORT);
    assert_eq!((frames.len(), dropped), (2, Vec::new()));
    assert_eq!(joined(&frames, N3_MTU.into()).len(), UDP_HEADER + 1_453);
    // As long as the link takes; then a router says that it takes less, and one that lies.
    bench.io.send_access(&mut packet(&[7; 1_452]), to);
    let (sent, _) = bench.sent(N3_PORT);
    assert_eq!(sent.len(), 1);
    let quoted = read(&sent[0]).1.into_inner()[..80].to_vec();
    for (mtu, about) in [(1_400_u32, &quoted[..]), (1_300, &datagram((SERVER, GNB), 9, &[1; 40])[..])] {
        let error = message((ROUTER, US), 2, &[&mtu.to_be_bytes()[..], about].concat());
        bench.give(N3_PORT, &error);
    }
    assert!(bench.look().is_empty());
    assert_eq!(bench.dropped(), [(DropReason::NotForUs, 1)]);
    bench.io.send_access(&mut packet(&[7; 1_352]), to);
    bench.io.send_access(&mut packet(&[7; 1_353]), to);
    let (frames, _) = bench.sent(N3_PORT);
    assert_eq!(frames.len(), 3);
    assert_eq!(read(&frames[0]).1.total_len(), 1_400);
    assert_eq!(joined(&frames[1..], 1_400).len(), UDP_HEADER + 1_353);
}

#[test]
fn when_a_gtpu_packet_over_ipv6_comes_in_fragments_then_the_data_path_has_it_whole() {
    let mut bench = Bench::new();
    let payload: Vec<u8> = (0..4_000).map(|at| at as u8).collect();
    let whole = datagram((GNB, US), tern_gtpu::PORT, &payload);
    let mut pieces = Vec::new();
    ipv6::fragments(&whole, 1_500, 9, |piece| pieces.push(piece.to_vec()));
    assert_eq!(pieces.len(), 3);
    for piece in pieces.iter().rev() {
        assert!(bench.look().is_empty());
        bench.give(N3_PORT, piece);
    }
    assert!(bench.look().is_empty());
    assert_eq!(bench.look(), [(Side::Access, peer(GNB), payload)]);
    assert!(bench.dropped().is_empty());
    // One that lies about where it belongs, and the rest of the packet with it.
    let mut overlap = pieces[1].clone();
    overlap[43] -= 8;
    pieces.insert(1, overlap);
    pieces.iter().for_each(|piece| bench.give(N3_PORT, piece));
    assert!(bench.look().is_empty() && bench.look().is_empty());
    assert_eq!(bench.dropped(), [(DropReason::OuterFragment, 4)]);
    // One fragment that is all of its packet, with the number of one that is refused (RFC 6946).
    let mut alone = Vec::new();
    ipv6::fragments(&datagram((GNB, US), tern_gtpu::PORT, b"gtpu"), 1_500, 9, |piece| alone = piece.to_vec());
    bench.give(N3_PORT, &alone);
    assert!(bench.look().is_empty());
    assert_eq!(bench.look(), [(Side::Access, peer(GNB), b"gtpu".to_vec())]);
    alone.truncate(52);
    Ipv6Packet::new_unchecked(&mut alone[..]).set_payload_len(12);
    bench.give(N3_PORT, &alone);
    assert!(bench.look().is_empty());
    assert_eq!(bench.dropped(), [(DropReason::MalformedFrame, 1)]);
}

#[test]
fn when_somebody_pings_an_ipv6_address_of_ours_then_we_answer_to_where_it_came_from() {
    let mut bench = Bench::new();
    for (from, to) in [(GNB, US), (SERVER, US), (ROUTER, US_LOCAL)] {
        let request = message((from, to), 128, b"\0\x01\0\x02are you there");
        bench.give(N3_PORT, &request);
        assert!(bench.look().is_empty());
        let (frames, _) = bench.sent(N3_PORT);
        let (mac, packet) = read(&frames[0]);
        assert_eq!((mac, packet.src_addr(), packet.dst_addr()), (THEIR_MAC, to, from));
        assert_eq!(icmp(&packet).msg_type(), Icmpv6Message::EchoReply);
        assert_eq!(packet.payload()[4..], request[ipv6::HEADER + 4..]);
    }
}

/// A capture of every kind of frame that we send, as an independent decoder reads it.
#[test]
fn tshark_finds_nothing_malformed_in_our_frames() {
    let mut bench = Bench::new();
    let mut frames = Vec::new();
    let user = datagram((SERVER, UE), 9, &[5; 60]);
    let header =
        tern_gtpu::GpduHeader { teid: 7, container: Some(tern_gtpu::PduSessionContainer::downlink(9)) };
    let tunnelled = |user: &[u8]| {
        let mut octets = vec![0; header.length()];
        header.write(&mut octets, user.len());
        octets.extend_from_slice(user);
        packet(&octets)
    };
    bench.io.send_access(&mut tunnelled(&user), Peer::gtpu(GNB.into()));
    bench.give(N3_PORT, &ndisc::advertisement(THEIR_MAC, GNB, US));
    bench.give(N3_PORT, &message((GNB, US), 128, b"\0\x01\0\x02are you there"));
    bench.give(N3_PORT, &ndisc::solicitation(THEIR_MAC, GNB, ndisc::solicited_node(US), US));
    assert!(bench.look().is_empty());
    bench.io.send_access(&mut tunnelled(&datagram((SERVER, UE), 9, &[5; 1_400])), Peer::gtpu(GNB.into()));
    frames.extend(bench.sent(N3_PORT).0);
    bench.give(N6_PORT, &ndisc::solicitation(THEIR_MAC, ROUTER, ndisc::solicited_node(N6), N6));
    bench.give(N6_PORT, &datagram((SERVER, UE), 9, &[5; 1_452]));
    assert!(bench.look().is_empty());
    bench.io.send_network(&mut packet(&datagram((UE, SERVER), 9, b"hello")), 0);
    frames.extend(bench.sent(N6_PORT).0);
    assert_eq!(frames.len(), 9);

    let mut pcap = Vec::new();
    for field in [0xA1B2_C3D4_u32, 0x0004_0002, 0, 0, 0xFFFF, 1] {
        pcap.extend_from_slice(&field.to_le_bytes());
    }
    for frame in &frames {
        for field in [0, 0, frame.len() as u32, frame.len() as u32] {
            pcap.extend_from_slice(&field.to_le_bytes());
        }
        pcap.extend_from_slice(frame);
    }
    let path = std::env::temp_dir().join(format!("tern-upf-frames-{}.pcap", std::process::id()));
    std::fs::write(&path, pcap).expect("writes the capture");
    let checks = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-T", "fields"];
    let fields = ["_ws.malformed", "_ws.expert.severity", "udp.checksum.status", "icmpv6.checksum.status"];
    let mut command = Command::new("tshark");
    command.args(checks).args(fields.iter().flat_map(|field| ["-e", *field])).arg("-r").arg(&path);
    let output = command.output();
    std::fs::remove_file(&path).expect("removes the capture");
    let Ok(output) = output else {
        println!(
            "SKIPPED tern-upf io::ethernet::tests_v6::tshark_finds_nothing_malformed_in_our_frames: \
             tshark is not installed"
        );
        return;
    };
    let listing = String::from_utf8_lossy(&output.stdout);
    assert_eq!(listing.lines().count(), frames.len(), "{listing}");
    for line in listing.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [malformed, severity, udp, icmp] = fields[..] else { panic!("{listing}") };
        assert_eq!((malformed, severity), ("", ""), "{listing}");
        // 0 is wrong, 1 right, 2 not to be told: of what an error quotes. The first of two fragments has none.
        assert!(!udp.contains('0') && !icmp.contains('0'), "{listing}");
    }
}
