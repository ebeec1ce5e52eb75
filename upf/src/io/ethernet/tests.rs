//! A worker's ports on wires in memory.

use std::sync::mpsc::{Receiver, Sender, channel};

use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, Icmpv4Message, Icmpv4Packet};
use tern_types::{Ipv4Prefix, Ipv6Prefix};

use super::ipv4::sound;
use super::link::Frame;
use super::*;
use crate::config::{Addresses, LinkConfig};
use crate::path::ReferencePoint;

pub(super) const OUR_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
pub(super) const THEIR_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 2]);
const US: Ipv4Addr = Ipv4Addr::new(10, 3, 0, 1);
const GNB: Ipv4Addr = Ipv4Addr::new(10, 3, 0, 2);
const N6: Ipv4Addr = Ipv4Addr::new(10, 6, 0, 1);
const N9: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 6, 0, 2);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const UE: Ipv4Addr = Ipv4Addr::new(10, 45, 0, 9);
pub(super) const N3_PORT: usize = 0;
pub(super) const N6_PORT: usize = 1;
pub(super) const N6_VLAN: u16 = 66;
const N9_VLAN: u16 = 90;
pub(super) const N3_MTU: u16 = 1_500;
pub(super) const UE_MTU: u16 = 1_400;

/// A port whose other end is the test.
pub(super) struct Wire {
    incoming: Receiver<Vec<u8>>,
    outgoing: Sender<Vec<u8>>,
    held: Vec<Vec<u8>>,
}

impl Port for Wire {
    fn receive(&mut self, packets: &mut [Packet]) -> usize {
        packets.iter_mut().zip(self.incoming.try_iter()).map(|(packet, frame)| packet.set(&frame)).count()
    }

    fn give(&mut self, _: &mut Packet, worker: usize) {
        panic!("worker {worker}: there is one");
    }

    fn frame(&mut self, length: usize) -> Option<&mut [u8]> {
        self.held.push(vec![0xee; length]);
        self.held.last_mut().map(Vec::as_mut_slice)
    }

    fn flush(&mut self) -> usize {
        self.held.drain(..).for_each(|frame| _ = self.outgoing.send(frame));
        0
    }
}

pub(super) struct Bench {
    pub(super) io: EthernetIo<Wire>,
    pub(super) to: Vec<Sender<Vec<u8>>>,
    from: Vec<Receiver<Vec<u8>>>,
}

fn peer(address: Ipv4Addr, port: u16) -> Peer {
    Peer::new(address.into(), port)
}

fn link(address: &str, ipv6: &str, mtu: u16) -> LinkConfig {
    LinkConfig {
        device: String::new(),
        address: Some(prefix(address)),
        gateway: None,
        ipv6: Some(prefix_v6(ipv6)),
        ipv6_gateway: None,
        vlan: None,
        mtu,
    }
}

fn prefix_v6(text: &str) -> Ipv6Prefix {
    text.parse().expect("a prefix")
}

fn prefix(text: &str) -> Ipv4Prefix {
    text.parse().expect("a prefix")
}

impl Bench {
    /// N3 without a tag; N6 on a VLAN of another port, behind a router.
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same with another configuration of N6's link.
    pub(super) fn with(change: impl Fn(&mut LinkConfig)) -> Self {
        let (mut ports, mut to, mut from) = (Vec::new(), Vec::new(), Vec::new());
        for _ in [N3_PORT, N6_PORT] {
            let ((near, incoming), (outgoing, far)) = (channel(), channel());
            ports.push(Wire { incoming, outgoing, held: Vec::new() });
            to.push(near);
            from.push(far);
        }
        let mut n6 = LinkConfig {
            vlan: Some(N6_VLAN),
            gateway: Some(ROUTER),
            ipv6_gateway: Some(tests_v6::ROUTER),
            ..link("10.6.0.1/24", "2001:db8:6::1/64", 1_500)
        };
        change(&mut n6);
        let n9 = LinkConfig { vlan: Some(N9_VLAN), ..link("10.9.0.1/24", "2001:db8:9::1/64", 1_500) };
        let links = vec![
            Link::new(N3_PORT, OUR_MAC.0, &link("10.3.0.1/24", "2001:db8:3::1/64", N3_MTU)),
            Link::new(N6_PORT, OUR_MAC.0, &n6),
            Link::new(N3_PORT, OUR_MAC.0, &n9),
        ];
        let places = Places {
            n9: Some(AccessPlace {
                link: 2,
                addresses: Addresses { ipv4: Some(N9), ipv6: None },
                port: tern_gtpu::PORT,
            }),
            n3: AccessPlace {
                link: 0,
                addresses: Addresses { ipv4: Some(US), ipv6: Some(tests_v6::US) },
                port: tern_gtpu::PORT,
            },
            networks: vec![NetworkPlace {
                link: 1,
                ues: prefix("10.45.0.1/16"),
                ues_v6: Some(prefix_v6("2001:db8:45::1/48")),
                mtu: UE_MTU,
            }],
            idle_sleep: Duration::ZERO,
        };
        Self { io: EthernetIo::new(ports, links, places, Steering::new(0, 1)), to, from }
    }

