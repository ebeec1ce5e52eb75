//! QoS flows that the access network does not admit, or does not keep: they are taken back from the UE and the UPF
//! (TS 23.502 §4.3.2.2.1, §4.3.3.2, §4.9.1), and the PCF is told of their rules (TS 29.512 §4.2.4).

use std::collections::BTreeSet;

use tern_ngap::DecodeError;
use tern_ngap::cause::{self, NgapCause};
use tern_ngap::ngap::CauseRadioNetwork;
use tern_ngap::transfer::{ModifyResponse, Notify};
use tern_sbi::npcf_sm::FailureCode;
use tern_types::Qfi;

use crate::cause::GsmCause;
use crate::context::{Granted, Next, PduSession, State};
use crate::core::Core;
use crate::gsm::modification::{self, Unanswered};
use crate::gsm::release;
use crate::io::Token;
use crate::policy_rules::{PolicyRules, RuleFailure};
use crate::sbi::pdu_session::{self, Updated};
use crate::sbi::{policy, rule_report};

/// The access network has not these flows, or has them as they were `before`. What it says of flows that there are
/// not, or of the default one, which ends with its session, is passed over.
pub fn refused(
    core: &mut Core<'_>,
    session: &mut PduSession,
    flows: &[(Qfi, NgapCause)],
    before: Option<(&Granted, Option<&PolicyRules>)>,
) {
    let Some(granted) = &session.granted else { return };
    let none = PolicyRules::default();
    let rules_before = before.and_then(|(_, rules)| rules).unwrap_or(&none);
    let mut rules = policy::taken(&mut session.policy_rules);
    let mut failures: Vec<RuleFailure> = Vec::new();
    let mut taken_back = Vec::new();
    for &(qfi, cause) in flows {
        let of = |granted: &Granted| granted.flows.iter().skip(1).find(|flow| flow.qfi == qfi).cloned();
        let Some(flow) = of(granted).filter(|_| !session.refused.contains(&qfi)) else { continue };
        let earlier = before.and_then(|(granted, _)| of(granted));
        let of_flow = flow.rules.iter().chain(earlier.iter().flat_map(|flow| &flow.rules));
        let of_flow: BTreeSet<&str> = of_flow.map(|rule| rule.name.as_str()).collect();
        let differing = rules.differing(rules_before).filter(|name| of_flow.contains(name));
        let differing: Vec<String> = differing.map(str::to_owned).collect();
        tracing::warn!(
            supi = %session.supi, session = %session.id, qfi = qfi.get(), ?cause, kept = earlier.is_some(),
            "QoS flow not admitted"
        );
        core.out.count("smf.qos.flow_refused");
        for rule in differing {
            rules.restore(&rule, rules_before);
            let active = rules.has(&rule);
            failures.push(RuleFailure { rule, code: FailureCode::ResAlloFail, active });
        }
        taken_back.push(qfi);
    }
    session.policy_rules = policy::kept(rules);
    session.refused.extend(taken_back);
    rule_report::add(core, session, failures);
}

/// Those of the flows that are not among the accepted ones, where a gNB names no others.
pub fn not_among(granted: Option<&Granted>, accepted: &[Qfi]) -> Vec<(Qfi, NgapCause)> {
    let cause = NgapCause::of(&cause::radio_network(CauseRadioNetwork::unspecified));
    let flows = granted.into_iter().flat_map(|granted| &granted.flows);
    flows.filter(|flow| !accepted.contains(&flow.qfi)).map(|flow| (flow.qfi, cause)).collect()
}

/// N2 SM information, and the answer to it: what cannot be read is refused.
fn read<T>(
    core: &mut Core<'_>,
    session: &PduSession,
    answer: Token,
    decoded: Result<T, DecodeError>,
) -> Option<T> {
    match decoded {
        Ok(content) => {
            pdu_session::update_answered(core, answer, Updated::default());
            Some(content)
        }
        Err(error) => {
            tracing::warn!(supi = %session.supi, session = %session.id, %error, "N2 SM information refused");
            pdu_session::update_refused(core, answer, 403, "N2_SM_ERROR", None);
            None
        }
    }
}

/// PDU_RES_MOD_RSP: flows may not be as they should (TS 38.413 §8.2.3.2).
pub fn on_modify_response(
    core: &mut Core<'_>,
    session: &mut PduSession,
    mut state: State,
    answer: Token,
    octets: &[u8],
) -> Next {
    let response = ModifyResponse::decode(octets);
    let Some(response) = read(core, session, answer, response) else { return Next::State(state) };
    let failed = &response.failed;
    match &mut state {
        State::ModificationPending(modification, _) => {
            modification.on_modify_response(core, session, failed);
        }
        State::Active(connection) => {
            let unanswered = connection.unanswered.take();
            let before = unanswered.as_ref().map(|u| (&u.before, u.rules.as_deref()));
            refused(core, session, failed, before);
            // The UPF may not have answered yet.
            let unanswered = unanswered.filter(|unanswered| unanswered.n4.is_some());
            connection.unanswered = unanswered.map(|u| Box::new(Unanswered { n2: false, ..*u }));
        }
        State::Inactive(_) | State::InactivePending(_) => {}
    }
    Next::State(state)
}

/// PDU_RES_NTY: flows that the gNB has released, or of which it cannot hold what is guaranteed (TS 38.413 §8.2.4).
pub fn on_notify(
    core: &mut Core<'_>,
    session: &mut PduSession,
    state: State,
    answer: Token,
    octets: &[u8],
) -> Next {
    let notify = Notify::decode(octets);
    let Some(notify) = read(core, session, answer, notify) else { return Next::State(state) };
    for (qfi, fulfilled) in &notify.notified {
        tracing::info!(supi = %session.supi, session = %session.id, qfi = qfi.get(), fulfilled, "guaranteed bit rate");
        core.out.count(if *fulfilled { "smf.qos.fulfilled" } else { "smf.qos.not_fulfilled" });
    }
    let default_qfi = session.granted.as_ref().map(Granted::default_qfi);
    match state {
        State::Active(connection) | State::ModificationPending(_, connection)
            if notify.released.iter().any(|&(qfi, _)| Some(qfi) == default_qfi) =>
        {
            // No session is without its default flow (TS 23.501 §5.7.1.1).
            connection.abandon(core);
            release::by_network(core, session, GsmCause::ReactivationRequested)
        }
        state => {
            refused(core, session, &notify.released, None);
            Next::State(state)
        }
    }
}

/// Once nothing else is under way, what was refused is taken back.
pub fn proceed(core: &mut Core<'_>, session: &mut PduSession, next: Next) -> Next {
    let Next::State(State::Active(connection)) = next else { return next };
    if connection.changing.is_some() {
        // The path is being switched: the AMF passes nothing on before it has its answer.
        return Next::State(State::Active(connection));
    }
    let refused = std::mem::take(&mut session.refused);
    let Some(mut after) = session.granted.clone().filter(|_| !refused.is_empty()) else {
        return Next::State(State::Active(connection));
    };
    let mut rules = policy::taken(&mut session.policy_rules);
    let failures = policy::rebind(&mut after, &mut rules, core.config.limits.rules_per_session_max);
    session.policy_rules = policy::kept(rules);
    rule_report::add(core, session, failures);
    modification::take_back(core, session, connection, after, &refused)
}
