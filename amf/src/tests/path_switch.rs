//! Path Switch Request: TS 38.413 §8.4.4, TS 23.502 §4.9.1.2, TS 33.501 §6.9.2.3.2.

use bytes::Bytes;
use tern_crypto::{KGnb, next_hop};
use tern_nas::nas_5gs::NasRegistrationComplete;
use tern_ngap::capability::SecurityCapability;
use tern_ngap::ngap::*;
use tern_ngap::{CodecError, NgapPduKind, build_ngap, extract_ngap_ies};
use tern_sbi::Reply;
use tern_sbi::nsmf_pdusession::{HoState, N2SmInfoType, UpCnxState};

use super::rig::*;
use super::two_gnbs::*;
use crate::n2::message::N2Event;
use crate::{EARLY_WITHIN, Input, SWITCH_WITHIN};

const TRANSFER: &[u8] = &[1, 2, 3];

fn request(amf_id: u64, ids: &[u8], failed: &[u8], capability: [u8; 4]) -> NGAP_PDU {
    let item = |&id: &u8| PDUSessionResourceToBeSwitchedDLItem::new(PDUSessionID(id), vec![id].into(), None);
    let to_switch = PDUSessionResourceToBeSwitchedDLList(ids.iter().map(item).collect());
    let location = tern_ngap::convert::NrLocation { tai: tai(1), cell_plmn: plmn(), nr_cell_id: 0x20 };
    let location = tern_ngap::convert::user_location(location);
    let capability = SecurityCapability::from_nas(&capability).to_ngap();
    let failed_item =
        |&id: &u8| PDUSessionResourceFailedToSetupItemPSReq::new(PDUSessionID(id), vec![id].into(), None);
    let mut pdu = build_ngap!(
        InitiatingMessage,
        PathSwitchRequest,
        PathSwitchRequest,
        RAN_UE_NGAP_ID(RAN_ID),
        SourceAMF_UE_NGAP_ID(amf_id),
        UserLocationInformation(location),
        UESecurityCapabilities(capability),
        PDUSessionResourceToBeSwitchedDLList(to_switch),
    )
    .unwrap();
    if !failed.is_empty() {
        let list = PDUSessionResourceFailedToSetupListPSReq(failed.iter().map(failed_item).collect());
        let ie = tern_ngap::build_ngap_ie!(PathSwitchRequest, PDUSessionResourceFailedToSetupListPSReq(list));
        let mut ies = pdu.protocol_ies().unwrap().into_owned();
        ies.0.push(ie.unwrap());
        pdu.set_protocol_ies(ies).unwrap();
    }
    pdu
}

pub(super) fn switch(rig: &mut Rig, ue: &Ue, ids: &[u8], failed: &[u8]) {
    from_target(rig, &request(ue.amf_id, ids, failed, CAPABILITY));
}

pub(super) fn switched() -> Reply {
    updated(N2SmInfoType::PathSwitchReqAck, HoState::None, TRANSFER)
}

