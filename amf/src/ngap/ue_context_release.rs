//! UE Context Release: TS 38.413 §8.3.2, §8.3.3.

use tern_ngap::cause;
use tern_ngap::ngap::*;
use tern_ngap::{build_ngap, extract_ngap_ies};
use tern_types::PduSessionId;
use tracing::debug;

use super::{Handled, note_location, paging};
use crate::n2::message::GnbId;
use crate::ue::UeContext;
use crate::{Amf, gmm, session};

/// The gNB asks for the release of a UE's context.
pub(crate) fn on_request(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, UEContextReleaseRequest,
        lax active: Vec<u8> = PDUSessionResourceListCxtRelReq(list) =>
            list.0.iter().map(|item| item.pdu_session_id.0).collect(),
        lax why: Cause = Cause(cause) => cause,
    );
    // Sessions with active user plane (TS 38.413 §8.3.2.2), one of which may be ahead of what we know.
    for id in active.unwrap_or_default().into_iter().filter_map(PduSessionId::new) {
        session::set_resources(ue, id, true);
    }
    let why = why.unwrap_or(cause::radio_network(CauseRadioNetwork::unspecified));
    debug!(ue = ue.name(), cause = cause::describe(&why), "gNB requests the release");
    amf.count("amf.ngap.release_requested");
    // The command repeats the cause of the request.
    command(ue, amf, why);
    gmm::connection_lost(ue, amf);
    Ok(())
}

/// Commands the release of the UE's connection, which is no longer the UE's from here on.
pub(crate) fn command(ue: &mut UeContext, amf: &mut Amf, cause: Cause) {
    let Some(n2) = amf.disconnect(ue) else { return };
    let ids = (n2.amf_ue_ngap_id, Some(n2.ran_ue_ngap_id));
    command_connection(amf, n2.gnb, n2.stream, ids, cause);
    amf.departing_of(n2.amf_ue_ngap_id, ue.id);
}

/// Commands the release of a connection that belongs to no UE; the gNB may not have told its identity.
pub(crate) fn command_connection(
    amf: &mut Amf,
    gnb: GnbId,
    stream: u16,
    (amf_id, ran_id): (u64, Option<u32>),
    cause: Cause,
) {
    debug!(amf_id, ran_id, cause = cause::describe(&cause), "UE CONTEXT RELEASE COMMAND");
    let ids = match ran_id {
        Some(id) => UENGAPIDs::uE_NGAP_ID_pair(UENGAPIDPair::new(AMFUENGAPID(amf_id), RANUENGAPID(id), None)),
        None => UENGAPIDs::aMF_UE_NGAP_ID(AMFUENGAPID(amf_id)),
    };
    let pdu = build_ngap!(
        InitiatingMessage,
        UEContextRelease,
        UEContextReleaseCommand,
        UE_NGAP_IDs(ids),
        Cause(cause),
    );
    amf.send_ngap(gnb, stream, pdu);
    amf.depart(amf_id, gnb, ran_id);
}

/// The gNB has released the context.
pub(crate) fn on_complete(amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, UEContextReleaseComplete,
        req amf_id: u64 = AMF_UE_NGAP_ID(id),
        lax recommended: InfoOnRecommendedCellsAndRANNodesForPaging =
            InfoOnRecommendedCellsAndRANNodesForPaging(information) => information,
    );
    let Some(departed) = amf.departed(amf_id) else {
        amf.count("amf.ngap.release_unexpected");
        return Ok(());
    };
    let Some(ue) = departed.ue else { return Ok(()) };
    amf.with_ue(ue, |ue, amf| {
        if ue.n2.is_some() {
            // It has come again meanwhile: where it was is of no use any more.
            return;
        }
        note_location(ue, amf, pdu);
        match &recommended {
            Some(information) => paging::recommend(ue, information),
            None => ue.recommended_cells = None,
        }
    });
    Ok(())
}
