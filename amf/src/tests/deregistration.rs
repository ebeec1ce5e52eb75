//! TS 24.501 §5.5.2, §5.3.7.

use tern_nas::nas_5gs::*;
use tern_nas::registration as nas;
use tern_ngap::ngap::{Cause, CauseNas};
use tern_sbi::nudm_uecm::{DeregistrationData, DeregistrationNotify, DeregistrationReason};

use super::rig::*;
use crate::{AmfRequest, GmmState};

pub(super) fn deregistration(
    ue: &Ue,
    switch_off: bool,
) -> tern_nas::nas_5gs::NasDeregistrationRequestUeOriginating {
    let kind = NasDeRegistrationType::new(1).with_switch_off(switch_off);
    let identity = tern_nas::MobileIdentity::Guti(ue.guti.unwrap()).to_ie().unwrap();
    NasDeregistrationRequestUeOriginating::new(kind, nas::ngksi(ue.ksi), identity)
}

#[test]
fn when_a_ue_deregisters_then_it_is_answered_and_released() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    rig.served.clear();
    let request = deregistration(&ue, false);
    ue.say(&mut rig, request);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::DeregistrationAcceptUeOriginating(_)));
    assert_eq!(rig.released(), Cause::nas(CauseNas::deregister));
    rig.serve();
    // AM policy, data subscription and the UDM's registration go.
    assert_eq!(rig.served, ["another", "another", "another"]);
    let context = rig.amf.ue(&supi()).unwrap();
    assert_eq!(context.state(), GmmState::Deregistered);
    // An hour later nothing of it is left.
    rig.expire();
    assert_eq!(rig.amf.ue_count(), 0);
    assert!(rig.deadline.is_none());
}

#[test]
fn when_a_ue_switches_off_then_it_is_released_without_an_accept() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    let request = deregistration(&ue, true);
    ue.say(&mut rig, request);
    assert_eq!(rig.released(), Cause::nas(CauseNas::deregister));
    assert!(rig.downlink.is_empty());
}

#[test]
fn when_a_deregistration_is_not_protected_then_the_ue_stays_registered() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    let request = plain(deregistration(&ue, true));
    ue.uplink(&mut rig, &request);
    assert!(rig.amf.ue(&supi()).unwrap().registered && rig.downlink.is_empty());
    // Nor on a connection of its own.
    ue.ran_id = 9;
    ue.initial(&mut rig, &request);
    rig.released();
    assert!(rig.amf.ue(&supi()).unwrap().registered);
}

#[test]
fn when_a_registered_ue_is_not_heard_of_then_it_is_implicitly_deregistered() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    ue.go_idle(&mut rig);
    rig.expire();
    assert!(rig.amf.ue(&supi()).unwrap().registered);
    rig.expire();
    assert!(!rig.amf.ue(&supi()).unwrap().registered);
    rig.expire();
    assert_eq!(rig.amf.ue_count(), 0);
}

/// TS 24.501 §5.5.1.2.8: a DEREGISTRATION REQUEST before REGISTRATION COMPLETE.
#[test]
fn when_a_ue_deregisters_before_its_registration_is_complete_then_the_registration_is_aborted() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register_to_accept(&mut rig);
    let request = deregistration(&ue, false);
    ue.say(&mut rig, request);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::DeregistrationAcceptUeOriginating(_)));
    assert_eq!(rig.released(), Cause::nas(CauseNas::deregister));
    rig.serve();
    let context = rig.amf.ue(&supi()).unwrap();
    assert!(!context.registered && context.procedure.is_none());
}

/// The UDM ends the registration.
pub(super) fn withdrawn(rig: &mut Rig, reason: DeregistrationReason) {
    let data = DeregistrationData::new(reason);
    let path = DeregistrationNotify::callback_path(&supi().to_string());
    let reply = rig.ask(AmfRequest::DeregistrationNotify(DeregistrationNotify { path, data }));
    assert_eq!(reply.status, 204);
}

