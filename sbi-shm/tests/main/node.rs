//! A manager in a thread, and stacks attached to it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use sbi_shm::manager::{Domain, Manager, ManagerOptions, Stopper};
use sbi_shm::{AttachOptions, PoolShape, Stack};

static NODES: AtomicU32 = AtomicU32::new(0);

/// A node with one domain, of this process's user, on 127.0.0.0/8.
pub struct Node {
    options: ManagerOptions,
    running: Option<(Stopper, JoinHandle<()>)>,
}

impl Node {
    pub fn new() -> Self {
        Self::with_pool(PoolShape::default())
    }

    pub fn with_pool(pool: PoolShape) -> Self {
        let number = NODES.fetch_add(1, Ordering::Relaxed);
        let socket = format!("@sbi-shm-test-{}-{number}", std::process::id());
        let user = rustix::process::geteuid().as_raw();
        let domain = Domain { pool, ..Domain::new("test", user, vec!["127.0.0.0/8".parse().unwrap()]) };
        let mut node = Self { options: ManagerOptions { socket, domains: vec![domain] }, running: None };
        node.start();
        node
    }

    pub fn start(&mut self) {
        let manager = Manager::bind(self.options.clone()).unwrap();
        let stopper = manager.stopper();
        let thread = std::thread::spawn(move || manager.run(|_| {}).unwrap());
        self.running = Some((stopper, thread));
    }

    pub fn stop(&mut self) {
        if let Some((stopper, thread)) = self.running.take() {
            stopper.stop();
            thread.join().unwrap();
        }
    }

    pub fn attach(&self, name: &str) -> Stack {
        Stack::attach(&AttachOptions::new(&self.options.socket, name)).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}
