//! ERROR INDICATION, both ways: TS 38.413 §8.7.5 and §10.

use tern_ngap::ngap::{AMFUENGAPID, Cause, CauseProtocol, CriticalityDiagnostics, NGAP_PDU, RANUENGAPID};
use tern_ngap::{NgapPduKind, Verdict, build_ngap, build_ngap_ie, cause, ie, judge};

use super::message::GnbId;
use super::termination::{NON_UE_STREAM, Termination};

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// The gNB itself.
    NonUe,
    /// A UE, as far as the faulty message named it.
    Ue(Option<u64>, Option<u32>),
}

impl Subject {
    /// The UE that a message names, if any.
    pub(super) fn of(pdu: &NGAP_PDU) -> Self {
        let amf = pdu.ie::<ie::AMF_UE_NGAP_ID>().and_then(Result::ok).map(|id| id.0);
        let ran = pdu.ie::<ie::RAN_UE_NGAP_ID>().and_then(Result::ok).map(|id| id.0);
        if amf.is_none() && ran.is_none() { Self::NonUe } else { Self::Ue(amf, ran) }
    }
}

/// Sends an ERROR INDICATION.
pub(super) fn send(
    n2: &mut Termination,
    to: GnbId,
    subject: Subject,
    protocol: CauseProtocol,
    diagnostics: Option<CriticalityDiagnostics>,
) {
    n2.count("n2.error_indication_sent");
    let pdu = build(subject, cause::protocol(protocol), diagnostics);
    n2.send(to, NON_UE_STREAM, pdu);
}

/// A message before NG SETUP: it fits no state (§10.4).
pub(super) fn before_setup(n2: &mut Termination, from: GnbId, pdu: &NGAP_PDU, kind: NgapPduKind) {
    // An ERROR INDICATION is never answered by one.
    if kind == NgapPduKind::Initiating_ErrorIndication {
        return log(n2, from, pdu);
    }
    tracing::warn!(gnb = %n2.who(from), ?kind, "a message before NG SETUP");
    n2.count("n2.before_setup");
    let diagnostics = pdu.criticality_diagnostics(&[]);
    let cause = CauseProtocol::message_not_compatible_with_receiver_state;
    send(n2, from, Subject::of(pdu), cause, Some(diagnostics));
}

/// A message that no gNB sends, or of a procedure that nobody knows (§10.3.4.1, §10.4).
pub(super) fn not_for_an_amf(n2: &mut Termination, from: GnbId, pdu: &NGAP_PDU, kind: &NgapPduKind) {
    n2.count("n2.not_for_an_amf");
    if !matches!(kind, NgapPduKind::Other { .. }) {
        tracing::warn!(gnb = %n2.who(from), ?kind, "a message in the wrong direction");
        let diagnostics = pdu.criticality_diagnostics(&[]);
        return send(n2, from, Subject::of(pdu), CauseProtocol::semantic_error, Some(diagnostics));
    }
    tracing::warn!(gnb = %n2.who(from), ?kind, "an unknown procedure");
    match judge(pdu) {
        Ok(Verdict::Reject(fault) | Verdict::Notify(fault)) => {
            send(n2, from, Subject::NonUe, fault.cause, Some(fault.error_indication));
        }
        Ok(Verdict::Ignore | Verdict::Accept) => {}
        Err(_) => send(n2, from, Subject::NonUe, CauseProtocol::transfer_syntax_error, None),
    }
}

/// Whether an ERROR INDICATION names a UE: then it is the AMF's affair.
pub(super) fn concerns_ue(pdu: &NGAP_PDU) -> bool {
    Subject::of(pdu) != Subject::NonUe
}

/// An ERROR INDICATION about the gNB itself is for people.
pub(super) fn log(n2: &mut Termination, from: GnbId, pdu: &NGAP_PDU) {
    let cause = pdu.ie::<ie::Cause>().and_then(Result::ok);
    let cause = cause.as_ref().map_or_else(|| "no cause".to_owned(), cause::describe);
    tracing::warn!(gnb = %n2.who(from), cause, "error indication from the gNB");
    n2.count("n2.error_indication_received");
}

fn build(
    subject: Subject,
    cause: Cause,
    diagnostics: Option<CriticalityDiagnostics>,
) -> Result<NGAP_PDU, tern_ngap::CodecError> {
    let mut pdu = build_ngap!(InitiatingMessage, ErrorIndication, ErrorIndication, Cause(cause),)?;
    let mut ies = pdu.protocol_ies()?;
    if let Some(diagnostics) = diagnostics {
        ies.0.push(build_ngap_ie!(ErrorIndication, CriticalityDiagnostics(diagnostics))?);
    }
    if let Subject::Ue(amf, ran) = subject {
        // The identities come first (§9.2.6.11).
        if let Some(ran) = ran {
            ies.0.insert(0, build_ngap_ie!(ErrorIndication, RAN_UE_NGAP_ID(RANUENGAPID(ran)))?);
        }
        if let Some(amf) = amf {
            ies.0.insert(0, build_ngap_ie!(ErrorIndication, AMF_UE_NGAP_ID(AMFUENGAPID(amf)))?);
        }
    }
    let ies = ies.into_owned();
    pdu.set_protocol_ies(ies)?;
    Ok(pdu)
}
