//! Notifications to the AMF.

use tern_sbi::npcf_am::{AmPolicyTerminateNotify, AmPolicyUpdateNotify};
use tern_sbi::nsmf_pdusession::{ResourceStatus, SmContextStatusNotify};
use tern_sbi::nudm_sdm::DataChangeNotify;
use tern_sbi::nudm_uecm::{DeregistrationNotify, DeregistrationReason};
use tern_sbi::{Operation, OperationError, ProblemDetails, Response};
use tern_types::{PduSessionId, Supi};
use tracing::info;

use crate::Amf;
use crate::gmm::deregistration::{self, Reason};
use crate::gmm::subscription_change::{self, Before};
use crate::io::Token;
use crate::sbi::pcf;
use crate::session;
use crate::ue::UeContext;

/// Works on the UE that a callback's URI names; 404 if it is unknown, else 204.
fn on_ue<O: Operation<Answer = (), Failure = ProblemDetails>>(
    amf: &mut Amf,
    token: Token,
    supi: Option<Supi>,
    work: impl FnOnce(&mut UeContext, &mut Amf),
) {
    let ue = supi.and_then(|supi| amf.by_supi.get(&supi)).copied();
    let known = ue.is_some_and(|id| amf.ues.contains_key(&id));
    let answer = if known {
        Ok(Response::no_content())
    } else {
        Err(OperationError::Problem(ProblemDetails::new(404, "CONTEXT_NOT_FOUND")))
    };
    // The answer first: what follows from the notification is not the notifier's affair.
    amf.answer(token, O::to_reply(answer));
    if let Some(ue) = ue {
        amf.with_ue(ue, work);
    }
}

fn supi_of(key: Option<String>) -> Option<Supi> {
    key?.parse().ok()
}

/// SmContextStatusNotify (TS 29.502 §5.2.2.5).
pub(crate) fn on_sm_context_status(amf: &mut Amf, token: Token, request: &SmContextStatusNotify) {
    let key = request.key();
    let parts = key.as_deref().and_then(|key| key.rsplit_once('-'));
    let supi = parts.and_then(|(supi, _)| supi.parse().ok());
    let id = parts.and_then(|(_, id)| id.parse().ok()).and_then(PduSessionId::new);
    let released = request.notification.status_info.resource_status == ResourceStatus::Released;
    on_ue::<SmContextStatusNotify>(amf, token, supi, |ue, amf| {
        if let Some(id) = id.filter(|_| released) {
            session::drop_session(ue, amf, id);
        }
    });
}

/// DeregistrationNotification (TS 29.503 §5.3.2.3).
pub(crate) fn on_deregistration(amf: &mut Amf, token: Token, request: &DeregistrationNotify) {
    let reason = request.data.dereg_reason.clone();
    on_ue::<DeregistrationNotify>(amf, token, supi_of(request.key()), |ue, amf| {
        info!(ue = ue.name(), %reason, "deregistration by the UDM");
        // The UDM has no registration of this AMF to be purged.
        ue.at_udm = false;
        match reason {
            DeregistrationReason::SubscriptionWithdrawn => {
                deregistration::start(ue, amf, Reason::SubscriptionWithdrawn);
            }
            DeregistrationReason::ReregistrationRequired => {
                deregistration::start(ue, amf, Reason::Reregistration);
            }
            _ => deregistration::moved_away(ue, amf),
        }
    });
}

/// Data change (TS 29.503 §5.2.2.5).
pub(crate) fn on_data_change(amf: &mut Amf, token: Token, request: &DataChangeNotify) {
    on_ue::<DataChangeNotify>(amf, token, supi_of(request.key()), subscription_change::start);
}

/// AM policy update (TS 29.507 §4.2.4.2): what it does not name stays as it is.
pub(crate) fn on_am_policy_update(amf: &mut Amf, token: Token, request: &AmPolicyUpdateNotify) {
    let update = request.update.clone();
    on_ue::<AmPolicyUpdateNotify>(amf, token, supi_of(request.key()), |ue, amf| {
        let before = Before::of(ue);
        pcf::apply(ue, amf, update);
        subscription_change::took_effect(ue, amf, &before);
    });
}

/// AM policy termination (TS 29.507 §4.2.4.3).
pub(crate) fn on_am_policy_termination(amf: &mut Amf, token: Token, request: &AmPolicyTerminateNotify) {
    on_ue::<AmPolicyTerminateNotify>(amf, token, supi_of(request.key()), |ue, amf| {
        let before = Before::of(ue);
        if let Some(policy) = ue.am_policy.take() {
            pcf::delete(ue, amf, &policy);
        }
        pcf::forget(ue);
        subscription_change::took_effect(ue, amf, &before);
    });
}
