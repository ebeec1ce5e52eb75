//! Paging: TS 24.501 §5.6.2.2, TS 23.502 §4.2.3.3, TS 29.518 §5.2.2.3, TS 38.413 §8.5.1.

use bytes::Bytes;
use tern_nas::nas_5gs::*;
use tern_nas::registration as nas;
use tern_nas::security::HeaderType;
use tern_ngap::ngap::{NGAP_PDU, TAIListForPaging, UEPagingIdentity};
use tern_ngap::{NgapPduKind, build_ngap, convert, extract_ngap_ies};
use tern_sbi::namf_comm::*;
use tern_sbi::nsmf_pdusession::{UpCnxState, UpdateSmContext};
use tern_sbi::{Operation, PathParams, Reply};
use tern_types::PreemptionCapability::NotPreempt;
use tern_types::PreemptionVulnerability::Preemptable;
use tern_types::{Arp, STmsi5g};

use super::rig::*;
use super::service_request::service_request;
use super::session::{created, session, set_up, transfer};
use crate::n2::message::N2Event;
use crate::{AmfRequest, Config, Input, PagingPriorityConfig};

const FAILURE: &str = "http://127.0.0.17:8080/callbacks/v1/n1n2-failure/abc";

/// A UE in CM-IDLE with one session.
fn idle() -> (Rig, Ue) {
    let (mut rig, mut ue) = created(None);
    rig.ask(transfer(NgapIeType::PduResSetupReq, true));
    set_up(&mut rig, &mut ue);
    rig.serve();
    ue.go_idle(&mut rig);
    ue.ran_id += 1;
    rig.served.clear();
    rig.forget_counts();
    (rig, ue)
}

/// What the SMF asks for with this ARP priority level; `n1` goes along, or alone.
fn asked(kind: Option<NgapIeType>, n1: bool, arp: u8) -> AmfRequest {
    let request = transfer(kind.clone().unwrap_or(NgapIeType::PduResSetupReq), n1);
    let AmfRequest::N1N2MessageTransfer(mut operation) = request else { panic!() };
    if kind.is_none() {
        (operation.data.n2_info_container, operation.n2_sm_info) = (None, None);
    }
    operation.data.n1n2_failure_txf_notif_uri = Some(FAILURE.into());
    operation.data.arp =
        Some(Arp { priority_level: arp, preempt_cap: NotPreempt, preempt_vuln: Preemptable });
    AmfRequest::N1N2MessageTransfer(operation)
}

fn data() -> AmfRequest {
    asked(Some(NgapIeType::PduResSetupReq), false, 8)
}

/// The SMF has data for the UE.
pub(super) fn asked_for_data(rig: &mut Rig) {
    rig.ask(data());
}

/// Who is paged by the message that comes next.
pub(super) fn paged_identity(rig: &mut Rig) -> STmsi5g {
    page(rig).identity
}

fn cause(reply: &Reply) -> N1N2MessageTransferCause {
    N1N2MessageTransfer::from_reply(reply.clone()).unwrap().body.cause
}

fn refusal(reply: &Reply) -> (u16, Option<String>) {
    let error = N1N2MessageTransfer::from_reply(reply.clone()).unwrap_err();
    (reply.status, error.problem().unwrap().cause.clone())
}

struct Page {
    identity: STmsi5g,
    areas: usize,
    priority: Option<u8>,
    drx: bool,
}

fn page(rig: &mut Rig) -> Page {
    let pdu = rig.next();
    assert_eq!(pdu.kind(), NgapPduKind::Initiating_Paging, "{pdu}");
    // Messages of no UE go on stream 0 (TS 38.412 §7).
    assert_eq!(rig.streams.last(), Some(&0));
    let read = |pdu: &NGAP_PDU| -> Result<Page, tern_ngap::CodecError> {
        extract_ngap_ies!(pdu, Paging,
            req identity: UEPagingIdentity = UEPagingIdentity(identity) => identity,
            req areas: TAIListForPaging = TAIListForPaging(list) => list,
            opt priority: u8 = PagingPriority(priority) => priority as u8 + 1,
            opt drx: tern_ngap::ngap::PagingDRX = PagingDRX(drx) => drx,
        );
        let UEPagingIdentity::fiveG_S_TMSI(identity) = identity else { panic!() };
        let identity = convert::s_tmsi_of(&identity);
        Ok(Page { identity, areas: areas.0.len(), priority, drx: drx.is_some() })
    };
    read(&pdu).unwrap()
}

