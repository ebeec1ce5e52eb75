//! Disjoint intervals in order, a few at a time.

use super::tree::Below;
use crate::simd::{BLOCK, Compare, prefetch};

/// The most slots of a chunk.
pub(super) const CHUNK: usize = GROUPS * BLOCK;

const GROUPS: usize = 4;

/// An interval and what is below it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) low: u32,
    pub(super) high: u32,
    pub(super) below: Below,
}

/// Slots in order, up to [`CHUNK`].
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    groups: Vec<Group>,
    len: usize,
    /// The first value of each group, so that a search needs the memory of one group only; the highest
    /// number where there is none.
    firsts: [u32; GROUPS],
}

/// The parts of slots beside each other: what a search compares is in one cache line for all of them,
/// so that it waits for memory once and not at each step.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
struct Group {
    /// The highest number where there is no slot.
    lows: [u32; BLOCK],
    highs: [u32; BLOCK],
    belows: [Below; BLOCK],
}

impl Group {
    const EMPTY: Self =
        Self { lows: [u32::MAX; BLOCK], highs: [u32::MAX; BLOCK], belows: [Below::one(0); BLOCK] };

    const fn slot(&self, at: usize) -> Slot {
        Slot { low: self.lows[at], high: self.highs[at], below: self.belows[at] }
    }

    const fn set(&mut self, at: usize, Slot { low, high, below }: Slot) {
        (self.lows[at], self.highs[at], self.belows[at]) = (low, high, below);
    }

    /// Puts a slot there, behind which the others move by one; the last is given.
    fn push_in(&mut self, at: usize, slot: Slot) -> Slot {
        let last = self.slot(BLOCK - 1);
        move_back(&mut self.lows, at);
        move_back(&mut self.highs, at);
        move_back(&mut self.belows, at);
        self.set(at, slot);
        last
    }

    /// Takes the slot there out and puts another at the end.
    fn pull_out(&mut self, at: usize, last: Slot) {
        move_up(&mut self.lows, at);
        move_up(&mut self.highs, at);
        move_up(&mut self.belows, at);
        self.set(BLOCK - 1, last);
    }
}

/// Moves what is at this place and behind it by one. A choice for each place is made of vector
/// instructions; a move of so many is a call, which takes longer.
#[inline]
fn move_back<T: Copy>(values: &mut [T; BLOCK], at: usize) {
    let old = *values;
    for place in 1..BLOCK {
        values[place] = if place > at { old[place - 1] } else { old[place] };
    }
}

/// Moves what is behind this place by one to the front.
#[inline]
fn move_up<T: Copy>(values: &mut [T; BLOCK], at: usize) {
    let old = *values;
    for place in 0..BLOCK - 1 {
        values[place] = if place >= at { old[place + 1] } else { old[place] };
    }
}

