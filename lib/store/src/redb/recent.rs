//! What the journal holds and the engine does not yet: read first, committed together.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use tern_types::Instant;

use super::engine::Engine;
use super::journal::{Journal, Record};
use crate::state::{Applied, Table, apply, expired};
use crate::{Change, Entry, StoreError, Write};

/// Octets of the journal from which on the engine takes what is in it.
pub(super) const JOURNAL_DUE: u64 = 1 << 20;
/// Octets of the journal at which a write is refused: the engine does not keep up.
const JOURNAL_MAX: u64 = 16 << 20;

/// Entries by key; `None` is a deleted one.
pub(super) type Layer = BTreeMap<String, Option<Entry>>;

/// The journal and its contents.
#[derive(Debug)]
pub(super) struct Recent {
    journal: Journal,
    /// What is in the journal.
    layer: Layer,
    /// What the engine is committing, older than `layer`.
    committing: Option<Arc<Layer>>,
    version_last: u64,
    /// Whether the thread has been asked to commit.
    pub asked: bool,
}

impl Recent {
    /// Begins with an empty journal.
    pub(super) fn new(store: &Path, version_last: u64) -> std::io::Result<Self> {
        let journal = Journal::create(store)?;
        Ok(Self { journal, layer: Layer::new(), committing: None, version_last, asked: false })
    }

    /// Whether the engine should take what is in the journal.
    pub(super) fn due(&self) -> bool {
        self.journal.len() >= JOURNAL_DUE
    }

    /// The entry at `key`, or that it was deleted; `None`: the engine's is the newest.
    pub(super) fn get(&self, key: &str) -> Option<Option<&Entry>> {
        let committing = || self.committing.as_ref()?.get(key);
        self.layer.get(key).or_else(committing).map(Option::as_ref)
    }

    /// Below `prefix` and from `from` on, what is newer than the engine's entries.
    pub(super) fn range<'r>(
        &'r self,
        prefix: &str,
        from: Bound<&str>,
    ) -> BTreeMap<&'r str, Option<&'r Entry>> {
        let mut newer = BTreeMap::new();
        for layer in self.committing.as_deref().into_iter().chain([&self.layer]) {
            let there = layer.range::<str, _>((from, Bound::Unbounded));
            let below = there.take_while(|(key, _)| key.starts_with(prefix));
            newer.extend(below.map(|(key, entry)| (key.as_str(), entry.as_ref())));
        }
        newer
    }

    /// Makes a batch; it survives the process when this returns.
    pub(super) fn write(&mut self, engine: &Engine, writes: &[Write]) -> Result<Applied, StoreError> {
        let mut draft = Draft { recent: self, engine, record: self.record() };
        let applied = apply(&mut draft, writes)?;
        let record = draft.record;
        self.keep(record)?;
        Ok(applied)
    }

    /// Deletes those of `keys` that are still expired.
    pub(super) fn sweep(
        &mut self,
        engine: &Engine,
        keys: Vec<String>,
        now: Instant,
    ) -> Result<Vec<String>, StoreError> {
        let mut record = self.record();
        let mut swept = Vec::new();
        for key in keys {
            if self.entry(engine, &key)?.is_some_and(|entry| expired(&entry, now)) {
                record.changes.push((key.clone(), None));
                swept.push(key);
            }
        }
        self.keep(record)?;
        Ok(swept)
    }

    /// Keys of entries that are expired here; the engine may hold more.
    pub(super) fn expired(&self, now: Instant) -> impl Iterator<Item = &String> {
        let older = self.committing.as_deref().into_iter().flatten();
        let older = older.filter(|(key, _)| !self.layer.contains_key(*key));
        let due = move |entry: &Option<Entry>| entry.as_ref().is_some_and(|entry| expired(entry, now));
        self.layer.iter().chain(older).filter(move |(_, entry)| due(entry)).map(|(key, _)| key)
    }

    /// What the engine is to commit: the contents of the journal, or those that it could not
    /// commit last time. `None`: nothing.
    pub(super) fn begin_commit(&mut self) -> std::io::Result<Option<(Arc<Layer>, u64)>> {
        if self.committing.is_none() {
            if self.layer.is_empty() {
                return Ok(None);
            }
            self.journal.set_aside()?;
            self.committing = Some(Arc::new(std::mem::take(&mut self.layer)));
        }
        Ok(self.committing.clone().map(|layer| (layer, self.version_last)))
    }

    /// The engine has what [`begin_commit`](Self::begin_commit) gave.
    pub(super) fn committed(&mut self) -> std::io::Result<()> {
        self.committing = None;
        // If it stays, it brings nothing back: the next one takes its place, and until then what
        // is behind it is in the journal.
        self.journal.forget_old()
    }

    fn record(&self) -> Record {
        Record { version_last: self.version_last, changes: Vec::new() }
    }

    fn keep(&mut self, record: Record) -> Result<(), StoreError> {
        if record.changes.is_empty() {
            return Ok(());
        }
        if self.journal.len() >= JOURNAL_MAX {
            return Err(StoreError::Limit { what: "journal", limit: JOURNAL_MAX as usize });
        }
        self.journal.append(&record)?;
        self.version_last = record.version_last;
        self.layer.extend(record.changes);
        Ok(())
    }

    fn entry(&self, engine: &Engine, key: &str) -> Result<Option<Entry>, StoreError> {
        match self.get(key) {
            Some(entry) => Ok(entry.cloned()),
            None => engine.get(key),
        }
    }
}

/// A batch that is being made: read from what is there, written into a record.
struct Draft<'d> {
    recent: &'d Recent,
    engine: &'d Engine,
    record: Record,
}

impl Table for Draft<'_> {
    fn entry(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.recent.entry(self.engine, key)
    }

    fn insert(&mut self, key: &str, entry: &Entry) -> Result<(), StoreError> {
        self.record.changes.push((key.to_owned(), Some(entry.clone())));
        Ok(())
    }

    fn remove(&mut self, key: &str) -> Result<(), StoreError> {
        self.record.changes.push((key.to_owned(), None));
        Ok(())
    }

    fn version_last(&self) -> Result<u64, StoreError> {
        Ok(self.record.version_last)
    }

    fn set_version_last(&mut self, version: u64) -> Result<(), StoreError> {
        self.record.version_last = version;
        Ok(())
    }
}

/// The changes that a sweep has made.
pub(super) fn deletions(keys: Vec<String>) -> impl Iterator<Item = Change> {
    keys.into_iter().map(|key| Change { key, version: None })
}
