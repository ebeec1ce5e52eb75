//! 5GMM, network side: TS 24.501 §5. One file per procedure.

pub(crate) mod activation;
pub(crate) mod authentication;
pub(crate) mod configuration_update;
pub(crate) mod deregistration;
pub(crate) mod identification;
pub(crate) mod nas_transport;
pub(crate) mod paging;
pub(crate) mod registration;
pub(crate) mod registration_accept;
pub(crate) mod registration_home;
pub(crate) mod registration_reject;
pub(crate) mod registration_request;
pub(crate) mod registration_start;
pub(crate) mod security;
pub(crate) mod security_mode;
pub(crate) mod service_area;
pub(crate) mod service_request;
pub(crate) mod slices;
pub(crate) mod subscription_change;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_nas::nas_5gs::{Direction, GmmCause, Nas5gmmMessage, Nas5gsMessage, NasFGmmCause, NasFGmmStatus};
use tern_types::{Duration, Instant};
use tracing::{debug, error, info, warn};

use crate::Amf;
use crate::admission;
use crate::error::Refusal;
use crate::io::{ReplyResult, Token};
use crate::ngap::{handover, nas_transport as ngap_nas, ue_context_modification, ue_context_release};
use crate::sbi::namf_loc;
use crate::session;
use crate::supervised::{Expiry, Protection, Supervised};
use crate::ue::{Reachability, UeContext};

pub use activation::Activation;
pub use authentication::Authentication;
pub use configuration_update::ConfigurationUpdate;
pub use deregistration::Deregistration;
pub use identification::Identification;
pub use paging::Paging;
pub use registration::Registration;
pub use security_mode::SecurityModeControl;
pub use service_request::ServiceRequest;

/// The mobile reachable timer is T3512 and this (TS 24.501 §5.3.7).
pub const MOBILE_REACHABLE_MARGIN: Duration = Duration::from_secs(4 * 60);
/// Implicit de-registration timer after the mobile reachable timer.
pub const IMPLICIT_DEREGISTRATION: Duration = Duration::from_secs(4 * 60);
/// How long the security context of a deregistered UE is kept.
pub const DEREGISTERED_RETAINED: Duration = Duration::from_secs(60 * 60);

/// The specific procedure of a UE; there is one at a time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Procedure {
    /// TS 24.501 §5.5.1.
    Registration(Box<Registration>),
    /// Network-initiated, TS 24.501 §5.5.2.3.
    Deregistration(Deregistration),
    /// TS 24.501 §5.6.1.
    Service(ServiceRequest),
    /// TS 24.501 §5.4.4.
    ConfigurationUpdate(ConfigurationUpdate),
}

impl Procedure {
    /// When it wants to be woken.
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Registration(machine) => machine.deadline(),
            Self::Deregistration(machine) => Some(machine.deadline()),
            Self::Service(machine) => machine.deadline(),
            Self::ConfigurationUpdate(machine) => Some(machine.deadline()),
        }
    }
}

/// What a transition made of a machine.
pub(crate) enum Progress<M, T, F> {
    /// It goes on.
    Running(M),
    /// It has its result.
    Done(T),
    /// It came to nothing.
    Failed(F),
}

/// An uplink 5GMM message with what NAS security says of it.
#[derive(Debug)]
pub(crate) struct Uplink {
    pub message: Nas5gmmMessage,
    /// The plain message.
    pub octets: Bytes,
    /// Whether its integrity was verified with the UE's security context.
    pub verified: bool,
    /// Its NAS COUNT, if verified.
    pub count: Option<u32>,
    /// Verified with the context before the one that security mode control is about to take into use.
    pub previous: bool,
}

