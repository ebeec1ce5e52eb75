//! Every way an establishment is refused: status, application error, 5GSM cause.

use tern_nas::nas_5gs::{
    MaxDataRate, Nas5gsmMessage, NasIntegrityProtectionMaximumDataRate, NasPduSessionEstablishmentRequest,
    NasPduSessionReleaseRequest, NasPduSessionType, NasSscMode, PduSessionTypeValue, SscModeValue,
};
use tern_pfcp::{Cause, Message, SessionDeletionResponse, SessionEstablishmentResponse};
use tern_sbi::common::{PduSessionType, SscMode, UpSecurity, UpSecurityPolicy};
use tern_sbi::namf_comm::N1N2MessageTransfer;
use tern_sbi::npcf_sm::{CreateSmPolicy, DeleteSmPolicy, SmPolicyDecision};
use tern_sbi::nsmf_pdusession::{PostSmContexts, RequestType, SmContextCreateData, SmContextStatusNotify};
use tern_sbi::nudm_sdm::{DnnConfiguration, GetSmData, SmSubsData, SscModes, Unsubscribe};
use tern_sbi::nudm_uecm::DeregisterSmf;
use tern_sbi::{Response, TransportError};
use tern_smf::{Input, SmfRequest};

use crate::bench::*;

/// Status, application error and 5GSM cause of a refusal.
fn refusal(created: Created) -> (u16, String, Option<u8>) {
    let error = created.unwrap_err();
    let problem = error.problem().unwrap().clone();
    let cause = match error {
        tern_sbi::OperationError::Refused { body, .. } => body.n1_sm_msg.map(|n1| match read_n1(&n1).2 {
            Nas5gsmMessage::PduSessionEstablishmentReject(reject) => reject.fgsm_cause.cause_raw(),
            Nas5gsmMessage::FiveGsmStatus(status) => status.fgsm_cause.cause_raw(),
            other => panic!("{other:?}"),
        }),
        _ => None,
    };
    (problem.status.unwrap(), problem.cause.unwrap(), cause)
}

fn refused_with(
    data: SmContextCreateData,
    request: NasPduSessionEstablishmentRequest,
) -> (u16, String, Option<u8>) {
    let mut bench = Bench::new();
    let id = data.pdu_session_id.map_or(1, |id| id.get());
    let token = bench.create_with(data, n1(request, id, 3));
    let refused = refusal(bench.created(token));
    bench.nothing();
    bench.empty();
    refused
}

fn refused_after(request: NasPduSessionEstablishmentRequest, data: SmSubsData) -> (u16, String, Option<u8>) {
    let mut bench = Bench::new();
    let token = bench.create_with(create_data(1), n1(request, 1, 3));
    bench.subscribe(data);
    let refused = refusal(bench.created(token));
    bench.nothing();
    bench.empty();
    refused
}

fn of_type(kind: PduSessionTypeValue) -> NasPduSessionEstablishmentRequest {
    establishment_request().with_pdu_session_type(NasPduSessionType::from_session_type(kind))
}

fn is(refused: (u16, String, Option<u8>), status: u16, error: &str, cause: u8) {
    assert_eq!(refused, (status, error.to_owned(), Some(cause)));
}

#[test]
fn when_the_dnn_is_not_served_then_27_and_in_another_slice_70() {
    let data = SmContextCreateData { dnn: Some(dnn("ims")), ..create_data(1) };
    is(refused_with(data, establishment_request()), 403, "DNN_NOT_SUPPORTED", 27);
    let data = SmContextCreateData { s_nssai: Some(tern_types::Snssai::new(2, None)), ..create_data(1) };
    is(refused_with(data, establishment_request()), 403, "DNN_NOT_SUPPORTED", 70);
}

#[test]
fn when_the_ue_asks_for_a_type_that_is_not_served_then_28_or_50() {
    is(
        refused_after(of_type(PduSessionTypeValue::Ipv6), sm_data(subscription())),
        403,
        "PDUTYPE_NOT_SUPPORTED",
        50,
    );
    for kind in [PduSessionTypeValue::Ethernet, PduSessionTypeValue::Unstructured] {
        is(refused_after(of_type(kind), sm_data(subscription())), 403, "PDUTYPE_NOT_SUPPORTED", 28);
    }
}

