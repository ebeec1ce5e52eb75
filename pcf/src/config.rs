//! Configuration: the operator's policies.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tern_config::Sample;
use tern_nf::SbiConfig;
use tern_sbi::common::{RFSP_INDICES, RestrictionType, SubscribedDefaultQos};
use tern_sbi::npcf_sm::FlowStatus;
use tern_types::{Ambr, Arp, BitRate, Dnn, PreemptionCapability, PreemptionVulnerability, Snssai, Supi, Tac};

use crate::flow::FlowDescription;

/// Rules that one session policy may have.
pub const RULES_MAX: usize = 32;
/// Packet filters that one rule may have (TS 24.501 §9.11.4.13: 4 bits count them).
pub const FLOWS_MAX: usize = 15;

/// The PCF's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where it serves, and its NRF.
    pub sbi: SbiConfig,
    /// AM policy associations, and SM policy associations, held at most.
    pub associations_max: usize,
    /// Access and mobility policies; the first that fits decides. None: as subscribed.
    pub access: Vec<AccessPolicy>,
    /// What a session gets that neither its subscription nor a policy tells.
    pub session_defaults: SessionDefaults,
    /// Session policies; the first that fits decides. None: as subscribed.
    pub sessions: Vec<SessionPolicy>,
}

impl Sample for Config {
    const SAMPLE: &'static str = include_str!("../sample.yaml");
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sbi: SbiConfig::loopback(14),
            associations_max: 100_000,
            access: Vec::new(),
            session_defaults: SessionDefaults::default(),
            sessions: Vec::new(),
        }
    }
}

/// Whom a policy is for; what is not given fits all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Condition {
    /// One of these subscribers …
    pub supis: Vec<Supi>,
    /// … or one whose IMSI begins with one of these digits.
    pub imsi_prefixes: Vec<String>,
    /// One of these subscriber categories of the UDR's policy data (`subscCats`).
    pub categories: Vec<String>,
    /// This slice; sessions only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice: Option<Snssai>,
    /// This data network; sessions only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dnn: Option<Dnn>,
}

impl Condition {
    /// Whether the subscriber is meant.
    pub fn fits(&self, supi: &Supi, categories: &[String]) -> bool {
        let named = self.supis.is_empty() && self.imsi_prefixes.is_empty()
            || self.supis.contains(supi)
            || self.imsi_prefixes.iter().any(|prefix| supi.imsi().starts_with(prefix));
        let categorised =
            self.categories.is_empty() || self.categories.iter().any(|own| categories.contains(own));
        named && categorised
    }

    /// Whether the subscriber's session is meant.
    pub fn fits_session(&self, supi: &Supi, categories: &[String], slice: Snssai, dnn: &Dnn) -> bool {
        self.fits(supi, categories)
            && self.slice.is_none_or(|own| own == slice)
            && self.dnn.as_ref().is_none_or(|own| own == dnn)
    }
}

/// An access and mobility policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessPolicy {
    /// Whom it is for.
    pub when: Condition,
    /// Index to RAT/frequency selection priority, 1 to 256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rfsp: Option<u16>,
    /// UE-AMBR in place of the subscribed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ue_ambr: Option<Ambr>,
    /// Where the UE has service, or has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_area: Option<ServiceArea>,
}

/// A service area restriction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceArea {
    /// `ALLOWED_AREAS` or `NOT_ALLOWED_AREAS`.
    pub restriction: RestrictionType,
    /// Tracking area codes.
    pub tacs: Vec<Tac>,
}

/// What a session gets by default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionDefaults {
    /// Session-AMBR.
    pub session_ambr: Ambr,
    /// 5QI and ARP of the default QoS flow.
    pub qos: Qos,
}

