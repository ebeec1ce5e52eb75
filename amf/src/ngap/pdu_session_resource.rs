//! PDU session resources: TS 38.413 §8.2.

use bytes::Bytes;
use tern_ngap::cause::{self, NgapCause};
use tern_ngap::ngap::*;
use tern_ngap::{CodecError, Message as _, build_ngap, build_ngap_ie, convert, extract_ngap_ies, transfer};
use tern_types::PduSessionId;
use tracing::error;

use super::{Handled, handover};
use crate::Amf;
use crate::gmm::{self, nas_transport};
use crate::session::{self, N2FromGnb, Work};
use crate::supervised::Protection;
use crate::ue::{Connection, N2SmKind, UeContext};

/// Sends N2 SM information of the SMF, with the 5GSM message that belongs to it.
pub(crate) fn send(
    ue: &mut UeContext,
    amf: &mut Amf,
    id: PduSessionId,
    kind: N2SmKind,
    data: &Bytes,
    n1: Option<&Bytes>,
) {
    let nas = n1.and_then(|n1| {
        let plain = nas_transport::transport(amf, id, n1);
        gmm::protect(ue, amf, &plain, Protection::Current)
    });
    let Some(n2) = ue.n2.take() else { return };
    let pdu = match kind {
        N2SmKind::SetupRequest => setup_request(ue, &n2, id, data, nas.as_ref()),
        N2SmKind::ModifyRequest => modify_request(&n2, id, data, nas.as_ref()),
        N2SmKind::ReleaseCommand => release_command(&n2, id, data, nas.as_ref()),
    };
    amf.send_on(&n2, pdu);
    ue.n2 = Some(n2);
}

/// Releases a session's resources without the SMF: it does not know the session any more.
pub(crate) fn release(ue: &mut UeContext, amf: &mut Amf, id: PduSessionId) {
    let Some(n2) = ue.n2.take() else { return };
    let why = NgapCause::of(&cause::nas(CauseNas::normal_release));
    match transfer::encode_release_command(why) {
        Ok(data) => {
            let pdu = release_command(&n2, id, &data, None);
            amf.send_on(&n2, pdu);
        }
        Err(error) => error!(%error, "release command not encoded"),
    }
    ue.n2 = Some(n2);
}

fn nas_pdu(nas: Option<&Bytes>) -> Option<NASPDU<'_>> {
    nas.map(|nas| NASPDU::from(&nas[..]))
}

fn setup_request(
    ue: &UeContext,
    n2: &Connection,
    id: PduSessionId,
    data: &Bytes,
    nas: Option<&Bytes>,
) -> Result<NGAP_PDU, CodecError> {
    let snssai = ue.sessions.get(&id).map_or_else(
        || convert::snssai(tern_types::Snssai::new(1, None)),
        |session| convert::snssai(session.snssai),
    );
    let item = PDUSessionResourceSetupItemSUReq::new(
        PDUSessionID(id.get()),
        nas_pdu(nas),
        snssai,
        (&data[..]).into(),
        None,
    );
    let mut ies = vec![
        build_ngap_ie!(PDUSessionResourceSetupRequest, AMF_UE_NGAP_ID(n2.amf_ue_ngap_id))?,
        build_ngap_ie!(PDUSessionResourceSetupRequest, RAN_UE_NGAP_ID(n2.ran_ue_ngap_id))?,
        build_ngap_ie!(
            PDUSessionResourceSetupRequest,
            PDUSessionResourceSetupListSUReq(PDUSessionResourceSetupListSUReq(vec![item]))
        )?,
    ];
    // The UE-AMBR goes with the first session (TS 38.413 §8.2.1.2).
    let first = !ue.sessions.values().any(|session| session.resources);
    let ambr = ue.ambr();
    if let Some(ambr) = ambr.filter(|_| first) {
        ies.push(build_ngap_ie!(
            PDUSessionResourceSetupRequest,
            UEAggregateMaximumBitRate(convert::ue_ambr(ambr))
        )?);
    }
    let message = PDUSessionResourceSetupRequest::new(ProtocolIEContainer(ies));
    NGAP_PDU::of_message(&message, PDUSessionResourceSetupRequest::CRITICALITY)
}

fn modify_request(
    n2: &Connection,
    id: PduSessionId,
    data: &Bytes,
    nas: Option<&Bytes>,
) -> Result<NGAP_PDU, CodecError> {
    let item = PDUSessionResourceModifyItemModReq::new(
        PDUSessionID(id.get()),
        nas_pdu(nas),
        (&data[..]).into(),
        None,
    );
    build_ngap!(
        InitiatingMessage,
        PDUSessionResourceModify,
        PDUSessionResourceModifyRequest,
        AMF_UE_NGAP_ID(n2.amf_ue_ngap_id),
        RAN_UE_NGAP_ID(n2.ran_ue_ngap_id),
        PDUSessionResourceModifyListModReq(PDUSessionResourceModifyListModReq(vec![item])),
    )
}

