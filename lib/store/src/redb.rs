//! A store in one file, by the embedded engine `redb`.
//!
//! One thread owns the writing. It takes the batches that have gathered while it committed the
//! last ones and commits them together, so that the cost of a commit is shared under load.

mod file;

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use ::redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use tern_types::Instant;
use tokio::sync::oneshot;

use self::file::DataFile;
use crate::state::{Applied, Table, apply, check_limits, expired};
use crate::watch::Watchers;
use crate::{BoxFuture, Change, Entry, RANGE_LEN_MAX, Store, StoreError, Watch, Write};

const ENTRIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entries");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const VERSION_LAST: &str = "version_last";

/// Batches that one commit takes at most.
const GROUP_LEN_MAX: usize = 256;
/// Batches that may wait for the writer; the next one is refused.
const QUEUE_LEN_MAX: usize = 4096;
/// The engine's page cache.
const CACHE_OCTETS: usize = 64 << 20;

/// What a write survives once it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The end of the process, also by SIGKILL: the write is in the kernel's page cache.
    #[default]
    Process,
    /// The end of the machine: the write is on the disk.
    Machine,
}

/// Where the store is, and how it keeps.
#[derive(Debug, Clone)]
pub struct RedbOptions {
    /// The file; its directory is created.
    pub path: PathBuf,
    /// What an acknowledged write survives.
    pub durability: Durability,
}

/// A store in one file.
#[derive(Debug)]
pub struct Redb {
    database: Arc<Database>,
    writer: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    watchers: Watchers,
}

enum Job {
    Batch(Vec<Write>, oneshot::Sender<Result<Vec<u64>, StoreError>>),
    Sweep(Instant, usize, oneshot::Sender<Result<usize, StoreError>>),
}

impl Redb {
    /// Opens or creates the file. A file that another process has open is refused.
    pub fn open(options: &RedbOptions) -> Result<Self, StoreError> {
        let path = options.path.as_path();
        let failed =
            |error: &dyn std::fmt::Display| StoreError::Engine(format!("{}: {error}", path.display()));
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(|error| failed(&error))?;
        }
        let database = open_database(path, options.durability).map_err(|error| failed(&error))?;
        let database = Arc::new(database);
        let watchers = Watchers::new();
        let (sender, jobs) = sync_channel(QUEUE_LEN_MAX);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn({
                let (database, watchers) = (Arc::clone(&database), watchers.clone());
                move || write_until_closed(&database, &watchers, &jobs)
            })
            .map_err(|error| failed(&error))?;
        Ok(Self { database, writer: Some(sender), thread: Some(thread), watchers })
    }

    fn enqueue(&self, job: Job) -> Result<(), StoreError> {
        let writer = self.writer.as_ref().ok_or(StoreError::Closed)?;
        writer.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Limit { what: "write queue", limit: QUEUE_LEN_MAX },
            TrySendError::Disconnected(_) => StoreError::Closed,
        })
    }

    fn read_entry(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let transaction = self.database.begin_read().map_err(StoreError::engine)?;
        let table = transaction.open_table(ENTRIES).map_err(StoreError::engine)?;
        let found = table.get(key).map_err(StoreError::engine)?;
        found.map(|value| decode(key, value.value())).transpose()
    }

    fn read_range(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Entry)>, StoreError> {
        let transaction = self.database.begin_read().map_err(StoreError::engine)?;
        let table = transaction.open_table(ENTRIES).map_err(StoreError::engine)?;
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut entries = Vec::new();
        for item in table.range::<&str>((from, Bound::Unbounded)).map_err(StoreError::engine)? {
            let (key, value) = item.map_err(StoreError::engine)?;
            if entries.len() == limit.min(RANGE_LEN_MAX) || !key.value().starts_with(prefix) {
                break;
            }
            entries.push((key.value().to_owned(), decode(key.value(), value.value())?));
        }
        Ok(entries)
    }
}

