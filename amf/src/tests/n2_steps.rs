//! The steps of an N2 handover, as gNBs and SMFs take them.

use tern_ngap::ngap::*;
use tern_ngap::{CodecError, NgapPduKind, build_ngap, convert, extract_ngap_ies};
use tern_sbi::nsmf_pdusession::{HoState, N2SmInfoType};
use tern_types::{GlobalGnbId, Tai};

use super::rig::*;
use super::two_gnbs::*;

pub(super) const CONTAINER: &[u8] = &[7, 7, 7];
pub(super) const COMMAND: &[u8] = &[8, 8];

pub(super) type R = CauseRadioNetwork;

pub(super) fn target(global: GlobalGnbId, tai: Tai) -> TargetID {
    TargetID::targetRANNodeID(TargetRANNodeID::new(convert::global_gnb_id(global), convert::tai(tai), None))
}

pub(super) fn other_gnb() -> GlobalGnbId {
    GlobalGnbId { plmn_id: plmn(), gnb_id: tern_types::GnbId::new(2, 22).unwrap() }
}

pub(super) fn required(ue: &Ue, ids: &[u8], kind: HandoverType, target: TargetID) -> NGAP_PDU {
    let item = |&id: &u8| PDUSessionResourceItemHORqd::new(PDUSessionID(id), vec![id].into(), None);
    build_ngap!(
        InitiatingMessage,
        HandoverPreparation,
        HandoverRequired,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        HandoverType(kind),
        Cause(Cause::radioNetwork(R::handover_desirable_for_radio_reason)),
        TargetID(target),
        PDUSessionResourceListHORqd(PDUSessionResourceListHORqd(ids.iter().map(item).collect())),
        SourceToTarget_TransparentContainer(CONTAINER),
    )
    .unwrap()
}

pub(super) fn require(rig: &mut Rig, ue: &Ue, ids: &[u8]) {
    rig.gnb(ue.stream, &required(ue, ids, HandoverType::intra5gs, target(other_gnb(), tai(1))));
}

/// The SMF has something for the target gNB.
pub(super) fn prepare(rig: &mut Rig) {
    let data = answer(rig, updated(N2SmInfoType::PduResSetupReq, HoState::Preparing, &[0x55]));
    assert_eq!(data.ho_state, Some(HoState::Preparing));
}

/// HANDOVER REQUEST at the target gNB.
pub(super) struct Asked {
    pub amf_id: u64,
    pub ncc: u8,
    pub nh: [u8; 32],
    pub sessions: Vec<(u8, Vec<u8>)>,
    pub container: Vec<u8>,
}

pub(super) fn asked(rig: &mut Rig) -> Asked {
    let pdu = rig.next_at(OTHER_GNB);
    assert_eq!(pdu.kind(), NgapPduKind::Initiating_HandoverResourceAllocation, "{pdu}");
    let read = || -> Result<Asked, CodecError> {
        extract_ngap_ies!(pdu, HandoverRequest,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req why: Cause = Cause(cause) => cause,
            req security: (u8, [u8; 32]) = SecurityContext(context) => (
                context.next_hop_chaining_count.0,
                context.next_hop_nh.0.as_octets().try_into().unwrap(),
            ),
            req sessions: Vec<(u8, Vec<u8>)> = PDUSessionResourceSetupListHOReq(list) => list.0.iter()
                .map(|item| (item.pdu_session_id.0, item.handover_request_transfer.to_vec()))
                .collect(),
            req container: Vec<u8> = SourceToTarget_TransparentContainer(c) => c.0.to_vec(),
        );
        assert_eq!(why, Cause::radioNetwork(R::handover_desirable_for_radio_reason));
        let (ncc, nh) = security;
        Ok(Asked { amf_id, ncc, nh, sessions, container })
    };
    read().unwrap()
}

