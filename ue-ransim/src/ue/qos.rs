//! QoS rules and flows of a session, and what the network changes of them (TS 24.501 §6.3.2).

use std::collections::BTreeMap;

use tern_nas::nas_5gs::{
    NasPduSessionEstablishmentAccept, NasPduSessionModificationCommand, QosFlowOpCode, QosFlowParameter,
    QosRule, QosRuleOpCode,
};
use tern_nas::session;
use tern_types::Ambr;

/// What a UE knows of a session's QoS.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionQos {
    rules: BTreeMap<u8, QosRule>,
    flows: BTreeMap<u8, Vec<QosFlowParameter>>,
    ambr: Option<Ambr>,
}

/// Clause and what does not obey it.
type Fault = (&'static str, String);

impl SessionQos {
    /// As the session begins.
    pub(super) fn of(accept: &NasPduSessionEstablishmentAccept) -> Self {
        let rules = accept.authorized_qos_rules.parse_rules().into_iter().flatten();
        let descriptions = accept.authorized_qos_flow_descriptions.as_ref();
        let flows = descriptions.and_then(|list| list.try_descriptions()).unwrap_or_default();
        Self {
            rules: rules.map(|rule| (rule.rule_id, rule)).collect(),
            flows: flows.into_iter().map(|flow| (flow.qfi, flow.params)).collect(),
            ambr: session::session_ambr_of(&accept.session_ambr).ok(),
        }
    }

    /// QoS rules, the default one among them.
    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    /// 5QI of each flow, by QFI.
    pub fn flows(&self) -> BTreeMap<u8, u8> {
        let five_qi = |parameters: &Vec<QosFlowParameter>| {
            parameters.iter().find_map(|parameter| match parameter {
                QosFlowParameter::FiveQi(five_qi) => Some(*five_qi),
                _ => None,
            })
        };
        self.flows.iter().filter_map(|(&qfi, parameters)| Some((qfi, five_qi(parameters)?))).collect()
    }

    /// Guaranteed bit rate downlink of a flow, in kbps.
    pub fn guaranteed_kbps(&self, qfi: u8) -> Option<u64> {
        self.flows.get(&qfi)?.iter().find_map(|parameter| match parameter {
            QosFlowParameter::GfbrDl(rate) => rate.kbps(),
            _ => None,
        })
    }

    /// Session-AMBR.
    pub fn ambr(&self) -> Option<Ambr> {
        self.ambr
    }

    /// PDU SESSION MODIFICATION COMMAND; what in it is wrong comes back.
    pub(super) fn apply(&mut self, command: &NasPduSessionModificationCommand) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Some(ambr) = &command.session_ambr {
            match session::session_ambr_of(ambr) {
                Ok(ambr) => self.ambr = Some(ambr),
                Err(error) => faults.push(("TS 24.501 §9.11.4.14", error.to_string())),
            }
        }
        let rules = command.authorized_qos_rules.iter().flat_map(|rules| rules.parse_rules());
        for rule in rules {
            match rule {
                Ok(rule) => faults.extend(self.apply_rule(rule)),
                Err(error) => faults.push(("TS 24.501 §9.11.4.13", format!("{error:?}"))),
            }
        }
        if let Some(list) = &command.authorized_qos_flow_descriptions {
            match list.try_descriptions() {
                None => faults.push(("TS 24.501 §9.11.4.12", "they do not decode".into())),
                Some(flows) => {
                    for flow in flows {
                        let known = self.flows.contains_key(&flow.qfi);
                        let wrong = match flow.op_code {
                            QosFlowOpCode::Create => known,
                            _ => !known,
                        };
                        if wrong {
                            let what = format!("{:?} of QoS flow {}", flow.op_code, flow.qfi);
                            faults.push(("TS 24.501 §6.3.2.4", what));
                        }
                        match flow.op_code {
                            QosFlowOpCode::Delete => drop(self.flows.remove(&flow.qfi)),
                            _ => drop(self.flows.insert(flow.qfi, flow.params)),
                        }
                    }
                }
            }
        }
        faults.extend(self.inconsistencies());
        faults
    }

    fn apply_rule(&mut self, rule: QosRule) -> Option<Fault> {
        const CLAUSE: &str = "TS 24.501 §6.3.2.4";
        let (id, operation) = (rule.rule_id, rule.op_code);
        let known = self.rules.contains_key(&id);
        let right = match operation {
            QosRuleOpCode::Create => !known,
            QosRuleOpCode::Delete => known && !self.rules[&id].dqr,
            _ => known,
        };
        match operation {
            QosRuleOpCode::Create | QosRuleOpCode::ModifyReplace => drop(self.rules.insert(id, rule)),
            QosRuleOpCode::Delete => drop(self.rules.remove(&id)),
            _ => return Some((CLAUSE, format!("QoS rule {id}: {operation:?} is not understood"))),
        }
        (!right).then(|| (CLAUSE, format!("{operation:?} of QoS rule {id}")))
    }

    /// What rules and flows say of one another (TS 24.501 §6.3.2.4).
    fn inconsistencies(&self) -> Vec<Fault> {
        const CLAUSE: &str = "TS 24.501 §6.3.2.4";
        let mut faults = Vec::new();
        let mut precedences = BTreeMap::new();
        for (id, rule) in &self.rules {
            if let Some(other) = precedences.insert(rule.precedence, id) {
                faults.push((CLAUSE, format!("QoS rules {other} and {id} have one precedence")));
            }
            if rule.qfi.is_none_or(|qfi| !self.flows.contains_key(&qfi)) {
                faults.push((CLAUSE, format!("QoS rule {id} is of a flow without description")));
            }
        }
        faults
    }
}
