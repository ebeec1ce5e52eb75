//! The intervals of a branch.

use smallvec::SmallVec;

pub(super) use super::chunk::Slot;
use super::chunk::{CHUNK, Chunk};
use super::tree::Below;
use crate::simd::{Compare, Portable};

/// Up to this many slots in two neighbouring chunks, they become one.
const MERGE: usize = CHUNK / 2;

/// Chunks that are in the branch itself. More have a place of their own.
const CHUNKS: usize = 2;

/// Disjoint intervals in order, in chunks, so that one that comes or goes moves only a few others.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    /// Almost always one. None is empty.
    chunks: SmallVec<[Chunk; CHUNKS]>,
    /// The first value of each chunk.
    lows: SmallVec<[u32; CHUNKS]>,
}

/// Where a slot is: its chunk, and its place there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    chunk: usize,
    at: usize,
}

/// Where an interval would go.
pub(super) enum Place {
    /// It is there, and this is below it.
    Same(Position, Below),
    Between(Position),
    /// It overlaps another.
    Nowhere,
}

impl Slots {
    /// Two slots.
    pub(super) fn new(one: Slot, other: Slot) -> Self {
        let slots = if one.low < other.low { [one, other] } else { [other, one] };
        Self { chunks: SmallVec::from_iter([Chunk::new(slots)]), lows: SmallVec::from_iter([slots[0].low]) }
    }

    /// What is below the interval that the value is in.
    #[inline(always)]
    pub(super) fn find(&self, value: u32, compare: impl Compare) -> Option<Below> {
        self.chunks[self.chunk_of(value)].find(value, compare)
    }

    #[inline]
    fn chunk_of(&self, value: u32) -> usize {
        if self.chunks.len() == 1 {
            return 0;
        }
        self.lows.partition_point(|&low| low <= value).saturating_sub(1)
    }

    pub(super) fn place(&self, low: u32, high: u32) -> Place {
        let chunk = self.chunk_of(low);
        let slots = &self.chunks[chunk];
        let at = slots.not_above(low, Portable);
        if let Some(before) = at.checked_sub(1).and_then(|before| slots.slot(before)) {
            if (before.low, before.high) == (low, high) {
                return Place::Same(Position { chunk, at: at - 1 }, before.below);
            }
            if before.high >= low {
                return Place::Nowhere;
            }
        }
        let after = slots.slot(at).or_else(|| self.chunks.get(chunk + 1)?.slot(0));
        if after.is_some_and(|after| after.low <= high) {
            return Place::Nowhere;
        }
        Place::Between(Position { chunk, at })
    }

    /// The slot of the interval that begins with this value, and what is below it.
    pub(super) fn position(&self, low: u32) -> Option<(Position, Below)> {
        let chunk = self.chunk_of(low);
        self.chunks[chunk].approach();
        let at = self.chunks[chunk].not_above(low, Portable).checked_sub(1)?;
        let slot = self.chunks[chunk].slot(at)?;
        (slot.low == low).then_some((Position { chunk, at }, slot.below))
    }

    pub(super) fn set_below(&mut self, position: Position, below: Below) {
        self.chunks[position.chunk].set_below(position.at, below);
    }

    /// Adds a slot where [`place`](Self::place) said.
    pub(super) fn insert(&mut self, Position { mut chunk, mut at }: Position, slot: Slot) {
        if self.chunks[chunk].len() == CHUNK {
            // Sorted intervals come one behind the other: a chunk filled at its end stays full.
            if at == CHUNK {
                self.lows.insert(chunk + 1, slot.low);
                self.chunks.insert(chunk + 1, Chunk::new([slot]));
                return;
            }
            self.split(chunk);
            if at > CHUNK / 2 {
                (chunk, at) = (chunk + 1, at - CHUNK / 2);
            }
        }
        self.chunks[chunk].insert(at, slot);
        self.lows[chunk] = self.chunks[chunk].low();
    }

    /// Makes two chunks of a full one.
    fn split(&mut self, chunk: usize) {
        let slots = &self.chunks[chunk];
        let (front, back) =
            (Chunk::new(slots.iter().take(CHUNK / 2)), Chunk::new(slots.iter().skip(CHUNK / 2)));
        self.lows.insert(chunk + 1, back.low());
        self.chunks.insert(chunk + 1, back);
        self.chunks[chunk] = front;
    }

    /// Takes a slot out, and gives the one that is left, if only one is.
    pub(super) fn remove(&mut self, Position { chunk, at }: Position) -> Option<Slot> {
        let slots = &mut self.chunks[chunk];
        slots.remove(at);
        if at == 0 && slots.len() > 0 {
            self.lows[chunk] = slots.low();
        }
        let len = |chunk: usize| self.chunks.get(chunk).map_or(CHUNK, Chunk::len);
        if len(chunk) + len(chunk + 1) <= MERGE {
            self.merge(chunk);
        } else if chunk > 0 && len(chunk - 1) + len(chunk) <= MERGE {
            self.merge(chunk - 1);
        } else if len(chunk) == 0 && self.chunks.len() > 1 {
            self.chunks.remove(chunk);
            self.lows.remove(chunk);
        }
        match &self.chunks[..] {
            [slots] if slots.len() == 1 => slots.slot(0),
            _ => None,
        }
    }

    /// Takes the chunk behind this one into this one.
    fn merge(&mut self, chunk: usize) {
        let behind = self.chunks.remove(chunk + 1);
        self.lows.remove(chunk + 1);
        let slots = &mut self.chunks[chunk];
        behind.iter().for_each(|slot| slots.insert(slots.len(), slot));
        self.lows[chunk] = slots.low();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        self.chunks.iter().flat_map(Chunk::iter)
    }
}
