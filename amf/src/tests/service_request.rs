//! TS 24.501 §5.6.1.

use tern_nas::nas_5gs::*;
use tern_nas::registration as nas;
use tern_nas::security::HeaderType;

use super::rig::*;
use crate::Refusal;

pub(super) fn service_request(ue: &Ue) -> tern_nas::nas_5gs::NasServiceRequest {
    let tmsi = tern_types::STmsi5g::from(ue.guti.unwrap());
    let identity = tern_nas::MobileIdentity::STmsi(tmsi).to_ie().unwrap();
    NasServiceRequest::new(
        nas::ngksi(ue.ksi),
        NasServiceType::from_service_type(ServiceType::Signalling),
        identity,
    )
}

#[test]
fn when_a_service_request_has_no_context_then_it_is_rejected_with_9() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.guti = Some(tern_types::Guti5g { guami: crate::Config::default().guami(), tmsi: 5 });
    ue.initial(&mut rig, &plain(service_request(&ue)));
    let Nas5gmmMessage::ServiceReject(reject) = ue.hear(&mut rig) else { panic!() };
    assert_eq!(reject.fgmm_cause.cause(), Some(Refusal::IdentityUnknown.cause()));
    rig.released();
    assert_eq!(rig.amf.ue_count(), 0);
}

#[test]
fn when_a_registered_ue_requests_service_then_it_is_accepted() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    ue.go_idle(&mut rig);
    ue.ran_id = 2;
    let request = plain(service_request(&ue));
    let octets = ue.protect(&request, HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ServiceAccept(_)));
    let k_gnb = ue.security.as_ref().unwrap().k_gnb(ue.k_gnb_count);
    assert_eq!(ue.k_gnb.as_ref(), Some(k_gnb.as_bytes()));
}

/// TS 24.501 §5.6.1.5.
#[test]
fn when_a_service_request_comes_from_an_unserved_area_then_it_is_rejected_with_15() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    ue.go_idle(&mut rig);
    (ue.ran_id, ue.tai) = (2, tai(2));
    let octets = ue.protect(&plain(service_request(&ue)), HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    let Nas5gmmMessage::ServiceReject(reject) = ue.hear(&mut rig) else { panic!() };
    assert_eq!(reject.fgmm_cause.cause(), Some(Refusal::NoSuitableCells.cause()));
    rig.released();
    assert!(rig.amf.ue(&supi()).unwrap().registered);
}

/// TS 24.501 §5.6.1.4: over the connection that there is.
#[test]
fn when_a_connected_ue_requests_service_then_it_is_accepted_without_another_context_setup() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    let request = service_request(&ue);
    ue.say(&mut rig, request);
    assert_eq!(rig.downlink[0].kind(), tern_ngap::NgapPduKind::Initiating_DownlinkNASTransport);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ServiceAccept(_)));
}

/// TS 24.501 §5.6.1.5: who proves nothing gets #9, and changes nothing.
#[test]
fn when_the_mac_of_a_service_request_is_wrong_then_it_is_rejected_with_9_and_the_ue_stays() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    let mut impostor = Ue::new(2);
    impostor.guti = ue.guti;
    impostor.initial(&mut rig, &plain(service_request(&ue)));
    let Nas5gmmMessage::ServiceReject(reject) = impostor.hear(&mut rig) else { panic!() };
    assert_eq!(reject.fgmm_cause.cause(), Some(Refusal::IdentityUnknown.cause()));
    rig.released();
    assert!(rig.amf.ue(&supi()).unwrap().registered && rig.amf.ue(&supi()).unwrap().n2.is_some());
}
