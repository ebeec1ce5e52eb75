//! UEs that wait for their turn to register, and those that are turned away: TS 24.501 §5.5.1.2.5.

use tern_nas::nas_5gs::{GmmCause, Nas5gmmMessage, RegistrationType};
use tern_ngap::NgapPduKind;
use tern_ngap::ngap::*;
use tern_types::Duration;

use super::rig::*;
use crate::arrivals::{OVERLOAD_AFTER, WAIT_IN_OVERLOAD, WAITING_WITHIN};
use crate::n2::message::{N2Event, ResetScope};
use crate::{Config, Input};

/// Registrations on which other network functions work at the same time, in these tests.
const AT_WORK: usize = 2;

fn rig() -> Rig {
    let mut config = Config::default();
    config.limits.registrations_at_work = AT_WORK;
    Rig::with(config)
}

fn come(rig: &mut Rig, ran_id: u32) -> Ue {
    urgently(rig, ran_id, RRCEstablishmentCause::mo_Signalling)
}

fn urgently(rig: &mut Rig, ran_id: u32, why: RRCEstablishmentCause) -> Ue {
    let mut ue = Ue::new(ran_id);
    ue.why = why;
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(rig, &request);
    ue
}

/// The AUSF answers the one that has waited longest for it.
fn serve_one(rig: &mut Rig) {
    assert!(rig.serve_one(), "nobody waits for the AUSF");
}

fn pass(rig: &mut Rig, time: Duration) {
    rig.now = rig.now + time;
    rig.input(Input::Expired);
}

/// The UEs, by their RAN UE NGAP ID, that were turned away with #22 and T3346, and their connections released.
fn turned_away(rig: &mut Rig) -> Vec<u32> {
    let mut turned_away = Vec::new();
    for pdu in std::mem::take(&mut rig.downlink) {
        if pdu.kind() == NgapPduKind::Initiating_UEContextRelease {
            let why = pdu.ie::<tern_ngap::ie::Cause>().unwrap().unwrap();
            assert_eq!(why, Cause::misc(CauseMisc::control_processing_overload));
        }
        if pdu.kind() != NgapPduKind::Initiating_DownlinkNASTransport {
            continue;
        }
        let nas = pdu.ie::<tern_ngap::ie::NAS_PDU>().unwrap().unwrap();
        if let Ok(Nas5gmmMessage::RegistrationReject(reject)) =
            tern_nas::decode_gmm(&nas.0, crate::gmm::RECEIVED)
        {
            assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::Congestion));
            assert!(reject.t3346_value.is_some());
            turned_away.push(pdu.ie::<tern_ngap::ie::RAN_UE_NGAP_ID>().unwrap().unwrap().0);
        }
    }
    turned_away
}

#[test]
fn when_others_have_enough_to_do_then_ues_wait_and_begin_in_their_order() {
    let mut rig = rig();
    let mut ues: Vec<Ue> = (1..=5).map(|id| come(&mut rig, id)).collect();
    assert_eq!((rig.requests.len(), rig.amf.arrivals.waiting()), (AT_WORK, 3));
    // Nothing was done for those that wait.
    assert_eq!(rig.amf.ue_count(), AT_WORK);
    // The first has its challenge: while it makes its answer the AUSF works on the third.
    serve_one(&mut rig);
    assert!(matches!(ues[0].hear(&mut rig), Nas5gmmMessage::AuthenticationRequest(_)));
    assert_eq!((rig.requests.len(), rig.amf.arrivals.waiting()), (AT_WORK, 2));
    assert!(rig.amf.by_ran_id.contains_key(&(GNB, 3)) && !rig.amf.by_ran_id.contains_key(&(GNB, 4)));
    rig.serve();
    assert_eq!((rig.amf.arrivals.waiting(), rig.amf.registering.len()), (0, 5));
    for ue in &mut ues[1..] {
        assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::AuthenticationRequest(_)));
    }
}

/// TS 24.501 §5.3.9.
#[test]
fn when_a_ue_comes_with_priority_then_it_waits_for_nobody() {
    let mut rig = rig();
    (1..=3).for_each(|id| drop(come(&mut rig, id)));
    urgently(&mut rig, 4, RRCEstablishmentCause::emergency);
    assert_eq!((rig.requests.len(), rig.amf.arrivals.waiting()), (AT_WORK + 1, 1));
}

#[test]
fn when_a_burst_comes_then_it_is_served_however_long_it_takes() {
    let mut rig = rig();
    const UES: u32 = 12;
    (1..=UES).for_each(|id| drop(come(&mut rig, id)));
    for _ in 0..UES {
        pass(&mut rig, OVERLOAD_AFTER.mul_f64(0.9));
        serve_one(&mut rig);
    }
    assert!(turned_away(&mut rig).is_empty());
    assert_eq!(rig.amf.registering.len() + rig.amf.arrivals.waiting(), UES as usize);
}

