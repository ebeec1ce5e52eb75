//! Reports, restarts and several UPFs.

use tern_nas::nas_5gs::Nas5gsmMessage;
use tern_pfcp::{
    Cause, CreatedPdr, DownlinkDataReport, ErrorIndicationReport, FSeid, FTeid, Fault, Frame, Message,
    NodeId, PdrId, PfcpSrReqFlags, ReportType, SessionDeletionResponse, SessionEstablishmentResponse,
    SessionModificationResponse, SessionReportRequest, SessionReportResponse, UsageReport, VolumeMeasurement,
};
use tern_sbi::namf_comm::N1N2MessageTransfer;
use tern_smf::{Input, Output, Report, Token};

use crate::bench::*;

#[test]
fn when_usage_is_reported_then_it_adds_up() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let seid = u64::from_str_radix(&reference, 16).unwrap();
    for _ in 0..2 {
        let volume = VolumeMeasurement { uplink: Some(100), downlink: Some(2000), ..Default::default() };
        let usage = UsageReport { volume: Some(volume), ..Default::default() };
        let message = SessionReportRequest {
            report_type: ReportType::USAR,
            usage_report: vec![usage],
            ..Default::default()
        };
        bench.input(Input::Report(Token(1), Report { from: upf(), seid, message }));
        assert_eq!(bench.answer4(Token(1)), (UP_SEID, Cause::REQUEST_ACCEPTED));
    }
    let usage = bench.smf.contexts().next().unwrap().session.usage;
    assert_eq!((usage.uplink, usage.downlink), (200, 4000));
    bench.nothing();
}

#[test]
fn when_a_report_is_about_no_session_of_that_upf_then_it_is_refused() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let seid = u64::from_str_radix(&reference, 16).unwrap();
    let other = std::net::SocketAddr::from(([9, 9, 9, 9], 8805));
    for (from, seid) in [(upf(), 12345), (upf(), 0), (other, seid)] {
        bench.input(Input::Report(Token(1), Report { from, seid, message: SessionReportRequest::default() }));
        assert_eq!(bench.answer4(Token(1)), (0, Cause::SESSION_CONTEXT_NOT_FOUND));
    }
    bench.nothing();
}

#[test]
fn when_the_upf_deletes_a_session_then_it_is_released_toward_the_ue() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let seid = u64::from_str_radix(&reference, 16).unwrap();
    let message = SessionReportRequest { flags: Some(PfcpSrReqFlags::PSDBU), ..Default::default() };
    bench.input(Input::Report(Token(1), Report { from: upf(), seid, message }));
    bench.answer4(Token(1));
    let (_, operation) = bench.expect::<N1N2MessageTransfer>();
    assert!(operation.n1_sm_msg.is_some());
    bench.nothing();
}

#[test]
fn when_the_association_is_released_then_every_session_is_released_and_new_ones_are_served() {
    let mut bench = Bench::new();
    for id in 1..=3 {
        bench.establish(id);
    }
    // One is still being established.
    let token = bench.create(4);
    bench.subscribe(sm_data(subscription()));
    bench.context_ref(token);
    bench.police(Default::default());
    let _ = bench.n4();
    bench.input(Input::UpfReleased(upf()));
    // Each UE is told, in the order of the references: three to release, one rejected.
    let told: Vec<bool> =
        bench.transfers_of_all().iter().map(|operation| operation.n2_sm_info.is_some()).collect();
    assert_eq!((told.len(), told.iter().filter(|release| **release).count()), (4, 3));
    bench.input(Input::UpfUp(upf()));
    bench.establish(5);
}

#[test]
fn when_a_upf_is_discovered_then_an_association_is_asked_for() {
    let mut bench = Bench::new();
    let endpoint = std::net::SocketAddr::from(([127, 0, 0, 99], 8805));
    let profile = tern_smf::upf::UpfProfile { endpoint, serves: Vec::new() };
    let outputs = bench.smf.handle(bench.now, Input::Discovered(vec![profile.clone()]));
    assert!(matches!(outputs[..], [Output::Associate(to)] if to == endpoint));
    assert!(bench.smf.handle(bench.now, Input::Discovered(vec![profile])).is_empty());
}

/// An acceptance that leaves out what a session needs is none; what the UPF has of it is taken back.
#[test]
fn when_the_upf_accepts_without_endpoint_or_tunnel_then_the_session_is_refused_and_deleted_there() {
    let created = |f_teid| vec![CreatedPdr { pdr_id: PdrId(1), f_teid, ..Default::default() }];
    let endpoint = Some(FSeid::new(UP_SEID, upf().ip()));
    for (up_f_seid, created_pdr) in [
        (None, created(Some(FTeid::assigned_v4(7, [10, 0, 0, 18].into())))),
        (endpoint, Vec::new()),
        (endpoint, created(None)),
        (endpoint, created(Some(FTeid::default()))),
    ] {
        let mut bench = Bench::new();
        let token = bench.create(1);
        bench.subscribe(sm_data(subscription()));
        bench.context_ref(token);
        bench.police(Default::default());
        let response = SessionEstablishmentResponse {
            node_id: NodeId::Address(upf().ip()),
            cause: Cause::REQUEST_ACCEPTED,
            up_f_seid,
            created_pdr,
            ..Default::default()
        };
        bench.answer_n4(Some(response.into()));
        let (_, operation) = bench.expect::<N1N2MessageTransfer>();
        let (_, _, message) = read_n1(&operation.n1_sm_msg.unwrap());
        assert!(matches!(message, Nas5gsmMessage::PduSessionEstablishmentReject(_)), "{message:?}");
        if up_f_seid.is_some() {
            let (_, seid, message) = bench.n4();
            assert_eq!((seid, matches!(message, Message::SessionDeletionRequest(_))), (UP_SEID, true));
        }
        bench.nothing();
        bench.establish(2);
    }
}

