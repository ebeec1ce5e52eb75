//! Abnormal cases of registration: TS 24.501 §5.5.1.2.8, §5.5.1.3.8; those that have no other place.

use bytes::Bytes;
use tern_nas::nas_5gs::*;
use tern_nas::registration as nas;
use tern_nas::security::HeaderType;
use tern_ngap::ngap::{Cause, CauseNas};

use super::deregistration::deregistration;
use super::rig::*;
use super::service_request::service_request;
use super::session::{created, set_up, transfer};
use super::updates::returning;
use crate::GmmState;

const UPDATES: [RegistrationType; 2] =
    [RegistrationType::MobilityRegistrationUpdating, RegistrationType::PeriodicRegistrationUpdating];

/// A UE whose first registration is accepted, and that has not confirmed it.
fn accepted() -> (Rig, Ue) {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    ue.register_to_accept(&mut rig);
    ue.context_is_set_up(&mut rig);
    (rig, ue)
}

/// A UE whose update is accepted, and that has not confirmed its new 5G-GUTI; the request's octets.
fn updated(kind: RegistrationType) -> (Rig, Ue, Bytes) {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    ue.register(&mut rig);
    // What the UE sends, before the ACCEPT changes its 5G-GUTI.
    let request = ue.registration_request(kind);
    returning(&mut rig, &mut ue, kind);
    ue.accepted(&mut rig);
    ue.context_is_set_up(&mut rig);
    (rig, ue, request)
}

/// The UE sends these octets, protected, over its connection.
fn send(rig: &mut Rig, ue: &mut Ue, octets: &Bytes) {
    let octets = ue.protect(octets, HeaderType::Ciphered);
    ue.uplink(rig, &octets);
    rig.serve();
}

/// Whether the UE is registered once it has confirmed.
fn completes(rig: &mut Rig, ue: &mut Ue) -> bool {
    ue.say(rig, NasRegistrationComplete::new());
    let context = rig.amf.ue(&supi()).unwrap();
    context.registered && context.procedure.is_none() && context.old_guti.is_none()
}

/// TS 24.501 §5.5.1.2.8 b, §5.5.1.3.8 b: a 5G-GUTI that is one octet short.
#[test]
fn when_a_request_of_any_kind_does_not_decode_then_96() {
    for kind in [0x79, 0x7a, 0x7b] {
        let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
        let octets = [0x7e, 0, 0x41, kind, 0, 0x0a, 0xf2, 2, 0xf8, 0x39, 0xca, 0xfe, 0, 0x11, 0x22, 0x33];
        ue.initial(&mut rig, &Bytes::copy_from_slice(&octets));
        let Nas5gmmMessage::RegistrationReject(reject) = ue.hear(&mut rig) else { panic!("{kind:x}") };
        assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::InvalidMandatoryInformation));
        rig.released();
        assert_eq!(rig.amf.ue_count(), 0);
    }
}

/// TS 24.501 §5.5.1.2.8 d.1: another request after the ACCEPT.
#[test]
fn when_another_request_comes_before_registration_complete_then_the_first_is_aborted() {
    let (mut rig, mut ue) = accepted();
    ue.requested = Some(vec![tern_types::Snssai::new(1, None)]);
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    rig.forget_counts();
    send(&mut rig, &mut ue, &request);
    ue.accepted(&mut rig);
    assert_eq!(rig.count("amf.gmm.procedure_aborted"), 1);
    assert!(completes(&mut rig, &mut ue));
}

/// TS 24.501 §5.5.1.2.8 g.
#[test]
fn when_an_update_comes_before_registration_complete_then_it_is_progressed_under_the_new_guti() {
    for kind in UPDATES {
        let (mut rig, mut ue) = accepted();
        let first = ue.guti;
        let request = ue.registration_request(kind);
        send(&mut rig, &mut ue, &request);
        ue.accepted(&mut rig);
        assert_ne!(ue.guti, first);
        assert_eq!(rig.amf.ue(&supi()).unwrap().old_guti, first, "{kind:?}");
        // T3550 runs for the second ACCEPT alone.
        rig.expire();
        ue.accepted(&mut rig);
        assert!(rig.downlink.is_empty());
        assert!(completes(&mut rig, &mut ue), "{kind:?}");
    }
}

/// TS 24.501 §5.5.1.2.8 i, TS 33.512 §4.2.2.6.1: no ciphering, no integrity, nothing but the null algorithm.
#[test]
fn when_the_security_capabilities_leave_no_algorithm_then_the_registration_is_rejected() {
    for capability in [[0x00, 0x70], [0x70, 0x00], [0x00, 0x00], [0xf0, 0x80]] {
        let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
        let kind = NasFGsRegistrationType::from_registration_type(RegistrationType::InitialRegistration);
        let request = NasRegistrationRequest::new(kind, nas::ngksi(None), Ue::suci())
            .with_ue_security_capability(NasUeSecurityCapability::new(capability.to_vec()));
        ue.initial(&mut rig, &plain(request));
        rig.serve();
        let Nas5gmmMessage::AuthenticationRequest(challenge) = ue.hear(&mut rig) else { panic!() };
        ue.respond(&mut rig, &challenge);
        let Nas5gmmMessage::RegistrationReject(reject) = ue.hear(&mut rig) else { panic!("{capability:x?}") };
        assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::UeSecurityCapabilitiesMismatch));
        rig.released();
        assert!(!rig.amf.ue(&supi()).is_some_and(|ue| ue.registered));
    }
}

