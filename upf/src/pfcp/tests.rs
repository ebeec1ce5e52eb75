//! N4 procedures, against an SMF's end of `tern-n4`.

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use tern_pfcp::*;
use tern_types::Duration;

use super::packed::OCTETS_MAX;
use super::rules::PDRS_MAX;
use crate::path::{DropReason, Peer, Verdict};
use crate::testing::*;

const TO_N6: Verdict = Verdict::ToNetwork(0);
const TO_GNB: Verdict = Verdict::ToAccess(GNB);
/// Where [`move_to`] moves.
const TO_SECOND_GNB: Verdict = Verdict::ToAccess(Peer::gtpu(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2))));

fn move_to(teid: u32, flags: Option<PfcpSmReqFlags>) -> SessionModificationRequest {
    let header = OuterHeaderCreation::gtpu_v4(teid, [198, 51, 100, 2].into());
    SessionModificationRequest {
        update_far: vec![UpdateFar {
            far_id: FarId(2),
            update_forwarding_parameters: Some(UpdateForwardingParameters {
                outer_header_creation: Some(header),
                flags,
                ..Default::default()
            }),
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[test]
fn when_a_session_is_established_then_the_upf_allocates_its_f_teid() {
    let mut bench = Bench::new();
    let response = bench.establish(establishment());
    assert_eq!(response.node_id, NodeId::Address([127, 0, 0, 18].into()));
    assert_eq!(response.created_pdr.len(), 1);
    let Some(FTeid::Assigned { teid, ipv4, .. }) = response.created_pdr[0].f_teid else { panic!("none") };
    assert!(teid != 0);
    assert_eq!(ipv4, Some([127, 0, 0, 18].into()));
}

#[test]
fn when_pdrs_have_one_choose_id_then_they_share_an_f_teid_and_else_not() {
    let mut bench = Bench::new();
    let mut request = establishment();
    request.create_pdr.push(uplink_pdr(3, 200, 1));
    let mut other = uplink_pdr(4, 300, 1);
    other.pdi.f_teid = Some(FTeid::default());
    request.create_pdr.push(other);
    let created = bench.establish(request).created_pdr;
    assert_eq!(created.iter().map(|pdr| pdr.pdr_id.0).collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(created[0].f_teid, created[1].f_teid);
    assert_ne!(created[0].f_teid, created[2].f_teid);
}

#[test]
fn when_the_smf_chooses_the_f_teid_then_it_is_refused_with_cause_71() {
    let mut bench = Bench::new();
    let mut request = establishment();
    request.create_pdr[0].pdi.f_teid = Some(FTeid::assigned_v4(5, [127, 0, 0, 18].into()));
    let response = bench.establish(request);
    assert_eq!(response.cause, Cause::INVALID_F_TEID_ALLOCATION_OPTION);
    assert_eq!(response.failed_rule_id, Some(FailedRuleId::Pdr(PdrId(1))));
}

/// TS 29.244 §5.5.1, TS 23.527 §4.3.2.
#[test]
fn when_a_session_is_restored_then_it_has_the_tunnel_of_before() {
    let mut bench = Bench::new();
    let mut request = establishment();
    request.flags = Some(PfcpSeReqFlags::RESTI);
    request.create_pdr.push(uplink_pdr(3, 200, 1));
    for pdr in [0, 2] {
        request.create_pdr[pdr].pdi.f_teid = Some(FTeid::assigned_v4(0x0BAD_CAFE, [127, 0, 0, 18].into()));
    }
    let (seid, _) = bench.session_of(request.clone());
    assert_eq!(bench.uplink(&gtpu(0x0BAD_CAFE, Some(9), &udp(UE, SERVER, (4000, 53), 60))).0, TO_N6);
    assert_eq!(bench.core.counts().restored, 1);
    // Another session cannot have it, nor one at another address.
    request.cp_f_seid = FSeid::new(CP_SEID, [127, 0, 0, 17].into());
    let mut other = request.clone();
    other.cp_f_seid.seid += 1;
    let refused = |bench: &mut Bench, request| {
        let (_, message) = bench.ask(0, request);
        let Message::SessionEstablishmentResponse(response) = message else { panic!("{message:?}") };
        response.cause
    };
    assert_eq!(refused(&mut bench, other.clone()), Cause::INVALID_F_TEID_ALLOCATION_OPTION);
    let mut elsewhere = other.clone();
    elsewhere.create_pdr[0].pdi.f_teid = Some(FTeid::assigned_v4(7, [127, 0, 0, 99].into()));
    assert_eq!(refused(&mut bench, elsewhere), Cause::INVALID_F_TEID_ALLOCATION_OPTION);
    assert_eq!(bench.core.session_count(), 1);
    // Its own it may have again; refused, it has it still.
    let mut wrong = request.clone();
    wrong.create_pdr[1].far_id = Some(FarId(99));
    assert_ne!(refused(&mut bench, wrong), Cause::REQUEST_ACCEPTED);
    assert_eq!(refused(&mut bench, other), Cause::INVALID_F_TEID_ALLOCATION_OPTION);
    assert_eq!(bench.core.teids.len(), 1);
    let (again, _) = bench.session_of(request);
    assert_ne!(again, seid);
    assert_eq!(bench.uplink(&gtpu(0x0BAD_CAFE, Some(9), &udp(UE, SERVER, (4000, 53), 60))).0, TO_N6);
    bench.delete(again);
    assert_eq!((bench.core.session_count(), bench.core.teids.len()), (0, 0));
}

#[test]
fn when_the_smf_names_a_tunnel_of_another_session_then_that_one_keeps_it() {
    let mut bench = Bench::new();
    let (seid, teid) = bench.session();
    let mut request = establishment();
    request.cp_f_seid = FSeid::new(CP_SEID + 1, [127, 0, 0, 17].into());
    request.create_pdr.push(uplink_pdr(3, 1, 1));
    request.create_pdr[2].pdi.f_teid = Some(FTeid::assigned_v4(teid, [127, 0, 0, 18].into()));
    let (_, message) = bench.ask(0, request);
    let Message::SessionEstablishmentResponse(refused) = message else { panic!("{message:?}") };
    assert_eq!(refused.cause, Cause::INVALID_F_TEID_ALLOCATION_OPTION);
    assert_eq!(bench.core.teids.len(), 1);
    assert_eq!(bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (1, 2), 60))).0, TO_N6);
    bench.delete(seid);
    assert_eq!(bench.core.teids.len(), 0);
}

/// What is wrong with a request, and the refusal it must get.
type Wrong = (fn(&mut SessionEstablishmentRequest), Cause, FailedRuleId, u16);

#[test]
fn when_a_rule_is_wrong_then_it_is_named_and_nothing_is_left() {
    let pdr = |id| FailedRuleId::Pdr(PdrId(id));
    let failure = Cause::RULE_CREATION_MODIFICATION_FAILURE;
    let cases: [Wrong; 11] = [
        (|r| r.create_pdr[1].far_id = Some(FarId(9)), failure, pdr(2), 108),
        (|r| r.create_pdr[1].far_id = None, Cause::CONDITIONAL_IE_MISSING, pdr(2), 108),
        (|r| r.create_pdr[0].qer_ids.push(QerId(9)), failure, pdr(1), 109),
        (|r| r.create_pdr[0].urr_ids.push(UrrId(9)), failure, pdr(1), 81),
        (|r| r.create_pdr[0].pdi.f_teid = None, failure, pdr(1), 21),
        (|r| r.create_pdr[1].pdi.ue_ip_addresses.clear(), failure, pdr(2), 93),
        (|r| r.create_pdr[0].pdi.sdf_filters.push(SdfFilter::flow("nonsense")), failure, pdr(1), 23),
        (
            |r| r.create_pdr[0].pdi.application_id = Some(ApplicationId(vec![1])),
            Cause::UNKNOWN_APPLICATION_ID,
            pdr(1),
            24,
        ),
        (
            |r| r.create_pdr[0].unknown.push(RawIe { ie_type: 106, value: vec![1] }),
            Cause::UNKNOWN_PRE_DEFINED_RULE,
            pdr(1),
            106,
        ),
        (|r| r.create_pdr.push(uplink_pdr(1, 1, 1)), failure, pdr(1), 1),
        (|r| r.create_far[0].apply_action = ApplyAction::DUPL, failure, FailedRuleId::Far(FarId(1)), 44),
    ];
    let mut bench = Bench::new();
    for (break_it, cause, rule, ie) in cases {
        let mut request = establishment();
        break_it(&mut request);
        let response = bench.establish(request);
        assert_eq!((response.cause, response.failed_rule_id), (cause, Some(rule)), "{response:?}");
        assert_eq!(response.offending_ie, Some(OffendingIe(ie)));
        assert_eq!(response.up_f_seid, None);
        assert_eq!((bench.core.session_count(), bench.core.teids.len()), (0, 0));
    }
}

#[test]
fn when_a_filter_refers_to_another_by_its_id_then_it_is_the_same() {
    let mut bench = Bench::new();
    let mut request = establishment();
    let defined =
        SdfFilter { filter_id: Some(5), ..SdfFilter::flow("permit out 17 from any 53 to assigned") };
    request.create_pdr[0].pdi.sdf_filters = vec![defined];
    request.create_pdr[1].pdi.sdf_filters = vec![SdfFilter { filter_id: Some(5), ..Default::default() }];
    bench.session_of(request);
    assert_eq!(bench.downlink(&udp(SERVER, UE, (53, 1), 60)).0, TO_GNB);
    assert_eq!(bench.downlink(&udp(SERVER, UE, (54, 1), 60)).0, Verdict::Drop(DropReason::NoRule));
}

#[test]
fn when_a_modification_fails_in_its_last_rule_then_the_old_rules_stay() {
    let mut bench = Bench::new();
    let (seid, teid) = bench.session();
    let mut request = forward_update(ApplyAction::DROP);
    request.create_pdr = vec![uplink_pdr(5, 1, 1)];
    request.update_qer = vec![UpdateQer { qer_id: QerId(42), ..Default::default() }];
    let published = bench.published.len();
    let response = bench.modify(seid, request);
    assert_eq!(response.cause, Cause::RULE_CREATION_MODIFICATION_FAILURE);
    assert_eq!(response.failed_rule_id, Some(FailedRuleId::Qer(QerId(42))));
    assert_eq!(bench.published.len(), published);
    assert_eq!(bench.core.teids.len(), 1);
    assert_eq!(bench.downlink(&udp(SERVER, UE, (1, 2), 60)).0, TO_GNB);
    assert_eq!(bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (1, 2), 60))).0, TO_N6);
}

