//! NAS transport of 5GSM messages: TS 24.501 §5.4.5.

use bytes::Bytes;
use tern_nas::nas_5gs::{
    GmmCause, NasDlNasTransport, NasFGmmCause, NasGprsTimer3, NasPayloadContainer, NasPayloadContainerType,
    NasPduSessionIdentity2, NasUlNasTransport, PayloadContainerKind, RequestTypeValue,
};
use tern_nas::{registration, session as nas};
use tern_types::{Dnn, PduSessionId, Snssai};
use tracing::{debug, warn};

use crate::Amf;
use crate::gmm::{self, service_area};
use crate::session::{self, NewSession, Work};
use crate::ue::UeContext;

/// Why a 5GSM message was not forwarded (TS 24.501 §5.4.5.2.4, §5.4.5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotForwarded {
    /// #22, with a back-off timer.
    Congestion,
    /// #28.
    RestrictedServiceArea,
    /// #65.
    TooManySessions,
    /// #67.
    SliceAndDnnResources,
    /// #69.
    SliceResources,
    /// #90.
    Unspecified,
    /// #91.
    DnnNotSupported,
}

impl NotForwarded {
    fn cause(self) -> GmmCause {
        match self {
            Self::Congestion => GmmCause::Congestion,
            Self::RestrictedServiceArea => GmmCause::RestrictedServiceArea,
            Self::TooManySessions => GmmCause::MaximumNumberOfPduSessionsReached,
            Self::SliceAndDnnResources => GmmCause::InsufficientResourcesForSpecificSliceAndDnn,
            Self::SliceResources => GmmCause::InsufficientResourcesForSpecificSlice,
            Self::Unspecified => GmmCause::PayloadWasNotForwarded,
            Self::DnnNotSupported => GmmCause::DnnNotSupportedOrNotSubscribedInTheSlice,
        }
    }
}

/// UL NAS TRANSPORT, integrity verified.
pub(crate) fn on_uplink(ue: &mut UeContext, amf: &mut Amf, transport: NasUlNasTransport) {
    // After REGISTRATION ACCEPT the UE may speak before its COMPLETE arrives.
    let accepted = match &ue.procedure {
        Some(gmm::Procedure::Registration(registration)) => registration.is_accepted(),
        Some(gmm::Procedure::Deregistration(_)) => false,
        Some(gmm::Procedure::Service(_) | gmm::Procedure::ConfigurationUpdate(_)) | None => ue.registered,
    };
    if !accepted {
        return gmm::status(ue, amf, GmmCause::MessageNotCompatibleWithTheProtocolState);
    }
    if transport.payload_container_type.kind() != Some(PayloadContainerKind::N1SmInformation) {
        // SMS, LPP, UE policies and the rest are not served.
        amf.count("amf.nas.payload_kind_unserved");
        debug!(ue = ue.name(), kind = ?transport.payload_container_type.kind(), "payload not served");
        return;
    }
    let n1 = Bytes::copy_from_slice(&transport.payload_container.value);
    let Some(id) = transport.pdu_session_id.as_ref().and_then(|ie| PduSessionId::new(ie.pdu_session_id()))
    else {
        // TS 24.501 §5.4.5.2.5: without the identity nothing can be routed.
        return gmm::status(ue, amf, GmmCause::InvalidMandatoryInformation);
    };
    let request = transport.request_type.as_ref().and_then(|ie| ie.request_type());
    let known = ue.sessions.contains_key(&id);
    let begins = matches!(
        request,
        Some(
            RequestTypeValue::InitialRequest
                | RequestTypeValue::ExistingPduSession
                | RequestTypeValue::MaPduRequest
        )
    );
    let outcome = match request {
        _ if begins && service_area::forbids(ue) => Err(NotForwarded::RestrictedServiceArea),
        Some(RequestTypeValue::InitialRequest | RequestTypeValue::MaPduRequest) => {
            select(ue, amf, id, &transport, false, &n1)
        }
        Some(RequestTypeValue::ExistingPduSession) if !known => select(ue, amf, id, &transport, true, &n1),
        Some(RequestTypeValue::InitialEmergencyRequest | RequestTypeValue::ExistingEmergencyPduSession) => {
            Err(NotForwarded::Unspecified)
        }
        Some(RequestTypeValue::ExistingPduSession | RequestTypeValue::ModificationRequest) | None
            if known =>
        {
            let told = session::push(ue, amf, id, Work::N1(n1.clone()));
            if told { Ok(None) } else { Err(NotForwarded::Unspecified) }
        }
        _ => Err(NotForwarded::Unspecified),
    };
    match outcome {
        Ok(None) => {}
        Ok(Some(new)) => session::create(ue, amf, new),
        Err(why) => not_forwarded(ue, amf, id, &n1, why),
    }
}

