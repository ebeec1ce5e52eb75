//! What stands at a key, and what changes it.

use bytes::Bytes;
use tern_types::Instant;

/// A value and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Raised by every write of this key; never 0, and never used twice for one key, also not
    /// after a deletion.
    pub version: u64,
    /// When [`sweep`](crate::Store::sweep) may delete it; readers that care compare it themselves.
    pub expires: Option<Instant>,
    /// The value.
    pub value: Bytes,
}

/// What must hold for a write to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Any,
    /// Nothing stands at the key.
    Absent,
    /// Something stands at the key.
    Present,
    /// The entry has this version.
    Version(u64),
}

impl Condition {
    /// Whether it holds for the version found, `None` being no entry.
    pub fn holds(self, found: Option<u64>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => found.is_none(),
            Self::Present => found.is_some(),
            Self::Version(version) => found == Some(version),
        }
    }
}

/// What a write does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Creates or replaces the entry.
    Put {
        /// The value.
        value: Bytes,
        /// When the entry may be swept.
        expires: Option<Instant>,
    },
    /// Removes the entry; removing none is no error.
    Delete,
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: String,
    /// What must hold.
    pub condition: Condition,
    /// What to do.
    pub action: Action,
}

/// Octets before the value: version and expiry, both big-endian, 0 for no expiry.
const HEADER_LEN: usize = 16;

impl Entry {
    pub(crate) fn to_octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(HEADER_LEN + self.value.len());
        octets.extend_from_slice(&self.version.to_be_bytes());
        octets.extend_from_slice(&self.expires.map_or(0, Instant::as_micros).to_be_bytes());
        octets.extend_from_slice(&self.value);
        octets
    }

    /// `None` if the octets were not written by [`Entry::to_octets`].
    pub(crate) fn from_octets(octets: &[u8]) -> Option<Self> {
        let (version, rest) = octets.split_first_chunk()?;
        let (expires, value) = rest.split_first_chunk()?;
        let expires = match u64::from_be_bytes(*expires) {
            0 => None,
            micros => Some(Instant::from_micros(micros)),
        };
        Some(Self { version: u64::from_be_bytes(*version), expires, value: Bytes::copy_from_slice(value) })
    }
}
