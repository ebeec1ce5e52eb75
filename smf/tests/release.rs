//! TS 24.501 §6.3.3, §6.4.3; TS 23.502 §4.3.4.2.

use tern_nas::nas_5gs::{Nas5gsmMessage, NasPduSessionReleaseComplete, NasPduSessionReleaseRequest};
use tern_sbi::namf_comm::{N1N2MessageTransfer, N1N2MessageTransferError};
use tern_sbi::npcf_sm::{DeleteSmPolicy, SmPolicyTerminateNotify};
use tern_sbi::nsmf_pdusession::{
    Cause, N2SmInfoType, ReleaseSmContext, RetrieveSmContext, SmContextReleaseData, SmContextRetrieveData,
    SmContextStatusNotify, SmContextUpdateData,
};
use tern_sbi::nudm_uecm::DeregisterSmf;
use tern_sbi::{OperationError, ProblemDetails, Response};
use tern_smf::{Input, SmfRequest};
use tern_types::Duration;

use crate::bench::*;

pub fn command(octets: &[u8]) -> (u8, u8) {
    let (_, pti, message) = read_n1(octets);
    let Nas5gsmMessage::PduSessionReleaseCommand(command) = message else { panic!("{message:?}") };
    (pti, command.fgsm_cause.cause_raw())
}

pub fn complete(bench: &mut Bench, reference: &str, pti: u8) {
    let answer = bench.send_n1(reference, n1(NasPduSessionReleaseComplete::new(), 1, pti));
    assert_eq!(bench.updated(answer).unwrap().status, 204);
}

pub fn access_released(bench: &mut Bench, reference: &str) {
    let octets = tern_ngap::transfer::encode_release_response().unwrap();
    let answer = bench.send_n2(reference, N2SmInfoType::PduResRelRsp, octets);
    assert_eq!(bench.updated(answer).unwrap().status, 204);
}

#[test]
fn when_the_ue_asks_then_all_let_go_and_hear_of_it() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let answer = bench.send_n1(&reference, n1(NasPduSessionReleaseRequest::new(), 1, 20));
    let updated = bench.updated(answer).unwrap().body;
    assert_eq!(command(&updated.n1_sm_msg.unwrap()), (20, 36));
    assert_eq!(updated.data.n2_sm_info_type, Some(N2SmInfoType::PduResRelCmd));
    tern_ngap::transfer::decode_release_command(&updated.n2_sm_info.unwrap()).unwrap();
    bench.deleted();
    bench.nothing();
    access_released(&mut bench, &reference);
    bench.nothing();
    complete(&mut bench, &reference, 20);
    bench.concluded();
    bench.empty();
    // The context is no more.
    let answer = bench.send_n1(&reference, n1(NasPduSessionReleaseRequest::new(), 1, 21));
    assert_eq!(bench.updated(answer).unwrap_err().status(), Some(404));
}

#[test]
fn when_release_complete_is_lost_then_the_command_is_repeated_four_times_and_the_fifth_expiry_ends_it() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let answer = bench.send_n1(&reference, n1(NasPduSessionReleaseRequest::new(), 1, 20));
    let first = bench.updated(answer).unwrap().body.n1_sm_msg.unwrap();
    bench.deleted();
    access_released(&mut bench, &reference);
    for _ in 0..4 {
        bench.pass(Duration::from_secs(15));
        bench.nothing();
        bench.pass(Duration::from_secs(1));
        let repeated = bench.transfer();
        assert_eq!((repeated.n1_sm_msg.as_ref(), repeated.n2_sm_info), (Some(&first), None));
    }
    bench.pass(Duration::from_secs(16));
    bench.concluded();
    bench.empty();
}

#[test]
fn when_the_request_is_repeated_then_it_gets_the_same_answer_and_another_pti_none() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let answer = bench.send_n1(&reference, n1(NasPduSessionReleaseRequest::new(), 1, 20));
    let first = bench.updated(answer).unwrap().body.n1_sm_msg;
    bench.deleted();
    let answer = bench.send_n1(&reference, n1(NasPduSessionReleaseRequest::new(), 1, 20));
    assert_eq!(bench.updated(answer).unwrap().body.n1_sm_msg, first);
    let answer = bench.send_n1(&reference, n1(NasPduSessionReleaseRequest::new(), 1, 21));
    assert_eq!(bench.updated(answer).unwrap().status, 204);
    bench.nothing();
}

#[test]
fn when_the_access_network_never_answers_then_the_release_ends_all_the_same() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let answer = bench.send_n1(&reference, n1(NasPduSessionReleaseRequest::new(), 1, 20));
    bench.updated(answer).unwrap();
    bench.deleted();
    complete(&mut bench, &reference, 20);
    bench.nothing();
    bench.pass(Duration::from_secs(20));
    bench.concluded();
    bench.empty();
}

#[test]
fn when_the_upf_does_not_answer_the_deletion_then_the_release_ends_all_the_same() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let answer = bench.send_n1(&reference, n1(NasPduSessionReleaseRequest::new(), 1, 20));
    bench.updated(answer).unwrap();
    let (n4, _, _) = bench.n4();
    access_released(&mut bench, &reference);
    complete(&mut bench, &reference, 20);
    bench.nothing();
    bench.input(Input::N4(n4, None));
    bench.concluded();
    bench.empty();
}

