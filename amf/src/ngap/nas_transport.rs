//! NAS transport: TS 38.413 §8.6.

use bytes::Bytes;
use tern_ngap::ngap::*;
use tern_ngap::{CodecError, Message as _, build_ngap_ie, convert, extract_ngap_ies};
use tracing::debug;

use super::rrc_inactive::RrcState;
use super::{Handled, handover};
use crate::gmm::service_area;
use crate::ue::{Connection, UeContext};
use crate::{Amf, gmm};

/// UPLINK NAS TRANSPORT.
pub(crate) fn on_uplink(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, UplinkNASTransport,
        req nas: Bytes = NAS_PDU(nas) => Bytes::copy_from_slice(&nas.0),
    );
    super::note_location(ue, amf, pdu);
    if let Some(n2) = &mut ue.n2 {
        n2.rrc = RrcState::Connected;
    }
    if let Some(n2) = ue.n2.as_mut().filter(|_| ue.handover.is_none()) {
        // It is here: what was not delivered for a handover that came to nothing is repeated by its timer.
        n2.undelivered.clear();
    }
    gmm::on_nas(ue, amf, &nas);
    Ok(())
}

/// NAS NON DELIVERY INDICATION: a message that a handover crosses is sent again after it, the others
/// by their timers.
pub(crate) fn on_non_delivery(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, NASNonDeliveryIndication,
        lax nas: Bytes = NAS_PDU(nas) => Bytes::copy_from_slice(&nas.0),
        lax why: Cause = Cause(cause) => cause,
    );
    amf.count("amf.ngap.nas_not_delivered");
    debug!(ue = ue.name(), cause = why.as_ref().map(tern_ngap::cause::describe), "NAS message not delivered");
    use CauseRadioNetwork as R;
    let handed_over = matches!(
        why,
        Some(Cause::radioNetwork(R::xn_handover_triggered | R::ng_intra_system_handover_triggered))
    );
    if let Some(nas) = nas.filter(|_| handed_over) {
        handover::keep(ue, amf, nas);
    }
    Ok(())
}

/// DOWNLINK NAS TRANSPORT of octets that are protected already; a UE between two cells has it later.
pub(crate) fn send_downlink(ue: &mut UeContext, amf: &mut Amf, octets: Bytes) {
    let Some(octets) = handover::hold(ue, amf, octets) else { return };
    let Some(n2) = &mut ue.n2 else {
        amf.count("amf.nas.downlink_lost");
        return;
    };
    let outdated = std::mem::take(&mut n2.outdated);
    let Some(n2) = &ue.n2 else { return };
    amf.send_on(n2, build(ue, amf, n2, &octets, outdated));
}

/// With where there is service and the allowed NSSAI, if the gNB has those of before.
fn build(
    ue: &UeContext,
    amf: &Amf,
    n2: &Connection,
    octets: &[u8],
    outdated: bool,
) -> Result<NGAP_PDU, CodecError> {
    macro_rules! ie {
        ($($ie:tt)*) => { build_ngap_ie!(DownlinkNASTransport, $($ie)*)? };
    }
    let mut ies = vec![
        ie!(AMF_UE_NGAP_ID(n2.amf_ue_ngap_id)),
        ie!(RAN_UE_NGAP_ID(n2.ran_ue_ngap_id)),
        ie!(NAS_PDU(octets)),
    ];
    if outdated {
        let restrictions = service_area::mobility_restrictions(ue, amf.serving_plmn(ue));
        ies.push(ie!(MobilityRestrictionList(restrictions)));
        ies.push(ie!(AllowedNSSAI(convert::allowed_nssai(&ue.allowed))));
    }
    let message = DownlinkNASTransport::new(ProtocolIEContainer(ies));
    NGAP_PDU::of_message(&message, DownlinkNASTransport::CRITICALITY)
}
