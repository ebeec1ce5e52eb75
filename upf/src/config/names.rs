//! What rules of SMFs refer to by name: `predefined_rules:`, `applications:`, `pfd:`.

use serde::{Deserialize, Serialize};

use super::Config;
use crate::path::sdf_filters;

/// Of one kind in a configuration.
const NAMES_MAX: usize = 4_096;

/// One of `predefined_rules:`: a rule that an SMF activates by its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredefinedRule {
    /// Its name.
    pub name: String,
    /// Flow descriptions, of which one must match; none if the PDR that activates it says enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flows: Vec<String>,
    /// The application to detect, in the place of `flows`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// No packet passes.
    #[serde(default)]
    pub closed: bool,
    /// The QoS flow of downlink packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qfi: Option<u8>,
    /// Maximum bit rates of a session's packets that match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mbr_kbps: Option<RatesKbps>,
    /// What becomes of the packets if the PDR names no FAR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<PredefinedAction>,
}

/// Bit rates in kilobits a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatesKbps {
    /// From UEs.
    pub uplink: u64,
    /// To UEs.
    pub downlink: u64,
}

/// What a predefined rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PredefinedAction {
    /// Drop.
    Drop,
    /// Uplink packets go to the session's data network. Where downlink packets go, only a FAR can say.
    Forward,
}

/// One of `applications:`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplicationConfig {
    /// Its name.
    pub id: String,
    /// Flow descriptions, of which one must match.
    pub flows: Vec<String>,
}

/// `pfd:`, the limits of PFD management.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PfdConfig {
    /// Applications.
    #[serde(default = "default_applications_max")]
    pub applications_max: usize,
    /// Descriptions of one application.
    #[serde(default = "default_descriptions_max")]
    pub descriptions_max: usize,
}

impl Default for PfdConfig {
    fn default() -> Self {
        Self { applications_max: default_applications_max(), descriptions_max: default_descriptions_max() }
    }
}

fn default_applications_max() -> usize {
    1_024
}

fn default_descriptions_max() -> usize {
    64
}

pub(super) fn validate(config: &Config) -> anyhow::Result<()> {
    let rules: Vec<&str> = config.predefined_rules.iter().map(|rule| rule.name.as_str()).collect();
    let applications: Vec<&str> = config.applications.iter().map(|it| it.id.as_str()).collect();
    unique("predefined_rules", &rules)?;
    unique("applications", &applications)?;
    for rule in &config.predefined_rules {
        let name = &rule.name;
        flows(&format!("predefined_rules: {name}"), &rule.flows)?;
        anyhow::ensure!(
            rule.flows.is_empty() || rule.application.is_none(),
            "predefined_rules: {name}: expected flows or an application, not both"
        );
        anyhow::ensure!(
            rule.qfi.is_none_or(|qfi| qfi < 64),
            "predefined_rules: {name}: expected a QFI of 0 to 63, got {}",
            rule.qfi.unwrap_or_default()
        );
    }
    for application in &config.applications {
        flows(&format!("applications: {}", application.id), &application.flows)?;
    }
    Ok(())
}

fn unique(field: &str, names: &[&str]) -> anyhow::Result<()> {
    anyhow::ensure!(names.len() <= NAMES_MAX, "{field}: expected at most {NAMES_MAX}, got {}", names.len());
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        anyhow::ensure!(!name.is_empty(), "{field}: expected a name, got nothing");
        anyhow::ensure!(seen.insert(name), "{field}: {name} is there twice");
    }
    Ok(())
}

fn flows(field: &str, flows: &[String]) -> anyhow::Result<()> {
    for flow in flows {
        let read = sdf_filters(&tern_pfcp::SdfFilter::flow(flow), false, &[]);
        anyhow::ensure!(
            read.is_ok(),
            "{field}: expected a flow description like \"permit out 17 from 203.0.113.0/24 53 to assigned\", got {flow:?}"
        );
    }
    Ok(())
}
