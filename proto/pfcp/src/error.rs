//! What is wrong with received bytes, and the cause that tells the peer so.

use crate::Cause;

/// Why a PFCP message cannot be understood: what, in which IE, at which octet of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} (IE {ie_type}, offset {offset})")]
pub struct DecodeError {
    /// What is wrong.
    pub fault: Fault,
    /// The IE type concerned (bit 16 included); 0 if it is the header.
    pub ie_type: u16,
    /// Octets from the beginning of the message.
    pub offset: usize,
}

/// The kinds of [`DecodeError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Shorter than a PFCP header, or than its length field says.
    #[error("message shorter than its header says")]
    MessageTooShort,
    /// Another version than 1 (TS 29.244 §7.6.3).
    #[error("PFCP version {0} is not supported")]
    Version(u8),
    /// A message type that this codec has no structure for.
    #[error("unknown message type {0}")]
    MessageType(u8),
    /// The S flag does not fit the message type.
    #[error("SEID flag does not fit the message type")]
    SeidFlag,
    /// A mandatory IE is absent.
    #[error("mandatory IE missing")]
    MandatoryMissing,
    /// A length does not fit.
    #[error("invalid length")]
    Length,
    /// A value that the specification does not know.
    #[error("incorrect value")]
    Value,
    /// More of one IE than this implementation takes.
    #[error("too many IEs of one type")]
    TooMany,
}

impl DecodeError {
    /// The cause for the response (TS 29.244 §7.6.4 to §7.6.6).
    pub fn cause(&self) -> Cause {
        match self.fault {
            Fault::MandatoryMissing => Cause::MANDATORY_IE_MISSING,
            Fault::Length | Fault::MessageTooShort => Cause::INVALID_LENGTH,
            Fault::Value => Cause::MANDATORY_IE_INCORRECT,
            Fault::TooMany => Cause::NO_RESOURCES_AVAILABLE,
            Fault::Version(_) | Fault::MessageType(_) => Cause::SERVICE_NOT_SUPPORTED,
            Fault::SeidFlag => Cause::REQUEST_REJECTED,
        }
    }
}

/// Why a message cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The message needs more octets than its 16-bit length can say.
    #[error("message of {0} octets is too long for PFCP")]
    TooLong(usize),
}
