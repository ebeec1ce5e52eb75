//! User-plane connection: TS 23.502 §4.2.3.2, §4.2.3.3, §4.2.6.

use tern_ngap::transfer::SetupRequest;
use tern_pfcp::{ApplyAction, Cause, DownlinkDataReport, Message, ReportType, SessionReportRequest};
use tern_sbi::namf_comm::{N1N2MessageTransfer, N1N2MessageTransferError};
use tern_sbi::npcf_sm::{SmPolicyAssociationReleaseCause, SmPolicyTerminateNotify, TerminationNotification};
use tern_sbi::nsmf_pdusession::{N2SmInfoType, SmContextUpdateData, UpCnxState};
use tern_sbi::{OperationError, ProblemDetails};
use tern_smf::{Input, Report, SmfRequest, Token};
use tern_types::Duration;

use crate::bench::*;

fn set(bench: &mut Bench, reference: &str, state: UpCnxState) -> Token {
    let data = SmContextUpdateData { up_cnx_state: Some(state), ..SmContextUpdateData::default() };
    bench.update(reference, data, None, None)
}

fn deactivate(bench: &mut Bench, reference: &str) {
    let answer = set(bench, reference, UpCnxState::Deactivated);
    let change = bench.modified();
    assert_eq!(change.update_far[0].apply_action, Some(ApplyAction::BUFF | ApplyAction::NOCP));
    let updated = bench.updated(answer).unwrap();
    assert_eq!(updated.body.data.up_cnx_state, Some(UpCnxState::Deactivated));
    bench.nothing();
}

pub fn report(bench: &mut Bench, reference: &str, kind: ReportType) -> Token {
    let seid = u64::from_str_radix(reference, 16).unwrap();
    let downlink_data_report = Some(DownlinkDataReport::default());
    let message = SessionReportRequest { report_type: kind, downlink_data_report, ..Default::default() };
    let token = Token(555);
    bench.input(Input::Report(token, Report { from: upf(), seid, message }));
    token
}

#[test]
fn when_the_connection_is_deactivated_then_it_can_be_activated_again() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    deactivate(&mut bench, &reference);
    let answer = set(&mut bench, &reference, UpCnxState::Activating);
    let updated = bench.updated(answer).unwrap().body;
    assert_eq!(updated.data.up_cnx_state, Some(UpCnxState::Activating));
    assert_eq!(updated.data.n2_sm_info_type, Some(N2SmInfoType::PduResSetupReq));
    assert_eq!(SetupRequest::decode(&updated.n2_sm_info.unwrap()).unwrap().uplink, UPLINK);
    let answer = bench.setup_response(&reference);
    assert_eq!(bench.modified().update_far[0].apply_action, Some(ApplyAction::FORW));
    assert_eq!(bench.updated(answer).unwrap().body.data.up_cnx_state, Some(UpCnxState::Activated));
}

#[test]
fn when_the_gnb_releases_or_fails_the_resources_then_the_connection_is_down() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let answer = bench.send_n2(&reference, N2SmInfoType::PduResNtyRel, bytes::Bytes::new());
    bench.modified();
    assert!(bench.updated(answer).is_ok());
    let answer = set(&mut bench, &reference, UpCnxState::Activating);
    bench.updated(answer).unwrap();
    let answer = bench.send_n2(&reference, N2SmInfoType::PduResSetupFail, bytes::Bytes::new());
    assert_eq!(bench.updated(answer).unwrap().body.data.up_cnx_state, Some(UpCnxState::Deactivated));
    // Garbage in place of a transfer.
    let answer =
        bench.send_n2(&reference, N2SmInfoType::PduResSetupRsp, bytes::Bytes::from_static(&[0xff; 3]));
    assert_eq!(bench.updated(answer).unwrap_err().problem().unwrap().cause.as_deref(), Some("N2_SM_ERROR"));
    let answer = bench.send_n2(&reference, N2SmInfoType::HandoverRequired, bytes::Bytes::new());
    assert_eq!(bench.updated(answer).unwrap_err().status(), Some(403));
    bench.nothing();
}

