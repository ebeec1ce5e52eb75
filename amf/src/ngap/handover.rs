//! What the procedures share by which a UE's connection moves to another gNB: TS 23.502 §4.9.1.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_ngap::cause::{self, NgapCause};
use tern_ngap::ngap::{CauseRadioNetwork, NGAP_PDU};
use tern_ngap::transfer;
use tern_types::{GlobalGnbId, Instant, PduSessionId, Tai};

use super::handover_preparation::N2Handover;
use super::path_switch_request::{EarlySwitch, PathSwitch, Target};
use super::rrc_inactive::{self, RrcState};
use super::{Handled, error_indication, ue_ids};
use crate::n2::message::GnbId;
use crate::ngap::{nas_transport, ue_context_modification};
use crate::sbi::smf::{SmfRefusal, Updated};
use crate::session::{self, N2FromGnb, Work};
use crate::ue::{UeContext, UeId};
use crate::{Amf, gmm};

/// A handover of a UE; there is one at a time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Handover {
    /// By Xn, where the source gNB's answer to a set-up is still awaited.
    Early(Box<EarlySwitch>),
    /// By Xn: TS 23.502 §4.9.1.2.
    PathSwitch(Box<PathSwitch>),
    /// By N2: TS 23.502 §4.9.1.3.
    N2(Box<N2Handover>),
}

impl Handover {
    /// When it wants to be woken.
    pub fn deadline(&self) -> Instant {
        match self {
            Self::Early(early) => early.deadline(),
            Self::PathSwitch(switch) => switch.deadline(),
            Self::N2(handover) => handover.deadline(),
        }
    }
}

/// What an SMF is told of a handover by N2: HoState of TS 29.502, with the gNBs' transfers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum HoUpdate {
    /// PREPARING: the source gNB's Handover Required Transfer.
    Preparing {
        /// To which gNB.
        target: GlobalGnbId,
        /// In which tracking area.
        tai: Tai,
        /// From the source gNB.
        transfer: Bytes,
    },
    /// PREPARED: the target gNB's Handover Request Acknowledge Transfer.
    Prepared(Bytes),
    /// The target gNB's Handover Resource Allocation Unsuccessful Transfer.
    NotAllocated(Bytes),
    /// COMPLETED.
    Completed,
    /// CANCELLED.
    Cancelled(Abandoned),
}

/// Why a handover comes to nothing, as the SMFs are told (TS 29.502 Cause).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Abandoned {
    /// HO_CANCEL.
    Cancelled,
    /// HO_FAILURE.
    Failed,
}

/// A gNB gives an identity to a UE that comes to it: who had it there is gone.
pub(crate) fn release_identity(amf: &mut Amf, to: Target, ue: UeId) {
    let before = amf.by_ran_id.get(&(to.gnb, to.ran_ue_ngap_id)).copied().filter(|&other| other != ue);
    if let Some(before) = before {
        amf.with_ue(before, |ue, amf| {
            amf.disconnect(ue);
            gmm::connection_lost(ue, amf);
        });
    }
}

/// The UE's connection is at another gNB from here on. The AMF UE NGAP ID stays.
pub(crate) fn move_connection(ue: &mut UeContext, amf: &mut Amf, to: Target) {
    let Some(n2) = &mut ue.n2 else { return };
    amf.by_ran_id.remove(&(n2.gnb, n2.ran_ue_ngap_id));
    (n2.gnb, n2.stream, n2.ran_ue_ngap_id) = (to.gnb, to.stream, to.ran_ue_ngap_id);
    amf.by_ran_id.insert((to.gnb, to.ran_ue_ngap_id), ue.id);
    n2.rrc = RrcState::Connected;
    rrc_inactive::told(ue);
}

/// An SMF has answered the update of a session that a handover may be about.
pub(crate) fn answered(
    ue: &mut UeContext,
    id: PduSessionId,
    work: &Work,
    answer: &Result<Updated, SmfRefusal>,
) {
    let transfer = match answer {
        Ok(updated) => updated.transfer.clone().ok_or(None),
        Err(refusal) => Err(refusal.n2.clone()),
    };
    match (&mut ue.handover, work) {
        (Some(Handover::PathSwitch(switch)), Work::N2(N2FromGnb::PathSwitchRequest, _)) => {
            switch.on_answer(id, transfer);
        }
        (Some(Handover::N2(handover)), Work::Handover(number, update)) if handover.number() == *number => {
            handover.on_answer(id, update, transfer);
        }
        _ => {}
    }
}

/// Goes on once no SMF is waited for, or for too long.
pub(crate) fn proceed(ue: &mut UeContext, amf: &mut Amf) {
    match ue.handover.take() {
        Some(Handover::Early(early)) if !early.is_waiting(ue, amf) => early.proceed(ue, amf),
        Some(Handover::PathSwitch(switch)) if !switch.is_waiting(ue, amf) => switch.finish(ue, amf),
        Some(Handover::N2(handover)) if !handover.is_waiting(ue, amf) => handover.proceed(ue, amf),
        other => ue.handover = other,
    }
}

/// The UE's connection is gone, and with it what was under way.
pub(crate) fn abandon(ue: &mut UeContext, amf: &mut Amf, amf_id: u64) {
    match ue.handover.take() {
        Some(Handover::Early(early)) => early.abandon(amf_id, amf),
        Some(Handover::PathSwitch(switch)) => switch.abandon(amf_id, amf),
        Some(Handover::N2(handover)) => handover.abandon(ue, amf),
        None => {}
    }
}

