//! The memory between two stacks: two regions, each written by its owner and read by the other.
//!
//! A region holds all that its owner writes for this peer: the descriptor ring and its tail, the head
//! of the other direction's ring, the buffers given back, the bell, and its own buffers. Besides,
//! each stack has one page that all its peers read: its sleep word, its processor and its counters.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::descriptor::WORDS;
use crate::memory::{self, Mapping};
use crate::pool::Ticket;
use crate::returns;
use crate::ring::Storage;
use crate::sync::{AtomicU32, AtomicU64};

/// What a pool is made of, the same on both sides of a pair; the manager's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolShape {
    /// Buffers of each direction of each pair.
    pub buffers: u32,
    /// Octets of a buffer.
    pub buffer_size: u32,
}

impl Default for PoolShape {
    fn default() -> Self {
        Self { buffers: 1024, buffer_size: 4096 }
    }
}

/// Bounds of [`PoolShape`], both powers of two: 4 GiB a direction at most.
const BUFFERS: (u32, u32) = (4, 1 << 16);
const BUFFER_SIZE: (u32, u32) = (64, 1 << 16);

/// First octets of a region and of a page: not a number that stands anywhere by chance.
const MAGIC: u64 = u64::from_be_bytes(*b"ternshm1");
const PAGE: usize = 4096;

// A cache line each: what one side writes often does not share a line with what the other polls.
const TAIL: usize = 64;
const HEAD: usize = 128;
const RETURN_TAIL: usize = 192;
const BELL: usize = 256;
const WANTED: usize = 320;

impl PoolShape {
    /// Whether it is within bounds.
    pub fn is_valid(&self) -> bool {
        let within =
            |value: u32, (min, max): (u32, u32)| (min..=max).contains(&value) && value.is_power_of_two();
        within(self.buffers, BUFFERS) && within(self.buffer_size, BUFFER_SIZE)
    }

    /// As many again as there are buffers: for what connections say besides data. Each has at most
    /// three things to say, and there are at most a quarter as many as buffers.
    fn ring_slots(&self) -> u32 {
        2 * self.buffers
    }

    fn ring_at(&self) -> usize {
        PAGE
    }

    fn returns_at(&self) -> usize {
        self.ring_at() + self.ring_slots() as usize * WORDS * 8
    }

    fn buffers_at(&self) -> usize {
        (self.returns_at() + self.buffers as usize * 8).next_multiple_of(PAGE)
    }

    fn region_len(&self) -> usize {
        self.buffers_at() + self.buffers as usize * self.buffer_size as usize
    }

    fn buffer_at(&self, index: u32) -> usize {
        self.buffers_at() + index as usize * self.buffer_size as usize
    }
}

/// Both regions of a pair.
#[derive(Debug)]
pub(crate) struct Regions {
    pub(crate) shape: PoolShape,
    own: Mapping,
    peer: Mapping,
}

/// Our region before the peer's is here.
#[derive(Debug)]
pub(crate) struct OwnRegion {
    shape: PoolShape,
    mapping: Mapping,
}

impl OwnRegion {
    /// Makes a region; the descriptor is for the peer.
    pub(crate) fn create(shape: PoolShape) -> io::Result<(Self, OwnedFd)> {
        let (mapping, file) = memory::create("sbi-shm", shape.region_len())?;
        mapping.u64(0).store(MAGIC, std::sync::atomic::Ordering::Relaxed);
        Ok((Self { shape, mapping }, file))
    }

    /// Joins it with the peer's, after checking that one.
    pub(crate) fn join(self, peer: &OwnedFd) -> io::Result<Regions> {
        let peer = memory::open(peer, self.shape.region_len())?;
        check_magic(&peer)?;
        Ok(Regions { shape: self.shape, own: self.mapping, peer })
    }
}

