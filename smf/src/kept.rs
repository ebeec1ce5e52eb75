//! What of the SMF is in the store, where its environment keeps one beyond the process: SM contexts, the associations
//! with UPFs, and since when they are kept.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use tern_n4::Association;
use tern_nf::Env;
use tern_pfcp::{AssociationSetupResponse, Cause, Frame, Message, RecoveryTimeStamp};
use tern_store::{Action, BATCH_LEN_MAX, Condition, RANGE_LEN_MAX, Store, StoreError, Write};
use tern_types::Instant;

use crate::record::{self, Change, Restored};

const CONTEXTS: &str = "smf/context/";
const ASSOCIATIONS: &str = "smf/association/";
/// Since when contexts are kept: the recovery time of N4 and of the profile at the NRF, as long as the file lives.
const SINCE: &str = "smf/since";

/// What the process before this one has left.
pub(crate) struct Left {
    /// Since when contexts are kept.
    pub since: Instant,
    /// SM contexts.
    pub contexts: Vec<Restored>,
    /// Associations with UPFs.
    pub associations: Vec<Association>,
}

/// The store, if it outlives the process.
pub(crate) struct Kept {
    store: Arc<dyn Store>,
}

impl Kept {
    /// `None` if nothing is kept.
    pub(crate) fn of(env: &Env) -> Option<Self> {
        env.keeps.then(|| Self { store: Arc::clone(&env.store) })
    }

    /// Reads all of it. A context that cannot be read is an error: its session would be lost without a word.
    pub(crate) async fn load(&self, now: Instant) -> Result<Left> {
        let since = match self.store.get(SINCE).await? {
            Some(entry) => Instant::from_micros(serde_json::from_slice(&entry.value).context(SINCE)?),
            None => {
                self.store.put(SINCE, serde_json::to_vec(&now.as_micros())?.into(), None).await?;
                now
            }
        };
        let mut contexts = Vec::new();
        for (key, value) in self.all(CONTEXTS).await? {
            contexts.push(record::read(&value).with_context(|| format!("{key} of the store"))?);
        }
        let mut associations = Vec::new();
        for (key, value) in self.all(ASSOCIATIONS).await? {
            let read = association(&key, &value);
            associations.push(read.with_context(|| format!("{key} of the store"))?);
        }
        Ok(Left { since, contexts, associations })
    }

    async fn all(&self, prefix: &str) -> Result<Vec<(String, Bytes)>, StoreError> {
        let mut all: Vec<(String, Bytes)> = Vec::new();
        loop {
            let after = all.last().map(|(key, _)| key.as_str());
            let page = self.store.range(prefix, after, RANGE_LEN_MAX).await?;
            let ends = page.len() < RANGE_LEN_MAX;
            all.extend(page.into_iter().map(|(key, entry)| (key, entry.value)));
            if ends {
                return Ok(all);
            }
        }
    }

    /// Stores changes of contexts.
    pub(crate) async fn save(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let mut writes = changes.into_iter().map(|change| {
            let key = format!("{CONTEXTS}{}", change.context);
            match change.record {
                Some(record) => put(key, record.into()),
                None => delete(key),
            }
        });
        loop {
            let batch: Vec<Write> = writes.by_ref().take(BATCH_LEN_MAX).collect();
            if batch.is_empty() {
                return Ok(());
            }
            self.store.batch(batch).await?;
        }
    }

    /// Stores an association.
    pub(crate) async fn associated(&self, association: &Association) -> Result<(), StoreError> {
        let setup = AssociationSetupResponse {
            node_id: association.node_id.clone(),
            cause: Cause::REQUEST_ACCEPTED,
            recovery_time_stamp: association.recovery_time_stamp,
            up_function_features: Some(association.up_function_features),
            cp_function_features: Some(association.cp_function_features),
            ..Default::default()
        };
        let frame = Frame::node(0, setup.into());
        let octets = frame.encode().map_err(|error| StoreError::Engine(error.to_string()))?;
        self.store.put(&format!("{ASSOCIATIONS}{}", association.address), octets.into(), None).await?;
        Ok(())
    }

    /// An association is no more.
    pub(crate) async fn parted(&self, from: SocketAddr) -> Result<(), StoreError> {
        self.store.delete(&format!("{ASSOCIATIONS}{from}"), Condition::Any).await
    }
}

/// The recovery time stamp of that time: seconds since 1900 (RFC 5905).
pub(crate) fn stamp(at: Instant) -> RecoveryTimeStamp {
    /// Seconds from 1900 to 1970.
    const NTP_TO_UNIX_S: u64 = 2_208_988_800;
    let seconds = (at.as_micros() / 1_000_000 + NTP_TO_UNIX_S) & u64::from(u32::MAX);
    RecoveryTimeStamp(seconds as u32)
}

fn association(key: &str, octets: &[u8]) -> Result<Association> {
    let address = key.strip_prefix(ASSOCIATIONS).context("no address")?.parse()?;
    let Message::AssociationSetupResponse(setup) = Frame::decode(octets)?.message else {
        bail!("another message");
    };
    Ok(Association {
        address,
        node_id: setup.node_id,
        recovery_time_stamp: setup.recovery_time_stamp,
        up_function_features: setup.up_function_features.unwrap_or_default(),
        cp_function_features: setup.cp_function_features.unwrap_or_default(),
    })
}

fn put(key: String, value: Bytes) -> Write {
    Write { key, condition: Condition::Any, action: Action::Put { value, expires: None } }
}

fn delete(key: String) -> Write {
    Write { key, condition: Condition::Any, action: Action::Delete }
}
