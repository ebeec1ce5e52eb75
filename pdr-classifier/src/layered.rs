//! Rules of one's own over compiled sets that many share.

use std::sync::Arc;

use crate::classifier::Classifier;
use crate::error::InsertError;
use crate::hybrid::Hybrid;
use crate::key::Key;
use crate::pdi::{PdrId, Rank};

/// The most shared sets of one [`Layered`].
pub const LAYERS_MAX: usize = 64;

/// Where a matching rule is. Each set has its own rule IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// In the set's own rules.
    Own,
    /// In the shared set of this place, counted from 0 in the order in which they were attached.
    Shared(usize),
}

/// A session's own rules, and sets that it shares with others: predefined rules, compiled once for all
/// sessions that have them.
///
/// The rule of the lowest precedence value holds, wherever it is; of equal ones an own rule, then one of
/// the set that was attached first. A session pays for a shared set with a pointer.
///
/// ```
/// use std::sync::Arc;
/// use pdr_classifier::{Classifier, Filters, Hybrid, Key, Layer, Layered, Pdi, Pdr, PdrId};
///
/// let rule = |id, precedence| {
///     Pdr { id: PdrId(id), precedence, pdi: Pdi::default() }.compile(&Filters::new())
/// };
/// let predefined = Arc::new(Hybrid::build(&[rule(7, 100)?])?);
/// let mut session = Layered::new(Hybrid::new());
/// session.attach(predefined.clone())?;
/// session.own_mut().insert(&rule(7, 200)?)?;
/// assert_eq!(session.classify(&Key::new()), Some((Layer::Shared(0), PdrId(7))));
/// session.own_mut().insert(&rule(8, 100)?)?;
/// assert_eq!(session.classify(&Key::new()), Some((Layer::Own, PdrId(8))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Layered<C = Hybrid> {
    own: C,
    shared: Vec<Arc<C>>,
}

impl<C: Classifier> Layered<C> {
    /// These rules alone.
    pub const fn new(own: C) -> Self {
        Self { own, shared: Vec::new() }
    }

    /// Adds a set below the others.
    pub fn attach(&mut self, set: Arc<C>) -> Result<(), InsertError> {
        if self.shared.len() == LAYERS_MAX {
            return Err(InsertError::Full);
        }
        self.shared.push(set);
        Ok(())
    }

    /// Takes a set off, and tells whether it was there. Those behind it move up.
    pub fn detach(&mut self, set: &Arc<C>) -> bool {
        let place = self.shared.iter().position(|shared| Arc::ptr_eq(shared, set));
        place.map(|place| self.shared.remove(place)).is_some()
    }

    /// The own rules.
    pub const fn own(&self) -> &C {
        &self.own
    }

    /// The own rules, to be changed.
    pub const fn own_mut(&mut self) -> &mut C {
        &mut self.own
    }

    /// The rule that a packet matches, and where it is. Costs what the lookups in all sets cost, less
    /// what cannot be better than what is found.
    pub fn classify(&self, key: &Key) -> Option<(Layer, PdrId)> {
        let mut found = self.own.find(key, None).map(|rank| (Layer::Own, rank));
        for (place, set) in self.shared.iter().enumerate() {
            // Of equal precedence, the set before comes first.
            let below = found.map(|(_, Rank { precedence, .. })| Rank { precedence, id: PdrId(0) });
            if let Some(rank) = set.find(key, below) {
                found = Some((Layer::Shared(place), rank));
            }
        }
        found.map(|(layer, rank)| (layer, rank.id))
    }
}
