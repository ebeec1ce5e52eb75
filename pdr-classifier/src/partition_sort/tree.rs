//! A multi-dimensional interval tree, flat: sorted arrays at the lanes where rules differ, and nothing
//! where they do not.

use slab::Slab;
use smallvec::SmallVec;

use super::Boxes;
use super::fields::Order;
use crate::key::{Key, LANES};
use crate::pdi::Rank;
use crate::region::{Region, Relation};

/// Boxes that one order of lanes sorts: any two are disjoint in the first lane in which they differ.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    order: Order,
    nodes: Slab<Node>,
    root: u32,
}

#[derive(Clone, Debug)]
enum Node {
    Branch(Branch),
    Leaf(Leaf),
}

/// All boxes below are the same in the lanes of the order before `level`, from the level of the branch
/// above on: a lookup passes over those, since it verifies the whole box in the end.
#[derive(Clone, Debug)]
struct Branch {
    level: u8,
    lane: u8,
    /// Disjoint intervals, in order.
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    low: u32,
    high: u32,
    node: u32,
}

/// Boxes of the same intervals, lowest rank first; they may differ in masks and sets. Almost always
/// one, which then needs no memory of its own.
type Leaf = SmallVec<[(Rank, u32); 1]>;

/// Where a box would go at a branch.
enum Place {
    Below(u32),
    Between(usize),
    /// It overlaps an interval.
    Nowhere,
}

impl Tree {
    /// A tree of one box.
    pub(super) fn new(order: Order, rank: Rank, at: u32) -> Self {
        let mut nodes = Slab::new();
        let root = nodes.insert(Node::Leaf(Leaf::from([(rank, at)]))) as u32;
        Self { order, nodes, root }
    }

    /// The box that is lowest in rank of those that the key is in.
    pub(super) fn find(&self, key: &Key, boxes: &Boxes) -> Option<Rank> {
        let mut at = self.root;
        loop {
            match &self.nodes[at as usize] {
                Node::Branch(branch) => at = branch.find(key.lanes[usize::from(branch.lane)])?,
                Node::Leaf(leaf) => {
                    let matching = leaf.iter().find(|&&(_, at)| boxes[at as usize].region.verifies(key));
                    return matching.map(|&(rank, _)| rank);
                }
            }
        }
    }

    /// Adds a box, unless the order does not sort it among the others.
    pub(super) fn insert(&mut self, rank: Rank, new: u32, boxes: &Boxes) -> bool {
        let region = &boxes[new as usize].region;
        let (mut at, mut level) = (self.root, 0);
        loop {
            // The lanes that all below have in common, which any of them shows.
            let below = match &self.nodes[at as usize] {
                Node::Branch(branch) => usize::from(branch.level),
                Node::Leaf(_) => LANES,
            };
            let sample = self.any_below(at, boxes);
            for level in level..below {
                match region.relation(sample, self.lane(level)) {
                    Relation::Identical => {}
                    Relation::Overlapping => return false,
                    Relation::Disjoint => {
                        let other = sample.interval(self.lane(level));
                        self.split(at, level, other, region, Leaf::from([(rank, new)]));
                        return true;
                    }
                }
            }
            let new_leaf = match &mut self.nodes[at as usize] {
                Node::Leaf(leaf) => {
                    let place = leaf.partition_point(|&(other, _)| other < rank);
                    leaf.insert(place, (rank, new));
                    return true;
                }
                Node::Branch(branch) => match branch.place(region) {
                    Place::Nowhere => return false,
                    Place::Between(place) => (at, place),
                    Place::Below(node) => {
                        (at, level) = (node, below + 1);
                        continue;
                    }
                },
            };
            let (branch, place) = new_leaf;
            let node = self.nodes.insert(Node::Leaf(Leaf::from([(rank, new)]))) as u32;
            if let Node::Branch(branch) = &mut self.nodes[branch as usize] {
                let (low, high) = region.interval(usize::from(branch.lane));
                branch.slots.insert(place, Slot { low, high, node });
            }
            return true;
        }
    }

    /// Takes a box out; the tree has another that stays, or is dropped by the caller.
    pub(super) fn remove(&mut self, old: u32, boxes: &Boxes) {
        let region = &boxes[old as usize].region;
        let (mut at, mut above) = (self.root, None);
        loop {
            match &mut self.nodes[at as usize] {
                Node::Branch(branch) => {
                    let (low, _) = region.interval(usize::from(branch.lane));
                    let Ok(place) = branch.slots.binary_search_by_key(&low, |slot| slot.low) else { return };
                    above = Some((at, place));
                    at = branch.slots[place].node;
                }
                Node::Leaf(leaf) => {
                    leaf.retain(|&mut (_, at)| at != old);
                    if !leaf.is_empty() {
                        return;
                    }
                    break;
                }
            }
        }
        if let Some((branch, place)) = above {
            self.nodes.remove(at as usize);
            self.shrink(branch, place);
        }
    }

    /// Removes a slot of a branch. A branch with one slot left gives its place to what is below.
    fn shrink(&mut self, at: u32, place: usize) {
        let Node::Branch(branch) = &mut self.nodes[at as usize] else { return };
        branch.slots.remove(place);
        if let [only] = branch.slots[..] {
            self.nodes[at as usize] = self.nodes.remove(only.node as usize);
        }
    }

    /// Puts a branch where a node was, with that node and a leaf below.
    fn split(&mut self, at: u32, level: usize, other: (u32, u32), region: &Region, leaf: Leaf) {
        let lane = self.lane(level);
        let leaf = self.nodes.insert(Node::Leaf(leaf)) as u32;
        let (low, high) = region.interval(lane);
        let branch = Branch { level: level as u8, lane: lane as u8, slots: Vec::with_capacity(2) };
        let node = std::mem::replace(&mut self.nodes[at as usize], Node::Branch(branch));
        let node = self.nodes.insert(node) as u32;
        if let Node::Branch(branch) = &mut self.nodes[at as usize] {
            branch.slots.extend([Slot { low, high, node: leaf }, Slot { low: other.0, high: other.1, node }]);
            branch.slots.sort_unstable_by_key(|slot| slot.low);
        }
    }

    fn any_below<'a>(&self, mut at: u32, boxes: &'a Boxes) -> &'a Region {
        loop {
            match &self.nodes[at as usize] {
                Node::Branch(branch) => at = branch.slots[0].node,
                Node::Leaf(leaf) => return &boxes[leaf[0].1 as usize].region,
            }
        }
    }

    fn lane(&self, level: usize) -> usize {
        usize::from(self.order[level])
    }
}

impl Branch {
    fn find(&self, value: u32) -> Option<u32> {
        let behind = self.slots.partition_point(|slot| slot.low <= value);
        let slot = self.slots[..behind].last()?;
        (value <= slot.high).then_some(slot.node)
    }

    fn place(&self, region: &Region) -> Place {
        let (low, high) = region.interval(usize::from(self.lane));
        let behind = self.slots.partition_point(|slot| slot.low <= low);
        if let Some(before) = self.slots[..behind].last() {
            if (before.low, before.high) == (low, high) {
                return Place::Below(before.node);
            }
            if before.high >= low {
                return Place::Nowhere;
            }
        }
        if self.slots.get(behind).is_some_and(|after| after.low <= high) {
            return Place::Nowhere;
        }
        Place::Between(behind)
    }
}
