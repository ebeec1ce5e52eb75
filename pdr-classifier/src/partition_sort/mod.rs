//! PartitionSort: a few trees, each of boxes that one order of lanes sorts.

mod fields;
mod tree;

use std::collections::HashMap;

use slab::Slab;
use smallvec::SmallVec;

use crate::blocks::Blocks;
use crate::classifier::{Classifier, check_admits};
use crate::error::InsertError;
use crate::expand::Rule;
use crate::key::Key;
use crate::pdi::{PdrId, Rank};
use crate::ranks::{Ranks, SearchOrder};
use crate::region::Region;
use fields::{by_specificity, order_of_all, select};
use tree::Tree;

/// The most partitions. Boxes that none of them takes are scanned as [`BlockedScan`](crate::BlockedScan)
/// does it, so that a set made to need a partition for each rule costs no more than that beyond these.
pub const PARTITIONS_MAX: usize = 64;

/// Up to this many boxes a partition may find another order when its own does not sort a new box.
pub const REORDER_MAX: usize = 10;

/// PartitionSort, with a partition's lanes branched on only where its rules differ.
#[derive(Clone, Debug, Default)]
pub struct PartitionSort {
    boxes: Boxes,
    partitions: Slab<Partition>,
    order: SearchOrder,
    /// Boxes that no partition takes, lowest rank first.
    overflow: Blocks,
    rules: HashMap<PdrId, (Rank, SmallVec<[u32; 2]>)>,
}

type Boxes = Slab<Stored>;

#[derive(Clone, Debug)]
struct Stored {
    rank: Rank,
    region: Region,
    /// Its partition; `None` in the overflow.
    partition: Option<u32>,
}

#[derive(Clone, Debug)]
struct Partition {
    tree: Tree,
    ranks: Ranks,
    /// All its boxes while they are few enough to be sorted anew.
    members: SmallVec<[u32; REORDER_MAX]>,
    len: usize,
}

impl PartitionSort {
    /// A set without rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// A set of these rules, partitioned with all of them in view: better than one rule after the
    /// other, and slower.
    pub fn build<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Result<Self, InsertError> {
        let mut set = Self::new();
        let mut rest = Vec::new();
        for rule in rules {
            rest.extend(set.register(rule)?);
        }
        while !rest.is_empty() && set.partitions.len() < PARTITIONS_MAX {
            let regions: Vec<&Region> = rest.iter().map(|&at| &set.boxes[at as usize].region).collect();
            let (order, kept) = select(&regions);
            let mut kept: Vec<u32> = kept.iter().map(|&place| rest[place]).collect();
            // Sorted, each goes behind the last: nothing is moved.
            let first = usize::from(order[0]);
            kept.sort_by_key(|&at| set.boxes[at as usize].region.low[first]);
            set.partition(order, &kept);
            rest.retain(|&at| set.boxes[at as usize].partition.is_none());
        }
        for at in rest {
            set.place(at);
        }
        Ok(set)
    }

    /// The number of partitions: what a lookup that finds nothing searches.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// The number of boxes that are scanned, since no partition takes them.
    pub fn overflow(&self) -> usize {
        self.overflow.len()
    }

