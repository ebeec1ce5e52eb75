//! Admission of PDU session establishments: TS 24.501 §5.4.5.3.1 (5GMM cause #22), TS 23.501 §5.19.7.

use bytes::Bytes;
use tern_nas::nas_5gs::*;
use tern_ngap::ngap::{
    Cause, CauseRadioNetwork, PDUSessionID, PDUSessionResourceFailedToSetupItemSURes,
    PDUSessionResourceFailedToSetupListSURes, PDUSessionResourceSetupItemSURes,
    PDUSessionResourceSetupListSURes, RRCEstablishmentCause,
};
use tern_ngap::{NgapPduKind, build_ngap};
use tern_sbi::namf_comm::*;
use tern_sbi::nsmf_pdusession::*;
use tern_sbi::{Operation, PathParams, Related, Reply, Response, TransportError};
use tern_types::{Duration, PduSessionId, Supi};

use super::rig::*;
use crate::n2::message::N2Event;
use crate::{ACCEPT_WITHIN, ACCESS_WITHIN, AmfRequest, Config, Input, WAITING_WITHIN};

const ROOT: &str = "http://127.0.0.17:8080/nsmf-pdusession/v1/sm-contexts";

fn rig(establishing: usize, waiting: usize) -> Rig {
    let mut config = Config::default();
    config.limits.sessions_establishing = establishing;
    config.limits.sessions_waiting = waiting;
    config.limits.sessions_per_ue = 3;
    Rig::with(config)
}

fn subscriber(number: u32) -> Supi {
    Supi::from_imsi(&format!("00101{number:010}")).unwrap()
}

fn registered_as(rig: &mut Rig, number: u32, why: RRCEstablishmentCause) -> Ue {
    let mut ue = Ue { supi: subscriber(number), why, ..Ue::new(number) };
    // Others' requests stay unanswered meanwhile.
    let outstanding = std::mem::take(&mut rig.requests);
    ue.register(rig);
    rig.requests = outstanding;
    ue
}

fn registered(rig: &mut Rig, number: u32) -> Ue {
    registered_as(rig, number, RRCEstablishmentCause::mo_Signalling)
}

/// A PDU SESSION ESTABLISHMENT REQUEST; its PTI tells it from others of the same session.
fn n1(psi: u8, pti: u8) -> Bytes {
    Bytes::from(vec![0x2e, psi, pti, 0xc1, 0xff, 0xff])
}

fn ask(rig: &mut Rig, ue: &mut Ue, psi: u8, pti: u8) {
    let transport = NasUlNasTransport::new(
        NasPayloadContainerType::from_kind(PayloadContainerKind::N1SmInformation),
        NasPayloadContainer::new(n1(psi, pti).to_vec()),
    )
    .with_pdu_session_id(NasPduSessionIdentity2::from_pdu_session_id(psi))
    .with_request_type(NasRequestType::from_request_type(RequestTypeValue::InitialRequest));
    ue.say(rig, transport);
}

/// Whose creations, and with which 5GSM message, are at the SMF, in their order.
fn creating(rig: &Rig) -> Vec<(Supi, Bytes)> {
    let read = |(_, _, request): &(_, _, tern_sbi::Request)| {
        let params = PathParams::matching(PostSmContexts::PATH, &request.path)?;
        let create = PostSmContexts::from_request(&params, request).ok()?;
        Some((create.data.supi?, create.n1_sm_msg?))
    };
    rig.requests.iter().filter_map(read).collect()
}

fn assert_creating(rig: &Rig, whose: &[u32]) {
    let supis: Vec<Supi> = creating(rig).into_iter().map(|(supi, _)| supi).collect();
    let expected: Vec<Supi> = whose.iter().copied().map(subscriber).collect();
    assert_eq!(supis, expected);
}

fn assert_counts(rig: &Rig, establishing: u64, waiting: u64) {
    let status = rig.amf.status();
    assert_eq!(
        (&status["sessionsEstablishing"], &status["sessionsWaiting"]),
        (&establishing.into(), &waiting.into())
    );
}

/// The oldest request is answered.
fn reply(rig: &mut Rig, reply: Result<Reply, TransportError>) {
    let (token, ..) = rig.requests.pop_front().expect("a request");
    rig.input(Input::Reply(token, reply));
}

