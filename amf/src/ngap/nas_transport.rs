//! NAS transport: TS 38.413 §8.6.

use bytes::Bytes;
use tern_ngap::ngap::*;
use tern_ngap::{build_ngap, extract_ngap_ies};
use tracing::debug;

use super::Handled;
use crate::ue::UeContext;
use crate::{Amf, gmm};

/// UPLINK NAS TRANSPORT.
pub(crate) fn on_uplink(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, UplinkNASTransport,
        req nas: Bytes = NAS_PDU(nas) => Bytes::copy_from_slice(&nas.0),
    );
    super::note_location(ue, pdu);
    gmm::on_nas(ue, amf, &nas);
    Ok(())
}

/// NAS NON DELIVERY INDICATION: what is supervised is sent again by its timer.
pub(crate) fn on_non_delivery(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, NASNonDeliveryIndication,
        lax why: Cause = Cause(cause) => cause,
    );
    amf.count("amf.ngap.nas_not_delivered");
    debug!(ue = ue.name(), cause = why.as_ref().map(tern_ngap::cause::describe), "NAS message not delivered");
    Ok(())
}

/// DOWNLINK NAS TRANSPORT of octets that are protected already.
pub(crate) fn send_downlink(ue: &mut UeContext, amf: &mut Amf, octets: Bytes) {
    let Some(n2) = &ue.n2 else {
        amf.count("amf.nas.downlink_lost");
        return;
    };
    let pdu = build_ngap!(
        InitiatingMessage,
        DownlinkNASTransport,
        DownlinkNASTransport,
        AMF_UE_NGAP_ID(n2.amf_ue_ngap_id),
        RAN_UE_NGAP_ID(n2.ran_ue_ngap_id),
        NAS_PDU(&octets[..]),
    );
    amf.send_on(n2, pdu);
}
