//! UE Radio Capability Info Indication: TS 38.413 §8.14.1.

use bytes::Bytes;
use tern_ngap::extract_ngap_ies;
use tern_ngap::ngap::*;

use super::Handled;
use crate::Amf;
use crate::ue::UeContext;

/// Largest capability kept, in octets.
pub const OCTETS_MAX: usize = 64 * 1024;

/// Keeps the capability for later Initial Context Setups, and that for paging.
pub(crate) fn on_indication(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, UERadioCapabilityInfoIndication,
        req capability: Bytes = UERadioCapability(capability) => Bytes::copy_from_slice(&capability.0),
        lax for_paging: Option<Bytes> = UERadioCapabilityForPaging(capability) =>
            capability.ue_radio_capability_for_paging_of_nr.map(|nr| Bytes::copy_from_slice(&nr.0)),
    );
    ue.radio_capability_for_paging = for_paging.flatten().filter(|octets| octets.len() <= OCTETS_MAX);
    if capability.len() > OCTETS_MAX {
        amf.count("amf.ngap.radio_capability_too_long");
        return Ok(());
    }
    ue.radio_capability = Some(capability);
    Ok(())
}
