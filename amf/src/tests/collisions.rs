//! Procedures that cross, and are both completed: TS 24.501 §5.4.2.7, §5.4.3.6, §5.4.4.6, §5.5.1.3.8.

use bytes::Bytes;
use tern_nas::NgKsi;
use tern_nas::nas_5gs::*;
use tern_nas::security::{HeaderType, NasSecurityContext};
use tern_ngap::ngap::{Cause, CauseNas};
use tern_sbi::nudm_uecm::DeregistrationReason;
use tern_types::STmsi5g;

use super::deregistration::{deregistration, withdrawn};
use super::paging::{answered, asked_for_data, paged_identity};
use super::rig::*;
use super::service_request::service_request;
use super::updates::returning;
use crate::GmmState;

/// The UE sends these octets, protected, over its connection.
fn send(rig: &mut Rig, ue: &mut Ue, octets: &Bytes) {
    let octets = ue.protect(octets, HeaderType::Ciphered);
    ue.uplink(rig, &octets);
}

fn is_deregistered(rig: &mut Rig) -> bool {
    assert_eq!(rig.released(), Cause::nas(CauseNas::deregister));
    rig.serve();
    let context = rig.amf.ue(&supi()).unwrap();
    context.state() == GmmState::Deregistered && context.procedure.is_none() && !context.leaving
}

/// TS 24.501 §5.4.2.7 c: the UE has not heard SECURITY MODE COMMAND, and hears the ACCEPT under the context
/// that it has.
#[test]
fn when_the_ue_deregisters_before_it_hears_of_new_keys_then_it_is_answered_under_the_old_ones() {
    let (mut rig, mut ue) = authenticated_again();
    let Nas5gmmMessage::AuthenticationRequest(challenge) = ue.hear(&mut rig) else { panic!() };
    ue.respond(&mut rig, &challenge);
    // SECURITY MODE COMMAND is lost.
    rig.next();
    let request = deregistration(&ue, false);
    ue.say(&mut rig, request);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::DeregistrationAcceptUeOriginating(_)));
    assert!(is_deregistered(&mut rig));
}

type Keys = (Option<NasSecurityContext>, Option<NgKsi>);

/// A UE that has the keys of before, and those that SECURITY MODE COMMAND wants it to take into use.
fn rekeyed() -> (Rig, Ue, Keys) {
    let (mut rig, mut ue) = authenticated_again();
    let Nas5gmmMessage::AuthenticationRequest(challenge) = ue.hear(&mut rig) else { panic!() };
    ue.respond(&mut rig, &challenge);
    let old = (ue.security.clone(), ue.ksi);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::SecurityModeCommand(_)));
    let new = (ue.security.take(), ue.ksi.take());
    (ue.security, ue.ksi) = old;
    (rig, ue, new)
}

/// It takes them into use.
fn takes(rig: &mut Rig, ue: &mut Ue, keys: Keys) {
    (ue.security, ue.ksi) = keys;
    let octets = ue.protect(&plain(NasSecurityModeComplete::new()), HeaderType::CipheredNewContext);
    ue.uplink(rig, &octets);
}

/// TS 24.501 §5.4.2.7 d: both are progressed.
#[test]
fn when_the_ue_switches_off_before_it_hears_of_new_keys_then_both_go_on() {
    for answers in [true, false] {
        let (mut rig, mut ue, keys) = rekeyed();
        let old = rig.amf.ue(&supi()).unwrap().previous_security.as_ref().map(|context| context.ksi());
        let new = rig.amf.ue(&supi()).unwrap().security.as_ref().map(|context| context.ksi());
        assert!(old.is_some() && old != new);
        let request = deregistration(&ue, true);
        ue.say(&mut rig, request);
        rig.serve();
        assert!(!rig.amf.ue(&supi()).unwrap().registered && rig.downlink.is_empty());
        // T3560 goes on.
        rig.expire();
        rig.next();
        if answers {
            takes(&mut rig, &mut ue, keys);
            assert_eq!(rig.released(), Cause::nas(CauseNas::deregister));
        } else {
            for _ in 0..4 {
                assert!(rig.amf.ue(&supi()).unwrap().n2.is_some());
                rig.downlink.clear();
                rig.destinations.clear();
                rig.expire();
            }
            rig.released();
        }
        rig.serve();
        let context = rig.amf.ue(&supi()).unwrap();
        assert_eq!(context.state(), GmmState::Deregistered);
        assert_eq!(context.security.as_ref().map(|context| context.ksi()), if answers { new } else { old });
        assert!(context.previous_security.is_none() && context.procedure.is_none());
    }
}

