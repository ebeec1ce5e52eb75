//! Packet I/O on ports that send and receive Ethernet frames: what the kernel does for sockets and TUN
//! devices is done here. ARP, echo replies, routing to next hops, VLAN tags, fragments and the error that a
//! packet is too long, for IPv4.

mod ipv4;
pub(super) mod link;
mod neighbours;
mod port;
mod reassembly;
mod steering;
#[cfg(test)]
mod tests;

pub(crate) use link::Link;
pub use port::Port;
pub(crate) use steering::Steering;
#[cfg(feature = "dpdk")]
pub use steering::worker_of_ue;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use smoltcp::wire::{
    EthernetAddress, EthernetProtocol, IPV4_HEADER_LEN, IpAddress, IpProtocol, Ipv4Packet, UdpPacket,
};
use tern_types::Ipv4Prefix;

use self::link::Frame;
use self::reassembly::{Fragment, Reassembly, Taken, Whose};
use super::PacketIo;
use crate::path::{Allowance, DropReason, Packet, Peer, Side};

/// A UDP header, and what is in front of a GTP-U packet.
const UDP_HEADER: usize = 8;
const OUTER: usize = IPV4_HEADER_LEN + UDP_HEADER;
/// Packets that wait for their next hop's Ethernet address, in all and for one next hop
/// (RFC 1122 §2.3.2.2: at least one).
const WAITING_MAX: usize = 256;
const WAITING_FOR_ONE_MAX: usize = 16;
/// Packets that come from here, not from a port: fragments, what was put together of them, and errors to UEs.
const OWN_MAX: usize = 256;
/// Frames of one burst that are not traffic.
const ASIDE_MAX: usize = 64;
/// Looks at all ports without a packet before a worker sleeps between them.
const IDLE_LOOKS: u32 = 1_000;

/// Who reads and writes which packets.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The link of N3, by its place, and our address on it.
    pub(crate) access: (usize, SocketAddrV4),
    /// Each data network.
    pub(crate) networks: Vec<NetworkPlace>,
    /// How long an idle worker sleeps between two looks; zero to look all the time.
    pub(crate) idle_sleep: Duration,
}

/// A data network on a link.
#[derive(Debug, Clone)]
pub(crate) struct NetworkPlace {
    /// The link, by its place.
    pub(crate) link: usize,
    /// The UEs' addresses.
    pub(crate) ues: Ipv4Prefix,
    /// Octets of the longest packet that a UE is sent: what fits into a tunnel.
    pub(crate) mtu: u16,
}

/// One worker's ports.
pub struct EthernetIo<P> {
    ports: Vec<P>,
    links: Vec<Link>,
    places: Places,
    steering: Steering,
    wake: Arc<AtomicBool>,
    /// Packets, by link and next hop, that wait for its Ethernet address.
    waiting: VecDeque<(usize, Ipv4Addr, Vec<u8>)>,
    /// Packets that the data path gets before those of the ports.
    own: VecDeque<(Side, Peer, Vec<u8>)>,
    /// Fragments of GTP-U packets.
    fragments: Reassembly,
    /// Frames that are not traffic, by port.
    aside: Vec<(usize, Vec<u8>)>,
    dropped: [usize; DropReason::ALL.len()],
    errors: Allowance,
    identification: u16,
    now: Instant,
    origin: Instant,
    looks: u32,
    /// Whether a port had more in the last look than there was room for.
    behind: bool,
}

