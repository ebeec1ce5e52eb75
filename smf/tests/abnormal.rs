//! Abnormal cases: TS 24.501 §6.3.2.5, §6.3.3.5, §6.4.2.6, §6.4.3.6.

use bytes::Bytes;
use tern_nas::nas_5gs::{
    Nas5gsmMessage, NasAlwaysOnPduSessionRequested, NasPduSessionModificationComplete,
    NasPduSessionModificationRequest, NasPduSessionReleaseRequest,
};
use tern_sbi::npcf_sm::{CreateSmPolicy, SmPolicyDecision, SmPolicyUpdateNotify};
use tern_sbi::nsmf_pdusession::{N2SmInfoType, SmContextUpdateData, UpCnxState};
use tern_sbi::{OperationError, Response};
use tern_smf::Input;

use crate::bench::*;
use crate::modification::policy_update;
use crate::release::{access_released, command, complete};

/// A session that the network is modifying.
fn modifying() -> (Bench, String) {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    let answer = policy_update(&mut bench, &reference);
    assert!(bench.answered::<SmPolicyUpdateNotify>(answer).is_ok());
    assert_eq!(bench.modified().update_qer[0].mbr.unwrap().downlink_kbps, 2_000);
    bench.transfer();
    (bench, reference)
}

/// A session that the network is releasing; the UPF has nothing of it any more.
fn releasing() -> (Bench, String) {
    let mut bench = Bench::new();
    let reference = bench.establish(1);
    bench.input(Input::UpfReleased(upf()));
    assert_eq!(command(&bench.transfer().n1_sm_msg.unwrap()), (0, 39));
    (bench, reference)
}

/// The UE and the gNB go along, as if nothing had come between.
fn released(mut bench: Bench, reference: &str, pti: u8) {
    access_released(&mut bench, reference);
    complete(&mut bench, reference, pti);
    bench.concluded();
    bench.empty();
}

fn modification_request() -> Bytes {
    let always_on = NasAlwaysOnPduSessionRequested::from_apsr(true);
    n1(NasPduSessionModificationRequest::new().with_always_on_pdu_session_requested(always_on), 1, 30)
}

/// The message is taken, and nothing is said to it.
fn ignored(bench: &mut Bench, reference: &str, message: Bytes) {
    let answer = bench.send_n1(reference, message);
    let updated = bench.updated(answer).unwrap();
    assert_eq!((updated.status, updated.body.n1_sm_msg), (204, None));
    bench.nothing();
}

/// TS 24.501 §6.3.2.5 c.
#[test]
fn when_the_ue_releases_a_session_that_is_being_modified_then_the_modification_is_aborted() {
    let (mut bench, reference) = modifying();
    let answer = bench.send_n1(&reference, n1(NasPduSessionReleaseRequest::new(), 1, 20));
    assert_eq!(command(&bench.updated(answer).unwrap().body.n1_sm_msg.unwrap()), (20, 36));
    bench.deleted();
    ignored(&mut bench, &reference, n1(NasPduSessionModificationComplete::new(), 1, 0));
    released(bench, &reference, 20);
}

/// TS 24.501 §6.3.2.5 d, §6.4.2.6 c.
#[test]
fn when_the_ue_asks_for_a_modification_while_the_network_modifies_then_the_network_goes_on() {
    let (mut bench, reference) = modifying();
    ignored(&mut bench, &reference, modification_request());
    ignored(&mut bench, &reference, n1(NasPduSessionModificationComplete::new(), 1, 0));
    assert_eq!((bench.smf.deadline(), bench.smf.sessions()), (None, 1));
}

/// TS 24.501 §6.3.2.5 e, f: the gNB has not passed the command on, with whatever cause.
#[test]
fn when_the_gnb_does_not_pass_the_command_on_then_the_modification_is_aborted() {
    let (mut bench, reference) = modifying();
    let answer = bench.send_n2(&reference, N2SmInfoType::PduResModFail, Bytes::from_static(&[0]));
    assert_eq!(bench.updated(answer).unwrap().status, 204);
    assert_eq!(bench.modified().update_qer[0].mbr.unwrap().downlink_kbps, 200_000);
    assert_eq!((bench.smf.deadline(), bench.smf.sessions()), (None, 1));
    // PDU SESSION ACTIVE: the next change begins.
    let answer = policy_update(&mut bench, &reference);
    assert!(bench.answered::<SmPolicyUpdateNotify>(answer).is_ok());
    bench.modified();
    bench.transfer();
}

