//! One association of a [`MemNetwork`]: two ends and what is on its way.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

use super::{CLIENT, MemFaults, MemNetwork, MemVerdict, Network, SERVER, later, lock};
use crate::admission::Permit;
use crate::association::{AssociationInfo, BoxFuture, Driver, Event, Message, PathState};
use crate::counters::SctpCounters;
use crate::error::{LostCause, SendError};
use crate::options::{ConnectOptions, Limits};

/// One of two sides, as an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End(pub(super) usize);

impl End {
    fn other(self) -> Self {
        Self(1 - self.0)
    }
}

/// What one side brings into an association.
#[derive(Clone)]
pub(super) struct Side {
    addresses: Vec<SocketAddr>,
    limits: Limits,
    outbound: u16,
    counters: Arc<SctpCounters>,
}

impl Side {
    pub(super) fn new(
        addresses: Vec<SocketAddr>,
        limits: Limits,
        outbound: u16,
        counters: &Arc<SctpCounters>,
    ) -> Self {
        Self { addresses, limits, outbound, counters: Arc::clone(counters) }
    }
}

pub(crate) struct Link {
    network: MemNetwork,
    key: (SocketAddr, SocketAddr),
    writable: [Notify; 2],
    state: Mutex<State>,
}

struct State {
    ends: [Receiving; 2],
}

/// What one end has to receive.
struct Receiving {
    side: Side,
    /// By time of arrival; of one stream, in order.
    inbound: VecDeque<(Instant, Event)>,
    /// Sent while no path was open.
    stalled: VecDeque<Event>,
    /// Latest arrival of each stream.
    streams: BTreeMap<u16, Instant>,
    /// Octets sent to this end and not yet received.
    waiting: usize,
    /// The other side is silent: given up at this time.
    give_up: Option<Instant>,
    /// No more is sent from this end.
    closed: bool,
    lost: Option<LostCause>,
    waker: Option<Waker>,
    generation: u64,
}

impl Receiving {
    fn new(side: Side, generation: u64) -> Self {
        Self {
            side,
            inbound: VecDeque::new(),
            stalled: VecDeque::new(),
            streams: BTreeMap::new(),
            waiting: 0,
            give_up: None,
            closed: false,
            lost: None,
            waker: None,
            generation,
        }
    }

    fn push(&mut self, due: Instant, event: Event) {
        let at = self.inbound.partition_point(|(known, _)| *known <= due);
        self.inbound.insert(at, (due, event));
        self.wake();
    }

    /// The end of the association at this time; what arrives later never does.
    fn lose(&mut self, due: Instant, cause: LostCause) {
        self.closed = true;
        self.inbound.retain(|(known, _)| *known <= due);
        self.stalled.clear();
        self.push(due, Event::Lost(cause));
    }

    fn lose_now(&mut self, cause: LostCause) {
        self.closed = true;
        self.inbound.clear();
        self.stalled.clear();
        self.lost.get_or_insert(cause);
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn last(&self) -> Option<Instant> {
        self.inbound.back().map(|(due, _)| *due)
    }
}

impl Link {
    /// Both ends of a new association: the client's and the server's.
    pub(super) fn join(
        network: &MemNetwork,
        key: (SocketAddr, SocketAddr),
        sides: [Side; 2],
        permit: Permit,
    ) -> (Arc<MemAssociation>, Arc<MemAssociation>) {
        let [client, server] = sides;
        let link = Arc::new(Self {
            network: network.clone(),
            key,
            writable: Default::default(),
            state: Mutex::new(State {
                ends: [Receiving::new(client.clone(), 0), Receiving::new(server.clone(), 0)],
            }),
        });
        network.lock().associations.insert(key, Arc::downgrade(&link));
        let at_client = MemAssociation::new(&link, CLIENT, &client, &server, 0, None);
        let at_server = MemAssociation::new(&link, SERVER, &server, &client, 0, Some(permit));
        (at_client, at_server)
    }

