//! A multi-dimensional interval tree, flat: sorted arrays at the lanes where rules differ, and nothing
//! where they do not.

use slab::Slab;
use smallvec::SmallVec;

use super::boxes::Boxes;
use super::fields::Order;
use super::slots::{Place, Position, Slot, Slots};
use crate::key::{Key, LANES};
use crate::pdi::Rank;
use crate::region::{Region, Relation, relation};
use crate::simd::Compare;

/// The trees of all partitions. What a lookup goes through is here and in the boxes: it would wait for
/// memory once more for each thing that is a partition's own.
#[derive(Clone, Debug, Default)]
pub(super) struct Trees {
    /// Those of few partitions are in the set itself.
    roots: SmallVec<[Below; ROOTS]>,
    nodes: Slab<Node>,
}

const ROOTS: usize = 4;

/// The tree of a partition: boxes that one order of lanes sorts. Any two are disjoint in the first lane
/// in which they differ.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    order: &'a Order,
    nodes: &'a mut Slab<Node>,
    root: &'a mut Below,
}

/// A box alone, or a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Below(u32);

enum Kind {
    Box(u32),
    Node(u32),
}

#[derive(Clone, Debug)]
enum Node {
    Branch(Branch),
    /// Boxes of the same intervals, lowest rank first; they may differ in masks and sets.
    Leaf(Vec<u32>),
}

/// All boxes below are the same in the lanes of the order before `level`, from the level behind the
/// branch above on: a lookup passes over those, since it verifies the whole box in the end.
#[derive(Clone, Debug)]
struct Branch {
    level: u8,
    lane: u8,
    /// The intervals in the lanes passed over.
    common: Box<[(u32, u32)]>,
    slots: Slots,
}

/// The branch and the slot that lead to where a walk is; none at the root.
type Above = Option<(u32, Position)>;

impl Below {
    /// No set has so many boxes or nodes.
    const BOX: u32 = 1 << 31;

    pub(super) const fn one(at: u32) -> Self {
        Self(at | Self::BOX)
    }

    const fn node(at: usize) -> Self {
        Self(at as u32)
    }

    const fn kind(self) -> Kind {
        if self.0 & Self::BOX != 0 { Kind::Box(self.0 & !Self::BOX) } else { Kind::Node(self.0) }
    }
}

impl Trees {
    /// Makes a tree of one box. It has no other: what is there is gone or was given to
    /// [`clear`](Self::clear).
    pub(super) fn plant(&mut self, place: usize, at: u32) {
        if self.roots.len() <= place {
            self.roots.resize(place + 1, Below::one(0));
        }
        self.roots[place] = Below::one(at);
    }

    /// A tree, to be changed.
    pub(super) fn tree<'a>(&'a mut self, place: usize, order: &'a Order) -> Tree<'a> {
        Tree { order, nodes: &mut self.nodes, root: &mut self.roots[place] }
    }

    /// Sorts a tree anew, of these boxes, if the order sorts them.
    pub(super) fn regrow(&mut self, place: usize, order: &Order, boxes: &Boxes, all: &[u32]) -> bool {
        let Some((&first, others)) = all.split_first() else { return false };
        let mut root = Below::one(first);
        let mut tree = Tree { order, nodes: &mut self.nodes, root: &mut root };
        let sorted = others.iter().all(|&at| tree.insert(at, boxes));
        debug_assert!(sorted, "the order sorts all");
        if sorted {
            std::mem::swap(&mut self.roots[place], &mut root);
        }
        self.fell(root);
        sorted
    }

    /// Takes a tree away, and gives its boxes, in no order.
    pub(super) fn clear(&mut self, place: usize) -> Vec<u32> {
        self.fell(self.roots[place])
    }

    fn fell(&mut self, root: Below) -> Vec<u32> {
        let (mut found, mut rest) = (Vec::new(), vec![root]);
        while let Some(below) = rest.pop() {
            match below.kind() {
                Kind::Box(at) => found.push(at),
                Kind::Node(node) => match self.nodes.remove(node as usize) {
                    Node::Branch(branch) => rest.extend(branch.slots.iter().map(|slot| slot.below)),
                    Node::Leaf(leaf) => found.extend(leaf),
                },
            }
        }
        found
    }

    /// The rank of the box that is lowest of those that the key is in.
    #[inline(always)]
    pub(super) fn find(&self, place: usize, key: &Key, boxes: &Boxes, compare: impl Compare) -> Option<Rank> {
        let mut below = self.roots[place];
        loop {
            match below.kind() {
                Kind::Box(at) => {
                    let stored = &boxes[at];
                    return stored.region.verifies(key, compare).then_some(stored.rank);
                }
                Kind::Node(node) => match &self.nodes[node as usize] {
                    Node::Branch(branch) => {
                        below = branch.slots.find(key.lanes[usize::from(branch.lane) % LANES], compare)?;
                    }
                    Node::Leaf(leaf) => {
                        let mut stored = leaf.iter().map(|&at| &boxes[at]);
                        let matching = stored.find(|stored| stored.region.verifies(key, compare));
                        return matching.map(|stored| stored.rank);
                    }
                },
            }
        }
    }
}

