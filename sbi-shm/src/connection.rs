//! One connection of the table, and who waits on it.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::Waker;
use std::thread::Thread;

use smallvec::SmallVec;

use crate::descriptor::{End, Why};
use crate::link::SharedBytes;

/// Who waits for something to happen.
#[derive(Debug, Clone)]
pub(crate) enum Waiter {
    /// A task of an event loop.
    Task(Waker),
    /// A blocked thread.
    Thread(Thread),
}

impl Waiter {
    pub(crate) fn wake(self) {
        match self {
            Self::Task(waker) => waker.wake(),
            Self::Thread(thread) => thread.unpark(),
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Task(own), Self::Task(other)) => own.will_wake(other),
            (Self::Thread(own), Self::Thread(other)) => own.id() == other.id(),
            _ => false,
        }
    }
}

/// Those who wait for one thing.
#[derive(Debug, Default)]
pub(crate) struct Waiters(SmallVec<[Waiter; 1]>);

impl Waiters {
    /// Adds one, unless it waits already.
    pub(crate) fn add(&mut self, waiter: Waiter) {
        if !self.0.iter().any(|known| known.is(&waiter)) {
            self.0.push(waiter);
        }
    }

    /// Moves all to those who are woken next.
    pub(crate) fn wake_into(&mut self, wakes: &mut SmallVec<[Waiter; 8]>) {
        wakes.extend(self.0.drain(..));
    }
}

/// What a stack knows of a connection by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tuple {
    /// The pair that carries it: two peers may use one address.
    pub(crate) pair: usize,
    pub(crate) local: End,
    pub(crate) remote: End,
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The manager is asked for a pair with the peer.
    Routing,
    /// ESTABLISH is sent.
    Connecting,
    /// ESTABLISH has come; it waits to be accepted.
    Accepting,
    /// Both sides know each other.
    Established,
    /// It came to nothing.
    Failed(Failure),
    /// The peer reset it, or broke the protocol.
    Reset,
}

/// Why an opening failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    NoManager,
    Unknown,
    Refused,
    Busy,
    PeerLost,
}

impl From<Why> for Failure {
    fn from(why: Why) -> Self {
        match why {
            Why::NoListener => Self::Refused,
            Why::Busy => Self::Busy,
        }
    }
}

/// What went over one connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionCounters {
    /// Data messages sent.
    pub sent: u64,
    /// Octets in them.
    pub octets_sent: u64,
    /// Data messages received.
    pub received: u64,
    /// Octets in them.
    pub octets_received: u64,
    /// Writes that waited for buffers to come back.
    pub window_full: u64,
    /// Buffers now with the peer.
    pub in_flight: u32,
    /// Messages now waiting for a reader.
    pub waiting: u32,
}

/// The state of one end.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Tells a slot's tenants apart.
    pub(crate) serial: u32,
    /// `None` until the peer is paired.
    pub(crate) pair: Option<usize>,
    pub(crate) local: End,
    pub(crate) remote: End,
    pub(crate) phase: Phase,
    /// What the client offers to speak.
    pub(crate) offer: u64,
    /// What the server chose.
    pub(crate) choice: u64,
    /// Buffers that may be with the peer.
    pub(crate) window: u32,
    pub(crate) in_flight: u32,
    pub(crate) received: VecDeque<SharedBytes>,
    /// The peer sends no more.
    pub(crate) peer_closed: bool,
    /// We send no more.
    pub(crate) closed: bool,
    /// Its handle is dropped; the entry waits for the peer's last word.
    pub(crate) orphan: bool,
    /// A writer waits for buffers: counted in its pair.
    pub(crate) wants: bool,
    pub(crate) readers: Waiters,
    pub(crate) writers: Waiters,
    pub(crate) openers: Waiters,
    /// The descriptor for foreign event loops, once asked for.
    pub(crate) event: Option<Arc<OwnedFd>>,
    pub(crate) counters: ConnectionCounters,
}

impl Connection {
    pub(crate) fn new(local: End, remote: End, phase: Phase, window: u32) -> Self {
        Self {
            serial: 0,
            pair: None,
            local,
            remote,
            phase,
            offer: 0,
            choice: 0,
            window,
            in_flight: 0,
            received: VecDeque::new(),
            peer_closed: false,
            closed: false,
            orphan: false,
            wants: false,
            readers: Waiters::default(),
            writers: Waiters::default(),
            openers: Waiters::default(),
            event: None,
            counters: ConnectionCounters::default(),
        }
    }

    /// Wakes all who wait on it.
    pub(crate) fn wake_all(&mut self, wakes: &mut SmallVec<[Waiter; 8]>) {
        self.readers.wake_into(wakes);
        self.writers.wake_into(wakes);
        self.openers.wake_into(wakes);
        self.signal();
    }

    /// Wakes readers.
    pub(crate) fn wake_readers(&mut self, wakes: &mut SmallVec<[Waiter; 8]>) {
        self.readers.wake_into(wakes);
        self.signal();
    }

    /// Wakes writers.
    pub(crate) fn wake_writers(&mut self, wakes: &mut SmallVec<[Waiter; 8]>) {
        self.writers.wake_into(wakes);
        self.signal();
    }

    /// Tells a foreign event loop that something changed.
    fn signal(&self) {
        if let Some(event) = &self.event {
            // A full counter is a signal as well.
            let _ = rustix::io::write(&**event, &1u64.to_ne_bytes());
        }
    }

    /// Counts as they are now.
    pub(crate) fn counters(&self) -> ConnectionCounters {
        ConnectionCounters { in_flight: self.in_flight, waiting: self.received.len() as u32, ..self.counters }
    }
}
