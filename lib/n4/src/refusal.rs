//! The answer that says no to a request.

use tern_pfcp::*;

use crate::NodeConfig;

/// A response of the kind that answers `request`, with a cause and perhaps the IE at fault.
/// `None` for what is not a request, and for heartbeats, whose answer has no cause.
pub fn refusal(
    request: MessageType,
    cause: Cause,
    offending_ie: Option<u16>,
    node: &NodeConfig,
) -> Option<Message> {
    let node_id = node.node_id.clone();
    let offending_ie = offending_ie.filter(|ie_type| *ie_type != 0).map(OffendingIe);
    Some(match request {
        MessageType::PfdManagementRequest => {
            let node_id = Some(node_id);
            PfdManagementResponse { cause, offending_ie, node_id, ..Default::default() }.into()
        }
        MessageType::AssociationSetupRequest => AssociationSetupResponse {
            node_id,
            cause,
            recovery_time_stamp: node.recovery_time_stamp,
            ..Default::default()
        }
        .into(),
        MessageType::AssociationUpdateRequest => {
            AssociationUpdateResponse { node_id, cause, ..Default::default() }.into()
        }
        MessageType::AssociationReleaseRequest => {
            AssociationReleaseResponse { node_id, cause, ..Default::default() }.into()
        }
        MessageType::NodeReportRequest => {
            NodeReportResponse { node_id, cause, offending_ie, ..Default::default() }.into()
        }
        MessageType::SessionEstablishmentRequest => {
            SessionEstablishmentResponse { node_id, cause, offending_ie, ..Default::default() }.into()
        }
        MessageType::SessionModificationRequest => {
            SessionModificationResponse { cause, offending_ie, ..Default::default() }.into()
        }
        MessageType::SessionDeletionRequest => {
            SessionDeletionResponse { cause, offending_ie, ..Default::default() }.into()
        }
        MessageType::SessionReportRequest => {
            SessionReportResponse { cause, offending_ie, ..Default::default() }.into()
        }
        _ => return None,
    })
}
