//! Session management decisions: TS 29.512 §4.2, TS 23.503 §6.1.3.

use std::collections::BTreeMap;

use tern_sbi::common::SubscribedDefaultQos;
use tern_sbi::npcf_sm::{
    AuthorizedDefaultQos, FlowDirection, FlowInformation, PccRule, PolicyControlRequestTrigger, QosData,
    SessionRule, SmPolicyContextData, SmPolicyDecision, SmPolicyUpdateContextData, TrafficControlData,
};

use crate::Config;
use crate::config::{Rule, SessionPolicy};
use crate::flow::FlowDescription;

/// Identity of the session rule, and of the match-all PCC rule and its QoS.
pub const DEFAULT: &str = "default";

/// No optional feature of TS 29.512 is supported.
pub const SUPPORTED_FEATURES: &str = "0";

/// Precedence of the match-all rule: the last.
const PRECEDENCE_LAST: u32 = 255;

/// Decides a session; `categories` are the subscriber's for its slice and DNN.
pub fn decide(config: &Config, context: &SmPolicyContextData, categories: &[String]) -> SmPolicyDecision {
    let fits = |policy: &&SessionPolicy| {
        policy.when.fits_session(&context.supi, categories, context.slice_info, &context.dnn)
    };
    let none = SessionPolicy::default();
    let policy = config.sessions.iter().find(fits).unwrap_or(&none);
    let defaults = &config.session_defaults;
    let ambr = policy.session_ambr.or(context.subs_sess_ambr).unwrap_or(defaults.session_ambr);
    let qos: SubscribedDefaultQos = match (&policy.default_qos, &context.subs_def_qos) {
        (Some(qos), _) => qos.into(),
        (None, Some(subscribed)) => subscribed.clone(),
        (None, None) => (&defaults.qos).into(),
    };

    let mut decision = SmPolicyDecision {
        supp_feat: context.supp_feat.as_ref().map(|_| SUPPORTED_FEATURES.to_owned()),
        policy_ctrl_req_triggers: vec![
            PolicyControlRequestTrigger::SeAmbrCh,
            PolicyControlRequestTrigger::DefQosCh,
        ],
        ..SmPolicyDecision::default()
    };
    let session_rule = SessionRule {
        auth_sess_ambr: Some(ambr),
        auth_def_qos: Some(AuthorizedDefaultQos {
            five_qi: Some(qos.five_qi),
            arp: Some(qos.arp),
            priority_level: qos.priority_level,
            ..AuthorizedDefaultQos::default()
        }),
        ..SessionRule::new(DEFAULT.to_owned())
    };
    decision.sess_rules.insert(DEFAULT.to_owned(), Some(session_rule));
    // 5QI and ARP of the default flow bind a rule to it (TS 23.503 §6.1.3.2.4).
    let default_qos = QosData {
        five_qi: Some(qos.five_qi),
        arp: Some(qos.arp),
        priority_level: qos.priority_level,
        ..QosData::new(DEFAULT.to_owned())
    };
    for rule in &policy.rules {
        insert(&mut decision, rule, &default_qos);
    }
    let match_all = PccRule {
        precedence: Some(PRECEDENCE_LAST),
        flow_infos: vec![flow(&FlowDescription::match_all())],
        ref_qos_data: vec![DEFAULT.to_owned()],
        ..PccRule::new(DEFAULT.to_owned())
    };
    decision.pcc_rules.insert(DEFAULT.to_owned(), Some(match_all));
    decision.qos_decs.insert(DEFAULT.to_owned(), Some(default_qos));
    decision
}

/// Adds one of the operator's rules.
fn insert(decision: &mut SmPolicyDecision, rule: &Rule, default: &QosData) {
    let name = rule.name.clone();
    let qos = QosData {
        qos_id: name.clone(),
        five_qi: rule.five_qi.or(default.five_qi),
        arp: rule.arp.map(|arp| arp.0).or(default.arp),
        priority_level: default.priority_level.filter(|_| rule.five_qi.is_none()),
        maxbr_ul: rule.maximum.map(|rate| rate.uplink),
        maxbr_dl: rule.maximum.map(|rate| rate.downlink),
        gbr_ul: rule.guaranteed.map(|rate| rate.uplink),
        gbr_dl: rule.guaranteed.map(|rate| rate.downlink),
        ..QosData::new(name.clone())
    };
    let mut pcc_rule = PccRule {
        precedence: Some(rule.precedence.into()),
        flow_infos: rule.flows.iter().map(flow).collect(),
        ref_qos_data: vec![name.clone()],
        ..PccRule::new(name.clone())
    };
    if let Some(gate) = &rule.gate {
        let control =
            TrafficControlData { flow_status: Some(gate.clone()), ..TrafficControlData::new(name.clone()) };
        decision.traff_cont_decs.insert(name.clone(), Some(control));
        pcc_rule.ref_tc_data.push(name.clone());
    }
    decision.qos_decs.insert(name.clone(), Some(qos));
    decision.pcc_rules.insert(name, Some(pcc_rule));
}

fn flow(description: &FlowDescription) -> FlowInformation {
    FlowInformation {
        flow_description: Some(description.to_string()),
        flow_direction: Some(FlowDirection::Bidirectional),
        ..FlowInformation::default()
    }
}