fn created(rig: &mut Rig) {
    let created = Response::created(format!("{ROOT}/1"), Related::from(SmContextCreatedData::default()));
    reply(rig, Ok(PostSmContexts::to_reply(Ok(created))));
}

fn refused(rig: &mut Rig) {
    reply(rig, Ok(problem(403, "PDUTYPE_DENIED")));
}

fn updated(rig: &mut Rig) {
    let done = Response { status: 204, ..Response::ok(Related::default()) };
    reply(rig, Ok(UpdateSmContext::to_reply(Ok(done))));
}

/// N2 SM information comes, and PDU SESSION RESOURCE SETUP REQUEST goes out.
fn accept(rig: &mut Rig, ue: &Ue, psi: u8) {
    let id = PduSessionId::new(psi).unwrap();
    let data = N1N2MessageTransferReqData {
        n2_info_container: Some(N2InfoContainer::sm(id, NgapIeType::PduResSetupReq, None)),
        pdu_session_id: Some(id),
        ..Default::default()
    };
    let ue_context_id = ue.supi.to_string();
    let n2_sm_info = Some(Bytes::from_static(&[0, 0, 1]));
    let operation = N1N2MessageTransfer { ue_context_id, data, n1_sm_msg: None, n2_sm_info };
    assert_eq!(rig.ask(AmfRequest::N1N2MessageTransfer(Box::new(operation))).status, 200);
    assert_eq!(rig.next().kind(), NgapPduKind::Initiating_PDUSessionResourceSetup);
}

fn gnb_answers(rig: &mut Rig, ue: &Ue, psi: u8, success: bool) {
    let (id, transfer) = (PDUSessionID(psi), vec![0, 3]);
    let response = if success {
        let item = PDUSessionResourceSetupItemSURes::new(id, transfer.into(), None);
        build_ngap!(
            SuccessfulOutcome,
            PDUSessionResourceSetup,
            PDUSessionResourceSetupResponse,
            AMF_UE_NGAP_ID(ue.amf_id),
            RAN_UE_NGAP_ID(ue.ran_id),
            PDUSessionResourceSetupListSURes(PDUSessionResourceSetupListSURes(vec![item])),
        )
    } else {
        let item = PDUSessionResourceFailedToSetupItemSURes::new(id, transfer.into(), None);
        build_ngap!(
            SuccessfulOutcome,
            PDUSessionResourceSetup,
            PDUSessionResourceSetupResponse,
            AMF_UE_NGAP_ID(ue.amf_id),
            RAN_UE_NGAP_ID(ue.ran_id),
            PDUSessionResourceFailedToSetupListSURes(PDUSessionResourceFailedToSetupListSURes(vec![item])),
        )
    };
    rig.gnb(ue.stream, &response.unwrap());
}

fn request_release(rig: &mut Rig, ue: &Ue) {
    let pdu = build_ngap!(
        InitiatingMessage,
        UEContextReleaseRequest,
        UEContextReleaseRequest,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        Cause(Cause::radioNetwork(CauseRadioNetwork::radio_connection_with_ue_lost)),
    );
    rig.gnb(ue.stream, &pdu.unwrap());
    rig.released();
}

fn deregister(rig: &mut Rig, ue: &mut Ue) {
    let identity = tern_nas::MobileIdentity::Guti(ue.guti.unwrap()).to_ie().unwrap();
    let ksi = tern_nas::registration::ngksi(ue.ksi);
    let switch_off = NasDeRegistrationType::new(9);
    ue.say(rig, NasDeregistrationRequestUeOriginating::new(switch_off, ksi, identity));
    rig.released();
}

/// The back-off timer, in seconds, of a request that comes back with #22.
fn turned_away(rig: &mut Rig, ue: &mut Ue, n1: &Bytes) -> u64 {
    let Nas5gmmMessage::DlNasTransport(message) = ue.hear(rig) else { panic!("not turned away") };
    assert_eq!(message.payload_container.value[..], n1[..]);
    assert_eq!(message.fgmm_cause.and_then(|ie| ie.cause()), Some(GmmCause::Congestion));
    message.back_off_timer_value.expect("a back-off timer").to_seconds().expect("neither zero nor off")
}

