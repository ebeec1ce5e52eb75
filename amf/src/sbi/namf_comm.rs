//! Namf_Communication, produced: TS 29.518 §5.2.2.3.

use tern_sbi::namf_comm::{
    N1MessageClass, N1N2MessageTransfer, N1N2MessageTransferCause as Cause, N1N2MessageTransferError,
    N1N2MessageTransferRspData, N2InformationClass, NgapIeType,
};
use tern_sbi::{Operation, OperationError, ProblemDetails, Response};
use tern_types::Supi;
use tracing::debug;

use crate::Amf;
use crate::gmm::Procedure;
use crate::io::Token;
use crate::session;
use crate::ue::{HeldMessage, N2SmKind, UeContext};

type Answer = Result<Response<N1N2MessageTransferRspData>, OperationError<N1N2MessageTransferError>>;

fn refused(status: u16, cause: &str) -> Answer {
    let error = N1N2MessageTransferError::new(ProblemDetails::new(status, cause));
    Err(OperationError::Refused { status, body: error })
}

/// N1N2MessageTransfer of an SMF.
pub(crate) fn on_transfer(amf: &mut Amf, token: Token, request: N1N2MessageTransfer) {
    let supi = request.ue_context_id.parse::<Supi>().ok();
    let ue = supi.and_then(|supi| amf.by_supi.get(&supi)).copied();
    let mut answer = refused(404, "CONTEXT_NOT_FOUND");
    if let Some(ue) = ue {
        amf.with_ue(ue, |ue, amf| answer = transfer(ue, amf, request));
    }
    if let Err(error) = &answer {
        amf.count("amf.namf.transfer_refused");
        debug!(%error, "N1N2MessageTransfer refused");
    }
    amf.answer(token, N1N2MessageTransfer::to_reply(answer));
}

fn transfer(ue: &mut UeContext, amf: &mut Amf, request: N1N2MessageTransfer) -> Answer {
    let N1N2MessageTransfer { data, n1_sm_msg, n2_sm_info, .. } = request;
    let class = data.n1_message_container.as_ref().map(|n1| &n1.n1_message_class);
    let n2_class = data.n2_info_container.as_ref().map(|n2| &n2.n2_information_class);
    let foreign = class.is_some_and(|class| *class != N1MessageClass::Sm)
        || n2_class.is_some_and(|class| *class != N2InformationClass::Sm);
    if foreign || (n1_sm_msg.is_none() && n2_sm_info.is_none()) {
        return refused(403, "MODIFICATION_NOT_ALLOWED");
    }
    let sm_info = data.n2_info_container.as_ref().and_then(|container| container.sm_info.as_ref());
    let id = data.pdu_session_id.or(sm_info.map(|info| info.pdu_session_id));
    let Some(id) = id else {
        return refused(400, "MANDATORY_IE_MISSING");
    };
    let kind = sm_info.and_then(|info| info.n2_info_content.as_ref()).and_then(|content| {
        match content.ngap_ie_type {
            Some(NgapIeType::PduResSetupReq) => Some(N2SmKind::SetupRequest),
            Some(NgapIeType::PduResModReq) => Some(N2SmKind::ModifyRequest),
            Some(NgapIeType::PduResRelCmd) => Some(N2SmKind::ReleaseCommand),
            _ => None,
        }
    });
    if n2_sm_info.is_some() && kind.is_none() {
        return refused(403, "MODIFICATION_NOT_ALLOWED");
    }
    if !ue.sessions.contains_key(&id) {
        return refused(404, "CONTEXT_NOT_FOUND");
    }
    let registering = matches!(&ue.procedure, Some(Procedure::Registration(r)) if !r.is_accepted());
    if registering {
        return refused(409, "TEMPORARY_REJECT_REGISTRATION_ONGOING");
    }
    if ue.n2.is_none() {
        // Paging is not served: the UE is out of reach until it comes by itself.
        return if data.skip_ind == Some(true) {
            Ok(Response::ok(N1N2MessageTransferRspData::new(Cause::N1MsgNotTransferred)))
        } else {
            refused(504, "UE_NOT_REACHABLE")
        };
    }
    let message = HeldMessage { session: id, n1: n1_sm_msg, n2: kind.zip(n2_sm_info) };
    if session::downlink(ue, amf, message) {
        Ok(Response::ok(N1N2MessageTransferRspData::new(Cause::N1N2TransferInitiated)))
    } else {
        refused(503, "NF_CONGESTION")
    }
}