fn check_magic(mapping: &Mapping) -> io::Result<()> {
    if mapping.u64(0).load(std::sync::atomic::Ordering::Relaxed) == MAGIC {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a peer's memory is of another version"))
}

impl Regions {
    /// The ring that we produce into.
    pub(crate) fn outbound(&self) -> Ring<'_> {
        Ring { producer: &self.own, consumer: &self.peer, shape: self.shape }
    }

    /// The ring that we consume.
    pub(crate) fn inbound(&self) -> Ring<'_> {
        Ring { producer: &self.peer, consumer: &self.own, shape: self.shape }
    }

    /// The buffers that we give back.
    pub(crate) fn returns_out(&self) -> Returns<'_> {
        Returns { producer: &self.own, shape: self.shape }
    }

    /// The buffers that the peer gives back.
    pub(crate) fn returns_in(&self) -> Returns<'_> {
        Returns { producer: &self.peer, shape: self.shape }
    }

    /// The bell that we ring for the peer.
    pub(crate) fn own_bell(&self) -> &AtomicU32 {
        self.own.u32(BELL)
    }

    /// The bell that the peer rings for us.
    pub(crate) fn peer_bell(&self) -> &AtomicU32 {
        self.peer.u32(BELL)
    }

    /// Not zero while a writer of ours waits for buffers to come back.
    pub(crate) fn own_wanted(&self) -> &AtomicU32 {
        self.own.u32(WANTED)
    }

    /// Not zero while a writer of the peer's waits.
    pub(crate) fn peer_wanted(&self) -> &AtomicU32 {
        self.peer.u32(WANTED)
    }

    /// Copies octets out of a buffer of the peer's; index and length were judged before.
    pub(crate) fn read(&self, index: u32, offset: usize, into: &mut [u8]) {
        self.peer.read(self.shape.buffer_at(index) + offset, into);
    }

    /// Copies octets into a buffer of ours.
    pub(crate) fn write(&self, ticket: &Ticket, offset: usize, from: &[u8]) {
        assert!(offset + from.len() <= self.shape.buffer_size as usize, "invariant: within the buffer");
        self.own.write(self.shape.buffer_at(ticket.index) + offset, from);
    }

    /// A buffer of ours to write in place.
    pub(crate) fn slice_mut<'a>(&'a self, ticket: &'a mut Ticket, len: usize) -> &'a mut [u8] {
        assert!(len <= self.shape.buffer_size as usize, "invariant: within the buffer");
        let at = self.shape.buffer_at(ticket.index);
        self.own.slice_mut(ticket, at, len)
    }
}

/// A descriptor ring.
pub(crate) struct Ring<'a> {
    producer: &'a Mapping,
    consumer: &'a Mapping,
    shape: PoolShape,
}

impl Storage for Ring<'_> {
    fn tail(&self) -> &AtomicU32 {
        self.producer.u32(TAIL)
    }

    fn head(&self) -> &AtomicU32 {
        self.consumer.u32(HEAD)
    }

    fn word(&self, index: u32, word: usize) -> &AtomicU64 {
        self.producer.u64(self.shape.ring_at() + (index as usize * WORDS + word) * 8)
    }

    fn capacity(&self) -> u32 {
        self.shape.ring_slots()
    }
}

/// A ring of buffers given back: index in the low half of a word, generation in the high one.
pub(crate) struct Returns<'a> {
    producer: &'a Mapping,
    shape: PoolShape,
}

impl returns::Storage for Returns<'_> {
    fn tail(&self) -> &AtomicU32 {
        self.producer.u32(RETURN_TAIL)
    }

    fn entry(&self, index: u32) -> &AtomicU64 {
        self.producer.u64(self.shape.returns_at() + index as usize * 8)
    }

    fn capacity(&self) -> u32 {
        self.shape.buffers
    }
}

/// The page of a stack, which all its peers and the manager read.
#[derive(Debug, Clone)]
pub(crate) struct StatusPage(Arc<Mapping>);

/// Offsets of the page's words.
const WORD: usize = 64;
const CPU: usize = 128;
const COUNTERS: usize = 256;

impl StatusPage {
    /// Makes one; the descriptor is for peers.
    pub(crate) fn create() -> io::Result<(Self, OwnedFd)> {
        let (mapping, file) = memory::create("sbi-shm-status", PAGE)?;
        mapping.u64(0).store(MAGIC, std::sync::atomic::Ordering::Relaxed);
        Ok((Self(Arc::new(mapping)), file))
    }

    /// A peer's.
    pub(crate) fn open(file: &OwnedFd) -> io::Result<Self> {
        let mapping = memory::open(file, PAGE)?;
        check_magic(&mapping)?;
        Ok(Self(Arc::new(mapping)))
    }

    /// The sleep word.
    pub(crate) fn word(&self) -> &AtomicU32 {
        self.0.u32(WORD)
    }

    /// The processor that the stack ran on last.
    pub(crate) fn cpu(&self) -> &AtomicU32 {
        self.0.u32(CPU)
    }

    /// A counter.
    pub(crate) fn counter(&self, number: usize) -> &AtomicU64 {
        assert!(COUNTERS + number * 8 < self.0.len(), "invariant: few counters");
        self.0.u64(COUNTERS + number * 8)
    }
}