    /// The client's host comes again from the same port; None when the server
    /// has no association left to restart.
    pub(super) fn restart(
        self: &Arc<Self>,
        network: &MemNetwork,
        options: &ConnectOptions,
        counters: &Arc<SctpCounters>,
    ) -> Option<Arc<MemAssociation>> {
        let _network = network.lock();
        let mut state = self.state();
        let server = &mut state.ends[SERVER.0];
        if server.closed || server.lost.is_some() {
            return None;
        }
        server.give_up = None;
        server.stalled.clear();
        server.push(Instant::now(), Event::Restart);
        let server = server.side.clone();
        let old = &mut state.ends[CLIENT.0];
        old.wake();
        let generation = old.generation + 1;
        let outbound = options.streams.outbound.min(old.side.outbound);
        let addresses = old.side.addresses.clone();
        let side = Side::new(addresses, options.limits, outbound, counters);
        *old = Receiving::new(side.clone(), generation);
        Some(MemAssociation::new(self, CLIENT, &side, &server, generation, None))
    }

    pub(super) fn uses(&self, one: IpAddr, other: IpAddr) -> bool {
        let state = self.state();
        let has = |end: End, ip| state.ends[end.0].side.addresses.iter().any(|a| a.ip() == ip);
        (has(CLIENT, one) && has(SERVER, other)) || (has(CLIENT, other) && has(SERVER, one))
    }

    /// A path of this association was cut or mended.
    pub(super) fn path_changed(&self, network: &mut Network, one: IpAddr, other: IpAddr) {
        let now = Instant::now();
        let mut state = self.state();
        let faults = state.faults(network);
        let open = state.is_open(network);
        for end in [CLIENT, SERVER] {
            let own = state.ends[end.0].side.addresses.clone();
            let changed = state.ends[end.other().0].side.addresses.iter().copied();
            let changed: Vec<SocketAddr> = changed.filter(|a| a.ip() == one || a.ip() == other).collect();
            let receiving = &mut state.ends[end.0];
            for address in changed {
                let reachable = own.iter().any(|ip| !network.is_cut(ip.ip(), address.ip()));
                let path = if reachable { PathState::Available } else { PathState::Unreachable };
                let due = now + faults.delay + faults.retransmission;
                receiving.push(due, Event::PathChange { address, state: path });
            }
            if !open {
                receiving.give_up.get_or_insert(now + faults.silence_max);
                receiving.wake();
                continue;
            }
            receiving.give_up = None;
            for event in std::mem::take(&mut receiving.stalled) {
                let transit = network.transit(&faults).unwrap_or(faults.silence_max);
                deliver(receiving, now + transit + faults.retransmission, event);
            }
        }
    }

    /// The host with these addresses dies.
    pub(super) fn crash(&self, addresses: &[IpAddr], network: &mut Network) {
        let mut state = self.state();
        let faults = state.faults(network);
        for end in [CLIENT, SERVER] {
            let dead = state.ends[end.0].side.addresses.iter().any(|a| addresses.contains(&a.ip()));
            if dead {
                state.ends[end.0].lose_now(LostCause::AbortedHere);
                let left = &mut state.ends[end.other().0];
                left.give_up.get_or_insert(Instant::now() + faults.silence_max);
                left.wake();
                self.writable[end.0].notify_waiters();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.network.lock().forget(self.key, self);
    }
}

impl State {
    fn faults(&self, network: &Network) -> MemFaults {
        let [client, server] = &self.ends;
        network.faults(client.side.addresses[0].ip(), server.side.addresses[0].ip())
    }

    fn is_open(&self, network: &Network) -> bool {
        let [client, server] = &self.ends;
        client
            .side
            .addresses
            .iter()
            .any(|one| server.side.addresses.iter().any(|other| !network.is_cut(one.ip(), other.ip())))
    }
}

/// Puts an event in its stream's order.
fn deliver(receiving: &mut Receiving, mut due: Instant, event: Event) {
    if let Event::Message(message) = &event
        && !message.unordered
    {
        due = later(receiving.streams.get(&message.stream).copied(), due);
        receiving.streams.insert(message.stream, due);
    }
    receiving.push(due, event);
}

/// One end of a [`Link`].
pub(crate) struct MemAssociation {
    link: Arc<Link>,
    end: End,
    generation: u64,
    info: AssociationInfo,
    counters: Arc<SctpCounters>,
    sleep: Mutex<Option<Pin<Box<Sleep>>>>,
    _permit: Option<Permit>,
}

impl fmt::Debug for MemAssociation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (end, info) = (&self.end, &self.info);
        formatter.debug_struct("MemAssociation").field("end", end).field("info", info).finish()
    }
}

impl MemAssociation {
    fn new(
        link: &Arc<Link>,
        end: End,
        own: &Side,
        peer: &Side,
        generation: u64,
        permit: Option<Permit>,
    ) -> Arc<Self> {
        let info = AssociationInfo {
            peer: peer.addresses.clone(),
            local: own.addresses.clone(),
            outbound_streams: own.outbound,
            inbound_streams: peer.outbound,
            message_length_max: own.limits.message_length_max,
        };
        let counters = Arc::clone(&own.counters);
        let (link, sleep) = (Arc::clone(link), Mutex::default());
        Arc::new(Self { link, end, generation, info, counters, sleep, _permit: permit })
    }