#[test]
fn when_more_come_for_long_than_are_served_then_further_ones_are_turned_away_until_the_queue_is_short() {
    let mut rig = rig();
    let half = OVERLOAD_AFTER.mul_f64(0.5);
    (1..=5).for_each(|id| drop(come(&mut rig, id)));
    pass(&mut rig, half);
    serve_one(&mut rig);
    come(&mut rig, 6);
    assert!(turned_away(&mut rig).is_empty(), "not yet");
    pass(&mut rig, half);
    come(&mut rig, 7);
    assert_eq!(turned_away(&mut rig), [7]);
    // With priority they come in all the same.
    urgently(&mut rig, 8, RRCEstablishmentCause::highPriorityAccess);
    assert!(turned_away(&mut rig).is_empty());
    // Three are served; the one that waits then has come just now.
    for _ in 0..3 {
        serve_one(&mut rig);
    }
    assert_eq!(rig.amf.arrivals.waiting(), 1);
    come(&mut rig, 9);
    assert_eq!(turned_away(&mut rig), [9], "the sixth has waited for long");
    serve_one(&mut rig);
    assert_eq!(rig.amf.arrivals.waiting(), 0);
    // Nobody waits: the overload is over, and who comes may wait as long as at first.
    come(&mut rig, 10);
    pass(&mut rig, WAIT_IN_OVERLOAD);
    come(&mut rig, 11);
    assert!(turned_away(&mut rig).is_empty());
    assert_eq!(rig.amf.arrivals.waiting(), 2);
}

#[test]
fn when_nobody_is_served_then_ues_wait_as_long_as_they_try() {
    let mut rig = rig();
    (1..=3).for_each(|id| drop(come(&mut rig, id)));
    pass(&mut rig, OVERLOAD_AFTER * 5);
    come(&mut rig, 4);
    assert!(turned_away(&mut rig).is_empty(), "an AUSF that is away is not overload");
    while rig.now < tern_types::Instant::from_micros(1_000_000) + WAITING_WITHIN {
        rig.expire();
    }
    assert_eq!(turned_away(&mut rig), [3]);
    rig.serve();
    assert_eq!(rig.amf.registering.len(), 3);
}

#[test]
fn when_a_gnb_loses_or_reuses_what_waits_then_it_is_forgotten() {
    let connections = ResetScope::Some(vec![(None, Some(3))]);
    for (event, left) in [
        (N2Event::Reset { gnb: GNB, ues: connections }, (1, AT_WORK)),
        (N2Event::Reset { gnb: GNB, ues: ResetScope::All }, (0, 0)),
        (N2Event::GnbDown(GNB), (0, 0)),
    ] {
        let mut rig = rig();
        (1..=4).for_each(|id| drop(come(&mut rig, id)));
        rig.requests.clear();
        rig.input(Input::N2(event));
        assert_eq!((rig.amf.arrivals.waiting(), rig.amf.registering.len()), left);
    }
    let mut rig = rig();
    (1..=4).for_each(|id| drop(come(&mut rig, id)));
    come(&mut rig, 3);
    assert_eq!(rig.amf.arrivals.waiting(), 2);
    serve_one(&mut rig);
    assert!(rig.amf.by_ran_id.contains_key(&(GNB, 4)), "the other one has been waiting for longer");
}

/// What waits counts as what registers: together they are bounded, and so is the table of contexts.
#[test]
fn when_too_many_wait_then_further_ones_are_turned_away() {
    let mut config = Config::default();
    (config.limits.registrations_at_work, config.limits.registrations) = (1, 4);
    config.overload.start_percent = 200;
    let mut rig = Rig::with(config);
    (1..=6).for_each(|id| drop(come(&mut rig, id)));
    assert_eq!(turned_away(&mut rig), [5, 6]);

    let mut config = Config::default();
    (config.limits.registrations_at_work, config.limits.ues) = (1, 3);
    let mut rig = Rig::with(config);
    (1..=5).for_each(|id| drop(come(&mut rig, id)));
    assert_eq!(turned_away(&mut rig), [4, 5]);
    assert!(rig.amf.overload.is_none(), "a full table is no reason to ask gNBs for less of everything");
}

#[test]
fn when_ues_are_turned_away_then_gnbs_are_asked_for_what_can_be_taken() {
    let mut rig = rig();
    (1..=4).for_each(|id| drop(come(&mut rig, id)));
    pass(&mut rig, OVERLOAD_AFTER.mul_f64(0.5));
    serve_one(&mut rig);
    pass(&mut rig, OVERLOAD_AFTER.mul_f64(0.5));
    assert!(rig.amf.overload.is_none());
    come(&mut rig, 5);
    let reduction = |rig: &mut Rig| {
        let start = rig.downlink.iter().rev().find(|pdu| pdu.kind() == NgapPduKind::Initiating_OverloadStart);
        start.map(|pdu| pdu.ie::<tern_ngap::ie::AMFTrafficLoadReductionIndication>().unwrap().unwrap().0)
    };
    assert_eq!(reduction(&mut rig), Some(50));
    // Of four that come now all are turned away.
    (6..=9).for_each(|id| drop(come(&mut rig, id)));
    pass(&mut rig, crate::overload::PERIOD);
    assert_eq!(reduction(&mut rig), Some(99));
    rig.serve();
    rig.downlink.clear();
    // It is over, and gNBs may send more and more.
    let mut asked = vec![99];
    while rig.amf.overload.is_some() {
        pass(&mut rig, crate::overload::PERIOD);
        asked.extend(reduction(&mut rig));
        rig.downlink.retain(|pdu| pdu.kind() == NgapPduKind::Initiating_OverloadStop);
    }
    assert!(asked.is_sorted_by(|before, after| before > after) && asked.len() > 5, "{asked:?}");
    assert_eq!(rig.downlink.len(), 1);
}
