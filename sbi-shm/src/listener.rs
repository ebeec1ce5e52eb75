//! Where connections are accepted.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connection::Phase;
use crate::connection::Waiters;
use crate::counters::Counter;
use crate::descriptor::{End, Message, Why};
use crate::error::ListenError;
use crate::stack::{BACKLOG, Handle, Stack, WINDOW};
use crate::state::{EPHEMERAL, ListenPhase, Listening, NotListening, State};
use crate::stream::ShmStream;

/// Waiting for the manager's word.
pub(crate) const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);
/// Listeners of one stack.
const LISTENERS_MAX: usize = 64;

/// What a server says of its connections.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// Connections that wait to be accepted; more are refused.
    pub backlog: usize,
    /// What the server speaks besides 0: an offer of a client that is in this list is chosen.
    pub protocols: Vec<u64>,
    /// Buffers that may be with a client.
    pub window: u32,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { backlog: BACKLOG, protocols: Vec::new(), window: WINDOW }
    }
}

/// Accepts connections at an address. Dropping it refuses those who wait.
pub struct ShmListener {
    pub(crate) stack: Arc<Handle>,
    at: SocketAddr,
}

impl std::fmt::Debug for ShmListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShmListener").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Stack {
    /// Listens at `at`, which the manager must grant. Port 0 picks one. Blocks until the manager
    /// agrees.
    pub fn listen(&self, at: SocketAddr, options: &ListenOptions) -> Result<ShmListener, ListenError> {
        let listener = self.begin_listening(at, options)?;
        let end = End::from(listener.at);
        let outcome = self.shared().block(
            Some(Instant::now() + LISTEN_TIMEOUT),
            |state| listening(state, end),
            |state, waiter| {
                if let Some(listening) = state.listeners.get_mut(&end) {
                    listening.openers.add(waiter);
                }
            },
        );
        listener.finish(outcome)
    }

    /// Inserts the entry and asks the manager.
    pub(crate) fn begin_listening(
        &self,
        at: SocketAddr,
        options: &ListenOptions,
    ) -> Result<ShmListener, ListenError> {
        let shared = self.shared();
        let at = shared.with(|state| {
            if state.listeners.len() >= LISTENERS_MAX {
                return Err(ListenError::Full);
            }
            if !state.managed {
                return Err(ListenError::NoManager);
            }
            let at = if at.port() == 0 { with_free_port(state, at)? } else { at };
            let end = End::from(at);
            if state.listeners.contains_key(&end) {
                return Err(ListenError::Taken(at));
            }
            let listening = Listening {
                phase: ListenPhase::Asked,
                backlog: VecDeque::new(),
                backlog_max: options.backlog.max(1),
                protocols: options.protocols.clone(),
                window: options.window.clamp(1, shared.about.shape.buffers),
                acceptors: Waiters::default(),
                openers: Waiters::default(),
            };
            state.listeners.insert(end, listening);
            Ok(at)
        })?;
        shared.control.listen(at);
        Ok(ShmListener { stack: self.handle.clone(), at })
    }
}

fn with_free_port(state: &State, at: SocketAddr) -> Result<SocketAddr, ListenError> {
    let free = |port: &u16| !state.listeners.contains_key(&End::from(SocketAddr::new(at.ip(), *port)));
    // Other processes may share the address: where to begin differs between them.
    let first = crate::seed() as u16 % (EPHEMERAL.end() - EPHEMERAL.start());
    let ports = EPHEMERAL.skip(first.into()).chain(EPHEMERAL);
    let port = ports.take(LISTENERS_MAX + 1).find(free);
    port.map(|port| SocketAddr::new(at.ip(), port)).ok_or(ListenError::Full)
}

/// Whether the manager has answered.
pub(crate) fn listening(state: &State, end: End) -> Option<Result<(), NotListening>> {
    match state.listeners.get(&end)?.phase {
        ListenPhase::Asked => None,
        ListenPhase::Open => Some(Ok(())),
        ListenPhase::Refused(why) => Some(Err(why)),
    }
}

impl ShmListener {
    /// With the manager's answer; none in time is none.
    pub(crate) fn finish(self, outcome: Option<Result<(), NotListening>>) -> Result<Self, ListenError> {
        match outcome {
            Some(Ok(())) => Ok(self),
            None | Some(Err(NotListening::NoManager)) => Err(ListenError::NoManager),
            Some(Err(NotListening::NotGranted)) => Err(ListenError::NotGranted(self.at)),
            Some(Err(NotListening::Taken)) => Err(ListenError::Taken(self.at)),
            Some(Err(NotListening::Full)) => Err(ListenError::Full),
        }
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.at
    }

    /// The next connection. Blocks until there is one.
    pub fn accept(&self) -> io::Result<(ShmStream, SocketAddr)> {
        self.accept_until(None)
    }

    /// The next connection; [`io::ErrorKind::TimedOut`] if there is none in time.
    pub fn accept_timeout(&self, timeout: Duration) -> io::Result<(ShmStream, SocketAddr)> {
        self.accept_until(Some(Instant::now() + timeout))
    }

    fn accept_until(&self, deadline: Option<Instant>) -> io::Result<(ShmStream, SocketAddr)> {
        let end = self.end();
        let key = self.stack.shared.block(
            deadline,
            |state| state.accept(end),
            |state, waiter| {
                if let Some(listening) = state.listeners.get_mut(&end) {
                    listening.acceptors.add(waiter);
                }
            },
        );
        let key = key.ok_or(io::ErrorKind::TimedOut)?;
        Ok(self.accepted(key))
    }

    pub(crate) fn accepted(&self, key: usize) -> (ShmStream, SocketAddr) {
        let stream = ShmStream::new(self.stack.clone(), key);
        let peer = stream.peer_addr();
        (stream, peer)
    }

    pub(crate) fn end(&self) -> End {
        self.at.into()
    }
}

impl Drop for ShmListener {
    fn drop(&mut self) {
        let end = self.end();
        self.stack.shared.with(|state| {
            let Some(listening) = state.listeners.remove(&end) else { return };
            for key in listening.backlog {
                state.send(key, Message::Refuse(Why::NoListener));
                state.remove(key);
            }
        });
        self.stack.shared.control.unlisten(self.at);
    }
}

impl State {
    /// Takes the next connection that waits, and tells its client.
    pub(crate) fn accept(&mut self, end: End) -> Option<usize> {
        let key = self.listeners.get_mut(&end)?.backlog.pop_front()?;
        let connection = &mut self.connections[key];
        connection.phase = Phase::Established;
        let choice = connection.choice;
        self.send(key, Message::Reply { choice });
        self.count(Counter::Accepted);
        Some(key)
    }
}
