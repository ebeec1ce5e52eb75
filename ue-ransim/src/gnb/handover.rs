//! Handover by Xn, at the source and at the target gNB: TS 23.502 §4.9.1.2, TS 38.413 §8.4.4. What
//! gNBs say to one another on Xn is a call here; packets are forwarded as GTP-U.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tern_crypto::{KGnb, Nh};
use tern_ngap::capability::SecurityCapability;
use tern_ngap::ngap::*;
use tern_ngap::transfer::{self, GtpTunnel, SetupRequest};
use tern_ngap::{
    DecodeError, Message as _, NgapCause, build_ngap, build_ngap_ie, cause, convert, extract_ngap_ies,
};
use tern_types::{Ambr, Snssai};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::keys::AsKeys;
use super::location::LocationReports;
use super::n3::Prepared;
use super::procedures::Ids;
use super::tunnel::UplinkTunnel;
use super::{ANSWER_TIME, FromGnb, Gnb, Link, SlotSession, UE_QUEUE, UeSlot};
use crate::error::SimError;

/// How long a gNB waits until no packets of an earlier handover are on their way.
const EARLIER_TIME: Duration = Duration::from_secs(2);

/// What became of a UE's sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionsMoved {
    /// They go on in the target cell.
    pub moved: Vec<u8>,
    /// They have no resources any more.
    pub released: Vec<u8>,
}

/// Why a handover is not prepared or not completed: nothing of it is left at the target.
pub(crate) type Refused = String;

/// The AMF's answer about a handover.
pub(super) type Answer = Result<SessionsMoved, Refused>;

/// A session that is to be handed over.
struct SessionToMove {
    slice: Snssai,
    request: SetupRequest,
    uplink: UplinkTunnel,
    sink: mpsc::Sender<Bytes>,
}

/// XnAP HANDOVER REQUEST (TS 38.423 §8.2.1).
pub(crate) struct HandoverRequest {
    amf_id: u64,
    key: KGnb,
    ncc: u8,
    capability: SecurityCapability,
    ue_ambr: Option<Ambr>,
    location_reports: LocationReports,
    sessions: BTreeMap<u8, SessionToMove>,
    /// They have resources, but nobody uses them.
    unused: Vec<u8>,
}

/// XnAP HANDOVER REQUEST ACKNOWLEDGE, and what RRC tells the UE.
pub(crate) struct Admitted {
    ran_id: u32,
    events: mpsc::Receiver<FromGnb>,
    sessions: BTreeMap<u8, (UplinkTunnel, Prepared)>,
    refused: Vec<u8>,
    /// Next hop chaining counter.
    pub ncc: u8,
    /// The key that the target gNB uses.
    pub key: KGnb,
}

impl Gnb {
    /// The source gNB asks the target to take a UE.
    pub(crate) async fn request_handover(
        &self,
        ran_id: u32,
        target: &Self,
    ) -> Result<HandoverRequest, SimError> {
        self.await_earlier(ran_id).await;
        let unusable = |what: &str| SimError::State(format!("a handover of a UE {what}"));
        let state = self.state();
        let ue = state.ues.get(&ran_id).ok_or_else(|| unusable("that is not here"))?;
        let keys = ue.keys.as_ref().ok_or_else(|| unusable("without AS security"))?;
        let (key, ncc) = keys.for_cell(target.config().cell());
        let amf_id = ue.amf_id.ok_or_else(|| unusable("that the AMF has not answered"))?;
        let (mut sessions, mut unused) = (BTreeMap::new(), Vec::new());
        for (&psi, session) in &ue.sessions {
            match (session.uplink.upgrade(), self.n3().sink(session.teid)) {
                (Some(uplink), Some(sink)) => {
                    let (slice, request) = (session.slice, session.request.clone());
                    sessions.insert(psi, SessionToMove { slice, request, uplink, sink });
                }
                _ => unused.push(psi),
            }
        }
        let (capability, ue_ambr) = (ue.capability, ue.ue_ambr);
        let location_reports = ue.location_reports.clone();
        Ok(HandoverRequest { amf_id, key, ncc, capability, ue_ambr, location_reports, sessions, unused })
    }

