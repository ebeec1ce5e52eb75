//! What the PCF has decided for a session so far (TS 29.512 §4.2.6.2), and which services follow from it.
//!
//! A decision at run time names what it changes alone: rules and the QoS and gates that they refer to are
//! kept here, in plain values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tern_sbi::npcf_sm::{FlowStatus, PccRule, QosData, SmPolicyDecision, TrafficControlData};
use tern_types::{Ambr, Arp, BitRate};

use crate::binding::Service;
use crate::qos::{FILTERS_PER_RULE_MAX, FlowFilter};

/// More than PFCP and any link can carry.
const UNLIMITED: BitRate = BitRate::from_bps(1_000_000_000_000);
/// References of one rule to QoS data, and to traffic control data.
const REFERENCES_MAX: usize = 4;

/// The PCC rules of a session with what they refer to, by their identities.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRules {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    rules: BTreeMap<String, Rule>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    qos: BTreeMap<String, Qos>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    gates: BTreeMap<String, Gates>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Rule {
    precedence: u32,
    filters: Vec<FlowFilter>,
    qos: Vec<String>,
    gates: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Qos {
    five_qi: Option<u8>,
    arp: Option<Arp>,
    maximum: Option<Ambr>,
    guaranteed: Option<Ambr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Gates {
    uplink_open: bool,
    downlink_open: bool,
}

impl PolicyRules {
    /// Whether there is no more than a rule that matches everything: what a session has without a policy.
    pub fn is_default(&self) -> bool {
        let match_all =
            |rule: &Rule| rule.gates.is_empty() && rule.filters.iter().all(FlowFilter::is_match_all);
        let plain = |qos: &Qos| qos.maximum.is_none() && qos.guaranteed.is_none();
        self.rules.len() <= 1
            && self.qos.len() <= 1
            && self.gates.is_empty()
            && self.rules.values().all(match_all)
            && self.qos.values().all(plain)
    }

    /// Takes over what a decision names; a null removes. Of each kind there are `max` beside the rule that
    /// matches everything.
    pub fn take(&mut self, decision: &SmPolicyDecision, max: usize) {
        for (id, rule) in &decision.pcc_rules {
            let taken = rule.as_ref().map(|rule| self.rule(id, rule));
            match taken {
                None => drop(self.rules.remove(id)),
                Some(Ok(rule)) => insert(&mut self.rules, id, rule, max),
                Some(Err(error)) => {
                    tracing::warn!(rule = id, error, "PCC rule not enforced");
                    self.rules.remove(id);
                }
            }
        }
        for (id, qos) in &decision.qos_decs {
            match qos {
                Some(qos) => insert(&mut self.qos, id, Qos::of(qos), max),
                None => drop(self.qos.remove(id)),
            }
        }
        for (id, control) in &decision.traff_cont_decs {
            match control {
                Some(control) => insert(&mut self.gates, id, Gates::of(control), max),
                None => drop(self.gates.remove(id)),
            }
        }
    }

    /// A rule as it is from now on: what it does not name stays.
    fn rule(&self, id: &str, rule: &PccRule) -> Result<Rule, String> {
        let before = self.rules.get(id);
        let descriptions = rule.flow_infos.iter().filter_map(|info| info.flow_description.as_deref());
        let mut filters = descriptions.map(str::parse).collect::<Result<Vec<FlowFilter>, _>>()?;
        if let Some(before) = before.filter(|_| rule.flow_infos.is_empty()) {
            filters = before.filters.clone();
        }
        if filters.is_empty() || filters.len() > FILTERS_PER_RULE_MAX {
            let count = filters.len();
            return Err(format!("1 to {FILTERS_PER_RULE_MAX} flow descriptions expected, {count} found"));
        }
        let references = |named: &[String], before: Option<&Vec<String>>| match before {
            Some(before) if named.is_empty() => before.clone(),
            _ => named.iter().take(REFERENCES_MAX).cloned().collect(),
        };
        Ok(Rule {
            precedence: rule.precedence.or(before.map(|rule| rule.precedence)).unwrap_or(u32::MAX),
            filters,
            qos: references(&rule.ref_qos_data, before.map(|rule| &rule.qos)),
            gates: references(&rule.ref_tc_data, before.map(|rule| &rule.gates)),
        })
    }

    /// The services, in the order in which they are looked at; those that say no more than the default rule
    /// are none. `default` is 5QI and ARP of the default QoS flow.
    pub fn services(&self, default: (u8, Arp), max: usize) -> Vec<Service> {
        let services = self.rules.iter().filter_map(|(name, rule)| self.service(name, rule, default));
        let mut services: Vec<Service> = services.collect();
        services.sort_by(|a, b| (a.precedence, &a.name).cmp(&(b.precedence, &b.name)));
        for service in services.iter().skip(max) {
            tracing::warn!(rule = service.name, max, "PCC rule not enforced: too many");
        }
        services.truncate(max);
        services
    }

    fn service(&self, name: &str, rule: &Rule, default: (u8, Arp)) -> Option<Service> {
        let qos = rule.qos.iter().find_map(|id| self.qos.get(id));
        let gates = rule.gates.iter().find_map(|id| self.gates.get(id)).copied();
        let gates = gates.unwrap_or(Gates { uplink_open: true, downlink_open: true });
        let service = Service {
            name: name.to_owned(),
            precedence: rule.precedence,
            five_qi: qos.and_then(|qos| qos.five_qi).unwrap_or(default.0),
            arp: qos.and_then(|qos| qos.arp).unwrap_or(default.1),
            filters: rule.filters.clone(),
            mbr: qos.and_then(|qos| qos.maximum),
            gbr: qos.and_then(|qos| qos.guaranteed),
            uplink_open: gates.uplink_open,
            downlink_open: gates.downlink_open,
        };
        let plain = service.mbr.is_none()
            && service.gbr.is_none()
            && service.uplink_open
            && service.downlink_open
            && (service.five_qi, service.arp) == default;
        let says_nothing = plain && service.filters.iter().any(FlowFilter::is_match_all);
        (!says_nothing).then_some(service)
    }
}

fn insert<T>(map: &mut BTreeMap<String, T>, id: &str, value: T, max: usize) {
    if map.contains_key(id) || map.len() <= max {
        map.insert(id.to_owned(), value);
    } else {
        tracing::warn!(id, max, "a part of the policy is not enforced: too many");
    }
}

impl Qos {
    fn of(data: &QosData) -> Self {
        let rates = |uplink: Option<BitRate>, downlink: Option<BitRate>, missing| {
            let some = uplink.is_some() || downlink.is_some();
            some.then(|| Ambr { uplink: uplink.unwrap_or(missing), downlink: downlink.unwrap_or(missing) })
        };
        let guaranteed = rates(data.gbr_ul, data.gbr_dl, BitRate::from_bps(0));
        let maximum = rates(data.maxbr_ul, data.maxbr_dl, UNLIMITED);
        Self {
            five_qi: data.five_qi,
            arp: data.arp,
            // A flow of a guaranteed bit rate has a maximum one too (TS 23.501 §5.7.1.2).
            maximum: maximum.or(guaranteed),
            guaranteed,
        }
    }
}

impl Gates {
    fn of(data: &TrafficControlData) -> Self {
        let (uplink_open, downlink_open) = match &data.flow_status {
            Some(FlowStatus::Disabled | FlowStatus::Removed) => (false, false),
            Some(FlowStatus::EnabledUplink) => (true, false),
            Some(FlowStatus::EnabledDownlink) => (false, true),
            _ => (true, true),
        };
        Self { uplink_open, downlink_open }
    }
}

#[cfg(test)]
mod tests {
    use tern_sbi::npcf_sm::FlowInformation;

    use super::*;
    use crate::qos::DEFAULT_QOS;

    fn decision(id: &str, five_qi: Option<u8>) -> SmPolicyDecision {
        let flow_description = Some("permit out 17 from 192.0.2.1 to assigned".to_owned());
        let rule = PccRule {
            precedence: Some(10),
            flow_infos: vec![FlowInformation { flow_description, ..FlowInformation::default() }],
            ref_qos_data: vec![id.to_owned()],
            ..PccRule::new(id.to_owned())
        };
        let mut decision = SmPolicyDecision::default();
        decision.pcc_rules.insert(id.to_owned(), Some(rule));
        decision.qos_decs.insert(id.to_owned(), Some(QosData { five_qi, ..QosData::new(id.to_owned()) }));
        decision
    }

    #[test]
    fn when_a_decision_names_qos_alone_then_the_rule_that_refers_to_it_changes() {
        let mut rules = PolicyRules::default();
        rules.take(&decision("video", Some(7)), 4);
        let mut change = decision("video", Some(6));
        change.pcc_rules.clear();
        rules.take(&change, 4);
        let services = rules.services(DEFAULT_QOS, 4);
        assert_eq!((services.len(), services[0].five_qi, services[0].precedence), (1, 6, 10));
        let mut gone = SmPolicyDecision::default();
        gone.pcc_rules.insert("video".to_owned(), None);
        rules.take(&gone, 4);
        assert!(rules.services(DEFAULT_QOS, 4).is_empty());
    }

    #[test]
    fn when_there_are_too_many_rules_then_the_further_ones_are_left_out() {
        let mut rules = PolicyRules::default();
        for number in 0..9 {
            rules.take(&decision(&format!("rule-{number}"), Some(7)), 2);
        }
        assert_eq!((rules.rules.len(), rules.services(DEFAULT_QOS, 2).len()), (3, 2));
    }
}
