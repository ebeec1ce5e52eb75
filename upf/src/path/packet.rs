//! A packet in a buffer with room in front, so that a header is added without copying.

use super::Peer;

use crate::io::BURST;

/// Room in front of a received packet.
pub(crate) const HEADROOM: usize = 64;
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

/// One packet and where it came from.
#[derive(Debug)]
pub struct Packet {
    buffer: Box<[u8]>,
    /// Where a received packet begins.
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
            buffer: vec![0; first + PACKET_MAX].into_boxed_slice(),
            first,
            start: first,
            end: first,
            side: Side::Access,
            from: Peer::NOBODY,
            tos: 0,
        }
    }

    /// Says where the packet came from; the sender matters on N3.
    pub fn came(&mut self, side: Side, from: Peer) {
        (self.side, self.from) = (side, from);
    }

    /// The packet becomes these octets, cut to what fits.
    pub fn set(&mut self, bytes: &[u8]) {
        let length = bytes.len().min(PACKET_MAX);
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
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
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
