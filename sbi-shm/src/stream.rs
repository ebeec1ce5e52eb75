//! A connection's end, as `std::io` has it: `read` blocks until there is something to read, `write`
//! until everything is in shared memory.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::event::EventfdFlags;

use crate::connection::{Connection, ConnectionCounters, Failure, Phase, Waiter};
use crate::counters::{self, Counter};
use crate::descriptor::{Descriptor, End, Message};
use crate::error::ConnectError;
use crate::link::{Link, SharedBytes};
use crate::loan::Loan;
use crate::pool::Ticket;
use crate::stack::{Handle, Stack, WINDOW};
use crate::state::{self, CONNECTIONS_MAX, State};
use crate::sync::Ordering;

/// What a client says of a connection.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The address to connect from; one that the manager grants this process if none is said.
    pub source: Option<IpAddr>,
    /// What the client would speak, in the application's own numbers; 0 is plain. The server's choice
    /// is in [`ShmStream::choice`].
    pub offer: u64,
    /// Buffers that may be with the peer.
    pub window: u32,
    /// How long to wait for the peer.
    pub timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { source: None, offer: 0, window: WINDOW, timeout: Duration::from_secs(5) }
    }
}

/// No time limit, in the place of nanoseconds.
const FOREVER: u64 = u64::MAX;

/// A stream of octets both ways between two processes, in shared memory.
///
/// Reading and writing need only `&ShmStream`, so that two threads can share one in an `Arc`. Dropping
/// it ends it as a TCP socket's close does: the peer reads what was written, then the end; if data of
/// the peer's were not read, the peer's end is reset.
pub struct ShmStream {
    pub(crate) stack: Arc<Handle>,
    pub(crate) key: usize,
    local: SocketAddr,
    peer: SocketAddr,
    choice: u64,
    read_timeout: AtomicU64,
    write_timeout: AtomicU64,
    nonblocking: AtomicBool,
    event: OnceLock<Arc<OwnedFd>>,
}

impl std::fmt::Debug for ShmStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShmStream")
            .field("local", &self.local)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Stack {
    /// Opens a connection to the listener at `to`. Blocks until it is accepted.
    pub fn connect(&self, to: SocketAddr, options: &ConnectOptions) -> Result<ShmStream, ConnectError> {
        let opening = self.begin(to, options)?;
        let deadline = Instant::now() + options.timeout;
        let key = opening.key;
        let outcome = self.shared().block(
            Some(deadline),
            |state| opened(state, key, to),
            |state, waiter| state.connections[key].openers.add(waiter),
        );
        opening.finish(outcome.unwrap_or(Err(ConnectError::TimedOut(to))))
    }

    /// Inserts the entry and sends ESTABLISH, or asks the manager for the way.
    pub(crate) fn begin(&self, to: SocketAddr, options: &ConnectOptions) -> Result<Opening, ConnectError> {
        let shared = self.shared();
        let granted = || shared.about.addresses.iter().find(|a| a.ip().is_ipv4() == to.is_ipv4());
        let source = options.source.or_else(|| granted().map(|range| range.ip()));
        let source = source.ok_or(ConnectError::Unknown(to))?;
        let remote = End::from(to);
        let (key, ask) = shared.with(|state| {
            if state.connections.len() >= CONNECTIONS_MAX {
                return Err(ConnectError::Busy(to));
            }
            let window = options.window.clamp(1, shared.about.shape.buffers);
            let local = End::from(SocketAddr::new(source, 0));
            let mut connection = Connection::new(local, remote, Phase::Routing, window);
            connection.offer = options.offer;
            let key = state.insert(connection);
            match state.routes.get(&remote).copied() {
                Some(pair) => state.establish(key, pair),
                None if !state.managed => state.fail(key, Failure::NoManager),
                None => return Ok((key, true)),
            }
            Ok((key, false))
        })?;
        if ask {
            shared.control.connect(to);
        }
        Ok(Opening { stack: self.handle.clone(), key, to })
    }
}

