//! Service area restrictions (TS 24.501 §5.3.5, TS 23.501 §5.3.4.1.2), and slices per tracking area
//! (TS 23.501 §5.15.5.2.2).

use tern_nas::nas_5gs::{ServiceType, *};
use tern_nas::registration as nas;
use tern_nas::security::HeaderType;
use tern_ngap::convert;
use tern_ngap::ngap::*;
use tern_sbi::common::{Area, RestrictionType, ServiceAreaRestriction};
use tern_sbi::npcf_am::{AmPolicyUpdateNotify, PolicyUpdate};
use tern_types::{ServiceArea, Snssai, Tac};

use super::rig::*;
use super::two_gnbs::*;
use crate::{AmfRequest, ServedPlmn};

fn restriction(kind: RestrictionType, tacs: &[u32]) -> ServiceAreaRestriction {
    let tacs = tacs.iter().map(|&tac| Tac::new(tac).unwrap()).collect();
    ServiceAreaRestriction {
        restriction_type: Some(kind),
        areas: vec![Area { tacs, area_code: None }],
        max_num_of_tas: None,
    }
}

fn area(allowed: bool, tac: u32) -> ServiceArea {
    ServiceArea { allowed, tais: vec![tai(tac)] }
}

fn request_service(rig: &mut Rig, ue: &mut Ue, kind: ServiceType) -> Nas5gmmMessage {
    ue.ran_id += 1;
    let request = NasServiceRequest::new(
        nas::ngksi(ue.ksi),
        NasServiceType::from_service_type(kind),
        tern_nas::MobileIdentity::STmsi(ue.guti.unwrap().into()).to_ie().unwrap(),
    );
    let octets = ue.protect(&plain(request), HeaderType::Integrity);
    ue.initial(rig, &octets);
    ue.hear(rig)
}

/// What the gNB is told in its Mobility Restriction List.
fn told(pdu: &NGAP_PDU) -> Option<ServiceArea> {
    let list = pdu.ie::<tern_ngap::ie::MobilityRestrictionList>()?.unwrap();
    Some(convert::service_area_of(list.service_area_information.as_ref()?).unwrap())
}

/// A registered UE whose service area is restricted, and what UE and gNB were told.
fn registered(kind: RestrictionType, tacs: &[u32]) -> (Rig, Ue, Option<ServiceArea>, Option<ServiceArea>) {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    rig.service_area = Some(restriction(kind, tacs));
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &request);
    rig.serve();
    ue.prove(&mut rig, &request);
    rig.serve();
    let gnb = told(rig.downlink.front().unwrap());
    let accept = ue.accepted(&mut rig);
    let list = accept.service_area_list.as_ref().map(|list| nas::service_area_of(list).unwrap());
    ue.context_is_set_up(&mut rig);
    ue.say(&mut rig, NasRegistrationComplete::new());
    (rig, ue, list, gnb)
}

/// TS 24.501 §5.5.1.2.4, TS 38.413 §8.3.1.2.
#[test]
fn when_a_service_area_is_subscribed_then_ue_and_gnb_are_told() {
    for (kind, allowed) in [(RestrictionType::AllowedAreas, true), (RestrictionType::NotAllowedAreas, false)]
    {
        let (_, _, ue, gnb) = registered(kind, &[7]);
        assert_eq!((ue, gnb), (Some(area(allowed, 7)), Some(area(allowed, 7))));
    }
}

/// TS 24.501 §5.6.1.5, §5.3.5.2.
#[test]
fn when_a_ue_asks_for_service_where_it_has_none_then_it_is_refused_with_28() {
    let (mut rig, mut ue, ..) = registered(RestrictionType::NotAllowedAreas, &[1]);
    for kind in [ServiceType::Data, ServiceType::Signalling] {
        ue.go_idle(&mut rig);
        let Nas5gmmMessage::ServiceReject(reject) = request_service(&mut rig, &mut ue, kind) else {
            panic!()
        };
        assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::RestrictedServiceArea));
        rig.released();
        assert!(rig.amf.ue(&supi()).unwrap().registered);
        let accepted = request_service(&mut rig, &mut ue, ServiceType::MobileTerminatedServices);
        assert!(matches!(accepted, Nas5gmmMessage::ServiceAccept(_)), "it answers a page");
        ue.context_is_set_up(&mut rig);
        let Nas5gmmMessage::ConfigurationUpdateCommand(command) = ue.hear(&mut rig) else { panic!() };
        let identity = tern_nas::MobileIdentity::of(command.fg_guti.as_ref().unwrap()).unwrap();
        let tern_nas::MobileIdentity::Guti(guti) = identity else { panic!("no 5G-GUTI") };
        ue.guti = Some(guti);
        ue.say(&mut rig, NasConfigurationUpdateComplete::new());
        ue.gnb_informed(&mut rig);
    }
    ue.go_idle(&mut rig);
    ue.why = RRCEstablishmentCause::highPriorityAccess;
    let accepted = request_service(&mut rig, &mut ue, ServiceType::Data);
    assert!(matches!(accepted, Nas5gmmMessage::ServiceAccept(_)), "access with priority");
}

