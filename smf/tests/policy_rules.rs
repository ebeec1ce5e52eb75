//! PCC rules at run time: TS 23.502 §4.3.3.2, TS 29.512 §4.2.6.2, TS 24.501 §6.3.2.

use tern_nas::nas_5gs::{
    GsmCause, Nas5gsmMessage, NasFGsmCause, NasPduSessionModificationCommand,
    NasPduSessionModificationCommandReject, NasPduSessionModificationComplete, QosFlowOpCode, QosRuleOpCode,
};
use tern_ngap::transfer::{GbrRates, ModifyRequest};
use tern_pfcp::{FTeid, PdrId, QerId};
use tern_sbi::npcf_sm::{
    FlowInformation, PccRule, QosData, RuleStatus, SmPolicyDecision, SmPolicyNotification,
    SmPolicyUpdateNotify, UpdateSmPolicy,
};
use tern_smf::SmfRequest;
use tern_types::{Ambr, BitRate};

use crate::bench::*;

fn rate(mbps: u64) -> BitRate {
    BitRate::from_bps(mbps * 1_000_000)
}

/// A rule of its own QoS.
pub fn rule(name: &str, precedence: u32, qos: QosData) -> SmPolicyDecision {
    let flow_description = Some("permit out 17 from 192.0.2.1 5000 to assigned".to_owned());
    let rule = PccRule {
        precedence: Some(precedence),
        flow_infos: vec![FlowInformation { flow_description, ..FlowInformation::default() }],
        ref_qos_data: vec![name.to_owned()],
        ..PccRule::new(name.to_owned())
    };
    let mut decision = SmPolicyDecision::default();
    decision.pcc_rules.insert(name.to_owned(), Some(rule));
    decision.qos_decs.insert(name.to_owned(), Some(qos));
    decision
}

pub fn guaranteed(name: &str, mbps: u64) -> QosData {
    QosData {
        five_qi: Some(1),
        gbr_ul: Some(rate(mbps)),
        gbr_dl: Some(rate(mbps)),
        maxbr_ul: Some(rate(2 * mbps)),
        maxbr_dl: Some(rate(2 * mbps)),
        ..QosData::new(name.to_owned())
    }
}

pub fn push(bench: &mut Bench, reference: &str, decision: SmPolicyDecision) {
    let notification = SmPolicyNotification { resource_uri: None, sm_policy_decision: Some(decision) };
    let path = SmPolicyUpdateNotify::callback_path(reference);
    let answer = bench.request(SmfRequest::PolicyUpdate(SmPolicyUpdateNotify { path, notification }));
    assert_eq!(bench.answered::<SmPolicyUpdateNotify>(answer).unwrap().status, 204);
}

pub fn command(n1: &[u8]) -> NasPduSessionModificationCommand {
    match read_n1(n1) {
        (_, 0, Nas5gsmMessage::PduSessionModificationCommand(command)) => *command,
        other => panic!("{other:?}"),
    }
}

pub fn complete(bench: &mut Bench, reference: &str) {
    let answer = bench.send_n1(reference, n1(NasPduSessionModificationComplete::new(), 1, 0));
    assert_eq!(bench.updated(answer).unwrap().status, 204);
}

/// A session with a pushed rule that UE, gNB and UPF have.
fn with_rule() -> (Bench, String) {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    push(&mut bench, &reference, rule("call", 10, guaranteed("call", 3)));
    bench.modified();
    bench.transfer();
    complete(&mut bench, &reference);
    (bench, reference)
}

#[test]
fn when_a_rule_of_a_guaranteed_rate_is_pushed_then_upf_gnb_and_ue_have_its_flow() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    push(&mut bench, &reference, rule("call", 10, guaranteed("call", 3)));
    let change = bench.modified();
    let pdrs: Vec<_> = change.create_pdr.iter().map(|pdr| (pdr.pdr_id, pdr.qer_ids.clone())).collect();
    // The Session-AMBR is not of it (TS 23.501 §5.7.2.6).
    assert_eq!(pdrs, [(PdrId(3), vec![QerId(3)]), (PdrId(4), vec![QerId(3)])]);
    assert!(matches!(change.create_pdr[0].pdi.f_teid, Some(FTeid::Assigned { .. })));
    let qer = &change.create_qer[0];
    assert_eq!((qer.gbr.unwrap().uplink_kbps, qer.mbr.unwrap().uplink_kbps), (3_000, 6_000));
    assert_eq!(qer.qfi, Some(tern_pfcp::Qfi(2)));
    let transfer = bench.transfer();
    let n2 = ModifyRequest::decode(&transfer.n2_sm_info.unwrap()).unwrap();
    let rates = |mbps| Ambr { uplink: rate(mbps), downlink: rate(mbps) };
    assert_eq!((n2.flows.len(), n2.flows[0].qfi.get(), n2.flows[0].five_qi), (1, 2, Some(1)));
    assert_eq!(n2.flows[0].gbr, Some(GbrRates { maximum: rates(6), guaranteed: rates(3) }));
    let command = command(&transfer.n1_sm_msg.unwrap());
    let rules: Vec<_> = command.authorized_qos_rules.unwrap().parse_rules().into_iter().flatten().collect();
    assert_eq!((rules.len(), rules[0].rule_id, rules[0].op_code), (1, 2, QosRuleOpCode::Create));
    assert_eq!((rules[0].precedence, rules[0].qfi, rules[0].dqr), (Some(10), Some(2), false));
    let flows = command.authorized_qos_flow_descriptions.unwrap().try_descriptions().unwrap();
    assert_eq!((flows[0].qfi, flows[0].op_code, flows[0].params.len()), (2, QosFlowOpCode::Create, 5));
    complete(&mut bench, &reference);
    assert_eq!(bench.smf.deadline(), None);
    bench.nothing();
}

