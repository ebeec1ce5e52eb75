//! QoS flows that the access network does not admit or keep, and rules that are not enforced:
//! TS 23.502 §4.3.2.2.1, §4.3.3.2, §4.9.1; TS 29.512 §4.2.3, §4.2.4.

use tern_nas::nas_5gs::{
    GsmCause, NasFGsmCause, NasPduSessionModificationCommandReject, QosFlowOpCode, QosRuleOpCode,
};
use tern_ngap::cause::NgapCause;
use tern_ngap::transfer::{
    HandoverRequestAcknowledge, HandoverRequired, ModifyRequest, ModifyResponse, Notify, PathSwitchRequest,
    SetupResponse,
};
use tern_pfcp::{Cause, PdrId, SessionModificationResponse};
use tern_sbi::namf_comm::{N1N2MessageTransfer, N1N2MessageTransferError};
use tern_sbi::npcf_sm::{
    ErrorReport, FailureCause, FailureCode, PartialSuccessReport, RuleReport, RuleStatus, SmPolicyDecision,
    SmPolicyNotification, SmPolicyUpdateNotify, SmPolicyUpdateReport, UpdateSmPolicy,
};
use tern_sbi::nsmf_pdusession::{HoState, N2SmInfoType, SmContextUpdateData};
use tern_sbi::{OperationError, ProblemDetails, Response};
use tern_smf::{Input, SmfRequest, Token};
use tern_types::{Duration, Qfi};

use crate::bench::*;
use crate::policy_rules::{command, complete, guaranteed, push, rule};

const NO_RADIO: NgapCause = NgapCause { group: 0, value: 26 };

fn qfi(value: u8) -> Qfi {
    Qfi::new(value).unwrap()
}

/// A rule of a guaranteed rate, and the sessions' other one, which names its flow's 5QI.
fn call_and(name: &str, five_qi: u8) -> SmPolicyDecision {
    let mut decision = rule("call", 10, guaranteed("call", 3));
    let mut qos = guaranteed(name, 1);
    qos.five_qi = Some(five_qi);
    let other = rule(name, 20, qos);
    decision.pcc_rules.extend(other.pcc_rules);
    decision.qos_decs.extend(other.qos_decs);
    decision
}

/// What the PCF hears, and answers with nothing new.
fn reported(bench: &mut Bench) -> Vec<RuleReport> {
    reported_then(bench, SmPolicyDecision::default())
}

fn reported_then(bench: &mut Bench, decision: SmPolicyDecision) -> Vec<RuleReport> {
    let (token, operation) = bench.expect::<UpdateSmPolicy>();
    assert_eq!(operation.sm_policy_id, "p1");
    bench.reply::<UpdateSmPolicy>(token, Ok(Response::ok(decision)));
    operation.update.rule_reports
}

fn report(rules: &[&str], code: FailureCode, status: RuleStatus) -> RuleReport {
    let rules = rules.iter().map(|rule| (*rule).to_owned()).collect();
    RuleReport { failure_code: Some(code), ..RuleReport::new(rules, status) }
}

fn inactive(rules: &[&str]) -> Vec<RuleReport> {
    vec![report(rules, FailureCode::ResAlloFail, RuleStatus::Inactive)]
}

/// The UPF and the UE lose the rule of the second flow, and the gNB hears nothing of a flow that it has not. The PCF
/// hears of it, if it has not yet.
fn taken_back(bench: &mut Bench, reference: &str, is_reported: bool) {
    let change = bench.modified();
    assert_eq!(change.remove_pdr.iter().map(|pdr| pdr.pdr_id).collect::<Vec<_>>(), [PdrId(3), PdrId(4)]);
    let transfer = bench.transfer();
    assert_eq!(transfer.n2_sm_info, None);
    let command = command(&transfer.n1_sm_msg.unwrap());
    let rules: Vec<_> = command.authorized_qos_rules.unwrap().parse_rules().into_iter().flatten().collect();
    assert_eq!((rules.len(), rules[0].rule_id, rules[0].op_code), (1, 2, QosRuleOpCode::Delete));
    let flows = command.authorized_qos_flow_descriptions.unwrap().try_descriptions().unwrap();
    assert_eq!((flows.len(), flows[0].qfi, flows[0].op_code), (1, 2, QosFlowOpCode::Delete));
    if !is_reported {
        assert_eq!(reported(bench), inactive(&["call"]));
    }
    complete(bench, reference);
}

