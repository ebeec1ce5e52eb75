//! The forwarder's thread: connections between processes, and what waits on them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use super::{Command, Inbox};
use crate::counters::{self, Counter};
use crate::descriptor::{Descriptor, End, Message, Why};
use crate::link::{Link, SharedBytes};
use crate::memory::Bells;
use crate::pair::Pair;
use crate::region::StatusPage;
use crate::ring::{Corrupt, NotPushed};
use crate::sleep::{self, Bed};
use crate::spin::Spin;
use crate::stack::WINDOW;
use crate::sync::Ordering;

/// Openings that wait for a process that listens already and whose half of the pair has not come.
const EARLY_MAX: usize = 64;

/// One direction of a connection: what is on its way to one process.
#[derive(Default)]
struct Way {
    /// Waits for room in the receiver's window.
    waiting: VecDeque<Item>,
    in_flight: u32,
    /// Counted among those that wait for the receiver to give buffers back.
    wants: bool,
    /// The sender has said that no more comes.
    closing: bool,
    /// The receiver has been told so.
    closed: bool,
}

enum Item {
    Data(SharedBytes),
    Close,
}

/// A connection between two processes. The first one opened it.
struct Connection {
    serial: u32,
    pairs: [usize; 2],
    ends: [End; 2],
    /// To the second, and to the first.
    ways: [Way; 2],
    window: u32,
    /// The second has accepted it.
    accepted: bool,
}

/// An opening that came before its listener's half of the pair.
struct Early {
    listener: u64,
    index: usize,
    descriptor: Descriptor,
    offer: u64,
}

/// The forwarder's thread.
pub(super) struct Switch {
    page: StatusPage,
    inbox: Arc<Inbox>,
    pairs: Vec<Option<Pair>>,
    listens: HashMap<End, u64>,
    /// By pair, source and destination of what comes: the connection, and which way it goes.
    table: HashMap<(usize, End, End), (usize, usize)>,
    connections: Slab<Connection>,
    early: Vec<Early>,
    serial: u32,
    /// Rung at the end of the turn.
    rings: Vec<Arc<Link>>,
    /// A process has joined whose bell is not listened to yet.
    joined: bool,
    stopped: bool,
}

impl Switch {
    pub(super) fn new(page: StatusPage, inbox: Arc<Inbox>) -> Self {
        Self {
            page,
            inbox,
            pairs: Vec::new(),
            listens: HashMap::new(),
            table: HashMap::new(),
            connections: Slab::new(),
            early: Vec::new(),
            serial: 0,
            rings: Vec::new(),
            joined: false,
            stopped: false,
        }
    }

    /// Forwards until it is told to stop.
    pub(super) fn run(mut self) {
        let mut spin = Spin::default();
        while !self.stopped {
            let mut bells = Bells::default();
            bells.watch(&self.inbox.bell);
            for pair in self.pairs.iter().flatten() {
                bells.watch(pair.link.regions.peer_bell());
            }
            self.joined = false;
            self.obey();
            self.turn();
            if self.joined || self.stopped || self.has_input() || self.spin(&mut spin) {
                continue;
            }
            sleep::arm(self.page.word(), Bed::Bells);
            if !self.has_input() && bells.wait(None).is_err() {
                std::thread::sleep(Duration::from_millis(1));
            }
            sleep::disarm(self.page.word());
        }
    }

    fn has_input(&self) -> bool {
        self.pairs.iter().flatten().any(Pair::has_input)
    }

    /// As stacks do: see [`crate::spin`].
    fn spin(&self, spin: &mut Spin) -> bool {
        let cpu = rustix::thread::sched_getcpu() as u32;
        self.page.cpu().store(cpu, Ordering::Relaxed);
        self.pairs.iter().flatten().any(|pair| pair.link.peer_runs_elsewhere(cpu))
            && spin.until(|| self.has_input()) == Some(true)
    }