/// The operations of this kind that wait for an answer.
fn told<O: Operation>(rig: &Rig) -> Vec<O> {
    let mine = rig.requests.iter().filter(|(_, _, request)| request.method == O::METHOD);
    mine.filter_map(|(_, _, request)| {
        let params = PathParams::matching(O::PATH, &request.path)?;
        Some(O::from_request(&params, request).unwrap())
    })
    .collect()
}

fn come(rig: &mut Rig, ue: &mut Ue, request: &NasServiceRequest) {
    let octets = ue.protect(&plain(request.clone()), HeaderType::Integrity);
    ue.initial(rig, &octets);
}

fn answer(ue: &Ue) -> NasServiceRequest {
    let mut request = service_request(ue);
    request.service_type = NasServiceType::from_service_type(ServiceType::MobileTerminatedServices);
    request
}

/// One that was just paged for data of its session.
fn paged() -> (Rig, Ue) {
    let (mut rig, ue) = idle();
    rig.ask(data());
    page(&mut rig);
    (rig, ue)
}

/// A UE that has answered the page for its data; nothing of what it gets for it has been looked at.
pub(super) fn answered() -> (Rig, Ue) {
    let (mut rig, mut ue) = paged();
    let request = answer(&ue);
    come(&mut rig, &mut ue, &request);
    (rig, ue)
}

/// Sessions in the INITIAL CONTEXT SETUP REQUEST that comes next.
fn sessions_set_up(rig: &Rig) -> Vec<u8> {
    let read = |pdu: &NGAP_PDU| -> Result<Vec<u8>, tern_ngap::CodecError> {
        extract_ngap_ies!(pdu, InitialContextSetupRequest,
            opt sessions: Vec<u8> = PDUSessionResourceSetupListCxtReq(list) =>
                list.0.iter().map(|item| item.pdu_session_id.0).collect(),
        );
        Ok(sessions.unwrap_or_default())
    };
    read(&rig.downlink[0]).unwrap()
}

/// TS 23.502 §4.2.3.3 steps 3c and 4b, TS 29.518 §5.2.2.3.1.2.
#[test]
fn when_data_is_for_an_idle_ue_then_it_is_paged_and_the_smf_hears_202() {
    let (mut rig, ue) = idle();
    let reply = rig.ask(data());
    assert_eq!((reply.status, cause(&reply)), (202, N1N2MessageTransferCause::AttemptingToReachUe));
    let location = N1N2MessageTransfer::from_reply(reply).unwrap().location.unwrap();
    assert!(location.contains(&format!("/namf-comm/v1/ue-contexts/{}/n1-n2-messages/", supi())));
    let page = page(&mut rig);
    assert_eq!(page.identity, STmsi5g::from(ue.guti.unwrap()));
    assert_eq!((page.areas, page.priority, page.drx), (1, None, false));
    assert!(rig.downlink.is_empty());
}

/// TS 24.501 §5.6.2.2.1: T3513; TS 29.518 §5.2.2.3.2: each transfer that waited has failed.
#[test]
fn when_a_page_is_never_answered_then_it_is_repeated_and_the_smf_is_told() {
    let (mut rig, _) = idle();
    let reply = rig.ask(data());
    let location = N1N2MessageTransfer::from_reply(reply).unwrap().location.unwrap();
    let began = rig.now;
    for attempt in 1..=4u64 {
        page(&mut rig);
        assert!(told::<N1N2TransferFailureNotify>(&rig).is_empty(), "attempt {attempt}");
        rig.expire();
        assert_eq!(rig.now.as_micros() - began.as_micros(), attempt * 3_000_000);
    }
    let [failure] = &told::<N1N2TransferFailureNotify>(&rig)[..] else { panic!() };
    assert_eq!(failure.key().as_deref(), Some("abc"));
    assert_eq!(failure.notification.cause, N1N2MessageTransferCause::UeNotResponding);
    assert_eq!(failure.notification.n1n2_msg_data_uri, location);
    assert!(rig.downlink.is_empty());
    let context = rig.amf.ue(&supi()).unwrap();
    assert!(context.registered && context.paging.is_none());
}

