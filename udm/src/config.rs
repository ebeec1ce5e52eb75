//! What an operator sets.

use serde::{Deserialize, Serialize};
use tern_config::Sample;
use tern_nf::SbiConfig;
use tern_types::PlmnId;

use crate::suci::HomeNetworkKey;

/// The UDM's configuration file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the services are offered, and the NRF.
    #[serde(default = "sbi")]
    pub sbi: SbiConfig,
    /// The home network: whose subscription data is meant where a consumer names no PLMN.
    #[serde(default = "plmn")]
    pub plmn: PlmnId,
    /// Private keys for SUCIs of profile A and B.
    #[serde(default)]
    pub home_network_keys: Vec<HomeNetworkKey>,
    /// Whether SUCIs of the null scheme are taken: the SUPI in clear.
    #[serde(default = "null_scheme")]
    pub null_scheme: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { sbi: sbi(), plmn: plmn(), home_network_keys: Vec::new(), null_scheme: null_scheme() }
    }
}

fn sbi() -> SbiConfig {
    SbiConfig::loopback(12)
}

fn plmn() -> PlmnId {
    PlmnId::new("001", "01").expect("invariant: the test network is a PLMN")
}

fn null_scheme() -> bool {
    true
}

impl Sample for Config {
    const SAMPLE: &'static str = "\
# UDM: subscription data, authentication vectors and registrations (TS 29.503).
sbi:
  address: 127.0.0.12
  port: 8080
  nrf: http://127.0.0.10:8080

# The home network.
plmn: { mcc: \"001\", mnc: \"01\" }

# Private keys for concealed SUPIs, by the identifier that the USIMs hold:
# scheme A is X25519, B is secp256r1; 32 octets in hexadecimal digits.
# home_network_keys:
#   - { id: 1, scheme: A, private_key: \"c53c…\" }
home_network_keys: []

# Whether a SUPI may come in clear (null scheme).
null_scheme: true
";
}
