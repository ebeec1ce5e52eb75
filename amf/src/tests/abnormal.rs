//! Abnormal cases of other procedures than registration: TS 24.501 §5.4, §5.5.2, §5.6; TS 38.413 §8.

use bytes::Bytes;
use tern_nas::nas_5gs::*;
use tern_nas::security::HeaderType;
use tern_ngap::NgapPduKind;
use tern_ngap::ngap::{Cause, CauseNas};
use tern_sbi::namf_comm::NgapIeType;
use tern_sbi::nudm_uecm::DeregistrationReason;

use super::deregistration::{deregistration, withdrawn};
use super::paging::answered;
use super::rig::*;
use super::service_request::service_request;
use super::session::{created, registered, set_up, transfer};
use crate::n2::message::{N2Event, ResetScope};
use crate::{Config, GmmState, Input};

/// The common procedures of a first registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Common {
    Identification,
    Authentication,
    SecurityMode,
}

/// A UE that has not answered the request of this procedure.
fn asked(common: Common) -> (Rig, Ue) {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    if common == Common::Identification {
        ue.guti = Some(tern_types::Guti5g { guami: Config::default().guami(), tmsi: 5 });
    }
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &request);
    rig.serve();
    match ue.hear(&mut rig) {
        Nas5gmmMessage::IdentityRequest(_) => assert_eq!(common, Common::Identification),
        Nas5gmmMessage::AuthenticationRequest(challenge) if common == Common::SecurityMode => {
            ue.respond(&mut rig, &challenge);
            assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::SecurityModeCommand(_)));
        }
        message => assert!(matches!(message, Nas5gmmMessage::AuthenticationRequest(_))),
    }
    (rig, ue)
}

/// TS 24.501 §5.4.1.3.7 a, §5.4.2.7 a, §5.4.3.6 a.
#[test]
fn when_the_connection_goes_in_a_common_procedure_then_it_is_aborted() {
    for common in [Common::Identification, Common::Authentication, Common::SecurityMode] {
        let (mut rig, ue) = asked(common);
        ue.go_idle(&mut rig);
        assert!(rig.downlink.is_empty() && rig.deadline.is_none(), "{common:?}");
        assert_eq!(rig.amf.ue_count(), 0, "{common:?}");
    }
}

/// TS 24.501 §5.4.1.3.7 d: with a SUCI there is no better identity to ask for.
#[test]
fn when_the_challenge_is_none_of_5g_then_authentication_is_rejected() {
    let (mut rig, mut ue) = asked(Common::Authentication);
    let cause = NasFGmmCause::from_cause(GmmCause::NonFiveGAuthenticationUnacceptable);
    ue.say(&mut rig, NasAuthenticationFailure::new(cause));
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::AuthenticationReject(_)));
    assert_eq!(rig.released(), Cause::nas(CauseNas::authentication_failure));
}

/// TS 24.501 §5.4.3.6 d, e: the same request is not treated any further, another one is begun.
#[test]
fn when_a_registration_request_meets_the_identification_it_has_caused_then_only_another_one_counts() {
    let (mut rig, mut ue) = asked(Common::Identification);
    let same = ue.registration_request(RegistrationType::InitialRegistration);
    ue.uplink(&mut rig, &same);
    assert!(rig.downlink.is_empty());
    ue.requested = Some(vec![tern_types::Snssai::new(1, None)]);
    let other = ue.registration_request(RegistrationType::InitialRegistration);
    ue.uplink(&mut rig, &other);
    // §5.4.3.6 e: the identification is carried on with.
    assert!(rig.downlink.is_empty());
    ue.say(&mut rig, NasIdentityResponse::new(Ue::suci()));
    rig.serve();
    ue.prove(&mut rig, &other);
    rig.serve();
    ue.accepted(&mut rig);
    assert_eq!(rig.count("amf.gmm.procedure_aborted"), 1);
}

