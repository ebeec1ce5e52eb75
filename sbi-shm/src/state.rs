//! The I/O stack's state: pairs, connection table, listeners; and the packet handler, which takes
//! what the peers have sent to where it belongs. It never waits.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::Thread;

use rustix::net::RecvFlags;
use slab::Slab;
use smallvec::SmallVec;

use crate::address::AddressRange;
use crate::connection::{Connection, Failure, Phase, Tuple, Waiter, Waiters};
use crate::counters::{self, Counter};
use crate::descriptor::{Descriptor, End, Message, Why};
use crate::link::Link;
use crate::pair::Pair;
use crate::pool::Forged;
use crate::region::StatusPage;
use crate::ring::NotPushed;

/// Connections of one stack, over all peers.
pub(crate) const CONNECTIONS_MAX: usize = 8192;
/// Dynamic ports (RFC 6335 §6).
pub(crate) const EPHEMERAL: std::ops::RangeInclusive<u16> = 49152..=65535;
/// Ports that one opening tries.
const PORTS_TRIED_MAX: usize = 64;

/// A place where connections are accepted.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) phase: ListenPhase,
    /// Connections that wait to be accepted.
    pub(crate) backlog: VecDeque<usize>,
    pub(crate) backlog_max: usize,
    /// Offers that are chosen if a client makes them.
    pub(crate) protocols: Vec<u64>,
    pub(crate) window: u32,
    pub(crate) acceptors: Waiters,
    pub(crate) openers: Waiters,
}

/// How far a listener is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListenPhase {
    /// The manager is asked.
    Asked,
    /// Peers find it.
    Open,
    /// The manager refused.
    Refused(NotListening),
}

/// Why the manager refused a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotListening {
    NoManager,
    NotGranted,
    Taken,
    Full,
}

/// Rings of a peer that stay unread in the pair's socket. Each is news to an edge-triggered event loop,
/// read or not, as long as the socket takes more; it takes some 270.
const UNREAD_MAX: u32 = 64;
/// What is read of a peer's rings in one go; an honest one's are fewer.
const RINGS_READ_MAX: usize = 512;

/// Who sleeps for the stack, and takes in what arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    Nobody,
    /// A blocked thread, on the bells.
    Thread,
    /// An event loop, on the event descriptor.
    Runtime,
}

/// Who drives next.
pub(crate) enum Relief {
    /// Somebody drives, or nobody waits.
    NotNeeded,
    Thread(Thread),
    Runtime,
}

/// All that changes of a stack, under one lock.
pub(crate) struct State {
    pub(crate) page: StatusPage,
    /// Addresses that the manager grants this process.
    pub(crate) addresses: Vec<AddressRange>,
    pub(crate) pairs: Vec<Option<Pair>>,
    /// Which pair leads to a listener, as the manager said.
    pub(crate) routes: HashMap<End, usize>,
    pub(crate) table: HashMap<Tuple, usize>,
    pub(crate) connections: Slab<Connection>,
    pub(crate) listeners: HashMap<End, Listening>,
    pub(crate) driver: Driver,
    /// Threads that are blocked and do not drive.
    pub(crate) blocked: VecDeque<Thread>,
    /// The event loop sleeps without having said so, because a thread drove when it went to sleep.
    pub(crate) runtime_relies_on_thread: bool,
    /// The manager answers.
    pub(crate) managed: bool,
    /// Nobody uses the stack any more.
    pub(crate) stopped: bool,
    /// Woken once the lock is released.
    pub(crate) wakes: SmallVec<[Waiter; 8]>,
    /// Rung once the lock is released.
    pub(crate) rings: SmallVec<[Arc<Link>; 4]>,
    /// Times that the event loop woke up since the peers' rings were last emptied.
    pub(crate) unread: u32,
    serial: u32,
    next_port: u16,
}

impl State {
    pub(crate) fn new(page: StatusPage, first_port: u16) -> Self {
        Self {
            page,
            addresses: Vec::new(),
            pairs: Vec::new(),
            routes: HashMap::new(),
            table: HashMap::new(),
            connections: Slab::new(),
            listeners: HashMap::new(),
            driver: Driver::Nobody,
            blocked: VecDeque::new(),
            runtime_relies_on_thread: false,
            managed: true,
            stopped: false,
            wakes: SmallVec::new(),
            rings: SmallVec::new(),
            unread: 0,
            serial: 0,
            next_port: first_port,
        }
    }

