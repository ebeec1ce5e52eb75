//! What the tests of handovers share: a second gNB, a UE with sessions in use, and its SMF.

use bytes::Bytes;
use tern_nas::nas_5gs::{
    Nas5gmmMessage, NasPayloadContainer, NasPayloadContainerType, NasPduSessionIdentity2, NasRequestType,
    NasServiceRequest, NasServiceType, NasUlNasTransport, PayloadContainerKind, RequestTypeValue,
    ServiceType,
};
use tern_ngap::build_ngap;
use tern_ngap::ngap::*;
use tern_sbi::namf_comm::{N1N2MessageTransfer, N1N2MessageTransferReqData, N2InfoContainer, NgapIeType};
use tern_sbi::nsmf_pdusession::{
    HoState, N2SmInfoType, SmContextUpdateData, SmContextUpdateError, SmContextUpdatedData, UpdateSmContext,
};
use tern_sbi::{Operation, OperationError, PathParams, ProblemDetails, Related, Reply, Response};
use tern_types::{GlobalGnbId, PduSessionId};

use super::rig::*;
use crate::n2::message::{GnbId, GnbInfo, N2Event};
use crate::{AmfRequest, Input};

/// The UE's identity at the target gNB, and the stream of its messages there.
pub(super) const RAN_ID: u32 = 77;
pub(super) const STREAM: u16 = 5;

impl Rig {
    /// The NGAP message that comes next, to this gNB.
    pub(super) fn next_at(&mut self, gnb: GnbId) -> NGAP_PDU {
        assert_eq!(self.destinations.front(), Some(&gnb), "{:?}", self.downlink.front());
        self.next()
    }
}

pub(super) fn session(id: u8) -> PduSessionId {
    PduSessionId::new(id).unwrap()
}

/// Another gNB with the same tracking area.
pub(super) fn add_gnb(rig: &mut Rig) {
    let gnb = rig.amf.gnbs[&GNB].clone();
    let global = GlobalGnbId { gnb_id: tern_types::GnbId::new(2, 22).unwrap(), ..gnb.global };
    rig.input(Input::N2(N2Event::GnbUp(GnbInfo { id: OTHER_GNB, global, ..gnb })));
}

pub(super) fn from_target(rig: &mut Rig, pdu: &NGAP_PDU) {
    let pdu = tern_ngap::encode(pdu).unwrap();
    rig.input(Input::N2(N2Event::Ngap { gnb: OTHER_GNB, stream: STREAM, pdu }));
}

/// The SMF wants a session's resources set up; what it is answered.
pub(super) fn transfer_status(rig: &mut Rig, id: u8) -> u16 {
    let data = N1N2MessageTransferReqData {
        n2_info_container: Some(N2InfoContainer::sm(session(id), NgapIeType::PduResSetupReq, None)),
        pdu_session_id: Some(session(id)),
        ..Default::default()
    };
    let operation = N1N2MessageTransfer {
        ue_context_id: supi().to_string(),
        data,
        n1_sm_msg: None,
        n2_sm_info: Some(Bytes::from_static(&[0, 0, 1])),
    };
    rig.ask(AmfRequest::N1N2MessageTransfer(Box::new(operation))).status
}

/// A UE with these sessions in use, and a second gNB.
pub(super) fn connected(ids: &[u8]) -> (Rig, Ue) {
    let (mut rig, mut ue) = (Rig::new(), Ue::new(1));
    ue.register(&mut rig);
    add_gnb(&mut rig);
    for &id in ids {
        ask_for_session(&mut rig, &mut ue, id);
        session_set_up(&mut rig, &ue, id);
        rig.serve();
    }
    assert!(rig.downlink.is_empty());
    (rig, ue)
}

/// The gNB is asked for the resources of a session that the UE wants.
pub(super) fn ask_for_session(rig: &mut Rig, ue: &mut Ue, id: u8) {
    let kind = NasPayloadContainerType::from_kind(PayloadContainerKind::N1SmInformation);
    let n1 = vec![0x2e, id, 1, 0xc1, 0xff, 0xff];
    let request = NasUlNasTransport::new(kind, NasPayloadContainer::new(n1))
        .with_pdu_session_id(NasPduSessionIdentity2::from_pdu_session_id(id))
        .with_request_type(NasRequestType::from_request_type(RequestTypeValue::InitialRequest));
    ue.say(rig, request);
    rig.serve();
    assert_eq!(transfer_status(rig, id), 200);
    rig.next();
}