/// TS 24.501 §5.4.3.6 f.
#[test]
fn when_the_ue_switches_off_while_it_is_asked_who_it_is_then_it_is_deregistered() {
    let (mut rig, mut ue) = authenticated_again();
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::AuthenticationRequest(_)));
    let cause = NasFGmmCause::from_cause(GmmCause::MacFailure);
    ue.say(&mut rig, NasAuthenticationFailure::new(cause));
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::IdentityRequest(_)));
    let request = deregistration(&ue, true);
    ue.say(&mut rig, request);
    assert_eq!(rig.released(), Cause::nas(CauseNas::deregister));
    rig.serve();
    let context = rig.amf.ue(&supi()).unwrap();
    assert!(context.procedure.is_none() && !context.registered && rig.downlink.is_empty());
}

/// A UE that has not answered CONFIGURATION UPDATE COMMAND.
fn updating() -> (Rig, Ue) {
    let (mut rig, mut ue) = answered();
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ServiceAccept(_)));
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ConfigurationUpdateCommand(_)));
    ue.context_is_set_up(&mut rig);
    rig.serve();
    (rig, ue)
}

/// TS 24.501 §5.4.4.6 c.
#[test]
fn when_the_ue_deregisters_while_its_configuration_is_updated_then_the_update_is_aborted() {
    let (mut rig, mut ue) = updating();
    let request = deregistration(&ue, false);
    ue.say(&mut rig, request);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::DeregistrationAcceptUeOriginating(_)));
    assert_eq!(rig.released(), Cause::nas(CauseNas::deregister));
    rig.serve();
    let context = rig.amf.ue(&supi()).unwrap();
    assert!(context.procedure.is_none());
    assert_eq!(context.state(), GmmState::Deregistered);
}

/// TS 24.501 §5.4.4.6 d.
#[test]
fn when_the_ue_registers_while_its_configuration_is_updated_then_the_update_is_aborted() {
    let (mut rig, mut ue) = updating();
    let request = ue.registration_request(RegistrationType::MobilityRegistrationUpdating);
    let octets = ue.protect(&request, HeaderType::Ciphered);
    ue.uplink(&mut rig, &octets);
    rig.serve();
    ue.accepted(&mut rig);
    // What is supervised now is the ACCEPT.
    rig.expire();
    ue.accepted(&mut rig);
    ue.say(&mut rig, NasRegistrationComplete::new());
    let context = rig.amf.ue(&supi()).unwrap();
    assert!(context.registered && context.procedure.is_none() && context.old_guti.is_none());
}

/// TS 24.501 §5.4.5.2.5 b to e: what is not served is dropped, and sessions go on.
#[test]
fn when_a_payload_has_no_receiver_then_the_procedure_is_aborted() {
    use PayloadContainerKind as Kind;
    let (mut rig, mut ue) = registered();
    let kinds =
        [Kind::Sms, Kind::LtePp, Kind::UePolicy, Kind::LocationServices, Kind::ServiceLevelAaContainer];
    for kind in kinds {
        let container = NasPayloadContainer::new(vec![1, 2, 3]);
        let kind = NasPayloadContainerType::from_kind(kind);
        ue.say(&mut rig, NasUlNasTransport::new(kind, container));
    }
    assert!(rig.downlink.is_empty() && rig.requests.is_empty());
    assert_eq!(rig.count("amf.nas.payload_kind_unserved"), kinds.len() as u64);
}

/// TS 24.501 §5.5.2.2.7 e: the UE is back before its connection is released.
#[test]
fn when_the_ue_registers_before_its_deregistration_is_over_then_the_registration_is_progressed() {
    let (mut rig, mut ue) = registered();
    let request = deregistration(&ue, false);
    ue.say(&mut rig, request);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::DeregistrationAcceptUeOriginating(_)));
    ue.ran_id = 2;
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    let octets = ue.protect(&request, HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    assert_eq!(rig.released(), Cause::nas(CauseNas::deregister));
    rig.serve();
    ue.accepted(&mut rig);
    ue.say(&mut rig, NasRegistrationComplete::new());
    assert!(rig.amf.ue(&supi()).unwrap().registered);
}

