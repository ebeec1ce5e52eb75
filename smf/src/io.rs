//! What goes into the SMF's core and what comes out of it. Nothing here does I/O.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use tern_nf::Target;
use tern_pfcp::Message;
use tern_sbi::{Call, Operation, OperationError, Reply, Request, Response, TransportError};
use tern_types::Instant;

use crate::context::SmContextRef;
use crate::record::Sent;
use crate::upf::{LoadReport, UpfProfile};

/// Correlates an output with the input that answers it, and a request with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub u64);

/// What happens to the SMF.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "moved once, from the edge into the core")]
pub enum Input {
    /// A consumer asks; answered by [`Output::Answer`] with the same token.
    Request(Token, SmfRequest),
    /// The reply to an [`Output::Request`].
    Reply(Token, Result<Reply, TransportError>),
    /// The answer to an [`Output::N4`]; `None` if the UPF gave none in time.
    N4(Token, Option<Message>),
    /// A UPF reports about one of our sessions; answered by [`Output::Answer4`].
    Report(Token, Report),
    /// A datagram that came to the SMF's end of GTP-U tunnels, and its sender.
    Gtpu(SocketAddr, Vec<u8>),
    /// A UPF is associated now.
    UpfUp(SocketAddr),
    /// A UPF does not answer.
    UpfDown(SocketAddr),
    /// A UPF has lost its sessions, most likely because it started again: they are restored once it is
    /// associated.
    UpfRestarted(SocketAddr),
    /// The association with a UPF was released, or it asks for that: its sessions end.
    UpfReleased(SocketAddr),
    /// A UPF says how much it has to do.
    UpfLoad(SocketAddr, LoadReport),
    /// The UPFs known to the NRF.
    Discovered(Vec<UpfProfile>),
    /// [`crate::Smf::deadline`] has come.
    Expired,
}

/// PFCP Session Report Request (TS 29.244 §7.5.8.1).
#[derive(Debug, Clone)]
pub struct Report {
    /// The UPF.
    pub from: SocketAddr,
    /// Our SEID.
    pub seid: u64,
    /// What it reports.
    pub message: tern_pfcp::SessionReportRequest,
}

/// The operations of Nsmf_PDUSession, and the notifications that this SMF asked for.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "moved once, from the edge into the core")]
pub enum SmfRequest {
    /// Create SM Context (TS 29.502 §5.2.2.2).
    Create(tern_sbi::nsmf_pdusession::PostSmContexts),
    /// Update SM Context (TS 29.502 §5.2.2.3).
    Update(tern_sbi::nsmf_pdusession::UpdateSmContext),
    /// Release SM Context (TS 29.502 §5.2.2.4).
    Release(tern_sbi::nsmf_pdusession::ReleaseSmContext),
    /// Retrieve SM Context (TS 29.502 §5.2.2.6).
    Retrieve(tern_sbi::nsmf_pdusession::RetrieveSmContext),
    /// A message did not reach its UE (TS 29.518 §5.2.2.3.2).
    TransferFailure(tern_sbi::namf_comm::N1N2TransferFailureNotify),
    /// The policy changed (TS 29.512 §4.2.3.2).
    PolicyUpdate(tern_sbi::npcf_sm::SmPolicyUpdateNotify),
    /// The policy association ends (TS 29.512 §4.2.3.3).
    PolicyTermination(tern_sbi::npcf_sm::SmPolicyTerminateNotify),
    /// The subscriber's data changed (TS 29.503 §5.2.2.5).
    DataChange(tern_sbi::nudm_sdm::DataChangeNotify),
    /// The UDM has ended the registration (TS 29.503 §5.3.2.3).
    Deregistration(tern_sbi::nudm_uecm::DeregistrationNotify),
}

