//! Handover Preparation: TS 38.413 §8.4.1, TS 23.502 §4.9.1.3 (N2 handover within this AMF).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_ngap::cause::{self, NgapCause};
use tern_ngap::ngap::*;
use tern_ngap::{CodecError, Message as _, build_ngap, build_ngap_ie, convert, extract_ngap_ies};
use tern_types::{Duration, GlobalGnbId, Instant, PduSessionId, Tai};
use tracing::{info, warn};

use super::handover::{self, Abandoned, Handover, HoUpdate, unsuccessful};
use super::{Handled, ue_context_release};
use crate::n2::message::GnbId;
use crate::session::{self, Session, Work};
use crate::ue::{Connection, ContextSetup, UeContext};
use crate::{Amf, gmm};

/// How long the SMFs have to answer, at each step; the sessions of the others are not handed over.
pub const SMF_WITHIN: Duration = Duration::from_secs(5);
/// How long the target gNB has to answer HANDOVER REQUEST.
pub const ALLOCATION_WITHIN: Duration = Duration::from_secs(5);
/// How long the UE has to come to the target gNB, from HANDOVER COMMAND on.
pub const EXECUTION_WITHIN: Duration = Duration::from_secs(10);

/// Streams over which UEs that are handed over are spread at the target gNB, the first being 1; the N2
/// termination keeps to those that there are.
const STREAMS: u64 = 8;

/// The cause where no session can be handed over, and where the target gNB cannot have the UE.
const FAILED_IN_TARGET: CauseRadioNetwork =
    CauseRadioNetwork::ho_failure_in_target_5GC_ngran_node_or_target_system;

/// Read downwards: the call flow of TS 23.502 §4.9.1.3.2 and §4.9.1.3.3.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Step {
    /// The SMFs say what the target gNB is asked for.
    Preparing {
        /// Sessions whose SMF has not answered.
        waiting: BTreeSet<PduSessionId>,
        /// Handover Request Transfers.
        requests: BTreeMap<PduSessionId, Bytes>,
        /// Source to Target Transparent Container.
        container: Bytes,
    },
    /// HANDOVER REQUEST awaits its answer.
    Allocating {
        /// The sessions in it.
        asked: BTreeSet<PduSessionId>,
    },
    /// The SMFs hear what the target gNB has, and say where packets are forwarded to.
    Forwarding {
        /// Sessions whose SMF has not answered.
        waiting: BTreeSet<PduSessionId>,
        /// Handover Command Transfers.
        commands: BTreeMap<PduSessionId, Bytes>,
        /// Target to Source Transparent Container.
        container: Bytes,
    },
    /// HANDOVER COMMAND is sent: the UE is on its way.
    Executing {
        /// The sessions that it takes along.
        admitted: BTreeSet<PduSessionId>,
    },
    /// HANDOVER NOTIFY has come: the SMFs switch the paths, then the source gNB is released.
    Completing {
        /// Sessions whose SMF has not answered.
        waiting: BTreeSet<PduSessionId>,
        /// `None` if it is gone.
        source: Option<Source>,
    },
}

/// Where the UE was.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) gnb: GnbId,
    pub(super) stream: u16,
    pub(super) amf_ue_ngap_id: u64,
    pub(super) ran_ue_ngap_id: u32,
}

/// A UE that a gNB wants another one to take, by N2.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct N2Handover {
    /// The AMF UE NGAP ID at the target gNB: no other handover has it.
    pub(super) amf_ue_ngap_id: u64,
    pub(super) gnb: GnbId,
    pub(super) stream: u16,
    /// The UE's identity at the target gNB, once that has told it.
    pub(super) ran_ue_ngap_id: Option<u32>,
    pub(super) tai: Tai,
    pub(super) step: Step,
    pub(super) deadline: Instant,
    /// Why the source gNB hands the UE over.
    pub(super) why: NgapCause,
    /// Sessions whose SMFs have been told of it.
    pub(super) told: BTreeSet<PduSessionId>,
    /// Handover Preparation Unsuccessful Transfers, by what the source gNB names the sessions.
    pub(super) released: BTreeMap<u8, Bytes>,
    /// NAS messages for a UE that is in no cell.
    pub(super) held: Vec<Bytes>,
    /// The source gNB is gone: the connection is the target's already.
    pub(super) source_gone: bool,
    /// The target gNB has the AS keys of a new K_AMF, which the source gNB has not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) new_context: bool,
}

