//! A socket of N3 or N9: many packets a system call, in both directions.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
    set_socket_recv_buffer_size_force,
};
use socket2::{Domain, MsgHdr, Protocol, SockAddr, SockRef, Socket, Type};
use tern_nf::{control_message, cut_at};

use crate::path::{Packet, Peer, ReferencePoint, Side};

/// What is sent while the interface is at it.
const SEND_BUFFER: usize = 4 << 20;
/// Messages that one system call brings. Each may be up to 64 packets of one peer, which the kernel
/// has put together.
const MESSAGES: usize = 8;
/// The most octets of a message.
const MESSAGE_MAX: usize = 65_535;
/// Octets that are sent at once: what fits into one UDP datagram, whose size the kernel checks before
/// it takes the packets apart.
const SEND_MAX: usize = 65_507;
/// Longer packets are sent one by one: the kernel fragments them, if it must, but does not take apart
/// what it would then have to fragment. In a link of 1500 octets so many fit behind UDP and IPv4, or IPv6.
const TOGETHER_MAX: usize = 1_472;
const TOGETHER_MAX_V6: usize = 1_452;
/// Rows of packets, of one peer and ToS each, that are held back at a time.
const ROWS_MAX: usize = 8;

/// Of Linux: what control messages of IP say is the ToS or traffic class, and whether IPv6 may fragment.
const IPPROTO_IP: i32 = 0;
const IP_TOS: i32 = 1;
const IPPROTO_IPV6: i32 = 41;
const IPV6_DONTFRAG: i32 = 62;
const IPV6_TCLASS: i32 = 67;

/// The socket of one worker, with packets that were received together and are not yet taken, and those
/// that are to be sent together.
pub(super) struct N3Socket {
    socket: UdpSocket,
    is_v6: bool,
    interface: ReferencePoint,
    state: UdpSocketState,
    buffers: Vec<Vec<u8>>,
    received: Vec<RecvMeta>,
    /// The message that is being taken apart, and how much of it is taken.
    message: usize,
    taken: usize,
    held: Vec<Held>,
    failed: usize,
}

/// Packets to one peer with one ToS, one behind the other: all of one length, but for the last, which may be
/// shorter.
struct Held {
    to: Peer,
    tos: u8,
    octets: Vec<u8>,
    length: usize,
    packets: usize,
}

impl N3Socket {
    /// Several sockets share the address: the kernel gives the packets of one peer to one of them.
    /// What arrives while a worker is at a burst waits in `receive_buffer` octets, as the kernel counts them.
    pub(super) fn bind(at: SocketAddr, interface: ReferencePoint, receive_buffer: usize) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_port(true)?;
        if at.is_ipv6() {
            // IPv4 has a socket of its own.
            socket.set_only_v6(true)?;
        }
        // Beyond the limit of all (net.core.rmem_max) with CAP_NET_ADMIN alone; else the kernel gives less.
        if set_socket_recv_buffer_size_force(&socket, receive_buffer).is_err() {
            socket.set_recv_buffer_size(receive_buffer)?;
        }
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(&at.into())?;
        let state = UdpSocketState::new((&socket).into())?;
        // The library forbids fragments, since it is made for QUIC.
        match at {
            SocketAddr::V4(_) => set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::WANT)?,
            SocketAddr::V6(_) => set_ipv6_mtu_discover(&socket, Ipv6PathMtuDiscovery::WANT)?,
        }
        Ok(Self {
            socket: socket.into(),
            is_v6: at.is_ipv6(),
            interface,
            state,
            buffers: (0..MESSAGES).map(|_| vec![0; MESSAGE_MAX]).collect(),
            received: Vec::new(),
            message: 0,
            taken: 0,
            held: Vec::new(),
            failed: 0,
        })
    }

    /// Whether packets to this peer leave by it: it is of its interface and version of IP.
    pub(super) fn leads_to(&self, peer: Peer) -> bool {
        self.interface == peer.at && self.is_v6 == peer.address.is_ipv6()
    }

    /// The next packet; false if there is none now.
    pub(super) fn take(&mut self, packet: &mut Packet) -> io::Result<bool> {
        loop {
            let Some(meta) = self.received.get(self.message) else {
                if !self.receive()? {
                    return Ok(false);
                }
                continue;
            };
            let rest = &self.buffers[self.message][self.taken..meta.len];
            let length = meta.stride.clamp(1, MESSAGE_MAX).min(rest.len());
            packet.set(&rest[..length]);
            packet.came(Side::Access, Peer::from(meta.addr).on(self.interface));
            self.taken += length;
            if self.taken >= meta.len {
                (self.message, self.taken) = (self.message + 1, 0);
            }
            return Ok(true);
        }
    }

    fn receive(&mut self) -> io::Result<bool> {
        (self.message, self.taken) = (0, 0);
        self.received.resize(MESSAGES, RecvMeta::default());
        let mut slices: [IoSliceMut<'_>; MESSAGES] = {
            let mut buffers = self.buffers.iter_mut();
            std::array::from_fn(|_| IoSliceMut::new(buffers.next().map_or(&mut [], Vec::as_mut_slice)))
        };
        let count = match self.state.recv((&self.socket).into(), &mut slices, &mut self.received) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            // An ICMP error about an earlier packet: the peer's matter.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => 0,
            Err(error) => {
                self.received.clear();
                return Err(error);
            }
        };
        self.received.truncate(count);
        Ok(count > 0)
    }

    /// Sends a packet, now or with the next [`flush`](Self::flush).
    pub(super) fn send(&mut self, packet: &[u8], tos: u8, to: Peer) {
        let most = self.state.max_gso_segments();
        let at = match self.held.iter().position(|held| (held.to, held.tos) == (to, tos)) {
            Some(at) if self.held[at].takes(packet, most) => at,
            // In order: what is held for it goes first.
            Some(at) => {
                self.transmit(at);
                at
            }
            None if self.held.len() < ROWS_MAX => {
                self.held.push(Held { to, tos, octets: Vec::new(), length: 0, packets: 0 });
                self.held.len() - 1
            }
            None => {
                self.transmit(0);
                (self.held[0].to, self.held[0].tos) = (to, tos);
                0
            }
        };
        let held = &mut self.held[at];
        if held.packets == 0 {
            held.length = packet.len();
        }
        held.octets.extend_from_slice(packet);
        held.packets += 1;
    }

    /// Sends what is held back; how many packets were not taken since the last time.
    pub(super) fn flush(&mut self) -> usize {
        for at in 0..self.held.len() {
            self.transmit(at);
        }
        std::mem::take(&mut self.failed)
    }

    fn transmit(&mut self, at: usize) {
        let held = &mut self.held[at];
        let together = Transmit {
            destination: held.to.into(),
            ecn: None,
            contents: &held.octets,
            segment_size: Some(held.length),
            src_ip: None,
        };
        match held.packets {
            0 => return,
            packets if held.tos != 0 || held.to.address.is_ipv6() => {
                self.failed += packets - held.transmit_controlled(&self.socket);
            }
            1 => {
                self.failed +=
                    usize::from(self.socket.send_to(&held.octets, SocketAddr::from(held.to)).is_err())
            }
            packets => match self.state.try_send((&self.socket).into(), &together) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.failed += packets,
                // An interface that cannot take them apart, or a path that is narrower.
                Err(_) => {
                    let one_by_one = held.octets.chunks(held.length.max(1));
                    let to = SocketAddr::from(held.to);
                    let failed = one_by_one.filter(|packet| self.socket.send_to(packet, to).is_err());
                    self.failed += failed.count();
                }
            },
        }
        held.octets.clear();
        held.packets = 0;
    }
}