#[test]
fn when_downlink_packets_wait_then_the_amf_is_asked_once() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    deactivate(&mut bench, &reference);
    let token = report(&mut bench, &reference, ReportType::DLDR);
    assert_eq!(bench.answer4(token), (UP_SEID, Cause::REQUEST_ACCEPTED));
    let (transfer, operation) = bench.expect::<N1N2MessageTransfer>();
    assert!(operation.n1_sm_msg.is_none() && operation.n2_sm_info.is_some());
    let token = report(&mut bench, &reference, ReportType::DLDR);
    bench.answer4(token);
    bench.nothing();
    // The UE is not reached: what waits is dropped, and what comes for a while; then a packet asks again.
    let error = N1N2MessageTransferError::new(ProblemDetails::new(504, "UE_NOT_REACHABLE"));
    bench.reply::<N1N2MessageTransfer>(transfer, Err(OperationError::Refused { status: 504, body: error }));
    assert_eq!(bench.modified().update_far[0].apply_action, Some(ApplyAction::DROP));
    bench.pass(Duration::from_secs(10));
    assert_eq!(bench.modified().update_far[0].apply_action, Some(ApplyAction::BUFF | ApplyAction::NOCP));
    let token = report(&mut bench, &reference, ReportType::DLDR);
    bench.answer4(token);
    bench.transfer();
    let answer = bench.setup_response(&reference);
    bench.modified();
    assert!(bench.updated(answer).is_ok());
}

#[test]
fn when_the_gnb_lost_the_tunnel_then_packets_are_buffered_until_it_is_back() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let token = report(&mut bench, &reference, ReportType::ERIR);
    bench.answer4(token);
    assert_eq!(bench.modified().update_far[0].apply_action, Some(ApplyAction::BUFF | ApplyAction::NOCP));
    let token = report(&mut bench, &reference, ReportType::DLDR);
    bench.answer4(token);
    bench.transfer();
    bench.nothing();
}

#[test]
fn when_the_upf_fails_a_change_then_the_session_is_released() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let answer = set(&mut bench, &reference, UpCnxState::Deactivated);
    let (n4, _, message) = bench.n4();
    assert!(matches!(message, Message::SessionModificationRequest(_)));
    bench.input(Input::N4(n4, None));
    assert_eq!(bench.updated(answer).unwrap_err().status(), Some(504));
    let transfer = bench.transfer();
    assert!(transfer.n1_sm_msg.is_some());
}

#[test]
fn when_the_gnb_moves_its_end_of_the_tunnel_then_the_upf_follows_and_it_is_confirmed() {
    use tern_ngap::ngap::*;
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let new = tern_ngap::transfer::GtpTunnel { teid: 0x3003, ..DOWNLINK };
    let flows = AssociatedQosFlowList(vec![AssociatedQosFlowItem::new(QosFlowIdentifier(1), None, None)]);
    let tunnel = QosFlowPerTNLInformation::new(new.to_ie(), flows, None);
    let transfer = PDUSessionResourceModifyIndicationTransfer::new(tunnel, None, None);
    let octets = bytes::Bytes::from(encode_open_type(&transfer).unwrap().to_vec());
    let answer = bench.send_n2(&reference, N2SmInfoType::PduResModInd, octets);
    let change = bench.modified();
    let parameters = change.update_far[0].update_forwarding_parameters.as_ref().unwrap();
    assert_eq!(parameters.outer_header_creation.unwrap().teid, Some(0x3003));
    let updated = bench.updated(answer).unwrap().body;
    assert_eq!(updated.data.n2_sm_info_type, Some(N2SmInfoType::PduResModCfm));
    let octets = updated.n2_sm_info.unwrap();
    let confirm: PDUSessionResourceModifyConfirmTransfer<'_> = decode_open_type(&octets).unwrap();
    assert_eq!(confirm.qos_flow_modify_confirm_list.0.len(), 1);
    let answer = bench.send_n2(&reference, N2SmInfoType::PduResModInd, bytes::Bytes::from_static(&[1]));
    assert_eq!(bench.updated(answer).unwrap_err().status(), Some(403));
}

/// The AMF pages, in vain: how the SMF hears of it.
fn page_failed(bench: &mut Bench, reference: &str) {
    use tern_sbi::namf_comm::*;
    let path = N1N2TransferFailureNotify::callback_path(reference);
    let notification = N1N2MsgTxfrFailureNotification::new(
        N1N2MessageTransferCause::UeNotResponding,
        format!("{AMF}/namf-comm/v1/ue-contexts/x/n1-n2-messages/1"),
    );
    let operation = N1N2TransferFailureNotify { path, notification };
    let token = bench.request(SmfRequest::TransferFailure(operation));
    assert_eq!(bench.answered::<N1N2TransferFailureNotify>(token).unwrap().status, 204);
}

/// The AMF takes a transfer with 202; what was asked.
fn paging(bench: &mut Bench) -> N1N2MessageTransfer {
    let (token, operation) = bench.expect::<N1N2MessageTransfer>();
    bench.attempting(token);
    bench.nothing();
    operation
}

