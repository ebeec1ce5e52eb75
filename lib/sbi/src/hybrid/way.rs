//! Which producers are not on this node, so that nobody asks the manager for each request.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tern_types::Duration;
use tokio::time::Instant;

/// For how long the manager's word that nobody listens there counts: a producer may be starting.
const ASKED_MEMORY: Duration = Duration::from_secs(1);
/// For how long a profile's word counts that the producer is on another node.
const TOLD_MEMORY: Duration = Duration::from_secs(60);
/// Producers that are remembered.
const REMEMBERED_MAX: usize = 1024;

/// Producers that are elsewhere, and until when that is believed.
#[derive(Default)]
pub(super) struct Ways(Mutex<HashMap<String, Instant>>);

impl Ways {
    pub(super) fn is_elsewhere(&self, api_root: &str) -> bool {
        let elsewhere = self.lock();
        !elsewhere.is_empty() && elsewhere.get(api_root).is_some_and(|until| *until > Instant::now())
    }

    /// The manager knows nobody there.
    pub(super) fn remember_elsewhere(&self, api_root: &str) {
        self.remember(api_root, ASKED_MEMORY);
    }

    /// A profile says so.
    pub(super) fn learn_elsewhere(&self, api_root: &str) {
        self.remember(api_root, TOLD_MEMORY);
    }

    /// All may be here now.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn remember(&self, api_root: &str, time: Duration) {
        let now = Instant::now();
        let mut elsewhere = self.lock();
        if elsewhere.len() >= REMEMBERED_MAX {
            elsewhere.retain(|_, until| *until > now);
        }
        if elsewhere.len() < REMEMBERED_MAX {
            elsewhere.insert(api_root.to_owned(), now + time);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_elsewhere_is_believed_for_a_while() {
        let ways = Ways::default();
        assert!(!ways.is_elsewhere("http://10.0.0.1:80"));
        ways.remember_elsewhere("http://10.0.0.1:80");
        ways.learn_elsewhere("http://10.0.0.2:80");
        assert!(ways.is_elsewhere("http://10.0.0.1:80") && ways.is_elsewhere("http://10.0.0.2:80"));
        tokio::time::advance(ASKED_MEMORY).await;
        assert!(!ways.is_elsewhere("http://10.0.0.1:80") && ways.is_elsewhere("http://10.0.0.2:80"));
        ways.forget();
        assert!(!ways.is_elsewhere("http://10.0.0.2:80"));
    }
}