/// A NAS message was not delivered because the UE is being handed over: it is kept for where the UE
/// comes, or stays (TS 23.502 §4.9.1.3.1). By Xn the AMF hears of the handover later than the message
/// comes back.
pub(crate) fn keep(ue: &mut UeContext, amf: &mut Amf, nas: Bytes) {
    let limit = amf.config.limits.pending_per_ue;
    match &mut ue.n2 {
        Some(n2) if n2.undelivered.len() < limit => n2.undelivered.push(nas),
        _ => amf.count("amf.nas.downlink_lost"),
    }
}

/// Keeps a NAS message for a UE that is between two cells; gives it back if the UE is in one.
pub(crate) fn hold(ue: &mut UeContext, amf: &mut Amf, nas: Bytes) -> Option<Bytes> {
    match &mut ue.handover {
        Some(Handover::N2(handover)) if handover.is_executing() => {
            handover.hold(amf, nas);
            None
        }
        _ => Some(nas),
    }
}

/// Whether the UE has a gNB of its own: no handover is under way, or all that is left of it is to be done by
/// SMFs.
pub(crate) fn is_in_one_cell(ue: &UeContext) -> bool {
    ue.handover.is_none() || matches!(&ue.handover, Some(Handover::N2(handover)) if handover.is_completing())
}

/// Whether a handover by N2 is under way, from HANDOVER REQUIRED until the UE is known to be somewhere:
/// what is to be done to sessions' resources waits for it.
pub(crate) fn is_between_gnbs(ue: &UeContext) -> bool {
    matches!(&ue.handover, Some(Handover::N2(handover)) if !handover.is_completing())
}

/// The handover is over, one way or the other: what was not delivered is sent again.
pub(crate) fn over(ue: &mut UeContext, amf: &mut Amf) {
    let undelivered = ue.n2.as_mut().map(|n2| std::mem::take(&mut n2.undelivered)).unwrap_or_default();
    for nas in undelivered {
        amf.count("amf.nas.sent_after_handover");
        nas_transport::send_downlink(ue, amf, nas);
    }
    ue_context_modification::proceed(ue, amf);
    rrc_inactive::inform(ue, amf);
}

/// The same by N2, and then what was held meanwhile.
pub(crate) fn resume(ue: &mut UeContext, amf: &mut Amf, held: Vec<Bytes>) {
    over(ue, amf);
    for nas in held {
        amf.count("amf.nas.sent_after_handover");
        nas_transport::send_downlink(ue, amf, nas);
    }
    session::release_held(ue, amf);
}

/// A Handover Preparation Unsuccessful Transfer.
pub(super) fn unsuccessful(why: CauseRadioNetwork) -> Option<Bytes> {
    transfer::encode_handover_preparation_unsuccessful(NgapCause::of(&cause::radio_network(why))).ok()
}

/// Whether a message with these identities is of a UE that is to come to this gNB.
pub(crate) fn is_target(ue: &UeContext, gnb: GnbId, amf_id: Option<u64>, ran_id: Option<u32>) -> bool {
    matches!(&ue.handover, Some(Handover::N2(handover)) if handover.is_target(gnb, amf_id, ran_id))
}

/// The gNB to which the UE is to come has nothing for it any more.
pub(crate) fn target_lost(ue: &mut UeContext, amf: &mut Amf) {
    match ue.handover.take() {
        Some(Handover::N2(handover)) => handover.target_lost(ue, amf),
        other => ue.handover = other,
    }
}

/// The gNB where the UE was is gone. Says whether the UE is on its way to another one, which then has the
/// connection.
pub(crate) fn source_lost(ue: &mut UeContext, amf: &mut Amf) -> bool {
    match ue.handover.take() {
        Some(Handover::N2(mut handover)) => {
            let on_its_way = handover.source_lost(ue, amf);
            ue.handover = Some(Handover::N2(handover));
            on_its_way
        }
        other => {
            ue.handover = other;
            false
        }
    }
}

/// Whether the UE has left this gNB by a handover, and the gNB has not heard of that yet.
pub(super) fn has_left(ue: &UeContext, gnb: GnbId, amf_id: u64) -> bool {
    matches!(&ue.handover, Some(Handover::N2(handover)) if handover.has_left(gnb, amf_id))
}

/// Finds the UE of a message of a target gNB (TS 38.413 §10.6) and lets its handover take it.
pub(super) fn with_target(
    amf: &mut Amf,
    gnb: GnbId,
    stream: u16,
    pdu: &NGAP_PDU,
    work: fn(Box<N2Handover>, &mut UeContext, &mut Amf, &NGAP_PDU) -> Handled,
) -> Handled {
    let (amf_id, ran_id) = ue_ids(pdu);
    let Some(amf_id) = amf_id else { return Ok(()) };
    if amf.departing.get(&amf_id).is_some_and(|d| d.is(gnb, ran_id)) {
        // It crossed our UE CONTEXT RELEASE COMMAND.
        amf.count("amf.ngap.crossed_release");
        return Ok(());
    }
    let ue = amf.by_amf_id.get(&amf_id).copied();
    let mut handled = None;
    if let Some(ue) = ue {
        amf.with_ue(ue, |ue, amf| match ue.handover.take() {
            Some(Handover::N2(handover)) if handover.is_target(gnb, Some(amf_id), None) => {
                handled = Some(work(handover, ue, amf, pdu));
            }
            other => ue.handover = other,
        });
    }
    if let Some(handled) = handled {
        return handled;
    }
    amf.count("amf.ngap.unknown_ue");
    let why = cause::radio_network(CauseRadioNetwork::unknown_local_UE_NGAP_ID);
    error_indication::send(amf, gnb, stream, Some(amf_id), ran_id, why);
    Ok(())
}