impl Drop for Redb {
    /// Waits for what was accepted to be written.
    fn drop(&mut self) {
        drop(self.writer.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Store for Redb {
    // A read takes under a microsecond from the page cache, less than handing it to a thread.
    fn get(&self, key: &str) -> BoxFuture<'_, Result<Option<Entry>, StoreError>> {
        let entry = self.read_entry(key);
        Box::pin(async move { entry })
    }

    fn range(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(String, Entry)>, StoreError>> {
        let entries = self.read_range(prefix, after, limit);
        Box::pin(async move { entries })
    }

    fn batch(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        let (sender, answer) = oneshot::channel();
        let queued = check_limits(&writes).and_then(|()| self.enqueue(Job::Batch(writes, sender)));
        Box::pin(async move {
            queued?;
            answer.await.map_err(|_| StoreError::Closed)?
        })
    }

    fn sweep(&self, now: Instant, limit: usize) -> BoxFuture<'_, Result<usize, StoreError>> {
        let (sender, answer) = oneshot::channel();
        let queued = self.enqueue(Job::Sweep(now, limit.min(RANGE_LEN_MAX), sender));
        Box::pin(async move {
            queued?;
            answer.await.map_err(|_| StoreError::Closed)?
        })
    }

    fn watch(&self, prefix: &str) -> Watch {
        self.watchers.watch(prefix)
    }
}

fn open_database(path: &Path, durability: Durability) -> Result<Database, StoreError> {
    let file = DataFile::open(path, durability).map_err(StoreError::engine)?;
    let database = Database::builder()
        .set_cache_size(CACHE_OCTETS)
        .create_with_backend(file)
        .map_err(StoreError::engine)?;
    // Reading transactions expect the tables to be there.
    let transaction = database.begin_write().map_err(StoreError::engine)?;
    transaction.open_table(ENTRIES).map_err(StoreError::engine)?;
    transaction.open_table(META).map_err(StoreError::engine)?;
    transaction.commit().map_err(StoreError::engine)?;
    Ok(database)
}

fn write_until_closed(database: &Database, watchers: &Watchers, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_LEN_MAX {
            match jobs.try_recv() {
                Ok(job) => group.push(job),
                Err(_) => break,
            }
        }
        commit_group(database, watchers, group);
    }
}

/// An answer to be given once the group is committed.
enum Done {
    Batch(oneshot::Sender<Result<Vec<u64>, StoreError>>, Result<Applied, StoreError>),
    Sweep(oneshot::Sender<Result<usize, StoreError>>, Result<Vec<String>, StoreError>),
}

fn commit_group(database: &Database, watchers: &Watchers, group: Vec<Job>) {
    let mut done = Vec::with_capacity(group.len());
    let committed = in_transaction(database, |table| {
        for job in group {
            done.push(match job {
                Job::Batch(writes, answer) => Done::Batch(answer, apply(table, &writes)),
                Job::Sweep(now, limit, answer) => Done::Sweep(answer, table.sweep(now, limit)),
            });
        }
    });
    for done in done {
        // An answer that nobody waits for any more is no error: the write was made.
        match done {
            Done::Batch(answer, result) => {
                let result = committed.clone().and(result).map(|applied| {
                    watchers.tell(applied.changes);
                    applied.versions
                });
                let _ = answer.send(result);
            }
            Done::Sweep(answer, result) => {
                let result = committed.clone().and(result).map(|keys| {
                    let swept = keys.len();
                    watchers.tell(keys.into_iter().map(|key| Change { key, version: None }));
                    swept
                });
                let _ = answer.send(result);
            }
        }
    }
}

/// Runs `work` on the table and commits; any engine error inside a job has left that job's error
/// in its answer, and the conditions of a job are checked before its first change.
fn in_transaction(database: &Database, work: impl FnOnce(&mut Tables<'_>)) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(StoreError::engine)?;
    {
        let entries = transaction.open_table(ENTRIES).map_err(StoreError::engine)?;
        let meta = transaction.open_table(META).map_err(StoreError::engine)?;
        work(&mut Tables { entries, meta });
    }
    transaction.commit().map_err(StoreError::engine)
}

struct Tables<'t> {
    entries: ::redb::Table<'t, &'static str, &'static [u8]>,
    meta: ::redb::Table<'t, &'static str, u64>,
}

impl Tables<'_> {
    fn sweep(&mut self, now: Instant, limit: usize) -> Result<Vec<String>, StoreError> {
        let mut due = Vec::new();
        for item in self.entries.iter().map_err(StoreError::engine)? {
            let (key, value) = item.map_err(StoreError::engine)?;
            if due.len() == limit {
                break;
            }
            if expired(&decode(key.value(), value.value())?, now) {
                due.push(key.value().to_owned());
            }
        }
        for key in &due {
            self.remove(key)?;
        }
        Ok(due)
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

fn decode(key: &str, octets: &[u8]) -> Result<Entry, StoreError> {
    Entry::from_octets(octets).ok_or_else(|| StoreError::Engine(format!("{key}: not an entry of this store")))
}