/// HANDOVER REQUIRED.
struct Required {
    kind: HandoverType,
    target: TargetID,
    why: NgapCause,
    sessions: Vec<(u8, Bytes)>,
    container: Bytes,
}

/// HANDOVER REQUIRED.
pub(crate) fn on_required(ue: &mut UeContext, amf: &mut Amf, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, HandoverRequired,
        req kind: HandoverType = HandoverType(kind) => kind,
        lax why: Cause = Cause(cause) => cause,
        req target: TargetID = TargetID(target) => target,
        req sessions: Vec<(u8, Bytes)> = PDUSessionResourceListHORqd(list) => list.0.iter()
            .map(|item| (item.pdu_session_id.0, Bytes::copy_from_slice(&item.handover_required_transfer)))
            .collect(),
        req container: Bytes = SourceToTarget_TransparentContainer(container) =>
            Bytes::copy_from_slice(&container.0),
    );
    amf.count("amf.ngap.handover_required");
    let why = why.unwrap_or(cause::radio_network(CauseRadioNetwork::unspecified));
    let required = Required { kind, target, why: NgapCause::of(&why), sessions, container };
    if let Err(why) = start(ue, amf, required) {
        send_failure(ue, amf, why);
    }
    Ok(())
}

fn start(ue: &mut UeContext, amf: &mut Amf, required: Required) -> Result<(), Cause> {
    let radio = |why| Err(cause::radio_network(why));
    let context = ue.n2.as_ref().map(|n2| n2.context);
    if context != Some(ContextSetup::Done) {
        // TS 38.413 §10.4
        return Err(cause::protocol(CauseProtocol::message_not_compatible_with_receiver_state));
    }
    if ue.handover.is_some() {
        return radio(CauseRadioNetwork::interaction_with_other_procedure);
    }
    let mut seen = BTreeSet::new();
    if !required.sessions.iter().all(|(id, _)| seen.insert(*id)) {
        return radio(CauseRadioNetwork::multiple_PDU_session_ID_instances);
    }
    let (gnb, global, tai) = target_of(amf, &required).map_err(cause::radio_network)?;
    let (mut told, mut released) = (BTreeSet::new(), BTreeMap::new());
    for (id, _) in &required.sessions {
        match check_session(ue, amf, *id, gnb, tai) {
            Ok(session) => drop(told.insert(session)),
            Err(why) => released.extend(unsuccessful(why).map(|transfer| (*id, transfer))),
        }
    }
    if told.is_empty() {
        return radio(FAILED_IN_TARGET);
    }
    let amf_ue_ngap_id = amf.new_amf_ue_ngap_id();
    let step =
        Step::Preparing { waiting: told.clone(), requests: BTreeMap::new(), container: required.container };
    let handover = N2Handover {
        amf_ue_ngap_id,
        gnb,
        stream: 1 + (amf_ue_ngap_id % STREAMS) as u16,
        ran_ue_ngap_id: None,
        tai,
        step,
        deadline: amf.now + SMF_WITHIN,
        why: required.why,
        told: told.clone(),
        released,
        held: Vec::new(),
        source_gone: false,
        new_context: false,
    };
    amf.by_amf_id.insert(amf_ue_ngap_id, ue.id);
    amf.incoming.insert((gnb, ue.id));
    ue.handover = Some(Handover::N2(Box::new(handover)));
    for (id, transfer) in required.sessions {
        let Some(id) = PduSessionId::new(id).filter(|id| told.contains(id)) else { continue };
        let update = HoUpdate::Preparing { target: global, tai, transfer };
        session::push(ue, amf, id, Work::Handover(amf_ue_ngap_id, update));
    }
    handover::proceed(ue, amf);
    Ok(())
}

