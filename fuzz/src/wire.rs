//! The packet interfaces of a worker, as two lists.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tern_upf::{BURST, DropReason, Packet, PacketIo, Peer, Side};

use crate::messages::GNB;

/// The gNB's address and port.
pub const PEER: Peer = Peer::new(IpAddr::V4(GNB), 2152);

/// A packet that was sent, and where: to a peer, or to a data network.
pub struct Sent {
    pub to: Option<Peer>,
    pub octets: Vec<u8>,
}

/// Packets that will be received, and those that were sent.
#[derive(Default)]
pub struct Wire {
    pub arriving: Vec<(Side, Vec<u8>)>,
    pub sent: Vec<Sent>,
}

impl PacketIo for Wire {
    fn receive(&mut self, packets: &mut [Packet], _: Duration) -> io::Result<usize> {
        let arriving = self.arriving.drain(..self.arriving.len().min(BURST));
        let filled = packets.iter_mut().zip(arriving).map(|(packet, (side, octets))| {
            packet.set(&octets);
            packet.came(side, PEER);
        });
        Ok(filled.count())
    }

    fn send_access(&mut self, packet: &mut Packet, to: Peer) {
        self.sent.push(Sent { to: Some(to), octets: packet.bytes().to_vec() });
    }

    fn send_network(&mut self, packet: &mut Packet, _: u16) {
        self.sent.push(Sent { to: None, octets: packet.bytes().to_vec() });
    }

    fn flush(&mut self, _: &mut dyn FnMut(DropReason, usize)) {}
}
