//! N2 SM information (TS 38.413 §9.3.4), as the SMF writes it.

use bytes::Bytes;
use tern_ngap::cause::NgapCause;
use tern_ngap::ngap::{
    PDUSessionResourceModifyConfirmTransfer, PDUSessionResourceModifyIndicationTransfer, QosFlowIdentifier,
    QosFlowModifyConfirmItem, QosFlowModifyConfirmList, decode_open_type, encode_open_type,
};
use tern_ngap::transfer::{self, GtpTunnel, ModifyRequest, QosFlow, SessionType, SetupRequest};
use tern_ngap::{DecodeError, EncodeError, PDU_OCTETS_MAX};
use tern_types::Ambr;

use crate::binding::FlowChanges;
use crate::context::{self, Granted, UserPlane};

/// Group and value of CauseNas `normal-release` (TS 38.413 §9.3.1.2).
const NORMAL_RELEASE: NgapCause = NgapCause { group: 2, value: 0 };

/// PDU Session Resource Setup Request Transfer (TS 38.413 §9.3.4.1).
pub fn setup_request(granted: &Granted, user_plane: &UserPlane) -> Result<Bytes, EncodeError> {
    let uplink = user_plane.uplink.ok_or_else(|| EncodeError("no uplink tunnel".to_owned()))?;
    let request = SetupRequest {
        ambr: Some(granted.ambr),
        uplink,
        session_type: match granted.session_type() {
            context::SessionType::Ipv6 => SessionType::Ipv6,
            context::SessionType::Ipv4v6 => SessionType::Ipv4v6,
            _ => SessionType::Ipv4,
        },
        flows: granted.flows.iter().map(flow).collect(),
    };
    request.encode()
}

/// PDU Session Resource Modify Request Transfer (TS 38.413 §9.3.4.3); `None` if the access network has
/// nothing to do.
pub fn modify_request(ambr: Option<Ambr>, changes: &FlowChanges) -> Option<Result<Bytes, EncodeError>> {
    if ambr.is_none() && !changes.has_flows() {
        return None;
    }
    let flows = changes.new_flows.iter().chain(&changes.changed_flows).map(flow).collect();
    let release = changes.gone_flows.iter().map(|&qfi| (qfi, NORMAL_RELEASE)).collect();
    Some(ModifyRequest { ambr, flows, release }.encode())
}

/// PDU Session Resource Release Command Transfer (TS 38.413 §9.3.4.12).
pub fn release_command() -> Result<Bytes, EncodeError> {
    transfer::encode_release_command(NORMAL_RELEASE)
}

/// Reads a PDU Session Resource Modify Indication Transfer (TS 38.413 §9.3.4.6): the access
/// network's new end of the tunnel, and the flows on it.
pub fn modify_indication(octets: &[u8]) -> Result<(GtpTunnel, Vec<QosFlowIdentifier>), DecodeError> {
    const WHAT: &str = "PDUSessionResourceModifyIndicationTransfer";
    if octets.len() > PDU_OCTETS_MAX {
        return Err(DecodeError::TooLong { len: octets.len() });
    }
    let transfer: PDUSessionResourceModifyIndicationTransfer<'_> =
        decode_open_type(octets).map_err(|error| DecodeError::of(WHAT, &error))?;
    let downlink = &transfer.dl_qos_flow_per_tnl_information;
    let flows = downlink.associated_qos_flow_list.0.iter().map(|item| item.qos_flow_identifier);
    Ok((GtpTunnel::of(&downlink.up_transport_layer_information)?, flows.collect()))
}

/// PDU Session Resource Modify Confirm Transfer (TS 38.413 §9.3.4.7).
pub fn modify_confirm(user_plane: &UserPlane, flows: &[QosFlowIdentifier]) -> Result<Bytes, EncodeError> {
    let uplink = user_plane.uplink.ok_or_else(|| EncodeError("no uplink tunnel".to_owned()))?;
    let flow = |qfi: &QosFlowIdentifier| QosFlowModifyConfirmItem::new(*qfi, None);
    let flows = QosFlowModifyConfirmList(flows.iter().map(flow).collect());
    let transfer = PDUSessionResourceModifyConfirmTransfer::new(flows, uplink.to_ie(), None, None, None);
    let octets = encode_open_type(&transfer).map_err(EncodeError::from)?;
    Ok(Bytes::from(octets.to_vec()))
}

fn flow(flow: &crate::qos::QosFlow) -> QosFlow {
    QosFlow {
        qfi: flow.qfi,
        five_qi: Some(flow.five_qi),
        arp: flow.arp,
        priority_level: None,
        gbr: flow.gbr(),
    }
}
