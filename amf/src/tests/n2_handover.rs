//! N2 handover within this AMF: TS 38.413 §8.4.1 to §8.4.3 and §8.4.5 to §8.4.7, TS 23.502 §4.9.1.3,
//! TS 33.501 §6.9.2.3.3.

use bytes::Bytes;
use tern_crypto::{KGnb, next_hop};
use tern_nas::nas_5gs::Nas5gmmMessage;
use tern_ngap::ngap::*;
use tern_ngap::{CodecError, NgapPduKind, build_ngap, extract_ngap_ies};
use tern_sbi::nsmf_pdusession::{HoState, N2SmInfoType, UpCnxState};
use tern_types::{GlobalGnbId, Tai};

use super::n2_steps::*;
use super::rig::*;
use super::two_gnbs::*;
use crate::n2::message::{N2Event, ResetScope};
use crate::{ALLOCATION_WITHIN, EXECUTION_WITHIN, Input, SMF_WITHIN};

/// TS 38.413 §8.4.1.2, §8.4.2.2, §8.4.3.2, TS 33.501 §6.9.2.3.3.
#[test]
fn when_a_ue_is_handed_over_by_n2_then_the_target_has_a_fresh_nh_and_the_source_is_released_at_the_end() {
    let (mut rig, mut ue) = connected(&[5]);
    let (k_amf, k_gnb) = (ue.k_amf.clone().unwrap(), KGnb::from(ue.k_gnb.unwrap()));
    require(&mut rig, &ue, &[5]);
    assert!(rig.downlink.is_empty(), "before the SMF has answered");
    let (token, data, n2) = update(&mut rig);
    assert_eq!((data.ho_state, n2.as_deref()), (Some(HoState::Preparing), Some(&[5][..])));
    assert_eq!(data.n2_sm_info_type, Some(N2SmInfoType::HandoverRequired));
    let told = serde_json::to_value(data.target_id.unwrap()).unwrap();
    assert_eq!(told["ranNodeId"]["gNbId"], serde_json::json!({"bitLength": 22, "gNBValue": "000002"}));
    assert_eq!(told["tai"]["tac"], "000001");
    let reply = updated(N2SmInfoType::PduResSetupReq, HoState::Preparing, &[0x55]);
    rig.input(Input::Reply(token, Ok(reply)));
    let Asked { amf_id, ncc, nh, sessions, container } = asked(&mut rig);
    let second = next_hop(&k_amf, next_hop(&k_amf, k_gnb.as_bytes()).as_bytes());
    assert_eq!((ncc, nh), (2, *second.as_bytes()));
    assert_eq!((sessions, &container[..]), (vec![(5, vec![0x55])], CONTAINER));
    assert_ne!(amf_id, ue.amf_id);
    acknowledge(&mut rig, amf_id, &[5], &[]);
    let (token, data, n2) = update(&mut rig);
    assert_eq!((data.ho_state, n2.as_deref()), (Some(HoState::Prepared), Some(&[5, 1][..])));
    let reply = updated(N2SmInfoType::HandoverCmd, HoState::Prepared, COMMAND);
    rig.input(Input::Reply(token, Ok(reply)));
    assert_eq!(commanded(&mut rig, &ue), (vec![5], vec![]));
    notify(&mut rig, amf_id);
    assert!(rig.downlink.is_empty(), "the source gNB forwards until the paths are switched");
    let (token, data, n2) = update(&mut rig);
    assert_eq!((data.ho_state, n2), (Some(HoState::Completed), None));
    rig.input(Input::Reply(token, Ok(done())));
    let released = release_at(&mut rig, GNB);
    assert_eq!(released, (pair(ue.amf_id, ue.ran_id), Cause::radioNetwork(R::successful_handover)));
    let location = rig.amf.ue(&supi()).unwrap().location.unwrap();
    assert_eq!(location.nr_cell_id, 0x20);
    // The source gNB vanishes without the UE.
    rig.input(Input::N2(N2Event::GnbDown(GNB)));
    (ue.amf_id, ue.ran_id, ue.stream) = (amf_id, RAN_ID, rig.streams[rig.streams.len() - 3]);
    assert!(!is_idle(&rig));
    assert_eq!(speaks_at(&mut rig, &mut ue), OTHER_GNB);
    assert_eq!(rig.amf.departing.len(), 0);
    assert!(rig.amf.incoming.is_empty());
}

