//! An SM context as it outlives the process: with the requests whose answers it awaits, to be asked again.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use tern_nf::{KeptRequest, Target};
use tern_pfcp::{Frame, Message};
use tern_sbi::{Call, Request};

use crate::context::{SCHEMA, SmContext, SmContextRef};
use crate::io::Token;

/// The records of contexts; the rest of the key is the context's reference.
pub(crate) const CONTEXTS: &str = "context/";

/// Why a record is not read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is none.
    #[error("no record of an SM context: {0}")]
    Form(#[from] serde_json::Error),
    /// It was written in another form.
    #[error("form {found} of an SM context; this build reads {SCHEMA}")]
    Schema {
        /// The record's.
        found: u32,
    },
}

/// A request whose answer is awaited.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "most are service requests; each is moved once")]
pub enum Sent {
    /// A service request.
    Service {
        /// The producer.
        target: Target,
        /// How it is called.
        call: Call,
        /// The request.
        request: Request,
    },
    /// A session related PFCP request.
    N4 {
        /// N4 endpoint of the UPF.
        upf: SocketAddr,
        /// The UPF's SEID, 0 for an establishment.
        seid: u64,
        /// The request.
        message: Message,
    },
}

/// A record, read.
#[derive(Debug)]
pub struct Restored {
    /// The context.
    pub context: SmContext,
    /// What it awaits answers to.
    pub awaited: Vec<(Token, Sent)>,
}

/// A context as it is written.
#[derive(Serialize)]
struct Written<'a> {
    context: &'a SmContext,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    awaited: Vec<Awaited>,
}

/// The same as it is read.
#[derive(Deserialize)]
struct Read {
    context: SmContext,
    #[serde(default)]
    awaited: Vec<Awaited>,
}

/// The form of the context alone, which tells whether the rest can be read.
#[derive(Deserialize)]
struct Form {
    context: FormOfContext,
}

#[derive(Deserialize)]
struct FormOfContext {
    schema: u32,
}

#[derive(Serialize, Deserialize)]
struct Awaited {
    token: Token,
    request: Asked,
}

/// Octets are hexadecimal text.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Asked {
    Service(KeptRequest),
    N4 { upf: SocketAddr, seid: u64, message: String },
}

/// The key of a context's record.
pub(crate) fn key(context: SmContextRef) -> String {
    format!("{CONTEXTS}{context}")
}

/// Writes a context.
pub(crate) fn write<'a>(
    context: &SmContext,
    awaited: impl Iterator<Item = (Token, &'a Sent)>,
) -> Result<Vec<u8>, serde_json::Error> {
    let awaited = awaited.filter_map(|(token, sent)| Some(Awaited { token, request: asked(sent)? }));
    serde_json::to_vec(&Written { context, awaited: awaited.collect() })
}

/// Reads a context.
pub fn read(octets: &[u8]) -> Result<Restored, RecordError> {
    let found = serde_json::from_slice::<Form>(octets)?.context.schema;
    if found != SCHEMA {
        return Err(RecordError::Schema { found });
    }
    let read: Read = serde_json::from_slice(octets)?;
    let sent = |awaited: Awaited| Some((awaited.token, sent(awaited.request)?));
    Ok(Restored { context: read.context, awaited: read.awaited.into_iter().filter_map(sent).collect() })
}

fn asked(sent: &Sent) -> Option<Asked> {
    Some(match sent {
        Sent::Service { target, call, request } => Asked::Service(KeptRequest::write(target, call, request)),
        Sent::N4 { upf, seid, message } => {
            let frame = Frame { seid: Some(*seid), sequence: 0, message: message.clone() };
            // What cannot be written was not sent either.
            Asked::N4 { upf: *upf, seid: *seid, message: hex::encode(frame.encode().ok()?) }
        }
    })
}

/// `None` for what this build cannot read: its answer does not come.
fn sent(asked: Asked) -> Option<Sent> {
    Some(match asked {
        Asked::Service(kept) => {
            let (target, call, request) = kept.read()?;
            Sent::Service { target, call, request }
        }
        Asked::N4 { upf, seid, message } => {
            let message = Frame::decode(&hex::decode(message).ok()?).ok()?.message;
            Sent::N4 { upf, seid, message }
        }
    })
}
