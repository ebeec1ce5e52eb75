//! Service request: TS 24.501 §5.6.1, TS 23.502 §4.2.3.2.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_nas::nas_5gs::{
    Nas5gmmMessage, NasFGmmCause, NasPduSessionReactivationResult, NasPduSessionStatus, NasServiceAccept,
    NasServiceReject, NasServiceRequest,
};
use tern_ngap::cause;
use tern_ngap::ngap::CauseNas;
use tern_types::{Duration, Instant, PduSessionId};
use tracing::{info, warn};

use crate::Amf;
use crate::error::Refusal;
use crate::gmm::{self, Procedure, RECEIVED};
use crate::ngap::initial_context_setup::{self, SessionResources};
use crate::session::{self, Work};
use crate::supervised::Protection;
use crate::ue::{ContextSetup, N2SmKind, UeContext};

/// How long the SMFs have to activate sessions; the others are told as not reactivated.
pub const ACTIVATION_WITHIN: Duration = Duration::from_secs(5);

/// A service request that waits for SMFs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceRequest {
    /// Sessions to reactivate; the transfer once the SMF gave it.
    wanted: BTreeMap<PduSessionId, Option<Bytes>>,
    /// Whether the UE sent its PDU session status.
    status: bool,
    deadline: Instant,
}

impl ServiceRequest {
    /// When the SMFs' time is over.
    pub fn deadline(&self) -> Option<Instant> {
        Some(self.deadline)
    }
}

/// SERVICE REQUEST.
pub(crate) fn on_request(
    ue: &mut UeContext,
    amf: &mut Amf,
    request: NasServiceRequest,
    verified: bool,
    count: Option<u32>,
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
    let request = whole(ue, &request, count).unwrap_or(request);
    if let Some(status) = &request.pdu_session_status {
        session::release_inactive(ue, amf, |id| status.is_active(id.get()));
    }
    let wanted = request.uplink_data_status.as_ref().map(|ie| ie.sessions_with_data()).unwrap_or_default();
    let wanted: BTreeMap<_, _> =
        wanted.into_iter().filter_map(PduSessionId::new).map(|id| (id, None)).collect();
    let deadline = amf.now + ACTIVATION_WITHIN;
    let status = request.pdu_session_status.is_some();
    let activate: Vec<PduSessionId> = wanted
        .keys()
        .copied()
        .filter(|id| ue.sessions.get(id).is_some_and(|session| !session.resources))
        .collect();
    ue.procedure = Some(Procedure::Service(ServiceRequest { wanted, status, deadline }));
    for id in activate {
        session::push(ue, amf, id, Work::Activate);
    }
    proceed(ue, amf);
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

/// An SMF has activated a session: its N2 information waits for the others. Says whether it was
/// taken.
pub(crate) fn activated(ue: &mut UeContext, id: PduSessionId, n2: &Option<(N2SmKind, Bytes)>) -> bool {
    let Some(Procedure::Service(service)) = &mut ue.procedure else { return false };
    match (n2, service.wanted.get_mut(&id)) {
        (Some((N2SmKind::SetupRequest, transfer)), Some(wanted)) => {
            *wanted = Some(transfer.clone());
            true
        }
        _ => false,
    }
}

/// Answers the UE once no SMF is waited for.
pub(crate) fn proceed(ue: &mut UeContext, amf: &mut Amf) {
    let Some(Procedure::Service(service)) = &ue.procedure else { return };
    let waiting = service.wanted.iter().any(|(id, transfer)| {
        transfer.is_none() && ue.sessions.get(id).is_some_and(session::Session::is_busy)
    });
    if waiting && amf.now < service.deadline {
        return;
    }
    let Some(Procedure::Service(service)) = ue.procedure.take() else { return };
    accept(ue, amf, service);
}

fn accept(ue: &mut UeContext, amf: &mut Amf, service: ServiceRequest) {
    let up = |id: &PduSessionId| ue.sessions.get(id).is_some_and(|session| session.resources);
    let failed: Vec<u8> = service
        .wanted
        .iter()
        .filter(|(id, transfer)| transfer.is_none() && !up(id))
        .map(|(id, _)| id.get())
        .collect();
    let mut message = NasServiceAccept::new();
    let active = session::active(ue);
    if service.status
        && let Ok(status) = NasPduSessionStatus::from_sessions(&active)
    {
        message = message.with_pdu_session_status(status);
    }
    if !service.wanted.is_empty()
        && let Ok(result) = NasPduSessionReactivationResult::from_failed_sessions(&failed)
    {
        message = message.with_pdu_session_reactivation_result(result);
    }
    info!(ue = ue.name(), sessions = service.wanted.len(), failed = failed.len(), "service accepted");
    let plain = gmm::encode(amf, message);
    let resources: Vec<SessionResources> = service
        .wanted
        .into_iter()
        .filter_map(|(id, transfer)| transfer.map(|transfer| SessionResources { id, transfer }))
        .collect();
    match ue.n2.as_ref().map(|n2| n2.context) {
        Some(ContextSetup::None) => {
            if let Some(octets) = gmm::protect(ue, amf, &plain, Protection::Current) {
                initial_context_setup::request(ue, amf, octets, resources);
            }
        }
        Some(ContextSetup::Requested | ContextSetup::Done) => {
            gmm::send(ue, amf, &plain, Protection::Current);
            for SessionResources { id, transfer } in resources {
                let n2 = Some((N2SmKind::SetupRequest, transfer));
                session::downlink(ue, amf, crate::ue::HeldMessage { session: id, n1: None, n2 });
            }
        }
        None => {}
    }
}

/// SERVICE REJECT (TS 24.501 §5.6.1.5), then the connection is released.
pub(crate) fn reject(ue: &mut UeContext, amf: &mut Amf, refusal: Refusal) {
    let gmm_cause = refusal.cause();
    warn!(ue = ue.name(), cause = gmm_cause as u8, why = %refusal, "SERVICE REJECT");
    amf.count("amf.gmm.service_rejected");
    let message = NasServiceReject::new(NasFGmmCause::from_cause(gmm_cause));
    gmm::send_message(ue, amf, message);
    gmm::release(ue, amf, cause::nas(CauseNas::normal_release));
}
