//! The intervals of a branch.

use smallvec::SmallVec;

use super::tree::Below;

/// The most slots of a chunk. One more makes it two.
const CHUNK: usize = 64;

/// Up to this many slots in two neighbouring chunks, they become one.
const MERGE: usize = CHUNK / 2;

/// An interval and what is below it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) low: u32,
    pub(super) high: u32,
    pub(super) below: Below,
}

/// Disjoint intervals in order, in chunks, so that one that comes or goes moves only a few others.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    /// Almost always one. None is empty.
    chunks: SmallVec<[Vec<Slot>; 1]>,
    /// The first value of each chunk.
    lows: Vec<u32>,
}

/// Where a slot is: its chunk, and its place there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    chunk: usize,
    at: usize,
}

/// Where an interval would go.
pub(super) enum Place {
    /// It is there.
    Same(Position),
    Between(Position),
    /// It overlaps another.
    Nowhere,
}

impl Slots {
    /// Two slots.
    pub(super) fn new(one: Slot, other: Slot) -> Self {
        let slots = if one.low < other.low { [one, other] } else { [other, one] };
        Self { chunks: SmallVec::from_iter([slots.to_vec()]), lows: vec![slots[0].low] }
    }

    /// What is below the interval that the value is in.
    #[inline]
    pub(super) fn find(&self, value: u32) -> Option<Below> {
        let slots = &self.chunks[self.chunk_of(value)];
        let slot = slots[..slots.partition_point(|slot| slot.low <= value)].last()?;
        (value <= slot.high).then_some(slot.below)
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
        let at = slots.partition_point(|slot| slot.low <= low);
        if let Some(before) = slots[..at].last() {
            if (before.low, before.high) == (low, high) {
                return Place::Same(Position { chunk, at: at - 1 });
            }
            if before.high >= low {
                return Place::Nowhere;
            }
        }
        let after = slots.get(at).or_else(|| self.chunks.get(chunk + 1)?.first());
        if after.is_some_and(|after| after.low <= high) {
            return Place::Nowhere;
        }
        Place::Between(Position { chunk, at })
    }

    /// The slot of the interval that begins with this value.
    pub(super) fn position(&self, low: u32) -> Option<Position> {
        let chunk = self.chunk_of(low);
        let at = self.chunks[chunk].binary_search_by_key(&low, |slot| slot.low).ok()?;
        Some(Position { chunk, at })
    }

    pub(super) fn below(&self, position: Position) -> Below {
        self.chunks[position.chunk][position.at].below
    }

    pub(super) fn set_below(&mut self, position: Position, below: Below) {
        self.chunks[position.chunk][position.at].below = below;
    }

    /// Adds a slot where [`place`](Self::place) said.
    pub(super) fn insert(&mut self, Position { chunk, at }: Position, slot: Slot) {
        let slots = &mut self.chunks[chunk];
        self.lows[chunk] = self.lows[chunk].min(slot.low);
        slots.insert(at, slot);
        if slots.len() > CHUNK {
            // Sorted intervals come one behind the other: a chunk filled at its end stays full.
            let kept = if at == CHUNK { CHUNK } else { CHUNK / 2 };
            let behind = slots.split_off(kept);
            self.lows.insert(chunk + 1, behind[0].low);
            self.chunks.insert(chunk + 1, behind);
        }
    }

    /// Takes a slot out, and gives the one that is left, if only one is.
    pub(super) fn remove(&mut self, Position { chunk, at }: Position) -> Option<Slot> {
        self.chunks[chunk].remove(at);
        if let Some(first) = self.chunks[chunk].first() {
            self.lows[chunk] = first.low;
        }
        let len = |chunk: usize| self.chunks.get(chunk).map_or(CHUNK, Vec::len);
        if len(chunk) + len(chunk + 1) <= MERGE {
            self.merge(chunk);
        } else if chunk > 0 && len(chunk - 1) + len(chunk) <= MERGE {
            self.merge(chunk - 1);
        } else if len(chunk) == 0 && self.chunks.len() > 1 {
            self.chunks.remove(chunk);
            self.lows.remove(chunk);
        }
        match &self.chunks[..] {
            [slots] if slots.len() == 1 => Some(slots[0]),
            _ => None,
        }
    }

    /// Takes the chunk behind this one into this one.
    fn merge(&mut self, chunk: usize) {
        let behind = self.chunks.remove(chunk + 1);
        self.lows.remove(chunk + 1);
        self.chunks[chunk].extend(behind);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.chunks.iter().flatten()
    }
}
