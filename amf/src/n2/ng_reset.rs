//! NG Reset, both ways: TS 38.413 §8.7.4.

use tern_ngap::ngap::{
    AMFUENGAPID, Cause, CauseMisc, CauseProtocol, CriticalityDiagnostics, NGAP_PDU, RANUENGAPID, ResetAll,
    ResetType, UEAssociatedLogicalNGConnectionItem, UEAssociatedLogicalNGConnectionList,
};
use tern_ngap::{
    CodecError, DecodeError, Verdict, build_ngap, build_ngap_ie, cause, extract_ngap_ies, judge,
};

use super::error_indication::{self, Subject};
use super::message::{GnbId, N2Event, ResetScope};
use super::termination::{NON_UE_STREAM, Termination};

/// Connections in one NG RESET (maxnoofNGConnectionsToReset).
const CONNECTIONS_MAX: usize = 65_536;

/// NG RESET from the gNB: acknowledged here, carried out by the AMF.
pub(super) fn on_ng_reset(n2: &mut Termination, from: GnbId, pdu: &NGAP_PDU) {
    let notify = match judge(pdu) {
        Ok(Verdict::Accept | Verdict::Ignore) => None,
        Ok(Verdict::Notify(fault)) => Some(fault.response),
        // The procedure has no failure message.
        Ok(Verdict::Reject(fault)) => {
            let why = fault.deviations.join("; ");
            tracing::warn!(gnb = %n2.who(from), why, "NG reset refused");
            let diagnostics = Some(fault.error_indication);
            return error_indication::send(n2, from, Subject::NonUe, fault.cause, diagnostics);
        }
        Err(_) => {
            let cause = CauseProtocol::transfer_syntax_error;
            return error_indication::send(n2, from, Subject::NonUe, cause, None);
        }
    };
    let (why, reset) = match read(pdu) {
        Ok(read) => read,
        Err(error) => {
            tracing::warn!(gnb = %n2.who(from), %error, "NG reset refused");
            let cause = CauseProtocol::semantic_error;
            let diagnostics = Some(pdu.criticality_diagnostics(&[]));
            return error_indication::send(n2, from, Subject::NonUe, cause, diagnostics);
        }
    };
    let (ues, list) = match reset {
        ResetType::partOfNG_Interface(list) => (ResetScope::Some(pairs(&list)), Some(list)),
        // A kind of reset that a later release added: the whole is the safe reading.
        ResetType::nG_Interface(_) | ResetType::choice_Extensions(_) => (ResetScope::All, None),
    };
    let why = why.as_ref().map_or_else(|| "no cause".to_owned(), cause::describe);
    tracing::info!(gnb = %n2.who(from), cause = why, all = ues == ResetScope::All, "NG reset by the gNB");
    n2.count("n2.reset_received");
    n2.tell(N2Event::Reset { gnb: from, ues });
    n2.send(from, NON_UE_STREAM, acknowledge(list, notify));
}

/// NG RESET ACKNOWLEDGE to ours.
pub(super) fn on_acknowledge(n2: &mut Termination, from: GnbId) {
    tracing::debug!(gnb = %n2.who(from), "NG reset acknowledged");
    n2.count("n2.reset_acknowledged");
}

/// NG RESET on the AMF's request.
pub(super) fn start(n2: &mut Termination, to: GnbId, ues: &ResetScope) {
    let reset = match ues {
        ResetScope::All => ResetType::nG_Interface(ResetAll::reset_all),
        ResetScope::Some(ues) => {
            let items = ues.iter().take(CONNECTIONS_MAX).map(|(amf, ran)| {
                UEAssociatedLogicalNGConnectionItem::new(amf.map(AMFUENGAPID), ran.map(RANUENGAPID), None)
            });
            ResetType::partOfNG_Interface(UEAssociatedLogicalNGConnectionList(items.collect()))
        }
    };
    tracing::info!(gnb = %n2.who(to), all = *ues == ResetScope::All, "NG reset by the AMF");
    let cause = cause::misc(CauseMisc::unspecified);
    let pdu = build_ngap!(InitiatingMessage, NGReset, NGReset, Cause(cause), ResetType(reset),);
    n2.send(to, NON_UE_STREAM, pdu);
}

fn read(pdu: &NGAP_PDU) -> Result<(Option<Cause>, ResetType), DecodeError> {
    extract_ngap_ies!(pdu, NGReset,
        lax why: Cause = Cause(cause) => cause,
        req reset: ResetType = ResetType(reset) => reset,
    );
    Ok((why, reset))
}

fn pairs(list: &UEAssociatedLogicalNGConnectionList) -> Vec<(Option<u64>, Option<u32>)> {
    let pair = |item: &UEAssociatedLogicalNGConnectionItem| {
        (item.amf_ue_ngap_id.as_ref().map(|id| id.0), item.ran_ue_ngap_id.as_ref().map(|id| id.0))
    };
    list.0.iter().map(pair).collect()
}

/// With the connections of the request in its order (§8.7.4.2.1).
fn acknowledge(
    list: Option<UEAssociatedLogicalNGConnectionList>,
    notify: Option<CriticalityDiagnostics>,
) -> Result<NGAP_PDU, CodecError> {
    let mut pdu = build_ngap!(SuccessfulOutcome, NGReset, NGResetAcknowledge,)?;
    let mut ies = pdu.protocol_ies()?.into_owned();
    if let Some(list) = list {
        ies.0.push(build_ngap_ie!(NGResetAcknowledge, UEAssociatedLogicalNGConnectionList(list))?);
    }
    if let Some(diagnostics) = notify {
        ies.0.push(build_ngap_ie!(NGResetAcknowledge, CriticalityDiagnostics(diagnostics))?);
    }
    pdu.set_protocol_ies(ies)?;
    Ok(pdu)
}
