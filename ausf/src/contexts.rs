//! The pending and finished authentications: bounded, expiring, kept in the store.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tern_store::{Action, Condition, RANGE_LEN_MAX, Store, StoreError, Write};
use tern_types::{Duration, Instant};

use crate::context::AuthContext;

const PREFIX: &str = "ausf/authentication/";

/// Entries that one sweep removes.
const SWEEP_MAX: usize = 1024;

/// Tries to write a context that others write at the same time.
const ATTEMPTS_MAX: usize = 8;

/// All contexts of this AUSF, by their identity in the resource's URI.
pub(crate) struct Contexts {
    store: Arc<dyn Store>,
    lifetime: Duration,
    live_max: usize,
    /// When each context that was created expires; the front first.
    expiries: Mutex<VecDeque<Instant>>,
}

/// Why a context is not there or not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextError {
    /// As many contexts live as are allowed.
    #[error("the limit of {0} authentications is reached")]
    Full(usize),
    /// No context has this identity, or it has expired.
    #[error("no such authentication")]
    Unknown,
    /// The store says no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Contexts {
    /// Takes up the contexts that an earlier process left.
    pub(crate) async fn open(
        store: Arc<dyn Store>,
        lifetime: Duration,
        live_max: usize,
        now: Instant,
    ) -> Result<Self, StoreError> {
        store.sweep(now, RANGE_LEN_MAX).await?;
        let left = store.range(PREFIX, None, live_max.min(RANGE_LEN_MAX)).await?;
        let mut expiries: Vec<Instant> = left.iter().filter_map(|(_, entry)| entry.expires).collect();
        expiries.sort_unstable();
        Ok(Self { store, lifetime, live_max, expiries: Mutex::new(expiries.into()) })
    }

    /// Keeps a new context. `random` becomes its identity, which nobody can guess.
    pub(crate) async fn create(
        &self,
        random: [u8; 16],
        context: &AuthContext,
        now: Instant,
    ) -> Result<String, ContextError> {
        let expires = now + self.lifetime;
        {
            let mut expiries = self.expiries.lock().unwrap_or_else(PoisonError::into_inner);
            while expiries.front().is_some_and(|&front| front <= now) {
                expiries.pop_front();
            }
            if expiries.len() >= self.live_max {
                return Err(ContextError::Full(self.live_max));
            }
            expiries.push_back(expires);
        }
        let id = random.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        self.store.put(&key(&id), context.write(), Some(expires)).await?;
        Ok(id)
    }

    /// Changes a context by `change`, which may run more than once, and gives its result.
    pub(crate) async fn update<T>(
        &self,
        id: &str,
        now: Instant,
        mut change: impl FnMut(&mut AuthContext) -> T,
    ) -> Result<(AuthContext, T), ContextError> {
        for attempt in 1.. {
            let (mut context, version, expires) = self.entry(id, now).await?;
            let before = context.clone();
            let result = change(&mut context);
            if context == before {
                return Ok((context, result));
            }
            let write = Write {
                key: key(id),
                condition: Condition::Version(version),
                action: Action::Put { value: context.write(), expires },
            };
            match self.store.write(write).await {
                Ok(_) => return Ok((context, result)),
                Err(StoreError::Conflict { .. }) if attempt < ATTEMPTS_MAX => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ContextError::Unknown)
    }

    /// Removes a context and gives it.
    pub(crate) async fn remove(&self, id: &str, now: Instant) -> Result<AuthContext, ContextError> {
        let (context, _, _) = self.entry(id, now).await?;
        self.store.delete(&key(id), Condition::Any).await?;
        Ok(context)
    }

    /// Removes what has expired.
    pub(crate) async fn sweep(&self, now: Instant) -> Result<(), StoreError> {
        while self.store.sweep(now, SWEEP_MAX).await? == SWEEP_MAX {}
        Ok(())
    }

    /// How many contexts were created within the last lifetime.
    pub(crate) fn live(&self, now: Instant) -> usize {
        let expiries = self.expiries.lock().unwrap_or_else(PoisonError::into_inner);
        expiries.iter().filter(|&&expiry| expiry > now).count()
    }

    async fn entry(
        &self,
        id: &str,
        now: Instant,
    ) -> Result<(AuthContext, u64, Option<Instant>), ContextError> {
        let valid = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        let entry = if valid { self.store.get(&key(id)).await? } else { None };
        let live = entry.filter(|entry| entry.expires.is_some_and(|expiry| expiry > now));
        let entry = live.ok_or(ContextError::Unknown)?;
        let context = AuthContext::read(&entry.value).ok_or(ContextError::Unknown)?;
        Ok((context, entry.version, entry.expires))
    }
}

fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}
