//! Room for packets that wait, of each session and of all together.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many packets may wait, and octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) packets: usize,
    pub(crate) octets: usize,
}

/// The room of a UPF, which the buffers of its sessions share.
#[derive(Debug)]
pub(crate) struct Buffers {
    of_session: Room,
    of_all: Room,
    packets: AtomicUsize,
    octets: AtomicUsize,
}

impl Buffers {
    pub(crate) fn new(of_session: Room, of_all: Room) -> Self {
        Self { of_session, of_all, packets: AtomicUsize::new(0), octets: AtomicUsize::new(0) }
    }

    /// Takes room for a packet of a session that has so many packets and octets; false if there is none.
    pub(crate) fn take(&self, (packets, held): (usize, usize), octets: usize) -> bool {
        if packets >= self.of_session.packets || held + octets > self.of_session.octets {
            return false;
        }
        // Taken before it is compared: several workers never get more than there is.
        let packets = self.packets.fetch_add(1, Ordering::Relaxed) + 1;
        let all = self.octets.fetch_add(octets, Ordering::Relaxed) + octets;
        let room = packets <= self.of_all.packets && all <= self.of_all.octets;
        if !room {
            self.give_back(1, octets);
        }
        room
    }

    /// Gives room back.
    pub(crate) fn give_back(&self, packets: usize, octets: usize) {
        self.packets.fetch_sub(packets, Ordering::Relaxed);
        self.octets.fetch_sub(octets, Ordering::Relaxed);
    }
}
