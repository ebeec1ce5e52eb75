//! Policy associations in the store: one per owner (a UE, or a UE's session), bounded.
//!
//! An association's identity is its owner and a random part: a new association of the same owner
//! replaces the old one, whose identity is then unknown.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tern_sbi::ProblemDetails;
use tern_store::{Condition, RANGE_LEN_MAX, Store, StoreError};

/// Version of the stored form.
const SCHEMA: u32 = 1;

/// How often one change is tried again because another came between.
const CHANGE_TRIES_MAX: u32 = 8;

/// Associations of one kind, each with a `T`.
pub struct Associations<T> {
    store: Arc<dyn Store>,
    prefix: &'static str,
    len: AtomicUsize,
    len_max: usize,
    kind: PhantomData<fn(T) -> T>,
}

#[derive(Serialize, Deserialize)]
struct Stored<T> {
    schema: u32,
    /// The random part of the identity.
    nonce: String,
    data: T,
}

/// Why an association cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssociationError {
    /// No association has this identity.
    #[error("no such policy association")]
    NotFound,
    /// There are as many as there may be.
    #[error("too many policy associations")]
    Full,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was stored cannot be read.
    #[error("stored association: {0}")]
    Unreadable(String),
}

impl From<AssociationError> for ProblemDetails {
    fn from(error: AssociationError) -> Self {
        let (status, cause) = match &error {
            AssociationError::NotFound => (404, "POLICY_ASSOCIATION_NOT_FOUND"),
            AssociationError::Full => (500, "INSUFFICIENT_RESOURCES"),
            AssociationError::Store(_) | AssociationError::Unreadable(_) => (500, "SYSTEM_FAILURE"),
        };
        Self::new(status, cause).with_detail(error)
    }
}

