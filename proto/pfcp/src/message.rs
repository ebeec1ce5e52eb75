//! The header (TS 29.244 §7.2) and the messages it can carry.

use crate::error::{DecodeError, EncodeError, Fault};
use crate::ie::{Cause, FSeid};
use crate::node_messages::*;
use crate::session_messages::*;
use crate::wire::{Cursor, Value};

const VERSION: u8 = 1;
const F_SEID: u16 = 57;
const FLAG_S: u8 = 1;
const FLAG_MP: u8 = 2;
const NODE_HEADER: usize = 8;
const SESSION_HEADER: usize = 16;

/// The header of a PFCP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Message type, known to this codec or not.
    pub message_type: u8,
    /// Session endpoint identifier of the receiver, in session related messages.
    pub seid: Option<u64>,
    /// Sequence number, 24 bits.
    pub sequence: u32,
    /// Message priority, 0 (lowest) to 15, when it is given.
    pub priority: Option<u8>,
}

impl Header {
    /// Reads the header. The version is checked first, since all else depends on it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::split(bytes).map(|(header, _)| header)
    }

    fn split(bytes: &[u8]) -> Result<(Self, Cursor<'_>), DecodeError> {
        let mut cursor = Cursor::new(0, bytes, 0);
        let short = |_| DecodeError { fault: Fault::MessageTooShort, ie_type: 0, offset: 0 };
        let flags = cursor.u8().map_err(short)?;
        if flags >> 5 != VERSION {
            return Err(cursor.error(Fault::Version(flags >> 5)));
        }
        let message_type = cursor.u8().map_err(short)?;
        let length = usize::from(cursor.u16().map_err(short)?);
        // What follows the message is another one (FO) or padding: neither is used here.
        let mut cursor = Cursor::new(0, cursor.take(length).map_err(short)?, 4);
        let seid = (flags & FLAG_S != 0).then(|| cursor.u64()).transpose().map_err(short)?;
        let sequence = cursor.u24().map_err(short)?;
        let last = cursor.u8().map_err(short)?;
        let priority = (flags & FLAG_MP != 0).then_some(last >> 4);
        Ok((Self { message_type, seid, sequence, priority }, cursor))
    }
}

/// One PFCP message with its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Session endpoint identifier of the receiver; `None` in node related messages.
    pub seid: Option<u64>,
    /// Sequence number, 24 bits.
    pub sequence: u32,
    /// What it says.
    pub message: Message,
}

impl Frame {
    /// A node related message.
    pub fn node(sequence: u32, message: Message) -> Self {
        Self { seid: None, sequence, message }
    }

    /// A session related message to the endpoint `seid`; 0 if the receiver's is not known yet.
    pub fn session(seid: u64, sequence: u32, message: Message) -> Self {
        Self { seid: Some(seid), sequence, message }
    }

    /// Reads one message.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (header, mut body) = Header::split(bytes)?;
        let kind = MessageType::from_number(header.message_type)
            .ok_or_else(|| body.error(Fault::MessageType(header.message_type)))?;
        if kind.is_session() != header.seid.is_some() {
            return Err(body.error(Fault::SeidFlag));
        }
        let message = Message::read(kind, &mut body)?;
        Ok(Self { seid: header.seid, sequence: header.sequence, message })
    }

    /// The F-SEID in a message that may not decode otherwise: who must hear that it was refused.
    pub fn find_f_seid(bytes: &[u8]) -> Option<FSeid> {
        let (_, mut body) = Header::split(bytes).ok()?;
        while let Some(mut ie) = body.next_ie().ok()? {
            if ie.ie_type() == F_SEID {
                return Value::read(&mut ie).ok();
            }
        }
        None
    }

    /// Writes the message.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::with_capacity(128);
        let seid = self.message.kind().is_session().then_some(self.seid.unwrap_or(0));
        out.push(VERSION << 5 | if seid.is_some() { FLAG_S } else { 0 });
        out.push(self.message.kind() as u8);
        out.extend_from_slice(&[0, 0]);
        if let Some(seid) = seid {
            out.extend_from_slice(&seid.to_be_bytes());
        }
        out.extend_from_slice(&self.sequence.to_be_bytes()[1..]);
        out.push(0);
        debug_assert!(out.len() == NODE_HEADER || out.len() == SESSION_HEADER);
        self.message.write(&mut out);
        let length = u16::try_from(out.len() - 4).map_err(|_| EncodeError::TooLong(out.len()))?;
        out[2..4].copy_from_slice(&length.to_be_bytes());
        Ok(out)
    }
}

