//! The classifier that fits the number of boxes.

use crate::blocked_scan::BlockedScan;
use crate::classifier::Classifier;
use crate::error::InsertError;
use crate::expand::Rule;
use crate::few::Few;
use crate::key::Key;
use crate::partition_sort::PartitionSort;
use crate::pdi::{PdrId, Rank};
use crate::region::Region;
use crate::simd::{Vectors, Width};

/// The numbers of boxes at which a [`Hybrid`] goes from one search to another. They are measured, for each
/// kind of vector instructions; the README has the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossovers {
    /// With more boxes than this, or more rules, they are not compared all at once. No more than 8.
    pub few_max: usize,
    /// With this many boxes or fewer they are again. This and `few_max` are apart, as are the next two, so
    /// that one rule that comes and goes does not move all the others each time.
    pub few_again: usize,
    /// With more boxes than this there is a [`PartitionSort`].
    pub scan_max: usize,
    /// With this many boxes or fewer there is a [`BlockedScan`] again.
    pub scan_again: usize,
    /// The fewest boxes of a new partition. Fewer are found sooner by a scan.
    pub partition_boxes_min: usize,
}

impl Crossovers {
    /// With AVX-512.
    pub const AVX512: Self =
        Self { few_max: 8, few_again: 5, scan_max: 256, scan_again: 192, partition_boxes_min: 64 };

    /// With AVX2.
    pub const AVX2: Self = Self { scan_max: 160, scan_again: 112, ..Self::AVX512 };

    /// Where a scan has no vector instructions of its own, partitions are worth their time much sooner.
    pub const PORTABLE: Self =
        Self { few_max: 4, few_again: 2, scan_max: 8, scan_again: 6, partition_boxes_min: 8 };

    /// Those for these instructions.
    pub const fn of(vectors: Vectors) -> Self {
        match vectors.width() {
            Width::Sixteen => Self::AVX512,
            Width::Eight => Self::AVX2,
            Width::Unknown => Self::PORTABLE,
        }
    }
}

/// Boxes that restrict at least so many lanes on average are searched in a [`PartitionSort`] even if they
/// are few, if one partition holds all: a scan has to go through all these lanes.
pub const WIDE_LANES_MIN: usize = 16;

/// A first rule that restricts no more lanes than this is looked at before all others.
const HEAD_LANES_MAX: u32 = 1;

/// A few boxes in one piece of memory, compared all at once; with more of them a [`BlockedScan`], and at last
/// a [`PartitionSort`] with partitions of many boxes only; the rest is scanned.
#[derive(Clone, Debug)]
pub struct Hybrid {
    part: Part,
    vectors: Vectors,
    /// A box of the first rule of all, if it restricts hardly anything: then it matches nearly every
    /// packet, and no search is as short as a look at it.
    head: Option<Box<(Rank, Region)>>,
}

