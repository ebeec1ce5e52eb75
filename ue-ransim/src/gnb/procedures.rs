//! What the gNB receives on N2, and answers.

use std::fmt;

use bytes::Bytes;
use tern_ngap::capability::SecurityCapability;
use tern_ngap::ngap::*;
use tern_ngap::{DecodeError, Deviation, NgapPduKind, build_ngap, cause, convert, extract_ngap_ies};
use tern_sctp::{AssociationReceiver, Event, Message};
use tern_types::{Ambr, Guami, ServiceArea};

use super::keys::AsKeys;
use super::{ContextSetup, FromGnb, Gnb, UeSlot};
use crate::report::Journal;

/// Receives until the association ends.
pub(super) async fn receive(gnb: Gnb, mut receiver: AssociationReceiver) {
    loop {
        match receiver.recv().await {
            Event::Message(message) => {
                if !gnb.state().mute {
                    gnb.on_message(message).await;
                }
            }
            Event::Lost(cause) => {
                let why = cause.to_string();
                tracing::info!(%gnb, %why, "N2 has ended");
                let ues = {
                    let mut state = gnb.state();
                    state.lost = Some(why.clone());
                    std::mem::take(&mut state.ues)
                };
                for ue in ues.into_values() {
                    gnb.close_tunnels(&ue);
                    let _ = ue.events.try_send(FromGnb::Lost(why.clone()));
                }
                return;
            }
            Event::Restart => {
                // TS 38.412 §7 leaves the NG setup to be done again; UE contexts are gone.
                gnb.0.journal.count("gnb.association_restart");
                gnb.forget(None, "the AMF has restarted the association");
            }
            Event::PathChange { .. } => gnb.0.journal.count("gnb.path_change"),
            Event::ShutdownRequested => gnb.0.journal.count("gnb.shutdown_requested"),
        }
    }
}

/// Compares a message with TS 38.413, and reports each deviation.
pub(super) fn check(who: &dyn fmt::Display, journal: &Journal, pdu: &NGAP_PDU, ppid: u32) {
    if ppid != tern_ngap::PPID {
        journal.failure(who, "TS 38.412 §7", format_args!("PPID {ppid} instead of 60"));
    }
    match pdu.check() {
        Ok(deviations) => {
            for deviation in deviations {
                let clause = match deviation {
                    Deviation::NotCanonical { .. } => "ITU-T X.691",
                    Deviation::RepeatedIe { .. } | Deviation::OutOfOrder { .. } => "TS 38.413 §10.3.6",
                    _ => "TS 38.413 §9.4",
                };
                journal.failure(who, clause, format_args!("{pdu}: {deviation}"));
            }
        }
        Err(error) => journal.failure(who, "TS 38.413 §9.4", format_args!("{pdu}: {error}")),
    }
}

/// Both identities of a UE-associated message.
pub(super) struct Ids {
    pub(super) amf_id: u64,
    pub(super) ran_id: u32,
}

impl Gnb {
    async fn on_message(&self, message: Message) {
        let pdu = match tern_ngap::decode(&message.data) {
            Ok(pdu) => pdu,
            Err(error) => {
                self.failure("TS 38.413 §9.4", &error);
                let cause = cause::protocol(CauseProtocol::transfer_syntax_error);
                return self.error_indication(None, cause, message.stream).await;
            }
        };
        tracing::debug!(gnb = %self, "receives {pdu}");
        check(self, &self.0.journal, &pdu, message.ppid);
        if let Err(error) = self.dispatch(&pdu, message.stream).await {
            self.failure("TS 38.413 §9.4", format_args!("{pdu}: {error}"));
        }
    }

