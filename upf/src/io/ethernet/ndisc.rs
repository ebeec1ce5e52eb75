//! Neighbour discovery: what of RFC 4861 a host with configured addresses and routes needs. Addresses are not tried
//! for duplicates (RFC 4862 §5.4): they are what the operator has configured, and stay.

use std::net::Ipv6Addr;

use smoltcp::wire::{EthernetAddress, Icmpv6Message, Icmpv6Packet, IpProtocol, Ipv6Packet};

use super::ipv6::{self, HEADER};

/// Of all messages of neighbour discovery, so that none was forwarded (RFC 4861 §7.1).
const HOP_LIMIT: u8 = 255;
/// A solicitation or advertisement without options: a header of ICMPv6, flags, the target.
const MESSAGE: usize = 24;
/// Where the target is.
const TARGET: usize = 8;
/// An option with an Ethernet address.
const OPTION: usize = 8;
/// Lengths of options count these.
const OPTION_UNIT: usize = 8;
const SOURCE_ADDRESS: u8 = 1;
const TARGET_ADDRESS: u8 = 2;
/// Flags of an advertisement: the sender is a router, was asked, and is to be believed rather than before.
const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// What somebody on the link asks or says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Who has the target?
    Solicitation { target: Ipv6Addr, from: Ipv6Addr, mac: Option<EthernetAddress> },
    /// The target is here.
    Advertisement { target: Ipv6Addr, mac: Option<EthernetAddress>, overrides: bool },
}

/// Reads a solicitation or an advertisement; `None` for what the checks of RFC 4861 §7.1.1 and §7.1.2 refuse.
pub(super) fn read(packet: &Ipv6Packet<&[u8]>) -> Option<Message> {
    let (from, to) = (packet.src_addr(), packet.dst_addr());
    let octets = packet.payload();
    let icmp = Icmpv6Packet::new_checked(octets).ok()?;
    let is_sound =
        packet.hop_limit() == HOP_LIMIT && icmp.msg_code() == 0 && icmp.verify_checksum(&from, &to);
    let target = Ipv6Addr::from(*octets.get(TARGET..)?.first_chunk::<16>()?);
    let (flags, options) = (*octets.get(4)?, octets.get(MESSAGE..)?);
    if !is_sound || target.is_multicast() {
        return None;
    }
    match icmp.msg_type() {
        Icmpv6Message::NeighborSolicit => {
            let mac = address_option(options, SOURCE_ADDRESS)?;
            // Who has no address yet has nothing to be known by.
            let has_none = from.is_unspecified();
            let is_allowed = !has_none || (is_solicited_node(to) && mac.is_none());
            is_allowed.then_some(Message::Solicitation { target, from, mac })
        }
        Icmpv6Message::NeighborAdvert => {
            let mac = address_option(options, TARGET_ADDRESS)?;
            let is_allowed = !to.is_multicast() || flags & SOLICITED == 0;
            is_allowed.then_some(Message::Advertisement { target, mac, overrides: flags & OVERRIDE != 0 })
        }
        _ => None,
    }
}

/// The Ethernet address of the first option of a kind, if there is one; `None` if options are not sound.
fn address_option(mut options: &[u8], kind: u8) -> Option<Option<EthernetAddress>> {
    let mut found = None;
    while let [this, units, ..] = options {
        let length = usize::from(*units) * OPTION_UNIT;
        // A length of zero is no option (RFC 4861 §4.6), and would never end.
        let (option, rest) = options.split_at_checked(length).filter(|_| length > 0)?;
        if *this == kind && length == OPTION && found.is_none() {
            found = Some(EthernetAddress::from_bytes(&option[2..]));
        }
        options = rest;
    }
    options.is_empty().then_some(found)
}

/// A packet that asks for an address: of everybody who may have it, or of the one who had it, at `to`.
pub(super) fn solicitation(mac: EthernetAddress, from: Ipv6Addr, to: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    packet(Icmpv6Message::NeighborSolicit, (from, to), 0, target, (SOURCE_ADDRESS, mac))
}

/// A packet that says that an address of ours is here, to who has asked; to everybody if that one has no address. We
/// are a router: of UEs.
pub(super) fn advertisement(mac: EthernetAddress, target: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
    let (to, flags) = match to.is_unspecified() {
        true => (ALL_NODES, ROUTER | OVERRIDE),
        false => (to, ROUTER | OVERRIDE | SOLICITED),
    };
    packet(Icmpv6Message::NeighborAdvert, (target, to), flags, target, (TARGET_ADDRESS, mac))
}

fn packet(
    kind: Icmpv6Message,
    ends: (Ipv6Addr, Ipv6Addr),
    flags: u8,
    target: Ipv6Addr,
    (option, mac): (u8, EthernetAddress),
) -> Vec<u8> {
    let mut octets = vec![0; HEADER + MESSAGE + OPTION];
    ipv6::write_header(&mut octets, MESSAGE + OPTION, ends, IpProtocol::Icmpv6, 0);
    Ipv6Packet::new_unchecked(&mut octets[..]).set_hop_limit(HOP_LIMIT);
    let message = &mut octets[HEADER..];
    message[4] = flags;
    message[TARGET..MESSAGE].copy_from_slice(&target.octets());
    message[MESSAGE..MESSAGE + 2].copy_from_slice(&[option, (OPTION / OPTION_UNIT) as u8]);
    message[MESSAGE + 2..].copy_from_slice(mac.as_bytes());
    let mut icmp = Icmpv6Packet::new_unchecked(message);
    icmp.set_msg_type(kind);
    icmp.set_msg_code(0);
    icmp.fill_checksum(&ends.0, &ends.1);
    octets
}