/// Slice and DNN of a new session (TS 24.501 §5.4.5.2.3, TS 23.502 §4.3.2.2.1 step 2).
fn select(
    ue: &UeContext,
    amf: &Amf,
    id: PduSessionId,
    transport: &NasUlNasTransport,
    existing: bool,
    n1: &Bytes,
) -> Result<Option<NewSession>, NotForwarded> {
    let known = ue.sessions.contains_key(&id) || ue.waiting.contains_key(&id);
    if !known && ue.sessions.len() + ue.waiting.len() >= amf.config.limits.sessions_per_ue {
        return Err(NotForwarded::TooManySessions);
    }
    let subscription = ue.subscription.as_ref().ok_or(NotForwarded::Unspecified)?;
    let asked = match transport.dnn.as_ref().map(nas::dnn_of) {
        None => None,
        Some(Ok(dnn)) => Some(dnn),
        Some(Err(_)) => return Err(NotForwarded::DnnNotSupported),
    };
    let named = transport.s_nssai.as_ref().map(registration::snssai_of);
    let slices: Vec<Snssai> = match named {
        Some(Ok(slice)) if ue.allowed.contains(&slice) => vec![slice],
        Some(_) => return Err(NotForwarded::Unspecified),
        // Default subscribed slices first, then the rest of the allowed ones.
        None => {
            let default = |s: &&Snssai| subscription.default_slices.contains(s);
            let (first, rest): (Vec<&Snssai>, Vec<&Snssai>) = ue.allowed.iter().partition(default);
            first.into_iter().chain(rest).copied().collect()
        }
    };
    let fit = |&slice: &Snssai| -> Option<(Snssai, Dnn)> {
        match &asked {
            Some(dnn) => subscription.allows_dnn(slice, dnn).then(|| (slice, dnn.clone())),
            None => subscription.default_dnn(slice).map(|dnn| (slice, dnn.clone())),
        }
    };
    let (snssai, dnn) = slices.iter().find_map(fit).ok_or(NotForwarded::DnnNotSupported)?;
    Ok(Some(NewSession { id, snssai, dnn, existing, n1: n1.clone() }))
}

/// A DL NAS TRANSPORT with a 5GSM message, plain.
pub(crate) fn transport(amf: &mut Amf, id: PduSessionId, n1: &Bytes) -> Bytes {
    gmm::encode(amf, container(id, n1))
}

fn container(id: PduSessionId, n1: &Bytes) -> NasDlNasTransport {
    NasDlNasTransport::new(
        NasPayloadContainerType::from_kind(PayloadContainerKind::N1SmInformation),
        NasPayloadContainer::new(n1.to_vec()),
    )
    .with_pdu_session_id(NasPduSessionIdentity2::from_pdu_session_id(id.get()))
}

/// Sends a 5GSM message to the UE.
pub(crate) fn send_sm(ue: &mut UeContext, amf: &mut Amf, id: PduSessionId, n1: &Bytes) {
    gmm::send_message(ue, amf, container(id, n1));
}

/// Gives a 5GSM message back to the UE, with the reason.
pub(crate) fn not_forwarded(
    ue: &mut UeContext,
    amf: &mut Amf,
    id: PduSessionId,
    n1: &Bytes,
    why: NotForwarded,
) {
    let cause = why.cause();
    warn!(ue = ue.name(), session = %id, cause = cause as u8, ?why, "5GSM message not forwarded");
    give_back(ue, amf, id, n1, why);
}

/// The same without a line in the log (TS 24.501 §5.4.5.3.2).
pub(crate) fn give_back(ue: &mut UeContext, amf: &mut Amf, id: PduSessionId, n1: &Bytes, why: NotForwarded) {
    let cause = why.cause();
    amf.count("amf.nas.payload_not_forwarded");
    let mut message = container(id, n1).with_fgmm_cause(NasFGmmCause::from_cause(cause));
    let backs_off = matches!(
        why,
        NotForwarded::Congestion | NotForwarded::SliceAndDnnResources | NotForwarded::SliceResources
    );
    if backs_off && let Ok(timer) = NasGprsTimer3::from_seconds(back_off_seconds(amf)) {
        message = message.with_back_off_timer_value(timer);
    }
    gmm::send_message(ue, amf, message);
}

/// A back-off with a random part, in steps that GPRS timer 3 can carry.
fn back_off_seconds(amf: &mut Amf) -> u64 {
    let base = amf.config.timers.t3346_s.clamp(2, 30);
    let seconds = base + amf.random.u64() % base;
    seconds.next_multiple_of(2).min(62)
}
