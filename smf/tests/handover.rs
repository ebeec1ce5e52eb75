//! Handover by N2: TS 29.502 §5.2.2.3.4, TS 23.502 §4.9.1.3.

use bytes::Bytes;
use tern_ngap::cause::NgapCause;
use tern_ngap::transfer::{
    GtpTunnel, HandoverCommand, HandoverRequestAcknowledge, HandoverRequired, SetupRequest,
    decode_handover_preparation_unsuccessful, encode_handover_allocation_unsuccessful,
};
use tern_pfcp::{
    ApplyAction, Cause, CreatedPdr, FTeid, Interface, PfcpSmReqFlags, SessionModificationRequest,
    SessionModificationResponse,
};
use tern_sbi::OperationError;
use tern_sbi::nsmf_pdusession::{HoState, N2SmInfoType, SmContextUpdateData, UpCnxState};
use tern_smf::{Input, Token};
use tern_types::{Duration, Qfi};

use crate::bench::*;

/// At the target gNB: for the UPF, and for the source gNB.
const TARGET: GtpTunnel = GtpTunnel { teid: 0x3003, ..DOWNLINK };
const FORWARDING: GtpTunnel = GtpTunnel { teid: 0x3004, ..DOWNLINK };
/// At the UPF, for the source gNB.
const BY_UPF: GtpTunnel = GtpTunnel { teid: 0x1f00, ..UPLINK };

fn tell(bench: &mut Bench, reference: &str, state: HoState, n2: Option<(N2SmInfoType, Bytes)>) -> Token {
    let (kind, octets) = n2.unzip();
    let data = SmContextUpdateData {
        ho_state: Some(state),
        n2_sm_info_type: kind,
        ..SmContextUpdateData::default()
    };
    bench.update(reference, data, None, octets)
}

/// PREPARING: what the target gNB is asked for.
fn prepare(bench: &mut Bench, reference: &str, direct_forwarding: bool) -> SetupRequest {
    let required = HandoverRequired { direct_forwarding }.encode().unwrap();
    let n2 = Some((N2SmInfoType::HandoverRequired, required));
    let answer = tell(bench, reference, HoState::Preparing, n2);
    let updated = bench.updated(answer).unwrap().body;
    assert_eq!(updated.data.ho_state, Some(HoState::Preparing));
    assert_eq!(updated.data.n2_sm_info_type, Some(N2SmInfoType::PduResSetupReq));
    SetupRequest::decode(&updated.n2_sm_info.unwrap()).unwrap()
}

fn acknowledge(bench: &mut Bench, reference: &str, flow: u8, forwarding: Option<GtpTunnel>) -> Token {
    let flows = vec![(Qfi::new(flow).unwrap(), forwarding.is_some())];
    let acknowledge = HandoverRequestAcknowledge { downlink: TARGET, forwarding, flows, failed: Vec::new() };
    let n2 = Some((N2SmInfoType::HandoverReqAck, acknowledge.encode().unwrap()));
    tell(bench, reference, HoState::Prepared, n2)
}

/// Where the source gNB is told to forward to.
fn command(bench: &mut Bench, answer: Token) -> HandoverCommand {
    let updated = bench.updated(answer).unwrap().body;
    assert_eq!(updated.data.ho_state, Some(HoState::Prepared));
    assert_eq!(updated.data.n2_sm_info_type, Some(N2SmInfoType::HandoverCmd));
    HandoverCommand::decode(&updated.n2_sm_info.unwrap()).unwrap()
}

/// The UPF gives a tunnel for forwarding; the request for it.
fn tunnel(bench: &mut Bench) -> SessionModificationRequest {
    let (token, _, message) = bench.n4();
    let tern_pfcp::Message::SessionModificationRequest(request) = message else { panic!("{message:?}") };
    let GtpTunnel { teid, ipv4, ipv6 } = BY_UPF;
    let created = CreatedPdr {
        pdr_id: request.create_pdr[0].pdr_id,
        f_teid: Some(FTeid::Assigned { teid, ipv4, ipv6 }),
        ..CreatedPdr::default()
    };
    let response = SessionModificationResponse {
        cause: Cause::REQUEST_ACCEPTED,
        created_pdr: vec![created],
        ..Default::default()
    };
    bench.input(Input::N4(token, Some(response.into())));
    request
}

