//! Error Indication: TS 38.413 §8.7.5, §10.

use tern_ngap::cause::{self, Fault};
use tern_ngap::ngap::{
    AMFUENGAPID, Cause, CauseProtocol, Criticality, CriticalityDiagnostics, ErrorIndication, NGAP_PDU,
    ProtocolIEContainer, RANUENGAPID,
};
use tern_ngap::{Message as _, build_ngap_ie, extract_ngap_ies};
use tracing::warn;

use super::{Handled, handover, reset, ue_ids};
use crate::Amf;
use crate::n2::message::GnbId;
use crate::ue::UeContext;

/// Tells a gNB of an error.
pub(crate) fn send(
    amf: &mut Amf,
    gnb: GnbId,
    stream: u16,
    amf_id: Option<u64>,
    ran_id: Option<u32>,
    cause: Cause,
) {
    send_with(amf, gnb, stream, (amf_id, ran_id), cause, None);
}

fn send_with(
    amf: &mut Amf,
    gnb: GnbId,
    stream: u16,
    (amf_id, ran_id): (Option<u64>, Option<u32>),
    cause: Cause,
    diagnostics: Option<CriticalityDiagnostics>,
) {
    amf.count("amf.ngap.error_indication_sent");
    let build = || {
        let mut ies = Vec::with_capacity(4);
        if let Some(id) = amf_id {
            ies.push(build_ngap_ie!(ErrorIndication, AMF_UE_NGAP_ID(AMFUENGAPID(id)))?);
        }
        if let Some(id) = ran_id {
            ies.push(build_ngap_ie!(ErrorIndication, RAN_UE_NGAP_ID(RANUENGAPID(id)))?);
        }
        ies.push(build_ngap_ie!(ErrorIndication, Cause(cause))?);
        if let Some(diagnostics) = diagnostics {
            ies.push(build_ngap_ie!(ErrorIndication, CriticalityDiagnostics(diagnostics))?);
        }
        let message = ErrorIndication::new(ProtocolIEContainer(ies));
        NGAP_PDU::of_message(&message, ErrorIndication::CRITICALITY)
    };
    let pdu = build();
    amf.send_ngap(gnb, stream, pdu);
}

/// The octets are no NGAP message (TS 38.413 §10.2).
pub(crate) fn transfer_syntax_error(amf: &mut Amf, gnb: GnbId, stream: u16) {
    let cause = cause::protocol(CauseProtocol::transfer_syntax_error);
    send(amf, gnb, stream, None, None, cause);
}

/// A message deviates from its object set (TS 38.413 §10.3).
pub(crate) fn fault(amf: &mut Amf, gnb: GnbId, stream: u16, pdu: &NGAP_PDU, fault: Fault) {
    let cause = cause::protocol(fault.cause);
    send_with(amf, gnb, stream, ue_ids(pdu), cause, Some(fault.error_indication));
}

/// A procedure that this AMF does not have: answered by its criticality (TS 38.413 §10.3.4.1).
pub(crate) fn unserved(amf: &mut Amf, gnb: GnbId, stream: u16, pdu: &NGAP_PDU) {
    let why = match pdu.criticality() {
        _ if !matches!(pdu, NGAP_PDU::initiatingMessage(_)) => return,
        Criticality::ignore => return,
        Criticality::reject => CauseProtocol::abstract_syntax_error_reject,
        Criticality::notify => CauseProtocol::abstract_syntax_error_ignore_and_notify,
    };
    let diagnostics = pdu.criticality_diagnostics(&[]);
    send_with(amf, gnb, stream, ue_ids(pdu), cause::protocol(why), Some(diagnostics));
}

/// A message means nothing here (TS 38.413 §10.4).
pub(crate) fn semantic_error(amf: &mut Amf, gnb: GnbId, stream: u16, pdu: &NGAP_PDU) {
    let cause = cause::protocol(CauseProtocol::semantic_error);
    send_with(amf, gnb, stream, ue_ids(pdu), cause, None);
}

/// A gNB tells of an error: a connection that it does not know is gone.
pub(crate) fn on_message(amf: &mut Amf, gnb: GnbId, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, ErrorIndication,
        lax amf_id: u64 = AMF_UE_NGAP_ID(id),
        lax ran_id: u32 = RAN_UE_NGAP_ID(id),
        lax why: Cause = Cause(cause) => cause,
    );
    amf.count("amf.ngap.error_indication_received");
    let text = why.as_ref().map(cause::describe);
    warn!(?gnb, amf_id, ran_id, cause = text, "ERROR INDICATION from the gNB");
    use tern_ngap::ngap::CauseRadioNetwork as R;
    let unknown = matches!(
        why,
        Some(Cause::radioNetwork(R::unknown_local_UE_NGAP_ID | R::inconsistent_remote_UE_NGAP_ID))
    );
    let Some(amf_id) = amf_id.filter(|_| unknown) else { return Ok(()) };
    amf.departed(amf_id);
    let ue = amf.by_amf_id.get(&amf_id).copied();
    let lost = |ue: &mut UeContext, amf: &mut Amf| {
        if handover::is_target(ue, gnb, Some(amf_id), ran_id) {
            handover::target_lost(ue, amf);
        } else if !handover::has_left(ue, gnb, amf_id) {
            reset::lose(ue, amf, gnb);
        }
    };
    if let Some(ue) = ue {
        amf.with_ue(ue, lost);
    }
    Ok(())
}