    /// Packets that an earlier handover forwards come first.
    pub(crate) async fn await_earlier(&self, ran_id: u32) {
        let until = Instant::now() + EARLIER_TIME;
        let teids = self.with_ue(ran_id, |ue| ue.sessions.values().map(|s| s.teid).collect::<Vec<_>>());
        let teids = teids.unwrap_or_default();
        while teids.iter().any(|&teid| self.n3().is_held(teid)) && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The target gNB takes a UE: its resources are there before the UE is.
    pub(crate) fn admit(&self, request: HandoverRequest) -> Result<Admitted, SimError> {
        let HandoverRequest { amf_id, key, ncc, capability, ue_ambr, location_reports, sessions, unused } =
            request;
        let (sink, events) = mpsc::channel(UE_QUEUE);
        let (ran_id, _) = self.add_ue(sink)?;
        let never = self.state().refused.clone();
        let (mut admitted, mut refused) = (BTreeMap::new(), unused);
        let mut slots = BTreeMap::new();
        for (psi, SessionToMove { slice, mut request, uplink, sink }) in sessions {
            request.flows = self.admit_flows(&request.flows).0;
            let flows: Vec<u8> = request.flows.iter().map(|flow| flow.qfi.get()).collect();
            let served = self.config().slices.contains(&slice) && !never.contains(&psi) && !flows.is_empty();
            let prepared = served.then(|| self.n3().prepare(uplink.remote(), &flows, sink, true)).flatten();
            let Some(prepared) = prepared else {
                refused.push(psi);
                continue;
            };
            let (teid, weak) = (prepared.downlink.teid, uplink.downgrade());
            slots.insert(psi, SlotSession { teid, slice, request, uplink: weak });
            admitted.insert(psi, (uplink, prepared));
        }
        if admitted.is_empty() {
            self.forget_quietly(ran_id);
            return Err(SimError::Handover(format!("{self} admits no session")));
        }
        self.with_ue(ran_id, |ue| {
            ue.amf_id = Some(amf_id);
            ue.keys = Some(AsKeys::handed_over(key.clone(), ncc));
            ue.location_reports = location_reports;
            (ue.context, ue.capability, ue.ue_ambr, ue.sessions) = (true, capability, ue_ambr, slots);
        });
        Ok(Admitted { ran_id, events, sessions: admitted, refused, ncc, key })
    }

    /// The UE does not come: the target gNB frees what it has for it.
    pub(crate) fn cancel(&self, admitted: Admitted) {
        self.forget_quietly(admitted.ran_id);
    }

    pub(super) fn forget_quietly(&self, ran_id: u32) {
        let gone = self.state().ues.remove(&ran_id);
        gone.iter().for_each(|ue| self.close_tunnels(ue));
    }

    /// The UE has left this gNB for the target: packets for it are forwarded from now on.
    pub(crate) fn send_away(&self, ran_id: u32, admitted: &Admitted) {
        let sessions = self.with_ue(ran_id, |ue| {
            ue.leaving = Some(CauseRadioNetwork::xn_handover_triggered);
            std::mem::take(&mut ue.sessions)
        });
        for (psi, session) in sessions.unwrap_or_default() {
            match admitted.sessions.get(&psi).and_then(|(_, prepared)| prepared.forwarding) {
                Some(forwarding) => self.n3().forward(session.teid, forwarding),
                None => self.n3().close(session.teid),
            }
        }
    }

    /// The UE has come to this gNB: its packets leave here, and the AMF is asked to switch the paths
    /// (TS 38.413 §8.4.4).
    pub(crate) async fn arrive(&self, admitted: Admitted) -> Result<(Link, Answer), SimError> {
        let Admitted { ran_id, events, sessions, refused, .. } = admitted;
        let mut forwarding = Vec::new();
        let mut to_switch = Vec::new();
        for (psi, (uplink, prepared)) in sessions {
            let Prepared { path, downlink, forwarding: forwarded } = prepared;
            forwarding.extend(forwarded);
            to_switch.push(self.item_to_switch(ran_id, psi, downlink)?);
            uplink.switch(path);
        }
        let (sender, answered) = oneshot::channel();
        let known = self.with_ue(ran_id, |ue| {
            ue.answer = Some(sender);
            (ue.amf_id, ue.stream, ue.capability)
        });
        let Some((Some(amf_id), stream, capability)) = known else {
            return Err(SimError::State("the UE is gone before it has come".into()));
        };
        let failed = refused.iter().map(|&psi| failed_item(psi)).collect::<Result<Vec<_>, _>>()?;
        let to_switch = PDUSessionResourceToBeSwitchedDLList(to_switch);
        let location = convert::user_location(self.config().location());
        macro_rules! ie {
            ($($ie:tt)*) => { build_ngap_ie!(PathSwitchRequest, $($ie)*)? };
        }
        let mut ies = vec![
            ie!(RAN_UE_NGAP_ID(ran_id)),
            ie!(SourceAMF_UE_NGAP_ID(amf_id)),
            ie!(UserLocationInformation(location)),
            ie!(UESecurityCapabilities(capability.to_ngap())),
            ie!(PDUSessionResourceToBeSwitchedDLList(to_switch)),
        ];
        if !failed.is_empty() {
            let failed = PDUSessionResourceFailedToSetupListPSReq(failed);
            ies.push(ie!(PDUSessionResourceFailedToSetupListPSReq(failed)));
        }
        let message = PathSwitchRequest::new(ProtocolIEContainer(ies));
        let pdu = NGAP_PDU::of_message(&message, PathSwitchRequest::CRITICALITY)?;
        self.send(&pdu, stream).await?;
        let answer = match tokio::time::timeout(ANSWER_TIME, answered).await {
            Ok(Ok(answer)) => answer,
            _ => Err("no answer to PATH SWITCH REQUEST".to_owned()),
        };
        forwarding.iter().for_each(|tunnel: &GtpTunnel| self.n3().expect_end(tunnel.teid));
        let answer = answer.map(|mut moved| {
            moved.released.extend(refused);
            moved
        });
        match &answer {
            Ok(_) => {
                self.watch_inactivity(ran_id);
                self.cell_changed(ran_id).await;
            }
            Err(_) => self.forget_quietly(ran_id),
        }
        Ok((Link { gnb: self.clone(), ran_id, events }, answer))
    }

    fn item_to_switch(
        &self,
        ran_id: u32,
        psi: u8,
        downlink: GtpTunnel,
    ) -> Result<PDUSessionResourceToBeSwitchedDLItem<'static>, SimError> {
        let flows = self.with_ue(ran_id, |ue| {
            let flows = ue.sessions.get(&psi).into_iter().flat_map(|session| &session.request.flows);
            flows.map(|flow| flow.qfi).collect()
        });
        let octets = transfer::PathSwitchRequest { downlink, flows: flows.unwrap_or_default() }.encode()?;
        Ok(PDUSessionResourceToBeSwitchedDLItem::new(PDUSessionID(psi), octets.to_vec().into(), None))
    }

