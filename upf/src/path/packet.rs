//! A packet in a buffer with room in front, so that a header is added without copying.

use std::ops::{Deref, DerefMut};

use super::Peer;

use crate::io::BURST;

/// Room in front of a packet: for GTP-U, UDP, IPv6 and a tagged link's header; a multiple of a line of memory.
pub(crate) const HEADROOM: usize = 128;
/// Packets of a burst begin at so many different places of their buffers, this far apart. Buffers are as far
/// apart as the allocator likes, which is a multiple of two thousand octets; were all packets at the same place
/// of them, their headers would share a few lines of the nearest cache.
const PLACES: usize = 32;
const PLACE_OCTETS: usize = 128;

/// The longest packet that is received; longer ones are cut by the kernel and then dropped.
pub const PACKET_MAX: usize = 9_216;

/// Which interface a packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// N3: GTP-U.
    Access,
    /// N6: the data network of this index.
    Network(u16),
}

/// Octets of a packet, with room in front.
#[derive(Debug)]
enum Buffer {
    /// Memory of its own.
    Own(Box<[u8]>),
    /// What a port received it into, and may send it from.
    #[cfg(feature = "dpdk")]
    OfPort(tern_dpdk::Buffer),
}

/// One packet and where it came from.
#[derive(Debug)]
pub struct Packet {
    buffer: Buffer,
    /// Where a packet begins that is copied into it.
    first: usize,
    start: usize,
    end: usize,
    /// Where it came from.
    pub(crate) side: Side,
    /// Sender, of packets from N3.
    pub(crate) from: Peer,
    /// ToS or traffic class of the IP header around it, of packets to N3.
    pub(crate) tos: u8,
}

impl Buffer {
    fn own(octets: usize) -> Self {
        Self::Own(vec![0; octets].into_boxed_slice())
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Own(octets) => octets,
            #[cfg(feature = "dpdk")]
            Self::OfPort(octets) => octets,
        }
    }
}

impl DerefMut for Buffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Own(octets) => octets,
            #[cfg(feature = "dpdk")]
            Self::OfPort(octets) => octets,
        }
    }
}

impl Packet {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::at_place(0)
    }

    /// Empty buffers of a burst.
    pub fn burst() -> Vec<Self> {
        (0..BURST).map(|number| Self::at_place(number % PLACES)).collect()
    }

    fn at_place(place: usize) -> Self {
        let first = HEADROOM + place * PLACE_OCTETS;
        Self {
            buffer: Buffer::own(first + PACKET_MAX),
            first,
            start: first,
            end: first,
            side: Side::Access,
            from: Peer::NOBODY,
            tos: 0,
        }
    }

    /// The packet becomes a frame that has come; of one without room in front its octets.
    #[cfg(feature = "dpdk")]
    #[inline]
    pub(crate) fn hold(&mut self, frame: tern_dpdk::Frame) {
        if frame.start < HEADROOM {
            return self.set(&frame);
        }
        (self.first, self.start, self.end) = (HEADROOM, frame.start, frame.start + frame.length);
        self.buffer = Buffer::OfPort(frame.buffer);
        self.tos = 0;
    }

    /// The frame that the packet has become, in the buffer that it came in, which the packet has no more; `None` if
    /// its octets were copied.
    #[cfg(feature = "dpdk")]
    #[inline]
    pub(crate) fn leave(&mut self) -> Option<tern_dpdk::Frame> {
        let Buffer::OfPort(_) = &self.buffer else { return None };
        let Buffer::OfPort(buffer) = std::mem::replace(&mut self.buffer, Buffer::Own(Box::default())) else {
            return None;
        };
        let frame = tern_dpdk::Frame { buffer, start: self.start, length: self.len() };
        (self.start, self.end) = (0, 0);
        Some(frame)
    }

    /// Says where the packet came from; the sender matters on N3.
    pub fn came(&mut self, side: Side, from: Peer) {
        (self.side, self.from) = (side, from);
    }

    /// The packet becomes these octets, cut to what fits.
    pub fn set(&mut self, bytes: &[u8]) {
        let length = bytes.len().min(PACKET_MAX);
        // One of a port has room for what its frames may be, and one that has left has none.
        if self.buffer.len() < self.first + length {
            self.buffer = Buffer::own(self.first + PACKET_MAX);
        }
        self.start = self.first;
        self.end = self.first + length;
        self.tos = 0;
        self.buffer[self.start..self.end].copy_from_slice(&bytes[..length]);
    }

    /// The packet becomes the End Marker of a tunnel that the other end knows by this TEID.
    pub(crate) fn set_end_marker(&mut self, teid: u32) {
        let mut marker = [0; 20];
        let length = tern_gtpu::end_marker(teid, None, &mut marker);
        self.set(&marker[..length]);
    }

    /// What is sent, or what was received.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Octets of what is sent, or of what was received.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// What is behind this many octets.
    #[inline]
    pub(crate) fn behind(&self, front: usize) -> &[u8] {
        self.bytes().get(front..).unwrap_or_default()
    }

    /// The same, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    /// Removes octets in front, and all behind `length` that then follow.
    #[inline]
    pub(crate) fn narrow(&mut self, front: usize, length: usize) {
        self.start = (self.start + front).min(self.end);
        self.end = (self.start + length).min(self.end);
    }

    /// Adds a header of `length` octets in front; `None` if there is no room.
    #[inline]
    pub(crate) fn prepend(&mut self, length: usize) -> Option<&mut [u8]> {
        let start = self.start.checked_sub(length)?;
        let end = self.start;
        self.start = start;
        Some(&mut self.buffer[start..end])
    }
}

impl Default for Packet {
    fn default() -> Self {
        Self::new()
    }
}
