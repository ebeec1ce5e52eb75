//! The linear search over one block of memory.

use crate::classifier::{Classifier, RuleMap, check_admits};
use crate::error::InsertError;
use crate::expand::Rule;
use crate::key::Key;
use crate::pdi::{PdrId, Rank};
use crate::region::Region;
use crate::simd::{Compare, Search, Vectors};

/// A vector of boxes in precedence order: the [`LinkedList`](crate::LinkedList) without its pointers.
#[derive(Clone, Debug, Default)]
pub struct SortedVector {
    boxes: Vec<Row>,
    ranks: RuleMap<Rank>,
    vectors: Option<Vectors>,
}

/// A box in cache lines of its own.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
struct Row {
    region: Region,
    rank: Rank,
}

impl SortedVector {
    /// A vector without rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// The vector with all lanes of a box compared at once, by these instructions, and not one after the
    /// other.
    #[must_use]
    pub const fn with_vectors(mut self, vectors: Vectors) -> Self {
        self.vectors = Some(vectors);
        self
    }

    fn first_of(&self, rank: Rank) -> usize {
        self.boxes.partition_point(|row| row.rank < rank)
    }
}

struct Find<'a>(&'a [Row], &'a Key);

impl<'a> Search for Find<'a> {
    type Found = Option<&'a Row>;

    #[inline(always)]
    fn run(self, compare: impl Compare) -> Option<&'a Row> {
        let Self(rows, key) = self;
        rows.iter().find(|row| row.region.verifies(key, compare))
    }
}

impl Classifier for SortedVector {
    fn insert(&mut self, rule: &Rule) -> Result<(), InsertError> {
        check_admits(&self.ranks, self.boxes.len(), rule)?;
        let place = self.first_of(rule.rank());
        let rows = rule.regions.iter().map(|region| Row { rank: rule.rank(), region: region.clone() });
        self.boxes.splice(place..place, rows);
        self.ranks.insert(rule.id(), rule.rank());
        Ok(())
    }

    fn remove(&mut self, id: PdrId) -> bool {
        let Some(rank) = self.ranks.remove(&id) else { return false };
        let first = self.first_of(rank);
        let boxes = self.boxes[first..].iter().take_while(|row| row.rank == rank).count();
        self.boxes.drain(first..first + boxes);
        true
    }

    fn find(&self, key: &Key, below: Option<Rank>) -> Option<Rank> {
        let rows = match below {
            Some(below) => &self.boxes[..self.first_of(below)],
            None => &self.boxes[..],
        };
        let row = match self.vectors {
            Some(vectors) => vectors.run(Find(rows, key)),
            None => rows.iter().find(|row| row.region.matches(key)),
        };
        row.map(|row| row.rank)
    }

    fn contains(&self, id: PdrId) -> bool {
        self.ranks.contains_key(&id)
    }

    fn boxes(&self) -> usize {
        self.boxes.len()
    }

    fn len(&self) -> usize {
        self.ranks.len()
    }
}