/// Takes an uplink NAS message on the UE's connection: TS 24.501 §4.4.4.3.
pub(crate) fn on_nas(ue: &mut UeContext, amf: &mut Amf, octets: &Bytes) {
    let secured = ue.n2.as_ref().is_some_and(|n2| n2.secured);
    match security::receive(ue, amf, octets) {
        Ok(uplink) if uplink.verified || !secured || security::acceptable_unprotected(&uplink.message) => {
            dispatch(ue, amf, uplink);
        }
        Ok(_) => {
            amf.count("amf.nas.unprotected_discarded");
            debug!(ue = ue.name(), "message without integrity protection discarded");
        }
        Err(security::NotReceived::Discarded(why)) => {
            amf.count("amf.nas.discarded");
            debug!(ue = ue.name(), why, "NAS message discarded");
        }
        Err(security::NotReceived::Answer { answer, kind, verified }) => {
            amf.count("amf.nas.decode_error");
            // Who proves nothing ends nothing.
            if verified && refuse_undecodable(ue, amf, kind) {
                return;
            }
            if let Some(answer) = answer {
                send(ue, amf, &answer, Protection::Current);
            }
        }
    }
}

/// TS 24.501 Table 9.7.1.
pub(crate) const REGISTRATION_REQUEST: u8 = 0x41;
/// TS 24.501 Table 9.7.1.
pub(crate) const SERVICE_REQUEST: u8 = 0x4c;

/// A request with a protocol error (TS 24.501 §5.5.1.2.8 b, §5.5.1.3.8 b, §5.6.1.8 b); says whether it is one
/// that is rejected for it.
pub(crate) fn refuse_undecodable(ue: &mut UeContext, amf: &mut Amf, kind: Option<u8>) -> bool {
    let refusal = Refusal::InvalidMandatoryInformation;
    match kind {
        // No UE does this: what runs goes on.
        _ if matches!(ue.procedure, Some(Procedure::Deregistration(_))) => return false,
        Some(REGISTRATION_REQUEST) => {
            registration_start::abort_running(ue, amf);
            registration_reject::reject(ue, amf, refusal, &[]);
        }
        Some(SERVICE_REQUEST) if !matches!(ue.procedure, Some(Procedure::Registration(_))) => {
            service_request::reject(ue, amf, refusal);
        }
        _ => return false,
    }
    true
}

/// Gives a message to the procedure it belongs to.
pub(crate) fn dispatch(ue: &mut UeContext, amf: &mut Amf, uplink: Uplink) {
    use Nas5gmmMessage as M;
    let verified = uplink.verified;
    match uplink.message {
        M::RegistrationRequest(_) => registration_start::on_request(ue, amf, uplink),
        M::DeregistrationRequestUeOriginating(request) => {
            deregistration::on_request(ue, amf, &request, verified, uplink.previous);
        }
        M::ServiceRequest(request) => {
            service_request::on_request(ue, amf, *request, verified, uplink.count, uplink.octets);
        }
        M::UlNasTransport(transport) if verified => nas_transport::on_uplink(ue, amf, *transport),
        M::RegistrationComplete(_)
        | M::SecurityModeComplete(_)
        | M::DeregistrationAcceptUeTerminated(_)
        | M::ConfigurationUpdateComplete(_)
        | M::UlNasTransport(_)
            if !verified && !matches!(uplink.message, M::DeregistrationAcceptUeTerminated(_)) =>
        {
            amf.count("amf.nas.unprotected_discarded");
        }
        M::RegistrationComplete(_)
        | M::IdentityResponse(_)
        | M::AuthenticationResponse(_)
        | M::AuthenticationFailure(_)
        | M::SecurityModeComplete(_)
        | M::SecurityModeReject(_)
        | M::DeregistrationAcceptUeTerminated(_) => on_answer(ue, amf, uplink),
        M::ConfigurationUpdateComplete(_) => configuration_update::on_complete(ue, amf),
        M::NotificationResponse(_) => {}
        M::FiveGmmStatus(status) => {
            warn!(ue = ue.name(), cause = %status.fgmm_cause, "5GMM STATUS from the UE");
            amf.count("amf.nas.status_received");
        }
        _ => status(ue, amf, GmmCause::MessageTypeNonExistentOrNotImplemented),
    }
}

