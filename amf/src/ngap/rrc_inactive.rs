//! RRC_INACTIVE: what a gNB is told of a UE for it (TS 38.413 §9.3.1.15, TS 23.501 §5.4.6), and RRC Inactive
//! Transition Report: TS 38.413 §8.3.5.

use serde::{Deserialize, Serialize};
use tern_nas::nas_5gs::NasT3512Value;
use tern_ngap::ngap::*;
use tern_ngap::{Bits, CodecError, Message as _, build_ngap_ie, convert, extract_ngap_ies};
use tracing::debug;

use super::ue_context_modification::REKEYING_WITHIN;
use super::{Handled, handover, note_location, paging};
use crate::Amf;
use crate::config::InactiveReports;
use crate::gmm::registration_accept::t3512_seconds;
use crate::ue::{ContextSetup, UeContext};

/// The RRC state of a connected UE, as the gNB has told it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RrcState {
    /// RRC_CONNECTED.
    #[default]
    Connected,
    /// RRC_INACTIVE.
    Inactive,
}

impl RrcState {
    /// Whether the UE is in RRC_CONNECTED.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    pub(crate) fn is_connected(&self) -> bool {
        *self == Self::Connected
    }
}

/// Core Network Assistance Information for RRC INACTIVE; `None` without a 5G-GUTI or a registration area.
pub(crate) fn assistance(ue: &UeContext, amf: &Amf) -> Option<CoreNetworkAssistanceInformationForInactive> {
    if !amf.config.rrc_inactive.assistance || ue.registration_area.is_empty() {
        return None;
    }
    let index = identity_index(ue)?;
    let t3512 = NasT3512Value::from_seconds(t3512_seconds(amf.config.timers.t3512_s)).ok()?;
    let timer = *t3512.value.first()?;
    let areas = ue.registration_area.iter();
    let areas = areas.map(|&tai| TAIListForInactiveItem::new(convert::tai(tai), None)).collect();
    Some(CoreNetworkAssistanceInformationForInactive::new(
        UEIdentityIndexValue::indexLength10(Bits::low(index.into(), 10)),
        ue.paging_drx.and_then(paging::paging_drx),
        PeriodicRegistrationUpdateTimer(Bits::low(timer.into(), 8)),
        None,
        TAIListForInactive(areas),
        None,
        None,
    ))
}

/// UE Identity Index Value: the 5G-S-TMSI mod 1024.
fn identity_index(ue: &UeContext) -> Option<u16> {
    Some((ue.guti?.tmsi & 0x3ff) as u16)
}

/// What the gNB is to report.
pub(crate) fn report_request(amf: &Amf) -> Option<RRCInactiveTransitionReportRequest> {
    match amf.config.rrc_inactive.reports {
        InactiveReports::Never => None,
        InactiveReports::Once => Some(RRCInactiveTransitionReportRequest::single_rrc_connected_state_report),
        InactiveReports::Each => Some(RRCInactiveTransitionReportRequest::subsequent_state_transition_report),
    }
}

/// The gNB of the UE's connection has been told of its present identity.
pub(crate) fn told(ue: &mut UeContext) {
    let index = identity_index(ue);
    if let Some(n2) = &mut ue.n2 {
        n2.identity_index = index;
    }
}

/// Tells the gNB of the identity that the UE has confirmed, if it has another one (TS 23.502 §4.2.4.2 step
/// 2b). While AS keys are changed, or the UE is between cells, it waits.
pub(crate) fn inform(ue: &mut UeContext, amf: &mut Amf) {
    let confirmed = ue.old_guti.is_none() && handover::is_in_one_cell(ue);
    let index = identity_index(ue);
    let stale = ue.n2.as_ref().is_some_and(|n2| {
        n2.context == ContextSetup::Done
            && n2.rekeying.is_none()
            && n2.modifying.is_none()
            && n2.identity_index.is_some()
            && n2.identity_index != index
    });
    if !confirmed || !stale {
        return;
    }
    let Some(information) = assistance(ue, amf) else { return };
    let Some(n2) = &mut ue.n2 else { return };
    (n2.modifying, n2.identity_index) = (Some(amf.now + REKEYING_WITHIN), index);
    let (amf_id, ran_id) = (n2.amf_ue_ngap_id, n2.ran_ue_ngap_id);
    let (gnb, stream) = (n2.gnb, n2.stream);
    amf.count("amf.ngap.gnb_informed");
    let pdu = build_modification(amf_id, ran_id, information);
    amf.send_ngap(gnb, stream, pdu);
}

fn build_modification(
    amf_id: u64,
    ran_id: u32,
    information: CoreNetworkAssistanceInformationForInactive,
) -> Result<NGAP_PDU, CodecError> {
    macro_rules! ie {
        ($($ie:tt)*) => { build_ngap_ie!(UEContextModificationRequest, $($ie)*)? };
    }
    let ies = vec![
        ie!(AMF_UE_NGAP_ID(amf_id)),
        ie!(RAN_UE_NGAP_ID(ran_id)),
        ie!(CoreNetworkAssistanceInformationForInactive(information)),
    ];
    let message = UEContextModificationRequest::new(ProtocolIEContainer(ies));
    NGAP_PDU::of_message(&message, UEContextModificationRequest::CRITICALITY)
}

/// RRC INACTIVE TRANSITION REPORT.
pub(crate) fn on_report(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, RRCInactiveTransitionReport,
        lax state: RRCState = RRCState(state) => state,
    );
    note_location(ue, amf, pdu);
    let state = match state {
        Some(RRCState::inactive) => RrcState::Inactive,
        Some(RRCState::connected) => RrcState::Connected,
        _ => return Ok(()),
    };
    amf.count(match state {
        RrcState::Inactive => "amf.ngap.rrc_inactive",
        RrcState::Connected => "amf.ngap.rrc_connected",
    });
    debug!(ue = ue.name(), ?state, "RRC INACTIVE TRANSITION REPORT");
    if let Some(n2) = &mut ue.n2 {
        n2.rrc = state;
    }
    Ok(())
}
