//! How the SBI of a process travels.

use std::net::IpAddr;
use std::path::PathBuf;

use sbi_shm::Waiting;
use serde::{Deserialize, Serialize};

use crate::http::HttpLimits;

/// `sbi.transport`: what requests travel by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportChoice {
    /// Shared memory to peers on this node, TCP to others.
    #[default]
    Auto,
    /// Shared memory alone: nothing is sent or accepted over a network.
    Shm,
    /// TCP alone.
    Tcp,
}

/// `sbi.codec`: what is spoken through shared memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Typed messages where both ends are of one build, else HTTP/2.
    #[default]
    Auto,
    /// HTTP/2 and JSON, as over TCP.
    Http2,
}

/// `sbi.connections`: whose connections through shared memory are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Connections {
    /// One to each producer, which all requests share.
    #[default]
    Multiplexed,
    /// One for each user session; beyond a number, they share one.
    Session,
}

/// What a [`Hybrid`](super::Hybrid) is made of.
#[derive(Debug, Clone)]
pub struct HybridOptions {
    /// What requests travel by.
    pub transport: TransportChoice,
    /// What is spoken through shared memory.
    pub codec: Codec,
    /// Whose connections are.
    pub connections: Connections,
    /// The manager's socket: a path, or an abstract name behind an `@`.
    pub manager: String,
    /// How the process waits for its peers.
    pub waiting: Waiting,
    /// NF type in `User-Agent`, and in the manager's list.
    pub user_agent: String,
    /// Address that requests are sent from.
    pub source: Option<IpAddr>,
    /// Limits, of HTTP and of what stands for it.
    pub limits: HttpLimits,
    /// Directory of a tap: what goes through shared memory is kept there, for captures.
    pub tap: Option<PathBuf>,
}

impl HybridOptions {
    /// With the defaults.
    pub fn new(manager: impl Into<String>, user_agent: impl Into<String>) -> Self {
        Self {
            transport: TransportChoice::default(),
            codec: Codec::default(),
            connections: Connections::default(),
            manager: manager.into(),
            waiting: Waiting::default(),
            user_agent: user_agent.into(),
            source: None,
            limits: HttpLimits::default(),
            tap: None,
        }
    }
}