/// What the SMF wants done.
#[derive(Debug)]
pub enum Output {
    /// Call a service; answered by [`Input::Reply`].
    Request {
        /// Comes back with the reply.
        token: Token,
        /// The producer.
        target: Target,
        /// How to call it.
        call: Call,
        /// The request.
        request: Request,
    },
    /// Answer an [`Input::Request`].
    Answer(Token, Reply),
    /// Send a session related PFCP request; answered by [`Input::N4`].
    N4 {
        /// Comes back with the answer.
        token: Token,
        /// N4 endpoint of the UPF.
        upf: SocketAddr,
        /// The UPF's SEID, 0 for an establishment.
        seid: u64,
        /// The request.
        message: Message,
    },
    /// Answer an [`Input::Report`].
    Answer4 {
        /// The report's token.
        token: Token,
        /// The UPF's SEID of the session; 0 if the session is not known.
        seid: u64,
        /// The response.
        message: tern_pfcp::SessionReportResponse,
    },
    /// Send a GTP-U datagram from the SMF's end of tunnels.
    Gtpu {
        /// Whom to.
        to: SocketAddr,
        /// The datagram.
        datagram: Vec<u8>,
    },
    /// Keep a PFCP association with this UPF.
    Associate(SocketAddr),
    /// Count something, by its name.
    Count(&'static str),
}

/// The outputs of one input, and which context awaits which token.
#[derive(Debug, Default)]
pub struct Outputs {
    next_token: u64,
    awaited: BTreeMap<Token, SmContextRef>,
    /// The requests that the answers are awaited to, if they are kept.
    sent: Option<BTreeMap<(SmContextRef, Token), Sent>>,
    list: Vec<Output>,
}

impl Outputs {
    /// Takes what has gathered.
    pub fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.list)
    }

    /// Whose token this is; it is awaited no longer.
    pub fn resolve(&mut self, token: Token) -> Option<SmContextRef> {
        let context = self.awaited.remove(&token)?;
        if let Some(sent) = &mut self.sent {
            sent.remove(&(context, token));
        }
        Some(context)
    }

    /// From now on requests are kept until they are answered.
    pub(crate) fn keep(&mut self) {
        self.sent.get_or_insert_default();
    }

    /// The requests of a context that have no answer yet.
    pub(crate) fn sent(&self, context: SmContextRef) -> impl Iterator<Item = (Token, &Sent)> {
        let of = (context, Token(0))..=(context, Token(u64::MAX));
        self.sent.iter().flat_map(move |sent| sent.range(of.clone())).map(|(&(_, token), sent)| (token, sent))
    }

    /// Asks once more what the process before this one has asked.
    pub(crate) fn again(&mut self, context: SmContextRef, token: Token, sent: Sent) {
        self.next_token = self.next_token.max(token.0);
        self.awaited.insert(token, context);
        self.send(context, token, sent);
    }

    /// How many answers are awaited.
    pub fn awaited(&self) -> usize {
        self.awaited.len()
    }

    /// Calls a service on behalf of a context.
    pub fn request<O: Operation>(
        &mut self,
        context: SmContextRef,
        target: Target,
        operation: &O,
    ) -> Awaited<O> {
        self.call(context, target, operation, false)
    }

    /// The same for what ends something that would stay otherwise.
    pub fn insist<O: Operation>(
        &mut self,
        context: SmContextRef,
        target: Target,
        operation: &O,
    ) -> Awaited<O> {
        self.call(context, target, operation, true)
    }

    fn call<O: Operation>(
        &mut self,
        context: SmContextRef,
        target: Target,
        operation: &O,
        insist: bool,
    ) -> Awaited<O> {
        let token = self.token(context);
        let call = Call { session: Some(context.seid()), insist, ..Call::default() };
        self.send(context, token, Sent::Service { target, call, request: operation.to_request() });
        Awaited { token, operation: PhantomData }
    }

    /// Sends a PFCP request on behalf of a context.
    pub fn n4(
        &mut self,
        context: SmContextRef,
        upf: SocketAddr,
        seid: u64,
        message: impl Into<Message>,
    ) -> Token {
        let token = self.token(context);
        self.send(context, token, Sent::N4 { upf, seid, message: message.into() });
        token
    }

    fn send(&mut self, context: SmContextRef, token: Token, sent: Sent) {
        if let Some(kept) = &mut self.sent {
            kept.insert((context, token), sent.clone());
        }
        self.list.push(match sent {
            Sent::Service { target, call, request } => Output::Request { token, target, call, request },
            Sent::N4 { upf, seid, message } => Output::N4 { token, upf, seid, message },
        });
    }

    /// Answers a request.
    pub fn answer<O: Operation>(
        &mut self,
        token: Token,
        result: Result<Response<O::Answer>, OperationError<O::Failure>>,
    ) {
        self.list.push(Output::Answer(token, O::to_reply(result)));
    }

    /// Anything else.
    pub fn push(&mut self, output: Output) {
        self.list.push(output);
    }

    /// Counts something.
    pub fn count(&mut self, name: &'static str) {
        self.list.push(Output::Count(name));
    }

    fn token(&mut self, context: SmContextRef) -> Token {
        self.next_token += 1;
        let token = Token(self.next_token);
        self.awaited.insert(token, context);
        token
    }
}

/// A reply that a step waits for.
#[derive(Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct Awaited<O> {
    token: Token,
    #[serde(skip)]
    operation: PhantomData<fn() -> O>,
}

impl<O> Awaited<O> {
    /// The token that the reply comes with.
    pub fn token(&self) -> Token {
        self.token
    }

    /// Whether `token` is the reply's.
    pub fn is(&self, token: Token) -> bool {
        self.token == token
    }
}

impl<O> Clone for Awaited<O> {
    fn clone(&self) -> Self {
        Self { token: self.token, operation: PhantomData }
    }
}

impl<O> std::fmt::Debug for Awaited<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Awaited({})", self.token.0)
    }
}

/// A point in time that a context waits for, and the context.
pub type Deadline = (Instant, SmContextRef);
