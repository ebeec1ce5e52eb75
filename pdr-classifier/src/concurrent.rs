//! A set of rules that threads search while another changes it.

use std::collections::HashMap;
use std::ops::Deref;

use left_right::{Absorb, ReadGuard, ReadHandle, WriteHandle};

use crate::classifier::{Classifier, SET_BOXES_MAX};
use crate::error::InsertError;
use crate::expand::Rule;
use crate::key::Key;
use crate::pdi::PdrId;

/// One change of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds the rule.
    Insert(Rule),
    /// Takes the rule out, if it is there.
    Remove(PdrId),
}

/// Divides a set into a side that changes it and one that searches it.
///
/// The set is there twice: readers search one copy while the writer changes the other, and then the two
/// change places. A reader never waits; a writer waits for readers that have not yet left the copy that
/// it is to change.
///
/// ```
/// use pdr_classifier::{Change, Filters, Hybrid, Key, Pdi, Pdr, PdrId, shared};
///
/// let (mut writer, reader) = shared(Hybrid::new());
/// let worker = std::thread::spawn(move || {
///     while reader.classify(&Key::new()) != Some(PdrId(2)) {}
/// });
/// let rule = |id| Pdr { id: PdrId(id), precedence: id, pdi: Pdi::default() }.compile(&Filters::new());
/// writer.apply(vec![Change::Insert(rule(1)?)])?;
/// // Both at once: no reader finds neither of the two.
/// writer.apply(vec![Change::Remove(PdrId(1)), Change::Insert(rule(2)?)])?;
/// worker.join().expect("the worker ends");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn shared<C: Classifier + Clone>(set: C) -> (Writer<C>, Reader<C>) {
    let (writer, reader) = left_right::new_from_empty::<Half<C>, Change>(Half(set));
    (Writer { handle: writer }, Reader { handle: reader })
}

/// The side of a set that changes it. When it is dropped, readers find nothing any more.
pub struct Writer<C: Classifier + Clone> {
    handle: WriteHandle<Half<C>, Change>,
}

/// The side of a set that searches it: one for each thread, made by `clone`, which takes a lock for a
/// moment.
#[derive(Clone)]
pub struct Reader<C> {
    handle: ReadHandle<Half<C>>,
}

/// The set as it is now, for as long as this is held. Writers wait for it: hold it for a burst of
/// packets, not while waiting for something.
pub struct Reading<'a, C> {
    guard: ReadGuard<'a, Half<C>>,
}

/// One of the two copies of a set.
#[derive(Clone)]
struct Half<C>(C);

impl<C: Classifier + Clone> Writer<C> {
    /// Makes all these changes in their order, at once for the readers: each finds either none or all of
    /// them made. If one cannot be made, none is.
    ///
    /// Costs each change twice, and the wait for readers that have been at it since the last time.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = Change>) -> Result<(), InsertError> {
        let changes: Vec<Change> = changes.into_iter().collect();
        self.check(&changes)?;
        self.handle.extend(changes);
        self.handle.publish();
        Ok(())
    }

    /// Another reader, for a thread.
    pub fn reader(&self) -> Reader<C> {
        Reader { handle: (*self.handle).clone() }
    }

    /// Whether the set takes all the changes. Room that a removal makes counts from the next time on.
    fn check(&self, changes: &[Change]) -> Result<(), InsertError> {
        let Some(set) = self.handle.enter().map(|guard| Reading { guard }) else { return Ok(()) };
        let (mut rules, mut boxes) = (set.len(), set.boxes());
        // Those that the changes before have put in or taken out.
        let mut changed = HashMap::new();
        for change in changes {
            let rule = match change {
                Change::Insert(rule) => rule,
                Change::Remove(id) => {
                    changed.insert(*id, false);
                    continue;
                }
            };
            let id = rule.id();
            (rules, boxes) = (rules + 1, boxes + rule.boxes());
            if changed.get(&id).copied().unwrap_or_else(|| set.contains(id)) {
                return Err(InsertError::Duplicate(id));
            }
            if rules > SET_BOXES_MAX || boxes > SET_BOXES_MAX {
                return Err(InsertError::Full);
            }
            changed.insert(id, true);
        }
        Ok(())
    }
}

impl<C: Classifier> Reader<C> {
    /// The set as it is now; `None` when its writer is gone.
    pub fn enter(&self) -> Option<Reading<'_, C>> {
        self.handle.enter().map(|guard| Reading { guard })
    }

    /// The rule that a packet matches. For a burst of packets, [`enter`](Self::enter) once.
    pub fn classify(&self, key: &Key) -> Option<PdrId> {
        self.enter()?.classify(key)
    }
}

impl<C> Deref for Reading<'_, C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.guard.0
    }
}

impl<C: Classifier + Clone> Absorb<Change> for Half<C> {
    fn absorb_first(&mut self, change: &mut Change, _: &Self) {
        match change {
            Change::Insert(rule) => {
                let taken = self.0.insert(rule);
                debug_assert_eq!(taken, Ok(()), "it was checked before");
            }
            Change::Remove(id) => {
                self.0.remove(*id);
            }
        }
    }

    fn sync_with(&mut self, first: &Self) {
        self.clone_from(first);
    }
}