/// A session with a rule of a guaranteed rate that UE, gNB and UPF have.
fn with_call() -> (Bench, String) {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    push(&mut bench, &reference, rule("call", 10, guaranteed("call", 3)));
    bench.modified();
    bench.transfer();
    modify_response(&mut bench, &reference, &[2], &[]);
    complete(&mut bench, &reference);
    bench.nothing();
    (bench, reference)
}

fn modify_response(bench: &mut Bench, reference: &str, flows: &[u8], failed: &[u8]) {
    let flows = flows.iter().map(|&value| qfi(value)).collect();
    let failed = failed.iter().map(|&value| (qfi(value), NO_RADIO)).collect();
    let response = ModifyResponse { flows, failed, ..ModifyResponse::default() };
    let answer = bench.send_n2(reference, N2SmInfoType::PduResModRsp, response.encode().unwrap());
    assert_eq!(bench.updated(answer).unwrap().status, 204);
}

fn refused_n4(bench: &mut Bench, cause: Cause) {
    let (token, _, _) = bench.n4();
    let response = SessionModificationResponse { cause, ..Default::default() };
    bench.input(Input::N4(token, Some(response.into())));
}

/// TS 23.502 §4.3.2.2.1 step 14: the session is there without the flow.
#[test]
fn when_the_gnb_sets_a_session_up_without_a_flow_then_it_is_taken_back_and_the_pcf_hears_of_it() {
    let mut bench = Bench::new();
    let token = bench.create(1);
    bench.subscribe(sm_data(subscription()));
    let reference = bench.context_ref(token);
    bench.police(rule("call", 10, guaranteed("call", 3)));
    bench.install();
    bench.transfer();
    bench.register();
    let failed = vec![(qfi(2), NO_RADIO)];
    let response = SetupResponse { downlink: DOWNLINK, flows: vec![qfi(1)], failed };
    let answer = bench.send_n2(&reference, N2SmInfoType::PduResSetupRsp, response.encode().unwrap());
    bench.modified();
    assert_eq!(bench.updated(answer).unwrap().status, 200);
    taken_back(&mut bench, &reference, false);
    bench.nothing();
    assert_eq!((bench.smf.deadline(), bench.smf.awaited()), (None, 0));
}

/// TS 23.502 §4.3.3.2 steps 6 and 7; the gNB's answer comes before the UE's, or after it.
#[test]
fn when_the_gnb_does_not_add_a_pushed_flow_then_it_is_taken_back_once_the_ue_has_answered() {
    for ue_first in [false, true] {
        let mut bench = Bench::new();
        let reference = bench.establish(1);
        push(&mut bench, &reference, rule("call", 10, guaranteed("call", 3)));
        bench.modified();
        bench.transfer();
        if ue_first {
            complete(&mut bench, &reference);
            modify_response(&mut bench, &reference, &[], &[2]);
        } else {
            modify_response(&mut bench, &reference, &[], &[2]);
            assert_eq!(reported(&mut bench), inactive(&["call"]));
            bench.nothing();
            complete(&mut bench, &reference);
        }
        taken_back(&mut bench, &reference, !ue_first);
        bench.nothing();
        assert_eq!((bench.smf.deadline(), bench.smf.awaited()), (None, 0));
        // What is decided next finds the rule gone: it is a new one.
        push(&mut bench, &reference, rule("call", 10, guaranteed("call", 3)));
        assert_eq!(bench.modified().create_pdr.len(), 2);
    }
}

/// A flow that the gNB has is not lost because it cannot have more.
#[test]
fn when_the_gnb_does_not_modify_a_flow_then_its_rule_is_as_it_was() {
    for ue_first in [false, true] {
        let (mut bench, reference) = with_call();
        let mut more = rule("call", 10, guaranteed("call", 9));
        more.pcc_rules.clear();
        push(&mut bench, &reference, more);
        assert_eq!(bench.modified().update_qer[0].gbr.unwrap().uplink_kbps, 9_000);
        bench.transfer();
        let active = vec![report(&["call"], FailureCode::ResAlloFail, RuleStatus::Active)];
        if ue_first {
            complete(&mut bench, &reference);
            modify_response(&mut bench, &reference, &[], &[2]);
        } else {
            modify_response(&mut bench, &reference, &[], &[2]);
            assert_eq!(reported(&mut bench), active);
            complete(&mut bench, &reference);
        }
        assert_eq!(bench.modified().update_qer[0].gbr.unwrap().uplink_kbps, 3_000);
        let transfer = bench.transfer();
        assert_eq!(transfer.n2_sm_info, None);
        let command = command(&transfer.n1_sm_msg.unwrap());
        let flows = command.authorized_qos_flow_descriptions.unwrap().try_descriptions().unwrap();
        assert_eq!((flows.len(), flows[0].qfi, flows[0].op_code), (1, 2, QosFlowOpCode::Modify));
        if ue_first {
            assert_eq!(reported(&mut bench), active);
        }
        complete(&mut bench, &reference);
        bench.nothing();
    }
}

