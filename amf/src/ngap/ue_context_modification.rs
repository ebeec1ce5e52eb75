//! UE Context Modification: TS 38.413 §8.3.4. It brings the AS keys of a new K_AMF to the gNB while the
//! UE is connected (TS 33.501 §6.9.4.4), a new UE-AMBR or RFSP index (TS 23.502 §4.2.4.2), and what
//! `rrc_inactive.rs` has to say.

use serde::{Deserialize, Serialize};
use tern_crypto::{KGnb, NextHopChain};
use tern_ngap::cause;
use tern_ngap::convert;
use tern_ngap::ngap::*;
use tern_ngap::{CodecError, Message as _, build_ngap, build_ngap_ie, extract_ngap_ies};
use tern_types::{Ambr, Duration, Instant};
use tracing::{debug, info, warn};

use super::{Handled, handover, rrc_inactive, ue_context_release};
use crate::ue::{Connection, ContextSetup, UeContext};
use crate::{Amf, gmm};

/// How long a gNB has to take new keys, and how long a handover may take that has kept it from that.
pub const REKEYING_WITHIN: Duration = Duration::from_secs(10);

/// The gNB has AS keys of an older K_AMF than the NAS keys are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rekeying {
    /// The UE is on its way between gNBs: the next handover message to the AMF, or its end, brings the keys.
    Waiting(Instant),
    /// UE CONTEXT MODIFICATION REQUEST awaits its answer.
    Requested(Instant),
}

impl Rekeying {
    /// When it is not waited for any longer.
    pub fn deadline(self) -> Instant {
        let (Self::Waiting(at) | Self::Requested(at)) = self;
        at
    }
}

/// The {NH, NCC} pair for a target gNB.
pub(crate) struct Fresh {
    pub ncc: u8,
    pub nh: [u8; 32],
    /// NH is the K_gNB of a new K_AMF (New Security Context Indicator).
    pub new_context: bool,
    /// What later pairs come from.
    pub chain: NextHopChain,
}

/// SECURITY MODE COMPLETE has taken a new K_AMF into use. A gNB that has no keys yet gets those of it with
/// the UE's context.
pub(crate) fn start(ue: &mut UeContext, amf: &mut Amf) {
    if let Some(n2) = ue.n2.as_mut().filter(|n2| n2.context == ContextSetup::Done) {
        n2.rekeying = Some(Rekeying::Waiting(amf.now + REKEYING_WITHIN));
        proceed(ue, amf);
    }
}

/// Sends the request once the UE is in one cell (TS 33.501 §6.9.5).
pub(crate) fn proceed(ue: &mut UeContext, amf: &mut Amf) {
    proceed_values(ue, amf);
    let waits = ue.n2.as_ref().is_some_and(|n2| {
        matches!(n2.rekeying, Some(Rekeying::Waiting(_))) && n2.modifying.is_none_or(|until| until <= amf.now)
    });
    if !waits || !handover::is_in_one_cell(ue) {
        return;
    }
    let Some((key, _)) = ue.n2.as_ref().and_then(|n2| new_keys(ue, n2)) else {
        return amf.count("amf.ngap.no_key");
    };
    let Some(n2) = &mut ue.n2 else { return };
    n2.rekeying = Some(Rekeying::Requested(amf.now + REKEYING_WITHIN));
    let pdu = build_ngap!(
        InitiatingMessage,
        UEContextModification,
        UEContextModificationRequest,
        AMF_UE_NGAP_ID(n2.amf_ue_ngap_id),
        RAN_UE_NGAP_ID(n2.ran_ue_ngap_id),
        SecurityKey(*key.as_bytes()),
    );
    amf.send_on(n2, pdu);
}

/// The UE-AMBR has changed, or the RFSP index; that there is none any more a gNB cannot be told. One that has
/// no context of the UE yet gets them with that.
pub(crate) fn tell(ue: &mut UeContext, amf: &mut Amf, ambr: bool, rfsp: bool) {
    if let Some(n2) = ue.n2.as_mut().filter(|n2| n2.context != ContextSetup::None) {
        n2.ambr_outdated |= ambr;
        n2.rfsp_outdated |= rfsp;
        proceed_values(ue, amf);
    }
}