/// TS 38.413 §8.4.1.2: PDU Session Resource to Release List; TS 23.502 §4.9.1.3.3.
#[test]
fn when_some_sessions_are_not_admitted_then_they_have_no_user_plane_after_the_handover() {
    let (mut rig, ue) = connected(&[5, 6, 7, 8, 9]);
    // 9 is not named, 10 is not there.
    require(&mut rig, &ue, &[5, 6, 7, 8, 10]);
    prepare(&mut rig);
    prepare(&mut rig);
    answer(&mut rig, refused(N2SmInfoType::HandoverPrepFail));
    assert!(rig.downlink.is_empty(), "one SMF has not answered");
    prepare(&mut rig);
    let asked = asked(&mut rig);
    assert_eq!(asked.sessions.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [5, 6, 8]);
    // 8 is not heard of, 20 was not asked for.
    acknowledge(&mut rig, asked.amf_id, &[5, 20], &[6]);
    prepared(&mut rig);
    let data = answer(&mut rig, updated(N2SmInfoType::HandoverPrepFail, HoState::None, &[0, 0]));
    assert_eq!(data.n2_sm_info_type, Some(N2SmInfoType::HandoverResAllocFail));
    assert_eq!(commanded(&mut rig, &ue), (vec![5], vec![6, 7, 8, 10]));
    notify(&mut rig, asked.amf_id);
    let mut told = Vec::new();
    while !rig.requests.is_empty() {
        let data = answer(&mut rig, done());
        told.push((data.ho_state, data.up_cnx_state));
    }
    let deactivated = (None, Some(UpCnxState::Deactivated));
    assert_eq!(told.iter().filter(|told| **told == deactivated).count(), 4);
    assert!(told.contains(&(Some(HoState::Completed), None)));
    let sessions = &rig.amf.ue(&supi()).unwrap().sessions;
    let up: Vec<u8> = sessions.values().filter(|s| s.resources).map(|s| s.id.get()).collect();
    assert_eq!((sessions.len(), up), (5, vec![5]));
}

/// TS 38.413 §8.4.2.3, §8.4.1.3: the UE stays, and may be handed over later, by the next NH.
#[test]
fn when_the_target_refuses_then_the_source_hears_its_cause_and_the_ue_stays() {
    let (mut rig, mut ue) = connected(&[5]);
    let amf_id = go(&mut rig, &ue, Until::Allocating);
    fail_allocation(&mut rig, amf_id, R::no_radio_resources_available_in_target_cell);
    let why = preparation_failed(&mut rig, &ue);
    assert_eq!(why, Cause::radioNetwork(R::no_radio_resources_available_in_target_cell));
    assert!(rig.downlink.is_empty(), "the target gNB has nothing to release");
    cancelled(&mut rig, HO_FAILURE);
    assert_eq!(speaks_at(&mut rig, &mut ue), GNB);
    require(&mut rig, &ue, &[5]);
    prepare(&mut rig);
    assert_eq!(asked(&mut rig).ncc, 3);
}

/// TS 38.413 §8.4.1.3.
#[test]
fn when_a_handover_cannot_be_prepared_then_the_cause_says_why_and_nobody_hears_of_it() {
    let (mut rig, ue) = connected(&[5]);
    let elsewhere = GlobalGnbId { gnb_id: tern_types::GnbId::new(9, 22).unwrap(), ..other_gnb() };
    let foreign = tern_types::PlmnId::new("999", "99").unwrap();
    let (intra, to_eps) = (HandoverType::intra5gs, HandoverType::fivegs_to_eps);
    for (kind, target, why) in [
        (intra, target(elsewhere, tai(1)), R::unknown_targetID),
        (intra, target(GlobalGnbId { plmn_id: foreign, ..other_gnb() }, tai(1)), R::unknown_targetID),
        (intra, target(other_gnb(), tai(7)), R::ho_target_not_allowed),
        (intra, target(other_gnb(), Tai { plmn_id: foreign, ..tai(1) }), R::ho_target_not_allowed),
        (to_eps, target(other_gnb(), tai(1)), R::ho_target_not_allowed),
    ] {
        rig.gnb(ue.stream, &required(&ue, &[5], kind, target));
        assert_eq!(preparation_failed(&mut rig, &ue), Cause::radioNetwork(why));
    }
    require(&mut rig, &ue, &[5, 5]);
    assert_eq!(preparation_failed(&mut rig, &ue), Cause::radioNetwork(R::multiple_PDU_session_ID_instances));
    require(&mut rig, &ue, &[6]);
    assert_eq!(preparation_failed(&mut rig, &ue), FAILED_IN_TARGET);
    assert!(rig.requests.is_empty() && rig.amf.incoming.is_empty());
}

