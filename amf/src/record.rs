//! What of the AMF outlives the process, as it is written: UE contexts, each with the requests whose answers it awaits,
//! connections whose release is not confirmed, UEs that wait for their turn, and what is the AMF's own.

use serde::{Deserialize, Serialize};
use tern_nf::{Change, KeptRequest, Target};
use tern_sbi::{Call, Request};

use crate::amf::Departing;
use crate::arrivals::Arrival;
use crate::io::Token;
use crate::overload::Overload;
use crate::ue::{SCHEMA_VERSION, UeContext, UeId};

/// Records of UE contexts; the rest of the key is [`UeId`].
pub const UES: &str = "ue/";
/// Records of connections that depart; the rest of the key is the AMF UE NGAP ID.
pub const DEPARTING: &str = "departing/";
/// Records of UEs that wait for their turn to register; the rest of the key is their place.
pub const ARRIVALS: &str = "arrival/";
/// The record of what is the AMF's own.
pub const OWN: &str = "own";

/// Why a record is not read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is none.
    #[error("no record of an AMF: {0}")]
    Form(#[from] serde_json::Error),
    /// Its key is none.
    #[error("no number in the key of a record")]
    Key,
    /// It was written in another form.
    #[error("form {found} of a UE context; this build reads {SCHEMA_VERSION}")]
    Schema {
        /// The record's.
        found: u32,
    },
}

/// A request whose answer is awaited.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) target: Target,
    pub(crate) call: Call,
    pub(crate) request: Request,
}

/// What the AMF has of its own: numbers below these may have been given, none from them on has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Own {
    pub(crate) token: u64,
    pub(crate) ue: u64,
    pub(crate) amf_ue_ngap_id: u64,
    pub(crate) indication: u64,
    /// Whether, and for how much less, gNBs have been asked.
    pub(crate) overload: Option<Overload>,
}

/// A record of a UE, read.
#[derive(Debug)]
pub struct RestoredUe {
    pub(crate) id: UeId,
    /// `None` if only its requests are left.
    pub(crate) context: Option<Box<UeContext>>,
    /// Whether it has yet to hear that sessions of it are lost.
    pub(crate) untold: bool,
    /// What it awaits answers to.
    pub(crate) awaited: Vec<(Token, Sent)>,
}

/// A connection that departs, read.
#[derive(Debug)]
pub struct RestoredDeparting(pub(crate) u64, pub(crate) Departing);

/// A UE that waits for its turn, read.
#[derive(Debug)]
pub struct RestoredArrival(pub(crate) u64, pub(crate) Arrival);

/// What the process before this one has left.
#[derive(Debug, Default)]
pub struct Left {
    /// UE contexts.
    pub ues: Vec<RestoredUe>,
    /// Connections that depart.
    pub departing: Vec<RestoredDeparting>,
    /// UEs that wait for their turn.
    pub arrivals: Vec<RestoredArrival>,
    /// `None` if there was none.
    pub own: Option<Own>,
}

/// The form alone, which tells whether the rest can be read.
#[derive(Deserialize)]
struct Form {
    schema: u32,
}

/// A UE as it is written.
#[derive(Serialize)]
struct Written<'a> {
    schema: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a UeContext>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    untold: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    awaited: Vec<Awaited>,
}

/// The same as it is read.
#[derive(Deserialize)]
struct Read {
    context: Option<Box<UeContext>>,
    #[serde(default)]
    untold: bool,
    #[serde(default)]
    awaited: Vec<Awaited>,
}

#[derive(Serialize, Deserialize)]
struct Awaited {
    token: Token,
    request: KeptRequest,
}

/// What is to be stored of a UE. What cannot be written stays as it was.
pub(crate) fn ue<'a>(
    id: UeId,
    context: Option<&UeContext>,
    untold: bool,
    awaited: impl Iterator<Item = (Token, &'a Sent)>,
) -> Option<Change> {
    let awaited: Vec<Awaited> = awaited
        .map(|(token, sent)| Awaited {
            token,
            request: KeptRequest::write(&sent.target, &sent.call, &sent.request),
        })
        .collect();
    let key = format!("{UES}{}", id.0);
    if context.is_none() && awaited.is_empty() {
        return Some(Change { key, record: None });
    }
    change(key, &Written { schema: SCHEMA_VERSION, context, untold, awaited })
}

/// What is to be stored of a connection that departs, or of none.
pub(crate) fn departing(amf_ue_ngap_id: u64, departing: Option<&Departing>) -> Option<Change> {
    one_or_none(format!("{DEPARTING}{amf_ue_ngap_id}"), departing)
}

/// What is to be stored of a UE that waits at this place, or of none.
pub(crate) fn arrival(place: u64, arrival: Option<&Arrival>) -> Option<Change> {
    one_or_none(format!("{ARRIVALS}{place}"), arrival)
}

/// What is to be stored of the AMF itself.
pub(crate) fn own(own: &Own) -> Option<Change> {
    change(OWN.to_owned(), own)
}

fn one_or_none(key: String, value: Option<&impl Serialize>) -> Option<Change> {
    match value {
        Some(value) => change(key, value),
        None => Some(Change { key, record: None }),
    }
}

fn change(key: String, value: &impl Serialize) -> Option<Change> {
    match serde_json::to_vec(value) {
        Ok(record) => Some(Change { key, record: Some(record) }),
        Err(error) => {
            tracing::error!(key, %error, "a record cannot be written");
            None
        }
    }
}

/// Reads a UE; `key` is behind [`UES`].
pub fn read_ue(key: &str, octets: &[u8]) -> Result<RestoredUe, RecordError> {
    let id = UeId(key.parse().map_err(|_| RecordError::Key)?);
    let found = serde_json::from_slice::<Form>(octets)?.schema;
    if found != SCHEMA_VERSION {
        return Err(RecordError::Schema { found });
    }
    let Read { context, untold, awaited } = serde_json::from_slice(octets)?;
    let awaited = awaited.into_iter().filter_map(|Awaited { token, request }| {
        let (target, call, request) = request.read()?;
        Some((token, Sent { target, call, request }))
    });
    Ok(RestoredUe { id, context, untold, awaited: awaited.collect() })
}

/// Reads a connection that departs; `key` is behind [`DEPARTING`].
pub fn read_departing(key: &str, octets: &[u8]) -> Result<RestoredDeparting, RecordError> {
    let id = key.parse().map_err(|_| RecordError::Key)?;
    Ok(RestoredDeparting(id, serde_json::from_slice(octets)?))
}

/// Reads a UE that waits for its turn; `key` is behind [`ARRIVALS`].
pub fn read_arrival(key: &str, octets: &[u8]) -> Result<RestoredArrival, RecordError> {
    let place = key.parse().map_err(|_| RecordError::Key)?;
    Ok(RestoredArrival(place, serde_json::from_slice(octets)?))
}

/// Reads what is the AMF's own.
pub fn read_own(octets: &[u8]) -> Result<Own, RecordError> {
    Ok(serde_json::from_slice(octets)?)
}