/// The gNB has them.
pub(super) fn session_set_up(rig: &mut Rig, ue: &Ue, id: u8) {
    let item = PDUSessionResourceSetupItemSURes::new(PDUSessionID(id), vec![0, 3].into(), None);
    let response = build_ngap!(
        SuccessfulOutcome,
        PDUSessionResourceSetup,
        PDUSessionResourceSetupResponse,
        AMF_UE_NGAP_ID(ue.amf_id),
        RAN_UE_NGAP_ID(ue.ran_id),
        PDUSessionResourceSetupListSURes(PDUSessionResourceSetupListSURes(vec![item])),
    );
    rig.gnb(ue.stream, &response.unwrap());
}

/// The update that waits longest for its SMF.
pub(super) fn update(rig: &mut Rig) -> (crate::Token, SmContextUpdateData, Option<Bytes>) {
    let (token, _, request) = rig.requests.pop_front().expect("a request");
    let params = PathParams::matching(UpdateSmContext::PATH, &request.path).expect("an update");
    let update = UpdateSmContext::from_request(&params, &request).unwrap();
    (token, update.data, update.n2_sm_info)
}

/// Answers it.
pub(super) fn answer(rig: &mut Rig, reply: Reply) -> SmContextUpdateData {
    let (token, data, _) = update(rig);
    rig.input(Input::Reply(token, Ok(reply)));
    data
}

pub(super) fn done() -> Reply {
    UpdateSmContext::to_reply(Ok(Response { status: 204, ..Response::ok(Related::default()) }))
}

/// The SMF has this for a gNB.
pub(super) fn updated(kind: N2SmInfoType, state: HoState, transfer: &'static [u8]) -> Reply {
    let data = SmContextUpdatedData {
        n2_sm_info_type: Some(kind),
        ho_state: Some(state),
        ..SmContextUpdatedData::default()
    };
    let body = Related { n2_sm_info: Some(Bytes::from_static(transfer)), ..Related::from(data) };
    UpdateSmContext::to_reply(Ok(Response::ok(body)))
}

/// The SMF refuses, and has this for a gNB.
pub(super) fn refused(kind: N2SmInfoType) -> Reply {
    let error = SmContextUpdateError {
        n2_sm_info_type: Some(kind),
        ..SmContextUpdateError::new(ProblemDetails::new(403, "N2_SM_ERROR"))
    };
    let body = Related { n2_sm_info: Some(Bytes::from_static(&[9])), ..Related::from(error) };
    UpdateSmContext::to_reply(Err(OperationError::Refused { status: 403, body }))
}

/// The UE asks for something that the AMF answers at once.
pub(super) fn ask_service(rig: &mut Rig, ue: &mut Ue) {
    let request = NasServiceRequest::new(
        tern_nas::registration::ngksi(ue.ksi),
        NasServiceType::from_service_type(ServiceType::Signalling),
        tern_nas::MobileIdentity::STmsi(ue.guti.unwrap().into()).to_ie().unwrap(),
    );
    if rig.amf.ue(&supi()).unwrap().n2.as_ref().is_some_and(|n2| n2.gnb == OTHER_GNB) {
        let octets = ue.protect(&plain(request), tern_nas::security::HeaderType::Ciphered);
        let pdu = build_ngap!(
            InitiatingMessage,
            UplinkNASTransport,
            UplinkNASTransport,
            AMF_UE_NGAP_ID(ue.amf_id),
            RAN_UE_NGAP_ID(ue.ran_id),
            NAS_PDU(&octets[..]),
            UserLocationInformation(tern_ngap::convert::user_location(tern_ngap::convert::NrLocation {
                tai: tai(1),
                cell_plmn: plmn(),
                nr_cell_id: 0x20
            })),
        );
        return from_target(rig, &pdu.unwrap());
    }
    ue.say(rig, request);
}

/// The AMF says something to the UE: which gNB carries it.
pub(super) fn speaks_at(rig: &mut Rig, ue: &mut Ue) -> GnbId {
    ask_service(rig, ue);
    assert!(matches!(ue.hear(rig), Nas5gmmMessage::ServiceAccept(_)));
    rig.told
}
