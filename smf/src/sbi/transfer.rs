//! Namf_Communication_N1N2MessageTransfer, consumed (TS 29.518 §5.2.2.3.1).

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_nf::Target;
use tern_sbi::namf_comm::{
    N1MessageContainer, N1N2MessageTransfer, N1N2MessageTransferReqData, N1N2TransferFailureNotify,
    N2InfoContainer, NgapIeType,
};
use tern_sbi::{Operation as _, OperationError, Reply, TransportError};

use crate::context::PduSession;
use crate::core::Core;
use crate::io::Awaited;

/// Which NGAP transfer N2 SM information is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum N2Kind {
    /// PDU Session Resource Setup Request Transfer.
    SetupRequest,
    /// PDU Session Resource Modify Request Transfer.
    ModifyRequest,
    /// PDU Session Resource Release Command Transfer.
    ReleaseCommand,
}

impl N2Kind {
    fn ie_type(self) -> NgapIeType {
        match self {
            Self::SetupRequest => NgapIeType::PduResSetupReq,
            Self::ModifyRequest => NgapIeType::PduResModReq,
            Self::ReleaseCommand => NgapIeType::PduResRelCmd,
        }
    }
}

/// Sends an N1 message to the UE, N2 SM information to its access network, or both.
pub fn send(
    core: &mut Core<'_>,
    session: &PduSession,
    n1: Option<Bytes>,
    n2: Option<(N2Kind, Bytes)>,
) -> Awaited<N1N2MessageTransfer> {
    let kind = n2.as_ref().map(|(kind, _)| *kind);
    let data = N1N2MessageTransferReqData {
        n1_message_container: n1.as_ref().map(|_| N1MessageContainer::sm()),
        n2_info_container: kind
            .map(|kind| N2InfoContainer::sm(session.id, kind.ie_type(), Some(session.snssai))),
        pdu_session_id: Some(session.id),
        arp: session.granted.as_ref().map(|granted| granted.arp),
        five_qi: session.granted.as_ref().map(|granted| granted.five_qi),
        n1n2_failure_txf_notif_uri: Some(failure_uri(core, session)),
        ..N1N2MessageTransferReqData::default()
    };
    let operation = N1N2MessageTransfer {
        ue_context_id: session.supi.to_string(),
        data,
        n1_sm_msg: n1,
        n2_sm_info: n2.map(|(_, octets)| octets),
    };
    core.out.request(session.reference, Target::ApiRoot(session.status.api_root.clone()), &operation)
}

/// Where the AMF tells that a page was not answered (TS 29.518 §5.2.2.3.2).
fn failure_uri(core: &Core<'_>, session: &PduSession) -> String {
    let path = N1N2TransferFailureNotify::callback_path(&session.reference.to_string());
    format!("{}{path}", core.identity.api_root)
}

/// Why the AMF did not take a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotDelivered {
    why: String,
    /// The UE is registering, or on its way to another gNB: it may be asked again soon (TS 23.502 §4.2.3.3
    /// step 3b, §4.9.1.3.1).
    pub for_now: bool,
}

/// Whether the AMF took the message, for a page at least; else why not.
pub fn delivered(reply: Result<Reply, TransportError>) -> Result<(), NotDelivered> {
    const FOR_NOW: [&str; 2] = ["TEMPORARY_REJECT_REGISTRATION_ONGOING", "TEMPORARY_REJECT_HANDOVER_ONGOING"];
    match reply.map_err(OperationError::from).and_then(N1N2MessageTransfer::from_reply) {
        Ok(_) => Ok(()),
        Err(error) => {
            let cause = error.problem().and_then(|problem| problem.cause.as_deref());
            let for_now = cause.is_some_and(|cause| FOR_NOW.contains(&cause));
            let why = error.problem().map_or_else(|| error.to_string(), ToString::to_string);
            Err(NotDelivered { why, for_now })
        }
    }
}
