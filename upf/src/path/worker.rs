//! The loop of one worker thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::forward::{Context, Verdict, process};
use super::signalling::Allowance;
use super::{Command, Copies, Event, Looks, Overload, Packet, PathCounters, Peer, Session, Tables, Tunnel};
use crate::config::Addresses;
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
    /// Our N3 addresses, as peers see them.
    pub(crate) n3_addresses: Addresses,
    /// How long after the start a tunnel that we do not know may be one that is about to be restored.
    pub(crate) error_indications_after: Duration,
    /// Whether it is the only one.
    pub(crate) alone: bool,
    /// Whether it sheds what it cannot keep up with.
    pub(crate) sheds: bool,
    /// The origin of the data path's clock.
    pub(crate) origin: Instant,
    pub(crate) commands: Receiver<Command>,
    pub(crate) events: Box<dyn Fn(Event) -> bool + Send>,
    pub(crate) counters: Arc<PathCounters>,
    pub(crate) stop: Arc<AtomicBool>,
}

/// One worker thread's own things.
pub struct Worker<I> {
    config: WorkerConfig,
    io: I,
    tables: Tables,
    allowance: Allowance,
    overload: Overload,
    packets: Vec<Packet>,
    /// Bursts that are not in the counters yet, and the full ones of them.
    bursts: (u64, u64),
    copies: Copies,
    looks: Looks,
}

impl<I: PacketIo> Worker<I> {
    pub(crate) fn new(config: WorkerConfig, io: I) -> Self {
        let allowance = Allowance::new(config.n3_addresses, config.error_indications_after);
        let packets = Packet::burst();
        let overload = Overload::new(config.sheds);
        Self {
            config,
            io,
            tables: Tables::default(),
            allowance,
            overload,
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

    /// Waits for packets, and works on one burst of them.
    pub fn turn(&mut self) {
        let received = match self.io.receive(&mut self.packets, WAIT) {
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
        let now_ns = self.now_ns();
        self.overload.observe(self.io.is_behind(), now_ns);
        let mut packets = std::mem::take(&mut self.packets);
        self.handle(&mut packets[..received], now_ns, false);
        self.packets = packets;
        self.flush();
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
        u64::try_from(self.config.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn handle(&mut self, packets: &mut [Packet], now_ns: u64, leaves_buffer: bool) {
        let mut context = Context {
            tables: &self.tables,
            now_ns,
            alone: self.config.alone,
            counters: &self.config.counters,
            events: &self.config.events,
            error_indications: &mut self.allowance,
            overload: &self.overload,
            leaves_buffer,
            copies: &mut self.copies,
            looks: &mut self.looks,
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
                    if before.is_some() {
                        changed.insert(session.seid, session);
                    }
                }
                Command::Remove(session) => {
                    self.tables.remove(&session);
                    changed.remove(&session.seid);
                }
                Command::EndMarker(tunnel) if self.config.index == 0 => self.end_marker(tunnel),
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

    fn end_marker(&mut self, tunnel: Tunnel) {
        let mut bytes = [0; 20];
        let length = tern_gtpu::end_marker(tunnel.teid, None, &mut bytes);
        let mut packet = Packet::new();
        packet.set(&bytes[..length]);
        self.io.send_access(&packet, Peer::gtpu(tunnel.peer));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tern_pfcp::{ApplyAction, Name};

    use super::super::{DropReason, Side};
    use super::*;
    use crate::testing::{Bench, GNB, SERVER, UE, establishment, forward_update, udp};

    #[derive(Default)]
    struct Sent(Vec<Peer>);

    impl PacketIo for Sent {
        fn receive(&mut self, _: &mut [Packet], _: Duration) -> std::io::Result<usize> {
            Ok(0)
        }

        fn send_access(&mut self, _: &Packet, to: Peer) {
            self.0.push(to);
        }

        fn send_network(&mut self, _: &Packet, _: u16) {}

        fn flush(&mut self, _: &mut dyn FnMut(DropReason, usize)) {}
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
        let (commands, receiver) = std::sync::mpsc::channel();
        let config = WorkerConfig {
            index: 0,
            alone: true,
            sheds: true,
            n3_addresses: Ipv4Addr::LOCALHOST.into(),
            error_indications_after: Duration::ZERO,
            origin: Instant::now(),
            commands: receiver,
            events: Box::new(|_| true),
            counters: Arc::default(),
            stop: Arc::default(),
        };
        let mut worker = Worker::new(config, Sent::default());
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
