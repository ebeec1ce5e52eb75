//! The linear search over blocks of boxes, a lane of a whole block at a time.

use std::collections::HashMap;

use crate::classifier::{Classifier, check_room};
use crate::error::InsertError;
use crate::expand::Rule;
use crate::key::{Key, LANES};
use crate::pdi::{PdrId, Rank};
use crate::region::Region;

/// The boxes of a block.
const BLOCK: usize = 16;

/// Below this many boxes in two neighbouring blocks, they become one.
const MERGE: usize = BLOCK / 2;

/// Boxes in precedence order, in blocks of up to 16. A block's lanes are arrays, which the compiler
/// turns into vector instructions; lanes that no box of the block restricts are not in it.
#[derive(Clone, Debug, Default)]
pub struct BlockedScan {
    blocks: Vec<Block>,
    /// For each rule, its rank and its number of boxes.
    rules: HashMap<PdrId, (Rank, usize)>,
    boxes: usize,
}

#[derive(Clone, Debug)]
struct Block {
    /// The lanes that boxes restrict, the most telling first.
    lanes: Vec<BlockLane>,
    /// One bit for each box of which an interval is not all.
    irregular: u32,
    /// All ones for each place that has a box.
    live: [u32; BLOCK],
    boxes: Vec<(Rank, Region)>,
}

/// An interval for each box: a value is in it if it is at most `span` behind `low`, round the end of
/// the numbers.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct BlockLane {
    low: [u32; BLOCK],
    span: [u32; BLOCK],
    lane: u8,
}

impl BlockedScan {
    /// A scan without rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first block with a box that does not come before this rank.
    fn block_of(&self, rank: Rank) -> usize {
        self.blocks.partition_point(|block| block.boxes.last().is_some_and(|&(last, _)| last < rank))
    }

    fn insert_box(&mut self, rank: Rank, region: &Region) {
        // Behind the last box of all, it goes into the last block.
        let at = self.block_of(rank).min(self.blocks.len().saturating_sub(1));
        let Some(block) = self.blocks.get_mut(at) else {
            self.blocks.push(Block::new(vec![(rank, region.clone())]));
            return;
        };
        let place = block.boxes.partition_point(|&(other, _)| other < rank);
        block.boxes.insert(place, (rank, region.clone()));
        if block.boxes.len() > BLOCK {
            // Rules often come in order: a block filled at its end stays full.
            let kept = if place == BLOCK { BLOCK } else { BLOCK / 2 };
            let behind = block.boxes.split_off(kept);
            self.blocks.insert(at + 1, Block::new(behind));
        }
        self.blocks[at].arrange();
    }

    fn remove_box(&mut self, rank: Rank) {
        let at = self.block_of(rank);
        let Some(block) = self.blocks.get_mut(at) else { return };
        let Some(place) = block.boxes.iter().position(|&(other, _)| other == rank) else { return };
        block.boxes.remove(place);
        let left = block.boxes.len();
        if self.blocks.get(at + 1).is_some_and(|next| left + next.boxes.len() < MERGE) {
            let next = self.blocks.remove(at + 1);
            self.blocks[at].boxes.extend(next.boxes);
        }
        if self.blocks[at].boxes.is_empty() {
            self.blocks.remove(at);
        } else {
            self.blocks[at].arrange();
        }
    }
}

impl Block {
    fn new(boxes: Vec<(Rank, Region)>) -> Self {
        let mut block = Self { lanes: Vec::new(), irregular: 0, live: [0; BLOCK], boxes };
        block.arrange();
        block
    }

    /// Writes the arrays anew.
    fn arrange(&mut self) {
        let boxes = &self.boxes;
        let bits = boxes.iter().enumerate().map(|(at, (_, region))| u32::from(region.irregular) << at);
        self.irregular = bits.sum();
        self.live = std::array::from_fn(|at| if at < boxes.len() { u32::MAX } else { 0 });
        let restricted = |lane: usize| {
            let restricting = boxes.iter().filter(|(_, region)| region.interval(lane) != (0, u32::MAX));
            restricting.count()
        };
        let of_lane = |lane: usize| {
            let (mut low, mut span) = ([0; BLOCK], [u32::MAX; BLOCK]);
            for (at, (_, region)) in boxes.iter().enumerate() {
                let (first, last) = region.interval(lane);
                (low[at], span[at]) = (first, last - first);
            }
            BlockLane { low, span, lane: lane as u8 }
        };
        self.lanes.clear();
        self.lanes.extend((0..LANES).filter(|&lane| restricted(lane) > 0).map(of_lane));
        // First the lanes in which the boxes differ most, since they leave the fewest.
        self.lanes.sort_by_cached_key(|lane| {
            let mut lows = lane.low;
            lows.sort_unstable();
            let different = lows.windows(2).filter(|pair| pair[0] != pair[1]).count();
            std::cmp::Reverse((different, restricted(usize::from(lane.lane))))
        });
    }

    fn find(&self, key: &Key) -> Option<Rank> {
        let mut inside = self.live;
        for lane in &self.lanes {
            let value = key.lanes[usize::from(lane.lane)];
            let mut any = 0;
            for ((inside, low), span) in inside.iter_mut().zip(lane.low).zip(lane.span) {
                *inside &= u32::from(value.wrapping_sub(low) <= span).wrapping_neg();
                any |= *inside;
            }
            if any == 0 {
                return None;
            }
        }
        let found = self.boxes.iter().zip(inside).enumerate().find(|&(at, ((_, region), inside))| {
            inside != 0 && (self.irregular >> at & 1 == 0 || region.matches(key))
        });
        found.map(|(_, (&(rank, _), _))| rank)
    }
}

impl Classifier for BlockedScan {
    fn insert(&mut self, rule: &Rule) -> Result<(), InsertError> {
        if self.rules.contains_key(&rule.id()) {
            return Err(InsertError::Duplicate(rule.id()));
        }
        check_room(self.rules.len(), self.boxes, rule)?;
        for region in &rule.regions {
            self.insert_box(rule.rank(), region);
        }
        self.rules.insert(rule.id(), (rule.rank(), rule.boxes()));
        self.boxes += rule.boxes();
        Ok(())
    }

    fn remove(&mut self, id: PdrId) -> bool {
        let Some((rank, boxes)) = self.rules.remove(&id) else { return false };
        for _ in 0..boxes {
            self.remove_box(rank);
        }
        self.boxes -= boxes;
        true
    }

    fn classify(&self, key: &Key) -> Option<PdrId> {
        self.blocks.iter().find_map(|block| block.find(key)).map(|rank| rank.id)
    }

    fn len(&self) -> usize {
        self.rules.len()
    }
}
