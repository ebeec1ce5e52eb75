//! The engine's file: the tables, and how they are read and changed.

use std::path::Path;

use ::redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition};
use tern_types::Instant;

use super::file::DataFile;
use super::recent::Layer;
use super::{Durability, journal};
use crate::state::{Table, expired};
use crate::{Entry, StoreError};

const ENTRIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entries");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const VERSION_LAST: &str = "version_last";

/// The engine's page cache.
const CACHE_OCTETS: usize = 64 << 20;

/// Entries as the engine reads them.
pub(super) type Entries = ::redb::ReadOnlyTable<&'static str, &'static [u8]>;

/// The open file.
#[derive(Debug)]
pub(super) struct Engine(Database);

impl Engine {
    /// Opens or creates the file, and takes what an earlier process has left in the journal.
    pub(super) fn open(path: &Path, durability: Durability) -> Result<Self, StoreError> {
        let file = DataFile::open(path, durability).map_err(StoreError::engine)?;
        let database = Database::builder()
            .set_cache_size(CACHE_OCTETS)
            .create_with_backend(file)
            .map_err(StoreError::engine)?;
        let engine = Self(database);
        let left = journal::left(path).map_err(StoreError::engine)?;
        // It also makes the tables, which reading transactions expect to be there.
        engine.change(|table| {
            for record in &left {
                for (key, entry) in &record.changes {
                    table.set(key, entry.as_ref())?;
                }
                table.set_version_last(record.version_last)?;
            }
            Ok(())
        })??;
        journal::remove_all(path).map_err(StoreError::engine)?;
        Ok(engine)
    }

    /// The entry at `key`.
    pub(super) fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let found = self.entries()?.get(key).map_err(StoreError::engine)?;
        found.map(|value| decode(key, value.value())).transpose()
    }

    /// All entries as they are now.
    pub(super) fn entries(&self) -> Result<Entries, StoreError> {
        self.begin_read()?.open_table(ENTRIES).map_err(StoreError::engine)
    }

    /// The highest version ever given.
    pub(super) fn version_last(&self) -> Result<u64, StoreError> {
        let table = self.begin_read()?.open_table(META).map_err(StoreError::engine)?;
        Ok(table.get(VERSION_LAST).map_err(StoreError::engine)?.map_or(0, |value| value.value()))
    }

    /// Takes what the journal has gathered.
    pub(super) fn commit(&self, layer: &Layer, version_last: u64) -> Result<(), StoreError> {
        self.change(|table| {
            for (key, entry) in layer {
                table.set(key, entry.as_ref())?;
            }
            table.set_version_last(version_last)
        })?
    }

    /// Runs `work` on the tables and commits; any engine error inside a job has left that job's
    /// error in its answer, and the conditions of a job are checked before its first change.
    pub(super) fn change<T>(&self, work: impl FnOnce(&mut Tables<'_>) -> T) -> Result<T, StoreError> {
        let transaction = self.0.begin_write().map_err(StoreError::engine)?;
        let done = {
            let entries = transaction.open_table(ENTRIES).map_err(StoreError::engine)?;
            let meta = transaction.open_table(META).map_err(StoreError::engine)?;
            work(&mut Tables { entries, meta })
        };
        transaction.commit().map_err(StoreError::engine)?;
        Ok(done)
    }

    fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        self.0.begin_read().map_err(StoreError::engine)
    }
}

/// The tables within a writing transaction.
pub(super) struct Tables<'t> {
    entries: ::redb::Table<'t, &'static str, &'static [u8]>,
    meta: ::redb::Table<'t, &'static str, u64>,
}

impl Tables<'_> {
    /// Deletes what expired at or before `now`, at most `limit`; which keys.
    pub(super) fn sweep(&mut self, now: Instant, limit: usize) -> Result<Vec<String>, StoreError> {
        let due = expired_in(&self.entries, now, limit, |_| true)?;
        for key in &due {
            self.remove(key)?;
        }
        Ok(due)
    }

    fn set(&mut self, key: &str, entry: Option<&Entry>) -> Result<(), StoreError> {
        match entry {
            Some(entry) => self.insert(key, entry),
            None => self.remove(key),
        }
    }
}

impl Table for Tables<'_> {
    fn entry(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let found = self.entries.get(key).map_err(StoreError::engine)?;
        found.map(|value| decode(key, value.value())).transpose()
    }

    fn insert(&mut self, key: &str, entry: &Entry) -> Result<(), StoreError> {
        self.entries.insert(key, entry.to_octets().as_slice()).map_err(StoreError::engine)?;
        Ok(())
    }

    fn remove(&mut self, key: &str) -> Result<(), StoreError> {
        self.entries.remove(key).map_err(StoreError::engine)?;
        Ok(())
    }

    fn version_last(&self) -> Result<u64, StoreError> {
        Ok(self.meta.get(VERSION_LAST).map_err(StoreError::engine)?.map_or(0, |value| value.value()))
    }

    fn set_version_last(&mut self, version: u64) -> Result<(), StoreError> {
        self.meta.insert(VERSION_LAST, version).map_err(StoreError::engine)?;
        Ok(())
    }
}

/// Keys of `entries` that expired at or before `now` and for which `counts` holds, at most `limit`.
pub(super) fn expired_in(
    entries: &impl ReadableTable<&'static str, &'static [u8]>,
    now: Instant,
    limit: usize,
    counts: impl Fn(&str) -> bool,
) -> Result<Vec<String>, StoreError> {
    let mut due = Vec::new();
    for item in entries.iter().map_err(StoreError::engine)? {
        let (key, value) = item.map_err(StoreError::engine)?;
        if due.len() == limit {
            break;
        }
        if expired(&decode(key.value(), value.value())?, now) && counts(key.value()) {
            due.push(key.value().to_owned());
        }
    }
    Ok(due)
}

pub(super) fn decode(key: &str, octets: &[u8]) -> Result<Entry, StoreError> {
    Entry::from_octets(octets).ok_or_else(|| StoreError::Engine(format!("{key}: not an entry of this store")))
}
