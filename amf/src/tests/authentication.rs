//! TS 24.501 §5.4.1.3, §5.4.2, §5.4.3.

use tern_crypto::AuthenticationFunctions;
use tern_crypto::{Sqn, SqnArray, Usim};
use tern_nas::nas_5gs::*;
use tern_nas::registration as nas;
use tern_nas::security::HeaderType;
use tern_ngap::ngap::{Cause, CauseNas};

use super::rig::*;

fn challenged(rig: &mut Rig, ue: &mut Ue) -> (bytes::Bytes, Box<NasAuthenticationRequest>) {
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(rig, &request);
    rig.serve();
    let Nas5gmmMessage::AuthenticationRequest(challenge) = ue.hear(rig) else { panic!("no challenge") };
    (request, challenge)
}

fn failure(cause: GmmCause) -> NasAuthenticationFailure {
    NasAuthenticationFailure::new(NasFGmmCause::from_cause(cause))
}

#[test]
fn when_res_star_is_wrong_for_a_suci_then_authentication_is_rejected() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    challenged(&mut rig, &mut ue);
    let wrong = NasAuthenticationResponseParameter::from_res_star([0; 16]);
    ue.say(&mut rig, NasAuthenticationResponse::new().with_authentication_response_parameter(wrong));
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::AuthenticationReject(_)));
    assert_eq!(rig.released(), Cause::nas(CauseNas::authentication_failure));
    assert!(!rig.served.contains(&"Confirm5gAka"));
    assert_eq!(rig.amf.ue_count(), 0);
}

#[test]
fn when_the_key_is_wrong_then_mac_failure_leads_to_a_reject() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.usim = Usim::new(AuthenticationFunctions::milenage(&[9; 16], &OPC), SqnArray::default());
    let (_, challenge) = challenged(&mut rig, &mut ue);
    let answer = ue.answer(&challenge);
    assert!(matches!(answer, Nas5gmmMessage::AuthenticationFailure(_)));
    ue.say(&mut rig, answer);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::AuthenticationReject(_)));
}

/// TS 24.501 §5.4.1.3.5, §5.4.1.3.7 c, TS 33.512 §4.2.2.1.2: with a 5G-GUTI the identity may be to blame.
#[test]
fn when_mac_failure_or_a_wrong_res_star_follows_a_guti_then_the_suci_is_asked_for() {
    let wrong = NasAuthenticationResponseParameter::from_res_star([0; 16]);
    let answers: [Nas5gmmMessage; 2] = [
        failure(GmmCause::MacFailure).into(),
        NasAuthenticationResponse::new().with_authentication_response_parameter(wrong).into(),
    ];
    for answer in answers {
        let (mut rig, mut ue) = authenticated_again();
        assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::AuthenticationRequest(_)));
        ue.say(&mut rig, answer);
        assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::IdentityRequest(_)));
        ue.say(&mut rig, NasIdentityResponse::new(Ue::suci()));
        rig.serve();
        assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::AuthenticationRequest(_)));
    }
}

#[test]
fn when_the_usim_is_ahead_then_resynchronisation_succeeds() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.usim.sqn = SqnArray::at(Sqn::new(0x4000).unwrap());
    let (request, challenge) = challenged(&mut rig, &mut ue);
    ue.respond(&mut rig, &challenge);
    ue.prove(&mut rig, &request);
    rig.serve();
    ue.accepted(&mut rig);
    let attempts = rig.served.iter().filter(|name| **name == "Authenticate").count();
    assert_eq!(attempts, 2);
}

#[test]
fn when_synch_fails_twice_then_authentication_is_rejected() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.usim.sqn = SqnArray::at(Sqn::new(0x4000).unwrap());
    let (_, challenge) = challenged(&mut rig, &mut ue);
    let answer = ue.answer(&challenge);
    ue.say(&mut rig, answer.clone());
    rig.serve();
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::AuthenticationRequest(_)));
    ue.say(&mut rig, answer);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::AuthenticationReject(_)));
}

#[test]
fn when_the_ngksi_is_in_use_then_the_challenge_comes_under_another() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    let (_, first) = challenged(&mut rig, &mut ue);
    ue.say(&mut rig, failure(GmmCause::NgKsiAlreadyInUse));
    let Nas5gmmMessage::AuthenticationRequest(second) = ue.hear(&mut rig) else { panic!() };
    assert_ne!(nas::ngksi_of(&first.ngksi), nas::ngksi_of(&second.ngksi));
    assert_eq!(first.authentication_parameter_rand, second.authentication_parameter_rand);
    assert!(rig.requests.is_empty());
}

#[test]
fn when_authentication_is_not_answered_then_the_fifth_expiry_releases() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    challenged(&mut rig, &mut ue);
    for _ in 0..4 {
        rig.expire();
        assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::AuthenticationRequest(_)));
    }
    rig.expire();
    rig.released();
    assert_eq!(rig.amf.ue_count(), 0);
}

#[test]
fn when_identity_is_not_answered_then_the_fifth_expiry_releases() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.guti = Some(tern_types::Guti5g { guami: crate::Config::default().guami(), tmsi: 5 });
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &request);
    for _ in 0..5 {
        assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::IdentityRequest(_)));
        rig.expire();
    }
    rig.released();
    assert_eq!(rig.amf.ue_count(), 0);
}