impl<T: Serialize + DeserializeOwned> Associations<T> {
    /// Those below `prefix` in the store.
    pub async fn open(
        store: Arc<dyn Store>,
        prefix: &'static str,
        len_max: usize,
    ) -> Result<Self, StoreError> {
        let (mut len, mut after) = (0, None);
        loop {
            let page = store.range(prefix, after.as_deref(), RANGE_LEN_MAX).await?;
            len += page.len();
            match page.into_iter().next_back() {
                Some((last, _)) => after = Some(last),
                None => break,
            }
        }
        Ok(Self { store, prefix, len: AtomicUsize::new(len), len_max, kind: PhantomData })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stores `owner`'s association, in place of its earlier one; its identity.
    pub async fn create(&self, owner: &str, nonce: u32, data: T) -> Result<String, AssociationError> {
        let nonce = format!("{nonce:08x}");
        let id = format!("{owner}-{nonce}");
        let key = format!("{}{owner}", self.prefix);
        let value = encode(&Stored { schema: SCHEMA, nonce, data });
        if self.len() >= self.len_max {
            return match self.store.compare_and_put(&key, Condition::Present, value).await {
                Ok(_) => Ok(id),
                Err(StoreError::Conflict { .. }) => Err(AssociationError::Full),
                Err(error) => Err(error.into()),
            };
        }
        match self.store.compare_and_put(&key, Condition::Absent, value.clone()).await {
            Ok(_) => {
                self.len.fetch_add(1, Ordering::Relaxed);
            }
            Err(StoreError::Conflict { .. }) => {
                self.store.compare_and_put(&key, Condition::Any, value).await?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(id)
    }

    /// Identities of the associations whose owner begins so, at most `limit`.
    pub async fn ids(&self, owner: &str, limit: usize) -> Result<Vec<String>, AssociationError> {
        let found = self.store.range(&format!("{}{owner}", self.prefix), None, limit).await?;
        let id = |(key, entry): (String, tern_store::Entry)| {
            let stored: Stored<T> = serde_json::from_slice(&entry.value)
                .map_err(|error| AssociationError::Unreadable(error.to_string()))?;
            let owner = key.strip_prefix(self.prefix).unwrap_or(&key);
            Ok(format!("{owner}-{}", stored.nonce))
        };
        found.into_iter().map(id).collect()
    }

    /// Reads one.
    pub async fn get(&self, id: &str) -> Result<T, AssociationError> {
        Ok(self.find(id).await?.data)
    }

    /// Changes one; returns what `change` says. It is asked again when another change came
    /// between.
    pub async fn change<R>(
        &self,
        id: &str,
        mut change: impl FnMut(&mut T) -> R,
    ) -> Result<R, AssociationError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut found = self.find(id).await?;
            let result = change(&mut found.data);
            let stored = Stored { schema: SCHEMA, nonce: found.nonce, data: found.data };
            let condition = Condition::Version(found.version);
            match self.store.compare_and_put(&found.key, condition, encode(&stored)).await {
                Ok(_) => return Ok(result),
                Err(StoreError::Conflict { .. }) if tries < CHANGE_TRIES_MAX => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Removes one.
    pub async fn remove(&self, id: &str) -> Result<T, AssociationError> {
        let found = self.find(id).await?;
        match self.store.delete(&found.key, Condition::Version(found.version)).await {
            Ok(()) => {
                self.len.fetch_sub(1, Ordering::Relaxed);
                Ok(found.data)
            }
            Err(StoreError::Conflict { .. }) => Err(AssociationError::NotFound),
            Err(error) => Err(error.into()),
        }
    }

    async fn find(&self, id: &str) -> Result<Found<T>, AssociationError> {
        let (owner, nonce) = id.rsplit_once('-').ok_or(AssociationError::NotFound)?;
        let key = format!("{}{owner}", self.prefix);
        let entry = match self.store.get(&key).await {
            Ok(entry) => entry.ok_or(AssociationError::NotFound)?,
            // A key longer than any that was stored.
            Err(StoreError::Limit { .. }) => return Err(AssociationError::NotFound),
            Err(error) => return Err(error.into()),
        };
        let stored: Stored<T> = serde_json::from_slice(&entry.value)
            .map_err(|error| AssociationError::Unreadable(error.to_string()))?;
        if stored.schema != SCHEMA {
            return Err(AssociationError::Unreadable(format!("schema {}", stored.schema)));
        }
        if stored.nonce != nonce {
            return Err(AssociationError::NotFound);
        }
        Ok(Found { key, version: entry.version, nonce: stored.nonce, data: stored.data })
    }
}

struct Found<T> {
    key: String,
    version: u64,
    nonce: String,
    data: T,
}

fn encode<T: Serialize>(stored: &Stored<T>) -> bytes::Bytes {
    serde_json::to_vec(stored).expect("invariant: associations are plain JSON").into()
}

#[cfg(test)]
mod tests {
    use tern_store::Memory;

    use super::*;

    async fn open(store: &Arc<dyn Store>, len_max: usize) -> Associations<u8> {
        Associations::open(store.clone(), "pcf/test/", len_max).await.unwrap()
    }

    #[tokio::test]
    async fn when_an_owner_comes_again_then_its_earlier_association_is_gone() {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let table = open(&store, 2).await;
        let first = table.create("ue-1", 1, 10).await.unwrap();
        let second = table.create("ue-1", 2, 20).await.unwrap();
        assert_eq!(table.get(&first).await, Err(AssociationError::NotFound));
        assert_eq!(table.change(&second, |data| std::mem::replace(data, 21)).await, Ok(20));
        assert_eq!(table.len(), 1);
        assert_eq!(table.ids("ue-1", 9).await.unwrap(), std::slice::from_ref(&second));
        assert!(table.ids("ue-2", 9).await.unwrap().is_empty());
        assert_eq!(open(&store, 2).await.len(), 1);
        assert_eq!(table.remove(&second).await, Ok(21));
        assert_eq!(table.remove(&second).await, Err(AssociationError::NotFound));
        assert!(table.is_empty());
    }

    #[tokio::test]
    async fn when_the_table_is_full_then_only_known_owners_come_in() {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let table = open(&store, 1).await;
        table.create("a", 1, 1).await.unwrap();
        assert_eq!(table.create("b", 1, 1).await, Err(AssociationError::Full));
        assert!(table.create("a", 2, 2).await.is_ok());
        for id in ["", "x", "a-zz", &"y".repeat(10_000), &format!("{}-1", "y".repeat(10_000))] {
            assert_eq!(table.get(id).await, Err(AssociationError::NotFound));
        }
    }
}
