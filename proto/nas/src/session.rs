//! IEs of PDU sessions: QoS rules and flow descriptions, session AMBR, DNN, protocol
//! configuration options; and whether what a UE was given is usable.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use oxirush_nas::nas_5gs::{
    NasDnn, NasExtendedProtocolConfigurationOptions, NasQosFlowDescriptions, NasQosRules, NasSessionAmbr,
    Pco, PcoDirection, PcoEntry, QosFlowDescription, QosFlowOpCode, QosFlowParameter, QosPacketFilter,
    QosPacketFilterComponent, QosPacketFilterDirection, QosRule, QosRuleOpCode,
};
use tern_types::{Ambr, BitRate, Dnn, Qfi};

use crate::{DecodeError, EncodeError};

/// DNS server IPv6 address (request) (TS 24.008 Table 10.5.154).
pub const PCO_DNS_IPV6: u16 = 0x0003;
/// DNS server IPv4 address (request) (TS 24.008 Table 10.5.154).
pub const PCO_DNS_IPV4: u16 = 0x000d;
/// IPv4 link MTU (request) (TS 24.008 Table 10.5.154).
pub const PCO_MTU_IPV4: u16 = 0x0010;
/// IP address allocation via NAS signalling (TS 24.008 Table 10.5.154).
pub const PCO_ADDRESS_BY_NAS: u16 = 0x000a;

/// Precedence of the rule that is looked at last (TS 24.501 §9.11.4.13: 0 to 255, lowest first).
pub const DEFAULT_RULE_PRECEDENCE: u8 = 255;

/// The authorized QoS rules of a session with one flow: the default rule, match-all in both
/// directions (TS 24.501 §9.11.4.13).
pub fn default_rule(qfi: Qfi) -> Result<NasQosRules, EncodeError> {
    let filter = QosPacketFilter::Match {
        direction: QosPacketFilterDirection::Bidirectional,
        identifier: 1,
        components: vec![QosPacketFilterComponent::MatchAll],
    };
    let rule = QosRule::new(1, QosRuleOpCode::Create)
        .with_default_rule(true)
        .with_packet_filters(vec![filter])
        .with_precedence(DEFAULT_RULE_PRECEDENCE)
        .with_segregation(false)
        .with_qfi(qfi.get());
    Ok(NasQosRules::from_rules(&[rule])?)
}

/// The authorized QoS flow descriptions of flows of given 5QI (TS 24.501 §9.11.4.12).
pub fn flow_descriptions(flows: &[(Qfi, u8)]) -> Result<NasQosFlowDescriptions, EncodeError> {
    let flow = |&(qfi, five_qi): &(Qfi, u8)| {
        let parameters = vec![QosFlowParameter::FiveQi(five_qi)];
        QosFlowDescription::new(qfi.get(), QosFlowOpCode::Create, true, parameters)
    };
    let flows: Vec<_> = flows.iter().map(flow).collect();
    Ok(NasQosFlowDescriptions::from_descriptions(&flows)?)
}

/// What a UE may use: QFI and 5QI of each flow, and the default rule's flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsableQos {
    /// QFI of the default rule.
    pub default_flow: Qfi,
    /// Every flow that a rule leads to, with its 5QI if one is known.
    pub flows: Vec<(Qfi, Option<u8>)>,
}

/// Something in the QoS of an ACCEPT that a UE cannot use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail} ({clause})")]
pub struct QosFault {
    /// What is wrong.
    pub detail: String,
    /// The clause that says so.
    pub clause: &'static str,
}