fn not_switched() -> Reply {
    refused(N2SmInfoType::PathSwitchReqFail)
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Acknowledge {
    pub(super) ncc: u8,
    pub(super) nh: [u8; 32],
    switched: Vec<(u8, Vec<u8>)>,
    released: Vec<(u8, Vec<u8>)>,
    capability: Option<SecurityCapability>,
}

pub(super) fn acknowledged(rig: &mut Rig, ue: &Ue) -> Acknowledge {
    let pdu = rig.next();
    assert_eq!((rig.told, rig.streams.last()), (OTHER_GNB, Some(&STREAM)));
    assert_eq!(pdu.kind(), NgapPduKind::Successful_PathSwitchRequest, "{pdu}");
    let read = || -> Result<(u64, u32, Acknowledge), CodecError> {
        extract_ngap_ies!(pdu, PathSwitchRequestAcknowledge,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            opt capability: SecurityCapability = UESecurityCapabilities(c) => SecurityCapability::from_ngap(&c),
            req security: (u8, [u8; 32]) = SecurityContext(context) => (
                context.next_hop_chaining_count.0,
                context.next_hop_nh.0.as_octets().try_into().unwrap(),
            ),
            req switched: Vec<(u8, Vec<u8>)> = PDUSessionResourceSwitchedList(list) => list.0.iter().map(|item| {
                (item.pdu_session_id.0, item.path_switch_request_acknowledge_transfer.to_vec())
            }).collect(),
            opt released: Vec<(u8, Vec<u8>)> = PDUSessionResourceReleasedListPSAck(list) => list.0.iter().map(|item| {
                (item.pdu_session_id.0, item.path_switch_request_unsuccessful_transfer.to_vec())
            }).collect(),
        );
        let (ncc, nh) = security;
        let released = released.unwrap_or_default();
        Ok((amf_id, ran_id, Acknowledge { ncc, nh, switched, released, capability }))
    };
    let (amf_id, ran_id, acknowledge) = read().unwrap();
    assert_eq!((amf_id, ran_id), (ue.amf_id, RAN_ID));
    acknowledge
}

/// The sessions of a PATH SWITCH REQUEST FAILURE.
fn failed(rig: &mut Rig) -> Vec<u8> {
    let pdu = rig.next();
    assert_eq!((rig.told, pdu.kind()), (OTHER_GNB, NgapPduKind::Unsuccessful_PathSwitchRequest), "{pdu}");
    let read = || -> Result<Vec<u8>, CodecError> {
        extract_ngap_ies!(pdu, PathSwitchRequestFailure,
            req released: Vec<u8> = PDUSessionResourceReleasedListPSFail(list) =>
                list.0.iter().map(|item| item.pdu_session_id.0).collect(),
        );
        Ok(released)
    };
    read().unwrap()
}

/// TS 38.413 §8.4.4.2, TS 33.501 §6.9.2.3.2: a fresh {NH, NCC} pair, the next one each time.
#[test]
fn when_a_path_is_switched_then_the_target_gnb_has_the_ue_and_a_fresh_nh() {
    let (mut rig, mut ue) = connected(&[5]);
    let (k_amf, k_gnb) = (ue.k_amf.clone().unwrap(), KGnb::from(ue.k_gnb.unwrap()));
    switch(&mut rig, &ue, &[5], &[]);
    let (token, data, n2) = update(&mut rig);
    assert_eq!(data.n2_sm_info_type, Some(N2SmInfoType::PathSwitchReq));
    assert_eq!((data.to_be_switched, n2.as_deref()), (Some(true), Some(&[5][..])));
    assert!(rig.downlink.is_empty(), "before the SMF has answered");
    rig.input(Input::Reply(token, Ok(switched())));
    let first = next_hop(&k_amf, k_gnb.as_bytes());
    let second = next_hop(&k_amf, first.as_bytes());
    let acknowledge = acknowledged(&mut rig, &ue);
    assert_eq!(
        acknowledge,
        Acknowledge {
            ncc: 2,
            nh: *second.as_bytes(),
            switched: vec![(5, TRANSFER.to_vec())],
            released: Vec::new(),
            capability: None,
        }
    );
    assert!(rig.amf.ue(&supi()).unwrap().sessions[&session(5)].resources);
    // A second one, here within the same gNB.
    switch(&mut rig, &ue, &[5], &[]);
    answer(&mut rig, switched());
    let acknowledge = acknowledged(&mut rig, &ue);
    assert_eq!((acknowledge.ncc, acknowledge.nh), (3, *next_hop(&k_amf, second.as_bytes()).as_bytes()));
    // The source gNB has nothing of the UE any more.
    ue.say(&mut rig, NasRegistrationComplete::new());
    assert_eq!((rig.next().kind(), rig.told), (NgapPduKind::Initiating_ErrorIndication, GNB));
    rig.input(Input::N2(N2Event::GnbDown(GNB)));
    assert!(rig.amf.ue(&supi()).unwrap().n2.is_some());
    rig.input(Input::N2(N2Event::GnbDown(OTHER_GNB)));
    assert!(rig.amf.ue(&supi()).unwrap().n2.is_none());
}

/// TS 23.502 §4.9.1.2.2: some sessions are not switched by their SMFs, not admitted by the target gNB, or
/// not named by it.
#[test]
fn when_some_sessions_are_not_switched_then_the_others_are() {
    let (mut rig, ue) = connected(&[5, 6, 7, 8]);
    switch(&mut rig, &ue, &[5, 6], &[7]);
    let (unnamed, _, _) = update(&mut rig);
    rig.input(Input::Reply(unnamed, Ok(done())));
    let data = answer(&mut rig, done());
    assert_eq!(data.n2_sm_info_type, Some(N2SmInfoType::PathSwitchSetupFail));
    assert_eq!(data.failed_to_be_switched, Some(true));
    answer(&mut rig, not_switched());
    assert!(rig.downlink.is_empty(), "one SMF has not answered");
    answer(&mut rig, switched());
    let acknowledge = acknowledged(&mut rig, &ue);
    assert_eq!(acknowledge.switched, [(6, TRANSFER.to_vec())]);
    assert_eq!(acknowledge.released, [(5, vec![9])]);
    let sessions = &rig.amf.ue(&supi()).unwrap().sessions;
    let up: Vec<u8> = sessions.values().filter(|s| s.resources).map(|s| s.id.get()).collect();
    assert_eq!((sessions.len(), up), (4, vec![6]));
}

/// TS 38.413 §8.4.4.3: none is switched; the UE's connection stays with the source gNB.
#[test]
fn when_no_session_is_switched_then_failure_and_the_connection_stays() {
    let (mut rig, mut ue) = connected(&[5]);
    switch(&mut rig, &ue, &[5], &[]);
    answer(&mut rig, not_switched());
    assert_eq!(failed(&mut rig), [5]);
    assert_eq!(speaks_at(&mut rig, &mut ue), GNB);
}

/// The SMF has not answered in time.
#[test]
fn when_an_smf_does_not_answer_then_its_session_counts_as_not_switched() {
    let (mut rig, mut ue) = connected(&[5]);
    switch(&mut rig, &ue, &[5], &[]);
    let until = rig.now + SWITCH_WITHIN;
    rig.expire();
    assert_eq!(rig.now, until);
    assert_eq!(failed(&mut rig), [5]);
    let (late, _, _) = update(&mut rig);
    rig.input(Input::Reply(late, Ok(switched())));
    // What it switched too late is undone.
    assert_eq!(answer(&mut rig, done()).up_cnx_state, Some(UpCnxState::Deactivated));
    assert_eq!(speaks_at(&mut rig, &mut ue), GNB);
}

/// The UE is quicker than the source gNB's answer, which comes by an association of its own.
#[test]
fn when_the_source_gnb_answers_behind_the_path_switch_then_its_session_is_switched_too() {
    let (mut rig, mut ue) = connected(&[5]);
    ask_for_session(&mut rig, &mut ue, 6);
    switch(&mut rig, &ue, &[5, 6], &[]);
    assert!(rig.downlink.is_empty() && rig.requests.is_empty(), "before the source gNB has answered");
    session_set_up(&mut rig, &ue, 6);
    let mut kinds = Vec::new();
    while !rig.requests.is_empty() {
        let (token, data, _) = update(&mut rig);
        let kind = data.n2_sm_info_type.expect("a transfer");
        let reply = if kind == N2SmInfoType::PathSwitchReq { switched() } else { done() };
        kinds.push(kind);
        rig.input(Input::Reply(token, Ok(reply)));
    }
    kinds.sort_by_key(|kind| format!("{kind:?}"));
    assert_eq!(
        kinds,
        [N2SmInfoType::PathSwitchReq, N2SmInfoType::PathSwitchReq, N2SmInfoType::PduResSetupRsp]
    );
    let acknowledge = acknowledged(&mut rig, &ue);
    assert_eq!(acknowledge.switched, [(5, TRANSFER.to_vec()), (6, TRANSFER.to_vec())]);
}

#[test]
fn when_the_source_gnb_never_answers_then_what_it_has_set_up_before_is_switched() {
    let (mut rig, mut ue) = connected(&[5]);
    ask_for_session(&mut rig, &mut ue, 6);
    switch(&mut rig, &ue, &[5, 6], &[]);
    let until = rig.now + EARLY_WITHIN;
    rig.expire();
    assert_eq!(rig.now, until);
    answer(&mut rig, switched());
    rig.serve();
    let acknowledge = acknowledged(&mut rig, &ue);
    assert_eq!(acknowledge.switched, [(5, TRANSFER.to_vec())]);
    assert_eq!(acknowledge.released.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [6]);
}

/// Whoever waits for the source gNB is told if the UE is lost there.
#[test]
fn when_the_source_gnb_vanishes_before_its_answer_then_the_path_switch_fails() {
    let (mut rig, mut ue) = connected(&[5]);
    ask_for_session(&mut rig, &mut ue, 6);
    switch(&mut rig, &ue, &[5, 6], &[]);
    rig.input(Input::N2(N2Event::GnbDown(GNB)));
    assert_eq!(failed(&mut rig), [5, 6]);
}

/// TS 38.413 §8.4.4.4: a session named twice; §10.6: an unknown AMF UE NGAP ID.
#[test]
fn when_a_request_is_wrong_then_no_smf_hears_of_it() {
    let (mut rig, ue) = connected(&[5]);
    switch(&mut rig, &ue, &[5, 5], &[]);
    assert_eq!(failed(&mut rig), [5]);
    switch(&mut rig, &ue, &[5], &[5]);
    assert_eq!(failed(&mut rig), [5]);
    from_target(&mut rig, &request(ue.amf_id + 1, &[5], &[], CAPABILITY));
    let pdu = rig.next();
    assert_eq!((rig.told, pdu.kind()), (OTHER_GNB, NgapPduKind::Initiating_ErrorIndication));
    // Sessions that are not there, and an identity that none can have.
    switch(&mut rig, &ue, &[0, 9], &[]);
    assert_eq!(failed(&mut rig), [0, 9]);
    // A second one while the first waits for its SMF.
    let before: Vec<_> = rig.requests.drain(..).collect();
    for (token, _, _) in before {
        rig.input(Input::Reply(token, Ok(done())));
    }
    let (mut rig, ue) = connected(&[5]);
    switch(&mut rig, &ue, &[5], &[]);
    switch(&mut rig, &ue, &[5], &[]);
    assert_eq!(failed(&mut rig), [5]);
    assert_eq!(rig.requests.len(), 1);
    answer(&mut rig, switched());
    assert_eq!(acknowledged(&mut rig, &ue).switched.len(), 1);
}

/// TS 33.501 §6.7.3.1: the AMF's own UE security capabilities go back where others were told.
#[test]
fn when_the_capabilities_differ_then_the_stored_ones_are_sent() {
    let (mut rig, ue) = connected(&[5]);
    from_target(&mut rig, &request(ue.amf_id, &[5], &[], [0x80, 0x20, 0, 0]));
    answer(&mut rig, switched());
    let own = SecurityCapability::from_nas(&CAPABILITY).without_null();
    assert_eq!(acknowledged(&mut rig, &ue).capability, Some(own));
    assert_eq!(rig.count("amf.ngap.capability_mismatch"), 1);
}

/// The source or the target gNB vanishes while the SMF is at work.
#[test]
fn when_a_gnb_vanishes_during_a_path_switch_then_the_ue_is_idle() {
    let (mut rig, ue) = connected(&[5]);
    switch(&mut rig, &ue, &[5], &[]);
    rig.input(Input::N2(N2Event::GnbDown(GNB)));
    assert_eq!(failed(&mut rig), [5]);
    assert!(rig.amf.ue(&supi()).unwrap().n2.is_none());
    let (mut rig, ue) = connected(&[5]);
    switch(&mut rig, &ue, &[5], &[]);
    rig.input(Input::N2(N2Event::GnbDown(OTHER_GNB)));
    answer(&mut rig, switched());
    rig.released();
    assert_eq!(rig.told, GNB);
    assert!(rig.amf.ue(&supi()).unwrap().n2.is_none());
    assert_eq!(answer(&mut rig, done()).up_cnx_state, Some(UpCnxState::Deactivated));
}

/// TS 23.502 §4.9.1.3.1: a NAS message that the source gNB gives back is sent again by the target.
#[test]
fn when_a_nas_message_crosses_the_handover_then_it_follows_the_ue() {
    let (mut rig, mut ue) = connected(&[5]);
    let undelivered = Bytes::from_static(&[0x7e, 2, 1, 2, 3, 4, 9]);
    let pdu = build_ngap!(
        InitiatingMessage,
        NASNonDeliveryIndication,
        NASNonDeliveryIndication,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        NAS_PDU(undelivered.to_vec()),
        Cause(Cause::radioNetwork(CauseRadioNetwork::xn_handover_triggered)),
    );
    rig.gnb(ue.stream, &pdu.unwrap());
    assert!(rig.downlink.is_empty());
    switch(&mut rig, &ue, &[5], &[]);
    answer(&mut rig, switched());
    acknowledged(&mut rig, &ue);
    (ue.ran_id, ue.stream) = (RAN_ID, STREAM);
    assert_eq!(ue.hear_octets(&mut rig), undelivered);
    assert_eq!(rig.told, OTHER_GNB);
}
