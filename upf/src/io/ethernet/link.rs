//! An IPv4 link on a port: its addresses, its tag, its neighbours.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol};
use tern_types::Ipv4Prefix;

use super::neighbours::{Found, Neighbours, View};

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
    address: Ipv4Prefix,
    gateway: Option<Ipv4Addr>,
    /// Octets of the longest IP packet.
    pub(super) mtu: usize,
    neighbours: Arc<Neighbours>,
    view: View,
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
    pub(super) fn parse(octets: &'a [u8]) -> Option<Self> {
        let frame = EthernetFrame::new_checked(octets).ok()?;
        let (to, from) = (frame.dst_addr(), frame.src_addr());
        let untagged = Self { to, from, vlan: None, protocol: frame.ethertype(), payload: frame.payload() };
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
    pub(crate) fn new(
        port: usize,
        mac: [u8; 6],
        vlan: Option<u16>,
        address: Ipv4Prefix,
        gateway: Option<Ipv4Addr>,
        mtu: u16,
    ) -> Self {
        Self {
            port,
            mac: EthernetAddress(mac),
            vlan,
            address,
            gateway,
            mtu: mtu.into(),
            neighbours: Arc::default(),
            view: View::default(),
        }
    }

    /// The same link for another worker.
    pub(crate) fn another(&self) -> Self {
        Self { neighbours: self.neighbours.clone(), view: View::default(), ..*self }
    }

    /// Our address.
    pub(super) fn address(&self) -> Ipv4Addr {
        self.address.address
    }

    /// Whether frames of this port and tag are this link's.
    pub(super) fn is(&self, port: usize, vlan: Option<u16>) -> bool {
        (self.port, self.vlan) == (port, vlan)
    }

    /// Whether a frame is for us.
    pub(super) fn is_ours(&self, to: EthernetAddress) -> bool {
        to == self.mac || to.is_broadcast()
    }

    /// Who is to have a packet for `to`; `None` if nothing leads there.
    pub(super) fn next_hop(&self, to: Ipv4Addr) -> Option<Ipv4Addr> {
        if self.address.contains(to) { Some(to) } else { self.gateway }
    }

    /// Looks a next hop up.
    pub(super) fn look(&mut self, now: Instant, next_hop: Ipv4Addr) -> Found {
        self.view.look(&self.neighbours, now, next_hop)
    }

    /// Forgets what other workers may have heard, before each burst.
    pub(super) fn renew(&mut self) {
        self.view.renew(&self.neighbours);
    }

    /// Octets of the header in front of a packet.
    pub(super) fn header_len(&self) -> usize {
        if self.vlan.is_some() { HEADER + TAG } else { HEADER }
    }

    /// Writes the header of a frame.
    pub(super) fn write_header(&self, frame: &mut [u8], to: EthernetAddress, protocol: EthernetProtocol) {
        let mut header = EthernetFrame::new_unchecked(&mut *frame);
        header.set_dst_addr(to);
        header.set_src_addr(self.mac);
        let Some(vlan) = self.vlan else { return header.set_ethertype(protocol) };
        header.set_ethertype(EthernetProtocol::Unknown(TAGGED));
        frame[HEADER..HEADER + 2].copy_from_slice(&vlan.to_be_bytes());
        frame[HEADER + 2..HEADER + TAG].copy_from_slice(&u16::from(protocol).to_be_bytes());
    }

    /// A frame that asks for an address.
    pub(super) fn request(&self, address: Ipv4Addr) -> Vec<u8> {
        self.arp(ArpOperation::Request, EthernetAddress::BROADCAST, EthernetAddress([0; 6]), address)
    }

    /// Takes an ARP packet; the frame that answers it, if it asks for us.
    pub(super) fn hear(&self, now: Instant, payload: &[u8]) -> Option<Vec<u8>> {
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
        let is_for_us = target == self.address();
        if is_for_us && !sender.is_unspecified() && sender != self.address() {
            self.neighbours.heard(now, sender, mac);
        }
        (is_for_us && operation == ArpOperation::Request)
            .then(|| self.arp(ArpOperation::Reply, mac, mac, sender))
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
            source_protocol_addr: self.address(),
            target_hardware_addr,
            target_protocol_addr,
        };
        packet.emit(&mut ArpPacket::new_unchecked(&mut frame[self.header_len()..]));
        frame
    }
}
