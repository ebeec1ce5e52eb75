//! The one interface of all backends.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::counters::SctpCounters;
use crate::error::{LostCause, SctpError, SendError};
use crate::options::{ConnectOptions, ListenOptions};

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An SCTP stack.
pub trait SctpBackend: Send + Sync + fmt::Debug {
    /// `kernel`, `usrsctp-raw`, `usrsctp-udp` or `mem`.
    fn name(&self) -> &'static str;

    /// Begins to listen. Call it inside a tokio runtime.
    fn listen(&self, options: ListenOptions) -> Result<Box<dyn SctpListener>, SctpError>;

    /// Opens an association; ready when the peer has accepted it.
    fn connect(&self, options: ConnectOptions) -> BoxFuture<'static, Result<Association, SctpError>>;

    /// What this backend has counted.
    fn counters(&self) -> Arc<SctpCounters>;
}

/// A listening endpoint. Dropping it stops listening; its associations live on.
pub trait SctpListener: Send {
    /// The next association. Those beyond a limit are answered with ABORT and
    /// never seen here. An error ends the listener. Cancel safe.
    fn accept(&mut self) -> BoxFuture<'_, Result<Association, SctpError>>;
}

/// What an association reports, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A whole message.
    Message(Message),
    /// One of the peer's addresses changed its state.
    PathChange {
        /// The peer's address.
        address: SocketAddr,
        /// Its state now.
        state: PathState,
    },
    /// The peer began the association anew (RFC 9260 §5.2): its state of
    /// before is gone, this association goes on.
    Restart,
    /// The peer asked for shutdown; nothing can be sent any more.
    ShutdownRequested,
    /// The association has ended. Repeated by each further `recv`.
    Lost(LostCause),
}

/// A received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The user data.
    pub data: Bytes,
    /// Inbound stream.
    pub stream: u16,
    /// Payload protocol identifier, as a number.
    pub ppid: u32,
    /// Sent with the U flag: outside the stream's order.
    pub unordered: bool,
}

/// State of one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathState {
    /// It answers.
    Available,
    /// It stopped answering; another one, if any, is used.
    Unreachable,
}

/// What both sides agreed when the association came up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociationInfo {
    /// The peer's addresses; the first is the one it was accepted from or
    /// connected to. Never empty.
    pub peer: Vec<SocketAddr>,
    /// Our addresses in it; may be empty where the stack does not tell.
    pub local: Vec<SocketAddr>,
    /// Streams towards the peer.
    pub outbound_streams: u16,
    /// Streams from the peer.
    pub inbound_streams: u16,
    /// Limit of one message, octets.
    pub message_length_max: usize,
}

/// What a backend implements for one association.
pub(crate) trait Driver: Send + Sync + fmt::Debug {
    fn info(&self) -> &AssociationInfo;
    fn counters(&self) -> &SctpCounters;
    /// Stream and length are already checked.
    fn try_send(&self, message: &Message) -> Result<(), SendError>;
    /// Ends when a send may succeed again; may end early.
    fn writable(&self) -> BoxFuture<'_, ()>;
    /// Only the one receiver calls it.
    fn poll_recv(&self, context: &mut Context<'_>) -> Poll<Event>;
    fn shutdown(&self);
    fn abort(&self, reason: &str);
    /// The receiver is gone: abort unless a shutdown runs.
    fn abandon(&self);
}

/// An open association.
#[derive(Debug)]
pub struct Association {
    sender: AssociationSender,
    receiver: AssociationReceiver,
}

impl Association {
    pub(crate) fn new(driver: Arc<dyn Driver>) -> Self {
        let sender = AssociationSender { driver: Arc::clone(&driver) };
        Self { sender, receiver: AssociationReceiver { driver } }
    }

    /// Addresses, streams and limits.
    pub fn info(&self) -> &AssociationInfo {
        self.sender.info()
    }

    /// A sender, without splitting.
    pub fn sender(&self) -> AssociationSender {
        self.sender.clone()
    }

    /// The two halves.
    pub fn into_split(self) -> (AssociationSender, AssociationReceiver) {
        (self.sender, self.receiver)
    }

