//! A UPF that comes again without its sessions: TS 23.527 §4.3.2.

use tern_pfcp::{
    ApplyAction, Cause, FSeid, FTeid, Message, NodeId, PfcpSeReqFlags, ReportType,
    SessionEstablishmentRequest, SessionEstablishmentResponse, SessionReportRequest,
};
use tern_sbi::namf_comm::N1N2MessageTransfer;
use tern_sbi::nsmf_pdusession::{SmContextUpdateData, UpCnxState};
use tern_smf::{Config, Input, Report, Token};
use tern_types::Duration;

use crate::bench::*;

pub fn restarted(bench: &mut Bench) {
    bench.input(Input::UpfRestarted(upf()));
    bench.input(Input::UpfDown(upf()));
    bench.nothing();
    bench.input(Input::UpfUp(upf()));
}

/// The next output must be a request that restores a session.
fn restores(bench: &mut Bench) -> (Token, SessionEstablishmentRequest) {
    let (token, seid, message) = bench.n4();
    let Message::SessionEstablishmentRequest(request) = message else { panic!("{message:?}") };
    assert_eq!((seid, request.flags), (0, Some(PfcpSeReqFlags::RESTI)));
    (token, request)
}

fn answer(bench: &mut Bench, token: Token, cause: Cause) {
    let response = SessionEstablishmentResponse {
        node_id: NodeId::Address(upf().ip()),
        cause,
        up_f_seid: cause.is_accepted().then(|| FSeid::new(UP_SEID, upf().ip())),
        ..Default::default()
    };
    bench.input(Input::N4(token, Some(response.into())));
}

fn downlink_action(request: &SessionEstablishmentRequest) -> (ApplyAction, Option<u32>) {
    let far = &request.create_far[1];
    let header = far.forwarding_parameters.as_ref().and_then(|to| to.outer_header_creation);
    (far.apply_action, header.and_then(|header| header.teid))
}

#[test]
fn when_a_upf_restarts_then_its_sessions_are_restored_with_their_tunnels_and_nobody_is_told() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    restarted(&mut bench);
    let (token, request) = restores(&mut bench);
    assert_eq!(request.cp_f_seid.seid, u64::from_str_radix(&reference, 16).unwrap());
    assert_eq!(request.create_pdr[0].pdi.f_teid, Some(FTeid::assigned_v4(UPLINK.teid, UPLINK.ipv4.unwrap())));
    assert_eq!(downlink_action(&request), (ApplyAction::FORW, Some(DOWNLINK.teid)));
    answer(&mut bench, token, Cause::REQUEST_ACCEPTED);
    bench.nothing();
    assert_eq!(bench.smf.deadline(), None);
    // It is the session that it was.
    let released = bench.send_n1(&reference, n1(tern_nas::nas_5gs::NasPduSessionReleaseRequest::new(), 1, 9));
    assert!(bench.updated(released).unwrap().body.n1_sm_msg.is_some());
    bench.deleted();
}

#[test]
fn when_many_sessions_are_lost_then_so_many_are_restored_at_a_time_and_connected_ones_first() {
    let mut config = config();
    config.limits.restorations_max = 2;
    let mut bench = Bench::with(config);
    let references: Vec<String> = (1..=4).map(|id| bench.establish(id)).collect();
    let idle = SmContextUpdateData { up_cnx_state: Some(UpCnxState::Deactivated), ..Default::default() };
    let token = bench.update(&references[0], idle, None, None);
    bench.modified();
    bench.updated(token).unwrap();
    restarted(&mut bench);
    let mut waiting = vec![restores(&mut bench), restores(&mut bench)];
    bench.nothing();
    let mut actions = Vec::new();
    while let Some((token, request)) = waiting.pop() {
        actions.push(downlink_action(&request).0);
        answer(&mut bench, token, Cause::REQUEST_ACCEPTED);
        if actions.len() + waiting.len() < 4 {
            waiting.insert(0, restores(&mut bench));
        }
    }
    bench.nothing();
    assert_eq!(actions.pop(), Some(ApplyAction::BUFF | ApplyAction::NOCP), "the idle one is the last");
    assert_eq!(actions, [ApplyAction::FORW; 3]);
}

#[test]
fn when_a_upf_refuses_to_restore_then_the_ue_is_told_to_come_again() {
    let mut bench = Bench::new();
    bench.establish(1);
    restarted(&mut bench);
    let (token, _) = restores(&mut bench);
    answer(&mut bench, token, Cause::INVALID_F_TEID_ALLOCATION_OPTION);
    let (_, operation) = bench.expect::<N1N2MessageTransfer>();
    let (_, _, message) = read_n1(&operation.n1_sm_msg.unwrap());
    let tern_nas::nas_5gs::Nas5gsmMessage::PduSessionReleaseCommand(command) = message else {
        panic!("{message:?}")
    };
    assert_eq!(command.fgsm_cause.value, 39);
    bench.nothing();
}

