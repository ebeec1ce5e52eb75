//! The linear search over blocks of boxes, a lane of a whole block at a time.

use std::collections::HashMap;

use crate::blocks::Blocks;
use crate::classifier::{Classifier, check_admits};
use crate::error::InsertError;
use crate::expand::Rule;
use crate::key::Key;
use crate::pdi::{PdrId, Rank};

/// Boxes in precedence order, in blocks of up to 16. A block's lanes are arrays, which the compiler
/// turns into vector instructions; lanes that no box of the block restricts are not in it.
#[derive(Clone, Debug, Default)]
pub struct BlockedScan {
    blocks: Blocks,
    /// For each rule, its rank and its number of boxes, which are numbered from 0.
    rules: HashMap<PdrId, (Rank, usize)>,
}

impl BlockedScan {
    /// A scan without rules.
    pub fn new() -> Self {
        Self::default()
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

    fn classify(&self, key: &Key) -> Option<PdrId> {
        self.blocks.find(key, None).map(|rank| rank.id)
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
