//! ICMP echo over IPv4 (RFC 792) and IPv6 (RFC 4443 §4), built and read by hand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const IPV4_HEADER: usize = 20;
pub(crate) const IPV6_HEADER: usize = 40;
const ICMP_HEADER: usize = 8;
const PROTOCOL_ICMP: u8 = 1;
pub(crate) const ICMPV6: u8 = 58;
/// Types of an echo request and of its reply, of ICMP and of ICMPv6.
const ECHO_REQUEST: [u8; 2] = [8, 128];
const ECHO_REPLY: [u8; 2] = [0, 129];

/// One echo request or reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// Who sends it.
    pub source: IpAddr,
    /// Whom it is for: of the same version of IP.
    pub destination: IpAddr,
    /// Tells senders apart.
    pub identifier: u16,
    /// Tells requests apart.
    pub sequence: u16,
}

impl Echo {
    /// The IP packet of an echo request with a payload of this many octets.
    pub fn request(&self, payload_length: usize) -> Vec<u8> {
        self.packet(ECHO_REQUEST, payload_length)
    }

    /// The IP packet of an echo reply.
    pub fn reply(&self, payload_length: usize) -> Vec<u8> {
        self.packet(ECHO_REPLY, payload_length)
    }

    fn packet(&self, kind: [u8; 2], payload_length: usize) -> Vec<u8> {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.packet_v4((source, destination), kind[0], payload_length)
            }
            (source, destination) => {
                packet_v6((mapped(source), mapped(destination)), 64, self.message(kind[1], payload_length))
            }
        }
    }

    fn message(&self, kind: u8, payload_length: usize) -> Vec<u8> {
        let longest = usize::from(u16::MAX) - IPV6_HEADER;
        let mut message = vec![0; (ICMP_HEADER + payload_length).min(longest)];
        message[0] = kind;
        message[4..6].copy_from_slice(&self.identifier.to_be_bytes());
        message[6..8].copy_from_slice(&self.sequence.to_be_bytes());
        for (at, octet) in message[ICMP_HEADER..].iter_mut().enumerate() {
            *octet = at as u8;
        }
        message
    }

    fn packet_v4(&self, ends: (Ipv4Addr, Ipv4Addr), kind: u8, payload_length: usize) -> Vec<u8> {
        let mut icmp = self.message(kind, payload_length);
        let sum = checksum(&icmp);
        icmp[2..4].copy_from_slice(&sum.to_be_bytes());
        let length = IPV4_HEADER + icmp.len();
        let mut packet = vec![0; IPV4_HEADER];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        packet[4..6].copy_from_slice(&self.sequence.to_be_bytes());
        packet[8] = 64;
        packet[9] = PROTOCOL_ICMP;
        packet[12..16].copy_from_slice(&ends.0.octets());
        packet[16..20].copy_from_slice(&ends.1.octets());
        let sum = checksum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(icmp);
        packet
    }

    /// Reads an echo request; `None` for any other packet.
    pub fn read_request(packet: &[u8]) -> Option<Self> {
        Self::read(packet, ECHO_REQUEST)
    }

    /// Reads an echo reply; `None` for any other packet.
    pub fn read_reply(packet: &[u8]) -> Option<Self> {
        Self::read(packet, ECHO_REPLY)
    }

    fn read(packet: &[u8], kind: [u8; 2]) -> Option<Self> {
        let (source, destination, icmp) = match packet.first()? >> 4 {
            4 => read_v4(packet).filter(|(.., icmp)| icmp[0] == kind[0])?,
            6 => {
                let (ends, _, icmp) = read_v6(packet).filter(|(.., icmp)| icmp[0] == kind[1])?;
                (ends.0.into(), ends.1.into(), icmp)
            }
            _ => return None,
        };
        Some(Self {
            source,
            destination,
            identifier: u16::from_be_bytes([icmp[4], icmp[5]]),
            sequence: u16::from_be_bytes([icmp[6], icmp[7]]),
        })
    }
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// Source, destination and message of a sound packet of ICMP.
fn read_v4(packet: &[u8]) -> Option<(IpAddr, IpAddr, &[u8])> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let length = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
    let ip = packet.get(..header).filter(|ip| ip.len() >= IPV4_HEADER)?;
    let icmp = packet.get(header..length).filter(|icmp| icmp.len() >= ICMP_HEADER)?;
    let fine = checksum(ip) == 0 && checksum(icmp) == 0 && ip[9] == PROTOCOL_ICMP;
    let address = |at: usize| IpAddr::from([ip[at], ip[at + 1], ip[at + 2], ip[at + 3]]);
    fine.then(|| (address(12), address(16), icmp))
}

/// Source and destination, hop limit and message of a sound packet of ICMPv6 without extension headers.
pub(crate) fn read_v6(packet: &[u8]) -> Option<((Ipv6Addr, Ipv6Addr), u8, &[u8])> {
    let (header, rest) = packet.split_first_chunk::<IPV6_HEADER>()?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let message = rest.get(..length).filter(|message| message.len() >= ICMP_HEADER)?;
    let address = |octets: &[u8]| octets.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets));
    let ends = (address(&header[8..])?, address(&header[24..])?);
    let fine = header[0] >> 4 == 6 && header[6] == ICMPV6 && checksum_v6(ends, message) == 0;
    fine.then_some((ends, header[7], message))
}

/// An IPv6 packet of a message of ICMPv6, whose checksum it sets.
pub(crate) fn packet_v6(ends: (Ipv6Addr, Ipv6Addr), hop_limit: u8, mut message: Vec<u8>) -> Vec<u8> {
    let sum = checksum_v6(ends, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((message.len() as u16).to_be_bytes());
    packet.extend([ICMPV6, hop_limit]);
    packet.extend(ends.0.octets());
    packet.extend(ends.1.octets());
    packet.extend(message);
    packet
}

/// Over a message and the pseudo header of RFC 8200 §8.1.
fn checksum_v6(ends: (Ipv6Addr, Ipv6Addr), message: &[u8]) -> u16 {
    let length = (message.len() as u32).to_be_bytes();
    checksum(&[&ends.0.octets()[..], &ends.1.octets(), &length, &[0, 0, 0, ICMPV6], message].concat())
}

/// The Internet checksum (RFC 1071); zero over octets that contain their own.
fn checksum(octets: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    let mut sum: u32 = octets.chunks(2).map(word).sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_read_as_it_was_written() {
        for (source, destination) in [("10.45.0.2", "10.99.6.2"), ("2001:db8:45:7::2", "2001:db8:6::2")] {
            let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
            let echo = Echo { source, destination, identifier: 0x1234, sequence: 7 };
            // Nothing vouches for the other fields of an IPv6 header.
            let covered = |at: usize| source.is_ipv4() || at > 7 || at == 6;
            for length in [0, 1, 56] {
                let packet = echo.request(length);
                assert_eq!(Echo::read_request(&packet), Some(echo));
                assert_eq!(Echo::read_reply(&packet), None);
                for at in 0..packet.len() {
                    let mut wrong = packet.clone();
                    wrong[at] ^= 0x10;
                    assert!(!covered(at) || Echo::read_request(&wrong).is_none(), "octet {at}");
                    let _ = Echo::read_request(&packet[..at]);
                }
            }
            assert_eq!(Echo::read_reply(&echo.reply(8)), Some(echo));
        }
    }
}