#[derive(Clone, Debug)]
enum Part {
    Few(Few),
    Scan(Box<BlockedScan>),
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
        Self { part: Part::Few(Few::new(vectors)), vectors, head: None }
    }

    /// A set of these rules, with all of them in view.
    pub fn build<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Result<Self, InsertError> {
        let vectors = Vectors::best();
        let Crossovers { few_max, scan_max, scan_again, partition_boxes_min, .. } = Crossovers::of(vectors);
        let rules: Vec<&Rule> = rules.into_iter().collect();
        let boxes: usize = rules.iter().map(|rule| rule.boxes()).sum();
        if boxes.max(rules.len()) <= few_max {
            let again = |(at, rule): (usize, &&Rule)| rules[..at].iter().any(|other| other.id() == rule.id());
            if let Some(at) = rules.iter().enumerate().position(again) {
                return Err(InsertError::Duplicate(rules[at].id()));
            }
            let few = Few::of(rules, vectors);
            return Ok(Self { part: Part::Few(few), vectors, head: None });
        }
        let large = Part::empty_large(vectors).filled(rules, partition_boxes_min)?;
        let mut set = Self { part: Part::large(large, scan_max + 1), vectors, head: None };
        set.fit();
        set.head = set.part.first().and_then(head);
        if let Part::Large { boxes_min, .. } = &mut set.part {
            *boxes_min = (*boxes_min).min(scan_again + 1);
        }
        Ok(set)
    }

    /// When it goes from one search to another.
    pub const fn crossovers(&self) -> Crossovers {
        Crossovers::of(self.vectors)
    }

    /// The set with these instructions. Rules that it has stay where they are; give them to an empty set to
    /// have the crossovers that were measured for them.
    #[must_use]
    pub fn with_vectors(self, vectors: Vectors) -> Self {
        let part = match self.part {
            Part::Few(few) => Part::Few(few.with_vectors(vectors)),
            Part::Scan(scan) => Part::Scan(Box::new(scan.with_vectors(vectors))),
            Part::Large { set, boxes_min } => Part::large(set.with_vectors(vectors), boxes_min),
        };
        Self { part, vectors, head: self.head }
    }

    /// Whether there are few boxes, which are compared all at once, now.
    pub const fn is_small(&self) -> bool {
        matches!(self.part, Part::Few(_))
    }

    /// Whether the rules are in a [`PartitionSort`] now.
    pub const fn is_large(&self) -> bool {
        matches!(self.part, Part::Large { .. })
    }

    /// The number of partitions: what a lookup that finds nothing searches, beside the scan.
    pub fn partitions(&self) -> usize {
        match &self.part {
            Part::Few(_) | Part::Scan(_) => 0,
            Part::Large { set, .. } => set.partitions(),
        }
    }

    /// The number of boxes that are in no partition.
    pub fn scanned(&self) -> usize {
        match &self.part {
            Part::Few(few) => few.boxes(),
            Part::Scan(scan) => scan.boxes(),
            Part::Large { set, .. } => set.overflow(),
        }
    }

    /// Asks for the memory that a lookup needs first, if it is known where that is.
    #[inline]
    pub fn prefetch(&self) {
        match &self.part {
            Part::Few(few) => few.prefetch(),
            Part::Scan(scan) => crate::simd::prefetch(&**scan),
            Part::Large { set, .. } => crate::simd::prefetch(&**set),
        }
    }

    /// Beyond a handful of boxes.
    #[inline(never)]
    fn find_in_many(&self, key: &Key, below: Option<Rank>) -> Option<Rank> {
        if let Some(head) = &self.head
            && head.1.matches(key)
        {
            return below.is_none_or(|below| head.0 < below).then_some(head.0);
        }
        match &self.part {
            Part::Few(few) => few.find(key, below),
            Part::Scan(scan) => scan.find(key, below),
            Part::Large { set, .. } => set.find(key, below),
        }
    }

    /// Goes on with this part, which has the same rules, or one more.
    fn become_part(&mut self, part: Part) {
        self.part = part;
        self.head = self.part.first().and_then(head);
    }

    /// Moves the rules, if there are too many or too few boxes for where they are.
    fn fit(&mut self) {
        let Crossovers { few_max, few_again, scan_max, .. } = self.crossovers();
        // A rule without boxes weighs as one with a box: it has to be somewhere, too.
        let (boxes, least, most) = match &self.part {
            Part::Few(few) => (few.boxes().max(few.len()), 0, few_max),
            Part::Scan(scan) => (scan.boxes().max(scan.len()), few_again + 1, scan_max),
            Part::Large { set, boxes_min } => (set.boxes().max(set.len()), *boxes_min, usize::MAX),
        };
        if (least..=most).contains(&boxes) {
            return;
        }
        // They were taken once, so they are distinct and not too many, and are taken again.
        if let Ok(part) = Part::of(&self.part.rules(), boxes, self.vectors) {
            self.become_part(part);
        }
    }
}

impl Part {
    fn empty_large(vectors: Vectors) -> PartitionSort {
        PartitionSort::gathering(Crossovers::of(vectors).partition_boxes_min).with_vectors(vectors)
    }

    fn large(set: PartitionSort, boxes_min: usize) -> Self {
        Self::Large { set: Box::new(set), boxes_min }
    }

