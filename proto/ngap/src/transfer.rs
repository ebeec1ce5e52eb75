//! PDU session resource transfers (TS 38.413 §9.3.4): written by the SMF, read by the gNB, and
//! the other way. Plain values; the octets travel inside NGAP and inside N2 parts of the SBI.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use oxirush_ngap::ngap::{
    AllocationAndRetentionPriority, AssociatedQosFlowItem, AssociatedQosFlowList, FiveQI, GTPTEID, GTPTunnel,
    NonDynamic5QIDescriptor, PDUSessionAggregateMaximumBitRate, PDUSessionResourceModifyRequestTransfer,
    PDUSessionResourceModifyResponseTransfer, PDUSessionResourceNotifyReleasedTransfer,
    PDUSessionResourceReleaseCommandTransfer, PDUSessionResourceReleaseResponseTransfer,
    PDUSessionResourceSetupRequestTransfer, PDUSessionResourceSetupResponseTransfer,
    PDUSessionResourceSetupUnsuccessfulTransfer, PDUSessionType, PreEmptionCapability,
    PreEmptionVulnerability, PriorityLevelARP, ProtocolIEContainer, QosCharacteristics,
    QosFlowAddOrModifyRequestItem, QosFlowAddOrModifyRequestList, QosFlowIdentifier,
    QosFlowLevelQosParameters, QosFlowListWithCause, QosFlowPerTNLInformation, QosFlowSetupRequestItem,
    QosFlowSetupRequestList, QosFlowWithCauseItem, TransportLayerAddress, UPTransportLayerInformation,
    decode_open_type, encode_open_type,
};
use oxirush_ngap::{BitString, Decode, Encode, build_ngap_ie, extract_ngap_ies};
use serde::{Deserialize, Serialize};
use tern_types::{Ambr, Arp, BitRate, PreemptionCapability, PreemptionVulnerability, Qfi};

use crate::cause::NgapCause;
use crate::convert::bit_rate;
use crate::error::{DecodeError, EncodeError, PDU_OCTETS_MAX};

/// QoS flows of one PDU session (maxnoofQosFlows, TS 38.413 §9.3.1.12).
pub const QOS_FLOWS_MAX: usize = 64;

/// One end of a GTP-U tunnel (§9.3.2.2): TEID, and an IPv4 address, an IPv6 address or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GtpTunnel {
    /// Tunnel endpoint identifier.
    pub teid: u32,
    /// IPv4 address, if it has one.
    pub ipv4: Option<Ipv4Addr>,
    /// IPv6 address, if it has one.
    pub ipv6: Option<Ipv6Addr>,
}

impl GtpTunnel {
    /// An end with one address.
    pub fn new(teid: u32, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(ipv4) => Self { teid, ipv4: Some(ipv4), ipv6: None },
            IpAddr::V6(ipv6) => Self { teid, ipv4: None, ipv6: Some(ipv6) },
        }
    }

    /// Its address, the IPv4 one first.
    pub fn address(&self) -> Option<IpAddr> {
        self.ipv4.map(IpAddr::V4).or(self.ipv6.map(IpAddr::V6))
    }

    /// The IE: the address has 32, 128 or 160 bits, IPv4 first (TS 38.414 §5.3).
    pub fn to_ie(self) -> UPTransportLayerInformation<'static> {
        let address = TransportLayerAddress(address_bits(self.ipv4, self.ipv6));
        UPTransportLayerInformation::gTPTunnel(GTPTunnel::new(
            address,
            GTPTEID(self.teid.to_be_bytes()),
            None,
        ))
    }

    /// Reads the IE.
    pub fn of(ie: &UPTransportLayerInformation<'_>) -> Result<Self, DecodeError> {
        const WHAT: &str = "UP Transport Layer Information";
        let UPTransportLayerInformation::gTPTunnel(tunnel) = ie else {
            return Err(DecodeError::value(WHAT, "not a GTP tunnel"));
        };
        let (ipv4, ipv6) = addresses_of(&tunnel.transport_layer_address)?;
        Ok(Self { teid: u32::from_be_bytes(tunnel.gtp_teid.0), ipv4, ipv6 })
    }
}

/// A Transport Layer Address (§9.3.2.4): 32, 128 or 160 bits.
pub fn address_bits(ipv4: Option<Ipv4Addr>, ipv6: Option<Ipv6Addr>) -> BitString<'static> {
    let mut octets = Vec::with_capacity(20);
    octets.extend(ipv4.map(|a| a.octets()).into_iter().flatten());
    octets.extend(ipv6.map(|a| a.octets()).into_iter().flatten());
    BitString::from_octets(octets)
}

