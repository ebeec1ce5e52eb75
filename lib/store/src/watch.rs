//! Following the changes of a store.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender};

use crate::WATCH_BACKLOG;

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: String,
    /// Its new version; `None` if the entry was deleted.
    pub version: Option<u64>,
}

/// What a watcher learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// One change.
    Changed(Change),
    /// The watcher fell behind and missed this many changes of the store: read anew.
    Missed(u64),
}

/// Yields the changes below a prefix.
#[derive(Debug)]
pub struct Watch {
    prefix: String,
    changes: Receiver<Arc<Change>>,
}

impl Watch {
    /// The next change; `None` once the store is gone.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        loop {
            match self.changes.recv().await {
                Ok(change) if change.key.starts_with(&self.prefix) => {
                    return Some(WatchEvent::Changed(Change::clone(&change)));
                }
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => return Some(WatchEvent::Missed(missed)),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// The writing end of every watch of one store.
#[derive(Debug, Clone)]
pub(crate) struct Watchers(Sender<Arc<Change>>);

impl Watchers {
    pub(crate) fn new() -> Self {
        Self(Sender::new(WATCH_BACKLOG))
    }

    pub(crate) fn watch(&self, prefix: &str) -> Watch {
        Watch { prefix: prefix.to_owned(), changes: self.0.subscribe() }
    }

    pub(crate) fn tell(&self, changes: impl IntoIterator<Item = Change>) {
        if self.0.receiver_count() > 0 {
            for change in changes {
                // An error only says that the last watcher left meanwhile.
                let _ = self.0.send(Arc::new(change));
            }
        }
    }
}
