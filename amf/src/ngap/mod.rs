//! NGAP, AMF side: TS 38.413 §8. One file per procedure; NG Setup, RAN Configuration Update and
//! framing are the N2 termination's.

pub(crate) mod amf_status;
pub(crate) mod error_indication;
pub(crate) mod handover;
pub(crate) mod handover_cancellation;
pub(crate) mod handover_notification;
pub(crate) mod handover_preparation;
pub(crate) mod handover_resource_allocation;
pub(crate) mod initial_context_setup;
pub(crate) mod initial_ue_message;
pub(crate) mod location_reporting;
pub(crate) mod modify_indication;
pub(crate) mod nas_transport;
pub(crate) mod paging;
pub(crate) mod path_switch_request;
pub(crate) mod pdu_session_resource;
pub(crate) mod ran_status_transfer;
pub(crate) mod reset;
pub(crate) mod rrc_inactive;
pub(crate) mod ue_context_modification;
pub(crate) mod ue_context_release;
pub(crate) mod ue_radio_capability;

use bytes::Bytes;
use tern_ngap::NgapPduKind;
use tern_ngap::cause::{self, Verdict};
use tern_ngap::convert::NrLocation;
use tern_ngap::ngap::{CauseRadioNetwork, NGAP_PDU};
use tracing::{debug, warn};

use crate::Amf;
use crate::n2::message::GnbId;
use crate::sbi::namf_loc;
use crate::ue::UeContext;

/// What a handler of a UE-associated message may fail with.
pub(crate) type Handled = Result<(), tern_ngap::DecodeError>;

/// Takes an NGAP message of a gNB.
pub(crate) fn on_pdu(amf: &mut Amf, gnb: GnbId, stream: u16, octets: &Bytes) {
    let pdu = match tern_ngap::decode(octets) {
        Ok(pdu) => pdu,
        Err(error) => {
            amf.count("amf.ngap.decode_error");
            debug!(?gnb, %error, "NGAP message not decoded");
            return error_indication::transfer_syntax_error(amf, gnb, stream);
        }
    };
    match cause::judge(&pdu) {
        Ok(Verdict::Accept) => {}
        Ok(Verdict::Notify(fault)) => {
            error_indication::fault(amf, gnb, stream, &pdu, fault);
        }
        Ok(Verdict::Reject(fault)) => {
            amf.count("amf.ngap.rejected");
            warn!(?gnb, message = %pdu, deviations = ?fault.deviations, "NGAP message rejected");
            return error_indication::fault(amf, gnb, stream, &pdu, fault);
        }
        Ok(Verdict::Ignore) => return amf.count("amf.ngap.ignored"),
        Err(error) => {
            amf.count("amf.ngap.decode_error");
            debug!(?gnb, %error, "NGAP message not decoded");
            return error_indication::transfer_syntax_error(amf, gnb, stream);
        }
    }
    if let Err(error) = dispatch(amf, gnb, stream, &pdu) {
        amf.count("amf.ngap.decode_error");
        warn!(?gnb, message = %pdu, %error, "NGAP message not understood");
        error_indication::semantic_error(amf, gnb, stream, &pdu);
    }
}

fn dispatch(amf: &mut Amf, gnb: GnbId, stream: u16, pdu: &NGAP_PDU) -> Handled {
    use NgapPduKind as K;
    match pdu.kind() {
        K::Initiating_InitialUEMessage => initial_ue_message::on_message(amf, gnb, stream, pdu),
        K::Initiating_UplinkNASTransport => with_ue(amf, gnb, stream, pdu, nas_transport::on_uplink),
        K::Initiating_NASNonDeliveryIndication => {
            with_ue(amf, gnb, stream, pdu, nas_transport::on_non_delivery)
        }
        K::Successful_InitialContextSetup => {
            with_ue(amf, gnb, stream, pdu, initial_context_setup::on_response)
        }
        K::Unsuccessful_InitialContextSetup => {
            with_ue(amf, gnb, stream, pdu, initial_context_setup::on_failure)
        }
        K::Initiating_UEContextReleaseRequest if is_of_target(amf, gnb, pdu) => {
            handover::with_target(amf, gnb, stream, pdu, handover_resource_allocation::on_release_request)
        }
        K::Initiating_UEContextReleaseRequest => {
            with_ue(amf, gnb, stream, pdu, ue_context_release::on_request)
        }
        K::Successful_UEContextModification => {
            with_ue(amf, gnb, stream, pdu, ue_context_modification::on_response)
        }
        K::Unsuccessful_UEContextModification => {
            with_ue(amf, gnb, stream, pdu, ue_context_modification::on_failure)
        }
        K::Successful_UEContextRelease => ue_context_release::on_complete(amf, pdu),
        K::Initiating_UERadioCapabilityInfoIndication => {
            with_ue(amf, gnb, stream, pdu, ue_radio_capability::on_indication)
        }
        K::Successful_PDUSessionResourceSetup => {
            with_ue(amf, gnb, stream, pdu, pdu_session_resource::on_setup_response)
        }
        K::Successful_PDUSessionResourceRelease => {
            with_ue(amf, gnb, stream, pdu, pdu_session_resource::on_release_response)
        }
        K::Successful_PDUSessionResourceModify => {
            with_ue(amf, gnb, stream, pdu, pdu_session_resource::on_modify_response)
        }
        K::Initiating_PDUSessionResourceNotify => {
            with_ue(amf, gnb, stream, pdu, pdu_session_resource::on_notify)
        }
        K::Initiating_PDUSessionResourceModifyIndication => {
            with_ue(amf, gnb, stream, pdu, modify_indication::on_indication)
        }
        K::Initiating_HandoverPreparation => {
            with_ue(amf, gnb, stream, pdu, handover_preparation::on_required)
        }
        K::Successful_HandoverResourceAllocation => {
            handover::with_target(amf, gnb, stream, pdu, handover_resource_allocation::on_acknowledge)
        }
        K::Unsuccessful_HandoverResourceAllocation => {
            handover::with_target(amf, gnb, stream, pdu, handover_resource_allocation::on_failure)
        }
        K::Initiating_HandoverNotification => {
            handover::with_target(amf, gnb, stream, pdu, handover_notification::on_notify)
        }
        K::Initiating_HandoverCancel => with_ue(amf, gnb, stream, pdu, handover_cancellation::on_cancel),
        K::Initiating_UplinkRANStatusTransfer => {
            with_ue(amf, gnb, stream, pdu, ran_status_transfer::on_uplink)
        }
        K::Initiating_RRCInactiveTransitionReport => with_ue(amf, gnb, stream, pdu, rrc_inactive::on_report),
        K::Initiating_LocationReport => with_ue(amf, gnb, stream, pdu, location_reporting::on_report),
        K::Initiating_LocationReportingFailureIndication => {
            with_ue(amf, gnb, stream, pdu, location_reporting::on_failure)
        }
        K::Initiating_PathSwitchRequest => path_switch_request::on_request(amf, gnb, stream, pdu),
        K::Initiating_ErrorIndication => error_indication::on_message(amf, gnb, pdu),
        kind => {
            debug!(?gnb, ?kind, "NGAP message is not served");
            amf.count("amf.ngap.unserved");
            error_indication::unserved(amf, gnb, stream, pdu);
            Ok(())
        }
    }
}

