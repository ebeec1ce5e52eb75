//! What a batch does to any table: shared by the implementations.

use tern_types::Instant;

use crate::{Action, BATCH_LEN_MAX, Change, Condition, Entry, KEY_LEN_MAX, StoreError, VALUE_LEN_MAX, Write};

/// A table of entries within a transaction.
pub(crate) trait Table {
    fn entry(&self, key: &str) -> Result<Option<Entry>, StoreError>;
    fn insert(&mut self, key: &str, entry: &Entry) -> Result<(), StoreError>;
    fn remove(&mut self, key: &str) -> Result<(), StoreError>;
    /// The highest version ever given in this table.
    fn version_last(&self) -> Result<u64, StoreError>;
    fn set_version_last(&mut self, version: u64) -> Result<(), StoreError>;
}

/// Refuses a batch beyond the named limits before any work is done for it.
pub(crate) fn check_limits(writes: &[Write]) -> Result<(), StoreError> {
    let within = |what, len: usize, limit| {
        if len <= limit { Ok(()) } else { Err(StoreError::Limit { what, limit }) }
    };
    within("batch", writes.len(), BATCH_LEN_MAX)?;
    for write in writes {
        within("key", write.key.len(), KEY_LEN_MAX)?;
        if let Action::Put { value, .. } = &write.action {
            within("value", value.len(), VALUE_LEN_MAX)?;
        }
    }
    Ok(())
}

/// The versions given to a batch's writes, and what it changed.
pub(crate) struct Applied {
    pub versions: Vec<u64>,
    pub changes: Vec<Change>,
}

/// Applies a batch, or returns an error before it has changed anything.
pub(crate) fn apply(table: &mut impl Table, writes: &[Write]) -> Result<Applied, StoreError> {
    check_conditions(table, writes)?;
    let mut version = table.version_last()?;
    let mut applied = Applied { versions: Vec::with_capacity(writes.len()), changes: Vec::new() };
    for write in writes {
        let given = match &write.action {
            Action::Put { value, expires } => {
                version += 1;
                table.insert(&write.key, &Entry { version, expires: *expires, value: value.clone() })?;
                Some(version)
            }
            Action::Delete => {
                table.remove(&write.key)?;
                None
            }
        };
        applied.versions.push(given.unwrap_or(0));
        applied.changes.push(Change { key: write.key.clone(), version: given });
    }
    table.set_version_last(version)?;
    Ok(applied)
}

/// Conditions speak of the state before the batch.
fn check_conditions(table: &impl Table, writes: &[Write]) -> Result<(), StoreError> {
    for write in writes {
        if write.condition == Condition::Any {
            continue;
        }
        let found = table.entry(&write.key)?.map(|entry| entry.version);
        if !write.condition.holds(found) {
            return Err(StoreError::Conflict { key: write.key.clone(), found });
        }
    }
    Ok(())
}

/// Whether an entry may be swept at `now`.
pub(crate) fn expired(entry: &Entry, now: Instant) -> bool {
    entry.expires.is_some_and(|expires| expires <= now)
}