/// TS 24.501 §5.6.1.4.1: just what it was paged for; TS 33.501 §6.12.3: and a new 5G-GUTI.
#[test]
fn when_the_ue_answers_then_the_session_comes_back_and_it_gets_a_new_guti() {
    let (mut rig, mut ue) = answered();
    assert_eq!(sessions_set_up(&rig), [5]);
    let Nas5gmmMessage::ServiceAccept(accept) = ue.hear(&mut rig) else { panic!() };
    assert!(accept.pdu_session_reactivation_result.is_none());
    // The SMF has said all: it is not asked again.
    assert!(told::<UpdateSmContext>(&rig).is_empty());
    let Nas5gmmMessage::ConfigurationUpdateCommand(command) = ue.hear(&mut rig) else { panic!() };
    assert!(command.configuration_update_indication.unwrap().ack());
    let identity = tern_nas::MobileIdentity::of(command.fg_guti.as_ref().unwrap()).unwrap();
    let old = ue.guti.unwrap();
    assert!(matches!(identity, tern_nas::MobileIdentity::Guti(new) if new != old));
    assert_eq!(rig.amf.ue(&supi()).unwrap().old_guti, Some(old));
    ue.say(&mut rig, NasConfigurationUpdateComplete::new());
    let context = rig.amf.ue(&supi()).unwrap();
    assert!(context.old_guti.is_none() && context.procedure.is_none() && context.n2.is_some());
    assert!(context.paging.is_none());
}

/// TS 24.501 §5.6.2.2: its own service request collides with the page, and answers it.
#[test]
fn when_the_ue_asks_for_a_session_that_it_is_paged_for_then_the_smf_is_not_asked_again() {
    let (mut rig, mut ue) = paged();
    let mut request = service_request(&ue);
    request.set_uplink_data_status(NasUplinkDataStatus::from_sessions(&[5]).unwrap());
    come(&mut rig, &mut ue, &request);
    assert!(told::<UpdateSmContext>(&rig).is_empty());
    assert_eq!(sessions_set_up(&rig), [5]);
    let Nas5gmmMessage::ServiceAccept(accept) = ue.hear(&mut rig) else { panic!() };
    assert!(accept.pdu_session_reactivation_result.unwrap().failed_sessions().is_empty());
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ConfigurationUpdateCommand(_)));
}

