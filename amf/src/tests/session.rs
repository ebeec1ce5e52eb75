//! PDU sessions through the AMF: TS 24.501 §5.4.5, TS 29.502, TS 29.518.

use bytes::Bytes;
use tern_nas::nas_5gs::*;
use tern_nas::session as nas;
use tern_ngap::ngap::{
    PDUSessionID, PDUSessionResourceNotifyItem, PDUSessionResourceNotifyList,
    PDUSessionResourceReleasedItemNot, PDUSessionResourceReleasedListNot, UEAggregateMaximumBitRate,
};
use tern_ngap::{NgapPduKind, build_ngap, extract_ngap_ies};
use tern_sbi::namf_comm::*;
use tern_sbi::nsmf_pdusession::*;
use tern_sbi::{Operation, OperationError, PathParams, ProblemDetails, Related, Response};
use tern_types::{Dnn, PduSessionId, Snssai};

use super::rig::*;
use super::two_gnbs::session_set_up;
use crate::{AmfRequest, Input};

const N1: &[u8] = &[0x2e, 5, 1, 0xc1, 0xff, 0xff];

pub(super) fn session() -> PduSessionId {
    PduSessionId::new(5).unwrap()
}

fn transport(dnn: Option<&str>) -> NasUlNasTransport {
    let mut transport = NasUlNasTransport::new(
        NasPayloadContainerType::from_kind(PayloadContainerKind::N1SmInformation),
        NasPayloadContainer::new(N1.to_vec()),
    )
    .with_pdu_session_id(NasPduSessionIdentity2::from_pdu_session_id(5))
    .with_request_type(NasRequestType::from_request_type(RequestTypeValue::InitialRequest));
    if let Some(dnn) = dnn {
        transport = transport.with_dnn(nas::dnn(&Dnn::new(dnn).unwrap()));
    }
    transport
}

pub(super) fn registered() -> (Rig, Ue) {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    ue.register(&mut rig);
    rig.served.clear();
    (rig, ue)
}

pub(super) fn created(dnn: Option<&str>) -> (Rig, Ue) {
    let (mut rig, mut ue) = registered();
    ue.say(&mut rig, transport(dnn));
    rig.serve();
    assert_eq!(rig.served, ["PostSmContexts"]);
    (rig, ue)
}

pub(super) fn transfer(kind: NgapIeType, n1: bool) -> AmfRequest {
    let data = N1N2MessageTransferReqData {
        n1_message_container: n1.then(N1MessageContainer::sm),
        n2_info_container: Some(N2InfoContainer::sm(session(), kind, None)),
        pdu_session_id: Some(session()),
        ..Default::default()
    };
    let operation = N1N2MessageTransfer {
        ue_context_id: supi().to_string(),
        data,
        n1_sm_msg: n1.then(|| Bytes::from_static(&[0x2e, 5, 1, 0xc2])),
        n2_sm_info: Some(Bytes::from_static(&[0, 0, 1])),
    };
    AmfRequest::N1N2MessageTransfer(Box::new(operation))
}

/// The setup request's UE-AMBR and the NAS message inside.
pub(super) fn set_up(rig: &mut Rig, ue: &mut Ue) -> (bool, Nas5gmmMessage) {
    let pdu = rig.next();
    assert_eq!(pdu.kind(), NgapPduKind::Initiating_PDUSessionResourceSetup, "{pdu}");
    let read = || -> Result<(bool, Bytes), tern_ngap::CodecError> {
        extract_ngap_ies!(pdu, PDUSessionResourceSetupRequest,
            opt ambr: bool = UEAggregateMaximumBitRate(ie) => { let _: UEAggregateMaximumBitRate = ie; true },
            req nas: Bytes = PDUSessionResourceSetupListSUReq(list) => {
                Bytes::copy_from_slice(&list.0[0].pdu_session_nas_pdu.as_ref().unwrap().0)
            },
        );
        Ok((ambr.is_some(), nas))
    };
    let (ambr, nas) = read().unwrap();
    let message = ue.open(&nas);
    session_set_up(rig, ue, 5);
    (ambr, message)
}

fn not_forwarded(rig: &mut Rig, ue: &mut Ue) -> Option<GmmCause> {
    let Nas5gmmMessage::DlNasTransport(message) = ue.hear(rig) else { panic!() };
    assert_eq!(&message.payload_container.value[..], N1);
    message.fgmm_cause.and_then(|ie| ie.cause())
}

