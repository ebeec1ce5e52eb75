//! The loop of one worker thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::forward::{Context, Forwarded, Verdict, process};
use super::overload::{Overload, SERVICE_NS, Turn, sort};
use super::signalling::Allowance;
use super::{
    Backlog, Command, Copies, DropReason, Event, Looks, Packet, PathCounters, Session, Tables, Tunnel,
};
use crate::config::TunnelEnds;
use crate::io::{BURST, PacketIo};

/// How long a worker waits for packets before it looks at its commands again. What makes it send by
/// itself wakes it; the others only gather.
const WAIT: Duration = Duration::from_millis(500);
/// Bursts that a worker counts by itself before it says so.
const BURSTS_NOTED: u64 = 64;
/// Behind an error, so that one that stays does not fill the log.
const PAUSE: Duration = Duration::from_millis(100);

/// What a worker is made of.
pub(crate) struct WorkerConfig {
    /// Its number; the first one also sends End Markers, and is woken to send what was buffered.
    pub(crate) index: usize,
    /// Our addresses of tunnels.
    pub(crate) tunnel_ends: TunnelEnds,
    /// How long after the start a tunnel that we do not know may be one that is about to be restored.
    pub(crate) error_indications_after: Duration,
    /// Whether it is the only one.
    pub(crate) alone: bool,
    /// The data path's clock, ns.
    pub(crate) clock: Box<dyn Fn() -> u64 + Send>,
    pub(crate) commands: Receiver<Command>,
    pub(crate) events: Box<dyn Fn(Event) -> bool + Send>,
    pub(crate) counters: Arc<PathCounters>,
    pub(crate) stop: Arc<AtomicBool>,
}

