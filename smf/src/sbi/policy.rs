//! Npcf_SMPolicyControl, consumed (TS 29.512 §4.2), and what a decision means for a session.

use tern_nf::{Selection, Target};
use tern_sbi::common::{
    AccessType, NfType, PduSessionType, PlmnIdNid, RatType, ServiceName, SubscribedDefaultQos,
};
use tern_sbi::npcf_sm::{
    CreateSmPolicy, DeleteSmPolicy, SessionRule, SmPolicyContextData, SmPolicyDecision, SmPolicyDeleteData,
    SmPolicyUpdateNotify,
};
use tern_sbi::{Location, Operation as _, OperationError, Reply, TransportError};

use crate::binding::bind;
use crate::cause::Refusal;
use crate::context::{Granted, PduSession, SessionType};
use crate::core::Core;
use crate::io::Awaited;
use crate::policy_rules::{PolicyRules, RuleFailure};
use crate::sbi::rule_report;

/// Asks for an association.
pub fn create(core: &mut Core<'_>, session: &PduSession) -> Awaited<CreateSmPolicy> {
    let update = SmPolicyUpdateNotify::callback_path(&session.reference.to_string());
    let base = update.strip_suffix("/update").unwrap_or(&update);
    let context = SmPolicyContextData {
        access_type: Some(AccessType::ThreeGpp),
        rat_type: Some(RatType::Nr),
        serving_network: Some(PlmnIdNid::new(session.serving_network)),
        pei: session.pei.clone(),
        ipv4_address: session.granted.as_ref().and_then(|granted| granted.ipv4),
        ipv6_address_prefix: session.granted.as_ref().and_then(|granted| Some(granted.ipv6?.prefix_text())),
        subs_sess_ambr: session.granted.as_ref().map(|granted| granted.ambr),
        subs_def_qos: session
            .granted
            .as_ref()
            .map(|granted| SubscribedDefaultQos::new(granted.five_qi, granted.arp)),
        smf_id: Some(core.identity.instance),
        ..SmPolicyContextData::new(
            session.supi.clone(),
            session.id,
            session_type(session),
            session.dnn.clone(),
            format!("{}{base}", core.identity.api_root),
            session.snssai,
        )
    };
    let selection = Selection { supi: Some(session.supi.clone()), ..Selection::default() };
    let target = Target::selected(NfType::Pcf, ServiceName::NpcfSmpolicycontrol, selection);
    core.out.request(session.reference, target, &CreateSmPolicy { context })
}

fn session_type(session: &PduSession) -> PduSessionType {
    match session.granted.as_ref().map(Granted::session_type) {
        Some(SessionType::Ipv6) => PduSessionType::Ipv6,
        Some(SessionType::Ipv4v6) => PduSessionType::Ipv4v6,
        _ => PduSessionType::Ipv4,
    }
}

/// Takes the reply: the association, and what it changes of what the subscription grants.
///
/// Where no PCF is known the subscription alone holds: policy control is then not deployed
/// (TS 23.502 §4.3.2.2.1 step 7).
pub fn created(
    core: &mut Core<'_>,
    session: &mut PduSession,
    reply: Result<Reply, TransportError>,
) -> Result<(), Refusal> {
    let response = match reply.map_err(OperationError::from).and_then(CreateSmPolicy::from_reply) {
        Ok(response) => response,
        Err(OperationError::Transport(TransportError::NotDiscovered(_))) => {
            core.out.count("smf.policy.local");
            return Ok(());
        }
        Err(error) => {
            tracing::warn!(supi = %session.supi, session = %session.id, %error, "no policy");
            let refused = error.status().is_some_and(|status| (400..500).contains(&status));
            return Err(if refused { Refusal::Policy } else { Refusal::PolicyUnavailable });
        }
    };
    session.policy = response.location.as_deref().and_then(Location::parse);
    let Decided { granted, failures } =
        decided(session, &response.body, core.config.limits.rules_per_session_max);
    session.granted = granted.or_else(|| session.granted.take());
    // What fails of a decision that was asked for is reported afterwards (TS 29.512 §4.2.4).
    rule_report::add(core, session, failures);
    Ok(())
}

/// Ends the association, if there is one.
pub fn delete(core: &mut Core<'_>, session: &mut PduSession) -> Option<Awaited<DeleteSmPolicy>> {
    let location = session.policy.take()?;
    let sm_policy_id = location.last_segment()?;
    let data = SmPolicyDeleteData {
        serving_network: Some(PlmnIdNid::new(session.serving_network)),
        ..SmPolicyDeleteData::default()
    };
    let target = Target::ApiRoot(location.api_root);
    Some(core.out.insist(session.reference, target, &DeleteSmPolicy { sm_policy_id, data }))
}

/// What a decision changes of a session.
#[derive(Debug, Default)]
pub struct Decided {
    /// What the session is granted from now on; `None` if that stays.
    pub granted: Option<Granted>,
    /// Rules that are not enforced as they should be.
    pub failures: Vec<RuleFailure>,
}

/// Takes a decision over.
pub fn decided(session: &mut PduSession, decision: &SmPolicyDecision, max: usize) -> Decided {
    let Some(granted) = session.granted.as_ref() else { return Decided::default() };
    let mut after = granted.clone();
    for rule in decision.sess_rules.values().flatten() {
        apply_session_rule(&mut after, rule);
    }
    let mut rules = taken(&mut session.policy_rules);
    let mut failures = rules.take(decision, max);
    failures.extend(rebind(&mut after, &mut rules, max));
    let granted = (after != *granted).then_some(after);
    session.policy_rules = kept(rules);
    Decided { granted, failures }
}

/// Binds the flows of a session anew to its rules. Rules that cannot be bound are let go.
pub fn rebind(granted: &mut Granted, rules: &mut PolicyRules, max: usize) -> Vec<RuleFailure> {
    let default = (granted.five_qi, granted.arp);
    granted.flows = bind(default, rules.services(default, max), &granted.flows);
    rules.leave_out(default, &granted.flows)
}

/// The rules that a session kept, to be changed and [`kept`] again.
pub fn taken(rules: &mut Option<Box<PolicyRules>>) -> PolicyRules {
    rules.take().map_or_else(PolicyRules::default, |rules| *rules)
}

/// Rules as a session keeps them.
pub fn kept(rules: PolicyRules) -> Option<Box<PolicyRules>> {
    (!rules.is_default()).then(|| Box::new(rules))
}

fn apply_session_rule(granted: &mut Granted, rule: &SessionRule) {
    if let Some(ambr) = rule.auth_sess_ambr {
        granted.ambr = ambr;
    }
    if let Some(qos) = &rule.auth_def_qos {
        granted.five_qi = qos.five_qi.unwrap_or(granted.five_qi);
        granted.arp = qos.arp.unwrap_or(granted.arp);
    }
}
