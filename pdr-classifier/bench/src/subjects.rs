//! The classifiers that are compared. A further one is a line of [`ALL`].

use std::hint::black_box;
use std::marker::PhantomData;

use pdr_classifier::{
    BlockedScan, Classifier, Hybrid, InsertError, Key, LinkedList, PartitionSort, PdrId, Rule, SortedVector,
    TupleSpaceSearch,
};

/// All of them, the baseline first.
pub const ALL: [Implementation; 8] = [
    implementation::<OneByOne<LinkedList>>(LIST, (90, 90, 90)),
    implementation::<OneByOne<SortedVector>>(VECTOR, (160, 160, 160)),
    implementation::<OneByOne<BlockedScan>>(SCAN, (46, 139, 87)),
    implementation::<OneByOne<TupleSpaceSearch>>(TUPLES, (184, 87, 13)),
    implementation::<OneByOne<PartitionSort>>(SORT, (27, 108, 168)),
    implementation::<AtOnce<PartitionSort>>("PartitionSort, at once", (110, 170, 220)),
    implementation::<OneByOne<Hybrid>>(HYBRID, (170, 40, 110)),
    implementation::<AtOnce<Hybrid>>("Hybrid, at once", (220, 120, 180)),
];

/// What a lookup is compared with: the list as 3GPP describes it.
pub const LIST: &str = "LinkedList";
/// The same without its pointers.
pub const VECTOR: &str = "SortedVector";
/// The rival.
pub const TUPLES: &str = "TupleSpaceSearch";
/// Rules inserted one by one.
pub const SORT: &str = "PartitionSort";
/// The crate's answer: the goals are for it.
pub const HYBRID: &str = "Hybrid";
const SCAN: &str = "BlockedScan";

/// What [`HYBRID`] has to choose from.
pub const PARTS: [&str; 3] = [VECTOR, SCAN, SORT];

/// A classifier, and how its sets are made.
pub struct Implementation {
    /// In tables.
    pub name: &'static str,
    /// In plots: red, green, blue.
    pub colour: (u8, u8, u8),
    /// Whether rules are inserted one by one.
    pub one_by_one: bool,
    /// A set of these rules.
    pub set: SetOf,
    /// Sets of these rules, one a session.
    pub sessions: SessionsOf,
}

/// Fills a set.
type SetOf = fn(&[Rule]) -> Result<Box<dyn Subject>, InsertError>;
/// Fills the sets of so many sessions.
type SessionsOf = fn(&[Rule], usize, Filling) -> Result<Box<dyn Sessions>, InsertError>;

/// In which order the sets of many sessions are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    /// One session after the other: what belongs together lies together.
    SessionBySession,
    /// The first rule of each session, then the second of each: what belongs together is scattered.
    RuleByRule,
}

/// A set of rules in some classifier. Its loops are compiled for the classifier: no indirect call a packet.
pub trait Subject {
    /// Looks each key up, one call each.
    fn one_by_one(&self, keys: &[Key], verdicts: &mut [Option<PdrId>]);
    /// Looks the keys up in one call.
    fn batch(&self, keys: &[Key], verdicts: &mut [Option<PdrId>]);
    /// Adds a rule.
    fn insert(&mut self, rule: &Rule) -> Result<(), InsertError>;
    /// Takes a rule out.
    fn remove(&mut self, id: PdrId) -> bool;
}

impl<C: Classifier> Subject for C {
    fn one_by_one(&self, keys: &[Key], verdicts: &mut [Option<PdrId>]) {
        for (key, verdict) in keys.iter().zip(verdicts) {
            *verdict = black_box(self.classify(black_box(key)));
        }
    }

    fn batch(&self, keys: &[Key], verdicts: &mut [Option<PdrId>]) {
        self.classify_batch(black_box(keys), black_box(verdicts));
    }

    fn insert(&mut self, rule: &Rule) -> Result<(), InsertError> {
        Classifier::insert(self, rule)
    }

    fn remove(&mut self, id: PdrId) -> bool {
        Classifier::remove(self, id)
    }
}

/// The sets of many sessions.
pub trait Sessions {
    /// Looks each key up in its session.
    fn one_by_one(&self, sessions: &[u32], keys: &[Key], verdicts: &mut [Option<PdrId>]);
    /// Looks up as many keys in each session as there are for it, in one call a session.
    fn batches(&self, sessions: &[u32], keys: &[Key], verdicts: &mut [Option<PdrId>]);
}

impl<C: Classifier> Sessions for Vec<C> {
    fn one_by_one(&self, sessions: &[u32], keys: &[Key], verdicts: &mut [Option<PdrId>]) {
        for ((&session, key), verdict) in sessions.iter().zip(keys).zip(verdicts) {
            *verdict = black_box(self[session as usize].classify(black_box(key)));
        }
    }

    fn batches(&self, sessions: &[u32], keys: &[Key], verdicts: &mut [Option<PdrId>]) {
        let length = keys.len() / sessions.len().max(1);
        let bursts = keys.chunks_exact(length.max(1)).zip(verdicts.chunks_exact_mut(length.max(1)));
        for (&session, (keys, verdicts)) in sessions.iter().zip(bursts) {
            self[session as usize].classify_batch(black_box(keys), black_box(verdicts));
        }
    }
}

/// How a set comes to its rules.
trait Constructor {
    type Set: Classifier + 'static;
    const ONE_BY_ONE: bool;
    fn set(rules: &[Rule]) -> Result<Self::Set, InsertError>;
}

struct OneByOne<C>(PhantomData<C>);

impl<C: Classifier + Default + 'static> Constructor for OneByOne<C> {
    type Set = C;
    const ONE_BY_ONE: bool = true;

    fn set(rules: &[Rule]) -> Result<C, InsertError> {
        let mut set = C::default();
        set.insert_all(rules)?;
        Ok(set)
    }
}

struct AtOnce<C>(PhantomData<C>);

impl Constructor for AtOnce<PartitionSort> {
    type Set = PartitionSort;
    const ONE_BY_ONE: bool = false;

    fn set(rules: &[Rule]) -> Result<PartitionSort, InsertError> {
        PartitionSort::build(rules)
    }
}

impl Constructor for AtOnce<Hybrid> {
    type Set = Hybrid;
    const ONE_BY_ONE: bool = false;

    fn set(rules: &[Rule]) -> Result<Hybrid, InsertError> {
        Hybrid::build(rules)
    }
}

const fn implementation<K: Constructor>(name: &'static str, colour: (u8, u8, u8)) -> Implementation {
    Implementation { name, colour, one_by_one: K::ONE_BY_ONE, set: set::<K>, sessions: sessions::<K> }
}

fn set<K: Constructor>(rules: &[Rule]) -> Result<Box<dyn Subject>, InsertError> {
    Ok(Box::new(K::set(rules)?))
}

fn sessions<K: Constructor>(
    rules: &[Rule],
    count: usize,
    filling: Filling,
) -> Result<Box<dyn Sessions>, InsertError> {
    let first = if filling == Filling::SessionBySession { rules } else { &[] };
    let mut sets = (0..count).map(|_| K::set(first)).collect::<Result<Vec<_>, _>>()?;
    for rule in &rules[first.len()..] {
        sets.iter_mut().try_for_each(|set| Classifier::insert(set, rule))?;
    }
    Ok(Box::new(sets))
}