/// The data path's clock, from its origin on.
pub(crate) fn clock_since(origin: Instant) -> Box<dyn Fn() -> u64 + Send> {
    Box::new(move || u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

/// One worker thread's own things.
pub struct Worker<I> {
    config: WorkerConfig,
    io: I,
    tables: Tables,
    allowance: Allowance,
    overload: Overload,
    /// Of what an overloaded worker has received; made with the first guaranteed flow.
    backlog: Backlog,
    packets: Vec<Packet>,
    /// Bursts that are not in the counters yet, and the full ones of them.
    bursts: (u64, u64),
    copies: Copies,
    looks: Looks,
}

impl<I: PacketIo> Worker<I> {
    pub(crate) fn new(config: WorkerConfig, io: I) -> Self {
        let allowance = Allowance::new(config.tunnel_ends, config.error_indications_after);
        let packets = Packet::burst();
        Self {
            config,
            io,
            tables: Tables::default(),
            allowance,
            overload: Overload::default(),
            backlog: Backlog::default(),
            packets,
            bursts: (0, 0),
            copies: Copies::default(),
            looks: Looks::default(),
        }
    }

    /// Works until told to stop.
    pub fn run(mut self) {
        while !self.config.stop.load(Ordering::Relaxed) {
            self.turn();
        }
    }

    /// Waits for packets, and works on one burst of them; an overloaded worker on as many as it has time for until
    /// it must look at its interfaces again.
    pub fn turn(&mut self) {
        if self.overload.is_on() {
            let keeps_up = match self.tables.has_guaranteed() {
                true => self.drain(),
                // Nobody gains by it any more. What waits goes before all else.
                false => {
                    self.obey();
                    true
                }
            };
            self.serve();
            if keeps_up && self.backlog.is_empty() {
                self.overload.end();
            }
            return;
        }
        let received = self.receive(WAIT);
        let now_ns = self.now_ns();
        self.overload.observe(self.io.is_behind() && self.tables.has_guaranteed(), now_ns);
        self.work(received, now_ns);
    }

    /// Receives until nothing is left behind, or for as long as it may; whether nothing is.
    fn drain(&mut self) -> bool {
        let began_ns = self.now_ns();
        loop {
            let received = self.receive(Duration::ZERO);
            let now_ns = self.now_ns();
            let at_once = self.sort(received, now_ns);
            self.work(at_once, now_ns);
            if !self.io.is_behind() {
                self.overload.emptied(now_ns);
                return true;
            }
            if !self.overload.drains_on(began_ns, now_ns, self.backlog.is_full()) {
                return false;
            }
        }
    }

    /// Puts what was received into the backlog, and to the front what goes at once, in order; how many these are.
    fn sort(&mut self, received: usize, now_ns: u64) -> usize {
        let packets = &mut self.packets[..received];
        let looks = &mut self.looks;
        let turns = sort(&self.tables, looks, packets, self.backlog.oldest_ns(), (now_ns, self.config.alone));
        let (mut at_once, mut dropped) = (0, 0);
        for (at, turn) in turns.into_iter().enumerate() {
            let goes = match turn {
                Turn::Now => true,
                // Without room it overtakes: better early than lost.
                Turn::Behind => !self.backlog.push(&mut packets[at], true, now_ns),
                Turn::Waits => {
                    dropped += u64::from(!self.backlog.push(&mut packets[at], false, now_ns));
                    false
                }
            };
            if goes {
                packets.swap(at_once, at);
                at_once += 1;
            }
        }
        self.config.counters.dropped_many(DropReason::Overload, dropped);
        at_once
    }

    /// Works on what waits, until it is time to receive again.
    fn serve(&mut self) {
        let mut backlog = std::mem::take(&mut self.backlog);
        let began_ns = self.now_ns();
        let mut now_ns = began_ns;
        while !backlog.is_empty() && now_ns < began_ns + SERVICE_NS {
            self.handle(backlog.pop(), now_ns, false);
            self.flush();
            now_ns = self.now_ns();
        }
        self.backlog = backlog;
    }

    /// Works on so many of the packets that were received.
    fn work(&mut self, count: usize, now_ns: u64) {
        let mut packets = std::mem::take(&mut self.packets);
        self.handle(&mut packets[..count], now_ns, false);
        self.packets = packets;
        self.flush();
    }

    /// Waits for packets; how many came, to which the newest rules apply.
    fn receive(&mut self, wait: Duration) -> usize {
        let received = match self.io.receive(&mut self.packets, wait) {
            Ok(received) => received,
            Err(error) => {
                tracing::warn!(worker = self.config.index, %error, "cannot receive packets");
                std::thread::sleep(PAUSE);
                0
            }
        };
        self.note_burst(received);
        // After receiving, so that a packet never meets rules older than itself.
        self.obey();
        received
    }

    fn flush(&mut self) {
        let counters = &self.config.counters;
        self.io.flush(&mut |reason, count| counters.dropped_many(reason, count as u64));
    }

    /// TEIDs and UE addresses by which packets find a session.
    pub fn reachable(&self) -> usize {
        self.tables.len()
    }

    /// The packet interfaces.
    pub fn io_mut(&mut self) -> &mut I {
        &mut self.io
    }

    /// Half of a burst may come from one side at most.
    fn note_burst(&mut self, received: usize) {
        if received == 0 {
            return;
        }
        let (bursts, full) = &mut self.bursts;
        *bursts += 1;
        *full += u64::from(received >= BURST / 2);
        if *bursts == BURSTS_NOTED {
            let counters = &self.config.counters;
            counters.bursts.fetch_add(std::mem::take(bursts), Ordering::Relaxed);
            counters.full_bursts.fetch_add(std::mem::take(full), Ordering::Relaxed);
        }
    }

    fn now_ns(&self) -> u64 {
        (self.config.clock)()
    }

    fn handle(&mut self, packets: &mut [Packet], now_ns: u64, leaves_buffer: bool) {
        let mut context = Context {
            tables: &self.tables,
            now_ns,
            alone: self.config.alone,
            counters: &self.config.counters,
            events: &self.config.events,
            error_indications: &mut self.allowance,
            leaves_buffer,
            copies: &mut self.copies,
            looks: &mut self.looks,
            forwarded: Forwarded::default(),
        };
        let io = &mut self.io;
        process(&mut context, packets, |packet, verdict| match verdict {
            Verdict::ToAccess(peer) => io.send_access(packet, peer),
            Verdict::ToNetwork(network) => io.send_network(packet, network),
            Verdict::Buffered | Verdict::Consumed | Verdict::Drop(_) => {}
        });
    }

    /// Takes every command that waits. Packets that wait leave after the last one, so that they go
    /// by the newest rules: a worker may find several publications of a session at once.
    fn obey(&mut self) {
        // Of a session that is new nothing waits.
        let mut changed = BTreeMap::new();
        while let Ok(command) = self.config.commands.try_recv() {
            match command {
                Command::Publish { session, before } => {
                    self.tables.publish(&session, before.as_deref());
                    if session.is_guaranteed() {
                        self.backlog.make();
                    }
                    if before.is_some() {
                        changed.insert(session.seid, session);
                    }
                }
                Command::Remove(session) => {
                    self.tables.remove(&session);
                    changed.remove(&session.seid);
                }
                Command::EndMarker(tunnel) if self.config.index == 0 => self.end_marker(&tunnel),
                Command::EndMarker(_) => {}
            }
        }
        for session in changed.into_values().filter(|session| !session.buffers()) {
            self.release(&session);
        }
    }

    /// Sends what waited, by the rules of now. Every worker does it that has the rules: one that had the old
    /// ones a moment longer may have kept a packet since. One at a time, and what comes meanwhile waits behind.
    fn release(&mut self, session: &Session) {
        if !session.state.begin_to_send(session.generation) {
            return;
        }
        let mut packet = Packet::new();
        while let Some(waiting) = session.state.next(session.generation) {
            let now_ns = self.now_ns();
            for (side, bytes) in waiting {
                packet.set(&bytes);
                packet.side = side;
                self.handle(std::slice::from_mut(&mut packet), now_ns, true);
            }
            self.flush();
        }
    }

    fn end_marker(&mut self, tunnel: &Tunnel) {
        let mut packet = Packet::new();
        packet.set_end_marker(tunnel.teid);
        self.io.send_access(&mut packet, tunnel.remote.end);
    }
}

#[cfg(test)]
#[path = "overload_tests.rs"]
mod overload_tests;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tern_pfcp::{ApplyAction, Name};

    use super::super::{DropReason, Peer, Side};
    use super::*;
    use crate::testing::{Bench, GNB, SERVER, UE, establishment, forward_update, gtpu, udp};

    #[derive(Default)]
    struct Sent(Vec<Peer>);

    impl PacketIo for Sent {
        fn receive(&mut self, _: &mut [Packet], _: Duration) -> std::io::Result<usize> {
            Ok(0)
        }

        fn send_access(&mut self, _: &mut Packet, to: Peer) {
            self.0.push(to);
        }

        fn send_network(&mut self, _: &mut Packet, _: u16) {}

        fn flush(&mut self, _: &mut dyn FnMut(DropReason, usize)) {}
    }

    fn worker() -> (std::sync::mpsc::Sender<Command>, Worker<Sent>) {
        let (commands, receiver) = std::sync::mpsc::channel();
        let config = WorkerConfig {
            index: 0,
            alone: true,
            tunnel_ends: Ipv4Addr::LOCALHOST.into(),
            error_indications_after: Duration::ZERO,
            clock: clock_since(Instant::now()),
            commands: receiver,
            events: Box::new(|_| true),
            counters: Arc::default(),
            stop: Arc::default(),
        };
        (commands, Worker::new(config, Sent::default()))
    }

    /// What it put back would wait again, and be sent again, for ever.
    #[test]
    fn when_a_rule_of_the_uplink_buffers_then_what_waits_stays_and_the_worker_goes_on() {
        let mut bench = Bench::new();
        let mut request = establishment();
        request.create_far[0].apply_action = ApplyAction::BUFF;
        let (seid, teid) = bench.session_of(request);
        bench.modify(seid, forward_update(ApplyAction::FORW));
        let [before, after] = &bench.published[..] else { panic!("two publications") };
        let waiting = gtpu(teid, None, &udp(UE, SERVER, (4000, 53), 60));
        assert!(before.state.push(before.generation, Side::Access, &waiting));
        let (commands, mut worker) = worker();
        for (session, before) in [(before, None), (after, Some(before.clone()))] {
            commands.send(Command::Publish { session: session.clone(), before }).unwrap();
        }
        worker.obey();
        assert!(after.state.has_waiting() && worker.io.0.is_empty());
    }

    #[test]
    fn when_a_worker_finds_rules_of_before_then_what_waits_goes_by_the_newest() {
        let mut bench = Bench::new();
        let mut request = establishment();
        request.create_pdr[1].pdi.network_instance = Some(Name::from("ims"));
        let (seid, _) = bench.session_of(request);
        bench.modify(seid, forward_update(ApplyAction::BUFF));
        bench.modify(seid, forward_update(ApplyAction::FORW));
        let [before, buffering, after] = &bench.published[..] else { panic!("three publications") };
        let (commands, mut worker) = worker();
        let publish = |session: &Arc<Session>, before: Option<&Arc<Session>>| {
            let command = Command::Publish { session: session.clone(), before: before.cloned() };
            commands.send(command).unwrap();
        };
        publish(before, None);
        publish(buffering, Some(before));
        assert!(buffering.state.push(
            buffering.generation,
            Side::Network(1),
            &udp(SERVER, UE, (53, 4000), 60)
        ));
        worker.obey();
        assert!(worker.io.0.is_empty());
        publish(after, Some(buffering));
        worker.obey();
        assert_eq!(worker.io.0, [GNB]);
    }
}
