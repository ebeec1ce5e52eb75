//! Overload Start and Overload Stop, gNB side: TS 38.413 §8.7.7, §8.7.8.

use tern_ngap::ngap::*;
use tern_ngap::{DecodeError, extract_ngap_ies};

use super::Gnb;
use crate::error::SimError;

/// What the AMF wants less of.
#[derive(Debug)]
pub(super) struct Overload {
    action: OverloadAction,
    /// AMF Traffic Load Reduction Indication; without it all of that is turned away.
    percent: u8,
    /// Percent of a connection that are due to be turned away.
    due: u8,
}

impl Overload {
    /// Whether a connection of this cause is of what is turned away (TS 38.413 §9.3.1.105).
    fn concerns(&self, why: RRCEstablishmentCause) -> bool {
        use OverloadAction as Action;
        use RRCEstablishmentCause as Why;
        match self.action {
            Action::reject_non_emergency_mo_dt => matches!(why, Why::mo_Data | Why::mo_VoiceCall),
            Action::reject_rrc_cr_signalling => {
                matches!(why, Why::mo_Signalling | Why::mo_Data | Why::mo_VoiceCall)
            }
            Action::permit_emergency_sessions_and_mobile_terminated_services_only => {
                !matches!(why, Why::emergency | Why::mt_Access)
            }
            _ => !matches!(why, Why::highPriorityAccess | Why::mt_Access),
        }
    }
}

impl Gnb {
    /// RRC SETUP, or RRC REJECT if the AMF wants less.
    pub(super) fn admit_connection(&self, why: RRCEstablishmentCause) -> Result<(), SimError> {
        let mut state = self.state();
        let Some(overload) = state.overload.as_mut().filter(|overload| overload.concerns(why)) else {
            return Ok(());
        };
        let due = u16::from(overload.due) + u16::from(overload.percent);
        overload.due = (due % 100) as u8;
        if due < 100 {
            return Ok(());
        }
        drop(state);
        self.0.journal.count("gnb.rrc_reject");
        Err(SimError::Released {
            cause: "RRC REJECT: the AMF is overloaded".into(),
            waiting_for: "RRC SETUP",
        })
    }

    /// OVERLOAD START.
    pub(super) fn on_overload_start(&self, pdu: &NGAP_PDU) -> Result<(), DecodeError> {
        extract_ngap_ies!(pdu, OverloadStart,
            opt response: OverloadResponse = AMFOverloadResponse(response) => response,
            opt percent: u8 = AMFTrafficLoadReductionIndication(percent) => percent.0,
        );
        self.0.journal.count("gnb.overload_start");
        let Some(OverloadResponse::overloadAction(action)) = response else {
            self.failure("TS 38.413 §8.7.7.2", "OVERLOAD START without an action");
            return Ok(());
        };
        self.state().overload = Some(Overload { action, percent: percent.unwrap_or(100), due: 0 });
        Ok(())
    }

    /// OVERLOAD STOP.
    pub(super) fn on_overload_stop(&self) -> Result<(), DecodeError> {
        self.0.journal.count("gnb.overload_stop");
        self.state().overload = None;
        Ok(())
    }
}
