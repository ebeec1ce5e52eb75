//! Handover Resource Allocation: TS 38.413 §8.4.2.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tern_ngap::capability::SecurityCapability;
use tern_ngap::cause;
use tern_ngap::ngap::*;
use tern_ngap::{CodecError, Message as _, build_ngap_ie, convert, extract_ngap_ies};
use tern_types::{Ambr, BitRate, PduSessionId};
use tracing::debug;

use super::Handled;
use super::handover::{self, Abandoned, Handover, HoUpdate};
use super::handover_preparation::{ALLOCATION_WITHIN, N2Handover, SMF_WITHIN, Step};
use super::path_switch_request::Target;
use super::ue_context_modification::{self, Fresh};
use super::{location_reporting, rrc_inactive};
use crate::Amf;
use crate::gmm::service_area;
use crate::session::{self, Work};
use crate::ue::UeContext;

impl N2Handover {
    /// Asks the target gNB for resources, with a fresh {NH, NCC} pair (TS 33.501 §6.9.2.3.3).
    pub(super) fn request(
        mut self: Box<Self>,
        ue: &mut UeContext,
        amf: &mut Amf,
        requests: BTreeMap<PduSessionId, Bytes>,
        container: &Bytes,
    ) {
        let fresh = ue.n2.as_ref().and_then(|n2| ue_context_modification::fresh(ue, n2));
        let Some(fresh) = fresh else {
            amf.count("amf.ngap.no_key");
            return self.fail(ue, amf, cause::protocol(CauseProtocol::unspecified));
        };
        let pdu = self.build_request(ue, amf, &fresh, &requests, container);
        self.new_context = fresh.new_context;
        // The source gNB goes on with the chain of its own keys should the UE stay.
        if let Some(n2) = ue.n2.as_mut().filter(|_| !fresh.new_context) {
            n2.next_hop = Some(fresh.chain);
        }
        self.step = Step::Allocating { asked: requests.into_keys().collect() };
        self.deadline = amf.now + ALLOCATION_WITHIN;
        amf.send_ngap(self.gnb, self.stream, pdu);
        ue.handover = Some(Handover::N2(self));
    }

    fn build_request(
        &self,
        ue: &UeContext,
        amf: &Amf,
        fresh: &Fresh,
        requests: &BTreeMap<PduSessionId, Bytes>,
        container: &Bytes,
    ) -> Result<NGAP_PDU, CodecError> {
        macro_rules! ie {
            ($($ie:tt)*) => { build_ngap_ie!(HandoverRequest, $($ie)*)? };
        }
        let unlimited = BitRate::from_bps(convert::BIT_RATE_MAX);
        let unlimited = Ambr { uplink: unlimited, downlink: unlimited };
        let ambr = ue.ambr().unwrap_or(unlimited);
        let why = self.why.to_ie().unwrap_or(cause::radio_network(CauseRadioNetwork::unspecified));
        let setup = requests.iter().filter_map(|(id, transfer)| {
            let slice = convert::snssai(ue.sessions.get(id)?.snssai);
            let transfer = (&transfer[..]).into();
            Some(PDUSessionResourceSetupItemHOReq::new(PDUSessionID(id.get()), slice, transfer, None))
        });
        let restrictions = service_area::mobility_restrictions(ue, self.tai.plmn_id);
        let (ncc, nh) = (NextHopChainingCount(fresh.ncc), fresh.nh.into());
        let mut ies = vec![
            ie!(AMF_UE_NGAP_ID(self.amf_ue_ngap_id)),
            ie!(HandoverType(HandoverType::intra5gs)),
            ie!(Cause(why)),
            ie!(UEAggregateMaximumBitRate(convert::ue_ambr(ambr))),
        ];
        if let Some(assistance) = rrc_inactive::assistance(ue, amf) {
            ies.push(ie!(CoreNetworkAssistanceInformationForInactive(assistance)));
        }
        ies.extend([
            ie!(UESecurityCapabilities(SecurityCapability::from_nas(&ue.capability).to_ngap())),
            ie!(SecurityContext(SecurityContext::new(ncc, nh, None))),
        ]);
        if fresh.new_context {
            ies.push(ie!(NewSecurityContextInd(NewSecurityContextInd::R_true)));
        }
        ies.extend([
            ie!(PDUSessionResourceSetupListHOReq(PDUSessionResourceSetupListHOReq(setup.collect()))),
            ie!(AllowedNSSAI(convert::allowed_nssai(&ue.allowed))),
            ie!(SourceToTarget_TransparentContainer(&container[..])),
            ie!(MobilityRestrictionList(restrictions)),
        ]);
        if let Some(request) = location_reporting::standing_request(amf) {
            ies.push(ie!(LocationReportingRequestType(request)));
        }
        if let Some(reports) = rrc_inactive::report_request(amf) {
            ies.push(ie!(RRCInactiveTransitionReportRequest(reports)));
        }
        ies.push(ie!(GUAMI(convert::guami(amf.config.guami()))));
        let message = HandoverRequest::new(ProtocolIEContainer(ies));
        NGAP_PDU::of_message(&message, HandoverRequest::CRITICALITY)
    }