fn refused(bench: &mut Bench, answer: Token) {
    let Err(OperationError::Refused { status, body }) = bench.updated(answer) else { panic!("not refused") };
    assert_eq!((status, body.data.n2_sm_info_type), (403, Some(N2SmInfoType::HandoverPrepFail)));
    assert!(decode_handover_preparation_unsuccessful(&body.n2_sm_info.unwrap()).is_ok());
}

/// COMPLETED: the request by which the path is switched.
fn complete(bench: &mut Bench, reference: &str) -> SessionModificationRequest {
    let answer = tell(bench, reference, HoState::Completed, None);
    let change = bench.modified();
    assert_eq!(bench.updated(answer).unwrap().body.data.ho_state, Some(HoState::Completed));
    change
}

fn ends_forwarding(request: &SessionModificationRequest, created: &SessionModificationRequest) {
    assert_eq!(request.remove_pdr[0].pdr_id, created.create_pdr[0].pdr_id);
    assert_eq!(request.remove_far[0].far_id, created.create_far[0].far_id);
}

#[test]
fn when_a_ue_is_handed_over_then_the_path_is_switched_at_the_end_and_the_old_tunnel_ended() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    assert_eq!(prepare(&mut bench, &reference, true).uplink, UPLINK);
    let answer = acknowledge(&mut bench, &reference, 1, Some(FORWARDING));
    // The gNBs reach one another: the UPF has nothing to do yet.
    let flows = vec![Qfi::new(1).unwrap()];
    assert_eq!(command(&mut bench, answer), HandoverCommand { forwarding: Some(FORWARDING), flows });
    let change = complete(&mut bench, &reference);
    assert_eq!(change.update_far[0].apply_action, Some(ApplyAction::FORW));
    let parameters = change.update_far[0].update_forwarding_parameters.as_ref().unwrap();
    assert_eq!(parameters.outer_header_creation.unwrap().teid, Some(TARGET.teid));
    assert_eq!(parameters.flags, Some(PfcpSmReqFlags::SNDEM));
    bench.pass(Duration::from_secs(60));
    bench.nothing();
}

/// TS 23.502 §4.9.1.3.2 step 11, §4.9.1.3.3 step 15: a tunnel at the UPF, until a while after the handover.
#[test]
fn when_the_gnbs_do_not_reach_one_another_then_the_upf_forwards_for_a_while() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    prepare(&mut bench, &reference, false);
    let answer = acknowledge(&mut bench, &reference, 1, Some(FORWARDING));
    let created = tunnel(&mut bench);
    assert_eq!(created.create_pdr[0].pdi.source_interface, Interface::Access);
    let to = created.create_far[0].forwarding_parameters.as_ref().unwrap();
    assert_eq!(to.destination_interface, Interface::Access);
    assert_eq!(to.outer_header_creation.unwrap().teid, Some(FORWARDING.teid));
    let flows = vec![Qfi::new(1).unwrap()];
    assert_eq!(command(&mut bench, answer), HandoverCommand { forwarding: Some(BY_UPF), flows });
    complete(&mut bench, &reference);
    bench.nothing();
    bench.pass(Duration::from_secs(60));
    ends_forwarding(&bench.modified(), &created);
    bench.nothing();
    // The next one has a tunnel of its own.
    prepare(&mut bench, &reference, false);
    acknowledge(&mut bench, &reference, 1, Some(FORWARDING));
    tunnel(&mut bench);
}

/// Nothing is forwarded if the target gNB does not want it, or the UPF does not do it.
#[test]
fn when_nothing_can_be_forwarded_then_the_handover_goes_on_without() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    prepare(&mut bench, &reference, false);
    let answer = acknowledge(&mut bench, &reference, 1, None);
    assert_eq!(command(&mut bench, answer), HandoverCommand::default());
    prepare(&mut bench, &reference, false);
    let answer = acknowledge(&mut bench, &reference, 1, Some(FORWARDING));
    let (n4, _, _) = bench.n4();
    bench.input(Input::N4(n4, None));
    assert_eq!(command(&mut bench, answer), HandoverCommand::default());
    complete(&mut bench, &reference);
    bench.pass(Duration::from_secs(60));
    bench.nothing();
}

