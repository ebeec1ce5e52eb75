//! Why a step of a scenario did not get where it should.

use std::time::Duration;

use tern_sctp::{SctpError, SendError};

/// A step that did not succeed. What a peer did wrong on the way is in the journal's failures.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// Nothing that answers came in time.
    #[error("no {waiting_for} in time ({timer})")]
    Timeout {
        /// The message waited for.
        waiting_for: &'static str,
        /// The timer that expired.
        timer: &'static str,
    },
    /// The network said no.
    #[error("{message} with cause #{cause} ({text})")]
    Rejected {
        /// The message that said so.
        message: &'static str,
        /// 5GMM or 5GSM cause.
        cause: u8,
        /// The cause's name.
        text: String,
        /// How long to stay away, if it was told (T3346 or a back-off timer).
        back_off: Option<Duration>,
    },
    /// The AMF refused the gNB.
    #[error("NG SETUP FAILURE: {cause}")]
    NgSetup {
        /// The cause.
        cause: String,
        /// When to try again, if it was told.
        wait_s: Option<u32>,
    },
    /// The N1 signalling connection was released while something else was awaited.
    #[error("the connection was released ({cause}) before {waiting_for}")]
    Released {
        /// The gNB's cause.
        cause: String,
        /// The message waited for.
        waiting_for: &'static str,
    },
    /// A handover came to nothing.
    #[error("handover: {0}")]
    Handover(String),
    /// The gNB has lost its AMF.
    #[error("the gNB has lost its AMF: {0}")]
    GnbLost(String),
    /// The network did not prove that it knows the subscriber.
    #[error("the network is not authentic (TS 24.501 §5.4.1.3.7)")]
    NotAuthentic,
    /// The scenario asked for what the UE's state does not allow.
    #[error("{0}")]
    State(String),
    /// A message could not be encoded: a mistake of the configuration.
    #[error("{0}")]
    Encode(String),
    /// N2's transport.
    #[error(transparent)]
    Sctp(#[from] SctpError),
    /// N2's transport, while sending.
    #[error("N2: {0}")]
    Send(#[from] SendError),
    /// N3's transport or the TUN device.
    #[error("{what}: {source}")]
    Io {
        /// What was done.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl SimError {
    /// The message with its cause, or what did not come: the same for all that failed in the same way.
    pub fn kind(&self) -> String {
        match self {
            Self::Timeout { waiting_for, timer } => format!("no {waiting_for} ({timer})"),
            Self::Rejected { message, cause, text, .. } => format!("{message}: #{cause} {text}"),
            Self::Released { cause, waiting_for } => format!("released before {waiting_for}: {cause}"),
            other => other.to_string(),
        }
    }

    pub(crate) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

impl From<tern_nas::EncodeError> for SimError {
    fn from(error: tern_nas::EncodeError) -> Self {
        Self::Encode(error.to_string())
    }
}

impl From<tern_ngap::EncodeError> for SimError {
    fn from(error: tern_ngap::EncodeError) -> Self {
        Self::Encode(error.to_string())
    }
}

impl From<tern_ngap::CodecError> for SimError {
    fn from(error: tern_ngap::CodecError) -> Self {
        Self::Encode(error.to_string())
    }
}
