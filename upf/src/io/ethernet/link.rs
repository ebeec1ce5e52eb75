//! A link on a port: our addresses, its tag, its neighbours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetProtocol, Ipv6Packet};
use tern_types::{Ipv4Prefix, Ipv6Prefix};

use super::ndisc::{self, Message};
use super::neighbours::{Found, View};
use super::path_mtu::PathMtus;
use crate::config::LinkConfig;
use crate::path::DropReason;

/// An Ethernet header.
pub(crate) const HEADER: usize = 14;
/// A tag of IEEE 802.1Q, behind the addresses.
pub(crate) const TAG: usize = 4;
/// Says that the rest of a tag follows.
const TAGGED: u16 = 0x8100;
/// The VLAN of a tag; the rest is priority.
const VLAN_MASK: u16 = 0x0fff;
/// An ARP packet for IPv4 on Ethernet.
const ARP_LEN: usize = 28;

/// What one worker has of a link.
#[derive(Debug)]
pub(crate) struct Link {
    /// The port, by its place.
    pub(super) port: usize,
    mac: EthernetAddress,
    vlan: Option<u16>,
    /// Octets of the longest IP packet.
    pub(super) mtu: usize,
    ipv4: Option<OfIpv4>,
    ipv6: Option<OfIpv6>,
}

/// What it has for IPv4.
#[derive(Debug)]
struct OfIpv4 {
    address: Ipv4Prefix,
    gateway: Option<Ipv4Addr>,
    neighbours: View<Ipv4Addr>,
}

/// What it has for IPv6.
#[derive(Debug)]
struct OfIpv6 {
    address: Ipv6Prefix,
    /// The address that is of this link alone.
    local: Ipv6Addr,
    gateway: Option<Ipv6Addr>,
    neighbours: View<Ipv6Addr>,
    paths: Arc<PathMtus>,
}

impl OfIpv4 {
    #[inline]
    fn next_hop(&self, to: Ipv4Addr) -> Option<Ipv4Addr> {
        if self.address.contains(to) { Some(to) } else { self.gateway }
    }
}

impl OfIpv6 {
    fn next_hop(&self, to: Ipv6Addr) -> Option<Ipv6Addr> {
        if to.is_multicast() {
            return None;
        }
        let is_here = self.address.contains(to) || to.is_unicast_link_local();
        if is_here { Some(to) } else { self.gateway }
    }
}

/// A frame without its header and tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) to: EthernetAddress,
    pub(super) from: EthernetAddress,
    pub(super) vlan: Option<u16>,
    pub(super) protocol: EthernetProtocol,
    pub(super) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// `None` for what is too short.
    #[inline]
    pub(super) fn parse(octets: &'a [u8]) -> Option<Self> {
        let (header, payload) = octets.split_first_chunk::<HEADER>()?;
        let [to @ .., _, _, _, _, _, _, _, _] = *header;
        let [_, _, _, _, _, _, from @ .., high, low] = *header;
        let (to, from) = (EthernetAddress(to), EthernetAddress(from));
        let protocol = u16::from_be_bytes([high, low]).into();
        let untagged = Self { to, from, vlan: None, protocol, payload };
        if untagged.protocol != EthernetProtocol::Unknown(TAGGED) {
            return Some(untagged);
        }
        let (tag, payload) = untagged.payload.split_first_chunk::<TAG>()?;
        let number = |at| u16::from_be_bytes([tag[at], tag[at + 1]]);
        Some(Self { vlan: Some(number(0) & VLAN_MASK), protocol: number(2).into(), payload, ..untagged })
    }
}

impl Link {
    /// The link of one worker; those of the others are its [`another`](Self::another).
    pub(crate) fn new(port: usize, mac: [u8; 6], config: &LinkConfig) -> Self {
        let mac = EthernetAddress(mac);
        let ipv4 = config.address.map(|address| OfIpv4 {
            address,
            gateway: config.gateway,
            neighbours: View::default(),
        });
        let ipv6 = config.ipv6.map(|address| OfIpv6 {
            address,
            local: ndisc::link_local(mac),
            gateway: config.ipv6_gateway,
            neighbours: View::default(),
            paths: Arc::default(),
        });
        Self { port, mac, vlan: config.vlan, mtu: config.mtu.into(), ipv4, ipv6 }
    }

    /// The same link for another worker.
    pub(crate) fn another(&self) -> Self {
        let ipv4 = self.ipv4.as_ref().map(|it| OfIpv4 { neighbours: it.neighbours.another(), ..*it });
        let ipv6 = self.ipv6.as_ref().map(|it| OfIpv6 {
            neighbours: it.neighbours.another(),
            paths: it.paths.clone(),
            ..*it
        });
        Self { ipv4, ipv6, ..*self }
    }

