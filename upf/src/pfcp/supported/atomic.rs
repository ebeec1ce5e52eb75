//! A modification that fails in one of its rules changes nothing, whatever else it asks for.

use proptest::prelude::*;
use tern_pfcp::*;

use crate::path::Verdict;
use crate::testing::*;

const TO_N6: Verdict = Verdict::ToNetwork(0);
const TO_GNB: Verdict = Verdict::ToAccess(GNB);

/// Adds something to a modification that is right by itself.
type Right = fn(&mut SessionModificationRequest);
/// Adds a rule that cannot be.
type Wrong = (fn(&mut SessionModificationRequest), FailedRuleId);

const RIGHT: [Right; 9] = [
    |request| request.create_pdr.push(uplink_pdr(5, 1, 1)),
    |request| request.create_far.push(far_to_gnb(5)),
    |request| request.create_qer.push(CreateQer { qer_id: QerId(5), ..Default::default() }),
    |request| request.create_urr.push(volume_urr(5)),
    |request| request.create_bar.push(CreateBar { bar_id: BarId(5), ..Default::default() }),
    |request| request.update_far.extend(forward_update(ApplyAction::DROP).update_far),
    |request| {
        let gate_status = Some(GateStatus { uplink_closed: true, downlink_closed: true });
        request.update_qer.push(UpdateQer { qer_id: QerId(1), gate_status, ..Default::default() });
    },
    |request| {
        let volume_quota = Some(Volume { total: Some(0), ..Volume::default() });
        request.update_urr.push(UpdateUrr { urr_id: UrrId(1), volume_quota, ..Default::default() });
    },
    |request| request.flags = Some(PfcpSmReqFlags::QAURR),
];

const WRONG: [Wrong; 15] = [
    (|r| r.create_pdr.push(uplink_pdr(9, 1, 99)), FailedRuleId::Pdr(PdrId(9))),
    (|r| r.create_pdr.push(uplink_pdr(1, 1, 1)), FailedRuleId::Pdr(PdrId(1))),
    (|r| r.create_far.push(far_to_n6(1)), FailedRuleId::Far(FarId(1))),
    (
        |r| r.create_qer.push(CreateQer { qer_id: QerId(1), ..Default::default() }),
        FailedRuleId::Qer(QerId(1)),
    ),
    (|r| r.create_urr.push(volume_urr(1)), FailedRuleId::Urr(UrrId(1))),
    (
        |r| r.update_pdr.push(UpdatePdr { pdr_id: PdrId(2), far_id: Some(FarId(99)), ..Default::default() }),
        FailedRuleId::Pdr(PdrId(2)),
    ),
    (
        |r| r.update_far.push(UpdateFar { far_id: FarId(99), ..Default::default() }),
        FailedRuleId::Far(FarId(99)),
    ),
    (
        |r| r.update_qer.push(UpdateQer { qer_id: QerId(99), ..Default::default() }),
        FailedRuleId::Qer(QerId(99)),
    ),
    (
        |r| r.update_urr.push(UpdateUrr { urr_id: UrrId(99), ..Default::default() }),
        FailedRuleId::Urr(UrrId(99)),
    ),
    (
        |r| r.update_bar.push(UpdateBar { bar_id: BarId(99), ..Default::default() }),
        FailedRuleId::Bar(BarId(99)),
    ),
    (
        |r| r.remove_pdr.push(RemovePdr { pdr_id: PdrId(99), ..Default::default() }),
        FailedRuleId::Pdr(PdrId(99)),
    ),
    (
        |r| r.remove_far.push(RemoveFar { far_id: FarId(99), ..Default::default() }),
        FailedRuleId::Far(FarId(99)),
    ),
    (
        |r| r.remove_qer.push(RemoveQer { qer_id: QerId(99), ..Default::default() }),
        FailedRuleId::Qer(QerId(99)),
    ),
    (
        |r| r.remove_urr.push(RemoveUrr { urr_id: UrrId(99), ..Default::default() }),
        FailedRuleId::Urr(UrrId(99)),
    ),
    (
        |r| r.remove_bar.push(RemoveBar { bar_id: BarId(99), ..Default::default() }),
        FailedRuleId::Bar(BarId(99)),
    ),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn when_one_rule_of_a_modification_is_wrong_then_it_is_named_and_nothing_has_changed(
        right in proptest::sample::subsequence(&RIGHT[..], 0..=RIGHT.len()),
        wrong in 0..WRONG.len(),
    ) {
        let mut bench = Bench::new();
        let (seid, teid) = bench.session();
        let mut request = SessionModificationRequest::default();
        right.iter().for_each(|add| add(&mut request));
        let (add, rule) = WRONG[wrong];
        add(&mut request);
        let (published, kept) = (bench.published.len(), bench.core.kept());
        let response = bench.modify(seid, request);
        prop_assert!(!response.cause.is_accepted());
        prop_assert_eq!(response.failed_rule_id, Some(rule));
        prop_assert!(response.usage_report.is_empty() && response.created_pdr.is_empty());
        prop_assert_eq!((bench.published.len(), bench.core.kept()), (published, kept));
        prop_assert_eq!(bench.downlink(&udp(SERVER, UE, (1, 2), 60)).0, TO_GNB);
        let packet = gtpu(teid, Some(9), &udp(UE, SERVER, (1, 2), 60));
        prop_assert_eq!(bench.uplink(&packet).0, TO_N6);
        // What comes next meets the rules of before: each of these is not there yet.
        let mut next = SessionModificationRequest::default();
        RIGHT[..5].iter().for_each(|add| add(&mut next));
        prop_assert_eq!(bench.modify(seid, next).cause, Cause::REQUEST_ACCEPTED);
        let usage = &bench.delete(seid).usage_report[0];
        prop_assert_eq!(usage.volume.and_then(|volume| volume.total), Some(120));
    }
}