#[test]
fn when_rules_come_and_go_then_the_data_path_follows() {
    let mut bench = Bench::new();
    let (seid, _) = bench.session();
    let mut blocked = downlink_pdr(5, 1, 3);
    blocked.pdi.sdf_filters = vec![SdfFilter::flow("permit out ip from 203.0.113.9 to assigned")];
    let request = SessionModificationRequest {
        create_pdr: vec![blocked],
        create_far: vec![CreateFar {
            far_id: FarId(3),
            apply_action: ApplyAction::DROP,
            ..Default::default()
        }],
        ..Default::default()
    };
    assert_eq!(bench.modify(seid, request).cause, Cause::REQUEST_ACCEPTED);
    let packet = udp(SERVER, UE, (1, 2), 60);
    assert_eq!(bench.downlink(&packet).0, Verdict::Drop(DropReason::FarDrop));
    // The FAR alone cannot go: a PDR refers to it.
    let remove_far = vec![RemoveFar { far_id: FarId(3), ..Default::default() }];
    let request = SessionModificationRequest { remove_far: remove_far.clone(), ..Default::default() };
    let refused = bench.modify(seid, request);
    assert_eq!(refused.failed_rule_id, Some(FailedRuleId::Pdr(PdrId(5))));
    let request = SessionModificationRequest {
        remove_pdr: vec![RemovePdr { pdr_id: PdrId(5), ..Default::default() }],
        remove_far,
        ..Default::default()
    };
    assert_eq!(bench.modify(seid, request).cause, Cause::REQUEST_ACCEPTED);
    assert_eq!(bench.downlink(&packet).0, TO_GNB);
}

