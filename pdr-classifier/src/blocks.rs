//! Boxes in order, searched a lane of a whole block at a time.

use crate::key::{Key, LANES};
use crate::pdi::Rank;
use crate::region::Region;

/// The boxes of a block.
const BLOCK: usize = 16;

/// Below this many boxes in two neighbouring blocks, they become one.
const MERGE: usize = BLOCK / 2;

/// A box's place in the order: its rank, and a number of the user's that tells boxes of one rank apart.
pub(crate) type Place = (Rank, u32);

/// Boxes in the order of their places, in blocks of up to 16.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks {
    blocks: Vec<Block>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Block {
    /// The lanes that boxes restrict, the most telling first.
    lanes: Vec<BlockLane>,
    /// One bit for each box of which an interval is not all.
    irregular: u32,
    /// All ones for each place that has a box.
    live: [u32; BLOCK],
    boxes: Vec<(Place, Region)>,
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

impl Blocks {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn first(&self) -> Option<Place> {
        self.blocks.first()?.boxes.first().map(|&(place, _)| place)
    }

    /// The lowest rank of the boxes that the key is in, if it is below the bound.
    pub(crate) fn find(&self, key: &Key, below: Option<Rank>) -> Option<Rank> {
        for block in &self.blocks {
            if below.is_some_and(|below| block.boxes.first().is_none_or(|&((rank, _), _)| rank >= below)) {
                return None;
            }
            if let Some(rank) = block.find(key) {
                return below.is_none_or(|below| rank < below).then_some(rank);
            }
        }
        None
    }

    /// The first block with a box that does not come before this place.
    fn block_of(&self, place: Place) -> usize {
        self.blocks.partition_point(|block| block.boxes.last().is_some_and(|&(last, _)| last < place))
    }

    pub(crate) fn insert(&mut self, place: Place, region: &Region) {
        self.len += 1;
        // Behind the last box of all, it goes into the last block.
        let at = self.block_of(place).min(self.blocks.len().saturating_sub(1));
        let Some(block) = self.blocks.get_mut(at) else {
            self.blocks.push(Block::new(vec![(place, region.clone())]));
            return;
        };
        let position = block.boxes.partition_point(|&(other, _)| other < place);
        block.boxes.insert(position, (place, region.clone()));
        if block.boxes.len() > BLOCK {
            // Rules often come in order: a block filled at its end stays full.
            let kept = if position == BLOCK { BLOCK } else { BLOCK / 2 };
            let behind = block.boxes.split_off(kept);
            self.blocks.insert(at + 1, Block::new(behind));
        }
        self.blocks[at].arrange();
    }

    pub(crate) fn remove(&mut self, place: Place) {
        let at = self.block_of(place);
        let Some(block) = self.blocks.get_mut(at) else { return };
        let Ok(position) = block.boxes.binary_search_by_key(&place, |&(other, _)| other) else { return };
        block.boxes.remove(position);
        self.len -= 1;
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
    fn new(boxes: Vec<(Place, Region)>) -> Self {
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
        found.map(|(_, (&((rank, _), _), _))| rank)
    }
}