/// The gNB that a Target ID names, if this AMF serves it there.
fn target_of(amf: &Amf, required: &Required) -> Result<(GnbId, GlobalGnbId, Tai), CauseRadioNetwork> {
    let unknown = CauseRadioNetwork::unknown_targetID;
    let TargetID::targetRANNodeID(node) = &required.target else { return Err(unknown) };
    if required.kind != HandoverType::intra5gs {
        return Err(CauseRadioNetwork::ho_target_not_allowed);
    }
    let global = convert::global_gnb_id_of(&node.global_ran_node_id).map_err(|_| unknown)?;
    let tai = convert::tai_of(&node.selected_tai).map_err(|_| unknown)?;
    if !amf.config.serves(tai) {
        return Err(CauseRadioNetwork::ho_target_not_allowed);
    }
    let gnb = amf.gnbs.values().find(|gnb| gnb.global == global).ok_or(unknown)?;
    if gnb.slices(tai).next().is_none() {
        return Err(unknown);
    }
    Ok((gnb.id, global, tai))
}

/// Whether a session can be handed over to a gNB (TS 23.502 §4.9.1.3.2 step 4).
fn check_session(
    ue: &UeContext,
    amf: &Amf,
    id: u8,
    gnb: GnbId,
    tai: Tai,
) -> Result<PduSessionId, CauseRadioNetwork> {
    let session = PduSessionId::new(id).and_then(|id| ue.sessions.get(&id)).filter(|s| s.resources);
    let session = session.ok_or(CauseRadioNetwork::unknown_PDU_session_ID)?;
    let served = amf.gnbs.get(&gnb).is_some_and(|gnb| gnb.slices(tai).any(|slice| slice == session.snssai));
    if served { Ok(session.id) } else { Err(CauseRadioNetwork::slice_not_supported) }
}

impl N2Handover {
    /// When it wants to be woken.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What no other handover is called.
    pub(crate) fn number(&self) -> u64 {
        self.amf_ue_ngap_id
    }

    /// The target gNB, and the UE's identity there once that is known.
    pub(crate) fn target_ids(&self) -> (GnbId, Option<u32>) {
        (self.gnb, self.ran_ue_ngap_id)
    }

    /// The AMF UE NGAP ID that leads to the UE beside that of its connection.
    pub(crate) fn other_number(&self) -> Option<u64> {
        match &self.step {
            Step::Completing { source, .. } => source.map(|source| source.amf_ue_ngap_id),
            _ => (!self.source_gone).then_some(self.amf_ue_ngap_id),
        }
    }

    /// The gNB to which the UE is to come, while its connection is at another one, with its identity there.
    pub(crate) fn awaits_at(&self) -> Option<(GnbId, Option<u32>)> {
        (!self.is_completing() && !self.source_gone).then_some((self.gnb, self.ran_ue_ngap_id))
    }

    pub(crate) fn is_executing(&self) -> bool {
        matches!(self.step, Step::Executing { .. })
    }

    pub(crate) fn is_completing(&self) -> bool {
        matches!(self.step, Step::Completing { .. })
    }

    pub(crate) fn is_target(&self, gnb: GnbId, amf_id: Option<u64>, ran_id: Option<u32>) -> bool {
        let ours = match (amf_id, ran_id) {
            (Some(id), _) => id == self.amf_ue_ngap_id,
            (None, Some(id)) => self.ran_ue_ngap_id == Some(id),
            (None, None) => true,
        };
        gnb == self.gnb && ours && !self.is_completing()
    }

    pub(crate) fn has_left(&self, gnb: GnbId, amf_id: u64) -> bool {
        let Step::Completing { source: Some(source), .. } = &self.step else { return false };
        source.gnb == gnb && source.amf_ue_ngap_id == amf_id
    }

    /// Where a UE that is on its way goes: gNB, stream, and the identities there.
    pub(super) fn target(&self) -> Option<(GnbId, u16, u64, u32)> {
        let ran_id = self.ran_ue_ngap_id.filter(|_| self.is_executing())?;
        Some((self.gnb, self.stream, self.amf_ue_ngap_id, ran_id))
    }

    /// Keeps a NAS message until the UE is in a cell.
    pub(crate) fn hold(&mut self, amf: &mut Amf, nas: Bytes) {
        if self.held.len() < amf.config.limits.pending_per_ue {
            self.held.push(nas);
        } else {
            amf.count("amf.nas.downlink_lost");
        }
    }

