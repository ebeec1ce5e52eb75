//! Overload Start and Overload Stop: TS 38.413 §8.7.7, §8.7.8, TS 23.501 §5.19.5.2. While many UEs
//! register, gNBs are asked to turn some of the others away before they cost the AMF anything; UEs with
//! priority, emergency calls and answers to pages come all the same.

use tern_ngap::ngap::*;
use tern_ngap::{EncodeError, build_ngap};
use tracing::{info, warn};

use crate::Amf;
use crate::n2::NON_UE_STREAM;
use crate::n2::message::GnbId;

/// Looks at the load after each input.
pub(crate) fn watch(amf: &mut Amf) {
    let registering = amf.registering.len();
    let share = |percent: u8| amf.config.limits.registrations.saturating_mul(percent.into()) / 100;
    let (start, stop) = (share(amf.config.overload.start_percent), share(amf.config.overload.stop_percent));
    if !amf.overloaded && registering >= start.max(1) {
        amf.overloaded = true;
        amf.count("amf.overload.started");
        warn!(registering, "overload: gNBs are asked for less");
        tell_all(amf);
    } else if amf.overloaded && registering <= stop {
        amf.overloaded = false;
        amf.count("amf.overload.stopped");
        info!(registering, "overload is over");
        tell_all(amf);
    }
}

fn tell_all(amf: &mut Amf) {
    let gnbs: Vec<GnbId> = amf.gnbs.keys().copied().collect();
    tell(amf, &gnbs);
}

/// Tells a gNB that is new, if there is anything to tell.
pub(crate) fn tell_new(amf: &mut Amf, gnb: GnbId) {
    if amf.overloaded {
        tell(amf, &[gnb]);
    }
}

fn tell(amf: &mut Amf, gnbs: &[GnbId]) {
    let pdu = if amf.overloaded {
        let action = OverloadResponse::overloadAction(OverloadAction::reject_rrc_cr_signalling);
        build_ngap!(
            InitiatingMessage,
            OverloadStart,
            OverloadStart,
            AMFOverloadResponse(action),
            AMFTrafficLoadReductionIndication(TrafficLoadReductionIndication(
                amf.config.overload.reduction_percent
            )),
        )
    } else {
        build_ngap!(InitiatingMessage, OverloadStop, OverloadStop,)
    };
    let encoded = pdu.map_err(EncodeError::from).and_then(|pdu| tern_ngap::encode(&pdu));
    amf.send_to_all(gnbs, NON_UE_STREAM, encoded);
}