#[test]
fn when_the_subscription_allows_ipv6_alone_then_51() {
    let mut only = subscription();
    only.pdu_session_types.default_session_type = Some(PduSessionType::Ipv6);
    only.pdu_session_types.allowed_session_types.clear();
    is(refused_after(establishment_request(), sm_data(only)), 403, "PDUTYPE_DENIED", 51);
}

#[test]
fn when_another_ssc_mode_is_asked_for_then_68_with_the_allowed_one() {
    let mut bench = Bench::new();
    let request = establishment_request().with_ssc_mode(NasSscMode::from_mode(SscModeValue::Ssc3));
    let token = bench.create_with(create_data(1), n1(request, 1, 3));
    let error = bench.created(token).unwrap_err();
    let tern_sbi::OperationError::Refused { body, .. } = error else { panic!("{error:?}") };
    let (_, _, message) = read_n1(&body.n1_sm_msg.unwrap());
    let Nas5gsmMessage::PduSessionEstablishmentReject(reject) = message else { panic!("{message:?}") };
    let allowed = reject.allowed_ssc_mode.unwrap();
    assert_eq!(
        (reject.fgsm_cause.cause_raw(), allowed.ssc1(), allowed.ssc2(), allowed.ssc3()),
        (68, true, false, false)
    );
    let other = DnnConfiguration { ssc_modes: SscModes::new(SscMode::Mode3), ..subscription() };
    is(refused_after(establishment_request(), sm_data(other)), 403, "SSC_NOT_SUPPORTED", 68);
}

#[test]
fn when_integrity_protection_is_required_and_slow_then_82() {
    let security = UpSecurity::new(UpSecurityPolicy::Required, UpSecurityPolicy::Preferred);
    let required = || sm_data(DnnConfiguration { up_security: Some(security.clone()), ..subscription() });
    let slow = NasIntegrityProtectionMaximumDataRate::from_rates(MaxDataRate::Kbps64, MaxDataRate::FullRate);
    let refused = refused_after(NasPduSessionEstablishmentRequest::new(slow), required());
    is(refused, 403, "INTEGRITY_PROTECTED_MDR_NOT_ACCEPTABLE", 82);
    let mut bench = Bench::new();
    let token = bench.create(1);
    bench.subscribe(required());
    bench.context_ref(token);
}

#[test]
fn when_dnn_or_slice_is_not_subscribed_then_27_or_33() {
    let mut data = tern_sbi::nudm_sdm::SessionManagementSubscriptionData::new(slice());
    data.dnn_configurations.insert("ims".to_owned(), subscription());
    is(refused_after(establishment_request(), SmSubsData::Individual(vec![data])), 403, "DNN_DENIED", 27);
    is(refused_after(establishment_request(), SmSubsData::Individual(Vec::new())), 403, "SNSSAI_DENIED", 33);
}

#[test]
fn when_the_udm_refuses_or_is_silent_then_29_27_or_38() {
    for (status, cause, expected) in [
        (404, "USER_NOT_FOUND", (403, "SUBSCRIPTION_DENIED", 29)),
        (404, "DATA_NOT_FOUND", (403, "DNN_DENIED", 27)),
        (500, "SYSTEM_FAILURE", (504, "PEER_NOT_RESPONDING", 38)),
    ] {
        let mut bench = Bench::new();
        let token = bench.create(1);
        let (data, _) = bench.expect::<GetSmData>();
        bench.refuse::<GetSmData>(data, status, cause);
        is(refusal(bench.created(token)), expected.0, expected.1, expected.2);
        bench.empty();
    }
    let mut bench = Bench::new();
    let token = bench.create(1);
    let (data, _) = bench.expect::<GetSmData>();
    bench.lost(data, TransportError::TimedOut);
    is(refusal(bench.created(token)), 504, "PEER_NOT_RESPONDING", 38);
    bench.empty();
}

