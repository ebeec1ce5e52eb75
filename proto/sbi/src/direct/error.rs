//! Why octets are not what was to be read.

use std::fmt;

use serde::de::{Expected, Unexpected};

/// What is wrong with octets of the direct form, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectError {
    /// What is wrong.
    pub fault: Fault,
    /// Offset at which reading stopped; `None` where a model could not be written.
    pub at: Option<usize>,
}

/// What is wrong with octets of the direct form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The octets end within a value, or a length reaches beyond their end.
    #[error("the octets end within a value")]
    Truncated,
    /// An initial octet that RFC 8949 reserves, or a simple value that JSON does not have.
    #[error("an octet that begins no value")]
    Reserved,
    /// More than [`NESTING_MAX`](super::NESTING_MAX) arrays and maps within one another.
    #[error("nested too deep")]
    Nesting,
    /// A text that is not UTF-8.
    #[error("text that is not UTF-8")]
    Utf8,
    /// A key that is neither a number nor text.
    #[error("a key that is neither number nor text")]
    Key,
    /// An array or map with more elements than its type has.
    #[error("more elements than expected")]
    Surplus,
    /// Octets after the value.
    #[error("octets after the value")]
    Trailing,
    /// Another kind of value than this one.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A limit of requests and replies is exceeded.
    #[error("more than {0}")]
    Limit(&'static str),
    /// The value is well-formed, but none of its type.
    #[error("{0}")]
    Data(String),
}

impl DirectError {
    pub(super) fn new(fault: Fault, at: usize) -> Self {
        Self { fault, at: Some(at) }
    }

    /// Whether the octets are well-formed, and the value is none of its type.
    pub(crate) fn is_data(&self) -> bool {
        matches!(self.fault, Fault::Data(_))
    }
}

impl fmt::Display for DirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)?;
        match self.at {
            Some(at) => write!(f, " at offset {at}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for DirectError {}

impl serde::de::Error for DirectError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { fault: Fault::Data(message.to_string()), at: None }
    }

    /// In the words of JSON, since they reach the peer in a ProblemDetails.
    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match unexpected {
            Unexpected::Unit => Self::custom(format_args!("invalid type: null, expected {expected}")),
            other => Self::custom(format_args!("invalid type: {other}, expected {expected}")),
        }
    }
}

impl serde::ser::Error for DirectError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { fault: Fault::Data(message.to_string()), at: None }
    }
}
