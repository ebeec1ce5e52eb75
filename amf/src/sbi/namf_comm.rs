//! Namf_Communication, produced: TS 29.518 §5.2.2.3.

use tern_sbi::namf_comm::{
    N1MessageClass, N1N2MessageTransfer, N1N2MessageTransferCause as Cause, N1N2MessageTransferError,
    N1N2MessageTransferReqData, N1N2MessageTransferRspData, N2InformationClass, NgapIeType,
};
use tern_sbi::{Location, Operation, OperationError, ProblemDetails, Response};
use tern_types::Supi;
use tracing::debug;

use crate::Amf;
use crate::gmm::Procedure;
use crate::gmm::paging::{self, NotPaged, Pending};
use crate::io::Token;
use crate::ngap::handover;
use crate::session;
use crate::ue::{HeldMessage, N2SmKind, UeContext};

/// A refusal: HTTP status and cause of TS 29.518 §5.2.2.3.1.
#[derive(Debug, Clone, Copy)]
struct Refused(u16, &'static str);

type Outcome = Result<Taken, Refused>;

/// A transfer that was taken.
enum Taken {
    /// 200.
    Done(Cause),
    /// 202: the UE is paged; the URI of the transfer.
    Paging(String),
}

/// N1N2MessageTransfer of an SMF.
pub(crate) fn on_transfer(amf: &mut Amf, token: Token, request: N1N2MessageTransfer) {
    let supi = request.ue_context_id.parse::<Supi>().ok();
    let ue = supi.and_then(|supi| amf.by_supi.get(&supi)).copied();
    let mut outcome = Err(Refused(404, "CONTEXT_NOT_FOUND"));
    if let Some(ue) = ue {
        amf.with_ue(ue, |ue, amf| outcome = transfer(ue, amf, request));
    }
    let answer = match outcome {
        Ok(Taken::Done(cause)) => Ok(Response::ok(N1N2MessageTransferRspData::new(cause))),
        Ok(Taken::Paging(transfer)) => {
            let body = N1N2MessageTransferRspData::new(Cause::AttemptingToReachUe);
            Ok(Response { status: 202, ..Response::created(transfer, body) })
        }
        Err(Refused(status, cause)) => {
            amf.count("amf.namf.transfer_refused");
            debug!(status, cause, "N1N2MessageTransfer refused");
            let body = N1N2MessageTransferError::new(ProblemDetails::new(status, cause));
            Err(OperationError::Refused { status, body })
        }
    };
    amf.answer(token, N1N2MessageTransfer::to_reply(answer));
}

fn transfer(ue: &mut UeContext, amf: &mut Amf, request: N1N2MessageTransfer) -> Outcome {
    let N1N2MessageTransfer { ue_context_id, data, n1_sm_msg, n2_sm_info } = request;
    let class = data.n1_message_container.as_ref().map(|n1| &n1.n1_message_class);
    let n2_class = data.n2_info_container.as_ref().map(|n2| &n2.n2_information_class);
    let foreign = class.is_some_and(|class| *class != N1MessageClass::Sm)
        || n2_class.is_some_and(|class| *class != N2InformationClass::Sm);
    if foreign || (n1_sm_msg.is_none() && n2_sm_info.is_none()) {
        return Err(Refused(403, "MODIFICATION_NOT_ALLOWED"));
    }
    let sm_info = data.n2_info_container.as_ref().and_then(|container| container.sm_info.as_ref());
    let id = data.pdu_session_id.or(sm_info.map(|info| info.pdu_session_id));
    let Some(id) = id else {
        return Err(Refused(400, "MANDATORY_IE_MISSING"));
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
        return Err(Refused(403, "MODIFICATION_NOT_ALLOWED"));
    }
    if !ue.sessions.contains_key(&id) {
        return Err(Refused(404, "CONTEXT_NOT_FOUND"));
    }
    let registering = matches!(&ue.procedure, Some(Procedure::Registration(r)) if !r.is_accepted());
    if registering {
        return Err(Refused(409, "TEMPORARY_REJECT_REGISTRATION_ONGOING"));
    }
    if n2_sm_info.is_some() && handover::is_between_gnbs(ue) {
        // TS 23.502 §4.9.1.3.1
        return Err(Refused(409, "TEMPORARY_REJECT_HANDOVER_ONGOING"));
    }
    let message = HeldMessage { session: id, n1: n1_sm_msg, n2: kind.zip(n2_sm_info) };
    if ue.n2.is_none() {
        return to_idle(ue, amf, &ue_context_id, &data, message);
    }
    if session::downlink(ue, amf, message) {
        Ok(Taken::Done(Cause::N1N2TransferInitiated))
    } else {
        Err(Refused(503, "NF_CONGESTION"))
    }
}

/// The UE is in CM-IDLE: it is paged, unless what there is to say can be left out (TS 29.518 §5.2.2.3.1.2).
fn to_idle(
    ue: &mut UeContext,
    amf: &mut Amf,
    ue_context_id: &str,
    data: &N1N2MessageTransferReqData,
    message: HeldMessage,
) -> Outcome {
    if data.skip_ind == Some(true) {
        return Ok(Taken::Done(Cause::N1MsgNotTransferred));
    }
    if message.n1.is_none() && matches!(message.n2, Some((N2SmKind::ReleaseCommand, _))) {
        // No gNB has anything of the session.
        return Ok(Taken::Done(Cause::N2MsgNotTransferred));
    }
    let transfer = amf.new_transfer(ue_context_id);
    let failure = data.n1n2_failure_txf_notif_uri.as_deref().and_then(Location::parse);
    let priority = data.arp.and_then(|arp| amf.config.paging.priority(arp.priority_level));
    let pending = Pending { message, transfer: transfer.clone(), failure };
    match paging::start(ue, amf, pending, priority) {
        Ok(()) => Ok(Taken::Paging(transfer)),
        Err(NotPaged::NotReachable) => Err(Refused(504, "UE_NOT_REACHABLE")),
        Err(NotPaged::Full) => Err(Refused(503, "NF_CONGESTION")),
    }
}
