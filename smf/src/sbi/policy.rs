//! Npcf_SMPolicyControl, consumed (TS 29.512 §4.2), and what a decision means for a session.

use tern_nf::{Selection, Target};
use tern_sbi::common::{
    AccessType, NfType, PduSessionType, PlmnIdNid, RatType, ServiceName, SubscribedDefaultQos,
};
use tern_sbi::npcf_sm::{
    CreateSmPolicy, DeleteSmPolicy, FlowStatus, PccRule, SessionRule, SmPolicyContextData, SmPolicyDecision,
    SmPolicyDeleteData, SmPolicyUpdateNotify,
};
use tern_sbi::{Location, Operation as _, OperationError, Reply, TransportError};
use tern_types::{Ambr, Arp, BitRate};

use crate::cause::Refusal;
use crate::context::{Granted, PduSession};
use crate::core::Core;
use crate::gsm::NewPolicy;
use crate::io::Awaited;
use crate::qos::{self, FILTERS_PER_RULE_MAX, FlowFilter, ServiceRule};

/// Asks for an association.
pub fn create(core: &mut Core<'_>, session: &PduSession) -> Awaited<CreateSmPolicy> {
    let update = SmPolicyUpdateNotify::callback_path(&session.reference.to_string());
    let base = update.strip_suffix("/update").unwrap_or(&update);
    let context = SmPolicyContextData {
        access_type: Some(AccessType::ThreeGpp),
        rat_type: Some(RatType::Nr),
        serving_network: Some(PlmnIdNid::new(session.serving_network)),
        pei: session.pei.clone(),
        ipv4_address: session.granted.as_ref().map(|granted| granted.address),
        subs_sess_ambr: session.granted.as_ref().map(|granted| granted.ambr),
        subs_def_qos: session
            .granted
            .as_ref()
            .map(|granted| SubscribedDefaultQos::new(granted.five_qi, granted.arp)),
        smf_id: Some(core.identity.instance),
        ..SmPolicyContextData::new(
            session.supi.clone(),
            session.id,
            PduSessionType::Ipv4,
            session.dnn.clone(),
            format!("{}{base}", core.identity.api_root),
            session.snssai,
        )
    };
    let selection = Selection { supi: Some(session.supi.clone()), ..Selection::default() };
    let target = Target::selected(NfType::Pcf, ServiceName::NpcfSmpolicycontrol, selection);
    core.out.request(session.reference, target, &CreateSmPolicy { context })
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
    let max = core.config.limits.rules_per_session_max;
    if let Some(granted) = &mut session.granted {
        apply(granted, &response.body, max);
    }
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

/// What a later decision changes.
pub fn changed(decision: &SmPolicyDecision) -> NewPolicy {
    let rules = || decision.sess_rules.values().flatten();
    NewPolicy {
        ambr: rules().find_map(|rule| rule.auth_sess_ambr),
        five_qi: rules().find_map(|rule| rule.auth_def_qos.as_ref()?.five_qi),
    }
}

fn apply(granted: &mut Granted, decision: &SmPolicyDecision, rules_max: usize) {
    if let Some(rule) = decision.sess_rules.values().flatten().next() {
        apply_session_rule(granted, rule);
    }
    let default = (granted.five_qi, granted.arp);
    let mut rules = Vec::new();
    for rule in decision.pcc_rules.values().flatten() {
        if rules.len() >= rules_max {
            tracing::warn!(rule = rule.pcc_rule_id, rules_max, "PCC rule not enforced: too many");
            continue;
        }
        match service_rule(rule, decision, default) {
            Ok(Some(service)) => rules.push(service),
            Ok(None) => {}
            Err(error) => tracing::warn!(rule = rule.pcc_rule_id, error, "PCC rule not enforced"),
        }
    }
    granted.flows = qos::bind(default, rules);
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

/// A PCC rule as a service of a QoS flow; `None` for one that says no more than the default rule.
fn service_rule(
    rule: &PccRule,
    decision: &SmPolicyDecision,
    default: (u8, Arp),
) -> Result<Option<(u8, Arp, ServiceRule)>, String> {
    let qos = rule.ref_qos_data.iter().find_map(|id| decision.qos_decs.get(id)?.as_ref());
    let control = rule.ref_tc_data.iter().find_map(|id| decision.traff_cont_decs.get(id)?.as_ref());
    if qos.is_some_and(|qos| qos.gbr_ul.is_some() || qos.gbr_dl.is_some()) {
        return Err("guaranteed bit rates are not served".to_owned());
    }
    let filters = rule.flow_infos.iter().filter_map(|info| info.flow_description.as_deref());
    let filters = filters.map(str::parse).collect::<Result<Vec<FlowFilter>, _>>()?;
    if filters.is_empty() || filters.len() > FILTERS_PER_RULE_MAX {
        return Err(format!(
            "1 to {FILTERS_PER_RULE_MAX} flow descriptions expected, {} found",
            filters.len()
        ));
    }
    let mbr = qos.filter(|qos| qos.maxbr_ul.is_some() || qos.maxbr_dl.is_some()).map(|qos| Ambr {
        uplink: qos.maxbr_ul.unwrap_or(UNLIMITED),
        downlink: qos.maxbr_dl.unwrap_or(UNLIMITED),
    });
    let five_qi = qos.and_then(|qos| qos.five_qi).unwrap_or(default.0);
    let arp = qos.and_then(|qos| qos.arp).unwrap_or(default.1);
    let (uplink_open, downlink_open) = match control.and_then(|control| control.flow_status.as_ref()) {
        Some(FlowStatus::Disabled | FlowStatus::Removed) => (false, false),
        Some(FlowStatus::EnabledUplink) => (true, false),
        Some(FlowStatus::EnabledDownlink) => (false, true),
        _ => (true, true),
    };
    let plain = mbr.is_none() && uplink_open && downlink_open && (five_qi, arp) == default;
    if plain && filters.iter().any(FlowFilter::is_match_all) {
        return Ok(None);
    }
    let name = rule.pcc_rule_id.clone();
    let precedence = rule.precedence.unwrap_or(u32::MAX);
    Ok(Some((five_qi, arp, ServiceRule { name, precedence, filters, mbr, uplink_open, downlink_open })))
}

/// More than PFCP and any link can carry.
const UNLIMITED: BitRate = BitRate::from_bps(1_000_000_000_000);
