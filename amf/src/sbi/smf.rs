//! Nsmf_PDUSession, consumed: TS 29.502.

use bytes::Bytes;
use tern_nf::{Selection, Target};
use tern_sbi::common::{
    AccessType, GNbId, GlobalRanNodeId, NfType, NgRanTargetId, PlmnIdNid, RatType, ServiceName,
};
use tern_sbi::nsmf_pdusession::{
    Cause, DnnSelectionMode, HoState, N2SmInfoType, PostSmContexts, ReleaseSmContext, RequestType,
    SmContextCreateData, SmContextCreateError, SmContextCreatedData, SmContextReleaseData,
    SmContextStatusNotify, SmContextUpdateData, SmContextUpdateError, SmContextUpdatedData, UpCnxState,
    UpdateSmContext,
};
use tern_sbi::{Location, OperationError, ProblemDetails, Related, Response};
use tern_types::GlobalGnbId;

use crate::Amf;
use crate::gmm::nas_transport::NotForwarded;
use crate::io::Awaited;
use crate::ngap::handover::{Abandoned, HoUpdate};
use crate::session::{N2FromGnb, NewSession, Work};
use crate::ue::{N2SmKind, UeContext};

/// An SM context that was created.
pub(crate) struct Created {
    pub context: Location,
}

/// What an update brings for the UE and the gNB.
pub(crate) struct Updated {
    pub n1: Option<Bytes>,
    pub n2: Option<(N2SmKind, Bytes)>,
    /// PDU Session Resource Modify Confirm Transfer.
    pub confirm: Option<Bytes>,
    /// N2 SM information, whatever it is.
    pub transfer: Option<Bytes>,
}

/// Why the SMF did not do it.
pub(crate) struct SmfRefusal {
    /// For the log.
    pub why: String,
    /// The 5GSM message for the UE, if the SMF gave one.
    pub n1: Option<Bytes>,
    /// N2 SM information that tells the gNB of the failure.
    pub n2: Option<Bytes>,
    /// Else: what the UE is told.
    pub not_forwarded: NotForwarded,
    /// The SMF does not know the context (any more).
    pub gone: bool,
}

/// Asks an SMF that serves the slice and DNN for a session; `None` without a SUPI.
pub(crate) fn create(ue: &mut UeContext, amf: &mut Amf, new: &NewSession) -> Option<Awaited<PostSmContexts>> {
    let supi = ue.supi.clone()?;
    let plmn = amf.serving_plmn(ue);
    let callback = amf.uri(&SmContextStatusNotify::callback_path(&format!("{supi}-{}", new.id)));
    let request = if new.existing { RequestType::ExistingPduSession } else { RequestType::InitialRequest };
    let data = SmContextCreateData {
        supi: Some(supi),
        pei: ue.pei.clone(),
        pdu_session_id: Some(new.id),
        dnn: Some(new.dnn.clone()),
        s_nssai: Some(new.snssai),
        guami: Some(amf.config.guami()),
        request_type: Some(request),
        rat_type: Some(RatType::Nr),
        ue_location: super::user_location(ue),
        sel_mode: Some(DnnSelectionMode::Verified),
        ..SmContextCreateData::new(amf.nf_instance_id, PlmnIdNid::new(plmn), AccessType::ThreeGpp, callback)
    };
    let operation = PostSmContexts { data, n1_sm_msg: Some(new.n1.clone()), n2_sm_info: None };
    let selection =
        Selection { dnn: Some(new.dnn.clone()), snssai: Some(new.snssai), ..Selection::default() };
    let target = Target::selected(NfType::Smf, ServiceName::NsmfPdusession, selection);
    Some(amf.begin(ue, target, &operation))
}