/// Reads a Transport Layer Address (§9.3.2.4).
pub fn addresses_of(
    address: &TransportLayerAddress<'_>,
) -> Result<(Option<Ipv4Addr>, Option<Ipv6Addr>), DecodeError> {
    let octets = address.0.as_octets();
    let (v4, v6) = match address.0.len() {
        32 => (octets.get(..4), None),
        128 => (None, octets.get(..16)),
        160 => (octets.get(..4), octets.get(4..20)),
        len => return Err(DecodeError::value("Transport Layer Address", format_args!("{len} bits"))),
    };
    let v4 = v4.and_then(|o| <[u8; 4]>::try_from(o).ok()).map(Ipv4Addr::from);
    let v6 = v6.and_then(|o| <[u8; 16]>::try_from(o).ok()).map(Ipv6Addr::from);
    Ok((v4, v6))
}

/// PDU session type (§9.3.1.52).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SessionType {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// Both.
    Ipv4v6,
    /// Ethernet.
    Ethernet,
    /// Unstructured.
    Unstructured,
}

impl SessionType {
    fn to_ie(self) -> PDUSessionType {
        match self {
            Self::Ipv4 => PDUSessionType::ipv4,
            Self::Ipv6 => PDUSessionType::ipv6,
            Self::Ipv4v6 => PDUSessionType::ipv4v6,
            Self::Ethernet => PDUSessionType::ethernet,
            Self::Unstructured => PDUSessionType::unstructured,
        }
    }

    fn of(ie: PDUSessionType) -> Result<Self, DecodeError> {
        Ok(match ie {
            PDUSessionType::ipv4 => Self::Ipv4,
            PDUSessionType::ipv6 => Self::Ipv6,
            PDUSessionType::ipv4v6 => Self::Ipv4v6,
            PDUSessionType::ethernet => Self::Ethernet,
            PDUSessionType::unstructured => Self::Unstructured,
            other => return Err(DecodeError::value("PDU Session Type", format_args!("{other:?}"))),
        })
    }
}

/// A non-GBR QoS flow of a standardised or pre-configured 5QI (§9.3.1.12, §9.3.1.28).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct QosFlow {
    /// QoS flow identifier.
    pub qfi: Qfi,
    /// 5QI; `None` when read from a flow with dynamic characteristics.
    pub five_qi: Option<u8>,
    /// Allocation and retention priority.
    pub arp: Arp,
    /// Priority level that overrides the one of the 5QI: 1 to 127.
    pub priority_level: Option<u8>,
}

impl QosFlow {
    fn parameters(&self) -> Result<QosFlowLevelQosParameters, EncodeError> {
        let five_qi = self.five_qi.ok_or_else(|| EncodeError("a QoS flow without 5QI".into()))?;
        let priority = self.priority_level.map(|level| oxirush_ngap::ngap::PriorityLevelQos(level.into()));
        let descriptor = NonDynamic5QIDescriptor::new(FiveQI(five_qi.into()), priority, None, None, None);
        let arp = AllocationAndRetentionPriority::new(
            PriorityLevelARP(self.arp.priority_level),
            match self.arp.preempt_cap {
                PreemptionCapability::NotPreempt => PreEmptionCapability::shall_not_trigger_pre_emption,
                PreemptionCapability::MayPreempt => PreEmptionCapability::may_trigger_pre_emption,
            },
            match self.arp.preempt_vuln {
                PreemptionVulnerability::NotPreemptable => PreEmptionVulnerability::not_pre_emptable,
                PreemptionVulnerability::Preemptable => PreEmptionVulnerability::pre_emptable,
            },
            None,
        );
        let characteristics = QosCharacteristics::nonDynamic5QI(descriptor);
        Ok(QosFlowLevelQosParameters::new(characteristics, arp, None, None, None, None))
    }