    pub(crate) fn count(&self, counter: Counter) {
        counters::add(&self.page, counter, 1);
    }

    /// Takes in all that the peers have left.
    pub(crate) fn drain(&mut self) {
        for index in 0..self.pairs.len() {
            if self.pairs[index].is_some() && self.drain_pair(index).is_err() {
                self.count(Counter::Corrupt);
                self.lose_pair(index);
            }
        }
    }

    /// Who is to be woken when a thread leaves that may have driven.
    pub(crate) fn relief(&mut self) -> Relief {
        if self.driver != Driver::Nobody {
            return Relief::NotNeeded;
        }
        match self.blocked.pop_front() {
            Some(thread) => Relief::Thread(thread),
            None if std::mem::take(&mut self.runtime_relies_on_thread) => Relief::Runtime,
            None => Relief::NotNeeded,
        }
    }

    /// Whether a peer has left something.
    pub(crate) fn has_input(&self) -> bool {
        self.pairs.iter().flatten().any(Pair::has_input)
    }

    /// The event loop woke up: now and then, empties the sockets that it was rung through.
    pub(crate) fn empty_sockets(&mut self) {
        self.unread += 1;
        if self.unread < UNREAD_MAX {
            return;
        }
        self.unread = 0;
        for pair in self.pairs.iter().flatten() {
            for _ in 0..RINGS_READ_MAX {
                let (socket, flags) = (&*pair.link.socket, RecvFlags::DONTWAIT);
                if !rustix::net::recv(socket, &mut [0u8; 8], flags).is_ok_and(|(n, _)| n > 0) {
                    break;
                }
            }
        }
    }

    fn drain_pair(&mut self, index: usize) -> Result<(), crate::ring::Corrupt> {
        // At most what two full rings hold: a peer that never stops does not keep us from the others.
        let mut left = 0;
        while let Some(pair) = &mut self.pairs[index] {
            if left == 0 {
                left = 2 * pair.pool.len();
            }
            match pair.pop_return()? {
                Some(Some(connection)) => self.credit(index, connection),
                Some(None) => self.count(Counter::ForgedReturn),
                None => break,
            }
            left -= 1;
            if left == 0 {
                break;
            }
        }
        let mut left = self.pairs[index].as_ref().map_or(0, |pair| 2 * pair.pool.len());
        while left > 0
            && let Some(pair) = &mut self.pairs[index]
        {
            let Some(words) = pair.pop()? else { break };
            match Descriptor::read(&words) {
                Some(descriptor) => self.handle(index, &descriptor),
                None => self.count(Counter::Malformed),
            }
            left -= 1;
        }
        Ok(())
    }

    /// A buffer came back: whoever waits for one goes on.
    fn credit(&mut self, index: usize, id: u64) {
        let connection = self.connections.get_mut(id as u32 as usize);
        let connection = connection.filter(|connection| u64::from(connection.serial) == id >> 32);
        let live = connection.and_then(|connection| {
            connection.in_flight -= 1;
            connection.pair.is_some().then_some(connection)
        });
        let Some(connection) = live else {
            // The connection has ended before its buffer came back: see `detach`.
            if let Some(pair) = &mut self.pairs[index] {
                pair.pool.release(1);
            }
            return;
        };
        if connection.wants {
            connection.wants = false;
            connection.wake_writers(&mut self.wakes);
            if let Some(pair) = connection.pair.and_then(|at| self.pairs[at].as_mut()) {
                pair.want(false);
            }
        }
    }

    /// One descriptor of a peer, hostile until judged.
    fn handle(&mut self, pair: usize, descriptor: &Descriptor) {
        let tuple = Tuple { pair, local: descriptor.destination, remote: descriptor.source };
        let Some(&key) = self.table.get(&tuple) else { return self.on_unknown(tuple, descriptor.message) };
        match descriptor.message {
            Message::Establish { .. } => self.count(Counter::Malformed),
            Message::Reply { choice } => self.on_reply(key, choice),
            Message::Refuse(why) => self.on_refuse(key, why.into()),
            Message::Data { buffer, generation, len } => self.on_data(pair, key, buffer, generation, len),
            Message::Close => self.on_close(key),
            Message::Reset => self.on_reset(key),
        }
    }

