//! Path Switch Request: TS 38.413 §8.4.4, TS 23.502 §4.9.1.2 (Xn handover).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_ngap::capability::SecurityCapability;
use tern_ngap::cause::{self, NgapCause};
use tern_ngap::convert::{self, NrLocation};
use tern_ngap::ngap::*;
use tern_ngap::{CodecError, Message as _, build_ngap, build_ngap_ie, extract_ngap_ies, transfer};
use tern_types::{Duration, Instant, PduSessionId};
use tracing::{info, warn};

use super::{Handled, error_indication, rrc_inactive};
use crate::Amf;
use crate::gmm;
use crate::n2::message::GnbId;
use crate::ngap::ue_context_modification::{self, Fresh};
use crate::ngap::{handover, ue_context_release};
use crate::session::{self, N2FromGnb, Session, Work};
use crate::ue::{ContextSetup, UeContext};

/// How long the SMFs have to switch the sessions' paths; the others count as not switched.
pub const SWITCH_WITHIN: Duration = Duration::from_secs(5);

/// How long a request waits for the source gNB's word on what it was asked to set up. The UE may be quicker
/// than that word, which comes by an association of its own.
pub const EARLY_WITHIN: Duration = Duration::from_secs(1);

/// Where a UE is, or is about to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The gNB.
    pub(crate) gnb: GnbId,
    /// SCTP stream.
    pub(crate) stream: u16,
    /// The UE's identity there.
    pub(crate) ran_ue_ngap_id: u32,
}

/// A UE in the cell of another gNB, for which SMFs switch paths.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PathSwitch {
    to: Target,
    location: Option<NrLocation>,
    /// Sessions whose SMF has not answered.
    waiting: BTreeSet<PduSessionId>,
    /// Path Switch Request Acknowledge Transfers.
    switched: BTreeMap<PduSessionId, Bytes>,
    /// Path Switch Request Unsuccessful Transfers, by what the gNB names the sessions.
    released: BTreeMap<u8, Bytes>,
    /// The target gNB was told other capabilities than the UE has (TS 33.501 §6.7.3.1).
    capability_differs: bool,
    deadline: Instant,
}

/// A request that came before the source gNB has said what it has set up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EarlySwitch {
    to: Target,
    location: Option<NrLocation>,
    capability: Option<SecurityCapability>,
    lists: Lists,
    deadline: Instant,
}

/// The lists of a request, by session.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Lists {
    to_switch: Vec<(u8, Bytes)>,
    failed: Vec<(u8, Bytes)>,
}

impl Lists {
    /// Whether a session is named twice.
    fn repeats(&self) -> bool {
        let mut seen = BTreeSet::new();
        !self.to_switch.iter().chain(&self.failed).all(|(id, _)| seen.insert(*id))
    }

    /// What the target gNB is told if none is switched.
    fn unsuccessful(&self, why: CauseRadioNetwork) -> BTreeMap<u8, Bytes> {
        self.to_switch.iter().filter_map(|(id, _)| Some((*id, unsuccessful(why)?))).collect()
    }

    fn has(&self, id: PduSessionId) -> bool {
        self.to_switch.iter().chain(&self.failed).any(|(named, _)| *named == id.get())
    }
}

