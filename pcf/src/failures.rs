//! Rules that the SMF cannot enforce, as it reports them (TS 29.512 §4.2.3, §4.2.4): what is in force without them, and
//! that they are not asked for again before something else is decided of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tern_sbi::npcf_sm::{PccRule, QosData, RuleReport, RuleStatus, SmPolicyDecision, TrafficControlData};

/// One of the operator's rules with its QoS and its gates; of a rule that is not decided there is nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    rule: Option<PccRule>,
    qos: Option<QosData>,
    control: Option<TrafficControlData>,
}

/// What failed of each rule, by its identity.
pub type Failed = BTreeMap<String, Definition>;

impl Definition {
    /// What a decision says of a rule: QoS and gates have its name.
    pub fn of(decision: &SmPolicyDecision, name: &str) -> Self {
        Self {
            rule: decision.pcc_rules.get(name).cloned().flatten(),
            qos: decision.qos_decs.get(name).cloned().flatten(),
            control: decision.traff_cont_decs.get(name).cloned().flatten(),
        }
    }

    /// Has the decision say this of it.
    fn put(self, decision: &mut SmPolicyDecision, name: &str) {
        put(&mut decision.pcc_rules, name, self.rule);
        put(&mut decision.qos_decs, name, self.qos);
        put(&mut decision.traff_cont_decs, name, self.control);
    }
}

fn put<T>(map: &mut BTreeMap<String, Option<T>>, name: &str, value: Option<T>) {
    match value {
        Some(value) => drop(map.insert(name.to_owned(), Some(value))),
        None => drop(map.remove(name)),
    }
}

/// Takes over what the SMF reports: `in_force` is what it has, `before` what it had before that, `decided` what it
/// should have. Says how many rules failed.
pub fn note(
    failed: &mut Failed,
    in_force: &mut SmPolicyDecision,
    before: Option<&SmPolicyDecision>,
    decided: &SmPolicyDecision,
    reports: &[RuleReport],
) -> usize {
    let mut count = 0;
    for report in reports {
        let active = match report.rule_status {
            RuleStatus::Inactive => false,
            RuleStatus::Active if report.failure_code.is_some() => true,
            _ => continue,
        };
        for name in &report.pcc_rule_ids {
            let (wanted, has) = (Definition::of(decided, name), Definition::of(in_force, name));
            if wanted == Definition::default() && has == Definition::default() {
                continue;
            }
            count += 1;
            if !active {
                Definition::default().put(in_force, name);
            } else if has == wanted {
                // Else the change that failed is not taken for enforced yet.
                before.map(|before| Definition::of(before, name)).unwrap_or_default().put(in_force, name);
            }
            failed.insert(name.clone(), wanted);
        }
    }
    count
}

/// Leaves out of a decision what has failed: there it says what is in force. What is decided otherwise than it
/// failed has not failed any more.
pub fn hold_back(decision: &mut SmPolicyDecision, failed: &mut Failed, in_force: &SmPolicyDecision) {
    failed.retain(|name, definition| Definition::of(decision, name) == *definition);
    put_in_force(decision, failed, in_force);
}

/// The same of a decision from which it was left out before: others may have failed since.
pub fn put_in_force(decision: &mut SmPolicyDecision, failed: &Failed, in_force: &SmPolicyDecision) {
    for (name, definition) in failed {
        if Definition::of(decision, name) == *definition {
            Definition::of(in_force, name).put(decision, name);
        }
    }
}

#[cfg(test)]
mod tests {
    use tern_sbi::npcf_sm::FailureCode;

    use super::*;

    fn decision(rules: &[(&str, u8)]) -> SmPolicyDecision {
        let mut decision = SmPolicyDecision::default();
        for &(name, five_qi) in rules {
            decision.pcc_rules.insert(name.into(), Some(PccRule::new(name.into())));
            let qos = QosData { five_qi: Some(five_qi), ..QosData::new(name.into()) };
            decision.qos_decs.insert(name.into(), Some(qos));
        }
        decision
    }

    fn report(name: &str, rule_status: RuleStatus) -> RuleReport {
        let failure_code = Some(FailureCode::ResAlloFail);
        RuleReport { failure_code, ..RuleReport::new(vec![name.into()], rule_status) }
    }

    #[test]
    fn when_a_rule_is_inactive_then_it_is_not_in_force_and_not_asked_for_until_it_is_another() {
        let decided = decision(&[("call", 1), ("video", 2)]);
        let (mut failed, mut in_force) = (Failed::new(), decided.clone());
        let reports = [report("call", RuleStatus::Inactive), report("unknown", RuleStatus::Inactive)];
        assert_eq!(note(&mut failed, &mut in_force, None, &decided, &reports), 1);
        assert_eq!(in_force, decision(&[("video", 2)]));
        let mut again = decided.clone();
        hold_back(&mut again, &mut failed, &in_force);
        assert_eq!((again, failed.len()), (in_force.clone(), 1));
        let mut another = decision(&[("call", 3), ("video", 2)]);
        hold_back(&mut another, &mut failed, &in_force);
        assert_eq!((another, failed.len()), (decision(&[("call", 3), ("video", 2)]), 0));
    }

    #[test]
    fn when_a_change_of_a_rule_failed_then_what_was_before_is_in_force() {
        let (before, decided) = (decision(&[("call", 1)]), decision(&[("call", 2)]));
        let (mut failed, mut in_force) = (Failed::new(), decided.clone());
        let reports = [report("call", RuleStatus::Active)];
        assert_eq!(note(&mut failed, &mut in_force, Some(&before), &decided, &reports), 1);
        assert_eq!(in_force, before);
        // And again: nothing else than that is in force.
        assert_eq!(note(&mut failed, &mut in_force, Some(&decided), &decided, &reports), 1);
        assert_eq!(in_force, before);
    }

    #[test]
    fn when_the_end_of_a_rule_failed_then_it_is_in_force_and_not_ended_again() {
        let (before, decided) = (decision(&[("call", 1)]), decision(&[]));
        let (mut failed, mut in_force) = (Failed::new(), decided.clone());
        let mut report = report("call", RuleStatus::Active);
        // What is reported without a failure has none.
        report.failure_code = None;
        assert_eq!(note(&mut failed, &mut in_force, Some(&before), &decided, &[report.clone()]), 0);
        report.failure_code = Some(FailureCode::NfMal);
        in_force = before.clone();
        assert_eq!(note(&mut failed, &mut in_force, None, &decided, &[report]), 1);
        let mut again = decided.clone();
        hold_back(&mut again, &mut failed, &in_force);
        assert_eq!((again, in_force), (before.clone(), before));
    }
}