/// Finds the UE of a UE-associated message (TS 38.413 §10.6) and works on it.
fn with_ue(
    amf: &mut Amf,
    gnb: GnbId,
    stream: u16,
    pdu: &NGAP_PDU,
    work: fn(&mut UeContext, &mut Amf, &NGAP_PDU) -> Handled,
) -> Handled {
    let (amf_id, ran_id) = ue_ids(pdu);
    let (Some(amf_id), Some(ran_id)) = (amf_id, ran_id) else { return Ok(()) };
    if amf.departing.get(&amf_id).is_some_and(|d| d.is(gnb, Some(ran_id))) {
        // It crossed our UE CONTEXT RELEASE COMMAND.
        amf.count("amf.ngap.crossed_release");
        return Ok(());
    }
    let ue = amf.by_amf_id.get(&amf_id).copied();
    let context = ue.and_then(|id| amf.ues.get(&id));
    if context.is_some_and(|ue| handover::has_left(ue, gnb, amf_id)) {
        // It crossed the handover: the release follows.
        amf.count("amf.ngap.crossed_release");
        return Ok(());
    }
    let connection = context.and_then(|ue| ue.n2.as_ref()).filter(|n2| n2.amf_ue_ngap_id == amf_id);
    let fault = match connection {
        None => Some(CauseRadioNetwork::unknown_local_UE_NGAP_ID),
        Some(n2) if n2.gnb != gnb => Some(CauseRadioNetwork::unknown_local_UE_NGAP_ID),
        Some(n2) if n2.ran_ue_ngap_id != ran_id => Some(CauseRadioNetwork::inconsistent_remote_UE_NGAP_ID),
        Some(_) => None,
    };
    match (ue, fault) {
        (Some(ue), None) => {
            let mut handled = Ok(());
            amf.with_ue(ue, |ue, amf| handled = work(ue, amf, pdu));
            handled
        }
        (_, fault) => {
            amf.count("amf.ngap.unknown_ue");
            let why = fault.unwrap_or(CauseRadioNetwork::unknown_local_UE_NGAP_ID);
            debug!(?gnb, amf_id, ran_id, ?why, "no such UE-associated connection");
            error_indication::send(amf, gnb, stream, Some(amf_id), Some(ran_id), cause::radio_network(why));
            Ok(())
        }
    }
}

/// Whether a message is of a gNB to which its UE has still to come.
fn is_of_target(amf: &Amf, gnb: GnbId, pdu: &NGAP_PDU) -> bool {
    let (amf_id, ran_id) = ue_ids(pdu);
    let ue = amf_id.and_then(|id| amf.by_amf_id.get(&id)).and_then(|ue| amf.ues.get(ue));
    ue.is_some_and(|ue| {
        ue.n2.as_ref().map(|n2| n2.amf_ue_ngap_id) != amf_id && handover::is_target(ue, gnb, amf_id, ran_id)
    })
}

/// The UE's identities in a message, where they are there.
pub(crate) fn ue_ids(pdu: &NGAP_PDU) -> (Option<u64>, Option<u32>) {
    let amf_id = pdu.ie::<tern_ngap::ie::AMF_UE_NGAP_ID>().and_then(Result::ok).map(|id| id.0);
    let ran_id = pdu.ie::<tern_ngap::ie::RAN_UE_NGAP_ID>().and_then(Result::ok).map(|id| id.0);
    (amf_id, ran_id)
}

/// Keeps the UE's location of a message that has it.
pub(crate) fn note_location(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) {
    let ie = pdu.ie::<tern_ngap::ie::UserLocationInformation>();
    if let Some(Ok(ie)) = ie
        && let Ok(location) = tern_ngap::convert::user_location_of(&ie)
    {
        located(ue, amf, location);
    }
}

/// The UE is there now, and whoever wants to know hears of it.
pub(crate) fn located(ue: &mut UeContext, amf: &mut Amf, location: NrLocation) {
    (ue.location, ue.located_at) = (Some(location), Some(amf.now));
    namf_loc::answer_all(ue, amf, true);
}
