//! How NAS messages are received and sent: TS 24.501 §4.4.

use bytes::Bytes;
use tern_nas::nas_5gs::Nas5gmmMessage;
use tern_nas::security::{HeaderType, NasSecurityContext, payload_unverified};
use tern_nas::{DecodeError, unprotected};

use crate::Amf;
use crate::gmm::{RECEIVED, Uplink};
use crate::supervised::Protection;
use crate::ue::UeContext;

/// Why a NAS message goes no further.
#[derive(Debug)]
pub(crate) enum NotReceived {
    /// It is dropped.
    Discarded(&'static str),
    /// TS 24.501 §7 has it answered, or ignored.
    Answer {
        /// 5GMM STATUS.
        answer: Option<Bytes>,
        /// Its message type, if it has one.
        kind: Option<u8>,
        /// Whether its integrity was verified.
        verified: bool,
    },
}

/// Receives a message with the UE's current security context. A message that cannot be verified
/// comes back unverified where its octets can be read.
pub(crate) fn receive(ue: &mut UeContext, amf: &mut Amf, octets: &Bytes) -> Result<Uplink, NotReceived> {
    if ue.security.as_ref().is_some_and(|context| context.integrity().code() == 0)
        && !amf.config.security.allow_null_integrity
    {
        ue.security = None;
    }
    let received = open(ue.security.as_mut(), octets);
    match (&received, &mut ue.previous_security) {
        // Until SECURITY MODE COMPLETE the UE may still use the context before (§5.4.2.5).
        (Ok(Uplink { verified: false, .. }) | Err(NotReceived::Discarded(_)), Some(previous)) => {
            match open(Some(previous), octets) {
                Ok(uplink) if uplink.verified => Ok(Uplink { previous: true, ..uplink }),
                _ => received,
            }
        }
        _ => received,
    }
}

/// As [`receive`], with a context or without.
pub(crate) fn open(context: Option<&mut NasSecurityContext>, octets: &Bytes) -> Result<Uplink, NotReceived> {
    // A message too short for its type is ignored (TS 24.501 §7.2.1).
    let header = HeaderType::of(octets).ok_or(NotReceived::Discarded("no 5GMM message"))?;
    if header == HeaderType::Plain {
        return plain(octets.clone(), None);
    }
    if let Some(context) = context
        && let Ok(opened) = context.unprotect(octets)
    {
        return plain(opened.plain.into(), Some(opened.count));
    }
    if header.ciphers() {
        return Err(NotReceived::Discarded("integrity not verified, payload ciphered"));
    }
    match payload_unverified(octets) {
        Some(payload) => plain(octets.slice_ref(payload), None),
        None => Err(NotReceived::Discarded("no payload")),
    }
}

fn plain(octets: Bytes, count: Option<u32>) -> Result<Uplink, NotReceived> {
    match tern_nas::decode_gmm(&octets, RECEIVED) {
        Ok(message) => Ok(Uplink { message, octets, verified: count.is_some(), count, previous: false }),
        Err(DecodeError::Syntax { answer, .. }) => {
            let kind = octets.get(2).copied();
            Err(NotReceived::Answer { answer, kind, verified: count.is_some() })
        }
        Err(_) => Err(NotReceived::Discarded("no plain 5GMM message")),
    }
}

/// Whether a message is taken although NAS security is on and its integrity is not verified: the
/// procedure then authenticates, or answers no more than the same clause lets it.
pub(crate) fn acceptable_unprotected(message: &Nas5gmmMessage) -> bool {
    // A DEREGISTRATION REQUEST or ACCEPT that proves nothing must not end a secured connection.
    unprotected::amf_accepts(message)
        && !matches!(
            message,
            Nas5gmmMessage::DeregistrationRequestUeOriginating(_)
                | Nas5gmmMessage::DeregistrationAcceptUeTerminated(_)
        )
}

/// Protects a message of ours; `None` if the context's COUNT is used up.
pub(crate) fn protect(
    context: &mut NasSecurityContext,
    plain: &Bytes,
    protection: Protection,
) -> Option<Bytes> {
    let header = match protection {
        Protection::Current => HeaderType::Ciphered,
        Protection::NewContext => HeaderType::NewContext,
    };
    context.protect(plain, header).ok().map(Bytes::from)
}
