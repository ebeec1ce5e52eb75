//! RRC_INACTIVE, gNB side: what the AMF says of it, and RRC Inactive Transition Report (TS 38.413 §8.3.5).

use tern_ngap::ngap::*;
use tern_ngap::{build_ngap, convert};

use super::{Gnb, Link, UeSlot};
use crate::error::SimError;

/// A UE's RRC state, and what the AMF wants to know of it.
#[derive(Debug, Default)]
pub(super) struct RrcInactive {
    inactive: bool,
    /// UE Identity Index Value of the assistance information, without which no UE is kept in RRC_INACTIVE.
    index: Option<u16>,
    reports: Option<RRCInactiveTransitionReportRequest>,
}

/// What a message of the AMF says of RRC_INACTIVE.
pub(super) type Assistance =
    (Option<CoreNetworkAssistanceInformationForInactive>, Option<RRCInactiveTransitionReportRequest>);

impl Gnb {
    /// The AMF's word on a UE.
    pub(super) fn take_assistance(&self, ue: &mut UeSlot, (information, reports): Assistance) {
        if let Some(information) = information {
            let areas = information.tai_list_for_inactive.0.iter();
            let areas: Vec<_> = areas.filter_map(|item| convert::tai_of(&item.tai).ok()).collect();
            if !areas.contains(&self.config().tai()) {
                let what = "the UE's cell is in no area of its TAI List for RRC Inactive";
                self.failure("TS 38.413 §9.3.1.15", what);
            }
            match information.ue_identity_index_value {
                UEIdentityIndexValue::indexLength10(bits) => ue.rrc.index = Some(bits.value() as u16),
                UEIdentityIndexValue::choice_Extensions(_) => {
                    self.failure("TS 38.413 §9.3.1.15", "a UE Identity Index Value of an unknown kind");
                }
            }
        }
        match reports {
            Some(RRCInactiveTransitionReportRequest::cancel_report) => ue.rrc.reports = None,
            Some(reports) => ue.rrc.reports = Some(reports),
            None => {}
        }
    }

    /// One report of RRC_CONNECTED, where that is all that the AMF has asked for.
    pub(super) async fn report_once(&self, ran_id: u32) {
        let once = self.with_ue(ran_id, |ue| {
            ue.rrc.reports.take_if(|reports| {
                *reports == RRCInactiveTransitionReportRequest::single_rrc_connected_state_report
                    && !ue.rrc.inactive
            })
        });
        if once.flatten().is_some() {
            self.report_rrc_state(ran_id, RRCState::connected).await;
        }
    }

    /// The UE is in RRC_CONNECTED again, if it was not: it has something to send, or was paged by the gNB.
    pub(super) async fn resume(&self, ran_id: u32) {
        let left = self.with_ue(ran_id, |ue| std::mem::take(&mut ue.rrc.inactive));
        if left == Some(true) {
            self.0.journal.count("gnb.rrc_resume");
            self.report_transition(ran_id, RRCState::connected).await;
            self.report_once(ran_id).await;
        }
    }

    async fn report_transition(&self, ran_id: u32, state: RRCState) {
        let each = RRCInactiveTransitionReportRequest::subsequent_state_transition_report;
        if self.with_ue(ran_id, |ue| ue.rrc.reports == Some(each)) == Some(true) {
            self.report_rrc_state(ran_id, state).await;
        }
    }

    async fn report_rrc_state(&self, ran_id: u32, state: RRCState) {
        let Ok((amf_id, stream)) = self.ids(ran_id) else { return };
        self.0.journal.count("gnb.rrc_report");
        let pdu = build_ngap!(
            InitiatingMessage,
            RRCInactiveTransitionReport,
            RRCInactiveTransitionReport,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            RRCState(state),
            UserLocationInformation(convert::user_location(self.location_of(ran_id))),
        );
        self.answer(pdu, stream).await;
    }
}

impl Link {
    /// Sends the UE to RRC_INACTIVE; the AMF hears of it if it has asked.
    pub async fn suspend(&self) -> Result<(), SimError> {
        let assisted = self.gnb.with_ue(self.ran_id, |ue| {
            ue.rrc.inactive |= ue.rrc.index.is_some();
            ue.rrc.inactive
        });
        if assisted != Some(true) {
            return Err(SimError::State(
                "the AMF has given no assistance information for RRC_INACTIVE".into(),
            ));
        }
        self.gnb.report_transition(self.ran_id, RRCState::inactive).await;
        Ok(())
    }

    /// Takes it back to RRC_CONNECTED.
    pub async fn resume(&self) {
        self.gnb.resume(self.ran_id).await;
    }

    /// Whether the UE is in RRC_INACTIVE.
    pub fn is_inactive(&self) -> bool {
        self.gnb.with_ue(self.ran_id, |ue| ue.rrc.inactive) == Some(true)
    }

    /// The UE Identity Index Value that the AMF has given.
    pub fn identity_index(&self) -> Option<u16> {
        self.gnb.with_ue(self.ran_id, |ue| ue.rrc.index).flatten()
    }

    /// Whether the AMF has asked for a report of each change of the RRC state.
    pub fn reports_rrc_state(&self) -> bool {
        let each = RRCInactiveTransitionReportRequest::subsequent_state_transition_report;
        self.gnb.with_ue(self.ran_id, |ue| ue.rrc.reports == Some(each)) == Some(true)
    }
}
