//! Path switch: TS 29.502 §5.2.2.3, TS 23.502 §4.9.1.2.2.

use bytes::Bytes;
use tern_ngap::transfer::{GtpTunnel, PathSwitchRequest, decode_path_switch_acknowledge};
use tern_pfcp::{ApplyAction, PfcpSmReqFlags};
use tern_sbi::OperationError;
use tern_sbi::nsmf_pdusession::{N2SmInfoType, SmContextUpdateData, UpCnxState};
use tern_smf::{Input, Token};
use tern_types::Qfi;

use crate::bench::*;

const NEW: GtpTunnel = GtpTunnel { teid: 0x3003, ..DOWNLINK };

fn switch_to(bench: &mut Bench, reference: &str, flow: u8) -> Token {
    let request = PathSwitchRequest { downlink: NEW, flows: vec![Qfi::new(flow).unwrap()] };
    bench.send_n2(reference, N2SmInfoType::PathSwitchReq, request.encode().unwrap())
}

fn refused(bench: &mut Bench, answer: Token) -> u16 {
    let Err(OperationError::Refused { status, body }) = bench.updated(answer) else { panic!("not refused") };
    assert_eq!(body.data.n2_sm_info_type, Some(N2SmInfoType::PathSwitchReqFail));
    assert!(tern_ngap::transfer::decode_path_switch_unsuccessful(&body.n2_sm_info.unwrap()).is_ok());
    status
}

#[test]
fn when_a_path_is_switched_then_the_upf_sends_to_the_target_and_ends_the_old_tunnel() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let answer = switch_to(&mut bench, &reference, 1);
    let change = bench.modified();
    assert_eq!(change.update_far[0].apply_action, Some(ApplyAction::FORW));
    let parameters = change.update_far[0].update_forwarding_parameters.as_ref().unwrap();
    assert_eq!(parameters.outer_header_creation.unwrap().teid, Some(NEW.teid));
    assert_eq!(parameters.flags, Some(PfcpSmReqFlags::SNDEM));
    let updated = bench.updated(answer).unwrap().body;
    assert_eq!(updated.data.n2_sm_info_type, Some(N2SmInfoType::PathSwitchReqAck));
    let uplink = decode_path_switch_acknowledge(&updated.n2_sm_info.unwrap()).unwrap();
    assert_eq!(uplink, Some(UPLINK));
    bench.nothing();
}

/// An activation of a user plane that was down has no tunnel to end.
#[test]
fn when_the_resources_are_set_up_anew_then_no_end_marker_is_asked_for() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    bench.setup_response(&reference);
    let change = bench.modified();
    let parameters = change.update_far[0].update_forwarding_parameters.as_ref().unwrap();
    assert_eq!(parameters.flags, None);
}

#[test]
fn when_a_path_cannot_be_switched_then_the_target_is_told_and_nothing_changes() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    // Without the default flow; garbage; a user plane that is down.
    let answer = switch_to(&mut bench, &reference, 2);
    assert_eq!(refused(&mut bench, answer), 403);
    let answer = bench.send_n2(&reference, N2SmInfoType::PathSwitchReq, Bytes::from_static(&[0xff; 4]));
    assert_eq!(refused(&mut bench, answer), 403);
    let data =
        SmContextUpdateData { up_cnx_state: Some(UpCnxState::Deactivated), ..SmContextUpdateData::default() };
    let answer = bench.update(&reference, data, None, None);
    bench.modified();
    bench.updated(answer).unwrap();
    let answer = switch_to(&mut bench, &reference, 1);
    assert_eq!(refused(&mut bench, answer), 403);
    bench.nothing();
}

#[test]
fn when_the_upf_does_not_switch_the_path_then_the_target_is_told_and_the_session_released() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let answer = switch_to(&mut bench, &reference, 1);
    let (n4, _, _) = bench.n4();
    bench.input(Input::N4(n4, None));
    assert_eq!(refused(&mut bench, answer), 504);
    assert!(bench.transfer().n1_sm_msg.is_some());
}

/// TS 23.502 §4.9.1.2.2: the target gNB has not accepted the session; it stays without a user plane.
#[test]
fn when_the_target_does_not_accept_a_session_then_its_packets_wait() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let answer = bench.send_n2(&reference, N2SmInfoType::PathSwitchSetupFail, Bytes::from_static(&[0, 0]));
    assert_eq!(bench.modified().update_far[0].apply_action, Some(ApplyAction::BUFF | ApplyAction::NOCP));
    assert_eq!(bench.updated(answer).unwrap().body.data.up_cnx_state, Some(UpCnxState::Deactivated));
    bench.nothing();
}