    /// The source gNB hears no more of the UE (TS 38.413 §8.3.2).
    pub(crate) async fn give_up(&self, ran_id: u32, why: CauseRadioNetwork) -> Result<(), SimError> {
        let known = self.with_ue(ran_id, |ue| ue.amf_id.map(|amf_id| (amf_id, ue.stream))).flatten();
        let Some((amf_id, stream)) = known else { return Ok(()) };
        let pdu = build_ngap!(
            InitiatingMessage,
            UEContextReleaseRequest,
            UEContextReleaseRequest,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            Cause(cause::radio_network(why)),
        )?;
        self.send(&pdu, stream).await
    }

    /// XnAP UE CONTEXT RELEASE: the target gNB has the UE.
    pub(crate) fn release_context(&self, ran_id: u32) {
        self.forget_quietly(ran_id);
    }

    /// TS 38.413 §8.4.4.2.
    pub(super) async fn on_path_switched(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        const CLAUSE: &str = "TS 38.413 §8.4.4.2";
        extract_ngap_ies!(pdu, PathSwitchRequestAcknowledge,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            opt capability: SecurityCapability = UESecurityCapabilities(c) => SecurityCapability::from_ngap(&c),
            req security: (u8, Option<Nh>) = SecurityContext(context) => (
                context.next_hop_chaining_count.0,
                Nh::from_slice(context.next_hop_nh.0.as_octets()),
            ),
            opt new_context: NewSecurityContextInd = NewSecurityContextInd(indicator) => indicator,
            req switched: Vec<(u8, Bytes)> = PDUSessionResourceSwitchedList(list) => list.0.iter().map(|item| (
                item.pdu_session_id.0,
                Bytes::copy_from_slice(&item.path_switch_request_acknowledge_transfer),
            )).collect(),
            opt released: Vec<u8> = PDUSessionResourceReleasedListPSAck(list) =>
                list.0.iter().map(|item| item.pdu_session_id.0).collect(),
            req _allowed: AllowedNSSAI = AllowedNSSAI(list) => list,
            opt inactive: CoreNetworkAssistanceInformationForInactive =
                CoreNetworkAssistanceInformationForInactive(information) => information,
            opt reports: RRCInactiveTransitionReportRequest =
                RRCInactiveTransitionReportRequest(request) => request,
        );
        let released = released.unwrap_or_default();
        self.of_ue(Ids { amf_id, ran_id }, stream, |ue| {
            let (ncc, nh) = security;
            match (nh, &mut ue.keys) {
                (Some(nh), Some(_)) if new_context.is_some() => {
                    if ncc != 0 {
                        self.failure("TS 33.501 §6.9.2.3.2", format_args!("NCC {ncc} with a new context"));
                    }
                    self.rekey(ue, nh.as_bytes());
                }
                (Some(nh), Some(keys)) => keys.refresh(ncc, nh),
                _ => self.failure(CLAUSE, "a Security Context that is none"),
            }
            ue.capability = capability.unwrap_or(ue.capability);
            self.take_assistance(ue, (inactive, reports));
            let mut moved = Vec::new();
            for (psi, octets) in &switched {
                let Some(session) = ue.sessions.get(psi) else {
                    self.failure(
                        CLAUSE,
                        format_args!("PDU session {psi} is switched, but was not asked for"),
                    );
                    continue;
                };
                match transfer::decode_path_switch_acknowledge(octets) {
                    Ok(remote) => {
                        let uplink = session.uplink.upgrade().zip(remote);
                        if let Some((uplink, remote)) = uplink {
                            uplink.set_remote(remote);
                        }
                        moved.push(*psi);
                    }
                    Err(error) => self.failure("TS 38.413 §9.3.4.9", error),
                }
            }
            for psi in &released {
                if let Some(session) = ue.sessions.remove(psi) {
                    self.n3().close(session.teid);
                    self.tell(ue, FromGnb::SessionReleased { psi: *psi });
                }
            }
            if let Some(psi) = ue.sessions.keys().find(|psi| !moved.contains(psi)) {
                self.failure(CLAUSE, format_args!("no word on the path of PDU session {psi}"));
            }
            let answer = ue.answer.take().map(|answer| answer.send(Ok(SessionsMoved { moved, released })));
            if answer.is_none() {
                self.failure(CLAUSE, "PATH SWITCH REQUEST ACKNOWLEDGE, which nobody waits for");
            }
        })
        .await;
        Ok(())
    }

