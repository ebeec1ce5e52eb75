//! What a node is told about itself, and its limits.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use tern_pfcp::{CpFunctionFeatures, NodeId, RecoveryTimeStamp, UpFunctionFeatures};
use tern_types::{Duration, Instant};

/// Peers that a node remembers, associated or not.
pub const PEERS_MAX: usize = 1024;

/// Requests of ours that may await their answers.
pub const REQUESTS_MAX: usize = 65_536;

/// Answers of ours that are kept for duplicates of their requests; the oldest goes first.
pub const RESPONSES_MAX: usize = 65_536;

/// Who may set up an association with us.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Accept {
    /// Nobody.
    #[default]
    Nobody,
    /// Every node.
    Any,
    /// These addresses.
    Only(Vec<IpAddr>),
}

/// Configuration of a [`crate::Node`].
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Our node ID.
    pub node_id: NodeId,
    /// When this process started; a later value tells peers that our sessions are gone.
    pub recovery_time_stamp: RecoveryTimeStamp,
    /// Set by a CP function.
    pub cp_function_features: Option<CpFunctionFeatures>,
    /// Set by a UP function.
    pub up_function_features: Option<UpFunctionFeatures>,
    /// Who may set up an association.
    pub accept: Accept,
    /// Nodes to be associated with, always.
    pub associate: Vec<SocketAddr>,
    /// The port that requests go to at a peer which associated itself: 8805.
    pub peer_port: u16,
    /// T1: until a request is retransmitted.
    pub t1: Duration,
    /// N1: how often it is retransmitted.
    pub n1: u8,
    /// Time without a message of an associated peer after which it gets a heartbeat request.
    pub heartbeat_interval: Duration,
    /// Time between attempts to set up an association.
    pub association_retry: Duration,
    /// Associations that are asked for before are granted at this time. A recovery time stamp counts in
    /// seconds: who grants none within the second of its start never has two lives under one stamp.
    pub grants_from: Option<Instant>,
}

impl NodeConfig {
    /// The defaults: T1 of 1 s, N1 of 3, heartbeats after 10 s, associations tried every 2 s.
    pub fn new(node_id: NodeId, recovery_time_stamp: RecoveryTimeStamp) -> Self {
        Self {
            node_id,
            recovery_time_stamp,
            cp_function_features: None,
            up_function_features: None,
            accept: Accept::Nobody,
            associate: Vec::new(),
            peer_port: tern_pfcp::PORT,
            t1: Duration::from_secs(1),
            n1: 3,
            heartbeat_interval: Duration::from_secs(10),
            association_retry: Duration::from_secs(2),
            grants_from: None,
        }
    }
}