pub(super) fn acknowledge(rig: &mut Rig, amf_id: u64, ids: &[u8], failed: &[u8]) {
    let item = |&id: &u8| PDUSessionResourceAdmittedItem::new(PDUSessionID(id), vec![id, 1].into(), None);
    let failed_item =
        |&id: &u8| PDUSessionResourceFailedToSetupItemHOAck::new(PDUSessionID(id), vec![id, 2].into(), None);
    let admitted = PDUSessionResourceAdmittedList(ids.iter().map(item).collect());
    let pdu = match failed {
        [] => build_ngap!(
            SuccessfulOutcome,
            HandoverResourceAllocation,
            HandoverRequestAcknowledge,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(RAN_ID),
            PDUSessionResourceAdmittedList(admitted),
            TargetToSource_TransparentContainer(CONTAINER),
        ),
        failed => build_ngap!(
            SuccessfulOutcome,
            HandoverResourceAllocation,
            HandoverRequestAcknowledge,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(RAN_ID),
            PDUSessionResourceAdmittedList(admitted),
            PDUSessionResourceFailedToSetupListHOAck(PDUSessionResourceFailedToSetupListHOAck(
                failed.iter().map(failed_item).collect()
            )),
            TargetToSource_TransparentContainer(CONTAINER),
        ),
    };
    from_target(rig, &pdu.unwrap());
}

pub(super) fn fail_allocation(rig: &mut Rig, amf_id: u64, why: R) {
    let pdu = build_ngap!(
        UnsuccessfulOutcome,
        HandoverResourceAllocation,
        HandoverFailure,
        AMF_UE_NGAP_ID(amf_id),
        Cause(Cause::radioNetwork(why)),
    );
    from_target(rig, &pdu.unwrap());
}

/// The SMF says where packets are forwarded to.
pub(super) fn prepared(rig: &mut Rig) {
    let data = answer(rig, updated(N2SmInfoType::HandoverCmd, HoState::Prepared, COMMAND));
    assert_eq!(
        (data.ho_state, data.n2_sm_info_type),
        (Some(HoState::Prepared), Some(N2SmInfoType::HandoverReqAck))
    );
}

/// HANDOVER COMMAND at the source: sessions handed over, and released.
pub(super) fn commanded(rig: &mut Rig, ue: &Ue) -> (Vec<u8>, Vec<u8>) {
    let pdu = rig.next_at(GNB);
    assert_eq!(pdu.kind(), NgapPduKind::Successful_HandoverPreparation, "{pdu}");
    let read = || -> Result<_, CodecError> {
        extract_ngap_ies!(pdu, HandoverCommand,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            opt sessions: Vec<(u8, Vec<u8>)> = PDUSessionResourceHandoverList(list) => list.0.iter()
                .map(|item| (item.pdu_session_id.0, item.handover_command_transfer.to_vec()))
                .collect(),
            opt released: Vec<u8> = PDUSessionResourceToReleaseListHOCmd(list) =>
                list.0.iter().map(|item| item.pdu_session_id.0).collect(),
            req container: Vec<u8> = TargetToSource_TransparentContainer(c) => c.0.to_vec(),
        );
        assert_eq!((amf_id, ran_id, &container[..]), (ue.amf_id, ue.ran_id, CONTAINER));
        let sessions = sessions.unwrap_or_default();
        assert!(sessions.iter().all(|(_, transfer)| transfer == COMMAND));
        Ok((sessions.into_iter().map(|(id, _)| id).collect(), released.unwrap_or_default()))
    };
    read().unwrap()
}

pub(super) fn preparation_failed(rig: &mut Rig, ue: &Ue) -> Cause {
    let pdu = rig.next_at(GNB);
    assert_eq!(pdu.kind(), NgapPduKind::Unsuccessful_HandoverPreparation, "{pdu}");
    let read = || -> Result<_, CodecError> {
        extract_ngap_ies!(pdu, HandoverPreparationFailure,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            req why: Cause = Cause(cause) => cause,
        );
        assert_eq!((amf_id, ran_id), (ue.amf_id, ue.ran_id));
        Ok(why)
    };
    read().unwrap()
}