/// Checks the authorized QoS rules and flow descriptions of a PDU SESSION ESTABLISHMENT ACCEPT.
pub fn check_qos(
    rules: &NasQosRules,
    flows: Option<&NasQosFlowDescriptions>,
) -> Result<UsableQos, Vec<QosFault>> {
    let mut faults = Vec::new();
    let mut fault = |clause, detail: String| faults.push(QosFault { detail, clause });
    let (mut read, mut default_flow) = (Vec::new(), None);
    for rule in rules.parse_rules() {
        match rule {
            Ok(rule) => read.push(rule),
            Err(error) => fault("TS 24.501 §9.11.4.13", format!("a QoS rule does not decode: {error:?}")),
        }
    }
    let (mut ids, mut precedences, mut used) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for rule in &read {
        let id = rule.rule_id;
        if rule.op_code != QosRuleOpCode::Create {
            fault("TS 24.501 §6.4.1.3", format!("QoS rule {id} is not created but {:?}", rule.op_code));
        }
        if id == 0 || !ids.insert(id) {
            fault("TS 24.501 §6.4.1.3", format!("QoS rule identifier {id} is 0 or used twice"));
        }
        if rule.precedence.is_none_or(|precedence| !precedences.insert(precedence)) {
            fault("TS 24.501 §6.4.1.3", format!("QoS rule {id} has no precedence of its own"));
        }
        let Some(qfi) = rule.qfi.and_then(Qfi::new).filter(|qfi| qfi.get() != 0) else {
            fault("TS 24.501 §9.11.4.13", format!("QoS rule {id} has no QFI of 1 to 63"));
            continue;
        };
        used.insert(qfi);
        if rule.packet_filters.is_empty() {
            fault("TS 24.501 §6.4.1.3", format!("QoS rule {id} of an IP session has no packet filter"));
        }
        if rule.dqr && default_flow.replace(qfi).is_some() {
            fault("TS 24.501 §6.4.1.3", "more than one default QoS rule".into());
        }
    }
    if default_flow.is_none() {
        fault("TS 24.501 §6.4.1.3", "no default QoS rule".into());
    }
    let described = described_flows(flows, &mut fault);
    for qfi in &used {
        // Without a description the QFI is the 5QI (TS 24.501 §6.4.1.3), which only holds for
        // standardised non-GBR values.
        if !described.iter().any(|(flow, _)| flow == qfi) {
            fault("TS 24.501 §6.4.1.3", format!("QFI {} has no QoS flow description", qfi.get()));
        }
    }
    for (qfi, five_qi) in &described {
        if five_qi.is_none() {
            fault("TS 24.501 §9.11.4.12", format!("the description of QFI {} has no 5QI", qfi.get()));
        }
    }
    match default_flow {
        Some(default_flow) if faults.is_empty() => {
            let five_qi = |qfi: &Qfi| described.iter().find(|(f, _)| f == qfi).and_then(|(_, q)| *q);
            let flows = used.iter().map(|qfi| (*qfi, five_qi(qfi))).collect();
            Ok(UsableQos { default_flow, flows })
        }
        _ => Err(faults),
    }
}

fn described_flows(
    flows: Option<&NasQosFlowDescriptions>,
    fault: &mut impl FnMut(&'static str, String),
) -> Vec<(Qfi, Option<u8>)> {
    let Some(flows) = flows else { return Vec::new() };
    let Some(descriptions) = flows.try_descriptions() else {
        fault("TS 24.501 §9.11.4.12", "the QoS flow descriptions do not decode".into());
        return Vec::new();
    };
    let mut described = Vec::new();
    for description in &descriptions {
        if description.op_code != QosFlowOpCode::Create {
            fault("TS 24.501 §6.4.1.3", format!("QFI {} is described but not created", description.qfi));
        }
        let five_qi = description.params.iter().find_map(|parameter| match parameter {
            QosFlowParameter::FiveQi(five_qi) => Some(*five_qi),
            _ => None,
        });
        match Qfi::new(description.qfi) {
            Some(qfi) => described.push((qfi, five_qi)),
            None => fault("TS 24.501 §9.11.4.12", format!("QFI {}", description.qfi)),
        }
    }
    described
}

/// Writes a session AMBR (TS 24.501 §9.11.4.14), each rate rounded down to what 16 bits of some
/// unit carry.
pub fn session_ambr(ambr: Ambr) -> NasSessionAmbr {
    let (down, up) = (unit_and_value(ambr.downlink), unit_and_value(ambr.uplink));
    NasSessionAmbr::from_raw_fields(down.0, down.1, up.0, up.1)
}

/// Unit 1 is 1 kbit/s, and each next one four times as much, but a decimal thousand for every
/// fifth (TS 24.501 Table 9.11.4.14.1).
fn unit_and_value(rate: BitRate) -> (u8, u16) {
    let kbps = rate.kbps();
    let mut last = (0x19, u16::MAX);
    for unit in 1..=0x19u8 {
        let scale = unit_kbps(unit);
        let value = kbps / scale;
        if let Ok(value) = u16::try_from(value) {
            last = (unit, value.max(u16::from(kbps > 0)));
            break;
        }
    }
    last
}

fn unit_kbps(unit: u8) -> u64 {
    let index = u32::from(unit.saturating_sub(1));
    4u64.pow(index % 5) * 1000u64.pow(index / 5)
}

/// Reads a session AMBR (TS 24.501 §9.11.4.14).
pub fn session_ambr_of(ie: &NasSessionAmbr) -> Result<Ambr, DecodeError> {
    let wrong = || DecodeError::value("Session-AMBR", "a unit or length that is none");
    let bps =
        |kbps: Option<u64>| kbps.and_then(|k| k.checked_mul(1000)).map(BitRate::from_bps).ok_or_else(wrong);
    Ok(Ambr { downlink: bps(ie.downlink_kbps())?, uplink: bps(ie.uplink_kbps())? })
}

/// Writes a DNN (TS 24.501 §9.11.2.1B).
pub fn dnn(dnn: &Dnn) -> NasDnn {
    NasDnn::new(dnn.to_octets())
}

/// Reads a DNN (TS 24.501 §9.11.2.1B).
pub fn dnn_of(ie: &NasDnn) -> Result<Dnn, DecodeError> {
    Dnn::from_octets(&ie.value).map_err(|error| DecodeError::value("DNN", error))
}

/// What a UE asks for in protocol configuration options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PcoRequest {
    /// DNS servers' IPv4 addresses.
    pub dns_ipv4: bool,
    /// DNS servers' IPv6 addresses.
    pub dns_ipv6: bool,
    /// MTU of the IPv4 link.
    pub mtu_ipv4: bool,
}