/// A connection that is being opened. Dropping it gives it up.
pub(crate) struct Opening {
    stack: Arc<Handle>,
    pub(crate) key: usize,
    pub(crate) to: SocketAddr,
}

impl Opening {
    pub(crate) fn finish(self, outcome: Result<(), ConnectError>) -> Result<ShmStream, ConnectError> {
        outcome?;
        let stream = ShmStream::new(self.stack.clone(), self.key);
        // The stream has the entry now.
        std::mem::forget(self);
        Ok(stream)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.stack.shared.with(|state| state.drop_handle(self.key));
    }
}

/// Whether the opening has come to an end.
pub(crate) fn opened(state: &State, key: usize, to: SocketAddr) -> Option<Result<(), ConnectError>> {
    Some(match state.connections[key].phase {
        Phase::Routing | Phase::Connecting | Phase::Accepting => return None,
        Phase::Established => Ok(()),
        Phase::Reset => Err(ConnectError::PeerLost(to)),
        Phase::Failed(failure) => Err(match failure {
            Failure::NoManager => ConnectError::NoManager,
            Failure::Unknown => ConnectError::Unknown(to),
            Failure::Refused => ConnectError::Refused(to),
            Failure::Busy => ConnectError::Busy(to),
            Failure::PeerLost => ConnectError::PeerLost(to),
        }),
    })
}

impl ShmStream {
    pub(crate) fn new(stack: Arc<Handle>, key: usize) -> Self {
        let (local, peer, choice) = stack.shared.with(|state| {
            let connection = &state.connections[key];
            (connection.local, connection.remote, connection.choice)
        });
        Self {
            stack,
            key,
            local: local.into(),
            peer: peer.into(),
            choice,
            read_timeout: AtomicU64::new(FOREVER),
            write_timeout: AtomicU64::new(FOREVER),
            nonblocking: AtomicBool::new(false),
            event: OnceLock::new(),
        }
    }

    /// This end's address.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The other end's.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// What both ends speak: the client's offer if the listener knows it, else 0.
    pub fn choice(&self) -> u64 {
        self.choice
    }

    /// What went over it.
    pub fn counters(&self) -> ConnectionCounters {
        self.stack.shared.with(|state| state.connections[self.key].counters())
    }

