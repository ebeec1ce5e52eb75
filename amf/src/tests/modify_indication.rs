//! What gNBs change of sessions by themselves: TS 38.413 §8.2.5.

use std::collections::BTreeMap;

use bytes::Bytes;
use tern_ngap::ngap::*;
use tern_ngap::{build_ngap, extract_ngap_ies, transfer};
use tern_sbi::nsmf_pdusession::{
    HoState, N2SmInfoType, ResourceStatus, SmContextStatusNotification, SmContextStatusNotify, StatusInfo,
};

use super::rig::*;
use super::two_gnbs::*;
use crate::{AmfRequest, Input};

type Transfers = BTreeMap<u8, Bytes>;

fn indicate(rig: &mut Rig, ue: &Ue, sessions: &[u8]) {
    let item = |&session: &u8| {
        PDUSessionResourceModifyItemModInd::new(PDUSessionID(session), vec![1, 2, session].into(), None)
    };
    let list = PDUSessionResourceModifyListModInd(sessions.iter().map(item).collect());
    let pdu = build_ngap!(
        InitiatingMessage,
        PDUSessionResourceModifyIndication,
        PDUSessionResourceModifyIndication,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        PDUSessionResourceModifyListModInd(list),
    );
    rig.gnb(ue.stream, &pdu.unwrap());
}

/// What the CONFIRM that comes next says was modified, and was not.
fn confirmed(rig: &mut Rig) -> (Transfers, Transfers) {
    let pdu = rig.next();
    let read = || -> Result<(Transfers, Transfers), tern_ngap::CodecError> {
        extract_ngap_ies!(pdu, PDUSessionResourceModifyConfirm,
            opt modified: Transfers = PDUSessionResourceModifyListModCfm(list) => list.0.iter().map(|item| (
                item.pdu_session_id.0,
                Bytes::copy_from_slice(&item.pdu_session_resource_modify_confirm_transfer),
            )).collect(),
            opt failed: Transfers = PDUSessionResourceFailedToModifyListModCfm(list) => list.0.iter().map(|item| (
                item.pdu_session_id.0,
                Bytes::copy_from_slice(&item.pdu_session_resource_modify_indication_unsuccessful_transfer),
            )).collect(),
        );
        Ok((modified.unwrap_or_default(), failed.unwrap_or_default()))
    };
    read().unwrap()
}

/// The SMF takes what it has been told next.
fn taken(rig: &mut Rig) {
    answer(rig, updated(N2SmInfoType::PduResModCfm, HoState::None, &[4]));
}

/// TS 38.413 §8.2.5.3: with the SMF's own words, else with a cause of the AMF's.
#[test]
fn when_an_smf_refuses_what_the_gnb_has_changed_then_the_gnb_is_told() {
    let (mut rig, ue) = connected(&[5]);
    indicate(&mut rig, &ue, &[5]);
    answer(&mut rig, refused(N2SmInfoType::PduResModFail));
    assert_eq!(confirmed(&mut rig), (Transfers::new(), [(5, Bytes::from_static(&[9]))].into()));
    let failures = [problem(500, "SYSTEM_FAILURE"), done()];
    for reply in failures {
        indicate(&mut rig, &ue, &[5]);
        let (token, _, _) = update(&mut rig);
        rig.input(Input::Reply(token, Ok(reply)));
        let (modified, failed) = confirmed(&mut rig);
        assert!(modified.is_empty());
        transfer::decode_modify_indication_unsuccessful(&failed[&5]).unwrap();
    }
    // One that nobody knows, and one that there cannot be.
    indicate(&mut rig, &ue, &[9, 200]);
    assert_eq!(confirmed(&mut rig).1.keys().copied().collect::<Vec<_>>(), [9, 200]);
}

