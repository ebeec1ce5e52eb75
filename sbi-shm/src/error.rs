//! Why there is no connection, no listener, no stack.

use std::io;
use std::net::SocketAddr;

/// Why a connection was not opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No manager answers, and no connection to that peer existed before.
    #[error("no manager of shared memory answers")]
    NoManager,
    /// Nobody of this domain listens there on this node.
    #[error("nobody listens at {0} on this node")]
    Unknown(SocketAddr),
    /// The peer does not listen there any more.
    #[error("connection refused by {0}")]
    Refused(SocketAddr),
    /// The peer, or this stack, has no room for another connection to it.
    #[error("no room for another connection to {0}")]
    Busy(SocketAddr),
    /// No answer in time.
    #[error("no answer from {0} in time")]
    TimedOut(SocketAddr),
    /// The peer died.
    #[error("{0} died")]
    PeerLost(SocketAddr),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        let kind = match &error {
            ConnectError::Io(inner) => inner.kind(),
            ConnectError::NoManager => io::ErrorKind::NotConnected,
            ConnectError::Unknown(_) => io::ErrorKind::AddrNotAvailable,
            ConnectError::Refused(_) => io::ErrorKind::ConnectionRefused,
            ConnectError::Busy(_) => io::ErrorKind::QuotaExceeded,
            ConnectError::TimedOut(_) => io::ErrorKind::TimedOut,
            ConnectError::PeerLost(_) => io::ErrorKind::ConnectionReset,
        };
        Self::new(kind, error)
    }
}

/// Why a stack does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// No manager answers.
    #[error("no manager of shared memory answers")]
    NoManager,
    /// The manager's configuration grants this address to somebody else, or to nobody.
    #[error("the manager grants {0} to nobody of this user")]
    NotGranted(SocketAddr),
    /// Somebody listens there.
    #[error("{0} is taken")]
    Taken(SocketAddr),
    /// A limit of the manager's or of this stack.
    #[error("no room for another listener")]
    Full,
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<ListenError> for io::Error {
    fn from(error: ListenError) -> Self {
        let kind = match &error {
            ListenError::Io(inner) => inner.kind(),
            ListenError::NoManager => io::ErrorKind::NotConnected,
            ListenError::NotGranted(_) => io::ErrorKind::PermissionDenied,
            ListenError::Taken(_) => io::ErrorKind::AddrInUse,
            ListenError::Full => io::ErrorKind::QuotaExceeded,
        };
        Self::new(kind, error)
    }
}

/// Why a process has no stack.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Nobody answers at the manager's socket.
    #[error("no manager answers at {socket}: {source}")]
    NoManager {
        /// Its socket.
        socket: String,
        /// What the system said.
        source: io::Error,
    },
    /// Whoever answers there is another user than root or this one.
    #[error("who answers at {socket} runs as user {uid}, not as root or as this process's user")]
    Impostor {
        /// The socket.
        socket: String,
        /// Whose process it is.
        uid: u32,
    },
    /// The manager refused.
    #[error("the manager refused: {0}")]
    Denied(String),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}
