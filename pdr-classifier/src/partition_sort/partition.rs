//! One partition: its tree, and the best rank in it.

use smallvec::SmallVec;

use super::REORDER_MAX;
use super::boxes::{Boxes, Stored};
use super::fields::{Order, order_of_all};
use super::tree::Tree;
use crate::key::Key;
use crate::pdi::Rank;
use crate::ranks::Front;
use crate::region::Region;
use crate::simd::Compare;

#[derive(Clone, Debug)]
pub(super) struct Partition {
    tree: Tree,
    front: Front,
    best: Option<Rank>,
    /// All its boxes while they are few enough to be sorted anew.
    members: SmallVec<[u32; REORDER_MAX]>,
    len: usize,
    /// The boxes that it began with.
    begun: usize,
}

impl Partition {
    /// A partition of these boxes, one at least, which the order sorts; they are in order in its first
    /// lane, so that each goes behind the last and nothing is moved.
    pub(super) fn new(order: Order, first: u32, others: &[u32], boxes: &mut Boxes) -> Self {
        let tree = Tree::new(order, first);
        let mut partition =
            Self { tree, front: Front::default(), best: None, members: SmallVec::new(), len: 0, begun: 0 };
        partition.count(first, boxes);
        for &at in others {
            let sorted = partition.insert(at, boxes);
            debug_assert!(sorted, "the order sorts all");
        }
        partition.begun = partition.len;
        partition
    }

    pub(super) const fn begun(&self) -> usize {
        self.begun
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn best(&self) -> Option<Rank> {
        self.best
    }

    /// All boxes, in no order.
    pub(super) fn boxes(&self) -> Vec<u32> {
        self.tree.boxes()
    }

    #[inline(always)]
    pub(super) fn find(&self, key: &Key, boxes: &Boxes, compare: impl Compare) -> Option<Rank> {
        self.tree.find(key, boxes, compare)
    }

    /// Adds a box, unless the order does not sort it.
    pub(super) fn insert(&mut self, at: u32, boxes: &mut Boxes) -> bool {
        let inserted = self.tree.insert(at, boxes);
        if inserted {
            self.count(at, boxes);
        }
        inserted
    }

    fn count(&mut self, at: u32, boxes: &mut Boxes) {
        let stored = &mut boxes[at];
        let rank = stored.rank;
        stored.front = self.front.add(rank);
        self.best = Some(self.best.map_or(rank, |best| best.min(rank)));
        self.len += 1;
        if self.len <= REORDER_MAX {
            self.members.push(at);
        }
    }

    /// Sorts the partition anew in an order that takes the box too, if it is small and there is one.
    pub(super) fn reorder(&mut self, at: u32, boxes: &mut Boxes) -> bool {
        // Once it has been larger, not all its boxes are known here.
        if self.len > REORDER_MAX || self.members.len() != self.len {
            return false;
        }
        let all = self.members.iter().chain(std::iter::once(&at));
        let regions: SmallVec<[&Region; REORDER_MAX + 1]> = all.map(|&at| &boxes[at].region).collect();
        let Some(order) = order_of_all(&regions) else { return false };
        drop(regions);
        let mut tree = Tree::new(order, at);
        let sorted = self.members.iter().all(|&at| tree.insert(at, boxes));
        debug_assert!(sorted, "the order sorts all");
        if sorted {
            self.tree = tree;
            self.count(at, boxes);
        }
        sorted
    }

    /// Takes a box out.
    pub(super) fn remove(&mut self, at: u32, boxes: &Boxes) {
        let Stored { rank, front, .. } = boxes[at];
        self.front.approach(front);
        self.tree.remove(at, boxes);
        self.members.retain(|member| *member != at);
        self.len -= 1;
        self.front.take(front);
        if self.best == Some(rank) {
            self.best = (self.len > 0).then(|| self.front.best());
        }
    }
}