/// TS 23.502 §4.2.3.3 step 3c.
#[test]
fn when_the_ue_does_not_answer_its_page_then_packets_are_dropped_for_a_while_and_wait_again() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    deactivate(&mut bench, &reference);
    let token = report(&mut bench, &reference, ReportType::DLDR);
    bench.answer4(token);
    let asked = paging(&mut bench);
    assert!(asked.data.n1n2_failure_txf_notif_uri.unwrap().ends_with(&reference));
    page_failed(&mut bench, &reference);
    let change = bench.modified();
    assert_eq!(change.update_far[0].apply_action, Some(ApplyAction::DROP));
    assert_eq!(change.flags, Some(tern_pfcp::PfcpSmReqFlags::DROBU));
    bench.pass(Duration::from_secs(9));
    bench.nothing();
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.modified().update_far[0].apply_action, Some(ApplyAction::BUFF | ApplyAction::NOCP));
    let token = report(&mut bench, &reference, ReportType::DLDR);
    bench.answer4(token);
    paging(&mut bench);
    let answer = bench.setup_response(&reference);
    assert_eq!(bench.modified().update_far[0].apply_action, Some(ApplyAction::FORW));
    assert!(bench.updated(answer).is_ok());
    // What failed is over.
    page_failed(&mut bench, &reference);
    bench.nothing();
}

/// TS 23.502 §4.2.3.2: the UE comes by itself while its packets are dropped.
#[test]
fn when_the_ue_comes_back_while_packets_are_dropped_then_they_wait_for_its_tunnel() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    deactivate(&mut bench, &reference);
    let token = report(&mut bench, &reference, ReportType::DLDR);
    bench.answer4(token);
    paging(&mut bench);
    page_failed(&mut bench, &reference);
    bench.modified();
    let answer = set(&mut bench, &reference, UpCnxState::Activating);
    bench.updated(answer).unwrap();
    assert_eq!(bench.modified().update_far[0].apply_action, Some(ApplyAction::BUFF | ApplyAction::NOCP));
    let answer = bench.setup_response(&reference);
    bench.modified();
    assert!(bench.updated(answer).is_ok());
    bench.pass(Duration::from_secs(60));
    bench.nothing();
}

/// TS 23.502 §4.2.3.3 step 3b: the UE is registering; packets wait, and the AMF is asked again.
#[test]
fn when_the_ue_is_registering_then_the_amf_is_asked_again_soon() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    deactivate(&mut bench, &reference);
    let token = report(&mut bench, &reference, ReportType::DLDR);
    bench.answer4(token);
    let (transfer, _) = bench.expect::<N1N2MessageTransfer>();
    let problem = ProblemDetails::new(409, "TEMPORARY_REJECT_REGISTRATION_ONGOING");
    let body = N1N2MessageTransferError::new(problem);
    bench.reply::<N1N2MessageTransfer>(transfer, Err(OperationError::Refused { status: 409, body }));
    bench.nothing();
    bench.pass(Duration::from_secs(2));
    paging(&mut bench);
}

/// TS 23.502 §4.2.6: the connection that was being set up for waiting packets goes: the UPF, which has told
/// of them, does not tell again.
#[test]
fn when_the_connection_goes_before_packets_have_left_then_the_ue_is_paged_again() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    deactivate(&mut bench, &reference);
    let token = report(&mut bench, &reference, ReportType::DLDR);
    bench.answer4(token);
    paging(&mut bench);
    deactivate(&mut bench, &reference);
    bench.pass(Duration::from_secs(2));
    paging(&mut bench);
}

/// TS 24.501 §6.3.2.5: a command that the UE did not come for changes nothing.
#[test]
fn when_a_release_command_does_not_reach_the_ue_then_the_session_is_released_without_it() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    deactivate(&mut bench, &reference);
    let path = SmPolicyTerminateNotify::callback_path(&reference);
    let cause = SmPolicyAssociationReleaseCause::Unspecified;
    let notification = TerminationNotification::new("http://127.0.0.15/p1".into(), cause);
    let operation = SmPolicyTerminateNotify { path, notification };
    let answer = bench.request(SmfRequest::PolicyTermination(operation));
    assert_eq!(bench.answered::<SmPolicyTerminateNotify>(answer).unwrap().status, 204);
    let (transfer, asked) = bench.expect::<N1N2MessageTransfer>();
    assert!(asked.n1_sm_msg.is_some() && asked.n2_sm_info.is_none());
    bench.deleted();
    bench.attempting(transfer);
    page_failed(&mut bench, &reference);
    bench.concluded();
    bench.empty();
}