/// TS 24.501 §5.4.5.3.1: 5GMM cause #28 in DL NAS TRANSPORT.
#[test]
fn when_a_session_is_asked_for_where_there_is_no_service_then_it_comes_back_with_28() {
    let (mut rig, mut ue, ..) = registered(RestrictionType::AllowedAreas, &[2]);
    let kind = NasPayloadContainerType::from_kind(PayloadContainerKind::N1SmInformation);
    let request = NasUlNasTransport::new(kind, NasPayloadContainer::new(vec![0x2e, 5, 1, 0xc1, 0xff, 0xff]))
        .with_pdu_session_id(NasPduSessionIdentity2::from_pdu_session_id(5))
        .with_request_type(NasRequestType::from_request_type(RequestTypeValue::InitialRequest));
    ue.say(&mut rig, request);
    let Nas5gmmMessage::DlNasTransport(back) = ue.hear(&mut rig) else { panic!() };
    assert_eq!(back.fgmm_cause.and_then(|cause| cause.cause()), Some(GmmCause::RestrictedServiceArea));
    assert!(rig.requests.is_empty());
}

/// TS 24.501 §5.4.4.2, TS 38.413 §8.6.2.2: the PCF changes where there is service.
#[test]
fn when_the_pcf_changes_the_service_area_then_ue_and_gnb_are_told_at_once() {
    let (mut rig, mut ue, ..) = registered(RestrictionType::AllowedAreas, &[1]);
    let update = PolicyUpdate {
        serv_area_res: Some(restriction(RestrictionType::NotAllowedAreas, &[1])),
        ..PolicyUpdate::new("http://127.0.0.14/1".into())
    };
    let path = AmPolicyUpdateNotify::callback_path(&supi().to_string());
    let request = AmPolicyUpdateNotify { path, update };
    assert_eq!(rig.ask(AmfRequest::AmPolicyUpdateNotify(Box::new(request))).status, 204);
    assert_eq!(told(rig.downlink.front().unwrap()), Some(area(false, 1)));
    let Nas5gmmMessage::ConfigurationUpdateCommand(command) = ue.hear(&mut rig) else { panic!() };
    assert_eq!(nas::service_area_of(&command.service_area_list.unwrap()).unwrap(), area(false, 1));
    ue.say(&mut rig, NasConfigurationUpdateComplete::new());
    assert!(rig.amf.ue(&supi()).unwrap().procedure.is_none());
    ue.go_idle(&mut rig);
    let answer = request_service(&mut rig, &mut ue, ServiceType::Data);
    assert!(matches!(answer, Nas5gmmMessage::ServiceReject(_)));
}

/// TS 23.501 §5.15.5.2.2: in the other tracking area there is another slice.
#[test]
fn when_a_ue_comes_to_an_area_without_its_slice_then_the_slices_sessions_are_released() {
    let (one, two) = (Snssai::new(1, None), Snssai::new(2, None));
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    rig.subscribed = vec![one, two];
    let tac = |n| Tac::new(n).unwrap();
    rig.amf.config.served = vec![
        ServedPlmn { tacs: vec![tac(1)], slices: vec![one, two], ..ServedPlmn::default() },
        ServedPlmn { tacs: vec![tac(2), tac(3)], slices: vec![two], ..ServedPlmn::default() },
    ];
    ue.requested = Some(vec![one, two]);
    ue.register(&mut rig);
    for (id, slice) in [(5, one), (6, two)] {
        let kind = NasPayloadContainerType::from_kind(PayloadContainerKind::N1SmInformation);
        let n1 = vec![0x2e, id, 1, 0xc1, 0xff, 0xff];
        let request = NasUlNasTransport::new(kind, NasPayloadContainer::new(n1))
            .with_pdu_session_id(NasPduSessionIdentity2::from_pdu_session_id(id))
            .with_s_nssai(nas::snssai(slice))
            .with_request_type(NasRequestType::from_request_type(RequestTypeValue::InitialRequest));
        ue.say(&mut rig, request);
        rig.serve();
    }
    ue.go_idle(&mut rig);
    let mut gnb = rig.amf.gnbs[&GNB].clone();
    gnb.supported_tas[0].tac = tac(2);
    rig.amf.gnbs.insert(GNB, gnb);
    (ue.ran_id, ue.tai) = (2, tai(2));
    rig.served.clear();
    let identity = tern_nas::MobileIdentity::Guti(ue.guti.unwrap()).to_ie().unwrap();
    let kind = NasFGsRegistrationType::from_registration_type(RegistrationType::MobilityRegistrationUpdating);
    let request = NasRegistrationRequest::new(kind, nas::ngksi(ue.ksi), identity)
        .with_ue_security_capability(NasUeSecurityCapability::new(CAPABILITY.to_vec()))
        .with_requested_nssai(nas::nssai(&[one, two]).unwrap())
        .with_pdu_session_status(NasPduSessionStatus::from_sessions(&[5, 6]).unwrap());
    let octets = ue.protect(&plain(request), HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    rig.serve();
    let accept = ue.accepted(&mut rig);
    assert_eq!(nas::nssai_of(accept.allowed_nssai.as_ref().unwrap()), [two]);
    let rejected = nas::rejected_nssai_of(accept.rejected_nssai.as_ref().unwrap());
    assert_eq!(rejected, [(RejectedNssaiCause::NotAvailableInRegistrationArea, one)]);
    assert_eq!(nas::nssai_of(accept.configured_nssai.as_ref().unwrap()), [one, two]);
    assert_eq!(nas::tais(accept.tai_list.as_ref().unwrap()).unwrap(), [tai(2), tai(3)]);
    let status = accept.pdu_session_status.as_ref().unwrap();
    assert_eq!((status.is_active(5), status.is_active(6)), (false, true));
    assert_eq!(rig.served.iter().filter(|name| **name == "ReleaseSmContext").count(), 1);
    assert_eq!(rig.amf.ue(&supi()).unwrap().sessions.keys().copied().collect::<Vec<_>>(), [session(6)]);
}
