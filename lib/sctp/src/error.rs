//! What can go wrong, apart by who must act.

use std::net::SocketAddr;

use thiserror::Error;

/// An association or a listener could not be made.
#[derive(Debug, Error)]
pub enum SctpError {
    /// The peer answered INIT with ABORT, or nothing listens there.
    #[error("{peer} refused the association")]
    Refused {
        /// The address tried first.
        peer: SocketAddr,
    },
    /// The peer never answered.
    #[error("{peer} did not answer")]
    TimedOut {
        /// The address tried first.
        peer: SocketAddr,
    },
    /// A local address that this host does not have, or that is in use.
    #[error("cannot bind {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the stack said.
        source: std::io::Error,
    },
    /// Options that no backend can serve.
    #[error("wrong options: {0}")]
    Options(&'static str),
    /// This backend cannot run here; the text says why.
    #[error("{backend} SCTP is not available: {why}")]
    Unavailable {
        /// The backend's name.
        backend: &'static str,
        /// The reason.
        why: String,
    },
    /// The listener or the backend was closed.
    #[error("closed")]
    Closed,
    /// Any other failure of a system call.
    #[error("{call}: {source}")]
    Io {
        /// The call that failed.
        call: &'static str,
        /// What it said.
        source: std::io::Error,
    },
}

impl SctpError {
    pub(crate) fn last_os(call: &'static str) -> Self {
        Self::Io { call, source: std::io::Error::last_os_error() }
    }
}

/// A message was not taken for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// The send buffer is full: the peer or the path is slow.
    #[error("the send buffer is full")]
    Full,
    /// Longer than this association's limit, or empty.
    #[error("a message of {length} octets; 1 to {length_max} are allowed")]
    Length {
        /// Of the message, octets.
        length: usize,
        /// The limit, octets.
        length_max: usize,
    },
    /// The stream was not negotiated.
    #[error("stream {stream} of {negotiated}")]
    NoSuchStream {
        /// Asked for.
        stream: u16,
        /// How many outbound streams there are.
        negotiated: u16,
    },
    /// The association has ended or is ending.
    #[error("the association has ended")]
    Closed,
}

/// Why an association ended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LostCause {
    /// Both sides finished an orderly shutdown.
    #[error("shut down")]
    Shutdown,
    /// The peer sent ABORT.
    #[error("aborted by the peer")]
    AbortedByPeer,
    /// We sent ABORT on the caller's request.
    #[error("aborted here")]
    AbortedHere,
    /// The peer stopped answering on every path.
    #[error("the peer stopped answering")]
    TimedOut,
    /// The peer sent a message longer than the limit; we aborted.
    #[error("a message longer than {length_max} octets was received")]
    MessageTooLong {
        /// The limit, octets.
        length_max: usize,
    },
    /// The stack reported an error number.
    #[error("error {0}")]
    Error(i32),
}
