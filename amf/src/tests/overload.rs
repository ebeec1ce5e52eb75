//! Overload Start and Overload Stop: TS 38.413 §8.7.7, §8.7.8.

use tern_nas::nas_5gs::{Nas5gmmMessage, RegistrationType};
use tern_ngap::NgapPduKind;
use tern_ngap::ngap::*;

use super::rig::*;
use super::two_gnbs::add_gnb;
use crate::Config;

/// A rig in which the second UE that registers at the same time is too much.
fn rig() -> Rig {
    let mut config = Config::default();
    (config.limits.registrations, config.overload.stop_percent) = (2, 49);
    Rig::with(config)
}

fn begin(rig: &mut Rig, ran_id: u32) -> Ue {
    let ue = Ue::new(ran_id);
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(rig, &request);
    ue
}

/// What gNBs are told of overload, and how much they are to turn away.
fn told(rig: &mut Rig) -> Vec<(&'static str, Option<u8>)> {
    let name = |pdu: &NGAP_PDU| match pdu.kind() {
        NgapPduKind::Initiating_OverloadStart => Some("start"),
        NgapPduKind::Initiating_OverloadStop => Some("stop"),
        _ => None,
    };
    let percent = |pdu: &NGAP_PDU| {
        let ie = pdu.ie::<tern_ngap::ie::AMFTrafficLoadReductionIndication>()?;
        Some(ie.unwrap().0)
    };
    let told = rig.downlink.iter().filter_map(|pdu| Some((name(pdu)?, percent(pdu)))).collect();
    rig.downlink.retain(|pdu| name(pdu).is_none());
    told
}

#[test]
fn when_many_register_then_gnbs_are_asked_for_less_until_it_is_over() {
    let mut rig = rig();
    add_gnb(&mut rig);
    let mut first = begin(&mut rig, 1);
    let start = ("start", Some(50));
    assert_eq!(told(&mut rig), [start, start], "each gNB");
    assert_eq!(rig.streams, [0, 0]);
    let _second = begin(&mut rig, 2);
    assert_eq!(told(&mut rig), [], "once");
    // A gNB that comes meanwhile is told as well.
    add_gnb(&mut rig);
    assert_eq!(told(&mut rig), [start]);
    rig.serve();
    rig.downlink.clear();
    // Nobody answers: the procedures end, and with them the overload.
    for _ in 0..5 {
        rig.expire();
    }
    let stop = ("stop", None);
    assert_eq!(told(&mut rig), [stop, stop]);
    rig.downlink.clear();
    first.ran_id = 3;
    let request = first.registration_request(RegistrationType::InitialRegistration);
    first.initial(&mut rig, &request);
    assert_eq!(told(&mut rig), [start, start]);
}

/// TS 24.501 §5.3.9: beyond the limit those with priority alone come in.
#[test]
fn when_there_is_no_room_then_ues_with_priority_come_in_all_the_same() {
    let mut rig = rig();
    begin(&mut rig, 1);
    begin(&mut rig, 2);
    rig.downlink.clear();
    let mut ordinary = begin(&mut rig, 3);
    assert!(matches!(ordinary.hear(&mut rig), Nas5gmmMessage::RegistrationReject(_)));
    rig.released();
    let mut urgent = Ue::new(4);
    urgent.why = RRCEstablishmentCause::emergency;
    let request = urgent.registration_request(RegistrationType::InitialRegistration);
    urgent.initial(&mut rig, &request);
    rig.serve();
    let answer = rig.downlink.pop_back().expect("a challenge");
    assert_eq!(answer.kind(), NgapPduKind::Initiating_DownlinkNASTransport);
    assert_eq!(rig.amf.registering.len(), 3);
}
