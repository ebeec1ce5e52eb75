//! Frames that are not traffic: ARP and neighbour discovery, echo requests to us, fragments, errors about our packets,
//! packets that do not fit into a tunnel.

use std::net::IpAddr;

use smoltcp::wire::{EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet};

use super::ipv6::Asked;
use super::link::Frame;
use super::reassembly::{Fragment, Taken, Whose};
use super::sight::{Sight, link_of};
use super::{EthernetIo, OWN_MAX, Port, ipv4, ipv6};
use crate::path::{DropReason, Peer, ReferencePoint, Side};

impl<P: Port> EthernetIo<P> {
    /// Takes a frame.
    pub(super) fn attend(&mut self, port: usize, octets: &[u8]) {
        let Some(frame) = Frame::parse(octets) else { return };
        let Some(at) = link_of(&self.links, port, &frame) else { return };
        match frame.protocol {
            EthernetProtocol::Arp => {
                let answer = self.links[at].hear(self.now, frame.payload);
                self.answer(at, answer);
            }
            EthernetProtocol::Ipv6 => self.attend_v6(at, &frame),
            _ => self.attend_v4(at, &frame),
        }
    }

    /// What somebody has said of himself may have changed what is known.
    fn answer(&mut self, at: usize, frame: Option<Vec<u8>>) {
        self.links[at].renew();
        if let Some(frame) = frame {
            self.send_frame(self.links[at].port, &frame);
        }
    }

    fn attend_v4(&mut self, at: usize, frame: &Frame<'_>) {
        let Some((packet, octets)) = ipv4::sound(frame.payload) else { return };
        let to = packet.dst_addr();
        let is_fragment = packet.more_frags() || packet.frag_offset() != 0;
        if is_fragment
            && packet.next_header() == IpProtocol::Udp
            && let Some(interface) = self.places.interface_of(at, to.into())
        {
            return self.put_together(&packet, interface);
        }
        if self.links[at].ipv4() == Some(to) {
            match ipv4::echo_reply(octets) {
                // To where it came from: no address has to be asked for.
                Some(reply) => self.send_to(at, frame.from, &reply),
                None => self.drop(DropReason::NotForUs),
            }
            return;
        }
        if let Some(network) = self.places.network_of(at, to.into()) {
            self.too_long_for_tunnel(at, network, &packet, octets);
        }
    }

    fn attend_v6(&mut self, at: usize, frame: &Frame<'_>) {
        let Some((packet, octets)) = ipv6::sound(frame.payload) else { return };
        let to = packet.dst_addr();
        if let Some(interface) = self.places.interface_of(at, to.into())
            && let Some(fragment) = ipv6::fragment(&packet)
            && fragment.protocol == IpProtocol::Udp
        {
            return self.put_together_v6(&packet, &fragment, interface);
        }
        if self.links[at].has_v6(to) || self.links[at].is_in(to) {
            return self.attend_icmp_v6(at, frame, &packet);
        }
        if let Some(network) = self.places.network_of(at, to.into()) {
            self.drop(DropReason::TooLong);
            self.tell(at, packet.src_addr().into(), octets, self.places.networks[network].mtu);
        }
    }

    /// A packet to an address of ours, or a group in which we are.
    fn attend_icmp_v6(&mut self, at: usize, frame: &Frame<'_>, packet: &Ipv6Packet<&[u8]>) {
        const SOLICITATION: u8 = 135;
        const ADVERTISEMENT: u8 = 136;
        let kind = packet.payload().first().filter(|_| packet.next_header() == IpProtocol::Icmpv6);
        if let Some(&(SOLICITATION | ADVERTISEMENT)) = kind {
            return match self.links[at].hear_v6(self.now, frame.from, packet) {
                Ok(answer) => self.answer(at, answer),
                Err(reason) => self.drop(reason),
            };
        }
        match ipv6::icmp(packet) {
            // To where it came from: no address has to be asked for.
            Some(Asked::Reply(reply)) => self.send_to(at, frame.from, &reply),
            // Only about what we have sent.
            Some(Asked::Narrow { to, mtu, quoted })
                if self.places.interface_of(at, quoted.src_addr().into()).is_some() =>
            {
                self.links[at].is_narrow(self.now, to, mtu);
            }
            Some(Asked::Narrow { .. }) | None => self.drop(DropReason::NotForUs),
        }
    }

