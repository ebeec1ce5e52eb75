//! IPv6 as a router and a host need it: fragments of our own packets (RFC 8200 §4.5), errors and echoes (RFC 4443).

use std::net::Ipv6Addr;

use smoltcp::wire::{Icmpv6Message, Icmpv6Packet, IpAddress, IpProtocol, Ipv6Packet, UdpPacket};

use super::ipv4::TIME_TO_LIVE;

/// Octets of a header.
pub(super) const HEADER: usize = 40;
/// Octets of a Fragment header.
const FRAGMENT_HEADER: usize = 8;
/// A fragment's octets come in eights.
const FRAGMENT_UNIT: usize = 8;
/// Octets of a header of ICMPv6.
const ICMP_HEADER: usize = 8;
/// What every link takes, an error included (RFC 8200 §5, RFC 4443 §2.4 c).
pub(super) const MTU_MIN: usize = 1_280;
/// Messages of ICMPv6 below this are errors (RFC 4443 §2.1).
const FIRST_INFORMATION: u8 = 128;
/// No error is about one (RFC 4443 §2.4 e).
const REDIRECT: u8 = 137;

/// Writes a header of a packet with so many octets behind it.
pub(super) fn write_header(
    octets: &mut [u8],
    length: usize,
    (source, destination): (Ipv6Addr, Ipv6Addr),
    protocol: IpProtocol,
    traffic_class: u8,
) {
    let mut header = Ipv6Packet::new_unchecked(octets);
    header.set_version(6);
    header.set_traffic_class(traffic_class);
    header.set_flow_label(0);
    header.set_payload_len(u16::try_from(length).unwrap_or(u16::MAX));
    header.set_next_header(protocol);
    header.set_hop_limit(TIME_TO_LIVE);
    header.set_src_addr(source);
    header.set_dst_addr(destination);
}

/// Writes the headers of a packet of UDP in front of its payload, which is there. Over IPv6 it has a checksum (RFC 8200
/// §8.1).
pub(super) fn write_datagram(
    octets: &mut [u8],
    ends: (Ipv6Addr, Ipv6Addr),
    ports: (u16, u16),
    traffic_class: u8,
) {
    let length = octets.len() - HEADER;
    write_header(octets, length, ends, IpProtocol::Udp, traffic_class);
    let mut udp = UdpPacket::new_unchecked(&mut octets[HEADER..]);
    udp.set_src_port(ports.0);
    udp.set_dst_port(ports.1);
    udp.set_len(u16::try_from(length).unwrap_or(u16::MAX));
    udp.fill_checksum(&IpAddress::Ipv6(ends.0), &IpAddress::Ipv6(ends.1));
}

/// A sound packet without what the link padded it with.
pub(super) fn sound(payload: &[u8]) -> Option<(Ipv6Packet<&[u8]>, &[u8])> {
    let packet = Ipv6Packet::new_checked(payload).ok()?;
    let octets = payload.get(..packet.total_len())?;
    (packet.version() == 6).then_some((packet, octets))
}

/// Gives the fragments of a packet of ours, which has no extension header, to `each`, none longer than `mtu`. Only
/// its source may fragment a packet of IPv6.
pub(super) fn fragments(packet: &[u8], mtu: usize, identification: u32, mut each: impl FnMut(&[u8])) {
    let Some((header, payload)) = packet.split_at_checked(HEADER) else { return };
    let room = mtu.saturating_sub(HEADER + FRAGMENT_HEADER) / FRAGMENT_UNIT * FRAGMENT_UNIT;
    if room == 0 {
        return;
    }
    let protocol = Ipv6Packet::new_unchecked(packet).next_header();
    for (number, piece) in payload.chunks(room).enumerate() {
        let at = number * room;
        let more = at + piece.len() < payload.len();
        let mut fragment = header.to_vec();
        fragment.extend_from_slice(&[protocol.into(), 0]);
        // The offset in eights, in the upper thirteen bits.
        let place = u16::try_from(at).unwrap_or(u16::MAX) | u16::from(more);
        fragment.extend_from_slice(&place.to_be_bytes());
        fragment.extend_from_slice(&identification.to_be_bytes());
        fragment.extend_from_slice(piece);
        let length = u16::try_from(fragment.len() - HEADER).unwrap_or(u16::MAX);
        let mut writer = Ipv6Packet::new_unchecked(&mut fragment[..]);
        writer.set_next_header(IpProtocol::Ipv6Frag);
        writer.set_payload_len(length);
        each(&fragment);
    }
}

/// What a fragment of a packet says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fragment<'a> {
    /// What its packet carries.
    pub(super) protocol: IpProtocol,
    pub(super) identification: u32,
    pub(super) offset: usize,
    pub(super) more: bool,
    pub(super) octets: &'a [u8],
}