/// Sends UE-AMBR and RFSP index, if they have changed, once nothing else is under way with the gNB that has
/// the UE.
pub(crate) fn proceed_values(ue: &mut UeContext, amf: &mut Amf) {
    if !handover::is_in_one_cell(ue) {
        return;
    }
    let (ambr, rfsp, now) = (ue.ambr(), ue.rfsp(), amf.now);
    let free = |n2: &&mut Connection| {
        (n2.ambr_outdated || n2.rfsp_outdated)
            && n2.context == ContextSetup::Done
            && n2.rekeying.is_none()
            && n2.modifying.is_none()
    };
    let Some(n2) = ue.n2.as_mut().filter(free) else { return };
    let ambr = ambr.filter(|_| n2.ambr_outdated);
    let rfsp = rfsp.filter(|_| n2.rfsp_outdated);
    (n2.ambr_outdated, n2.rfsp_outdated) = (false, false);
    if ambr.is_none() && rfsp.is_none() {
        return;
    }
    n2.modifying = Some(now + REKEYING_WITHIN);
    for (told, name) in [(ambr.is_some(), "amf.ngap.ue_ambr_told"), (rfsp.is_some(), "amf.ngap.rfsp_told")] {
        if told {
            amf.count(name);
        }
    }
    let pdu = values(n2, ambr, rfsp);
    amf.send_on(n2, pdu);
}

fn values(n2: &Connection, ambr: Option<Ambr>, rfsp: Option<u16>) -> Result<NGAP_PDU, CodecError> {
    macro_rules! ie {
        ($($ie:tt)*) => { build_ngap_ie!(UEContextModificationRequest, $($ie)*)? };
    }
    let mut ies = vec![ie!(AMF_UE_NGAP_ID(n2.amf_ue_ngap_id)), ie!(RAN_UE_NGAP_ID(n2.ran_ue_ngap_id))];
    if let Some(rfsp) = rfsp {
        ies.push(ie!(IndexToRFSP(IndexToRFSP(rfsp.into()))));
    }
    if let Some(ambr) = ambr {
        ies.push(ie!(UEAggregateMaximumBitRate(convert::ue_ambr(ambr))));
    }
    let message = UEContextModificationRequest::new(ProtocolIEContainer(ies));
    NGAP_PDU::of_message(&message, UEContextModificationRequest::CRITICALITY)
}

/// The gNB has answered a modification without keys, if that was what it was asked for.
fn modified(ue: &mut UeContext, amf: &mut Amf) -> bool {
    let answered = ue.n2.as_mut().is_some_and(|n2| n2.modifying.take().is_some());
    if answered {
        proceed(ue, amf);
        rrc_inactive::inform(ue, amf);
    }
    answered
}

fn new_keys(ue: &UeContext, n2: &Connection) -> Option<(KGnb, NextHopChain)> {
    let context = ue.security.as_ref()?;
    let key = context.k_gnb(n2.k_gnb_count);
    let chain = NextHopChain::new(context.k_amf(), &key);
    Some((key, chain))
}

/// Whether the gNB is being given AS keys: no NAS keys are changed meanwhile (TS 33.501 §6.9.5).
pub(crate) fn is_giving_keys(n2: &Connection) -> bool {
    n2.context == ContextSetup::Requested || n2.rekeying.is_some()
}

/// What a target gNB is given: the next pair of the chain, or the K_gNB of a new K_AMF as NH of NCC 0
/// (TS 33.501 §6.9.2.3.2, §6.9.2.3.3).
pub(crate) fn fresh(ue: &UeContext, n2: &Connection) -> Option<Fresh> {
    if n2.rekeying.is_some() {
        let (key, chain) = new_keys(ue, n2)?;
        return Some(Fresh { ncc: 0, nh: *key.as_bytes(), new_context: true, chain });
    }
    let mut chain = n2.next_hop.clone()?;
    chain.advance();
    Some(Fresh { ncc: chain.ncc(), nh: *chain.nh().as_bytes(), new_context: false, chain })
}