    /// A fragment of what may be a GTP-U packet.
    fn put_together(&mut self, packet: &Ipv4Packet<&[u8]>, interface: ReferencePoint) {
        let ends = (packet.src_addr(), packet.dst_addr());
        let whose = Whose {
            source: ends.0.into(),
            destination: ends.1.into(),
            protocol: packet.next_header().into(),
            identification: packet.ident().into(),
        };
        let fragment = Fragment {
            offset: packet.frag_offset().into(),
            more: packet.more_frags(),
            octets: packet.payload(),
        };
        if let Some(datagram) = self.take_fragment(whose, fragment) {
            self.take_datagram(gtpu(self.places.datagram(&datagram, ends, interface)));
        }
    }

    /// The same over IPv6.
    fn put_together_v6(
        &mut self,
        packet: &Ipv6Packet<&[u8]>,
        fragment: &ipv6::Fragment<'_>,
        interface: ReferencePoint,
    ) {
        let ends = (packet.src_addr(), packet.dst_addr());
        let ipv6::Fragment { protocol, identification, offset, more, octets } = *fragment;
        if offset == 0 && !more {
            // A packet of one fragment has nothing to do with others of its number (RFC 6946).
            return self.take_datagram(gtpu(self.places.datagram_v6(octets, ends, interface)));
        }
        let whose = Whose {
            source: ends.0.into(),
            destination: ends.1.into(),
            protocol: protocol.into(),
            identification,
        };
        if let Some(datagram) = self.take_fragment(whose, Fragment { offset, more, octets }) {
            self.take_datagram(gtpu(self.places.datagram_v6(&datagram, ends, interface)));
        }
    }

    /// The payload that a fragment makes whole.
    fn take_fragment(&mut self, whose: Whose, fragment: Fragment<'_>) -> Option<Vec<u8>> {
        match self.fragments.take(self.now, whose, fragment) {
            Taken::Whole(datagram) => Some(datagram),
            Taken::Waits => None,
            Taken::Dropped(count) => {
                self.dropped[DropReason::OuterFragment as usize] += count;
                None
            }
        }
    }

    /// A datagram that came in fragments.
    fn take_datagram(&mut self, datagram: Result<(Vec<u8>, Peer), DropReason>) {
        match datagram {
            Ok((payload, from)) if self.own.len() < OWN_MAX => {
                self.own.push_back((Side::Access, from, payload));
            }
            Ok(_) => self.drop(DropReason::NoBuffer),
            Err(reason) => self.drop(reason),
        }
    }

    /// A packet to a UE that is longer than its tunnel takes: its fragments, or an error to its sender.
    fn too_long_for_tunnel(&mut self, at: usize, network: usize, packet: &Ipv4Packet<&[u8]>, octets: &[u8]) {
        let mtu = self.places.networks[network].mtu;
        if packet.dont_frag() {
            self.drop(DropReason::TooLong);
            return self.tell(at, packet.src_addr().into(), octets, mtu);
        }
        let network = u16::try_from(network).unwrap_or(u16::MAX);
        let (own, mut lost) = (&mut self.own, 0);
        ipv4::fragments(octets, mtu.into(), |fragment| match own.len() {
            OWN_MAX.. => lost += 1,
            _ => own.push_back((Side::Network(network), Peer::NOBODY, fragment.to_vec())),
        });
        self.dropped[DropReason::TooLong as usize] += lost;
    }

    /// Tells the sender of a packet on a link that it is too long.
    fn tell(&mut self, at: usize, sender: IpAddr, about: &[u8], mtu: u16) {
        let link = &self.links[at];
        let from = if sender.is_ipv4() { link.ipv4().map(IpAddr::V4) } else { link.ipv6().map(IpAddr::V6) };
        if let Some(error) = from.and_then(|from| self.error(about, from, mtu)) {
            self.send_ip(at, sender, &error);
        }
    }

    /// The error about a packet that is too long; not more of them than a second may have.
    pub(super) fn error(&mut self, about: &[u8], from: IpAddr, mtu: u16) -> Option<Vec<u8>> {
        let since = self.now.saturating_duration_since(self.origin).as_nanos();
        if !self.errors.take(u64::try_from(since).unwrap_or(u64::MAX)) {
            return None;
        }
        match from {
            IpAddr::V4(from) => ipv4::too_big(about, from, mtu),
            IpAddr::V6(from) => ipv6::too_big(about, from, mtu),
        }
    }
}

/// The payload of a GTP-U packet and its sender.
fn gtpu(sight: Sight<'_>) -> Result<(Vec<u8>, Peer), DropReason> {
    match sight {
        Sight::Access(payload, from) => Ok((payload.to_vec(), from)),
        Sight::Nothing(reason) => Err(reason),
        Sight::Network(..) | Sight::Aside => Err(DropReason::NotForUs),
    }
}
