//! TS 24.501 §5.5.1, §5.5.2, §5.6.1.

use tern_nas::nas_5gs::*;
use tern_nas::registration as nas;
use tern_nas::security::HeaderType;
use tern_ngap::NgapPduKind;
use tern_ngap::ngap::{AllowedNSSAI, Cause, CauseNas, GUAMI, UESecurityCapabilities};
use tern_ngap::{capability::SecurityCapability, convert, extract_ngap_ies};
use tern_types::{Guami, Snssai};

use super::rig::*;
use crate::GmmState;

#[test]
fn when_a_ue_registers_by_suci_then_it_is_registered() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    let accept = ue.register(&mut rig);
    let context = rig.amf.ue(&supi()).unwrap();
    assert_eq!(context.state(), GmmState::Registered);
    assert_eq!(context.allowed, [Snssai::new(1, None)]);
    assert_eq!(context.pei.as_ref().unwrap().digits(), "3534900698733190");
    assert_eq!(nas::tais(accept.tai_list.as_ref().unwrap()).unwrap(), [tai(1)]);
    assert_eq!(nas::nssai_of(accept.allowed_nssai.as_ref().unwrap()), [Snssai::new(1, None)]);
    assert_eq!(accept.t3512_value.as_ref().unwrap().to_seconds(), Some(3600));
    // K_gNB is that of the COUNT of SECURITY MODE COMPLETE (TS 33.501 §6.8.1.1.2).
    let k_gnb = ue.security.as_ref().unwrap().k_gnb(ue.k_gnb_count);
    assert_eq!(ue.k_gnb.as_ref(), Some(k_gnb.as_bytes()));
    assert!(rig.downlink.is_empty() && rig.requests.is_empty());
    let served =
        ["Authenticate", "Confirm5gAka", "RegisterAmf3gpp", "GetDataSets", "Subscribe", "CreateAmPolicy"];
    assert_eq!(rig.served, served);
}

#[test]
fn when_registration_is_accepted_then_initial_context_setup_carries_it() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &request);
    rig.serve();
    ue.prove(&mut rig, &request);
    rig.serve();
    let pdu = rig.downlink.front().unwrap();
    assert_eq!(pdu.kind(), NgapPduKind::Initiating_InitialContextSetup);
    type Read = (Guami, Vec<Snssai>, SecurityCapability, bool);
    let read = || -> Result<Read, tern_ngap::DecodeError> {
        extract_ngap_ies!(pdu, InitialContextSetupRequest,
            req guami: Guami = GUAMI(ie) => { let ie: GUAMI = ie; convert::guami_of(&ie).unwrap() },
            req allowed: Vec<Snssai> = AllowedNSSAI(ie) => { let ie: AllowedNSSAI = ie; convert::allowed_nssai_of(&ie) },
            req capability: SecurityCapability = UESecurityCapabilities(ie) => {
                let ie: UESecurityCapabilities = ie;
                SecurityCapability::from_ngap(&ie)
            },
            opt ambr: bool = UEAggregateMaximumBitRate(_ie) => true,
            req restrictions: bool = MobilityRestrictionList(_ie) => true,
        );
        assert!(restrictions);
        Ok((guami, allowed, capability, ambr.is_some()))
    };
    let (guami, allowed, capability, ambr) = read().unwrap();
    assert_eq!(guami, crate::Config::default().guami());
    assert_eq!(allowed, [Snssai::new(1, None)]);
    assert_eq!(capability, SecurityCapability::from_nas(&CAPABILITY).without_null());
    assert!(!ambr, "UE-AMBR goes with the first session");
}

/// TS 24.501 §5.4.2.4: the request of the NAS message container counts.
#[test]
fn when_security_mode_complete_has_the_whole_request_then_it_replaces_the_first() {
    let mut rig = Rig::new();
    rig.subscribed = vec![Snssai::new(1, None)];
    let mut ue = Ue::new(1);
    let first = ue.registration_request(RegistrationType::InitialRegistration);
    ue.requested = Some(vec![Snssai::new(1, None), Snssai::new(9, None)]);
    let whole = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &first);
    rig.serve();
    ue.prove(&mut rig, &whole);
    rig.serve();
    let accept = ue.accepted(&mut rig);
    let rejected = nas::rejected_nssai_of(accept.rejected_nssai.as_ref().unwrap());
    assert_eq!(rejected, [(RejectedNssaiCause::NotAvailableInPlmnOrSnpn, Snssai::new(9, None))]);
    assert!(accept.configured_nssai.is_some());
}

