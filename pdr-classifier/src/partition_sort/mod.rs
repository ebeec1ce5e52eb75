//! PartitionSort: a few trees, each of boxes that one order of lanes sorts.

mod boxes;
mod chunk;
mod fields;
mod gather;
mod partition;
mod slots;
mod tree;

use slab::Slab;
use smallvec::SmallVec;

use crate::blocks::Blocks;
use crate::classifier::{Classifier, RuleMap, check_admits};
use crate::error::InsertError;
use crate::expand::Rule;
use crate::key::Key;
use crate::pdi::{PdrId, Rank};
use crate::ranks::SearchOrder;
use crate::region::Region;
use crate::simd::{Compare, Search, Vectors};
use boxes::{Boxes, Stored};
use fields::{Sorted, by_specificity, select};
use gather::Gathering;
pub use gather::{GATHER_MAX, GATHER_UPDATES_MIN};
use partition::Partition;
use tree::Trees;

/// The most partitions. Boxes that none of them takes are scanned as [`BlockedScan`](crate::BlockedScan)
/// does it, so that a set made to need a partition for each rule costs no more than that beyond these.
pub const PARTITIONS_MAX: usize = 64;

/// Up to this many boxes a partition may find another order when its own does not sort a new box.
pub const REORDER_MAX: usize = 10;

/// Of a rule's boxes.
type Numbers = SmallVec<[u32; 2]>;

/// PartitionSort, with a partition's lanes branched on only where its rules differ.
#[derive(Clone, Debug, Default)]
pub struct PartitionSort {
    boxes: Boxes,
    partitions: Slab<Partition>,
    trees: Trees,
    order: SearchOrder,
    /// Boxes that no partition takes, lowest rank first.
    overflow: Blocks,
    rules: RuleMap<(Rank, Numbers)>,
    vectors: Vectors,
    /// How new partitions come to be, if not with the first box that no other takes.
    gathering: Option<Gathering>,
}

impl PartitionSort {
    /// A set without rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// A set of these rules, partitioned with all of them in view: better than one rule after the
    /// other, and slower.
    pub fn build<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Result<Self, InsertError> {
        Self::new().filled(rules, 1)
    }

    /// The set with these instructions.
    #[must_use]
    pub const fn with_vectors(mut self, vectors: Vectors) -> Self {
        self.vectors = vectors;
        self
    }

    /// An empty set that makes a partition only of at least so many boxes that are scanned till then.
    pub(crate) fn gathering(boxes_min: usize) -> Self {
        Self { gathering: Some(Gathering::new(boxes_min)), ..Self::default() }
    }