#[test]
fn when_a_session_is_requested_then_it_is_set_up_with_the_ue_ambr() {
    let (mut rig, mut ue) = created(None);
    let reply = rig.ask(transfer(NgapIeType::PduResSetupReq, true));
    assert_eq!(reply.status, 200);
    let (ambr, message) = set_up(&mut rig, &mut ue);
    assert!(ambr);
    let Nas5gmmMessage::DlNasTransport(message) = message else { panic!() };
    assert_eq!(&message.payload_container.value[..], [0x2e, 5, 1, 0xc2]);
    let (_, _, request) = rig.requests.front().unwrap();
    let params = PathParams::matching(UpdateSmContext::PATH, &request.path).unwrap();
    let update = UpdateSmContext::from_request(&params, request).unwrap();
    assert_eq!(update.data.n2_sm_info_type, Some(N2SmInfoType::PduResSetupRsp));
    assert_eq!(update.n2_sm_info.as_deref(), Some(&[0, 3][..]));
    rig.serve();
    assert!(rig.amf.ue(&supi()).unwrap().sessions[&session()].resources);
}

#[test]
fn when_no_dnn_is_named_then_the_subscribed_default_is_taken() {
    let (rig, _) = created(None);
    let sessions = &rig.amf.ue(&supi()).unwrap().sessions;
    assert_eq!(sessions[&session()].dnn, Dnn::new("internet").unwrap());
    assert_eq!(sessions[&session()].snssai, Snssai::new(1, None));
}

#[test]
fn when_the_dnn_is_not_subscribed_then_91() {
    let (mut rig, mut ue) = registered();
    ue.say(&mut rig, transport(Some("ims")));
    assert_eq!(not_forwarded(&mut rig, &mut ue), Some(GmmCause::DnnNotSupportedOrNotSubscribedInTheSlice));
    assert!(rig.requests.is_empty());
}

#[test]
fn when_the_slice_is_not_allowed_then_90() {
    let (mut rig, mut ue) = registered();
    let slice = tern_nas::registration::snssai(Snssai::new(2, None));
    ue.say(&mut rig, transport(None).with_s_nssai(slice));
    assert_eq!(not_forwarded(&mut rig, &mut ue), Some(GmmCause::PayloadWasNotForwarded));
}

#[test]
fn when_a_message_is_for_an_unknown_session_then_90() {
    let (mut rig, mut ue) = registered();
    let mut message = transport(None);
    message.request_type = None;
    ue.say(&mut rig, message);
    assert_eq!(not_forwarded(&mut rig, &mut ue), Some(GmmCause::PayloadWasNotForwarded));
}

#[test]
fn when_no_smf_is_there_then_90() {
    let (mut rig, mut ue) = registered();
    ue.say(&mut rig, transport(None));
    let (token, ..) = rig.requests.pop_front().unwrap();
    let none = tern_sbi::TransportError::NotDiscovered("SMF".into());
    rig.input(Input::Reply(token, Err(none)));
    assert_eq!(not_forwarded(&mut rig, &mut ue), Some(GmmCause::PayloadWasNotForwarded));
    assert!(rig.amf.ue(&supi()).unwrap().sessions.is_empty());
}

#[test]
fn when_the_smf_rejects_then_the_ue_gets_its_message() {
    let (mut rig, mut ue) = registered();
    let error = SmContextCreateError::new(ProblemDetails::new(403, "PDUTYPE_DENIED"));
    let body = Related {
        data: error,
        n1_sm_msg: Some(Bytes::from_static(&[0x2e, 5, 1, 0xc3, 0x32])),
        n2_sm_info: None,
    };
    let reply = PostSmContexts::to_reply(Err(OperationError::Refused { status: 403, body }));
    rig.refusals.insert("PostSmContexts", reply);
    ue.say(&mut rig, transport(None));
    rig.serve();
    let Nas5gmmMessage::DlNasTransport(message) = ue.hear(&mut rig) else { panic!() };
    assert_eq!(&message.payload_container.value[..], [0x2e, 5, 1, 0xc3, 0x32]);
    assert!(message.fgmm_cause.is_none());
    assert!(rig.amf.ue(&supi()).unwrap().sessions.is_empty());
}

#[test]
fn when_a_live_session_is_requested_anew_then_the_old_one_goes_first() {
    let (mut rig, mut ue) = created(None);
    rig.ask(transfer(NgapIeType::PduResSetupReq, true));
    set_up(&mut rig, &mut ue);
    rig.serve();
    rig.served.clear();
    ue.say(&mut rig, transport(Some("internet")));
    assert_eq!(rig.next().kind(), NgapPduKind::Initiating_PDUSessionResourceRelease);
    rig.serve();
    assert_eq!(rig.served, ["ReleaseSmContext", "PostSmContexts"]);
}