    async fn dispatch(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        match pdu.kind() {
            NgapPduKind::Initiating_DownlinkNASTransport => self.on_nas(pdu, stream).await,
            NgapPduKind::Initiating_InitialContextSetup => self.on_context_setup(pdu, stream).await,
            NgapPduKind::Initiating_PDUSessionResourceSetup => self.on_session_setup(pdu, stream).await,
            NgapPduKind::Initiating_PDUSessionResourceModify => self.on_session_modify(pdu, stream).await,
            NgapPduKind::Initiating_PDUSessionResourceRelease => self.on_session_release(pdu, stream).await,
            NgapPduKind::Initiating_UEContextRelease => self.on_release(pdu, stream).await,
            NgapPduKind::Initiating_UEContextModification => self.on_context_modify(pdu, stream).await,
            NgapPduKind::Successful_PathSwitchRequest => self.on_path_switched(pdu, stream).await,
            NgapPduKind::Unsuccessful_PathSwitchRequest => self.on_path_switch_failure(pdu, stream).await,
            NgapPduKind::Successful_HandoverPreparation => self.on_handover_command(pdu, stream).await,
            NgapPduKind::Unsuccessful_HandoverPreparation => self.on_preparation_failure(pdu, stream).await,
            NgapPduKind::Initiating_HandoverResourceAllocation => self.on_handover_request(pdu, stream).await,
            NgapPduKind::Initiating_DownlinkRANStatusTransfer => self.on_status(pdu, stream).await,
            NgapPduKind::Successful_HandoverCancel => self.on_cancelled(pdu, stream).await,
            NgapPduKind::Initiating_NGReset => self.on_reset(pdu, stream).await,
            NgapPduKind::Successful_NGReset => {
                if let Some(done) = self.state().reset_done.take() {
                    let _ = done.send(());
                }
                Ok(())
            }
            NgapPduKind::Initiating_ErrorIndication => self.on_error_indication(pdu),
            NgapPduKind::Initiating_AMFConfigurationUpdate => self.on_amf_configuration(pdu, stream).await,
            NgapPduKind::Initiating_AMFStatusIndication => self.on_amf_status(pdu, stream),
            NgapPduKind::Initiating_LocationReportingControl => self.on_location_control(pdu, stream).await,
            NgapPduKind::Initiating_Paging => self.on_paging(pdu, stream),
            NgapPduKind::Initiating_OverloadStart => self.on_overload_start(pdu),
            NgapPduKind::Initiating_OverloadStop => self.on_overload_stop(),
            NgapPduKind::Successful_RANConfigurationUpdate => self.count("gnb.configuration_updated"),
            NgapPduKind::Unsuccessful_RANConfigurationUpdate => self.count("gnb.configuration_refused"),
            kind => {
                tracing::debug!(gnb = %self, "{kind:?} is not handled");
                self.count("gnb.unhandled")
            }
        }
    }

    fn count(&self, name: &'static str) -> Result<(), DecodeError> {
        self.0.journal.count(name);
        Ok(())
    }

    /// Runs `with` on the UE of a message, after checking its identities and stream; an unknown
    /// one is answered with ERROR INDICATION (TS 38.413 §10.6).
    pub(super) async fn of_ue<T>(
        &self,
        ids: Ids,
        stream: u16,
        with: impl FnOnce(&mut UeSlot) -> T,
    ) -> Option<T> {
        let wrong = {
            let mut state = self.state();
            match state.ues.get_mut(&ids.ran_id) {
                None => CauseRadioNetwork::unknown_local_UE_NGAP_ID,
                Some(ue) if ue.amf_id.is_some_and(|known| known != ids.amf_id) => {
                    CauseRadioNetwork::inconsistent_remote_UE_NGAP_ID
                }
                Some(ue) => {
                    ue.amf_id = Some(ids.amf_id);
                    let first = *ue.core_stream.get_or_insert(stream);
                    if first != stream {
                        let what = format!("a UE's messages came on stream {first}, then on {stream}");
                        self.failure("TS 38.412 §7", what);
                    }
                    return Some(with(ue));
                }
            }
        };
        self.failure(
            "TS 38.413 §10.6",
            format_args!(
                "AMF UE NGAP ID {}, RAN UE NGAP ID {}: {}",
                ids.amf_id,
                ids.ran_id,
                cause::describe(&cause::radio_network(wrong))
            ),
        );
        self.error_indication(Some(ids), cause::radio_network(wrong), stream).await;
        None
    }

    async fn error_indication(&self, ids: Option<Ids>, cause: Cause, stream: u16) {
        let pdu = match ids {
            Some(ids) => build_ngap!(
                InitiatingMessage,
                ErrorIndication,
                ErrorIndication,
                AMF_UE_NGAP_ID(ids.amf_id),
                RAN_UE_NGAP_ID(ids.ran_id),
                Cause(cause),
            ),
            None => build_ngap!(InitiatingMessage, ErrorIndication, ErrorIndication, Cause(cause)),
        };
        self.answer(pdu, stream).await;
    }

    pub(super) fn tell(&self, ue: &UeSlot, event: FromGnb) {
        if ue.events.try_send(event).is_err() {
            self.0.journal.count("gnb.event_dropped");
        }
    }

