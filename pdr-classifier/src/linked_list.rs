//! The list of rules in precedence order, as TS 29.244 §5.2.1 describes the search.

use crate::classifier::{Classifier, RuleMap, check_admits};
use crate::error::InsertError;
use crate::expand::Rule;
use crate::key::Key;
use crate::pdi::{PdrId, Rank};
use crate::region::Region;

/// A linked list with a heap node for each box, lowest rank first.
#[derive(Debug, Default)]
pub struct LinkedList {
    head: Option<Box<Node>>,
    /// The boxes of each rule.
    rules: RuleMap<usize>,
    boxes: usize,
}

#[derive(Debug)]
struct Node {
    rank: Rank,
    region: Region,
    next: Option<Box<Node>>,
}

impl LinkedList {
    /// A list without rules.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Classifier for LinkedList {
    fn insert(&mut self, rule: &Rule) -> Result<(), InsertError> {
        check_admits(&self.rules, self.boxes, rule)?;
        let mut place = &mut self.head;
        while place.as_ref().is_some_and(|node| node.rank < rule.rank()) {
            place = &mut place.as_mut().expect("a node was there").next;
        }
        for region in rule.regions.iter().rev() {
            let next = place.take();
            *place = Some(Box::new(Node { rank: rule.rank(), region: region.clone(), next }));
        }
        self.rules.insert(rule.id(), rule.boxes());
        self.boxes += rule.boxes();
        Ok(())
    }

    fn remove(&mut self, id: PdrId) -> bool {
        let Some(boxes) = self.rules.remove(&id) else { return false };
        self.boxes -= boxes;
        if boxes == 0 {
            return true;
        }
        let mut place = &mut self.head;
        while place.as_ref().is_some_and(|node| node.rank.id != id) {
            place = &mut place.as_mut().expect("a node was there").next;
        }
        // A rule's boxes stand together.
        while let Some(node) = place.take_if(|node| node.rank.id == id) {
            *place = node.next;
        }
        true
    }

    fn find(&self, key: &Key, below: Option<Rank>) -> Option<Rank> {
        let mut at = self.head.as_deref();
        while let Some(node) = at
            && below.is_none_or(|below| node.rank < below)
        {
            if node.region.matches(key) {
                return Some(node.rank);
            }
            at = node.next.as_deref();
        }
        None
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

impl Drop for LinkedList {
    /// Node by node: a long list dropped as a whole would go as deep into the stack as it is long.
    fn drop(&mut self) {
        let mut at = self.head.take();
        while let Some(mut node) = at {
            at = node.next.take();
        }
    }
}
