//! Packets out of nothing: what stands in for the interfaces. It writes a packet of 64 octets, with GTP-U
//! in front in the uplink, and forgets what is sent.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use tern_gtpu::{GpduHeader, PduSessionContainer};
use tern_types::Random;
use tern_upf::{DropReason, Packet, PacketIo, Peer, Side};

use crate::scene::{DEFAULT_PORT, End, FIRST_PORT, SERVER, Shape};

/// A user packet: IPv4, UDP.
const USER_OCTETS: usize = 64;
/// GTP-U with a PDU Session Container.
const TUNNEL_OCTETS: usize = 16;
/// Packets of a trace, at least; as many as sessions if there are more.
const TRACE_MIN: usize = 1 << 16;
const GNB: Peer = Peer::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), 2152);

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From N3 to N6.
    Uplink,
    /// From N6 to N3.
    Downlink,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Uplink, Self::Downlink];

    /// In tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uplink => "uplink",
            Self::Downlink => "downlink",
        }
    }
}

/// What differs from packet to packet.
#[derive(Clone, Copy)]
pub struct Hit {
    /// Of the uplink tunnel.
    pub teid: u32,
    /// The UE.
    pub ue: Ipv4Addr,
    /// The server's port.
    pub port: u16,
}

/// Packets in an order; each session about as often as any other, each rule as well.
pub struct Trace {
    hits: Arc<[Hit]>,
    direction: Direction,
}

impl Trace {
    /// Over these sessions, in random order.
    pub fn new(ends: &[End], shape: &Shape, direction: Direction) -> Self {
        let mut random = Random::from_seed([9; 32]);
        let flows = (shape.pdrs / 2).max(1) as u32;
        let mut hit = |number: usize| {
            let end = ends[number % ends.len()];
            let flow = random.u32() % flows;
            let port = if flow == 0 { DEFAULT_PORT } else { FIRST_PORT + flow as u16 };
            Hit { teid: end.teid, ue: end.ue, port }
        };
        let length = if ends.is_empty() { 0 } else { TRACE_MIN.max(ends.len()) };
        let mut hits: Vec<Hit> = (0..length).map(&mut hit).collect();
        for last in (1..hits.len()).rev() {
            hits.swap(last, random.u32() as usize % (last + 1));
        }
        Self { hits: hits.into(), direction }
    }

    /// All of it.
    #[cfg(feature = "dpdk")]
    pub fn hits(&self) -> Arc<[Hit]> {
        self.hits.clone()
    }

    /// The interfaces of one worker, which get `burst` packets at once.
    pub fn source(&self, burst: usize) -> Source {
        Source {
            hits: self.hits.clone(),
            at: 0,
            burst,
            direction: self.direction,
            datagram: template(),
            sent: 0,
        }
    }
}

/// An uplink packet: the tunnel's header, then the user packet.
fn template() -> [u8; TUNNEL_OCTETS + USER_OCTETS] {
    let mut bytes = [0; TUNNEL_OCTETS + USER_OCTETS];
    let header = GpduHeader { teid: 0, container: Some(PduSessionContainer::uplink(9)) };
    header.write(&mut bytes[..TUNNEL_OCTETS], USER_OCTETS);
    let user = &mut bytes[TUNNEL_OCTETS..];
    user[0] = 0x45;
    user[3] = USER_OCTETS as u8;
    (user[8], user[9]) = (64, 17);
    user[25] = USER_OCTETS as u8 - 20;
    bytes
}

/// The interfaces of one worker.
pub struct Source {
    hits: Arc<[Hit]>,
    at: usize,
    burst: usize,
    direction: Direction,
    datagram: [u8; TUNNEL_OCTETS + USER_OCTETS],
    /// Packets that were sent.
    pub sent: u64,
}

impl Source {
    #[inline]
    fn write(&mut self, packet: &mut Packet) {
        let hit = self.hits[self.at];
        self.at = if self.at + 1 == self.hits.len() { 0 } else { self.at + 1 };
        let user = &mut self.datagram[TUNNEL_OCTETS..];
        match self.direction {
            Direction::Uplink => {
                user[12..16].copy_from_slice(&hit.ue.octets());
                user[16..20].copy_from_slice(&SERVER.octets());
                user[22..24].copy_from_slice(&hit.port.to_be_bytes());
                self.datagram[4..8].copy_from_slice(&hit.teid.to_be_bytes());
                packet.set(&self.datagram);
                packet.came(Side::Access, GNB);
            }
            Direction::Downlink => {
                user[12..16].copy_from_slice(&SERVER.octets());
                user[16..20].copy_from_slice(&hit.ue.octets());
                user[20..22].copy_from_slice(&hit.port.to_be_bytes());
                packet.set(user);
                packet.came(Side::Network(0), GNB);
            }
        }
    }
}

impl PacketIo for Source {
    fn receive(&mut self, packets: &mut [Packet], _: Duration) -> io::Result<usize> {
        let burst = if self.hits.is_empty() { 0 } else { self.burst.min(packets.len()) };
        for packet in &mut packets[..burst] {
            self.write(packet);
        }
        Ok(burst)
    }

    fn send_access(&mut self, packet: &mut Packet, _: Peer) {
        self.sent += u64::from(!packet.bytes().is_empty());
    }

    fn send_network(&mut self, packet: &mut Packet, _: u16) {
        self.sent += u64::from(!packet.bytes().is_empty());
    }

    fn flush(&mut self, _: &mut dyn FnMut(DropReason, usize)) {}
}
