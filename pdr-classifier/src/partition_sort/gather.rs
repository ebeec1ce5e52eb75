//! Partitions of many boxes only: boxes are scanned until enough of them make one.
//!
//! A partition costs a lookup about as much as the scan of a few blocks, so one of a few boxes slows
//! lookups down. A set made to need a partition for each rule is scanned as a whole.

use super::PartitionSort;
use crate::simd::BLOCK;

/// The most boxes that are looked at when a new partition is tried: a bound for what one update costs.
pub const GATHER_MAX: usize = 512;

/// After a trial at least so many boxes have come to the scan before the next.
pub const GATHER_UPDATES_MIN: usize = 256;

/// A partition is given up when this fraction of the boxes that make one is left, or of those that it
/// began with, if these were fewer.
const KEPT_FRACTION: usize = 2;

#[derive(Clone, Debug)]
pub(super) struct Gathering {
    /// The fewest boxes of a new partition.
    boxes_min: usize,
    /// Boxes that came to the scan since the last trial.
    waited: usize,
    /// The block of the scan where the next trial begins.
    next: usize,
}

impl Gathering {
    pub(super) const fn new(boxes_min: usize) -> Self {
        Self { boxes_min, waited: GATHER_UPDATES_MIN, next: 0 }
    }

    /// A box has come to the scan.
    pub(super) const fn wait(&mut self) {
        self.waited = self.waited.saturating_add(1);
    }
}

impl PartitionSort {
    /// Moves boxes from the scan to the partitions or into a new one, if it is time for that.
    ///
    /// What a trial costs is bounded, and as there are at least [`GATHER_UPDATES_MIN`] boxes from one to
    /// the next, so is an update's share of it.
    pub(super) fn gather(&mut self) {
        let scanned = self.overflow.len();
        let Some(gathering) = &mut self.gathering else { return };
        // More are looked for than are needed: not all of them will fit.
        let due = gathering.waited >= GATHER_UPDATES_MIN && scanned >= 2 * gathering.boxes_min;
        if !due {
            return;
        }
        gathering.waited = 0;
        let boxes_min = gathering.boxes_min;
        // Each trial goes on where the last one ended; the end of the scan is looked at as a whole, too.
        let last = self.overflow.blocks().saturating_sub(GATHER_MAX / BLOCK);
        let first = if gathering.next > last + GATHER_MAX / BLOCK { 0 } else { gathering.next.min(last) };
        gathering.next = first + GATHER_MAX / BLOCK + 1;
        let looked_at: Vec<_> = self.overflow.places_from(first).take(GATHER_MAX).collect();
        let mut rest = Vec::with_capacity(looked_at.len());
        for place in looked_at {
            if self.adopt(place.1) {
                self.overflow.remove(place);
            } else {
                rest.push(place.1);
            }
        }
        if self.extract(&rest, boxes_min) {
            for at in rest {
                let stored = &self.boxes[at];
                if stored.partition.is_some() {
                    self.overflow.remove((stored.rank, at));
                }
            }
        }
    }

    /// Gives up a partition that has become small.
    pub(super) fn dissolve(&mut self, place: u32) {
        let Some(gathering) = &self.gathering else { return };
        let partition = &self.partitions[place as usize];
        if partition.len() * KEPT_FRACTION > gathering.boxes_min.min(partition.begun()) {
            return;
        }
        let partition = self.partitions.remove(place as usize);
        self.order.change(place, partition.best(), None);
        for at in self.trees.clear(place as usize) {
            let stored = &mut self.boxes[at];
            stored.partition = None;
            self.overflow.insert((stored.rank, at), &stored.region);
        }
    }
}
