//! Paging for 5GS services: TS 24.501 §5.6.2.2, TS 23.502 §4.2.3.3.
//!
//! It is no procedure among those of `Procedure`: the UE may begin any of them while it is paged, and
//! what proves to come from the UE answers the page.

use serde::{Deserialize, Serialize};
use tern_nf::Target;
use tern_sbi::Location;
use tern_sbi::namf_comm::{
    N1N2MessageTransferCause, N1N2MsgTxfrFailureNotification, N1N2TransferFailureNotify,
};
use tern_types::{Duration, Guti5g, Instant};
use tracing::{info, warn};

use crate::Amf;
use crate::gmm::deregistration;
use crate::ngap::paging as ngap;
use crate::sbi::namf_loc;
use crate::ue::{HeldMessage, Reachability, UeContext};

/// A UE that is paged, and what for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Paging {
    /// What the UE is paged for, oldest first.
    pending: Vec<Pending>,
    /// Paging Priority, 1 to 8, the lower the sooner; most have none.
    priority: Option<u8>,
    /// When T3513 expires; `None` once the UE has answered, until its answer is accepted.
    deadline: Option<Instant>,
    /// Times that the UE was paged.
    attempts: u8,
}

/// A session's message that waits for the UE.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub message: HeldMessage,
    /// The URI of the transfer, by which both sides know it.
    pub transfer: String,
    /// Who hears that it failed: n1n2FailureTxfNotifURI.
    pub failure: Option<Location>,
}

/// Why a UE is not paged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotPaged {
    /// It is deregistered, has not been heard of for too long, or no gNB serves its registration area.
    NotReachable,
    /// Too many messages wait for it.
    Full,
}

impl Paging {
    /// When T3513 expires.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes a message in; one of the same session and kind that it repeats goes. `false` if there is no room.
    fn add(&mut self, pending: Pending, limit: usize) -> bool {
        let kind = |message: &HeldMessage| message.n2.as_ref().map(|(kind, _)| *kind);
        let repeats = |old: &Pending| {
            let (old, new) = (&old.message, &pending.message);
            old.session == new.session && kind(old) == kind(new) && old.n1 == new.n1
        };
        self.pending.retain(|old| !repeats(old));
        let room = self.pending.len() < limit;
        if room {
            self.pending.push(pending);
        }
        room
    }
}

/// Pages a UE in CM-IDLE for a message, or has the message wait for the answer to the page under way.
pub(crate) fn start(
    ue: &mut UeContext,
    amf: &mut Amf,
    pending: Pending,
    priority: Option<u8>,
) -> Result<(), NotPaged> {
    check_reachable(ue, amf)?;
    let limit = amf.config.limits.pending_per_ue;
    if let Some(paging) = &mut ue.paging {
        if !paging.add(pending, limit) {
            amf.count("amf.paging.full");
            return Err(NotPaged::Full);
        }
        let higher = priority.is_some_and(|new| paging.priority.is_none_or(|old| new < old));
        if higher && paging.deadline.is_some() {
            // TS 24.501 §5.6.2.2.1: paging begins anew, with priority.
            (paging.priority, paging.attempts) = (priority, 0);
            page(ue, amf);
        }
        return Ok(());
    }
    info!(ue = ue.name(), session = %pending.message.session, "UE is paged");
    amf.count("amf.paging.started");
    ue.paging = Some(Paging { pending: vec![pending], priority, deadline: None, attempts: 0 });
    page(ue, amf);
    Ok(())
}

/// Pages a UE for what the AMF itself has to say.
pub(crate) fn call(ue: &mut UeContext, amf: &mut Amf) -> Result<(), NotPaged> {
    check_reachable(ue, amf)?;
    if ue.paging.is_none() {
        info!(ue = ue.name(), "UE is paged");
        amf.count("amf.paging.started");
        ue.paging = Some(Paging { pending: Vec::new(), priority: None, deadline: None, attempts: 0 });
        page(ue, amf);
    }
    Ok(())
}

fn check_reachable(ue: &UeContext, amf: &mut Amf) -> Result<(), NotPaged> {
    // Once the mobile reachable timer has expired the UE is not paged (TS 23.501 §5.4.1.1).
    let silent = matches!(ue.reachability, Some(Reachability::ImplicitDeregistration(_)));
    if !ue.registered || silent || !ngap::can_reach(ue, amf) {
        amf.count("amf.paging.not_reachable");
        return Err(NotPaged::NotReachable);
    }
    Ok(())
}

/// Sends PAGING and starts T3513.
fn page(ue: &mut UeContext, amf: &mut Amf) {
    let t3513 = Duration::from_secs(amf.config.paging.t3513_s);
    let Some(paging) = &mut ue.paging else { return };
    paging.attempts = paging.attempts.saturating_add(1);
    paging.deadline = Some(amf.now + t3513);
    let (priority, attempt) = (paging.priority, paging.attempts);
    // While the UE has not confirmed its new 5G-GUTI either may be its own, the older one first
    // (TS 24.501 §5.5.1.2.8 c, §5.4.4.6).
    let gutis: Vec<Guti5g> =
        [ue.old_guti, ue.guti].into_iter().flatten().chain(ue.older_gutis.iter().copied()).collect();
    let turn = usize::from(attempt.saturating_sub(1)) % gutis.len().max(1);
    if let Some(&guti) = gutis.get(turn) {
        ngap::send(ue, amf, guti.into(), priority, attempt);
    }
}

/// T3513 may have expired: the UE is paged again, or given up.
pub(crate) fn expire(ue: &mut UeContext, amf: &mut Amf) {
    let Some(paging) = &ue.paging else { return };
    if paging.deadline.is_none_or(|at| amf.now < at) {
        return;
    }
    if paging.attempts < amf.config.paging.attempts {
        amf.count("amf.paging.repeated");
        return page(ue, amf);
    }
    warn!(ue = ue.name(), attempts = paging.attempts, "T3513: the UE does not answer the page");
    amf.count("amf.paging.unanswered");
    fail(ue, amf);
    namf_loc::answer_all(ue, amf, false);
    if let Some(reason) = ue.deregistering {
        // TS 24.501 §5.5.2.3.1: the network alone forgets.
        deregistration::forget(ue, amf, reason);
    }
}

/// What comes is proved to be of the UE: T3513 stops (TS 24.501 §5.6.2.2.1). What the UE was paged for
/// goes out when it is accepted. Says whether it was paged.
pub(crate) fn stop(ue: &mut UeContext, amf: &mut Amf) -> bool {
    let paged = ue.paging.as_mut().and_then(|paging| paging.deadline.take()).is_some();
    if paged {
        amf.count("amf.paging.answered");
    }
    paged
}

/// What the UE was paged for.
pub(crate) fn take(ue: &mut UeContext) -> Vec<HeldMessage> {
    let pending = ue.paging.take().map(|paging| paging.pending).unwrap_or_default();
    pending.into_iter().map(|pending| pending.message).collect()
}

/// What the UE was paged for does not reach it: whoever wants to know is told
/// (TS 29.518 §5.2.2.3.2).
pub(crate) fn fail(ue: &mut UeContext, amf: &mut Amf) {
    let Some(paging) = ue.paging.take() else { return };
    for Pending { transfer, failure, .. } in paging.pending {
        let Some(Location { api_root, path }) = failure else { continue };
        let cause = N1N2MessageTransferCause::UeNotResponding;
        let notification = N1N2MsgTxfrFailureNotification::new(cause, transfer);
        let operation = N1N2TransferFailureNotify { path, notification };
        amf.tell(ue.id, Target::ApiRoot(api_root), &operation);
    }
}