/// PATH SWITCH REQUEST.
pub(crate) fn on_request(amf: &mut Amf, gnb: GnbId, stream: u16, pdu: &NGAP_PDU) -> Handled {
    extract_ngap_ies!(pdu, PathSwitchRequest,
        req ran_id: u32 = RAN_UE_NGAP_ID(id),
        req amf_id: u64 = SourceAMF_UE_NGAP_ID(id),
        lax location: NrLocation = UserLocationInformation(ie) => convert::user_location_of(&ie)?,
        lax capability: SecurityCapability = UESecurityCapabilities(ie) => SecurityCapability::from_ngap(&ie),
        req to_switch: Vec<(u8, Bytes)> = PDUSessionResourceToBeSwitchedDLList(list) => list.0.iter()
            .map(|item| (item.pdu_session_id.0, Bytes::copy_from_slice(&item.path_switch_request_transfer)))
            .collect(),
        lax failed: Vec<(u8, Bytes)> = PDUSessionResourceFailedToSetupListPSReq(list) => list.0.iter()
            .map(|item| {
                let transfer = &item.path_switch_request_setup_failed_transfer;
                (item.pdu_session_id.0, Bytes::copy_from_slice(transfer))
            })
            .collect(),
    );
    amf.count("amf.ngap.path_switch_request");
    let to = Target { gnb, stream, ran_ue_ngap_id: ran_id };
    let ue = amf.by_amf_id.get(&amf_id).copied();
    let context = ue.and_then(|id| amf.ues.get(&id)).and_then(|ue| ue.n2.as_ref()).map(|n2| n2.context);
    let (Some(ue), Some(context)) = (ue, context) else {
        amf.count("amf.ngap.unknown_ue");
        // TS 38.413 §10.6
        let why = cause::radio_network(CauseRadioNetwork::unknown_local_UE_NGAP_ID);
        error_indication::send(amf, gnb, stream, Some(amf_id), Some(ran_id), why);
        return Ok(());
    };
    if !matches!(context, ContextSetup::Requested | ContextSetup::Done) {
        not_compatible(amf, to, amf_id);
        return Ok(());
    }
    let lists = Lists { to_switch, failed: failed.unwrap_or_default() };
    let deadline = amf.now + EARLY_WITHIN;
    let early = EarlySwitch { to, location, capability, lists, deadline };
    amf.with_ue(ue, |ue, amf| {
        // What is refused is refused at once.
        if ue.handover.is_some() || early.lists.repeats() || !early.is_waiting(ue, amf) {
            return early.proceed(ue, amf);
        }
        amf.count("amf.ngap.path_switch_early");
        ue.handover = Some(handover::Handover::Early(Box::new(early)));
    });
    Ok(())
}

/// TS 38.413 §10.4.
fn not_compatible(amf: &mut Amf, to: Target, amf_id: u64) {
    let why = cause::protocol(CauseProtocol::message_not_compatible_with_receiver_state);
    error_indication::send(amf, to.gnb, to.stream, Some(amf_id), Some(to.ran_ue_ngap_id), why);
}

impl EarlySwitch {
    /// When it is not waited any longer.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the source gNB has not answered yet.
    pub(crate) fn is_waiting(&self, ue: &UeContext, amf: &Amf) -> bool {
        let context = ue.n2.as_ref().map(|n2| n2.context);
        let setting_up = |session: &Session| session.is_setting_up() && self.lists.has(session.id);
        amf.now < self.deadline
            && (context == Some(ContextSetup::Requested) || ue.sessions.values().any(setting_up))
    }

    /// The source gNB has answered, or its time is over.
    pub(crate) fn proceed(self, ue: &mut UeContext, amf: &mut Amf) {
        let Some(n2) = &ue.n2 else { return };
        if n2.context != ContextSetup::Done {
            return not_compatible(amf, self.to, n2.amf_ue_ngap_id);
        }
        start(ue, amf, self.to, self.location, self.capability, self.lists);
    }

    /// The UE is lost at the source meanwhile.
    pub(crate) fn abandon(self, amf_id: u64, amf: &mut Amf) {
        let why = CauseRadioNetwork::radio_connection_with_ue_lost;
        send_failure(amf, amf_id, self.to, &self.lists.unsuccessful(why));
    }
}

fn start(
    ue: &mut UeContext,
    amf: &mut Amf,
    to: Target,
    location: Option<NrLocation>,
    capability: Option<SecurityCapability>,
    lists: Lists,
) {
    // TS 38.413 §8.4.4.4
    if lists.repeats() {
        return refuse(ue, amf, to, &lists, CauseRadioNetwork::multiple_PDU_session_ID_instances);
    }
    if ue.handover.is_some() {
        return refuse(ue, amf, to, &lists, CauseRadioNetwork::interaction_with_other_procedure);
    }
    handover::release_identity(amf, to, ue.id);
    let own = SecurityCapability::from_nas(&ue.capability).without_null();
    let capability_differs = capability.is_some_and(|told| told != own);
    if capability_differs {
        amf.count("amf.ngap.capability_mismatch");
        warn!(ue = ue.name(), "the target gNB was told other UE security capabilities than the UE has");
    }
    let mut switch = PathSwitch {
        to,
        location,
        waiting: BTreeSet::new(),
        switched: BTreeMap::new(),
        released: BTreeMap::new(),
        capability_differs,
        deadline: amf.now + SWITCH_WITHIN,
    };
    for (id, _) in &lists.to_switch {
        match PduSessionId::new(*id).and_then(|id| ue.sessions.get(&id)) {
            Some(session) if session.resources => drop(switch.waiting.insert(session.id)),
            _ => {
                let unknown = unsuccessful(CauseRadioNetwork::unknown_PDU_session_ID);
                switch.released.extend(unknown.map(|unknown| (*id, unknown)));
            }
        }
    }
    let waiting: Vec<PduSessionId> = switch.waiting.iter().copied().collect();
    ue.handover = Some(handover::Handover::PathSwitch(Box::new(switch)));
    // What the target gNB does not name has no resources any more (TS 23.502 §4.9.1.2.2 step 2).
    let unnamed = ue.sessions.values().filter(|s| s.resources && !lists.has(s.id)).map(|s| s.id);
    for id in unnamed.collect::<Vec<_>>() {
        session::set_resources(ue, id, false);
        session::push(ue, amf, id, Work::Deactivate);
    }
    for (id, transfer) in lists.failed {
        let Some(id) = PduSessionId::new(id) else { continue };
        session::set_resources(ue, id, false);
        session::push(ue, amf, id, Work::N2(N2FromGnb::PathSwitchSetupFailed, transfer));
    }
    for (id, transfer) in lists.to_switch {
        let id = PduSessionId::new(id).filter(|id| waiting.contains(id));
        if let Some(id) = id {
            session::push(ue, amf, id, Work::N2(N2FromGnb::PathSwitchRequest, transfer));
        }
    }
    handover::proceed(ue, amf);
}

