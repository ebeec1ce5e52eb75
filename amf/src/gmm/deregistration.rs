//! De-registration: TS 24.501 §5.5.2, TS 23.502 §4.2.2.3.

use serde::{Deserialize, Serialize};
use tern_nas::nas_5gs::{
    DeregistrationAccessType, GmmCause, Nas5gmmMessage, NasDeRegistrationType,
    NasDeregistrationAcceptUeOriginating, NasDeregistrationRequestUeOriginating,
    NasDeregistrationRequestUeTerminated, NasFGmmCause,
};
use tern_ngap::cause;
use tern_ngap::ngap::CauseNas;
use tern_types::{Instant, Supi};
use tracing::{info, warn};

use crate::Amf;
use crate::admission;
use crate::gmm::registration::restore_security;
use crate::gmm::subscription_change::Changes;
use crate::gmm::{self, Procedure, Uplink, paging, registration_reject};
use crate::ngap::ue_context_release;
use crate::sbi::{namf_loc, pcf, udm};
use crate::session;
use crate::supervised::{Expiry, Protection, Supervised, T3522};
use crate::ue::UeContext;

/// Network-initiated: DEREGISTRATION REQUEST under T3522.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deregistration {
    sent: Supervised,
    reason: Reason,
}

/// Why the network deregisters a UE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The subscription is gone.
    SubscriptionWithdrawn,
    /// The UE is to register again.
    Reregistration,
    /// No slice is left that the UE may use.
    NoNetworkSlicesAvailable,
    /// There is no room for it: it is to stay away while T3346 runs.
    Congestion,
}

/// DEREGISTRATION REQUEST of the UE (TS 24.501 §5.5.2.2).
pub(crate) fn on_request(
    ue: &mut UeContext,
    amf: &mut Amf,
    request: &NasDeregistrationRequestUeOriginating,
    verified: bool,
    previous: bool,
) {
    if !verified {
        // Who proves nothing ends nothing: the connection is released, the UE stays as it is
        // (TS 24.501 §4.4.4.3).
        amf.count("amf.gmm.deregistration_unverified");
        warn!(ue = ue.name(), "DEREGISTRATION REQUEST without integrity protection ignored");
        return gmm::release(ue, amf, cause::nas(CauseNas::unspecified));
    }
    let switch_off = request.de_registration_type.switch_off();
    if !switch_off && matches!(&ue.procedure, Some(Procedure::Registration(r)) if r.comes_before_leaving()) {
        // TS 24.501 §5.4.3.6 f, §5.5.1.3.8 g: what runs is completed first.
        amf.count("amf.gmm.deregistration_waits");
        ue.leaving = true;
        return;
    }
    if switch_off
        && previous
        && let Some(Procedure::Registration(running)) = &mut ue.procedure
        && running.is_securing()
    {
        // TS 24.501 §5.4.2.7 d: both go on; the connection goes with the end of security mode control.
        running.left = true;
        info!(ue = ue.name(), switch_off, "UE deregisters while it is given new keys");
        amf.count("amf.gmm.deregistered");
        ue.leaving = false;
        return leave(ue, amf);
    }
    if previous {
        // The UE has not taken the context of SECURITY MODE COMMAND into use, and does not any more
        // (TS 24.501 §5.4.2.7 c).
        restore_security(ue);
    }
    accept(ue, amf, switch_off);
}

/// What had to be completed before the UE leaves is over, or its connection is.
pub(crate) fn go_on(ue: &mut UeContext, amf: &mut Amf) {
    if ue.n2.is_some() {
        return accept(ue, amf, false);
    }
    ue.leaving = false;
    leave(ue, amf);
}

/// The UE leaves, with DEREGISTRATION ACCEPT unless it switches off (TS 24.501 §5.5.2.2.3).
pub(crate) fn accept(ue: &mut UeContext, amf: &mut Amf, switch_off: bool) {
    info!(ue = ue.name(), switch_off, "UE deregisters");
    amf.count("amf.gmm.deregistered");
    // What was running is aborted (TS 24.501 §5.5.1.2.8, §5.5.2.3.5).
    let by_network = match ue.procedure.take() {
        Some(Procedure::Deregistration(machine)) => Some(machine.reason),
        _ => None,
    };
    ue.paging = None;
    ue.leaving = false;
    if !switch_off {
        gmm::send_message(ue, amf, NasDeregistrationAcceptUeOriginating::new());
    }
    // With the connection go the sessions' resources at the gNB.
    gmm::release(ue, amf, cause::nas(CauseNas::deregister));
    match by_network {
        Some(reason) => forget(ue, amf, reason),
        None => leave(ue, amf),
    }
}