#[test]
fn when_the_rate_of_a_rule_changes_then_its_qer_and_flow_change_and_nothing_else() {
    let (mut bench, reference) = with_rule();
    let mut change = rule("call", 10, guaranteed("call", 4));
    change.pcc_rules.clear();
    push(&mut bench, &reference, change);
    let change = bench.modified();
    assert!(change.create_pdr.is_empty() && change.remove_pdr.is_empty());
    assert_eq!(change.update_qer[0].gbr.unwrap().downlink_kbps, 4_000);
    let transfer = bench.transfer();
    assert_eq!(ModifyRequest::decode(&transfer.n2_sm_info.unwrap()).unwrap().flows.len(), 1);
    let command = command(&transfer.n1_sm_msg.unwrap());
    assert!(command.authorized_qos_rules.is_none());
    let flows = command.authorized_qos_flow_descriptions.unwrap().try_descriptions().unwrap();
    assert_eq!((flows.len(), flows[0].op_code), (1, QosFlowOpCode::Modify));
    complete(&mut bench, &reference);
    bench.nothing();
}

#[test]
fn when_a_rule_is_removed_then_its_flow_goes_at_upf_gnb_and_ue() {
    let (mut bench, reference) = with_rule();
    let mut gone = SmPolicyDecision::default();
    gone.pcc_rules.insert("call".to_owned(), None);
    gone.qos_decs.insert("call".to_owned(), None);
    push(&mut bench, &reference, gone);
    let change = bench.modified();
    let pdrs: Vec<_> = change.remove_pdr.iter().map(|pdr| pdr.pdr_id).collect();
    assert_eq!((pdrs, change.remove_qer[0].qer_id), (vec![PdrId(3), PdrId(4)], QerId(3)));
    let transfer = bench.transfer();
    let n2 = ModifyRequest::decode(&transfer.n2_sm_info.unwrap()).unwrap();
    assert_eq!((n2.flows.len(), n2.release.len(), n2.release[0].0.get()), (0, 1, 2));
    let command = command(&transfer.n1_sm_msg.unwrap());
    let rules: Vec<_> = command.authorized_qos_rules.unwrap().parse_rules().into_iter().flatten().collect();
    assert_eq!((rules.len(), rules[0].rule_id, rules[0].op_code), (1, 2, QosRuleOpCode::Delete));
    let flows = command.authorized_qos_flow_descriptions.unwrap().try_descriptions().unwrap();
    assert_eq!((flows[0].qfi, flows[0].op_code), (2, QosFlowOpCode::Delete));
    complete(&mut bench, &reference);
    bench.nothing();
}

#[test]
fn when_the_ue_refuses_a_pushed_rule_then_it_goes_at_the_upf_and_the_gnb() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    push(&mut bench, &reference, rule("call", 10, guaranteed("call", 3)));
    bench.modified();
    bench.transfer();
    let cause = NasFGsmCause::from_cause(GsmCause::RequestRejectedUnspecified);
    let answer = bench.send_n1(&reference, n1(NasPduSessionModificationCommandReject::new(cause), 1, 0));
    assert_eq!(bench.updated(answer).unwrap().status, 204);
    assert_eq!(bench.modified().remove_pdr.len(), 2);
    let transfer = bench.transfer();
    assert!(transfer.n1_sm_msg.is_none());
    assert_eq!(ModifyRequest::decode(&transfer.n2_sm_info.unwrap()).unwrap().release.len(), 1);
    let (_, report) = bench.expect::<UpdateSmPolicy>();
    assert_eq!(report.update.rule_reports[0].rule_status, RuleStatus::Inactive);
    bench.nothing();
}

/// The filters of a rule change: the UPF has it anew, under the same numbers.
#[test]
fn when_the_packets_of_a_rule_change_then_it_is_replaced() {
    let (mut bench, reference) = with_rule();
    let mut change = rule("call", 10, guaranteed("call", 3));
    let rule = change.pcc_rules.get_mut("call").and_then(Option::as_mut).unwrap();
    rule.flow_infos[0].flow_description = Some("permit out 6 from any to assigned".to_owned());
    push(&mut bench, &reference, change);
    let change = bench.modified();
    assert_eq!((change.remove_pdr.len(), change.create_pdr.len()), (2, 2));
    assert_eq!(change.create_pdr[0].pdr_id, PdrId(3));
    let transfer = bench.transfer();
    assert!(transfer.n2_sm_info.is_none(), "no flow changes");
    let command = command(&transfer.n1_sm_msg.unwrap());
    let rules: Vec<_> = command.authorized_qos_rules.unwrap().parse_rules().into_iter().flatten().collect();
    assert_eq!((rules.len(), rules[0].op_code), (1, QosRuleOpCode::ModifyReplace));
    complete(&mut bench, &reference);
    bench.nothing();
}
