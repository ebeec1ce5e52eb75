//! The user plane without sockets, for those who bring packets of their own: benches, simulations.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use tern_types::{Duration, Instant, Random};

use crate::config::Config;
use crate::io::PacketIo;
use crate::path::{Command, EVENTS_MAX, Event, PathCounters, Worker, WorkerConfig, clock_since};
use crate::pfcp::{Core, Output};

/// PFCP sessions and the workers that forward by them. N4 are the datagrams that it is given and those that
/// it gives back.
pub struct UserPlane {
    config: Config,
    core: Core,
    workers: Vec<Sender<Command>>,
    counters: Arc<PathCounters>,
    events: Receiver<Event>,
    events_sender: SyncSender<Event>,
    origin: std::time::Instant,
    stop: Arc<AtomicBool>,
}

impl UserPlane {
    /// The longest time from `now` of [`new`](Self::new) until SMFs may associate: a UPF does not answer them in
    /// the second of its start, which is its recovery time stamp.
    pub const STARTS_IN: Duration = Duration::from_secs(1);

    /// Without sessions and workers. TEIDs and SEIDs follow from `random`.
    pub fn new(config: &Config, now: Instant, random: Random) -> Self {
        let (events_sender, events) = sync_channel(EVENTS_MAX);
        Self {
            config: config.clone(),
            core: Core::new(config, now, random),
            workers: Vec::new(),
            counters: Arc::default(),
            events,
            events_sender,
            origin: std::time::Instant::now(),
            stop: Arc::default(),
        }
    }

    /// A worker for a thread of its own, which knows the sessions that are established from now on. There are
    /// as many as the configuration says, at most.
    pub fn worker<I: PacketIo>(&mut self, io: I) -> Worker<I> {
        let (sender, commands) = channel();
        let events = self.events_sender.clone();
        let config = WorkerConfig {
            index: self.workers.len(),
            alone: self.config.workers == 1,
            tunnel_ends: self.config.tunnel_ends(),
            error_indications_after: self.config.n3.error_indications_after(),
            clock: clock_since(self.origin),
            commands,
            events: Box::new(move |event| events.try_send(event).is_ok()),
            counters: self.counters.clone(),
            stop: self.stop.clone(),
        };
        self.workers.push(sender);
        Worker::new(config, io)
    }

    /// Takes a datagram of an SMF and what the workers have to tell; the datagrams that this causes are
    /// added to `answers`.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        answers: &mut Vec<Vec<u8>>,
    ) {
        self.core.handle_datagram(now, from, datagram);
        self.take_events(now, answers);
    }

    /// Does what is due at `now`, and takes what the workers have to tell.
    pub fn handle_deadline(&mut self, now: Instant, answers: &mut Vec<Vec<u8>>) {
        self.core.handle_deadline(now);
        self.take_events(now, answers);
    }

    /// When to call [`UserPlane::handle_deadline`].
    pub fn next_deadline(&self) -> Option<Instant> {
        self.core.next_deadline()
    }

    fn take_events(&mut self, now: Instant, answers: &mut Vec<Vec<u8>>) {
        while let Ok(event) = self.events.try_recv() {
            self.core.handle_event(now, event);
        }
        while let Some(output) = self.core.next_output() {
            match output {
                Output::Transmit { bytes, .. } => answers.push(bytes),
                // A worker that has ended stops nobody else.
                Output::Path(command) => {
                    self.workers.iter().for_each(|worker| _ = worker.send(command.clone()))
                }
            }
        }
    }

    /// The number of PFCP sessions.
    pub fn sessions(&self) -> usize {
        self.core.session_count()
    }

    /// What the control side keeps for its sessions besides them: TEIDs, endpoints, tunnels, deadlines,
    /// reports without answer. Nothing, where there is no session and no association.
    pub fn kept(&self) -> usize {
        self.core.kept()
    }

    /// Packets and octets forwarded, and packets dropped by reason, of all workers.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        self.counters.snapshot()
    }

    /// Ends the workers after the burst that each is at; a worker's [`PacketIo`] may set it as well.
    pub fn stop(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }
}

impl Drop for UserPlane {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
