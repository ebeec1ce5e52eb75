//! `udr.yaml`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tern_nf::SbiConfig;
use tern_store::Durability;

/// Configuration of the UDR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the service is offered, and the NRF.
    pub sbi: SbiConfig,
    /// The file that holds the subscribers.
    #[serde(default = "default_store")]
    pub store: PathBuf,
    /// What an acknowledged write survives.
    #[serde(default)]
    pub durability: Durability,
    /// Whether `tern subscriber` may administer subscribers over the SBI address.
    #[serde(default = "yes")]
    pub administration: bool,
}

impl tern_config::Sample for Config {
    const SAMPLE: &'static str = "\
# UDR: Nudr_DataRepository. Every line that is not marked is the default.

sbi:
  # Where the service is offered (needed).
  address: 127.0.0.11
  port: 8080
  # apiRoot of the NRF.
  nrf: http://127.0.0.10:8080

# The file that holds subscribers, registrations and authentication sequence numbers.
store: tern-data/udr.redb

# What an acknowledged write survives: process (SIGKILL) or machine (loss of power).
durability: process

# Whether `tern subscriber` may administer subscribers over the SBI address.
administration: true
";
}

fn default_store() -> PathBuf {
    PathBuf::from("tern-data/udr.redb")
}

fn yes() -> bool {
    true
}
