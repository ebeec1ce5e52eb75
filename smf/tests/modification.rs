//! TS 24.501 §6.3.2, §6.4.2; TS 23.502 §4.3.3.2.

use tern_nas::nas_5gs::{
    GsmCause, Nas5gsmMessage, NasAlwaysOnPduSessionRequested, NasFGsmCause, NasFGsmStatus,
    NasPduSessionModificationCommandReject, NasPduSessionModificationComplete,
    NasPduSessionModificationRequest, NasQosRules, QosPacketFilter, QosPacketFilterComponent,
    QosPacketFilterDirection, QosRule, QosRuleOpCode,
};
use tern_ngap::transfer::ModifyRequest;
use tern_sbi::npcf_sm::{SessionRule, SmPolicyDecision, SmPolicyNotification, SmPolicyUpdateNotify};
use tern_smf::SmfRequest;
use tern_types::{Ambr, Duration};

use crate::bench::*;

const NEW: Ambr = Ambr {
    uplink: tern_types::BitRate::from_bps(1_000_000),
    downlink: tern_types::BitRate::from_bps(2_000_000),
};

pub fn policy_update(bench: &mut Bench, reference: &str) -> tern_smf::Token {
    let rule = SessionRule { auth_sess_ambr: Some(NEW), ..SessionRule::new("s".to_owned()) };
    let mut decision = SmPolicyDecision::default();
    decision.sess_rules.insert("s".to_owned(), Some(rule));
    let notification = SmPolicyNotification { resource_uri: None, sm_policy_decision: Some(decision) };
    let path = SmPolicyUpdateNotify::callback_path(reference);
    bench.request(SmfRequest::PolicyUpdate(SmPolicyUpdateNotify { path, notification }))
}

#[test]
fn when_the_policy_changes_the_ambr_then_upf_gnb_and_ue_learn_it() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let answer = policy_update(&mut bench, &reference);
    assert_eq!(bench.answered::<SmPolicyUpdateNotify>(answer).unwrap().status, 204);
    let change = bench.modified();
    assert_eq!(change.update_qer[0].mbr.unwrap().downlink_kbps, 2_000);
    let transfer = bench.transfer();
    let (_, pti, message) = read_n1(&transfer.n1_sm_msg.unwrap());
    let Nas5gsmMessage::PduSessionModificationCommand(command) = message else { panic!("{message:?}") };
    assert_eq!((pti, command.session_ambr.unwrap().parse().unwrap().dl_kbps), (0, 2_000));
    assert_eq!(ModifyRequest::decode(&transfer.n2_sm_info.unwrap()).unwrap().ambr, Some(NEW));
    let answer = bench.send_n1(&reference, n1(NasPduSessionModificationComplete::new(), 1, 0));
    assert_eq!(bench.updated(answer).unwrap().status, 204);
    assert_eq!(bench.smf.deadline(), None);
    // The same again changes nothing.
    let answer = policy_update(&mut bench, &reference);
    assert!(bench.answered::<SmPolicyUpdateNotify>(answer).is_ok());
    bench.nothing();
}

#[test]
fn when_the_ue_refuses_the_new_ambr_then_the_old_one_is_enforced_again() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let answer = policy_update(&mut bench, &reference);
    assert!(bench.answered::<SmPolicyUpdateNotify>(answer).is_ok());
    bench.modified();
    bench.transfer();
    // Another change while this one is under way is refused.
    let second = policy_update(&mut bench, &reference);
    assert_eq!(bench.answered::<SmPolicyUpdateNotify>(second).unwrap_err().status(), Some(400));
    let cause = NasFGsmCause::from_cause(GsmCause::RequestRejectedUnspecified);
    let answer = bench.send_n1(&reference, n1(NasPduSessionModificationCommandReject::new(cause), 1, 0));
    assert_eq!(bench.updated(answer).unwrap().status, 204);
    assert_eq!(bench.modified().update_qer[0].mbr.unwrap().downlink_kbps, 200_000);
    bench.nothing();
}

#[test]
fn when_modification_complete_is_lost_then_t3591_repeats_and_the_fifth_expiry_aborts() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let answer = policy_update(&mut bench, &reference);
    assert!(bench.answered::<SmPolicyUpdateNotify>(answer).is_ok());
    bench.modified();
    let first = bench.transfer().n1_sm_msg;
    for _ in 0..4 {
        bench.pass(Duration::from_secs(16));
        assert_eq!(bench.transfer().n1_sm_msg, first);
    }
    bench.pass(Duration::from_secs(16));
    bench.modified();
    bench.nothing();
    assert_eq!((bench.smf.deadline(), bench.smf.sessions()), (None, 1));
}

