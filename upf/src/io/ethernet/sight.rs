//! What a frame is at first sight.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use smoltcp::wire::{EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet, UdpPacket};
use tern_types::{Ipv4Prefix, Ipv6Prefix};

use super::link::{Frame, Link};
use super::{ipv4, ipv6};
use crate::config::Addresses;
use crate::path::{DropReason, Peer, ReferencePoint};

/// Who reads and writes which packets.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// N3.
    pub(crate) n3: AccessPlace,
    /// N9, if it is another.
    pub(crate) n9: Option<AccessPlace>,
    /// Each data network.
    pub(crate) networks: Vec<NetworkPlace>,
    /// How long an idle worker sleeps between two looks; zero to look all the time.
    pub(crate) idle_sleep: Duration,
}

/// N3 or N9 on a link.
#[derive(Debug, Clone)]
pub(crate) struct AccessPlace {
    /// The link, by its place.
    pub(crate) link: usize,
    /// Our addresses on it.
    pub(crate) addresses: Addresses,
    /// Our UDP port.
    pub(crate) port: u16,
}

/// A data network on a link.
#[derive(Debug, Clone)]
pub(crate) struct NetworkPlace {
    /// The link, by its place.
    pub(crate) link: usize,
    /// The UEs' addresses.
    pub(crate) ues: Ipv4Prefix,
    /// The UEs' prefixes of IPv6.
    pub(crate) ues_v6: Option<Ipv6Prefix>,
    /// Octets of the longest packet that a UE is sent: what fits into a tunnel.
    pub(crate) mtu: u16,
}