    /// The set, empty till now, with these rules, in partitions of at least so many boxes.
    pub(crate) fn filled<'a>(
        mut self,
        rules: impl IntoIterator<Item = &'a Rule>,
        boxes_min: usize,
    ) -> Result<Self, InsertError> {
        let mut rest = Vec::new();
        for rule in rules {
            rest.extend(self.register(rule)?);
        }
        while !rest.is_empty() && self.extract(&rest, boxes_min) {
            rest.retain(|&at| self.boxes[at].partition.is_none());
        }
        // In order, blocks fill up.
        rest.sort_unstable_by_key(|&at| (self.boxes[at].rank, at));
        for at in rest {
            self.place(at);
        }
        Ok(self)
    }

    /// The number of partitions: what a lookup that finds nothing searches.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// The number of boxes that are scanned, since no partition takes them.
    pub fn overflow(&self) -> usize {
        self.overflow.len()
    }

    /// The lowest rank of all boxes.
    pub(crate) fn first_rank(&self) -> Option<Rank> {
        let scanned = self.overflow.first().map(|(rank, _)| rank);
        self.order.first().into_iter().chain(scanned).min()
    }

    /// A box of the rule.
    pub(crate) fn region_of(&self, id: PdrId) -> Option<&Region> {
        let (_, places) = self.rules.get(&id)?;
        places.first().map(|&at| &self.boxes[at].region)
    }

    /// The rules as they were inserted, in no order.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        let region = |&at: &u32| self.boxes[at].region.clone();
        let rule = |&(rank, ref places): &(Rank, Numbers)| Rule {
            rank,
            regions: places.iter().map(region).collect(),
        };
        self.rules.values().map(rule).collect()
    }

    /// Stores a rule's boxes, in no partition yet.
    fn register(&mut self, rule: &Rule) -> Result<Numbers, InsertError> {
        check_admits(&self.rules, self.boxes.len(), rule)?;
        let rank = rule.rank();
        let places: Numbers = rule.regions.iter().map(|region| self.boxes.insert(rank, region)).collect();
        self.rules.insert(rule.id(), (rule.rank(), places.clone()));
        Ok(places)
    }

    /// Makes a partition of many of these boxes, which have none, if there is room for one and enough of
    /// them are sorted by one order.
    fn extract(&mut self, rest: &[u32], boxes_min: usize) -> bool {
        if self.partitions.len() >= PARTITIONS_MAX {
            return false;
        }
        let regions: Vec<&Region> = rest.iter().map(|&at| &self.boxes[at].region).collect();
        let Sorted { order, kept, different } = select(&regions);
        // Of boxes that are the same the first is found by a scan, too.
        if different < boxes_min {
            return false;
        }
        let mut kept: Vec<u32> = kept.iter().map(|&place| rest[place]).collect();
        // Sorted, each goes behind the last: nothing is moved.
        let first = usize::from(order[0]);
        kept.sort_by_key(|&at| self.boxes[at].region.low[first]);
        self.partition(order, &kept);
        true
    }

    /// Makes a partition of boxes that the order sorts.
    fn partition(&mut self, order: fields::Order, members: &[u32]) {
        let Some((&first, others)) = members.split_first() else { return };
        let place = self.partitions.vacant_key() as u32;
        let partition = Partition::new(place, order, (first, others), &mut self.boxes, &mut self.trees);
        for &at in members {
            self.boxes[at].partition = Some(place);
        }
        self.order.change(place, None, partition.best());
        self.partitions.insert(partition);
    }

    /// Puts a stored box into the first partition that takes it, if one does.
    fn adopt(&mut self, at: u32) -> bool {
        let (boxes, trees) = (&mut self.boxes, &mut self.trees);
        let taken = self.order.places().find_map(|place| {
            let partition = &mut self.partitions[place];
            let best = partition.best();
            let taken = partition.insert(at, boxes, trees) || partition.reorder(at, boxes, trees);
            taken.then_some((place, best))
        });
        let Some((place, best)) = taken else { return false };
        self.boxes[at].partition = Some(place as u32);
        self.order.change(place as u32, best, self.partitions[place].best());
        true
    }

    /// Puts a stored box where it belongs.
    fn place(&mut self, at: u32) {
        if self.adopt(at) {
            return;
        }
        let Stored { rank, ref region, .. } = self.boxes[at];
        if self.gathering.is_none() && self.partitions.len() < PARTITIONS_MAX {
            self.partition(by_specificity(region), &[at]);
        } else {
            self.overflow.insert((rank, at), region);
            if let Some(gathering) = &mut self.gathering {
                gathering.wait();
            }
        }
    }

    /// Takes a box out of its partition or of the overflow, and gives the partition.
    fn displace(&mut self, at: u32) -> Option<u32> {
        let Stored { rank, partition, .. } = self.boxes[at];
        let Some(place) = partition else {
            self.overflow.remove((rank, at));
            return None;
        };
        self.boxes[at].partition = None;
        let partition = &mut self.partitions[place as usize];
        let best = partition.best();
        partition.remove(at, &self.boxes, &mut self.trees);
        let left = partition.best();
        self.order.change(place, best, left);
        if left.is_none() {
            self.partitions.remove(place as usize);
            return None;
        }
        Some(place)
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

struct Find<'a>(&'a PartitionSort, &'a Key, Option<Rank>);

impl Search for Find<'_> {
    type Found = Option<Rank>;

    #[inline(always)]
    fn run(self, compare: impl Compare) -> Option<Rank> {
        let Self(set, key, below) = self;
        let best = set.order.search(below, |place| set.trees.find(place, key, &set.boxes, compare));
        set.overflow.find(key, best.or(below), compare).or(best)
    }
}

impl Classifier for PartitionSort {
    fn insert(&mut self, rule: &Rule) -> Result<(), InsertError> {
        for at in self.register(rule)? {
            self.place(at);
        }
        self.gather();
        Ok(())
    }

    fn remove(&mut self, id: PdrId) -> bool {
        let Some((_, places)) = self.rules.remove(&id) else { return false };
        places.iter().for_each(|&at| self.boxes.approach(at));
        for &at in &places {
            if let Some(partition) = self.displace(at) {
                self.dissolve(partition);
            }
            self.boxes.remove(at);
        }
        if self.gathering.is_none() {
            self.relieve();
        }
        true
    }

    fn find(&self, key: &Key, below: Option<Rank>) -> Option<Rank> {
        self.vectors.run(Find(self, key, below))
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