#[test]
fn when_no_upf_or_no_address_is_there_then_69_or_67() {
    let mut bench = Bench::new();
    bench.input(Input::UpfDown(upf()));
    let token = bench.create(1);
    bench.subscribe(sm_data(subscription()));
    is(refusal(bench.created(token)), 500, "INSUFFICIENT_RESOURCES_SLICE", 69);
    bench.empty();

    let mut small = config();
    small.data_networks[0].pool = "10.45.0.0/30".parse().ok();
    let mut bench = Bench::with(small);
    bench.establish(1);
    let token = bench.create(2);
    bench.subscribe(sm_data(subscription()));
    is(refusal(bench.created(token)), 500, "INSUFFICIENT_RESOURCES_SLICE_DNN", 67);
    assert_eq!(bench.smf.sessions(), 1);
}

#[test]
fn when_the_smf_is_full_then_26() {
    let mut full = config();
    full.limits.sessions_max = 1;
    let mut bench = Bench::with(full);
    bench.establish(1);
    let token = bench.create(2);
    is(refusal(bench.created(token)), 500, "INSUFFICIENT_RESOURCES", 26);
    bench.nothing();
}

#[test]
fn when_the_n1_part_is_wrong_then_the_ue_is_told_how() {
    let create = |octets: &[u8]| {
        let mut bench = Bench::new();
        let token = bench.create_with(create_data(1), bytes::Bytes::copy_from_slice(octets));
        let refused = refusal(bench.created(token));
        bench.empty();
        refused
    };
    // The mandatory IE is cut: PDU SESSION ESTABLISHMENT REJECT #96.
    is(create(&[0x2e, 1, 3, 0xc1, 0xff]), 403, "N1_SM_ERROR", 96);
    // An unknown message type: 5GSM STATUS #97.
    is(create(&[0x2e, 1, 3, 0xff]), 403, "N1_SM_ERROR", 97);
    // Another message than a request: 5GSM STATUS #98.
    is(create(&n1(NasPduSessionReleaseRequest::new(), 1, 3)), 403, "N1_SM_ERROR", 98);
    // PTI 0, and another session than the AMF says.
    is(create(&n1(establishment_request(), 1, 0)), 403, "N1_SM_ERROR", 81);
    is(create(&n1(establishment_request(), 2, 3)), 403, "N1_SM_ERROR", 43);
    // Nothing to answer.
    assert_eq!(create(&[]), (403, "N1_SM_ERROR".to_owned(), None));
}

#[test]
fn when_an_attribute_is_missing_then_400_names_it() {
    let without: [(&str, fn(&mut SmContextCreateData)); 4] = [
        ("supi", |d| d.supi = None),
        ("pduSessionId", |d| d.pdu_session_id = None),
        ("dnn", |d| d.dnn = None),
        ("sNssai", |d| d.s_nssai = None),
    ];
    for (name, remove) in without {
        let mut data = create_data(1);
        remove(&mut data);
        let mut bench = Bench::new();
        let token = bench.create_with(data, n1(establishment_request(), 1, 3));
        let error = bench.created(token).unwrap_err();
        let problem = error.problem().unwrap();
        assert_eq!((problem.status, problem.cause.as_deref()), (Some(400), Some("MANDATORY_IE_MISSING")));
        assert_eq!(problem.invalid_params[0].param, name);
    }
    let mut bench = Bench::new();
    let operation = PostSmContexts { data: create_data(1), n1_sm_msg: None, n2_sm_info: None };
    let token = bench.request(SmfRequest::Create(operation));
    assert_eq!(bench.created(token).unwrap_err().status(), Some(400));
}

#[test]
fn when_a_session_of_another_access_or_an_emergency_one_is_asked_for_then_54_or_32() {
    let of = |kind| SmContextCreateData { request_type: Some(kind), ..create_data(1) };
    is(refused_with(of(RequestType::ExistingPduSession), establishment_request()), 403, "N1_SM_ERROR", 54);
    let emergency = refused_with(of(RequestType::InitialEmergencyRequest), establishment_request());
    is(emergency, 403, "REQUEST_NOT_SUPPORTED", 32);
}