/// Reads a packet's Fragment header, if that is what follows its header.
pub(super) fn fragment<'a>(packet: &Ipv6Packet<&'a [u8]>) -> Option<Fragment<'a>> {
    if packet.next_header() != IpProtocol::Ipv6Frag {
        return None;
    }
    let (header, octets) = packet.payload().split_first_chunk::<FRAGMENT_HEADER>()?;
    let [protocol, _, high, low, identification @ ..] = *header;
    let place = u16::from_be_bytes([high, low]);
    Some(Fragment {
        protocol: protocol.into(),
        identification: u32::from_be_bytes(identification),
        offset: usize::from(place & !7),
        more: place & 1 != 0,
        octets,
    })
}

/// "Packet too big" towards the sender of a packet (RFC 4443 §3.2). `None` where §2.4 e allows no error: about an
/// error, or to a sender that is no single host.
pub(super) fn too_big(packet: &[u8], from: Ipv6Addr, mtu: u16) -> Option<Vec<u8>> {
    let about = Ipv6Packet::new_checked(packet).ok()?;
    let sender = about.src_addr();
    if sender.is_unspecified() || sender.is_multicast() || sender.is_loopback() || is_error(&about) {
        return None;
    }
    let quoted = &packet[..packet.len().min(MTU_MIN - HEADER - ICMP_HEADER)];
    let mut error = vec![0; HEADER + ICMP_HEADER];
    error.extend_from_slice(quoted);
    write_header(&mut error, ICMP_HEADER + quoted.len(), (from, sender), IpProtocol::Icmpv6, 0);
    let mut icmp = Icmpv6Packet::new_unchecked(&mut error[HEADER..]);
    icmp.set_msg_type(Icmpv6Message::PktTooBig);
    icmp.set_msg_code(0);
    icmp.set_pkt_too_big_mtu(mtu.into());
    icmp.fill_checksum(&from, &sender);
    Some(error)
}

/// Whether a packet, or the first fragment of one, is an error or a redirection.
fn is_error(packet: &Ipv6Packet<&[u8]>) -> bool {
    let first = match fragment(packet) {
        Some(fragment) if fragment.protocol == IpProtocol::Icmpv6 && fragment.offset == 0 => {
            fragment.octets.first()
        }
        Some(_) => return false,
        None if packet.next_header() == IpProtocol::Icmpv6 => packet.payload().first(),
        None => return false,
    };
    first.is_none_or(|kind| *kind < FIRST_INFORMATION || *kind == REDIRECT)
}

/// What a message of ICMPv6 to us asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    /// The reply to an echo request.
    Reply(Vec<u8>),
    /// Our packet to this address, of which this is the beginning, was longer than its way takes.
    Narrow { to: Ipv6Addr, mtu: usize, quoted: Ipv6Packet<&'a [u8]> },
}