#[test]
fn when_the_ue_says_it_has_no_such_session_then_it_ends() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let answer = policy_update(&mut bench, &reference);
    assert!(bench.answered::<SmPolicyUpdateNotify>(answer).is_ok());
    bench.modified();
    bench.transfer();
    let cause = NasFGsmCause::from_cause(GsmCause::InvalidPduSessionIdentity);
    let answer = bench.send_n1(&reference, n1(NasPduSessionModificationCommandReject::new(cause), 1, 0));
    bench.updated(answer).unwrap();
    bench.deleted();
    bench.concluded();
    bench.empty();
}

#[test]
fn when_the_ue_asks_for_qos_then_37() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let filter = QosPacketFilter::Match {
        direction: QosPacketFilterDirection::Bidirectional,
        identifier: 0,
        components: vec![QosPacketFilterComponent::SingleRemotePort(80)],
    };
    let rule = QosRule::new(0, QosRuleOpCode::Create)
        .with_packet_filters(vec![filter])
        .with_precedence(80)
        .with_qfi(0);
    let rules = NasQosRules::from_rules(&[rule]).unwrap();
    let request = NasPduSessionModificationRequest::new().with_requested_qos_rules(rules);
    let answer = bench.send_n1(&reference, n1(request, 1, 30));
    let (_, pti, message) = read_n1(&bench.updated(answer).unwrap().body.n1_sm_msg.unwrap());
    let Nas5gsmMessage::PduSessionModificationReject(reject) = message else { panic!("{message:?}") };
    assert_eq!((pti, reject.fgsm_cause.cause_raw()), (30, 37));
    bench.nothing();
}

#[test]
fn when_the_ue_asks_for_always_on_then_a_command_answers_it_and_its_repetition() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let request = || {
        let always_on = NasAlwaysOnPduSessionRequested::from_apsr(true);
        n1(NasPduSessionModificationRequest::new().with_always_on_pdu_session_requested(always_on), 1, 30)
    };
    let answer = bench.send_n1(&reference, request());
    let first = bench.updated(answer).unwrap().body.n1_sm_msg;
    let (_, pti, message) = read_n1(first.as_ref().unwrap());
    let Nas5gsmMessage::PduSessionModificationCommand(command) = message else { panic!("{message:?}") };
    assert_eq!((pti, command.always_on_pdu_session_indication.map(|a| a.apsi())), (30, Some(false)));
    let answer = bench.send_n1(&reference, request());
    assert_eq!(bench.updated(answer).unwrap().body.n1_sm_msg, first);
    let answer = bench.send_n1(&reference, n1(NasPduSessionModificationComplete::new(), 1, 30));
    bench.updated(answer).unwrap();
    assert_eq!(bench.smf.deadline(), None);
}

#[test]
fn when_a_message_does_not_fit_the_state_then_it_is_refused_or_ignored() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    // Another session's identity: 5GSM STATUS #43.
    let answer = bench.send_n1(&reference, n1(NasPduSessionModificationComplete::new(), 2, 0));
    let error = bench.updated(answer).unwrap_err();
    let tern_sbi::OperationError::Refused { status: 403, body } = error else { panic!("{error:?}") };
    let (_, _, message) = read_n1(&body.n1_sm_msg.unwrap());
    assert!(matches!(message, Nas5gsmMessage::FiveGsmStatus(status) if status.fgsm_cause.cause_raw() == 43));
    // A request on top of a session goes to Create, never here.
    let answer = bench.send_n1(&reference, n1(establishment_request(), 1, 3));
    assert_eq!(bench.updated(answer).unwrap_err().status(), Some(403));
    // A completion without a command, garbage, and a harmless status.
    let answer = bench.send_n1(&reference, n1(NasPduSessionModificationComplete::new(), 1, 0));
    assert_eq!(bench.updated(answer).unwrap().status, 204);
    let answer = bench.send_n1(&reference, bytes::Bytes::from_static(&[0x2e, 1]));
    assert_eq!(bench.updated(answer).unwrap_err().status(), Some(403));
    let cause = NasFGsmCause::from_cause(GsmCause::PtiMismatch);
    let answer = bench.send_n1(&reference, n1(NasFGsmStatus::new(cause), 1, 0));
    assert_eq!(bench.updated(answer).unwrap().status, 204);
    bench.nothing();
    assert_eq!(bench.smf.sessions(), 1);
}
