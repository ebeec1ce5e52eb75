//! An association over a one-to-one socket, the kernel's or usrsctp's.

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::admission::Permit;
use crate::association::{Association, AssociationInfo, BoxFuture, Driver, Event, Message, PathState};
use crate::counters::SctpCounters;
use crate::error::{LostCause, SctpError, SendError};
use crate::options::Limits;
use crate::wire::Notification;

/// Connections that may wait for `accept`.
pub(crate) const BACKLOG: i32 = 128;
/// Reads that give no event, before other tasks get their turn.
pub(crate) const QUIET_READS_MAX: usize = 64;
/// Octets read at once; a longer message is put together from parts.
const SCRATCH: usize = 65_536;

/// What one read gave.
#[derive(Debug)]
pub(crate) enum Read {
    /// Octets of a message; `end` when it is complete.
    Data {
        length: usize,
        end: bool,
        stream: u16,
        ppid: u32,
        unordered: bool,
    },
    Notification(Notification),
    /// Nothing more will come.
    End,
    /// An `errno`.
    Failed(i32),
}

/// How a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flag {
    Ordered,
    Unordered,
    /// Not a message: ABORT with this text as user-initiated cause.
    Abort,
}

/// A connected socket of a stack; all calls may come from several threads.
pub(crate) trait StackSocket: Send + Sync + fmt::Debug + 'static {
    fn poll_read(&self, context: &mut Context<'_>, room: &mut [u8]) -> Poll<Read>;
    fn writable(&self) -> BoxFuture<'_, ()>;
    /// A whole message or nothing; the error is an `errno`.
    fn send(&self, data: &[u8], stream: u16, ppid: u32, flag: Flag) -> Result<(), i32>;
    fn shutdown(&self);
    /// Closing sends ABORT (true), or lets the stack finish in its own time.
    fn abort_on_close(&self, abort: bool);
    /// The pending error, cleared; 0 for none.
    fn take_error(&self) -> i32;
    /// Inbound and outbound streams.
    fn streams(&self) -> Option<(u16, u16)>;
    fn peer_addresses(&self) -> Vec<SocketAddr>;
    fn local_addresses(&self) -> Vec<SocketAddr>;

    fn abort(&self, reason: &str) {
        // An association that is gone already refuses, which is as good.
        let _ = self.send(reason.as_bytes(), 0, 0, Flag::Abort);
    }
}

/// An association over a connected socket.
pub(crate) fn association<S: StackSocket>(
    socket: S,
    from: SocketAddr,
    limits: Limits,
    counters: Arc<SctpCounters>,
    permit: Option<Permit>,
) -> Association {
    let mut peer = socket.peer_addresses();
    peer.retain(|address| *address != from);
    peer.insert(0, from);
    let (inbound_streams, outbound_streams) = socket.streams().unwrap_or((1, 1));
    let info = AssociationInfo {
        peer,
        local: socket.local_addresses(),
        outbound_streams,
        inbound_streams,
        message_length_max: limits.message_length_max,
    };
    let (shutting_down, state, wake) = Default::default();
    let driver = SocketAssociation { socket, info, counters, shutting_down, state, wake, _permit: permit };
    Association::new(Arc::new(driver))
}

/// Waits until the association of a connecting socket is up.
pub(crate) async fn connected<S: StackSocket>(socket: &S, peer: SocketAddr) -> Result<(), SctpError> {
    let mut room = [0u8; 512];
    loop {
        let read = std::future::poll_fn(|context| socket.poll_read(context, &mut room)).await;
        match read {
            Read::Notification(Notification::Up) => return Ok(()),
            // Before the association is up only its own notifications come.
            Read::Notification(Notification::CannotStart | Notification::Lost) | Read::End => {
                return Err(not_connected(peer, socket.take_error()));
            }
            Read::Failed(error) => return Err(not_connected(peer, error)),
            Read::Notification(_) | Read::Data { .. } => {}
        }
    }
}

fn not_connected(peer: SocketAddr, error: i32) -> SctpError {
    match error {
        libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH => SctpError::TimedOut { peer },
        0 | libc::ECONNREFUSED | libc::ECONNRESET | libc::ECONNABORTED => SctpError::Refused { peer },
        other => SctpError::Io { call: "connect", source: std::io::Error::from_raw_os_error(other) },
    }
}

#[derive(Debug)]
struct SocketAssociation<S> {
    socket: S,
    info: AssociationInfo,
    counters: Arc<SctpCounters>,
    shutting_down: AtomicBool,
    state: Mutex<ReadState>,
    /// Wakes the receiver when this side aborts.
    wake: Mutex<Option<std::task::Waker>>,
    _permit: Option<Permit>,
}