/// Reads an echo request or a "packet too big"; `None` for other messages and what is not sound.
pub(super) fn icmp<'a>(packet: &Ipv6Packet<&'a [u8]>) -> Option<Asked<'a>> {
    let (from, to) = (packet.src_addr(), packet.dst_addr());
    let icmp = Icmpv6Packet::new_checked(packet.payload()).ok()?;
    if packet.next_header() != IpProtocol::Icmpv6 || !icmp.verify_checksum(&from, &to) {
        return None;
    }
    match icmp.msg_type() {
        // A group may not be answered to by each of its members (RFC 4443 §4.2 leaves it to us).
        Icmpv6Message::EchoRequest
            if !to.is_multicast() && !from.is_multicast() && !from.is_unspecified() =>
        {
            let mut reply = vec![0; HEADER];
            reply.extend_from_slice(packet.payload());
            write_header(&mut reply, packet.payload().len(), (to, from), IpProtocol::Icmpv6, 0);
            let mut icmp = Icmpv6Packet::new_unchecked(&mut reply[HEADER..]);
            icmp.set_msg_type(Icmpv6Message::EchoReply);
            icmp.fill_checksum(&to, &from);
            Some(Asked::Reply(reply))
        }
        Icmpv6Message::PktTooBig => {
            let quoted = packet.payload().get(ICMP_HEADER..).filter(|octets| octets.len() >= HEADER)?;
            let quoted = Ipv6Packet::new_unchecked(quoted);
            let mtu = usize::try_from(icmp.pkt_too_big_mtu()).unwrap_or(usize::MAX);
            Some(Asked::Narrow { to: quoted.dst_addr(), mtu, quoted })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::UDP_HEADER;
    use super::*;

    const A: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    const B: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
    const ROUTER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);

    fn packet(payload: usize) -> Vec<u8> {
        let payload: Vec<u8> = (0..payload).map(|at| at as u8).collect();
        let mut octets = [&[0; HEADER + UDP_HEADER][..], &payload].concat();
        write_datagram(&mut octets, (A, B), (1, 2), 0xb8);
        octets
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut octets = vec![0; HEADER];
        octets.extend_from_slice(&[kind, 0, 0, 0]);
        octets.extend_from_slice(body);
        let length = octets.len() - HEADER;
        write_header(&mut octets, length, (A, B), IpProtocol::Icmpv6, 0);
        Icmpv6Packet::new_unchecked(&mut octets[HEADER..]).fill_checksum(&A, &B);
        octets
    }

    fn checked(octets: &[u8]) -> Ipv6Packet<&[u8]> {
        Ipv6Packet::new_checked(octets).expect("sound")
    }

    #[test]
    fn fragments_hold_the_packet_in_order_and_are_read_again() {
        for (payload, mtu) in [(3_000, 1_500), (1_453, 1_500), (9_000, 1_280)] {
            let whole = packet(payload);
            let (mut joined, mut count, mut ended) = (Vec::new(), 0, false);
            fragments(&whole, mtu, 77, |octets| {
                let packet = checked(octets);
                let piece = fragment(&packet).expect("a fragment");
                assert!(octets.len() <= mtu && packet.total_len() == octets.len() && !ended);
                assert_eq!((packet.src_addr(), packet.dst_addr(), packet.traffic_class()), (A, B, 0xb8));
                assert_eq!((piece.protocol, piece.identification), (IpProtocol::Udp, 77));
                assert_eq!(piece.offset, joined.len());
                joined.extend_from_slice(piece.octets);
                (count, ended) = (count + 1, !piece.more);
            });
            assert!(ended && count > 1, "{payload} {mtu}");
            assert_eq!(joined, &whole[HEADER..]);
        }
    }

    #[test]
    fn errors_tell_the_mtu_and_quote_the_packet_and_never_answer_errors() {
        let about = packet(2_000);
        let error = too_big(&about, ROUTER, 1_400).expect("an error");
        let ip = checked(&error);
        assert_eq!((ip.src_addr(), ip.dst_addr(), error.len()), (ROUTER, A, MTU_MIN));
        let icmp = Icmpv6Packet::new_checked(ip.payload()).expect("ICMPv6");
        assert!(icmp.verify_checksum(&ROUTER, &A));
        assert_eq!((icmp.msg_type(), icmp.pkt_too_big_mtu()), (Icmpv6Message::PktTooBig, 1_400));
        assert_eq!(ip.payload()[8..], about[..ip.payload().len() - 8]);
        assert_eq!(too_big(&error, ROUTER, 1_400), None);
        assert_eq!(too_big(&message(REDIRECT, &[0; 36]), ROUTER, 1_400), None);
        assert!(too_big(&message(128, &[0; 1_500]), ROUTER, 1_400).is_some());
        for nobody in [Ipv6Addr::UNSPECIFIED, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)] {
            let mut from_nobody = about.clone();
            Ipv6Packet::new_unchecked(&mut from_nobody[..]).set_src_addr(nobody);
            assert_eq!(too_big(&from_nobody, ROUTER, 1_400), None);
        }
        let mut of_error = Vec::new();
        fragments(&message(1, &[0; 1_500]), 1_280, 1, |piece| of_error.push(too_big(piece, ROUTER, 1_400)));
        assert!(of_error[0].is_none() && of_error[1].is_some());
    }

    #[test]
    fn echoes_and_narrow_ways_are_understood_and_nothing_that_is_not_sound() {
        let request = message(128, b"\0\x01\0\x02are you there");
        let Some(Asked::Reply(reply)) = icmp(&checked(&request)) else { panic!("a reply") };
        let ip = checked(&reply);
        assert_eq!((ip.src_addr(), ip.dst_addr(), ip.payload()[0]), (B, A, 129));
        assert_eq!(ip.payload()[4..], request[HEADER + 4..]);
        assert!(Icmpv6Packet::new_checked(ip.payload()).expect("ICMPv6").verify_checksum(&B, &A));
        let narrow = message(2, &[&1_400_u32.to_be_bytes()[..], &packet(1_300)[..60]].concat());
        let Some(Asked::Narrow { to, mtu: 1_400, .. }) = icmp(&checked(&narrow)) else { panic!("a way") };
        assert_eq!(to, B);
        let short = message(2, &[0; 30]);
        let mut wrong = request.clone();
        wrong[HEADER + 2] ^= 1;
        for octets in [short, wrong, message(129, &[0; 20]), packet(100)] {
            assert_eq!(icmp(&checked(&octets)), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_octets_are_read_without_harm(
            mut octets in proptest::collection::vec(proptest::num::u8::ANY, 40..200),
            next in proptest::sample::select(vec![0u8, 17, 43, 44, 58, 60]),
        ) {
            let length = (octets.len() - HEADER) as u16;
            octets[0] = 0x60;
            octets[4..6].copy_from_slice(&length.to_be_bytes());
            octets[6] = next;
            let (packet, _) = sound(&octets).expect("sound");
            let _ = (icmp(&packet), fragment(&packet), super::super::ndisc::read(&packet));
            let _ = too_big(&octets, ROUTER, 1_280);
        }
    }
}
