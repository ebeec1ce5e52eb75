//! IPv4 as a router and a host need it: fragments (RFC 791 §3.2), errors (RFC 792, RFC 1191), echoes.

use std::net::Ipv4Addr;

use smoltcp::wire::{
    IPV4_HEADER_LEN, Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet, IpProtocol, Ipv4Packet,
};

use crate::path::checksum;

/// Octets of a header of ICMP.
const ICMP_HEADER: usize = 8;
/// Octets of the packet that an error is about which it carries: RFC 1812 §4.3.2.3 asks for as many as fit,
/// and these tell more than ports.
const ICMP_QUOTED_MAX: usize = 128;
/// Time to live of packets of our own.
pub(super) const TIME_TO_LIVE: u8 = 64;
/// A fragment's octets come in eights.
const FRAGMENT_UNIT: usize = 8;
/// An option that goes into every fragment has this bit (RFC 791 §3.1).
const OPTION_COPIED: u8 = 0x80;
/// Options of one octet: the end of all, and nothing.
const OPTION_END: u8 = 0;
const OPTION_NONE: u8 = 1;

/// What the first octet of a packet without options is.
const PLAIN: u8 = 0x45;

/// A sound packet without what the link padded it with.
#[inline]
pub(super) fn sound(payload: &[u8]) -> Option<(Ipv4Packet<&[u8]>, &[u8])> {
    let packet = Ipv4Packet::new_checked(payload).ok()?;
    let octets = payload.get(..packet.total_len().into())?;
    let is_right = match payload.first_chunk::<IPV4_HEADER_LEN>() {
        Some(header @ [PLAIN, ..]) => checksum::of_header(header) == 0,
        _ => packet.version() == 4 && packet.verify_checksum(),
    };
    is_right.then_some((packet, octets))
}