/// TS 38.413 §8.2.4.2.
#[test]
fn when_the_gnb_releases_a_flow_then_it_is_taken_back() {
    let (mut bench, reference) = with_call();
    let notify = Notify { released: vec![(qfi(2), NO_RADIO)], notified: vec![(qfi(2), false)] };
    let answer = bench.send_n2(&reference, N2SmInfoType::PduResNty, notify.encode().unwrap());
    assert_eq!(bench.updated(answer).unwrap().status, 204);
    taken_back(&mut bench, &reference, false);
    // One that there is not any more.
    let answer = bench.send_n2(&reference, N2SmInfoType::PduResNty, notify.encode().unwrap());
    assert_eq!(bench.updated(answer).unwrap().status, 204);
    let answer = bench.send_n2(&reference, N2SmInfoType::PduResNty, bytes::Bytes::from_static(&[0xff; 3]));
    assert_eq!(bench.updated(answer).unwrap_err().status(), Some(403));
    bench.nothing();
}

#[test]
fn when_the_gnb_releases_the_default_flow_then_the_session_is_to_be_established_again() {
    let (mut bench, reference) = with_call();
    let notify = Notify { released: vec![(qfi(1), NO_RADIO)], ..Notify::default() };
    let answer = bench.send_n2(&reference, N2SmInfoType::PduResNty, notify.encode().unwrap());
    assert_eq!(bench.updated(answer).unwrap().status, 204);
    let n1 = bench.transfer().n1_sm_msg.unwrap();
    assert_eq!(crate::release::command(&n1), (0, 39));
    bench.deleted();
}

/// TS 23.502 §4.9.1.2.2.
#[test]
fn when_a_path_is_switched_without_a_flow_then_it_is_taken_back() {
    let (mut bench, reference) = with_call();
    let request = PathSwitchRequest { downlink: DOWNLINK, flows: vec![qfi(1)] };
    let answer = bench.send_n2(&reference, N2SmInfoType::PathSwitchReq, request.encode().unwrap());
    let switch = bench.modified_later();
    assert_eq!(reported(&mut bench), inactive(&["call"]));
    // The AMF passes nothing on before.
    bench.nothing();
    bench.switched(switch, answer);
    taken_back(&mut bench, &reference, true);
    bench.nothing();
}

/// TS 23.502 §4.9.1.3.3: not before the UE is there.
#[test]
fn when_the_target_of_a_handover_does_not_admit_a_flow_then_it_is_taken_back_once_the_ue_is_there() {
    let (mut bench, reference) = with_call();
    let tell = |bench: &mut Bench, state, n2: Option<(N2SmInfoType, bytes::Bytes)>| -> Token {
        let (n2_sm_info_type, octets) = n2.unzip();
        let data =
            SmContextUpdateData { ho_state: Some(state), n2_sm_info_type, ..SmContextUpdateData::default() };
        bench.update(&reference, data, None, octets)
    };
    let required = HandoverRequired { direct_forwarding: true }.encode().unwrap();
    let answer = tell(&mut bench, HoState::Preparing, Some((N2SmInfoType::HandoverRequired, required)));
    bench.updated(answer).unwrap();
    let acknowledge = HandoverRequestAcknowledge {
        downlink: DOWNLINK,
        forwarding: None,
        flows: vec![(qfi(1), false)],
        failed: vec![(qfi(2), NO_RADIO)],
    };
    let n2 = (N2SmInfoType::HandoverReqAck, acknowledge.encode().unwrap());
    let answer = tell(&mut bench, HoState::Prepared, Some(n2));
    bench.updated(answer).unwrap();
    bench.nothing();
    let answer = tell(&mut bench, HoState::Completed, None);
    let switch = bench.modified_later();
    assert_eq!(reported(&mut bench), inactive(&["call"]));
    // The AMF passes nothing on before.
    bench.nothing();
    bench.switched(switch, answer);
    taken_back(&mut bench, &reference, true);
    bench.nothing();
}

