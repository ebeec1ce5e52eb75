//! Packet I/O on ports that send and receive Ethernet frames: what the kernel does for sockets and TUN
//! devices is done here, for IPv4 and IPv6. ARP and neighbour discovery, echo replies, routing to next hops, VLAN
//! tags, fragments and the error that a packet is too long.

mod aside;
mod ipv4;
mod ipv6;
pub(super) mod link;
mod ndisc;
mod neighbours;
mod path_mtu;
mod port;
mod reassembly;
mod sight;
mod steering;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_v6;

pub(crate) use link::Link;
pub use port::Port;
pub(crate) use sight::Places;
#[cfg(any(feature = "dpdk", test))]
pub(crate) use sight::{AccessPlace, NetworkPlace};
pub(crate) use steering::Steering;
#[cfg(feature = "dpdk")]
pub use steering::worker_of_ue;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use smoltcp::wire::{
    EthernetAddress, EthernetProtocol, IPV4_HEADER_LEN, IpProtocol, Ipv4Packet, Ipv6Packet, UdpPacket,
};

use self::reassembly::Reassembly;
use self::sight::Sight;
use super::PacketIo;
use crate::path::{Allowance, DropReason, Packet, Peer, Side};

/// A UDP header, and what is in front of a GTP-U packet over IPv4 and IPv6.
const UDP_HEADER: usize = 8;
const OUTER: usize = IPV4_HEADER_LEN + UDP_HEADER;
const OUTER_V6: usize = ipv6::HEADER + UDP_HEADER;
/// Packets that wait for their next hop's Ethernet address, in all and for one next hop
/// (RFC 1122 §2.3.2.2: at least one).
const WAITING_MAX: usize = 256;
const WAITING_FOR_ONE_MAX: usize = 16;
/// Packets that come from here, not from a port: fragments, what was put together of them, and errors to UEs.
const OWN_MAX: usize = 256;
/// Frames of one burst that are not traffic.
const ASIDE_MAX: usize = 64;
/// Bits that tell up to 64 workers apart.
const WORKER_BITS: u32 = 6;
/// Looks at all ports without a packet before a worker sleeps between them.
const IDLE_LOOKS: u32 = 1_000;

/// One worker's ports.
pub struct EthernetIo<P> {
    ports: Vec<P>,
    links: Vec<Link>,
    places: Places,
    steering: Steering,
    wake: Arc<AtomicBool>,
    /// Packets, by link and next hop, that wait for its Ethernet address.
    waiting: VecDeque<(usize, IpAddr, Vec<u8>)>,
    /// Packets that the data path gets before those of the ports.
    own: VecDeque<(Side, Peer, Vec<u8>)>,
    /// Fragments of GTP-U packets.
    fragments: Reassembly,
    /// Frames that are not traffic, by port.
    aside: Vec<(usize, Vec<u8>)>,
    dropped: [usize; DropReason::ALL.len()],
    errors: Allowance,
    /// Of the last packet that was or may be fragmented.
    identification: u32,
    now: Instant,
    origin: Instant,
    looks: u32,
    /// Whether a port had more in the last look than there was room for.
    behind: bool,
}

/// What a frame with this packet says that it holds.
fn protocol_of(packet: &[u8]) -> EthernetProtocol {
    if packet.first().is_some_and(|first| first >> 4 == 6) {
        EthernetProtocol::Ipv6
    } else {
        EthernetProtocol::Ipv4
    }
}

impl<P: Port> EthernetIo<P> {
    /// On these ports, whose links name them by their places.
    pub(crate) fn new(ports: Vec<P>, links: Vec<Link>, places: Places, steering: Steering) -> Self {
        let now = Instant::now();
        Self {
            ports,
            links,
            places,
            steering,
            wake: Arc::default(),
            waiting: VecDeque::new(),
            own: VecDeque::new(),
            fragments: Reassembly::default(),
            aside: Vec::new(),
            dropped: [0; DropReason::ALL.len()],
            errors: Allowance::default(),
            // Of each worker other ones: fragments of all have one source.
            identification: u32::try_from(steering.me()).unwrap_or(0) << (u32::BITS - WORKER_BITS),
            now,
            origin: now,
            looks: 0,
            behind: false,
        }
    }

