//! Rules of one kind, by their IDs.

use smallvec::SmallVec;
use tern_pfcp::*;

/// A rule as the request that creates it says it.
pub(crate) trait Rule {
    /// What it is known by in its session.
    type Id: Copy + Ord;

    fn id(&self) -> Self::Id;
}

macro_rules! rules {
    ($($rule:ident $id:ident $field:ident,)*) => {
        $(impl Rule for $rule {
            type Id = $id;

            fn id(&self) -> $id {
                self.$field
            }
        })*
    };
}

rules! {
    CreatePdr PdrId pdr_id,
    CreateFar FarId far_id,
    CreateQer QerId qer_id,
    CreateUrr UrrId urr_id,
    CreateBar BarId bar_id,
}

/// Rules in the order of their IDs, one behind the other: a session has few, and they come and go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ordered<R>(Vec<R>);

/// Why rules cannot be added, and which is the first that cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit<I> {
    /// There is no room for it.
    TooMany(I),
    /// There is one of this ID.
    Exists(I),
}

impl<R> Default for Ordered<R> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<R: Rule> Ordered<R> {
    /// Adds rules, up to `max` in all. If it fails, what is here is of no use any more.
    pub(crate) fn add(&mut self, mut new: Vec<R>, max: usize) -> Result<(), Unfit<R::Id>> {
        if let Some(rule) = new.get(max.saturating_sub(self.0.len())) {
            return Err(Unfit::TooMany(rule.id()));
        }
        if self.0.is_empty() {
            self.0 = new;
        } else {
            self.0.append(&mut new);
        }
        if !self.0.is_sorted_by(|one, next| one.id() < next.id()) {
            self.0.sort_by_key(Rule::id);
            let twice = self.0.windows(2).find(|pair| pair[0].id() == pair[1].id());
            if let Some(pair) = twice {
                return Err(Unfit::Exists(pair[0].id()));
            }
        }
        Ok(())
    }

    fn place(&self, id: R::Id) -> Option<usize> {
        self.0.binary_search_by_key(&id, Rule::id).ok()
    }

    /// Takes rules out, or says which of them there is not; then all stay.
    pub(crate) fn remove(&mut self, ids: impl Iterator<Item = R::Id>) -> Result<(), R::Id> {
        let mut gone: SmallVec<[R::Id; 4]> = ids.collect();
        if let Some(id) = gone.iter().find(|id| !self.contains(**id)) {
            return Err(*id);
        }
        gone.sort_unstable();
        if let Some(twice) = gone.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(twice[0]);
        }
        if !gone.is_empty() {
            self.0.retain(|rule| gone.binary_search(&rule.id()).is_err());
        }
        Ok(())
    }

    /// Where it is among these, and the rule.
    pub(crate) fn find(&self, id: R::Id) -> Option<(usize, &R)> {
        let at = self.place(id)?;
        Some((at, self.0.get(at)?))
    }

    pub(crate) fn contains(&self, id: R::Id) -> bool {
        self.place(id).is_some()
    }

    pub(crate) fn get_mut(&mut self, id: R::Id) -> Option<&mut R> {
        self.place(id).and_then(|at| self.0.get_mut(at))
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, R> {
        self.0.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, R> {
        self.0.iter_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them, in the order of their IDs.
    pub(crate) fn into_vec(self) -> Vec<R> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn bars(ids: &[u8]) -> Vec<CreateBar> {
        ids.iter().map(|id| CreateBar { bar_id: BarId(*id), ..Default::default() }).collect()
    }

    #[test]
    fn when_there_is_no_room_then_the_first_rule_too_many_is_named() {
        let mut rules = Ordered::default();
        assert_eq!(rules.add(bars(&[1, 2]), 3), Ok(()));
        assert_eq!(rules.add(bars(&[9, 8, 7]), 3), Err(Unfit::TooMany(BarId(8))));
        assert_eq!(rules.add(bars(&[9]), 3), Ok(()));
    }

    proptest! {
        #[test]
        fn ordered_rules_are_what_a_map_of_them_is(
            steps in prop::collection::vec((any::<bool>(), prop::collection::vec(0u8..40, 1..6)), 1..12),
        ) {
            let (mut rules, mut map) = (Ordered::default(), BTreeMap::new());
            for (adds, ids) in steps {
                if adds {
                    let mut next = map.clone();
                    let fits = ids.iter().all(|id| next.insert(BarId(*id), ()).is_none());
                    let mut tried = rules.clone();
                    prop_assert_eq!(tried.add(bars(&ids), 256).is_ok(), fits);
                    if fits {
                        (rules, map) = (tried, next);
                    }
                } else {
                    let mut next = map.clone();
                    let are_there = ids.iter().all(|id| next.remove(&BarId(*id)).is_some());
                    prop_assert_eq!(rules.remove(ids.iter().copied().map(BarId)).is_ok(), are_there);
                    if are_there {
                        map = next;
                    }
                }
                prop_assert!(rules.iter().map(Rule::id).eq(map.keys().copied()));
                for id in (0..40).map(BarId) {
                    prop_assert_eq!(rules.contains(id), map.contains_key(&id));
                    prop_assert_eq!(rules.find(id).map(|(at, bar)| (at, bar.bar_id)),
                        map.keys().position(|known| *known == id).map(|at| (at, id)));
                }
            }
        }
    }
}
