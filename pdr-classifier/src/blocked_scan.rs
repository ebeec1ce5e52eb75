//! The linear search over blocks of boxes, a lane of a whole block at a time.

use crate::blocks::Blocks;
use crate::classifier::{Classifier, RuleMap, check_admits};
use crate::error::InsertError;
use crate::expand::Rule;
use crate::key::Key;
use crate::pdi::{PdrId, Rank};
use crate::region::Region;
use crate::simd::{Compare, Search, Vectors};

/// Boxes in precedence order, in blocks of up to 16. A lane of a key is compared with those of all boxes
/// of a block at once; lanes that no box of the block restricts are not in it.
#[derive(Clone, Debug, Default)]
pub struct BlockedScan {
    blocks: Blocks,
    /// For each rule, its rank and its number of boxes, which are numbered from 0.
    rules: RuleMap<(Rank, usize)>,
    vectors: Vectors,
}

impl BlockedScan {
    /// A scan without rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// The scan with these instructions.
    #[must_use]
    pub const fn with_vectors(mut self, vectors: Vectors) -> Self {
        self.vectors = vectors;
        self
    }

    pub(crate) const fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// The rules as they were inserted, in no order.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        let mut regions: RuleMap<Vec<Region>> = RuleMap::default();
        for ((rank, _), region) in self.blocks.boxes() {
            regions.entry(rank.id).or_default().push(region);
        }
        let rule = |(id, &(rank, _)): (&PdrId, &(Rank, usize))| Rule {
            rank,
            regions: regions.remove(id).unwrap_or_default(),
        };
        self.rules.iter().map(rule).collect()
    }
}

struct Find<'a>(&'a Blocks, &'a Key, Option<Rank>);

impl Search for Find<'_> {
    type Found = Option<Rank>;

    #[inline(always)]
    fn run(self, compare: impl Compare) -> Option<Rank> {
        self.0.find(self.1, self.2, compare)
    }
}

impl Classifier for BlockedScan {
    fn insert(&mut self, rule: &Rule) -> Result<(), InsertError> {
        check_admits(&self.rules, self.blocks.len(), rule)?;
        for (number, region) in (0..).zip(&rule.regions) {
            self.blocks.insert((rule.rank(), number), region);
        }
        self.rules.insert(rule.id(), (rule.rank(), rule.boxes()));
        Ok(())
    }

    fn remove(&mut self, id: PdrId) -> bool {
        let Some((rank, boxes)) = self.rules.remove(&id) else { return false };
        for number in 0..boxes {
            self.blocks.remove((rank, number as u32));
        }
        true
    }

    fn find(&self, key: &Key, below: Option<Rank>) -> Option<Rank> {
        self.vectors.run(Find(&self.blocks, key, below))
    }

    fn contains(&self, id: PdrId) -> bool {
        self.rules.contains_key(&id)
    }

    fn boxes(&self) -> usize {
        self.blocks.len()
    }

    fn len(&self) -> usize {
        self.rules.len()
    }
}
