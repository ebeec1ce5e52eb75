//! Where each document stands in the store.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tern_sbi::common::PatchItem;
use tern_sbi::{OperationError, ProblemDetails};
use tern_store::{Action, Condition, Entry, Store, StoreError, Write};
use tern_types::{PduSessionId, Supi};

use crate::Subscriber;

/// Documents that one subscriber can have besides the record: a bound for reading them all.
const DOCUMENTS_MAX: usize = 256;

/// Subscribers and what network functions keep of them.
///
/// With each change of a record goes a note of how it was before, in one write: whoever subscribed to
/// changes hears of it even if the process ends before it could be told, and of what the operator changed
/// while no UDR ran.
pub struct Repository {
    store: Arc<dyn Store>,
    api_root: String,
    /// Held while records are read to be changed.
    changing: tokio::sync::Mutex<()>,
}

/// A change of a record that subscribers have yet to hear of.
#[derive(Debug, Clone)]
pub(crate) struct Untold {
    /// Whose.
    pub supi: Supi,
    /// The record as they know it.
    pub before: Subscriber,
    /// Of the note: a further change raises it.
    pub version: u64,
}

/// Why a record was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no such subscriber.
    #[error("no such subscriber")]
    Unknown,
    /// It would be no record any more.
    #[error("{0}")]
    Invalid(ProblemDetails),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A refusal of Nudr_DataRepository.
pub(crate) type Refused = OperationError<ProblemDetails>;

impl Repository {
    /// Over `store`; `api_root` begins the URIs of what is created.
    pub fn new(store: Arc<dyn Store>, api_root: String) -> Self {
        Self { store, api_root, changing: tokio::sync::Mutex::default() }
    }

    /// What the URIs of created resources begin with.
    pub(crate) fn api_root(&self) -> &str {
        &self.api_root
    }

