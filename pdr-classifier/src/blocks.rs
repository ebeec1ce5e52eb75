//! Boxes in order, searched a lane of a whole block at a time.

use std::ops::Range;

use crate::key::{Key, LANES};
use crate::pdi::{PdrId, Rank};
use crate::region::{Beyond, Region};
use crate::simd::{BLOCK, Column, Compare};

/// Up to this many boxes in two neighbouring blocks, they become one.
const MERGE: u32 = 12;

/// After so many boxes a block's columns are put in order again.
const ARRANGE: u8 = 8;

/// A box's place in the order: its rank, and a number of the user's that tells boxes of one rank apart.
pub(crate) type Place = (Rank, u32);

/// Boxes in the order of their places, in blocks of up to 16.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks {
    blocks: Vec<Entry>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    /// At most the first place of the block, and behind all places of the blocks before.
    from: Place,
    block: Box<Block>,
}

#[derive(Clone, Debug)]
struct Block {
    /// One bit for each slot that has a box. The boxes are in order; slots without one lie between.
    live: u32,
    /// One bit for each box that asks something in `beyond`.
    irregular: u32,
    /// The lane of each column, the most telling first. What follows those means nothing.
    lanes: [u8; LANES],
    /// Boxes that are not there may ask anything.
    columns: Vec<Column>,
    places: [Place; BLOCK],
    /// For each box, once one of the block has asked for it.
    beyond: Vec<Beyond>,
    /// Boxes since the columns were put in order.
    unarranged: u8,
}

impl Blocks {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The number of blocks.
    pub(crate) const fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// The first box, and its place.
    pub(crate) fn first_box(&self) -> Option<(Place, Region)> {
        let block = &self.blocks.first()?.block;
        block.boxes().next().map(|(place, slot)| (place, block.region(slot)))
    }

    pub(crate) fn first(&self) -> Option<Place> {
        self.blocks.first()?.block.first()
    }

    /// The places of all boxes from this block on.
    pub(crate) fn places_from(&self, block: usize) -> impl Iterator<Item = Place> + '_ {
        let blocks = self.blocks.get(block..).unwrap_or_default();
        blocks.iter().flat_map(|entry| entry.block.boxes().map(|(place, _)| place))
    }

    /// All boxes as they were inserted, in order.
    pub(crate) fn boxes(&self) -> impl Iterator<Item = (Place, Region)> + '_ {
        let of_block = |block: &'_ Block| {
            let boxes: Vec<_> = block.boxes().map(|(place, slot)| (place, block.region(slot))).collect();
            boxes
        };
        self.blocks.iter().flat_map(move |entry| of_block(&entry.block))
    }

    /// The lowest rank of the boxes that the key is in, if it is below the bound.
    #[inline(always)]
    pub(crate) fn find(&self, key: &Key, below: Option<Rank>, compare: impl Compare) -> Option<Rank> {
        for Entry { from, block } in &self.blocks {
            if below.is_some_and(|below| from.0 >= below) {
                return None;
            }
            let inside = compare.inside(key, &block.lanes, &block.columns, block.live);
            if inside != 0
                && let Some(rank) = block.first_of(inside, key)
            {
                return below.is_none_or(|below| rank < below).then_some(rank);
            }
        }
        None
    }

    /// The block that a place belongs to.
    fn block_of(&self, place: Place) -> usize {
        self.blocks.partition_point(|entry| entry.from <= place).saturating_sub(1)
    }

    pub(crate) fn insert(&mut self, place: Place, region: &Region) {
        self.len += 1;
        let at = self.block_of(place);
        let Some(entry) = self.blocks.get_mut(at) else {
            self.blocks.push(Entry::new(place, region));
            return;
        };
        entry.from = entry.from.min(place);
        let Some((last, slot)) = entry.block.last().filter(|_| entry.block.is_full()) else {
            entry.block.insert(place, region);
            return;
        };
        let has_room = |entry: &Entry| !entry.block.is_full();
        if place > last && self.blocks.get(at + 1).is_none_or(has_room) {
            // Rules often come in order: a block filled at its end stays full.
            self.insert_behind(at, place, region);
        } else if self.blocks.get(at + 1).is_some_and(has_room) {
            let block = &mut self.blocks[at].block;
            let moved = block.region(slot);
            block.live &= !(1 << slot);
            block.insert(place, region);
            self.insert_behind(at, last, &moved);
        } else {
            let (front, back) = self.blocks[at].block.halves();
            let from = back.first().unwrap_or(place);
            *self.blocks[at].block = front;
            self.blocks.insert(at + 1, Entry { from, block: Box::new(back) });
            self.blocks[at + usize::from(place > from)].block.insert(place, region);
        }
    }

    /// Puts a box in front of the block behind this one, which has room, or is made.
    fn insert_behind(&mut self, at: usize, place: Place, region: &Region) {
        match self.blocks.get_mut(at + 1) {
            Some(next) => {
                next.from = place;
                next.block.insert(place, region);
            }
            None => self.blocks.push(Entry::new(place, region)),
        }
    }

    pub(crate) fn remove(&mut self, place: Place) {
        let at = self.block_of(place);
        let Some(entry) = self.blocks.get_mut(at) else { return };
        if !entry.block.remove(place) {
            return;
        }
        self.len -= 1;
        let left = entry.block.live.count_ones();
        let merges = |entry: &Entry| left + entry.block.live.count_ones() <= MERGE;
        if left == 0 {
            self.blocks.remove(at);
        } else if self.blocks.get(at + 1).is_some_and(merges) {
            self.merge(at);
        } else if at > 0 && self.blocks.get(at - 1).is_some_and(merges) {
            self.merge(at - 1);
        }
    }

    /// Takes the block behind this one into this one.
    fn merge(&mut self, at: usize) {
        let next = self.blocks.remove(at + 1).block;
        let block = &mut self.blocks[at].block;
        for (place, slot) in next.boxes() {
            block.insert(place, &next.region(slot));
        }
        block.arrange();
    }
}

