//! ICMP echo over IPv4 (RFC 792), built and read by hand.

use std::net::Ipv4Addr;

const IPV4_HEADER: usize = 20;
const ICMP_HEADER: usize = 8;
const PROTOCOL_ICMP: u8 = 1;
const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;

/// One echo request or reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// Who sends it.
    pub source: Ipv4Addr,
    /// Whom it is for.
    pub destination: Ipv4Addr,
    /// Tells senders apart.
    pub identifier: u16,
    /// Tells requests apart.
    pub sequence: u16,
}

impl Echo {
    /// The IPv4 packet of an echo request with a payload of this many octets.
    pub fn request(&self, payload_length: usize) -> Vec<u8> {
        self.packet(ECHO_REQUEST, payload_length)
    }

    /// The IPv4 packet of an echo reply.
    pub fn reply(&self, payload_length: usize) -> Vec<u8> {
        self.packet(ECHO_REPLY, payload_length)
    }

    fn packet(&self, kind: u8, payload_length: usize) -> Vec<u8> {
        let length = (IPV4_HEADER + ICMP_HEADER + payload_length).min(usize::from(u16::MAX));
        let mut packet = vec![0; length];
        let (ip, icmp) = packet.split_at_mut(IPV4_HEADER);
        ip[0] = 0x45;
        ip[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        ip[4..6].copy_from_slice(&self.sequence.to_be_bytes());
        ip[8] = 64;
        ip[9] = PROTOCOL_ICMP;
        ip[12..16].copy_from_slice(&self.source.octets());
        ip[16..20].copy_from_slice(&self.destination.octets());
        let sum = checksum(ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        icmp[0] = kind;
        icmp[4..6].copy_from_slice(&self.identifier.to_be_bytes());
        icmp[6..8].copy_from_slice(&self.sequence.to_be_bytes());
        for (at, octet) in icmp[ICMP_HEADER..].iter_mut().enumerate() {
            *octet = at as u8;
        }
        let sum = checksum(icmp);
        icmp[2..4].copy_from_slice(&sum.to_be_bytes());
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

    fn read(packet: &[u8], kind: u8) -> Option<Self> {
        let header = usize::from(packet.first()? & 0xf) * 4;
        let length = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
        let ip = packet.get(..header).filter(|ip| ip.len() >= IPV4_HEADER && ip[0] >> 4 == 4)?;
        let icmp = packet.get(header..length).filter(|icmp| icmp.len() >= ICMP_HEADER)?;
        let fine = checksum(ip) == 0 && checksum(icmp) == 0 && ip[9] == PROTOCOL_ICMP && icmp[0] == kind;
        fine.then(|| Self {
            source: Ipv4Addr::new(ip[12], ip[13], ip[14], ip[15]),
            destination: Ipv4Addr::new(ip[16], ip[17], ip[18], ip[19]),
            identifier: u16::from_be_bytes([icmp[4], icmp[5]]),
            sequence: u16::from_be_bytes([icmp[6], icmp[7]]),
        })
    }
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
        let echo = Echo {
            source: Ipv4Addr::new(10, 45, 0, 2),
            destination: Ipv4Addr::new(10, 99, 6, 2),
            identifier: 0x1234,
            sequence: 7,
        };
        for length in [0, 1, 56] {
            let packet = echo.request(length);
            assert_eq!(Echo::read_request(&packet), Some(echo));
            assert_eq!(Echo::read_reply(&packet), None);
            for at in 0..packet.len() {
                let mut wrong = packet.clone();
                wrong[at] ^= 0x10;
                assert_eq!(Echo::read_request(&wrong), None, "octet {at}");
                let _ = Echo::read_request(&packet[..at]);
            }
        }
        assert_eq!(Echo::read_reply(&echo.reply(8)), Some(echo));
    }
}
