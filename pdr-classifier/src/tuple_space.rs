//! Tuple space search: one hash table for each combination of masks.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use slab::Slab;

use crate::classifier::{Classifier, RuleMap, check_admits};
use crate::error::InsertError;
use crate::expand::Rule;
use crate::key::{Key, LANES};
use crate::pdi::{PdrId, Rank};
use crate::ranks::{Ranks, SearchOrder};
use crate::region::Region;

/// An odd number without pattern, to spread a lane's bits over the hash.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Tuple space search, its tables in the order of their best rule.
///
/// A table holds the boxes of one tuple of masks. An interval that is not a prefix goes by the longest
/// prefix around it, so that a box is in one table only; the table's entries are verified as a whole.
#[derive(Clone, Debug, Default)]
pub struct TupleSpaceSearch {
    tables: Slab<Table>,
    by_masks: HashMap<[u32; LANES], usize>,
    order: SearchOrder,
    /// For each rule, where its boxes are: table and hash.
    rules: RuleMap<Vec<(usize, u64)>>,
    boxes: usize,
    /// Makes collisions unforeseeable.
    seed: RandomState,
}

#[derive(Clone, Debug)]
struct Table {
    masks: [u32; LANES],
    /// The lanes with a mask.
    used: Vec<u8>,
    seed: u64,
    entries: HashMap<u64, Vec<(Rank, Region)>, Hashed>,
    ranks: Ranks,
}

impl TupleSpaceSearch {
    /// A tuple space without rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of tables: what a lookup that finds nothing visits.
    pub fn tables(&self) -> usize {
        self.tables.len()
    }

    fn table_of(&mut self, region: &Region) -> usize {
        let masks = std::array::from_fn(|lane| mask_around(region.low[lane], region.high[lane]));
        *self.by_masks.entry(masks).or_insert_with(|| {
            self.tables.insert(Table {
                masks,
                used: (0u8..).zip(masks).filter(|&(_, mask)| mask != 0).map(|(lane, _)| lane).collect(),
                seed: self.seed.hash_one(masks),
                entries: HashMap::default(),
                ranks: Ranks::default(),
            })
        })
    }
}

impl Table {
    fn hash(&self, lanes: &[u32; LANES]) -> u64 {
        self.used.iter().map(|&lane| usize::from(lane)).fold(self.seed, |hash, lane| {
            let mixed = (hash ^ u64::from(lanes[lane] & self.masks[lane])).wrapping_mul(SPREAD);
            mixed ^ mixed >> 32
        })
    }

    fn find(&self, key: &Key) -> Option<Rank> {
        let entries = self.entries.get(&self.hash(&key.lanes))?;
        entries.iter().find(|(_, region)| region.matches(key)).map(|&(rank, _)| rank)
    }

    fn insert(&mut self, rank: Rank, region: &Region) -> u64 {
        let hash = self.hash(&region.low);
        let entries = self.entries.entry(hash).or_default();
        let place = entries.partition_point(|&(other, _)| other < rank);
        entries.insert(place, (rank, region.clone()));
        self.ranks.add(rank);
        hash
    }

    /// Takes one box of the rule out.
    fn remove(&mut self, id: PdrId, hash: u64) {
        let Some(entries) = self.entries.get_mut(&hash) else { return };
        let Some(place) = entries.iter().position(|(rank, _)| rank.id == id) else { return };
        let (rank, _) = entries.remove(place);
        if entries.is_empty() {
            self.entries.remove(&hash);
        }
        self.ranks.take(rank);
    }
}

/// The mask of the longest prefix with both ends in it.
fn mask_around(low: u32, high: u32) -> u32 {
    let same = (low ^ high).leading_zeros();
    !u32::MAX.checked_shr(same).unwrap_or(0)
}

impl Classifier for TupleSpaceSearch {
    fn insert(&mut self, rule: &Rule) -> Result<(), InsertError> {
        check_admits(&self.rules, self.boxes, rule)?;
        let mut places = Vec::with_capacity(rule.boxes());
        for region in &rule.regions {
            let at = self.table_of(region);
            let table = &mut self.tables[at];
            let best = table.ranks.best();
            places.push((at, table.insert(rule.rank(), region)));
            self.order.change(at as u32, best, table.ranks.best());
        }
        self.rules.insert(rule.id(), places);
        self.boxes += rule.boxes();
        Ok(())
    }

    fn remove(&mut self, id: PdrId) -> bool {
        let Some(places) = self.rules.remove(&id) else { return false };
        self.boxes -= places.len();
        for (at, hash) in places {
            let table = &mut self.tables[at];
            let best = table.ranks.best();
            table.remove(id, hash);
            let left = table.ranks.best();
            self.order.change(at as u32, best, left);
            if left.is_none() {
                let table = self.tables.remove(at);
                self.by_masks.remove(&table.masks);
            }
        }
        true
    }

    fn find(&self, key: &Key, below: Option<Rank>) -> Option<Rank> {
        self.order.search(below, |at| self.tables[at].find(key))
    }

    fn contains(&self, id: PdrId) -> bool {
        self.rules.contains_key(&id)
    }

    fn boxes(&self) -> usize {
        self.boxes
    }

    fn len(&self) -> usize {
        self.rules.len()
    }
}

/// The key is a hash already.
#[derive(Clone, Copy, Debug, Default)]
struct Hashed;

impl std::hash::BuildHasher for Hashed {
    type Hasher = Itself;

    fn build_hasher(&self) -> Itself {
        Itself(0)
    }
}

struct Itself(u64);

impl std::hash::Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(SPREAD);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}