fn unsuccessful(why: CauseRadioNetwork) -> Option<Bytes> {
    transfer::encode_path_switch_unsuccessful(NgapCause::of(&cause::radio_network(why))).ok()
}

impl PathSwitch {
    /// When the SMFs' time is over.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// An SMF has answered for a session: the transfer of the acknowledgement, or of the failure.
    pub(crate) fn on_answer(&mut self, id: PduSessionId, answer: Result<Bytes, Option<Bytes>>) {
        if !self.waiting.remove(&id) {
            return;
        }
        match answer {
            Ok(transfer) => drop(self.switched.insert(id, transfer)),
            Err(transfer) => {
                let transfer = transfer.or_else(|| unsuccessful(CauseRadioNetwork::unspecified));
                self.released.extend(transfer.map(|transfer| (id.get(), transfer)));
            }
        }
    }

    /// Whether an SMF is waited for.
    pub(crate) fn is_waiting(&self, ue: &UeContext, amf: &Amf) -> bool {
        let busy = |id| ue.sessions.get(id).is_some_and(Session::is_busy);
        amf.now < self.deadline && self.waiting.iter().any(busy)
    }

    /// Every SMF has answered, or its time is over.
    pub(crate) fn finish(mut self, ue: &mut UeContext, amf: &mut Amf) {
        for id in std::mem::take(&mut self.waiting) {
            let why = unsuccessful(CauseRadioNetwork::unspecified);
            self.released.extend(why.map(|why| (id.get(), why)));
        }
        for id in self.released.keys().copied().filter_map(PduSessionId::new) {
            session::set_resources(ue, id, false);
            // Its UPF must send neither to the source gNB any more, nor, if the SMF comes to it late, to the
            // target gNB, which has released it.
            session::push(ue, amf, id, Work::Deactivate);
        }
        if self.switched.is_empty() {
            return self.fail(ue, amf);
        }
        if !amf.gnbs.contains_key(&self.to.gnb) {
            // The target gNB has gone meanwhile, and the UE with it.
            ue_context_release::command(
                ue,
                amf,
                cause::radio_network(CauseRadioNetwork::successful_handover),
            );
            return gmm::connection_lost(ue, amf);
        }
        handover::move_connection(ue, amf, self.to);
        if let Some(location) = self.location {
            super::located(ue, amf, location);
        }
        amf.count("amf.ngap.path_switched");
        info!(
            ue = ue.name(),
            sessions = self.switched.len(),
            released = self.released.len(),
            "path switched: Xn handover"
        );
        let Some(mut n2) = ue.n2.take() else { return };
        let fresh = ue_context_modification::fresh(ue, &n2);
        match &fresh {
            Some(fresh) => {
                let pdu = self.acknowledge(ue, amf, n2.amf_ue_ngap_id, fresh);
                amf.send_on(&n2, pdu);
                n2.next_hop = Some(fresh.chain.clone());
            }
            None => amf.count("amf.ngap.no_key"),
        }
        ue.n2 = Some(n2);
        rrc_inactive::told(ue);
        if fresh.is_some_and(|fresh| fresh.new_context) {
            ue_context_modification::given(ue, amf);
        }
        handover::over(ue, amf);
    }