/// TS 24.501 §5.6.2.2.1: a registration request answers a page as well.
#[test]
fn when_the_ue_registers_while_it_is_paged_then_the_session_comes_with_the_accept() {
    let (mut rig, mut ue) = paged();
    let request = ue.registration_request(RegistrationType::MobilityRegistrationUpdating);
    let octets = ue.protect(&request, HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    rig.serve();
    assert_eq!(sessions_set_up(&rig), [5]);
    ue.accepted(&mut rig);
    assert_eq!(rig.count("amf.paging.answered"), 1);
}

/// TS 24.501 §5.5.2.2: nothing waits for a UE that is gone.
#[test]
fn when_the_ue_deregisters_while_it_is_paged_then_paging_ends() {
    let (mut rig, mut ue) = paged();
    let kind = NasDeRegistrationType::new(0).with_switch_off(true);
    let identity = tern_nas::MobileIdentity::Guti(ue.guti.unwrap()).to_ie().unwrap();
    let request = NasDeregistrationRequestUeOriginating::new(kind, nas::ngksi(ue.ksi), identity);
    let octets = ue.protect(&plain(request), HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    rig.released();
    let context = rig.amf.ue(&supi()).unwrap();
    assert!(!context.registered && context.paging.is_none());
    assert!(told::<N1N2TransferFailureNotify>(&rig).is_empty());
    assert_eq!(refusal(&rig.ask(data())), (404, Some("CONTEXT_NOT_FOUND".into())));
}

/// TS 24.501 §5.6.2.2.1: T3513 runs on if the answer's integrity is not verified.
#[test]
fn when_the_answer_proves_nothing_then_the_ue_is_paged_on() {
    let (mut rig, ue) = paged();
    let impostor = Ue { guti: ue.guti, ..Ue::new(9) };
    impostor.initial(&mut rig, &plain(answer(&ue)));
    rig.next();
    rig.released();
    rig.expire();
    page(&mut rig);
}

/// TS 29.518 §6.1.7.3.
#[test]
fn when_the_ue_cannot_be_paged_then_504() {
    let not_reachable = (504, Some("UE_NOT_REACHABLE".into()));
    let (mut rig, _) = idle();
    rig.input(Input::N2(N2Event::GnbDown(GNB)));
    assert_eq!(refusal(&rig.ask(data())), not_reachable);
    // The mobile reachable timer has expired.
    let (mut rig, _) = idle();
    rig.expire();
    assert_eq!(refusal(&rig.ask(data())), not_reachable);
    assert!(rig.downlink.is_empty());
}

/// TS 29.518 §5.2.2.3.1.2: what can be left out has nobody paged.
#[test]
fn when_there_is_nothing_to_wake_the_ue_for_then_it_is_not_paged() {
    let (mut rig, _) = idle();
    let reply = rig.ask(asked(Some(NgapIeType::PduResRelCmd), false, 8));
    assert_eq!((reply.status, cause(&reply)), (200, N1N2MessageTransferCause::N2MsgNotTransferred));
    let AmfRequest::N1N2MessageTransfer(mut skip) = asked(None, true, 8) else { panic!() };
    skip.data.skip_ind = Some(true);
    let reply = rig.ask(AmfRequest::N1N2MessageTransfer(skip));
    assert_eq!((reply.status, cause(&reply)), (200, N1N2MessageTransferCause::N1MsgNotTransferred));
    assert!(rig.downlink.is_empty());
}

/// TS 24.501 §5.6.2.2.1: with priority it begins anew; TS 38.413 §9.3.1.78.
#[test]
fn when_something_with_priority_comes_then_the_ue_is_paged_at_once_with_it() {
    let mut config = Config::default();
    config.paging.priorities = vec![PagingPriorityConfig { arp: 1, priority: 2 }];
    let (mut rig, _) = idle();
    rig.amf.config.paging = config.paging;
    rig.ask(data());
    assert_eq!(page(&mut rig).priority, None);
    rig.ask(asked(None, true, 8));
    assert!(rig.downlink.is_empty(), "no priority");
    rig.ask(asked(None, true, 1));
    assert_eq!(page(&mut rig).priority, Some(2));
}

/// A message of the SMF for a UE that sleeps: it follows SERVICE ACCEPT, without the gNB's part.
#[test]
fn when_the_ue_was_paged_for_a_message_then_it_follows_the_accept() {
    let (mut rig, mut ue) = idle();
    rig.ask(asked(Some(NgapIeType::PduResRelCmd), true, 8));
    page(&mut rig);
    let request = answer(&ue);
    come(&mut rig, &mut ue, &request);
    assert!(sessions_set_up(&rig).is_empty());
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ServiceAccept(_)));
    assert_eq!(rig.downlink[0].kind(), NgapPduKind::Initiating_DownlinkNASTransport);
    let Nas5gmmMessage::DlNasTransport(message) = ue.hear(&mut rig) else { panic!() };
    assert_eq!(&message.payload_container.value[..], [0x2e, 5, 1, 0xc2]);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ConfigurationUpdateCommand(_)));
}