    /// A message of no connection.
    fn on_unknown(&mut self, tuple: Tuple, message: Message) {
        let Some(pair) = &mut self.pairs[tuple.pair] else { return };
        if !pair.may_send_from(tuple.remote.ip()) || !owns(&self.addresses, tuple.local.ip()) {
            return self.count(Counter::OutOfDomain);
        }
        match message {
            Message::Establish { offer } => self.on_establish(tuple, offer),
            Message::Data { buffer, generation, len } => {
                match pair.accept(buffer, generation, len) {
                    // Dropped here, so given back.
                    Ok(_) => self.count(Counter::Stray),
                    Err(forged) => return self.forged(forged),
                }
                self.answer(tuple, Message::Reset, true);
            }
            Message::Close => self.count(Counter::Stray),
            Message::Reply { .. } => {
                self.count(Counter::Stray);
                self.answer(tuple, Message::Reset, true);
            }
            Message::Refuse(_) | Message::Reset => self.count(Counter::Stray),
        }
    }

    fn on_establish(&mut self, tuple: Tuple, offer: u64) {
        let Some(listening) = self.listeners.get(&tuple.local).filter(|l| l.phase == ListenPhase::Open)
        else {
            self.count(Counter::Refused);
            return self.answer(tuple, Message::Refuse(Why::NoListener), true);
        };
        let window = listening.window;
        let choice = if listening.protocols.contains(&offer) { offer } else { 0 };
        if listening.backlog.len() >= listening.backlog_max || !self.reserve(tuple.pair, window) {
            self.count(Counter::Refused);
            return self.answer(tuple, Message::Refuse(Why::Busy), true);
        }
        let connection = Connection {
            pair: Some(tuple.pair),
            offer,
            choice,
            ..Connection::new(tuple.local, tuple.remote, Phase::Accepting, window)
        };
        let key = self.insert(connection);
        self.table.insert(tuple, key);
        if let Some(listening) = self.listeners.get_mut(&tuple.local) {
            listening.backlog.push_back(key);
            listening.acceptors.wake_into(&mut self.wakes);
        }
    }

    fn on_reply(&mut self, key: usize, choice: u64) {
        let connection = &mut self.connections[key];
        if connection.phase != Phase::Connecting {
            return self.count(Counter::Malformed);
        }
        if connection.orphan {
            self.send(key, Message::Reset);
            return self.remove(key);
        }
        connection.phase = Phase::Established;
        connection.choice = choice;
        connection.openers.wake_into(&mut self.wakes);
        self.count(Counter::Opened);
    }

    fn on_refuse(&mut self, key: usize, failure: Failure) {
        let connection = &mut self.connections[key];
        if connection.phase != Phase::Connecting {
            return self.count(Counter::Malformed);
        }
        if failure == Failure::Refused {
            // Whoever listened there does no more: the next opening asks the manager again.
            self.routes.remove(&connection.remote);
        }
        self.fail(key, failure);
    }

    fn on_data(&mut self, pair: usize, key: usize, buffer: u32, generation: u32, len: u32) {
        let Some(carrier) = &mut self.pairs[pair] else { return };
        let bytes = match carrier.accept(buffer, generation, len) {
            Ok(bytes) => bytes,
            Err(forged) => {
                // Octets of the stream are missing now: it cannot go on.
                self.forged(forged);
                self.send(key, Message::Reset);
                return self.end(key);
            }
        };
        let connection = &mut self.connections[key];
        if connection.orphan || connection.peer_closed || connection.phase != Phase::Established {
            drop(bytes);
            self.count(Counter::Stray);
            self.send(key, Message::Reset);
            return self.end(key);
        }
        connection.counters.received += 1;
        connection.counters.octets_received += u64::from(len);
        connection.received.push_back(bytes);
        connection.wake_readers(&mut self.wakes);
        self.count(Counter::Received);
        counters::add(&self.page, Counter::OctetsReceived, u64::from(len));
    }

    fn on_close(&mut self, key: usize) {
        let connection = &mut self.connections[key];
        connection.peer_closed = true;
        connection.wake_readers(&mut self.wakes);
        if connection.orphan && connection.closed {
            self.remove(key);
        }
    }

    fn on_reset(&mut self, key: usize) {
        self.count(Counter::Resets);
        self.end(key);
    }

    fn forged(&mut self, forged: Forged) {
        self.count(match forged {
            Forged::OutOfRange => Counter::OutOfRange,
            Forged::Stale => Counter::Stale,
        });
    }

    /// Says something about a connection that has no entry.
    fn answer(&mut self, tuple: Tuple, message: Message, may_be_lost: bool) {
        self.push(
            tuple.pair,
            Descriptor { source: tuple.local, destination: tuple.remote, message },
            may_be_lost,
        );
    }

