//! NG connections: TS 38.413 §8.3, §8.6, §8.7, §10.

use bytes::Bytes;
use tern_nas::nas_5gs::*;
use tern_nas::security::HeaderType;
use tern_ngap::ngap::{Cause, CauseNas, CauseProtocol, CauseRadioNetwork, NGAP_PDU};
use tern_ngap::{NgapPduKind, build_ngap, extract_ngap_ies};

use super::rig::*;
use crate::Input;
use crate::n2::message::{N2Event, ResetScope};

fn error_indication(rig: &mut Rig) -> (Option<u64>, Option<u32>, Cause) {
    let pdu = rig.next();
    assert_eq!(pdu.kind(), NgapPduKind::Initiating_ErrorIndication, "{pdu}");
    let read = |pdu: &NGAP_PDU| -> Result<_, tern_ngap::CodecError> {
        extract_ngap_ies!(pdu, ErrorIndication,
            opt amf_id: u64 = AMF_UE_NGAP_ID(id),
            opt ran_id: u32 = RAN_UE_NGAP_ID(id),
            req cause: Cause = Cause(cause) => cause,
        );
        Ok((amf_id, ran_id, cause))
    };
    read(&pdu).unwrap()
}

#[test]
fn when_the_amf_ue_ngap_id_is_unknown_then_error_indication() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.amf_id = 99;
    ue.uplink(&mut rig, &Bytes::from_static(&[0x7e, 0, 0x43]));
    let why = Cause::radioNetwork(CauseRadioNetwork::unknown_local_UE_NGAP_ID);
    assert_eq!(error_indication(&mut rig), (Some(99), Some(1), why));
}

#[test]
fn when_the_ran_ue_ngap_id_does_not_fit_then_error_indication() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    ue.ran_id = 2;
    ue.uplink(&mut rig, &Bytes::from_static(&[0x7e, 0, 0x43]));
    let why = Cause::radioNetwork(CauseRadioNetwork::inconsistent_remote_UE_NGAP_ID);
    assert_eq!(error_indication(&mut rig), (Some(ue.amf_id), Some(2), why));
    assert!(rig.amf.ue(&supi()).unwrap().n2.is_some());
}

#[test]
fn when_octets_are_no_ngap_then_transfer_syntax_error() {
    let mut rig = Rig::new();
    let pdu = Bytes::from_static(&[0, 15, 0x40, 3, 1, 2, 3]);
    rig.input(Input::N2(N2Event::Ngap { gnb: GNB, stream: 0, pdu }));
    let (_, _, cause) = error_indication(&mut rig);
    assert_eq!(cause, Cause::protocol(CauseProtocol::transfer_syntax_error));
}

#[test]
fn when_a_mandatory_ie_is_missing_then_error_indication_with_diagnostics() {
    let mut rig = Rig::new();
    let pdu = build_ngap!(InitiatingMessage, InitialUEMessage, InitialUEMessage, RAN_UE_NGAP_ID(1u32));
    rig.gnb(0, &pdu.unwrap());
    let (_, ran_id, cause) = error_indication(&mut rig);
    assert_eq!(ran_id, Some(1));
    assert_eq!(cause, Cause::protocol(CauseProtocol::abstract_syntax_error_reject));
    assert_eq!(rig.amf.ue_count(), 0);
}

#[test]
fn when_a_ran_ue_ngap_id_is_used_again_then_the_old_connection_is_gone() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    let mut other = Ue::new(1);
    let request = other.registration_request(RegistrationType::InitialRegistration);
    other.initial(&mut rig, &request);
    rig.serve();
    assert!(rig.amf.ue(&supi()).unwrap().n2.is_none());
    assert!(matches!(other.hear(&mut rig), Nas5gmmMessage::AuthenticationRequest(_)));
    assert_ne!(other.amf_id, ue.amf_id);
}

#[test]
fn when_a_connected_ue_comes_again_then_its_old_connection_is_released() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    ue.ran_id = 2;
    ue.stream = 0;
    let request = ue.registration_request(RegistrationType::MobilityRegistrationUpdating);
    let octets = ue.protect(&request, HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    assert_eq!(rig.released(), Cause::nas(CauseNas::normal_release));
    // The new connection keeps its own stream, also 0.
    ue.accepted(&mut rig);
    assert_eq!(rig.amf.ue_count(), 1);
}

