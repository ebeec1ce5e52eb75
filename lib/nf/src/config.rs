//! The part of a configuration that all network functions have.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

use tern_sbi_transport::{Codec, Connections, HttpLimits, HybridOptions, TransportChoice};

/// The port of the service-based interface.
pub const SBI_PORT: u16 = 8080;

/// `sbi:` of a network function's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SbiConfig {
    /// Address to serve at, and to send requests from.
    pub address: IpAddr,
    /// TCP port to serve at.
    #[serde(default = "sbi_port")]
    pub port: u16,
    /// apiRoot of the NRF, such as `http://127.0.0.10:8080`; none only in the NRF itself.
    #[serde(default = "nrf", skip_serializing_if = "Option::is_none")]
    pub nrf: Option<String>,
    /// What others call this NF by, if not `address` and `port`: such as
    /// `http://amf.example:80`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertise: Option<String>,
    /// This NF's identity; kept in its store, or random, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nf_instance_id: Option<uuid::Uuid>,
    /// Connections accepted in all.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// Connections accepted from one address.
    #[serde(default = "connections_per_peer_max")]
    pub connections_per_peer_max: usize,
    /// What requests travel by: shared memory to peers on this node and TCP to others, or one of
    /// the two alone.
    #[serde(default)]
    pub transport: TransportChoice,
    /// What is spoken through shared memory: typed messages where both ends are of one build, or
    /// HTTP/2 always.
    #[serde(default)]
    pub codec: Codec,
    /// Whether requests through shared memory share one connection to each producer, or each user
    /// session has its own.
    #[serde(default)]
    pub connections: Connections,
    /// Socket of the manager of shared memory: a path, or an abstract name behind an `@`. If not
    /// given, the one of the core with this NRF ([`manager_of`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// Directory where what goes through shared memory is kept for captures. It holds keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tap: Option<PathBuf>,
}

/// The manager's socket of the core whose NRF has this apiRoot: an abstract name, which belongs to
/// the network namespace as the addresses do.
pub fn manager_of(nrf: &str) -> String {
    format!("@tern-manager-{}", nrf.trim_start_matches("http://"))
}

fn sbi_port() -> u16 {
    SBI_PORT
}

fn nrf() -> Option<String> {
    Some(format!("http://127.0.0.10:{SBI_PORT}"))
}

fn connections_max() -> usize {
    HttpLimits::default().connections_max
}

fn connections_per_peer_max() -> usize {
    HttpLimits::default().connections_per_peer_max
}

impl SbiConfig {
    /// At 127.0.0.`last` with all defaults.
    pub fn loopback(last: u8) -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)),
            port: SBI_PORT,
            nrf: nrf(),
            advertise: None,
            nf_instance_id: None,
            connections_max: connections_max(),
            connections_per_peer_max: connections_per_peer_max(),
            transport: TransportChoice::default(),
            codec: Codec::default(),
            connections: Connections::default(),
            manager: None,
            tap: None,
        }
    }

    /// How requests travel, for a network function of this type.
    pub fn hybrid(&self, user_agent: &str) -> HybridOptions {
        let nrf = self.nrf.clone().unwrap_or_else(|| self.api_root());
        HybridOptions {
            transport: self.transport,
            codec: self.codec,
            connections: self.connections,
            source: Some(self.address),
            limits: self.limits(),
            tap: self.tap.clone(),
            ..HybridOptions::new(self.manager.clone().unwrap_or_else(|| manager_of(&nrf)), user_agent)
        }
    }

    /// Where to serve.
    pub fn at(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// What others call this NF by.
    pub fn api_root(&self) -> String {
        self.advertise.clone().unwrap_or_else(|| format!("http://{}", self.at()))
    }

    /// The limits of HTTP.
    pub fn limits(&self) -> HttpLimits {
        HttpLimits {
            connections_max: self.connections_max,
            connections_per_peer_max: self.connections_per_peer_max,
            ..HttpLimits::default()
        }
    }
}
