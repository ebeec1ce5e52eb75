//! A store in one file, by the embedded engine `redb`.
//!
//! With [`Durability::Process`] a write is one record in a journal beside the file, made by who
//! asks for it; a thread gives the engine what has gathered there. With [`Durability::Machine`] the
//! thread takes the batches that have gathered while it committed the last ones and commits them
//! together, so that the cost of a commit and its sync is shared under load.

mod engine;
mod file;
mod journal;
mod recent;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tern_types::Instant;
use tokio::sync::oneshot;

use self::engine::{Engine, decode, expired_in};
use self::recent::{Recent, deletions};
use crate::state::{Applied, apply, check_limits};
use crate::watch::Watchers;
use crate::{BoxFuture, Entry, RANGE_LEN_MAX, Store, StoreError, Watch, Write};

/// Batches that one commit takes at most.
const GROUP_LEN_MAX: usize = 256;
/// Batches that may wait for the writer; the next one is refused.
const QUEUE_LEN_MAX: usize = 4096;

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
    /// The file; its directory is created. A journal may stand beside it, under its name and
    /// `.journal`, and belongs to it.
    pub path: PathBuf,
    /// What an acknowledged write survives.
    pub durability: Durability,
}

/// A store in one file.
#[derive(Debug)]
pub struct Redb {
    shared: Arc<Shared>,
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// What the callers and the thread have in common.
#[derive(Debug)]
struct Shared {
    engine: Engine,
    /// With [`Durability::Process`]: what the engine does not have yet.
    recent: Option<Mutex<Recent>>,
    watchers: Watchers,
}

enum Job {
    Batch(Vec<Write>, oneshot::Sender<Result<Vec<u64>, StoreError>>),
    Sweep(Instant, usize, oneshot::Sender<Result<usize, StoreError>>),
    /// Give the engine what is in the journal.
    Commit,
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
        let engine = Engine::open(path, options.durability).map_err(|error| failed(&error))?;
        let recent = match options.durability {
            Durability::Machine => None,
            Durability::Process => {
                let version_last = engine.version_last().map_err(|error| failed(&error))?;
                Some(Mutex::new(Recent::new(path, version_last).map_err(|error| failed(&error))?))
            }
        };
        let shared = Arc::new(Shared { engine, recent, watchers: Watchers::new() });
        let (sender, jobs) = sync_channel(QUEUE_LEN_MAX);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.work_until_closed(&jobs)
            })
            .map_err(|error| failed(&error))?;
        Ok(Self { shared, jobs: Some(sender), thread: Some(thread) })
    }

    /// Removes the files of a store, if they are there. No process may have it open.
    pub fn remove(path: &Path) -> std::io::Result<()> {
        journal::remove_all(path)?;
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn enqueue(&self, job: Job) -> Result<(), StoreError> {
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Limit { what: "write queue", limit: QUEUE_LEN_MAX },
            TrySendError::Disconnected(_) => StoreError::Closed,
        })
    }

    /// A write into the journal.
    fn write_recent(&self, recent: &Mutex<Recent>, writes: &[Write]) -> Result<Vec<u64>, StoreError> {
        let mut recent = lock(recent);
        let applied = recent.write(&self.shared.engine, writes);
        // Also behind a refused one: the journal may be full since the last commit failed.
        if recent.due() && !recent.asked {
            recent.asked = self.enqueue(Job::Commit).is_ok();
        }
        let applied = applied?;
        self.shared.watchers.tell(applied.changes);
        Ok(applied.versions)
    }
}

impl Drop for Redb {
    /// Waits for what was accepted to be written.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Store for Redb {
    // A read takes under a microsecond from the page cache, less than handing it to a thread.
    fn get(&self, key: &str) -> BoxFuture<'_, Result<Option<Entry>, StoreError>> {
        let entry = self.shared.read_entry(key);
        Box::pin(async move { entry })
    }

    fn range(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(String, Entry)>, StoreError>> {
        let entries = self.shared.read_range(prefix, after, limit.min(RANGE_LEN_MAX));
        Box::pin(async move { entries })
    }

    // Neither does a record in the journal take long enough to be handed to a thread.
    fn batch(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        let checked = check_limits(&writes);
        if let Some(recent) = &self.shared.recent {
            let versions = checked.and_then(|()| self.write_recent(recent, &writes));
            return Box::pin(async move { versions });
        }
        let (sender, answer) = oneshot::channel();
        let queued = checked.and_then(|()| self.enqueue(Job::Batch(writes, sender)));
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
        self.shared.watchers.watch(prefix)
    }
}