impl Held {
    /// Sends them with their ToS, or over IPv6; how many were taken.
    fn transmit_controlled(&self, socket: &UdpSocket) -> usize {
        let socket = SockRef::from(socket);
        let to = SockAddr::from(SocketAddr::from(self.to));
        let send = |octets: &[u8], control: &[u8]| {
            let octets = [IoSlice::new(octets)];
            let message = MsgHdr::new().with_addr(&to).with_buffers(&octets).with_control(control);
            socket.sendmsg(&message, 0)
        };
        let mut control = Vec::new();
        let tos = i32::from(self.tos).to_ne_bytes();
        if self.to.address.is_ipv4() {
            control_message(IPPROTO_IP, IP_TOS, &tos, &mut control);
        } else {
            control_message(IPPROTO_IPV6, IPV6_TCLASS, &tos, &mut control);
            // The library has forbidden fragments for the socket.
            control_message(IPPROTO_IPV6, IPV6_DONTFRAG, &0i32.to_ne_bytes(), &mut control);
        }
        if self.packets > 1 {
            let cut = [&control[..], &cut_at(self.length)].concat();
            match send(&self.octets, &cut) {
                Ok(_) => return self.packets,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return 0,
                // An interface that cannot take them apart, or a path that is narrower.
                Err(_) => {}
            }
        }
        let one_by_one = self.octets.chunks(self.length.max(1));
        one_by_one.filter(|packet| send(packet, &control).is_ok()).count()
    }

    fn takes(&self, packet: &[u8], most: usize) -> bool {
        let is_open = self.octets.len() == self.length * self.packets;
        let fits = packet.len() <= self.length && self.octets.len() + packet.len() <= SEND_MAX;
        let together = if self.to.address.is_ipv4() { TOGETHER_MAX } else { TOGETHER_MAX_V6 };
        self.packets == 0 || (is_open && fits && self.length <= together && self.packets < most)
    }
}