/// What a network answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PcoAnswer {
    /// DNS servers, the first one preferred.
    pub dns_ipv4: Vec<Ipv4Addr>,
    /// The same by their IPv6 addresses.
    pub dns_ipv6: Vec<Ipv6Addr>,
    /// MTU of the IPv4 link, in octets.
    pub mtu_ipv4: Option<u16>,
}

/// Writes a UE's extended PCO: asks for DNS servers and MTU.
pub fn pco_request(request: PcoRequest) -> Result<NasExtendedProtocolConfigurationOptions, EncodeError> {
    let entry = |identifier| PcoEntry { identifier, contents: Vec::new() };
    let mut entries = vec![entry(PCO_ADDRESS_BY_NAS)];
    entries.extend(request.dns_ipv6.then(|| entry(PCO_DNS_IPV6)));
    entries.extend(request.dns_ipv4.then(|| entry(PCO_DNS_IPV4)));
    entries.extend(request.mtu_ipv4.then(|| entry(PCO_MTU_IPV4)));
    let pco = Pco::new(0, entries);
    Ok(NasExtendedProtocolConfigurationOptions::from_pco(&pco, PcoDirection::Uplink)?)
}

/// Reads a UE's extended PCO; units that are not known are left out.
pub fn pco_request_of(ie: &NasExtendedProtocolConfigurationOptions) -> PcoRequest {
    let pco = ie.pco(PcoDirection::Uplink);
    let asks = |identifier| pco.as_ref().is_some_and(|pco| pco.entry(identifier).is_some());
    PcoRequest { dns_ipv4: asks(PCO_DNS_IPV4), dns_ipv6: asks(PCO_DNS_IPV6), mtu_ipv4: asks(PCO_MTU_IPV4) }
}

/// Writes a network's extended PCO; `None` if there is nothing in it.
pub fn pco_answer(
    answer: &PcoAnswer,
) -> Result<Option<NasExtendedProtocolConfigurationOptions>, EncodeError> {
    let dns = |identifier, contents| PcoEntry { identifier, contents };
    let v6 = answer.dns_ipv6.iter().map(|address| dns(PCO_DNS_IPV6, address.octets().to_vec()));
    let v4 = answer.dns_ipv4.iter().map(|address| dns(PCO_DNS_IPV4, address.octets().to_vec()));
    let mut entries: Vec<PcoEntry> = v6.chain(v4).collect();
    let mtu = answer.mtu_ipv4.map(|mtu| mtu.to_be_bytes().to_vec());
    entries.extend(mtu.map(|contents| PcoEntry { identifier: PCO_MTU_IPV4, contents }));
    if entries.is_empty() {
        return Ok(None);
    }
    let pco = Pco::new(0, entries);
    Ok(Some(NasExtendedProtocolConfigurationOptions::from_pco(&pco, PcoDirection::Downlink)?))
}

