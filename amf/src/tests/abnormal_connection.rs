//! Abnormal cases on N2 and of requests on a connection: TS 38.413 §8.3.1.3, §8.6.1.3; TS 24.501
//! §5.5.1.2.8 b, §5.5.1.3.8 b, §5.6.1.8 b, §5.6.1.5.

use bytes::Bytes;
use tern_nas::nas_5gs::{ServiceType, *};
use tern_nas::security::HeaderType;
use tern_ngap::ngap::*;
use tern_ngap::{NgapPduKind, build_ngap};
use tern_sbi::namf_comm::NgapIeType;
use tern_sbi::nsmf_pdusession::N2SmInfoType;

use super::rig::*;
use super::service_request::service_request;
use super::session::{created, registered, set_up, transfer as namf_transfer};
use super::two_gnbs::{answer, update};
use crate::Config;

/// TS 38.413 §8.3.1.3: the SMFs hear why from the gNB.
#[test]
fn when_the_gnb_cannot_set_up_the_context_then_the_smfs_have_its_transfers() {
    let (mut rig, mut ue) = created(None);
    rig.ask(namf_transfer(NgapIeType::PduResSetupReq, true));
    set_up(&mut rig, &mut ue);
    rig.serve();
    ue.go_idle(&mut rig);
    ue.ran_id += 1;
    let wanted = NasUplinkDataStatus::from_sessions(&[5]).unwrap();
    let request = plain(service_request(&ue).with_uplink_data_status(wanted));
    let octets = ue.protect(&request, HeaderType::Integrity);
    ue.initial(&mut rig, &octets);
    answer(
        &mut rig,
        super::two_gnbs::updated(
            N2SmInfoType::PduResSetupReq,
            tern_sbi::nsmf_pdusession::HoState::None,
            &[1],
        ),
    );
    let pdu = rig.next();
    assert_eq!(pdu.kind(), NgapPduKind::Initiating_InitialContextSetup);
    let amf_id = crate::ngap::ue_ids(&pdu).0.unwrap();
    let item = PDUSessionResourceFailedToSetupItemCxtFail::new(PDUSessionID(5), vec![7, 7].into(), None);
    let failure = build_ngap!(
        UnsuccessfulOutcome,
        InitialContextSetup,
        InitialContextSetupFailure,
        AMF_UE_NGAP_ID(amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        PDUSessionResourceFailedToSetupListCxtFail(PDUSessionResourceFailedToSetupListCxtFail(vec![item])),
        Cause(Cause::radioNetwork(CauseRadioNetwork::unspecified)),
    );
    rig.gnb(ue.stream, &failure.unwrap());
    let (_, data, n2) = update(&mut rig);
    assert_eq!(data.n2_sm_info_type, Some(N2SmInfoType::PduResSetupFail));
    assert_eq!(n2, Some(Bytes::from_static(&[7, 7])));
    rig.released();
    assert!(rig.amf.ue(&supi()).unwrap().n2.is_none());
}

/// TS 38.413 §8.6.1.3.
#[test]
fn when_a_service_request_comes_without_5g_s_tmsi_then_the_procedure_has_failed() {
    let (mut rig, mut ue) = registered();
    ue.go_idle(&mut rig);
    ue.ran_id += 1;
    let octets = ue.protect(&plain(service_request(&ue)), HeaderType::Integrity);
    ue.initial_with(&mut rig, &octets, None);
    assert_eq!(rig.next().kind(), NgapPduKind::Initiating_ErrorIndication);
    assert!(rig.downlink.is_empty() && rig.amf.ue(&supi()).unwrap().n2.is_none());
    ue.initial(&mut rig, &octets);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ServiceAccept(_)));
}

/// TS 24.501 §5.5.1.2.8 b, §5.5.1.3.8 b: on a connection that is secured already. Who cannot prove who it is
/// is answered with no more than 5GMM STATUS.
#[test]
fn when_a_registration_request_on_a_secured_connection_does_not_decode_then_96() {
    for kind in [0x79, 0x7a, 0x7b] {
        let octets = [0x7e, 0, 0x41, kind, 0, 0x0a, 0xf2, 2, 0xf8, 0x39, 0xca, 0xfe, 0, 0x11, 0x22, 0x33];
        let octets = Bytes::copy_from_slice(&octets);
        let (mut rig, mut ue) = registered();
        ue.uplink(&mut rig, &octets);
        assert!(rig.amf.ue(&supi()).unwrap().registered);
        assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::FiveGmmStatus(_)));
        let octets = ue.protect(&octets, HeaderType::Ciphered);
        ue.uplink(&mut rig, &octets);
        let Nas5gmmMessage::RegistrationReject(reject) = ue.hear(&mut rig) else { panic!("{kind:x}") };
        assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::InvalidMandatoryInformation));
        rig.released();
        assert!(rig.amf.ue(&supi()).unwrap().procedure.is_none());
    }
}

/// TS 24.501 §5.6.1.8 b: the same of a SERVICE REQUEST; the UE stays registered.
#[test]
fn when_a_service_request_on_a_secured_connection_does_not_decode_then_96() {
    let (mut rig, mut ue) = registered();
    let octets = Bytes::from_static(&[0x7e, 0, 0x4c, 0x10, 0, 7, 0xf4, 0, 0x40]);
    let octets = ue.protect(&octets, HeaderType::Ciphered);
    ue.uplink(&mut rig, &octets);
    let Nas5gmmMessage::ServiceReject(reject) = ue.hear(&mut rig) else { panic!() };
    assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::InvalidMandatoryInformation));
    rig.released();
    let context = rig.amf.ue(&supi()).unwrap();
    assert!(context.registered && context.procedure.is_none() && context.n2.is_none());
}

/// TS 24.501 §5.3.9, §5.6.1.5: mobile originated services alone, and those without priority.
#[test]
fn when_too_many_service_requests_wait_then_22_with_t3346_but_for_priority_and_pages() {
    let mut config = Config::default();
    config.limits.services = 0;
    let mut rig = Rig::with(config);
    let mut ue = Ue::new(1);
    ue.register(&mut rig);
    let ask = |rig: &mut Rig, ue: &mut Ue, kind: ServiceType, why: RRCEstablishmentCause| {
        ue.go_idle(rig);
        ue.ran_id += 1;
        ue.why = why;
        let mut request = service_request(ue);
        request.service_type = NasServiceType::from_service_type(kind);
        let octets = ue.protect(&plain(request), HeaderType::Integrity);
        ue.initial(rig, &octets);
        ue.hear(rig)
    };
    use RRCEstablishmentCause as Why;
    let paged = ask(&mut rig, &mut ue, ServiceType::MobileTerminatedServices, Why::mt_Access);
    assert!(matches!(paged, Nas5gmmMessage::ServiceAccept(_)));
    rig.downlink.clear();
    rig.destinations.clear();
    let preferred = ask(&mut rig, &mut ue, ServiceType::Data, Why::mps_PriorityAccess);
    assert!(matches!(preferred, Nas5gmmMessage::ServiceAccept(_)));
    let refused = ask(&mut rig, &mut ue, ServiceType::Data, Why::mo_Data);
    let Nas5gmmMessage::ServiceReject(reject) = refused else { panic!("{refused:?}") };
    assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::Congestion));
    assert!(reject.t3346_value.and_then(|timer| timer.to_seconds()).is_some_and(|seconds| seconds >= 16));
    rig.released();
    assert!(rig.amf.ue(&supi()).unwrap().registered);
}