/// The group in which everybody with an address of these last octets is (RFC 4291 §2.7.1).
pub(super) fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | high & 0xff, low)
}

fn is_solicited_node(address: Ipv6Addr) -> bool {
    solicited_node(address) == address
}

/// Whether a group is one in which somebody with this address is.
pub(super) fn is_group_of(group: Ipv6Addr, address: Ipv6Addr) -> bool {
    group == ALL_NODES || group == solicited_node(address)
}

/// Where frames to a group go (RFC 2464 §7).
pub(super) fn group_mac(group: Ipv6Addr) -> EthernetAddress {
    let [.., a, b, c, d] = group.octets();
    EthernetAddress([0x33, 0x33, a, b, c, d])
}

/// Where frames to all who may have asked us, or all nodes, go.
pub(super) fn is_group_mac_of(mac: EthernetAddress, address: Ipv6Addr) -> bool {
    mac == group_mac(ALL_NODES) || mac == group_mac(solicited_node(address))
}

/// The address on the link that an Ethernet address makes (RFC 4291 §2.5.6, RFC 2464 §4).
pub(super) fn link_local(EthernetAddress([a, b, c, d, e, f]): EthernetAddress) -> Ipv6Addr {
    let id = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Ipv6Addr::from_bits(0xfe80 << 112 | u128::from(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 9]);
    const ASKS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 2);
    const TARGET: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0x12ab, 0xcdef);

    fn read_octets(octets: &[u8]) -> Option<Message> {
        read(&Ipv6Packet::new_checked(octets).expect("sound"))
    }

    /// The same with something else in it, and its checksum right.
    fn changed(octets: &[u8], change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let mut octets = octets.to_vec();
        change(&mut octets);
        let length = u16::try_from(octets.len() - HEADER).expect("short");
        let mut packet = Ipv6Packet::new_unchecked(&mut octets[..]);
        packet.set_payload_len(length);
        let ends = (packet.src_addr(), packet.dst_addr());
        Icmpv6Packet::new_unchecked(packet.payload_mut()).fill_checksum(&ends.0, &ends.1);
        octets
    }

    #[test]
    fn what_is_written_is_read() {
        let group = solicited_node(TARGET);
        assert_eq!(group, "ff02::1:ffab:cdef".parse::<Ipv6Addr>().expect("an address"));
        assert_eq!(group_mac(group), EthernetAddress([0x33, 0x33, 0xff, 0xab, 0xcd, 0xef]));
        assert_eq!(link_local(MAC), "fe80::ff:fe00:9".parse::<Ipv6Addr>().expect("an address"));
        let asked = Message::Solicitation { target: TARGET, from: ASKS, mac: Some(MAC) };
        assert_eq!(read_octets(&solicitation(MAC, ASKS, group, TARGET)), Some(asked));
        let said = Message::Advertisement { target: TARGET, mac: Some(MAC), overrides: true };
        assert_eq!(read_octets(&advertisement(MAC, TARGET, ASKS)), Some(said));
        let to_all = advertisement(MAC, TARGET, Ipv6Addr::UNSPECIFIED);
        assert_eq!(Ipv6Packet::new_unchecked(&to_all[..]).dst_addr(), ALL_NODES);
        assert!(read_octets(&to_all).is_some());
    }

    /// RFC 4861 §7.1.1, §7.1.2.
    #[test]
    fn what_a_check_refuses_is_not_read() {
        let asked = solicitation(MAC, ASKS, solicited_node(TARGET), TARGET);
        let said = advertisement(MAC, TARGET, ASKS);
        type Change = fn(&mut Vec<u8>);
        let of_both: [(&str, Change); 7] = [
            ("a hop limit of 254", |octets| octets[7] = 254),
            ("a code", |octets| octets[HEADER + 1] = 1),
            ("a group as target", |octets| octets[HEADER + 8] = 0xff),
            ("no target", |octets| octets.truncate(HEADER + 16)),
            ("an option of length 0", |octets| octets[HEADER + MESSAGE + 1] = 0),
            ("an option that is cut off", |octets| octets[HEADER + MESSAGE + 1] = 2),
            ("half an option", |octets| octets.push(1)),
        ];
        for octets in [&asked, &said] {
            assert!(read_octets(&changed(octets, |_| {})).is_some());
            for (what, change) in of_both {
                assert_eq!(read_octets(&changed(octets, change)), None, "{what}");
            }
            let mut wrong = octets.clone();
            wrong[HEADER + 2] ^= 1;
            assert_eq!(read_octets(&wrong), None, "a wrong checksum");
        }
        let nobody = changed(&asked, |octets| octets[8..24].fill(0));
        assert_eq!(read_octets(&nobody), None, "an Ethernet address of nobody");
        let probe = changed(&nobody, |octets| octets.truncate(HEADER + MESSAGE));
        let expected = Message::Solicitation { target: TARGET, from: Ipv6Addr::UNSPECIFIED, mac: None };
        assert_eq!(read_octets(&probe), Some(expected));
        let to_group = changed(&said, |octets| octets[24..40].copy_from_slice(&ALL_NODES.octets()));
        assert_eq!(read_octets(&to_group), None, "an answer to a group");
    }
}
