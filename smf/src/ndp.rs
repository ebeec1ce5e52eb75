//! Router solicitations, read, and router advertisements, written: whole IPv6 packets (RFC 4861 §4.1, §4.2).

use std::net::Ipv6Addr;

/// All nodes of a link (RFC 4291 §2.7.1).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Of each UE's link: the SMF, which is its router.
pub const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// The least MTU of a link (RFC 8200 §5).
pub const MTU_MIN: u16 = 1_280;
/// Longest solicitation that is looked at: without options that nobody sends it has 48 octets.
pub const SOLICITATION_MAX: usize = 1_280;

const HEADER: usize = 40;
const ICMPV6: u8 = 58;
/// Not from beyond the link (RFC 4861 §6.1.1).
const HOP_LIMIT: u8 = 255;
const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;
/// Type, code, checksum, reserved.
const SOLICITATION_FIXED: usize = 8;
const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
const PREFIX_INFORMATION: u8 = 3;
const MTU: u8 = 5;
/// Of the Prefix Information option: addresses are made of the prefix, which is not on-link.
const AUTONOMOUS: u8 = 0x40;
const PREFIX_LENGTH: u8 = 64;
const INFINITY: u32 = u32::MAX;

/// What is wrong with a packet that ought to be a router solicitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Cut off, or longer than any solicitation is.
    #[error("its length is wrong")]
    Length,
    /// Another packet.
    #[error("it is no router solicitation")]
    Other,
    /// RFC 4861 §6.1.1.
    #[error("its hop limit is not 255")]
    HopLimit,
    /// Neither link-local nor unspecified.
    #[error("its source is not of the link")]
    Source,
    /// Of ICMPv6.
    #[error("its checksum is wrong")]
    Checksum,
    /// RFC 4861 §6.1.1.
    #[error("an option of it is wrong")]
    Option,
}

/// Reads a router solicitation; whom the answer is for (RFC 4861 §6.1.1, §6.2.6).
pub fn solicitation(packet: &[u8]) -> Result<Ipv6Addr, Invalid> {
    if packet.len() > SOLICITATION_MAX {
        return Err(Invalid::Length);
    }
    let (header, rest) = packet.split_first_chunk::<HEADER>().ok_or(Invalid::Length)?;
    if header[0] >> 4 != 6 || header[6] != ICMPV6 {
        return Err(Invalid::Other);
    }
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let message = rest.get(..length).ok_or(Invalid::Length)?;
    let options = message.get(SOLICITATION_FIXED..).ok_or(Invalid::Length)?;
    if message[..2] != [SOLICITATION, 0] {
        return Err(Invalid::Other);
    }
    if header[7] != HOP_LIMIT {
        return Err(Invalid::HopLimit);
    }
    let (source, destination) = (address(&header[8..]), address(&header[24..]));
    if !source.is_unicast_link_local() && !source.is_unspecified() {
        return Err(Invalid::Source);
    }
    if checksum(source, destination, message) != 0 {
        return Err(Invalid::Checksum);
    }
    check_options(options, source)?;
    Ok(if source.is_unspecified() { ALL_NODES } else { source })
}

fn check_options(mut options: &[u8], source: Ipv6Addr) -> Result<(), Invalid> {
    while let [kind, length, ..] = *options {
        let length = usize::from(length) * 8;
        if length == 0 || kind == SOURCE_LINK_LAYER_ADDRESS && source.is_unspecified() {
            return Err(Invalid::Option);
        }
        options = options.get(length..).ok_or(Invalid::Option)?;
    }
    if options.is_empty() { Ok(()) } else { Err(Invalid::Option) }
}

/// What a router tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advertisement {
    /// The prefix of 64 bits of the link.
    pub prefix: Ipv6Addr,
    /// How long the router may be taken for one, in seconds.
    pub lifetime_s: u16,
    /// Octets that a packet may have.
    pub mtu: u16,
}