/// Writes a header of our own, without options, of a packet of `length` octets; `identification` is for
/// fragments.
#[inline]
pub(super) fn write_header(
    octets: &mut [u8],
    length: usize,
    (source, destination): (Ipv4Addr, Ipv4Addr),
    protocol: IpProtocol,
    (tos, identification): (u8, u16),
) {
    let [length_high, length_low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    let [high, low] = identification.to_be_bytes();
    let mut header = [0; IPV4_HEADER_LEN];
    header[..10].copy_from_slice(&[
        PLAIN,
        tos,
        length_high,
        length_low,
        high,
        low,
        0,
        0,
        TIME_TO_LIVE,
        protocol.into(),
    ]);
    header[checksum::SOURCE..checksum::DESTINATION].copy_from_slice(&source.octets());
    header[checksum::DESTINATION..].copy_from_slice(&destination.octets());
    let sum = checksum::of_header(&header);
    header[checksum::CHECKSUM..checksum::SOURCE].copy_from_slice(&sum.to_be_bytes());
    octets[..IPV4_HEADER_LEN].copy_from_slice(&header);
}

/// Gives the fragments of a sound packet to `each`, none longer than `mtu`. Nothing for a packet that may not
/// be fragmented, or an MTU that holds no header and eight octets.
pub(super) fn fragments(packet: &[u8], mtu: usize, mut each: impl FnMut(&[u8])) {
    let whole = Ipv4Packet::new_unchecked(packet);
    let header_len = usize::from(whole.header_len());
    let room = mtu.saturating_sub(header_len) / FRAGMENT_UNIT * FRAGMENT_UNIT;
    if whole.dont_frag() || room == 0 {
        return;
    }
    let payload = whole.payload();
    let mut header = packet[..header_len].to_vec();
    let (first, last) = (whole.frag_offset(), whole.more_frags());
    for (number, piece) in payload.chunks(room).enumerate() {
        let at = number * room;
        let mut fragment = header.clone();
        fragment.extend_from_slice(piece);
        let length = u16::try_from(fragment.len()).unwrap_or(u16::MAX);
        let mut writer = Ipv4Packet::new_unchecked(&mut fragment[..]);
        writer.set_total_len(length);
        writer.set_frag_offset(first + u16::try_from(at).unwrap_or(u16::MAX));
        writer.set_more_frags(last || at + piece.len() < payload.len());
        writer.fill_checksum();
        each(&fragment);
        if number == 0 {
            header = header_of_later_fragments(&header);
        }
    }
}

/// The header with those of its options that every fragment has.
fn header_of_later_fragments(header: &[u8]) -> Vec<u8> {
    let (fixed, mut options) = header.split_at(IPV4_HEADER_LEN.min(header.len()));
    let mut later = fixed.to_vec();
    while let Some((&kind, rest)) = options.split_first() {
        let length = match (kind, rest.first()) {
            (OPTION_END, _) => break,
            (OPTION_NONE, _) => 1,
            (_, Some(&length)) if (2..=options.len()).contains(&usize::from(length)) => length.into(),
            // Not sound: it ends here.
            _ => break,
        };
        if kind & OPTION_COPIED != 0 {
            later.extend_from_slice(&options[..length]);
        }
        options = &options[length..];
    }
    later.resize(later.len().next_multiple_of(4), OPTION_END);
    let length = u8::try_from(later.len()).unwrap_or(u8::MAX);
    Ipv4Packet::new_unchecked(&mut later[..]).set_header_len(length);
    later
}

/// "Fragmentation needed" towards the sender of a packet (RFC 1191 §4). `None` where RFC 1122 §3.2.2 allows no
/// error: about an error, a later fragment, or a sender that is no host.
pub(super) fn too_big(packet: &[u8], from: Ipv4Addr, mtu: u16) -> Option<Vec<u8>> {
    let about = Ipv4Packet::new_checked(packet).ok()?;
    let sender = about.src_addr();
    let is_host = !(sender.is_unspecified() || sender.is_broadcast() || sender.is_multicast());
    if !is_host || sender.is_loopback() || about.frag_offset() != 0 || is_icmp_error(&about) {
        return None;
    }
    let quoted = &packet[..packet.len().min(usize::from(about.header_len()) + ICMP_QUOTED_MAX)];
    let mut error = vec![0; IPV4_HEADER_LEN + ICMP_HEADER];
    error[IPV4_HEADER_LEN + 6..].copy_from_slice(&mtu.to_be_bytes());
    error.extend_from_slice(quoted);
    let mut icmp = Icmpv4Packet::new_unchecked(&mut error[IPV4_HEADER_LEN..]);
    icmp.set_msg_type(Icmpv4Message::DstUnreachable);
    icmp.set_msg_code(Icmpv4DstUnreachable::FragRequired.into());
    icmp.fill_checksum();
    let length = error.len();
    write_header(&mut error, length, (from, sender), IpProtocol::Icmp, (0, 0));
    Some(error)
}

fn is_icmp_error(packet: &Ipv4Packet<&[u8]>) -> bool {
    let query = |kind: u8| {
        matches!(
            Icmpv4Message::from(kind),
            Icmpv4Message::EchoRequest
                | Icmpv4Message::EchoReply
                | Icmpv4Message::Timestamp
                | Icmpv4Message::TimestampReply
        )
    };
    packet.next_header() == IpProtocol::Icmp && !packet.payload().first().is_some_and(|kind| query(*kind))
}

/// The reply to an echo request, if that is what the packet is (RFC 792).
pub(super) fn echo_reply(packet: &[u8]) -> Option<Vec<u8>> {
    let request = Ipv4Packet::new_checked(packet).ok()?;
    let icmp = Icmpv4Packet::new_checked(request.payload()).ok()?;
    let whole = !request.more_frags() && request.frag_offset() == 0;
    let is_request = icmp.msg_type() == Icmpv4Message::EchoRequest && icmp.verify_checksum();
    if request.next_header() != IpProtocol::Icmp || !whole || !is_request {
        return None;
    }
    let mut reply = vec![0; IPV4_HEADER_LEN];
    reply.extend_from_slice(request.payload());
    let mut icmp = Icmpv4Packet::new_unchecked(&mut reply[IPV4_HEADER_LEN..]);
    icmp.set_msg_type(Icmpv4Message::EchoReply);
    icmp.fill_checksum();
    let length = reply.len();
    write_header(&mut reply, length, (request.dst_addr(), request.src_addr()), IpProtocol::Icmp, (0, 0));
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(options: &[u8], payload: usize) -> Vec<u8> {
        let mut octets = vec![0; IPV4_HEADER_LEN];
        octets.extend_from_slice(options);
        octets.extend((0..payload).map(|at| at as u8));
        let header_len = (IPV4_HEADER_LEN + options.len()) as u8;
        let (length, ends) = (octets.len(), ([10, 0, 0, 1].into(), [10, 0, 0, 2].into()));
        write_header(&mut octets, length, ends, IpProtocol::Udp, (0, 77));
        let mut header = Ipv4Packet::new_unchecked(&mut octets[..]);
        header.set_header_len(header_len);
        header.fill_checksum();
        octets
    }

    /// RFC 791 §3.2: the payload in order, each but the last a multiple of eight, options as they say.
    #[test]
    fn fragments_hold_the_packet_in_order() {
        // Record Route (7) is not copied, Stream ID (136) is.
        let options = [7, 3, 4, 1, 136, 4, 0, 9];
        for (payload, mtu) in [(3000, 1500), (1481, 1500), (9000, 576), (100, 68)] {
            let whole = packet(&options, payload);
            let (mut joined, mut count, mut ended) = (Vec::new(), 0, false);
            fragments(&whole, mtu, |octets| {
                let fragment = Ipv4Packet::new_checked(octets).expect("sound");
                assert!(octets.len() <= mtu && fragment.verify_checksum() && !ended);
                assert_eq!(usize::from(fragment.frag_offset()), joined.len());
                assert_eq!((fragment.ident(), usize::from(fragment.total_len())), (77, octets.len()));
                let expected = if count == 0 { &options[..] } else { &options[4..] };
                assert_eq!(&octets[IPV4_HEADER_LEN..fragment.header_len().into()], expected);
                joined.extend_from_slice(fragment.payload());
                (count, ended) = (count + 1, !fragment.more_frags());
            });
            assert!(ended && count > 1, "{payload} {mtu}");
            assert_eq!(joined, &whole[IPV4_HEADER_LEN + options.len()..]);
        }
    }

    #[test]
    fn a_fragment_is_fragmented_where_it_stood() {
        let mut offsets = Vec::new();
        fragments(&packet(&[], 2000), 1500, |fragment| {
            fragments(fragment, 600, |piece| {
                let piece = Ipv4Packet::new_unchecked(piece);
                offsets.push((piece.frag_offset(), piece.more_frags()));
            });
        });
        assert_eq!(offsets, [(0, true), (576, true), (1152, true), (1480, false)]);
    }

    #[test]
    fn what_must_stay_whole_has_no_fragments() {
        let mut whole = packet(&[], 2000);
        Ipv4Packet::new_unchecked(&mut whole[..]).set_dont_frag(true);
        fragments(&whole, 1500, |_| panic!("a fragment"));
        fragments(&packet(&[], 2000), 24, |_| panic!("no room"));
    }

    #[test]
    fn errors_tell_the_mtu_and_quote_the_packet_and_never_answer_errors() {
        let about = packet(&[], 2000);
        let error = too_big(&about, [10, 9, 9, 9].into(), 1400).expect("an error");
        let ip = Ipv4Packet::new_checked(&error[..]).expect("sound");
        assert_eq!((ip.src_addr(), ip.dst_addr()), ([10, 9, 9, 9].into(), [10, 0, 0, 1].into()));
        let icmp = Icmpv4Packet::new_checked(ip.payload()).expect("ICMP");
        assert!(ip.verify_checksum() && icmp.verify_checksum());
        assert_eq!((icmp.msg_type(), icmp.msg_code()), (Icmpv4Message::DstUnreachable, 4));
        assert_eq!(ip.payload()[6..8], 1400_u16.to_be_bytes());
        assert_eq!(ip.payload()[8..], about[..ip.payload().len() - 8]);
        assert_eq!(too_big(&error, [10, 9, 9, 9].into(), 1400), None);
        let mut later = packet(&[], 2000);
        Ipv4Packet::new_unchecked(&mut later[..]).set_frag_offset(800);
        assert_eq!(too_big(&later, [10, 9, 9, 9].into(), 1400), None);
    }
}