#[test]
fn when_the_upf_answers_with_another_message_then_it_is_no_answer() {
    let cause = Cause::REQUEST_ACCEPTED;
    for answer in [
        None,
        Some(SessionModificationResponse { cause, ..Default::default() }.into()),
        Some(SessionDeletionResponse { cause, ..Default::default() }.into()),
        Some(SessionReportResponse { cause, ..Default::default() }.into()),
    ] {
        let mut bench = Bench::new();
        let token = bench.create(1);
        bench.subscribe(sm_data(subscription()));
        bench.context_ref(token);
        bench.police(Default::default());
        bench.answer_n4(answer);
        let (_, operation) = bench.expect::<N1N2MessageTransfer>();
        let (_, _, message) = read_n1(&operation.n1_sm_msg.unwrap());
        assert!(matches!(message, Nas5gsmMessage::PduSessionEstablishmentReject(_)), "{message:?}");
        bench.nothing();
        bench.establish(2);
    }
}

/// What a report says it has may be absent, empty, or of rules that there are not.
#[test]
fn when_a_report_lacks_what_its_type_says_then_it_is_accepted_and_the_session_goes_on() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let seid = u64::from_str_radix(&reference, 16).unwrap();
    let foreign = ErrorIndicationReport { remote_f_teids: Vec::new(), ..Default::default() };
    for message in [
        SessionReportRequest { report_type: ReportType::USAR, ..Default::default() },
        SessionReportRequest { report_type: ReportType::UPIR, ..Default::default() },
        SessionReportRequest { report_type: ReportType::default(), ..Default::default() },
        SessionReportRequest {
            report_type: ReportType::USAR,
            usage_report: vec![UsageReport::default(); 3],
            downlink_data_report: Some(DownlinkDataReport::default()),
            error_indication_report: Some(foreign),
            ..Default::default()
        },
    ] {
        bench.input(Input::Report(Token(1), Report { from: upf(), seid, message }));
        assert_eq!(bench.answer4(Token(1)), (UP_SEID, Cause::REQUEST_ACCEPTED));
        bench.nothing();
    }
    let usage = bench.smf.contexts().next().unwrap().session.usage;
    assert_eq!((usage.uplink, usage.downlink), (0, 0));
    bench.establish(2);
}

#[test]
fn when_downlink_data_is_reported_without_its_report_then_an_active_session_goes_on() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let seid = u64::from_str_radix(&reference, 16).unwrap();
    let message = SessionReportRequest { report_type: ReportType::DLDR, ..Default::default() };
    bench.input(Input::Report(Token(1), Report { from: upf(), seid, message }));
    assert_eq!(bench.answer4(Token(1)), (UP_SEID, Cause::REQUEST_ACCEPTED));
    bench.ignore();
    bench.establish(2);
}

#[test]
fn when_usage_is_reported_beyond_all_bounds_then_it_stays_at_the_highest() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let seid = u64::from_str_radix(&reference, 16).unwrap();
    let volume = VolumeMeasurement { uplink: Some(u64::MAX), downlink: Some(u64::MAX), ..Default::default() };
    let usage = UsageReport { volume: Some(volume), ..Default::default() };
    let report_type = ReportType::USAR;
    let message =
        SessionReportRequest { report_type, usage_report: vec![usage.clone(), usage], ..Default::default() };
    bench.input(Input::Report(Token(1), Report { from: upf(), seid, message }));
    assert_eq!(bench.answer4(Token(1)), (UP_SEID, Cause::REQUEST_ACCEPTED));
    let usage = bench.smf.contexts().next().unwrap().session.usage;
    assert_eq!((usage.uplink, usage.downlink), (u64::MAX, u64::MAX));
}

/// A message of this type to the SMF's session, with these IEs.
fn octets(kind: u8, ies: &[u8]) -> Vec<u8> {
    let header = [0x21, kind, 0, 12 + ies.len() as u8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0];
    [&header[..], ies].concat()
}

/// TS 29.244 §7.6.4: what reaches the SMF's core has its mandatory IEs.
#[test]
fn when_a_message_of_the_upf_lacks_a_mandatory_ie_then_it_is_not_understood() {
    let (node, cause, usar) = ([0, 60, 0, 5, 0, 127, 0, 0, 18], [0, 19, 0, 1, 1], [0, 39, 0, 1, 2]);
    let usage = |ies: &[u8]| [&usar[..], &[0, 80, 0, ies.len() as u8], ies].concat();
    let (urr, seqn) = ([0, 81, 0, 4, 0, 0, 0, 1], [0, 104, 0, 4, 0, 0, 0, 1]);
    for (kind, ies, missing) in [
        (51, node.to_vec(), 19),
        (51, cause.to_vec(), 60),
        (53, Vec::new(), 19),
        (55, Vec::new(), 19),
        (56, Vec::new(), 39),
        (56, usage(&[]), 81),
        (56, usage(&urr), 104),
        (56, usage(&[urr, seqn].concat()), 63),
    ] {
        let error = Frame::decode(&octets(kind, &ies)).unwrap_err();
        assert_eq!((error.fault, error.ie_type), (Fault::MandatoryMissing, missing), "{kind}");
        assert_eq!(error.cause(), Cause::MANDATORY_IE_MISSING);
    }
}