/// Reads a network's extended PCO.
pub fn pco_answer_of(ie: &NasExtendedProtocolConfigurationOptions) -> Result<PcoAnswer, DecodeError> {
    let wrong = || DecodeError::value("extended protocol configuration options", "cut short");
    let pco = ie.pco(PcoDirection::Downlink).ok_or_else(wrong)?;
    let mut answer = PcoAnswer::default();
    for entry in &pco.entries {
        match (entry.identifier, entry.contents.as_slice()) {
            (PCO_DNS_IPV6, octets) => {
                answer.dns_ipv6.extend(<[u8; 16]>::try_from(octets).map(Ipv6Addr::from));
            }
            (PCO_DNS_IPV4, &[a, b, c, d]) => answer.dns_ipv4.push(Ipv4Addr::new(a, b, c, d)),
            (PCO_MTU_IPV4, &[a, b]) => answer.mtu_ipv4 = Some(u16::from_be_bytes([a, b])),
            _ => {}
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_rule_is_usable_and_has_its_octets() {
        let qfi = Qfi::new(1).unwrap();
        let rules = default_rule(qfi).unwrap();
        // Rule 1, 6 octets, create + DQR + 1 filter, bidirectional filter 1, match-all,
        // precedence 255, QFI 1.
        assert_eq!(hex::encode(&*rules.value), "01000631310101ff01");
        let flows = flow_descriptions(&[(qfi, 9)]).unwrap();
        assert_eq!(hex::encode(&*flows.value), "012041010109");
        let usable = check_qos(&rules, Some(&flows)).unwrap();
        assert_eq!(usable, UsableQos { default_flow: qfi, flows: vec![(qfi, Some(9))] });
        assert_eq!(check_qos(&rules, None).unwrap_err().len(), 1);
    }

    #[test]
    fn rules_that_a_ue_cannot_use_are_named() {
        let rules = NasQosRules::new(hex::decode("01000621310101ff01").unwrap());
        let faults = check_qos(&rules, None).unwrap_err();
        assert!(faults.iter().any(|fault| fault.detail.contains("no default")), "{faults:?}");
        let twice = hex::decode("01000631310101ff0101000631310101ff01").unwrap();
        let faults = check_qos(&NasQosRules::new(twice), None).unwrap_err();
        assert!(faults.iter().any(|fault| fault.detail.contains("more than one")), "{faults:?}");
    }

    #[test]
    fn ambr_keeps_what_it_can() {
        for (bps, back) in [
            (100_000_000u64, 100_000_000u64),
            (1_000_000_000, 1_000_000_000),
            (64_000, 64_000),
            (1, 1_000),
            (123_456_789_000, 123_456_000_000),
        ] {
            let ambr = Ambr { uplink: BitRate::from_bps(bps), downlink: BitRate::from_bps(bps) };
            assert_eq!(session_ambr_of(&session_ambr(ambr)).unwrap().uplink.bps(), back, "{bps}");
        }
    }

    #[test]
    fn pco_round_trips() {
        let asked = PcoRequest { dns_ipv4: true, dns_ipv6: true, mtu_ipv4: true };
        assert_eq!(pco_request_of(&pco_request(asked).unwrap()), asked);
        let answer = PcoAnswer {
            dns_ipv4: vec![Ipv4Addr::new(9, 9, 9, 9)],
            dns_ipv6: vec![Ipv6Addr::LOCALHOST],
            mtu_ipv4: Some(1400),
        };
        let ie = pco_answer(&answer).unwrap().unwrap();
        let octets = "80 0003 10 00000000000000000000000000000001 000d 04 09090909 0010 02 0578";
        assert_eq!(hex::encode(&*ie.value), octets.replace(' ', ""));
        assert_eq!(pco_answer_of(&ie).unwrap(), answer);
        assert!(pco_answer(&PcoAnswer::default()).unwrap().is_none());
    }
}