    /// How long `read` waits; `None` for as long as it takes.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.read_timeout.store(nanos(timeout), Ordering::Relaxed);
    }

    /// How long `write` waits for buffers; `None` for as long as it takes.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) {
        self.write_timeout.store(nanos(timeout), Ordering::Relaxed);
    }

    /// Whether `read` and `write` return [`io::ErrorKind::WouldBlock`] instead of waiting.
    pub fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    /// Ends one direction or both. What the peer sends after `Read` is dropped, and resets its end.
    pub fn shutdown(&self, how: Shutdown) {
        self.stack.shared.with(|state| {
            if how != Shutdown::Read {
                state.close(self.key);
            }
            if how != Shutdown::Write {
                let connection = &mut state.connections[self.key];
                connection.received.clear();
                connection.peer_closed = true;
                connection.wake_readers(&mut state.wakes);
            }
        });
    }

    /// The next message, where the sender put it; `None` at the end of the stream. Blocks like `read`.
    pub fn receive(&self) -> io::Result<Option<SharedBytes>> {
        self.wait_readable(|state, key| state.receive(key))
    }

    /// A buffer to build a message in, of the pool's buffer size, to be [sent](Loan::send) without a
    /// copy. Blocks like `write` while the window is full.
    pub fn loan(&self) -> io::Result<Loan<'_>> {
        let (ticket, link) = self.wait_writable(|state, key| state.take(key))?;
        Ok(Loan::new(self, link, ticket))
    }

    /// Writes as much as the window takes now, which may be nothing.
    pub fn try_write(&self, from: &[u8]) -> io::Result<usize> {
        self.stack.shared.with(|state| state.write(self.key, from).unwrap_or(Ok(0)))
    }

    /// A descriptor for foreign event loops: readable, edge-triggered, whenever something has changed
    /// for this stream's reader or writer. Then call `read` and `write`, nonblocking, until they would
    /// block. It is made on the first call, with a thread that drives the stack from then on.
    pub fn event_fd(&self) -> io::Result<BorrowedFd<'_>> {
        use std::os::fd::AsFd as _;
        if let Some(event) = self.event.get() {
            return Ok(event.as_fd());
        }
        let event = Arc::new(rustix::event::eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let event = self.event.get_or_init(|| event);
        self.stack.shared.with(|state| state.connections[self.key].event = Some(event.clone()));
        crate::driver::start(&self.stack)?;
        Ok(event.as_fd())
    }

    fn wait_readable<T>(
        &self,
        mut attempt: impl FnMut(&mut State, usize) -> Option<io::Result<T>>,
    ) -> io::Result<T> {
        let key = self.key;
        self.wait(
            &self.read_timeout,
            |state| attempt(state, key),
            |state, waiter| state.connections[key].readers.add(waiter),
        )
    }

    fn wait_writable<T>(
        &self,
        mut attempt: impl FnMut(&mut State, usize) -> Option<io::Result<T>>,
    ) -> io::Result<T> {
        let key = self.key;
        self.wait(
            &self.write_timeout,
            |state| attempt(state, key),
            |state, waiter| state.connections[key].writers.add(waiter),
        )
    }

    fn wait<T>(
        &self,
        timeout: &AtomicU64,
        mut attempt: impl FnMut(&mut State) -> Option<io::Result<T>>,
        register: impl FnMut(&mut State, Waiter),
    ) -> io::Result<T> {
        let shared = &self.stack.shared;
        if self.nonblocking.load(Ordering::Relaxed) {
            let done = shared.with(|state| {
                attempt(state).or_else(|| {
                    state.drain();
                    attempt(state)
                })
            });
            return done.unwrap_or(Err(io::ErrorKind::WouldBlock.into()));
        }
        let deadline = match timeout.load(Ordering::Relaxed) {
            FOREVER => None,
            nanos => Some(Instant::now() + Duration::from_nanos(nanos)),
        };
        shared.block(deadline, attempt, register).unwrap_or(Err(io::ErrorKind::TimedOut.into()))
    }
}

fn nanos(timeout: Option<Duration>) -> u64 {
    timeout.map_or(FOREVER, |timeout| u64::try_from(timeout.as_nanos()).unwrap_or(FOREVER - 1))
}

impl Drop for ShmStream {
    fn drop(&mut self) {
        self.stack.shared.with(|state| state.drop_handle(self.key));
    }
}

impl Read for &ShmStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        self.wait_readable(|state, key| state.read(key, into))
    }
}

impl Write for &ShmStream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        if from.is_empty() {
            return Ok(0);
        }
        self.wait_writable(|state, key| state.write(key, from))
    }

    /// Does nothing: what is written is with the peer.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for ShmStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (&*self).read(into)
    }
}

impl Write for ShmStream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        (&*self).write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What streams do to their entries. `None` is "not now".
impl State {
    pub(crate) fn read(&mut self, key: usize, into: &mut [u8]) -> Option<io::Result<usize>> {
        let connection = &mut self.connections[key];
        let mut n = 0;
        while n < into.len()
            && let Some(bytes) = connection.received.front_mut()
        {
            n += bytes.copy_to(&mut into[n..]);
            if bytes.is_empty() {
                connection.received.pop_front();
            }
        }
        if n > 0 { Some(Ok(n)) } else { end_of_reading(connection).map(|end| end.map(|()| 0)) }
    }

    pub(crate) fn receive(&mut self, key: usize) -> Option<io::Result<Option<SharedBytes>>> {
        let connection = &mut self.connections[key];
        match connection.received.pop_front() {
            Some(bytes) => Some(Ok(Some(bytes))),
            None => end_of_reading(connection).map(|end| end.map(|()| None)),
        }
    }

