//! One peer: the rings to and from it, and the books of the buffers in them.

use std::net::IpAddr;
use std::sync::Arc;

use crate::address::AddressRange;
use crate::descriptor::{Descriptor, WORDS};
use crate::link::{Link, SharedBytes};
use crate::pool::{Foreign, Forged, Pool, Ticket};
use crate::returns::{self, Taker};
use crate::ring::{Consumer, Corrupt, NotPushed, Producer};

/// Who a peer is, by the manager's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerInfo {
    /// Its number at the manager; never used twice.
    pub(crate) instance: u64,
    /// What it calls itself.
    pub(crate) name: String,
    /// The addresses that it may send from.
    pub(crate) addresses: Vec<AddressRange>,
}

/// The state of a pair on this side.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) peer: PeerInfo,
    pub(crate) link: Arc<Link>,
    pub(crate) pool: Pool,
    /// Connections whose writers wait for buffers to come back.
    pub(crate) wanting: u32,
    /// Entries of the connection table.
    pub(crate) connections: u32,
    outbound: Producer<WORDS>,
    inbound: Consumer<WORDS>,
    returns: Taker,
    foreign: Foreign,
}

impl Pair {
    pub(crate) fn new(peer: PeerInfo, link: Arc<Link>) -> Self {
        let shape = link.regions.shape;
        Self {
            peer,
            link,
            pool: Pool::new(shape.buffers),
            wanting: 0,
            connections: 0,
            outbound: Producer::default(),
            inbound: Consumer::default(),
            returns: Taker::default(),
            foreign: Foreign::new(shape.buffers, shape.buffer_size),
        }
    }

    /// Whether the peer may send from this address.
    pub(crate) fn may_send_from(&self, ip: IpAddr) -> bool {
        self.peer.addresses.iter().any(|range| range.contains(ip))
    }

    /// Connections that the pair carries at most: as many as leave each a window and the ring room for
    /// what it has to say besides data.
    pub(crate) fn connections_max(&self) -> u32 {
        (self.pool.len() / 4).max(1)
    }

    /// Publishes a descriptor.
    pub(crate) fn push(&mut self, descriptor: &Descriptor) -> Result<(), NotPushed> {
        self.outbound.push(&self.link.regions.outbound(), &descriptor.write())
    }

    /// Publishes whatever it is.
    #[cfg(test)]
    pub(crate) fn push_raw(&mut self, slot: &[u64; WORDS]) -> Result<(), NotPushed> {
        self.outbound.push(&self.link.regions.outbound(), slot)
    }

    /// The peer's next slot.
    pub(crate) fn pop(&mut self) -> Result<Option<[u64; WORDS]>, Corrupt> {
        self.inbound.pop(&self.link.regions.inbound())
    }

    /// Takes a message out of a descriptor, if the peer really has such a buffer to give.
    pub(crate) fn accept(&mut self, buffer: u32, generation: u32, len: u32) -> Result<SharedBytes, Forged> {
        self.foreign.accept(buffer, generation, len)?;
        if !self.link.hold(buffer) {
            return Err(Forged::Stale);
        }
        Ok(SharedBytes::new(self.link.clone(), buffer, generation, len))
    }

    /// Takes a buffer of ours; `None` while all are away.
    pub(crate) fn take(&mut self) -> Option<Ticket> {
        self.pool.take()
    }

    /// The next buffer that the peer gave back: the connection that it was sent on, or the forgery.
    pub(crate) fn pop_return(&mut self) -> Result<Option<Option<u64>>, Corrupt> {
        let entry = self.returns.take(&self.link.regions.returns_in())?;
        Ok(entry.map(|entry| self.pool.returned(entry as u32, (entry >> 32) as u32)))
    }

    /// Whether the peer left something that this side waits for.
    pub(crate) fn has_input(&self) -> bool {
        !self.inbound.is_empty(&self.link.regions.inbound())
            || (self.wanting > 0 && !self.returns.is_empty(&self.link.regions.returns_in()))
    }

    /// One more writer waits for buffers, or one fewer.
    pub(crate) fn want(&mut self, more: bool) {
        self.wanting = if more { self.wanting + 1 } else { self.wanting.saturating_sub(1) };
        returns::set_wanted(self.link.regions.own_wanted(), self.wanting);
    }
}
