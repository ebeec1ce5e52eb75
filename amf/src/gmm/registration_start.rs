//! How a registration begins: TS 24.501 §5.5.1.2.2, §5.5.1.3.2, §5.5.1.2.8.

use bytes::Bytes;
use tern_nas::nas_5gs::Nas5gmmMessage;
use tracing::info;

use crate::Amf;
use crate::config::Reauthentication;
use crate::error::Refusal;
use crate::gmm::registration::{Registration, Step, restore_security};
use crate::gmm::registration_reject::reject;
use crate::gmm::registration_request::{ClaimedIdentity, RegistrationKind, RegistrationRequest};
use crate::gmm::{
    Identification, Procedure, SecurityModeControl, Uplink, paging, registration_accept, security_mode,
};
use crate::ue::UeContext;

/// A REGISTRATION REQUEST came on the UE's connection.
pub(crate) fn on_request(ue: &mut UeContext, amf: &mut Amf, uplink: Uplink) {
    let Nas5gmmMessage::RegistrationRequest(message) = &uplink.message else { return };
    if let Some(Procedure::Registration(running)) = &mut ue.procedure
        && running.first == uplink.octets
    {
        // TS 24.501 §5.5.1.2.8: the same request again.
        amf.count("amf.gmm.registration_repeated");
        let resend = match &mut running.step {
            Step::Accepting(sent) => {
                sent.restart(amf.now);
                Some(sent.message.clone())
            }
            _ => None,
        };
        if let Some(accept) = resend {
            registration_accept::resend(ue, amf, &accept);
        }
        return;
    }
    if let Some(Procedure::Deregistration(_)) = &ue.procedure
        && RegistrationKind::of(message) != Some(RegistrationKind::Initial)
    {
        // TS 24.501 §5.5.2.3.5 e: our DEREGISTRATION REQUEST has none of the causes that an update survives.
        amf.count("amf.nas.unexpected");
        return;
    }
    // A UE that is being asked for its SUCI need not be asked again (TS 24.501 §5.4.3.6 e).
    let identifying = match &ue.procedure {
        Some(Procedure::Registration(running)) => match &running.step {
            Step::Identifying(child) => Some(child.clone()),
            _ => None,
        },
        _ => None,
    };
    // A different request aborts what was running (TS 24.501 §5.5.1.2.8, §5.5.2.3.5 d, §5.6.1.8).
    abort_running(ue, amf);
    ue.leaving = false;
    // On a connection that is secured already the COUNT of K_gNB stays: that of the latest SECURITY
    // MODE COMPLETE, or of the message that began the connection (TS 33.501 §6.8.1.1.2).
    if let (Some(n2), Some(count)) = (ue.n2.as_mut().filter(|n2| !n2.secured), uplink.count) {
        n2.secured = true;
        n2.k_gnb_count = count;
    }
    let mut verified = uplink.verified;
    let read = match (&ue.security, uplink.count) {
        (Some(context), Some(count)) => {
            let read = RegistrationRequest::of_initial(message, uplink.octets.clone(), context, count);
            verified &= read.is_some();
            read.unwrap_or_else(|| RegistrationRequest::of(message, uplink.octets.clone()))
        }
        _ => RegistrationRequest::of(message, uplink.octets.clone()),
    };
    if verified {
        paging::stop(ue, amf);
    }
    match read {
        Ok(request) => start(ue, amf, request, uplink.octets, verified, identifying),
        Err(refusal) => reject(ue, amf, refusal, &[]),
    }
}

/// What runs is given up.
pub(crate) fn abort_running(ue: &mut UeContext, amf: &mut Amf) {
    if let Some(procedure) = ue.procedure.take() {
        amf.count("amf.gmm.procedure_aborted");
        if let Procedure::Registration(running) = procedure
            && matches!(running.step, Step::SecuringNas(_))
        {
            restore_security(ue);
        }
    }
}

fn start(
    ue: &mut UeContext,
    amf: &mut Amf,
    request: RegistrationRequest,
    first: Bytes,
    verified: bool,
    identifying: Option<Identification>,
) {
    ue.claimed = match &request.identity {
        ClaimedIdentity::Suci(suci) => Some(suci.clone()),
        ClaimedIdentity::Guti(guti) => Some(guti.to_string()),
        ClaimedIdentity::Other => None,
    };
    info!(ue = ue.name(), kind = ?request.kind, verified, "registration");
    amf.count("amf.gmm.registration_started");
    let tai = ue.location.map(|location| location.tai);
    let Some(tai) = tai else { return reject(ue, amf, Refusal::ProtocolError, &[]) };
    if !amf.config.serves_plmn(tai.plmn_id) {
        return reject(ue, amf, Refusal::PlmnNotAllowed, &[]);
    }
    if !amf.config.serves(tai) {
        return reject(ue, amf, Refusal::NoSuitableCells, &[]);
    }
    if request.capability.is_empty() && ue.capability.is_empty() {
        // The IE is missing only where a context has it (TS 24.501 §8.2.6.4).
        return reject(ue, amf, Refusal::InvalidMandatoryInformation, &[]);
    }
    let same_capability = request.capability.is_empty() || request.capability == ue.capability;
    let mut machine = Registration {
        first,
        whole: verified,
        left: false,
        rejected: Vec::new(),
        step: Step::none(),
        request,
    };
    let fresh = ue.security.as_ref().is_some_and(|context| !context.nearly_exhausted());
    let wanted = match amf.config.security.reauthentication {
        Reauthentication::WhenNeeded => true,
        Reauthentication::Always => machine.request.kind != RegistrationKind::Initial,
        Reauthentication::EachRegistration => false,
    };
    if verified && fresh && same_capability && wanted && ue.supi.is_some() {
        if let Some((context, algorithms)) = security_mode::other_algorithms(ue, amf) {
            let child = SecurityModeControl::change_algorithms(ue, amf, context, algorithms);
            machine.step = Step::SecuringNas(child);
            return machine.run(ue);
        }
        return machine.subscribe(ue, amf);
    }
    if !machine.request.capability.is_empty() {
        ue.capability = machine.request.capability.clone();
    }
    match (&machine.request.identity, &ue.supi) {
        (ClaimedIdentity::Suci(suci), _) => {
            let suci = suci.clone();
            machine.authenticate(ue, amf, suci, true);
        }
        (ClaimedIdentity::Guti(_), Some(supi)) if verified => {
            let supi = supi.to_string();
            machine.authenticate(ue, amf, supi, false);
        }
        _ => {
            let child = identifying.unwrap_or_else(|| Identification::start(ue, amf));
            machine.step = Step::Identifying(child);
            machine.run(ue);
        }
    }
}