    /// The rules as they were inserted, in no order.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        let region = |&at: &u32| self.boxes[at as usize].region.clone();
        let rule = |&(rank, ref places): &(Rank, SmallVec<[u32; 2]>)| Rule {
            rank,
            regions: places.iter().map(region).collect(),
        };
        self.rules.values().map(rule).collect()
    }

    /// Stores a rule's boxes, in no partition yet.
    fn register(&mut self, rule: &Rule) -> Result<SmallVec<[u32; 2]>, InsertError> {
        check_admits(&self.rules, self.boxes.len(), rule)?;
        let store = |region: &Region| {
            let stored = Stored { rank: rule.rank(), region: region.clone(), partition: None };
            self.boxes.insert(stored) as u32
        };
        let places: SmallVec<[u32; 2]> = rule.regions.iter().map(store).collect();
        self.rules.insert(rule.id(), (rule.rank(), places.clone()));
        Ok(places)
    }

    /// Makes a partition of boxes that the order sorts.
    fn partition(&mut self, order: fields::Order, members: &[u32]) {
        let Some(&first) = members.first() else { return };
        let partition = self.partitions.insert(Partition::new(order, first, &self.boxes));
        self.adopt(partition, first, None);
        for &at in &members[1..] {
            let best = self.partitions[partition].ranks.best();
            if self.partitions[partition].insert(at, &self.boxes) {
                self.adopt(partition, at, best);
            }
        }
    }

    /// Records that the partition, whose best rank was this, has the box.
    fn adopt(&mut self, partition: usize, at: u32, best: Option<Rank>) {
        self.boxes[at as usize].partition = Some(partition as u32);
        self.order.change(partition as u32, best, self.partitions[partition].ranks.best());
    }

    /// Puts a stored box into the first partition that takes it.
    fn place(&mut self, at: u32) {
        let boxes = &self.boxes;
        let taken = self.order.places().find_map(|place| {
            let partition = &mut self.partitions[place];
            let best = partition.ranks.best();
            (partition.insert(at, boxes) || partition.reorder(at, boxes)).then_some((place, best))
        });
        if let Some((partition, best)) = taken {
            self.adopt(partition, at, best);
        } else if self.partitions.len() < PARTITIONS_MAX {
            let order = by_specificity(&self.boxes[at as usize].region);
            self.partition(order, &[at]);
        } else {
            let Stored { rank, ref region, .. } = self.boxes[at as usize];
            self.overflow.insert((rank, at), region);
        }
    }

    /// Takes a box out of its partition or of the overflow.
    fn displace(&mut self, at: u32) {
        let Stored { rank, partition, .. } = self.boxes[at as usize];
        let Some(place) = partition else {
            self.overflow.remove((rank, at));
            return;
        };
        let partition = &mut self.partitions[place as usize];
        let best = partition.ranks.best();
        partition.remove(at, &self.boxes);
        let left = partition.ranks.best();
        self.order.change(place, best, left);
        if left.is_none() {
            self.partitions.remove(place as usize);
        }
    }

    /// Gives the first box of the overflow a partition, if there is room for one again.
    fn relieve(&mut self) {
        if self.partitions.len() < PARTITIONS_MAX
            && let Some((rank, at)) = self.overflow.first()
        {
            self.overflow.remove((rank, at));
            self.place(at);
        }
    }
}

impl Partition {
    fn new(order: fields::Order, at: u32, boxes: &Boxes) -> Self {
        let rank = boxes[at as usize].rank;
        let mut ranks = Ranks::default();
        ranks.add(rank);
        Self { tree: Tree::new(order, rank, at), ranks, members: SmallVec::from_slice(&[at]), len: 1 }
    }

    fn insert(&mut self, at: u32, boxes: &Boxes) -> bool {
        let rank = boxes[at as usize].rank;
        let inserted = self.tree.insert(rank, at, boxes);
        if inserted {
            self.count(rank, at);
        }
        inserted
    }

    fn count(&mut self, rank: Rank, at: u32) {
        self.ranks.add(rank);
        self.len += 1;
        if self.len <= REORDER_MAX {
            self.members.push(at);
        }
    }

    /// Sorts the partition anew in an order that takes the box too, if it is small and there is one.
    fn reorder(&mut self, at: u32, boxes: &Boxes) -> bool {
        // Once it has been larger, not all its boxes are known here.
        if self.len > REORDER_MAX || self.members.len() != self.len {
            return false;
        }
        let all = self.members.iter().chain(std::iter::once(&at));
        let regions: SmallVec<[&Region; REORDER_MAX + 1]> =
            all.map(|&at| &boxes[at as usize].region).collect();
        let Some(order) = order_of_all(&regions) else { return false };
        let rank = boxes[at as usize].rank;
        let mut tree = Tree::new(order, rank, at);
        let sorted = self.members.iter().all(|&at| tree.insert(boxes[at as usize].rank, at, boxes));
        debug_assert!(sorted, "the order sorts all");
        if sorted {
            self.tree = tree;
            self.count(rank, at);
        }
        sorted
    }

    fn remove(&mut self, at: u32, boxes: &Boxes) {
        self.tree.remove(at, boxes);
        self.ranks.take(boxes[at as usize].rank);
        self.members.retain(|member| *member != at);
        self.len -= 1;
    }
}

impl Classifier for PartitionSort {
    fn insert(&mut self, rule: &Rule) -> Result<(), InsertError> {
        for at in self.register(rule)? {
            self.place(at);
        }
        Ok(())
    }

    fn remove(&mut self, id: PdrId) -> bool {
        let Some((_, places)) = self.rules.remove(&id) else { return false };
        for &at in &places {
            self.displace(at);
            self.boxes.remove(at as usize);
        }
        self.relieve();
        true
    }

    fn classify(&self, key: &Key) -> Option<PdrId> {
        let best = self.order.search(|place| self.partitions[place].tree.find(key, &self.boxes));
        self.overflow.find(key, best).or(best).map(|rank| rank.id)
    }

    fn contains(&self, id: PdrId) -> bool {
        self.rules.contains_key(&id)
    }

    fn boxes(&self) -> usize {
        self.boxes.len()
    }

    fn len(&self) -> usize {
        self.rules.len()
    }
}
