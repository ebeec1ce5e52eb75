//! Room for UEs with priority: TS 24.501 §5.3.9, §5.5.2.3.

use tern_nas::nas_5gs::{ServiceType, *};
use tern_nas::security::HeaderType;
use tern_ngap::NgapPduKind;
use tern_ngap::ngap::*;
use tern_types::Supi;

use super::deregistration::deregistration;
use super::rig::*;
use super::service_request::service_request;
use crate::{Config, GmmState};

/// An AMF that has room for so many UEs, and all of them, registered.
fn full(ues: u32) -> (Rig, Vec<Ue>) {
    let mut config = Config::default();
    (config.limits.ues, config.limits.registrations) = (ues as usize, 1);
    // Its gNB is told of overload elsewhere.
    config.overload.start_percent = 200;
    config.overload.room_for_priority = true;
    let mut rig = Rig::with(config);
    let register = |number: u32| {
        let mut ue = Ue::new(number);
        ue.supi = Supi::from_imsi(&format!("00101{number:010}")).unwrap();
        ue.register(&mut rig);
        ue
    };
    let all = (1..=ues).map(register).collect();
    rig.forget_counts();
    (rig, all)
}

/// Somebody comes.
fn comes(rig: &mut Rig, ran_id: u32, why: RRCEstablishmentCause) -> Ue {
    let mut ue = Ue::new(ran_id);
    ue.why = why;
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(rig, &request);
    ue
}

fn urgent(rig: &mut Rig, ran_id: u32) -> Ue {
    comes(rig, ran_id, RRCEstablishmentCause::highPriorityAccess)
}

/// T3346 of the DEREGISTRATION REQUEST that comes next.
fn sent_away(rig: &mut Rig, ue: &mut Ue) -> u64 {
    let Nas5gmmMessage::DeregistrationRequestUeTerminated(request) = ue.hear(rig) else { panic!() };
    assert_eq!(request.fgmm_cause.and_then(|ie| ie.cause()), Some(GmmCause::Congestion));
    assert!(!request.de_registration_type.re_registration_required());
    request.t3346_value.and_then(|timer| timer.to_seconds()).expect("T3346")
}

fn is_turned_away(rig: &mut Rig, ue: &mut Ue) -> bool {
    let Nas5gmmMessage::RegistrationReject(reject) = ue.hear(rig) else { return false };
    rig.released() == Cause::misc(CauseMisc::control_processing_overload)
        && reject.fgmm_cause.cause() == Some(GmmCause::Congestion)
}

/// TS 24.501 §5.5.2.3.1, §5.5.2.3.3: it leaves its room to the other one, and nothing of it is kept.
#[test]
fn when_there_is_no_room_for_one_with_priority_then_a_registered_ue_is_deregistered_with_22_and_t3346() {
    let (mut rig, mut ues) = full(1);
    let gone = ues[0].supi.clone();
    let mut other = urgent(&mut rig, 2);
    let base = rig.amf.config.timers.t3346_s;
    assert!((base..=2 * base + 2).contains(&sent_away(&mut rig, &mut ues[0])));
    assert_eq!(rig.amf.ue(&gone).unwrap().state(), GmmState::DeregisteredInitiated);
    rig.serve();
    assert!(matches!(other.hear(&mut rig), Nas5gmmMessage::AuthenticationRequest(_)));
    ues[0].say(&mut rig, NasDeregistrationAcceptUeTerminated::new());
    assert_eq!(rig.released(), Cause::nas(CauseNas::deregister));
    rig.serve();
    assert!(rig.amf.ue(&gone).is_none());
    assert_eq!((rig.amf.ue_count(), rig.count("amf.gmm.congestion_deregistered")), (1, 1));
}

/// TS 24.501 §5.5.2.3.5 a: each transmission has T3346, and the fifth expiry makes room as well.
#[test]
fn when_the_one_that_is_to_go_does_not_answer_then_the_fifth_expiry_makes_room() {
    let (mut rig, mut ues) = full(1);
    let gone = ues[0].supi.clone();
    urgent(&mut rig, 2);
    let told = sent_away(&mut rig, &mut ues[0]);
    for _ in 0..4 {
        rig.expire();
        assert_eq!(sent_away(&mut rig, &mut ues[0]), told);
    }
    rig.expire();
    assert_eq!(rig.released(), Cause::nas(CauseNas::deregister));
    assert!(rig.amf.ue(&gone).is_none());
}