#[test]
fn when_a_session_gives_up_a_tunnel_or_an_address_then_its_packets_find_nothing() {
    let mut bench = Bench::new();
    let mut request = establishment();
    let mut other = uplink_pdr(3, 200, 1);
    other.pdi.f_teid = Some(FTeid::default());
    request.create_pdr.push(other);
    let response = bench.establish(request);
    let seid = response.up_f_seid.expect("F-SEID").seid;
    let [teid, second] = [0, 1].map(|at: usize| match response.created_pdr[at].f_teid {
        Some(FTeid::Assigned { teid, .. }) => teid,
        other => panic!("{other:?}"),
    });
    let up = |bench: &mut Bench, teid, ue| bench.uplink(&gtpu(teid, Some(9), &udp(ue, SERVER, (1, 2), 60))).0;
    let down = |bench: &mut Bench, ue| bench.downlink(&udp(SERVER, ue, (2, 1), 60)).0;
    assert_eq!([up(&mut bench, teid, UE), up(&mut bench, second, UE)], [TO_N6, TO_N6]);
    // What changes nothing of that leaves it.
    bench.modify(seid, move_to(0x77, None));
    assert_eq!([up(&mut bench, second, UE), down(&mut bench, UE)], [TO_N6, TO_SECOND_GNB]);
    let remove_pdr = vec![RemovePdr { pdr_id: PdrId(3), ..Default::default() }];
    bench.modify(seid, SessionModificationRequest { remove_pdr, ..Default::default() });
    assert_eq!(up(&mut bench, teid, UE), TO_N6);
    // Its peer is told.
    assert_eq!(up(&mut bench, second, UE), TO_GNB);
    let moved = Ipv4Addr::new(10, 45, 99, 99);
    let update = |mut pdr: CreatePdr| {
        pdr.pdi.ue_ip_addresses[0].ipv4 = Some(moved);
        UpdatePdr { pdr_id: pdr.pdr_id, pdi: Some(pdr.pdi), ..Default::default() }
    };
    let update_pdr = vec![update(uplink_pdr(1, 100, 1)), update(downlink_pdr(2, 100, 2))];
    bench.modify(seid, SessionModificationRequest { update_pdr, ..Default::default() });
    assert_eq!([up(&mut bench, teid, moved), down(&mut bench, moved)], [TO_N6, TO_SECOND_GNB]);
    assert!(matches!(down(&mut bench, UE), Verdict::Drop(_)));
}