/// The SMF refuses the only session, or the target admits none that was asked for.
#[test]
fn when_no_session_is_left_then_the_preparation_fails() {
    let (mut rig, ue) = connected(&[5]);
    require(&mut rig, &ue, &[5]);
    answer(&mut rig, refused(N2SmInfoType::HandoverPrepFail));
    assert_eq!(preparation_failed(&mut rig, &ue), FAILED_IN_TARGET);
    settle(&mut rig);
    let amf_id = go(&mut rig, &ue, Until::Allocating);
    acknowledge(&mut rig, amf_id, &[20], &[]);
    assert_eq!(preparation_failed(&mut rig, &ue), FAILED_IN_TARGET);
    assert_eq!(release_at(&mut rig, OTHER_GNB), (pair(amf_id, RAN_ID), FAILED_IN_TARGET));
    cancelled(&mut rig, HO_FAILURE);
    // And where the SMF does not take what the target has.
    let amf_id = go(&mut rig, &ue, Until::Forwarding);
    answer(&mut rig, refused(N2SmInfoType::HandoverPrepFail));
    assert_eq!(preparation_failed(&mut rig, &ue), FAILED_IN_TARGET);
    assert_eq!(release_at(&mut rig, OTHER_GNB).0, pair(amf_id, RAN_ID));
    assert!(rig.amf.incoming.is_empty());
}

/// A target gNB that does not answer HANDOVER REQUEST; what it says later crosses its release.
#[test]
fn when_the_target_is_silent_then_it_is_released_by_the_identity_that_it_knows() {
    let (mut rig, mut ue) = connected(&[5]);
    let amf_id = go(&mut rig, &ue, Until::Allocating);
    let until = rig.now + ALLOCATION_WITHIN;
    rig.expire();
    assert_eq!(rig.now, until);
    assert_eq!(preparation_failed(&mut rig, &ue), FAILED_IN_TARGET);
    let (ids, _) = release_at(&mut rig, OTHER_GNB);
    assert_eq!(ids, UENGAPIDs::aMF_UE_NGAP_ID(AMFUENGAPID(amf_id)));
    cancelled(&mut rig, HO_FAILURE);
    acknowledge(&mut rig, amf_id, &[5], &[]);
    assert!(rig.downlink.is_empty() && rig.requests.is_empty());
    assert_eq!(speaks_at(&mut rig, &mut ue), GNB);
}

#[test]
fn when_an_smf_is_silent_then_the_handover_goes_on_without_its_session() {
    let (mut rig, ue) = connected(&[5, 6]);
    require(&mut rig, &ue, &[5, 6]);
    prepare(&mut rig);
    let until = rig.now + SMF_WITHIN;
    rig.expire();
    assert_eq!(rig.now, until);
    let asked = asked(&mut rig);
    assert_eq!(asked.sessions, [(5, vec![0x55])]);
    // Its answer comes too late.
    prepare(&mut rig);
    acknowledge(&mut rig, asked.amf_id, &[5], &[]);
    prepared(&mut rig);
    assert_eq!(commanded(&mut rig, &ue), (vec![5], vec![6]));
}

