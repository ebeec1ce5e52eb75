//! Handover by N2, at the source and at the target gNB: TS 38.413 §8.4, TS 23.502 §4.9.1.3.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use tern_crypto::{KGnb, Nh, ng_ran_star};
use tern_ngap::capability::SecurityCapability;
use tern_ngap::ngap::*;
use tern_ngap::transfer::{self, GtpTunnel};
use tern_ngap::{
    DecodeError, Message as _, NgapCause, build_ngap, build_ngap_ie, cause, convert, extract_ngap_ies,
};
use tern_types::Ambr;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::handover::Refused;
use super::keys::AsKeys;
use super::n3::{Bearer, Prepared};
use super::procedures::Ids;
use super::rrc::MasterKeyUpdate;
use super::tunnel::{UplinkTunnel, WeakUplink};
use super::{ANSWER_TIME, FromGnb, Gnb, Link, SlotSession, UE_QUEUE, UeSlot, rrc};
use crate::error::SimError;

/// How long the target gNB waits for the counts of packets before it takes the UE without them.
const STATUS_TIME: Duration = Duration::from_secs(1);
/// Bits of a PDCP sequence number; the rest of COUNT is the hyper frame number.
const PDCP_SN_BITS: u32 = 18;

/// How packets of the source gNB get to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// The gNBs reach one another.
    Direct,
    /// By the UPF.
    Indirect,
}

/// A UE that is to come: HANDOVER REQUEST was acknowledged.
pub(super) struct Incoming {
    events: mpsc::Receiver<FromGnb>,
    sessions: BTreeMap<u8, (Prepared, mpsc::Receiver<Bytes>)>,
    /// DOWNLINK RAN STATUS TRANSFER has come.
    counted: bool,
}

impl Incoming {
    /// Tunnels that are open for the source gNB.
    pub(super) fn forwarding(&self) -> impl Iterator<Item = GtpTunnel> + '_ {
        self.sessions.values().filter_map(|(prepared, _)| prepared.forwarding)
    }
}

/// HANDOVER COMMAND.
#[derive(Debug)]
pub struct Commanded {
    /// What the target gNB tells the UE of its keys.
    pub(crate) keys: MasterKeyUpdate,
    sessions: BTreeMap<u8, transfer::HandoverCommand>,
    /// They have no resources any more.
    pub(crate) released: Vec<u8>,
}

/// A session's way to the UE, and from it.
pub(crate) type Bearers = BTreeMap<u8, Bearer>;

impl Gnb {
    /// The source gNB asks the AMF for the handover of a UE (TS 38.413 §8.4.1).
    pub(crate) async fn require_handover(
        &self,
        ran_id: u32,
        target: &Self,
        forwarding: Forwarding,
    ) -> Result<Result<Commanded, Refused>, SimError> {
        self.await_earlier(ran_id).await;
        let (amf_id, stream) = self.ids(ran_id)?;
        let (sender, answered) = oneshot::channel();
        let sessions = self.with_ue(ran_id, |ue| {
            ue.commanded = Some(sender);
            ue.sessions.keys().copied().collect::<Vec<u8>>()
        });
        let sessions = sessions.unwrap_or_default();
        if sessions.is_empty() {
            return Err(SimError::State(
                "a UE without resources of a session is not handed over by N2".into(),
            ));
        }
        let direct = forwarding == Forwarding::Direct;
        let octets = transfer::HandoverRequired { direct_forwarding: direct }.encode()?.to_vec();
        let item = |psi| PDUSessionResourceItemHORqd::new(PDUSessionID(psi), octets.clone().into(), None);
        let sessions = sessions.into_iter().map(item).collect();
        let node = convert::global_gnb_id(target.config().global_id());
        let target_id = TargetRANNodeID::new(node, convert::tai(target.config().tai()), None);
        macro_rules! ie {
            ($($ie:tt)*) => { build_ngap_ie!(HandoverRequired, $($ie)*)? };
        }
        let mut ies = vec![
            ie!(AMF_UE_NGAP_ID(amf_id)),
            ie!(RAN_UE_NGAP_ID(ran_id)),
            ie!(HandoverType(HandoverType::intra5gs)),
            ie!(Cause(cause::radio_network(CauseRadioNetwork::handover_desirable_for_radio_reason))),
            ie!(TargetID(TargetID::targetRANNodeID(target_id))),
        ];
        if direct {
            let available = DirectForwardingPathAvailability::direct_path_available;
            ies.push(ie!(DirectForwardingPathAvailability(available)));
        }
        let container = rrc::to_target(self.config(), target.config())?;
        ies.push(ie!(PDUSessionResourceListHORqd(PDUSessionResourceListHORqd(sessions))));
        ies.push(ie!(SourceToTarget_TransparentContainer(&container[..])));
        let message = HandoverRequired::new(ProtocolIEContainer(ies));
        let pdu = NGAP_PDU::of_message(&message, HandoverRequired::CRITICALITY)?;
        self.send(&pdu, stream).await?;
        match tokio::time::timeout(ANSWER_TIME, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            _ => Ok(Err("no answer to HANDOVER REQUIRED".to_owned())),
        }
    }