    /// Ends both sides, each with its cause, at once.
    pub(super) fn lose_both(&self, own: LostCause, peer: LostCause) {
        let mut state = self.link.state();
        state.ends[self.end.0].lose_now(own);
        state.ends[self.end.other().0].lose(Instant::now(), peer);
        drop(state);
        self.link.writable.iter().for_each(Notify::notify_waiters);
    }

    /// This end's state, unless a restart took its place.
    fn own<'a>(&self, state: &'a mut State) -> Option<&'a mut Receiving> {
        let own = &mut state.ends[self.end.0];
        (own.generation == self.generation).then_some(own)
    }

    /// The event that is due, or when to look again.
    fn next(&self) -> Result<Event, Option<Instant>> {
        let mut state = self.link.state();
        let Some(own) = self.own(&mut state) else {
            return Ok(Event::Lost(LostCause::AbortedByPeer));
        };
        if let Some(cause) = &own.lost {
            return Ok(Event::Lost(cause.clone()));
        }
        let now = Instant::now();
        let due = own.inbound.front().map(|(due, _)| *due);
        if due.is_some_and(|due| due <= now)
            && let Some((_, event)) = own.inbound.pop_front()
        {
            match &event {
                Event::Message(message) => own.waiting -= message.data.len(),
                Event::Lost(cause) => own.lost = Some(cause.clone()),
                _ => {}
            }
            self.link.writable[self.end.other().0].notify_waiters();
            return Ok(event);
        }
        if own.give_up.is_some_and(|time| time <= now) {
            own.lose_now(LostCause::TimedOut);
            self.link.writable[self.end.0].notify_waiters();
            return Ok(Event::Lost(LostCause::TimedOut));
        }
        Err(match (due, own.give_up) {
            (Some(due), Some(give_up)) => Some(due.min(give_up)),
            (due, give_up) => due.or(give_up),
        })
    }

    fn transmit(&self, message: &Message) -> Result<(), SendError> {
        let mut network = self.link.network.lock();
        let mut state = self.link.state();
        let Some(own) = self.own(&mut state) else { return Err(SendError::Closed) };
        if own.closed || own.lost.is_some() {
            return Err(SendError::Closed);
        }
        let send_buffer = own.side.limits.send_buffer;
        let (faults, open) = (state.faults(&network), state.is_open(&network));
        let peer = &mut state.ends[self.end.other().0];
        if peer.waiting + message.data.len() > send_buffer + peer.side.limits.receive_buffer {
            return Err(SendError::Full);
        }
        if peer.lost.is_some() {
            // The peer's host died: nothing arrives and nothing is acknowledged.
            return Ok(());
        }
        peer.waiting += message.data.len();
        let event = Event::Message(message.clone());
        if !open {
            peer.stalled.push_back(event);
            return Ok(());
        }
        let now = Instant::now();
        match network.transit(&faults) {
            Some(transit) => deliver(peer, now + transit, event),
            None => {
                let due = now + faults.retransmission * faults.retransmissions_max;
                peer.lose(due, LostCause::TimedOut);
                state.ends[self.end.0].lose(due, LostCause::TimedOut);
            }
        }
        Ok(())
    }

    fn too_long(&self) -> Event {
        let length_max = self.info.message_length_max;
        self.counters.aborted_too_long.add(1);
        self.lose_both(LostCause::MessageTooLong { length_max }, LostCause::AbortedByPeer);
        Event::Lost(LostCause::MessageTooLong { length_max })
    }
}

