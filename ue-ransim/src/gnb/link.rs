//! A UE's connection, as the gNB carries it on N2.

use bytes::Bytes;
use tern_ngap::ngap::*;
use tern_ngap::{build_ngap, cause, convert};
use tern_types::Ambr;
use tokio::sync::mpsc;

use super::flows::no_resources;
use super::{FromGnb, Gnb};
use crate::error::SimError;

/// A UE's connection through a gNB; dropping it does not release it.
#[derive(Debug)]
pub struct Link {
    pub(super) gnb: Gnb,
    pub(super) ran_id: u32,
    pub(super) events: mpsc::Receiver<FromGnb>,
}

impl Link {
    /// The UE's identity at the gNB.
    pub fn ran_id(&self) -> u32 {
        self.ran_id
    }

    /// The gNB.
    pub fn gnb(&self) -> &Gnb {
        &self.gnb
    }

    /// The AMF's identity of the UE, once it is known.
    pub fn amf_id(&self) -> Option<u64> {
        self.gnb.state().ues.get(&self.ran_id).and_then(|ue| ue.amf_id)
    }

    /// The UE-AMBR that the gNB has of the AMF.
    pub fn ue_ambr(&self) -> Option<Ambr> {
        self.gnb.state().ues.get(&self.ran_id).and_then(|ue| ue.ue_ambr)
    }

    /// What the gNB says next; `None` once it has said that the connection is gone.
    pub async fn recv(&mut self) -> Option<FromGnb> {
        self.events.recv().await
    }

    /// What was said already, and not heard.
    pub(crate) fn said(&mut self) -> Option<FromGnb> {
        self.events.try_recv().ok()
    }

    /// Sends a NAS message: UPLINK NAS TRANSPORT (TS 38.413 §8.6.3).
    pub async fn send(&self, nas: Bytes) -> Result<(), SimError> {
        let (amf_id, stream) = self.ids()?;
        // A UE in RRC_INACTIVE resumes to send.
        self.gnb.resume(self.ran_id).await;
        self.gnb.with_ue(self.ran_id, super::UeSlot::touch);
        let pdu = build_ngap!(
            InitiatingMessage,
            UplinkNASTransport,
            UplinkNASTransport,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(self.ran_id),
            NAS_PDU(nas.to_vec()),
            UserLocationInformation(convert::user_location(self.gnb.location_of(self.ran_id))),
        )?;
        self.gnb.send(&pdu, stream).await
    }

    /// Sends the UE's radio capability: UE RADIO CAPABILITY INFO INDICATION (TS 38.413 §8.14.1).
    pub async fn send_radio_capability(&self, capability: &[u8]) -> Result<(), SimError> {
        let (amf_id, stream) = self.ids()?;
        let pdu = build_ngap!(
            InitiatingMessage,
            UERadioCapabilityInfoIndication,
            UERadioCapabilityInfoIndication,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(self.ran_id),
            UERadioCapability(capability.to_vec()),
        )?;
        self.gnb.send(&pdu, stream).await
    }

    /// Says that the UE has gone idle or was lost: UE CONTEXT RELEASE REQUEST (TS 38.413 §8.3.2).
    pub async fn request_release(&self, cause: CauseRadioNetwork) -> Result<(), SimError> {
        self.gnb.request_release(self.ran_id, cause).await
    }

    /// Says that a NAS message was not delivered: NAS NON DELIVERY INDICATION (TS 38.413 §8.6.4).
    pub async fn report_non_delivery(&self, nas: Bytes) -> Result<(), SimError> {
        let (amf_id, stream) = self.ids()?;
        let pdu = build_ngap!(
            InitiatingMessage,
            NASNonDeliveryIndication,
            NASNonDeliveryIndication,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(self.ran_id),
            NAS_PDU(nas.to_vec()),
            Cause(cause::radio_network(CauseRadioNetwork::radio_connection_with_ue_lost)),
        )?;
        self.gnb.send(&pdu, stream).await
    }

    pub(super) fn ids(&self) -> Result<(u64, u16), SimError> {
        self.gnb.ids(self.ran_id)
    }

    /// Says that the gNB has released a session's resources of its own: PDU SESSION RESOURCE NOTIFY
    /// (TS 38.413 §8.2.4).
    pub async fn notify_released(&self, psi: u8) -> Result<(), SimError> {
        let (amf_id, stream) = self.ids()?;
        let transfer = tern_ngap::transfer::encode_notify_released(no_resources())?.to_vec();
        let item = PDUSessionResourceReleasedItemNot::new(PDUSessionID(psi), transfer.into(), None);
        let session = self.gnb.with_ue(self.ran_id, |ue| ue.sessions.remove(&psi)).flatten();
        if let Some(session) = session {
            self.gnb.n3().close(session.teid);
        }
        let pdu = build_ngap!(
            InitiatingMessage,
            PDUSessionResourceNotify,
            PDUSessionResourceNotify,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(self.ran_id),
            PDUSessionResourceReleasedListNot(PDUSessionResourceReleasedListNot(vec![item])),
        )?;
        self.gnb.send(&pdu, stream).await
    }

    /// Says that a message about this UE was wrong: ERROR INDICATION (TS 38.413 §8.7.5).
    pub async fn indicate_error(&self, cause: Cause) -> Result<(), SimError> {
        let (amf_id, stream) = self.ids()?;
        let pdu = build_ngap!(
            InitiatingMessage,
            ErrorIndication,
            ErrorIndication,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(self.ran_id),
            Cause(cause),
        )?;
        self.gnb.send(&pdu, stream).await
    }
}
