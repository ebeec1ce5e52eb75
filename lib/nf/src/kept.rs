//! What of a network function outlives its process, where its environment keeps a store: records by key, stored before
//! anybody hears of what they say.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_sbi::{Call, Request, direct};
use tern_store::{Action, BATCH_LEN_MAX, Condition, RANGE_LEN_MAX, Store, StoreError, Write};
use tern_types::Instant;

use crate::env::Env;
use crate::selection::Target;

/// Since when records are kept: the recovery time of the network function as long as its store lives.
const SINCE: &str = "since";

/// A record that is another one now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose: unique within the network function.
    pub key: String,
    /// What it is now; `None` if it is no more.
    pub record: Option<Vec<u8>>,
}

/// The records of a network function whose store outlives the process.
#[derive(Clone)]
pub struct Kept {
    store: Arc<dyn Store>,
    prefix: &'static str,
}

impl Kept {
    /// Of the network function with this prefix, as in `smf/`; `None` if nothing outlives the process.
    pub fn of(env: &Env, prefix: &'static str) -> Option<Self> {
        env.keeps.then(|| Self { store: Arc::clone(&env.store), prefix })
    }

    /// Since when records are kept: from now on, if there was no store before.
    ///
    /// # Errors
    /// The store's, and a time that cannot be read.
    pub async fn since(&self, now: Instant) -> Result<Instant> {
        if let Some(record) = self.get(SINCE).await? {
            let micros = serde_json::from_slice(&record);
            return Ok(Instant::from_micros(micros.with_context(|| format!("{}{SINCE}", self.prefix))?));
        }
        let record = Some(serde_json::to_vec(&now.as_micros())?);
        self.save([Change { key: SINCE.to_owned(), record }]).await?;
        Ok(now)
    }

    /// One record.
    ///
    /// # Errors
    /// The store's.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let entry = self.store.get(&format!("{}{key}", self.prefix)).await?;
        Ok(entry.map(|entry| entry.value))
    }

    /// All records whose key begins with `kind`, each read; the rest of their keys is given to `read`.
    ///
    /// # Errors
    /// The store's, and what `read` says, with the key: what cannot be read would be lost without a word.
    pub async fn all<T, E>(&self, kind: &str, read: impl Fn(&str, &[u8]) -> Result<T, E>) -> Result<Vec<T>>
    where
        Result<T, E>: anyhow::Context<T, E>,
    {
        let prefix = format!("{}{kind}", self.prefix);
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.range(&prefix, after.as_deref(), RANGE_LEN_MAX).await?;
            let ends = page.len() < RANGE_LEN_MAX;
            for (key, entry) in &page {
                let rest = key.strip_prefix(&prefix).unwrap_or_default();
                all.push(read(rest, &entry.value).with_context(|| format!("{key} of the store"))?);
            }
            if ends {
                return Ok(all);
            }
            after = page.into_iter().next_back().map(|(key, _)| key);
        }
    }

    /// Stores changes, in their order.
    ///
    /// # Errors
    /// The store's.
    pub async fn save(&self, changes: impl IntoIterator<Item = Change>) -> Result<(), StoreError> {
        let mut writes = changes.into_iter().map(|Change { key, record }| Write {
            key: format!("{}{key}", self.prefix),
            condition: Condition::Any,
            action: match record {
                Some(record) => Action::Put { value: record.into(), expires: None },
                None => Action::Delete,
            },
        });
        loop {
            let batch: Vec<Write> = writes.by_ref().take(BATCH_LEN_MAX).collect();
            if batch.is_empty() {
                return Ok(());
            }
            self.store.batch(batch).await?;
        }
    }
}

/// A service request whose answer is awaited, as it stands in a record. Its content is JSON text in hexadecimal
/// octets: it does not depend on the build.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeptRequest {
    target: Target,
    call: Call,
    request: String,
}

impl KeptRequest {
    /// Writes a request.
    pub fn write(target: &Target, call: &Call, request: &Request) -> Self {
        let mut octets = Vec::new();
        let written = Request { body: request.body.clone().into_written(), ..request.clone() };
        direct::write_request(&written, &mut octets);
        Self { target: target.clone(), call: call.clone(), request: hex::encode(octets) }
    }

    /// Reads it; `None` for what this build cannot read: its answer does not come.
    pub fn read(self) -> Option<(Target, Call, Request)> {
        let request = direct::read_request(hex::decode(self.request).ok()?.into()).ok()?;
        Some((self.target, self.call, request))
    }
}