#[test]
fn when_the_tunnel_moves_with_sndem_then_the_old_one_gets_an_end_marker() {
    let mut bench = Bench::new();
    let (seid, _) = bench.session();
    bench.modify(seid, move_to(7, Some(PfcpSmReqFlags::SNDEM)));
    assert_eq!(bench.end_markers.len(), 1);
    assert_eq!((bench.end_markers[0].teid, bench.end_markers[0].remote.end.address), (GNB_TEID, GNB.address));
    let (verdict, bytes) = bench.downlink(&udp(SERVER, UE, (1, 2), 60));
    assert_eq!(verdict, Verdict::ToAccess(Peer::gtpu([198, 51, 100, 2].into())));
    assert_eq!(bytes[4..8], [0, 0, 0, 7]);
    bench.modify(seid, move_to(8, None));
    assert_eq!(bench.end_markers.len(), 1);
}

#[test]
fn when_the_session_is_unknown_or_of_another_smf_then_cause_65() {
    let mut bench = Bench::new();
    let (seid, _) = bench.session();
    assert_eq!(bench.delete(seid ^ 1).cause, Cause::SESSION_CONTEXT_NOT_FOUND);
    let refused = bench.modify(seid ^ 1, SessionModificationRequest::default());
    assert_eq!(refused.cause, Cause::SESSION_CONTEXT_NOT_FOUND);
    bench.change_smf();
    assert_eq!(bench.delete(seid).cause, Cause::SESSION_CONTEXT_NOT_FOUND);
    assert_eq!(bench.core.session_count(), 1);
}

