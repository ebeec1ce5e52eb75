//! Named counters, and what a network function tells of its state.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// Named counters of one network function. Clones are the same counters.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Counters {
    /// All zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `n` to the counter `name`, such as `amf.ngap.decode_error`.
    pub fn add(&self, name: &'static str, n: u64) {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = counters.entry(name).or_default();
        *counter = counter.saturating_add(n);
    }

    /// The counter `name`; 0 if nothing was ever added.
    pub fn get(&self, name: &str) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied().unwrap_or(0)
    }

    /// All counters.
    pub fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

type StatusSource = Arc<dyn Fn() -> Value + Send + Sync>;

/// What a network function tells of its state, for `tern status`.
#[derive(Clone, Default)]
pub struct Status(Arc<Mutex<Option<StatusSource>>>);

impl Status {
    /// From now on, `source` is asked; it must answer at once.
    pub fn set(&self, source: impl Fn() -> Value + Send + Sync + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(source));
    }

    /// The state now; null if no source was set.
    pub fn get(&self) -> Value {
        let source = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        source.map_or(Value::Null, |source| source())
    }
}

impl std::fmt::Debug for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Status(..)")
    }
}