#[test]
fn when_the_amf_releases_the_context_then_it_is_answered_at_once_and_not_notified() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let operation = ReleaseSmContext {
        sm_context_ref: reference.clone(),
        data: SmContextReleaseData::default(),
        n1_sm_msg: None,
        n2_sm_info: None,
    };
    let answer = bench.request(SmfRequest::Release(operation.clone()));
    assert_eq!(bench.answered::<ReleaseSmContext>(answer).unwrap().status, 204);
    bench.deleted();
    bench.unsubscribe();
    let (policy, _) = bench.expect::<DeleteSmPolicy>();
    let (registration, _) = bench.expect::<DeregisterSmf>();
    bench.refuse::<DeleteSmPolicy>(policy, 404, "CONTEXT_NOT_FOUND");
    bench.lost(registration, tern_sbi::TransportError::TimedOut);
    bench.nothing();
    bench.empty();
    let answer = bench.request(SmfRequest::Release(operation));
    assert_eq!(bench.answered::<ReleaseSmContext>(answer).unwrap_err().status(), Some(404));
}

#[test]
fn when_the_amf_asks_for_the_release_then_its_answer_has_the_command() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let data = SmContextUpdateData {
        release: Some(true),
        cause: Some(Cause::RelDueToReactivation),
        ..SmContextUpdateData::default()
    };
    let answer = bench.update(&reference, data, None, None);
    let updated = bench.updated(answer).unwrap().body;
    assert_eq!(command(&updated.n1_sm_msg.unwrap()), (0, 39));
    bench.deleted();
    access_released(&mut bench, &reference);
    complete(&mut bench, &reference, 0);
    bench.concluded();
    bench.empty();
}

#[test]
fn when_ue_and_amf_disagree_about_the_session_then_it_ends_without_a_command() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let data = SmContextUpdateData {
        release: Some(true),
        cause: Some(Cause::PduSessionStatusMismatch),
        ..SmContextUpdateData::default()
    };
    let answer = bench.update(&reference, data, None, None);
    assert_eq!(bench.updated(answer).unwrap().status, 204);
    bench.deleted();
    bench.concluded();
    bench.empty();
}

#[test]
fn when_the_policy_ends_then_the_network_releases_the_session() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let path = SmPolicyTerminateNotify::callback_path(&reference);
    let notification = tern_sbi::npcf_sm::TerminationNotification::new(
        format!("{PCF}/p1"),
        tern_sbi::npcf_sm::SmPolicyAssociationReleaseCause::Unspecified,
    );
    let answer = bench.request(SmfRequest::PolicyTermination(SmPolicyTerminateNotify { path, notification }));
    assert_eq!(bench.answered::<SmPolicyTerminateNotify>(answer).unwrap().status, 204);
    let (transfer, operation) = bench.expect::<N1N2MessageTransfer>();
    assert_eq!(command(&operation.n1_sm_msg.unwrap()), (0, 36));
    assert!(operation.n2_sm_info.is_some());
    bench.deleted();
    bench.transferred(transfer);
    access_released(&mut bench, &reference);
    complete(&mut bench, &reference, 0);
    bench.concluded();
    bench.empty();
}

#[test]
fn when_the_command_cannot_be_delivered_then_the_session_ends_locally() {
    let mut bench = Bench::new();
    bench.establish(1);
    bench.input(Input::UpfReleased(upf()));
    let (transfer, operation) = bench.expect::<N1N2MessageTransfer>();
    // The UE is to come back: reactivation requested. There is nothing left to delete at the UPF.
    assert_eq!(command(&operation.n1_sm_msg.unwrap()), (0, 39));
    let error = N1N2MessageTransferError::new(ProblemDetails::new(504, "UE_NOT_REACHABLE"));
    bench.reply::<N1N2MessageTransfer>(transfer, Err(OperationError::Refused { status: 504, body: error }));
    bench.concluded();
    bench.empty();
}

#[test]
fn when_the_ue_asks_during_the_establishment_then_the_release_wins() {
    let mut bench = Bench::new();
    let token = bench.create(1);
    bench.subscribe(sm_data(subscription()));
    let reference = bench.context_ref(token);
    bench.police(Default::default());
    bench.install();
    bench.transfer();
    bench.register();
    let waiting = bench.setup_response(&reference);
    let (connecting, _, _) = bench.n4();
    let answer = bench.send_n1(&reference, n1(NasPduSessionReleaseRequest::new(), 1, 20));
    assert_eq!(bench.updated(waiting).unwrap().status, 204);
    assert_eq!(command(&bench.updated(answer).unwrap().body.n1_sm_msg.unwrap()), (20, 36));
    bench.deleted();
    // The answer to a step that was left changes nothing.
    bench.input(Input::N4(connecting, None));
    access_released(&mut bench, &reference);
    complete(&mut bench, &reference, 20);
    bench.concluded();
    bench.empty();
}

#[test]
fn when_a_context_is_to_move_to_eps_then_it_cannot() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    for (sm_context_ref, status) in
        [(reference, 403), ("0000000000000001".to_owned(), 404), ("x".to_owned(), 404)]
    {
        let operation = RetrieveSmContext { sm_context_ref, data: SmContextRetrieveData::default() };
        let answer = bench.request(SmfRequest::Retrieve(operation));
        assert_eq!(bench.answered::<RetrieveSmContext>(answer).unwrap_err().status(), Some(status));
    }
}

#[test]
fn when_replies_come_after_the_end_then_they_are_discarded() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let answer = bench.send_n1(&reference, n1(NasPduSessionReleaseRequest::new(), 1, 20));
    bench.updated(answer).unwrap();
    bench.deleted();
    access_released(&mut bench, &reference);
    complete(&mut bench, &reference, 20);
    bench.unsubscribe();
    let (policy, _) = bench.expect::<DeleteSmPolicy>();
    bench.ignore();
    bench.reply::<DeleteSmPolicy>(policy, Ok(Response::no_content()));
    bench.reply::<DeleteSmPolicy>(policy, Ok(Response::no_content()));
    bench.reply::<SmContextStatusNotify>(tern_smf::Token(u64::MAX), Ok(Response::no_content()));
    bench.nothing();
}
