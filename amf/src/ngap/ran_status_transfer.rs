//! Uplink and Downlink RAN Status Transfer: TS 38.413 §8.4.6, §8.4.7.

use tern_ngap::ngap::*;
use tern_ngap::{build_ngap, extract_ngap_ies};

use super::Handled;
use super::handover::Handover;
use crate::Amf;
use crate::ue::UeContext;

/// UPLINK RAN STATUS TRANSFER of the source gNB: it goes to the target as it is. When no UE is on its way
/// it means nothing.
pub(crate) fn on_uplink(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, UplinkRANStatusTransfer,
        req container: RANStatusTransferTransparentContainer<'_> =
            RANStatusTransfer_TransparentContainer(container) => container,
    );
    let target = match &ue.handover {
        Some(Handover::N2(handover)) => handover.target(),
        _ => None,
    };
    let Some((gnb, stream, amf_id, ran_id)) = target else {
        amf.count("amf.ngap.status_transfer_unexpected");
        return Ok(());
    };
    let pdu = build_ngap!(
        InitiatingMessage,
        DownlinkRANStatusTransfer,
        DownlinkRANStatusTransfer,
        AMF_UE_NGAP_ID(amf_id),
        RAN_UE_NGAP_ID(ran_id),
        RANStatusTransfer_TransparentContainer(container),
    );
    amf.send_ngap(gnb, stream, pdu);
    Ok(())
}
