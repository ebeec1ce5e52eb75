//! The bounded way in and out of the codec.

use bytes::Bytes;
use oxirush_nas::nas_5gs::{
    Direction, Nas5gmmMessage, Nas5gsMessage, Nas5gsmHeader, Nas5gsmMessage, NasError,
};

/// Largest NAS message read from a peer, in octets (TS 24.501 §9.1.1: LV-E containers hold 65535).
pub const MESSAGE_OCTETS_MAX: usize = 65_535 + 64;

/// The octets are not a message that TS 24.501 §8 and §9 describe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than [`MESSAGE_OCTETS_MAX`].
    #[error("a NAS message of {len} octets, more than {MESSAGE_OCTETS_MAX}")]
    TooLong {
        /// Octets received.
        len: usize,
    },
    /// The message does not decode.
    #[error("NAS: {detail}")]
    Syntax {
        /// Which IE and what is wrong with it, in the codec's words.
        detail: String,
        /// What TS 24.501 §7 has the receiver answer: an encoded STATUS message, or nothing.
        answer: Option<Bytes>,
    },
    /// A message of another protocol or kind than the reader asked for.
    #[error("NAS: expected {expected}")]
    Unexpected {
        /// What was to be read.
        expected: &'static str,
    },
    /// An IE is well formed and means nothing here.
    #[error("NAS {what}: {detail}")]
    Value {
        /// The IE.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

impl DecodeError {
    pub(crate) fn value(what: &'static str, detail: impl ToString) -> Self {
        Self::Value { what, detail: detail.to_string() }
    }
}

impl From<NasError> for DecodeError {
    fn from(error: NasError) -> Self {
        Self::Syntax { detail: error.to_string(), answer: None }
    }
}

/// A value that TS 24.501 cannot carry: our own mistake, not a peer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("NAS encoding: {0}")]
pub struct EncodeError(pub String);

impl From<NasError> for EncodeError {
    fn from(error: NasError) -> Self {
        Self(error.to_string())
    }
}

impl From<oxirush_nas::nas_5gs::ValueError> for EncodeError {
    fn from(error: oxirush_nas::nas_5gs::ValueError) -> Self {
        Self(error.to_string())
    }
}

/// Decodes any message, plain or with a security header (whose payload stays octets).
/// `direction` is the one the message travels in; it decides the answer of §7.
pub fn decode(octets: &[u8], direction: Direction) -> Result<Nas5gsMessage, DecodeError> {
    if octets.len() > MESSAGE_OCTETS_MAX {
        return Err(DecodeError::TooLong { len: octets.len() });
    }
    let received = Nas5gsMessage::decode(octets);
    match received {
        Ok(message) => Ok(message),
        Err(ref error) => {
            let answer = Nas5gsMessage::answer_to(octets, &received, direction);
            let answer = answer.and_then(|answer| answer.encode().ok()).map(Bytes::from);
            Err(DecodeError::Syntax { detail: error.to_string(), answer })
        }
    }
}

/// Decodes a plain 5GMM message.
pub fn decode_gmm(octets: &[u8], direction: Direction) -> Result<Nas5gmmMessage, DecodeError> {
    match decode(octets, direction)? {
        Nas5gsMessage::Gmm(_, message) => Ok(message),
        _ => Err(DecodeError::Unexpected { expected: "a plain 5GMM message" }),
    }
}

/// Decodes a 5GSM message: its PDU session identity and PTI are in the header.
pub fn decode_gsm(
    octets: &[u8],
    direction: Direction,
) -> Result<(Nas5gsmHeader, Nas5gsmMessage), DecodeError> {
    match decode(octets, direction)? {
        Nas5gsMessage::Gsm(header, message) => Ok((header, message)),
        _ => Err(DecodeError::Unexpected { expected: "a 5GSM message" }),
    }
}

/// Encodes a message.
pub fn encode(message: &Nas5gsMessage) -> Result<Bytes, EncodeError> {
    Ok(Bytes::from(message.encode()?))
}
