//! Handover and path switch: TS 38.413 §9.3.4.8 to §9.3.4.11, §9.3.4.14, §9.3.4.15, §9.3.4.18 to
//! §9.3.4.20.

use bytes::Bytes;
use oxirush_ngap::ngap::{
    DataForwardingAccepted, DirectForwardingPathAvailability, HandoverCommandTransfer,
    HandoverPreparationUnsuccessfulTransfer, HandoverRequestAcknowledgeTransfer, HandoverRequiredTransfer,
    HandoverResourceAllocationUnsuccessfulTransfer, PathSwitchRequestAcknowledgeTransfer,
    PathSwitchRequestSetupFailedTransfer, PathSwitchRequestTransfer, PathSwitchRequestUnsuccessfulTransfer,
    QosFlowAcceptedItem, QosFlowAcceptedList, QosFlowItemWithDataForwarding, QosFlowListWithDataForwarding,
    QosFlowToBeForwardedItem, QosFlowToBeForwardedList,
};
use serde::{Deserialize, Serialize};
use tern_types::Qfi;

use super::{GtpTunnel, cause_ie, causes_of, qfi_ie, qfi_of, read, with_causes, write};
use crate::cause::NgapCause;
use crate::error::{DecodeError, EncodeError};

/// Path Switch Request Transfer (§9.3.4.8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathSwitchRequest {
    /// Where the UPF sends downlink packets from now on.
    pub downlink: GtpTunnel,
    /// The flows accepted, 1 to 64.
    pub flows: Vec<Qfi>,
}

impl PathSwitchRequest {
    /// The transfer's octets.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        let flow = |&qfi: &Qfi| QosFlowAcceptedItem::new(qfi_ie(qfi), None);
        let flows = QosFlowAcceptedList(self.flows.iter().map(flow).collect());
        write(&PathSwitchRequestTransfer::new(self.downlink.to_ie(), None, None, flows, None))
    }

    /// Reads the transfer.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let transfer: PathSwitchRequestTransfer<'_> = read("PathSwitchRequestTransfer", octets)?;
        let flows = transfer.qos_flow_accepted_list.0.iter();
        Ok(Self {
            downlink: GtpTunnel::of(&transfer.dl_ngu_up_tnl_information)?,
            flows: flows.map(|item| qfi_of(&item.qos_flow_identifier)).collect::<Result<_, _>>()?,
        })
    }
}

/// Path Switch Request Acknowledge Transfer (§9.3.4.9), octets: where uplink packets go.
pub fn encode_path_switch_acknowledge(uplink: Option<GtpTunnel>) -> Result<Bytes, EncodeError> {
    write(&PathSwitchRequestAcknowledgeTransfer::new(uplink.map(GtpTunnel::to_ie), None, None))
}

/// The uplink tunnel of a Path Switch Request Acknowledge Transfer (§9.3.4.9); none leaves it as it was.
pub fn decode_path_switch_acknowledge(octets: &[u8]) -> Result<Option<GtpTunnel>, DecodeError> {
    let transfer: PathSwitchRequestAcknowledgeTransfer<'_> =
        read("PathSwitchRequestAcknowledgeTransfer", octets)?;
    transfer.ul_ngu_up_tnl_information.as_ref().map(GtpTunnel::of).transpose()
}

/// Handover Required Transfer (§9.3.4.14).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoverRequired {
    /// Whether source and target reach one another directly.
    pub direct_forwarding: bool,
}

impl HandoverRequired {
    /// The transfer's octets.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        let direct =
            self.direct_forwarding.then_some(DirectForwardingPathAvailability::direct_path_available);
        write(&HandoverRequiredTransfer::new(direct, None))
    }

    /// Reads the transfer.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let transfer: HandoverRequiredTransfer = read("HandoverRequiredTransfer", octets)?;
        Ok(Self { direct_forwarding: transfer.direct_forwarding_path_availability.is_some() })
    }
}

/// Handover Request Acknowledge Transfer (§9.3.4.11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoverRequestAcknowledge {
    /// Where the UPF sends downlink packets once the UE is there.
    pub downlink: GtpTunnel,
    /// Where packets that the source gNB forwards come.
    pub forwarding: Option<GtpTunnel>,
    /// The flows set up, 1 to 64, and whether their forwarding is accepted.
    pub flows: Vec<(Qfi, bool)>,
    /// The flows that were not.
    pub failed: Vec<(Qfi, NgapCause)>,
}

impl HandoverRequestAcknowledge {
    /// The transfer's octets.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        let flow = |&(qfi, forwarded): &(Qfi, bool)| {
            let accepted = forwarded.then_some(DataForwardingAccepted::data_forwarding_accepted);
            QosFlowItemWithDataForwarding::new(qfi_ie(qfi), accepted, None)
        };
        let flows = QosFlowListWithDataForwarding(self.flows.iter().map(flow).collect());
        let failed = if self.failed.is_empty() { None } else { Some(with_causes(&self.failed)?) };
        write(&HandoverRequestAcknowledgeTransfer::new(
            self.downlink.to_ie(),
            self.forwarding.map(GtpTunnel::to_ie),
            None,
            flows,
            failed,
            None,
            None,
        ))
    }

    /// Reads the transfer.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let transfer: HandoverRequestAcknowledgeTransfer<'_> =
            read("HandoverRequestAcknowledgeTransfer", octets)?;
        let flow = |item: &QosFlowItemWithDataForwarding| {
            Ok((qfi_of(&item.qos_flow_identifier)?, item.data_forwarding_accepted.is_some()))
        };
        let failed = transfer.qos_flow_failed_to_setup_list.as_ref();
        Ok(Self {
            downlink: GtpTunnel::of(&transfer.dl_ngu_up_tnl_information)?,
            forwarding: transfer.dl_forwarding_up_tnl_information.as_ref().map(GtpTunnel::of).transpose()?,
            flows: transfer
                .qos_flow_setup_response_list
                .0
                .iter()
                .map(flow)
                .collect::<Result<_, DecodeError>>()?,
            failed: failed.map(causes_of).transpose()?.unwrap_or_default(),
        })
    }
}