/// Reading. The lock is held until the engine's state is chosen, so that both are of one moment.
impl Shared {
    fn recent(&self) -> Option<MutexGuard<'_, Recent>> {
        self.recent.as_ref().map(lock)
    }

    fn read_entry(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let recent = self.recent();
        match recent.as_ref().and_then(|recent| recent.get(key)) {
            Some(entry) => Ok(entry.cloned()),
            None => self.engine.get(key),
        }
    }

    fn read_range(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Entry)>, StoreError> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let recent = self.recent();
        let table = self.engine.entries()?;
        let newer = recent.as_ref().map(|recent| recent.range(prefix, from)).unwrap_or_default();
        let mut entries = BTreeMap::new();
        // Enough of them, should each of the newer ones be a deletion.
        let enough = limit.saturating_add(newer.len());
        for item in table.range::<&str>((from, Bound::Unbounded)).map_err(StoreError::engine)?.take(enough) {
            let (key, value) = item.map_err(StoreError::engine)?;
            if !key.value().starts_with(prefix) {
                break;
            }
            entries.insert(key.value().to_owned(), decode(key.value(), value.value())?);
        }
        for (key, entry) in newer {
            match entry {
                Some(entry) => entries.insert(key.to_owned(), entry.clone()),
                None => entries.remove(key),
            };
        }
        Ok(entries.into_iter().take(limit).collect())
    }
}

/// The thread.
impl Shared {
    fn work_until_closed(&self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let mut group = vec![first];
            while group.len() < GROUP_LEN_MAX {
                match jobs.try_recv() {
                    Ok(job) => group.push(job),
                    Err(_) => break,
                }
            }
            match &self.recent {
                Some(recent) => group.into_iter().for_each(|job| self.work(recent, job)),
                None => self.commit_group(group),
            }
        }
        if let Some(recent) = &self.recent {
            // What it cannot take now, it takes from the journal when the file is opened again.
            let _ = self.commit_recent(recent);
        }
    }

    /// What is left to the thread where there is a journal.
    fn work(&self, recent: &Mutex<Recent>, job: Job) {
        match job {
            // The callers make their writes themselves.
            Job::Batch(_, answer) => drop(answer.send(Err(StoreError::Closed))),
            Job::Sweep(now, limit, answer) => drop(answer.send(self.sweep_recent(recent, now, limit))),
            Job::Commit => {
                // If it fails, the next write asks for it again; at the journal's limit, writes are
                // refused.
                let _ = self.commit_recent(recent);
                lock(recent).asked = false;
            }
        }
    }

    fn commit_recent(&self, recent: &Mutex<Recent>) -> Result<(), StoreError> {
        let begun = lock(recent).begin_commit().map_err(StoreError::engine)?;
        let Some((layer, version_last)) = begun else { return Ok(()) };
        self.engine.commit(&layer, version_last)?;
        lock(recent).committed().map_err(StoreError::engine)
    }

    /// The engine's entries are looked through without the lock; what is due then is looked at
    /// again with it.
    fn sweep_recent(&self, recent: &Mutex<Recent>, now: Instant, limit: usize) -> Result<usize, StoreError> {
        let mut due: Vec<String> = lock(recent).expired(now).take(limit).cloned().collect();
        let entries = self.engine.entries()?;
        let rest = limit - due.len();
        due.extend(expired_in(&entries, now, rest, |key| lock(recent).get(key).is_none())?);
        let mut recent = lock(recent);
        let swept = recent.sweep(&self.engine, due, now)?;
        let count = swept.len();
        self.watchers.tell(deletions(swept));
        Ok(count)
    }

    fn commit_group(&self, group: Vec<Job>) {
        let mut done = Vec::with_capacity(group.len());
        let committed = self.engine.change(|table| {
            for job in group {
                match job {
                    Job::Batch(writes, answer) => done.push(Done::Batch(answer, apply(table, &writes))),
                    Job::Sweep(now, limit, answer) => done.push(Done::Sweep(answer, table.sweep(now, limit))),
                    // There is no journal.
                    Job::Commit => {}
                }
            }
        });
        for done in done {
            // An answer that nobody waits for any more is no error: the write was made.
            match done {
                Done::Batch(answer, result) => {
                    let result = committed.clone().and(result).map(|applied| {
                        self.watchers.tell(applied.changes);
                        applied.versions
                    });
                    let _ = answer.send(result);
                }
                Done::Sweep(answer, result) => {
                    let result = committed.clone().and(result).map(|keys| {
                        let swept = keys.len();
                        self.watchers.tell(deletions(keys));
                        swept
                    });
                    let _ = answer.send(result);
                }
            }
        }
    }
}

/// An answer to be given once the group is committed.
enum Done {
    Batch(oneshot::Sender<Result<Vec<u64>, StoreError>>, Result<Applied, StoreError>),
    Sweep(oneshot::Sender<Result<usize, StoreError>>, Result<Vec<String>, StoreError>),
}

fn lock(recent: &Mutex<Recent>) -> MutexGuard<'_, Recent> {
    // A panic ends the process; a poisoned lock is only seen while it does.
    recent.lock().unwrap_or_else(PoisonError::into_inner)
}