/// TS 29.518 §5.2.2.3.1: the AMF is asked again, with all that it was asked.
#[test]
fn when_the_ue_is_being_handed_over_then_the_command_follows() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    push(&mut bench, &reference, rule("call", 10, guaranteed("call", 3)));
    bench.modified();
    let (token, first) = bench.expect::<N1N2MessageTransfer>();
    let error = ProblemDetails::new(409, "TEMPORARY_REJECT_HANDOVER_ONGOING");
    bench.reply::<N1N2MessageTransfer>(
        token,
        Err(OperationError::Refused { status: 409, body: N1N2MessageTransferError::new(error) }),
    );
    bench.nothing();
    bench.pass(Duration::from_secs(2));
    let again = bench.transfer();
    assert_eq!((&again.n1_sm_msg, &again.n2_sm_info), (&first.n1_sm_msg, &first.n2_sm_info));
    assert!(again.n2_sm_info.is_some());
    modify_response(&mut bench, &reference, &[2], &[]);
    complete(&mut bench, &reference);
    bench.nothing();
    assert_eq!(bench.smf.deadline(), None);
}

/// One of several is refused: the others stay.
#[test]
fn when_the_gnb_adds_one_of_two_flows_then_the_other_is_taken_back() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    push(&mut bench, &reference, call_and("video", 2));
    assert_eq!(bench.modified().create_pdr.len(), 4);
    bench.transfer();
    modify_response(&mut bench, &reference, &[2], &[3]);
    assert_eq!(reported(&mut bench), inactive(&["video"]));
    complete(&mut bench, &reference);
    let change = bench.modified();
    assert_eq!(change.remove_pdr.iter().map(|pdr| pdr.pdr_id).collect::<Vec<_>>(), [PdrId(5), PdrId(6)]);
    bench.transfer();
    complete(&mut bench, &reference);
    bench.nothing();
}

/// What the UE then says of the command changes nothing: the network has the flow no longer.
#[test]
fn when_the_ue_rejects_that_a_flow_is_taken_back_then_it_is_gone_all_the_same() {
    let (mut bench, reference) = with_call();
    let notify = Notify { released: vec![(qfi(2), NO_RADIO)], ..Notify::default() };
    let answer = bench.send_n2(&reference, N2SmInfoType::PduResNty, notify.encode().unwrap());
    bench.updated(answer).unwrap();
    bench.modified();
    bench.transfer();
    assert_eq!(reported(&mut bench), inactive(&["call"]));
    let cause = NasFGsmCause::from_cause(GsmCause::RequestRejectedUnspecified);
    let answer = bench.send_n1(&reference, n1(NasPduSessionModificationCommandReject::new(cause), 1, 0));
    bench.updated(answer).unwrap();
    bench.nothing();
    assert_eq!(bench.smf.deadline(), None);
}

/// The PCF hears of rules that the UE does not take; what it decides thereupon holds.
#[test]
fn when_the_ue_rejects_a_pushed_rule_then_the_pcf_hears_of_it_and_what_it_decides_holds() {
    let (mut bench, reference) = with_call();
    push(&mut bench, &reference, call_and("video", 2));
    bench.modified();
    bench.transfer();
    let cause = NasFGsmCause::from_cause(GsmCause::RequestRejectedUnspecified);
    let answer = bench.send_n1(&reference, n1(NasPduSessionModificationCommandReject::new(cause), 1, 0));
    bench.updated(answer).unwrap();
    assert_eq!(bench.modified().remove_pdr.len(), 2);
    let release = bench.transfer().n2_sm_info.unwrap();
    assert_eq!(ModifyRequest::decode(&release).unwrap().release.len(), 1);
    let mut end = SmPolicyDecision::default();
    end.pcc_rules.insert("call".to_owned(), None);
    assert_eq!(reported_then(&mut bench, end), inactive(&["video"]));
    taken_back_and_told(&mut bench);
    complete(&mut bench, &reference);
    bench.nothing();
    // The rule is not kept behind the PCF's back.
    push(&mut bench, &reference, rule("call", 10, guaranteed("call", 3)));
    assert_eq!(bench.modified().create_pdr.len(), 2);
}

fn taken_back_and_told(bench: &mut Bench) {
    assert_eq!(bench.modified().remove_pdr.len(), 2);
    let release = bench.transfer().n2_sm_info.unwrap();
    assert_eq!(ModifyRequest::decode(&release).unwrap().release.len(), 1);
}