/// TS 38.413 §8.4.5.2, in each state.
#[test]
fn when_the_source_cancels_then_all_that_was_prepared_is_undone() {
    for until in STEPS {
        let (mut rig, mut ue) = connected(&[5]);
        let amf_id = go(&mut rig, &ue, until);
        cancel(&mut rig, &ue);
        if until != Until::Preparing {
            let (ids, why) = release_at(&mut rig, OTHER_GNB);
            let known = [Until::Forwarding, Until::Executing].contains(&until);
            let by_amf = UENGAPIDs::aMF_UE_NGAP_ID(AMFUENGAPID(amf_id));
            assert_eq!(ids, if known { pair(amf_id, RAN_ID) } else { by_amf }, "{until:?}");
            assert_eq!(why, Cause::radioNetwork(R::handover_cancelled));
        }
        assert_eq!(rig.next_at(GNB).kind(), NgapPduKind::Successful_HandoverCancel, "{until:?}");
        if [Until::Preparing, Until::Forwarding].contains(&until) {
            // What was under way at the SMF comes first, and changes nothing.
            answer(&mut rig, updated(N2SmInfoType::PduResSetupReq, HoState::Preparing, &[0x55]));
        }
        cancelled(&mut rig, HO_CANCEL);
        assert!(rig.downlink.is_empty() && rig.amf.incoming.is_empty(), "{until:?}");
        assert_eq!(speaks_at(&mut rig, &mut ue), GNB);
    }
    // Without a handover.
    let (mut rig, ue) = connected(&[5]);
    cancel(&mut rig, &ue);
    assert_eq!(rig.next_at(GNB).kind(), NgapPduKind::Successful_HandoverCancel);
    assert!(rig.requests.is_empty());
}

/// TS 38.413 §8.7.4: the target gNB is gone, or has reset the connection, in each state.
#[test]
fn when_the_target_is_lost_then_the_ue_stays_at_the_source() {
    for until in STEPS {
        for reset in [false, true] {
            let (mut rig, mut ue) = connected(&[5]);
            let amf_id = go(&mut rig, &ue, until);
            let some = ResetScope::Some(vec![(Some(amf_id), None)]);
            rig.input(Input::N2(match reset {
                true if until == Until::Preparing => N2Event::Reset { gnb: OTHER_GNB, ues: ResetScope::All },
                true => N2Event::Reset { gnb: OTHER_GNB, ues: some },
                false => N2Event::GnbDown(OTHER_GNB),
            }));
            if until != Until::Executing {
                assert_eq!(preparation_failed(&mut rig, &ue), FAILED_IN_TARGET, "{until:?}");
            }
            assert!(rig.downlink.is_empty(), "{until:?}");
            if [Until::Preparing, Until::Forwarding].contains(&until) {
                answer(&mut rig, done());
            }
            cancelled(&mut rig, HO_FAILURE);
            assert!(rig.amf.incoming.is_empty());
            assert_eq!(speaks_at(&mut rig, &mut ue), GNB);
        }
    }
}

/// The source gNB is gone: before HANDOVER COMMAND the UE is lost, after it the UE may be on its way.
#[test]
fn when_the_source_is_lost_then_a_ue_that_is_on_its_way_is_awaited() {
    for until in [Until::Preparing, Until::Allocating, Until::Forwarding] {
        let (mut rig, ue) = connected(&[5]);
        go(&mut rig, &ue, until);
        rig.input(Input::N2(N2Event::GnbDown(GNB)));
        assert!(is_idle(&rig), "{until:?}");
        if until != Until::Preparing {
            release_at(&mut rig, OTHER_GNB);
        }
        assert!(rig.downlink.is_empty() && rig.amf.incoming.is_empty());
        settle(&mut rig);
    }
    let (mut rig, mut ue) = connected(&[5]);
    let amf_id = go(&mut rig, &ue, Until::Executing);
    rig.input(Input::N2(N2Event::GnbDown(GNB)));
    assert!(!is_idle(&rig) && rig.downlink.is_empty());
    notify(&mut rig, amf_id);
    assert_eq!(answer(&mut rig, done()).ho_state, Some(HoState::Completed));
    (ue.amf_id, ue.ran_id, ue.stream) = (amf_id, RAN_ID, *rig.streams.iter().rev().nth(1).unwrap());
    assert_eq!(speaks_at(&mut rig, &mut ue), OTHER_GNB);
    // It does not come: there is no other place.
    let (mut rig, ue) = connected(&[5]);
    let amf_id = go(&mut rig, &ue, Until::Executing);
    rig.input(Input::N2(N2Event::GnbDown(GNB)));
    rig.expire();
    assert_eq!(release_at(&mut rig, OTHER_GNB).0, pair(amf_id, RAN_ID));
    assert!(is_idle(&rig));
    settle(&mut rig);
}