/// TS 24.501 §5.4.2.7 d: the network's de-registration waits for the new keys.
#[test]
fn when_the_network_deregisters_a_ue_that_is_given_new_keys_then_it_hears_of_it_under_these() {
    let (mut rig, mut ue, keys) = rekeyed();
    withdrawn(&mut rig, DeregistrationReason::SubscriptionWithdrawn);
    assert!(rig.downlink.is_empty());
    takes(&mut rig, &mut ue, keys);
    rig.serve();
    ue.accepted(&mut rig);
    ue.context_is_set_up(&mut rig);
    ue.say(&mut rig, NasRegistrationComplete::new());
    let Nas5gmmMessage::DeregistrationRequestUeTerminated(_) = ue.hear(&mut rig) else { panic!() };
    ue.say(&mut rig, NasDeregistrationAcceptUeTerminated::new());
    assert!(is_deregistered(&mut rig));
}

/// TS 24.501 §5.4.3.6 f: without switch off, identification is completed first.
#[test]
fn when_the_ue_deregisters_while_it_is_asked_who_it_is_then_it_is_answered_once_it_has_said_so() {
    let (mut rig, mut ue) = authenticated_again();
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::AuthenticationRequest(_)));
    let cause = NasFGmmCause::from_cause(GmmCause::MacFailure);
    ue.say(&mut rig, NasAuthenticationFailure::new(cause));
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::IdentityRequest(_)));
    let request = deregistration(&ue, false);
    ue.say(&mut rig, request);
    assert!(rig.downlink.is_empty());
    ue.say(&mut rig, NasIdentityResponse::new(Ue::suci()));
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::DeregistrationAcceptUeOriginating(_)));
    assert!(is_deregistered(&mut rig));
}

/// A UE whose update is accepted, and that wants to leave before it has confirmed that.
fn leaving() -> (Rig, Ue) {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    ue.register(&mut rig);
    returning(&mut rig, &mut ue, RegistrationType::MobilityRegistrationUpdating);
    ue.accepted(&mut rig);
    ue.context_is_set_up(&mut rig);
    let request = deregistration(&ue, false);
    ue.say(&mut rig, request);
    assert!(rig.downlink.is_empty());
    (rig, ue)
}

/// TS 24.501 §5.5.1.3.8 g: without switch off, the update is completed first.
#[test]
fn when_the_ue_deregisters_before_an_update_is_confirmed_then_the_update_is_completed_first() {
    let (mut rig, mut ue) = leaving();
    ue.say(&mut rig, NasRegistrationComplete::new());
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::DeregistrationAcceptUeOriginating(_)));
    assert!(is_deregistered(&mut rig));
}

/// The same where the UE is lost meanwhile.
#[test]
fn when_a_ue_that_waits_to_leave_is_lost_then_it_counts_as_deregistered() {
    let (mut rig, ue) = leaving();
    ue.go_idle(&mut rig);
    rig.serve();
    let context = rig.amf.ue(&supi()).unwrap();
    assert_eq!((context.state(), context.leaving), (GmmState::Deregistered, false));
}

/// TS 24.501 §5.4.4.6 e: both go on.
#[test]
fn when_the_ue_asks_for_service_while_its_configuration_is_updated_then_both_are_done() {
    let (mut rig, mut ue) = answered();
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ServiceAccept(_)));
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ConfigurationUpdateCommand(_)));
    ue.context_is_set_up(&mut rig);
    rig.serve();
    let request = plain(service_request(&ue));
    send(&mut rig, &mut ue, &request);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ServiceAccept(_)));
    // T3555 goes on.
    rig.expire();
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ConfigurationUpdateCommand(_)));
    assert!(rig.amf.ue(&supi()).unwrap().old_guti.is_some());
    ue.say(&mut rig, NasConfigurationUpdateComplete::new());
    let context = rig.amf.ue(&supi()).unwrap();
    assert!(context.old_guti.is_none() && context.procedure.is_none() && context.n2.is_some());
}