/// Starts the network-initiated procedure (TS 24.501 §5.5.2.3.1).
pub(crate) fn start(ue: &mut UeContext, amf: &mut Amf, reason: Reason) {
    let registering = match &ue.procedure {
        Some(Procedure::Registration(running)) => !ue.registered || running.is_securing(),
        _ => false,
    };
    if registering {
        // It hears of it once it is registered (TS 24.501 §5.5.2.3.1), or has its new keys (§5.4.2.7 d).
        ue.deregistering = Some(reason);
        return;
    }
    if ue.registered && ue.n2.is_none() && paging::call(ue, amf).is_ok() {
        // TS 23.502 §4.2.2.3.3 step 2: it hears of it once it has answered the page.
        ue.deregistering = Some(reason);
        return;
    }
    ue.deregistering = None;
    let secured = ue.n2.as_ref().is_some_and(|n2| n2.secured);
    if !ue.registered || !secured {
        // Not reachable: the network alone forgets (TS 24.501 §5.5.2.3.1).
        return forget(ue, amf, reason);
    }
    let mut kind = NasDeRegistrationType::new(0)
        .with_deregistration_access_type(DeregistrationAccessType::ThreeGppAccess);
    if reason == Reason::Reregistration {
        kind = kind.with_re_registration_required(true);
    }
    let mut request = NasDeregistrationRequestUeTerminated::new(kind);
    let why = match reason {
        Reason::SubscriptionWithdrawn => Some(GmmCause::IllegalUe),
        Reason::NoNetworkSlicesAvailable => Some(GmmCause::NoNetworkSlicesAvailable),
        Reason::Congestion => Some(GmmCause::Congestion),
        Reason::Reregistration => None,
    };
    if let Some(why) = why {
        request = request.with_fgmm_cause(NasFGmmCause::from_cause(why));
    }
    if reason == Reason::Congestion {
        request.t3346_value = registration_reject::back_off(amf);
    }
    info!(ue = ue.name(), ?reason, "network deregisters the UE");
    admission::leave(ue, amf);
    let sent = gmm::send_supervised(ue, amf, T3522, request, Protection::Current);
    ue.procedure = Some(Procedure::Deregistration(Deregistration { sent, reason }));
}

impl Deregistration {
    /// When T3522 expires.
    pub fn deadline(&self) -> Instant {
        self.sent.deadline()
    }

    /// DEREGISTRATION ACCEPT, or something that does not belong here.
    pub(crate) fn on_answer(self, ue: &mut UeContext, amf: &mut Amf, uplink: &Uplink) {
        match uplink.message {
            Nas5gmmMessage::DeregistrationAcceptUeTerminated(_) => self.end(ue, amf),
            _ => ue.procedure = Some(Procedure::Deregistration(self)),
        }
    }

    /// T3522 may have expired; the fifth time the UE counts as deregistered (TS 24.501 §5.5.2.3.5 a).
    pub(crate) fn expire(mut self, ue: &mut UeContext, amf: &mut Amf) {
        match gmm::resupervise(ue, amf, &mut self.sent) {
            Expiry::Abort => self.end(ue, amf),
            Expiry::NotYet | Expiry::Retransmit => ue.procedure = Some(Procedure::Deregistration(self)),
        }
    }

    /// The connection is gone before the answer (TS 24.501 §5.5.2.3.5 b).
    pub(crate) fn connection_lost(self, ue: &mut UeContext, amf: &mut Amf) {
        forget(ue, amf, self.reason);
    }

    fn end(self, ue: &mut UeContext, amf: &mut Amf) {
        gmm::release(ue, amf, cause::nas(CauseNas::deregister));
        forget(ue, amf, self.reason);
    }
}

/// The UE counts as deregistered. Of one that there is no room for nothing is kept.
pub(crate) fn forget(ue: &mut UeContext, amf: &mut Amf, reason: Reason) {
    leave(ue, amf);
    if reason == Reason::Congestion {
        amf.count("amf.gmm.congestion_deregistered");
        (ue.security, ue.reachability) = (None, None);
    }
}