    /// Does what the manager says.
    fn obey(&mut self) {
        for command in self.inbox.take() {
            match command {
                Command::Join(pair) => {
                    let instance = pair.peer.instance;
                    self.lose_instance(instance);
                    let at = self.pairs.iter().position(Option::is_none).unwrap_or(self.pairs.len());
                    self.pairs.resize_with(self.pairs.len().max(at + 1), || None);
                    self.pairs[at] = Some(*pair);
                    self.joined = true;
                    self.early_of(instance, |this, it| this.open(it.index, &it.descriptor, it.offer));
                }
                Command::Gone(instance) => {
                    self.lose_instance(instance);
                    self.listens.retain(|_, listens| *listens != instance);
                    let refuse = Message::Refuse(Why::NoListener);
                    self.early_of(instance, |this, it| this.answer(it.index, &it.descriptor, refuse));
                }
                Command::Listen(at, instance) => drop(self.listens.insert(at, instance)),
                Command::Unlisten(at, instance) => {
                    if self.listens.get(&at) == Some(&instance) {
                        self.listens.remove(&at);
                    }
                }
                Command::Stop => self.stopped = true,
            }
        }
    }

    /// Takes out the openings that wait for a process.
    fn early_of(&mut self, instance: u64, mut each: impl FnMut(&mut Self, Early)) {
        let early = std::mem::take(&mut self.early);
        let (its, others) = early.into_iter().partition::<Vec<_>, _>(|early| early.listener == instance);
        self.early = others;
        its.into_iter().for_each(|early| each(self, early));
    }

    fn lose_instance(&mut self, instance: u64) {
        if let Some(index) = self.pair_of(instance) {
            self.lose(index);
        }
    }

    fn pair_of(&self, instance: u64) -> Option<usize> {
        self.pairs.iter().position(|pair| pair.as_ref().is_some_and(|pair| pair.peer.instance == instance))
    }

    /// A process is gone, or not to be dealt with: its connections are reset at their other ends.
    fn lose(&mut self, index: usize) {
        let Some(pair) = self.pairs[index].take() else { return };
        self.early.retain(|early| early.index != index);
        let _ = rustix::net::shutdown(&*pair.link.socket, rustix::net::Shutdown::Both);
        let lost: Vec<usize> =
            self.connections.iter().filter(|(_, c)| c.pairs.contains(&index)).map(|(key, _)| key).collect();
        for key in lost {
            for way in 0..2 {
                self.say(key, way, Message::Reset);
            }
            self.remove(key);
        }
    }

    /// Takes in what each process has left, a bounded amount of each.
    fn turn(&mut self) {
        for index in 0..self.pairs.len() {
            if self.take_returns(index).and_then(|()| self.take_messages(index)).is_err() {
                counters::add(&self.page, Counter::Corrupt, 1);
                self.lose(index);
            }
        }
        for link in std::mem::take(&mut self.rings) {
            link.ring();
        }
    }

    fn take_returns(&mut self, index: usize) -> Result<(), Corrupt> {
        let most = self.pairs[index].as_ref().map_or(0, |pair| pair.pool.len());
        for _ in 0..most {
            let Some(pair) = &mut self.pairs[index] else { break };
            match pair.pop_return()? {
                Some(Some(id)) => self.credit(index, id),
                Some(None) => counters::add(&self.page, Counter::ForgedReturn, 1),
                None => break,
            }
        }
        Ok(())
    }

    /// A buffer came back: what waited for one goes on.
    fn credit(&mut self, index: usize, id: u64) {
        let (key, way) = ((id as u32 >> 1) as usize, (id & 1) as usize);
        let connection = self.connections.get_mut(key).filter(|c| u64::from(c.serial) == id >> 32);
        let Some(connection) = connection else {
            // The connection has ended: what was away of its window is home now.
            if let Some(pair) = &mut self.pairs[index] {
                pair.pool.release(1);
            }
            return;
        };
        connection.ways[way].in_flight -= 1;
        self.forward(key, way);
    }

    fn take_messages(&mut self, index: usize) -> Result<(), Corrupt> {
        let most = self.pairs[index].as_ref().map_or(0, |pair| 2 * pair.pool.len());
        for _ in 0..most {
            let Some(pair) = &mut self.pairs[index] else { break };
            let Some(words) = pair.pop()? else { break };
            match Descriptor::read(&words) {
                Some(descriptor) => self.handle(index, &descriptor),
                None => counters::add(&self.page, Counter::Malformed, 1),
            }
        }
        Ok(())
    }

