//! The user plane: free functions over packets, rules that never change once published, counters.
//!
//! The PFCP core compiles a session's rules into a [`Session`] and publishes it to every worker.
//! Each worker has its own [`Tables`] and takes publications from its queue before each burst,
//! so looking a packet up takes no lock and touches no line that another thread writes, but
//! counters and rate meters of that session.

mod account;
mod backlog;
mod buffers;
pub(crate) mod checksum;
mod drops;
mod filter;
mod flow;
mod forward;
#[cfg(test)]
mod forwarding_tests;
mod ipv6;
#[cfg(test)]
mod ipv6_tests;
mod look;
mod lookup;
#[cfg(test)]
mod malformed;
mod meter;
mod metered;
mod more;
#[cfg(test)]
mod more_tests;
#[cfg(test)]
mod n9_tests;
mod near;
mod overload;
mod packet;
mod peer;
mod prefixes;
#[cfg(test)]
mod rates;
mod redirect_http;
mod session;
mod signalling;
mod straight;
#[cfg(test)]
mod straight_tests;
mod tables;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use account::{Account, Limits};
pub(crate) use backlog::Backlog;
pub(crate) use buffers::{Buffers, Room};
pub use drops::DropReason;
pub(crate) use drops::PathCounters;
pub(crate) use filter::{FilterError, sdf_filters};
#[cfg(test)]
pub(crate) use flow::{Ends, Flow};
pub(crate) use forward::Verdict;
#[cfg(test)]
pub(crate) use forward::{Context, Forwarded, process};
pub(crate) use look::Looks;
pub(crate) use lookup::{N3, Origin, Rules, SharedRules, network_instance};
#[cfg(test)]
pub(crate) use lookup::{downlink_key, tunnelled_key};
pub(crate) use meter::{Guarantee, Meter, Qer};
pub(crate) use metered::{Dropped, Metered};
pub(crate) use more::{Besides, COPIES_MAX, Copies, Copy, Marking, More, Redirect, Redirections};
pub use packet::{PACKET_MAX, Packet, Side};
pub use peer::{Peer, ReferencePoint};
pub(crate) use prefixes::Prefixes;
pub(crate) use redirect_http::response as http_redirection;
pub(crate) use session::{
    Action, Measured, Pdr, Places, QosFlow, REFERENCES_MAX, Rare, Remote, Session, SessionState, Towards,
    Tunnel, slot_of,
};
pub(crate) use signalling::Allowance;
pub(crate) use straight::Straight;
pub(crate) use tables::Tables;
pub use worker::Worker;
pub(crate) use worker::{WorkerConfig, clock_since};

use std::net::IpAddr;
use std::sync::Arc;

/// What the PFCP core tells the data path, in order.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// A session is new, or its rules have changed: then the one before goes.
    Publish {
        /// As it is from now on.
        session: Arc<Session>,
        /// As it was; it may have had other TEIDs and addresses.
        before: Option<Arc<Session>>,
    },
    /// A session is gone.
    Remove(Arc<Session>),
    /// Send an End Marker into a tunnel that is no longer used.
    EndMarker(Tunnel),
}

/// Events that may wait for the PFCP core.
pub(crate) const EVENTS_MAX: usize = 4_096;

/// What the data path tells the PFCP core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The first packet was buffered for a session whose FAR says NOCP.
    Buffered {
        /// Session endpoint.
        seid: u64,
        /// The PDR that it matched.
        pdr_id: u16,
        /// The QoS flow it belongs to.
        qfi: Option<u8>,
    },
    /// A URR has reached a threshold or its quota.
    UsageReached {
        /// Session endpoint.
        seid: u64,
        /// The URR.
        urr_id: u32,
        /// It was the quota.
        quota: bool,
    },
    /// The first packet came that a URR waits for.
    TrafficStarted {
        /// Session endpoint.
        seid: u64,
        /// The URR.
        urr_id: u32,
    },
    /// So much downlink traffic of a URR was dropped that it is to be told.
    TrafficDropped {
        /// Session endpoint.
        seid: u64,
        /// The URR.
        urr_id: u32,
    },
    /// A peer does not know a tunnel.
    ErrorIndication {
        /// The peer.
        peer: IpAddr,
        /// Its TEID.
        teid: u32,
    },
}

/// Where publications go: the worker threads, or nowhere in a simulation.
pub(crate) trait DataPath: Send {
    /// Takes a command; in force for every packet that arrives after this returns.
    fn apply(&self, command: Command);
}

/// A data path without packets.
pub(crate) struct NoDataPath;

impl DataPath for NoDataPath {
    fn apply(&self, _: Command) {}
}