fn on_answer(ue: &mut UeContext, amf: &mut Amf, uplink: Uplink) {
    match ue.procedure.take() {
        Some(Procedure::Registration(machine)) => machine.on_answer(ue, amf, uplink),
        Some(Procedure::Deregistration(machine)) => machine.on_answer(ue, amf, &uplink),
        other => {
            ue.procedure = other;
            status(ue, amf, GmmCause::MessageTypeNotCompatibleWithTheProtocolState);
        }
    }
}

/// A reply to one of the UE's requests.
pub(crate) fn on_reply(ue: &mut UeContext, amf: &mut Amf, token: Token, reply: ReplyResult) {
    if let Some(session) = session::awaiting(ue, token) {
        session::on_reply(ue, amf, session, reply);
        handover::proceed(ue, amf);
        return activation::proceed(ue, amf);
    }
    if subscription_change::awaits(ue, token) {
        return subscription_change::on_reply(ue, amf, token, reply);
    }
    match ue.procedure.take() {
        Some(Procedure::Registration(machine)) => machine.on_reply(ue, amf, token, reply),
        other => {
            ue.procedure = other;
            let failed = !matches!(&reply, Ok(reply) if (200..300).contains(&reply.status));
            amf.count(if failed { "amf.sbi.told_failed" } else { "amf.sbi.told" });
        }
    }
}

/// The gNB has the AS keys that it is to have: NAS keys may be changed again (TS 33.501 §6.9.5).
pub(crate) fn keys_given(ue: &mut UeContext, amf: &mut Amf) {
    match ue.procedure.take() {
        Some(Procedure::Registration(machine)) => machine.keys_given(ue, amf),
        other => ue.procedure = other,
    }
}

/// Time has passed.
pub(crate) fn expire(ue: &mut UeContext, amf: &mut Amf) {
    match ue.procedure.take() {
        Some(Procedure::Registration(machine)) => machine.expire(ue, amf),
        Some(Procedure::Deregistration(machine)) => machine.expire(ue, amf),
        Some(Procedure::ConfigurationUpdate(machine)) => machine.expire(ue, amf),
        Some(Procedure::Service(service)) => service.expire(ue, amf),
        other => ue.procedure = other,
    }
    handover::proceed(ue, amf);
    ue_context_modification::expire(ue, amf);
    activation::proceed(ue, amf);
    admission::expire(ue, amf);
    paging::expire(ue, amf);
    namf_loc::expire(ue, amf);
    let Some(reachability) = ue.reachability else { return };
    if amf.now < reachability.deadline() {
        return;
    }
    match reachability {
        Reachability::MobileReachable(_) => {
            let at = amf.now + IMPLICIT_DEREGISTRATION;
            ue.reachability = Some(Reachability::ImplicitDeregistration(at));
        }
        Reachability::ImplicitDeregistration(_) => {
            info!(ue = ue.name(), "implicitly deregistered");
            deregistration::leave(ue, amf);
        }
        Reachability::Retained(_) => ue.reachability = None,
    }
}

/// Encodes a message of ours.
pub(crate) fn encode(amf: &mut Amf, message: impl Into<Nas5gmmMessage>) -> Bytes {
    match tern_nas::encode(&Nas5gsMessage::new_5gmm(message)) {
        Ok(octets) => octets,
        Err(error) => {
            amf.count("amf.nas.encode_error");
            error!(%error, "NAS message not encoded");
            // A message that says no more than that something went wrong here.
            Bytes::from_static(&[0x7e, 0x00, 0x64, 0x6f])
        }
    }
}

/// Protects a plain message as the connection's state asks; `None` if that cannot be done.
pub(crate) fn protect(
    ue: &mut UeContext,
    amf: &mut Amf,
    plain: &Bytes,
    protection: Protection,
) -> Option<Bytes> {
    let secured = ue.n2.as_ref().is_some_and(|n2| n2.secured);
    if protection == Protection::Current && !secured {
        return Some(plain.clone());
    }
    let protected = ue.security.as_mut().and_then(|context| security::protect(context, plain, protection));
    if protected.is_none() {
        amf.count("amf.nas.protect_failed");
        warn!(ue = ue.name(), "NAS message not protected: no context, or its COUNT is used up");
    }
    protected
}