/// One establishment fills the AMF, and another UE waits.
fn one_waits() -> (Rig, Ue, Ue) {
    let mut rig = rig(1, 5);
    let (mut one, mut other) = (registered(&mut rig, 1), registered(&mut rig, 2));
    ask(&mut rig, &mut one, 1, 1);
    ask(&mut rig, &mut other, 1, 1);
    assert_creating(&rig, &[1]);
    assert_counts(&rig, 1, 1);
    (rig, one, other)
}

#[test]
fn when_there_is_no_room_then_requests_begin_in_their_order() {
    let mut rig = rig(2, 10);
    let mut ues: Vec<Ue> = (1..=5).map(|number| registered(&mut rig, number)).collect();
    for ue in &mut ues {
        ask(&mut rig, ue, 1, 1);
    }
    assert_creating(&rig, &[1, 2]);
    assert_counts(&rig, 2, 3);
    assert_eq!(rig.count("amf.session.queued"), 3);
    refused(&mut rig);
    assert_creating(&rig, &[2, 3]);
    refused(&mut rig);
    refused(&mut rig);
    assert_creating(&rig, &[4, 5]);
    assert_counts(&rig, 2, 0);
}

#[test]
fn when_the_queue_is_full_then_22_with_a_back_off_timer() {
    let (mut rig, mut one, mut other) = one_waits();
    let mut third = registered(&mut rig, 3);
    rig.amf.config.limits.sessions_waiting = 1;
    let before = rig.requests.len();
    ask(&mut rig, &mut third, 1, 7);
    let seconds = turned_away(&mut rig, &mut third, &n1(1, 7));
    let base = rig.amf.config.timers.t3346_s;
    assert!((base..=2 * base).contains(&seconds), "{seconds}");
    assert_eq!(rig.count("amf.session.congestion"), 1);
    assert_eq!(rig.requests.len(), before);
    assert_counts(&rig, 1, 1);
    // The others' requests are as they were.
    ask(&mut rig, &mut one, 2, 2);
    turned_away(&mut rig, &mut one, &n1(2, 2));
    refused(&mut rig);
    ask(&mut rig, &mut other, 2, 2);
    assert_counts(&rig, 1, 1);
}

#[test]
fn when_the_smf_refuses_then_the_next_one_begins() {
    let (mut rig, ..) = one_waits();
    refused(&mut rig);
    assert_creating(&rig, &[2]);
    assert_counts(&rig, 1, 0);
}

#[test]
fn when_the_smf_does_not_answer_then_the_next_one_begins() {
    let (mut rig, ..) = one_waits();
    reply(&mut rig, Err(TransportError::TimedOut));
    assert_creating(&rig, &[2]);
}

#[test]
fn when_the_smf_has_the_gnbs_answer_then_the_next_one_begins() {
    for success in [true, false] {
        let (mut rig, one, _) = one_waits();
        created(&mut rig);
        assert_counts(&rig, 1, 1);
        accept(&mut rig, &one, 1);
        gnb_answers(&mut rig, &one, 1, success);
        assert_counts(&rig, 1, 1);
        updated(&mut rig);
        assert_creating(&rig, &[2]);
        assert_counts(&rig, 1, 0);
    }
}

#[test]
fn when_the_smf_does_not_take_the_gnbs_answer_then_the_next_one_begins() {
    for status in [403, 404] {
        let (mut rig, one, _) = one_waits();
        created(&mut rig);
        accept(&mut rig, &one, 1);
        gnb_answers(&mut rig, &one, 1, true);
        reply(&mut rig, Ok(problem(status, "N2_SM_ERROR")));
        assert_creating(&rig, &[2]);
    }
}

#[test]
fn when_the_gnb_does_not_answer_then_others_wait_no_longer() {
    let (mut rig, one, _) = one_waits();
    created(&mut rig);
    let sent = rig.now;
    accept(&mut rig, &one, 1);
    rig.expire();
    assert_eq!(rig.now, sent + ACCESS_WITHIN);
    assert_creating(&rig, &[2]);
    assert_eq!(rig.count("amf.session.establishment_overdue"), 1);
    // Its answer is worth as much as before.
    gnb_answers(&mut rig, &one, 1, true);
    assert_eq!(rig.requests.len(), 2);
    assert_counts(&rig, 1, 0);
}