    /// TS 38.413 §8.6.2.
    async fn on_nas(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        extract_ngap_ies!(pdu, DownlinkNASTransport,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            req nas: Bytes = NAS_PDU(nas) => Bytes::copy_from_slice(&nas.0),
            opt restrictions: MobilityRestrictionList<'_> = MobilityRestrictionList(list) => list,
            opt allowed: AllowedNSSAI = AllowedNSSAI(list) => list,
            opt ambr: Ambr = UEAggregateMaximumBitRate(ambr) => convert::ue_ambr_of(&ambr),
        );
        // A UE in RRC_INACTIVE is paged by its gNB.
        self.resume(ran_id).await;
        let back = self.of_ue(Ids { amf_id, ran_id }, stream, |ue| {
            ue.ue_ambr = ambr.or(ue.ue_ambr);
            ue.touch();
            if let Some(why) = ue.leaving {
                return Some((nas, ue.stream, why));
            }
            if let Some((restrictions, allowed)) = restrictions.zip(allowed) {
                let service_area = self.service_area(&restrictions);
                let allowed_nssai = convert::allowed_nssai_of(&allowed);
                self.tell(ue, FromGnb::ContextUpdated { allowed_nssai, service_area });
            }
            self.tell(ue, FromGnb::Nas(nas));
            None
        });
        if let Some(Some((nas, stream, why))) = back.await {
            // It comes too late here (TS 38.413 §8.6.4).
            let pdu = build_ngap!(
                InitiatingMessage,
                NASNonDeliveryIndication,
                NASNonDeliveryIndication,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(ran_id),
                NAS_PDU(nas.to_vec()),
                Cause(cause::radio_network(why)),
            );
            self.answer(pdu, stream).await;
        }
        Ok(())
    }

    /// TS 38.413 §8.3.1.
    async fn on_context_setup(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        extract_ngap_ies!(pdu, InitialContextSetupRequest,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            req guami: GUAMI = GUAMI(guami) => guami,
            req allowed_nssai: AllowedNSSAI = AllowedNSSAI(list) => list,
            req capability: SecurityCapability = UESecurityCapabilities(c) => SecurityCapability::from_ngap(&c),
            req k_gnb: Vec<u8> = SecurityKey(key) => key.0.as_octets().to_vec(),
            opt ambr: Ambr = UEAggregateMaximumBitRate(ambr) => convert::ue_ambr_of(&ambr),
            opt radio_capability: Bytes = UERadioCapability(c) => Bytes::copy_from_slice(&c.0),
            opt restrictions: MobilityRestrictionList<'_> = MobilityRestrictionList(list) => list,
            opt nas: Bytes = NAS_PDU(nas) => Bytes::copy_from_slice(&nas.0),
            opt inactive: CoreNetworkAssistanceInformationForInactive =
                CoreNetworkAssistanceInformationForInactive(information) => information,
            opt reports: RRCInactiveTransitionReportRequest =
                RRCInactiveTransitionReportRequest(request) => request,
            opt sessions: PDUSessionResourceSetupListCxtReq<'_> = PDUSessionResourceSetupListCxtReq(list) => list,
        );
        let sessions = sessions.map(|list| list.0).unwrap_or_default();
        self.check_ambr(ambr.is_some(), !sessions.is_empty());
        let guami = self.served_guami(&guami);
        let allowed_nssai = convert::allowed_nssai_of(&allowed_nssai);
        let keys = AsKeys::initial(&k_gnb);
        let service_area = restrictions.and_then(|list| self.service_area(&list));
        let event = ContextSetup { k_gnb, capability, allowed_nssai, guami, radio_capability, service_area };
        let known = self.of_ue(Ids { amf_id, ran_id }, stream, |ue| {
            if std::mem::replace(&mut ue.context, true) {
                self.failure("TS 38.413 §8.3.1", "a second INITIAL CONTEXT SETUP REQUEST on one connection");
            }
            ue.ue_ambr = ambr.or(ue.ue_ambr);
            (ue.keys, ue.capability) = (keys, capability);
            self.take_assistance(ue, (inactive, reports));
            self.tell(ue, FromGnb::ContextSetUp(Box::new(event)));
            ue.stream
        });
        let Some(stream) = known.await else { return Ok(()) };
        if let Some(nas) = nas {
            self.with_ue(ran_id, |ue| self.tell(ue, FromGnb::Nas(nas)));
        }
        let mut done = Vec::new();
        for item in &sessions {
            let transfer = self.set_up_session(
                ran_id,
                item.pdu_session_id.0,
                convert::snssai_of(&item.s_nssai),
                &item.pdu_session_resource_setup_request_transfer,
                item.nas_pdu.as_ref().map(|nas| Bytes::copy_from_slice(&nas.0)),
            );
            if let Some(transfer) = transfer {
                let id = PDUSessionID(item.pdu_session_id.0);
                done.push(PDUSessionResourceSetupItemCxtRes::new(id, transfer.to_vec().into(), None));
            }
        }
        let answer = if done.is_empty() {
            build_ngap!(
                SuccessfulOutcome,
                InitialContextSetup,
                InitialContextSetupResponse,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(ran_id),
            )
        } else {
            build_ngap!(
                SuccessfulOutcome,
                InitialContextSetup,
                InitialContextSetupResponse,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(ran_id),
                PDUSessionResourceSetupListCxtRes(PDUSessionResourceSetupListCxtRes(done)),
            )
        };
        self.answer(answer, stream).await;
        self.report_once(ran_id).await;
        Ok(())
    }