#[test]
fn when_the_smf_starts_again_then_its_sessions_are_removed() {
    let mut bench = Bench::new();
    bench.session();
    bench.restart_smf();
    assert_eq!((bench.core.session_count(), bench.core.teids.len()), (0, 0));
    assert_eq!(bench.downlink(&udp(SERVER, UE, (1, 2), 60)).0, Verdict::Drop(DropReason::UnknownUe));
    bench.session();
}

/// TS 29.244 §6.2.8: the sessions of an association end with it.
#[test]
fn when_the_smf_releases_the_association_then_its_sessions_are_removed() {
    let mut bench = Bench::new();
    bench.session();
    assert_eq!(bench.core.smfs(), ["127.0.0.17"]);
    bench.smf.release(bench.now, bench.upf_address());
    bench.settle();
    assert_eq!((bench.core.session_count(), bench.core.teids.len()), (0, 0));
    assert!(bench.core.smfs().is_empty());
    assert_eq!(bench.downlink(&udp(SERVER, UE, (1, 2), 60)).0, Verdict::Drop(DropReason::UnknownUe));
}

#[test]
fn when_the_smf_is_silent_then_sessions_stay_for_the_retention_time() {
    let mut bench = Bench::new();
    bench.session();
    // Its datagrams go nowhere.
    let silent = bench.smf_address;
    bench.smf_address = "127.0.0.200:8805".parse().expect("address");
    bench.pass(Duration::from_secs(300));
    assert_eq!(bench.core.session_count(), 1);
    bench.pass(Duration::from_secs(600));
    assert_eq!(bench.core.session_count(), 0);
    bench.smf_address = silent;
}

#[test]
fn when_there_are_too_many_sessions_then_cause_75() {
    let mut bench = Bench::with(|config| config.sessions_max = 2);
    for seid in 1..=2 {
        let cp_f_seid = FSeid::new(CP_SEID + seid, [127, 0, 0, 17].into());
        bench.ask(0, SessionEstablishmentRequest { cp_f_seid, ..establishment() });
    }
    assert_eq!(bench.establish(establishment()).cause, Cause::NO_RESOURCES_AVAILABLE);
    assert_eq!(bench.core.session_count(), 2);
}

#[test]
fn when_the_smf_uses_an_endpoint_again_then_the_old_session_is_replaced() {
    let mut bench = Bench::new();
    let (old, _) = bench.session();
    let (new, _) = bench.session();
    assert_ne!(old, new);
    assert_eq!((bench.core.session_count(), bench.core.teids.len()), (1, 1));
    assert_eq!(bench.downlink(&udp(SERVER, UE, (1, 2), 60)).0, TO_GNB);
}

#[test]
fn when_only_some_smfs_may_associate_then_others_are_refused() {
    let bench = Bench::with(|config| config.n4.smfs = vec![[192, 0, 2, 9].into()]);
    assert!(bench.core.smfs().is_empty());
}

