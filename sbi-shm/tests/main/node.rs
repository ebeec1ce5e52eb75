//! A manager in a thread, and stacks attached to it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use sbi_shm::manager::{Domain, Manager, ManagerOptions, Stopper};
use sbi_shm::{AttachOptions, PoolShape, Stack};

static NODES: AtomicU32 = AtomicU32::new(0);

/// Processes are paired with one another.
pub type Direct = Node<false>;
/// Everything goes through the manager.
pub type Forwarded = Node<true>;

/// A node with one domain, of this process's user, on 127.0.0.0/8.
pub struct Node<const FORWARD: bool> {
    options: ManagerOptions,
    running: Option<(Stopper, JoinHandle<()>)>,
}

impl<const FORWARD: bool> Node<FORWARD> {
    pub fn new() -> Self {
        Self::with_pool(PoolShape::default())
    }

    pub fn with_pool(pool: PoolShape) -> Self {
        let mut node = Self::at(&unused_socket());
        node.options.domains[0].pool = pool;
        node.start();
        node
    }

    /// With one more domain.
    pub fn with_domain(domain: Domain) -> Self {
        let mut node = Self::at(&unused_socket());
        node.options.domains.push(domain);
        node.start();
        node
    }

    /// A node whose manager is started later, or by somebody else.
    pub fn at(socket: &str) -> Self {
        let user = rustix::process::geteuid().as_raw();
        let domain = Domain::new("test", user, vec!["127.0.0.0/8".parse().unwrap()]);
        let domain = Domain { forward: FORWARD, ..domain };
        let options = ManagerOptions { domains: vec![domain], ..ManagerOptions::new(socket) };
        Self { options, running: None }
    }

    pub fn socket(&self) -> &str {
        &self.options.socket
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

impl<const FORWARD: bool> Drop for Node<FORWARD> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The name of a socket that no other node has.
pub fn unused_socket() -> String {
    let number = NODES.fetch_add(1, Ordering::Relaxed);
    format!("@sbi-shm-test-{}-{number}", std::process::id())
}

pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}
