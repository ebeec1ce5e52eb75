//! What the procedures share by which a UE's connection moves to another gNB: TS 23.502 §4.9.1.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_types::{Instant, PduSessionId};

use super::path_switch_request::{PathSwitch, Target};
use crate::ngap::nas_transport;
use crate::ue::{UeContext, UeId};
use crate::{Amf, gmm};

/// A handover of a UE; there is one at a time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Handover {
    /// By Xn: TS 23.502 §4.9.1.2.
    PathSwitch(Box<PathSwitch>),
}

impl Handover {
    /// When it wants to be woken.
    pub fn deadline(&self) -> Instant {
        match self {
            Self::PathSwitch(switch) => switch.deadline(),
        }
    }
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
}

/// An SMF has answered the update of a session that a handover is about.
pub(crate) fn answered(ue: &mut UeContext, id: PduSessionId, answer: Result<Bytes, Option<Bytes>>) {
    if let Some(Handover::PathSwitch(switch)) = &mut ue.handover {
        switch.on_answer(id, answer);
    }
}

/// Goes on once no SMF is waited for.
pub(crate) fn proceed(ue: &mut UeContext, amf: &mut Amf) {
    match ue.handover.take() {
        Some(Handover::PathSwitch(switch)) if !switch.is_waiting(ue, amf) => switch.finish(ue, amf),
        other => ue.handover = other,
    }
}

/// The UE's connection is gone, and with it what was under way.
pub(crate) fn abandon(ue: &mut UeContext, amf: &mut Amf, amf_id: u64) {
    match ue.handover.take() {
        Some(Handover::PathSwitch(switch)) => switch.abandon(amf_id, amf),
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

/// The handover is over, one way or the other: what was not delivered is sent again.
pub(crate) fn over(ue: &mut UeContext, amf: &mut Amf) {
    let undelivered = ue.n2.as_mut().map(|n2| std::mem::take(&mut n2.undelivered)).unwrap_or_default();
    for nas in undelivered {
        amf.count("amf.nas.sent_after_handover");
        nas_transport::send_downlink(ue, amf, nas);
    }
}
