//! The ranks of the boxes in one table or partition, for the best of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::pdi::Rank;

/// A multiset: boxes of one rule share a rank.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranks {
    counts: BTreeMap<Rank, usize>,
}

impl Ranks {
    pub(crate) fn add(&mut self, rank: Rank) {
        *self.counts.entry(rank).or_default() += 1;
    }

    pub(crate) fn take(&mut self, rank: Rank) {
        if let Some(count) = self.counts.get_mut(&rank) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&rank);
            }
        }
    }

    pub(crate) fn best(&self) -> Option<Rank> {
        self.counts.first_key_value().map(|(&rank, _)| rank)
    }
}

/// Boxes by rank, for the best of them. A box that went stays until it comes to the front or more boxes
/// than not are gone, so that a box comes and goes without a search.
#[derive(Clone, Debug, Default)]
pub(crate) struct Front {
    heap: BinaryHeap<Reverse<(Rank, u32)>>,
}

impl Front {
    /// With fewer entries than this the gone are not worth a sweep.
    const SWEEP: usize = 16;

    pub(crate) fn add(&mut self, rank: Rank, at: u32) {
        self.heap.push(Reverse((rank, at)));
    }

    /// The best rank of those that are there; `len` boxes are.
    pub(crate) fn best(&mut self, len: usize, is_there: impl Fn(Rank, u32) -> bool) -> Option<Rank> {
        if self.heap.len() > 2 * len + Self::SWEEP {
            self.heap.retain(|&Reverse((rank, at))| is_there(rank, at));
        }
        while let Some(&Reverse((rank, at))) = self.heap.peek() {
            if is_there(rank, at) {
                return Some(rank);
            }
            self.heap.pop();
        }
        None
    }
}

/// What is searched in turn, by the best rank in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SearchOrder {
    places: Vec<(Rank, u32)>,
}

impl SearchOrder {
    /// Moves a place from where its old best rank had it to where the new one has it; `None` is
    /// nowhere.
    pub(crate) fn change(&mut self, place: u32, old: Option<Rank>, new: Option<Rank>) {
        if old == new {
            return;
        }
        if let Some(old) = old
            && let Ok(at) = self.places.binary_search(&(old, place))
        {
            self.places.remove(at);
        }
        if let Some(new) = new
            && let Err(at) = self.places.binary_search(&(new, place))
        {
            self.places.insert(at, (new, place));
        }
    }

    /// The lowest rank below the bound that `find` gives, without a look at places that cannot have a
    /// lower one.
    #[inline(always)]
    pub(crate) fn search(&self, below: Option<Rank>, find: impl Fn(usize) -> Option<Rank>) -> Option<Rank> {
        let mut best: Option<Rank> = None;
        for &(first, place) in &self.places {
            if best.or(below).is_some_and(|bound| bound <= first) {
                break;
            }
            if let Some(rank) = find(place as usize)
                && best.or(below).is_none_or(|bound| rank < bound)
            {
                best = Some(rank);
            }
        }
        best
    }

    /// The lowest rank of all places.
    pub(crate) fn first(&self) -> Option<Rank> {
        self.places.first().map(|&(first, _)| first)
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = usize> + '_ {
        self.places.iter().map(|&(_, place)| place as usize)
    }
}