    fn of(qfi: &QosFlowIdentifier, parameters: &QosFlowLevelQosParameters) -> Result<Self, DecodeError> {
        let (five_qi, priority_level) = match &parameters.qos_characteristics {
            QosCharacteristics::nonDynamic5QI(descriptor) => (
                u8::try_from(descriptor.five_qi.0).ok(),
                descriptor.priority_level_qos.as_ref().and_then(|p| u8::try_from(p.0).ok()),
            ),
            QosCharacteristics::dynamic5QI(descriptor) => {
                (descriptor.five_qi.as_ref().and_then(|q| u8::try_from(q.0).ok()), None)
            }
            QosCharacteristics::choice_Extensions(_) => (None, None),
        };
        let arp = &parameters.allocation_and_retention_priority;
        let may = arp.pre_emption_capability == PreEmptionCapability::may_trigger_pre_emption;
        let can = arp.pre_emption_vulnerability == PreEmptionVulnerability::pre_emptable;
        let arp = Arp {
            priority_level: arp.priority_level_arp.0,
            preempt_cap: if may {
                PreemptionCapability::MayPreempt
            } else {
                PreemptionCapability::NotPreempt
            },
            preempt_vuln: if can {
                PreemptionVulnerability::Preemptable
            } else {
                PreemptionVulnerability::NotPreemptable
            },
        };
        Ok(Self { qfi: qfi_of(qfi)?, five_qi, arp, priority_level })
    }
}

fn qfi_of(ie: &QosFlowIdentifier) -> Result<Qfi, DecodeError> {
    let qfi = u8::try_from(ie.0).ok().and_then(Qfi::new);
    qfi.ok_or_else(|| DecodeError::value("QoS Flow Identifier", ie.0))
}

fn qfi_ie(qfi: Qfi) -> QosFlowIdentifier {
    QosFlowIdentifier(qfi.get().into())
}

fn with_causes(flows: &[(Qfi, NgapCause)]) -> Result<QosFlowListWithCause, EncodeError> {
    let item = |&(qfi, cause): &(Qfi, NgapCause)| {
        let cause = cause.to_ie().map_err(|error| EncodeError(error.to_string()))?;
        Ok(QosFlowWithCauseItem::new(qfi_ie(qfi), cause, None))
    };
    Ok(QosFlowListWithCause(flows.iter().map(item).collect::<Result<_, EncodeError>>()?))
}

fn causes_of(list: &QosFlowListWithCause) -> Result<Vec<(Qfi, NgapCause)>, DecodeError> {
    let item =
        |item: &QosFlowWithCauseItem| Ok((qfi_of(&item.qos_flow_identifier)?, NgapCause::of(&item.cause)));
    list.0.iter().map(item).collect()
}

fn write<T: Encode>(transfer: &T) -> Result<Bytes, EncodeError> {
    Ok(Bytes::from(encode_open_type(transfer)?.to_vec()))
}

fn read<'a, T: Decode<'a>>(what: &'static str, octets: &'a [u8]) -> Result<T, DecodeError> {
    if octets.len() > PDU_OCTETS_MAX {
        return Err(DecodeError::TooLong { len: octets.len() });
    }
    decode_open_type(octets).map_err(|error| DecodeError::of(what, &error))
}

fn cause_ie(cause: NgapCause) -> Result<oxirush_ngap::ngap::Cause, EncodeError> {
    cause.to_ie().map_err(|error| EncodeError(error.to_string()))
}

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