/// Handover Command Transfer (§9.3.4.10).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoverCommand {
    /// Where the source gNB forwards downlink packets to.
    pub forwarding: Option<GtpTunnel>,
    /// The flows to be forwarded.
    pub flows: Vec<Qfi>,
}

impl HandoverCommand {
    /// The transfer's octets.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        let flow = |&qfi: &Qfi| QosFlowToBeForwardedItem::new(qfi_ie(qfi), None);
        let flows = QosFlowToBeForwardedList(self.flows.iter().map(flow).collect());
        let flows = (!self.flows.is_empty()).then_some(flows);
        write(&HandoverCommandTransfer::new(self.forwarding.map(GtpTunnel::to_ie), flows, None, None))
    }

    /// Reads the transfer.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let transfer: HandoverCommandTransfer<'_> = read("HandoverCommandTransfer", octets)?;
        let flows = transfer.qos_flow_to_be_forwarded_list.iter().flat_map(|list| &list.0);
        Ok(Self {
            forwarding: transfer.dl_forwarding_up_tnl_information.as_ref().map(GtpTunnel::of).transpose()?,
            flows: flows.map(|item| qfi_of(&item.qos_flow_identifier)).collect::<Result<_, _>>()?,
        })
    }
}

macro_rules! causes {
    ($($(#[$doc:meta])* $ie:ident($($none:ident),*): $encode:ident, $decode:ident;)*) => {$(
        $(#[$doc])*
        pub fn $encode(cause: NgapCause) -> Result<Bytes, EncodeError> {
            write(&$ie::new(cause_ie(cause)?, $($none),*))
        }

        $(#[$doc])*
        pub fn $decode(octets: &[u8]) -> Result<NgapCause, DecodeError> {
            read::<$ie>(stringify!($ie), octets).map(|transfer| NgapCause::of(&transfer.cause))
        }
    )*};
}

causes! {
    /// Path Switch Request Setup Failed Transfer (§9.3.4.15) and its cause.
    PathSwitchRequestSetupFailedTransfer(None): encode_path_switch_setup_failed, decode_path_switch_setup_failed;
    /// Path Switch Request Unsuccessful Transfer (§9.3.4.20) and its cause.
    PathSwitchRequestUnsuccessfulTransfer(None): encode_path_switch_unsuccessful, decode_path_switch_unsuccessful;
    /// Handover Resource Allocation Unsuccessful Transfer (§9.3.4.19) and its cause.
    HandoverResourceAllocationUnsuccessfulTransfer(None, None):
        encode_handover_allocation_unsuccessful, decode_handover_allocation_unsuccessful;
    /// Handover Preparation Unsuccessful Transfer (§9.3.4.18) and its cause.
    HandoverPreparationUnsuccessfulTransfer(None):
        encode_handover_preparation_unsuccessful, decode_handover_preparation_unsuccessful;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_of_handovers_round_trip() {
        let tunnel = GtpTunnel::new(7, "192.0.2.9".parse().unwrap());
        let qfi = Qfi::new(1).unwrap();
        let cause = NgapCause { group: 0, value: 13 };
        let request = PathSwitchRequest { downlink: tunnel, flows: vec![qfi] };
        assert_eq!(PathSwitchRequest::decode(&request.encode().unwrap()).unwrap(), request);
        for uplink in [None, Some(tunnel)] {
            let octets = encode_path_switch_acknowledge(uplink).unwrap();
            assert_eq!(decode_path_switch_acknowledge(&octets).unwrap(), uplink);
        }
        for direct_forwarding in [false, true] {
            let required = HandoverRequired { direct_forwarding };
            assert_eq!(HandoverRequired::decode(&required.encode().unwrap()).unwrap(), required);
        }
        for forwarding in [None, Some(tunnel)] {
            let acknowledge = HandoverRequestAcknowledge {
                downlink: tunnel,
                forwarding,
                flows: vec![(qfi, forwarding.is_some())],
                failed: vec![(Qfi::new(2).unwrap(), cause)],
            };
            let octets = acknowledge.encode().unwrap();
            assert_eq!(HandoverRequestAcknowledge::decode(&octets).unwrap(), acknowledge);
            let command =
                HandoverCommand { forwarding, flows: forwarding.map(|_| qfi).into_iter().collect() };
            assert_eq!(HandoverCommand::decode(&command.encode().unwrap()).unwrap(), command);
        }
    }

    #[test]
    fn causes_of_failed_handovers_round_trip() {
        let cause = NgapCause { group: 0, value: 13 };
        let failed = encode_path_switch_setup_failed(cause).unwrap();
        assert_eq!(decode_path_switch_setup_failed(&failed).unwrap(), cause);
        let unsuccessful = encode_path_switch_unsuccessful(cause).unwrap();
        assert_eq!(decode_path_switch_unsuccessful(&unsuccessful).unwrap(), cause);
        let allocation = encode_handover_allocation_unsuccessful(cause).unwrap();
        assert_eq!(decode_handover_allocation_unsuccessful(&allocation).unwrap(), cause);
        let preparation = encode_handover_preparation_unsuccessful(cause).unwrap();
        assert_eq!(decode_handover_preparation_unsuccessful(&preparation).unwrap(), cause);
    }
}
