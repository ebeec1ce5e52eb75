//! What of a policy does not hold: told to the PCF with Npcf_SMPolicyControl_Update, or with the answer to
//! UpdateNotify (TS 29.512 §4.2.3, §4.2.4, `RuleReport`).

use serde::{Deserialize, Serialize};
use tern_nf::Target;
use tern_sbi::npcf_sm::{
    ErrorReport, FailureCause, FailureCode, PartialSuccessReport, RuleReport, RuleStatus, SmPolicyDecision,
    SmPolicyUpdateContextData, SmPolicyUpdateNotify, SmPolicyUpdateReport, UpdateSmPolicy,
};
use tern_sbi::{OperationError, ProblemDetails, Reply, Response, TransportError};

use crate::context::{Next, PduSession, State};
use crate::core::Core;
use crate::gsm::by_policy;
use crate::io::{Awaited, Token};
use crate::policy_rules::RuleFailure;

/// Failures that wait to be reported; further ones are counted alone.
const FAILURES_MAX: usize = 256;

/// Failures of rules on their way to the PCF.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RuleReports {
    waiting: Vec<RuleFailure>,
    /// What the PCF has not answered yet.
    asked: Option<Awaited<UpdateSmPolicy>>,
    /// What it has decided thereupon, and the session is not ready for.
    decided: Option<Box<SmPolicyDecision>>,
}

impl RuleReports {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.asked.is_none() && self.decided.is_none()
    }
}

/// Notes failures; each is one line of the log.
pub fn add(core: &mut Core<'_>, session: &mut PduSession, failures: Vec<RuleFailure>) {
    log(core, session, &failures);
    if failures.is_empty() || session.policy.is_none() {
        return;
    }
    let reports = session.rule_reports.get_or_insert_default();
    for failure in failures {
        // What is known last of a rule holds.
        reports.waiting.retain(|known| known.rule != failure.rule);
        if reports.waiting.len() < FAILURES_MAX {
            reports.waiting.push(failure);
        }
    }
}

fn log(core: &mut Core<'_>, session: &PduSession, failures: &[RuleFailure]) {
    for RuleFailure { rule, code, active } in failures {
        tracing::warn!(supi = %session.supi, session = %session.id, rule, %code, kept = active, "PCC rule not enforced");
        core.out.count("smf.policy.rule_failed");
    }
}

/// Answers an UpdateNotify of which these rules failed, of `rules` that it names.
pub fn answer(
    core: &mut Core<'_>,
    session: &PduSession,
    token: Token,
    decision: &SmPolicyDecision,
    failures: &[RuleFailure],
) {
    log(core, session, failures);
    let rule_reports = reports(failures);
    let result = if failures.is_empty() {
        Ok(Response { status: 204, ..Response::ok(None) })
    } else if decision.sess_rules.is_empty() && decision.pcc_rules.len() <= failures.len() {
        let error = Some(ProblemDetails::new(400, FailureCause::PccRuleEvent.as_str()));
        Err(OperationError::Refused { status: 400, body: ErrorReport { error, rule_reports } })
    } else {
        let report =
            PartialSuccessReport { rule_reports, ..PartialSuccessReport::new(FailureCause::PccRuleEvent) };
        Ok(Response::ok(Some(SmPolicyUpdateReport::Partial(vec![report]))))
    };
    core.out.answer::<SmPolicyUpdateNotify>(token, result);
}

/// Refuses an UpdateNotify for now: another change is under way.
pub fn answer_pending(core: &mut Core<'_>, token: Token) {
    let error = Some(ProblemDetails::new(400, "PENDING_TRANSACTION"));
    let body = ErrorReport { error, ..ErrorReport::default() };
    core.out.answer::<SmPolicyUpdateNotify>(token, Err(OperationError::Refused { status: 400, body }));
}

/// One report of each failure code and status.
fn reports(failures: &[RuleFailure]) -> Vec<RuleReport> {
    let mut reports: Vec<(&FailureCode, bool, Vec<String>)> = Vec::new();
    for RuleFailure { rule, code, active } in failures {
        match reports.iter_mut().find(|(known, of, _)| (*known, *of) == (code, *active)) {
            Some((_, _, rules)) => rules.push(rule.clone()),
            None => reports.push((code, *active, vec![rule.clone()])),
        }
    }
    let report = |(code, active, rules): (&FailureCode, bool, Vec<String>)| {
        let status = if active { RuleStatus::Active } else { RuleStatus::Inactive };
        RuleReport { failure_code: Some(code.clone()), ..RuleReport::new(rules, status) }
    };
    reports.into_iter().map(report).collect()
}

/// Whether a reply is of this.
pub fn awaits(session: &PduSession, token: Token) -> bool {
    let asked = session.rule_reports.as_ref().and_then(|reports| reports.asked.as_ref());
    asked.is_some_and(|asked| asked.is(token))
}

/// The PCF's answer: what it has decided of the session then.
pub fn on_reply(session: &mut PduSession, reply: Result<Reply, TransportError>) {
    use tern_sbi::Operation as _;
    let Some(reports) = session.rule_reports.as_mut() else { return };
    reports.asked = None;
    match reply.map_err(OperationError::from).and_then(UpdateSmPolicy::from_reply) {
        Ok(response) => {
            let changes = response.body != SmPolicyDecision::default();
            reports.decided = changes.then(|| Box::new(response.body));
        }
        Err(error) => {
            tracing::warn!(supi = %session.supi, session = %session.id, %error, "failures of rules not reported");
        }
    }
}

/// Reports what waits once the session is there, and puts into force what the PCF has decided thereupon.
pub fn proceed(core: &mut Core<'_>, session: &mut PduSession, next: Next) -> Next {
    let Next::State(state) = next else { return next };
    report(core, session, &state);
    let next = match (session.rule_reports.as_mut().and_then(|reports| reports.decided.take()), state) {
        (Some(decision), State::Active(connection)) => by_policy(core, session, connection, &decision),
        (decided, state) => {
            if let (Some(reports), Some(decided)) = (&mut session.rule_reports, decided) {
                reports.decided = Some(decided);
            }
            Next::State(state)
        }
    };
    session.rule_reports.take_if(|reports| reports.is_empty());
    next
}

fn report(core: &mut Core<'_>, session: &mut PduSession, state: &State) {
    if !matches!(state, State::Active(_) | State::ModificationPending(..)) {
        return;
    }
    let Some(reports) = session.rule_reports.as_mut().filter(|reports| reports.asked.is_none()) else {
        return;
    };
    let waiting = std::mem::take(&mut reports.waiting);
    let location = session.policy.as_ref();
    let Some((location, id)) = location.and_then(|location| Some((location, location.last_segment()?)))
    else {
        return;
    };
    if waiting.is_empty() {
        return;
    }
    let update = SmPolicyUpdateContextData {
        rule_reports: self::reports(&waiting),
        ..SmPolicyUpdateContextData::default()
    };
    let operation = UpdateSmPolicy { sm_policy_id: id, update };
    let target = Target::ApiRoot(location.api_root.clone());
    reports.asked = Some(core.out.insist(session.reference, target, &operation));
}