    /// TS 38.413 §8.4.1.2.
    pub(super) async fn on_handover_command(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        const CLAUSE: &str = "TS 38.413 §8.4.1.2";
        extract_ngap_ies!(pdu, HandoverCommand,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            req kind: HandoverType = HandoverType(kind) => kind,
            opt sessions: Vec<(u8, Bytes)> = PDUSessionResourceHandoverList(list) => list.0.iter()
                .map(|item| (item.pdu_session_id.0, Bytes::copy_from_slice(&item.handover_command_transfer)))
                .collect(),
            opt released: Vec<(u8, Bytes)> = PDUSessionResourceToReleaseListHOCmd(list) => list.0.iter()
                .map(|item| {
                    let transfer = &item.handover_preparation_unsuccessful_transfer;
                    (item.pdu_session_id.0, Bytes::copy_from_slice(transfer))
                })
                .collect(),
            req container: Bytes = TargetToSource_TransparentContainer(container) =>
                Bytes::copy_from_slice(&container.0),
        );
        if kind != HandoverType::intra5gs {
            self.failure(CLAUSE, format_args!("handover type {kind:?}"));
        }
        let mut all = BTreeMap::new();
        for (psi, octets) in sessions.unwrap_or_default() {
            match transfer::HandoverCommand::decode(&octets) {
                Ok(command) => drop(all.insert(psi, command)),
                Err(error) => self.failure("TS 38.413 §9.3.4.10", error),
            }
        }
        let mut gone = Vec::new();
        for (psi, octets) in released.unwrap_or_default() {
            if let Err(error) = transfer::decode_handover_preparation_unsuccessful(&octets) {
                self.failure("TS 38.413 §9.3.4.18", error);
            }
            gone.push(psi);
        }
        let keys = rrc::told(&container);
        if keys.is_none() {
            self.failure(CLAUSE, "the container is not the one that the target gNB has sent");
        }
        self.of_ue(Ids { amf_id, ran_id }, stream, |ue| {
            let told = |psi: &u8| all.contains_key(psi) || gone.contains(psi);
            if let Some(psi) = ue.sessions.keys().find(|psi| !told(psi)) {
                self.failure(CLAUSE, format_args!("no word on PDU session {psi}"));
            }
            let commanded = Commanded { keys: keys.unwrap_or_default(), sessions: all, released: gone };
            match ue.commanded.take() {
                Some(waiting) => drop(waiting.send(Ok(commanded))),
                None => self.failure(CLAUSE, "HANDOVER COMMAND, which nobody waits for"),
            }
        })
        .await;
        Ok(())
    }

    /// TS 38.413 §8.4.1.3.
    pub(super) async fn on_preparation_failure(
        &self,
        pdu: &NGAP_PDU,
        stream: u16,
    ) -> Result<(), DecodeError> {
        extract_ngap_ies!(pdu, HandoverPreparationFailure,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            req why: Cause = Cause(cause) => cause,
        );
        self.of_ue(Ids { amf_id, ran_id }, stream, |ue| {
            let why = format!("HANDOVER PREPARATION FAILURE: {}", cause::describe(&why));
            let _ = ue.commanded.take().map(|waiting| waiting.send(Err(why)));
        })
        .await;
        Ok(())
    }