impl Default for SessionDefaults {
    fn default() -> Self {
        let gigabit = BitRate::from_bps(1_000_000_000);
        let arp = Arp {
            priority_level: 8,
            preempt_cap: PreemptionCapability::NotPreempt,
            preempt_vuln: PreemptionVulnerability::Preemptable,
        };
        Self {
            session_ambr: Ambr { uplink: gigabit, downlink: gigabit },
            qos: Qos { five_qi: 9, arp: ArpConfig(arp), priority_level: None },
        }
    }
}

/// QoS of the default flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Qos {
    /// 5QI.
    pub five_qi: u8,
    /// Allocation and retention priority.
    pub arp: ArpConfig,
    /// In place of the 5QI's own priority level, 1 to 127.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_level: Option<u8>,
}

impl From<&Qos> for SubscribedDefaultQos {
    fn from(qos: &Qos) -> Self {
        Self { priority_level: qos.priority_level, ..Self::new(qos.five_qi, qos.arp.0) }
    }
}

/// ARP in the spelling of configuration files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ArpFields", into = "ArpFields")]
pub struct ArpConfig(pub Arp);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArpFields {
    priority_level: u8,
    #[serde(default)]
    may_preempt: bool,
    #[serde(default = "yes")]
    preemptable: bool,
}

fn yes() -> bool {
    true
}

impl From<ArpFields> for ArpConfig {
    fn from(fields: ArpFields) -> Self {
        use {PreemptionCapability as Capability, PreemptionVulnerability as Vulnerability};
        let may = if fields.may_preempt { Capability::MayPreempt } else { Capability::NotPreempt };
        let vulnerable =
            if fields.preemptable { Vulnerability::Preemptable } else { Vulnerability::NotPreemptable };
        Self(Arp { priority_level: fields.priority_level, preempt_cap: may, preempt_vuln: vulnerable })
    }
}

impl From<ArpConfig> for ArpFields {
    fn from(ArpConfig(arp): ArpConfig) -> Self {
        Self {
            priority_level: arp.priority_level,
            may_preempt: arp.preempt_cap == PreemptionCapability::MayPreempt,
            preemptable: arp.preempt_vuln == PreemptionVulnerability::Preemptable,
        }
    }
}

/// A session policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionPolicy {
    /// Which sessions it is for.
    pub when: Condition,
    /// Session-AMBR in place of the subscribed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_ambr: Option<Ambr>,
    /// Default QoS in place of the subscribed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_qos: Option<Qos>,
    /// PCC rules before the match-all rule.
    pub rules: Vec<Rule>,
}

/// A PCC rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its identity in the session.
    pub name: String,
    /// The lower, the earlier it is tried; 0 to 254.
    pub precedence: u8,
    /// Packet filters, such as `permit out udp from 192.0.2.0/24 to assigned 5060`.
    pub flows: Vec<FlowDescription>,
    /// 5QI, if not the default flow's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub five_qi: Option<u8>,
    /// ARP, if not the default flow's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arp: Option<ArpConfig>,
    /// Maximum bit rates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Ambr>,
    /// Guaranteed bit rates, for a GBR 5QI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guaranteed: Option<Ambr>,
    /// `ENABLED` (as if not given), `DISABLED`, `ENABLED-UPLINK` or `ENABLED-DOWNLINK`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<FlowStatus>,
}

/// Standardised 5QIs of a guaranteed bit rate (TS 23.501 Table 5.7.4-1).
fn is_gbr(five_qi: u8) -> bool {
    matches!(five_qi, 1..=4 | 65..=67 | 71..=76 | 82..=90)
}

impl Config {
    /// What the types do not say; the error names field and expectation.
    pub fn check(&self) -> Result<(), String> {
        let defaults = &self.session_defaults.qos;
        check_qos(defaults.five_qi, Some(defaults.arp)).map_err(|e| format!("session_defaults.qos: {e}"))?;
        for (index, policy) in self.access.iter().enumerate() {
            if policy.rfsp.is_some_and(|rfsp| !RFSP_INDICES.contains(&rfsp)) {
                return Err(format!("access[{index}].rfsp: expected 1 to 256"));
            }
            if policy.when.slice.is_some() || policy.when.dnn.is_some() {
                return Err(format!("access[{index}].when: slice and dnn are for sessions only"));
            }
        }
        for (index, policy) in self.sessions.iter().enumerate() {
            policy.check().map_err(|error| format!("sessions[{index}].{error}"))?;
        }
        Ok(())
    }