/// The same where an SMF keeps the service request waiting: the UE's answer counts meanwhile.
#[test]
fn when_the_update_is_completed_before_service_is_accepted_then_it_is_not_lost() {
    let (mut rig, mut ue) = answered();
    ue.hear(&mut rig);
    ue.hear(&mut rig);
    ue.context_is_set_up(&mut rig);
    rig.serve();
    // The gNB has released the session's resources, and the UE wants them back.
    let id = rig.id();
    rig.amf.with_ue(id, |ue, _| {
        ue.sessions.values_mut().for_each(|session| session.resources = false);
    });
    let wanted = NasUplinkDataStatus::from_sessions(&[5]).unwrap();
    let request = plain(service_request(&ue).with_uplink_data_status(wanted));
    send(&mut rig, &mut ue, &request);
    assert_eq!((rig.downlink.len(), rig.requests.len()), (0, 1));
    ue.say(&mut rig, NasConfigurationUpdateComplete::new());
    assert!(rig.amf.ue(&supi()).unwrap().old_guti.is_none());
    rig.serve();
    let mut said = Vec::new();
    while !rig.downlink.is_empty() {
        let pdu = rig.next();
        said.push(pdu.kind());
    }
    assert!(said.contains(&tern_ngap::NgapPduKind::Initiating_DownlinkNASTransport), "{said:?}");
    assert!(rig.amf.ue(&supi()).unwrap().procedure.is_none());
}

/// TS 24.501 §5.4.4.6 b.2: a command without a 5G-GUTI is dropped with its connection, and nothing changes.
#[test]
fn when_the_connection_goes_while_other_configuration_is_updated_then_nothing_stays() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    ue.register(&mut rig);
    let id = rig.id();
    rig.amf.with_ue(id, crate::gmm::configuration_update::start);
    // Nothing is due: what was begun leaves.
    rig.input(crate::Input::Expired);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ConfigurationUpdateCommand(_)));
    let guti = rig.amf.ue(&supi()).unwrap().guti;
    ue.go_idle(&mut rig);
    let context = rig.amf.ue(&supi()).unwrap();
    assert!(context.procedure.is_none() && context.registered);
    assert_eq!((context.guti, context.old_guti), (guti, None));
}

/// TS 24.501 §5.4.4.6 a, b: while the UE confirms none, each 5G-GUTI that it may have is valid.
#[test]
fn when_two_new_gutis_are_not_confirmed_then_the_first_is_valid_still() {
    let (mut rig, mut ue) = answered();
    let first = ue.guti.unwrap();
    for _ in 0..2 {
        // SERVICE ACCEPT is heard, CONFIGURATION UPDATE COMMAND is not.
        assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ServiceAccept(_)));
        rig.next();
        ue.context_is_set_up(&mut rig);
        rig.serve();
        ue.go_idle(&mut rig);
        ue.ran_id += 1;
        asked_for_data(&mut rig);
        let mut identities = vec![paged_identity(&mut rig)];
        while !identities.contains(&STmsi5g::from(first)) && identities.len() < 4 {
            rig.expire();
            identities.push(paged_identity(&mut rig));
        }
        assert!(identities.contains(&STmsi5g::from(first)), "{identities:?}");
        let mut request = service_request(&ue);
        request.service_type = NasServiceType::from_service_type(ServiceType::MobileTerminatedServices);
        let octets = ue.protect(&plain(request), HeaderType::Integrity);
        ue.initial(&mut rig, &octets);
    }
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ServiceAccept(_)));
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ConfigurationUpdateCommand(_)));
    ue.context_is_set_up(&mut rig);
    ue.say(&mut rig, NasConfigurationUpdateComplete::new());
    let context = rig.amf.ue(&supi()).unwrap();
    assert!(context.old_guti.is_none() && context.older_gutis.is_empty());
    assert_eq!(rig.amf.by_tmsi.len(), 1);
}
