//! From numbers to places, in as little memory as that takes.

use pdr_classifier::prefetch;

/// A place where nothing is.
const VACANT: u32 = u32::MAX;
/// The room of the smallest index: a power of two, as all others are.
const ROOM_MIN: usize = 16;
/// 2⁶⁴ ÷ the golden ratio: what is multiplied by it is spread over the high bits.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Places by tags of 32 bits. Where a tag is the key itself, it leads to one place; where it is a hash of the
/// key, the caller compares the keys, and who gives keys must not know the hash.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// Open addressing: an entry is where its tag belongs or behind that, with no gap between.
    entries: Box<[Entry]>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    tag: u32,
    place: u32,
}

impl Entry {
    const NONE: Self = Self { tag: 0, place: VACANT };

    const fn is_vacant(self) -> bool {
        self.place == VACANT
    }
}

impl Index {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The place of this tag that is the one.
    #[inline]
    pub(crate) fn find(&self, tag: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let found = self.position(tag, is_it)?;
        self.entries.get(found).map(|entry| entry.place)
    }

    /// The tag leads to this place from now on, and no longer to the one that is found by it.
    pub(crate) fn set(&mut self, tag: u32, place: u32, is_it: impl Fn(u32) -> bool) {
        if let Some(found) = self.position(tag, is_it) {
            self.entries[found].place = place;
            return;
        }
        if (self.len + 1) * 4 > self.entries.len() * 3 {
            self.grow();
        }
        self.put(Entry { tag, place });
        self.len += 1;
    }

    /// The tag leads to this place no longer, if it did.
    pub(crate) fn remove(&mut self, tag: u32, place: u32) {
        let Some(mut gap) = self.position(tag, |found| found == place) else { return };
        let mut at = gap;
        loop {
            at = self.behind(at);
            let entry = self.entries[at];
            if entry.is_vacant() {
                break;
            }
            // It moves up unless it belongs behind the gap.
            let home = self.home(entry.tag);
            let way = |from: usize, to: usize| to.wrapping_sub(from) & (self.entries.len() - 1);
            if way(home, at) >= way(gap, at) {
                self.entries[gap] = entry;
                gap = at;
            }
        }
        self.entries[gap] = Entry::NONE;
        self.len -= 1;
    }

    /// Asks for the memory that finding this tag needs.
    #[inline]
    pub(crate) fn prefetch(&self, tag: u32) {
        if let Some(entry) = self.entries.get(self.home(tag)) {
            prefetch(entry);
        }
    }

    #[inline]
    fn position(&self, tag: u32, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        let mut at = self.home(tag);
        loop {
            let entry = *self.entries.get(at)?;
            if entry.is_vacant() {
                return None;
            }
            if entry.tag == tag && is_it(entry.place) {
                return Some(at);
            }
            at = self.behind(at);
        }
    }

    /// Where a tag belongs.
    #[inline]
    fn home(&self, tag: u32) -> usize {
        let high = u64::from(tag).wrapping_mul(SPREAD) >> 32;
        (high * self.entries.len() as u64 >> 32) as usize
    }

    #[inline]
    fn behind(&self, at: usize) -> usize {
        (at + 1) & (self.entries.len() - 1)
    }

    fn put(&mut self, entry: Entry) {
        let mut at = self.home(entry.tag);
        while !self.entries[at].is_vacant() {
            at = self.behind(at);
        }
        self.entries[at] = entry;
    }

    fn grow(&mut self) {
        let room = (self.entries.len() * 2).max(ROOM_MIN);
        let before = std::mem::replace(&mut self.entries, vec![Entry::NONE; room].into());
        before.into_iter().filter(|entry| !entry.is_vacant()).for_each(|entry| self.put(entry));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::Index;

    #[test]
    fn when_tags_are_equal_then_the_caller_decides() {
        let mut index = Index::default();
        let keys = ["one", "two", "three"];
        (0..3).for_each(|place| index.set(7, place, |_| false));
        let find = |index: &Index, key: &str| index.find(7, |place| keys[place as usize] == key);
        assert_eq!(find(&index, "two"), Some(1));
        index.remove(7, 0);
        assert_eq!(
            (find(&index, "one"), find(&index, "two"), find(&index, "three")),
            (None, Some(1), Some(2))
        );
        assert_eq!((index.find(8, |_| true), index.len()), (None, 2));
    }

    proptest! {
        /// Few tags, so that runs of entries grow, wrap around and close again.
        #[test]
        fn an_index_has_what_a_map_has(steps in prop::collection::vec((any::<bool>(), 0u32..90, 0u32..9), 0..600)) {
            let (mut index, mut map) = (Index::default(), BTreeMap::new());
            for (puts, tag, place) in steps {
                let tag = tag.wrapping_mul(0x1234_5677);
                if puts {
                    index.set(tag, place, |_| true);
                    map.insert(tag, place);
                } else {
                    index.remove(tag, place);
                    if map.get(&tag) == Some(&place) {
                        map.remove(&tag);
                    }
                }
                prop_assert_eq!(index.len(), map.len());
            }
            for tag in (0..90u32).map(|tag| tag.wrapping_mul(0x1234_5677)) {
                prop_assert_eq!(index.find(tag, |_| true), map.get(&tag).copied());
            }
        }
    }
}