#[test]
fn when_a_session_has_as_many_pdrs_as_may_be_then_each_is_kept_and_one_more_is_refused() {
    let mut bench = Bench::new();
    let (seid, teid) = bench.session();
    let pdrs = |range: std::ops::RangeInclusive<u16>| {
        let filter = |id| SdfFilter::flow(&format!("permit out 17 from any {id} to assigned"));
        let pdr = |id| {
            let mut pdr = downlink_pdr(id, u32::from(id), 2);
            pdr.pdi.sdf_filters = vec![filter(id)];
            pdr
        };
        SessionModificationRequest { create_pdr: range.map(pdr).collect(), ..Default::default() }
    };
    let last = PDRS_MAX as u16;
    for first in (3..=last).step_by(256) {
        let added = bench.modify(seid, pdrs(first..=last.min(first + 255)));
        assert_eq!(added.cause, Cause::REQUEST_ACCEPTED);
    }
    let refused = bench.modify(seid, pdrs(last + 1..=last + 1));
    assert_eq!(refused.cause, Cause::NO_RESOURCES_AVAILABLE);
    // Each still holds after the changes behind it.
    bench.modify(seid, forward_update(ApplyAction::DROP));
    for id in [3, 600, last] {
        let (verdict, _) = bench.downlink(&udp(SERVER, UE, (id, 1), 60));
        assert_eq!(verdict, Verdict::Drop(DropReason::FarDrop), "{id}");
    }
    assert_eq!(bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (1, 2), 60))).0, TO_N6);
    let session = bench.published.last().expect("published");
    assert_eq!(session.rules.uplink.all().len() + session.rules.downlink.all().len(), PDRS_MAX);
}

#[test]
fn when_the_rules_of_a_session_are_too_many_octets_then_one_more_is_refused_and_the_old_ones_stay() {
    let mut bench = Bench::new();
    let (seid, _) = bench.session();
    let vendor = RawIe { ie_type: 0x8001, value: vec![0; 60_000] };
    let add = |id| CreateFar { unknown: vec![vendor.clone()], ..far_to_n6(id) };
    let request = |id| SessionModificationRequest {
        create_far: vec![add(id)],
        ..SessionModificationRequest::default()
    };
    let fit = u32::try_from(OCTETS_MAX / 60_000).expect("few");
    for id in 10..10 + fit {
        assert_eq!(bench.modify(seid, request(id)).cause, Cause::REQUEST_ACCEPTED);
    }
    let published = bench.published.len();
    assert_eq!(bench.modify(seid, request(99)).cause, Cause::NO_RESOURCES_AVAILABLE);
    assert_eq!((bench.published.len(), bench.downlink(&udp(SERVER, UE, (1, 2), 60)).0), (published, TO_GNB));
    assert_eq!(bench.modify(seid, forward_update(ApplyAction::DROP)).cause, Cause::REQUEST_ACCEPTED);
}

#[test]
fn when_a_far_buffers_then_the_smf_is_told_once_and_the_packets_leave_later() {
    let mut bench = Bench::with(|config| config.buffer_packets_max = 2);
    let mut request = establishment();
    request.create_far[1].apply_action = ApplyAction::BUFF | ApplyAction::NOCP;
    let (seid, _) = bench.session_of(request);
    let packet = udp(SERVER, UE, (1, 2), 60);
    assert_eq!(bench.downlink(&packet).0, Verdict::Buffered);
    assert_eq!(bench.downlink(&packet).0, Verdict::Buffered);
    assert_eq!(bench.downlink(&packet).0, Verdict::Drop(DropReason::BufferFull));
    assert_eq!(bench.reports.len(), 1);
    assert_eq!(bench.reports[0].report_type, ReportType::DLDR);
    let report = bench.reports[0].downlink_data_report.as_ref().expect("downlink data");
    assert_eq!(report.pdr_ids, [PdrId(2)]);
    assert_eq!(report.service_information[0].qfi, Some(9));
    bench.modify(seid, forward_update(ApplyAction::FORW));
    let session = bench.published.last().expect("published").clone();
    assert!(!session.buffers());
    assert_eq!(session.state.take().len(), 2);
    bench.modify(seid, forward_update(ApplyAction::BUFF | ApplyAction::NOCP));
    bench.downlink(&packet);
    assert_eq!(bench.reports.len(), 2);
}

fn volume(report: &UsageReport) -> (u64, u64, u64) {
    let volume = report.volume.expect("volume");
    let part = |part: Option<u64>| part.expect("measured");
    (part(volume.total), part(volume.uplink), part(volume.downlink))
}