    /// Says something on a connection. There is room: the ring has more slots than connections can
    /// have to say and buffers to send.
    pub(crate) fn send(&mut self, key: usize, message: Message) {
        let connection = &self.connections[key];
        let Some(pair) = connection.pair else { return };
        let descriptor = Descriptor { source: connection.local, destination: connection.remote, message };
        self.push(pair, descriptor, false);
    }

    fn push(&mut self, index: usize, descriptor: Descriptor, may_be_lost: bool) {
        let Some(pair) = &mut self.pairs[index] else { return };
        match pair.push(&descriptor) {
            Ok(()) => ring_later(&mut self.rings, &pair.link),
            Err(NotPushed::Full) if may_be_lost => {}
            // A peer that does not read its ring for so long, or that lies about it.
            Err(_) => {
                self.count(Counter::Corrupt);
                self.lose_pair(index);
            }
        }
    }

    /// Sets a window aside and counts the connection.
    fn reserve(&mut self, pair: usize, window: u32) -> bool {
        if self.connections.len() >= CONNECTIONS_MAX {
            return false;
        }
        let Some(pair) = &mut self.pairs[pair] else { return false };
        let room = pair.connections < pair.connections_max() && pair.pool.promise(window);
        if room {
            pair.connections += 1;
        }
        room
    }

    pub(crate) fn insert(&mut self, mut connection: Connection) -> usize {
        self.serial = self.serial.wrapping_add(1);
        connection.serial = self.serial;
        let key = self.connections.insert(connection);
        counters::set(&self.page, Counter::Connections, self.connections.len() as u64);
        key
    }

    /// The number that a sent buffer remembers its connection by.
    pub(crate) fn id(&self, key: usize) -> u64 {
        u64::from(self.connections[key].serial) << 32 | key as u64
    }

    /// Opens a connection over a pair that is there: takes a port, inserts the entry, sends ESTABLISH.
    pub(crate) fn establish(&mut self, key: usize, pair: usize) {
        let connection = &self.connections[key];
        let (ip, remote, window, offer) =
            (connection.local.ip(), connection.remote, connection.window, connection.offer);
        let Some(local) = self.free_port(pair, ip, remote) else { return self.fail(key, Failure::Busy) };
        if !self.reserve(pair, window) {
            return self.fail(key, Failure::Busy);
        }
        let connection = &mut self.connections[key];
        connection.pair = Some(pair);
        connection.local = local;
        connection.phase = Phase::Connecting;
        self.table.insert(Tuple { pair, local, remote }, key);
        self.send(key, Message::Establish { offer });
    }

    fn free_port(&mut self, pair: usize, ip: IpAddr, remote: End) -> Option<End> {
        for _ in 0..PORTS_TRIED_MAX {
            let port = self.next_port;
            self.next_port = if port == *EPHEMERAL.end() { *EPHEMERAL.start() } else { port + 1 };
            let local = End::from(SocketAddr::new(ip, port));
            if !self.table.contains_key(&Tuple { pair, local, remote })
                && !self.listeners.contains_key(&local)
            {
                return Some(local);
            }
        }
        None
    }

    /// The opening came to nothing.
    pub(crate) fn fail(&mut self, key: usize, failure: Failure) {
        self.detach(key);
        let connection = &mut self.connections[key];
        connection.phase = Phase::Failed(failure);
        connection.wake_all(&mut self.wakes);
        if connection.orphan {
            self.remove(key);
        }
    }

    /// The connection is reset: who waits on it learns it.
    pub(crate) fn end(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let (local, waits) = (connection.local, connection.phase == Phase::Accepting);
        self.detach(key);
        let connection = &mut self.connections[key];
        connection.phase = Phase::Reset;
        connection.wake_all(&mut self.wakes);
        let orphan = connection.orphan;
        // One that waits to be accepted has no handle yet.
        let backlog = self.listeners.get_mut(&local).filter(|_| waits).map(|l| &mut l.backlog);
        let unaccepted = backlog.and_then(|b| b.iter().position(|k| *k == key).map(|at| b.remove(at)));
        if orphan || unaccepted.is_some() {
            self.remove(key);
        }
    }

