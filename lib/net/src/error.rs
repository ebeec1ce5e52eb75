//! Why a network could not be brought up, seen or taken down.

use std::io;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The kernel refuses one message of a batch.
    #[error("{what}: {error}{}", said(.message))]
    Refused {
        /// The step.
        what: String,
        /// The kernel's error.
        error: io::Error,
        /// The kernel's words, if it has some.
        message: Option<String>,
    },
    /// A call fails.
    #[error("{what}: {error}")]
    Io {
        /// What was called for.
        what: String,
        /// Why not.
        error: io::Error,
    },
    /// The kernel's answer cannot be read.
    #[error("{what}: the kernel's answer is not understood: {why}")]
    Answer {
        /// What was asked.
        what: String,
        /// What of it.
        why: String,
    },
    /// Another process is at work on the network.
    #[error("another tern is at work on the network `{0}`")]
    Busy(String),
    /// A network cannot go while processes use it.
    #[error("processes are inside {namespace}: {}; end them, or give --kill", numbers(.processes))]
    InUse {
        /// A namespace.
        namespace: String,
        /// Their process IDs.
        processes: Vec<i32>,
    },
    /// The file declares no such endpoint.
    #[error("expected an endpoint of the file, such as {some}; found `{found}`")]
    NoEndpoint {
        /// What was asked for.
        found: String,
        /// One that there is.
        some: String,
    },
    /// An endpoint that shares its namespace cannot be kept to its own addresses.
    #[error("the endpoint cannot be kept to its own addresses: {why}")]
    Unconfined {
        /// What this machine lacks.
        why: String,
    },
    /// A thread that worked has ended by a panic.
    #[error("a worker has panicked")]
    Panicked,
}

impl NetError {
    /// Of a call.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io { what, error }
    }

    /// Of a call of rustix.
    pub(crate) fn errno(what: impl Into<String>) -> impl FnOnce(rustix::io::Errno) -> Self {
        let what = what.into();
        move |error| Self::Io { what, error: error.into() }
    }
}

fn said(message: &Option<String>) -> String {
    message.as_ref().map_or(String::new(), |message| format!(" ({message})"))
}

fn numbers(processes: &[i32]) -> String {
    processes.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")
}