/// Enters 5GMM-DEREGISTERED: sessions, policy, and what the UDM holds of this AMF go. The
/// security context and the 5G-GUTI stay for a while, for the UE's next registration.
pub(crate) fn leave(ue: &mut UeContext, amf: &mut Amf) {
    ue.registered = false;
    ue.deregistering = None;
    // Its sessions go: nobody waits for what it is paged for.
    ue.paging = None;
    session::release_all(ue, amf);
    pcf::forget(ue);
    (ue.changes, ue.changed_data) = (Changes::default(), None);
    if let Some(policy) = ue.am_policy.take() {
        pcf::delete(ue, amf, &policy);
    }
    if let Some(supi) = ue.supi.clone() {
        if let Some(subscription) = ue.sdm_subscription.take() {
            udm::unsubscribe(ue, amf, &supi, &subscription);
        }
        if std::mem::take(&mut ue.at_udm) {
            udm::purge(ue, amf, &supi);
        }
    }
    ue.subscription = None;
    ue.presence.clear();
    ue.old_registration_area.clear();
    ue.recommended_cells = None;
    ue.allowed.clear();
    ue.reachability = None;
    if ue.n2.is_none() {
        gmm::become_idle(ue, amf);
    }
}

/// The UDM or the subscription's end has taken the UE from this AMF: nothing is told back.
pub(crate) fn moved_away(ue: &mut UeContext, amf: &mut Amf) {
    ue.at_udm = false;
    ue.procedure = None;
    gmm::release(ue, amf, cause::nas(CauseNas::normal_release));
    leave(ue, amf);
    // Its context lives elsewhere now.
    ue.security = None;
    ue.reachability = None;
}

/// Authentication has found who the UE is: what another context holds of the same SUPI comes
/// here, and that context's connection goes.
pub(crate) fn take_over(ue: &mut UeContext, amf: &mut Amf, supi: &Supi) {
    if ue.supi.as_ref().is_some_and(|known| known != supi) {
        // Another subscriber in the same equipment: nothing of the former one stays.
        leave(ue, amf);
        if let Some(former) = ue.supi.take()
            && amf.by_supi.get(&former) == Some(&ue.id)
        {
            amf.by_supi.remove(&former);
        }
        ue.pei = None;
    }
    let other = amf.by_supi.insert(supi.clone(), ue.id).filter(|&id| id != ue.id);
    ue.supi = Some(supi.clone());
    let Some(mut other) = other.and_then(|id| amf.ues.remove(&id)) else { return };
    info!(ue = %supi, "an older context of the same UE is taken over");
    amf.count("amf.gmm.context_taken_over");
    other.procedure = None;
    // It has been found: what it was paged for goes out when it is accepted.
    paging::stop(&mut other, amf);
    ue.paging = other.paging.take();
    ue_context_release::command(&mut other, amf, cause::nas(CauseNas::normal_release));
    session::suspend_all(&mut other, amf);
    amf.readdress(other.id, ue.id);
    ue.sessions = std::mem::take(&mut other.sessions);
    ue.am_policy = other.am_policy.take();
    ue.policy_area = other.policy_area.take();
    ue.policy_ambr = other.policy_ambr.take();
    ue.policy_rfsp = other.policy_rfsp.take();
    ue.policy_triggers = std::mem::take(&mut other.policy_triggers);
    ue.policy_update = other.policy_update.take();
    ue.changes = other.changes;
    ue.changed_data = other.changed_data.take();
    ue.sdm_subscription = other.sdm_subscription.take();
    ue.locating = match (ue.locating.take(), other.locating.take()) {
        (Some(ours), theirs) => {
            namf_loc::forget(amf, theirs);
            Some(ours)
        }
        (None, theirs) => theirs,
    };
    ue.subscription = other.subscription.take();
    ue.radio_capability = ue.radio_capability.take().or(other.radio_capability.take());
    ue.at_udm = other.at_udm;
    ue.registered = other.registered;
    ue.allowed = std::mem::take(&mut other.allowed);
    // The UE may still use the older 5G-GUTI until it has the new one.
    if let Some(guti) = other.guti.take() {
        match ue.guti {
            None => {
                ue.guti = Some(guti);
                amf.by_tmsi.insert(guti.tmsi, ue.id);
            }
            Some(_) => amf.release_tmsi(guti, other.id),
        }
    }
    amf.unindex(&other);
}
