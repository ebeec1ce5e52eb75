//! The classifier that fits the number of boxes.

use crate::classifier::Classifier;
use crate::error::InsertError;
use crate::expand::Rule;
use crate::key::Key;
use crate::partition_sort::PartitionSort;
use crate::pdi::PdrId;
use crate::sorted_vector::SortedVector;

/// With more boxes than this a [`Hybrid`] searches a [`PartitionSort`].
pub const SMALL_BOXES_MAX: usize = 12;

/// With this many boxes or fewer it goes back to a [`SortedVector`]. The two are apart, so that one rule
/// that comes and goes does not move all the others each time.
pub const LARGE_BOXES_MIN: usize = 8;

/// A [`SortedVector`] while there are few boxes, a [`PartitionSort`] when there are more.
#[derive(Clone, Debug)]
pub struct Hybrid {
    part: Part,
}

#[derive(Clone, Debug)]
enum Part {
    Small(SortedVector),
    Large(Box<PartitionSort>),
}

impl Hybrid {
    /// A set without rules.
    pub fn new() -> Self {
        Self { part: Part::Small(SortedVector::new()) }
    }

    /// A set of these rules, with all of them in view.
    pub fn build<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Result<Self, InsertError> {
        let mut set = Self { part: Part::Large(Box::new(PartitionSort::build(rules)?)) };
        set.fit();
        Ok(set)
    }

    /// Whether the rules are in a [`PartitionSort`] now.
    pub const fn is_large(&self) -> bool {
        matches!(self.part, Part::Large(_))
    }

    /// Moves the rules, if there are too many or too few boxes for where they are.
    fn fit(&mut self) {
        // They were taken once, so they are distinct and not too many.
        match &self.part {
            Part::Small(small) if small.boxes() > SMALL_BOXES_MAX => {
                if let Ok(large) = PartitionSort::build(&small.rules()) {
                    self.part = Part::Large(Box::new(large));
                }
            }
            Part::Large(large) if large.boxes() <= LARGE_BOXES_MIN => {
                let mut small = SortedVector::new();
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

    fn contains(&self, id: PdrId) -> bool {
        match &self.part {
            Part::Small(small) => small.contains(id),
            Part::Large(large) => large.contains(id),
        }
    }

    fn boxes(&self) -> usize {
        match &self.part {
            Part::Small(small) => small.boxes(),
            Part::Large(large) => large.boxes(),
        }
    }

    fn len(&self) -> usize {
        match &self.part {
            Part::Small(small) => small.len(),
            Part::Large(large) => large.len(),
        }
    }
}