    /// The source gNB wants the handover no longer (TS 38.413 §8.4.5).
    pub(crate) async fn cancel_handover(&self, ran_id: u32) -> Result<(), SimError> {
        let (amf_id, stream) = self.ids(ran_id)?;
        let (sender, answered) = oneshot::channel();
        self.with_ue(ran_id, |ue| {
            ue.cancelled = Some(sender);
            ue.commanded = None;
        });
        let pdu = build_ngap!(
            InitiatingMessage,
            HandoverCancel,
            HandoverCancel,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            Cause(cause::radio_network(CauseRadioNetwork::handover_cancelled)),
        )?;
        self.send(&pdu, stream).await?;
        match tokio::time::timeout(ANSWER_TIME, answered).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(SimError::Timeout { waiting_for: "HANDOVER CANCEL ACKNOWLEDGE", timer: "10 s" }),
        }
    }

    /// TS 38.413 §8.4.5.2.
    pub(super) async fn on_cancelled(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        extract_ngap_ies!(pdu, HandoverCancelAcknowledge,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
        );
        self.of_ue(Ids { amf_id, ran_id }, stream, |ue| match ue.cancelled.take() {
            Some(waiting) => drop(waiting.send(())),
            None => self.failure("TS 38.413 §8.4.5.2", "HANDOVER CANCEL ACKNOWLEDGE, which nobody waits for"),
        })
        .await;
        Ok(())
    }

    /// How the UE's sessions are reached here.
    pub(crate) fn bearers(&self, ran_id: u32) -> Bearers {
        let state = self.state();
        let sessions = state.ues.get(&ran_id).into_iter().flat_map(|ue| &ue.sessions);
        let bearer = |(&psi, session): (&u8, &SlotSession)| {
            Some((psi, Bearer { uplink: session.uplink.upgrade()?, sink: self.n3().sink(session.teid)? }))
        };
        sessions.filter_map(bearer).collect()
    }

    /// The UE has left the source gNB: packets for it are forwarded, and the target hears how many it has had
    /// (TS 38.413 §8.4.6).
    pub(crate) async fn leave(&self, ran_id: u32, commanded: &Commanded) -> Result<(), SimError> {
        let (amf_id, stream) = self.ids(ran_id)?;
        let sessions = self.with_ue(ran_id, |ue| {
            ue.leaving = Some(CauseRadioNetwork::ng_intra_system_handover_triggered);
            std::mem::take(&mut ue.sessions)
        });
        let mut items = Vec::new();
        for (psi, session) in sessions.unwrap_or_default() {
            match commanded.sessions.get(&psi).and_then(|command| command.forwarding) {
                Some(forwarding) => self.n3().forward(session.teid, forwarding),
                None => self.n3().discard(session.teid),
            }
            if commanded.sessions.contains_key(&psi) {
                items.push(status_item(psi, self.n3().delivered(session.teid)));
            }
        }
        if items.is_empty() {
            return Ok(());
        }
        let list = DRBsSubjectToStatusTransferList(items);
        let pdu = build_ngap!(
            InitiatingMessage,
            UplinkRANStatusTransfer,
            UplinkRANStatusTransfer,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            RANStatusTransfer_TransparentContainer(RANStatusTransferTransparentContainer::new(list, None)),
        )?;
        self.send(&pdu, stream).await
    }

    /// The source gNB waits until the AMF has released a UE that has left.
    pub(crate) async fn await_leave(&self, ran_id: u32) -> Result<(), SimError> {
        let until = Instant::now() + ANSWER_TIME;
        while self.state().ues.contains_key(&ran_id) {
            if Instant::now() >= until {
                self.failure("TS 23.502 §4.9.1.3.3", "the UE has left, and is not released");
                return Err(SimError::Timeout { waiting_for: "UE CONTEXT RELEASE COMMAND", timer: "10 s" });
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// TS 38.413 §8.4.2: the target gNB takes a UE that is to come, or does not.
    pub(super) async fn on_handover_request(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        const CLAUSE: &str = "TS 38.413 §8.4.2.2";
        extract_ngap_ies!(pdu, HandoverRequest,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req kind: HandoverType = HandoverType(kind) => kind,
            req ambr: Ambr = UEAggregateMaximumBitRate(ambr) => convert::ue_ambr_of(&ambr),
            req capability: SecurityCapability = UESecurityCapabilities(c) => SecurityCapability::from_ngap(&c),
            req security: (u8, Option<Nh>) = SecurityContext(context) => (
                context.next_hop_chaining_count.0,
                Nh::from_slice(context.next_hop_nh.0.as_octets()),
            ),
            opt new_context: NewSecurityContextInd = NewSecurityContextInd(indicator) => indicator,
            req sessions: PDUSessionResourceSetupListHOReq<'_> = PDUSessionResourceSetupListHOReq(list) => list,
            req _allowed: AllowedNSSAI = AllowedNSSAI(list) => list,
            req container: Bytes = SourceToTarget_TransparentContainer(container) =>
                Bytes::copy_from_slice(&container.0),
            opt inactive: CoreNetworkAssistanceInformationForInactive =
                CoreNetworkAssistanceInformationForInactive(information) => information,
            opt reports: RRCInactiveTransitionReportRequest =
                RRCInactiveTransitionReportRequest(request) => request,
            opt locations: LocationReportingRequestType = LocationReportingRequestType(request) => request,
            req guami: GUAMI = GUAMI(guami) => guami,
        );
        if kind != HandoverType::intra5gs {
            self.failure(CLAUSE, format_args!("handover type {kind:?}"));
        }
        if rrc::is_for(&container, self.config()).ok() != Some(true) {
            self.failure("TS 38.413 §9.3.1.29", "the container is not the one that the source gNB has sent");
        }
        self.served_guami(&guami);
        let (ncc, Some(nh)) = security else {
            self.failure(CLAUSE, "a Security Context that is none");
            return self.refuse_handover(amf_id, stream, CauseRadioNetwork::unspecified).await;
        };
        let (sink, events) = mpsc::channel(UE_QUEUE);
        let Ok((ran_id, own_stream)) = self.add_ue(sink) else { return Ok(()) };
        let never = self.state().refused.clone();
        let (mut incoming, mut slots) = (BTreeMap::new(), BTreeMap::new());
        let (mut admitted, mut failed) = (Vec::new(), Vec::new());
        for item in &sessions.0 {
            let (psi, slice) = (item.pdu_session_id.0, convert::snssai_of(&item.s_nssai));
            let served = self.config().slices.contains(&slice) && !never.contains(&psi);
            let request = self.read_setup(psi, &item.handover_request_transfer).filter(|_| served);
            let prepared = request.and_then(|mut request| {
                let (of_gnb, refused) = self.admit_flows(&request.flows);
                let flows: Vec<u8> = of_gnb.iter().map(|flow| flow.qfi.get()).collect();
                (!flows.is_empty()).then_some(())?;
                request.flows = of_gnb;
                let (sink, buffer) = self.n3().buffer();
                let prepared = self.n3().prepare(request.uplink, &flows, sink, true)?;
                let acknowledge = transfer::HandoverRequestAcknowledge {
                    downlink: prepared.downlink,
                    forwarding: prepared.forwarding,
                    flows: request.flows.iter().map(|flow| (flow.qfi, true)).collect(),
                    failed: refused,
                };
                let octets = acknowledge.encode().ok()?.to_vec();
                let (teid, uplink) = (prepared.downlink.teid, WeakUplink::default());
                slots.insert(psi, SlotSession { teid, slice, request, uplink });
                incoming.insert(psi, (prepared, buffer));
                Some(PDUSessionResourceAdmittedItem::new(PDUSessionID(psi), octets.into(), None))
            });
            match prepared {
                Some(item) => admitted.push(item),
                None => failed.extend(not_allocated(psi)),
            }
        }
        if admitted.is_empty() {
            self.forget_quietly(ran_id);
            let why = CauseRadioNetwork::no_radio_resources_available_in_target_cell;
            return self.refuse_handover(amf_id, stream, why).await;
        }
        let key = ng_ran_star(nh.as_bytes(), self.config().cell());
        self.with_ue(ran_id, |ue| {
            (ue.amf_id, ue.core_stream) = (Some(amf_id), Some(stream));
            ue.keys = Some(AsKeys::handed_over(key, ncc));
            (ue.context, ue.capability, ue.ue_ambr, ue.sessions) = (true, capability, Some(ambr), slots);
            self.take_assistance(ue, (inactive, reports));
            if let Some(request) = &locations {
                ue.location_reports.take(request);
            }
            ue.incoming = Some(Incoming { events, sessions: incoming, counted: false });
        });
        let update = MasterKeyUpdate { key_set_change: new_context.is_some(), ncc };
        let container = rrc::to_source(update).unwrap_or_default();
        let answer = || {
            macro_rules! ie {
                ($($ie:tt)*) => { build_ngap_ie!(HandoverRequestAcknowledge, $($ie)*)? };
            }
            let mut ies = vec![
                ie!(AMF_UE_NGAP_ID(amf_id)),
                ie!(RAN_UE_NGAP_ID(ran_id)),
                ie!(PDUSessionResourceAdmittedList(PDUSessionResourceAdmittedList(admitted))),
            ];
            if !failed.is_empty() {
                let failed = PDUSessionResourceFailedToSetupListHOAck(failed);
                ies.push(ie!(PDUSessionResourceFailedToSetupListHOAck(failed)));
            }
            ies.push(ie!(TargetToSource_TransparentContainer(&container[..])));
            let message = HandoverRequestAcknowledge::new(ProtocolIEContainer(ies));
            NGAP_PDU::of_message(&message, HandoverRequestAcknowledge::CRITICALITY)
        };
        self.answer(answer(), own_stream).await;
        Ok(())
    }

    /// HANDOVER FAILURE (TS 38.413 §8.4.2.3).
    async fn refuse_handover(
        &self,
        amf_id: u64,
        stream: u16,
        why: CauseRadioNetwork,
    ) -> Result<(), DecodeError> {
        let answer = build_ngap!(
            UnsuccessfulOutcome,
            HandoverResourceAllocation,
            HandoverFailure,
            AMF_UE_NGAP_ID(amf_id),
            Cause(cause::radio_network(why)),
        );
        self.answer(answer, stream).await;
        Ok(())
    }

    /// TS 38.413 §8.4.7.2.
    pub(super) async fn on_status(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        const CLAUSE: &str = "TS 38.413 §8.4.7.2";
        extract_ngap_ies!(pdu, DownlinkRANStatusTransfer,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            req container: RANStatusTransferTransparentContainer<'_> =
                RANStatusTransfer_TransparentContainer(container) => container,
        );
        self.of_ue(Ids { amf_id, ran_id }, stream, |ue| {
            for item in &container.drbs_subject_to_status_transfer_list.0 {
                let session = u8::try_from(item.drb_id.0).ok().and_then(|psi| ue.sessions.get(&psi));
                match (session, &item.drb_status_dl) {
                    (Some(session), DRBStatusDL::dRBStatusDL18(status)) => {
                        let COUNTValueForPDCPSN18 { pdcp_sn18, hfn_pdcp_sn18, .. } = status.dl_count_value;
                        let count = u32::from(hfn_pdcp_sn18) << PDCP_SN_BITS | pdcp_sn18;
                        self.n3().count_from(session.teid, count);
                    }
                    _ => self.failure(CLAUSE, format_args!("the status of {:?}, which is none", item.drb_id)),
                }
            }
            match &mut ue.incoming {
                Some(incoming) => incoming.counted = true,
                None => self.failure(CLAUSE, "a status of a UE that is here already"),
            }
        })
        .await;
        Ok(())
    }

    fn expected(&self, key: &KGnb) -> Option<u32> {
        let state = self.state();
        let is_it = |ue: &UeSlot| ue.incoming.is_some() && ue.keys.as_ref().is_some_and(|keys| keys.is(key));
        state.ues.iter().find(|(_, ue)| is_it(ue)).map(|(&ran_id, _)| ran_id)
    }

    /// Whether a UE with this key is to come here.
    pub(crate) fn expects(&self, key: &KGnb) -> bool {
        self.expected(key).is_some()
    }

    /// The UE has come to the target gNB, with this key (TS 38.413 §8.4.3): its packets leave here.
    pub(crate) async fn welcome(&self, key: &KGnb, bearers: Bearers) -> Result<(Link, Vec<u8>), SimError> {
        let gone = || SimError::Handover(format!("{self} waits for the UE no longer"));
        let ran_id = self.expected(key).ok_or_else(gone)?;
        let until = Instant::now() + STATUS_TIME;
        let counted =
            || self.with_ue(ran_id, |ue| ue.incoming.as_ref().is_some_and(|incoming| incoming.counted));
        while !counted().ok_or_else(gone)? {
            if Instant::now() >= until {
                self.failure("TS 38.413 §8.4.7", "no DOWNLINK RAN STATUS TRANSFER");
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let incoming = self.with_ue(ran_id, |ue| ue.incoming.take()).flatten().ok_or_else(gone)?;
        let (mut moved, mut forwarding) = (Vec::new(), Vec::new());
        for (psi, (prepared, buffer)) in incoming.sessions {
            let Some(Bearer { uplink, sink }) = bearers.get(&psi) else { continue };
            let Prepared { path, downlink, forwarding: forwarded } = prepared;
            uplink.switch(path);
            self.take_over(ran_id, psi, uplink);
            self.n3().attach(downlink.teid, forwarded.map(|tunnel| tunnel.teid), buffer, sink);
            forwarding.extend(forwarded);
            moved.push(psi);
        }
        let (amf_id, stream) = self.ids(ran_id)?;
        let pdu = build_ngap!(
            InitiatingMessage,
            HandoverNotification,
            HandoverNotify,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            UserLocationInformation(convert::user_location(self.config().location())),
        )?;
        self.send(&pdu, stream).await?;
        forwarding.iter().for_each(|tunnel: &GtpTunnel| self.n3().expect_end(tunnel.teid));
        self.watch_inactivity(ran_id);
        self.cell_changed(ran_id).await;
        Ok((Link { gnb: self.clone(), ran_id, events: incoming.events }, moved))
    }

    fn take_over(&self, ran_id: u32, psi: u8, uplink: &UplinkTunnel) {
        self.with_ue(ran_id, |ue| {
            if let Some(session) = ue.sessions.get_mut(&psi) {
                session.uplink = uplink.downgrade();
            }
        });
    }
}

/// A DRB for each session; downlink, the COUNT of the packet that is next.
fn status_item(psi: u8, delivered: u32) -> DRBsSubjectToStatusTransferItem<'static> {
    let count = |value: u32| {
        let (sn, hfn) = (value & ((1 << PDCP_SN_BITS) - 1), (value >> PDCP_SN_BITS) as u16);
        COUNTValueForPDCPSN18::new(sn, hfn, None)
    };
    DRBsSubjectToStatusTransferItem::new(
        DRBID(psi.into()),
        DRBStatusUL::dRBStatusUL18(DRBStatusUL18::new(count(0), None, None)),
        DRBStatusDL::dRBStatusDL18(DRBStatusDL18::new(count(delivered), None)),
        None,
    )
}

fn not_allocated(psi: u8) -> Option<PDUSessionResourceFailedToSetupItemHOAck<'static>> {
    let why = NgapCause::of(&cause::radio_network(CauseRadioNetwork::radio_resources_not_available));
    let octets = transfer::encode_handover_allocation_unsuccessful(why).ok()?.to_vec();
    Some(PDUSessionResourceFailedToSetupItemHOAck::new(PDUSessionID(psi), octets.into(), None))
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("sessions", &self.sessions.keys()).finish()
    }
}
