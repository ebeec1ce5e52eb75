//! Buffers given back to their owner, and how a writer that waits for them is told.
//!
//! A ring with a slot for each buffer. Each buffer is given back once a life, and its next life begins
//! only after its owner has taken it in; so the ring is never full and needs no head that both sides
//! know. A peer that gives one back twice overwrites its own entries.
//!
//! Most buffers come back while nobody waits for them: the owner says in a word, `wanted`, when
//! somebody does. The writer sets it, then looks at the returns once more; the giver publishes, then
//! reads it. As in [`crate::sleep`], a fence on each side sees to it that one sees the other's write.

use crate::ring::Corrupt;
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// Where the words are. All are the giver's, but for the owner's `wanted`.
pub trait Storage {
    /// Entries published since the beginning, modulo 2^32.
    fn tail(&self) -> &AtomicU32;
    /// The entry at `index`, which is below the capacity.
    fn entry(&self, index: u32) -> &AtomicU64;
    /// Entries; a power of two.
    fn capacity(&self) -> u32;
}

/// The giver's private half.
#[derive(Debug, Default)]
pub struct Giver {
    tail: u32,
}

impl Giver {
    /// Publishes an entry. Never waits.
    pub fn give(&mut self, returns: &impl Storage, entry: u64) {
        returns.entry(self.tail & (returns.capacity() - 1)).store(entry, Ordering::Relaxed);
        self.tail = self.tail.wrapping_add(1);
        returns.tail().store(self.tail, Ordering::Release);
    }
}

/// The owner's private half.
#[derive(Debug, Default)]
pub struct Taker {
    taken: u32,
}

impl Taker {
    /// Whether nothing was given back beyond what was taken.
    pub fn is_empty(&self, returns: &impl Storage) -> bool {
        returns.tail().load(Ordering::Acquire) == self.taken
    }

    /// Takes the next entry. Never waits.
    pub fn take(&mut self, returns: &impl Storage) -> Result<Option<u64>, Corrupt> {
        let waiting = returns.tail().load(Ordering::Acquire).wrapping_sub(self.taken);
        if waiting == 0 {
            return Ok(None);
        }
        if waiting > returns.capacity() {
            return Err(Corrupt);
        }
        let entry = returns.entry(self.taken & (returns.capacity() - 1)).load(Ordering::Relaxed);
        self.taken = self.taken.wrapping_add(1);
        Ok(Some(entry))
    }
}

/// The owner says how many of its writers wait. It must look at the returns after this.
pub fn set_wanted(wanted: &AtomicU32, writers: u32) {
    wanted.store(writers, Ordering::Relaxed);
    fence(Ordering::SeqCst);
}

/// Call it after giving back: whether a writer waits, and so the owner is to be woken if it sleeps.
pub fn is_wanted(wanted: &AtomicU32) -> bool {
    fence(Ordering::SeqCst);
    wanted.load(Ordering::Relaxed) != 0
}