fn release_command(
    n2: &Connection,
    id: PduSessionId,
    data: &Bytes,
    nas: Option<&Bytes>,
) -> Result<NGAP_PDU, CodecError> {
    let item = PDUSessionResourceToReleaseItemRelCmd::new(PDUSessionID(id.get()), (&data[..]).into(), None);
    let mut ies = vec![
        build_ngap_ie!(PDUSessionResourceReleaseCommand, AMF_UE_NGAP_ID(n2.amf_ue_ngap_id))?,
        build_ngap_ie!(PDUSessionResourceReleaseCommand, RAN_UE_NGAP_ID(n2.ran_ue_ngap_id))?,
    ];
    if let Some(nas) = nas {
        ies.push(build_ngap_ie!(PDUSessionResourceReleaseCommand, NAS_PDU(&nas[..]))?);
    }
    ies.push(build_ngap_ie!(
        PDUSessionResourceReleaseCommand,
        PDUSessionResourceToReleaseListRelCmd(PDUSessionResourceToReleaseListRelCmd(vec![item]))
    )?);
    let message = PDUSessionResourceReleaseCommand::new(ProtocolIEContainer(ies));
    NGAP_PDU::of_message(&message, PDUSessionResourceReleaseCommand::CRITICALITY)
}

/// Session identity and transfer of each item of a list.
macro_rules! items {
    ($list:expr, $transfer:ident) => {
        $list.0.iter().map(|item| (item.pdu_session_id.0, Bytes::copy_from_slice(&item.$transfer))).collect()
    };
}

fn relay(
    ue: &mut UeContext,
    amf: &mut Amf,
    kind: N2FromGnb,
    items: Option<Vec<(u8, Bytes)>>,
    resources: Option<bool>,
) {
    for (id, transfer) in items.unwrap_or_default() {
        let Some(id) = PduSessionId::new(id) else { continue };
        if let Some(resources) = resources {
            session::set_resources(ue, id, resources);
        }
        if !session::push(ue, amf, id, Work::N2(kind, transfer)) {
            amf.count("amf.ngap.session_unknown");
        }
    }
}

/// PDU SESSION RESOURCE SETUP RESPONSE.
pub(crate) fn on_setup_response(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, PDUSessionResourceSetupResponse,
        lax set_up: Vec<(u8, Bytes)> = PDUSessionResourceSetupListSURes(list) =>
            items!(list, pdu_session_resource_setup_response_transfer),
        lax failed: Vec<(u8, Bytes)> = PDUSessionResourceFailedToSetupListSURes(list) =>
            items!(list, pdu_session_resource_setup_unsuccessful_transfer),
    );
    relay(ue, amf, N2FromGnb::SetupResponse, set_up, Some(true));
    relay(ue, amf, N2FromGnb::SetupUnsuccessful, failed, Some(false));
    // A path switch may have been quicker.
    handover::proceed(ue, amf);
    Ok(())
}

/// PDU SESSION RESOURCE RELEASE RESPONSE.
pub(crate) fn on_release_response(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, PDUSessionResourceReleaseResponse,
        lax released: Vec<(u8, Bytes)> = PDUSessionResourceReleasedListRelRes(list) =>
            items!(list, pdu_session_resource_release_response_transfer),
    );
    super::note_location(ue, amf, pdu);
    relay(ue, amf, N2FromGnb::ReleaseResponse, released, Some(false));
    Ok(())
}

/// PDU SESSION RESOURCE MODIFY RESPONSE.
pub(crate) fn on_modify_response(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, PDUSessionResourceModifyResponse,
        lax modified: Vec<(u8, Bytes)> = PDUSessionResourceModifyListModRes(list) =>
            items!(list, pdu_session_resource_modify_response_transfer),
        lax failed: Vec<(u8, Bytes)> = PDUSessionResourceFailedToModifyListModRes(list) =>
            items!(list, pdu_session_resource_modify_unsuccessful_transfer),
    );
    relay(ue, amf, N2FromGnb::ModifyResponse, modified, None);
    relay(ue, amf, N2FromGnb::ModifyUnsuccessful, failed, None);
    Ok(())
}

/// PDU SESSION RESOURCE NOTIFY.
pub(crate) fn on_notify(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, PDUSessionResourceNotify,
        lax notified: Vec<(u8, Bytes)> = PDUSessionResourceNotifyList(list) =>
            items!(list, pdu_session_resource_notify_transfer),
        lax released: Vec<(u8, Bytes)> = PDUSessionResourceReleasedListNot(list) =>
            items!(list, pdu_session_resource_notify_released_transfer),
    );
    super::note_location(ue, amf, pdu);
    relay(ue, amf, N2FromGnb::Notify, notified, None);
    relay(ue, amf, N2FromGnb::NotifyReleased, released, Some(false));
    Ok(())
}