/// TS 24.501 §5.5.1.3.8 a: either 5G-GUTI is valid until the UE has shown that it has the new one.
#[test]
fn when_the_connection_goes_before_an_update_is_confirmed_then_either_guti_is_valid() {
    for (kind, confirmed) in [(UPDATES[0], false), (UPDATES[1], true)] {
        let (mut rig, mut ue, _) = updated(kind);
        ue.go_idle(&mut rig);
        let context = rig.amf.ue(&supi()).unwrap();
        assert!(context.registered && context.n2.is_none() && context.procedure.is_none());
        let (old, new) = (context.old_guti, context.guti);
        assert!(old.is_some() && new == ue.guti);
        ue.guti = if confirmed { new } else { old };
        ue.ran_id += 1;
        let octets = ue.protect(&plain(service_request(&ue)), HeaderType::Integrity);
        ue.initial(&mut rig, &octets);
        assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ServiceAccept(_)), "{kind:?}");
    }
}

/// TS 24.501 §5.5.1.3.8 c.
#[test]
fn when_an_update_is_never_confirmed_then_t3550_repeats_and_the_fifth_expiry_aborts() {
    for kind in UPDATES {
        let (mut rig, mut ue, _) = updated(kind);
        for _ in 0..4 {
            rig.expire();
            ue.accepted(&mut rig);
        }
        rig.expire();
        assert!(rig.downlink.is_empty(), "{kind:?}");
        let context = rig.amf.ue(&supi()).unwrap();
        assert!(context.registered && context.procedure.is_none() && context.old_guti.is_some());
    }
}

/// TS 24.501 §5.5.1.3.8 d.1: another request after the ACCEPT.
#[test]
fn when_another_update_comes_before_registration_complete_then_the_first_is_aborted() {
    let (mut rig, mut ue, _) = updated(UPDATES[0]);
    let request = ue.registration_request(UPDATES[1]);
    rig.forget_counts();
    send(&mut rig, &mut ue, &request);
    ue.accepted(&mut rig);
    assert_eq!(rig.count("amf.gmm.procedure_aborted"), 1);
    assert!(completes(&mut rig, &mut ue));
}

/// TS 24.501 §5.5.1.3.8 d.2: the same request after the ACCEPT, which counts as no expiry.
#[test]
fn when_the_same_update_comes_again_after_the_accept_then_the_accept_is_sent_again() {
    for kind in UPDATES {
        let (mut rig, mut ue, request) = updated(kind);
        let guti = ue.guti;
        rig.expire();
        ue.accepted(&mut rig);
        send(&mut rig, &mut ue, &request);
        ue.accepted(&mut rig);
        for _ in 0..3 {
            rig.expire();
            ue.accepted(&mut rig);
        }
        assert_eq!(ue.guti, guti, "{kind:?}");
        rig.expire();
        assert!(rig.downlink.is_empty(), "{kind:?}");
    }
}

/// TS 24.501 §5.5.1.3.8 e.1, e.2: another request, or the same, while the SMF is asked for a session.
#[test]
fn when_an_update_comes_again_before_the_accept_then_only_another_one_aborts_the_first() {
    for same in [true, false] {
        let (mut rig, mut ue) = created(None);
        rig.ask(transfer(tern_sbi::namf_comm::NgapIeType::PduResSetupReq, true));
        set_up(&mut rig, &mut ue);
        rig.serve();
        ue.go_idle(&mut rig);
        ue.ran_id += 1;
        let kind = NasFGsRegistrationType::from_registration_type(UPDATES[0]);
        let identity = tern_nas::MobileIdentity::Guti(ue.guti.unwrap()).to_ie().unwrap();
        let request = NasRegistrationRequest::new(kind, nas::ngksi(ue.ksi), identity)
            .with_ue_security_capability(NasUeSecurityCapability::new(CAPABILITY.to_vec()))
            .with_uplink_data_status(NasUplinkDataStatus::from_sessions(&[5]).unwrap());
        let request = plain(request);
        let octets = ue.protect(&request, HeaderType::Integrity);
        ue.initial(&mut rig, &octets);
        assert_eq!((rig.downlink.len(), rig.requests.len()), (0, 1));
        rig.forget_counts();
        let again = if same { request } else { ue.registration_request(UPDATES[1]) };
        let octets = ue.protect(&again, HeaderType::Ciphered);
        // The AMF has told the UE no identity of the connection yet.
        ue.amf_id = rig.amf.ue(&supi()).unwrap().n2.as_ref().unwrap().amf_ue_ngap_id;
        ue.uplink(&mut rig, &octets);
        assert_eq!(rig.requests.len(), 1, "the SMF is not asked again");
        assert_eq!(rig.downlink.is_empty(), same);
        assert_eq!(rig.count("amf.gmm.procedure_aborted"), u64::from(!same));
        rig.serve();
        ue.accepted(&mut rig);
        assert!(completes(&mut rig, &mut ue));
    }
}

/// TS 24.501 §5.5.1.3.8 g.
#[test]
fn when_the_ue_switches_off_before_an_update_is_confirmed_then_the_update_is_aborted() {
    let (mut rig, mut ue, _) = updated(UPDATES[0]);
    let request = deregistration(&ue, true);
    ue.say(&mut rig, request);
    assert_eq!(rig.released(), Cause::nas(CauseNas::deregister));
    rig.serve();
    let context = rig.amf.ue(&supi()).unwrap();
    assert_eq!(context.state(), GmmState::Deregistered);
    assert!(context.procedure.is_none() && rig.downlink.is_empty());
}