    /// As [`AssociationSender::send`].
    pub async fn send(&self, data: Bytes, stream: u16, ppid: u32, unordered: bool) -> Result<(), SendError> {
        self.sender.send(data, stream, ppid, unordered).await
    }

    /// As [`AssociationReceiver::recv`].
    pub async fn recv(&mut self) -> Event {
        self.receiver.recv().await
    }

    /// As [`AssociationSender::shutdown`].
    pub fn shutdown(&self) {
        self.sender.shutdown();
    }

    /// As [`AssociationSender::abort`].
    pub fn abort(&self, reason: &str) {
        self.sender.abort(reason);
    }
}

/// Sends on an association; clones share it.
#[derive(Debug, Clone)]
pub struct AssociationSender {
    driver: Arc<dyn Driver>,
}

impl AssociationSender {
    /// Addresses, streams and limits.
    pub fn info(&self) -> &AssociationInfo {
        self.driver.info()
    }

    /// Gives the message to the stack, or says at once why not.
    pub fn try_send(&self, data: Bytes, stream: u16, ppid: u32, unordered: bool) -> Result<(), SendError> {
        let message = self.check(data, stream, ppid, unordered)?;
        self.offer(&message)
    }

    /// Waits for room in the send buffer. Cancel safe: dropped, it sent nothing.
    pub async fn send(&self, data: Bytes, stream: u16, ppid: u32, unordered: bool) -> Result<(), SendError> {
        let message = self.check(data, stream, ppid, unordered)?;
        match self.offer(&message) {
            Err(SendError::Full) => {}
            done => return done,
        }
        loop {
            // Made before the attempt, so that no wake-up is missed between.
            let writable = self.driver.writable();
            match self.offer(&message) {
                Err(SendError::Full) => writable.await,
                done => return done,
            }
        }
    }

    /// Orderly end: what was sent is delivered first. The receiver ends with
    /// [`LostCause::Shutdown`].
    pub fn shutdown(&self) {
        self.driver.shutdown();
    }

    /// Ends at once with ABORT; the reason travels as user-initiated abort.
    pub fn abort(&self, reason: &str) {
        self.driver.abort(reason);
    }

    fn check(&self, data: Bytes, stream: u16, ppid: u32, unordered: bool) -> Result<Message, SendError> {
        let info = self.driver.info();
        let (length, length_max) = (data.len(), info.message_length_max);
        if length == 0 || length > length_max {
            return Err(SendError::Length { length, length_max });
        }
        if stream >= info.outbound_streams {
            return Err(SendError::NoSuchStream { stream, negotiated: info.outbound_streams });
        }
        Ok(Message { data, stream, ppid, unordered })
    }

    fn offer(&self, message: &Message) -> Result<(), SendError> {
        let result = self.driver.try_send(message);
        match result {
            Ok(()) => self.driver.counters().messages_out.add(1),
            Err(SendError::Full) => self.driver.counters().send_full.add(1),
            Err(_) => {}
        }
        result
    }
}

/// Receives from an association. Dropped, it aborts the association, unless
/// that is over or shutting down: nobody would read any more.
#[derive(Debug)]
pub struct AssociationReceiver {
    driver: Arc<dyn Driver>,
}

impl AssociationReceiver {
    /// Addresses, streams and limits.
    pub fn info(&self) -> &AssociationInfo {
        self.driver.info()
    }

    /// The next event. Cancel safe.
    pub async fn recv(&mut self) -> Event {
        std::future::poll_fn(|context| self.poll_recv(context)).await
    }

    /// As [`Self::recv`], for those who poll many.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        // A peer that always has something to say must not keep other tasks out.
        let budget = ready!(tokio::task::coop::poll_proceed(context));
        let event = ready!(self.driver.poll_recv(context));
        budget.made_progress();
        if let Event::Message(_) = event {
            self.driver.counters().messages_in.add(1);
        }
        Poll::Ready(event)
    }
}

impl Drop for AssociationReceiver {
    fn drop(&mut self) {
        self.driver.abandon();
    }
}