/// UE CONTEXT RELEASE COMMAND at a gNB: by which identities, and why.
pub(super) fn release_at(rig: &mut Rig, gnb: crate::n2::message::GnbId) -> (UENGAPIDs, Cause) {
    let pdu = rig.next_at(gnb);
    assert_eq!(pdu.kind(), NgapPduKind::Initiating_UEContextRelease, "{pdu}");
    let read = || -> Result<_, CodecError> {
        extract_ngap_ies!(pdu, UEContextReleaseCommand,
            req ids: UENGAPIDs = UE_NGAP_IDs(ids) => ids,
            req why: Cause = Cause(cause) => cause,
        );
        Ok((ids, why))
    };
    read().unwrap()
}

pub(super) fn pair(amf_id: u64, ran_id: u32) -> UENGAPIDs {
    UENGAPIDs::uE_NGAP_ID_pair(UENGAPIDPair::new(AMFUENGAPID(amf_id), RANUENGAPID(ran_id), None))
}

pub(super) fn notify(rig: &mut Rig, amf_id: u64) {
    let location = convert::NrLocation { tai: tai(1), cell_plmn: plmn(), nr_cell_id: 0x20 };
    let pdu = build_ngap!(
        InitiatingMessage,
        HandoverNotification,
        HandoverNotify,
        AMF_UE_NGAP_ID(amf_id),
        RAN_UE_NGAP_ID(RAN_ID),
        UserLocationInformation(convert::user_location(location)),
    );
    from_target(rig, &pdu.unwrap());
}

pub(super) fn cancel(rig: &mut Rig, ue: &Ue) {
    let pdu = build_ngap!(
        InitiatingMessage,
        HandoverCancel,
        HandoverCancel,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        Cause(Cause::radioNetwork(R::handover_cancelled)),
    );
    rig.gnb(ue.stream, &pdu.unwrap());
}

/// The SMF hears that the handover comes to nothing.
pub(super) fn cancelled(rig: &mut Rig, why: tern_sbi::nsmf_pdusession::Cause) {
    let data = answer(rig, done());
    assert_eq!((data.ho_state, data.cause), (Some(HoState::Cancelled), Some(why)));
}

pub(super) const HO_FAILURE: tern_sbi::nsmf_pdusession::Cause = tern_sbi::nsmf_pdusession::Cause::HoFailure;
pub(super) const HO_CANCEL: tern_sbi::nsmf_pdusession::Cause = tern_sbi::nsmf_pdusession::Cause::HoCancel;
pub(super) const FAILED_IN_TARGET: Cause =
    Cause::radioNetwork(R::ho_failure_in_target_5GC_ngran_node_or_target_system);

/// Up to which step a handover of session 5 goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    Preparing,
    Allocating,
    Forwarding,
    Executing,
}

pub(super) const STEPS: [Until; 4] =
    [Until::Preparing, Until::Allocating, Until::Forwarding, Until::Executing];

/// The AMF UE NGAP ID at the target gNB.
pub(super) fn go(rig: &mut Rig, ue: &Ue, until: Until) -> u64 {
    require(rig, ue, &[5]);
    if until == Until::Preparing {
        return 0;
    }
    prepare(rig);
    let amf_id = asked(rig).amf_id;
    if until == Until::Allocating {
        return amf_id;
    }
    acknowledge(rig, amf_id, &[5], &[]);
    if until == Until::Executing {
        prepared(rig);
        assert_eq!(commanded(rig, ue), (vec![5], vec![]));
    }
    amf_id
}

/// What an SMF still has to answer, in whatever way.
pub(super) fn settle(rig: &mut Rig) {
    while !rig.requests.is_empty() {
        answer(rig, done());
    }
}

pub(super) fn is_idle(rig: &Rig) -> bool {
    rig.amf.ue(&supi()).unwrap().n2.is_none()
}
