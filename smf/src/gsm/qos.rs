//! QoS rules and QoS flow descriptions as the UE is told them (TS 24.501 §9.11.4.13, §9.11.4.12).

use std::net::IpAddr;

use tern_nas::EncodeError;
use tern_nas::nas_5gs::{
    NasQosFlowDescriptions, NasQosRules, QosFlowBitRate, QosFlowDescription, QosFlowOpCode, QosFlowParameter,
    QosPacketFilter, QosPacketFilterComponent, QosPacketFilterDirection, QosRule, QosRuleOpCode,
};
use tern_types::{BitRate, Qfi};

use crate::binding::FlowChanges;
use crate::qos::{FlowFilter, QosFlow, ServiceRule};

/// QoS rule identifier of the default rule; that of a service rule is its number and this.
const DEFAULT_RULE: u8 = 1;

/// Authorized QoS rules of a new session: the default rule, which matches everything, and the services' rules.
pub fn rules(flows: &[QosFlow]) -> Result<NasQosRules, EncodeError> {
    let default_qfi = flows.first().map_or(crate::qos::DEFAULT_QFI, |flow| flow.qfi);
    let match_all = QosPacketFilter::Match {
        direction: QosPacketFilterDirection::Bidirectional,
        identifier: 1,
        components: vec![QosPacketFilterComponent::MatchAll],
    };
    let default = QosRule::new(DEFAULT_RULE, QosRuleOpCode::Create)
        .with_default_rule(true)
        .with_packet_filters(vec![match_all])
        .with_precedence(u8::MAX)
        .with_qfi(default_qfi.get());
    let services = flows.iter().flat_map(|flow| flow.rules.iter().map(|rule| (flow.qfi, rule)));
    let services = services.map(|(qfi, rule)| service_rule(qfi, rule, QosRuleOpCode::Create));
    let rules: Vec<QosRule> = std::iter::once(default).chain(services).collect();
    NasQosRules::from_rules(&rules).map_err(EncodeError::from)
}

/// The same of what changes; `None` if no rule does. Rules that are gone come first: their precedences may be
/// others' from now on.
pub fn changed_rules(changes: &FlowChanges) -> Result<Option<NasQosRules>, EncodeError> {
    let gone = changes.gone_rules.iter();
    let gone = gone.map(|number| QosRule::new(number + DEFAULT_RULE, QosRuleOpCode::Delete));
    let known = |rule: &(Qfi, ServiceRule)| (rule.0, rule.1.nas_precedence, rule.1.filters.clone());
    let changed = changes.changed_rules.iter().filter(|(before, after)| known(before) != known(after));
    let changed = changed.map(|(_, (qfi, rule))| service_rule(*qfi, rule, QosRuleOpCode::ModifyReplace));
    let new = changes.new_rules.iter();
    let new = new.map(|(qfi, rule)| service_rule(*qfi, rule, QosRuleOpCode::Create));
    let rules: Vec<QosRule> = gone.chain(changed).chain(new).collect();
    if rules.is_empty() {
        return Ok(None);
    }
    Ok(Some(NasQosRules::from_rules(&rules)?))
}

fn service_rule(qfi: Qfi, rule: &ServiceRule, operation: QosRuleOpCode) -> QosRule {
    let filters = rule.filters.iter().enumerate().map(|(index, filter)| QosPacketFilter::Match {
        direction: QosPacketFilterDirection::Bidirectional,
        identifier: index as u8 + 1,
        components: components(filter),
    });
    QosRule::new(rule.number + DEFAULT_RULE, operation)
        .with_packet_filters(filters.collect())
        .with_precedence(rule.nas_precedence)
        .with_qfi(qfi.get())
}

/// Authorized QoS flow descriptions of a new session.
pub fn descriptions(flows: &[QosFlow]) -> Result<NasQosFlowDescriptions, EncodeError> {
    let descriptions = flows.iter().map(|flow| description(flow, QosFlowOpCode::Create));
    let descriptions = descriptions.collect::<Result<Vec<_>, _>>()?;
    NasQosFlowDescriptions::from_descriptions(&descriptions).map_err(EncodeError::from)
}

