//! The bounded way in and out of the codec.

use oxirush_ngap::ngap::NGAP_PDU;
use oxirush_ngap::{Error, ErrorKind};

/// Largest NGAP PDU read from a peer, in octets.
pub const PDU_OCTETS_MAX: usize = 256 * 1024;

/// The octets are not what TS 38.413 §9.4 lets them be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than [`PDU_OCTETS_MAX`].
    #[error("a PDU of {len} octets, more than {PDU_OCTETS_MAX}")]
    TooLong {
        /// Octets received.
        len: usize,
    },
    /// An IE is missing that the message or its reader needs.
    #[error("{what}: an IE is missing: {detail}")]
    Missing {
        /// Message or transfer.
        what: &'static str,
        /// Which IE, in the codec's words.
        detail: String,
    },
    /// Transfer syntax error, in the envelope or in an IE.
    #[error("{what}: {detail}")]
    Syntax {
        /// Message, transfer or IE.
        what: &'static str,
        /// Which IE and where, in the codec's words.
        detail: String,
    },
    /// A value is well formed and means nothing here.
    #[error("{what}: {detail}")]
    Value {
        /// The IE.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

impl DecodeError {
    /// Names the message or IE that a codec error came from.
    pub fn of(what: &'static str, error: &Error) -> Self {
        let detail = error.to_string();
        match error.kind() {
            ErrorKind::MissingIe => Self::Missing { what, detail },
            _ => Self::Syntax { what, detail },
        }
    }

    pub(crate) fn value(what: &'static str, detail: impl ToString) -> Self {
        Self::Value { what, detail: detail.to_string() }
    }
}

impl From<Error> for DecodeError {
    fn from(error: Error) -> Self {
        Self::of("NGAP", &error)
    }
}

/// A value that TS 38.413 cannot carry: our own mistake, not a peer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("NGAP encoding: {0}")]
pub struct EncodeError(pub String);

impl From<Error> for EncodeError {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

/// Decodes the envelope of a PDU; its IEs are decoded when they are read.
pub fn decode(octets: &[u8]) -> Result<NGAP_PDU, DecodeError> {
    bounded(octets)?;
    NGAP_PDU::decode(octets).map_err(|error| DecodeError::of("NGAP-PDU", &error))
}

/// As [`decode`], borrowing from `octets`.
pub fn decode_borrowed(octets: &[u8]) -> Result<oxirush_ngap::ngap::NGAPPDU<'_>, DecodeError> {
    bounded(octets)?;
    NGAP_PDU::decode_borrowed(octets).map_err(|error| DecodeError::of("NGAP-PDU", &error))
}

fn bounded(octets: &[u8]) -> Result<(), DecodeError> {
    if octets.len() > PDU_OCTETS_MAX { Err(DecodeError::TooLong { len: octets.len() }) } else { Ok(()) }
}

/// Encodes a PDU.
pub fn encode(pdu: &NGAP_PDU) -> Result<bytes::Bytes, EncodeError> {
    Ok(bytes::Bytes::from(pdu.encode()?.to_vec()))
}