    /// An SMF has answered for a session: a transfer, or one that says why not.
    pub(crate) fn on_answer(
        &mut self,
        id: PduSessionId,
        update: &HoUpdate,
        answer: Result<Bytes, Option<Bytes>>,
    ) {
        let not_handed_over = match (&mut self.step, update) {
            (Step::Preparing { waiting, requests: transfers, .. }, HoUpdate::Preparing { .. })
            | (Step::Forwarding { waiting, commands: transfers, .. }, HoUpdate::Prepared(_))
                if waiting.contains(&id) =>
            {
                waiting.remove(&id);
                match answer {
                    Ok(transfer) => {
                        transfers.insert(id, transfer);
                        return;
                    }
                    Err(why) => why,
                }
            }
            (Step::Forwarding { waiting, .. }, HoUpdate::NotAllocated(_)) if waiting.contains(&id) => {
                waiting.remove(&id);
                self.told.remove(&id);
                answer.ok()
            }
            (Step::Completing { waiting, .. }, HoUpdate::Completed) => {
                waiting.remove(&id);
                return;
            }
            _ => return,
        };
        let transfer = not_handed_over.or_else(|| unsuccessful(FAILED_IN_TARGET));
        self.released.extend(transfer.map(|transfer| (id.get(), transfer)));
    }

    /// Whether there is something to wait for, and time.
    pub(crate) fn is_waiting(&self, ue: &UeContext, amf: &Amf) -> bool {
        let busy = |id| ue.sessions.get(id).is_some_and(Session::is_busy);
        amf.now < self.deadline
            && match &self.step {
                Step::Preparing { waiting, .. }
                | Step::Forwarding { waiting, .. }
                | Step::Completing { waiting, .. } => waiting.iter().any(busy),
                Step::Allocating { .. } | Step::Executing { .. } => true,
            }
    }

    /// What was waited for is there, or its time is over.
    pub(crate) fn proceed(mut self: Box<Self>, ue: &mut UeContext, amf: &mut Amf) {
        match &mut self.step {
            Step::Preparing { waiting, requests, container } => {
                let (late, requests, container) =
                    (std::mem::take(waiting), std::mem::take(requests), std::mem::take(container));
                self.leave_out(&late);
                if requests.is_empty() {
                    return self.fail(ue, amf, cause::radio_network(FAILED_IN_TARGET));
                }
                self.request(ue, amf, requests, &container);
            }
            Step::Allocating { .. } => {
                amf.count("amf.ngap.handover_target_silent");
                warn!(ue = ue.name(), "the target gNB does not answer HANDOVER REQUEST");
                self.fail(ue, amf, cause::radio_network(FAILED_IN_TARGET));
            }
            Step::Forwarding { waiting, commands, container } => {
                let (late, commands, container) =
                    (std::mem::take(waiting), std::mem::take(commands), std::mem::take(container));
                self.leave_out(&late);
                if commands.is_empty() {
                    return self.fail(ue, amf, cause::radio_network(FAILED_IN_TARGET));
                }
                self.command(ue, amf, commands, &container);
            }
            Step::Executing { .. } => {
                amf.count("amf.ngap.handover_ue_lost");
                warn!(ue = ue.name(), "the UE has not come to the target gNB");
                self.give_up(ue, amf, CauseRadioNetwork::tngrelocoverall_expiry);
            }
            Step::Completing { .. } => {
                self.release_source(amf);
            }
        }
    }

    /// These sessions are not handed over.
    pub(super) fn leave_out(&mut self, sessions: &BTreeSet<PduSessionId>) {
        let transfer = |id: &PduSessionId| Some((id.get(), unsuccessful(FAILED_IN_TARGET)?));
        self.released.extend(sessions.iter().filter_map(transfer));
    }

    /// HANDOVER COMMAND (TS 38.413 §8.4.1.2).
    fn command(
        mut self: Box<Self>,
        ue: &mut UeContext,
        amf: &mut Amf,
        commands: BTreeMap<PduSessionId, Bytes>,
        container: &Bytes,
    ) {
        let Some(n2) = ue.n2.take() else { return };
        let pdu = self.build_command(&n2, &commands, container);
        amf.send_on(&n2, pdu);
        ue.n2 = Some(n2);
        amf.count("amf.ngap.handover_commanded");
        self.step = Step::Executing { admitted: commands.into_keys().collect() };
        self.deadline = amf.now + EXECUTION_WITHIN;
        ue.handover = Some(Handover::N2(self));
    }