/// TS 24.501 §5.5.2.3.5 b, c.
#[test]
fn when_the_one_that_is_to_go_is_lost_or_leaves_by_itself_then_nothing_of_it_is_kept() {
    for leaves in [false, true] {
        let (mut rig, mut ues) = full(1);
        let gone = ues[0].supi.clone();
        urgent(&mut rig, 2);
        sent_away(&mut rig, &mut ues[0]);
        rig.requests.clear();
        if leaves {
            let request = deregistration(&ues[0], true);
            ues[0].say(&mut rig, request);
            rig.released();
        } else {
            ues[0].go_idle(&mut rig);
        }
        assert!(rig.amf.ue(&gone).is_none(), "{leaves}");
    }
}

/// TS 23.502 §4.2.2.3.3 step 2.
#[test]
fn when_only_idle_ues_are_there_then_one_is_paged_to_be_told_or_is_forgotten() {
    for answers in [false, true] {
        let (mut rig, mut ues) = full(1);
        let gone = ues[0].supi.clone();
        ues[0].go_idle(&mut rig);
        urgent(&mut rig, 2);
        assert_eq!(rig.next().kind(), NgapPduKind::Initiating_Paging);
        if answers {
            ues[0].ran_id = 3;
            let mut request = service_request(&ues[0]);
            request.service_type = NasServiceType::from_service_type(ServiceType::MobileTerminatedServices);
            let octets = ues[0].protect(&plain(request), HeaderType::Integrity);
            ues[0].initial(&mut rig, &octets);
            assert!(matches!(ues[0].hear(&mut rig), Nas5gmmMessage::ServiceAccept(_)));
            sent_away(&mut rig, &mut ues[0]);
            ues[0].say(&mut rig, NasDeregistrationAcceptUeTerminated::new());
        } else {
            for _ in 0..rig.amf.config.paging.attempts {
                assert!(rig.amf.ue(&gone).is_some());
                rig.expire();
            }
        }
        assert!(rig.amf.ue(&gone).is_none(), "{answers}");
    }
}

#[test]
fn when_one_can_be_told_at_once_then_no_other_is_paged() {
    let (mut rig, mut ues) = full(3);
    ues[0].go_idle(&mut rig);
    ues[2].go_idle(&mut rig);
    urgent(&mut rig, 4);
    sent_away(&mut rig, &mut ues[1]);
    assert!(rig.downlink.is_empty());
}

/// TS 24.501 §5.5.1.2.5: as before, for others, and where nobody may go.
#[test]
fn when_it_has_no_priority_or_nobody_may_go_then_it_is_turned_away() {
    let (mut rig, ues) = full(1);
    let mut other = comes(&mut rig, 2, RRCEstablishmentCause::mo_Data);
    assert!(is_turned_away(&mut rig, &mut other));
    let registered = rig.amf.ue(&ues[0].supi).unwrap();
    assert!(registered.registered && registered.procedure.is_none());

    // Without being allowed to, the AMF sends nobody away.
    rig.amf.config.overload.room_for_priority = false;
    let mut other = urgent(&mut rig, 3);
    assert!(is_turned_away(&mut rig, &mut other));
    assert!(rig.amf.ue(&ues[0].supi).unwrap().procedure.is_none());

    let mut config = Config::default();
    config.limits.ues = 1;
    config.overload.room_for_priority = true;
    let (mut rig, mut ue) = (Rig::with(config), Ue::new(1));
    ue.why = RRCEstablishmentCause::emergency;
    ue.register(&mut rig);
    let mut other = urgent(&mut rig, 2);
    assert!(is_turned_away(&mut rig, &mut other));
    assert!(rig.amf.ue(&ue.supi).unwrap().procedure.is_none());
}

#[test]
fn when_too_many_with_priority_come_at_once_then_what_is_held_is_bounded() {
    let (mut rig, _) = full(3);
    urgent(&mut rig, 4);
    rig.next();
    assert_eq!(rig.amf.ue_count(), 4);
    let mut other = urgent(&mut rig, 5);
    assert!(is_turned_away(&mut rig, &mut other));
    assert_eq!(rig.amf.ue_count(), 4);
}
