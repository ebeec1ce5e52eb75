//! AMF Status Indication: TS 38.413 §8.7.6, TS 23.501 §5.21.2.2.

use tern_ngap::ngap::*;
use tern_ngap::{EncodeError, build_ngap};
use tracing::info;

use crate::Amf;
use crate::n2::NON_UE_STREAM;
use crate::n2::message::GnbId;

/// The AMF is about to stop: gNBs are to take another one for UEs of its GUAMI.
pub(crate) fn leave(amf: &mut Amf) {
    amf.leaving = true;
    let gnbs: Vec<GnbId> = amf.gnbs.keys().copied().collect();
    info!(gnbs = gnbs.len(), "AMF STATUS INDICATION: this AMF's GUAMI will be unavailable");
    tell(amf, &gnbs);
}

/// Tells a gNB that comes meanwhile.
pub(crate) fn tell_new(amf: &mut Amf, gnb: GnbId) {
    if amf.leaving {
        tell(amf, &[gnb]);
    }
}

fn tell(amf: &mut Amf, gnbs: &[GnbId]) {
    amf.count("amf.ngap.status_indication");
    let guami = tern_ngap::convert::guami(amf.config.guami());
    let list = UnavailableGUAMIList(vec![UnavailableGUAMIItem::new(guami, None, None, None)]);
    let pdu =
        build_ngap!(InitiatingMessage, AMFStatusIndication, AMFStatusIndication, UnavailableGUAMIList(list),);
    let encoded = pdu.map_err(EncodeError::from).and_then(|pdu| tern_ngap::encode(&pdu));
    amf.send_to_all(gnbs, NON_UE_STREAM, encoded);
}