#[test]
fn when_a_ue_returns_with_its_guti_and_a_good_mac_then_it_is_not_authenticated_again() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    ue.go_idle(&mut rig);
    rig.served.clear();
    let old = ue.guti;
    ue.ran_id = 2;
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    let octets = ue.protect(&request, HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    rig.serve();
    ue.accepted(&mut rig);
    assert_ne!(ue.guti, old);
    assert!(!rig.served.contains(&"Authenticate"));
    let k_gnb = ue.security.as_ref().unwrap().k_gnb(ue.k_gnb_count);
    assert_eq!(ue.k_gnb.as_ref(), Some(k_gnb.as_bytes()));
    ue.context_is_set_up(&mut rig);
    ue.say(&mut rig, NasRegistrationComplete::new());
    assert!(rig.amf.ue(&supi()).unwrap().old_guti.is_none());
    assert_eq!(rig.amf.ue_count(), 1);
}

/// TS 24.501 §4.4.6: the whole request is ciphered in the container of a protected one.
#[test]
fn when_the_initial_message_has_a_ciphered_container_then_its_request_counts() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    ue.go_idle(&mut rig);
    ue.ran_id = 2;
    ue.requested = Some(vec![Snssai::new(9, None)]);
    let whole = ue.registration_request(RegistrationType::InitialRegistration);
    ue.requested = None;
    let clear = ue.registration_request(RegistrationType::InitialRegistration);
    let Ok(Nas5gmmMessage::RegistrationRequest(clear)) = tern_nas::decode_gmm(&clear, Direction::Uplink)
    else {
        panic!()
    };
    let container = ue.security.as_ref().unwrap().cipher_container(&whole);
    let outer = plain(clear.with_nas_message_container(NasMessageContainer::new(container)));
    let octets = ue.protect(&outer, HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    rig.serve();
    let accept = ue.accepted(&mut rig);
    let rejected = nas::rejected_nssai_of(accept.rejected_nssai.as_ref().unwrap());
    assert_eq!(rejected[0].1, Snssai::new(9, None));
}

#[test]
fn when_the_mac_of_a_known_guti_is_wrong_then_the_ue_must_identify_itself_and_the_old_context_stays() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    let mut impostor = Ue::new(2);
    impostor.guti = ue.guti;
    let request = impostor.registration_request(RegistrationType::InitialRegistration);
    impostor.initial(&mut rig, &request);
    let Nas5gmmMessage::IdentityRequest(identity) = impostor.hear(&mut rig) else { panic!() };
    assert_eq!(identity.identity_type.identity_type(), Some(MobileIdentityType::Suci));
    let context = rig.amf.ue(&supi()).unwrap();
    assert!(context.registered && context.n2.as_ref().unwrap().ran_ue_ngap_id == 1);
    // The real UE goes on.
    ue.say(&mut rig, NasFGmmStatus::new(NasFGmmCause::from_cause(GmmCause::ProtocolErrorUnspecified)));
    assert!(rig.downlink.is_empty());
}

#[test]
fn when_the_guti_is_unknown_then_identification_leads_to_authentication() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.guti = Some(tern_types::Guti5g { guami: crate::Config::default().guami(), tmsi: 5 });
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &request);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::IdentityRequest(_)));
    ue.say(&mut rig, NasIdentityResponse::new(Ue::suci()));
    rig.serve();
    ue.prove(&mut rig, &request);
    rig.serve();
    ue.accepted(&mut rig);
}

#[test]
fn when_a_periodic_update_comes_then_it_is_accepted_without_the_home_network() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    ue.go_idle(&mut rig);
    rig.served.clear();
    ue.ran_id = 2;
    let request = ue.registration_request(RegistrationType::PeriodicRegistrationUpdating);
    let octets = ue.protect(&request, HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    ue.accepted(&mut rig);
    assert!(rig.served.is_empty() && rig.requests.is_empty());
}

