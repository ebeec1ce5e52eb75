//! Each way to be refused: TS 24.501 §5.5.1.2.5.

use tern_nas::nas_5gs::*;
use tern_nas::registration as nas;
use tern_ngap::ngap::{Cause, CauseMisc};
use tern_sbi::TransportError;
use tern_types::{PlmnId, Snssai};

use super::rig::*;
use crate::{Config, Input};

fn reject(rig: &mut Rig, ue: &mut Ue) -> Box<NasRegistrationReject> {
    let Nas5gmmMessage::RegistrationReject(reject) = ue.hear(rig) else { panic!("not rejected") };
    reject
}

fn cause_of(ue: &mut Ue, rig: &mut Rig) -> Option<GmmCause> {
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(rig, &request);
    rig.serve();
    let reject = reject(rig, ue);
    rig.released();
    assert_eq!(rig.amf.ue_count(), 0);
    assert!(rig.downlink.is_empty() && rig.deadline.is_none());
    reject.fgmm_cause.cause()
}

#[test]
fn when_the_tracking_area_is_not_served_then_15() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    ue.tai = tai(2);
    assert_eq!(cause_of(&mut ue, &mut rig), Some(GmmCause::NoSuitableCellsInTrackingArea));
}

#[test]
fn when_the_plmn_is_not_served_then_11() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    ue.tai.plmn_id = PlmnId::new("999", "70").unwrap();
    assert_eq!(cause_of(&mut ue, &mut rig), Some(GmmCause::PlmnNotAllowed));
}

#[test]
fn when_the_supi_is_unknown_then_3() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    rig.refusals.insert("Authenticate", problem(404, "USER_NOT_FOUND"));
    assert_eq!(cause_of(&mut ue, &mut rig), Some(GmmCause::IllegalUe));
}

#[test]
fn when_the_serving_network_is_not_authorized_then_73() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    rig.refusals.insert("Authenticate", problem(403, "SERVING_NETWORK_NOT_AUTHORIZED"));
    assert_eq!(cause_of(&mut ue, &mut rig), Some(GmmCause::ServingNetworkNotAuthorized));
}

#[test]
fn when_the_home_network_rejects_authentication_then_the_ue_is_told() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    rig.refusals.insert("Authenticate", problem(403, "AUTHENTICATION_REJECTED"));
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &request);
    rig.serve();
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::AuthenticationReject(_)));
}

#[test]
fn when_no_ausf_answers_then_22_with_t3346() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &request);
    let (token, ..) = rig.requests.pop_front().unwrap();
    rig.input(Input::Reply(token, Err(TransportError::TimedOut)));
    let reject = reject(&mut rig, &mut ue);
    assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::Congestion));
    assert!(reject.t3346_value.as_ref().unwrap().to_seconds().unwrap() >= 16);
}

#[test]
fn when_the_ue_has_null_integrity_alone_then_23() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    let kind = NasFGsRegistrationType::from_registration_type(RegistrationType::InitialRegistration);
    let request = NasRegistrationRequest::new(kind, nas::ngksi(None), Ue::suci())
        .with_ue_security_capability(NasUeSecurityCapability::new(vec![0xf0, 0x80]));
    ue.initial(&mut rig, &plain(request));
    rig.serve();
    let Nas5gmmMessage::AuthenticationRequest(challenge) = ue.hear(&mut rig) else { panic!() };
    ue.respond(&mut rig, &challenge);
    let reject = reject(&mut rig, &mut ue);
    assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::UeSecurityCapabilitiesMismatch));
}

#[test]
fn when_the_capability_is_missing_then_96() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    let kind = NasFGsRegistrationType::from_registration_type(RegistrationType::InitialRegistration);
    let request = NasRegistrationRequest::new(kind, nas::ngksi(None), Ue::suci());
    ue.initial(&mut rig, &plain(request));
    let reject = reject(&mut rig, &mut ue);
    assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::InvalidMandatoryInformation));
}

#[test]
fn when_the_request_does_not_decode_then_96() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    // A 5G-GUTI that is one octet short.
    let octets = [0x7e, 0, 0x41, 0x79, 0, 0x0a, 0xf2, 2, 0xf8, 0x39, 0xca, 0xfe, 0, 0x11, 0x22, 0x33];
    ue.initial(&mut rig, &bytes::Bytes::copy_from_slice(&octets));
    let reject = reject(&mut rig, &mut ue);
    assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::InvalidMandatoryInformation));
    rig.released();
    assert_eq!(rig.amf.ue_count(), 0);
}

#[test]
fn when_an_unknown_message_type_comes_then_97() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    ue.initial(&mut rig, &bytes::Bytes::from_static(&[0x7e, 0, 0x7f]));
    let Nas5gmmMessage::FiveGmmStatus(status) = ue.hear(&mut rig) else { panic!() };
    assert_eq!(status.fgmm_cause.cause(), Some(GmmCause::MessageTypeNonExistentOrNotImplemented));
    rig.released();
    assert_eq!(rig.amf.ue_count(), 0);
}