/// UE and gNB hear that the rule does not hold, whoever answers first.
#[test]
fn when_the_upf_refuses_a_pushed_rule_then_ue_and_gnb_lose_it_and_the_pcf_hears_of_it() {
    let cases = [
        (Cause::NO_RESOURCES_AVAILABLE, FailureCode::ResLim, false),
        (Cause::RULE_CREATION_MODIFICATION_FAILURE, FailureCode::NfMal, true),
    ];
    for (cause, code, ue_first) in cases {
        let mut bench = Bench::new();
        let reference = bench.establish(1);
        push(&mut bench, &reference, rule("call", 10, guaranteed("call", 3)));
        let late = ue_first.then(|| bench.modified_later());
        if late.is_none() {
            refused_n4(&mut bench, cause);
        }
        bench.transfer();
        modify_response(&mut bench, &reference, &[2], &[]);
        complete(&mut bench, &reference);
        if let Some(token) = late {
            bench.nothing();
            let response = SessionModificationResponse { cause, ..Default::default() };
            bench.input(Input::N4(token, Some(response.into())));
        }
        let transfer = bench.transfer();
        assert_eq!(ModifyRequest::decode(&transfer.n2_sm_info.unwrap()).unwrap().release.len(), 1);
        let command = command(&transfer.n1_sm_msg.unwrap());
        assert_eq!(command.authorized_qos_rules.unwrap().parse_rules().len(), 1);
        assert_eq!(reported(&mut bench), [report(&["call"], code, RuleStatus::Inactive)]);
        complete(&mut bench, &reference);
        bench.nothing();
        assert_eq!((bench.smf.deadline(), bench.smf.awaited()), (None, 0));
    }
}

fn pushed(bench: &mut Bench, reference: &str, decision: SmPolicyDecision) -> Token {
    let notification = SmPolicyNotification { resource_uri: None, sm_policy_decision: Some(decision) };
    let path = SmPolicyUpdateNotify::callback_path(reference);
    bench.request(SmfRequest::PolicyUpdate(SmPolicyUpdateNotify { path, notification }))
}

fn with_wrong_flow(mut decision: SmPolicyDecision, name: &str) -> SmPolicyDecision {
    let rule = decision.pcc_rules.get_mut(name).and_then(Option::as_mut).unwrap();
    rule.flow_infos[0].flow_description = Some("deny out ip from any to any".to_owned());
    decision
}

/// TS 29.512 §4.2.3: in the answer to UpdateNotify.
#[test]
fn when_some_of_the_pushed_rules_are_wrong_then_the_answer_says_which_and_the_others_hold() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let answer = pushed(&mut bench, &reference, with_wrong_flow(call_and("video", 2), "video"));
    let response = bench.answered::<SmPolicyUpdateNotify>(answer).unwrap();
    let rule_reports = vec![report(&["video"], FailureCode::FilterRes, RuleStatus::Inactive)];
    let partial =
        PartialSuccessReport { rule_reports, ..PartialSuccessReport::new(FailureCause::PccRuleEvent) };
    assert_eq!((response.status, response.body), (200, Some(SmPolicyUpdateReport::Partial(vec![partial]))));
    assert_eq!(bench.modified().create_pdr.len(), 2);
    bench.transfer();
}

#[test]
fn when_all_of_the_pushed_rules_are_wrong_then_the_notification_is_refused_with_a_report() {
    let (mut bench, reference) = with_call();
    let change = with_wrong_flow(rule("call", 10, guaranteed("call", 5)), "call");
    let answer = pushed(&mut bench, &reference, change);
    let error = bench.answered::<SmPolicyUpdateNotify>(answer).unwrap_err();
    let OperationError::Refused { status: 400, body: ErrorReport { error, rule_reports } } = error else {
        panic!("{error:?}")
    };
    assert_eq!(error.unwrap().cause.as_deref(), Some("PCC_RULE_EVENT"));
    assert_eq!(rule_reports, [report(&["call"], FailureCode::FilterRes, RuleStatus::Active)]);
    bench.nothing();
}

/// TS 29.512 §4.2.4: there is no answer that could say it.
#[test]
fn when_a_rule_of_the_first_decision_is_wrong_then_it_is_reported_once_the_session_is_there() {
    let mut bench = Bench::new();
    let token = bench.create(1);
    bench.subscribe(sm_data(subscription()));
    let reference = bench.context_ref(token);
    bench.police(with_wrong_flow(call_and("video", 2), "video"));
    bench.install();
    bench.transfer();
    bench.register();
    let response = SetupResponse { downlink: DOWNLINK, flows: vec![qfi(1), qfi(2)], failed: Vec::new() };
    let answer = bench.send_n2(&reference, N2SmInfoType::PduResSetupRsp, response.encode().unwrap());
    bench.modified();
    assert_eq!(bench.updated(answer).unwrap().status, 200);
    assert_eq!(reported(&mut bench), [report(&["video"], FailureCode::FilterRes, RuleStatus::Inactive)]);
    bench.nothing();
}