    fn build_command(
        &self,
        n2: &Connection,
        commands: &BTreeMap<PduSessionId, Bytes>,
        container: &Bytes,
    ) -> Result<NGAP_PDU, CodecError> {
        macro_rules! ie {
            ($($ie:tt)*) => { build_ngap_ie!(HandoverCommand, $($ie)*)? };
        }
        let handed_over = commands.iter().map(|(id, transfer)| {
            PDUSessionResourceHandoverItem::new(PDUSessionID(id.get()), (&transfer[..]).into(), None)
        });
        let mut ies = vec![
            ie!(AMF_UE_NGAP_ID(n2.amf_ue_ngap_id)),
            ie!(RAN_UE_NGAP_ID(n2.ran_ue_ngap_id)),
            ie!(HandoverType(HandoverType::intra5gs)),
            ie!(PDUSessionResourceHandoverList(PDUSessionResourceHandoverList(handed_over.collect()))),
        ];
        if !self.released.is_empty() {
            let released = self.released.iter().map(|(id, transfer)| {
                PDUSessionResourceToReleaseItemHOCmd::new(PDUSessionID(*id), (&transfer[..]).into(), None)
            });
            let list = PDUSessionResourceToReleaseListHOCmd(released.collect());
            ies.push(ie!(PDUSessionResourceToReleaseListHOCmd(list)));
        }
        ies.push(ie!(TargetToSource_TransparentContainer(&container[..])));
        let message = HandoverCommand::new(ProtocolIEContainer(ies));
        NGAP_PDU::of_message(&message, HandoverCommand::CRITICALITY)
    }

    /// The preparation has failed (TS 38.413 §8.4.1.3): the UE stays where it is.
    pub(super) fn fail(self: Box<Self>, ue: &mut UeContext, amf: &mut Amf, why: Cause) {
        send_failure(ue, amf, why.clone());
        self.end(ue, amf, Abandoned::Failed, Some(why));
    }

    /// The UE does not come after HANDOVER COMMAND. Where it was it may still be.
    fn give_up(self: Box<Self>, ue: &mut UeContext, amf: &mut Amf, why: CauseRadioNetwork) {
        let why = cause::radio_network(why);
        if self.source_gone {
            // There is no other place.
            ue.handover = Some(Handover::N2(self));
            ue_context_release::command(ue, amf, why);
            return gmm::connection_lost(ue, amf);
        }
        self.end(ue, amf, Abandoned::Failed, Some(why));
    }

    /// It comes to nothing: the SMFs are told, and the target gNB, if it is to be released with a cause.
    pub(super) fn end(
        mut self: Box<Self>,
        ue: &mut UeContext,
        amf: &mut Amf,
        how: Abandoned,
        target: Option<Cause>,
    ) {
        amf.count("amf.ngap.handover_failed");
        info!(ue = ue.name(), ?how, "N2 handover comes to nothing");
        self.release_target(amf, target);
        self.tell_cancelled(ue, amf, how);
        let held = std::mem::take(&mut self.held);
        handover::resume(ue, amf, held);
    }

    pub(super) fn tell_cancelled(&self, ue: &mut UeContext, amf: &mut Amf, how: Abandoned) {
        for &id in &self.told {
            let work = Work::Handover(self.amf_ue_ngap_id, HoUpdate::Cancelled(how));
            session::push(ue, amf, id, work);
        }
    }

    /// The target gNB has nothing of the UE from here on; it is told if there is a cause and it has heard of
    /// the UE.
    pub(super) fn release_target(&self, amf: &mut Amf, why: Option<Cause>) {
        amf.forget_target(self);
        let asked = !matches!(self.step, Step::Preparing { .. });
        if let Some(why) = why.filter(|_| asked && amf.gnbs.contains_key(&self.gnb)) {
            let ids = (self.amf_ue_ngap_id, self.ran_ue_ngap_id);
            ue_context_release::command_connection(amf, self.gnb, self.stream, ids, why);
        }
    }