#[test]
fn when_the_accept_never_comes_then_others_wait_no_longer() {
    let (mut rig, mut one) = {
        let mut rig = rig(1, 5);
        let one = registered(&mut rig, 1);
        (rig, one)
    };
    let mut other = registered(&mut rig, 2);
    ask(&mut rig, &mut one, 1, 1);
    created(&mut rig);
    let since = rig.now;
    rig.now = since + Duration::from_secs(5);
    ask(&mut rig, &mut other, 1, 1);
    assert_creating(&rig, &[]);
    rig.expire();
    assert_eq!(rig.now, since + ACCEPT_WITHIN);
    assert_creating(&rig, &[2]);
}

#[test]
fn when_the_ues_connection_goes_then_the_next_one_begins() {
    let (mut rig, one, _) = one_waits();
    created(&mut rig);
    request_release(&mut rig, &one);
    assert_creating(&rig, &[2]);
    assert_counts(&rig, 1, 0);
}

#[test]
fn when_the_ues_connection_goes_while_the_smf_creates_then_its_answer_is_awaited() {
    let (mut rig, one, _) = one_waits();
    request_release(&mut rig, &one);
    assert_creating(&rig, &[1]);
    created(&mut rig);
    assert_creating(&rig, &[2]);
    assert_counts(&rig, 1, 0);
}

#[test]
fn when_the_gnb_is_lost_then_nothing_is_in_progress_and_nobody_waits() {
    let (mut rig, ..) = one_waits();
    created(&mut rig);
    rig.input(Input::N2(N2Event::GnbDown(GNB)));
    assert_counts(&rig, 0, 0);
    assert_creating(&rig, &[]);
    assert_eq!(rig.count("amf.session.request_dropped"), 1);
}

#[test]
fn when_the_ue_deregisters_then_the_next_one_begins() {
    for answered in [false, true] {
        let (mut rig, mut one, _) = one_waits();
        if answered {
            created(&mut rig);
        }
        deregister(&mut rig, &mut one);
        assert_eq!(creating(&rig).last().unwrap().0, subscriber(2));
        assert_counts(&rig, 1, 0);
    }
}

#[test]
fn when_the_smf_releases_meanwhile_then_the_next_one_begins() {
    let (mut rig, one, _) = one_waits();
    created(&mut rig);
    let notification = SmContextStatusNotification::new(StatusInfo::new(ResourceStatus::Released));
    let path = SmContextStatusNotify::callback_path(&format!("{}-1", one.supi));
    rig.ask(AmfRequest::SmContextStatusNotify(SmContextStatusNotify { path, notification }));
    assert_creating(&rig, &[2]);
    assert_counts(&rig, 1, 0);
}

/// TS 24.501 §6.4.1.7 c: the session that is replaced is not in progress any more, and the new one
/// waits behind those who came before it.
#[test]
fn when_the_session_is_replaced_then_the_next_one_begins() {
    let (mut rig, mut one, _) = one_waits();
    created(&mut rig);
    ask(&mut rig, &mut one, 1, 2);
    assert_creating(&rig, &[2]);
    let released = Response { status: 204, ..Response::ok(None) };
    reply(&mut rig, Ok(ReleaseSmContext::to_reply(Ok(released))));
    assert_counts(&rig, 1, 1);
    refused(&mut rig);
    assert_eq!(creating(&rig), [(subscriber(1), n1(1, 2))]);
}

/// T3580 expires at the UE: TS 24.501 §6.4.1.6 a.
#[test]
fn when_a_request_is_repeated_then_it_counts_and_waits_once() {
    let (mut rig, mut one, mut other) = one_waits();
    ask(&mut rig, &mut one, 1, 1);
    ask(&mut rig, &mut other, 1, 1);
    assert_eq!(rig.count("amf.session.create_repeated"), 2);
    assert_creating(&rig, &[1]);
    assert_counts(&rig, 1, 1);
    // Another request of the same session takes the first one's place.
    let mut third = registered(&mut rig, 3);
    ask(&mut rig, &mut third, 1, 1);
    ask(&mut rig, &mut other, 1, 2);
    assert_counts(&rig, 1, 2);
    refused(&mut rig);
    assert_eq!(creating(&rig), [(subscriber(2), n1(1, 2))]);
}