/// What a frame is.
pub(super) enum Sight<'a> {
    /// A GTP-U packet and its sender.
    Access(&'a [u8], Peer),
    /// A packet of a data network to a UE.
    Network(&'a [u8], u16),
    /// To be looked at with more time.
    Aside,
    /// Not for us.
    Nothing(DropReason),
}

/// The link that a frame of this port is on.
pub(super) fn link_of(links: &[Link], port: usize, frame: &Frame<'_>) -> Option<usize> {
    links.iter().position(|link| link.is(port, frame.vlan))
}

impl Places {
    /// The data network on this link whose UE has this address.
    pub(super) fn network_of(&self, link: usize, to: IpAddr) -> Option<usize> {
        let is_ue = |place: &NetworkPlace| match to {
            IpAddr::V4(to) => place.ues.contains(to),
            IpAddr::V6(to) => place.ues_v6.is_some_and(|ues| ues.contains(to)),
        };
        self.networks.iter().position(|place| place.link == link && is_ue(place))
    }

    /// Where tunnels of an interface end.
    #[inline]
    pub(super) fn access(&self, interface: ReferencePoint) -> &AccessPlace {
        match (interface, &self.n9) {
            (ReferencePoint::N9, Some(n9)) => n9,
            (ReferencePoint::N9, None) | (ReferencePoint::N3, _) => &self.n3,
        }
    }

    /// The interface whose GTP-U comes to this address on a link.
    #[inline]
    pub(super) fn interface_of(&self, link: usize, to: IpAddr) -> Option<ReferencePoint> {
        let is_at = |place: &AccessPlace| place.link == link && place.addresses.like(to) == Some(to);
        if is_at(&self.n3) {
            return Some(ReferencePoint::N3);
        }
        self.n9.as_ref().filter(|n9| is_at(n9)).map(|_| ReferencePoint::N9)
    }

    pub(super) fn sight<'a>(&self, links: &[Link], port: usize, octets: &'a [u8]) -> Sight<'a> {
        let Some(frame) = Frame::parse(octets) else { return Sight::Nothing(DropReason::MalformedFrame) };
        let Some(link) = link_of(links, port, &frame) else { return Sight::Nothing(DropReason::NotForUs) };
        if !links[link].is_ours(frame.to) {
            return Sight::Nothing(DropReason::NotForUs);
        }
        match frame.protocol {
            EthernetProtocol::Ipv4 => self.sight_v4(links, link, &frame),
            EthernetProtocol::Ipv6 => self.sight_v6(links, link, &frame),
            EthernetProtocol::Arp => Sight::Aside,
            _ => Sight::Nothing(DropReason::NotForUs),
        }
    }

    fn sight_v4<'a>(&self, links: &[Link], link: usize, frame: &Frame<'a>) -> Sight<'a> {
        let Some((packet, octets)) = ipv4::sound(frame.payload) else {
            return Sight::Nothing(DropReason::MalformedFrame);
        };
        let to = packet.dst_addr();
        if packet.next_header() == IpProtocol::Udp
            && let Some(interface) = self.interface_of(link, to.into())
        {
            return self.gtpu(&packet, interface);
        }
        if links[link].ipv4() == Some(to) {
            return Sight::Aside;
        }
        self.of_network(link, to.into(), octets)
    }

    fn sight_v6<'a>(&self, links: &[Link], link: usize, frame: &Frame<'a>) -> Sight<'a> {
        let Some((packet, octets)) = ipv6::sound(frame.payload) else {
            return Sight::Nothing(DropReason::MalformedFrame);
        };
        let (from, to) = (packet.src_addr(), packet.dst_addr());
        if packet.next_header() == IpProtocol::Udp
            && let Some(interface) = self.interface_of(link, to.into())
        {
            return self.datagram_v6(packet.payload(), (from, to), interface);
        }
        if links[link].has_v6(to) || links[link].is_in(to) {
            return Sight::Aside;
        }
        // What is of one link goes no further (RFC 4291 §2.5.6).
        if from.is_unicast_link_local() || from.is_multicast() || from.is_unspecified() {
            return Sight::Nothing(DropReason::NotForUs);
        }
        self.of_network(link, to.into(), octets)
    }

    /// A packet to somebody else, who may be a UE.
    #[inline]
    fn of_network<'a>(&self, link: usize, to: IpAddr, octets: &'a [u8]) -> Sight<'a> {
        match self.network_of(link, to) {
            Some(index) if octets.len() > self.networks[index].mtu.into() => Sight::Aside,
            Some(index) => Sight::Network(octets, u16::try_from(index).unwrap_or(u16::MAX)),
            None => Sight::Nothing(DropReason::NotForUs),
        }
    }

    /// A UDP datagram to our address on an interface.
    fn gtpu<'a>(&self, packet: &Ipv4Packet<&'a [u8]>, interface: ReferencePoint) -> Sight<'a> {
        if packet.more_frags() || packet.frag_offset() != 0 {
            return Sight::Aside;
        }
        self.datagram(packet.payload(), (packet.src_addr(), packet.dst_addr()), interface)
    }

    /// The same of a datagram that is whole.
    pub(super) fn datagram<'a>(
        &self,
        octets: &'a [u8],
        ends: (Ipv4Addr, Ipv4Addr),
        interface: ReferencePoint,
    ) -> Sight<'a> {
        let Ok(udp) = UdpPacket::new_checked(octets) else {
            return Sight::Nothing(DropReason::MalformedFrame);
        };
        // RFC 768: zero if the sender made none.
        let is_right =
            udp.checksum() == 0 || udp.verify_checksum(&IpAddress::Ipv4(ends.0), &IpAddress::Ipv4(ends.1));
        self.gtpu_of(&udp, (ends.0.into(), interface), is_right)
    }

    /// The same over IPv6, where zero is no checksum (RFC 8200 §8.1).
    pub(super) fn datagram_v6<'a>(
        &self,
        octets: &'a [u8],
        ends: (Ipv6Addr, Ipv6Addr),
        interface: ReferencePoint,
    ) -> Sight<'a> {
        let Ok(udp) = UdpPacket::new_checked(octets) else {
            return Sight::Nothing(DropReason::MalformedFrame);
        };
        let is_right =
            udp.checksum() != 0 && udp.verify_checksum(&IpAddress::Ipv6(ends.0), &IpAddress::Ipv6(ends.1));
        self.gtpu_of(&udp, (ends.0.into(), interface), is_right)
    }

    #[inline]
    fn gtpu_of<'a>(
        &self,
        udp: &UdpPacket<&'a [u8]>,
        (source, interface): (IpAddr, ReferencePoint),
        is_right: bool,
    ) -> Sight<'a> {
        if udp.dst_port() != self.access(interface).port {
            return Sight::Nothing(DropReason::NotForUs);
        }
        if !is_right {
            return Sight::Nothing(DropReason::MalformedFrame);
        }
        Sight::Access(udp.payload(), Peer::new(source, udp.src_port()).on(interface))
    }
}