    /// One look at the ports; what came for the data path.
    pub(super) fn look(&mut self) -> Vec<(Side, Peer, Vec<u8>)> {
        let mut packets: Vec<Packet> = (0..super::super::BURST).map(|_| Packet::new()).collect();
        let count = self.io.receive(&mut packets, Duration::ZERO).expect("receives");
        packets[..count].iter().map(|p| (p.side, p.from, p.bytes().to_vec())).collect()
    }

    /// What leaves on a port; why packets were dropped.
    pub(super) fn sent(&mut self, port: usize) -> (Vec<Vec<u8>>, Vec<(DropReason, usize)>) {
        let mut dropped = Vec::new();
        self.io.flush(&mut |reason, count| dropped.push((reason, count)));
        (self.from[port].try_iter().collect(), dropped)
    }

    pub(super) fn dropped(&mut self) -> Vec<(DropReason, usize)> {
        self.sent(N3_PORT).1
    }

    /// The neighbour says who it is, without being asked.
    fn introduce(&mut self, port: usize, neighbour: Ipv4Addr) {
        let us = if port == N3_PORT { US } else { N6 };
        self.to[port].send(arp(port, ArpOperation::Reply, neighbour, us)).expect("sent");
        assert!(self.look().is_empty());
    }
}

pub(super) fn frame(port: usize, protocol: EthernetProtocol, payload: &[u8]) -> Vec<u8> {
    let mut octets = [OUR_MAC.0, THEIR_MAC.0].concat();
    if port == N6_PORT {
        octets.extend([0x81, 0x00, 0xe0, N6_VLAN as u8]);
    }
    octets.extend(u16::from(protocol).to_be_bytes());
    octets.extend_from_slice(payload);
    // Ethernet pads what is short.
    octets.resize(octets.len().max(60), 0);
    octets
}

fn arp(port: usize, operation: ArpOperation, from: Ipv4Addr, about: Ipv4Addr) -> Vec<u8> {
    let packet = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: THEIR_MAC,
        source_protocol_addr: from,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: about,
    };
    let mut octets = vec![0; packet.buffer_len()];
    packet.emit(&mut ArpPacket::new_unchecked(&mut octets[..]));
    frame(port, EthernetProtocol::Arp, &octets)
}

fn ip(ends: (Ipv4Addr, Ipv4Addr), protocol: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let mut octets = [&[0; IPV4_HEADER_LEN], payload].concat();
    let length = octets.len();
    ipv4::write_header(&mut octets, length, ends, protocol, (0, 5));
    octets
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut octets = [&[0; UDP_HEADER], payload].concat();
    let length = octets.len();
    let mut header = UdpPacket::new_unchecked(&mut octets[..]);
    header.set_src_port(3_000);
    header.set_dst_port(port);
    header.set_len(length as u16);
    octets
}

/// A packet to or from the UE, of this length.
fn user(ends: (Ipv4Addr, Ipv4Addr), length: usize, dont_fragment: bool) -> Vec<u8> {
    let mut octets = ip(ends, IpProtocol::Unknown(253), &vec![9; length - IPV4_HEADER_LEN]);
    let mut header = Ipv4Packet::new_unchecked(&mut octets[..]);
    header.set_dont_frag(dont_fragment);
    header.fill_checksum();
    octets
}

pub(super) fn packet(octets: &[u8]) -> Packet {
    let mut packet = Packet::new();
    packet.set(octets);
    packet
}