    fn handle(&mut self, index: usize, descriptor: &Descriptor) {
        let known = self.table.get(&(index, descriptor.source, descriptor.destination)).copied();
        let bytes = match descriptor.message {
            Message::Data { buffer, generation, len } => {
                let Some(pair) = &mut self.pairs[index] else { return };
                match pair.accept(buffer, generation, len) {
                    Ok(bytes) => Some(bytes),
                    Err(_) => {
                        counters::add(&self.page, Counter::Stale, 1);
                        if let Some((key, _)) = known {
                            self.reset(key);
                        }
                        return;
                    }
                }
            }
            _ => None,
        };
        match (known, descriptor.message) {
            (None, Message::Establish { offer }) => self.open(index, descriptor, offer),
            (None, Message::Data { .. } | Message::Reply { .. }) => {
                counters::add(&self.page, Counter::Stray, 1);
                self.answer(index, descriptor, Message::Reset);
            }
            (None, _) => counters::add(&self.page, Counter::Stray, 1),
            (Some(_), Message::Establish { .. }) => counters::add(&self.page, Counter::Malformed, 1),
            // Nothing comes after the end: what waits is bounded by the sender's buffers.
            (Some((key, way)), Message::Data { .. } | Message::Close)
                if self.connections[key].ways[way].closing =>
            {
                counters::add(&self.page, Counter::Stray, 1);
                self.reset(key);
            }
            (Some((key, way)), Message::Data { .. }) => {
                self.connections[key].ways[way].waiting.extend(bytes.map(Item::Data));
                self.forward(key, way);
            }
            (Some((key, way)), Message::Close) => {
                self.connections[key].ways[way].closing = true;
                self.connections[key].ways[way].waiting.push_back(Item::Close);
                self.forward(key, way);
            }
            (Some((key, way)), message @ Message::Reply { .. }) => {
                if way == 0 || std::mem::replace(&mut self.connections[key].accepted, true) {
                    return counters::add(&self.page, Counter::Malformed, 1);
                }
                self.say(key, way, message);
            }
            (Some((key, way)), message @ (Message::Refuse(_) | Message::Reset)) => {
                self.say(key, way, message);
                self.remove(key);
            }
        }
    }

    /// A connection is wanted.
    fn open(&mut self, index: usize, descriptor: &Descriptor, offer: u64) {
        let Some(pair) = &self.pairs[index] else { return };
        if !pair.may_send_from(descriptor.source.ip()) {
            return counters::add(&self.page, Counter::OutOfDomain, 1);
        }
        if self.listener(descriptor.destination).is_none() {
            // The manager may have said so since.
            self.obey();
        }
        let Some(other) = self.listener(descriptor.destination) else {
            return self.open_later(index, descriptor, offer);
        };
        let (source, destination) = (descriptor.source, descriptor.destination);
        let taken = self.table.contains_key(&(other, destination, source));
        let window = self.pairs[other].as_ref().map_or(0, |pair| WINDOW.min(pair.pool.len()));
        if taken || window == 0 || !self.reserve([index, other], window) {
            return self.answer(index, descriptor, Message::Refuse(Why::Busy));
        }
        self.serial = self.serial.wrapping_add(1);
        let (pairs, ends) = ([index, other], [source, destination]);
        let (serial, ways, accepted) = (self.serial, Default::default(), false);
        let connection = Connection { serial, pairs, ends, ways, window, accepted };
        let key = self.connections.insert(connection);
        self.table.insert((index, source, destination), (key, 0));
        self.table.insert((other, destination, source), (key, 1));
        self.say(key, 0, Message::Establish { offer });
    }

    /// There is no listener, or it is to be paired any moment.
    fn open_later(&mut self, index: usize, descriptor: &Descriptor, offer: u64) {
        let why = match self.listens.get(&descriptor.destination) {
            Some(listener) if self.early.len() < EARLY_MAX => {
                let (listener, descriptor) = (*listener, *descriptor);
                return self.early.push(Early { listener, index, descriptor, offer });
            }
            Some(_) => Why::Busy,
            None => Why::NoListener,
        };
        self.answer(index, descriptor, Message::Refuse(why));
    }

    fn listener(&self, at: End) -> Option<usize> {
        self.pair_of(*self.listens.get(&at)?)
    }