fn rejected_after_security(rig: &mut Rig, ue: &mut Ue) -> Box<NasRegistrationReject> {
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(rig, &request);
    rig.serve();
    ue.prove(rig, &request);
    rig.serve();
    reject(rig, ue)
}

#[test]
fn when_no_subscribed_slice_is_served_then_62() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    rig.subscribed = vec![Snssai::new(7, None)];
    ue.requested = Some(vec![Snssai::new(7, None)]);
    let reject = rejected_after_security(&mut rig, &mut ue);
    assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::NoNetworkSlicesAvailable));
    let rejected = nas::rejected_nssai_of(reject.rejected_nssai.as_ref().unwrap());
    assert_eq!(rejected, [(RejectedNssaiCause::NotAvailableInRegistrationArea, Snssai::new(7, None))]);
    rig.released();
    rig.serve();
    // Without a 5G-GUTI to come back with, nothing of it is kept.
    assert_eq!(rig.amf.ue_count(), 0);
}

#[test]
fn when_the_udm_does_not_know_the_subscriber_then_3() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    rig.refusals.insert("RegisterAmf3gpp", problem(404, "USER_NOT_FOUND"));
    let reject = rejected_after_security(&mut rig, &mut ue);
    assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::IllegalUe));
}

#[test]
fn when_the_subscription_forbids_access_then_7() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    rig.refusals.insert("GetDataSets", problem(403, "ACCESS_NOT_ALLOWED"));
    let reject = rejected_after_security(&mut rig, &mut ue);
    assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::FiveGsServicesNotAllowed));
}

#[test]
fn when_policy_and_change_subscription_fail_then_the_ue_is_served_all_the_same() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    rig.refusals.insert("CreateAmPolicy", problem(503, "NF_CONGESTION"));
    rig.refusals.insert("Subscribe", problem(500, "SYSTEM_FAILURE"));
    ue.register(&mut rig);
}

#[test]
fn when_too_many_ues_register_at_once_then_22_with_t3346() {
    let mut config = Config::default();
    config.limits.registrations = 3;
    // Its gNB is told of overload elsewhere.
    config.overload.start_percent = 200;
    let mut rig = Rig::with(config);
    for ran_id in 1..=3 {
        let ue = Ue::new(ran_id);
        let request = ue.registration_request(RegistrationType::InitialRegistration);
        ue.initial(&mut rig, &request);
    }
    for ran_id in 4..=1000 {
        let mut ue = Ue::new(ran_id);
        let request = ue.registration_request(RegistrationType::InitialRegistration);
        ue.initial(&mut rig, &request);
        let reject = reject(&mut rig, &mut ue);
        assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::Congestion));
        assert!(reject.t3346_value.is_some());
        assert_eq!(rig.released(), Cause::misc(CauseMisc::control_processing_overload));
        assert_eq!(rig.amf.ue_count(), 3);
    }
}

#[test]
fn when_a_subscribed_slice_is_not_served_here_then_the_nssf_says_where() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    rig.subscribed = vec![Snssai::new(7, None), Snssai::new(8, None)];
    ue.requested = Some(rig.subscribed.clone());
    let reject = rejected_after_security(&mut rig, &mut ue);
    assert!(rig.served.contains(&"GetSliceSelectionInfo"));
    let rejected = nas::rejected_nssai_of(reject.rejected_nssai.as_ref().unwrap());
    let expected = [
        (RejectedNssaiCause::NotAvailableInRegistrationArea, Snssai::new(7, None)),
        (RejectedNssaiCause::NotAvailableInPlmnOrSnpn, Snssai::new(8, None)),
    ];
    assert_eq!(rejected, expected);
}

#[test]
fn when_the_table_is_full_then_a_deregistered_ue_makes_room() {
    let mut config = Config::default();
    config.limits.ues = 1;
    let mut rig = Rig::with(config);
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    let kind = NasDeRegistrationType::new(1).with_switch_off(true);
    let identity = tern_nas::MobileIdentity::Guti(ue.guti.unwrap()).to_ie().unwrap();
    let other = Ue::new(2);
    let request = other.registration_request(RegistrationType::InitialRegistration);
    // Not while the UE is registered.
    other.initial(&mut rig, &request);
    let mut turned_away = Ue::new(2);
    assert_eq!(reject(&mut rig, &mut turned_away).fgmm_cause.cause(), Some(GmmCause::Congestion));
    rig.released();
    let message = NasDeregistrationRequestUeOriginating::new(kind, nas::ngksi(ue.ksi), identity);
    ue.say(&mut rig, message);
    rig.released();
    rig.serve();
    other.initial(&mut rig, &request);
    rig.serve();
    assert!(matches!(turned_away.hear(&mut rig), Nas5gmmMessage::AuthenticationRequest(_)));
    assert_eq!(rig.amf.ue_count(), 1);
}