/// Tells the SMF something; `None` if the context's URI makes no sense.
pub(crate) fn update(
    ue: &mut UeContext,
    amf: &mut Amf,
    context: &Location,
    work: &Work,
) -> Option<Awaited<UpdateSmContext>> {
    let mut data =
        SmContextUpdateData { ue_location: super::user_location(ue), ..SmContextUpdateData::default() };
    let (mut n1_sm_msg, mut n2_sm_info) = (None, None);
    match work {
        Work::N1(n1) => n1_sm_msg = Some(n1.clone()),
        Work::N2(kind, transfer) => {
            data.n2_sm_info_type = Some(from_gnb(*kind));
            data.to_be_switched = (*kind == N2FromGnb::PathSwitchRequest).then_some(true);
            data.failed_to_be_switched = (*kind == N2FromGnb::PathSwitchSetupFailed).then_some(true);
            n2_sm_info = Some(transfer.clone());
        }
        Work::Handover(_, update) => n2_sm_info = handover(&mut data, update),
        Work::Indicated(_, transfer) => {
            data.n2_sm_info_type = Some(N2SmInfoType::PduResModInd);
            n2_sm_info = Some(transfer.clone());
        }
        Work::Deactivate => data.up_cnx_state = Some(UpCnxState::Deactivated),
        Work::Activate => {
            data.up_cnx_state = Some(UpCnxState::Activating);
            data.an_type = Some(AccessType::ThreeGpp);
        }
        Work::Release(_) => return None,
    }
    let sm_context_ref = context.last_segment()?;
    let operation = UpdateSmContext { sm_context_ref, data, n1_sm_msg, n2_sm_info };
    let target = Target::ApiRoot(context.api_root.clone());
    // An SMF that does not hear of the end would have packets go where the UE is not.
    let ends = matches!(work, Work::Handover(_, HoUpdate::Completed | HoUpdate::Cancelled(_)));
    Some(if ends { amf.insist(ue.id, target, &operation) } else { amf.repeat(ue.id, target, &operation) })
}

/// What the SMF is told of a handover by N2 (TS 29.502 §5.2.2.3.4), and the gNB's part of it.
fn handover(data: &mut SmContextUpdateData, update: &HoUpdate) -> Option<Bytes> {
    let (state, transfer) = match update {
        HoUpdate::Preparing { target, tai, transfer } => {
            data.target_id = Some(NgRanTargetId::new(ran_node(*target), *tai));
            (HoState::Preparing, Some((N2SmInfoType::HandoverRequired, transfer)))
        }
        HoUpdate::Prepared(transfer) => (HoState::Prepared, Some((N2SmInfoType::HandoverReqAck, transfer))),
        HoUpdate::NotAllocated(transfer) => {
            (HoState::Prepared, Some((N2SmInfoType::HandoverResAllocFail, transfer)))
        }
        HoUpdate::Completed => (HoState::Completed, None),
        HoUpdate::Cancelled(why) => {
            data.cause = Some(match why {
                Abandoned::Cancelled => Cause::HoCancel,
                Abandoned::Failed => Cause::HoFailure,
            });
            (HoState::Cancelled, None)
        }
    };
    data.ho_state = Some(state);
    let (kind, transfer) = transfer?;
    data.n2_sm_info_type = Some(kind);
    Some(transfer.clone())
}

fn ran_node(id: GlobalGnbId) -> GlobalRanNodeId {
    let digits = usize::from(id.gnb_id.bits()).div_ceil(4);
    let gnb = GNbId::new(id.gnb_id.bits(), format!("{:0digits$x}", id.gnb_id.value()));
    GlobalRanNodeId { g_nb_id: Some(gnb), ..GlobalRanNodeId::new(id.plmn_id) }
}

/// Releases an SM context; `None` if its URI makes no sense. `for_good` insists: no other session
/// waits for its end.
pub(crate) fn release(
    ue: &mut UeContext,
    amf: &mut Amf,
    context: &Location,
    for_good: bool,
) -> Option<Awaited<ReleaseSmContext>> {
    let data = SmContextReleaseData {
        cause: Some(Cause::RelDueToUnspecifiedReason),
        ue_location: super::user_location(ue),
        ..SmContextReleaseData::default()
    };
    let sm_context_ref = context.last_segment()?;
    let operation = ReleaseSmContext { sm_context_ref, data, n1_sm_msg: None, n2_sm_info: None };
    let target = Target::ApiRoot(context.api_root.clone());
    Some(if for_good {
        amf.insist(ue.id, target, &operation)
    } else {
        amf.request(ue.id, target, &operation)
    })
}

