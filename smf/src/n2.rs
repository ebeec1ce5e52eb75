//! N2 SM information (TS 38.413 §9.3.4), as the SMF writes it.

use bytes::Bytes;
use tern_ngap::EncodeError;
use tern_ngap::cause::NgapCause;
use tern_ngap::transfer::{self, ModifyRequest, QosFlow, SessionType, SetupRequest};
use tern_types::Ambr;

use crate::context::{Granted, UserPlane};

/// Group and value of CauseNas `normal-release` (TS 38.413 §9.3.1.2).
const NORMAL_RELEASE: NgapCause = NgapCause { group: 2, value: 0 };

/// PDU Session Resource Setup Request Transfer (TS 38.413 §9.3.4.1).
pub fn setup_request(granted: &Granted, user_plane: &UserPlane) -> Result<Bytes, EncodeError> {
    let uplink = user_plane.uplink.ok_or_else(|| EncodeError("no uplink tunnel".to_owned()))?;
    let request = SetupRequest {
        ambr: Some(granted.ambr),
        uplink,
        session_type: SessionType::Ipv4,
        flows: flows(granted),
    };
    request.encode()
}

/// PDU Session Resource Modify Request Transfer (TS 38.413 §9.3.4.3).
pub fn modify_request(granted: &Granted, ambr: Option<Ambr>, flow: bool) -> Result<Bytes, EncodeError> {
    let flows = if flow { flows(granted).into_iter().take(1).collect() } else { Vec::new() };
    ModifyRequest { ambr, flows, release: Vec::new() }.encode()
}

/// PDU Session Resource Release Command Transfer (TS 38.413 §9.3.4.12).
pub fn release_command() -> Result<Bytes, EncodeError> {
    transfer::encode_release_command(NORMAL_RELEASE)
}

fn flows(granted: &Granted) -> Vec<QosFlow> {
    let flow = |flow: &crate::qos::QosFlow| QosFlow {
        qfi: flow.qfi,
        five_qi: Some(flow.five_qi),
        arp: flow.arp,
        priority_level: None,
    };
    granted.flows.iter().map(flow).collect()
}
