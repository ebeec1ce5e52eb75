//! TCP segments in IP packets: RFC 9293, RFC 791, RFC 8200.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Control bits of RFC 9293 §3.1.
pub(super) const SYN: u8 = 0x02;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;

/// Octets of payload of one segment: a loopback interface would carry twice as many.
pub(super) const SEGMENT_OCTETS_MAX: usize = 32_768;

/// Octets that the receiver takes, in units of 2 to the power of [`WINDOW_SCALE`]: no content
/// ever waits for its reader.
const WINDOW: u16 = u16::MAX;
/// The greatest scale of RFC 7323 §2.3.
const WINDOW_SCALE: u8 = 14;

/// Maximum segment size (RFC 9293 §3.7.1), no operation, window scale (RFC 7323 §2.2).
const SYN_OPTIONS: [u8; 8] =
    [2, 4, (SEGMENT_OCTETS_MAX >> 8) as u8, (SEGMENT_OCTETS_MAX & 0xff) as u8, 1, 3, 3, WINDOW_SCALE];

const TCP: u8 = 6;
const TCP_HEADER: usize = 20;
const IPV4_HEADER: usize = 20;
/// TTL and hop limit.
const HOPS: u8 = 64;
const DO_NOT_FRAGMENT: u16 = 0x4000;

/// One segment of a connection.
pub(super) struct Segment<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) sequence: u32,
    pub(super) acknowledgement: u32,
    /// Control bits.
    pub(super) control: u8,
    pub(super) payload: &'a [u8],
}

impl Segment<'_> {
    /// The IP packet: IPv4 if both ends are, else IPv6 with IPv4 addresses mapped into it.
    pub(super) fn packet(&self) -> Vec<u8> {
        match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => self.in_ipv4(from, to),
            (from, to) => self.in_ipv6(mapped(from), mapped(to)),
        }
    }

    fn in_ipv4(&self, from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
        let mut pseudo = [from.octets(), to.octets()].concat();
        let length = self.length();
        pseudo.extend([0, TCP]);
        pseudo.extend(length.to_be_bytes());
        let mut out = Vec::with_capacity(IPV4_HEADER + usize::from(length));
        out.extend([0x45, 0]);
        out.extend((IPV4_HEADER as u16 + length).to_be_bytes());
        out.extend([0, 0]);
        out.extend(DO_NOT_FRAGMENT.to_be_bytes());
        out.extend([HOPS, TCP, 0, 0]);
        out.extend(from.octets());
        out.extend(to.octets());
        let sum = checksum(&[&out]);
        out[10..12].copy_from_slice(&sum.to_be_bytes());
        self.write(&pseudo, &mut out);
        out
    }

    fn in_ipv6(&self, from: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
        let mut pseudo = [from.octets(), to.octets()].concat();
        let length = self.length();
        pseudo.extend(u32::from(length).to_be_bytes());
        pseudo.extend([0, 0, 0, TCP]);
        let mut out = vec![0x60, 0, 0, 0];
        out.extend(length.to_be_bytes());
        out.extend([TCP, HOPS]);
        out.extend(from.octets());
        out.extend(to.octets());
        self.write(&pseudo, &mut out);
        out
    }

    /// Octets of header and payload.
    fn length(&self) -> u16 {
        let octets = TCP_HEADER + self.options().len() + self.payload.len();
        u16::try_from(octets).expect("invariant: a segment is at most 32,768 octets and its header")
    }

    fn options(&self) -> &'static [u8] {
        if self.control & SYN == 0 { &[] } else { &SYN_OPTIONS }
    }

    fn write(&self, pseudo_header: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let header = TCP_HEADER + self.options().len();
        out.extend(self.from.port().to_be_bytes());
        out.extend(self.to.port().to_be_bytes());
        out.extend(self.sequence.to_be_bytes());
        out.extend(self.acknowledgement.to_be_bytes());
        out.extend([(header as u8 / 4) << 4, self.control]);
        out.extend(WINDOW.to_be_bytes());
        // Checksum and urgent pointer.
        out.extend([0; 4]);
        out.extend(self.options());
        out.extend(self.payload);
        let sum = checksum(&[pseudo_header, &out[start..]]);
        out[start + 16..start + 18].copy_from_slice(&sum.to_be_bytes());
    }
}

fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// The Internet checksum (RFC 1071) over parts, of which all but the last have an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 1071 §3: the sum is ddf2.
    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        assert_eq!(checksum(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
        assert_eq!(checksum(&[&[0x00, 0x01, 0xf2, 0x03], &[0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
        // An odd octet counts as if a zero followed.
        assert_eq!(checksum(&[&[0x01]]), !0x0100);
        // One's complement carries wrap: ffff + 0001 is 0001.
        assert_eq!(checksum(&[&[0xff, 0xff, 0x00, 0x01]]), !0x0001);
    }

    fn segment(from: &str, to: &str, control: u8, payload: &'static [u8]) -> Segment<'static> {
        Segment {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            sequence: 0x0102_0304,
            acknowledgement: 0x0506_0708,
            control,
            payload,
        }
    }

    /// Checksums by hand: the header sums up to 1c334, segment and pseudo-header to 326b3.
    #[test]
    fn an_ipv4_packet_is_as_the_rfcs_say() {
        let packet = segment("127.0.0.1:258", "127.0.0.2:772", ACK | PSH, b"abc").packet();
        let mut expected = vec![0x45, 0, 0, 43, 0, 0, 0x40, 0, 64, 6, 0x3c, 0xca, 127, 0, 0, 1, 127, 0, 0, 2];
        expected.extend([1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x18, 0xff, 0xff, 0xd9, 0x49, 0, 0]);
        expected.extend(b"abc");
        assert_eq!(packet, expected);
    }

    #[test]
    fn an_ipv6_packet_is_as_the_rfcs_say() {
        let packet = segment("[::1]:258", "[::2]:772", SYN, b"").packet();
        let mut expected = vec![0x60, 0, 0, 0, 0, 28, 6, 64];
        expected.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        expected.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        expected.extend([1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8, 0x70, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
        expected.extend([2, 4, 0x80, 0, 1, 3, 3, 14]);
        let sum = packet[56..58].to_vec();
        expected[56..58].copy_from_slice(&sum);
        assert_eq!(packet, expected);
        // What is summed with its own checksum, and its pseudo-header (RFC 8200 §8.1), gives zero.
        let pseudo = [&packet[8..40], &[0, 0, 0, 28, 0, 0, 0, 6]].concat();
        assert_eq!(checksum(&[&pseudo, &packet[40..]]), 0);
    }

    #[test]
    fn an_ipv4_end_is_mapped_where_the_other_is_ipv6() {
        let packet = segment("127.0.0.1:258", "[::2]:772", ACK, b"").packet();
        assert_eq!(packet[0], 0x60);
        assert_eq!(packet[8..24], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1]);
    }
}
