//! A store in memory: deterministic, gone with its process.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tern_types::Instant;

use crate::state::{Table, apply, check_limits, expired};
use crate::watch::Watchers;
use crate::{BoxFuture, Change, Entry, RANGE_LEN_MAX, Store, StoreError, Watch, Write};

/// A store in memory.
#[derive(Debug)]
pub struct Memory {
    entries: Mutex<Entries>,
    watchers: Watchers,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: BTreeMap<String, Entry>,
    version_last: u64,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self { entries: Mutex::default(), watchers: Watchers::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // A panic ends the process; a poisoned lock is only seen while it does.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Table for Entries {
    fn entry(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        Ok(self.by_key.get(key).cloned())
    }

    fn insert(&mut self, key: &str, entry: &Entry) -> Result<(), StoreError> {
        self.by_key.insert(key.to_owned(), entry.clone());
        Ok(())
    }

    fn remove(&mut self, key: &str) -> Result<(), StoreError> {
        self.by_key.remove(key);
        Ok(())
    }

    fn version_last(&self) -> Result<u64, StoreError> {
        Ok(self.version_last)
    }

    fn set_version_last(&mut self, version: u64) -> Result<(), StoreError> {
        self.version_last = version;
        Ok(())
    }
}

impl Store for Memory {
    fn get(&self, key: &str) -> BoxFuture<'_, Result<Option<Entry>, StoreError>> {
        let entry = self.lock().by_key.get(key).cloned();
        Box::pin(async move { Ok(entry) })
    }

    fn range(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(String, Entry)>, StoreError>> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let entries = self
            .lock()
            .by_key
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit.min(RANGE_LEN_MAX))
            .map(|(key, entry)| (key.clone(), entry.clone()))
            .collect();
        Box::pin(async move { Ok(entries) })
    }

    fn batch(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        let applied = check_limits(&writes).and_then(|()| apply(&mut *self.lock(), &writes));
        Box::pin(async move {
            let applied = applied?;
            self.watchers.tell(applied.changes);
            Ok(applied.versions)
        })
    }

    fn sweep(&self, now: Instant, limit: usize) -> BoxFuture<'_, Result<usize, StoreError>> {
        let mut entries = self.lock();
        let due: Vec<String> = entries
            .by_key
            .iter()
            .filter(|(_, entry)| expired(entry, now))
            .take(limit.min(RANGE_LEN_MAX))
            .map(|(key, _)| key.clone())
            .collect();
        for key in &due {
            entries.by_key.remove(key);
        }
        drop(entries);
        let swept = due.len();
        self.watchers.tell(due.into_iter().map(|key| Change { key, version: None }));
        Box::pin(async move { Ok(swept) })
    }

    fn watch(&self, prefix: &str) -> Watch {
        self.watchers.watch(prefix)
    }
}
