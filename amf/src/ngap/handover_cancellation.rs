//! Handover Cancellation: TS 38.413 §8.4.5, TS 23.502 §4.9.1.4.

use tern_ngap::build_ngap;
use tern_ngap::cause;
use tern_ngap::ngap::*;

use super::Handled;
use super::handover::{Abandoned, Handover};
use crate::Amf;
use crate::ue::UeContext;

/// HANDOVER CANCEL of the source gNB: whatever was prepared is undone, and the UE stays. Without a handover
/// there is nothing to undo.
pub(crate) fn on_cancel(ue: &mut UeContext, amf: &mut Amf, _pdu: &NGAP_PDU) -> Handled {
    amf.count("amf.ngap.handover_cancelled");
    match ue.handover.take() {
        Some(Handover::N2(handover)) if !handover.is_completing() => {
            let why = cause::radio_network(CauseRadioNetwork::handover_cancelled);
            handover.end(ue, amf, Abandoned::Cancelled, Some(why));
        }
        other => ue.handover = other,
    }
    let Some(n2) = &ue.n2 else { return Ok(()) };
    let pdu = build_ngap!(
        SuccessfulOutcome,
        HandoverCancel,
        HandoverCancelAcknowledge,
        AMF_UE_NGAP_ID(n2.amf_ue_ngap_id),
        RAN_UE_NGAP_ID(n2.ran_ue_ngap_id),
    );
    amf.send_on(n2, pdu);
    Ok(())
}
