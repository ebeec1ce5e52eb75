//! Going to sleep without missing what is published meanwhile.
//!
//! A sleeper makes its word odd, then looks at its rings once more, then sleeps. A producer
//! publishes, then looks at the word, then rings. The two fences between writing and reading order
//! them: at least one of the two sees the other's write. The word is a new one each time, so a
//! producer rings at most once for each sleep.

use crate::sync::{AtomicU32, Ordering, fence};

/// The sleeper sleeps, or is about to.
const ASLEEP: u32 = 1;
/// It sleeps on its event descriptor, not on the bells.
const ON_EVENT: u32 = 2;
const EPOCH: u32 = 4;

/// What a sleeper waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bed {
    /// A change of the producers' bells (futex).
    Bells,
    /// Its event descriptor, in somebody's epoll.
    Event,
}

/// The sleeper says that it goes to sleep. It must look at its rings after this, before it sleeps.
pub fn arm(word: &AtomicU32, bed: Bed) {
    let epoch = (word.load(Ordering::Relaxed) & !(EPOCH - 1)).wrapping_add(EPOCH);
    let bits = if bed == Bed::Event { ASLEEP | ON_EVENT } else { ASLEEP };
    word.store(epoch | bits, Ordering::Relaxed);
    fence(Ordering::SeqCst);
}

/// The sleeper says that it is awake.
pub fn disarm(word: &AtomicU32) {
    let awake = word.load(Ordering::Relaxed) & !(ASLEEP | ON_EVENT);
    word.store(awake, Ordering::Relaxed);
}

/// What a producer remembers of the sleep it rang into last. Shared by a process's threads.
#[derive(Debug, Default)]
pub struct Rung(AtomicU32);

impl Rung {
    /// Call it after publishing: whether the peer sleeps and nobody of us rang yet, and where.
    pub fn due(&self, word: &AtomicU32) -> Option<Bed> {
        fence(Ordering::SeqCst);
        let seen = word.load(Ordering::Relaxed);
        if seen & ASLEEP == 0 || self.0.swap(seen, Ordering::Relaxed) == seen {
            return None;
        }
        Some(if seen & ON_EVENT == 0 { Bed::Bells } else { Bed::Event })
    }

    /// Whether the owner of this word is awake, or on its way because of us.
    pub fn expects(&self, word: &AtomicU32) -> bool {
        let seen = word.load(Ordering::Relaxed);
        seen & ASLEEP == 0 || self.0.load(Ordering::Relaxed) == seen
    }
}