impl Entry {
    fn new(place: Place, region: &Region) -> Self {
        let mut block = Block::default();
        block.insert(place, region);
        Self { from: place, block: Box::new(block) }
    }
}

impl Block {
    const fn is_full(&self) -> bool {
        self.live.count_ones() == BLOCK as u32
    }

    /// The boxes in order, with their slots.
    fn boxes(&self) -> impl Iterator<Item = (Place, usize)> + '_ {
        bits(self.live).map(|slot| (self.places[slot], slot))
    }

    fn first(&self) -> Option<Place> {
        self.boxes().next().map(|(place, _)| place)
    }

    fn last(&self) -> Option<(Place, usize)> {
        self.live.checked_ilog2().map(|slot| (self.places[slot as usize], slot as usize))
    }

    /// The rank of the first of these boxes, of those with what the key has beyond intervals.
    #[inline]
    fn first_of(&self, inside: u32, key: &Key) -> Option<Rank> {
        let asks_more = |slot: usize| self.irregular >> slot & 1 == 1;
        let matches = |&slot: &usize| !asks_more(slot) || self.beyond[slot].matches(key);
        bits(inside).find(matches).map(|slot| self.places[slot].0)
    }

    /// Adds a box; there is room for it.
    fn insert(&mut self, place: Place, region: &Region) {
        let slot = self.make_room(place);
        let mut new = region.used;
        for (&lane, column) in self.lanes.iter().zip(&mut self.columns) {
            let lane = usize::from(lane);
            let (low, high) = region.interval(lane);
            (column.low[slot], column.span[slot]) = (low, high - low);
            new &= !(1 << lane);
        }
        for lane in bits(new) {
            let (low, high) = region.interval(lane);
            let mut column = Column::FREE;
            (column.low[slot], column.span[slot]) = (low, high - low);
            self.lanes[self.columns.len()] = lane as u8;
            self.columns.push(column);
        }
        self.live |= 1 << slot;
        self.places[slot] = place;
        self.irregular = self.irregular & !(1 << slot) | u32::from(region.irregular) << slot;
        if region.irregular {
            self.beyond.resize(BLOCK, Beyond::NOTHING);
            self.beyond[slot] = region.beyond.clone();
        }
        self.unarranged += 1;
        if self.unarranged >= ARRANGE {
            self.arrange();
        }
    }

    /// A free slot where this place belongs, from which boxes move to the next free slot if need be.
    fn make_room(&mut self, place: Place) -> usize {
        let behind = self.boxes().find(|&(other, _)| other > place);
        let end = behind.map_or(BLOCK, |(_, slot)| slot);
        // The slots before `end` that follow the last box before it.
        let before = self.live & ((1 << end) - 1);
        let start = BLOCK.min((u32::BITS - before.leading_zeros()) as usize);
        if start < end {
            return start;
        }
        let free = !self.live & ((1 << BLOCK) - 1);
        let later = free & !((1 << end) - 1);
        if later != 0 {
            let hole = later.trailing_zeros() as usize;
            self.shift(end..hole, end + 1);
            end
        } else {
            let hole = free.ilog2() as usize;
            self.shift(hole + 1..end, hole);
            end - 1
        }
    }

    /// Moves the boxes of neighbouring slots by one; the slot that is left has no box then.
    fn shift(&mut self, from: Range<usize>, to: usize) {
        let moved = (1 << from.end) - (1 << from.start);
        let cover = moved | (if to > from.start { moved << 1 } else { moved >> 1 });
        let shifted = |bits: u32| {
            let bits_moved = bits & moved;
            bits & !cover | if to > from.start { bits_moved << 1 } else { bits_moved >> 1 }
        };
        (self.live, self.irregular) = (shifted(self.live), shifted(self.irregular));
        for column in &mut self.columns {
            column.low.copy_within(from.clone(), to);
            column.span.copy_within(from.clone(), to);
        }
        self.places.copy_within(from.clone(), to);
        if !self.beyond.is_empty() {
            if to > from.start {
                self.beyond[from.start..=from.end].rotate_right(1);
            } else {
                self.beyond[to..from.end].rotate_left(1);
            }
        }
    }

    fn remove(&mut self, place: Place) -> bool {
        let Some((_, slot)) = self.boxes().find(|&(other, _)| other == place) else { return false };
        self.live &= !(1 << slot);
        true
    }

    /// The box as it was inserted.
    fn region(&self, slot: usize) -> Region {
        let mut region = Region::ALL;
        for (&lane, column) in self.lanes.iter().zip(&self.columns) {
            let (low, span) = (column.low[slot], column.span[slot]);
            region = region.between(usize::from(lane), low, low + span);
        }
        if self.irregular >> slot & 1 == 1 {
            region.beyond = self.beyond[slot].clone();
            region.irregular = true;
        }
        region
    }

    /// The first half of the boxes, and the rest.
    fn halves(&self) -> (Self, Self) {
        let boxes: Vec<_> = self.boxes().collect();
        let half = |boxes: &[(Place, usize)]| {
            let mut block = Self::default();
            for &(place, slot) in boxes {
                block.insert(place, &self.region(slot));
            }
            block
        };
        let (front, back) = boxes.split_at(boxes.len() / 2);
        (half(front), half(back))
    }

    /// Drops the columns in which no box asks anything, and puts those first that leave the fewest boxes.
    fn arrange(&mut self) {
        self.unarranged = 0;
        let columns = std::mem::take(&mut self.columns);
        let mut kept: Vec<_> = self
            .lanes
            .into_iter()
            .zip(columns)
            .filter(|(_, column)| {
                bits(self.live).any(|slot| (column.low[slot], column.span[slot]) != (0, u32::MAX))
            })
            .map(|(lane, column)| (left_by(&column, self.live), lane, column))
            .collect();
        kept.sort_by_key(|&(left, lane, _)| (left, lane));
        for (known, &(_, lane, _)) in self.lanes.iter_mut().zip(&kept) {
            *known = lane;
        }
        self.columns = kept.into_iter().map(|(_, _, column)| column).collect();
    }
}

impl Default for Block {
    fn default() -> Self {
        let nowhere = (Rank { precedence: 0, id: PdrId(0) }, 0);
        Self {
            live: 0,
            irregular: 0,
            lanes: [0; LANES],
            columns: Vec::new(),
            places: [nowhere; BLOCK],
            beyond: Vec::new(),
            unarranged: 0,
        }
    }
}

/// How many boxes a column leaves to values that are in one of them each, in sum.
fn left_by(column: &Column, live: u32) -> u32 {
    // A number for each box, as in the column, so that the compiler makes vectors of the sum.
    let there: [u32; BLOCK] = std::array::from_fn(|slot| live >> slot & 1);
    let left = |slot: usize| {
        let value = column.low[slot];
        let intervals = column.low.iter().zip(&column.span).zip(&there);
        let inside =
            intervals.map(|((&low, &span), &there)| u32::from(value.wrapping_sub(low) <= span) & there);
        inside.sum::<u32>()
    };
    bits(live).map(left).sum()
}

/// The places of the ones.
fn bits(mut rest: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = rest.trailing_zeros();
        rest &= rest.checked_sub(1)?;
        Some(bit as usize)
    })
}
