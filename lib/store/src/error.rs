//! Why a store says no.

/// Why an operation of a store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The condition of a write did not hold; nothing was written.
    #[error("{key}: the write expected another version than {found:?}")]
    Conflict {
        /// The key.
        key: String,
        /// The version that stands there, if any.
        found: Option<u64>,
    },
    /// A key, value, batch or backlog beyond its named limit.
    #[error("{what} is over the limit of {limit}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The file or the engine failed.
    #[error("store: {0}")]
    Engine(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(crate) fn engine(error: impl std::fmt::Display) -> Self {
        Self::Engine(error.to_string())
    }
}