#[test]
fn when_a_upf_restarts_while_it_restores_then_it_is_begun_anew() {
    let mut bench = Bench::new();
    bench.establish(1);
    restarted(&mut bench);
    let (first, _) = restores(&mut bench);
    restarted(&mut bench);
    let (second, _) = restores(&mut bench);
    // The first one's request was given up with the association.
    bench.input(Input::N4(first, None));
    bench.nothing();
    answer(&mut bench, second, Cause::REQUEST_ACCEPTED);
    bench.nothing();
    assert_eq!(bench.smf.deadline(), None);
}

#[test]
fn when_no_answer_comes_then_the_upf_is_asked_again_and_at_last_the_ue_told() {
    let mut bench = Bench::new();
    bench.establish(1);
    restarted(&mut bench);
    let (token, _) = restores(&mut bench);
    bench.input(Input::N4(token, None));
    bench.nothing();
    bench.pass(Duration::from_secs(1));
    let (token, _) = restores(&mut bench);
    bench.input(Input::UpfDown(upf()));
    bench.input(Input::N4(token, None));
    bench.pass(Duration::from_secs(Config::default().timers.upf_return_s));
    let (_, operation) = bench.expect::<N1N2MessageTransfer>();
    assert!(operation.n1_sm_msg.is_some());
}

#[test]
fn when_a_upf_is_gone_for_long_then_its_sessions_are_released() {
    let mut bench = Bench::new();
    bench.establish(1);
    bench.input(Input::UpfDown(upf()));
    bench.pass(Duration::from_secs(9));
    bench.nothing();
    bench.pass(Duration::from_secs(1));
    let (_, operation) = bench.expect::<N1N2MessageTransfer>();
    assert!(operation.n1_sm_msg.is_some());
}

#[test]
fn when_the_upf_restarts_during_an_establishment_then_it_is_finished_there() {
    let mut bench = Bench::new();
    let token = bench.create(1);
    bench.subscribe(sm_data(subscription()));
    let reference = bench.context_ref(token);
    bench.police(Default::default());
    let (lost, _, _) = bench.n4();
    restarted(&mut bench);
    bench.input(Input::N4(lost, None));
    // The UPF never had it: it allocates a tunnel as at first.
    assert_eq!(bench.install().flags, None);
    bench.transfer();
    bench.register();
    // It restarts once more before the gNB answers, and the gNB answers before it is back.
    bench.input(Input::UpfRestarted(upf()));
    bench.input(Input::UpfDown(upf()));
    let answered = bench.setup_response(&reference);
    bench.nothing();
    bench.input(Input::UpfUp(upf()));
    let (token, _) = restores(&mut bench);
    answer(&mut bench, token, Cause::REQUEST_ACCEPTED);
    let activation = bench.modified();
    assert_eq!(activation.update_far[0].apply_action, Some(ApplyAction::FORW));
    assert_eq!(bench.updated(answered).unwrap().status, 200);
    bench.nothing();
}

#[test]
fn when_the_ue_goes_idle_while_its_session_is_restored_then_the_upf_hears_of_it_behind() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    restarted(&mut bench);
    let (token, request) = restores(&mut bench);
    assert_eq!(downlink_action(&request).0, ApplyAction::FORW);
    let idle = SmContextUpdateData { up_cnx_state: Some(UpCnxState::Deactivated), ..Default::default() };
    let update = bench.update(&reference, idle, None, None);
    bench.nothing();
    answer(&mut bench, token, Cause::REQUEST_ACCEPTED);
    let change = bench.modified();
    assert_eq!(change.update_far[0].apply_action, Some(ApplyAction::BUFF | ApplyAction::NOCP));
    assert_eq!(bench.updated(update).unwrap().status, 200);
}

#[test]
fn when_a_session_is_released_while_it_is_restored_then_the_upf_does_not_keep_it() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    restarted(&mut bench);
    let (token, _) = restores(&mut bench);
    let operation = tern_sbi::nsmf_pdusession::ReleaseSmContext {
        sm_context_ref: reference,
        data: Default::default(),
        n1_sm_msg: None,
        n2_sm_info: None,
    };
    let released = bench.request(tern_smf::SmfRequest::Release(operation));
    bench.answered::<tern_sbi::nsmf_pdusession::ReleaseSmContext>(released).unwrap();
    bench.nothing();
    answer(&mut bench, token, Cause::REQUEST_ACCEPTED);
    bench.deleted();
}

#[test]
fn when_a_session_reports_before_its_restoration_is_answered_then_the_report_is_taken() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    restarted(&mut bench);
    let _ = restores(&mut bench);
    let message = SessionReportRequest { report_type: ReportType::DLDR, ..Default::default() };
    let seid = u64::from_str_radix(&reference, 16).unwrap();
    bench.input(Input::Report(Token(1), Report { from: upf(), seid, message }));
    assert_eq!(bench.answer4(Token(1)), (0, Cause::REQUEST_ACCEPTED));
}