#[derive(Debug, Default)]
struct ReadState {
    /// Of a message whose end has not come.
    partial: Vec<u8>,
    lost: Option<LostCause>,
}

thread_local! {
    static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

impl<S: StackSocket> SocketAssociation<S> {
    /// What a read means; None when it is no event.
    fn event(&self, state: &mut ReadState, read: Read, room: &[u8]) -> Option<Event> {
        Some(match read {
            Read::Data { length, end, stream, ppid, unordered } => {
                let length_max = self.info.message_length_max;
                if state.partial.len() + length > length_max {
                    self.counters.aborted_too_long.add(1);
                    self.socket.abort("message too long");
                    return Some(lose(state, LostCause::MessageTooLong { length_max }));
                }
                let octets = &room[..length];
                let data = if state.partial.is_empty() && end {
                    Bytes::copy_from_slice(octets)
                } else {
                    state.partial.extend_from_slice(octets);
                    if !end {
                        return None;
                    }
                    Bytes::from(std::mem::take(&mut state.partial))
                };
                Event::Message(Message { data, stream, ppid, unordered })
            }
            Read::Notification(notification) => return self.notified(state, notification),
            Read::End => lose(state, LostCause::Shutdown),
            Read::Failed(error) => lose(state, cause(error)),
        })
    }

    fn notified(&self, state: &mut ReadState, notification: Notification) -> Option<Event> {
        Some(match notification {
            Notification::Restart => {
                state.partial.clear();
                Event::Restart
            }
            Notification::ShutdownReceived => {
                self.shutting_down.store(true, Ordering::Relaxed);
                self.socket.abort_on_close(false);
                Event::ShutdownRequested
            }
            Notification::ShutdownComplete => lose(state, LostCause::Shutdown),
            Notification::Lost | Notification::CannotStart => lose(state, cause(self.socket.take_error())),
            Notification::PathAvailable(address) => {
                Event::PathChange { address, state: PathState::Available }
            }
            Notification::PathUnreachable(address) => {
                Event::PathChange { address, state: PathState::Unreachable }
            }
            Notification::Up | Notification::Other => return None,
        })
    }
}

/// Of an association that this side did not abort.
fn cause(error: i32) -> LostCause {
    match error {
        libc::ECONNRESET | libc::ECONNREFUSED => LostCause::AbortedByPeer,
        libc::ECONNABORTED | libc::ETIMEDOUT | 0 => LostCause::TimedOut,
        other => LostCause::Error(other),
    }
}

fn lose(state: &mut ReadState, cause: LostCause) -> Event {
    state.lost = Some(cause.clone());
    Event::Lost(cause)
}

impl<S: StackSocket> Driver for SocketAssociation<S> {
    fn info(&self) -> &AssociationInfo {
        &self.info
    }

    fn counters(&self) -> &SctpCounters {
        &self.counters
    }

    fn try_send(&self, message: &Message) -> Result<(), SendError> {
        let flag = if message.unordered { Flag::Unordered } else { Flag::Ordered };
        match self.socket.send(&message.data, message.stream, message.ppid, flag) {
            Ok(()) => Ok(()),
            Err(libc::EWOULDBLOCK | libc::ENOBUFS | libc::ENOMEM) => Err(SendError::Full),
            Err(_) => Err(SendError::Closed),
        }
    }

    fn writable(&self) -> BoxFuture<'_, ()> {
        self.socket.writable()
    }

    fn poll_recv(&self, context: &mut Context<'_>) -> Poll<Event> {
        let mut state = lock(&self.state);
        if let Some(cause) = &state.lost {
            return Poll::Ready(Event::Lost(cause.clone()));
        }
        ROOM.with_borrow_mut(|room| {
            for _ in 0..QUIET_READS_MAX {
                let Poll::Ready(read) = self.socket.poll_read(context, room) else {
                    *lock(&self.wake) = Some(context.waker().clone());
                    return Poll::Pending;
                };
                if let Some(event) = self.event(&mut state, read, room) {
                    return Poll::Ready(event);
                }
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }

    fn shutdown(&self) {
        self.shutting_down.store(true, Ordering::Relaxed);
        self.socket.abort_on_close(false);
        self.socket.shutdown();
    }

    fn abort(&self, reason: &str) {
        self.socket.abort(reason);
        lock(&self.state).lost.get_or_insert(LostCause::AbortedHere);
        let waker = lock(&self.wake).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn abandon(&self) {
        if lock(&self.state).lost.is_none() && !self.shutting_down.load(Ordering::Relaxed) {
            self.abort("closed");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
