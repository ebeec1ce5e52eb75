//! Where state outlives its process: versioned bytes under readable keys.
//!
//! One trait, [`Store`], and two implementations: [`Redb`], a file of the embedded engine, and
//! [`Memory`], for the simulation and for functions that keep nothing. Keys are paths such as
//! `udr/subscriber/imsi-001010000000001`; every write raises its key's version, and a write can be
//! made to depend on the version that its author read.

mod entry;
mod error;
mod memory;
mod redb;
mod state;
mod watch;

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use tern_types::Instant;

pub use crate::redb::{Durability, Redb, RedbOptions};
pub use entry::{Action, Condition, Entry, Write};
pub use error::StoreError;
pub use memory::Memory;
pub use watch::{Change, Watch, WatchEvent};

/// What the object-safe methods of [`Store`] return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Longest key, in octets.
pub const KEY_LEN_MAX: usize = 512;
/// Largest value, in octets.
pub const VALUE_LEN_MAX: usize = 4 << 20;
/// Most writes in one batch.
pub const BATCH_LEN_MAX: usize = 10_000;
/// Most entries that one `range` or `sweep` touches.
pub const RANGE_LEN_MAX: usize = 10_000;
/// Changes that a watcher may fall behind before it is told that it has missed some.
pub const WATCH_BACKLOG: usize = 4096;

/// A map from keys to versioned values.
///
/// When a write's future is ready, the write is as durable as the store was configured to be.
pub trait Store: Send + Sync + 'static {
    /// The entry at `key`.
    fn get(&self, key: &str) -> BoxFuture<'_, Result<Option<Entry>, StoreError>>;

    /// Entries whose key starts with `prefix`, in key order, behind `after` if given; at most
    /// `limit`, itself at most [`RANGE_LEN_MAX`].
    fn range(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(String, Entry)>, StoreError>>;

    /// All writes or none, in order; the new version of each (0 for a deletion).
    fn batch(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Vec<u64>, StoreError>>;

    /// Deletes entries that expired at or before `now`, at most `limit`; returns how many.
    fn sweep(&self, now: Instant, limit: usize) -> BoxFuture<'_, Result<usize, StoreError>>;

    /// Follows the changes below `prefix` from now on.
    fn watch(&self, prefix: &str) -> Watch;

    /// Writes `value` whatever stands at `key`; its new version.
    fn put(
        &self,
        key: &str,
        value: Bytes,
        expires: Option<Instant>,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.write(Write {
            key: key.to_owned(),
            condition: Condition::Any,
            action: Action::Put { value, expires },
        })
    }

    /// Writes `value` only if `condition` holds, else [`StoreError::Conflict`]; its new version.
    fn compare_and_put(
        &self,
        key: &str,
        condition: Condition,
        value: Bytes,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        let action = Action::Put { value, expires: None };
        self.write(Write { key: key.to_owned(), condition, action })
    }

    /// Deletes the entry at `key`; [`StoreError::Conflict`] if `condition` does not hold.
    fn delete(&self, key: &str, condition: Condition) -> BoxFuture<'_, Result<(), StoreError>> {
        let write = self.write(Write { key: key.to_owned(), condition, action: Action::Delete });
        Box::pin(async move { write.await.map(|_| ()) })
    }

    /// A batch of one.
    fn write(&self, write: Write) -> BoxFuture<'_, Result<u64, StoreError>> {
        let batch = self.batch(vec![write]);
        Box::pin(async move { batch.await.map(|versions| versions.first().copied().unwrap_or(0)) })
    }
}