impl Chunk {
    /// Of these slots, one at least, which are in order and not too many.
    pub(super) fn new(slots: impl IntoIterator<Item = Slot>) -> Self {
        // Most chunks have a few slots only, so there is no room for more from the beginning.
        let mut chunk = Self { groups: Vec::with_capacity(1), len: 0, firsts: [u32::MAX; GROUPS] };
        slots.into_iter().for_each(|slot| chunk.insert(chunk.len, slot));
        chunk
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The lowest value of all.
    pub(super) const fn low(&self) -> u32 {
        self.firsts[0]
    }

    pub(super) fn slot(&self, at: usize) -> Option<Slot> {
        (at < self.len).then(|| self.groups[at / BLOCK].slot(at % BLOCK))
    }

    /// Brings near what an update needs.
    pub(super) fn approach(&self) {
        prefetch(&self.groups[..]);
    }

    /// The group where an interval with this value would be.
    #[inline(always)]
    fn group_of(&self, value: u32) -> usize {
        if self.groups.len() <= 1 {
            return 0;
        }
        let behind = self.firsts[1..].iter().map(|&first| usize::from(first <= value));
        // Where there is no group counts as well, if the value is the highest number.
        behind.fold(0, usize::wrapping_add).min(self.groups.len() - 1)
    }

    /// How many intervals of a group begin at the value or before.
    #[inline(always)]
    fn not_above_in(&self, group: usize, value: u32, compare: impl Compare) -> usize {
        let Some(Group { lows, .. }) = self.groups.get(group) else { return 0 };
        (compare.not_above(value, lows) as usize).min(self.len - group * BLOCK)
    }

    /// How many intervals begin at the value or before.
    #[inline(always)]
    pub(super) fn not_above(&self, value: u32, compare: impl Compare) -> usize {
        let group = self.group_of(value);
        group * BLOCK + self.not_above_in(group, value, compare)
    }

    /// What is below the interval that the value is in.
    #[inline(always)]
    pub(super) fn find(&self, value: u32, compare: impl Compare) -> Option<Below> {
        let place = self.group_of(value);
        let group = self.groups.get(place)?;
        prefetch(&group.highs);
        prefetch(&group.belows);
        let at = self.not_above_in(place, value, compare).checked_sub(1)?;
        (value <= group.highs[at % BLOCK]).then_some(group.belows[at % BLOCK])
    }

    pub(super) fn set_below(&mut self, at: usize, below: Below) {
        self.groups[at / BLOCK].belows[at % BLOCK] = below;
    }

    /// Puts a slot at this place; there is room for it.
    pub(super) fn insert(&mut self, at: usize, slot: Slot) {
        if self.len == self.groups.len() * BLOCK {
            self.groups.push(Group::EMPTY);
        }
        self.len += 1;
        let (mut begin, mut carried) = (at % BLOCK, slot);
        let from = at / BLOCK;
        for (group, first) in self.groups[from..].iter_mut().zip(&mut self.firsts[from..]) {
            carried = group.push_in(begin, carried);
            *first = group.lows[0];
            begin = 0;
        }
    }

    pub(super) fn remove(&mut self, at: usize) {
        let mut begin = at % BLOCK;
        for group in at / BLOCK..self.groups.len() {
            let behind = self.groups.get(group + 1).map_or(Group::EMPTY.slot(0), |next| next.slot(0));
            self.groups[group].pull_out(begin, behind);
            self.firsts[group] = self.groups[group].lows[0];
            begin = 0;
        }
        self.len -= 1;
        self.groups.truncate(self.len.div_ceil(BLOCK));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        (0..self.len).map(|at| self.groups[at / BLOCK].slot(at % BLOCK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Portable;

    fn slot(low: u32) -> Slot {
        Slot { low, high: low, below: Below::one(low / 2) }
    }

    #[test]
    fn when_slots_come_and_go_anywhere_then_those_that_are_there_are_found() {
        for most in [1, BLOCK, BLOCK + 1, CHUNK] {
            for seed in 0..most {
                let (mut chunk, mut there) = (Chunk::new([]), Vec::new());
                for step in 0..most {
                    let low = u32::MAX - ((step * 7 + seed) % most) as u32;
                    let at = chunk.not_above(low, Portable);
                    if there.get(at.wrapping_sub(1)) == Some(&low) {
                        continue;
                    }
                    chunk.insert(at, slot(low));
                    there.insert(at, low);
                }
                while !there.is_empty() {
                    assert_eq!(chunk.iter().map(|slot| slot.low).collect::<Vec<_>>(), there);
                    assert!(there.is_sorted() && chunk.len() == there.len() && chunk.low() == there[0]);
                    for value in (u32::MAX - most as u32)..=u32::MAX {
                        let below = there.contains(&value).then(|| slot(value).below);
                        assert_eq!(chunk.find(value, Portable), below, "{value} of {there:?}");
                    }
                    let at = (there.len() * 5 + seed) % there.len();
                    chunk.remove(at);
                    there.remove(at);
                }
            }
        }
    }
}
