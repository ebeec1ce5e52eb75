//! Handover Notification: TS 38.413 §8.4.3, TS 23.502 §4.9.1.3.3.

use std::collections::BTreeSet;

use tern_ngap::cause;
use tern_ngap::convert::{self, NrLocation};
use tern_ngap::extract_ngap_ies;
use tern_ngap::ngap::*;
use tern_types::PduSessionId;
use tracing::info;

use super::handover::{self, Handover, HoUpdate};
use super::handover_preparation::{N2Handover, SMF_WITHIN, Source, Step};
use super::{Handled, error_indication, pdu_session_resource, ue_context_modification, ue_context_release};
use crate::Amf;
use crate::session::{self, Work};
use crate::ue::UeContext;

/// HANDOVER NOTIFY: the UE is in the target gNB's cell.
pub(crate) fn on_notify(
    mut handover: Box<N2Handover>,
    ue: &mut UeContext,
    amf: &mut Amf,
    pdu: &NGAP_PDU,
) -> Handled {
    let Step::Executing { admitted } = &mut handover.step else {
        // TS 38.413 §10.4
        let why = cause::protocol(CauseProtocol::message_not_compatible_with_receiver_state);
        let (amf_id, ran_id) = (handover.amf_ue_ngap_id, handover.ran_ue_ngap_id);
        error_indication::send(amf, handover.gnb, handover.stream, Some(amf_id), ran_id, why);
        ue.handover = Some(Handover::N2(handover));
        return Ok(());
    };
    let admitted = std::mem::take(admitted);
    let read = || -> Result<_, tern_ngap::DecodeError> {
        extract_ngap_ies!(pdu, HandoverNotify,
            lax location: NrLocation = UserLocationInformation(ie) => convert::user_location_of(&ie)?,
        );
        Ok(location)
    };
    if let Some(location) = read().ok().flatten() {
        super::located(ue, amf, location);
    }
    handover.arrived(ue, amf, admitted);
    Ok(())
}

impl N2Handover {
    fn arrived(mut self: Box<Self>, ue: &mut UeContext, amf: &mut Amf, admitted: BTreeSet<PduSessionId>) {
        let source = if self.source_gone { None } else { self.move_connection(ue, amf) };
        amf.count("amf.ngap.handed_over");
        info!(
            ue = ue.name(),
            sessions = admitted.len(),
            released = self.released.len(),
            "UE handed over: N2 handover"
        );
        let (number, held) = (self.number(), std::mem::take(&mut self.held));
        let new_context = self.new_context;
        self.step = Step::Completing { waiting: admitted.clone(), source };
        self.deadline = amf.now + SMF_WITHIN;
        ue.handover = Some(Handover::N2(self));
        // What the target gNB has not admitted has no resources any more.
        let gone = ue.sessions.values().filter(|s| s.resources && !admitted.contains(&s.id)).map(|s| s.id);
        for id in gone.collect::<Vec<_>>() {
            session::set_resources(ue, id, false);
            session::push(ue, amf, id, Work::Deactivate);
        }
        for id in admitted {
            if ue.sessions.contains_key(&id) {
                session::push(ue, amf, id, Work::Handover(number, HoUpdate::Completed));
            } else {
                // It ended while the UE was on its way.
                pdu_session_resource::release(ue, amf, id);
            }
        }
        if new_context {
            ue_context_modification::given(ue, amf);
        }
        handover::resume(ue, amf, held);
        handover::proceed(ue, amf);
    }

    /// The paths are switched, or have had their time: the source gNB has the UE no longer.
    pub(super) fn release_source(self: Box<Self>, amf: &mut Amf) {
        let Step::Completing { source: Some(source), .. } = self.step else { return };
        let Source { gnb, stream, amf_ue_ngap_id, ran_ue_ngap_id } = source;
        amf.by_amf_id.remove(&amf_ue_ngap_id);
        if amf.gnbs.contains_key(&gnb) {
            let why = cause::radio_network(CauseRadioNetwork::successful_handover);
            let ids = (amf_ue_ngap_id, Some(ran_ue_ngap_id));
            ue_context_release::command_connection(amf, gnb, stream, ids, why);
        }
    }
}
