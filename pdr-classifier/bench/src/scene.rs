//! A rule set in every classifier, with packets for it, and all of them give the same answers.

use anyhow::{Result, ensure};
use pdr_classifier::generate::{Family, Hits, Shape, rules, trace};
use pdr_classifier::{Filters, Key, Pdr, PdrId, Rule};

use crate::subjects::{ALL, Subject};
use crate::turns::Arm;

/// From which rules and packets are made.
pub const SEED: u64 = 1;
/// Packets of a set. More than a branch predictor learns by heart, few enough to stay in a level-2 cache.
const PACKETS: usize = 2048;

/// A rule set in all classifiers.
pub struct Scene {
    /// The rules.
    pub rules: Vec<Rule>,
    /// Packets that match them.
    pub keys: Vec<Key>,
    /// By the places of [`ALL`].
    pub sets: Vec<Box<dyn Subject>>,
}

impl Scene {
    /// Of these rules. Refused, if two classifiers disagree about a packet.
    pub fn new(pdrs: &[Pdr], hits: Hits) -> Result<Self> {
        let rules = compiled(pdrs)?;
        let keys = trace(&rules, hits, PACKETS, SEED);
        ensure!(!keys.is_empty(), "no packet matches these rules");
        let sets = ALL.iter().map(|one| (one.set)(&rules)).collect::<Result<Vec<_>, _>>()?;
        let scene = Self { rules, keys, sets };
        scene.check()?;
        Ok(scene)
    }

    /// Of generated rules.
    pub fn generated(shape: Shape, count: usize, hits: Hits) -> Result<Self> {
        Self::new(&rules(shape, Family::V4, count, SEED), hits)
    }

    /// An arm for each classifier: lookups of the packets.
    pub fn arms(&self) -> impl Iterator<Item = Arm<'_>> {
        ALL.iter()
            .zip(&self.sets)
            .map(|(one, set)| Arm::lookups(one.name, self.rules.len(), &**set, &self.keys))
    }

    /// The arm of one classifier.
    pub fn arm(&self, name: &str) -> Option<Arm<'_>> {
        self.arms().find(|arm| arm.name == name)
    }

    fn check(&self) -> Result<()> {
        let mut expected: Option<Vec<Option<PdrId>>> = None;
        for (one, set) in ALL.iter().zip(&self.sets) {
            let (mut singly, mut batch) = (vec![None; self.keys.len()], vec![None; self.keys.len()]);
            set.one_by_one(&self.keys, &mut singly);
            set.batch(&self.keys, &mut batch);
            ensure!(singly == batch, "{}: a batch gives other answers than its lookups", one.name);
            let expected = expected.get_or_insert_with(|| singly.clone());
            ensure!(singly == *expected, "{}: other answers than {}", one.name, ALL[0].name);
        }
        Ok(())
    }
}

/// The rules as classifiers take them.
pub fn compiled(pdrs: &[Pdr]) -> Result<Vec<Rule>> {
    let filters = Filters::new();
    Ok(pdrs.iter().map(|pdr| pdr.compile(&filters)).collect::<Result<_, _>>()?)
}