    /// Ends the waits of this worker when it is set.
    pub(crate) fn waker(&self) -> Arc<AtomicBool> {
        self.wake.clone()
    }

    fn drop(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }

    fn receive_now(&mut self, packets: &mut [Packet]) -> usize {
        let mut count = 0;
        while count < packets.len()
            && let Some((side, from, octets)) = self.own.pop_front()
        {
            packets[count].set(&octets);
            packets[count].came(side, from);
            count += 1;
        }
        self.links.iter_mut().for_each(Link::renew);
        // Of the room that is left each port has its share, so that none starves another.
        let share = (packets.len() - count).div_ceil(self.ports.len().max(1));
        self.behind = false;
        for port in 0..self.ports.len() {
            let most = share.min(packets.len() - count);
            let received = self.ports[port].receive(&mut packets[count..count + most]);
            let came = count..count + received;
            for at in came {
                if self.sort(port, &mut packets[at]) {
                    packets.swap(count, at);
                    count += 1;
                }
            }
            self.behind |= received == most;
        }
        if !self.aside.is_empty() {
            for (port, octets) in std::mem::take(&mut self.aside) {
                self.attend(port, &octets);
            }
        }
        if !self.waiting.is_empty() {
            self.try_again();
        }
        if !self.fragments.is_empty() {
            self.dropped[DropReason::OuterFragment as usize] += self.fragments.expire(self.now);
        }
        count
    }

    /// Sees what a frame is that has come: a packet for this worker's data path, which it then becomes, or something
    /// that is put elsewhere.
    #[inline]
    fn sort(&mut self, port: usize, packet: &mut Packet) -> bool {
        let octets = packet.bytes();
        let (payload, other, side, from) = match self.places.sight(&self.links, port, octets) {
            Sight::Access(payload, from) => (payload, self.steering.of_gtpu(payload), Side::Access, from),
            Sight::Network(payload, network) => {
                (payload, self.steering.of_packet(payload), Side::Network(network), Peer::NOBODY)
            }
            Sight::Aside if self.aside.len() < ASIDE_MAX => {
                self.aside.push((port, octets.to_vec()));
                return false;
            }
            Sight::Aside => {
                self.drop(DropReason::NoBuffer);
                return false;
            }
            Sight::Nothing(reason) => {
                self.drop(reason);
                return false;
            }
        };
        if let Some(other) = other {
            self.ports[port].give(packet, other);
            return false;
        }
        let (front, length) = (payload.as_ptr().addr() - octets.as_ptr().addr(), payload.len());
        packet.narrow(front, length);
        packet.came(side, from);
        true
    }

    /// Sends a packet of ours or of a UE on a link, in fragments if it may be and must.
    fn send_ip(&mut self, at: usize, to: IpAddr, octets: &[u8]) {
        self.send_within(at, to, octets, self.links[at].mtu);
    }

    /// The same where the way takes no more than so many octets. A longer packet of IPv6 is one of ours, and has no
    /// extension header.
    fn send_within(&mut self, at: usize, to: IpAddr, octets: &[u8], mtu: usize) {
        let Some(next_hop) = self.links[at].next_hop(to) else { return self.drop(DropReason::NoNeighbour) };
        if octets.len() <= mtu {
            return self.send_hop(at, next_hop, octets);
        }
        let mut fragments = Vec::new();
        let keep = |fragment: &[u8]| fragments.push(fragment.to_vec());
        match to {
            IpAddr::V4(_) => ipv4::fragments(octets, mtu, keep),
            IpAddr::V6(_) => {
                self.identification = self.identification.wrapping_add(1);
                ipv6::fragments(octets, mtu, self.identification, keep);
            }
        }
        if fragments.is_empty() {
            self.drop(DropReason::TooLong);
        }
        for fragment in fragments {
            self.send_hop(at, next_hop, &fragment);
        }
    }

    fn send_hop(&mut self, at: usize, next_hop: IpAddr, octets: &[u8]) {
        match self.find(at, next_hop) {
            Ok(Some(mac)) => self.send_to(at, mac, octets),
            Ok(None) => self.wait(at, next_hop, octets.to_vec()),
            Err(reason) => self.drop(reason),
        }
    }

