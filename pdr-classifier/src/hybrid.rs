//! The classifier that fits the number of boxes.

use crate::blocked_scan::BlockedScan;
use crate::classifier::Classifier;
use crate::error::InsertError;
use crate::expand::Rule;
use crate::key::Key;
use crate::partition_sort::PartitionSort;
use crate::pdi::{PdrId, Rank};
use crate::simd::Vectors;
use crate::sorted_vector::SortedVector;

/// With more boxes than this a [`Hybrid`] does not compare them one after the other.
pub const ROWS_MAX: usize = 8;

/// With this many boxes or fewer it does so again. This and [`ROWS_MAX`] are apart, as are the next two,
/// so that one rule that comes and goes does not move all the others each time.
pub const ROWS_AGAIN: usize = 5;

/// With more boxes than this it has a [`PartitionSort`].
pub const SCAN_MAX: usize = 256;

/// With this many boxes or fewer it goes back to a [`BlockedScan`].
pub const SCAN_AGAIN: usize = 192;

/// The fewest boxes of a new partition. Fewer are found sooner by a scan.
pub const PARTITION_BOXES_MIN: usize = 64;

/// Boxes that restrict at least so many lanes on average are searched in a [`PartitionSort`] even if they
/// are few, if one partition holds all: a scan has to go through all these lanes.
pub const WIDE_LANES_MIN: usize = 16;

/// A [`SortedVector`] while there are few boxes, then a [`BlockedScan`], and at last a [`PartitionSort`]
/// with partitions of many boxes only; the rest is scanned.
#[derive(Clone, Debug)]
pub struct Hybrid {
    part: Part,
    vectors: Vectors,
}

#[derive(Clone, Debug)]
enum Part {
    Rows(SortedVector),
    Scan(BlockedScan),
    Large {
        set: Box<PartitionSort>,
        /// With fewer boxes another part is better.
        boxes_min: usize,
    },
}

impl Hybrid {
    /// A set without rules.
    pub fn new() -> Self {
        let vectors = Vectors::best();
        Self { part: Part::rows(vectors), vectors }
    }

    /// A set of these rules, with all of them in view.
    pub fn build<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Result<Self, InsertError> {
        let vectors = Vectors::best();
        let large = Part::empty_large(vectors).filled(rules, PARTITION_BOXES_MIN)?;
        let mut set = Self { part: Part::large(large, SCAN_MAX + 1), vectors };
        set.fit();
        if let Part::Large { boxes_min, .. } = &mut set.part {
            *boxes_min = (*boxes_min).min(SCAN_AGAIN + 1);
        }
        Ok(set)
    }

    /// The set with these instructions.
    #[must_use]
    pub fn with_vectors(self, vectors: Vectors) -> Self {
        let part = match self.part {
            Part::Rows(rows) => Part::Rows(rows.with_vectors(vectors)),
            Part::Scan(scan) => Part::Scan(scan.with_vectors(vectors)),
            Part::Large { set, boxes_min } => Part::large(set.with_vectors(vectors), boxes_min),
        };
        Self { part, vectors }
    }

    /// Whether the boxes are compared one after the other now.
    pub const fn is_small(&self) -> bool {
        matches!(self.part, Part::Rows(_))
    }

    /// Whether the rules are in a [`PartitionSort`] now.
    pub const fn is_large(&self) -> bool {
        matches!(self.part, Part::Large { .. })
    }

    /// The number of partitions: what a lookup that finds nothing searches, beside the scan.
    pub fn partitions(&self) -> usize {
        match &self.part {
            Part::Rows(_) | Part::Scan(_) => 0,
            Part::Large { set, .. } => set.partitions(),
        }
    }

    /// The number of boxes that are in no partition.
    pub fn scanned(&self) -> usize {
        match &self.part {
            Part::Rows(rows) => rows.boxes(),
            Part::Scan(scan) => scan.boxes(),
            Part::Large { set, .. } => set.overflow(),
        }
    }

    /// Moves the rules, if there are too many or too few boxes for where they are.
    fn fit(&mut self) {
        let (boxes, least, most) = match &self.part {
            Part::Rows(rows) => (rows.boxes(), 0, ROWS_MAX),
            Part::Scan(scan) => (scan.boxes(), ROWS_AGAIN + 1, SCAN_MAX),
            Part::Large { set, boxes_min } => (set.boxes(), *boxes_min, usize::MAX),
        };
        if (least..=most).contains(&boxes) {
            return;
        }
        // They were taken once, so they are distinct and not too many, and are taken again.
        if let Ok(part) = Part::of(&self.part.rules(), boxes, self.vectors) {
            self.part = part;
        }
    }
}

impl Part {
    fn rows(vectors: Vectors) -> Self {
        Self::Rows(SortedVector::new().with_vectors(vectors))
    }

    fn empty_large(vectors: Vectors) -> PartitionSort {
        PartitionSort::gathering(PARTITION_BOXES_MIN).with_vectors(vectors)
    }

    fn large(set: PartitionSort, boxes_min: usize) -> Self {
        Self::Large { set: Box::new(set), boxes_min }
    }

    /// The part for so many boxes, with these rules.
    fn of(rules: &[Rule], boxes: usize, vectors: Vectors) -> Result<Self, InsertError> {
        if boxes > SCAN_MAX {
            let large = Self::empty_large(vectors).filled(rules, PARTITION_BOXES_MIN)?;
            return Ok(Self::large(large, SCAN_AGAIN + 1));
        }
        let lanes: usize = rules.iter().map(Rule::lanes).sum();
        if boxes > ROWS_MAX && lanes >= boxes * WIDE_LANES_MIN {
            let large = Self::empty_large(vectors).filled(rules, boxes)?;
            if large.overflow() == 0 {
                return Ok(Self::large(large, ROWS_AGAIN + 1));
            }
        }
        let mut part = match boxes {
            0..=ROWS_MAX => Self::rows(vectors),
            _ => Self::Scan(BlockedScan::new().with_vectors(vectors)),
        };
        rules.iter().try_for_each(|rule| part.set_mut().insert(rule))?;
        Ok(part)
    }

    /// The rules as they were inserted, in order: so blocks fill up.
    fn rules(&self) -> Vec<Rule> {
        let mut rules = match self {
            Self::Rows(rows) => rows.rules(),
            Self::Scan(scan) => scan.rules(),
            Self::Large { set, .. } => set.rules(),
        };
        rules.sort_unstable_by_key(Rule::rank);
        rules
    }

    fn set(&self) -> &dyn Classifier {
        match self {
            Self::Rows(rows) => rows,
            Self::Scan(scan) => scan,
            Self::Large { set, .. } => &**set,
        }
    }

    fn set_mut(&mut self) -> &mut dyn Classifier {
        match self {
            Self::Rows(rows) => rows,
            Self::Scan(scan) => scan,
            Self::Large { set, .. } => &mut **set,
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
        self.part.set_mut().insert(rule)?;
        self.fit();
        Ok(())
    }

    fn remove(&mut self, id: PdrId) -> bool {
        let removed = self.part.set_mut().remove(id);
        self.fit();
        removed
    }

    fn find(&self, key: &Key, below: Option<Rank>) -> Option<Rank> {
        match &self.part {
            Part::Rows(rows) => rows.find(key, below),
            Part::Scan(scan) => scan.find(key, below),
            Part::Large { set, .. } => set.find(key, below),
        }
    }

    fn contains(&self, id: PdrId) -> bool {
        self.part.set().contains(id)
    }

    fn boxes(&self) -> usize {
        self.part.set().boxes()
    }

    fn len(&self) -> usize {
        self.part.set().len()
    }
}