    /// Writes as much as the window takes.
    pub(crate) fn write(&mut self, key: usize, from: &[u8]) -> Option<io::Result<usize>> {
        let mut n = 0;
        while n < from.len() {
            let (ticket, link) = match self.take(key) {
                Some(Ok(taken)) => taken,
                Some(Err(error)) => return Some(Err(error)),
                None => break,
            };
            let len = (from.len() - n).min(link.regions.shape.buffer_size as usize);
            link.regions.write(&ticket, 0, &from[n..n + len]);
            if let Err(error) = self.send_buffer(key, &ticket, len as u32) {
                return Some(Err(error));
            }
            n += len;
        }
        (n > 0).then_some(Ok(n))
    }

    /// A buffer within the connection's window. If there is none, buffers that come back will be
    /// noticed.
    pub(crate) fn take(&mut self, key: usize) -> Option<io::Result<(Ticket, Arc<Link>)>> {
        let connection = &mut self.connections[key];
        match connection.phase {
            Phase::Established if !connection.closed => {}
            Phase::Established => return Some(Err(io::ErrorKind::BrokenPipe.into())),
            _ => return Some(Err(io::ErrorKind::ConnectionReset.into())),
        }
        let pair = connection.pair.and_then(|at| self.pairs[at].as_mut());
        let Some(pair) = pair else { return Some(Err(io::ErrorKind::ConnectionReset.into())) };
        if connection.in_flight < connection.window
            && let Some(ticket) = pair.take()
        {
            connection.in_flight += 1;
            return Some(Ok((ticket, pair.link.clone())));
        }
        if !connection.wants {
            connection.wants = true;
            connection.counters.window_full += 1;
            pair.want(true);
            counters::add(&self.page, Counter::WindowFull, 1);
        }
        None
    }

    /// Sends a buffer that was taken.
    pub(crate) fn send_buffer(&mut self, key: usize, ticket: &Ticket, len: u32) -> io::Result<()> {
        let id = self.id(key);
        let connection = &mut self.connections[key];
        if connection.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let message = Message::Data { buffer: ticket.index, generation: ticket.generation, len };
        let descriptor = Descriptor { source: connection.local, destination: connection.remote, message };
        let Some((at, pair)) = connection.pair.and_then(|at| Some((at, self.pairs[at].as_mut()?))) else {
            return Err(io::ErrorKind::ConnectionReset.into());
        };
        if pair.push(&descriptor).is_err() {
            self.count(Counter::Corrupt);
            self.lose_pair(at);
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        pair.pool.sent(ticket, id);
        state::ring_later(&mut self.rings, &pair.link);
        connection.counters.sent += 1;
        connection.counters.octets_sent += u64::from(len);
        self.count(Counter::Sent);
        counters::add(&self.page, Counter::OctetsSent, u64::from(len));
        Ok(())
    }

    /// A buffer that was taken is not sent after all.
    pub(crate) fn put_back(&mut self, key: usize, link: &Arc<Link>, ticket: &Ticket) {
        let connection = &mut self.connections[key];
        connection.in_flight -= 1;
        let ended = connection.pair.is_none();
        // By the link: the connection may have ended meanwhile, and forgotten its pair.
        if let Some(pair) = self.pairs.iter_mut().flatten().find(|pair| Arc::ptr_eq(&pair.link, link)) {
            pair.pool.put_back(ticket);
            if ended {
                pair.pool.release(1);
            }
        }
        connection.wake_writers(&mut self.wakes);
    }

    /// This side sends no more.
    pub(crate) fn close(&mut self, key: usize) {
        let connection = &mut self.connections[key];
        if connection.phase == Phase::Established && !std::mem::replace(&mut connection.closed, true) {
            connection.wake_writers(&mut self.wakes);
            self.send(key, Message::Close);
        }
    }
}

/// What a reader gets when nothing is left: the end, an error, or nothing yet.
fn end_of_reading(connection: &Connection) -> Option<io::Result<()>> {
    match connection.phase {
        _ if connection.peer_closed => Some(Ok(())),
        Phase::Established => None,
        _ => Some(Err(io::ErrorKind::ConnectionReset.into())),
    }
}
