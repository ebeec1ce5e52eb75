//! PDU session resources at the gNB (TS 38.413 §8.2).

use bytes::Bytes;
use tern_ngap::ngap::*;
use tern_ngap::transfer::{self, ModifyRequest, ModifyResponse, SetupRequest, SetupResponse};
use tern_ngap::{DecodeError, NgapCause, build_ngap, cause, convert, extract_ngap_ies};
use tern_types::{Ambr, Qfi, Snssai};
use tokio::time::Instant;

use super::{FromGnb, Gnb, SessionResources, SlotSession};

impl Gnb {
    /// TS 38.413 §8.2.1.
    pub(super) async fn on_session_setup(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        extract_ngap_ies!(pdu, PDUSessionResourceSetupRequest,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            opt nas: Bytes = NAS_PDU(nas) => Bytes::copy_from_slice(&nas.0),
            req sessions: PDUSessionResourceSetupListSUReq<'_> = PDUSessionResourceSetupListSUReq(list) => list,
            opt ambr: Ambr = UEAggregateMaximumBitRate(ambr) => convert::ue_ambr_of(&ambr),
        );
        let what = "PDU SESSION RESOURCE SETUP REQUEST";
        let Some(stream) = self.in_context(amf_id, ran_id, stream, what).await else { return Ok(()) };
        self.with_ue(ran_id, |ue| ue.ue_ambr = ambr.or(ue.ue_ambr));
        if let Some(nas) = nas {
            self.with_ue(ran_id, |ue| self.tell(ue, FromGnb::Nas(nas)));
        }
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for item in &sessions.0 {
            let psi = item.pdu_session_id.0;
            let transfer = self.set_up_session(
                ran_id,
                psi,
                convert::snssai_of(&item.s_nssai),
                &item.pdu_session_resource_setup_request_transfer,
                item.pdu_session_nas_pdu.as_ref().map(|nas| Bytes::copy_from_slice(&nas.0)),
            );
            match transfer {
                Some(transfer) => {
                    let octets = transfer.to_vec().into();
                    done.push(PDUSessionResourceSetupItemSURes::new(PDUSessionID(psi), octets, None));
                }
                None => {
                    let cause = NgapCause::of(&cause::protocol(CauseProtocol::semantic_error));
                    let octets = transfer::encode_setup_unsuccessful(cause).unwrap_or_default();
                    failed.push(PDUSessionResourceFailedToSetupItemSURes::new(
                        PDUSessionID(psi),
                        octets.to_vec().into(),
                        None,
                    ));
                }
            }
        }
        let answer = if failed.is_empty() {
            build_ngap!(
                SuccessfulOutcome,
                PDUSessionResourceSetup,
                PDUSessionResourceSetupResponse,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(ran_id),
                PDUSessionResourceSetupListSURes(PDUSessionResourceSetupListSURes(done)),
            )
        } else if done.is_empty() {
            build_ngap!(
                SuccessfulOutcome,
                PDUSessionResourceSetup,
                PDUSessionResourceSetupResponse,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(ran_id),
                PDUSessionResourceFailedToSetupListSURes(PDUSessionResourceFailedToSetupListSURes(failed)),
            )
        } else {
            build_ngap!(
                SuccessfulOutcome,
                PDUSessionResourceSetup,
                PDUSessionResourceSetupResponse,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(ran_id),
                PDUSessionResourceSetupListSURes(PDUSessionResourceSetupListSURes(done)),
                PDUSessionResourceFailedToSetupListSURes(PDUSessionResourceFailedToSetupListSURes(failed)),
            )
        };
        self.answer(answer, stream).await;
        Ok(())
    }

