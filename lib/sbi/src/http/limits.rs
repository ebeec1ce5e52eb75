//! Limits and waiting times of HTTP.

use tern_types::Duration;

/// What one endpoint allows its peers, and how long it waits for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLimits {
    /// Octets of content, either way.
    pub content_max: usize,
    /// Octets of one header block, uncompressed as RFC 9113 §6.5.2 counts them.
    pub header_block_max: u32,
    /// Query parameters of one request.
    pub query_parameters_max: usize,
    /// Requests in progress on one connection.
    pub streams_max: u32,
    /// Streams that a peer may reset before we answered, waiting to be cleared.
    pub reset_streams_max: usize,
    /// Connections accepted in all.
    pub connections_max: usize,
    /// Connections accepted from one address.
    pub connections_per_peer_max: usize,
    /// Producers that connections are kept to.
    pub producers_max: usize,
    /// From accepting a connection to the end of the connection preface.
    pub preface_timeout: Duration,
    /// From the preface to the first request.
    pub first_request_timeout: Duration,
    /// Without any request.
    pub idle_timeout: Duration,
    /// From a request's header to the end of its content.
    pub content_timeout: Duration,
    /// Opening a connection.
    pub connect_timeout: Duration,
    /// A call that does not say how long it waits.
    pub call_timeout: Duration,
    /// Between two PINGs to a silent peer; as long again for the answer.
    pub ping_interval: Duration,
    /// Waiting for running requests when stopping.
    pub drain_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            content_max: 2 << 20,
            header_block_max: 16 << 10,
            query_parameters_max: 64,
            streams_max: 1024,
            reset_streams_max: 64,
            connections_max: 1024,
            connections_per_peer_max: 256,
            producers_max: 256,
            preface_timeout: Duration::from_secs(5),
            first_request_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(600),
            content_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(2),
            call_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(5),
        }
    }
}