/// TS 24.501 §6.3.3.5 b.
#[test]
fn when_the_ue_asks_for_a_modification_while_the_network_releases_then_it_is_ignored() {
    let (mut bench, reference) = releasing();
    ignored(&mut bench, &reference, modification_request());
    released(bench, &reference, 0);
}

/// TS 24.501 §6.3.3.5 c.
#[test]
fn when_the_ue_asks_for_the_release_that_the_network_has_begun_then_it_is_ignored() {
    let (mut bench, reference) = releasing();
    ignored(&mut bench, &reference, n1(NasPduSessionReleaseRequest::new(), 1, 20));
    released(bench, &reference, 0);
}

/// TS 24.501 §6.3.3.5 d, TS 29.502 §5.2.2.3.2.2.
#[test]
fn when_the_user_plane_is_wanted_while_the_network_releases_then_it_is_not_set_up() {
    let (mut bench, reference) = releasing();
    let data =
        SmContextUpdateData { up_cnx_state: Some(UpCnxState::Activating), ..SmContextUpdateData::default() };
    let answer = bench.update(&reference, data, None, None);
    assert_eq!(bench.updated(answer).unwrap_err().status(), Some(403));
    bench.nothing();
    released(bench, &reference, 0);
}

/// The message with which a request of the UE is rejected, and its PTI and cause.
fn rejected(octets: &[u8]) -> (&'static str, u8, u8) {
    match read_n1(octets) {
        (1, pti, Nas5gsmMessage::PduSessionModificationReject(reject)) => {
            ("modification", pti, reject.fgsm_cause.cause_raw())
        }
        (1, pti, Nas5gsmMessage::PduSessionReleaseReject(reject)) => {
            ("release", pti, reject.fgsm_cause.cause_raw())
        }
        other => panic!("{other:?}"),
    }
}

/// TS 24.501 §6.4.2.6 b, §6.4.3.6 a: of an SMF that has lost it, or released it.
#[test]
fn when_the_ue_asks_about_a_session_that_is_not_there_then_43() {
    let mut bench = Bench::new();
    let cases = [
        (modification_request(), Some(("modification", 30, 43))),
        (n1(NasPduSessionReleaseRequest::new(), 1, 20), Some(("release", 20, 43))),
        (n1(NasPduSessionModificationComplete::new(), 1, 0), None),
        (Bytes::from_static(&[0x2e, 1]), None),
    ];
    for (message, expected) in cases {
        let answer = bench.send_n1("00000000000000ff", message);
        let error = bench.updated(answer).unwrap_err();
        let OperationError::Refused { status: 404, body } = error else { panic!("{error:?}") };
        assert_eq!(body.data.error.cause.as_deref(), Some("CONTEXT_NOT_FOUND"));
        assert_eq!(body.n1_sm_msg.map(|octets| rejected(&octets)), expected);
    }
    bench.nothing();
}

/// TS 24.501 §6.4.2.6 b: it is being established.
#[test]
fn when_the_ue_asks_for_the_modification_of_an_inactive_session_then_43_and_it_goes_on() {
    let mut bench = Bench::new();
    let token = bench.create(1);
    bench.subscribe(sm_data(subscription()));
    let reference = bench.context_ref(token);
    let (policy, _) = bench.expect::<CreateSmPolicy>();
    let answer = bench.send_n1(&reference, modification_request());
    let n1 = bench.updated(answer).unwrap().body.n1_sm_msg.unwrap();
    assert_eq!(rejected(&n1), ("modification", 30, 43));
    let location = format!("{PCF}/npcf-smpolicycontrol/v1/sm-policies/p1");
    bench.reply::<CreateSmPolicy>(policy, Ok(Response::created(location, SmPolicyDecision::default())));
    bench.install();
}