#[test]
fn when_somebody_asks_for_our_address_then_we_answer_and_for_no_other() {
    let mut bench = Bench::new();
    bench.to[N6_PORT].send(arp(N6_PORT, ArpOperation::Request, ROUTER, N6)).unwrap();
    bench.to[N6_PORT].send(arp(N6_PORT, ArpOperation::Request, ROUTER, SERVER)).unwrap();
    assert!(bench.look().is_empty());
    let (frames, _) = bench.sent(N6_PORT);
    assert_eq!(frames.len(), 1);
    let answer = Frame::parse(&frames[0]).expect("a frame");
    assert_eq!((answer.to, answer.from, answer.vlan), (THEIR_MAC, OUR_MAC, Some(N6_VLAN)));
    let expected = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: OUR_MAC,
        source_protocol_addr: N6,
        target_hardware_addr: THEIR_MAC,
        target_protocol_addr: ROUTER,
    };
    assert_eq!(ArpRepr::parse(&ArpPacket::new_checked(answer.payload).unwrap()), Ok(expected));
    // The router is known by its request: nobody has to ask.
    bench.io.send_network(&mut packet(&user((UE, SERVER), 100, false)), 0);
    let (frames, _) = bench.sent(N6_PORT);
    assert_eq!(Frame::parse(&frames[0]).map(|frame| frame.protocol), Some(EthernetProtocol::Ipv4));
}

#[test]
fn when_gtpu_comes_then_the_data_path_has_it_and_nothing_else() {
    let mut bench = Bench::new();
    let good = ip((GNB, US), IpProtocol::Udp, &udp(tern_gtpu::PORT, b"gtpu"));
    let ipv4 = |octets: &[u8]| frame(N3_PORT, EthernetProtocol::Ipv4, octets);
    let mut wrong_checksum = udp(tern_gtpu::PORT, b"gtpu");
    wrong_checksum[6..8].copy_from_slice(&[1, 1]);
    let mut broken = good.clone();
    broken[8] ^= 1;
    let mut elsewhere = ipv4(&good);
    elsewhere[5] ^= 8;
    let frames = [
        ipv4(&good),
        ipv4(&ip((GNB, US), IpProtocol::Udp, &wrong_checksum)),
        ipv4(&broken),
        ipv4(&ip((GNB, US), IpProtocol::Udp, &udp(53, b"dns"))),
        ipv4(&ip((GNB, SERVER), IpProtocol::Udp, &udp(tern_gtpu::PORT, b"gtpu"))),
        frame(N3_PORT, EthernetProtocol::Unknown(0x88cc), &[0x60; 40]),
        // Tagged, on a port without VLANs.
        frame(N6_PORT, EthernetProtocol::Ipv4, &good),
        elsewhere,
        vec![1, 2, 3],
    ];
    frames.into_iter().for_each(|frame| bench.to[N3_PORT].send(frame).unwrap());
    assert_eq!(bench.look(), [(Side::Access, peer(GNB, 3_000), b"gtpu".to_vec())]);
    let expected = [(DropReason::MalformedFrame, 3), (DropReason::NotForUs, 5)];
    assert_eq!(bench.dropped(), expected);
}

#[test]
fn when_the_next_hop_is_not_known_then_packets_wait_for_its_answer_in_order() {
    let mut bench = Bench::new();
    for number in 0..WAITING_FOR_ONE_MAX + 2 {
        bench.io.send_access(&mut packet(&[number as u8; 50]), peer(GNB, tern_gtpu::PORT));
    }
    let (frames, dropped) = bench.sent(N3_PORT);
    let asked: Vec<_> = frames.iter().filter_map(|frame| Frame::parse(frame)).map(|f| f.protocol).collect();
    assert_eq!(asked, [EthernetProtocol::Arp]);
    assert_eq!(dropped, [(DropReason::NoNeighbour, 2)]);
    bench.introduce(N3_PORT, GNB);
    let (frames, _) = bench.sent(N3_PORT);
    assert_eq!(frames.len(), WAITING_FOR_ONE_MAX);
    for (number, octets) in frames.iter().enumerate() {
        let frame = Frame::parse(octets).expect("a frame");
        assert_eq!((frame.to, frame.from, frame.vlan), (THEIR_MAC, OUR_MAC, None));
        let (packet, _) = sound(frame.payload).expect("IPv4");
        assert_eq!((packet.src_addr(), packet.dst_addr()), (US, GNB));
        let udp = UdpPacket::new_checked(packet.payload()).expect("UDP");
        assert_eq!((udp.src_port(), udp.dst_port()), (tern_gtpu::PORT, tern_gtpu::PORT));
        assert_eq!(udp.payload(), [number as u8; 50]);
    }
}

#[test]
fn when_nothing_leads_to_a_peer_then_the_packet_is_dropped_with_its_reason() {
    let mut bench = Bench::new();
    bench.io.send_access(&mut packet(&[1; 50]), peer(SERVER, tern_gtpu::PORT));
    assert_eq!(bench.dropped(), [(DropReason::NoNeighbour, 1)]);
}

