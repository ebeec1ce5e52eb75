//! One partition: the order of its tree, and the best rank in it.

use smallvec::SmallVec;

use super::REORDER_MAX;
use super::boxes::{Boxes, Stored};
use super::fields::{Order, order_of_all};
use super::tree::Trees;
use crate::pdi::Rank;
use crate::ranks::Front;
use crate::region::Region;

#[derive(Clone, Debug)]
pub(super) struct Partition {
    /// Its place among the partitions and the trees.
    place: u32,
    order: Order,
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
    pub(super) fn new(
        place: u32,
        order: Order,
        members: (u32, &[u32]),
        boxes: &mut Boxes,
        trees: &mut Trees,
    ) -> Self {
        let (first, others) = members;
        trees.plant(place as usize, first);
        let mut partition = Self {
            place,
            order,
            front: Front::default(),
            best: None,
            members: SmallVec::new(),
            len: 0,
            begun: 0,
        };
        partition.count(first, boxes);
        for &at in others {
            let sorted = partition.insert(at, boxes, trees);
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

    /// Adds a box, unless the order does not sort it.
    pub(super) fn insert(&mut self, at: u32, boxes: &mut Boxes, trees: &mut Trees) -> bool {
        let inserted = trees.tree(self.place as usize, &self.order).insert(at, boxes);
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
    pub(super) fn reorder(&mut self, at: u32, boxes: &mut Boxes, trees: &mut Trees) -> bool {
        // Once it has been larger, not all its boxes are known here.
        if self.len > REORDER_MAX || self.members.len() != self.len {
            return false;
        }
        let mut all: SmallVec<[u32; REORDER_MAX + 1]> = self.members.iter().copied().collect();
        all.push(at);
        let regions: SmallVec<[&Region; REORDER_MAX + 1]> = all.iter().map(|&at| &boxes[at].region).collect();
        let Some(order) = order_of_all(&regions) else { return false };
        drop(regions);
        let sorted = trees.regrow(self.place as usize, &order, boxes, &all);
        if sorted {
            self.order = order;
            self.count(at, boxes);
        }
        sorted
    }

    /// Takes a box out.
    pub(super) fn remove(&mut self, at: u32, boxes: &Boxes, trees: &mut Trees) {
        let Stored { rank, front, .. } = boxes[at];
        self.front.approach(front);
        trees.tree(self.place as usize, &self.order).remove(at, boxes);
        self.members.retain(|member| *member != at);
        self.len -= 1;
        self.front.take(front);
        if self.best == Some(rank) {
            self.best = (self.len > 0).then(|| self.front.best());
        }
    }
}