    /// Sets up one session and tells the UE; the transfer of the answer, or `None` if it cannot be.
    pub(super) fn set_up_session(
        &self,
        ran_id: u32,
        psi: u8,
        slice: Snssai,
        octets: &[u8],
        nas: Option<Bytes>,
    ) -> Option<Bytes> {
        let request = self.read_setup(psi, octets)?;
        let (admitted, failed) = self.admit_flows(&request.flows);
        let flows: Vec<u8> = admitted.iter().map(|flow| flow.qfi.get()).collect();
        if flows.is_empty() {
            return None;
        }
        let Some((uplink, downlink, local)) = self.n3().open(request.uplink, &flows) else {
            self.failure(
                "TS 38.413 §9.3.2.4",
                format_args!("{:?} has no address for {}", request.uplink, self.n3()),
            );
            return None;
        };
        let response =
            SetupResponse { downlink: local, flows: admitted.iter().map(|flow| flow.qfi).collect(), failed };
        let transfer = response.encode().map_err(|error| self.0.journal.error(self, error)).ok()?;
        let weak = uplink.downgrade();
        self.with_ue(ran_id, |ue| {
            if !self.config().slices.contains(&slice) {
                self.failure(
                    "TS 38.413 §8.2.1.2",
                    format_args!("a session of slice {slice}, which the gNB has not"),
                );
            }
            let of_gnb = SetupRequest { flows: admitted, ..request.clone() };
            let slot = SlotSession { teid: local.teid, slice, request: of_gnb, uplink: weak };
            if let Some(old) = ue.sessions.insert(psi, slot) {
                self.failure("TS 38.413 §8.2.1.4", format_args!("PDU session {psi} is set up twice"));
                self.n3().close(old.teid);
            }
            let ue_ambr = ue.ue_ambr;
            if ue_ambr.is_none() {
                self.failure("TS 23.501 §5.7.2.6", "the first session comes without UE-AMBR");
            }
            let at = Instant::now();
            let resources = SessionResources { psi, slice, request, ue_ambr, uplink, downlink, at };
            self.tell(ue, FromGnb::SessionSetUp(Box::new(resources)));
            if let Some(nas) = nas {
                self.tell(ue, FromGnb::Nas(nas));
            }
        })?;
        Some(transfer)
    }

    pub(super) fn read_setup(&self, psi: u8, octets: &[u8]) -> Option<SetupRequest> {
        const CLAUSE: &str = "TS 38.413 §9.3.4.1";
        match SetupRequest::check(octets) {
            Ok(deviations) => deviations.iter().for_each(|what| self.failure(CLAUSE, what)),
            Err(error) => self.failure(CLAUSE, error),
        }
        let request = match SetupRequest::decode(octets) {
            Ok(request) => request,
            Err(error) => {
                self.failure(CLAUSE, error);
                return None;
            }
        };
        if request.flows.is_empty() {
            self.failure(CLAUSE, format_args!("PDU session {psi} has no QoS flow"));
        }
        if request.uplink.address().is_none_or(|address| address.is_unspecified()) {
            self.failure(CLAUSE, format_args!("PDU session {psi}: the uplink tunnel has no address"));
        }
        if request.ambr.is_none() {
            // All flows here are non-GBR.
            self.failure(CLAUSE, format_args!("PDU session {psi} has no PDU Session AMBR"));
        }
        Some(request)
    }

