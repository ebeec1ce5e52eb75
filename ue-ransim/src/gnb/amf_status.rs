//! What the AMF says of itself later: AMF Status Indication (TS 38.413 §8.7.6) and AMF Configuration Update
//! (§8.7.3).

use tern_ngap::ngap::*;
use tern_ngap::{DecodeError, build_ngap, cause, convert, extract_ngap_ies};
use tern_types::STmsi5g;

use super::{Gnb, setup};
use crate::error::SimError;

impl Gnb {
    /// Whether the AMF has said that it is about to go.
    pub fn is_amf_leaving(&self) -> bool {
        let state = self.state();
        !state.amf.guamis.is_empty() && state.amf.guamis.iter().all(|guami| state.unavailable.contains(guami))
    }

    /// Refuses so many AMF CONFIGURATION UPDATEs, with this Time To Wait.
    pub fn refuse_amf_configuration(&self, times: u32, wait: Option<TimeToWait>) {
        self.state().amf_configuration_refused = (times, wait);
    }

    /// A new connection needs an AMF: there is none but the one that has said that it goes.
    pub(super) fn select_amf(&self, s_tmsi: Option<STmsi5g>) -> Result<(), SimError> {
        let gone = |id: STmsi5g| {
            let state = self.state();
            let is = |id: STmsi5g, set, pointer| id.amf_set == set && id.amf_pointer == pointer;
            state.unavailable.iter().any(|guami| is(id, guami.amf_id.set(), guami.amf_id.pointer()))
        };
        if s_tmsi.is_some_and(gone) || self.is_amf_leaving() {
            self.0.journal.count("gnb.no_amf");
            return Err(SimError::Released {
                cause: "RRC REJECT: the AMF is unavailable".into(),
                waiting_for: "RRC SETUP",
            });
        }
        Ok(())
    }

    /// AMF STATUS INDICATION: UEs that are connected stay; the AMF takes no new connection.
    pub(super) fn on_amf_status(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        const CLAUSE: &str = "TS 38.413 §8.7.6.2";
        extract_ngap_ies!(pdu, AMFStatusIndication,
            req list: UnavailableGUAMIList<'_> = UnavailableGUAMIList(list) => list,
        );
        self.0.journal.count("gnb.amf_status");
        if stream != 0 {
            self.failure("TS 38.412 §7", format_args!("AMF STATUS INDICATION on stream {stream}"));
        }
        for item in &list.0 {
            let guami = convert::guami_of(&item.guami)?;
            if !self.state().amf.guamis.contains(&guami) {
                self.failure(CLAUSE, format_args!("GUAMI {guami} is none that the AMF serves"));
            }
            self.state().unavailable.push(guami);
        }
        Ok(())
    }

    /// AMF CONFIGURATION UPDATE.
    pub(super) async fn on_amf_configuration(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        extract_ngap_ies!(pdu, AMFConfigurationUpdate,
            opt name: String = AMFName(name) => name.0.into_owned(),
            opt guamis: ServedGUAMIList = ServedGUAMIList(list) => list,
            opt capacity: RelativeAMFCapacity = RelativeAMFCapacity(capacity) => capacity,
            opt plmns: PLMNSupportList = PLMNSupportList(list) => list,
        );
        self.0.journal.count("gnb.amf_configuration");
        let refused = {
            let mut state = self.state();
            let (times, wait) = &mut state.amf_configuration_refused;
            let refused = *times > 0;
            *times = times.saturating_sub(1);
            refused.then_some(*wait)
        };
        let why = || cause::misc(CauseMisc::unspecified);
        let answer = match refused {
            Some(Some(wait)) => build_ngap!(
                UnsuccessfulOutcome,
                AMFConfigurationUpdate,
                AMFConfigurationUpdateFailure,
                Cause(why()),
                TimeToWait(wait),
            ),
            Some(None) => build_ngap!(
                UnsuccessfulOutcome,
                AMFConfigurationUpdate,
                AMFConfigurationUpdateFailure,
                Cause(why()),
            ),
            None => {
                let guamis = guamis.map(|list| setup::guamis(&list)).transpose()?;
                let plmns = plmns.map(|list| setup::plmns(&list)).transpose()?;
                let mut state = self.state();
                let amf = &mut state.amf;
                amf.name = name.unwrap_or_else(|| amf.name.clone());
                amf.guamis = guamis.unwrap_or_else(|| amf.guamis.clone());
                amf.plmns = plmns.unwrap_or_else(|| amf.plmns.clone());
                amf.capacity = capacity.map_or(amf.capacity, |capacity| capacity.0);
                drop(state);
                build_ngap!(SuccessfulOutcome, AMFConfigurationUpdate, AMFConfigurationUpdateAcknowledge,)
            }
        };
        self.answer(answer, stream).await;
        Ok(())
    }
}