#[test]
fn when_the_radio_capability_was_told_then_it_is_in_the_next_context_setup() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    let pdu = build_ngap!(
        InitiatingMessage,
        UERadioCapabilityInfoIndication,
        UERadioCapabilityInfoIndication,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        UERadioCapability(vec![1, 2, 3]),
    );
    rig.gnb(ue.stream, &pdu.unwrap());
    ue.go_idle(&mut rig);
    ue.ran_id = 2;
    let request = ue.registration_request(RegistrationType::PeriodicRegistrationUpdating);
    let octets = ue.protect(&request, HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    let pdu = rig.next();
    let read = || -> Result<Vec<u8>, tern_ngap::CodecError> {
        extract_ngap_ies!(pdu, InitialContextSetupRequest,
            req capability: Vec<u8> = UERadioCapability(capability) => capability.0.to_vec(),
        );
        Ok(capability)
    };
    assert_eq!(read().unwrap(), [1, 2, 3]);
}

#[test]
fn when_the_gnb_cannot_set_up_the_context_then_the_connection_is_released() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register_to_accept(&mut rig);
    let pdu = build_ngap!(
        UnsuccessfulOutcome,
        InitialContextSetup,
        InitialContextSetupFailure,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        Cause(Cause::radioNetwork(CauseRadioNetwork::unspecified)),
    );
    rig.gnb(ue.stream, &pdu.unwrap());
    rig.released();
    assert!(rig.amf.ue(&supi()).unwrap().n2.is_none());
}

#[test]
fn when_the_gnb_goes_then_its_ues_are_idle() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    let second = Ue::new(2);
    let request = second.registration_request(RegistrationType::InitialRegistration);
    second.initial(&mut rig, &request);
    rig.input(Input::N2(N2Event::GnbDown(GNB)));
    let context = rig.amf.ue(&supi()).unwrap();
    assert!(context.registered && context.n2.is_none());
    assert_eq!(rig.amf.ue_count(), 1);
    assert!(rig.downlink.is_empty());
    // What was asked for the other one comes too late.
    rig.forget_counts();
    rig.serve();
    assert_eq!(rig.count("amf.sbi.reply_unknown"), 1);
}

#[test]
fn when_a_gnb_resets_one_connection_then_that_ue_is_idle() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    let ues = ResetScope::Some(vec![(None, Some(77)), (Some(ue.amf_id), None)]);
    rig.input(Input::N2(N2Event::Reset { gnb: GNB, ues }));
    assert!(rig.amf.ue(&supi()).unwrap().n2.is_none());
}

#[test]
fn when_the_gnb_does_not_know_the_connection_then_the_ue_is_idle() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    let pdu = build_ngap!(
        InitiatingMessage,
        ErrorIndication,
        ErrorIndication,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        Cause(Cause::radioNetwork(CauseRadioNetwork::unknown_local_UE_NGAP_ID)),
    );
    rig.gnb(ue.stream, &pdu.unwrap());
    assert!(rig.amf.ue(&supi()).unwrap().n2.is_none());
}

#[test]
fn when_release_complete_never_comes_then_the_identity_is_free_again() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.tai = tai(2);
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &request);
    ue.hear(&mut rig);
    rig.next();
    rig.forget_counts();
    rig.expire();
    assert_eq!(rig.count("amf.ngap.release_unconfirmed"), 1);
    assert!(rig.deadline.is_none());
}

/// TS 38.413 §8.6.4: what is supervised is sent again by its timer.
#[test]
fn when_a_nas_message_is_not_delivered_then_its_timer_sends_it_again() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    let request = ue.registration_request(RegistrationType::InitialRegistration);
    ue.initial(&mut rig, &request);
    rig.serve();
    let Nas5gmmMessage::AuthenticationRequest(first) = ue.hear(&mut rig) else { panic!() };
    let pdu = build_ngap!(
        InitiatingMessage,
        NASNonDeliveryIndication,
        NASNonDeliveryIndication,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        NAS_PDU(vec![0x7e, 0, 0x56]),
        Cause(Cause::radioNetwork(CauseRadioNetwork::radio_connection_with_ue_lost)),
    );
    rig.gnb(ue.stream, &pdu.unwrap());
    assert_eq!(rig.count("amf.ngap.nas_not_delivered"), 1);
    assert!(rig.downlink.is_empty());
    rig.expire();
    let Nas5gmmMessage::AuthenticationRequest(second) = ue.hear(&mut rig) else { panic!() };
    assert_eq!(first, second);
}

/// TS 38.413 §10.3.4.1: a procedure of criticality reject that this AMF does not have.
#[test]
fn when_a_procedure_is_not_served_then_error_indication() {
    let mut rig = Rig::new();
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    let pdu = build_ngap!(
        InitiatingMessage,
        UEContextSuspend,
        UEContextSuspendRequest,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
    );
    rig.gnb(ue.stream, &pdu.unwrap());
    let why = Cause::protocol(CauseProtocol::abstract_syntax_error_reject);
    assert_eq!(error_indication(&mut rig), (Some(ue.amf_id), Some(ue.ran_id), why));
    assert!(rig.amf.ue(&supi()).unwrap().n2.is_some());
}