/// Sends a NAS message in DOWNLINK NAS TRANSPORT.
pub(crate) fn send(ue: &mut UeContext, amf: &mut Amf, plain: &Bytes, protection: Protection) {
    if let Some(octets) = protect(ue, amf, plain, protection) {
        ngap_nas::send_downlink(ue, amf, octets);
    }
}

/// Encodes and sends a message.
pub(crate) fn send_message(ue: &mut UeContext, amf: &mut Amf, message: impl Into<Nas5gmmMessage>) {
    let plain = encode(amf, message);
    send(ue, amf, &plain, Protection::Current);
}

/// Sends a message and supervises its answer.
pub(crate) fn send_supervised(
    ue: &mut UeContext,
    amf: &mut Amf,
    timer: tern_types::Timer,
    message: impl Into<Nas5gmmMessage>,
    protection: Protection,
) -> Supervised {
    let plain = encode(amf, message);
    send(ue, amf, &plain, protection);
    Supervised::new(amf.now, timer, plain, protection)
}

/// Lets a supervised message expire, sending it again if its timer says so.
pub(crate) fn resupervise(ue: &mut UeContext, amf: &mut Amf, sent: &mut Supervised) -> Expiry {
    let expiry = sent.expire(amf.now);
    if expiry == Expiry::Retransmit {
        amf.count("amf.nas.retransmission");
        let plain = sent.message.clone();
        send(ue, amf, &plain, sent.protection);
    }
    expiry
}

/// 5GMM STATUS (TS 24.501 §5.4.6).
pub(crate) fn status(ue: &mut UeContext, amf: &mut Amf, cause: GmmCause) {
    amf.count("amf.nas.status_sent");
    debug!(ue = ue.name(), ?cause, "5GMM STATUS");
    send_message(ue, amf, NasFGmmStatus::new(NasFGmmCause::from_cause(cause)));
}

/// The NG connection is gone: what was under way over it ends (TS 24.501 §5.5.1.2.8 a, §5.3.1).
pub(crate) fn connection_lost(ue: &mut UeContext, amf: &mut Amf) {
    match ue.procedure.take() {
        Some(Procedure::Registration(machine)) => machine.connection_lost(ue, amf),
        Some(Procedure::Deregistration(machine)) => machine.connection_lost(ue, amf),
        Some(Procedure::Service(service)) => service.activation.abandon(ue),
        Some(Procedure::ConfigurationUpdate(_)) | None => {}
    }
    session::suspend_all(ue, amf);
    become_idle(ue, amf);
    if ue.leaving {
        deregistration::go_on(ue, amf);
    }
}

/// Enters CM-IDLE: the mobile reachable timer starts for a registered UE.
pub(crate) fn become_idle(ue: &mut UeContext, amf: &mut Amf) {
    // What the UE was paged for, if its answer to the page came to nothing.
    paging::fail(ue, amf);
    // The gNB says no more of where it is.
    namf_loc::answer_all(ue, amf, false);
    if ue.registered {
        let t3512 = Duration::from_secs(registration_accept::t3512_seconds(amf.config.timers.t3512_s));
        let at = amf.now + t3512 + MOBILE_REACHABLE_MARGIN;
        ue.reachability = Some(Reachability::MobileReachable(at));
    } else if ue.supi.is_some() && ue.security.is_some() && ue.guti.is_some() {
        if !matches!(ue.reachability, Some(Reachability::Retained(_))) {
            ue.reachability = Some(Reachability::Retained(amf.now + DEREGISTERED_RETAINED));
        }
    } else {
        ue.reachability = None;
    }
}

/// Releases the N1 NAS signalling connection.
pub(crate) fn release(ue: &mut UeContext, amf: &mut Amf, cause: tern_ngap::ngap::Cause) {
    ue_context_release::command(ue, amf, cause);
    become_idle(ue, amf);
}

/// The direction of what the AMF receives.
pub(crate) const RECEIVED: Direction = Direction::Uplink;
