//! What the PCF has decided for a session so far (TS 29.512 §4.2.6.2), and which services follow from it.
//!
//! A decision at run time names what it changes alone: rules and the QoS and gates that they refer to are
//! kept here, in plain values. What cannot be enforced comes back as a [`RuleFailure`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tern_sbi::npcf_sm::{FailureCode, FlowStatus, PccRule, QosData, SmPolicyDecision, TrafficControlData};
use tern_types::{Ambr, Arp, BitRate};

use crate::binding::Service;
use crate::qos::{FILTERS_PER_RULE_MAX, FlowFilter, QosFlow};

/// More than PFCP and any link can carry.
const UNLIMITED: BitRate = BitRate::from_bps(1_000_000_000_000);
/// References of one rule to QoS data, and to traffic control data.
const REFERENCES_MAX: usize = 4;

/// A PCC rule that is not enforced as the PCF wants it (TS 29.512 `RuleReport`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFailure {
    /// Its identity.
    pub rule: String,
    /// Why.
    pub code: FailureCode,
    /// Whether it is enforced as it was before; else it is not at all.
    pub active: bool,
}

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
    /// matches everything. A rule that is wrong stays as it was.
    pub fn take(&mut self, decision: &SmPolicyDecision, max: usize) -> Vec<RuleFailure> {
        let before = self.clone();
        let mut failures = Vec::new();
        for (id, qos) in &decision.qos_decs {
            match qos {
                Some(qos) => drop(insert(&mut self.qos, id, Qos::of(qos), max)),
                None => drop(self.qos.remove(id)),
            }
        }
        for (id, control) in &decision.traff_cont_decs {
            match control {
                Some(control) => drop(insert(&mut self.gates, id, Gates::of(control), max)),
                None => drop(self.gates.remove(id)),
            }
        }
        for (id, rule) in &decision.pcc_rules {
            let Some(rule) = rule else {
                self.rules.remove(id);
                continue;
            };
            let taken = self.rule(id, rule).and_then(|rule| {
                if self.qos_of(&rule).is_some_and(|qos| !qos.is_valid()) {
                    return Err(FailureCode::UnsuccQosVal);
                }
                let fits = insert(&mut self.rules, id, rule, max);
                if fits { Ok(()) } else { Err(FailureCode::ResLim) }
            });
            if let Err(code) = taken {
                self.restore(id, &before);
                failures.push(RuleFailure { rule: id.clone(), code, active: self.has(id) });
            }
        }
        // What is decided of QoS alone is of rules that were there.
        let of_qos = |rule: &Rule| self.qos_of(rule).is_some_and(|qos| !qos.is_valid());
        let wrong: Vec<String> =
            self.rules.iter().filter(|(_, rule)| of_qos(rule)).map(|(id, _)| id.clone()).collect();
        for rule in wrong {
            self.restore(&rule, &before);
            failures.push(RuleFailure { rule, code: FailureCode::UnsuccQosVal, active: true });
        }
        failures
    }

    /// A rule, and what it refers to, as they are in `before`: there may be none.
    pub fn restore(&mut self, id: &str, before: &Self) {
        let Some(rule) = before.rules.get(id) else {
            self.rules.remove(id);
            return;
        };
        let qos = rule.qos.iter().filter_map(|id| before.qos.get_key_value(id));
        self.qos.extend(qos.map(|(id, qos)| (id.clone(), *qos)));
        let gates = rule.gates.iter().filter_map(|id| before.gates.get_key_value(id));
        self.gates.extend(gates.map(|(id, gates)| (id.clone(), *gates)));
        self.rules.insert(id.to_owned(), rule.clone());
    }

    /// Whether there is a rule of this identity.
    pub fn has(&self, id: &str) -> bool {
        self.rules.contains_key(id)
    }

    /// Identities of the rules that are another in `other`, or in one of the two alone.
    pub fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        let ids = self.rules.keys().chain(other.rules.keys().filter(|id| !self.has(id)));
        ids.filter(|id| self.resolved(id) != other.resolved(id)).map(String::as_str)
    }

    /// A rule with what it refers to.
    fn resolved(&self, id: &str) -> Option<(&Rule, Option<&Qos>, Option<&Gates>)> {
        let rule = self.rules.get(id)?;
        Some((rule, self.qos_of(rule), rule.gates.iter().find_map(|id| self.gates.get(id))))
    }

    fn qos_of(&self, rule: &Rule) -> Option<&Qos> {
        rule.qos.iter().find_map(|id| self.qos.get(id))
    }

    /// A rule as it is from now on: what it does not name stays.
    fn rule(&self, id: &str, rule: &PccRule) -> Result<Rule, FailureCode> {
        let before = self.rules.get(id);
        let descriptions = rule.flow_infos.iter().filter_map(|info| info.flow_description.as_deref());
        let filters = descriptions.map(str::parse).collect::<Result<Vec<FlowFilter>, _>>();
        let mut filters = filters.map_err(|error| {
            tracing::warn!(rule = id, error, "PCC rule not understood");
            FailureCode::FilterRes
        })?;
        if let Some(before) = before.filter(|_| rule.flow_infos.is_empty()) {
            filters = before.filters.clone();
        }
        match filters.len() {
            0 => return Err(FailureCode::MissFlowInfo),
            1..=FILTERS_PER_RULE_MAX => {}
            _ => return Err(FailureCode::MaxNrPacketFiltersExceeded),
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
    /// are none. `default` is 5QI and ARP of the default QoS flow. Those beyond `max` are left out.
    pub fn services(&self, default: (u8, Arp), max: usize) -> Vec<Service> {
        let services = self.rules.iter().filter_map(|(name, rule)| self.service(name, rule, default));
        let mut services: Vec<Service> = services.collect();
        services.sort_by(|a, b| (a.precedence, &a.name).cmp(&(b.precedence, &b.name)));
        services.truncate(max);
        services
    }

    /// Takes the rules away that are not among `enforced`, though they ask for more than the default rule.
    pub fn leave_out(&mut self, default: (u8, Arp), enforced: &[QosFlow]) -> Vec<RuleFailure> {
        let is_enforced = |name: &str| enforced.iter().flat_map(|flow| &flow.rules).any(|r| r.name == name);
        let services = self.rules.iter().filter_map(|(name, rule)| self.service(name, rule, default));
        let lost: Vec<String> =
            services.map(|service| service.name).filter(|name| !is_enforced(name)).collect();
        lost.iter().for_each(|name| drop(self.rules.remove(name)));
        let failure = |rule| RuleFailure { rule, code: FailureCode::ResLim, active: false };
        lost.into_iter().map(failure).collect()
    }

    fn service(&self, name: &str, rule: &Rule, default: (u8, Arp)) -> Option<Service> {
        let qos = self.qos_of(rule);
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

/// Says whether there was room.
fn insert<T>(map: &mut BTreeMap<String, T>, id: &str, value: T, max: usize) -> bool {
    let fits = map.contains_key(id) || map.len() <= max;
    if fits {
        map.insert(id.to_owned(), value);
    } else {
        tracing::warn!(id, max, "a part of the policy is not enforced: too many");
    }
    fits
}

impl Qos {
    /// Whether what is guaranteed is allowed.
    fn is_valid(&self) -> bool {
        let within = |(guaranteed, maximum): (Ambr, Ambr)| {
            guaranteed.uplink.bps() <= maximum.uplink.bps()
                && guaranteed.downlink.bps() <= maximum.downlink.bps()
        };
        self.guaranteed.zip(self.maximum).is_none_or(within)
    }

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
        assert_eq!(rules.take(&decision("video", Some(7)), 4), []);
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
            let id = format!("rule-{number}");
            let failed = rules.take(&decision(&id, Some(7)), 2);
            let too_many = RuleFailure { rule: id, code: FailureCode::ResLim, active: false };
            assert_eq!(failed, if number < 3 { vec![] } else { vec![too_many] });
        }
        let services = rules.services(DEFAULT_QOS, 2);
        assert_eq!((rules.rules.len(), services.len()), (3, 2));
        let failed = rules.leave_out(DEFAULT_QOS, &crate::binding::bind(DEFAULT_QOS, services, &[]));
        assert_eq!((failed.len(), rules.rules.len()), (1, 2));
        assert_eq!((failed[0].rule.as_str(), failed[0].active), ("rule-2", false));
    }

    #[test]
    fn when_a_change_of_a_rule_is_wrong_then_it_stays_as_it_was() {
        let mut rules = PolicyRules::default();
        rules.take(&decision("video", Some(7)), 4);
        let before = rules.clone();
        let mut change = decision("video", Some(1));
        let rate = |bps| Some(BitRate::from_bps(bps));
        let qos = change.qos_decs.get_mut("video").and_then(Option::as_mut).unwrap();
        (qos.gbr_dl, qos.maxbr_dl) = (rate(2), rate(1));
        let failure = |code| vec![RuleFailure { rule: "video".to_owned(), code, active: true }];
        assert_eq!(rules.take(&change, 4), failure(FailureCode::UnsuccQosVal));
        assert_eq!(rules, before);
        let mut change = decision("video", Some(7));
        let rule = change.pcc_rules.get_mut("video").and_then(Option::as_mut).unwrap();
        rule.flow_infos[0].flow_description = Some("deny out ip from any to any".to_owned());
        assert_eq!(rules.take(&change, 4), failure(FailureCode::FilterRes));
        assert_eq!(rules, before);
        let mut new = decision("call", None);
        new.pcc_rules.get_mut("call").and_then(Option::as_mut).unwrap().flow_infos.clear();
        let missing = RuleFailure { rule: "call".to_owned(), code: FailureCode::MissFlowInfo, active: false };
        assert_eq!(rules.take(&new, 4), [missing]);
        assert_eq!(rules.services(DEFAULT_QOS, 4).len(), 1);
    }

    #[test]
    fn when_rules_are_restored_then_they_refer_to_what_they_did() {
        let mut before = PolicyRules::default();
        before.take(&decision("video", Some(7)), 4);
        let mut rules = before.clone();
        rules.take(&decision("video", Some(6)), 4);
        rules.take(&decision("call", Some(1)), 4);
        assert_eq!(rules.differing(&before).collect::<Vec<_>>(), ["call", "video"]);
        rules.restore("video", &before);
        assert_eq!(rules.differing(&before).collect::<Vec<_>>(), ["call"]);
        rules.restore("call", &before);
        assert_eq!(rules.services(DEFAULT_QOS, 4), before.services(DEFAULT_QOS, 4));
    }
}
