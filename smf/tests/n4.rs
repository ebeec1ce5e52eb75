//! Reports, restarts and several UPFs.

use tern_pfcp::{Cause, PfcpSrReqFlags, ReportType, SessionReportRequest, UsageReport, VolumeMeasurement};
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
