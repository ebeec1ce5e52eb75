//! QoS flows that the gNB does not admit (TS 38.413 §8.2.1.2, §8.2.3.2), or releases (§8.2.4.2).

use tern_ngap::ngap::*;
use tern_ngap::transfer::{Notify, QosFlow};
use tern_ngap::{NgapCause, build_ngap, cause};
use tern_types::Qfi;

use super::{Gnb, Link};
use crate::error::SimError;

impl Gnb {
    /// Has no resources for further QoS flows of these 5QIs.
    pub fn refuse_flows(&self, five_qis: &[u8]) {
        self.state().flows_refused = five_qis.iter().copied().collect();
    }

    /// Those of the flows that it has resources for; why it has none for the others.
    pub(super) fn admit_flows(&self, flows: &[QosFlow]) -> (Vec<QosFlow>, Vec<(Qfi, NgapCause)>) {
        let never = self.state().flows_refused.clone();
        let (refused, admitted): (Vec<QosFlow>, Vec<QosFlow>) =
            flows.iter().partition(|flow| flow.five_qi.is_some_and(|five_qi| never.contains(&five_qi)));
        let failed: Vec<_> = refused.into_iter().map(|flow| (flow.qfi, no_resources())).collect();
        self.0.journal.add("gnb.flows_refused", failed.len() as u64);
        (admitted, failed)
    }
}

impl Link {
    /// Says that the gNB has released a QoS flow of its own: PDU SESSION RESOURCE NOTIFY (TS 38.413 §8.2.4).
    pub async fn release_flow(&self, psi: u8, qfi: Qfi) -> Result<(), SimError> {
        let (amf_id, stream) = self.ids()?;
        let notify = Notify { released: vec![(qfi, no_resources())], ..Notify::default() };
        let transfer = notify.encode()?.to_vec();
        let item = PDUSessionResourceNotifyItem::new(PDUSessionID(psi), transfer.into(), None);
        self.gnb.with_ue(self.ran_id, |ue| {
            if let Some(session) = ue.sessions.get_mut(&psi) {
                session.request.flows.retain(|flow| flow.qfi != qfi);
                self.gnb.n3().change_flows(session.teid, &[], &[qfi.get()]);
            }
        });
        let pdu = build_ngap!(
            InitiatingMessage,
            PDUSessionResourceNotify,
            PDUSessionResourceNotify,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(self.ran_id),
            PDUSessionResourceNotifyList(PDUSessionResourceNotifyList(vec![item])),
        )?;
        self.gnb.send(&pdu, stream).await
    }
}

/// Why a gNB refuses or releases.
pub(super) fn no_resources() -> NgapCause {
    NgapCause::of(&cause::radio_network(CauseRadioNetwork::radio_resources_not_available))
}
