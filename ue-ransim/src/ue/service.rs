//! Service request, UE side (TS 24.501 §5.6.1).

use tern_nas::nas_5gs::{
    Nas5gmmMessage, NasPduSessionStatus, NasServiceReject, NasServiceRequest, NasServiceType,
    NasUplinkDataStatus, ServiceType,
};
use tern_nas::security::NasSecurityContext;
use tern_nas::{MobileIdentity, registration};
use tern_ngap::ngap::RRCEstablishmentCause;
use tokio::time::Instant;

use super::{Heard, T3517, Ue};
use crate::error::SimError;
use crate::gnb::SessionResources;
use crate::report::SERVICE;

impl Ue {
    /// Connects a registered, idle UE again; `data` are the sessions whose resources it needs,
    /// which come back with them.
    pub async fn service_request(&mut self, data: &[u8]) -> Result<Vec<SessionResources>, SimError> {
        let kind = if data.is_empty() { ServiceType::Signalling } else { ServiceType::Data };
        self.request_service(kind, data).await
    }

    /// The same with a service type.
    pub(super) async fn request_service(
        &mut self,
        kind: ServiceType,
        data: &[u8],
    ) -> Result<Vec<SessionResources>, SimError> {
        let mut kind = kind;
        if kind == ServiceType::MobileTerminatedServices {
            self.stop_t3346();
        } else if self.await_t3346().await {
            // A page has come meanwhile: the same request answers it.
            kind = ServiceType::MobileTerminatedServices;
        }
        let guti =
            self.guti.ok_or_else(|| SimError::State("a UE without 5G-GUTI requests no service".into()))?;
        self.sent_ksi = self.context.as_ref().map(NasSecurityContext::ksi);
        let clear = NasServiceRequest::new(
            registration::ngksi(self.sent_ksi),
            NasServiceType::from_service_type(kind),
            MobileIdentity::STmsi(guti.into()).to_ie()?,
        );
        let mut complete = clear.clone();
        let sessions: Vec<u8> = self.sessions.keys().copied().collect();
        let status = |error: tern_nas::nas_5gs::ValueError| SimError::Encode(error.to_string());
        complete.set_pdu_session_status(NasPduSessionStatus::from_sessions(&sessions).map_err(status)?);
        if !data.is_empty() {
            complete.set_uplink_data_status(NasUplinkDataStatus::from_sessions(data).map_err(status)?);
        }
        let (nas, count) =
            self.initial_message(clear.into(), complete.into(), |message, container| match message {
                Nas5gmmMessage::ServiceRequest(request) => {
                    request.set_nas_message_container(container);
                }
                _ => unreachable!("invariant: the message is the one above"),
            })?;
        let began = Instant::now();
        let why = match kind {
            ServiceType::MobileTerminatedServices => RRCEstablishmentCause::mt_Access,
            _ => RRCEstablishmentCause::mo_Data,
        };
        self.open(nas, why).await?;
        self.k_gnb_count = count;
        let mut resources = Vec::new();
        loop {
            match self.next(began + T3517, "SERVICE ACCEPT", "T3517").await? {
                Heard::Gmm(Nas5gmmMessage::ServiceAccept(accept)) => {
                    if let Some(status) = &accept.pdu_session_status {
                        self.sessions.retain(|&psi, _| status.is_active(psi));
                    }
                    let failed = accept.pdu_session_reactivation_result.as_ref();
                    let failed = failed.map(|result| result.failed_sessions()).unwrap_or_default();
                    let wanted = |psi: &&u8| !failed.contains(psi) && self.sessions.contains_key(psi);
                    let wanted = data.iter().filter(wanted).count();
                    // The gNB tells the UE of the message first, then of the sessions beside it.
                    while resources.len() < wanted {
                        match self.next(began + T3517, "PDU SESSION RESOURCE SETUP", "T3517").await? {
                            Heard::SessionSetUp(session) => resources.push(*session),
                            other => self.unexpected(&other, "with SERVICE ACCEPT"),
                        }
                    }
                    self.journal.step(&*self, SERVICE, began, began.elapsed());
                    return Ok(resources);
                }
                Heard::Gmm(Nas5gmmMessage::ServiceReject(reject)) => {
                    return Err(self.on_service_reject(&reject));
                }
                Heard::SessionSetUp(session) => resources.push(*session),
                other => self.unexpected(&other, "during a service request"),
            }
        }
    }

    /// TS 24.501 §5.6.1.5.
    fn on_service_reject(&mut self, reject: &NasServiceReject) -> SimError {
        let cause = reject.fgmm_cause.value;
        if matches!(cause, 3 | 6 | 7 | 9 | 10) {
            self.registered = false;
            self.sessions.clear();
            self.guti = None;
            self.context = None;
        }
        let back_off = self.start_t3346(cause, reject.t3346_value.as_ref());
        SimError::Rejected {
            message: "SERVICE REJECT",
            cause,
            text: reject.fgmm_cause.description(),
            back_off,
        }
    }
}