/// Takes over what an update tells of the session.
pub fn apply(context: &mut SmPolicyContextData, update: SmPolicyUpdateContextData) {
    if update.rel_ipv4_address.is_some() && update.rel_ipv4_address == context.ipv4_address {
        context.ipv4_address = None;
    }
    macro_rules! take {
        ($($field:ident),+) => {$(
            if update.$field.is_some() {
                context.$field = update.$field;
            }
        )+};
    }
    take!(
        access_type,
        rat_type,
        serving_network,
        user_location_info,
        ue_time_zone,
        ipv4_address,
        subs_sess_ambr,
        auth_prof_index,
        subs_def_qos,
        num_of_pack_filter,
        ref_qos_indication,
        serv_nf_id
    );
}

/// What of `new` is not in `old`; what is gone is `None`, which removes it.
pub fn changes(old: &SmPolicyDecision, new: &SmPolicyDecision) -> SmPolicyDecision {
    let triggers = &new.policy_ctrl_req_triggers;
    SmPolicyDecision {
        policy_ctrl_req_triggers: if old.policy_ctrl_req_triggers == *triggers {
            Vec::new()
        } else {
            triggers.clone()
        },
        sess_rules: changed(&old.sess_rules, &new.sess_rules),
        pcc_rules: changed(&old.pcc_rules, &new.pcc_rules),
        qos_decs: changed(&old.qos_decs, &new.qos_decs),
        traff_cont_decs: changed(&old.traff_cont_decs, &new.traff_cont_decs),
        ..SmPolicyDecision::default()
    }
}

type ByName<T> = BTreeMap<String, Option<T>>;

fn changed<T: Clone + PartialEq>(old: &ByName<T>, new: &ByName<T>) -> ByName<T> {
    let fresh = new.iter().filter(|(name, value)| old.get(*name) != Some(*value));
    let fresh = fresh.map(|(name, value)| (name.clone(), value.clone()));
    let gone = old.keys().filter(|name| !new.contains_key(*name)).map(|name| (name.clone(), None));
    fresh.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use tern_sbi::common::PduSessionType;
    use tern_types::{Ambr, BitRate, PduSessionId, Snssai};

    use super::*;

    fn context(dnn: &str) -> SmPolicyContextData {
        SmPolicyContextData::new(
            "imsi-001010000000001".parse().unwrap(),
            PduSessionId::new(1).unwrap(),
            PduSessionType::Ipv4,
            dnn.parse().unwrap(),
            "http://smf/x".into(),
            Snssai::new(1, None),
        )
    }

    fn megabits(rate: u64) -> Ambr {
        Ambr { uplink: BitRate::from_bps(rate * 1_000_000), downlink: BitRate::from_bps(rate * 1_000_000) }
    }

    fn session_rule(decision: &SmPolicyDecision) -> &SessionRule {
        decision.sess_rules[DEFAULT].as_ref().unwrap()
    }

    #[test]
    fn when_no_policy_fits_then_the_session_gets_what_is_subscribed() {
        let subscribed = SmPolicyContextData { subs_sess_ambr: Some(megabits(7)), ..context("internet") };
        let decision = decide(&Config::default(), &subscribed, &[]);
        assert_eq!(session_rule(&decision).auth_sess_ambr, Some(megabits(7)));
        assert_eq!(session_rule(&decision).auth_def_qos.as_ref().unwrap().five_qi, Some(9));
        let rules: Vec<_> = decision.pcc_rules.values().flatten().collect();
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0].precedence, Some(255));
        assert_eq!(
            rules[0].flow_infos[0].flow_description.as_deref(),
            Some("permit out ip from any to assigned")
        );
        assert_eq!(decide(&Config::default(), &context("x"), &[]).supp_feat, None);
    }

    #[test]
    fn when_a_policy_fits_then_it_decides() {
        let config: Config = tern_config::Sample::sample().unwrap();
        let ims = decide(&config, &context("ims"), &[]);
        assert_eq!(session_rule(&ims).auth_def_qos.as_ref().unwrap().five_qi, Some(5));

        let internet = decide(&config, &context("Internet"), &[]);
        let call = internet.pcc_rules["video-call"].as_ref().unwrap();
        let qos = internet.qos_decs[&call.ref_qos_data[0]].as_ref().unwrap();
        assert_eq!((qos.five_qi, qos.gbr_dl), (Some(2), Some(BitRate::from_bps(2_000_000))));
        let telnet = internet.pcc_rules["no-telnet"].as_ref().unwrap();
        let control = internet.traff_cont_decs[&telnet.ref_tc_data[0]].as_ref().unwrap();
        assert_eq!(control.flow_status, Some(tern_sbi::npcf_sm::FlowStatus::Disabled));
    }

    #[test]
    fn an_update_tells_only_what_changed() {
        let config = Config::default();
        let mut context = context("internet");
        let old = decide(&config, &context, &[]);
        apply(
            &mut context,
            SmPolicyUpdateContextData { subs_sess_ambr: Some(megabits(3)), ..Default::default() },
        );
        let mut new = decide(&config, &context, &[]);
        new.pcc_rules.clear();
        let changes = changes(&old, &new);
        assert_eq!(session_rule(&changes).auth_sess_ambr, Some(megabits(3)));
        assert_eq!(changes.pcc_rules[DEFAULT], None);
        assert!(changes.qos_decs.is_empty() && changes.policy_ctrl_req_triggers.is_empty());
    }
}