/// What a frame is at first sight.
enum Sight<'a> {
    /// A GTP-U packet and its sender.
    Access(&'a [u8], Peer),
    /// A packet of a data network to a UE.
    Network(&'a [u8], u16),
    /// To be looked at with more time.
    Aside,
    /// Not for us.
    Nothing(DropReason),
}

/// A sound IPv4 packet without what the link padded it with.
fn sound(payload: &[u8]) -> Option<(Ipv4Packet<&[u8]>, &[u8])> {
    let packet = Ipv4Packet::new_checked(payload).ok()?;
    let octets = payload.get(..packet.total_len().into())?;
    (packet.version() == 4 && packet.verify_checksum()).then_some((packet, octets))
}

/// The link that a frame of this port is on.
fn link_of(links: &[Link], port: usize, frame: &Frame<'_>) -> Option<usize> {
    links.iter().position(|link| link.is(port, frame.vlan))
}

impl Places {
    /// The data network on this link whose UE has this address.
    fn network_of(&self, link: usize, to: Ipv4Addr) -> Option<usize> {
        self.networks.iter().position(|place| place.link == link && place.ues.contains(to))
    }

    fn sight<'a>(&self, links: &[Link], port: usize, octets: &'a [u8]) -> Sight<'a> {
        let Some(frame) = Frame::parse(octets) else { return Sight::Nothing(DropReason::MalformedFrame) };
        let Some(link) = link_of(links, port, &frame) else { return Sight::Nothing(DropReason::NotForUs) };
        if !links[link].is_ours(frame.to) {
            return Sight::Nothing(DropReason::NotForUs);
        }
        match frame.protocol {
            EthernetProtocol::Ipv4 => {}
            EthernetProtocol::Arp => return Sight::Aside,
            _ => return Sight::Nothing(DropReason::NotForUs),
        }
        let Some((packet, octets)) = sound(frame.payload) else {
            return Sight::Nothing(DropReason::MalformedFrame);
        };
        let to = packet.dst_addr();
        if link == self.access.0 && to == *self.access.1.ip() && packet.next_header() == IpProtocol::Udp {
            return self.gtpu(&packet);
        }
        if to == links[link].address() {
            return Sight::Aside;
        }
        match self.network_of(link, to) {
            Some(index) if octets.len() > self.networks[index].mtu.into() => Sight::Aside,
            Some(index) => Sight::Network(octets, u16::try_from(index).unwrap_or(u16::MAX)),
            None => Sight::Nothing(DropReason::NotForUs),
        }
    }

    /// A UDP datagram to our N3 address.
    fn gtpu<'a>(&self, packet: &Ipv4Packet<&'a [u8]>) -> Sight<'a> {
        if packet.more_frags() || packet.frag_offset() != 0 {
            return Sight::Aside;
        }
        self.datagram(packet.payload(), (packet.src_addr(), packet.dst_addr()))
    }

    /// The same of a datagram that is whole.
    fn datagram<'a>(&self, octets: &'a [u8], (source, destination): (Ipv4Addr, Ipv4Addr)) -> Sight<'a> {
        let Ok(udp) = UdpPacket::new_checked(octets) else {
            return Sight::Nothing(DropReason::MalformedFrame);
        };
        let ends = (IpAddress::Ipv4(source), IpAddress::Ipv4(destination));
        if udp.dst_port() != self.access.1.port() {
            return Sight::Nothing(DropReason::NotForUs);
        }
        // RFC 768: zero if the sender made none.
        if udp.checksum() != 0 && !udp.verify_checksum(&ends.0, &ends.1) {
            return Sight::Nothing(DropReason::MalformedFrame);
        }
        Sight::Access(udp.payload(), Peer::new(source.into(), udp.src_port()))
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
            identification: 0,
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
            let (places, links, steering) = (&self.places, &self.links, self.steering);
            let (aside, dropped) = (&mut self.aside, &mut self.dropped);
            let received = self.ports[port].receive(most, &mut |octets| {
                let packet = packets.get_mut(count)?;
                match places.sight(links, port, octets) {
                    Sight::Access(payload, from) => {
                        if let Some(other) = steering.of_gtpu(payload) {
                            return Some(other);
                        }
                        packet.set(payload);
                        packet.came(Side::Access, from);
                        count += 1;
                    }
                    Sight::Network(payload, network) => {
                        if let Some(other) = steering.of_packet(payload) {
                            return Some(other);
                        }
                        packet.set(payload);
                        packet.came(Side::Network(network), Peer::NOBODY);
                        count += 1;
                    }
                    Sight::Aside if aside.len() < ASIDE_MAX => aside.push((port, octets.to_vec())),
                    Sight::Aside => dropped[DropReason::NoBuffer as usize] += 1,
                    Sight::Nothing(reason) => dropped[reason as usize] += 1,
                }
                None
            });
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

    /// A frame that is not traffic: ARP, an echo request to us, a fragment, a packet that does not fit into a
    /// tunnel.
    fn attend(&mut self, port: usize, octets: &[u8]) {
        let Some(frame) = Frame::parse(octets) else { return };
        let Some(at) = link_of(&self.links, port, &frame) else { return };
        if frame.protocol == EthernetProtocol::Arp {
            let answer = self.links[at].hear(self.now, frame.payload);
            self.links[at].renew();
            if let Some(answer) = answer {
                self.send_frame(port, &answer);
            }
            return;
        }
        let Some((packet, octets)) = sound(frame.payload) else { return };
        let to = packet.dst_addr();
        let is_fragment = packet.more_frags() || packet.frag_offset() != 0;
        let is_access = at == self.places.access.0 && to == *self.places.access.1.ip();
        if is_fragment && is_access && packet.next_header() == IpProtocol::Udp {
            return self.put_together(&packet);
        }
        if to == self.links[at].address() {
            match ipv4::echo_reply(octets) {
                // To where it came from: no address has to be asked for.
                Some(reply) => self.send_to(at, frame.from, &reply),
                None => self.drop(DropReason::NotForUs),
            }
            return;
        }
        if let Some(network) = self.places.network_of(at, to) {
            self.too_long_for_tunnel(at, network, &packet, octets);
        }
    }

    /// A fragment of what may be a GTP-U packet.
    fn put_together(&mut self, packet: &Ipv4Packet<&[u8]>) {
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
        let datagram = match self.fragments.take(self.now, whose, fragment) {
            Taken::Whole(datagram) => datagram,
            Taken::Waits => return,
            Taken::Dropped(count) => {
                self.dropped[DropReason::OuterFragment as usize] += count;
                return;
            }
        };
        match self.places.datagram(&datagram, ends) {
            Sight::Access(payload, from) if self.own.len() < OWN_MAX => {
                self.own.push_back((Side::Access, from, payload.to_vec()));
            }
            Sight::Nothing(reason) => self.drop(reason),
            Sight::Access(..) | Sight::Network(..) | Sight::Aside => self.drop(DropReason::NoBuffer),
        }
    }

    /// A packet to a UE that is longer than its tunnel takes: its fragments, or an error to its sender.
    fn too_long_for_tunnel(&mut self, at: usize, network: usize, packet: &Ipv4Packet<&[u8]>, octets: &[u8]) {
        let mtu = self.places.networks[network].mtu;
        if packet.dont_frag() {
            self.drop(DropReason::TooLong);
            let from = self.links[at].address();
            if let Some(error) = self.error(octets, from, mtu) {
                self.send_ip(at, packet.src_addr(), &error);
            }
            return;
        }
        let network = u16::try_from(network).unwrap_or(u16::MAX);
        let (own, mut lost) = (&mut self.own, 0);
        ipv4::fragments(octets, mtu.into(), |fragment| match own.len() {
            OWN_MAX.. => lost += 1,
            _ => own.push_back((Side::Network(network), Peer::NOBODY, fragment.to_vec())),
        });
        self.dropped[DropReason::TooLong as usize] += lost;
    }

    /// The error about a packet that is too long; not more of them than a second may have.
    fn error(&mut self, about: &[u8], from: Ipv4Addr, mtu: u16) -> Option<Vec<u8>> {
        let since = self.now.saturating_duration_since(self.origin).as_nanos();
        let allowed = self.errors.take(u64::try_from(since).unwrap_or(u64::MAX));
        allowed.then(|| ipv4::too_big(about, from, mtu)).flatten()
    }

    /// Sends a packet of ours or of a UE on a link, in fragments if it may be and must.
    fn send_ip(&mut self, at: usize, to: Ipv4Addr, octets: &[u8]) {
        let Some(next_hop) = self.links[at].next_hop(to) else { return self.drop(DropReason::NoNeighbour) };
        if octets.len() <= self.links[at].mtu {
            return self.send_hop(at, next_hop, octets);
        }
        let mut fragments = Vec::new();
        ipv4::fragments(octets, self.links[at].mtu, |fragment| fragments.push(fragment.to_vec()));
        if fragments.is_empty() {
            self.drop(DropReason::TooLong);
        }
        for fragment in fragments {
            self.send_hop(at, next_hop, &fragment);
        }
    }

    fn send_hop(&mut self, at: usize, next_hop: Ipv4Addr, octets: &[u8]) {
        match self.find(at, next_hop) {
            Ok(Some(mac)) => self.send_to(at, mac, octets),
            Ok(None) => self.wait(at, next_hop, octets.to_vec()),
            Err(reason) => self.drop(reason),
        }
    }

    /// A next hop's Ethernet address, which is asked for if need be.
    fn find(&mut self, at: usize, next_hop: Ipv4Addr) -> Result<Option<EthernetAddress>, DropReason> {
        let found = self.links[at].look(self.now, next_hop);
        if found.ask {
            let request = self.links[at].request(next_hop);
            self.send_frame(self.links[at].port, &request);
        }
        if found.lost { Err(DropReason::NoNeighbour) } else { Ok(found.mac) }
    }

    /// Keeps a packet until its next hop has answered.
    fn wait(&mut self, at: usize, next_hop: Ipv4Addr, octets: Vec<u8>) {
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

    fn send_to(&mut self, at: usize, to: EthernetAddress, octets: &[u8]) {
        let link = &self.links[at];
        let header = link.header_len();
        match self.ports[link.port].frame(header + octets.len()) {
            Some(frame) => {
                link.write_header(frame, to, EthernetProtocol::Ipv4);
                frame[header..].copy_from_slice(octets);
            }
            None => self.drop(DropReason::NoBuffer),
        }
    }

    fn send_frame(&mut self, port: usize, octets: &[u8]) {
        match self.ports[port].frame(octets.len()) {
            Some(frame) => frame.copy_from_slice(octets),
            None => self.drop(DropReason::NoBuffer),
        }
    }

    /// IPv4 and UDP in front of a GTP-U packet of this length.
    fn outer(&mut self, length: usize, tos: u8, (to, port): (Ipv4Addr, u16)) -> [u8; OUTER] {
        let (_, from) = self.places.access;
        self.identification = self.identification.wrapping_add(1);
        let mut outer = [0; OUTER];
        let ends = (*from.ip(), to);
        ipv4::write_header(&mut outer, OUTER + length, ends, IpProtocol::Udp, (tos, self.identification));
        let mut udp = UdpPacket::new_unchecked(&mut outer[IPV4_HEADER_LEN..]);
        udp.set_src_port(from.port());
        udp.set_dst_port(port);
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

    fn send_access(&mut self, packet: &Packet, to: Peer) {
        let payload = packet.bytes();
        let at = self.places.access.0;
        let IpAddr::V4(address) = to.address else { return self.drop(DropReason::NoNeighbour) };
        let Some(next_hop) = self.links[at].next_hop(address) else {
            return self.drop(DropReason::NoNeighbour);
        };
        let outer = self.outer(payload.len(), packet.tos, (address, to.port));
        let length = OUTER + payload.len();
        // The common case: written where it is sent from.
        if length <= self.links[at].mtu
            && let Ok(Some(mac)) = self.find(at, next_hop)
        {
            let link = &self.links[at];
            let header = link.header_len();
            let Some(frame) = self.ports[link.port].frame(header + length) else {
                return self.drop(DropReason::NoBuffer);
            };
            link.write_header(frame, mac, EthernetProtocol::Ipv4);
            frame[header..header + OUTER].copy_from_slice(&outer);
            frame[header + OUTER..].copy_from_slice(payload);
            return;
        }
        self.send_ip(at, address, &[&outer[..], payload].concat());
    }

    fn send_network(&mut self, packet: &Packet, network: u16) {
        let octets = packet.bytes();
        let Some(place) = self.places.networks.get(usize::from(network)) else {
            return self.drop(DropReason::SendFailed);
        };
        let (at, mtu) = (place.link, self.links[place.link].mtu);
        let inner = Ipv4Packet::new_unchecked(octets);
        if octets.len() < IPV4_HEADER_LEN {
            return self.drop(DropReason::MalformedInner);
        }
        // These links are of IPv4.
        if inner.version() != 4 {
            return self.drop(DropReason::NoWay);
        }
        if octets.len() > mtu && inner.dont_frag() {
            self.drop(DropReason::TooLong);
            let from = self.links[at].address();
            let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
            // Through the data path, like any packet to the UE.
            if let Some(error) = self.error(octets, from, mtu).filter(|_| self.own.len() < OWN_MAX) {
                self.own.push_back((Side::Network(network), Peer::NOBODY, error));
            }
            return;
        }
        self.send_ip(at, inner.dst_addr(), octets);
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
