//! The linear search over one block of memory.

use std::collections::HashMap;

use crate::classifier::{Classifier, check_admits};
use crate::error::InsertError;
use crate::expand::Rule;
use crate::key::Key;
use crate::pdi::{PdrId, Rank};
use crate::region::Region;

/// A vector of boxes in precedence order: the [`LinkedList`](crate::LinkedList) without its pointers.
#[derive(Clone, Debug, Default)]
pub struct SortedVector {
    boxes: Vec<(Rank, Region)>,
    ranks: HashMap<PdrId, Rank>,
}

impl SortedVector {
    /// A vector without rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// The rules as they were inserted, in no order.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        let rule = |&rank: &Rank| {
            let boxes = self.boxes[self.first_of(rank)..].iter().take_while(|&&(other, _)| other == rank);
            Rule { rank, regions: boxes.map(|(_, region)| region.clone()).collect() }
        };
        self.ranks.values().map(rule).collect()
    }

    fn first_of(&self, rank: Rank) -> usize {
        self.boxes.partition_point(|&(other, _)| other < rank)
    }
}

impl Classifier for SortedVector {
    fn insert(&mut self, rule: &Rule) -> Result<(), InsertError> {
        check_admits(&self.ranks, self.boxes.len(), rule)?;
        let place = self.first_of(rule.rank());
        self.boxes.splice(place..place, rule.regions.iter().map(|region| (rule.rank(), region.clone())));
        self.ranks.insert(rule.id(), rule.rank());
        Ok(())
    }

    fn remove(&mut self, id: PdrId) -> bool {
        let Some(rank) = self.ranks.remove(&id) else { return false };
        let first = self.first_of(rank);
        let boxes = self.boxes[first..].iter().take_while(|&&(other, _)| other == rank).count();
        self.boxes.drain(first..first + boxes);
        true
    }

    fn classify(&self, key: &Key) -> Option<PdrId> {
        self.boxes.iter().find(|(_, region)| region.matches(key)).map(|(rank, _)| rank.id)
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