#[test]
fn when_a_ue_sends_then_its_packet_goes_to_the_router() {
    let mut bench = Bench::new();
    bench.introduce(N6_PORT, ROUTER);
    let sent = user((UE, SERVER), 100, true);
    bench.io.send_network(&mut packet(&sent), 0);
    let (frames, dropped) = bench.sent(N6_PORT);
    let frame = Frame::parse(&frames[0]).expect("a frame");
    assert_eq!((frame.to, frame.vlan, frame.payload), (THEIR_MAC, Some(N6_VLAN), &sent[..]));
    assert!(dropped.is_empty());
}

#[test]
fn when_a_packet_does_not_fit_into_the_tunnel_then_it_comes_in_fragments_or_its_sender_is_told() {
    let mut bench = Bench::new();
    bench.introduce(N6_PORT, ROUTER);
    let whole = user((SERVER, UE), 1_500, false);
    bench.to[N6_PORT].send(frame(N6_PORT, EthernetProtocol::Ipv4, &whole)).unwrap();
    let first = bench.look();
    assert!(first.is_empty());
    let fragments = bench.look();
    assert_eq!(fragments.len(), 2);
    let mut payload = Vec::new();
    for (side, _, octets) in fragments {
        assert!(side == Side::Network(0) && octets.len() <= UE_MTU.into());
        payload.extend_from_slice(Ipv4Packet::new_checked(&octets[..]).expect("IPv4").payload());
    }
    assert_eq!(payload, whole[IPV4_HEADER_LEN..]);

    let whole = user((SERVER, UE), 1_500, true);
    bench.to[N6_PORT].send(frame(N6_PORT, EthernetProtocol::Ipv4, &whole)).unwrap();
    assert!(bench.look().is_empty());
    let (frames, dropped) = bench.sent(N6_PORT);
    assert_eq!(dropped, [(DropReason::TooLong, 1)]);
    let (error, _) = sound(Frame::parse(&frames[0]).expect("a frame").payload).expect("IPv4");
    assert_eq!((error.src_addr(), error.dst_addr()), (N6, SERVER));
    assert_eq!(
        error.payload()[..8],
        [[3, 4], [error.payload()[2], error.payload()[3]], [0, 0], [5, 120]].concat()
    );
}

#[test]
fn when_a_ue_sends_more_than_the_link_takes_then_it_is_told_through_its_tunnel() {
    let mut bench = Bench::new();
    bench.introduce(N6_PORT, ROUTER);
    bench.io.send_network(&mut packet(&user((UE, SERVER), 1_600, true)), 0);
    assert_eq!(bench.sent(N6_PORT), (Vec::new(), vec![(DropReason::TooLong, 1)]));
    let told = bench.look();
    let [(Side::Network(0), _, octets)] = &told[..] else { panic!("{told:?}") };
    let error = Ipv4Packet::new_checked(&octets[..]).expect("IPv4");
    assert_eq!((error.src_addr(), error.dst_addr()), (N6, UE));
    let icmp = Icmpv4Packet::new_checked(error.payload()).expect("ICMP");
    assert_eq!((icmp.msg_type(), icmp.msg_code()), (Icmpv4Message::DstUnreachable, 4));
    bench.io.send_network(&mut packet(&user((UE, SERVER), 1_600, false)), 0);
    assert_eq!(bench.sent(N6_PORT).0.len(), 2);
}

#[test]
fn when_a_gtpu_packet_is_longer_than_n3_takes_then_the_outer_one_is_fragmented() {
    let mut bench = Bench::new();
    bench.introduce(N3_PORT, GNB);
    bench.io.send_access(&mut packet(&[7; 1_480]), peer(GNB, tern_gtpu::PORT));
    let (frames, dropped) = bench.sent(N3_PORT);
    assert!(dropped.is_empty());
    let mut joined = Vec::new();
    for octets in &frames {
        let (packet, octets) = sound(Frame::parse(octets).expect("a frame").payload).expect("IPv4");
        assert!(octets.len() <= N3_MTU.into());
        assert_eq!(usize::from(packet.frag_offset()), joined.len());
        joined.extend_from_slice(packet.payload());
    }
    assert_eq!((frames.len(), joined.len()), (2, UDP_HEADER + 1_480));
    assert!(joined[UDP_HEADER..].iter().all(|octet| *octet == 7));
}

