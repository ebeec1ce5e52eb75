//! `nrf.yaml`.

use serde::{Deserialize, Serialize};
use tern_config::Sample;
use tern_nf::SbiConfig;
use tern_types::Duration;

/// The NRF's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where it serves.
    pub sbi: SbiConfig,
    /// Seconds between an NF's heartbeats, at least 1.
    pub heartbeat_seconds: u32,
    /// An NF is suspended when it has missed this many.
    pub heartbeats_missed_max: u32,
    /// A suspended NF is removed after this many seconds.
    pub removal_seconds: u32,
    /// Seconds for which a discovery answer may be kept.
    pub discovery_validity_seconds: u32,
    /// Longest validity of a subscription, seconds.
    pub subscription_validity_seconds: u32,
    /// NF instances registered at the same time.
    pub nf_instances_max: usize,
    /// Subscriptions at the same time.
    pub subscriptions_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sbi: SbiConfig { nrf: None, ..SbiConfig::loopback(10) },
            heartbeat_seconds: 10,
            heartbeats_missed_max: 3,
            removal_seconds: 600,
            discovery_validity_seconds: 60,
            subscription_validity_seconds: 86_400,
            nf_instances_max: 1024,
            subscriptions_max: 4096,
        }
    }
}

impl Config {
    /// Silence after which an NF is suspended.
    pub(crate) fn suspend_after(&self) -> Duration {
        let heartbeat = Duration::from_secs(self.heartbeat_seconds.max(1).into());
        // The last heartbeat may be late by half.
        heartbeat * self.heartbeats_missed_max.max(1) + heartbeat / 2
    }

    /// Silence after which it is removed.
    pub(crate) fn remove_after(&self) -> Duration {
        self.suspend_after() + Duration::from_secs(self.removal_seconds.into())
    }
}

impl Sample for Config {
    const SAMPLE: &'static str = "\
# The network repository function: where the others register and find one another.

sbi:
  # Address and TCP port to serve at.
  address: 127.0.0.10
  port: 8080
  # Connections accepted in all, and from one address.
  connections_max: 1024
  connections_per_peer_max: 256

# Seconds between an NF's heartbeats; suspended after so many are missed; removed after so
# many seconds more.
heartbeat_seconds: 10
heartbeats_missed_max: 3
removal_seconds: 600

# Seconds for which consumers keep a discovery answer.
discovery_validity_seconds: 60

# Longest validity of a subscription, in seconds.
subscription_validity_seconds: 86400

# Tables are bounded.
nf_instances_max: 1024
subscriptions_max: 4096
";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_the_default() {
        let mut sample = Config::sample().unwrap();
        sample.sbi.nrf = None;
        assert_eq!(sample, Config::default());
    }
}