    /// Takes the connection out of the table and gives its window back, but for the buffers that are
    /// away: they stay promised until they come home, so that every window that is open can be filled.
    fn detach(&mut self, key: usize) {
        let connection = &mut self.connections[key];
        let Some(at) = connection.pair.take() else { return };
        let (tuple, window) =
            (Tuple { pair: at, local: connection.local, remote: connection.remote }, connection.window);
        let home = window - connection.in_flight;
        let wanted = std::mem::take(&mut connection.wants);
        self.table.remove(&tuple);
        if let Some(pair) = &mut self.pairs[at] {
            pair.pool.release(home);
            pair.connections -= 1;
            if wanted {
                pair.want(false);
            }
        }
    }

    /// Frees the entry, if it is still there: losing a pair frees entries as well.
    pub(crate) fn remove(&mut self, key: usize) {
        if !self.connections.contains(key) {
            return;
        }
        self.detach(key);
        self.connections.remove(key);
        counters::set(&self.page, Counter::Connections, self.connections.len() as u64);
    }

    /// A peer is paired with us.
    pub(crate) fn add_pair(&mut self, pair: Pair) -> usize {
        let at = self.pairs.iter().position(Option::is_none).unwrap_or(self.pairs.len());
        if at == self.pairs.len() {
            self.pairs.push(None);
        }
        self.pairs[at] = Some(pair);
        self.count_peers();
        at
    }

    /// A peer is gone, or not to be dealt with any more: its connections are reset. What it held of
    /// ours goes with the region.
    pub(crate) fn lose_pair(&mut self, index: usize) {
        let Some(pair) = self.pairs[index].take() else { return };
        // The peer learns it at once, though the control thread may still watch the descriptor.
        let _ = rustix::net::shutdown(&*pair.link.socket, rustix::net::Shutdown::Both);
        drop(pair);
        self.count(Counter::PeersLost);
        self.count_peers();
        self.routes.retain(|_, at| *at != index);
        let lost: Vec<usize> =
            self.connections.iter().filter(|(_, c)| c.pair == Some(index)).map(|(key, _)| key).collect();
        for key in lost {
            self.count(Counter::Resets);
            if self.connections[key].phase == Phase::Connecting {
                self.fail(key, Failure::PeerLost)
            } else {
                self.end(key)
            }
        }
    }

    fn count_peers(&self) {
        counters::set(&self.page, Counter::Peers, self.pairs.iter().flatten().count() as u64);
    }

    /// The pair with this instance.
    pub(crate) fn pair_of(&self, instance: u64) -> Option<usize> {
        self.pairs.iter().position(|pair| pair.as_ref().is_some_and(|pair| pair.peer.instance == instance))
    }

    /// The manager's word: this instance listens at `to`. Those who waited for it go on.
    pub(crate) fn route(&mut self, to: End, instance: u64) {
        let Some(pair) = self.pair_of(instance) else { return };
        self.routes.insert(to, pair);
        for key in self.routing(to) {
            self.establish(key, pair);
        }
    }

    /// The manager's word, or its absence: nobody is reached at `to`.
    pub(crate) fn no_route(&mut self, to: End, failure: Failure) {
        for key in self.routing(to) {
            self.fail(key, failure);
        }
    }

    fn routing(&self, to: End) -> Vec<usize> {
        let waits = |c: &Connection| c.phase == Phase::Routing && c.remote == to;
        self.connections.iter().filter(|(_, c)| waits(c)).map(|(key, _)| key).collect()
    }

    /// The handle of a connection is dropped.
    pub(crate) fn drop_handle(&mut self, key: usize) {
        let connection = &mut self.connections[key];
        let unread = !connection.received.is_empty();
        connection.received.clear();
        match connection.phase {
            Phase::Routing | Phase::Failed(_) | Phase::Reset => self.remove(key),
            // The peer's answer is still to come, and then to be undone.
            Phase::Connecting | Phase::Accepting => connection.orphan = true,
            Phase::Established if unread && !connection.peer_closed => {
                self.send(key, Message::Reset);
                self.remove(key);
            }
            Phase::Established => {
                connection.orphan = true;
                let (closed, peer_closed) = (connection.closed, connection.peer_closed);
                connection.closed = true;
                if !closed {
                    self.send(key, Message::Close);
                }
                if peer_closed {
                    self.remove(key);
                }
            }
        }
    }
}

fn owns(addresses: &[AddressRange], ip: IpAddr) -> bool {
    addresses.iter().any(|range| range.contains(ip))
}

/// Remembers to ring the peer when the lock is released.
pub(crate) fn ring_later(rings: &mut SmallVec<[Arc<Link>; 4]>, link: &Arc<Link>) {
    if !rings.iter().any(|known| Arc::ptr_eq(known, link)) {
        rings.push(link.clone());
    }
}