/// TS 23.502 §4.2.6: the SMF that waits for a gNB's answer hears that none will come.
#[test]
fn when_the_connection_goes_before_the_gnb_has_answered_then_the_smf_deactivates() {
    let (mut rig, _) = answered();
    rig.input(Input::N2(N2Event::GnbDown(GNB)));
    let [update] = &told::<UpdateSmContext>(&rig)[..] else { panic!() };
    assert_eq!(update.data.up_cnx_state, Some(UpCnxState::Deactivated));
}

/// TS 38.413 §8.3.2.2: sessions with active user plane that the gNB lists.
#[test]
fn when_the_gnb_lists_a_session_that_the_amf_took_for_inactive_then_it_is_deactivated() {
    use tern_ngap::ngap::*;
    let (mut rig, mut ue) = idle();
    let request = service_request(&ue);
    come(&mut rig, &mut ue, &request);
    ue.hear(&mut rig);
    ue.context_is_set_up(&mut rig);
    let list = vec![PDUSessionResourceItemCxtRelReq::new(PDUSessionID(5), None)];
    let pdu = build_ngap!(
        InitiatingMessage,
        UEContextReleaseRequest,
        UEContextReleaseRequest,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        PDUSessionResourceListCxtRelReq(PDUSessionResourceListCxtRelReq(list)),
        Cause(Cause::radioNetwork(CauseRadioNetwork::user_inactivity)),
    );
    rig.gnb(ue.stream, &pdu.unwrap());
    rig.released();
    let [update] = &told::<UpdateSmContext>(&rig)[..] else { panic!() };
    assert_eq!(update.data.up_cnx_state, Some(UpCnxState::Deactivated));
}

/// TS 24.501 §5.4.4.6: either 5G-GUTI is valid until the UE confirms the new one.
#[test]
fn when_the_new_guti_is_not_confirmed_then_either_is_paged() {
    let (mut rig, mut ue) = answered();
    ue.hear(&mut rig);
    ue.hear(&mut rig);
    ue.context_is_set_up(&mut rig);
    ue.go_idle(&mut rig);
    let new = rig.amf.ue(&supi()).unwrap().guti.unwrap();
    rig.ask(data());
    assert_eq!(page(&mut rig).identity, STmsi5g::from(ue.guti.unwrap()));
    rig.expire();
    assert_eq!(page(&mut rig).identity, STmsi5g::from(new));
}

/// TS 24.501 §5.4.4.2, §5.4.4.6: T3555; the connection stays.
#[test]
fn when_the_new_guti_is_never_confirmed_then_the_connection_stays() {
    let (mut rig, mut ue) = answered();
    ue.hear(&mut rig);
    ue.context_is_set_up(&mut rig);
    for _ in 0..5 {
        assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ConfigurationUpdateCommand(_)));
        rig.expire();
    }
    let context = rig.amf.ue(&supi()).unwrap();
    assert!(context.n2.is_some() && context.old_guti.is_some() && context.procedure.is_none());
    assert!(rig.downlink.is_empty());
}

/// TS 24.501 §5.5.1.2.4, TS 38.413 §9.3.1.90.
#[test]
fn when_the_ue_asks_for_a_drx_cycle_then_it_is_negotiated_and_paged_with() {
    let (mut rig, mut ue) = idle();
    let octets = ue.registration_request(RegistrationType::PeriodicRegistrationUpdating);
    let Ok(Nas5gmmMessage::RegistrationRequest(mut request)) =
        tern_nas::decode_gmm(&octets, Direction::Uplink)
    else {
        panic!()
    };
    request.set_requested_drx_parameters(nas::drx(64).unwrap());
    let octets: Bytes = ue.protect(&plain(*request), HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    rig.serve();
    let accept = ue.accepted(&mut rig);
    assert_eq!(accept.negotiated_drx_parameters.as_ref().and_then(nas::drx_of), Some(64));
    ue.say(&mut rig, NasRegistrationComplete::new());
    ue.context_is_set_up(&mut rig);
    ue.go_idle(&mut rig);
    assert!(rig.amf.ue(&supi()).unwrap().sessions.contains_key(&session()));
    rig.ask(data());
    assert!(page(&mut rig).drx);
}
