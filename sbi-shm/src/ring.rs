//! A ring for one producer and one consumer, which may be two processes.
//!
//! Each side keeps its own index to itself and publishes a copy; what it reads of the other side is
//! hostile input, checked before it is used. Slots are words that are read and written once, so a
//! peer that writes when it should not gives a wrong slot, never undefined behaviour.
//!
//! The algorithm does not know where the words are ([`Storage`]): shared memory in production, the
//! model checker's in `tests/loom.rs`.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Where the words of a ring are. `tail` and the slots are the producer's, `head` is the consumer's.
pub trait Storage {
    /// Slots published since the beginning, modulo 2^32.
    fn tail(&self) -> &AtomicU32;
    /// Slots consumed since the beginning, modulo 2^32.
    fn head(&self) -> &AtomicU32;
    /// A word of the slot at `index`, which is below the capacity.
    fn word(&self, index: u32, word: usize) -> &AtomicU64;
    /// Slots; a power of two.
    fn capacity(&self) -> u32;
}

/// The other side's index makes no sense: it is broken or hostile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt;

/// Why a slot was not pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotPushed {
    /// Every slot is taken.
    Full,
    /// The consumer's index makes no sense.
    Corrupt,
}

/// The producer's private half of a ring with slots of `W` words.
#[derive(Debug, Default)]
pub struct Producer<const W: usize> {
    tail: u32,
    /// The consumer's index when last read.
    head: u32,
}

impl<const W: usize> Producer<W> {
    /// Publishes a slot. Never waits.
    pub fn push(&mut self, ring: &impl Storage, slot: &[u64; W]) -> Result<(), NotPushed> {
        if self.tail.wrapping_sub(self.head) >= ring.capacity() {
            let head = ring.head().load(Ordering::Acquire);
            let used = self.tail.wrapping_sub(head);
            if used > ring.capacity() {
                return Err(NotPushed::Corrupt);
            }
            self.head = head;
            if used == ring.capacity() {
                return Err(NotPushed::Full);
            }
        }
        let index = self.tail & (ring.capacity() - 1);
        for (word, value) in slot.iter().enumerate() {
            ring.word(index, word).store(*value, Ordering::Relaxed);
        }
        self.tail = self.tail.wrapping_add(1);
        ring.tail().store(self.tail, Ordering::Release);
        Ok(())
    }
}

/// The consumer's private half.
#[derive(Debug, Default)]
pub struct Consumer<const W: usize> {
    head: u32,
    /// The producer's index when last read.
    tail: u32,
}

impl<const W: usize> Consumer<W> {
    /// Whether nothing is published beyond what was popped.
    pub fn is_empty(&self, ring: &impl Storage) -> bool {
        self.head == self.tail && self.head == ring.tail().load(Ordering::Acquire)
    }

    /// Takes the next slot. Never waits.
    pub fn pop(&mut self, ring: &impl Storage) -> Result<Option<[u64; W]>, Corrupt> {
        if self.head == self.tail {
            let tail = ring.tail().load(Ordering::Acquire);
            if tail.wrapping_sub(self.head) > ring.capacity() {
                return Err(Corrupt);
            }
            self.tail = tail;
            if tail == self.head {
                return Ok(None);
            }
        }
        let index = self.head & (ring.capacity() - 1);
        let slot = std::array::from_fn(|word| ring.word(index, word).load(Ordering::Relaxed));
        self.head = self.head.wrapping_add(1);
        ring.head().store(self.head, Ordering::Release);
        Ok(Some(slot))
    }
}