/// TS 24.501 §5.5.1.2.8: T3550.
#[test]
fn when_registration_complete_is_lost_then_amf_enters_registered_on_fifth_expiry() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register_to_accept(&mut rig);
    for _ in 0..4 {
        rig.expire();
        ue.accepted(&mut rig);
        assert!(!rig.amf.ue(&supi()).unwrap().registered);
    }
    rig.expire();
    assert!(rig.downlink.is_empty());
    assert!(rig.amf.ue(&supi()).unwrap().registered);
}

/// TS 24.501 §5.5.1.2.8: the same request after the ACCEPT.
#[test]
fn when_the_same_request_comes_again_after_the_accept_then_the_accept_is_sent_again() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &request);
    rig.serve();
    ue.prove(&mut rig, &request);
    rig.serve();
    ue.accepted(&mut rig);
    let before = ue.guti;
    ue.uplink(&mut rig, &request);
    ue.accepted(&mut rig);
    assert_eq!(ue.guti, before);
}

/// TS 24.501 §5.5.1.2.8: the same request before any answer.
#[test]
fn when_the_same_request_comes_again_before_an_answer_then_it_is_ignored() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &request);
    rig.serve();
    let Nas5gmmMessage::AuthenticationRequest(challenge) = ue.hear(&mut rig) else { panic!() };
    ue.uplink(&mut rig, &request);
    assert!(rig.downlink.is_empty() && rig.requests.is_empty());
    ue.respond(&mut rig, &challenge);
    ue.secure(&mut rig, &request);
}

/// TS 24.501 §5.5.1.2.8: another request.
#[test]
fn when_a_different_request_comes_then_the_first_is_aborted() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &request);
    rig.serve();
    let Nas5gmmMessage::AuthenticationRequest(_) = ue.hear(&mut rig) else { panic!() };
    ue.requested = Some(vec![Snssai::new(1, None)]);
    let other = ue.registration_request(RegistrationType::InitialRegistration);
    ue.uplink(&mut rig, &other);
    rig.serve();
    ue.prove(&mut rig, &other);
    rig.serve();
    ue.accepted(&mut rig);
}

#[test]
fn when_the_same_subscriber_registers_on_another_connection_then_the_older_context_is_taken_over() {
    let mut rig = Rig::new();
    let mut old = Ue::new(1);
    old.register(&mut rig);
    let mut ue = Ue::new(2);
    ue.usim.sqn = old.usim.sqn.clone();
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &request);
    rig.serve();
    let Nas5gmmMessage::AuthenticationRequest(challenge) = ue.hear(&mut rig) else { panic!() };
    ue.respond(&mut rig, &challenge);
    assert_eq!(rig.released(), Cause::nas(CauseNas::normal_release));
    rig.streams.push(ue.stream);
    ue.secure(&mut rig, &request);
    rig.serve();
    ue.accepted(&mut rig);
    assert_eq!(rig.amf.ue_count(), 1);
    assert_eq!(rig.amf.ue(&supi()).unwrap().n2.as_ref().unwrap().ran_ue_ngap_id, 2);
}

#[test]
fn when_a_context_is_serialised_between_two_inputs_then_it_reads_back() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    let context = rig.amf.ue(&supi()).unwrap();
    let text = serde_json::to_string_pretty(context).unwrap();
    // Another form is another schema version: TERN_GOLDEN=write makes its file.
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/golden/ue-context-2.json");
    if std::env::var_os("TERN_GOLDEN").is_some() {
        std::fs::write(golden, format!("{text}\n")).unwrap();
    }
    assert_eq!(crate::SCHEMA_VERSION, 2);
    assert_eq!(std::fs::read_to_string(golden).unwrap().trim_end(), text);
    let back: crate::UeContext = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string_pretty(&back).unwrap(), text);
    // The form of before has no time at which the UE was where it is.
    let before: crate::UeContext = serde_json::from_str(include_str!("golden/ue-context-1.json")).unwrap();
    assert!(before.registered && before.location.is_some() && before.located_at.is_none());
}
