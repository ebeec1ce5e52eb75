//! Nsmf_PDUSession, produced (TS 29.502 §5.2): what the AMF is answered.

use bytes::Bytes;
use tern_ngap::cause::NgapCause;
use tern_ngap::ngap::CauseRadioNetwork;
use tern_ngap::transfer::{encode_handover_preparation_unsuccessful, encode_path_switch_unsuccessful};
use tern_sbi::nsmf_pdusession::{
    HoState, N2SmInfoType, PostSmContexts, SmContextCreateError, SmContextCreatedData, SmContextUpdateError,
    SmContextUpdatedData, UpCnxState as UpCnxStateText, UpdateSmContext,
};
use tern_sbi::{OperationError, ProblemDetails, Related, Response};

use crate::cause::Refusal;
use crate::context::{PduSession, UpCnxState};
use crate::core::Core;
use crate::io::Token;

/// What an Update SM Context is answered with; nothing is 204.
#[derive(Debug, Clone, Default)]
pub struct Updated {
    /// For the UE.
    pub n1: Option<Bytes>,
    /// For the access network.
    pub n2: Option<(N2SmInfoType, Bytes)>,
    /// What the user-plane connection is now.
    pub up_cnx_state: Option<UpCnxState>,
    /// Where a handover stands.
    pub ho_state: Option<HoState>,
}

impl UpCnxState {
    fn text(self) -> UpCnxStateText {
        match self {
            Self::Deactivated => UpCnxStateText::Deactivated,
            Self::Activating => UpCnxStateText::Activating,
            Self::Activated => UpCnxStateText::Activated,
        }
    }
}

/// 201: the context exists.
pub fn created(core: &mut Core<'_>, token: Token, session: &PduSession) {
    let data = SmContextCreatedData {
        pdu_session_id: Some(session.id),
        s_nssai: Some(session.snssai),
        ..SmContextCreatedData::default()
    };
    let location = format!("{}/nsmf-pdusession/v1/sm-contexts/{}", core.identity.api_root, session.reference);
    core.out.answer::<PostSmContexts>(token, Ok(Response::created(location, Related::from(data))));
}

/// The context is refused; `n1` is the answer for the UE.
pub fn create_refused(core: &mut Core<'_>, token: Token, refusal: Refusal, n1: Option<Bytes>) {
    let (status, cause) = refusal.problem();
    create_failed(core, token, ProblemDetails::new(status, cause), n1);
}

/// The context is refused for a reason that the UE has no part in.
pub fn create_failed(core: &mut Core<'_>, token: Token, problem: ProblemDetails, n1: Option<Bytes>) {
    let status = problem.status.unwrap_or(500);
    let body = Related { n1_sm_msg: n1, ..Related::from(SmContextCreateError::new(problem)) };
    core.out.answer::<PostSmContexts>(token, Err(OperationError::Refused { status, body }));
}

/// Another request has taken the place of this one.
pub fn create_superseded(core: &mut Core<'_>, token: Token, n1: Option<Bytes>) {
    create_failed(core, token, ProblemDetails::new(403, "N1_SM_ERROR").with_detail("superseded"), n1);
}

/// 200 with what there is to tell, or 204.
pub fn update_answered(core: &mut Core<'_>, token: Token, updated: Updated) {
    let Updated { n1, n2, up_cnx_state, ho_state } = updated;
    let nothing = n1.is_none() && n2.is_none() && up_cnx_state.is_none() && ho_state.is_none();
    let data = SmContextUpdatedData {
        up_cnx_state: up_cnx_state.map(UpCnxState::text),
        ho_state,
        n2_sm_info_type: n2.as_ref().map(|(kind, _)| kind.clone()),
        ..SmContextUpdatedData::default()
    };
    let n2_sm_info = n2.map(|(_, octets)| octets);
    let body = Related { data, n1_sm_msg: n1, n2_sm_info };
    let status = if nothing { 204 } else { 200 };
    core.out.answer::<UpdateSmContext>(token, Ok(Response { status, ..Response::ok(body) }));
}

/// The update is refused; `n1` is an answer for the UE.
pub fn update_refused(core: &mut Core<'_>, token: Token, status: u16, cause: &str, n1: Option<Bytes>) {
    let error = SmContextUpdateError::new(ProblemDetails::new(status, cause));
    let body = Related { n1_sm_msg: n1, ..Related::from(error) };
    core.out.answer::<UpdateSmContext>(token, Err(OperationError::Refused { status, body }));
}

/// The path is not switched; the target access network is told why.
pub fn path_switch_refused(core: &mut Core<'_>, token: Token, status: u16, cause: &str) {
    let why = NgapCause::of(&tern_ngap::cause::radio_network(CauseRadioNetwork::unspecified));
    let n2 = encode_path_switch_unsuccessful(why).ok();
    refused_with(core, token, status, cause, (N2SmInfoType::PathSwitchReqFail, n2));
}

/// The session is not handed over; the source access network is told why.
pub fn handover_refused(core: &mut Core<'_>, token: Token, status: u16, cause: &str) {
    let why = NgapCause::of(&tern_ngap::cause::radio_network(CauseRadioNetwork::unspecified));
    let n2 = encode_handover_preparation_unsuccessful(why).ok();
    refused_with(core, token, status, cause, (N2SmInfoType::HandoverPrepFail, n2));
}

fn refused_with(
    core: &mut Core<'_>,
    token: Token,
    status: u16,
    cause: &str,
    (kind, n2_sm_info): (N2SmInfoType, Option<Bytes>),
) {
    let error = SmContextUpdateError {
        n2_sm_info_type: Some(kind),
        ..SmContextUpdateError::new(ProblemDetails::new(status, cause))
    };
    let body = Related { n2_sm_info, ..Related::from(error) };
    core.out.answer::<UpdateSmContext>(token, Err(OperationError::Refused { status, body }));
}
