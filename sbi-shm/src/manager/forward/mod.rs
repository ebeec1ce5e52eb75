//! A domain whose processes exchange everything through the manager, for comparison with direct rings.
//!
//! Each process has one pair, with the forwarder, which is a thread of the manager's. It copies each
//! message into a buffer of its own pair with the receiver and passes the descriptor on, addresses and
//! ports unchanged. A receiver that does not read costs its sender the window, nobody else anything.
//! When the manager dies, so do the connections.

mod switch;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use self::switch::Switch;
use crate::control::joined;
use crate::descriptor::End;
use crate::link::Link;
use crate::memory;
use crate::pair::{Pair, PeerInfo};
use crate::protocol::{self, PAIRED};
use crate::region::{OwnRegion, PoolShape, StatusPage};
use crate::sync::{AtomicU32, Ordering};

/// Processes of a domain that forwards: one sleep listens to each of them, and to the manager.
pub(super) const PROCESSES_MAX: usize = crate::protocol::PEERS_MAX;

/// What the manager's loop tells the forwarder.
enum Command {
    /// A process has sent its half of the pair.
    Join(Box<Pair>),
    /// A process is gone.
    Gone(u64),
    Listen(End, u64),
    Unlisten(End, u64),
    Stop,
}

/// What the two threads share.
#[derive(Default)]
struct Inbox {
    commands: Mutex<Vec<Command>>,
    bell: AtomicU32,
}

impl Inbox {
    fn say(&self, command: Command) {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).push(command);
        self.bell.fetch_add(1, Ordering::Release);
        memory::wake(&self.bell);
    }

    fn take(&self) -> Vec<Command> {
        std::mem::take(&mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The manager's side of a domain's forwarder. It stops with its owner.
pub(super) struct Forwarder {
    /// Its number, as if it were a process.
    pub(super) instance: u64,
    shape: PoolShape,
    page: StatusPage,
    page_file: OwnedFd,
    inbox: Arc<Inbox>,
    /// Pairs whose other half has not come.
    pairing: Vec<Pairing>,
    thread: Option<JoinHandle<()>>,
}

struct Pairing {
    peer: PeerInfo,
    socket: Arc<OwnedFd>,
    region: OwnRegion,
}

impl Forwarder {
    pub(super) fn start(instance: u64, shape: PoolShape) -> io::Result<Self> {
        let (page, page_file) = StatusPage::create()?;
        let inbox = Arc::<Inbox>::default();
        let switch = Switch::new(page.clone(), inbox.clone());
        let thread = std::thread::Builder::new().name("sbi-shm-forward".into()).spawn(|| switch.run())?;
        let (pairing, thread) = (Vec::new(), Some(thread));
        Ok(Self { instance, shape, page, page_file, inbox, pairing, thread })
    }

    /// Sends a process the forwarder's half of their pair.
    pub(super) fn begin_pairing(&mut self, peer: PeerInfo, socket: OwnedFd) -> io::Result<()> {
        let (region, file) = OwnRegion::create(self.shape)?;
        protocol::send(&socket, PAIRED, &[file.as_fd(), self.page_file.as_fd()])?;
        self.pairing.retain(|pairing| pairing.peer.instance != peer.instance);
        self.pairing.push(Pairing { peer, socket: Arc::new(socket), region });
        Ok(())
    }

    /// Sockets that the other halves come through.
    pub(super) fn sockets(&self) -> impl Iterator<Item = &Arc<OwnedFd>> {
        self.pairing.iter().map(|pairing| &pairing.socket)
    }

    /// Takes in the halves that have come.
    pub(super) fn finish_pairings(&mut self) {
        for Pairing { peer, socket, region } in std::mem::take(&mut self.pairing) {
            match protocol::receive(&socket) {
                Ok(None) => self.pairing.push(Pairing { peer, socket, region }),
                Ok(Some(received)) => {
                    // One that does not keep to the agreement is found out when it connects.
                    if let Ok((regions, page)) = joined(region, received) {
                        let link = Link::new(regions, page, socket, self.page.clone());
                        self.inbox.say(Command::Join(Box::new(Pair::new(peer, Arc::new(link)))));
                    }
                }
                Err(_) => {}
            }
        }
    }

    pub(super) fn listen(&self, at: SocketAddr, instance: u64) {
        self.inbox.say(Command::Listen(at.into(), instance));
    }

    pub(super) fn unlisten(&self, at: SocketAddr, instance: u64) {
        self.inbox.say(Command::Unlisten(at.into(), instance));
    }

    pub(super) fn gone(&mut self, instance: u64) {
        self.pairing.retain(|pairing| pairing.peer.instance != instance);
        self.inbox.say(Command::Gone(instance));
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.inbox.say(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}