    /// Whether any access policy asks for categories.
    pub fn access_needs_categories(&self) -> bool {
        self.access.iter().any(|policy| !policy.when.categories.is_empty())
    }

    /// Whether any session policy asks for categories.
    pub fn sessions_need_categories(&self) -> bool {
        self.sessions.iter().any(|policy| !policy.when.categories.is_empty())
    }
}

impl SessionPolicy {
    fn check(&self) -> Result<(), String> {
        if let Some(qos) = &self.default_qos {
            check_qos(qos.five_qi, Some(qos.arp)).map_err(|error| format!("default_qos: {error}"))?;
            if is_gbr(qos.five_qi) {
                return Err("default_qos.five_qi: expected a non-GBR 5QI".to_owned());
            }
        }
        if self.rules.len() > RULES_MAX {
            return Err(format!("rules: expected at most {RULES_MAX}"));
        }
        let mut names = BTreeSet::from([crate::session::DEFAULT]);
        let mut precedences = BTreeSet::from([u8::MAX]);
        for (index, rule) in self.rules.iter().enumerate() {
            let wrong = |field: &str, what: &str| Err(format!("rules[{index}].{field}: expected {what}"));
            if !names.insert(&rule.name) {
                return wrong("name", "a name that no other rule of the session has");
            }
            if !precedences.insert(rule.precedence) {
                return wrong("precedence", "0 to 254, and no other rule's");
            }
            if rule.flows.is_empty() || rule.flows.len() > FLOWS_MAX {
                return wrong("flows", &format!("1 to {FLOWS_MAX} packet filters"));
            }
            if let Err(error) = check_qos(rule.five_qi.unwrap_or(9), rule.arp) {
                return wrong("arp or five_qi", &error);
            }
            if rule.five_qi.is_some_and(is_gbr) != rule.guaranteed.is_some() {
                return wrong("guaranteed", "bit rates with a GBR 5QI, and with none else");
            }
            if rule.guaranteed.is_some() && rule.maximum.is_none() {
                return wrong("maximum", "bit rates beside the guaranteed ones");
            }
        }
        Ok(())
    }
}

fn check_qos(five_qi: u8, arp: Option<ArpConfig>) -> Result<(), String> {
    if five_qi == 0 {
        return Err("five_qi from 1".to_owned());
    }
    match arp {
        Some(ArpConfig(arp)) if !(1..=15).contains(&arp.priority_level) => {
            Err("arp.priority_level from 1 to 15".to_owned())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_read_and_means_something() {
        let config: Config = Config::sample().unwrap();
        config.check().unwrap();
        assert_eq!(config.sbi, Config::default().sbi);
        assert_eq!((config.access.len(), config.sessions.len()), (1, 2));
        let printed = tern_config::print(&config);
        assert_eq!(tern_config::parse::<Config>("printed", &printed).unwrap(), config);
    }

    #[test]
    fn contradictions_are_named() {
        let check = |text: &str| tern_config::parse::<Config>("x", text).unwrap().check().unwrap_err();
        let rule = |fields: &str| {
            let flows = "flows: [permit out ip from any to assigned]";
            format!("sessions:\n  - rules:\n      - {{ name: a, precedence: 1, {flows}{fields} }}\n")
        };
        assert!(check(&rule(", five_qi: 1")).contains("sessions[0].rules[0].guaranteed"));
        assert!(check("access:\n  - rfsp: 300\n").contains("access[0].rfsp"));
        assert!(check("access:\n  - when: { dnn: ims }\n").contains("access[0].when"));
        let text = rule(", flow: 1");
        assert!(tern_config::parse::<Config>("x", &text).unwrap_err().to_string().contains("flow"));
    }
}