    /// No session is switched (TS 38.413 §8.4.4.3): the UE's connection stays where it was, until the
    /// source gNB gives it up.
    fn fail(self, ue: &mut UeContext, amf: &mut Amf) {
        let Some(amf_id) = ue.n2.as_ref().map(|n2| n2.amf_ue_ngap_id) else { return };
        amf.count("amf.ngap.path_switch_failed");
        warn!(ue = ue.name(), "no session's path is switched");
        send_failure(amf, amf_id, self.to, &self.released);
        handover::over(ue, amf);
    }

    /// The UE is lost at the source while SMFs are at work: the target gNB is not waited for any more.
    pub(crate) fn abandon(self, amf_id: u64, amf: &mut Amf) {
        let why = || unsuccessful(CauseRadioNetwork::radio_connection_with_ue_lost);
        let sessions = self.waiting.iter().chain(self.switched.keys()).map(|id| id.get());
        let all = sessions.chain(self.released.keys().copied());
        let released = all.filter_map(|id| Some((id, why()?))).collect();
        send_failure(amf, amf_id, self.to, &released);
    }

    fn acknowledge(
        &self,
        ue: &UeContext,
        amf: &Amf,
        amf_id: u64,
        fresh: &Fresh,
    ) -> Result<NGAP_PDU, CodecError> {
        macro_rules! ie {
            ($($ie:tt)*) => { build_ngap_ie!(PathSwitchRequestAcknowledge, $($ie)*)? };
        }
        let mut ies = vec![ie!(AMF_UE_NGAP_ID(amf_id)), ie!(RAN_UE_NGAP_ID(self.to.ran_ue_ngap_id))];
        if self.capability_differs {
            let own = SecurityCapability::from_nas(&ue.capability);
            ies.push(ie!(UESecurityCapabilities(own.to_ngap())));
        }
        let (ncc, nh) = (NextHopChainingCount(fresh.ncc), fresh.nh.into());
        ies.push(ie!(SecurityContext(SecurityContext::new(ncc, nh, None))));
        if fresh.new_context {
            ies.push(ie!(NewSecurityContextInd(NewSecurityContextInd::R_true)));
        }
        let switched = self.switched.iter().map(|(id, transfer)| {
            PDUSessionResourceSwitchedItem::new(PDUSessionID(id.get()), (&transfer[..]).into(), None)
        });
        ies.push(ie!(PDUSessionResourceSwitchedList(PDUSessionResourceSwitchedList(switched.collect()))));
        if !self.released.is_empty() {
            let released = self.released.iter().map(|(id, transfer)| {
                PDUSessionResourceReleasedItemPSAck::new(PDUSessionID(*id), (&transfer[..]).into(), None)
            });
            let list = PDUSessionResourceReleasedListPSAck(released.collect());
            ies.push(ie!(PDUSessionResourceReleasedListPSAck(list)));
        }
        ies.push(ie!(AllowedNSSAI(convert::allowed_nssai(&ue.allowed))));
        if let Some(assistance) = rrc_inactive::assistance(ue, amf) {
            ies.push(ie!(CoreNetworkAssistanceInformationForInactive(assistance)));
        }
        if let Some(reports) = rrc_inactive::report_request(amf) {
            ies.push(ie!(RRCInactiveTransitionReportRequest(reports)));
        }
        let message = PathSwitchRequestAcknowledge::new(ProtocolIEContainer(ies));
        NGAP_PDU::of_message(&message, PathSwitchRequestAcknowledge::CRITICALITY)
    }
}

/// Refuses a request before any SMF hears of it.
fn refuse(ue: &UeContext, amf: &mut Amf, to: Target, lists: &Lists, why: CauseRadioNetwork) {
    let Some(amf_id) = ue.n2.as_ref().map(|n2| n2.amf_ue_ngap_id) else { return };
    amf.count("amf.ngap.path_switch_failed");
    send_failure(amf, amf_id, to, &lists.unsuccessful(why));
}

fn send_failure(amf: &mut Amf, amf_id: u64, to: Target, released: &BTreeMap<u8, Bytes>) {
    let item = |(id, transfer): (&u8, &Bytes)| {
        PDUSessionResourceReleasedItemPSFail::new(PDUSessionID(*id), transfer.to_vec().into(), None)
    };
    let pdu = build_ngap!(
        UnsuccessfulOutcome,
        PathSwitchRequest,
        PathSwitchRequestFailure,
        AMF_UE_NGAP_ID(amf_id),
        RAN_UE_NGAP_ID(to.ran_ue_ngap_id),
        PDUSessionResourceReleasedListPSFail(PDUSessionResourceReleasedListPSFail(
            released.iter().map(item).collect()
        )),
    );
    amf.send_ngap(to.gnb, to.stream, pdu);
}
