//! PDU session resource transfers (TS 38.413 §9.3.4): written by the SMF, read by the gNB, and
//! the other way. Plain values; the octets travel inside NGAP and inside N2 parts of the SBI.

mod cause;
mod handover;
mod modify;
mod notify;
mod setup;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use oxirush_ngap::ngap::{
    AllocationAndRetentionPriority, FiveQI, GBRQosInformation, GTPTEID, GTPTunnel, NonDynamic5QIDescriptor,
    PDUSessionAggregateMaximumBitRate, PDUSessionType, PreEmptionCapability, PreEmptionVulnerability,
    PriorityLevelARP, QosCharacteristics, QosFlowIdentifier, QosFlowLevelQosParameters, QosFlowListWithCause,
    QosFlowWithCauseItem, TransportLayerAddress, UPTransportLayerInformation, decode_open_type,
    encode_open_type,
};
use oxirush_ngap::{BitString, Decode, Encode};
use serde::{Deserialize, Serialize};
use tern_types::{Ambr, Arp, BitRate, PreemptionCapability, PreemptionVulnerability, Qfi};

use crate::cause::NgapCause;
use crate::convert::bit_rate;
use crate::error::{DecodeError, EncodeError, PDU_OCTETS_MAX};

pub use cause::{
    decode_modify_indication_unsuccessful, decode_notify_released, decode_release_command,
    decode_release_response, decode_setup_unsuccessful, encode_modify_indication_unsuccessful,
    encode_notify_released, encode_release_command, encode_release_response, encode_setup_unsuccessful,
};
pub use handover::{
    HandoverCommand, HandoverRequestAcknowledge, HandoverRequired, PathSwitchRequest,
    decode_handover_allocation_unsuccessful, decode_handover_preparation_unsuccessful,
    decode_path_switch_acknowledge, decode_path_switch_setup_failed, decode_path_switch_unsuccessful,
    encode_handover_allocation_unsuccessful, encode_handover_preparation_unsuccessful,
    encode_path_switch_acknowledge, encode_path_switch_setup_failed, encode_path_switch_unsuccessful,
};
pub use modify::{ModifyRequest, ModifyResponse};
pub use notify::Notify;
pub use setup::{SetupRequest, SetupResponse};

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

/// Bit rates of a GBR QoS flow (§9.3.1.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GbrRates {
    /// Maximum flow bit rates.
    pub maximum: Ambr,
    /// Guaranteed flow bit rates.
    pub guaranteed: Ambr,
}

impl GbrRates {
    fn to_ie(self) -> GBRQosInformation {
        GBRQosInformation::new(
            bit_rate(self.maximum.downlink),
            bit_rate(self.maximum.uplink),
            bit_rate(self.guaranteed.downlink),
            bit_rate(self.guaranteed.uplink),
            None,
            None,
            None,
            None,
        )
    }

    fn of(ie: &GBRQosInformation) -> Self {
        let rate = |rate: &oxirush_ngap::ngap::BitRate| BitRate::from_bps(rate.0);
        let maximum =
            Ambr { uplink: rate(&ie.maximum_flow_bit_rate_ul), downlink: rate(&ie.maximum_flow_bit_rate_dl) };
        let guaranteed = Ambr {
            uplink: rate(&ie.guaranteed_flow_bit_rate_ul),
            downlink: rate(&ie.guaranteed_flow_bit_rate_dl),
        };
        Self { maximum, guaranteed }
    }
}

/// A QoS flow of a standardised or pre-configured 5QI (§9.3.1.12, §9.3.1.28).
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
    /// Bit rates, of a GBR flow alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gbr: Option<GbrRates>,
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
        let gbr = self.gbr.map(GbrRates::to_ie);
        Ok(QosFlowLevelQosParameters::new(characteristics, arp, gbr, None, None, None))
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
        let gbr = parameters.gbr_qos_information.as_ref().map(GbrRates::of);
        Ok(Self { qfi: qfi_of(qfi)?, five_qi, arp, priority_level, gbr })
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

fn ambr_of(ie: &PDUSessionAggregateMaximumBitRate) -> Ambr {
    Ambr {
        downlink: BitRate::from_bps(ie.pdu_session_aggregate_maximum_bit_rate_dl.0),
        uplink: BitRate::from_bps(ie.pdu_session_aggregate_maximum_bit_rate_ul.0),
    }
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
                gbr: None,
            }],
        }
    }

    #[test]
    fn the_bit_rates_of_a_gbr_flow_round_trip() {
        let rates = |kbps: u64| Ambr {
            uplink: BitRate::from_bps(kbps * 1000),
            downlink: BitRate::from_bps(kbps * 2000),
        };
        let gbr = Some(GbrRates { maximum: rates(4000), guaranteed: rates(1000) });
        let call = QosFlow { qfi: Qfi::new(2).unwrap(), five_qi: Some(1), gbr, ..request().flows[0] };
        let request = SetupRequest { flows: vec![request().flows[0], call], ..request() };
        assert_eq!(SetupRequest::decode(&request.encode().unwrap()).unwrap(), request);
        assert_eq!(SetupRequest::check(&request.encode().unwrap()).unwrap(), Vec::<String>::new());
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
        let octets = encode_modify_indication_unsuccessful(cause).unwrap();
        assert_eq!(decode_modify_indication_unsuccessful(&octets).unwrap(), cause);
        decode_release_response(&encode_release_response().unwrap()).unwrap();
    }
}
