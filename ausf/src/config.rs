//! What an operator sets.

use serde::{Deserialize, Serialize};
use tern_config::Sample;
use tern_nf::SbiConfig;
use tern_types::PlmnId;

/// The AUSF's configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the service is offered, and the NRF.
    #[serde(default = "sbi")]
    pub sbi: SbiConfig,
    /// Serving networks that may authenticate our subscribers; empty: any.
    #[serde(default)]
    pub serving_networks: Vec<PlmnId>,
    /// Seconds from a challenge to the end of its context. T3560 runs out after 30 s
    /// (TS 24.501 Table 10.2.2).
    #[serde(default = "lifetime_s")]
    pub authentication_lifetime_s: u32,
    /// Most authentications within that time; more are refused with 503.
    #[serde(default = "authentications_max")]
    pub authentications_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sbi: sbi(),
            serving_networks: Vec::new(),
            authentication_lifetime_s: lifetime_s(),
            authentications_max: authentications_max(),
        }
    }
}

fn sbi() -> SbiConfig {
    SbiConfig::loopback(13)
}

fn lifetime_s() -> u32 {
    60
}

fn authentications_max() -> usize {
    100_000
}

impl Sample for Config {
    const SAMPLE: &'static str = "\
# AUSF: authenticates UEs for the AMF (TS 29.509).
sbi:
  address: 127.0.0.13
  port: 8080
  nrf: http://127.0.0.10:8080

# Serving networks that may authenticate our subscribers; empty: any.
# serving_networks:
#   - { mcc: \"001\", mnc: \"01\" }
serving_networks: []

# Seconds from a challenge to the end of its context.
authentication_lifetime_s: 60

# Most authentications within that time; more are refused with 503.
authentications_max: 100000
";
}