    /// Takes the K_gNB of a new K_AMF into use, and hands the UE over within its cell.
    pub(super) fn rekey(&self, ue: &mut UeSlot, k_gnb: &[u8; 32]) {
        let keys = AsKeys::renewed(k_gnb, self.config().cell());
        self.tell(ue, FromGnb::Rekeyed(keys.key().clone()));
        ue.keys = Some(keys);
    }

    /// TS 38.413 §8.4.4.3.
    pub(super) async fn on_path_switch_failure(
        &self,
        pdu: &NGAP_PDU,
        stream: u16,
    ) -> Result<(), DecodeError> {
        extract_ngap_ies!(pdu, PathSwitchRequestFailure,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            req released: Vec<u8> = PDUSessionResourceReleasedListPSFail(list) =>
                list.0.iter().map(|item| item.pdu_session_id.0).collect(),
        );
        self.of_ue(Ids { amf_id, ran_id }, stream, |ue| {
            let why = format!("PATH SWITCH REQUEST FAILURE: PDU sessions {released:?} are released");
            let _ = ue.answer.take().map(|answer| answer.send(Err(why)));
        })
        .await;
        Ok(())
    }
}

fn failed_item(psi: u8) -> Result<PDUSessionResourceFailedToSetupItemPSReq<'static>, SimError> {
    let why = NgapCause::of(&cause::radio_network(CauseRadioNetwork::radio_resources_not_available));
    let octets = transfer::encode_path_switch_setup_failed(why)?.to_vec();
    Ok(PDUSessionResourceFailedToSetupItemPSReq::new(PDUSessionID(psi), octets.into(), None))
}