/// TS 29.502 §5.2.2.3.4: CANCELLED, in each state; packets go where they went.
#[test]
fn when_a_handover_is_cancelled_then_the_path_is_as_it_was() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let cancel = |bench: &mut Bench| {
        let answer = tell(bench, &reference, HoState::Cancelled, None);
        assert_eq!(bench.updated(answer).unwrap().body.data.ho_state, Some(HoState::Cancelled));
        bench.nothing();
    };
    cancel(&mut bench);
    prepare(&mut bench, &reference, true);
    cancel(&mut bench);
    prepare(&mut bench, &reference, false);
    let answer = acknowledge(&mut bench, &reference, 1, Some(FORWARDING));
    let created = tunnel(&mut bench);
    command(&mut bench, answer);
    let answer = tell(&mut bench, &reference, HoState::Cancelled, None);
    ends_forwarding(&bench.modified(), &created);
    assert_eq!(bench.updated(answer).unwrap().body.data.ho_state, Some(HoState::Cancelled));
    // There is nothing to complete any more.
    let answer = tell(&mut bench, &reference, HoState::Completed, None);
    assert!(matches!(bench.updated(answer), Err(OperationError::Refused { status: 403, .. })));
    bench.nothing();
}

#[test]
fn when_the_target_has_no_resources_then_the_source_is_told_its_cause() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    prepare(&mut bench, &reference, true);
    let why = NgapCause { group: 0, value: 13 };
    let n2 = (N2SmInfoType::HandoverResAllocFail, encode_handover_allocation_unsuccessful(why).unwrap());
    let answer = tell(&mut bench, &reference, HoState::Prepared, Some(n2));
    let updated = bench.updated(answer).unwrap().body;
    assert_eq!(
        (updated.data.ho_state, updated.data.n2_sm_info_type),
        (Some(HoState::None), Some(N2SmInfoType::HandoverPrepFail))
    );
    assert_eq!(decode_handover_preparation_unsuccessful(&updated.n2_sm_info.unwrap()).unwrap(), why);
    bench.nothing();
}

#[test]
fn when_a_session_cannot_be_handed_over_then_the_source_is_told_and_nothing_changes() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    // Garbage; nothing was required; without the default flow.
    let garbage = || Some((N2SmInfoType::HandoverRequired, Bytes::new()));
    let answer = tell(&mut bench, &reference, HoState::Preparing, garbage());
    refused(&mut bench, answer);
    let answer = acknowledge(&mut bench, &reference, 1, None);
    refused(&mut bench, answer);
    prepare(&mut bench, &reference, true);
    let answer = acknowledge(&mut bench, &reference, 2, None);
    refused(&mut bench, answer);
    // A user plane that is down.
    let data =
        SmContextUpdateData { up_cnx_state: Some(UpCnxState::Deactivated), ..SmContextUpdateData::default() };
    let answer = bench.update(&reference, data, None, None);
    bench.modified();
    bench.updated(answer).unwrap();
    let required = HandoverRequired::default().encode().unwrap();
    let n2 = Some((N2SmInfoType::HandoverRequired, required));
    let answer = tell(&mut bench, &reference, HoState::Preparing, n2);
    refused(&mut bench, answer);
    bench.nothing();
}

/// The AMF is heard of no more: nothing is left at the UPF.
#[test]
fn when_a_handover_never_ends_then_the_upf_forwards_no_longer() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    prepare(&mut bench, &reference, false);
    let answer = acknowledge(&mut bench, &reference, 1, Some(FORWARDING));
    let created = tunnel(&mut bench);
    command(&mut bench, answer);
    bench.pass(Duration::from_secs(60));
    ends_forwarding(&bench.modified(), &created);
    bench.nothing();
    assert_eq!(bench.smf.deadline(), None);
}

/// The UPF does not switch the path: the session is released.
#[test]
fn when_the_upf_does_not_switch_the_path_then_the_session_is_released() {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    prepare(&mut bench, &reference, true);
    let answer = acknowledge(&mut bench, &reference, 1, None);
    command(&mut bench, answer);
    let answer = tell(&mut bench, &reference, HoState::Completed, None);
    let (n4, _, _) = bench.n4();
    bench.input(Input::N4(n4, None));
    assert!(matches!(bench.updated(answer), Err(OperationError::Refused { status: 504, .. })));
    assert!(bench.transfer().n1_sm_msg.is_some());
}
