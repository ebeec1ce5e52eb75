//! What goes into the core and what comes out.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use tern_nf::Target;
use tern_sbi::{Call, Operation, OperationError, Reply, Request, Response, TransportError};
use tern_types::Instant;

use crate::n2::message::{N2Command, N2Event};
use crate::sbi::AmfRequest;

/// Joins a request to its answer; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token(pub u64);

/// What happens to the AMF.
#[derive(Debug)]
pub enum Input {
    /// From the N2 termination.
    N2(N2Event),
    /// A service request to answer.
    Request(Token, AmfRequest),
    /// What became of an [`Output::Request`].
    Reply(Token, Result<Reply, TransportError>),
    /// The AMF is about to stop.
    Stopping,
    /// An SMF has lost its SM contexts: where they were.
    SmfLost(Vec<String>),
    /// The deadline last asked for has come.
    Expired,
}

/// What the AMF does.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "most outputs are requests; each is moved once")]
pub enum Output {
    /// To the N2 termination.
    N2(N2Command),
    /// A service request to send; a [`Input::Reply`] follows in any case.
    Request {
        /// Comes back with the reply.
        token: Token,
        /// To whom.
        target: Target,
        /// How.
        call: Call,
        /// What.
        request: Request,
    },
    /// The answer to an [`Input::Request`].
    Answer(Token, Reply),
    /// When [`Input::Expired`] is wanted; replaces the time asked for before.
    Deadline(Option<Instant>),
}

/// A reply that a step waits for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct Awaited<O> {
    token: Token,
    #[serde(skip)]
    operation: PhantomData<fn() -> O>,
}

impl<O> Clone for Awaited<O> {
    fn clone(&self) -> Self {
        Self::new(self.token)
    }
}

impl<O> Awaited<O> {
    pub(crate) fn new(token: Token) -> Self {
        Self { token, operation: PhantomData }
    }

    /// Whether this is the reply waited for.
    pub fn is(&self, token: Token) -> bool {
        self.token == token
    }
}

/// What a service request came to.
pub(crate) type ReplyResult = Result<Reply, TransportError>;

impl<O: Operation> Awaited<O> {
    /// Reads the reply as the operation's.
    pub(crate) fn read(&self, reply: ReplyResult) -> Result<Response<O::Answer>, OperationError<O::Failure>> {
        O::from_reply(reply?)
    }
}