#[test]
fn when_a_volume_threshold_is_reached_then_usage_is_reported_and_counting_begins_again() {
    let mut bench = Bench::new();
    let mut request = establishment();
    request.create_urr[0].reporting_triggers = ReportingTriggers::VOLTH;
    request.create_urr[0].volume_threshold = Some(Volume { total: Some(250), ..Volume::default() });
    let (seid, teid) = bench.session_of(request);
    bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (1, 2), 100)));
    bench.downlink(&udp(SERVER, UE, (1, 2), 100));
    assert!(bench.reports.is_empty());
    bench.downlink(&udp(SERVER, UE, (1, 2), 100));
    let usage = &bench.reports[0].usage_report[0];
    assert_eq!((usage.trigger, usage.ur_seqn), (UsageReportTrigger::VOLTH, UrSeqn(0)));
    assert_eq!(volume(usage), (300, 100, 200));
    for _ in 0..3 {
        bench.downlink(&udp(SERVER, UE, (1, 2), 100));
    }
    assert_eq!(bench.reports.len(), 2);
    assert_eq!(volume(&bench.reports[1].usage_report[0]), (300, 0, 300));
    assert_eq!(bench.reports[1].usage_report[0].ur_seqn, UrSeqn(1));
    // The rest is told at the end.
    bench.downlink(&udp(SERVER, UE, (1, 2), 60));
    let response = bench.delete(seid);
    assert_eq!(response.usage_report[0].trigger, UsageReportTrigger::TERMR);
    assert_eq!(volume(&response.usage_report[0]), (60, 0, 60));
}

#[test]
fn when_a_quota_is_used_up_then_it_is_reported_once_and_nothing_passes_until_there_is_more() {
    let mut bench = Bench::new();
    let mut request = establishment();
    request.create_urr[0].reporting_triggers = ReportingTriggers::VOLQU;
    let quota = |octets| Some(Volume { downlink: Some(octets), ..Volume::default() });
    request.create_urr[0].volume_quota = quota(200);
    let (seid, _) = bench.session_of(request);
    let packet = udp(SERVER, UE, (1, 2), 100);
    assert_eq!([bench.downlink(&packet).0, bench.downlink(&packet).0], [TO_GNB; 2]);
    assert_eq!(bench.downlink(&packet).0, Verdict::Drop(DropReason::QuotaExhausted));
    assert_eq!(bench.reports.len(), 1);
    assert_eq!(bench.reports[0].usage_report[0].trigger, UsageReportTrigger::VOLQU);
    let more = SessionModificationRequest {
        update_urr: vec![UpdateUrr { urr_id: UrrId(1), volume_quota: quota(150), ..Default::default() }],
        ..Default::default()
    };
    bench.modify(seid, more);
    assert_eq!(bench.downlink(&packet).0, TO_GNB);
}

#[test]
fn when_usage_is_asked_for_or_its_rule_removed_then_the_answer_reports_it() {
    let mut bench = Bench::new();
    let (seid, _) = bench.session();
    bench.downlink(&udp(SERVER, UE, (1, 2), 100));
    let query = SessionModificationRequest {
        query_urr: vec![QueryUrr { urr_id: UrrId(1), ..Default::default() }],
        ..Default::default()
    };
    let response = bench.modify(seid, query);
    assert_eq!(response.usage_report[0].trigger, UsageReportTrigger::IMMER);
    assert_eq!(volume(&response.usage_report[0]), (100, 0, 100));
    let all = SessionModificationRequest { flags: Some(PfcpSmReqFlags::QAURR), ..Default::default() };
    assert_eq!(volume(&bench.modify(seid, all).usage_report[0]), (0, 0, 0));
    let remove = SessionModificationRequest {
        remove_urr: vec![RemoveUrr { urr_id: UrrId(1), ..Default::default() }],
        remove_pdr: vec![RemovePdr { pdr_id: PdrId(2), ..Default::default() }],
        create_urr: vec![volume_urr(2)],
        update_pdr: vec![UpdatePdr { pdr_id: PdrId(1), urr_ids: vec![UrrId(2)], ..Default::default() }],
        ..Default::default()
    };
    let response = bench.modify(seid, remove);
    assert_eq!(response.cause, Cause::REQUEST_ACCEPTED);
    assert_eq!(response.usage_report[0].trigger, UsageReportTrigger::TERMR);
}