    /// A next hop's Ethernet address, which is asked for if need be.
    fn find(&mut self, at: usize, next_hop: IpAddr) -> Result<Option<EthernetAddress>, DropReason> {
        let found = self.links[at].look(self.now, next_hop);
        if found.ask
            && let Some(request) = self.links[at].request(next_hop, found.mac)
        {
            self.send_frame(self.links[at].port, &request);
        }
        if found.lost { Err(DropReason::NoNeighbour) } else { Ok(found.mac) }
    }

    /// Keeps a packet until its next hop has answered.
    fn wait(&mut self, at: usize, next_hop: IpAddr, octets: Vec<u8>) {
        let of_one = self.waiting.iter().filter(|(link, hop, _)| (*link, *hop) == (at, next_hop)).count();
        if self.waiting.len() >= WAITING_MAX || of_one >= WAITING_FOR_ONE_MAX {
            return self.drop(DropReason::NoNeighbour);
        }
        self.waiting.push_back((at, next_hop, octets));
    }

    /// Sends what has waited long enough, in order; drops what waits in vain.
    fn try_again(&mut self) {
        for (at, next_hop, octets) in std::mem::take(&mut self.waiting) {
            self.send_hop(at, next_hop, &octets);
        }
    }

    #[inline]
    fn send_to(&mut self, at: usize, to: EthernetAddress, octets: &[u8]) {
        let link = &self.links[at];
        let header = link.header_len();
        match self.ports[link.port].frame(header + octets.len()) {
            Some(frame) => {
                link.write_header(frame, to, protocol_of(octets));
                frame[header..].copy_from_slice(octets);
            }
            None => self.drop(DropReason::NoBuffer),
        }
    }

    /// Sends a packet in front of which there is room for the link's header.
    #[inline]
    fn send_packet(
        &mut self,
        at: usize,
        to: EthernetAddress,
        packet: &mut Packet,
        protocol: EthernetProtocol,
    ) {
        let link = &self.links[at];
        let Some(room) = packet.prepend(link.header_len()) else { return self.drop(DropReason::NoBuffer) };
        link.write_header(room, to, protocol);
        if !self.ports[link.port].send(packet) {
            self.drop(DropReason::NoBuffer);
        }
    }

    fn send_frame(&mut self, port: usize, octets: &[u8]) {
        match self.ports[port].frame(octets.len()) {
            Some(frame) => frame.copy_from_slice(octets),
            None => self.drop(DropReason::NoBuffer),
        }
    }

    /// Sends a GTP-U packet over IPv4.
    fn send_access_v4(&mut self, packet: &mut Packet, to: Ipv4Addr, peer: Peer) {
        let place = self.places.access(peer.at);
        let (at, own_port) = (place.link, place.port);
        let Some(from) = place.addresses.ipv4 else { return self.drop(DropReason::NoNeighbour) };
        let outer = self.outer(packet.len(), packet.tos, (from, to), (own_port, peer.port));
        let Some(room) = packet.prepend(OUTER) else { return self.drop(DropReason::NoBuffer) };
        room.copy_from_slice(&outer);
        let known = self.links[at].known(self.now, to.into());
        match known.filter(|_| packet.len() <= self.links[at].mtu) {
            Some(mac) => self.send_packet(at, mac, packet, EthernetProtocol::Ipv4),
            None => self.send_ip(at, to.into(), packet.bytes()),
        }
    }

    /// Sends a GTP-U packet over IPv6.
    fn send_access_v6(&mut self, packet: &mut Packet, to: Ipv6Addr, peer: Peer) {
        let place = self.places.access(peer.at);
        let (at, own_port) = (place.link, place.port);
        let Some(from) = place.addresses.ipv6 else { return self.drop(DropReason::NoNeighbour) };
        let tos = packet.tos;
        if packet.prepend(OUTER_V6).is_none() {
            return self.drop(DropReason::NoBuffer);
        }
        ipv6::write_datagram(packet.bytes_mut(), (from, to), (own_port, peer.port), tos);
        let mtu = self.links[at].mtu_to(self.now, to, packet.len());
        let known = self.links[at].known(self.now, to.into());
        match known.filter(|_| packet.len() <= mtu) {
            Some(mac) => self.send_packet(at, mac, packet, EthernetProtocol::Ipv6),
            None => self.send_within(at, to.into(), packet.bytes(), mtu),
        }
    }