#[test]
fn when_a_ue_that_waits_leaves_then_its_request_is_dropped() {
    for way in 0..3 {
        let (mut rig, _, mut other) = one_waits();
        let mut third = registered(&mut rig, 3);
        ask(&mut rig, &mut third, 1, 1);
        match way {
            0 => request_release(&mut rig, &other),
            1 => deregister(&mut rig, &mut other),
            _ => {
                // The UE registers anew, on another connection.
                other.ran_id = 9;
                (other.security, other.guti, other.ksi) = (None, None, None);
                let request = other.registration_request(RegistrationType::InitialRegistration);
                rig.authenticated = other.supi.clone();
                let creation = std::mem::take(&mut rig.requests);
                other.initial(&mut rig, &request);
                rig.serve();
                let Nas5gmmMessage::AuthenticationRequest(challenge) = other.hear(&mut rig) else { panic!() };
                other.respond(&mut rig, &challenge);
                rig.released();
                rig.requests = creation;
            }
        }
        assert_counts(&rig, 1, 1);
        assert_eq!(rig.count("amf.session.request_dropped"), 1);
        refused(&mut rig);
        assert_eq!(creating(&rig).last().unwrap().0, subscriber(3));
    }
}

#[test]
fn when_a_request_has_waited_too_long_then_22_and_it_is_not_begun() {
    let (mut rig, _, mut other) = one_waits();
    let since = rig.now;
    rig.expire();
    assert_eq!(rig.now, since + WAITING_WITHIN);
    turned_away(&mut rig, &mut other, &n1(1, 1));
    assert_eq!(rig.count("amf.session.queue_expired"), 1);
    assert_counts(&rig, 1, 0);
    refused(&mut rig);
    assert_creating(&rig, &[]);
    assert_counts(&rig, 0, 0);
}

#[test]
fn when_a_ue_comes_with_priority_then_it_does_not_wait_while_there_is_as_much_room_again() {
    let (mut rig, ..) = one_waits();
    let mut first = registered_as(&mut rig, 3, RRCEstablishmentCause::highPriorityAccess);
    let mut second = registered_as(&mut rig, 4, RRCEstablishmentCause::mps_PriorityAccess);
    ask(&mut rig, &mut first, 1, 1);
    assert_creating(&rig, &[1, 3]);
    ask(&mut rig, &mut second, 1, 1);
    assert_counts(&rig, 2, 2);
    // One more than the limit: nobody begins before two are over.
    refused(&mut rig);
    assert_creating(&rig, &[3]);
    refused(&mut rig);
    assert_creating(&rig, &[2]);
}

#[test]
fn when_a_ue_has_too_many_sessions_then_those_that_wait_count() {
    let (mut rig, _, mut other) = one_waits();
    ask(&mut rig, &mut other, 2, 2);
    ask(&mut rig, &mut other, 3, 3);
    assert_counts(&rig, 1, 3);
    ask(&mut rig, &mut other, 4, 4);
    let Nas5gmmMessage::DlNasTransport(message) = other.hear(&mut rig) else { panic!() };
    let cause = message.fgmm_cause.and_then(|ie| ie.cause());
    assert_eq!(cause, Some(GmmCause::MaximumNumberOfPduSessionsReached));
    assert_counts(&rig, 1, 3);
}

#[test]
fn when_a_context_waits_or_is_counted_then_that_is_serialised() {
    let (mut rig, one, other) = one_waits();
    created(&mut rig);
    for (ue, what) in [(one, "counted_until"), (other, "waiting")] {
        let text = serde_json::to_string(rig.amf.ue(&ue.supi).unwrap()).unwrap();
        assert!(text.contains(what), "{text}");
        let back: crate::UeContext = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), text);
        assert_eq!(back.deadline(), rig.amf.ue(&ue.supi).unwrap().deadline());
    }
}

#[test]
fn when_a_procedure_begins_then_its_first_request_yields_unless_the_ue_has_priority() {
    let mut rig = Rig::new();
    let mut ue = registered(&mut rig, 1);
    ask(&mut rig, &mut ue, 1, 1);
    assert_eq!(rig.yielding, ["/nausf-auth/v1/ue-authentications", "/nsmf-pdusession/v1/sm-contexts"]);
    rig.yielding.clear();
    let mut preferred = registered_as(&mut rig, 2, RRCEstablishmentCause::highPriorityAccess);
    ask(&mut rig, &mut preferred, 1, 1);
    assert_creating(&rig, &[1, 2]);
    assert!(rig.yielding.is_empty(), "{:?}", rig.yielding);
}