/// UE CONTEXT MODIFICATION RESPONSE.
pub(crate) fn on_response(ue: &mut UeContext, amf: &mut Amf, _pdu: &NGAP_PDU) -> Handled {
    let requested = ue.n2.as_ref().is_some_and(|n2| matches!(n2.rekeying, Some(Rekeying::Requested(_))));
    if !requested && modified(ue, amf) {
        return Ok(());
    }
    if !requested {
        amf.count("amf.ngap.unexpected_response");
        return Ok(());
    }
    given(ue, amf);
    Ok(())
}

/// The UE's gNB has the keys of the new K_AMF: a new chain begins.
pub(crate) fn given(ue: &mut UeContext, amf: &mut Amf) {
    let chain = ue.n2.as_ref().and_then(|n2| new_keys(ue, n2)).map(|(_, chain)| chain);
    if let Some(n2) = &mut ue.n2 {
        (n2.rekeying, n2.next_hop) = (None, chain);
    }
    amf.count("amf.ngap.rekeyed");
    info!(ue = ue.name(), "AS keys of the new K_AMF are in use");
    gmm::keys_given(ue, amf);
    proceed_values(ue, amf);
    rrc_inactive::inform(ue, amf);
}

/// UE CONTEXT MODIFICATION FAILURE: a handover that was quicker brings the keys; else the UE comes again,
/// since old AS keys are not to outlive the K_AMF that they are of.
pub(crate) fn on_failure(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    use CauseRadioNetwork as R;
    extract_ngap_ies!(pdu, UEContextModificationFailure, lax why: Cause = Cause(cause) => cause);
    let Some(n2) = ue.n2.as_mut().filter(|n2| matches!(n2.rekeying, Some(Rekeying::Requested(_)))) else {
        if modified(ue, amf) {
            warn!(ue = ue.name(), "the gNB keeps what it has of the UE");
            return Ok(());
        }
        amf.count("amf.ngap.unexpected_response");
        return Ok(());
    };
    let leaves = matches!(
        why,
        Some(Cause::radioNetwork(R::xn_handover_triggered | R::ng_intra_system_handover_triggered))
    );
    if leaves {
        amf.count("amf.ngap.rekeying_crossed");
        n2.rekeying = Some(Rekeying::Waiting(amf.now + REKEYING_WITHIN));
        return Ok(());
    }
    let why = why.unwrap_or(cause::radio_network(R::unspecified));
    warn!(ue = ue.name(), cause = cause::describe(&why), "UE CONTEXT MODIFICATION FAILURE");
    give_up(ue, amf);
    Ok(())
}

/// Time has passed: a handover that has not come leaves the UE where it was; a gNB that does not answer
/// loses it.
pub(crate) fn expire(ue: &mut UeContext, amf: &mut Amf) {
    if ue.n2.as_ref().and_then(|n2| n2.modifying).is_some_and(|until| until <= amf.now) {
        warn!(ue = ue.name(), "the gNB does not say whether it has what is new of the UE");
        modified(ue, amf);
    }
    let rekeying =
        ue.n2.as_ref().and_then(|n2| n2.rekeying).filter(|rekeying| rekeying.deadline() <= amf.now);
    match rekeying {
        None => {}
        Some(Rekeying::Waiting(_)) if handover::is_in_one_cell(ue) => {
            debug!(ue = ue.name(), "no handover has come: the gNB is given the keys again");
            proceed(ue, amf);
        }
        Some(Rekeying::Waiting(_)) => {
            if let Some(n2) = &mut ue.n2 {
                n2.rekeying = Some(Rekeying::Waiting(amf.now + REKEYING_WITHIN));
            }
        }
        Some(Rekeying::Requested(_)) => {
            warn!(ue = ue.name(), "the gNB does not answer UE CONTEXT MODIFICATION REQUEST");
            give_up(ue, amf);
        }
    }
}

fn give_up(ue: &mut UeContext, amf: &mut Amf) {
    amf.count("amf.ngap.rekeying_failed");
    let why = cause::radio_network(CauseRadioNetwork::release_due_to_5gc_generated_reason);
    ue_context_release::command(ue, amf, why);
    gmm::connection_lost(ue, amf);
}