macro_rules! messages {
    ($($kind:ident $number:literal $name:ident,)*) => {
        /// The messages of this codec, with their numbers (TS 29.244 §7.3).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum MessageType {
            $(#[doc = concat!("Message type ", stringify!($number), ".")] $name = $number,)*
        }

        impl MessageType {
            /// The message type of this number.
            pub fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Whether it is a session related message, whose header has a SEID.
            pub fn is_session(self) -> bool {
                (self as u8) >= 50
            }
        }

        /// What a PFCP message says.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(clippy::large_enum_variant)]
        pub enum Message {
            $(#[doc = concat!("Message type ", stringify!($number), ".")] $name($name),)*
        }

        impl Message {
            /// The type of the message.
            pub fn kind(&self) -> MessageType {
                match self {
                    $(Self::$name(_) => MessageType::$name,)*
                }
            }

            fn read(kind: MessageType, body: &mut Cursor<'_>) -> Result<Self, DecodeError> {
                let message = match kind {
                    $(MessageType::$name => Self::$name(Value::read(body)?),)*
                };
                message.check().map_err(|ie_type| DecodeError {
                    fault: Fault::MandatoryMissing,
                    ie_type,
                    offset: 0,
                })?;
                Ok(message)
            }

            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$name(body) => body.write(out),)*
                }
            }
        }

        $(impl From<$name> for Message {
            fn from(body: $name) -> Self {
                Self::$name(body)
            }
        })*

        impl MessageType {
            /// Whether it is a request.
            pub fn is_request(self) -> bool {
                match self {
                    $(Self::$name => messages!(@request $kind),)*
                }
            }
        }
    };
    (@request request) => { true };
    (@request response) => { false };
}

messages! {
    request 1 HeartbeatRequest,
    response 2 HeartbeatResponse,
    request 3 PfdManagementRequest,
    response 4 PfdManagementResponse,
    request 5 AssociationSetupRequest,
    response 6 AssociationSetupResponse,
    request 7 AssociationUpdateRequest,
    response 8 AssociationUpdateResponse,
    request 9 AssociationReleaseRequest,
    response 10 AssociationReleaseResponse,
    response 11 VersionNotSupportedResponse,
    request 12 NodeReportRequest,
    response 13 NodeReportResponse,
    request 50 SessionEstablishmentRequest,
    response 51 SessionEstablishmentResponse,
    request 52 SessionModificationRequest,
    response 53 SessionModificationResponse,
    request 54 SessionDeletionRequest,
    response 55 SessionDeletionResponse,
    request 56 SessionReportRequest,
    response 57 SessionReportResponse,
}

impl Message {
    /// The IEs alone, of any length: for keeping what a message says, not for sending it.
    pub fn to_ies(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.append_ies(&mut out);
        out
    }

    /// Appends what [`Message::to_ies`] gives.
    pub fn append_ies(&self, out: &mut Vec<u8>) {
        self.write(out);
    }

    /// Reads what [`Message::to_ies`] wrote of a message of this type.
    pub fn from_ies(kind: MessageType, ies: &[u8]) -> Result<Self, DecodeError> {
        Self::read(kind, &mut Cursor::new(0, ies, 0))
    }

    /// The cause of a response that has one.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::PfdManagementResponse(body) => Some(body.cause),
            Self::AssociationSetupResponse(body) => Some(body.cause),
            Self::AssociationUpdateResponse(body) => Some(body.cause),
            Self::AssociationReleaseResponse(body) => Some(body.cause),
            Self::NodeReportResponse(body) => Some(body.cause),
            Self::SessionEstablishmentResponse(body) => Some(body.cause),
            Self::SessionModificationResponse(body) => Some(body.cause),
            Self::SessionDeletionResponse(body) => Some(body.cause),
            Self::SessionReportResponse(body) => Some(body.cause),
            _ => None,
        }
    }

    /// Mandatory IEs that may repeat must be there once; the type of a missing one is the error.
    fn check(&self) -> Result<(), u16> {
        match self {
            Self::SessionEstablishmentRequest(request) => {
                if request.create_pdr.is_empty() {
                    return Err(1);
                }
                if request.create_far.is_empty() {
                    return Err(3);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