    /// The part for so many boxes, with these rules.
    fn of(rules: &[Rule], boxes: usize, vectors: Vectors) -> Result<Self, InsertError> {
        let crossovers = Crossovers::of(vectors);
        if boxes > crossovers.scan_max {
            let large = Self::empty_large(vectors).filled(rules, crossovers.partition_boxes_min)?;
            return Ok(Self::large(large, crossovers.scan_again + 1));
        }
        if boxes <= crossovers.few_max {
            return Ok(Self::Few(Few::of(rules, vectors)));
        }
        let lanes: usize = rules.iter().map(Rule::lanes).sum();
        if lanes >= boxes * WIDE_LANES_MIN {
            let large = Self::empty_large(vectors).filled(rules, boxes)?;
            if large.overflow() == 0 {
                return Ok(Self::large(large, crossovers.few_again + 1));
            }
        }
        let mut scan = BlockedScan::new().with_vectors(vectors);
        scan.insert_all(rules)?;
        Ok(Self::Scan(Box::new(scan)))
    }

    /// The rules as they were inserted, in order: so blocks fill up.
    fn rules(&self) -> Vec<Rule> {
        let mut rules = match self {
            Self::Few(few) => few.rules(),
            Self::Scan(scan) => scan.rules(),
            Self::Large { set, .. } => set.rules(),
        };
        rules.sort_unstable_by_key(Rule::rank);
        rules
    }

    /// The lowest rank of all boxes.
    fn first_rank(&self) -> Option<Rank> {
        match self {
            Self::Few(few) => few.first_rank(),
            Self::Scan(scan) => scan.blocks().first().map(|(rank, _)| rank),
            Self::Large { set, .. } => set.first_rank(),
        }
    }

    /// A box of the first rule that has one.
    fn first(&self) -> Option<(Rank, Region)> {
        match self {
            // A look at the first is not shorter than one at all.
            Self::Few(_) => None,
            Self::Scan(scan) => scan.blocks().first_box().map(|((rank, _), region)| (rank, region)),
            Self::Large { set, .. } => {
                let rank = set.first_rank()?;
                set.region_of(rank.id).map(|region| (rank, region.clone()))
            }
        }
    }

    fn set(&self) -> &dyn Classifier {
        match self {
            Self::Few(few) => few,
            Self::Scan(scan) => &**scan,
            Self::Large { set, .. } => &**set,
        }
    }

    fn set_mut(&mut self) -> &mut dyn Classifier {
        match self {
            Self::Few(few) => few,
            Self::Scan(scan) => &mut **scan,
            Self::Large { set, .. } => &mut **set,
        }
    }
}

/// The box as a head, if it is one.
fn head((rank, region): (Rank, Region)) -> Option<Box<(Rank, Region)>> {
    let is_wide = region.used.count_ones() <= HEAD_LANES_MAX && !region.irregular;
    is_wide.then(|| Box::new((rank, region)))
}

impl Default for Hybrid {
    fn default() -> Self {
        Self::new()
    }
}

impl Classifier for Hybrid {
    fn insert(&mut self, rule: &Rule) -> Result<(), InsertError> {
        match &mut self.part {
            Part::Few(few) if !Few::holds(few.boxes() + rule.boxes(), few.len() + 1) => {
                if few.contains(rule.id()) {
                    return Err(InsertError::Duplicate(rule.id()));
                }
                let mut rules = few.rules();
                rules.push(rule.clone());
                rules.sort_unstable_by_key(Rule::rank);
                let boxes = few.boxes() + rule.boxes();
                let part = Part::of(&rules, boxes.max(rules.len()), self.vectors)?;
                self.become_part(part);
            }
            _ => self.part.set_mut().insert(rule)?,
        }
        if self.part.first_rank() == Some(rule.rank()) {
            self.head = match self.part {
                Part::Few(_) => None,
                _ => rule.regions.first().and_then(|region| head((rule.rank(), region.clone()))),
            };
        }
        self.fit();
        Ok(())
    }

    fn remove(&mut self, id: PdrId) -> bool {
        let was_first = self.part.first_rank().is_some_and(|first| first.id == id);
        let removed = self.part.set_mut().remove(id);
        if was_first {
            self.head = self.part.first().and_then(head);
        }
        self.fit();
        removed
    }

    #[inline]
    fn find(&self, key: &Key, below: Option<Rank>) -> Option<Rank> {
        match &self.part {
            // It has no head.
            Part::Few(few) => few.find(key, below),
            _ => self.find_in_many(key, below),
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