    /// TS 38.413 §8.2.3.
    pub(super) async fn on_session_modify(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        extract_ngap_ies!(pdu, PDUSessionResourceModifyRequest,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            req sessions: PDUSessionResourceModifyListModReq<'_> = PDUSessionResourceModifyListModReq(list) => list,
        );
        let what = "PDU SESSION RESOURCE MODIFY REQUEST";
        let Some(stream) = self.in_context(amf_id, ran_id, stream, what).await else { return Ok(()) };
        let mut done = Vec::new();
        for item in &sessions.0 {
            let request = ModifyRequest::decode(&item.pdu_session_resource_modify_request_transfer)?;
            let (admitted, failed) = self.admit_flows(&request.flows);
            let flows: Vec<Qfi> = admitted.iter().map(|flow| flow.qfi).collect();
            let set: Vec<u8> = flows.iter().map(|qfi| qfi.get()).collect();
            let gone: Vec<u8> = request.release.iter().map(|(qfi, _)| qfi.get()).collect();
            let psi = item.pdu_session_id.0;
            self.with_ue(ran_id, |ue| match ue.sessions.get_mut(&psi) {
                Some(session) => {
                    let has = &mut session.request.flows;
                    if let Some(qfi) = gone.iter().find(|qfi| has.iter().all(|flow| flow.qfi.get() != **qfi))
                    {
                        self.failure(
                            "TS 38.413 §8.2.3.2",
                            format_args!("the release of QFI {qfi} of PDU session {psi}, which has none"),
                        );
                    }
                    has.retain(|flow| !gone.contains(&flow.qfi.get()) && !flows.contains(&flow.qfi));
                    has.extend(&admitted);
                    self.n3().change_flows(session.teid, &set, &gone);
                }
                None => self.failure(
                    "TS 38.413 §8.2.3.4",
                    format_args!("the modification of PDU session {psi}, which has no resources"),
                ),
            });
            let response = ModifyResponse { flows, failed, ..ModifyResponse::default() };
            if let Some(nas) = &item.nas_pdu {
                let nas = Bytes::copy_from_slice(&nas.0);
                self.with_ue(ran_id, |ue| self.tell(ue, FromGnb::Nas(nas)));
            }
            let octets = response.encode().unwrap_or_default().to_vec().into();
            let id = PDUSessionID(item.pdu_session_id.0);
            done.push(PDUSessionResourceModifyItemModRes::new(id, octets, None));
        }
        let answer = build_ngap!(
            SuccessfulOutcome,
            PDUSessionResourceModify,
            PDUSessionResourceModifyResponse,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            PDUSessionResourceModifyListModRes(PDUSessionResourceModifyListModRes(done)),
        );
        self.answer(answer, stream).await;
        Ok(())
    }

    /// TS 38.413 §8.2.2.
    pub(super) async fn on_session_release(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        extract_ngap_ies!(pdu, PDUSessionResourceReleaseCommand,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            opt nas: Bytes = NAS_PDU(nas) => Bytes::copy_from_slice(&nas.0),
            req sessions: PDUSessionResourceToReleaseListRelCmd<'_> = PDUSessionResourceToReleaseListRelCmd(list) => list,
        );
        let what = "PDU SESSION RESOURCE RELEASE COMMAND";
        let Some(stream) = self.in_context(amf_id, ran_id, stream, what).await else { return Ok(()) };
        let mut done = Vec::new();
        for item in &sessions.0 {
            let psi = item.pdu_session_id.0;
            let octets = &item.pdu_session_resource_release_command_transfer;
            if let Err(error) = transfer::decode_release_command(octets) {
                self.failure("TS 38.413 §9.3.4.12", error);
            }
            self.with_ue(ran_id, |ue| match ue.sessions.remove(&psi) {
                Some(session) => {
                    self.n3().close(session.teid);
                    self.tell(ue, FromGnb::SessionReleased { psi });
                }
                None => self.failure(
                    "TS 38.413 §8.2.2.4",
                    format_args!("the release of PDU session {psi}, which has no resources"),
                ),
            });
            let octets = transfer::encode_release_response().unwrap_or_default();
            done.push(PDUSessionResourceReleasedItemRelRes::new(
                PDUSessionID(psi),
                octets.to_vec().into(),
                None,
            ));
        }
        if let Some(nas) = nas {
            self.with_ue(ran_id, |ue| self.tell(ue, FromGnb::Nas(nas)));
        }
        let answer = build_ngap!(
            SuccessfulOutcome,
            PDUSessionResourceRelease,
            PDUSessionResourceReleaseResponse,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            PDUSessionResourceReleasedListRelRes(PDUSessionResourceReleasedListRelRes(done)),
        );
        self.answer(answer, stream).await;
        Ok(())
    }
}
