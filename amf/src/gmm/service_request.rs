//! Service request: TS 24.501 §5.6.1, TS 23.502 §4.2.3.2.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_nas::nas_5gs::{
    Nas5gmmMessage, NasFGmmCause, NasPduSessionStatus, NasServiceAccept, NasServiceReject, NasServiceRequest,
    ServiceType,
};
use tern_ngap::cause;
use tern_ngap::ngap::CauseNas;
use tern_types::Instant;
use tracing::{info, warn};

use crate::Amf;
use crate::error::Refusal;
use crate::gmm::activation::{self, Activation};
use crate::gmm::{
    self, ConfigurationUpdate, Procedure, RECEIVED, configuration_update, paging, registration_reject,
    service_area,
};
use crate::ngap::ue_context_release;
use crate::session;
use crate::ue::UeContext;

/// A service request that waits for SMFs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceRequest {
    /// The plain message: two requests differ if their octets do.
    #[serde(default, skip_serializing_if = "Bytes::is_empty")]
    first: Bytes,
    /// Sessions to reactivate.
    pub(crate) activation: Activation,
    /// Whether the UE sent its PDU session status.
    status: bool,
    /// Whether it answers a page.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    paged: bool,
    /// A configuration update whose command it has crossed: both go on (TS 24.501 §5.4.4.6 e).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) update: Option<ConfigurationUpdate>,
    /// Whether the UE has completed that already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) completed: bool,
}

impl ServiceRequest {
    /// When the SMFs' time is over.
    pub fn deadline(&self) -> Option<Instant> {
        let update = self.update.as_ref().filter(|_| !self.completed).map(ConfigurationUpdate::deadline);
        [Some(self.activation.deadline()), update].into_iter().flatten().min()
    }

    /// T3555 of the update beside it may have expired.
    pub(crate) fn expire(mut self, ue: &mut UeContext, amf: &mut Amf) {
        if let Some(update) = self.update.take_if(|_| !self.completed) {
            self.update = update.expire_beside(ue, amf);
        }
        ue.procedure = Some(Procedure::Service(self));
    }
}

/// SERVICE REQUEST.
pub(crate) fn on_request(
    ue: &mut UeContext,
    amf: &mut Amf,
    request: NasServiceRequest,
    verified: bool,
    count: Option<u32>,
    first: Bytes,
) {
    amf.count("amf.gmm.service_request");
    if !verified || !ue.registered {
        return reject(ue, amf, Refusal::IdentityUnknown);
    }
    if ue.location.is_some_and(|location| !amf.config.serves(location.tai)) {
        return reject(ue, amf, Refusal::NoSuitableCells);
    }
    if let Some(Procedure::Registration(_) | Procedure::Deregistration(_)) = &ue.procedure {
        // No UE does this: what runs goes on.
        amf.count("amf.nas.unexpected");
        return;
    }
    if let Some(Procedure::Service(running)) = &ue.procedure {
        if running.first == first {
            // TS 24.501 §5.6.1.8 c: the same request again.
            amf.count("amf.gmm.service_request_repeated");
            return;
        }
        amf.count("amf.gmm.procedure_aborted");
    }
    let request = whole(ue, &request, count).unwrap_or(request);
    let kind = request.service_type.service_type();
    let mobile_terminated = kind == Some(ServiceType::MobileTerminatedServices);
    if !is_unrestricted(kind) && service_area::forbids(ue) {
        return reject(ue, amf, Refusal::RestrictedServiceArea);
    }
    let full = amf.serving.len() >= amf.config.limits.services;
    if full && !is_unrestricted(kind) && ue.n2.as_ref().is_some_and(|n2| !n2.priority) {
        // TS 24.501 §5.3.9, §5.6.1.5.
        amf.count("amf.gmm.congestion");
        return reject(ue, amf, Refusal::Congestion);
    }
    let paged = paging::stop(ue, amf) || mobile_terminated;
    if let Some(status) = &request.pdu_session_status {
        session::release_inactive(ue, amf, |id| status.is_active(id.get()));
    }
    let wanted = request.uplink_data_status.as_ref().map(|ie| ie.sessions_with_data()).unwrap_or_default();
    let status = request.pdu_session_status.is_some();
    let activation = Activation::start(ue, amf, &wanted);
    let (update, completed) = match ue.procedure.take() {
        Some(Procedure::ConfigurationUpdate(update)) => (Some(update), false),
        Some(Procedure::Service(before)) => (before.update, before.completed),
        _ => (None, false),
    };
    let service = ServiceRequest { first, activation, status, paged, update, completed };
    ue.procedure = Some(Procedure::Service(service));
    activation::proceed(ue, amf);
}

/// What a UE may ask for where it has no service (TS 24.501 §5.3.5.2).
fn is_unrestricted(kind: Option<ServiceType>) -> bool {
    use ServiceType as Type;
    matches!(
        kind,
        Some(
            Type::MobileTerminatedServices
                | Type::EmergencyServices
                | Type::EmergencyServicesFallback
                | Type::HighPriorityAccess
        )
    )
}

/// The request in the ciphered NAS message container (TS 24.501 §4.4.6).
fn whole(ue: &UeContext, request: &NasServiceRequest, count: Option<u32>) -> Option<NasServiceRequest> {
    let container = request.nas_message_container.as_ref()?;
    let plain = ue.security.as_ref()?.decipher_container(count?, &container.value);
    match tern_nas::decode_gmm(&plain, RECEIVED) {
        Ok(Nas5gmmMessage::ServiceRequest(whole)) => Some(*whole),
        _ => None,
    }
}

/// SERVICE ACCEPT (TS 24.501 §5.6.1.4).
pub(crate) fn accept(ue: &mut UeContext, amf: &mut Amf, service: ServiceRequest) {
    let mut message = NasServiceAccept::new();
    let active = session::active(ue);
    if service.status
        && let Ok(status) = NasPduSessionStatus::from_sessions(&active)
    {
        message = message.with_pdu_session_status(status);
    }
    if let Some(result) = service.activation.result(ue) {
        message = message.with_pdu_session_reactivation_result(result);
    }
    info!(ue = ue.name(), sessions = service.activation.count(), "service accepted");
    let plain = gmm::encode(amf, message);
    activation::deliver(ue, amf, &plain, Some(service.activation));
    match service.update {
        Some(update) if service.completed => update.complete(ue, amf),
        Some(update) => ue.procedure = Some(Procedure::ConfigurationUpdate(update)),
        None if service.paged => configuration_update::reallocate_guti(ue, amf),
        None => {}
    }
}

/// SERVICE REJECT (TS 24.501 §5.6.1.5), then the connection is released.
pub(crate) fn reject(ue: &mut UeContext, amf: &mut Amf, refusal: Refusal) {
    let gmm_cause = refusal.cause();
    warn!(ue = ue.name(), cause = gmm_cause as u8, why = %refusal, "SERVICE REJECT");
    amf.count("amf.gmm.service_rejected");
    let mut message = NasServiceReject::new(NasFGmmCause::from_cause(gmm_cause));
    if refusal == Refusal::Congestion {
        message.t3346_value = registration_reject::back_off(amf);
    }
    gmm::send_message(ue, amf, message);
    let why = cause::nas(CauseNas::normal_release);
    if let Some(Procedure::Registration(_) | Procedure::Deregistration(_)) = &ue.procedure {
        return gmm::release(ue, amf, why);
    }
    // What was under way over the connection ends with it.
    ue_context_release::command(ue, amf, why);
    gmm::connection_lost(ue, amf);
}