/// A UE with a session that has not answered the network's DEREGISTRATION REQUEST.
fn deregistering() -> (Rig, Ue) {
    let (mut rig, mut ue) = created(None);
    rig.ask(transfer(NgapIeType::PduResSetupReq, true));
    set_up(&mut rig, &mut ue);
    rig.serve();
    withdrawn(&mut rig, DeregistrationReason::ReregistrationRequired);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::DeregistrationRequestUeTerminated(_)));
    rig.serve();
    rig.served.clear();
    (rig, ue)
}

/// TS 24.501 §5.5.2.3.5 b.
#[test]
fn when_the_connection_goes_while_the_network_deregisters_then_the_ue_counts_as_deregistered() {
    let (mut rig, ue) = deregistering();
    ue.go_idle(&mut rig);
    let context = rig.amf.ue(&supi()).unwrap();
    assert_eq!(context.state(), GmmState::Deregistered);
    assert!(context.procedure.is_none() && context.sessions.is_empty() && rig.downlink.is_empty());
}

/// TS 24.501 §5.5.2.3.5 c: both procedures are completed.
#[test]
fn when_the_ue_switches_off_while_the_network_deregisters_then_both_are_done() {
    let (mut rig, mut ue) = deregistering();
    let request = deregistration(&ue, true);
    ue.say(&mut rig, request);
    assert_eq!(rig.released(), Cause::nas(CauseNas::deregister));
    rig.serve();
    assert!(rig.downlink.is_empty());
    assert_eq!(rig.amf.ue(&supi()).unwrap().state(), GmmState::Deregistered);
}

/// TS 24.501 §5.5.2.3.5 d: progressed after its sessions have gone.
#[test]
fn when_the_ue_registers_anew_while_the_network_deregisters_then_it_is_registered_without_sessions() {
    let (mut rig, mut ue) = deregistering();
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    let octets = ue.protect(&request, HeaderType::Ciphered);
    ue.uplink(&mut rig, &octets);
    rig.serve();
    assert!(rig.served.contains(&"ReleaseSmContext"), "{:?}", rig.served);
    while rig.downlink[0].kind() == NgapPduKind::Initiating_PDUSessionResourceRelease {
        rig.next();
    }
    ue.accepted(&mut rig);
    ue.say(&mut rig, NasRegistrationComplete::new());
    let context = rig.amf.ue(&supi()).unwrap();
    assert!(context.registered && context.procedure.is_none() && context.sessions.is_empty());
}

/// TS 24.501 §5.5.2.3.5 e, f: updates and service requests change nothing; T3522 goes on.
#[test]
fn when_the_ue_asks_for_service_while_the_network_deregisters_then_the_deregistration_goes_on() {
    let (mut rig, mut ue) = deregistering();
    let requests = [
        ue.registration_request(RegistrationType::MobilityRegistrationUpdating),
        ue.registration_request(RegistrationType::PeriodicRegistrationUpdating),
        plain(service_request(&ue)),
    ];
    for request in requests {
        let octets = ue.protect(&request, HeaderType::Ciphered);
        ue.uplink(&mut rig, &octets);
        rig.serve();
        assert!(rig.downlink.is_empty());
        assert_eq!(rig.amf.ue(&supi()).unwrap().state(), GmmState::DeregisteredInitiated);
        rig.expire();
        assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::DeregistrationRequestUeTerminated(_)));
    }
    ue.say(&mut rig, NasDeregistrationAcceptUeTerminated::new());
    assert_eq!(rig.released(), Cause::nas(CauseNas::deregister));
    assert_eq!(rig.amf.ue(&supi()).unwrap().state(), GmmState::Deregistered);
}

