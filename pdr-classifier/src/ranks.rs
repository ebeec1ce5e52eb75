//! The ranks of the boxes in one table or partition, for the best of them.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::pdi::{PdrId, Rank};
use crate::simd::prefetch;

/// A multiset: boxes of one rule share a rank.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranks {
    counts: BTreeMap<Rank, usize>,
}

impl Ranks {
    pub(crate) fn add(&mut self, rank: Rank) {
        *self.counts.entry(rank).or_default() += 1;
    }

    pub(crate) fn take(&mut self, rank: Rank) {
        if let Some(count) = self.counts.get_mut(&rank) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&rank);
            }
        }
    }

    pub(crate) fn best(&self) -> Option<Rank> {
        self.counts.first_key_value().map(|(&rank, _)| rank)
    }
}

/// The ranks of boxes at numbers of their own, for the best of them: above each group of ranks is the
/// best of the group, above each group of those again, and so on. A box that comes or goes touches its
/// own group, and those above only as far as it was or becomes the best.
#[derive(Clone, Debug, Default)]
pub(crate) struct Front {
    /// The ranks as numbers, then the best of each group of the level before; the last is one group.
    levels: SmallVec<[Vec<u64>; 4]>,
    /// Numbers of boxes that went. The last is given to the next box: it is the nearest in the caches.
    free: Vec<u32>,
}

impl Front {
    /// The ranks of a group.
    const GROUP: usize = 16;

    /// Where there is no box. A box may have this rank, too: the two need not be told apart, since who
    /// asks for the best knows whether there is a box at all.
    const NOTHING: u64 = u64::MAX;

    const fn packed(rank: Rank) -> u64 {
        (rank.precedence as u64) << 32 | rank.id.0 as u64
    }

    /// Adds a box, and gives its number.
    pub(crate) fn add(&mut self, rank: Rank) -> u32 {
        let new = Self::packed(rank);
        let number = self.free.pop().unwrap_or_else(|| self.grow());
        let mut at = number as usize;
        for level in &mut self.levels {
            if level[at] <= new {
                break;
            }
            level[at] = new;
            at /= Self::GROUP;
        }
        number
    }

    /// Makes place for one more box.
    fn grow(&mut self) -> u32 {
        let number = self.levels.first().map_or(0, Vec::len);
        let mut at = number;
        for level in &mut self.levels {
            if at < level.len() {
                return number as u32;
            }
            level.push(Self::NOTHING);
            at /= Self::GROUP;
        }
        if self.levels.last().is_none_or(|last| last.len() > Self::GROUP) {
            let groups = self.levels.last().map_or_else(|| vec![Self::NOTHING], |last| Self::above(last));
            self.levels.push(groups);
        }
        number as u32
    }

    /// The best of each group.
    fn above(level: &[u64]) -> Vec<u64> {
        level.chunks(Self::GROUP).map(Self::least).collect()
    }

    fn least(group: &[u64]) -> u64 {
        group.iter().fold(Self::NOTHING, |least, &rank| least.min(rank))
    }

    /// Brings what [`take`](Self::take) needs near.
    pub(crate) fn approach(&self, number: u32) {
        let group = number as usize & !(Self::GROUP - 1);
        if let Some(ranks) = self.levels.first().and_then(|ranks| ranks.get(group..number as usize + 1)) {
            prefetch(ranks);
        }
    }

    /// Takes the box of this number out.
    pub(crate) fn take(&mut self, number: u32) {
        let mut at = number as usize;
        let mut left = Self::NOTHING;
        let mut levels = self.levels.iter_mut().peekable();
        while let Some(level) = levels.next() {
            let old = std::mem::replace(&mut level[at], left);
            let group = at / Self::GROUP;
            let is_best = levels.peek().is_some_and(|above| above[group] == old);
            if !is_best {
                break;
            }
            let begin = group * Self::GROUP;
            left = Self::least(&level[begin..level.len().min(begin + Self::GROUP)]);
            if left == old {
                break;
            }
            at = group;
        }
        self.free.push(number);
    }

    /// The best rank, if there is a box.
    pub(crate) fn best(&self) -> Rank {
        let least = self.levels.last().map_or(Self::NOTHING, |last| Self::least(last));
        Rank { precedence: (least >> 32) as u32, id: PdrId(least as u32) }
    }
}

/// What is searched in turn, by the best rank in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SearchOrder {
    /// Few are in the order itself.
    places: SmallVec<[(Rank, u32); 2]>,
}

impl SearchOrder {
    /// Moves a place from where its old best rank had it to where the new one has it; `None` is
    /// nowhere.
    pub(crate) fn change(&mut self, place: u32, old: Option<Rank>, new: Option<Rank>) {
        if old == new {
            return;
        }
        if let Some(old) = old
            && let Ok(at) = self.places.binary_search(&(old, place))
        {
            self.places.remove(at);
        }
        if let Some(new) = new
            && let Err(at) = self.places.binary_search(&(new, place))
        {
            self.places.insert(at, (new, place));
        }
    }

    /// The lowest rank below the bound that `find` gives, without a look at places that cannot have a
    /// lower one.
    #[inline(always)]
    pub(crate) fn search(&self, below: Option<Rank>, find: impl Fn(usize) -> Option<Rank>) -> Option<Rank> {
        let mut best: Option<Rank> = None;
        for &(first, place) in &self.places {
            if best.or(below).is_some_and(|bound| bound <= first) {
                break;
            }
            if let Some(rank) = find(place as usize)
                && best.or(below).is_none_or(|bound| rank < bound)
            {
                best = Some(rank);
            }
        }
        best
    }

    /// The lowest rank of all places.
    pub(crate) fn first(&self) -> Option<Rank> {
        self.places.first().map(|&(first, _)| first)
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = usize> + '_ {
        self.places.iter().map(|&(_, place)| place as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Rng;

    fn rank(value: u64) -> Rank {
        Rank { precedence: (value >> 32) as u32, id: PdrId(value as u32) }
    }

    #[test]
    fn when_boxes_come_and_go_then_the_best_is_that_of_all_that_are_there() {
        let mut rng = Rng::new(1);
        // Few values, so that boxes share them; the highest of all among them.
        for (most, values) in [(3, 2), (17, 8), (300, 1000), (5000, 1 << 20)] {
            let (mut front, mut there) = (Front::default(), Vec::new());
            for step in 0..4 * most {
                let grows = step < most || rng.below(2) == 0;
                if grows && there.len() < most {
                    let value = u64::MAX - rng.below(values);
                    there.push((front.add(rank(value)), value));
                } else if !there.is_empty() {
                    let (number, _) = there.swap_remove(rng.below(there.len() as u64) as usize);
                    front.take(number);
                }
                let least = there.iter().map(|&(_, value)| value).min();
                assert_eq!(least.map(|_| front.best()), least.map(rank), "{} boxes", there.len());
            }
            assert_eq!(front.levels[0].len(), most, "numbers are given again");
        }
    }

    #[test]
    fn when_the_best_goes_each_time_then_the_next_is_found() {
        let mut front = Front::default();
        let numbers: Vec<u32> = (0..4097).map(|value| front.add(rank(value))).collect();
        for (value, number) in (0..).zip(numbers) {
            assert_eq!(front.best(), rank(value));
            front.take(number);
        }
    }
}