    fn service_area(&self, restrictions: &MobilityRestrictionList<'_>) -> Option<ServiceArea> {
        let area = convert::service_area_of(restrictions.service_area_information.as_ref()?);
        area.map_err(|error| self.failure("TS 38.413 §9.3.1.85", error)).ok()
    }

    fn check_ambr(&self, has_ambr: bool, has_sessions: bool) {
        let wrong = match (has_ambr, has_sessions) {
            (true, false) => "UE Aggregate Maximum Bit Rate without a session to set up",
            (false, true) => "sessions to set up without UE Aggregate Maximum Bit Rate",
            _ => return,
        };
        self.failure("TS 38.413 §9.2.2.1", wrong);
    }

    /// The GUAMI of a UE's context, which must be one of NG Setup.
    pub(super) fn served_guami(&self, guami: &GUAMI) -> Option<Guami> {
        let guami =
            convert::guami_of(guami).map_err(|error| self.failure("TS 38.413 §9.3.3.3", error)).ok()?;
        if !self.state().amf.guamis.contains(&guami) {
            let wrong = format_args!("GUAMI {guami} is none that the AMF serves");
            self.failure("TS 38.413 §8.3.1.2", wrong);
        }
        Some(guami)
    }

    pub(super) fn with_ue<T>(&self, ran_id: u32, with: impl FnOnce(&mut UeSlot) -> T) -> Option<T> {
        self.state().ues.get_mut(&ran_id).map(with)
    }

    /// As [`Gnb::of_ue`] for messages that need the UE's context: its stream.
    pub(super) async fn in_context(&self, amf_id: u64, ran_id: u32, stream: u16, what: &str) -> Option<u16> {
        self.of_ue(Ids { amf_id, ran_id }, stream, |ue| {
            if !ue.context {
                self.failure(
                    "TS 23.502 §4.3.2.2.1",
                    format_args!("{what} before INITIAL CONTEXT SETUP RESPONSE"),
                );
            }
            ue.stream
        })
        .await
    }

    /// TS 38.413 §8.3.3.
    async fn on_release(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        extract_ngap_ies!(pdu, UEContextReleaseCommand,
            req ids: UENGAPIDs = UE_NGAP_IDs(ids) => ids,
            req cause: Cause = Cause(cause) => cause,
        );
        let found = {
            let state = self.state();
            match &ids {
                UENGAPIDs::uE_NGAP_ID_pair(pair) => {
                    let (amf_id, ran_id) = (pair.amf_ue_ngap_id.0, pair.ran_ue_ngap_id.0);
                    let ue = state.ues.get(&ran_id);
                    ue.filter(|ue| ue.amf_id.is_none_or(|id| id == amf_id)).map(|_| (amf_id, ran_id))
                }
                UENGAPIDs::aMF_UE_NGAP_ID(id) => {
                    let ue = state.ues.iter().find(|(_, ue)| ue.amf_id == Some(id.0));
                    ue.map(|(&ran_id, _)| (id.0, ran_id))
                }
                UENGAPIDs::choice_Extensions(_) => None,
            }
        };
        let Some((amf_id, ran_id)) = found else {
            self.failure("TS 38.413 §8.3.3", "UE CONTEXT RELEASE COMMAND for a UE that is not here");
            let cause = cause::radio_network(CauseRadioNetwork::unknown_local_UE_NGAP_ID);
            self.error_indication(None, cause, stream).await;
            return Ok(());
        };
        let location = convert::user_location(self.location_of(ran_id));
        let Some(ue) = self.state().ues.remove(&ran_id) else { return Ok(()) };
        let cells = self.recommended_cells(ue.cell);
        let item = |&psi: &u8| PDUSessionResourceItemCxtRelCpl::new(PDUSessionID(psi), None);
        let sessions: Vec<_> = ue.sessions.keys().map(item).collect();
        let answer = if sessions.is_empty() {
            build_ngap!(
                SuccessfulOutcome,
                UEContextRelease,
                UEContextReleaseComplete,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(ran_id),
                UserLocationInformation(location),
                InfoOnRecommendedCellsAndRANNodesForPaging(cells),
            )
        } else {
            build_ngap!(
                SuccessfulOutcome,
                UEContextRelease,
                UEContextReleaseComplete,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(ran_id),
                UserLocationInformation(location),
                InfoOnRecommendedCellsAndRANNodesForPaging(cells),
                PDUSessionResourceListCxtRelCpl(PDUSessionResourceListCxtRelCpl(sessions)),
            )
        };
        self.answer(answer, ue.stream).await;
        self.drop_ue(&ue, &cause::describe(&cause));
        Ok(())
    }