    /// IPv4 and UDP in front of a GTP-U packet of this length.
    fn outer(
        &mut self,
        length: usize,
        tos: u8,
        ends: (Ipv4Addr, Ipv4Addr),
        ports: (u16, u16),
    ) -> [u8; OUTER] {
        self.identification = self.identification.wrapping_add(1);
        let mut outer = [0; OUTER];
        let identification = self.identification as u16;
        ipv4::write_header(&mut outer, OUTER + length, ends, IpProtocol::Udp, (tos, identification));
        let mut udp = UdpPacket::new_unchecked(&mut outer[IPV4_HEADER_LEN..]);
        udp.set_src_port(ports.0);
        udp.set_dst_port(ports.1);
        udp.set_len(u16::try_from(UDP_HEADER + length).unwrap_or(u16::MAX));
        // RFC 768 lets the sender make none; the packet inside has its own.
        udp.set_checksum(0);
        outer
    }

    fn flush_ports(&mut self) {
        let refused: usize = self.ports.iter_mut().map(Port::flush).sum();
        self.dropped[DropReason::SendFailed as usize] += refused;
    }
}

impl<P: Port> PacketIo for EthernetIo<P> {
    fn receive(&mut self, packets: &mut [Packet], wait: Duration) -> io::Result<usize> {
        self.now = Instant::now();
        let until = self.now + wait;
        loop {
            let count = self.receive_now(packets);
            if count > 0 {
                self.looks = 0;
                return Ok(count);
            }
            self.looks = self.looks.saturating_add(1);
            if self.wake.swap(false, Ordering::Acquire) || self.now >= until {
                return Ok(0);
            }
            // Answers of our own must not wait for a packet.
            self.flush_ports();
            if self.looks > IDLE_LOOKS && !self.places.idle_sleep.is_zero() {
                std::thread::sleep(self.places.idle_sleep);
            }
            self.now = Instant::now();
        }
    }

    fn is_behind(&self) -> bool {
        self.behind
    }

    fn send_access(&mut self, packet: &mut Packet, to: Peer) {
        match to.address {
            IpAddr::V4(address) => self.send_access_v4(packet, address, to),
            IpAddr::V6(address) => self.send_access_v6(packet, address, to),
        }
    }

    fn send_network(&mut self, packet: &mut Packet, network: u16) {
        let octets = packet.bytes();
        let Some(place) = self.places.networks.get(usize::from(network)) else {
            return self.drop(DropReason::SendFailed);
        };
        let link = &self.links[place.link];
        let (at, mtu) = (place.link, link.mtu);
        let is_long = octets.len() > mtu;
        let (to, ours, must_stay) = match octets.first().map(|first| first >> 4) {
            Some(4) if octets.len() >= IPV4_HEADER_LEN => {
                let inner = Ipv4Packet::new_unchecked(octets);
                (inner.dst_addr().into(), link.ipv4().map(IpAddr::V4), inner.dont_frag())
            }
            Some(6) if octets.len() >= ipv6::HEADER => {
                let to = Ipv6Packet::new_unchecked(octets).dst_addr();
                // What is of one link goes no further (RFC 4291 §2.5.6), and no group is routed.
                let is_routed = !to.is_unicast_link_local() && !to.is_multicast();
                (to.into(), link.ipv6().filter(|_| is_routed).map(IpAddr::V6), true)
            }
            _ => return self.drop(DropReason::MalformedInner),
        };
        let Some(ours) = ours else { return self.drop(DropReason::NoWay) };
        if is_long && must_stay {
            self.drop(DropReason::TooLong);
            let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
            // Through the data path, like any packet to the UE.
            if let Some(error) = self.error(octets, ours, mtu).filter(|_| self.own.len() < OWN_MAX) {
                self.own.push_back((Side::Network(network), Peer::NOBODY, error));
            }
            return;
        }
        match self.links[at].known(self.now, to).filter(|_| !is_long) {
            Some(mac) => {
                let protocol = protocol_of(octets);
                self.send_packet(at, mac, packet, protocol);
            }
            None => self.send_ip(at, to, octets),
        }
    }

    fn flush(&mut self, dropped: &mut dyn FnMut(DropReason, usize)) {
        self.flush_ports();
        for (reason, count) in DropReason::ALL.iter().zip(&mut self.dropped) {
            if *count > 0 {
                dropped(*reason, std::mem::take(count));
            }
        }
    }
}
