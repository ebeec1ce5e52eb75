//! The boxes of a set, each at a number of its own.

use std::ops::{Index, IndexMut};

use crate::pdi::Rank;
use crate::region::Region;
use crate::simd::prefetch;

/// Boxes at numbers that stay. The number of one that went is given to another; till then its place is
/// not touched, since that would cost an update as much as all the rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Boxes {
    stored: Vec<Stored>,
    free: Vec<u32>,
}

#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Stored {
    pub(super) region: Region,
    /// Its partition; `None` if it has none or went.
    pub(super) partition: Option<u32>,
    /// Its number in its partition's [`Front`](crate::ranks::Front), if it has a partition.
    pub(super) front: u32,
    pub(super) rank: Rank,
}

impl Boxes {
    pub(super) const fn len(&self) -> usize {
        self.stored.len() - self.free.len()
    }

    /// Adds a box that has no partition yet, and gives its number.
    pub(super) fn insert(&mut self, rank: Rank, region: &Region) -> u32 {
        let Some(at) = self.free.pop() else {
            self.stored.push(Stored { region: region.clone(), partition: None, front: 0, rank });
            return self.stored.len() as u32 - 1;
        };
        let stored = &mut self[at];
        stored.region.clone_from(region);
        (stored.partition, stored.rank) = (None, rank);
        at
    }

    /// Brings near what a removal of the box needs.
    pub(super) fn approach(&self, at: u32) {
        let Stored { region, partition, .. } = &self[at];
        prefetch(&region.low);
        prefetch(partition);
    }

    /// Takes a box out that is in no partition.
    pub(super) fn remove(&mut self, at: u32) {
        debug_assert_eq!(self[at].partition, None);
        self.free.push(at);
    }
}

impl Index<u32> for Boxes {
    type Output = Stored;

    #[inline]
    fn index(&self, at: u32) -> &Stored {
        &self.stored[at as usize]
    }
}

impl IndexMut<u32> for Boxes {
    #[inline]
    fn index_mut(&mut self, at: u32) -> &mut Stored {
        &mut self.stored[at as usize]
    }
}