    /// The UE's connection is gone at the source gNB.
    pub(crate) fn abandon(self: Box<Self>, ue: &mut UeContext, amf: &mut Amf) {
        if self.is_completing() {
            return self.release_source(amf);
        }
        amf.count("amf.ngap.handover_failed");
        if self.source_gone {
            amf.forget_target(&self);
        } else {
            let why = cause::radio_network(CauseRadioNetwork::radio_connection_with_ue_lost);
            self.release_target(amf, Some(why));
        }
        self.tell_cancelled(ue, amf, Abandoned::Failed);
    }

    /// The target gNB has lost the UE's context.
    pub(crate) fn target_lost(self: Box<Self>, ue: &mut UeContext, amf: &mut Amf) {
        match &self.step {
            Step::Preparing { .. } | Step::Allocating { .. } | Step::Forwarding { .. } => {
                send_failure(ue, amf, cause::radio_network(FAILED_IN_TARGET));
                self.end(ue, amf, Abandoned::Failed, None);
            }
            Step::Executing { .. } if self.source_gone => {
                ue.handover = Some(Handover::N2(self));
                amf.disconnect(ue);
                gmm::connection_lost(ue, amf);
            }
            Step::Executing { .. } => self.end(ue, amf, Abandoned::Failed, None),
            // The connection itself is there: it is lost as any other.
            Step::Completing { .. } => ue.handover = Some(Handover::N2(self)),
        }
    }

    /// The target gNB waits for the UE no longer.
    pub(super) fn target_gives_up(self: Box<Self>, ue: &mut UeContext, amf: &mut Amf, why: Cause) {
        if !self.is_executing() {
            send_failure(ue, amf, cause::radio_network(FAILED_IN_TARGET));
        }
        self.end(ue, amf, Abandoned::Failed, Some(why));
    }

    /// The source gNB is gone. A UE that is on its way is awaited at the target.
    pub(crate) fn source_lost(&mut self, ue: &mut UeContext, amf: &mut Amf) -> bool {
        if !self.is_executing() || self.source_gone {
            return false;
        }
        amf.count("amf.ngap.handover_source_lost");
        if let Some(source) = self.move_connection(ue, amf) {
            amf.by_amf_id.remove(&source.amf_ue_ngap_id);
        }
        self.source_gone = true;
        true
    }

    /// The UE's connection is the one at the target gNB from here on. Of the one before, the AMF UE NGAP ID
    /// still leads to the UE.
    pub(super) fn move_connection(&self, ue: &mut UeContext, amf: &mut Amf) -> Option<Source> {
        let (n2, ran_ue_ngap_id) = (ue.n2.as_mut()?, self.ran_ue_ngap_id?);
        let source = Source {
            gnb: n2.gnb,
            stream: n2.stream,
            amf_ue_ngap_id: n2.amf_ue_ngap_id,
            ran_ue_ngap_id: n2.ran_ue_ngap_id,
        };
        (n2.gnb, n2.stream) = (self.gnb, self.stream);
        (n2.amf_ue_ngap_id, n2.ran_ue_ngap_id) = (self.amf_ue_ngap_id, ran_ue_ngap_id);
        amf.by_ran_id.remove(&(source.gnb, source.ran_ue_ngap_id));
        amf.incoming.remove(&(self.gnb, ue.id));
        Some(source)
    }
}

/// HANDOVER PREPARATION FAILURE (TS 38.413 §8.4.1.3).
pub(super) fn send_failure(ue: &mut UeContext, amf: &mut Amf, why: Cause) {
    let Some(n2) = &ue.n2 else { return };
    amf.count("amf.ngap.handover_preparation_failed");
    warn!(ue = ue.name(), cause = cause::describe(&why), "HANDOVER PREPARATION FAILURE");
    let pdu = build_ngap!(
        UnsuccessfulOutcome,
        HandoverPreparation,
        HandoverPreparationFailure,
        AMF_UE_NGAP_ID(n2.amf_ue_ngap_id),
        RAN_UE_NGAP_ID(n2.ran_ue_ngap_id),
        Cause(why),
    );
    amf.send_on(n2, pdu);
}
