//! Addresses, streams, timers and limits.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::error::SctpError;

/// SCTP destination port of NGAP (TS 38.412 §7).
pub const NGAP_PORT: u16 = 38412;
/// Payload protocol identifier of NGAP (TS 38.412 §7).
pub const NGAP_PPID: u32 = 60;
/// UDP port of encapsulated SCTP (RFC 6951 §8).
pub const UDP_PORT: u16 = 9899;

/// Most local or remote addresses of one association.
pub(crate) const ADDRESSES_MAX: usize = 8;

/// How many streams to offer and to accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    /// Outbound streams asked for; the peer may grant fewer.
    pub outbound: u16,
    /// Most inbound streams accepted.
    pub inbound_max: u16,
}

impl Default for Streams {
    fn default() -> Self {
        Self { outbound: 16, inbound_max: 64 }
    }
}

/// Protocol timers (RFC 9260 §16); the defaults notice a dead path in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// RTO.Initial.
    pub rto_initial: Duration,
    /// RTO.Min.
    pub rto_min: Duration,
    /// RTO.Max.
    pub rto_max: Duration,
    /// HB.interval.
    pub heartbeat: Duration,
    /// Path.Max.Retrans.
    pub path_retransmissions_max: u16,
    /// Association.Max.Retrans.
    pub association_retransmissions_max: u16,
    /// Max.Init.Retransmits.
    pub init_retransmissions_max: u16,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            rto_initial: Duration::from_millis(1000),
            rto_min: Duration::from_millis(300),
            rto_max: Duration::from_millis(5000),
            heartbeat: Duration::from_secs(10),
            path_retransmissions_max: 4,
            association_retransmissions_max: 8,
            init_retransmissions_max: 5,
        }
    }
}

/// Bounds on what a peer can make us hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Associations of one listener; one more is answered with ABORT.
    pub associations_max: usize,
    /// Of these, from one peer address.
    pub associations_per_peer_max: usize,
    /// Octets of one message, received or sent; a longer one received aborts.
    pub message_length_max: usize,
    /// Octets that may wait for the peer's acknowledgement.
    pub send_buffer: usize,
    /// Octets that may wait for `recv`: the window offered to the peer.
    pub receive_buffer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            associations_max: 2048,
            associations_per_peer_max: 64,
            message_length_max: 65_536,
            send_buffer: 1 << 20,
            receive_buffer: 1 << 19,
        }
    }
}

/// Where and how to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenOptions {
    /// Local addresses; name them: no address means the wildcard.
    pub addresses: Vec<IpAddr>,
    /// SCTP port.
    pub port: u16,
    /// Streams offered to each association.
    pub streams: Streams,
    /// Timers of each association.
    pub timers: Timers,
    /// Limits of the listener and of each association.
    pub limits: Limits,
}

impl ListenOptions {
    /// Listens at these addresses, all else at its default.
    pub fn new(addresses: Vec<IpAddr>, port: u16) -> Self {
        let (streams, timers, limits) = Default::default();
        Self { addresses, port, streams, timers, limits }
    }

    pub(crate) fn check(&self) -> Result<(), SctpError> {
        if self.addresses.len() > ADDRESSES_MAX {
            return Err(SctpError::Options("more than 8 local addresses"));
        }
        if self.port == 0 {
            return Err(SctpError::Options("a listener needs a port"));
        }
        check(self.streams, self.limits)
    }
}

/// Whom to connect, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectOptions {
    /// Local addresses; none takes those that the routes towards the peer use.
    pub local: Vec<IpAddr>,
    /// Local SCTP port; 0 lets the stack choose.
    pub local_port: u16,
    /// The peer's addresses, all with one port, tried in turn.
    pub remote: Vec<SocketAddr>,
    /// With UDP encapsulation, the peer's UDP port (RFC 6951 §5.1).
    pub remote_udp_port: u16,
    /// Streams offered.
    pub streams: Streams,
    /// Timers.
    pub timers: Timers,
    /// Limits; those on the number of associations do not apply.
    pub limits: Limits,
    /// Gives up after this, whatever the timers say.
    pub timeout: Duration,
}

impl ConnectOptions {
    /// Connects to these addresses, all else at its default.
    pub fn new(remote: Vec<SocketAddr>) -> Self {
        let (streams, timers, limits) = Default::default();
        Self {
            local: Vec::new(),
            local_port: 0,
            remote,
            remote_udp_port: UDP_PORT,
            streams,
            timers,
            limits,
            timeout: Duration::from_secs(10),
        }
    }

    pub(crate) fn check(&self) -> Result<SocketAddr, SctpError> {
        if self.local.len() > ADDRESSES_MAX || self.remote.len() > ADDRESSES_MAX {
            return Err(SctpError::Options("more than 8 addresses"));
        }
        let Some(first) = self.remote.first().copied() else {
            return Err(SctpError::Options("no remote address"));
        };
        if self.remote.iter().any(|address| address.port() != first.port()) {
            return Err(SctpError::Options("the peer's addresses share one port"));
        }
        check(self.streams, self.limits)?;
        Ok(first)
    }
}

fn check(streams: Streams, limits: Limits) -> Result<(), SctpError> {
    if streams.outbound == 0 || streams.inbound_max == 0 {
        return Err(SctpError::Options("an association has at least one stream each way"));
    }
    if limits.message_length_max == 0
        || limits.message_length_max > limits.send_buffer
        || limits.message_length_max > limits.receive_buffer
    {
        return Err(SctpError::Options("message_length_max must fit both buffers"));
    }
    Ok(())
}