    /// The target gNB has the UE's context and some of its sessions' resources.
    fn allocated(
        mut self: Box<Self>,
        ue: &mut UeContext,
        amf: &mut Amf,
        asked: BTreeSet<PduSessionId>,
        admitted: Vec<(u8, Bytes)>,
        failed: Vec<(u8, Bytes)>,
        container: Bytes,
    ) {
        let mut unheard = asked;
        let mut updates = BTreeMap::new();
        let admitted = admitted.into_iter().map(|(id, transfer)| (id, HoUpdate::Prepared(transfer)));
        let failed = failed.into_iter().map(|(id, transfer)| (id, HoUpdate::NotAllocated(transfer)));
        for (id, update) in admitted.chain(failed) {
            let id = PduSessionId::new(id).filter(|id| unheard.remove(id));
            updates.extend(id.map(|id| (id, update)));
        }
        self.leave_out(&unheard);
        if !updates.values().any(|update| matches!(update, HoUpdate::Prepared(_))) {
            let why = CauseRadioNetwork::ho_failure_in_target_5GC_ngran_node_or_target_system;
            return self.fail(ue, amf, cause::radio_network(why));
        }
        let number = self.number();
        let waiting = updates.keys().copied().collect();
        self.step = Step::Forwarding { waiting, commands: BTreeMap::new(), container };
        self.deadline = amf.now + SMF_WITHIN;
        ue.handover = Some(Handover::N2(self));
        for (id, update) in updates {
            session::push(ue, amf, id, Work::Handover(number, update));
        }
        handover::proceed(ue, amf);
    }
}

/// HANDOVER REQUEST ACKNOWLEDGE.
pub(crate) fn on_acknowledge(
    mut handover: Box<N2Handover>,
    ue: &mut UeContext,
    amf: &mut Amf,
    pdu: &NGAP_PDU,
) -> Handled {
    let read = || -> Result<_, tern_ngap::DecodeError> {
        extract_ngap_ies!(pdu, HandoverRequestAcknowledge,
            lax ran_id: u32 = RAN_UE_NGAP_ID(id),
            lax admitted: Vec<(u8, Bytes)> = PDUSessionResourceAdmittedList(list) => list.0.iter()
                .map(|item| {
                    let transfer = &item.handover_request_acknowledge_transfer;
                    (item.pdu_session_id.0, Bytes::copy_from_slice(transfer))
                })
                .collect(),
            lax failed: Vec<(u8, Bytes)> = PDUSessionResourceFailedToSetupListHOAck(list) => list.0.iter()
                .map(|item| {
                    let transfer = &item.handover_resource_allocation_unsuccessful_transfer;
                    (item.pdu_session_id.0, Bytes::copy_from_slice(transfer))
                })
                .collect(),
            req container: Bytes = TargetToSource_TransparentContainer(container) =>
                Bytes::copy_from_slice(&container.0),
        );
        Ok((ran_id, admitted.unwrap_or_default(), failed.unwrap_or_default(), container))
    };
    let Step::Allocating { asked } = &mut handover.step else {
        amf.count("amf.ngap.unexpected_response");
        ue.handover = Some(Handover::N2(handover));
        return Ok(());
    };
    let asked = std::mem::take(asked);
    match read() {
        Ok((Some(ran_ue_ngap_id), admitted, failed, container)) => {
            let to = Target { gnb: handover.gnb, stream: handover.stream, ran_ue_ngap_id };
            handover::release_identity(amf, to, ue.id);
            amf.by_ran_id.insert((to.gnb, ran_ue_ngap_id), ue.id);
            handover.ran_ue_ngap_id = Some(ran_ue_ngap_id);
            handover.allocated(ue, amf, asked, admitted, failed, container);
            Ok(())
        }
        Ok(_) => {
            // TS 38.413 §10.3.5
            handover.fail(ue, amf, cause::protocol(CauseProtocol::abstract_syntax_error_reject));
            Ok(())
        }
        Err(error) => {
            handover.fail(ue, amf, cause::protocol(CauseProtocol::semantic_error));
            Err(error)
        }
    }
}

/// The cause that a message has, however wrong the rest of it is.
macro_rules! cause_in {
    ($pdu:expr, $message:ident) => {{
        let read = || -> Result<_, tern_ngap::DecodeError> {
            extract_ngap_ies!($pdu, $message, lax why: Cause = Cause(cause) => cause);
            Ok(why)
        };
        let unspecified = || cause::radio_network(CauseRadioNetwork::unspecified);
        read().ok().flatten().unwrap_or_else(unspecified)
    }};
}

/// HANDOVER FAILURE: its cause goes to the source gNB.
pub(crate) fn on_failure(
    handover: Box<N2Handover>,
    ue: &mut UeContext,
    amf: &mut Amf,
    pdu: &NGAP_PDU,
) -> Handled {
    if !matches!(handover.step, Step::Allocating { .. }) {
        amf.count("amf.ngap.unexpected_response");
        ue.handover = Some(Handover::N2(handover));
        return Ok(());
    }
    let why = cause_in!(pdu, HandoverFailure);
    debug!(ue = ue.name(), cause = cause::describe(&why), "HANDOVER FAILURE");
    handover.refused(ue, amf, why);
    Ok(())
}

impl N2Handover {
    /// The target gNB has nothing of the UE.
    fn refused(self: Box<Self>, ue: &mut UeContext, amf: &mut Amf, why: Cause) {
        super::handover_preparation::send_failure(ue, amf, why);
        self.end(ue, amf, Abandoned::Failed, None);
    }
}

/// UE CONTEXT RELEASE REQUEST of the target gNB: it waits for the UE no longer.
pub(crate) fn on_release_request(
    handover: Box<N2Handover>,
    ue: &mut UeContext,
    amf: &mut Amf,
    pdu: &NGAP_PDU,
) -> Handled {
    let why = cause_in!(pdu, UEContextReleaseRequest);
    amf.count("amf.ngap.release_requested");
    handover.target_gives_up(ue, amf, why);
    Ok(())
}