impl Advertisement {
    /// The packet for `to`. The prefix is the UE's alone and as long as the session: its lifetimes have no end, hosts
    /// make addresses of it, and nothing else is reached without the router (TS 23.501 §5.8.2.2).
    pub fn packet(&self, to: Ipv6Addr) -> Vec<u8> {
        let mut message = vec![ADVERTISEMENT, 0, 0, 0];
        // Current hop limit and flags: nothing is to be had by DHCPv6. Reachable time and retransmission timer are
        // left to the host.
        message.extend([64, 0]);
        message.extend(self.lifetime_s.to_be_bytes());
        message.extend([0; 8]);
        message.extend([MTU, 1, 0, 0]);
        message.extend(u32::from(self.mtu).to_be_bytes());
        message.extend([PREFIX_INFORMATION, 4, PREFIX_LENGTH, AUTONOMOUS]);
        message.extend(INFINITY.to_be_bytes());
        message.extend(INFINITY.to_be_bytes());
        message.extend([0; 4]);
        message.extend(self.prefix.octets());
        let sum = checksum(ROUTER, to, &message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let mut packet = vec![0x60, 0, 0, 0, 0, message.len() as u8, ICMPV6, HOP_LIMIT];
        packet.extend(ROUTER.octets());
        packet.extend(to.octets());
        packet.extend(message);
        packet
    }
}

fn address(octets: &[u8]) -> Ipv6Addr {
    octets.first_chunk::<16>().map_or(Ipv6Addr::UNSPECIFIED, |octets| Ipv6Addr::from(*octets))
}

/// The checksum of ICMPv6 (RFC 4443 §2.3); zero over a message that contains its own.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let words = |octets: &[u8]| -> u32 {
        octets
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
            .sum()
    };
    let pseudo = message.len() as u32 + u32::from(ICMPV6);
    let mut sum = words(&source.octets()) + words(&destination.octets()) + pseudo + words(message);
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
    const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

    fn packet(source: Ipv6Addr, options: &[u8]) -> Vec<u8> {
        let mut message = [&[SOLICITATION, 0, 0, 0, 0, 0, 0, 0], options].concat();
        let sum = checksum(source, ALL_ROUTERS, &message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let mut packet = vec![0x60, 0, 0, 0, 0, message.len() as u8, ICMPV6, HOP_LIMIT];
        packet.extend(source.octets());
        packet.extend(ALL_ROUTERS.octets());
        packet.extend(message);
        packet
    }

    #[test]
    fn when_a_solicitation_is_valid_then_its_answer_goes_to_who_sent_it_or_to_all() {
        assert_eq!(solicitation(&packet(UE, &[])), Ok(UE));
        assert_eq!(solicitation(&packet(UE, &[1, 1, 2, 3, 4, 5, 6, 7])), Ok(UE));
        assert_eq!(solicitation(&packet(Ipv6Addr::UNSPECIFIED, &[])), Ok(ALL_NODES));
        // What is unknown is left out.
        assert_eq!(solicitation(&packet(UE, &[200, 1, 0, 0, 0, 0, 0, 0])), Ok(UE));
    }

    /// RFC 4861 §6.1.1.
    #[test]
    fn when_a_solicitation_is_not_valid_then_it_is_said_why() {
        let changed = |at: usize, to: u8| {
            let mut packet = packet(UE, &[]);
            packet[at] = to;
            solicitation(&packet)
        };
        assert_eq!(changed(7, 64), Err(Invalid::HopLimit));
        assert_eq!(changed(8, 0x20), Err(Invalid::Source));
        assert_eq!(changed(40, 135), Err(Invalid::Other));
        assert_eq!(changed(41, 1), Err(Invalid::Other));
        assert_eq!(changed(0, 0x45), Err(Invalid::Other));
        assert_eq!(changed(42, 9), Err(Invalid::Checksum));
        assert_eq!(changed(5, 9), Err(Invalid::Length));
        assert_eq!(changed(5, 7), Err(Invalid::Length));
        let of_nobody = |options: &[u8]| solicitation(&packet(Ipv6Addr::UNSPECIFIED, options));
        assert_eq!(of_nobody(&[1, 1, 2, 3, 4, 5, 6, 7]), Err(Invalid::Option));
        for options in [&[1, 0, 0, 0, 0, 0, 0, 0][..], &[1, 2, 0, 0, 0, 0, 0, 0], &[1]] {
            assert_eq!(solicitation(&packet(UE, options)), Err(Invalid::Option), "{options:?}");
        }
        assert_eq!(solicitation(&vec![0x60; SOLICITATION_MAX + 1]), Err(Invalid::Length));
        let whole = packet(UE, &[]);
        (0..whole.len()).for_each(|end| assert!(solicitation(&whole[..end]).is_err(), "{end}"));
    }

    /// RFC 4861 §4.2, §4.6.2, §4.6.4.
    #[test]
    fn an_advertisement_has_these_octets() {
        let prefix = "2001:db8:45:7::".parse().unwrap();
        let packet = Advertisement { prefix, lifetime_s: 0x1234, mtu: 1400 }.packet(UE);
        assert_eq!(checksum(ROUTER, UE, &packet[HEADER..]), 0);
        assert_eq!(packet[4..8], [0, 56, 58, 255]);
        let message = format!("8600{}", hex::encode(&packet[42..]));
        let flags = "4000 1234 00000000 00000000";
        let options =
            "0501 0000 00000578 0304 4040 ffffffff ffffffff 00000000 20010db8004500070000000000000000";
        let sum = hex::encode(&packet[42..44]);
        assert_eq!(message, format!("8600{sum}{flags}{options}").replace(' ', ""));
    }
}