/// The UE does not come; the target gNB may say so itself (TS 38.413 §8.3.2).
#[test]
fn when_the_ue_does_not_come_then_the_target_is_released_and_the_ue_stays() {
    for told in [false, true] {
        let (mut rig, mut ue) = connected(&[5]);
        let amf_id = go(&mut rig, &ue, Until::Executing);
        if told {
            let pdu = build_ngap!(
                InitiatingMessage,
                UEContextReleaseRequest,
                UEContextReleaseRequest,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(RAN_ID),
                Cause(Cause::radioNetwork(R::radio_connection_with_ue_lost)),
            );
            from_target(&mut rig, &pdu.unwrap());
        } else {
            let until = rig.now + EXECUTION_WITHIN;
            rig.expire();
            assert_eq!(rig.now, until);
        }
        assert_eq!(release_at(&mut rig, OTHER_GNB).0, pair(amf_id, RAN_ID));
        cancelled(&mut rig, HO_FAILURE);
        assert_eq!(speaks_at(&mut rig, &mut ue), GNB);
    }
}

/// The source gNB gives the UE up while it is on its way: both gNBs are released.
#[test]
fn when_the_source_requests_the_release_then_the_target_is_released_as_well() {
    let (mut rig, ue) = connected(&[5]);
    let amf_id = go(&mut rig, &ue, Until::Executing);
    let pdu = build_ngap!(
        InitiatingMessage,
        UEContextReleaseRequest,
        UEContextReleaseRequest,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        Cause(Cause::radioNetwork(R::tngrelocoverall_expiry)),
    );
    rig.gnb(ue.stream, &pdu.unwrap());
    assert_eq!(release_at(&mut rig, OTHER_GNB).0, pair(amf_id, RAN_ID));
    assert_eq!(release_at(&mut rig, GNB).0, pair(ue.amf_id, ue.ran_id));
    assert!(is_idle(&rig));
    cancelled(&mut rig, HO_FAILURE);
    assert_eq!(answer(&mut rig, done()).up_cnx_state, Some(UpCnxState::Deactivated));
}

/// TS 38.413 §10.4, §10.6: a second HANDOVER REQUIRED, and messages that mean nothing now.
#[test]
fn when_messages_come_at_the_wrong_time_then_the_handover_goes_on() {
    for until in STEPS {
        let (mut rig, ue) = connected(&[5]);
        let amf_id = go(&mut rig, &ue, until);
        require(&mut rig, &ue, &[5]);
        let why = preparation_failed(&mut rig, &ue);
        assert_eq!(why, Cause::radioNetwork(R::interaction_with_other_procedure), "{until:?}");
        for wrong in [amf_id + 1, ue.amf_id] {
            notify(&mut rig, wrong);
            assert_eq!(rig.next_at(OTHER_GNB).kind(), NgapPduKind::Initiating_ErrorIndication);
        }
        if [Until::Allocating, Until::Forwarding].contains(&until) {
            notify(&mut rig, amf_id);
            assert_eq!(rig.next_at(OTHER_GNB).kind(), NgapPduKind::Initiating_ErrorIndication);
        }
        if [Until::Forwarding, Until::Executing].contains(&until) {
            acknowledge(&mut rig, amf_id, &[5], &[]);
            fail_allocation(&mut rig, amf_id, R::unspecified);
        }
        assert!(rig.downlink.is_empty(), "{until:?}");
        assert!(rig.amf.ue(&supi()).unwrap().handover.is_some(), "{until:?}");
    }
}