    /// Sets a window aside with both processes.
    fn reserve(&mut self, pairs: [usize; 2], window: u32) -> bool {
        for (nth, index) in pairs.into_iter().enumerate() {
            let Some(pair) = &mut self.pairs[index] else { return false };
            let room = pair.connections < pair.connections_max() && pair.pool.promise(window);
            if room {
                pair.connections += 1;
            } else {
                if nth == 1
                    && let Some(first) = &mut self.pairs[pairs[0]]
                {
                    first.connections -= 1;
                    first.pool.release(window);
                }
                return false;
            }
        }
        true
    }

    /// Passes on what waits, in order, as far as the receiver's window goes.
    fn forward(&mut self, key: usize, way: usize) {
        while let Some(connection) = self.connections.get_mut(key) {
            let (index, window) = (connection.pairs[1 - way], connection.window);
            let ends = (connection.ends[way], connection.ends[1 - way]);
            let id = u64::from(connection.serial) << 32 | (key as u64) << 1 | way as u64;
            let this = &mut connection.ways[way];
            let Some(pair) = &mut self.pairs[index] else { return };
            let message = match this.waiting.front() {
                None => break,
                Some(Item::Close) => {
                    this.closed = true;
                    Message::Close
                }
                Some(Item::Data(_)) => {
                    let ticket = if this.in_flight < window { pair.take() } else { None };
                    let Some(mut ticket) = ticket else { break };
                    let Some(Item::Data(bytes)) = this.waiting.front_mut() else { break };
                    let len = bytes.len();
                    bytes.copy_to(pair.link.regions.slice_mut(&mut ticket, len));
                    this.in_flight += 1;
                    pair.pool.sent(&ticket, id);
                    Message::Data { buffer: ticket.index, generation: ticket.generation, len: len as u32 }
                }
            };
            this.waiting.pop_front();
            self.push(index, &Descriptor { source: ends.0, destination: ends.1, message });
            let over = |connection: &Connection| connection.ways.iter().all(|way| way.closed);
            if self.connections.get(key).is_some_and(over) {
                return self.remove(key);
            }
        }
        self.set_wants(key, way);
    }

    /// Says whether this way waits for buffers to come back, so that they are noticed.
    fn set_wants(&mut self, key: usize, way: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let this = &mut connection.ways[way];
        let wants = !this.waiting.is_empty();
        if std::mem::replace(&mut this.wants, wants) != wants
            && let Some(pair) = &mut self.pairs[connection.pairs[1 - way]]
        {
            pair.want(wants);
        }
    }

    /// Both ends are told that it is over.
    fn reset(&mut self, key: usize) {
        for way in 0..2 {
            self.say(key, way, Message::Reset);
        }
        self.remove(key);
    }

    fn remove(&mut self, key: usize) {
        // Losing a process while speaking to it removes its connections as well.
        let Some(connection) = self.connections.try_remove(key) else { return };
        let (pairs, ends) = (connection.pairs, connection.ends);
        for way in 0..2 {
            self.table.remove(&(pairs[way], ends[way], ends[1 - way]));
            if let Some(pair) = &mut self.pairs[pairs[1 - way]] {
                pair.connections -= 1;
                // What is away is released when it comes home.
                pair.pool.release(connection.window - connection.ways[way].in_flight);
                if connection.ways[way].wants {
                    pair.want(false);
                }
            }
        }
    }

    /// Passes a message on that needs no buffer.
    fn say(&mut self, key: usize, way: usize, message: Message) {
        let Some(connection) = self.connections.get(key) else { return };
        let (index, ends) = (connection.pairs[1 - way], connection.ends);
        self.push(index, &Descriptor { source: ends[way], destination: ends[1 - way], message });
    }

    /// Answers what belongs to no connection.
    fn answer(&mut self, index: usize, to: &Descriptor, message: Message) {
        self.push(index, &Descriptor { source: to.destination, destination: to.source, message });
    }

    fn push(&mut self, index: usize, descriptor: &Descriptor) {
        let Some(pair) = &mut self.pairs[index] else { return };
        match pair.push(descriptor) {
            Ok(()) => {
                if !self.rings.iter().any(|known| Arc::ptr_eq(known, &pair.link)) {
                    self.rings.push(pair.link.clone());
                }
            }
            // It does not read for so long, or lies about it.
            Err(NotPushed::Full | NotPushed::Corrupt) => {
                counters::add(&self.page, Counter::Corrupt, 1);
                self.lose(index);
            }
        }
    }
}
