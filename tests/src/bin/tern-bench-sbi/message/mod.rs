//! One SBI message and its answer, by each way that it can travel.

mod examples;
mod json;
mod tern;
mod typed;

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use sbi_shm::{Stack, Waiting};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tern_sbi::npcf_sm::CreateSmPolicy;
use tern_sbi::nudm_ueau::GenerateAuthData;
use tern_sbi::{Operation, ProblemDetails, Response};
use tokio::runtime::Runtime;

use crate::turns::Client;

pub use json::plain_sizes;

/// An operation with JSON objects both ways, and an example of both.
pub trait Exchanged:
    Operation<Answer = <Self as Exchanged>::Reply, Failure = ProblemDetails> + Sync + PartialEq
{
    /// The content of the request.
    type Content: Serialize + DeserializeOwned + Send;
    /// The content of the answer.
    type Reply: Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + Sync + 'static;

    /// A request.
    fn example() -> Result<Self>;
    /// Its content.
    fn content(&self) -> &Self::Content;
    /// Its answer.
    fn answer() -> Result<Self::Reply>;
}

/// Which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Nudm_UEAuthentication_Get: a vector for an authentication.
    Vector,
    /// Npcf_SMPolicyControl_Create: the policy of a session.
    Policy,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Vector, Self::Policy];

    /// The service operation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vector => GenerateAuthData::NAME,
            Self::Policy => CreateSmPolicy::NAME,
        }
    }

    /// As an argument of `serve message`.
    pub fn argument(self) -> &'static str {
        match self {
            Self::Vector => "vector",
            Self::Policy => "policy",
        }
    }
}

/// How it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// hyper and serde_json, over TCP.
    JsonTcp,
    /// The direct form in shared memory, with blocking calls.
    TypedShm,
    /// tern's transport over TCP.
    TernTcp,
    /// tern's transport through shared memory.
    TernShm,
    /// hyper over TCP, octets of the same number without meaning.
    PlainTcp,
    /// The same by tern's transport.
    TernPlainTcp,
}

impl Way {
    /// In the report, and as an argument of `serve message`.
    pub fn name(self) -> &'static str {
        match self {
            Self::JsonTcp => "json-tcp",
            Self::TypedShm => "typed-shm",
            Self::TernTcp => "tern-tcp",
            Self::TernShm => "tern-shm",
            Self::PlainTcp => "plain-tcp",
            Self::TernPlainTcp => "tern-plain-tcp",
        }
    }
}

/// The producer's end, until it is killed.
pub fn serve(kind: Kind, way: Way, socket: &str, waiting: Waiting) -> Result<()> {
    match kind {
        Kind::Vector => serve_one::<GenerateAuthData>(way, socket, waiting),
        Kind::Policy => serve_one::<CreateSmPolicy>(way, socket, waiting),
    }
}

fn serve_one<E: Exchanged>(way: Way, socket: &str, waiting: Waiting) -> Result<()> {
    match way {
        Way::JsonTcp => json::serve::<E>(false),
        Way::PlainTcp => json::serve::<E>(true),
        Way::TypedShm => typed::serve::<E>(socket, waiting),
        Way::TernTcp | Way::TernPlainTcp => tern::serve::<E>(None, waiting),
        Way::TernShm => tern::serve::<E>(Some(socket), waiting),
    }
}

/// Who calls.
#[derive(Debug, Clone, Copy)]
pub struct Consumer<'a> {
    /// Where the producer is.
    pub at: SocketAddr,
    /// The manager, for ways through shared memory.
    pub socket: &'a str,
    /// How it waits for shared memory.
    pub waiting: Waiting,
    /// Calls are due this far apart; a late one is made at once. None: as soon as they can.
    pub pace: Option<Duration>,
}

/// The consumer's end. Its first answer must be the right one.
pub fn client(kind: Kind, way: Way, consumer: Consumer<'_>) -> Result<Box<dyn Client>> {
    match kind {
        Kind::Vector => client_one::<GenerateAuthData>(way, consumer),
        Kind::Policy => client_one::<CreateSmPolicy>(way, consumer),
    }
    .with_context(|| format!("{} by {}", kind.name(), way.name()))
}

fn client_one<E: Exchanged>(way: Way, consumer: Consumer<'_>) -> Result<Box<dyn Client>> {
    match way {
        Way::JsonTcp => json::client::<E>(consumer.at, false),
        Way::PlainTcp => json::client::<E>(consumer.at, true),
        Way::TypedShm => typed::client::<E>(consumer),
        Way::TernTcp => tern::client::<E>(consumer, false),
        Way::TernShm => tern::client::<E>(consumer, true),
        Way::TernPlainTcp => tern::plain_client::<E>(consumer.at),
    }
}

/// The first answer is compared; later ones are read in the same way.
fn check<E: Exchanged>(answer: &E::Reply) -> Result<()> {
    ensure!(*answer == E::answer()?, "{}: another answer: {answer:?}", E::NAME);
    Ok(())
}

/// The response that a producer gives.
fn response<E: Exchanged>(answer: &E::Reply) -> Response<E::Reply> {
    Response::ok(answer.clone())
}

/// A runtime of one thread, which sleeps in the name of a stack once there is one.
#[derive(Clone, Default)]
struct Hooks(Arc<OnceLock<Stack>>);

impl Hooks {
    fn runtime(&self) -> Result<Runtime> {
        let (before, after) = (self.clone(), self.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || before.0.get().into_iter().for_each(Stack::before_park))
            .on_thread_unpark(move || after.0.get().into_iter().for_each(Stack::after_unpark))
            .build()?;
        Ok(runtime)
    }

    fn attached(&self, stack: &Stack) {
        stack.hook_runtime();
        let _ = self.0.set(stack.clone());
    }
}