#[test]
fn when_the_context_is_not_yet_set_up_then_the_session_waits() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register_to_accept(&mut rig);
    ue.say(&mut rig, NasRegistrationComplete::new());
    ue.say(&mut rig, transport(None));
    rig.serve();
    assert_eq!(rig.ask(transfer(NgapIeType::PduResSetupReq, true)).status, 200);
    assert!(rig.downlink.is_empty());
    ue.context_is_set_up(&mut rig);
    set_up(&mut rig, &mut ue);
}

#[test]
fn when_the_smf_has_released_the_session_then_it_is_gone() {
    let (mut rig, _) = created(None);
    let notification = SmContextStatusNotification::new(StatusInfo::new(ResourceStatus::Released));
    let path = SmContextStatusNotify::callback_path(&format!("{}-5", supi()));
    let reply = rig.ask(AmfRequest::SmContextStatusNotify(SmContextStatusNotify { path, notification }));
    assert_eq!(reply.status, 204);
    assert!(rig.amf.ue(&supi()).unwrap().sessions.is_empty());
}

#[test]
fn when_the_ue_is_unknown_then_404() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(transfer(NgapIeType::PduResSetupReq, true)).status, 404);
}

#[test]
fn when_the_ue_goes_idle_then_the_smf_deactivates_and_a_service_request_activates() {
    let (mut rig, mut ue) = created(None);
    rig.ask(transfer(NgapIeType::PduResSetupReq, true));
    set_up(&mut rig, &mut ue);
    rig.serve();
    rig.served.clear();
    ue.go_idle(&mut rig);
    assert_eq!(rig.served, ["UpdateSmContext"]);
    let data =
        SmContextUpdatedData { n2_sm_info_type: Some(N2SmInfoType::PduResSetupReq), ..Default::default() };
    let body = Related { data, n1_sm_msg: None, n2_sm_info: Some(Bytes::from_static(&[0, 0, 1])) };
    rig.refusals.insert("UpdateSmContext", UpdateSmContext::to_reply(Ok(Response::ok(body))));
    ue.ran_id = 2;
    let tmsi = tern_types::STmsi5g::from(ue.guti.unwrap());
    let identity = tern_nas::MobileIdentity::STmsi(tmsi).to_ie().unwrap();
    let kind = NasServiceType::from_service_type(ServiceType::Data);
    let request = NasServiceRequest::new(tern_nas::registration::ngksi(ue.ksi), kind, identity)
        .with_uplink_data_status(NasUplinkDataStatus::from_sessions(&[5]).unwrap());
    let octets = ue.protect(&plain(request), tern_nas::security::HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    assert!(rig.downlink.is_empty());
    rig.serve();
    let pdu = rig.downlink.front().unwrap();
    assert_eq!(pdu.kind(), NgapPduKind::Initiating_InitialContextSetup);
    // With a session comes the UE-AMBR.
    assert!(pdu.ie::<tern_ngap::ie::UEAggregateMaximumBitRate>().is_some());
    assert!(pdu.ie::<tern_ngap::ie::PDUSessionResourceSetupListCxtReq>().is_some());
    let Nas5gmmMessage::ServiceAccept(accept) = ue.hear(&mut rig) else { panic!() };
    let result = accept.pdu_session_reactivation_result.unwrap();
    assert!(result.failed_sessions().is_empty());
}

#[test]
fn when_the_ue_deregisters_then_its_sessions_are_released() {
    let (mut rig, mut ue) = created(None);
    let kind = NasDeRegistrationType::new(1);
    let identity = tern_nas::MobileIdentity::Guti(ue.guti.unwrap()).to_ie().unwrap();
    let ksi = tern_nas::registration::ngksi(ue.ksi);
    ue.say(&mut rig, NasDeregistrationRequestUeOriginating::new(kind, ksi, identity));
    rig.serve();
    assert!(rig.served.contains(&"ReleaseSmContext"));
}

/// TS 38.413 §8.2.4.
#[test]
fn when_the_gnb_notifies_then_the_smf_is_told_and_released_resources_are_gone() {
    let (mut rig, mut ue) = created(None);
    rig.ask(transfer(NgapIeType::PduResSetupReq, true));
    set_up(&mut rig, &mut ue);
    rig.serve();
    let notified = PDUSessionResourceNotifyItem::new(PDUSessionID(5), vec![0, 1].into(), None);
    let released = PDUSessionResourceReleasedItemNot::new(PDUSessionID(5), vec![0, 2].into(), None);
    let pdu = build_ngap!(
        InitiatingMessage,
        PDUSessionResourceNotify,
        PDUSessionResourceNotify,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        PDUSessionResourceNotifyList(PDUSessionResourceNotifyList(vec![notified])),
        PDUSessionResourceReleasedListNot(PDUSessionResourceReleasedListNot(vec![released])),
    );
    rig.gnb(ue.stream, &pdu.unwrap());
    let mut kinds = Vec::new();
    while let Some((token, _, request)) = rig.requests.pop_front() {
        let params = PathParams::matching(UpdateSmContext::PATH, &request.path).unwrap();
        let update = UpdateSmContext::from_request(&params, &request).unwrap();
        kinds.extend(update.data.n2_sm_info_type.zip(update.n2_sm_info.map(|octets| octets.to_vec())));
        let done = Response { status: 204, ..Response::ok(Related::default()) };
        rig.input(Input::Reply(token, Ok(UpdateSmContext::to_reply(Ok(done)))));
    }
    let expected = [(N2SmInfoType::PduResNty, vec![0, 1]), (N2SmInfoType::PduResNtyRel, vec![0, 2])];
    assert_eq!(kinds, expected);
    assert!(!rig.amf.ue(&supi()).unwrap().sessions[&session()].resources);
}

/// TS 24.501 §5.5.1.3.4: what the UE has no more is released without a word to it.
#[test]
fn when_an_update_shows_a_session_as_inactive_then_it_is_released_at_the_smf() {
    let (mut rig, mut ue) = created(None);
    rig.ask(transfer(NgapIeType::PduResSetupReq, true));
    set_up(&mut rig, &mut ue);
    rig.serve();
    ue.go_idle(&mut rig);
    rig.served.clear();
    ue.ran_id = 2;
    let kind = NasFGsRegistrationType::from_registration_type(RegistrationType::MobilityRegistrationUpdating);
    let identity = tern_nas::MobileIdentity::Guti(ue.guti.unwrap()).to_ie().unwrap();
    let request = NasRegistrationRequest::new(kind, tern_nas::registration::ngksi(ue.ksi), identity)
        .with_ue_security_capability(NasUeSecurityCapability::new(CAPABILITY.to_vec()))
        .with_pdu_session_status(NasPduSessionStatus::from_sessions(&[]).unwrap());
    let octets = ue.protect(&plain(request), tern_nas::security::HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    let accept = ue.accepted(&mut rig);
    assert!(accept.pdu_session_status.unwrap().active_sessions().is_empty());
    rig.serve();
    assert_eq!(rig.served, ["ReleaseSmContext"]);
    assert!(rig.amf.ue(&supi()).unwrap().sessions.is_empty());
}

/// TS 24.501 §5.5.1.3.4: an update with uplink data pending brings its sessions back.
#[test]
fn when_an_update_has_uplink_data_pending_then_its_session_comes_with_the_accept() {
    for smf_answers in [true, false] {
        let (mut rig, mut ue) = created(None);
        rig.ask(transfer(NgapIeType::PduResSetupReq, true));
        set_up(&mut rig, &mut ue);
        rig.serve();
        ue.go_idle(&mut rig);
        let data = SmContextUpdatedData {
            n2_sm_info_type: Some(N2SmInfoType::PduResSetupReq),
            ..Default::default()
        };
        let body = Related { data, n1_sm_msg: None, n2_sm_info: Some(Bytes::from_static(&[0, 0, 1])) };
        rig.refusals.insert("UpdateSmContext", UpdateSmContext::to_reply(Ok(Response::ok(body))));
        ue.ran_id = 2;
        let kind = RegistrationType::MobilityRegistrationUpdating;
        let kind = NasFGsRegistrationType::from_registration_type(kind);
        let identity = tern_nas::MobileIdentity::Guti(ue.guti.unwrap()).to_ie().unwrap();
        let request = NasRegistrationRequest::new(kind, tern_nas::registration::ngksi(ue.ksi), identity)
            .with_ue_security_capability(NasUeSecurityCapability::new(CAPABILITY.to_vec()))
            .with_uplink_data_status(NasUplinkDataStatus::from_sessions(&[5]).unwrap());
        let octets = ue.protect(&plain(request), tern_nas::security::HeaderType::Integrity);
        ue.initial(&mut rig, &octets);
        assert!(rig.downlink.is_empty());
        if smf_answers {
            rig.serve()
        } else {
            rig.expire()
        }
        let pdu = rig.downlink.front().unwrap();
        assert_eq!(pdu.kind(), NgapPduKind::Initiating_InitialContextSetup);
        let with_session = pdu.ie::<tern_ngap::ie::PDUSessionResourceSetupListCxtReq>().is_some();
        let with_ambr = pdu.ie::<tern_ngap::ie::UEAggregateMaximumBitRate>().is_some();
        assert_eq!((with_session, with_ambr), (smf_answers, smf_answers));
        let result = ue.accepted(&mut rig).pdu_session_reactivation_result.unwrap();
        assert_eq!(result.failed_sessions().is_empty(), smf_answers);
    }
}
