//! The threads of the data path.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use anyhow::Context as _;
use tokio::sync::mpsc;

use crate::config::{Config, DataPathKind};
use crate::io::{KernelIo, PacketIo, TunDevice, Waker, dpdk_workers};
use crate::path::{
    Command, DataPath, Event, PathCounters, ReferencePoint, Worker, WorkerConfig, clock_since,
};

/// Threads with packet I/O each, as many as the configuration says.
pub(crate) struct Workers {
    commands: Vec<Sender<Command>>,
    wakers: Vec<Waker>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

/// Publishes to every worker.
struct WorkersPath {
    commands: Vec<Sender<Command>>,
    /// Of the first worker, which sends what is not an answer to a packet.
    first: Option<Waker>,
}

impl DataPath for WorkersPath {
    fn apply(&self, command: Command) {
        // A worker that waits for packets looks at its commands when one comes. Only what makes
        // it send by itself is worth waking it.
        let wake = match &command {
            Command::Publish { session, .. } => !session.buffers() && session.state.has_waiting(),
            Command::Remove(_) => false,
            Command::EndMarker(_) => true,
        };
        for worker in &self.commands {
            // A worker that has ended stops nobody else.
            let _ = worker.send(command.clone());
        }
        if let (true, Some(first)) = (wake, &self.first) {
            first.wake();
        }
    }
}

impl Workers {
    /// Makes the packet I/O that the configuration names, and starts its threads.
    pub(crate) fn start(
        config: &Config,
        events: &mpsc::Sender<Event>,
        counters: &Arc<PathCounters>,
    ) -> anyhow::Result<Self> {
        let workers =
            Self { commands: Vec::new(), wakers: Vec::new(), threads: Vec::new(), stop: Arc::default() };
        match config.data_path {
            DataPathKind::Dpdk => workers.with(config, dpdk_workers(config)?, events, counters),
            _ => workers.with(config, kernel_workers(config)?, events, counters),
        }
    }

    fn with<I: PacketIo + 'static>(
        mut self,
        config: &Config,
        ios: Vec<(I, Waker)>,
        events: &mpsc::Sender<Event>,
        counters: &Arc<PathCounters>,
    ) -> anyhow::Result<Self> {
        let origin = std::time::Instant::now();
        for (index, (io, waker)) in ios.into_iter().enumerate() {
            self.wakers.push(waker);
            let (sender, receiver) = std::sync::mpsc::channel();
            let events = events.clone();
            let worker = WorkerConfig {
                index,
                alone: config.workers == 1,
                tunnel_ends: config.tunnel_ends(),
                error_indications_after: config.n3.error_indications_after(),
                clock: clock_since(origin),
                commands: receiver,
                events: Box::new(move |event| events.try_send(event).is_ok()),
                counters: counters.clone(),
                stop: self.stop.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("upf-worker-{index}"))
                .spawn(move || Worker::new(worker, io).run())
                .context("cannot start a worker thread")?;
            self.commands.push(sender);
            self.threads.push(thread);
        }
        Ok(self)
    }

    /// Where rules are published.
    pub(crate) fn path(&self) -> impl DataPath + use<> {
        WorkersPath { commands: self.commands.clone(), first: self.wakers.first().cloned() }
    }

    /// Ends the threads, each after the burst that it is at.
    pub(crate) fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wakers.iter().for_each(Waker::wake);
        for thread in self.threads.drain(..) {
            // A panic in it ended the process.
            let _ = thread.join();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Addresses of tunnels and their ports, for people.
pub(crate) fn written(at: &[(SocketAddr, ReferencePoint)]) -> String {
    let each: Vec<String> = at.iter().map(|(at, _)| at.to_string()).collect();
    each.join(" ")
}

/// A socket and queues of the TUN devices for each worker.
fn kernel_workers(config: &Config) -> anyhow::Result<Vec<(KernelIo, Waker)>> {
    let mut networks = config
        .n6
        .iter()
        .map(|network| TunDevice::create(network, config.workers))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let worker = |_| {
        let queues = (0..).zip(&mut networks);
        let queues = queues.filter_map(|(network, device)| device.take_queue(network)).collect();
        let at = config.tunnels_at();
        let io = KernelIo::bind(&at, config.n3.receive_buffer_bytes, queues)
            .with_context(|| format!("cannot bind N3 and N9 to {}", written(&at)))?;
        let waker = io.waker();
        Ok((io, waker))
    };
    (0..config.workers).map(worker).collect()
}