    /// How many subscribers there are, counted in pages.
    pub async fn count(&self) -> Result<usize, StoreError> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = self.page(after.as_ref(), tern_store::RANGE_LEN_MAX).await?;
            count += page.len();
            match page.into_iter().next_back() {
                Some(last) => after = Some(last.supi),
                None => return Ok(count),
            }
        }
    }

    /// A subscriber's record.
    pub async fn subscriber(&self, supi: &Supi) -> Result<Option<Subscriber>, StoreError> {
        self.store.get(&record_key(supi)).await?.map(|entry| decode(&entry)).transpose()
    }

    /// Records in the order of their SUPIs, behind `after`.
    pub async fn page(&self, after: Option<&Supi>, limit: usize) -> Result<Vec<Subscriber>, StoreError> {
        let after = after.map(record_key);
        let entries = self.store.range(RECORDS, after.as_deref(), limit).await?;
        entries.iter().map(|(_, entry)| decode(entry)).collect()
    }

    /// Creates or replaces records, all or none. A sequence number that was already given out
    /// stays: it is kept even when a subscriber is removed and comes back.
    pub async fn put(&self, subscribers: &[Subscriber], only_new: bool) -> Result<(), StoreError> {
        let _turn = self.changing.lock().await;
        let condition = if only_new { Condition::Absent } else { Condition::Any };
        let mut writes = Vec::with_capacity(subscribers.len());
        for subscriber in subscribers {
            writes.extend(self.note(&subscriber.supi, Some(subscriber)).await?);
            let value = encode(subscriber)?;
            let action = Action::Put { value, expires: None };
            writes.push(Write { key: record_key(&subscriber.supi), condition, action });
        }
        self.store.batch(writes).await.map(|_| ())
    }

    /// Changes a record; what it becomes is checked.
    pub async fn change(&self, supi: &Supi, patch: &[PatchItem]) -> Result<(), ChangeError> {
        let _turn = self.changing.lock().await;
        let before = self.subscriber(supi).await?.ok_or(ChangeError::Unknown)?;
        let invalid = |error: String| {
            ChangeError::Invalid(ProblemDetails::invalid("MANDATORY_IE_INCORRECT", "patch", error))
        };
        let mut record = serde_json::to_value(&before).map_err(|error| invalid(error.to_string()))?;
        tern_nf::patch::apply(&mut record, patch).map_err(ChangeError::Invalid)?;
        let after: Subscriber = serde_json::from_value(record).map_err(|error| invalid(error.to_string()))?;
        if after.supi != *supi {
            return Err(invalid("another supi".to_owned()));
        }
        after.check().map_err(|error| invalid(error.to_string()))?;
        let mut writes: Vec<Write> = self.note(supi, Some(&after)).await?.into_iter().collect();
        let action = Action::Put { value: encode(&after)?, expires: None };
        writes.push(Write { key: record_key(supi), condition: Condition::Present, action });
        self.store.batch(writes).await?;
        Ok(())
    }

    /// Removes a subscriber; whether there was one. What network functions have registered stays until
    /// those who subscribed to changes have heard of it: it tells who serves the UE.
    pub async fn remove(&self, supi: &Supi) -> Result<bool, StoreError> {
        let _turn = self.changing.lock().await;
        let Some(note) = self.note(supi, None).await? else {
            return Ok(false);
        };
        let found = self.store.get(&record_key(supi)).await?.is_some();
        let statuses = self.store.range(&format!("{AUTH_STATUS}{supi}/"), None, DOCUMENTS_MAX).await?;
        let gone = statuses.into_iter().map(|(key, _)| key).chain([record_key(supi)]);
        let delete = |key| Write { key, condition: Condition::Any, action: Action::Delete };
        self.store.batch(gone.map(delete).chain([note]).collect()).await?;
        Ok(found)
    }

    /// The write that notes how a record was before it becomes `after`. Nobody serves a subscriber who is
    /// new: there is none then.
    async fn note(&self, supi: &Supi, after: Option<&Subscriber>) -> Result<Option<Write>, StoreError> {
        let key = untold_key(supi);
        let value = match self.store.get(&key).await? {
            // What subscribers know is what they were told last. Its version tells that there is more.
            Some(noted) => noted.value,
            None => match self.store.get(&record_key(supi)).await? {
                Some(entry) if after != Some(&decode(&entry)?) => entry.value,
                _ => return Ok(None),
            },
        };
        Ok(Some(Write { key, condition: Condition::Any, action: Action::Put { value, expires: None } }))
    }

    /// Changes that subscribers have yet to hear of.
    pub(crate) async fn untold(&self, limit: usize) -> Result<Vec<Untold>, StoreError> {
        let entries = self.store.range(UNTOLD, None, limit).await?;
        let untold = entries.iter().map(|(_, entry)| {
            let before: Subscriber = decode(entry)?;
            Ok(Untold { supi: before.supi.clone(), before, version: entry.version })
        });
        untold.collect()
    }

    /// Whether a network function has registered for the subscriber's UE, or subscribed to its data.
    pub(crate) async fn is_served(&self, supi: &Supi) -> Result<bool, StoreError> {
        for space in SERVED {
            if !self.store.range(&format!("{space}{supi}/"), None, 1).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All have heard of this change, unless there was another one meanwhile. Of a subscriber who is no
    /// more, nothing stays.
    pub(crate) async fn told(&self, untold: &Untold) -> Result<(), StoreError> {
        let _turn = self.changing.lock().await;
        let supi = &untold.supi;
        let mut gone = Vec::new();
        if self.store.get(&record_key(supi)).await?.is_none() {
            for space in SERVED {
                let documents = self.store.range(&format!("{space}{supi}/"), None, DOCUMENTS_MAX).await?;
                gone.extend(documents.into_iter().map(|(key, _)| key));
            }
        }
        let delete = |key, condition| Write { key, condition, action: Action::Delete };
        let note = delete(untold_key(supi), Condition::Version(untold.version));
        let writes = std::iter::once(note).chain(gone.into_iter().map(|key| delete(key, Condition::Any)));
        match self.store.batch(writes.collect()).await {
            Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A document and its version.
    pub(crate) async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<(T, u64)>, StoreError> {
        let Some(entry) = self.store.get(key).await? else { return Ok(None) };
        Ok(Some((decode(&entry)?, entry.version)))
    }

    /// All documents below a prefix.
    pub(crate) async fn read_all<T: DeserializeOwned>(&self, prefix: &str) -> Result<Vec<T>, StoreError> {
        let entries = self.store.range(prefix, None, DOCUMENTS_MAX).await?;
        entries.iter().map(|(_, entry)| decode(entry)).collect()
    }

    /// The same with their keys.
    pub(crate) async fn read_all_keyed<T: DeserializeOwned>(
        &self,
        prefix: &str,
    ) -> Result<Vec<(String, T)>, StoreError> {
        let entries = self.store.range(prefix, None, DOCUMENTS_MAX).await?;
        entries.into_iter().map(|(key, entry)| Ok((key, decode(&entry)?))).collect()
    }

    /// Writes a document.
    pub(crate) async fn write<T: Serialize>(
        &self,
        key: &str,
        condition: Condition,
        document: &T,
    ) -> Result<u64, StoreError> {
        self.store.compare_and_put(key, condition, encode(document)?).await
    }

    /// Removes a document; whether there was one.
    pub(crate) async fn erase(&self, key: &str) -> Result<bool, StoreError> {
        match self.store.delete(key, Condition::Present).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// 404 `USER_NOT_FOUND` (TS 29.504 §6.1.7.3) unless there is a record; it is not looked into.
    pub(crate) async fn require(&self, supi: &Supi) -> Result<(), Refused> {
        let found = self.store.get(&record_key(supi)).await.map_err(broken)?;
        found.map(|_| ()).ok_or_else(|| refuse(404, "USER_NOT_FOUND"))
    }

    /// The record, or 404 `USER_NOT_FOUND` (TS 29.504 §6.1.7.3).
    pub(crate) async fn known(&self, supi: &Supi) -> Result<Subscriber, Refused> {
        self.subscriber(supi).await.map_err(broken)?.ok_or_else(|| refuse(404, "USER_NOT_FOUND"))
    }
}

const RECORDS: &str = "udr/subscriber/";
const SQN: &str = "udr/sqn/";
const AUTH_STATUS: &str = "udr/authentication-status/";
const AMF_3GPP: &str = "udr/amf-3gpp-access/";
const SMF_REGISTRATIONS: &str = "udr/smf-registrations/";
const SDM_SUBSCRIPTIONS: &str = "udr/sdm-subscriptions/";
/// What those who serve a UE leave.
const SERVED: [&str; 3] = [AMF_3GPP, SMF_REGISTRATIONS, SDM_SUBSCRIPTIONS];
const UNTOLD: &str = "udr/untold/";

fn record_key(supi: &Supi) -> String {
    format!("{RECORDS}{supi}")
}

fn untold_key(supi: &Supi) -> String {
    format!("{UNTOLD}{supi}")
}

/// Key of the greatest sequence number given out.
pub(crate) fn sqn_key(supi: &Supi) -> String {
    format!("{SQN}{supi}")
}

/// Key of how authentication in a serving network ended.
pub(crate) fn authentication_status_key(supi: &Supi, serving_network: &str) -> String {
    format!("{AUTH_STATUS}{supi}/{serving_network}")
}

/// Key of the AMF's registration.
pub(crate) fn amf_key(supi: &Supi) -> String {
    format!("{AMF_3GPP}{supi}/registration")
}

/// Prefix of the SMFs' registrations.
pub(crate) fn smf_prefix(supi: &Supi) -> String {
    format!("{SMF_REGISTRATIONS}{supi}/")
}

/// Key of the registration of a session's SMF.
pub(crate) fn smf_key(supi: &Supi, session: PduSessionId) -> String {
    format!("{}{:02}", smf_prefix(supi), session.get())
}

/// Prefix of the SDM subscriptions.
pub(crate) fn sdm_prefix(supi: &Supi) -> String {
    format!("{SDM_SUBSCRIPTIONS}{supi}/")
}

/// A refusal with a cause.
pub(crate) fn refuse(status: u16, cause: &str) -> Refused {
    OperationError::Problem(ProblemDetails::new(status, cause))
}

/// 500: the store failed. The operator reads why; the peer does not.
pub(crate) fn broken(error: StoreError) -> Refused {
    tracing::error!(%error, "the store failed");
    refuse(500, "SYSTEM_FAILURE")
}

fn encode<T: Serialize>(document: &T) -> Result<Bytes, StoreError> {
    serde_json::to_vec(document).map(Bytes::from).map_err(|error| StoreError::Engine(error.to_string()))
}

fn decode<T: DeserializeOwned>(entry: &Entry) -> Result<T, StoreError> {
    serde_json::from_slice(&entry.value).map_err(|error| StoreError::Engine(error.to_string()))
}
