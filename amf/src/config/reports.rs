//! What gNBs are asked to report.

use serde::{Deserialize, Serialize};
use tern_types::Tac;

/// RRC_INACTIVE (TS 23.501 §5.4.6).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RrcInactiveConfig {
    /// Whether gNBs get Core Network Assistance Information, without which they keep no UE in RRC_INACTIVE.
    pub assistance: bool,
    /// Which RRC INACTIVE TRANSITION REPORTs they are asked for.
    pub reports: InactiveReports,
}

impl Default for RrcInactiveConfig {
    fn default() -> Self {
        Self { assistance: true, reports: InactiveReports::Each }
    }
}

/// RRC Inactive Transition Report Request (TS 38.413 §8.3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InactiveReports {
    /// None.
    Never,
    /// One, when the UE is in RRC_CONNECTED.
    Once,
    /// One for each change of the state.
    Each,
}

/// Location Reporting (TS 38.413 §8.12).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LocationReportingConfig {
    /// Whether gNBs report each change of a connected UE's cell.
    pub change_of_cell: bool,
    /// Areas of which gNBs report whether connected UEs are in them.
    pub areas_of_interest: Vec<AreaOfInterestConfig>,
}

/// An area of interest, in the network of the GUAMI.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AreaOfInterestConfig {
    /// Tracking area codes, six hexadecimal digits.
    pub tacs: Vec<Tac>,
}

impl LocationReportingConfig {
    /// Areas of interest at a gNB (maxnoofAoI).
    const AREAS_MAX: usize = 64;
    /// Tracking areas of one (maxnoofTAIinAoI).
    const TACS_MAX: usize = 16;

    pub(super) fn check(&self) -> Result<(), String> {
        let fits = |area: &AreaOfInterestConfig| (1..=Self::TACS_MAX).contains(&area.tacs.len());
        if self.areas_of_interest.len() > Self::AREAS_MAX || !self.areas_of_interest.iter().all(fits) {
            return Err("location_reporting: at most 64 areas_of_interest, each of 1 to 16 tacs".into());
        }
        Ok(())
    }
}