#[test]
fn when_security_mode_is_not_answered_then_the_fifth_expiry_releases() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    let (_, challenge) = challenged(&mut rig, &mut ue);
    ue.respond(&mut rig, &challenge);
    for _ in 0..5 {
        assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::SecurityModeCommand(_)));
        ue.security = None;
        rig.expire();
    }
    rig.released();
    assert_eq!(rig.amf.ue_count(), 0);
}

#[test]
fn when_security_mode_is_rejected_then_the_registration_is() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    let (_, challenge) = challenged(&mut rig, &mut ue);
    ue.respond(&mut rig, &challenge);
    let Nas5gmmMessage::SecurityModeCommand(command) = ue.hear(&mut rig) else { panic!() };
    assert!(command.imeisv_request.is_some());
    assert!(command.additional_5g_security_information.as_ref().unwrap().rinmr());
    ue.security = None;
    let cause = NasFGmmCause::from_cause(GmmCause::UeSecurityCapabilitiesMismatch);
    ue.say(&mut rig, NasSecurityModeReject::new(cause));
    let Nas5gmmMessage::RegistrationReject(reject) = ue.hear(&mut rig) else { panic!() };
    assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::SecurityModeRejectedUnspecified));
    rig.released();
}

#[test]
fn when_security_mode_complete_is_forged_then_it_is_discarded() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    let (request, challenge) = challenged(&mut rig, &mut ue);
    ue.respond(&mut rig, &challenge);
    ue.hear(&mut rig);
    let complete = ue.security_mode_complete(&request);
    ue.uplink(&mut rig, &complete);
    let mut octets = ue.protect(&complete, HeaderType::CipheredNewContext).to_vec();
    octets[3] ^= 1;
    ue.uplink(&mut rig, &octets.into());
    rig.serve();
    assert!(rig.downlink.is_empty());
    assert!(!rig.served.contains(&"RegisterAmf3gpp"));
}

#[test]
fn when_the_replayed_capability_was_changed_on_the_way_then_the_registration_is_rejected() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    let (_, challenge) = challenged(&mut rig, &mut ue);
    ue.respond(&mut rig, &challenge);
    ue.hear(&mut rig);
    let kind = NasFGsRegistrationType::from_registration_type(RegistrationType::InitialRegistration);
    let other = NasRegistrationRequest::new(kind, nas::ngksi(None), Ue::suci())
        .with_ue_security_capability(NasUeSecurityCapability::new(vec![0xe0, 0xe0]));
    let complete = ue.security_mode_complete(&plain(other));
    let octets = ue.protect(&complete, HeaderType::CipheredNewContext);
    ue.uplink(&mut rig, &octets);
    let Nas5gmmMessage::RegistrationReject(reject) = ue.hear(&mut rig) else { panic!() };
    assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::UeSecurityCapabilitiesMismatch));
}

#[test]
fn when_a_message_is_replayed_then_it_is_discarded() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    let status = plain(NasFGmmStatus::new(NasFGmmCause::from_cause(GmmCause::ProtocolErrorUnspecified)));
    let octets = ue.protect(&status, HeaderType::Ciphered);
    rig.forget_counts();
    ue.uplink(&mut rig, &octets);
    assert_eq!(rig.count("amf.nas.status_received"), 1);
    ue.uplink(&mut rig, &octets);
    assert_eq!(rig.count("amf.nas.status_received"), 0);
}

/// TS 24.501 §5.4.2.5: until the new context is in use, the one before protects.
#[test]
fn when_security_mode_is_rejected_under_the_context_before_then_that_context_stays() {
    let (mut rig, mut ue) = authenticated_again();
    let Nas5gmmMessage::AuthenticationRequest(challenge) = ue.hear(&mut rig) else { panic!() };
    ue.respond(&mut rig, &challenge);
    let before = ue.security.clone();
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::SecurityModeCommand(_)));
    ue.security = before;
    let cause = NasFGmmCause::from_cause(GmmCause::SecurityModeRejectedUnspecified);
    ue.say(&mut rig, NasSecurityModeReject::new(cause));
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::RegistrationReject(_)));
}

/// TS 33.501 §6.1.3.2.2, TS 33.512 §4.2.2.1.2: the AUSF does not accept what the AMF has let through.
#[test]
fn when_the_home_network_rejects_res_star_of_a_guti_then_the_suci_is_asked_for() {
    use tern_sbi::nausf_auth::{AuthResult, Confirm5gAka, ConfirmationDataResponse};
    use tern_sbi::{Operation, Response};
    let mut config = crate::Config::default();
    config.security.reauthentication = crate::Reauthentication::Always;
    let mut rig = Rig::with(config);
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    ue.go_idle(&mut rig);
    ue.ran_id = 2;
    let failure = ConfirmationDataResponse::new(AuthResult::AuthenticationFailure);
    rig.refusals.insert("Confirm5gAka", Confirm5gAka::to_reply(Ok(Response::ok(failure))));
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    let octets = ue.protect(&request, HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    rig.serve();
    let Nas5gmmMessage::AuthenticationRequest(challenge) = ue.hear(&mut rig) else { panic!() };
    ue.respond(&mut rig, &challenge);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::IdentityRequest(_)));
    ue.say(&mut rig, NasIdentityResponse::new(Ue::suci()));
    rig.serve();
    let Nas5gmmMessage::AuthenticationRequest(challenge) = ue.hear(&mut rig) else { panic!() };
    ue.respond(&mut rig, &challenge);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::AuthenticationReject(_)));
}