#[test]
fn when_time_passes_then_periodic_and_time_threshold_reports_are_made() {
    let mut bench = Bench::new();
    let mut request = establishment();
    let urr = &mut request.create_urr[0];
    urr.measurement_method = MeasurementMethod::VOLUM | MeasurementMethod::DURAT;
    urr.reporting_triggers = ReportingTriggers::PERIO;
    urr.measurement_period = Some(Seconds(60));
    bench.session_of(request);
    bench.pass(Duration::from_secs(185));
    assert_eq!(bench.reports.len(), 3);
    let usage = &bench.reports[2].usage_report[0];
    assert_eq!((usage.trigger, usage.duration), (UsageReportTrigger::PERIO, Some(DurationMeasurement(60))));
}

#[test]
fn when_nothing_passes_for_the_inactivity_time_then_it_is_reported() {
    let mut bench = Bench::new();
    let timer = Some(UserPlaneInactivityTimer(30));
    bench.session_of(SessionEstablishmentRequest { user_plane_inactivity_timer: timer, ..establishment() });
    bench.pass(Duration::from_secs(20));
    bench.downlink(&udp(SERVER, UE, (1, 2), 60));
    bench.pass(Duration::from_secs(29));
    assert!(bench.reports.is_empty());
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.reports[0].report_type, ReportType::UPIR);
}

#[test]
fn when_the_gnb_does_not_know_the_tunnel_then_the_smf_is_told() {
    let mut bench = Bench::new();
    bench.session();
    let mut bytes = [0; 40];
    for teid in [GNB_TEID ^ 1, GNB_TEID] {
        let length = tern_gtpu::error_indication(teid, GNB_ADDRESS.into(), None, &mut bytes);
        bench.uplink(&bytes[..length]);
    }
    assert_eq!(bench.reports.len(), 1);
    let report = bench.reports[0].error_indication_report.as_ref().expect("error indication");
    assert_eq!(report.remote_f_teids, [FTeid::assigned_v4(GNB_TEID, GNB_ADDRESS)]);
}

#[test]
fn when_the_smf_does_not_know_a_reported_session_then_it_is_removed() {
    let mut bench = Bench::new();
    bench.report_cause = Cause::SESSION_CONTEXT_NOT_FOUND;
    let mut request = establishment();
    request.create_far[1].apply_action = ApplyAction::BUFF | ApplyAction::NOCP;
    bench.session_of(request);
    bench.downlink(&udp(SERVER, UE, (1, 2), 60));
    assert_eq!(bench.core.session_count(), 0);
}

#[test]
fn when_a_mandatory_ie_is_missing_then_the_refusal_goes_to_the_sessions_endpoint() {
    let mut bench = Bench::new();
    let mut request = establishment();
    request.create_far.clear();
    let response = bench.establish(request);
    assert_eq!((response.cause, response.offending_ie), (Cause::MANDATORY_IE_MISSING, Some(OffendingIe(3))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_datagrams_leave_a_upf_that_works(
        datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 0..20),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut bench = Bench::new();
        for datagram in datagrams {
            bench.core.handle_datagram(bench.now, bench.smf_address, &datagram);
        }
        let mut bytes = Frame::session(0, 99, establishment().into()).encode().expect("encodes");
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bench.core.handle_datagram(bench.now, bench.smf_address, &bytes);
        bench.settle();
        let (_, teid) = bench.session();
        let packet = udp(UE, SERVER, (1, 2), 60);
        prop_assert_eq!(bench.uplink(&gtpu(teid, Some(9), &packet)).0, TO_N6);
    }
}
