//! What every classifier offers.

use std::collections::HashMap;

use crate::error::InsertError;
use crate::expand::Rule;
use crate::key::Key;
use crate::pdi::{PdrId, Rank};

/// The most boxes, and the most rules, of one set.
pub const SET_BOXES_MAX: usize = 1 << 20;

/// A set of rules that finds the first one that a packet matches: the one of the lowest
/// [`Rank`](crate::Rank).
pub trait Classifier {
    /// Adds a rule. To change one, remove it first.
    fn insert(&mut self, rule: &Rule) -> Result<(), InsertError>;

    /// Adds rules, one after the other, up to the first that is refused.
    fn insert_all(&mut self, rules: &[Rule]) -> Result<(), InsertError> {
        rules.iter().try_for_each(|rule| self.insert(rule))
    }

    /// Takes a rule out, and tells whether it was there.
    fn remove(&mut self, id: PdrId) -> bool;

    /// The rank of the rule that a packet matches, if it is lower than the bound.
    fn find(&self, key: &Key, below: Option<Rank>) -> Option<Rank>;

    /// The rule that a packet matches.
    fn classify(&self, key: &Key) -> Option<PdrId> {
        self.find(key, None).map(|rank| rank.id)
    }

    /// Classifies several packets: a verdict for each key, as far as both slices go.
    fn classify_batch(&self, keys: &[Key], verdicts: &mut [Option<PdrId>]) {
        for (key, verdict) in keys.iter().zip(verdicts) {
            *verdict = self.classify(key);
        }
    }

    /// Whether a rule has this ID.
    fn contains(&self, id: PdrId) -> bool;

    /// The number of boxes of all rules.
    fn boxes(&self) -> usize;

    /// The number of rules.
    fn len(&self) -> usize;

    /// Whether there is no rule.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a set knows of each rule. A peer chooses the IDs, so the hash has a random seed; it is a faster
/// one than the standard library's, since an update waits for it.
pub(crate) type RuleMap<T> = HashMap<PdrId, T, foldhash::fast::RandomState>;

/// Whether a set of these rules, with so many boxes, takes one more rule.
pub(crate) fn check_admits<T>(rules: &RuleMap<T>, boxes: usize, rule: &Rule) -> Result<(), InsertError> {
    if rules.contains_key(&rule.id()) {
        return Err(InsertError::Duplicate(rule.id()));
    }
    let room = rules.len() < SET_BOXES_MAX && boxes + rule.boxes() <= SET_BOXES_MAX;
    if room { Ok(()) } else { Err(InsertError::Full) }
}