/// What fails after the 201 is told to the UE by N1, and to the AMF by the context's end.
fn rejected(bench: &mut Bench, cause: u8, policy: bool) {
    let (transfer, operation) = bench.expect::<N1N2MessageTransfer>();
    let (_, pti, message) = read_n1(&operation.n1_sm_msg.unwrap());
    let Nas5gsmMessage::PduSessionEstablishmentReject(reject) = message else { panic!("{message:?}") };
    assert_eq!((pti, reject.fgsm_cause.cause_raw(), operation.n2_sm_info), (9, cause, None));
    // The session must still be there at the AMF when the reject comes.
    bench.nothing();
    bench.transferred(transfer);
    if policy {
        let (deletion, _) = bench.expect::<tern_sbi::npcf_sm::DeleteSmPolicy>();
        bench.reply::<tern_sbi::npcf_sm::DeleteSmPolicy>(deletion, Ok(Response::no_content()));
    }
    let (notification, _) = bench.expect::<SmContextStatusNotify>();
    bench.reply::<SmContextStatusNotify>(notification, Ok(Response::no_content()));
    bench.nothing();
    bench.empty();
}

#[test]
fn when_the_pcf_refuses_then_29_and_when_it_is_silent_then_38() {
    let mut bench = Bench::new();
    let token = bench.create(1);
    bench.subscribe(sm_data(subscription()));
    bench.context_ref(token);
    let (policy, _) = bench.expect::<CreateSmPolicy>();
    bench.refuse::<CreateSmPolicy>(policy, 403, "POLICY_CONTEXT_DENIED");
    rejected(&mut bench, 29, false);

    let token = bench.create(1);
    bench.subscribe(sm_data(subscription()));
    bench.context_ref(token);
    let (policy, _) = bench.expect::<CreateSmPolicy>();
    bench.lost(policy, TransportError::TimedOut);
    rejected(&mut bench, 38, false);
}

#[test]
fn when_the_upf_refuses_or_is_silent_then_69_or_26() {
    for (cause, expected) in [
        (Some(Cause::NO_RESOURCES_AVAILABLE), 69),
        (Some(Cause::RULE_CREATION_MODIFICATION_FAILURE), 26),
        (None, 26),
    ] {
        let mut bench = Bench::new();
        let token = bench.create(1);
        bench.subscribe(sm_data(subscription()));
        bench.context_ref(token);
        bench.police(SmPolicyDecision::default());
        let (n4, _, _) = bench.n4();
        let answer = cause.map(|cause| {
            Message::from(SessionEstablishmentResponse { cause, ..SessionEstablishmentResponse::default() })
        });
        bench.input(Input::N4(n4, answer));
        rejected(&mut bench, expected, true);
    }
}

/// The registration at the UDM is by PDU session identity: the last session with it ends it.
#[test]
fn when_the_session_that_replaces_another_is_refused_then_the_registration_ends_too() {
    let mut bench = Bench::new();
    bench.establish(1);
    let token = bench.create(1);
    let (transfer, _) = bench.expect::<N1N2MessageTransfer>();
    bench.transferred(transfer);
    let (deletion, _, _) = bench.n4();
    let (asked, _) = bench.expect::<GetSmData>();
    bench.refuse::<GetSmData>(asked, 404, "USER_NOT_FOUND");
    is(refusal(bench.created(token)), 403, "SUBSCRIPTION_DENIED", 29);
    let (unsubscription, _) = bench.expect::<Unsubscribe>();
    bench.reply::<Unsubscribe>(unsubscription, Ok(Response::no_content()));
    let (deregistration, _) = bench.expect::<DeregisterSmf>();
    bench.reply::<DeregisterSmf>(deregistration, Ok(Response::no_content()));
    let response = SessionDeletionResponse { cause: Cause::REQUEST_ACCEPTED, ..Default::default() };
    bench.input(Input::N4(deletion, Some(response.into())));
    let (policy, _) = bench.expect::<DeleteSmPolicy>();
    bench.reply::<DeleteSmPolicy>(policy, Ok(Response::no_content()));
    bench.empty();
}
