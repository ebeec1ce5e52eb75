//! Changes of addresses in an IPv4 packet, with the checksums that cover them (RFC 1624).

use std::net::Ipv4Addr;

/// Where an address is in the header.
pub(crate) const SOURCE: usize = 12;
/// Where the other is.
pub(crate) const DESTINATION: usize = 16;

const IPV4_HEADER: usize = 20;
/// Where the checksum is.
pub(crate) const CHECKSUM: usize = 10;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Where the checksum is in a header of TCP, and of UDP.
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;

/// The sum of 16-bit words, an odd octet filled up with zero.
pub(crate) fn sum(octets: &[u8], start: u32) -> u32 {
    let (words, rest) = octets.as_chunks::<2>();
    let total: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    start + total + rest.first().map_or(0, |last| u32::from(*last) << 8)
}

/// The checksum of what was summed up.
pub(crate) fn fold(mut sum: u32) -> u16 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

/// The checksum of a header without options; of a sound one, whose own is in it, zero. Words of any length sum up to
/// the same, in whatever order their octets are (RFC 1071 §2): these are the machine's.
#[inline]
pub(crate) fn of_header(header: &[u8; IPV4_HEADER]) -> u16 {
    let (words, _) = header.as_chunks::<4>();
    let total: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    let folded = (total >> 32) as u32 as u64 + u64::from(total as u32);
    let folded = (folded >> 16) + (folded & 0xFFFF);
    let folded = (folded >> 16) + (folded & 0xFFFF);
    let folded = (folded >> 16) + (folded & 0xFFFF);
    u16::from_be(!(folded as u16))
}

/// The header's checksum, made anew.
pub(crate) fn fill(header: &mut [u8]) {
    if let Some(field) = header.get_mut(CHECKSUM..CHECKSUM + 2) {
        field.fill(0);
        let checksum = fold(sum(header, 0));
        header[CHECKSUM..CHECKSUM + 2].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Puts an address into a sound packet, at [`SOURCE`] or [`DESTINATION`].
pub(crate) fn set_address(packet: &mut [u8], at: usize, new: Ipv4Addr) {
    let Some(field) = packet.get_mut(at..at + 4) else { return };
    let mut old = [0; 4];
    old.copy_from_slice(field);
    field.copy_from_slice(&new.octets());
    adjust(packet, CHECKSUM, old, new);
    let header = usize::from(packet[0] & 0x0F) * 4;
    let is_first = u16::from_be_bytes([packet[6], packet[7]]) & 0x1FFF == 0;
    let at = match packet[9] {
        TCP if is_first => header + TCP_CHECKSUM,
        UDP if is_first => header + UDP_CHECKSUM,
        _ => return,
    };
    // RFC 768: zero is none.
    let none = packet[9] == UDP && packet.get(at..at + 2) == Some(&[0, 0]);
    if header >= IPV4_HEADER && !none {
        adjust(packet, at, old, new);
        if packet[9] == UDP && packet.get(at..at + 2) == Some(&[0, 0]) {
            packet[at..at + 2].fill(0xFF);
        }
    }
}

/// RFC 1624 equation 3.
fn adjust(packet: &mut [u8], at: usize, old: [u8; 4], new: Ipv4Addr) {
    let Some(field) = packet.get_mut(at..at + 2) else { return };
    let before = u32::from(!u16::from_be_bytes([field[0], field[1]]));
    let away = old.map(|octet| !octet);
    let checksum = fold(sum(&new.octets(), sum(&away, before)));
    field.copy_from_slice(&checksum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether both checksums of a packet are right.
    fn is_right(packet: &[u8]) -> bool {
        let pseudo = u32::from(packet[9]) + (packet.len() - IPV4_HEADER) as u32;
        let inner = sum(&packet[IPV4_HEADER..], sum(&packet[SOURCE..IPV4_HEADER], pseudo));
        fold(sum(&packet[..IPV4_HEADER], 0)) == 0 && fold(inner) == 0
    }

    proptest! {
        #[test]
        fn the_checksum_of_a_header_is_that_of_its_words(header in any::<[u8; IPV4_HEADER]>()) {
            prop_assert_eq!(of_header(&header), fold(sum(&header, 0)));
        }

        #[test]
        fn when_an_address_changes_then_the_checksums_are_right(
            payload in proptest::collection::vec(any::<u8>(), 20..60),
            ends in any::<[u8; 8]>(),
            new in any::<[u8; 4]>(),
            (protocol, at) in (prop_oneof![Just((TCP, TCP_CHECKSUM)), Just((UDP, UDP_CHECKSUM))]),
            destination in any::<bool>(),
        ) {
            let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
            packet.extend_from_slice(&ends);
            packet.extend_from_slice(&payload);
            let length = packet.len() as u16;
            packet[2..4].copy_from_slice(&length.to_be_bytes());
            fill(&mut packet[..IPV4_HEADER]);
            packet[IPV4_HEADER + at..IPV4_HEADER + at + 2].fill(0);
            let pseudo = u32::from(protocol) + payload.len() as u32;
            let inner = fold(sum(&packet[IPV4_HEADER..], sum(&ends, pseudo)));
            packet[IPV4_HEADER + at..IPV4_HEADER + at + 2].copy_from_slice(&inner.to_be_bytes());
            prop_assume!(inner != 0);
            prop_assert!(is_right(&packet));
            set_address(&mut packet, if destination { DESTINATION } else { SOURCE }, new.into());
            prop_assert!(is_right(&packet));
            let at = if destination { DESTINATION } else { SOURCE };
            prop_assert_eq!(&packet[at..at + 4], &new[..]);
        }
    }
}