fn status(ue: &Ue) -> NGAP_PDU {
    let count = || COUNTValueForPDCPSN18::new(77, 3, None);
    let item = DRBsSubjectToStatusTransferItem::new(
        DRBID(1),
        DRBStatusUL::dRBStatusUL18(DRBStatusUL18::new(count(), None, None)),
        DRBStatusDL::dRBStatusDL18(DRBStatusDL18::new(count(), None)),
        None,
    );
    let container =
        RANStatusTransferTransparentContainer::new(DRBsSubjectToStatusTransferList(vec![item]), None);
    build_ngap!(
        InitiatingMessage,
        UplinkRANStatusTransfer,
        UplinkRANStatusTransfer,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        RANStatusTransfer_TransparentContainer(container),
    )
    .unwrap()
}

/// TS 38.413 §8.4.6, §8.4.7.
#[test]
fn when_the_source_tells_its_counts_then_the_target_hears_them_unchanged() {
    let (mut rig, ue) = connected(&[5]);
    rig.gnb(ue.stream, &status(&ue));
    assert!(rig.downlink.is_empty(), "no UE is on its way");
    let amf_id = go(&mut rig, &ue, Until::Executing);
    let sent = status(&ue);
    rig.gnb(ue.stream, &sent);
    let relayed = rig.next_at(OTHER_GNB);
    assert_eq!(relayed.kind(), NgapPduKind::Initiating_DownlinkRANStatusTransfer);
    let read =
        |pdu: &NGAP_PDU| -> Result<(u64, u32, RANStatusTransferTransparentContainer<'static>), CodecError> {
            extract_ngap_ies!(pdu, DownlinkRANStatusTransfer,
                req amf_id: u64 = AMF_UE_NGAP_ID(id),
                req ran_id: u32 = RAN_UE_NGAP_ID(id),
                req container: RANStatusTransferTransparentContainer<'static> =
                    RANStatusTransfer_TransparentContainer(container) => container.into_owned(),
            );
            Ok((amf_id, ran_id, container))
        };
    let (told_amf, told_ran, container) = read(&relayed).unwrap();
    assert_eq!((told_amf, told_ran), (amf_id, RAN_ID));
    let DRBStatusDL::dRBStatusDL18(dl) = &container.drbs_subject_to_status_transfer_list.0[0].drb_status_dl
    else {
        panic!("another status")
    };
    assert_eq!((dl.dl_count_value.pdcp_sn18, dl.dl_count_value.hfn_pdcp_sn18), (77, 3));
}

/// TS 23.502 §4.9.1.3.1: what is said to a UE that is on its way waits for it, in order, behind what the
/// source gNB gives back; an SMF that wants resources changed is told to come again.
#[test]
fn when_something_is_to_be_said_during_a_handover_then_it_waits_for_its_end() {
    let (mut rig, mut ue) = connected(&[5]);
    require(&mut rig, &ue, &[5]);
    assert_eq!(transfer_status(&mut rig, 5), 409);
    prepare(&mut rig);
    let amf_id = asked(&mut rig).amf_id;
    acknowledge(&mut rig, amf_id, &[5], &[]);
    prepared(&mut rig);
    commanded(&mut rig, &ue);
    let crossed = Bytes::from_static(&[0x7e, 2, 1, 2, 3, 4, 9]);
    ask_service(&mut rig, &mut ue);
    assert!(rig.downlink.is_empty(), "the UE is in no cell");
    let pdu = build_ngap!(
        InitiatingMessage,
        NASNonDeliveryIndication,
        NASNonDeliveryIndication,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        NAS_PDU(crossed.to_vec()),
        Cause(Cause::radioNetwork(R::ng_intra_system_handover_triggered)),
    );
    rig.gnb(ue.stream, &pdu.unwrap());
    assert_eq!(transfer_status(&mut rig, 5), 409);
    notify(&mut rig, amf_id);
    let source = (ue.amf_id, ue.ran_id);
    (ue.amf_id, ue.ran_id, ue.stream) = (amf_id, RAN_ID, *rig.streams.last().unwrap());
    assert_eq!(ue.hear_octets(&mut rig), crossed);
    assert!(matches!(ue.hear(&mut rig), Nas5gmmMessage::ServiceAccept(_)));
    assert_eq!(transfer_status(&mut rig, 5), 200);
    rig.next_at(OTHER_GNB);
    assert_eq!(answer(&mut rig, done()).ho_state, Some(HoState::Completed));
    assert_eq!(release_at(&mut rig, GNB).0, pair(source.0, source.1));
}