/// The same of what changes; `None` if no flow does.
pub fn changed_descriptions(changes: &FlowChanges) -> Result<Option<NasQosFlowDescriptions>, EncodeError> {
    let gone = changes.gone_flows.iter();
    let gone =
        gone.map(|qfi| Ok(QosFlowDescription::new(qfi.get(), QosFlowOpCode::Delete, false, Vec::new())));
    let changed = changes.changed_flows.iter().map(|flow| description(flow, QosFlowOpCode::Modify));
    let new = changes.new_flows.iter().map(|flow| description(flow, QosFlowOpCode::Create));
    let descriptions = gone.chain(changed).chain(new).collect::<Result<Vec<_>, EncodeError>>()?;
    if descriptions.is_empty() {
        return Ok(None);
    }
    Ok(Some(NasQosFlowDescriptions::from_descriptions(&descriptions)?))
}

/// 5QI, and the bit rates of a flow that has guaranteed ones.
fn description(flow: &QosFlow, operation: QosFlowOpCode) -> Result<QosFlowDescription, EncodeError> {
    let rate = |rate| QosFlowBitRate::from_kbps(representable_kbps(rate));
    let mut parameters = vec![QosFlowParameter::FiveQi(flow.five_qi)];
    if let Some(gbr) = flow.gbr() {
        parameters.extend([
            QosFlowParameter::GfbrUl(rate(gbr.guaranteed.uplink)?),
            QosFlowParameter::GfbrDl(rate(gbr.guaranteed.downlink)?),
            QosFlowParameter::MfbrUl(rate(gbr.maximum.uplink)?),
            QosFlowParameter::MfbrDl(rate(gbr.maximum.downlink)?),
        ]);
    }
    Ok(QosFlowDescription::new(flow.qfi.get(), operation, true, parameters))
}

/// Rounded up to what the units of bit rates can say.
pub fn representable_kbps(rate: BitRate) -> u64 {
    // Units 1, 4, 16, 64 and 256 of each power of a thousand, with values of 16 bits.
    let units = [1, 1_000, 1_000_000, 1_000_000_000]
        .into_iter()
        .flat_map(|base| [1, 4, 16, 64, 256].into_iter().map(move |factor| base * factor));
    let kbps = rate.kbps();
    let exact = units.clone().any(|unit| kbps.is_multiple_of(unit) && kbps / unit <= u64::from(u16::MAX));
    let fits = |&unit: &u64| kbps.div_ceil(unit) <= u64::from(u16::MAX);
    match units.clone().find(fits) {
        _ if exact => kbps,
        Some(unit) => kbps.div_ceil(unit) * unit,
        None => u64::from(u16::MAX) * 256_000_000_000,
    }
}

fn components(filter: &FlowFilter) -> Vec<QosPacketFilterComponent> {
    let mut components = Vec::new();
    match filter.remote {
        Some((IpAddr::V4(address), length)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            components.push(QosPacketFilterComponent::Ipv4RemoteAddress {
                address: address.octets(),
                mask: mask.to_be_bytes(),
            });
        }
        Some((IpAddr::V6(address), prefix_length)) => {
            let address = address.octets();
            components.push(QosPacketFilterComponent::Ipv6RemoteAddressPrefix { address, prefix_length });
        }
        None => {}
    }
    if let Some(protocol) = filter.protocol {
        components.push(QosPacketFilterComponent::ProtocolIdentifierOrNextHeader(protocol));
    }
    components.extend(filter.local_ports.map(|(low, high)| {
        if low == high {
            QosPacketFilterComponent::SingleLocalPort(low)
        } else {
            QosPacketFilterComponent::LocalPortRange { low, high }
        }
    }));
    components.extend(filter.remote_ports.map(|(low, high)| {
        if low == high {
            QosPacketFilterComponent::SingleRemotePort(low)
        } else {
            QosPacketFilterComponent::RemotePortRange { low, high }
        }
    }));
    if components.is_empty() {
        components.push(QosPacketFilterComponent::MatchAll);
    }
    components
}