/// Reads the answer to a creation.
pub(crate) fn created(
    answer: Result<Response<Related<SmContextCreatedData>>, OperationError<Related<SmContextCreateError>>>,
) -> Result<Created, SmfRefusal> {
    match answer {
        Ok(response) => {
            let context = response.location.as_deref().and_then(Location::parse);
            let context = context.ok_or_else(|| other("201 without the context's URI".into(), None))?;
            Ok(Created { context })
        }
        Err(OperationError::Refused { body, .. }) => Err(refused(&body.data.error, body.n1_sm_msg)),
        Err(OperationError::Problem(problem)) => Err(refused(&problem, None)),
        Err(error) => Err(other(error.to_string(), None)),
    }
}

/// Reads the answer to an update.
pub(crate) fn updated(
    answer: Result<Response<Related<SmContextUpdatedData>>, OperationError<Related<SmContextUpdateError>>>,
) -> Result<Updated, SmfRefusal> {
    match answer {
        Ok(response) => {
            let Related { data, n1_sm_msg, n2_sm_info } = response.body;
            let kind = data.n2_sm_info_type.as_ref().and_then(to_gnb);
            let confirms = data.n2_sm_info_type == Some(N2SmInfoType::PduResModCfm);
            Ok(Updated {
                n1: n1_sm_msg,
                n2: kind.zip(n2_sm_info.clone()),
                confirm: n2_sm_info.clone().filter(|_| confirms),
                transfer: n2_sm_info,
            })
        }
        Err(OperationError::Refused { body, .. }) => {
            let n2 = body.n2_sm_info;
            Err(SmfRefusal { n2, ..refused(&body.data.error, body.n1_sm_msg) })
        }
        Err(OperationError::Problem(problem)) => Err(refused(&problem, None)),
        Err(error) => Err(other(error.to_string(), None)),
    }
}

fn other(why: String, n1: Option<Bytes>) -> SmfRefusal {
    SmfRefusal { why, n1, n2: None, not_forwarded: NotForwarded::Unspecified, gone: false }
}

/// What the SMF's application errors (TS 29.502 §6.1.7) mean to the UE.
fn refused(problem: &ProblemDetails, n1: Option<Bytes>) -> SmfRefusal {
    let not_forwarded = match problem.cause.as_deref() {
        Some("DNN_NOT_SUPPORTED" | "DNN_DENIED") => NotForwarded::DnnNotSupported,
        Some("DNN_CONGESTION") => NotForwarded::Congestion,
        Some("S_NSSAI_CONGESTION") => NotForwarded::SliceResources,
        Some("INSUFFICIENT_RESOURCES_SLICE_DNN") => NotForwarded::SliceAndDnnResources,
        Some("INSUFFICIENT_RESOURCES_SLICE") => NotForwarded::SliceResources,
        _ if problem.status == Some(429) => NotForwarded::Congestion,
        _ => NotForwarded::Unspecified,
    };
    SmfRefusal { not_forwarded, gone: problem.status == Some(404), ..other(problem.to_string(), n1) }
}

fn from_gnb(kind: N2FromGnb) -> N2SmInfoType {
    match kind {
        N2FromGnb::SetupResponse => N2SmInfoType::PduResSetupRsp,
        N2FromGnb::SetupUnsuccessful => N2SmInfoType::PduResSetupFail,
        N2FromGnb::ReleaseResponse => N2SmInfoType::PduResRelRsp,
        N2FromGnb::ModifyResponse => N2SmInfoType::PduResModRsp,
        N2FromGnb::ModifyUnsuccessful => N2SmInfoType::PduResModFail,
        N2FromGnb::Notify => N2SmInfoType::PduResNty,
        N2FromGnb::NotifyReleased => N2SmInfoType::PduResNtyRel,
        N2FromGnb::PathSwitchRequest => N2SmInfoType::PathSwitchReq,
        N2FromGnb::PathSwitchSetupFailed => N2SmInfoType::PathSwitchSetupFail,
    }
}

fn to_gnb(kind: &N2SmInfoType) -> Option<N2SmKind> {
    match kind {
        N2SmInfoType::PduResSetupReq => Some(N2SmKind::SetupRequest),
        N2SmInfoType::PduResModReq => Some(N2SmKind::ModifyRequest),
        N2SmInfoType::PduResRelCmd => Some(N2SmKind::ReleaseCommand),
        _ => None,
    }
}
