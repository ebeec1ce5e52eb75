//! The classifier that fits the number of boxes.

use crate::classifier::Classifier;
use crate::error::InsertError;
use crate::expand::Rule;
use crate::key::Key;
use crate::partition_sort::PartitionSort;
use crate::pdi::PdrId;
use crate::simd::Vectors;
use crate::sorted_vector::SortedVector;

/// With more boxes than this a [`Hybrid`] searches a [`PartitionSort`].
pub const SMALL_BOXES_MAX: usize = 12;

/// With this many boxes or fewer it goes back to a [`SortedVector`]. The two are apart, so that one rule
/// that comes and goes does not move all the others each time.
pub const LARGE_BOXES_MIN: usize = 8;

/// The fewest boxes of a new partition.
pub const PARTITION_BOXES_MIN: usize = 64;

/// A [`SortedVector`] while there are few boxes, a [`PartitionSort`] when there are more.
#[derive(Clone, Debug)]
pub struct Hybrid {
    part: Part,
    vectors: Vectors,
}

#[derive(Clone, Debug)]
enum Part {
    Small(SortedVector),
    Large(Box<PartitionSort>),
}

impl Hybrid {
    /// A set without rules.
    pub fn new() -> Self {
        let vectors = Vectors::best();
        Self { part: Part::Small(SortedVector::new().with_vectors(vectors)), vectors }
    }

    /// A set of these rules, with all of them in view.
    pub fn build<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Result<Self, InsertError> {
        let mut set = Self::new();
        set.part = Part::Large(Box::new(set.empty_large().filled(rules)?));
        set.fit();
        Ok(set)
    }

    /// The set with these instructions.
    #[must_use]
    pub fn with_vectors(mut self, vectors: Vectors) -> Self {
        self.vectors = vectors;
        self.part = match self.part {
            Part::Small(small) => Part::Small(small.with_vectors(vectors)),
            Part::Large(large) => Part::Large(Box::new(large.with_vectors(vectors))),
        };
        self
    }

    /// Whether the rules are in a [`PartitionSort`] now.
    pub const fn is_large(&self) -> bool {
        matches!(self.part, Part::Large(_))
    }

    /// The number of partitions that a lookup which finds nothing searches.
    pub fn partitions(&self) -> usize {
        match &self.part {
            Part::Small(_) => 0,
            Part::Large(large) => large.partitions(),
        }
    }

    /// The number of boxes that are scanned, since they are in no partition.
    pub fn scanned(&self) -> usize {
        match &self.part {
            Part::Small(small) => small.boxes(),
            Part::Large(large) => large.overflow(),
        }
    }

    fn empty_large(&self) -> PartitionSort {
        PartitionSort::gathering(PARTITION_BOXES_MIN).with_vectors(self.vectors)
    }

    /// Moves the rules, if there are too many or too few boxes for where they are.
    fn fit(&mut self) {
        // They were taken once, so they are distinct and not too many.
        match &self.part {
            Part::Small(small) if small.boxes() > SMALL_BOXES_MAX => {
                if let Ok(large) = self.empty_large().filled(&small.rules()) {
                    self.part = Part::Large(Box::new(large));
                }
            }
            Part::Large(large) if large.boxes() <= LARGE_BOXES_MIN => {
                let mut small = SortedVector::new().with_vectors(self.vectors);
                if large.rules().iter().all(|rule| small.insert(rule).is_ok()) {
                    self.part = Part::Small(small);
                }
            }
            _ => {}
        }
    }
}

impl Default for Hybrid {
    fn default() -> Self {
        Self::new()
    }
}

impl Classifier for Hybrid {
    fn insert(&mut self, rule: &Rule) -> Result<(), InsertError> {
        match &mut self.part {
            Part::Small(small) => small.insert(rule)?,
            Part::Large(large) => large.insert(rule)?,
        }
        self.fit();
        Ok(())
    }

    fn remove(&mut self, id: PdrId) -> bool {
        let removed = match &mut self.part {
            Part::Small(small) => small.remove(id),
            Part::Large(large) => large.remove(id),
        };
        self.fit();
        removed
    }

    fn classify(&self, key: &Key) -> Option<PdrId> {
        match &self.part {
            Part::Small(small) => small.classify(key),
            Part::Large(large) => large.classify(key),
        }
    }

    fn len(&self) -> usize {
        match &self.part {
            Part::Small(small) => small.len(),
            Part::Large(large) => large.len(),
        }
    }
}
