//! What the threads of a process share of one pair: the memory, and how the peer is woken.

use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::net::SendFlags;

use crate::counters::{self, Counter};
use crate::memory;
use crate::region::{Regions, StatusPage};
use crate::returns::{self, Giver};
use crate::sleep::{Bed, Rung};
use crate::sync::Ordering;

/// The memory of a pair, and the peer's bed.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) regions: Regions,
    peer_page: StatusPage,
    /// The pair's socket, which is in the peer's event loop.
    pub(crate) socket: Arc<OwnedFd>,
    own_page: StatusPage,
    rung: Rung,
    returned: Mutex<Giver>,
    /// Which of the peer's buffers are here. Each is here once, which bounds what a peer can have
    /// waiting for our readers, whatever it sends.
    held: Box<[AtomicBool]>,
}

impl Link {
    pub(crate) fn new(
        regions: Regions,
        peer_page: StatusPage,
        socket: Arc<OwnedFd>,
        own_page: StatusPage,
    ) -> Self {
        let held = (0..regions.shape.buffers).map(|_| AtomicBool::new(false)).collect();
        let (rung, returned) = (Rung::default(), Mutex::default());
        Self { regions, peer_page, socket, own_page, rung, returned, held }
    }

    /// Takes a buffer of the peer's, unless it is here already.
    pub(crate) fn hold(&self, index: u32) -> bool {
        !self.held[index as usize].swap(true, Ordering::Relaxed)
    }

    /// Gives back whatever it is.
    #[cfg(test)]
    pub(crate) fn forge_return(&self, entry: u64) {
        let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        returned.give(&self.regions.returns_out(), entry);
    }

    /// How many of the peer's buffers are here.
    #[cfg(test)]
    pub(crate) fn held_count(&self) -> usize {
        self.held.iter().filter(|held| held.load(Ordering::Relaxed)).count()
    }

    /// Wakes the peer if it sleeps. Call it after publishing.
    pub(crate) fn ring(&self) {
        let Some(bed) = self.rung.due(self.peer_page.word()) else { return };
        counters::add(&self.own_page, Counter::Rung, 1);
        match bed {
            Bed::Bells => {
                self.regions.own_bell().fetch_add(1, Ordering::Release);
                memory::wake(self.regions.own_bell());
            }
            Bed::Event => {
                // By the pair's own socket, and told not to wait with the call: a descriptor of which
                // other processes have copies could be emptied, filled or made blocking by any of
                // them. A full one is the peer's own doing.
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                let _ = rustix::net::send(&*self.socket, &[0], flags);
            }
        }
    }

    /// Whether the peer runs, or wakes up from our ring, on another processor than this thread.
    pub(crate) fn peer_runs_elsewhere(&self, cpu: u32) -> bool {
        self.rung.expects(self.peer_page.word()) && self.peer_page.cpu().load(Ordering::Relaxed) != cpu
    }

    /// Gives one of the peer's buffers back, and wakes the peer if it waits for one.
    fn give_back(&self, index: u32, generation: u32) {
        self.held[index as usize].store(false, Ordering::Relaxed);
        let entry = u64::from(generation) << 32 | u64::from(index);
        let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        returned.give(&self.regions.returns_out(), entry);
        drop(returned);
        if returns::is_wanted(self.regions.peer_wanted()) {
            self.ring();
        }
    }
}

/// Octets of one message, where the sender put them. Dropping it gives the buffer back.
///
/// The sender can change them at any time: they are copied or read once, and only what was copied is
/// judged. There is no `&[u8]` of them for that reason.
#[derive(Debug)]
pub struct SharedBytes {
    link: Arc<Link>,
    index: u32,
    generation: u32,
    start: u32,
    end: u32,
}

impl SharedBytes {
    /// A message that the receiver's book has accepted.
    pub(crate) fn new(link: Arc<Link>, index: u32, generation: u32, len: u32) -> Self {
        Self { link, index, generation, start: 0, end: len }
    }

    /// Whether it came over this link.
    #[cfg(test)]
    pub(crate) fn is_of(&self, link: &Arc<Link>) -> bool {
        Arc::ptr_eq(&self.link, link)
    }

    /// Octets left.
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Copies the next octets out and moves on; how many fitted.
    pub fn copy_to(&mut self, into: &mut [u8]) -> usize {
        let n = self.len().min(into.len());
        self.link.regions.read(self.index, self.start as usize, &mut into[..n]);
        self.start += n as u32;
        n
    }

    /// Copies all that is left to the end of `into`.
    pub fn append_to(&mut self, into: &mut Vec<u8>) {
        let at = into.len();
        into.resize(at + self.len(), 0);
        self.copy_to(&mut into[at..]);
    }
}

impl Drop for SharedBytes {
    fn drop(&mut self) {
        self.link.give_back(self.index, self.generation);
    }
}