    /// Our IPv4 address.
    pub(super) fn ipv4(&self) -> Option<Ipv4Addr> {
        self.ipv4.as_ref().map(|it| it.address.address)
    }

    /// Our IPv6 address, which others know.
    pub(super) fn ipv6(&self) -> Option<Ipv6Addr> {
        self.ipv6.as_ref().map(|it| it.address.address)
    }

    /// Whether an IPv6 address is ours.
    pub(super) fn has_v6(&self, address: Ipv6Addr) -> bool {
        self.ipv6.as_ref().is_some_and(|it| address == it.address.address || address == it.local)
    }

    /// Whether we are in a group of IPv6.
    pub(super) fn is_in(&self, group: Ipv6Addr) -> bool {
        let is_of = |address| ndisc::is_group_of(group, address);
        self.ipv6.as_ref().is_some_and(|it| is_of(it.address.address) || is_of(it.local))
    }

    /// Whether frames of this port and tag are this link's.
    #[inline]
    pub(super) fn is(&self, port: usize, vlan: Option<u16>) -> bool {
        (self.port, self.vlan) == (port, vlan)
    }

    /// Whether a frame is for us.
    #[inline]
    pub(super) fn is_ours(&self, to: EthernetAddress) -> bool {
        to == self.mac || to.is_broadcast() || (to.is_multicast() && self.is_in_group_of(to))
    }

    fn is_in_group_of(&self, to: EthernetAddress) -> bool {
        let is_of = |address| ndisc::is_group_mac_of(to, address);
        self.ipv6.as_ref().is_some_and(|it| is_of(it.address.address) || is_of(it.local))
    }

    /// Who is to have a packet for `to`; `None` if nothing leads there.
    pub(super) fn next_hop(&self, to: IpAddr) -> Option<IpAddr> {
        match to {
            IpAddr::V4(to) => self.ipv4.as_ref()?.next_hop(to).map(IpAddr::V4),
            IpAddr::V6(to) => self.ipv6.as_ref()?.next_hop(to).map(IpAddr::V6),
        }
    }

    /// The Ethernet address that a packet for `to` goes to, if it is known: nothing has to be asked or to wait.
    #[inline]
    pub(super) fn known(&mut self, now: Instant, to: IpAddr) -> Option<EthernetAddress> {
        match to {
            IpAddr::V4(to) => {
                let it = self.ipv4.as_mut()?;
                let hop = it.next_hop(to)?;
                it.neighbours.known(now, hop)
            }
            IpAddr::V6(to) => {
                let it = self.ipv6.as_mut()?;
                let hop = it.next_hop(to)?;
                it.neighbours.known(now, hop)
            }
        }
    }

    /// Looks a next hop up.
    pub(super) fn look(&mut self, now: Instant, next_hop: IpAddr) -> Found {
        let found = match next_hop {
            IpAddr::V4(hop) => self.ipv4.as_mut().map(|it| it.neighbours.look(now, hop)),
            IpAddr::V6(hop) => self.ipv6.as_mut().map(|it| it.neighbours.look(now, hop)),
        };
        found.unwrap_or(Found { mac: None, ask: false, lost: true })
    }

    /// Forgets what other workers may have heard, before each burst.
    pub(super) fn renew(&mut self) {
        self.ipv4.iter_mut().for_each(|it| it.neighbours.renew());
        self.ipv6.iter_mut().for_each(|it| it.neighbours.renew());
    }

    /// Octets of the longest packet of ours to a peer, which matters for one of `length`.
    #[inline]
    pub(super) fn mtu_to(&self, now: Instant, peer: Ipv6Addr, length: usize) -> usize {
        let known = self.ipv6.as_ref().and_then(|it| it.paths.of(now, peer, length));
        known.map_or(self.mtu, |mtu| mtu.min(self.mtu))
    }

    /// The way to a peer takes no longer packets than these.
    pub(super) fn is_narrow(&self, now: Instant, peer: Ipv6Addr, mtu: usize) {
        if mtu < self.mtu {
            self.ipv6.iter().for_each(|it| it.paths.learn(now, peer, mtu));
        }
    }

    /// Octets of the header in front of a packet.
    #[inline]
    pub(super) fn header_len(&self) -> usize {
        if self.vlan.is_some() { HEADER + TAG } else { HEADER }
    }

