//! PDU Session Resource Setup: TS 38.413 §9.3.4.1, §9.3.4.2.

use bytes::Bytes;
use oxirush_ngap::ngap::{
    AssociatedQosFlowItem, AssociatedQosFlowList, PDUSessionAggregateMaximumBitRate,
    PDUSessionResourceSetupRequestTransfer, PDUSessionResourceSetupResponseTransfer, PDUSessionType,
    ProtocolIEContainer, QosFlowPerTNLInformation, QosFlowSetupRequestItem, QosFlowSetupRequestList,
};
use oxirush_ngap::{build_ngap_ie, extract_ngap_ies};
use serde::{Deserialize, Serialize};
use tern_types::{Ambr, Qfi};

use super::{GtpTunnel, QosFlow, SessionType, ambr_of, causes_of, qfi_ie, qfi_of, read, with_causes, write};
use crate::cause::NgapCause;
use crate::convert::bit_rate;
use crate::error::{DecodeError, EncodeError};

/// PDU Session Resource Setup Request Transfer (§9.3.4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupRequest {
    /// PDU session AMBR: present where the session has a non-GBR flow.
    pub ambr: Option<Ambr>,
    /// Where the gNB sends uplink packets.
    pub uplink: GtpTunnel,
    /// Session type.
    pub session_type: SessionType,
    /// 1 to 64 flows.
    pub flows: Vec<QosFlow>,
}

impl SetupRequest {
    /// The transfer's octets.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        let mut ies = Vec::with_capacity(4);
        if let Some(ambr) = self.ambr {
            let ambr =
                PDUSessionAggregateMaximumBitRate::new(bit_rate(ambr.downlink), bit_rate(ambr.uplink), None);
            ies.push(build_ngap_ie!(
                PDUSessionResourceSetupRequestTransfer,
                PDUSessionAggregateMaximumBitRate(ambr)
            )?);
        }
        ies.push(build_ngap_ie!(
            PDUSessionResourceSetupRequestTransfer,
            UL_NGU_UP_TNLInformation(self.uplink.to_ie())
        )?);
        ies.push(build_ngap_ie!(
            PDUSessionResourceSetupRequestTransfer,
            PDUSessionType(self.session_type.to_ie())
        )?);
        let item = |flow: &QosFlow| {
            Ok(QosFlowSetupRequestItem::new(qfi_ie(flow.qfi), flow.parameters()?, None, None))
        };
        let flows = self.flows.iter().map(item).collect::<Result<Vec<_>, EncodeError>>()?;
        ies.push(build_ngap_ie!(
            PDUSessionResourceSetupRequestTransfer,
            QosFlowSetupRequestList(QosFlowSetupRequestList(flows))
        )?);
        write(&PDUSessionResourceSetupRequestTransfer::new(ProtocolIEContainer(ies)))
    }

    /// Reads the transfer.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "PDUSessionResourceSetupRequestTransfer";
        let transfer: PDUSessionResourceSetupRequestTransfer<'_> = read(WHAT, octets)?;
        extract_ngap_ies!(transfer, PDUSessionResourceSetupRequestTransfer,
            opt ambr: Ambr = PDUSessionAggregateMaximumBitRate(ambr) => ambr_of(&ambr),
            req uplink: Result<GtpTunnel, DecodeError> = UL_NGU_UP_TNLInformation(tunnel) => GtpTunnel::of(&tunnel),
            req session_type: PDUSessionType = PDUSessionType(kind) => kind,
            req flows: QosFlowSetupRequestList = QosFlowSetupRequestList(flows) => flows,
        );
        let flow = |item: &QosFlowSetupRequestItem| {
            QosFlow::of(&item.qos_flow_identifier, &item.qos_flow_level_qos_parameters)
        };
        let flows = flows.0.iter().map(flow).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { ambr, uplink: uplink?, session_type: SessionType::of(session_type)?, flows })
    }

    /// Every deviation of the octets from the transfer's object set, for strict receivers.
    pub fn check(octets: &[u8]) -> Result<Vec<String>, DecodeError> {
        let found = PDUSessionResourceSetupRequestTransfer::check(octets)
            .map_err(|error| DecodeError::of("PDUSessionResourceSetupRequestTransfer", &error))?;
        Ok(found.iter().map(ToString::to_string).collect())
    }
}

/// PDU Session Resource Setup Response Transfer (§9.3.4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupResponse {
    /// Where the UPF sends downlink packets.
    pub downlink: GtpTunnel,
    /// The flows set up, 1 to 64.
    pub flows: Vec<Qfi>,
    /// The flows that were not.
    pub failed: Vec<(Qfi, NgapCause)>,
}

impl SetupResponse {
    /// The transfer's octets.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        let flow = |&qfi: &Qfi| AssociatedQosFlowItem::new(qfi_ie(qfi), None, None);
        let flows = AssociatedQosFlowList(self.flows.iter().map(flow).collect());
        let downlink = QosFlowPerTNLInformation::new(self.downlink.to_ie(), flows, None);
        let failed = if self.failed.is_empty() { None } else { Some(with_causes(&self.failed)?) };
        write(&PDUSessionResourceSetupResponseTransfer::new(downlink, None, None, failed, None))
    }

    /// Reads the transfer.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let transfer: PDUSessionResourceSetupResponseTransfer<'_> =
            read("PDUSessionResourceSetupResponseTransfer", octets)?;
        let downlink = &transfer.dl_qos_flow_per_tnl_information;
        let flows = downlink.associated_qos_flow_list.0.iter();
        let failed = transfer.qos_flow_failed_to_setup_list.as_ref();
        Ok(Self {
            downlink: GtpTunnel::of(&downlink.up_transport_layer_information)?,
            flows: flows.map(|item| qfi_of(&item.qos_flow_identifier)).collect::<Result<_, _>>()?,
            failed: failed.map(causes_of).transpose()?.unwrap_or_default(),
        })
    }
}