/// TS 24.501 §5.5.2.3.1, §5.5.2.3.3.
#[test]
fn when_the_subscription_is_withdrawn_then_the_network_deregisters_the_ue() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    withdrawn(&mut rig, DeregistrationReason::SubscriptionWithdrawn);
    let Nas5gmmMessage::DeregistrationRequestUeTerminated(request) = ue.hear(&mut rig) else { panic!() };
    assert_eq!(request.fgmm_cause.and_then(|ie| ie.cause()), Some(GmmCause::IllegalUe));
    assert_eq!(rig.amf.ue(&supi()).unwrap().state(), GmmState::DeregisteredInitiated);
    ue.say(&mut rig, NasDeregistrationAcceptUeTerminated::new());
    assert_eq!(rig.released(), Cause::nas(CauseNas::deregister));
    rig.serve();
    assert_eq!(rig.amf.ue(&supi()).unwrap().state(), GmmState::Deregistered);
}

/// TS 24.501 §5.5.2.3.5 a: T3522.
#[test]
fn when_deregistration_is_not_answered_then_the_fifth_expiry_deregisters() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    withdrawn(&mut rig, DeregistrationReason::ReregistrationRequired);
    for _ in 0..5 {
        let Nas5gmmMessage::DeregistrationRequestUeTerminated(request) = ue.hear(&mut rig) else { panic!() };
        assert!(request.de_registration_type.re_registration_required());
        assert!(rig.downlink.is_empty());
        rig.expire();
    }
    assert_eq!(rig.released(), Cause::nas(CauseNas::deregister));
    assert_eq!(rig.amf.ue(&supi()).unwrap().state(), GmmState::Deregistered);
}

/// TS 24.501 §5.5.2.3.5: the UE's DEREGISTRATION REQUEST meets the network's.
#[test]
fn when_both_deregister_then_the_ue_is_answered() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    withdrawn(&mut rig, DeregistrationReason::ReregistrationRequired);
    ue.hear(&mut rig);
    let request = deregistration(&ue, false);
    ue.say(&mut rig, request);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::DeregistrationAcceptUeOriginating(_)));
    assert_eq!(rig.released(), Cause::nas(CauseNas::deregister));
    assert!(!rig.amf.ue(&supi()).unwrap().registered);
}

/// TS 23.502 §4.2.2.3.3 step 2: a UE in CM-IDLE is paged, and hears of it.
#[test]
fn when_the_subscription_of_an_idle_ue_is_withdrawn_then_it_is_paged_and_told() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    ue.go_idle(&mut rig);
    withdrawn(&mut rig, DeregistrationReason::SubscriptionWithdrawn);
    assert_eq!(rig.next().kind(), tern_ngap::NgapPduKind::Initiating_Paging);
    assert!(rig.amf.ue(&supi()).unwrap().registered);
    ue.ran_id = 2;
    let request = NasServiceRequest::new(
        nas::ngksi(ue.ksi),
        NasServiceType::from_service_type(ServiceType::MobileTerminatedServices),
        tern_nas::MobileIdentity::STmsi(ue.guti.unwrap().into()).to_ie().unwrap(),
    );
    let octets = ue.protect(&plain(request), tern_nas::security::HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ServiceAccept(_)));
    let Nas5gmmMessage::DeregistrationRequestUeTerminated(request) = ue.hear(&mut rig) else { panic!() };
    assert_eq!(request.fgmm_cause.unwrap().cause(), Some(GmmCause::IllegalUe));
    ue.say(&mut rig, NasDeregistrationAcceptUeTerminated::new());
    assert_eq!(rig.released(), Cause::nas(CauseNas::deregister));
    assert!(!rig.amf.ue(&supi()).unwrap().registered);
}

#[test]
fn when_an_idle_ue_does_not_hear_that_it_is_deregistered_then_the_network_forgets_it() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    ue.go_idle(&mut rig);
    withdrawn(&mut rig, DeregistrationReason::SubscriptionWithdrawn);
    for _ in 0..rig.amf.config.paging.attempts {
        assert!(rig.amf.ue(&supi()).unwrap().registered);
        assert_eq!(rig.next().kind(), tern_ngap::NgapPduKind::Initiating_Paging);
        rig.expire();
    }
    assert!(rig.downlink.is_empty());
    assert!(!rig.amf.ue(&supi()).unwrap().registered);
}
