//! PDU Session Resource Modify: TS 38.413 §9.3.4.3, §9.3.4.4.

use bytes::Bytes;
use oxirush_ngap::ngap::{
    PDUSessionAggregateMaximumBitRate, PDUSessionResourceModifyRequestTransfer,
    PDUSessionResourceModifyResponseTransfer, ProtocolIEContainer, QosFlowAddOrModifyRequestItem,
    QosFlowAddOrModifyRequestList, QosFlowListWithCause,
};
use oxirush_ngap::{build_ngap_ie, extract_ngap_ies};
use serde::{Deserialize, Serialize};
use tern_types::{Ambr, Qfi};

use super::{GtpTunnel, QosFlow, ambr_of, causes_of, qfi_ie, qfi_of, read, with_causes, write};
use crate::cause::NgapCause;
use crate::convert::bit_rate;
use crate::error::{DecodeError, EncodeError};

/// PDU Session Resource Modify Request Transfer (§9.3.4.3): what changes without moving the tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct ModifyRequest {
    /// New PDU session AMBR.
    pub ambr: Option<Ambr>,
    /// Flows to add or modify.
    pub flows: Vec<QosFlow>,
    /// Flows to release.
    pub release: Vec<(Qfi, NgapCause)>,
}

impl ModifyRequest {
    /// The transfer's octets.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        let mut ies = Vec::with_capacity(3);
        if let Some(ambr) = self.ambr {
            let ambr =
                PDUSessionAggregateMaximumBitRate::new(bit_rate(ambr.downlink), bit_rate(ambr.uplink), None);
            ies.push(build_ngap_ie!(
                PDUSessionResourceModifyRequestTransfer,
                PDUSessionAggregateMaximumBitRate(ambr)
            )?);
        }
        if !self.flows.is_empty() {
            let item = |flow: &QosFlow| {
                Ok(QosFlowAddOrModifyRequestItem::new(qfi_ie(flow.qfi), Some(flow.parameters()?), None, None))
            };
            let flows = self.flows.iter().map(item).collect::<Result<Vec<_>, EncodeError>>()?;
            ies.push(build_ngap_ie!(
                PDUSessionResourceModifyRequestTransfer,
                QosFlowAddOrModifyRequestList(QosFlowAddOrModifyRequestList(flows))
            )?);
        }
        if !self.release.is_empty() {
            ies.push(build_ngap_ie!(
                PDUSessionResourceModifyRequestTransfer,
                QosFlowToReleaseList(with_causes(&self.release)?)
            )?);
        }
        write(&PDUSessionResourceModifyRequestTransfer::new(ProtocolIEContainer(ies)))
    }

    /// Reads the transfer; a flow modified without new parameters is left out.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "PDUSessionResourceModifyRequestTransfer";
        let transfer: PDUSessionResourceModifyRequestTransfer<'_> = read(WHAT, octets)?;
        extract_ngap_ies!(transfer, PDUSessionResourceModifyRequestTransfer,
            opt ambr: Ambr = PDUSessionAggregateMaximumBitRate(ambr) => ambr_of(&ambr),
            opt flows: QosFlowAddOrModifyRequestList = QosFlowAddOrModifyRequestList(flows) => flows,
            opt release: QosFlowListWithCause = QosFlowToReleaseList(flows) => flows,
        );
        let flow = |item: &QosFlowAddOrModifyRequestItem| {
            let parameters = item.qos_flow_level_qos_parameters.as_ref()?;
            Some(QosFlow::of(&item.qos_flow_identifier, parameters))
        };
        let flows = flows.map(|list| list.0.iter().filter_map(flow).collect::<Result<Vec<_>, _>>());
        Ok(Self {
            ambr,
            flows: flows.transpose()?.unwrap_or_default(),
            release: release.as_ref().map(causes_of).transpose()?.unwrap_or_default(),
        })
    }
}

/// PDU Session Resource Modify Response Transfer (§9.3.4.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct ModifyResponse {
    /// A new downlink tunnel, if the gNB changed it.
    pub downlink: Option<GtpTunnel>,
    /// Flows added or modified.
    pub flows: Vec<Qfi>,
    /// Flows that were not.
    pub failed: Vec<(Qfi, NgapCause)>,
}

impl ModifyResponse {
    /// The transfer's octets.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        use oxirush_ngap::ngap::{QosFlowAddOrModifyResponseItem, QosFlowAddOrModifyResponseList};
        let flow = |&qfi: &Qfi| QosFlowAddOrModifyResponseItem::new(qfi_ie(qfi), None);
        let flows = QosFlowAddOrModifyResponseList(self.flows.iter().map(flow).collect());
        let failed = if self.failed.is_empty() { None } else { Some(with_causes(&self.failed)?) };
        write(&PDUSessionResourceModifyResponseTransfer::new(
            self.downlink.map(GtpTunnel::to_ie),
            None,
            (!self.flows.is_empty()).then_some(flows),
            None,
            failed,
            None,
        ))
    }

    /// Reads the transfer.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let transfer: PDUSessionResourceModifyResponseTransfer<'_> =
            read("PDUSessionResourceModifyResponseTransfer", octets)?;
        let flows = transfer.qos_flow_add_or_modify_response_list.iter().flat_map(|list| &list.0);
        let failed = transfer.qos_flow_failed_to_add_or_modify_list.as_ref();
        Ok(Self {
            downlink: transfer.dl_ngu_up_tnl_information.as_ref().map(GtpTunnel::of).transpose()?,
            flows: flows.map(|item| qfi_of(&item.qos_flow_identifier)).collect::<Result<_, _>>()?,
            failed: failed.map(causes_of).transpose()?.unwrap_or_default(),
        })
    }
}