fn ambr_of(ie: &PDUSessionAggregateMaximumBitRate) -> Ambr {
    Ambr {
        downlink: BitRate::from_bps(ie.pdu_session_aggregate_maximum_bit_rate_dl.0),
        uplink: BitRate::from_bps(ie.pdu_session_aggregate_maximum_bit_rate_ul.0),
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

/// PDU Session Resource Setup Unsuccessful Transfer (§9.3.4.16), octets.
pub fn encode_setup_unsuccessful(cause: NgapCause) -> Result<Bytes, EncodeError> {
    write(&PDUSessionResourceSetupUnsuccessfulTransfer::new(cause_ie(cause)?, None, None))
}

/// The cause of a PDU Session Resource Setup Unsuccessful Transfer (§9.3.4.16).
pub fn decode_setup_unsuccessful(octets: &[u8]) -> Result<NgapCause, DecodeError> {
    let transfer: PDUSessionResourceSetupUnsuccessfulTransfer =
        read("PDUSessionResourceSetupUnsuccessfulTransfer", octets)?;
    Ok(NgapCause::of(&transfer.cause))
}

/// PDU Session Resource Release Command Transfer (§9.3.4.12), octets.
pub fn encode_release_command(cause: NgapCause) -> Result<Bytes, EncodeError> {
    write(&PDUSessionResourceReleaseCommandTransfer::new(cause_ie(cause)?, None))
}

/// The cause of a PDU Session Resource Release Command Transfer (§9.3.4.12).
pub fn decode_release_command(octets: &[u8]) -> Result<NgapCause, DecodeError> {
    let transfer: PDUSessionResourceReleaseCommandTransfer =
        read("PDUSessionResourceReleaseCommandTransfer", octets)?;
    Ok(NgapCause::of(&transfer.cause))
}

/// PDU Session Resource Release Response Transfer (§9.3.4.21), octets.
pub fn encode_release_response() -> Result<Bytes, EncodeError> {
    write(&PDUSessionResourceReleaseResponseTransfer::new(None))
}

/// Checks a PDU Session Resource Release Response Transfer (§9.3.4.21).
pub fn decode_release_response(octets: &[u8]) -> Result<(), DecodeError> {
    read::<PDUSessionResourceReleaseResponseTransfer>("PDUSessionResourceReleaseResponseTransfer", octets)
        .map(drop)
}

/// PDU Session Resource Notify Released Transfer (§9.3.4.13), octets.
pub fn encode_notify_released(cause: NgapCause) -> Result<Bytes, EncodeError> {
    write(&PDUSessionResourceNotifyReleasedTransfer::new(cause_ie(cause)?, None))
}

/// The cause of a PDU Session Resource Notify Released Transfer (§9.3.4.13).
pub fn decode_notify_released(octets: &[u8]) -> Result<NgapCause, DecodeError> {
    let transfer: PDUSessionResourceNotifyReleasedTransfer =
        read("PDUSessionResourceNotifyReleasedTransfer", octets)?;
    Ok(NgapCause::of(&transfer.cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn request() -> SetupRequest {
        SetupRequest {
            ambr: Some(Ambr {
                uplink: BitRate::from_bps(100_000_000),
                downlink: BitRate::from_bps(200_000_000),
            }),
            uplink: GtpTunnel::new(0x1234, Ipv4Addr::new(10, 0, 0, 1).into()),
            session_type: SessionType::Ipv4,
            flows: vec![QosFlow {
                qfi: Qfi::new(1).unwrap(),
                five_qi: Some(9),
                arp: Arp {
                    priority_level: 8,
                    preempt_cap: PreemptionCapability::NotPreempt,
                    preempt_vuln: PreemptionVulnerability::NotPreemptable,
                },
                priority_level: None,
            }],
        }
    }

    #[test]
    fn setup_request_round_trips_without_deviation() {
        let octets = request().encode().unwrap();
        assert_eq!(SetupRequest::decode(&octets).unwrap(), request());
        assert_eq!(SetupRequest::check(&octets).unwrap(), Vec::<String>::new());
    }

    /// Encoded by pycrate 0.8.1.
    #[test]
    fn setup_request_reads_a_vector_of_another_encoder() {
        let octets = hex::decode(concat!(
            "0000040082000c0c3b9aca005003a352944000008b000a01f00a000001000000010086",
            "0001000088000700010000091c00"
        ))
        .unwrap();
        let read = SetupRequest::decode(&octets).unwrap();
        assert_eq!(read.uplink, GtpTunnel::new(1, Ipv4Addr::new(10, 0, 0, 1).into()));
        assert_eq!(read.flows[0].five_qi, Some(9));
        assert_eq!(read.ambr.unwrap().downlink.bps(), 1_000_000_000);
        assert_eq!(read.encode().unwrap(), octets);
    }

    #[test]
    fn other_transfers_round_trip() {
        let cause = NgapCause { group: 0, value: 26 };
        let both = GtpTunnel { ipv6: Some(Ipv6Addr::LOCALHOST), ..request().uplink };
        for downlink in [both, GtpTunnel { ipv4: None, ..both }, request().uplink] {
            let response = SetupResponse {
                downlink,
                flows: vec![Qfi::new(1).unwrap()],
                failed: vec![(Qfi::new(2).unwrap(), cause)],
            };
            assert_eq!(SetupResponse::decode(&response.encode().unwrap()).unwrap(), response);
        }
        let modify = ModifyRequest {
            ambr: request().ambr,
            flows: request().flows,
            release: vec![(Qfi::new(3).unwrap(), cause)],
        };
        assert_eq!(ModifyRequest::decode(&modify.encode().unwrap()).unwrap(), modify);
        let modified = ModifyResponse { downlink: None, flows: vec![Qfi::new(1).unwrap()], failed: vec![] };
        assert_eq!(ModifyResponse::decode(&modified.encode().unwrap()).unwrap(), modified);
        assert_eq!(decode_setup_unsuccessful(&encode_setup_unsuccessful(cause).unwrap()).unwrap(), cause);
        assert_eq!(decode_release_command(&encode_release_command(cause).unwrap()).unwrap(), cause);
        assert_eq!(decode_notify_released(&encode_notify_released(cause).unwrap()).unwrap(), cause);
        decode_release_response(&encode_release_response().unwrap()).unwrap();
    }
}