/// TS 38.413 §8.2.5.2: in whatever order the SMFs answer.
#[test]
fn when_several_sessions_are_indicated_then_one_confirm_says_what_became_of_each() {
    for swapped in [false, true] {
        let (mut rig, ue) = connected(&[5, 6]);
        indicate(&mut rig, &ue, &[5, 6, 9, 5]);
        assert_eq!(rig.requests.len(), 2);
        if swapped {
            rig.requests.swap(0, 1);
        }
        let (first, second) = if swapped { (6, 5) } else { (5, 6) };
        let (token, data, told) = update(&mut rig);
        assert_eq!(data.n2_sm_info_type, Some(N2SmInfoType::PduResModInd));
        assert_eq!(told.as_deref(), Some(&[1, 2, first][..]));
        let confirm = updated(N2SmInfoType::PduResModCfm, HoState::None, &[4]);
        rig.input(Input::Reply(token, Ok(confirm)));
        assert!(rig.downlink.is_empty());
        answer(&mut rig, refused(N2SmInfoType::PduResModFail));
        assert!(rig.requests.is_empty());
        let (modified, failed) = confirmed(&mut rig);
        assert_eq!(modified, [(first, Bytes::from_static(&[4]))].into());
        assert_eq!(failed.keys().copied().collect::<Vec<_>>(), [second, 9]);
        assert_eq!(failed[&second][..], [9]);
        assert!(rig.downlink.is_empty());
    }
}

/// Each is answered by itself.
#[test]
fn when_sessions_are_indicated_one_after_the_other_then_each_is_confirmed_when_its_smf_has_answered() {
    let (mut rig, ue) = connected(&[5, 6]);
    indicate(&mut rig, &ue, &[5]);
    indicate(&mut rig, &ue, &[6]);
    indicate(&mut rig, &ue, &[5, 6]);
    rig.requests.swap(0, 1);
    taken(&mut rig);
    assert_eq!(confirmed(&mut rig).0.keys().copied().collect::<Vec<_>>(), [6]);
    taken(&mut rig);
    assert_eq!(confirmed(&mut rig).0.keys().copied().collect::<Vec<_>>(), [5]);
    taken(&mut rig);
    assert!(rig.downlink.is_empty());
    taken(&mut rig);
    assert_eq!(confirmed(&mut rig).0.keys().copied().collect::<Vec<_>>(), [5, 6]);
}

#[test]
fn when_a_session_ends_before_its_smf_has_answered_then_it_is_not_modified() {
    let (mut rig, ue) = connected(&[5, 6]);
    indicate(&mut rig, &ue, &[5, 6]);
    let status = StatusInfo::new(ResourceStatus::Released);
    let path = SmContextStatusNotify::callback_path(&format!("{}-5", supi()));
    let notification = SmContextStatusNotification::new(status);
    rig.ask(AmfRequest::SmContextStatusNotify(SmContextStatusNotify { path, notification }));
    assert_eq!(rig.next().kind(), tern_ngap::NgapPduKind::Initiating_PDUSessionResourceRelease);
    rig.requests.pop_front();
    taken(&mut rig);
    let (modified, failed) = confirmed(&mut rig);
    assert_eq!((modified.len(), failed.keys().copied().collect::<Vec<_>>()), (1, vec![5]));
}

#[test]
fn when_the_ue_is_elsewhere_or_idle_before_the_smf_has_answered_then_nobody_hears_of_it() {
    let (mut rig, ue) = connected(&[5]);
    indicate(&mut rig, &ue, &[5]);
    let id = rig.id();
    rig.amf.with_ue(id, |ue, _| ue.n2.as_mut().unwrap().gnb = OTHER_GNB);
    taken(&mut rig);
    assert!(rig.downlink.is_empty() && rig.count("amf.ngap.indication_outlived") > 0);
    let (mut rig, ue) = connected(&[5]);
    indicate(&mut rig, &ue, &[5]);
    ue.go_idle(&mut rig);
    assert!(rig.downlink.is_empty());
}

#[test]
fn when_too_many_indications_wait_then_a_further_one_is_refused_at_once() {
    let (mut rig, ue) = connected(&[5, 6]);
    rig.amf.config.limits.pending_per_ue = 2;
    for _ in 0..2 {
        indicate(&mut rig, &ue, &[5]);
    }
    indicate(&mut rig, &ue, &[6]);
    assert_eq!(confirmed(&mut rig).1.keys().copied().collect::<Vec<_>>(), [6]);
}