impl Tree<'_> {
    /// Adds a box, unless the order does not sort it among the others.
    pub(super) fn insert(&mut self, new: u32, boxes: &Boxes) -> bool {
        let region = &boxes[new].region;
        let (mut at, mut above, mut level) = (*self.root, None, 0);
        loop {
            let node = match at.kind() {
                Kind::Box(other) => return self.join(at, above, level, other, new, boxes),
                Kind::Node(node) => node,
            };
            let branch = match &mut self.nodes[node as usize] {
                Node::Branch(branch) => branch,
                Node::Leaf(leaf) => {
                    let other = leaf[0];
                    return self.join(at, above, level, other, new, boxes);
                }
            };
            for (passed, &common) in branch.common.iter().enumerate() {
                let own = region.interval(usize::from(self.order[level + passed]));
                match relation(own, common) {
                    Relation::Identical => {}
                    Relation::Overlapping => return false,
                    Relation::Disjoint => {
                        self.split(node, above, level, passed, (own, new));
                        return true;
                    }
                }
            }
            let (low, high) = region.interval(usize::from(branch.lane));
            match branch.slots.place(low, high) {
                Place::Nowhere => return false,
                Place::Between(position) => {
                    branch.slots.insert(position, Slot { low, high, below: Below::one(new) });
                    return true;
                }
                Place::Same(position, below) => {
                    level = usize::from(branch.level) + 1;
                    above = Some((node, position));
                    at = below;
                }
            }
        }
    }

    /// Adds a box where another, `other`, is, with those that have its intervals.
    fn join(&mut self, at: Below, above: Above, level: usize, other: u32, new: u32, boxes: &Boxes) -> bool {
        let (region, sample) = (&boxes[new].region, &boxes[other].region);
        let differs = |&level: &usize| {
            let lane = usize::from(self.order[level]);
            region.interval(lane) != sample.interval(lane)
        };
        let Some(first) = (level..LANES).find(differs) else {
            self.join_leaf(at, above, new, boxes);
            return true;
        };
        let lane = usize::from(self.order[first]);
        if region.relation(sample, lane) == Relation::Overlapping {
            return false;
        }
        let common =
            self.order[level..first].iter().map(|&lane| region.interval(usize::from(lane))).collect();
        let slot = |region: &Region, below| {
            let (low, high) = region.interval(lane);
            Slot { low, high, below }
        };
        let slots = Slots::new(slot(sample, at), slot(region, Below::one(new)));
        let branch = Branch { level: first as u8, lane: lane as u8, common, slots };
        let node = self.nodes.insert(Node::Branch(branch));
        self.put(above, Below::node(node));
        true
    }

    /// Adds a box to those of the same intervals.
    fn join_leaf(&mut self, at: Below, above: Above, new: u32, boxes: &Boxes) {
        let rank = |at: u32| boxes[at].rank;
        match at.kind() {
            Kind::Box(other) => {
                let pair = if rank(other) <= rank(new) { [other, new] } else { [new, other] };
                let node = self.nodes.insert(Node::Leaf(pair.to_vec()));
                self.put(above, Below::node(node));
            }
            Kind::Node(node) => {
                if let Node::Leaf(leaf) = &mut self.nodes[node as usize] {
                    let place = leaf.partition_point(|&other| rank(other) <= rank(new));
                    leaf.insert(place, new);
                }
            }
        }
    }

    /// Makes a branch at one of the lanes that this branch passes over, with a new box beside it.
    fn split(&mut self, node: u32, above: Above, level: usize, passed: usize, new: ((u32, u32), u32)) {
        let lane = self.order[level + passed];
        let ((low, high), at) = new;
        let Node::Branch(branch) = &mut self.nodes[node as usize] else { return };
        let (other_low, other_high) = branch.common[passed];
        let common = branch.common[..passed].into();
        branch.common = branch.common[passed + 1..].into();
        let below = Below::node(node as usize);
        let slots = Slots::new(
            Slot { low: other_low, high: other_high, below },
            Slot { low, high, below: Below::one(at) },
        );
        let branch = Branch { level: (level + passed) as u8, lane, common, slots };
        let node = self.nodes.insert(Node::Branch(branch));
        self.put(above, Below::node(node));
    }

    /// Lets a slot, or the root, lead there.
    fn put(&mut self, above: Above, below: Below) {
        match above {
            None => *self.root = below,
            Some((node, position)) => {
                if let Node::Branch(branch) = &mut self.nodes[node as usize] {
                    branch.slots.set_below(position, below);
                }
            }
        }
    }

    /// Takes a box out; the tree has another that stays, or is dropped by the caller.
    pub(super) fn remove(&mut self, old: u32, boxes: &Boxes) {
        let region = &boxes[old].region;
        let (mut at, mut above, mut above_that) = (*self.root, None, None);
        while let Kind::Node(node) = at.kind() {
            match &mut self.nodes[node as usize] {
                Node::Branch(branch) => {
                    let (low, _) = region.interval(usize::from(branch.lane));
                    let Some((position, below)) = branch.slots.position(low) else { return };
                    (above_that, above) = (above, Some((node, position)));
                    at = below;
                }
                Node::Leaf(leaf) => {
                    let rank = boxes[old].rank;
                    let first = leaf.partition_point(|&other| boxes[other].rank < rank);
                    let Some(place) = leaf[first..].iter().position(|&other| other == old) else { return };
                    leaf.remove(first + place);
                    if let [only] = leaf[..] {
                        self.nodes.remove(node as usize);
                        self.put(above, Below::one(only));
                    }
                    return;
                }
            }
        }
        let Some((node, position)) = above else { return };
        if let Node::Branch(branch) = &mut self.nodes[node as usize]
            && let Some(only) = branch.slots.remove(position)
        {
            self.give_way(node, only, above_that);
        }
    }

    /// A branch with one slot left gives its place to what is below.
    fn give_way(&mut self, node: u32, only: Slot, above: Above) {
        if let Node::Branch(old) = self.nodes.remove(node as usize)
            && let Kind::Node(below) = only.below.kind()
            && let Node::Branch(branch) = &mut self.nodes[below as usize]
        {
            branch.common = [&old.common, &[(only.low, only.high)][..], &branch.common].concat().into();
        }
        self.put(above, only.below);
    }
}