#[test]
fn when_a_gtpu_packet_comes_in_fragments_then_the_data_path_has_it_whole() {
    let mut bench = Bench::new();
    let payload: Vec<u8> = (0..4_000).map(|at| at as u8).collect();
    let whole = ip((GNB, US), IpProtocol::Udp, &udp(tern_gtpu::PORT, &payload));
    let mut pieces = Vec::new();
    ipv4::fragments(&whole, 1_500, |piece| pieces.push(frame(N3_PORT, EthernetProtocol::Ipv4, piece)));
    assert_eq!(pieces.len(), 3);
    for piece in pieces.iter().rev() {
        assert!(bench.look().is_empty());
        bench.to[N3_PORT].send(piece.clone()).unwrap();
    }
    assert!(bench.look().is_empty());
    assert_eq!(bench.look(), [(Side::Access, peer(GNB, 3_000), payload)]);
    assert!(bench.dropped().is_empty());
    // One that lies about where it belongs, and the rest of the packet with it.
    let mut overlap = whole[..508].to_vec();
    let mut header = Ipv4Packet::new_unchecked(&mut overlap[..]);
    header.set_total_len(508);
    header.set_more_frags(true);
    header.set_frag_offset(800);
    header.fill_checksum();
    pieces.insert(1, frame(N3_PORT, EthernetProtocol::Ipv4, &overlap));
    pieces.into_iter().for_each(|piece| bench.to[N3_PORT].send(piece).unwrap());
    assert!(bench.look().is_empty() && bench.look().is_empty());
    assert_eq!(bench.dropped(), [(DropReason::OuterFragment, 4)]);
}

#[test]
fn when_somebody_pings_us_then_we_answer_to_where_it_came_from() {
    let mut bench = Bench::new();
    let mut request = vec![8, 0, 0, 0, 0, 1, 0, 2];
    request.extend_from_slice(b"are you there");
    Icmpv4Packet::new_unchecked(&mut request[..]).fill_checksum();
    for from in [GNB, SERVER] {
        let octets = ip((from, US), IpProtocol::Icmp, &request);
        bench.to[N3_PORT].send(frame(N3_PORT, EthernetProtocol::Ipv4, &octets)).unwrap();
        assert!(bench.look().is_empty());
        let (frames, _) = bench.sent(N3_PORT);
        let answer = Frame::parse(&frames[0]).expect("a frame");
        let (packet, _) = sound(answer.payload).expect("IPv4");
        assert_eq!((answer.to, packet.src_addr(), packet.dst_addr()), (THEIR_MAC, US, from));
        assert_eq!((packet.payload()[0], &packet.payload()[8..]), (0, &b"are you there"[..]));
        assert!(Icmpv4Packet::new_checked(packet.payload()).expect("ICMP").verify_checksum());
    }
}

#[test]
fn when_a_worker_is_woken_then_it_returns_without_a_packet() {
    let mut bench = Bench::new();
    bench.io.waker().store(true, Ordering::Release);
    let mut packets = [Packet::new()];
    assert_eq!(bench.io.receive(&mut packets, Duration::from_secs(3600)).expect("receives"), 0);
}

/// N9 is on a VLAN of N3's port, with an address of its own.
#[test]
fn when_n9_has_a_link_of_its_own_then_its_packets_come_and_leave_there() {
    const ANCHOR: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 7);
    let mut bench = Bench::new();
    let tagged =
        |untagged: Vec<u8>| [&untagged[..12], &[0x81, 0x00, 0xe0, N9_VLAN as u8], &untagged[12..]].concat();
    bench.to[N3_PORT].send(tagged(arp(N3_PORT, ArpOperation::Reply, ANCHOR, N9))).expect("sent");
    assert!(bench.look().is_empty());
    let on_n9 = Peer::gtpu(ANCHOR.into()).on(ReferencePoint::N9);
    let datagram = udp(tern_gtpu::PORT, b"gtpu");
    let packet_to =
        |to| frame(N3_PORT, EthernetProtocol::Ipv4, &ip((ANCHOR, to), IpProtocol::Udp, &datagram));
    bench.to[N3_PORT].send(tagged(packet_to(N9))).expect("sent");
    assert_eq!(bench.look(), [(Side::Access, Peer { port: 3_000, ..on_n9 }, b"gtpu".to_vec())]);
    // Neither address is to be had on the other's link.
    for frame in [packet_to(N9), tagged(packet_to(US))] {
        bench.to[N3_PORT].send(frame).expect("sent");
        assert!(bench.look().is_empty());
    }
    bench.sent(N3_PORT);
    bench.io.send_access(&mut packet(&[7; 50]), on_n9);
    let (frames, dropped) = bench.sent(N3_PORT);
    let [sent] = &frames[..] else { panic!("{frames:?} {dropped:?}") };
    assert_eq!(sent[12..18], [0x81, 0x00, 0, N9_VLAN as u8, 8, 0]);
    assert_eq!(sent[30..38], [N9.octets(), ANCHOR.octets()].concat());
}