    /// TS 38.413 §8.3.4.
    async fn on_context_modify(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        extract_ngap_ies!(pdu, UEContextModificationRequest,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            opt key: Vec<u8> = SecurityKey(key) => key.0.as_octets().to_vec(),
            opt ambr: Ambr = UEAggregateMaximumBitRate(ambr) => convert::ue_ambr_of(&ambr),
            opt inactive: CoreNetworkAssistanceInformationForInactive =
                CoreNetworkAssistanceInformationForInactive(information) => information,
            opt reports: RRCInactiveTransitionReportRequest =
                RRCInactiveTransitionReportRequest(request) => request,
        );
        let what = "UE CONTEXT MODIFICATION REQUEST";
        let Some(stream) = self.in_context(amf_id, ran_id, stream, what).await else { return Ok(()) };
        let refused = self.state().keys_refused;
        let refused = self.with_ue(ran_id, |ue| {
            let refused = ue.leaving.or(refused).filter(|_| key.is_some());
            if refused.is_none() {
                ue.ue_ambr = ambr.or(ue.ue_ambr);
                self.take_assistance(ue, (inactive, reports));
                if let Some(key) = key.as_deref().and_then(|key| key.try_into().ok()) {
                    self.rekey(ue, key);
                }
            }
            refused
        });
        if let Some(why) = refused.flatten() {
            let failure = build_ngap!(
                UnsuccessfulOutcome,
                UEContextModification,
                UEContextModificationFailure,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(ran_id),
                Cause(cause::radio_network(why)),
            );
            self.answer(failure, stream).await;
            return Ok(());
        }
        let answer = build_ngap!(
            SuccessfulOutcome,
            UEContextModification,
            UEContextModificationResponse,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
        );
        self.answer(answer, stream).await;
        self.report_once(ran_id).await;
        Ok(())
    }

    /// TS 38.413 §8.7.4.2.1.
    async fn on_reset(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        extract_ngap_ies!(pdu, NGReset, req kind: ResetType = ResetType(kind) => kind);
        let answer = match &kind {
            ResetType::partOfNG_Interface(list) => {
                let ids: Vec<u32> = {
                    let state = self.state();
                    let find = |item: &UEAssociatedLogicalNGConnectionItem| {
                        let by_ran = item.ran_ue_ngap_id.as_ref().map(|id| id.0);
                        let by_amf = item.amf_ue_ngap_id.as_ref().and_then(|id| {
                            state.ues.iter().find(|(_, ue)| ue.amf_id == Some(id.0)).map(|(&ran, _)| ran)
                        });
                        by_ran.or(by_amf)
                    };
                    list.0.iter().filter_map(find).collect()
                };
                self.forget(Some(&ids), "NG Reset of the AMF");
                build_ngap!(
                    SuccessfulOutcome,
                    NGReset,
                    NGResetAcknowledge,
                    UE_associatedLogicalNG_connectionList(list.clone()),
                )
            }
            _ => {
                self.forget(None, "NG Reset of the AMF");
                build_ngap!(SuccessfulOutcome, NGReset, NGResetAcknowledge,)
            }
        };
        self.answer(answer, stream).await;
        Ok(())
    }

    /// TS 38.413 §8.7.5: the core says that we were wrong, or is.
    fn on_error_indication(&self, pdu: &NGAP_PDU) -> Result<(), DecodeError> {
        extract_ngap_ies!(pdu, ErrorIndication,
            opt ran_id: u32 = RAN_UE_NGAP_ID(id),
            opt cause: Cause = Cause(cause) => cause,
        );
        self.0.journal.count("gnb.error_indication");
        let cause = cause.as_ref().map_or_else(|| "without cause".to_owned(), cause::describe);
        let ran_id = ran_id.map_or_else(String::new, |id| format!(" of UE {id}"));
        tracing::info!(gnb = %self, "ERROR INDICATION{ran_id}: {cause}");
        Ok(())
    }
}
