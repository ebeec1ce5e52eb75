//! User inactivity: a UE with which nothing was exchanged for a while is released
//! (TS 38.413 §8.3.2, TS 23.502 §4.2.6).

use std::time::Duration;

use tern_ngap::ngap::*;
use tern_ngap::{Message as _, build_ngap_ie, cause};
use tokio::time::Instant;

use super::{Gnb, UeSlot};
use crate::error::SimError;

impl UeSlot {
    /// Something was exchanged with the UE.
    pub(super) fn touch(&mut self) {
        self.active_at = Instant::now();
    }
}

impl Gnb {
    /// Asks for the release of the UE once nothing was exchanged with it for so long.
    pub(super) fn watch_inactivity(&self, ran_id: u32) {
        let Some(limit) = self.0.config.inactivity else { return };
        let gnb = self.clone();
        tokio::spawn(async move {
            while let Some(at) = gnb.idle_at(ran_id, limit) {
                if at <= Instant::now() {
                    gnb.0.journal.count("gnb.inactivity");
                    let released = gnb.request_release(ran_id, CauseRadioNetwork::user_inactivity).await;
                    if let Err(error) = released {
                        tracing::debug!(%gnb, %error, "no release of an inactive UE");
                    }
                    return;
                }
                tokio::time::sleep_until(at).await;
            }
        });
    }

    /// UE CONTEXT RELEASE REQUEST, with the sessions whose user plane is active.
    pub(super) async fn request_release(
        &self,
        ran_id: u32,
        cause: CauseRadioNetwork,
    ) -> Result<(), SimError> {
        let (amf_id, stream) = self.ids(ran_id)?;
        let sessions: Vec<_> = {
            let state = self.state();
            let sessions = state.ues.get(&ran_id).into_iter().flat_map(|ue| ue.sessions.keys());
            sessions.map(|&psi| PDUSessionResourceItemCxtRelReq::new(PDUSessionID(psi), None)).collect()
        };
        macro_rules! ie {
            ($($ie:tt)*) => { build_ngap_ie!(UEContextReleaseRequest, $($ie)*)? };
        }
        let mut ies = vec![ie!(AMF_UE_NGAP_ID(amf_id)), ie!(RAN_UE_NGAP_ID(ran_id))];
        if !sessions.is_empty() {
            let sessions = PDUSessionResourceListCxtRelReq(sessions);
            ies.push(ie!(PDUSessionResourceListCxtRelReq(sessions)));
        }
        ies.push(ie!(Cause(cause::radio_network(cause))));
        let message = UEContextReleaseRequest::new(ProtocolIEContainer(ies));
        let pdu = NGAP_PDU::of_message(&message, UEContextReleaseRequest::CRITICALITY)?;
        self.send(&pdu, stream).await
    }

    /// When the UE counts as inactive; `None` once it is gone, or on its way to another gNB.
    fn idle_at(&self, ran_id: u32, limit: Duration) -> Option<Instant> {
        let mut state = self.state();
        let ue = state.ues.get_mut(&ran_id).filter(|ue| ue.leaving.is_none())?;
        let teids: Vec<u32> = ue.sessions.values().map(|session| session.teid).collect();
        let data = self.0.n3.last_packet(&teids);
        ue.active_at = data.map_or(ue.active_at, |at| at.max(ue.active_at));
        Some(ue.active_at + limit)
    }
}