    /// Writes the header of a frame.
    #[inline]
    pub(super) fn write_header(&self, frame: &mut [u8], to: EthernetAddress, protocol: EthernetProtocol) {
        let protocol = u16::from(protocol).to_be_bytes();
        let start = |kind: [u8; 2]| {
            let mut header = [0; HEADER];
            header[..6].copy_from_slice(&to.0);
            header[6..12].copy_from_slice(&self.mac.0);
            header[12..].copy_from_slice(&kind);
            header
        };
        match self.vlan {
            None => frame[..HEADER].copy_from_slice(&start(protocol)),
            Some(vlan) => {
                frame[..HEADER].copy_from_slice(&start(TAGGED.to_be_bytes()));
                frame[HEADER..HEADER + 2].copy_from_slice(&vlan.to_be_bytes());
                frame[HEADER + 2..HEADER + TAG].copy_from_slice(&protocol);
            }
        }
    }

    /// A frame that asks for an address, and of IPv6 first the one who had it.
    pub(super) fn request(&self, address: IpAddr, known: Option<EthernetAddress>) -> Option<Vec<u8>> {
        match address {
            IpAddr::V4(address) => {
                self.ipv4()?;
                Some(self.arp(
                    ArpOperation::Request,
                    EthernetAddress::BROADCAST,
                    EthernetAddress([0; 6]),
                    address,
                ))
            }
            IpAddr::V6(target) => {
                let it = self.ipv6.as_ref()?;
                let from = if target.is_unicast_link_local() { it.local } else { it.address.address };
                let group = ndisc::solicited_node(target);
                let (to, mac) = known.map_or((group, ndisc::group_mac(group)), |mac| (target, mac));
                Some(self.frame_v6(mac, &ndisc::solicitation(self.mac, from, to, target)))
            }
        }
    }

    /// Takes an ARP packet; the frame that answers it, if it asks for us.
    pub(super) fn hear(&self, now: Instant, payload: &[u8]) -> Option<Vec<u8>> {
        let ours = self.ipv4.as_ref()?;
        let packet = ArpPacket::new_checked(payload).ok()?;
        let ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: mac,
            source_protocol_addr: sender,
            target_protocol_addr: target,
            ..
        } = ArpRepr::parse(&packet).ok()?
        else {
            return None;
        };
        // A probe (RFC 5227 §2.1.1) says nothing of its sender; an address of ours is ours.
        let address = ours.address.address;
        let is_for_us = target == address;
        if is_for_us && !sender.is_unspecified() && sender != address {
            ours.neighbours.heard(now, sender, mac);
        }
        (is_for_us && operation == ArpOperation::Request)
            .then(|| self.arp(ArpOperation::Reply, mac, mac, sender))
    }

    /// Takes a message of neighbour discovery; the frame that answers it, if it asks for us.
    pub(super) fn hear_v6(
        &self,
        now: Instant,
        sender: EthernetAddress,
        packet: &Ipv6Packet<&[u8]>,
    ) -> Result<Option<Vec<u8>>, DropReason> {
        let ours = self.ipv6.as_ref().ok_or(DropReason::NotForUs)?;
        match ndisc::read(packet).ok_or(DropReason::MalformedFrame)? {
            Message::Solicitation { target, from, mac } => {
                if !self.has_v6(target) || self.has_v6(from) {
                    return Ok(None);
                }
                if let Some(mac) = mac {
                    ours.neighbours.heard(now, from, mac);
                }
                let answer = ndisc::advertisement(self.mac, target, from);
                let to = match from.is_unspecified() {
                    true => ndisc::group_mac(Ipv6Packet::new_unchecked(&answer[..]).dst_addr()),
                    // Who only wants to know whether we are still there may not say where he is.
                    false => mac.unwrap_or(sender),
                };
                Ok(Some(self.frame_v6(to, &answer)))
            }
            Message::Advertisement { target, mac, overrides } => {
                if let Some(mac) = mac.filter(|_| !self.has_v6(target)) {
                    ours.neighbours.answered(now, target, mac, overrides);
                }
                Ok(None)
            }
        }
    }

    fn frame_v6(&self, to: EthernetAddress, packet: &[u8]) -> Vec<u8> {
        let header = self.header_len();
        let mut frame = vec![0; header + packet.len()];
        self.write_header(&mut frame, to, EthernetProtocol::Ipv6);
        frame[header..].copy_from_slice(packet);
        frame
    }

    fn arp(
        &self,
        operation: ArpOperation,
        to: EthernetAddress,
        target_hardware_addr: EthernetAddress,
        target_protocol_addr: Ipv4Addr,
    ) -> Vec<u8> {
        let mut frame = vec![0; self.header_len() + ARP_LEN];
        self.write_header(&mut frame, to, EthernetProtocol::Arp);
        let packet = ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: self.mac,
            source_protocol_addr: self.ipv4().unwrap_or(Ipv4Addr::UNSPECIFIED),
            target_hardware_addr,
            target_protocol_addr,
        };
        packet.emit(&mut ArpPacket::new_unchecked(&mut frame[self.header_len()..]));
        frame
    }
}