impl Driver for MemAssociation {
    fn info(&self) -> &AssociationInfo {
        &self.info
    }

    fn counters(&self) -> &SctpCounters {
        &self.counters
    }

    fn try_send(&self, message: &Message) -> Result<(), SendError> {
        let verdict = match (self.info.local.first(), self.info.peer.first()) {
            (Some(own), Some(peer)) => self.link.network.lock().verdict(*own, *peer, message),
            _ => MemVerdict::Pass,
        };
        match verdict {
            MemVerdict::Pass => self.transmit(message),
            MemVerdict::Discard => Ok(()),
            MemVerdict::Repeat => self.transmit(message).and_then(|()| self.transmit(message)),
            MemVerdict::Replace(data) => self.transmit(&Message { data, ..message.clone() }),
        }
    }

    fn writable(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.link.writable[self.end.0].notified())
    }

    fn poll_recv(&self, context: &mut Context<'_>) -> Poll<Event> {
        loop {
            let deadline = match self.next() {
                Ok(Event::Message(message)) if message.data.len() > self.info.message_length_max => {
                    return Poll::Ready(self.too_long());
                }
                Ok(event) => return Poll::Ready(event),
                Err(deadline) => deadline,
            };
            if let Some(own) = self.own(&mut self.link.state()) {
                own.waker = Some(context.waker().clone());
            }
            let mut sleep = lock(&self.sleep);
            let Some(deadline) = deadline else {
                *sleep = None;
                return Poll::Pending;
            };
            let timer = sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            *sleep = None;
        }
    }

    fn shutdown(&self) {
        let mut network = self.link.network.lock();
        let mut state = self.link.state();
        let faults = state.faults(&network);
        let there = network.transit(&faults).unwrap_or(faults.silence_max);
        let back = network.transit(&faults).unwrap_or(faults.silence_max);
        let Some(own) = self.own(&mut state) else { return };
        if own.closed {
            return;
        }
        own.closed = true;
        let peer = &mut state.ends[self.end.other().0];
        let due = later(peer.last(), Instant::now() + there);
        peer.push(due, Event::ShutdownRequested);
        peer.closed = true;
        peer.push(due, Event::Lost(LostCause::Shutdown));
        let own = &mut state.ends[self.end.0];
        let due = later(own.last(), due + back);
        own.push(due, Event::Lost(LostCause::Shutdown));
        drop(state);
        self.link.writable.iter().for_each(Notify::notify_waiters);
    }

    fn abort(&self, _reason: &str) {
        let network = self.link.network.lock();
        let mut state = self.link.state();
        let (faults, open) = (state.faults(&network), state.is_open(&network));
        let Some(own) = self.own(&mut state) else { return };
        if own.lost.is_some() {
            return;
        }
        own.lose_now(LostCause::AbortedHere);
        let time = if open { faults.delay } else { faults.silence_max };
        state.ends[self.end.other().0].lose(Instant::now() + time, LostCause::AbortedByPeer);
        drop(state);
        self.link.writable.iter().for_each(Notify::notify_waiters);
    }

    fn abandon(&self) {
        let mut state = self.link.state();
        let over = self.own(&mut state).is_none_or(|own| own.closed || own.lost.is_some());
        drop(state);
        if !over {
            self.abort("closed");
        }
    }
}

impl MemFaults {
    /// Only a delay, one way.
    pub fn delayed(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }
}