/// A UE whose service request waits for an SMF; its octets.
fn serving() -> (Rig, Ue, Bytes) {
    let (mut rig, mut ue) = created(None);
    rig.ask(transfer(NgapIeType::PduResSetupReq, true));
    set_up(&mut rig, &mut ue);
    rig.serve();
    ue.go_idle(&mut rig);
    ue.ran_id += 1;
    let wanted = NasUplinkDataStatus::from_sessions(&[5]).unwrap();
    let request = plain(service_request(&ue).with_uplink_data_status(wanted));
    let octets = ue.protect(&request, HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    assert_eq!((rig.downlink.len(), rig.requests.len()), (0, 1));
    ue.amf_id = rig.amf.ue(&supi()).unwrap().n2.as_ref().unwrap().amf_ue_ngap_id;
    rig.forget_counts();
    (rig, ue, request)
}

fn send(rig: &mut Rig, ue: &mut Ue, request: &Bytes) {
    let octets = ue.protect(request, HeaderType::Ciphered);
    ue.uplink(rig, &octets);
}

/// TS 24.501 §5.6.1.8 a.
#[test]
fn when_the_connection_goes_before_service_is_accepted_then_the_ue_is_idle() {
    let (mut rig, ue, _) = serving();
    ue.go_idle(&mut rig);
    let context = rig.amf.ue(&supi()).unwrap();
    assert!(context.registered && context.n2.is_none() && context.procedure.is_none());
    assert!(rig.downlink.is_empty() && !context.sessions.values().any(|session| session.resources));
}

/// TS 24.501 §5.6.1.8 b: a 5G-S-TMSI that is cut.
#[test]
fn when_a_service_request_does_not_decode_then_96() {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    ue.guti = Some(tern_types::Guti5g { guami: Config::default().guami(), tmsi: 5 });
    ue.initial(&mut rig, &Bytes::from_static(&[0x7e, 0, 0x4c, 0x10, 0, 7, 0xf4, 0, 0x40]));
    let Nas5gmmMessage::ServiceReject(reject) = ue.hear(&mut rig) else { panic!() };
    assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::InvalidMandatoryInformation));
    rig.released();
    assert_eq!(rig.amf.ue_count(), 0);
}

/// TS 24.501 §5.6.1.8 c: the same request is not treated any further, another one aborts the first.
#[test]
fn when_service_is_requested_again_before_it_is_accepted_then_only_another_request_counts() {
    let (mut rig, mut ue, request) = serving();
    send(&mut rig, &mut ue, &request);
    assert_eq!(rig.count("amf.gmm.service_request_repeated"), 1);
    assert_eq!((rig.downlink.len(), rig.requests.len()), (0, 1));
    let other = plain(service_request(&ue));
    send(&mut rig, &mut ue, &other);
    assert_eq!(rig.count("amf.gmm.procedure_aborted"), 1);
    let Nas5gmmMessage::ServiceAccept(accept) = ue.hear(&mut rig) else { panic!() };
    // It has asked for nothing.
    assert!(accept.pdu_session_reactivation_result.is_none());
    rig.serve();
    assert!(rig.amf.ue(&supi()).unwrap().procedure.is_none());
}

/// TS 24.501 §5.6.1.8 d, e.
#[test]
fn when_the_ue_registers_before_service_is_accepted_then_the_registration_is_progressed() {
    for kind in [
        RegistrationType::InitialRegistration,
        RegistrationType::MobilityRegistrationUpdating,
        RegistrationType::PeriodicRegistrationUpdating,
    ] {
        let (mut rig, mut ue, _) = serving();
        let request = ue.registration_request(kind);
        send(&mut rig, &mut ue, &request);
        rig.serve();
        ue.accepted(&mut rig);
        ue.say(&mut rig, NasRegistrationComplete::new());
        let context = rig.amf.ue(&supi()).unwrap();
        assert!(context.registered && context.procedure.is_none(), "{kind:?}");
        // An initial registration begins without sessions.
        let anew = kind == RegistrationType::InitialRegistration;
        assert_eq!(context.sessions.is_empty(), anew, "{kind:?}");
    }
}

/// TS 38.413 §8.7.4.4.1: a connection of which neither identity is told.
#[test]
fn when_a_reset_names_no_connection_then_none_is_lost() {
    let (mut rig, _) = registered();
    let ues = ResetScope::Some(vec![(None, None)]);
    rig.input(Input::N2(N2Event::Reset { gnb: GNB, ues }));
    assert!(rig.amf.ue(&supi()).unwrap().n2.is_some() && rig.downlink.is_empty());
}
