//! The producers that a consumer has connections to.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tern_types::Duration;
use tokio::time::Instant;

/// For this long a failed connection attempt answers those who waited for it.
const FAILURE_MEMORY: Duration = Duration::from_millis(50);

/// A connection that calls share.
pub(crate) trait Shareable: Clone {
    /// Whether no new call can use it.
    fn is_closed(&self) -> bool;
}

/// Connections by producer, at most so many; the one that was not used for longest makes room.
pub(crate) struct Producers<K, C, E> {
    max: usize,
    known: Mutex<HashMap<K, Arc<Producer<C, E>>>>,
}

struct Producer<C, E> {
    /// The open connection, for those who need not wait.
    open: Mutex<Option<C>>,
    /// Held while connecting, so that calls share the attempt; and what became of the last one.
    attempt: tokio::sync::Mutex<Option<(Instant, E)>>,
    used: Mutex<Instant>,
}

impl<C: Shareable, E> Producer<C, E> {
    fn new() -> Self {
        Self {
            open: Mutex::new(None),
            attempt: tokio::sync::Mutex::new(None),
            used: Mutex::new(Instant::now()),
        }
    }

    fn open(&self) -> Option<C> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().filter(|connection| !connection.is_closed()).cloned()
    }

    fn used(&self) -> Instant {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash, C: Shareable, E: Clone> Producers<K, C, E> {
    pub(crate) fn new(max: usize) -> Self {
        Self { max: max.max(1), known: Mutex::default() }
    }

    /// Producers that are known and fit `which`.
    pub(crate) fn count(&self, which: impl Fn(&K) -> bool) -> usize {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.keys().filter(|key| which(key)).count()
    }

    /// Forgets those that were not used for `idle` and fit `which`; their connections end with the
    /// calls that still use them.
    pub(crate) fn forget_idle(&self, idle: Duration, which: impl Fn(&K) -> bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|key, producer| !which(key) || producer.used().elapsed() < idle);
    }

    /// The open connection, opened by `open` if there is none.
    pub(crate) async fn connection<F>(&self, key: &K, open: impl FnOnce() -> F) -> Result<C, E>
    where
        F: Future<Output = Result<C, E>>,
    {
        let producer = self.producer(key);
        if let Some(connection) = producer.open() {
            return Ok(connection);
        }
        let mut failed = producer.attempt.lock().await;
        if let Some(connection) = producer.open() {
            return Ok(connection);
        }
        if let Some((at, error)) = &*failed
            && at.elapsed() < FAILURE_MEMORY
        {
            return Err(error.clone());
        }
        match open().await {
            Ok(connection) => {
                *failed = None;
                *producer.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                *failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn producer(&self, key: &K) -> Arc<Producer<C, E>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = known.get(key) {
            *producer.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            return producer.clone();
        }
        if known.len() >= self.max {
            let oldest = known.iter().min_by_key(|(_, producer)| producer.used()).map(|(key, _)| key.clone());
            oldest.map(|key| known.remove(&key));
        }
        known.entry(key.clone()).or_insert_with(|| Arc::new(Producer::new())).clone()
    }
}
