//! What an operator sets for N2.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tern_config::Sample;

/// N2: where it listens, and where `tern n2` and the AMF meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Local SCTP addresses; named, never the wildcard.
    pub addresses: Vec<IpAddr>,
    /// SCTP port.
    pub port: u16,
    /// SCTP backend: `auto`, `kernel`, `raw` or `udp:<port>`.
    pub sctp: tern_sctp::SctpMode,
    /// Local socket between `tern n2` and the AMF. In the AMF's configuration its absence means
    /// that N2 runs inside the AMF.
    pub bridge: Option<PathBuf>,
    /// Bounds.
    pub limits: Limits,
}

impl Sample for Config {
    const SAMPLE: &'static str = include_str!("../../n2.yaml");
}

impl Default for Config {
    fn default() -> Self {
        Self {
            addresses: vec![IpAddr::V4(Ipv4Addr::new(127, 0, 0, 16))],
            port: tern_ngap::PORT,
            sctp: tern_sctp::SctpMode::Auto,
            bridge: None,
            limits: Limits::default(),
        }
    }
}

/// Bounds: what gNBs can make N2 hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// SCTP associations; one more is aborted.
    pub associations: usize,
    /// Of these, from one address.
    pub associations_per_peer: usize,
    /// gNBs that have set up NG; one more gets NG SETUP FAILURE.
    pub gnbs: usize,
    /// Seconds for NG SETUP after the association is up; then it is aborted.
    pub setup_wait_s: u64,
    /// Octets of one NGAP message; a longer one aborts the association.
    pub pdu_octets: usize,
    /// Octets that may wait in the stack until a gNB acknowledges them, and as many before the stack
    /// takes them; beyond, it is aborted.
    pub send_octets: usize,
    /// Undecodable messages in a row; one more aborts the association.
    pub undecodable: u32,
    /// Tracking areas of a gNB; the specification allows 256.
    pub tracking_areas: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            associations: 2048,
            associations_per_peer: 64,
            gnbs: 1024,
            setup_wait_s: 30,
            pdu_octets: 65_536,
            send_octets: 1 << 20,
            undecodable: 64,
            tracking_areas: 256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_has_every_default_and_the_bridge_that_is_needed() {
        let sample = Config::sample().unwrap();
        assert!(sample.bridge.is_some());
        assert_eq!(Config { bridge: None, ..sample }, Config::default());
    }
}