impl AsFd for N3Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use std::time::{Duration, Instant};

    use super::*;

    const LOOPBACKS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

    fn bound() -> (N3Socket, Peer) {
        bound_to(LOOPBACKS[0])
    }

    fn bound_to(address: IpAddr) -> (N3Socket, Peer) {
        let socket = N3Socket::bind(SocketAddr::new(address, 0), ReferencePoint::N3, 4 << 20).expect("binds");
        let at = socket.socket.local_addr().expect("bound").into();
        (socket, at)
    }

    /// So many packets, or as many as come in five seconds.
    fn take(socket: &mut N3Socket, count: usize) -> Vec<(Vec<u8>, Peer)> {
        let (mut packets, mut packet) = (Vec::new(), Packet::new());
        let until = Instant::now() + Duration::from_secs(5);
        while packets.len() < count && Instant::now() < until {
            if socket.take(&mut packet).expect("receives") {
                packets.push((packet.bytes().to_vec(), packet.from));
            }
        }
        packets
    }

    /// Lengths that go together, end a row, are too long to go together, and are fragmented on most
    /// links; contents tell where each packet begins.
    fn packet(number: usize) -> Vec<u8> {
        const LENGTHS: [usize; 11] = [1400, 1400, 1400, 700, 1400, 40, 41, 41, 1500, 1500, 8000];
        (0..LENGTHS[number % LENGTHS.len()]).map(|at| (number * 31 + at) as u8).collect()
    }

    #[test]
    fn when_packets_are_sent_together_then_each_arrives_as_it_was_and_in_order() {
        LOOPBACKS.into_iter().for_each(each_arrives_in_order);
    }

    fn each_arrives_in_order(at: IpAddr) {
        let (mut sender, from) = bound_to(at);
        let mut receivers: Vec<_> = (0..ROWS_MAX + 2).map(|_| bound_to(at)).collect();
        let packets: Vec<Vec<u8>> = (0..200).map(packet).collect();
        for (burst, packets) in packets.chunks(20).enumerate() {
            let tos = [0, 0xB8][burst % 2];
            for packet in packets {
                receivers.iter().for_each(|(_, to)| sender.send(packet, tos, *to));
            }
            assert_eq!(sender.flush(), 0);
            for (receiver, _) in &mut receivers {
                let expected: Vec<_> = packets.iter().map(|packet| (packet.clone(), from)).collect();
                assert_eq!(take(receiver, packets.len()), expected);
            }
        }
    }

    #[test]
    fn when_packets_of_one_length_are_held_then_one_call_sends_them_and_one_brings_them() {
        LOOPBACKS.into_iter().for_each(one_call_sends_them);
    }

    fn one_call_sends_them(at: IpAddr) {
        let (mut sender, _) = bound_to(at);
        let (mut receiver, to) = bound_to(at);
        (0..30).for_each(|_| sender.send(&[7; 1000], 0, to));
        assert!(take(&mut receiver, 0).is_empty() && !receiver.receive().expect("receives"));
        assert_eq!((sender.held.len(), sender.held[0].packets), (1, 30));
        assert_eq!(sender.flush(), 0);
        assert_eq!(take(&mut receiver, 30).len(), 30);
        // The kernel put together what it took apart.
        assert!(receiver.received.len() < 30, "{} messages", receiver.received.len());
    }

    #[test]
    fn when_a_packet_cannot_be_sent_then_it_is_counted_once() {
        let (mut sender, _) = bound();
        let nowhere = Peer::new(Ipv4Addr::BROADCAST.into(), 9);
        (0..5).for_each(|_| sender.send(&[7; 1000], 0, nowhere));
        assert_eq!((sender.flush(), sender.flush()), (5, 0));
        let (mut receiver, to) = bound();
        sender.send(&[8; 10], 0, to);
        assert_eq!((sender.flush(), take(&mut receiver, 1).len()), (0, 1));
    }

    /// ToS and length of each datagram to this port that comes in half a second after the last.
    fn seen(raw: &Socket, port: u16) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = vec![0; MESSAGE_MAX];
        while let Ok(length) = (&mut &*raw).read(&mut buffer) {
            if length >= 28 && buffer[22..24] == port.to_be_bytes() {
                all.push(buffer[1]);
            }
        }
        all
    }

    #[test]
    fn when_packets_are_marked_then_their_ip_headers_have_it_and_others_not() {
        let Ok(raw) = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)) else {
            println!(
                "SKIPPED tern-upf io::n3::tests::when_packets_are_marked_then_their_ip_headers_have_it_and_others_not: \
                 no raw socket without CAP_NET_RAW"
            );
            return;
        };
        raw.set_read_timeout(Some(Duration::from_millis(500))).expect("is set");
        // An address of its own: what others send meanwhile would fill the socket, and be in the way of these.
        let [.., high, low] = std::process::id().to_be_bytes();
        let here = Ipv4Addr::new(127, high, low, 77);
        raw.bind(&SocketAddr::from((here, 0)).into()).expect("is bound");
        let (mut sender, _) = bound();
        let (_receiver, to) = bound_to(here.into());
        for (count, tos) in [(1, 0xB8), (30, 0x28), (1, 0), (30, 0)] {
            (0..count).for_each(|_| sender.send(&[7; 1000], tos, to));
            assert_eq!(sender.flush(), 0);
            let seen = seen(&raw, to.port);
            assert!(!seen.is_empty() && seen.iter().all(|is| *is == tos), "{seen:?} of {tos}");
        }
    }
}
