//! The thread that speaks to the manager and watches the peers' sockets. It does nothing while
//! nothing changes, and nothing goes through it once two stacks are paired.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};

use crate::connection::Failure;
use crate::descriptor::End;
use crate::error::AttachError;
use crate::link::Link;
use crate::memory;
use crate::pair::{Pair, PeerInfo};
use crate::protocol::{self, FromManager, NAME_MAX, PAIRED, PEERS_MAX, ToManager, VERSION};
use crate::region::{OwnRegion, Regions, StatusPage};
use crate::socket;
use crate::stack::{self, About, AttachOptions, Shared};
use crate::state::{ListenPhase, NotListening};
use crate::sync::{AtomicU32, Ordering};

/// First and longest pause between two attempts to reach a manager that is gone.
const RETRY: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// How long a peer may take for its half of a pairing.
const PAIRING_MAX: Duration = Duration::from_secs(2);

/// What the threads of a process want of the control thread.
pub(crate) struct Control {
    /// Wakes it.
    event: OwnedFd,
    /// Wakes a thread that sleeps on the bells.
    bell: AtomicU32,
    wishes: Mutex<Wishes>,
}

#[derive(Default)]
struct Wishes {
    say: VecDeque<ToManager>,
    stop: bool,
}

impl Control {
    pub(crate) fn new() -> io::Result<Self> {
        let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { event, bell: AtomicU32::new(0), wishes: Mutex::default() })
    }

    pub(crate) fn connect(&self, to: SocketAddr) {
        self.wish(|wishes| wishes.say.push_back(ToManager::Connect(to)));
    }

    pub(crate) fn listen(&self, at: SocketAddr) {
        self.wish(|wishes| wishes.say.push_back(ToManager::Listen(at)));
    }

    pub(crate) fn unlisten(&self, at: SocketAddr) {
        self.wish(|wishes| wishes.say.push_back(ToManager::Unlisten(at)));
    }

    pub(crate) fn stop(&self) {
        self.wish(|wishes| wishes.stop = true);
    }

    fn wish(&self, wish: impl FnOnce(&mut Wishes)) {
        wish(&mut self.wishes.lock().unwrap_or_else(PoisonError::into_inner));
        // A full counter wakes as well.
        let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
    }

    /// The word that a driving thread watches besides its peers'.
    pub(crate) fn bell(&self) -> &AtomicU32 {
        &self.bell
    }

    /// Wakes a driving thread.
    pub(crate) fn ring(&self) {
        self.bell.fetch_add(1, Ordering::Release);
        memory::wake(&self.bell);
    }
}

/// A connection to the manager, admitted.
pub(crate) struct Session {
    socket: OwnedFd,
    instance: u64,
}

impl Session {
    pub(crate) fn instance(&self) -> u64 {
        self.instance
    }
}

/// Connects to the manager and is admitted: as a new instance if `instance` is 0.
pub(crate) fn admit(
    options: &AttachOptions,
    instance: u64,
    peers: &[u64],
    page: BorrowedFd<'_>,
) -> Result<(Session, About), AttachError> {
    let deadline = Instant::now() + options.timeout;
    let absent = |source| AttachError::NoManager { socket: options.manager.clone(), source };
    let end = socket::connect(&options.manager).map_err(absent)?;
    let uid = socket::user_of(&end)?;
    if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        return Err(AttachError::Impostor { socket: options.manager.clone(), uid });
    }
    let mut name = options.name.clone();
    while name.len() > NAME_MAX {
        name.pop();
    }
    let hello = ToManager::Hello { version: VERSION, instance, name, peers: peers.to_vec() };
    // One that refuses us may have said so, and hung up, before we said who we are.
    let said = protocol::send(&end, &hello.write(), &[page]);
    loop {
        wait_readable(&end, deadline).map_err(absent)?;
        let received = match protocol::receive(&end) {
            Ok(Some(received)) => received,
            Ok(None) => continue,
            Err(error) => return Err(absent(said.err().unwrap_or(error))),
        };
        return match FromManager::read(&received.bytes)? {
            FromManager::Welcome { instance, node, domain, shape, addresses } => {
                Ok((Session { socket: end, instance }, About { domain, node, shape, addresses }))
            }
            FromManager::Denied(why) => Err(AttachError::Denied(why)),
            _ => Err(AttachError::Denied("something else than a welcome".into())),
        };
    }
}

fn wait_readable(end: &OwnedFd, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    let mut fds = [PollFd::new(end, PollFlags::IN)];
    match rustix::event::poll(&mut fds, Some(&timespec(left))) {
        Ok(0) => Err(io::ErrorKind::TimedOut.into()),
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn timespec(wait: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(wait.subsec_nanos()),
    }
}

/// Starts the thread. It ends when it is told to stop.
pub(crate) fn spawn(shared: Arc<Shared>, session: Session, options: AttachOptions) -> io::Result<()> {
    let worker = Worker {
        instance: session.instance,
        manager: Some(session.socket),
        next_attempt: Instant::now(),
        pause: RETRY.0,
        pairing: Vec::new(),
        shared,
        options,
    };
    std::thread::Builder::new().name("sbi-shm".into()).spawn(move || worker.run())?;
    Ok(())
}

struct Worker {
    shared: Arc<Shared>,
    options: AttachOptions,
    instance: u64,
    /// `None` while it is gone.
    manager: Option<OwnedFd>,
    next_attempt: Instant,
    pause: Duration,
    pairing: Vec<Pairing>,
}

/// A pair whose other half has not come yet.
struct Pairing {
    peer: PeerInfo,
    socket: Arc<OwnedFd>,
    region: OwnRegion,
    /// Listeners of the peer that connections here wait for.
    routes: Vec<SocketAddr>,
    until: Instant,
}

/// What woke the thread.
enum Woken {
    Wish,
    Manager,
    /// The socket of a pair that is not joined yet.
    Pairing(Arc<OwnedFd>),
    /// The socket of one that is.
    Peer(Arc<OwnedFd>),
}

impl Worker {
    fn run(mut self) {
        loop {
            let Ok(woken) = self.wait() else { return };
            for what in woken {
                match what {
                    Woken::Wish => {
                        if self.wishes() {
                            return self.end();
                        }
                    }
                    Woken::Manager => self.read_manager(),
                    Woken::Pairing(socket) => self.finish_pairing(&socket),
                    Woken::Peer(socket) => self.lose_peer(&socket),
                }
            }
            self.expire();
            if self.manager.is_none() && self.next_attempt <= Instant::now() {
                self.return_to_manager();
            }
        }
    }

    /// Sleeps until something is to be done.
    fn wait(&self) -> io::Result<Vec<Woken>> {
        let sockets = self.peer_sockets();
        let mut fds = vec![PollFd::new(&self.shared.control.event, PollFlags::IN)];
        let mut what = vec![Woken::Wish];
        if let Some(manager) = &self.manager {
            fds.push(PollFd::new(manager, PollFlags::IN));
            what.push(Woken::Manager);
        }
        for pairing in &self.pairing {
            fds.push(PollFd::new(&*pairing.socket, PollFlags::IN));
            what.push(Woken::Pairing(pairing.socket.clone()));
        }
        for socket in &sockets {
            // Hang-ups alone: what comes through it is for the event loop.
            fds.push(PollFd::new(&**socket, PollFlags::empty()));
            what.push(Woken::Peer(socket.clone()));
        }
        let retry = self.manager.is_none().then_some(self.next_attempt);
        let next = self.pairing.iter().map(|pairing| pairing.until).chain(retry).min();
        let timeout = next.map(|at| timespec(at.saturating_duration_since(Instant::now())));
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = fds.iter().map(|fd| !fd.revents().is_empty());
        Ok(ready.zip(what).filter_map(|(ready, what)| ready.then_some(what)).collect())
    }

    fn peer_sockets(&self) -> Vec<Arc<OwnedFd>> {
        self.shared.with(|state| state.pairs.iter().flatten().map(|pair| pair.link.socket.clone()).collect())
    }

    /// Does what the threads want. Whether to stop.
    fn wishes(&mut self) -> bool {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.shared.control.event, &mut count);
        let wishes =
            std::mem::take(&mut *self.shared.control.wishes.lock().unwrap_or_else(PoisonError::into_inner));
        for message in wishes.say {
            self.say(&message);
        }
        wishes.stop
    }

    fn say(&mut self, message: &ToManager) {
        let said = match &self.manager {
            Some(manager) => protocol::send(manager, &message.write(), &[]).is_ok(),
            None => false,
        };
        if said {
            return;
        }
        match *message {
            ToManager::Connect(to) => self.no_route(to, Failure::NoManager),
            ToManager::Listen(at) => self.listening(at, Err(NotListening::NoManager)),
            ToManager::Unlisten(_) | ToManager::Lost(..) | ToManager::Hello { .. } => {}
        }
        if self.manager.is_some() {
            self.lose_manager();
        }
    }

    fn read_manager(&mut self) {
        while let Some(manager) = &self.manager {
            let message = match protocol::receive(manager) {
                Ok(Some(received)) => {
                    FromManager::read(&received.bytes).map(|message| (message, received.fds))
                }
                Ok(None) => return,
                Err(error) => Err(error),
            };
            match message {
                Ok((message, fds)) => self.on_message(message, fds),
                Err(_) => return self.lose_manager(),
            }
        }
    }

    fn on_message(&mut self, message: FromManager, fds: Vec<OwnedFd>) {
        match message {
            FromManager::Listening(at, outcome) => self.listening(at, outcome),
            FromManager::Pair { instance, name, addresses } => {
                if let Some(socket) = fds.into_iter().next() {
                    self.begin_pairing(PeerInfo { instance, name, addresses }, socket);
                }
            }
            FromManager::Route(to, instance, number) => {
                match self.pairing.iter_mut().find(|pairing| pairing.peer.instance == instance) {
                    Some(pairing) => pairing.routes.push(to),
                    None => {
                        let known = self.shared.with(|state| {
                            state.route(End::from(to), instance);
                            state.pair_of(instance).is_some()
                        });
                        if !known {
                            // Not agreed in time, or lost since. The next attempt finds a new pair.
                            self.say(&ToManager::Lost(instance, number));
                            self.no_route(to, Failure::PeerLost);
                        }
                        self.shared.wake_driver();
                    }
                }
            }
            FromManager::NoRoute(to) => self.no_route(to, Failure::Unknown),
            FromManager::Welcome { .. } | FromManager::Denied(_) => {}
        }
    }

    fn listening(&self, at: SocketAddr, outcome: Result<(), NotListening>) {
        self.shared.with(|state| {
            let Some(listening) = state.listeners.get_mut(&End::from(at)) else { return };
            listening.phase = match outcome {
                Ok(()) => ListenPhase::Open,
                Err(why) => ListenPhase::Refused(why),
            };
            listening.openers.wake_into(&mut state.wakes);
        });
        self.shared.wake_driver();
    }

    fn no_route(&self, to: SocketAddr, failure: Failure) {
        self.shared.with(|state| state.no_route(End::from(to), failure));
        self.shared.wake_driver();
    }

    /// Sends our half of the memory to the peer.
    fn begin_pairing(&mut self, peer: PeerInfo, socket: OwnedFd) {
        let full = self.shared.with(|state| state.pairs.iter().flatten().count() >= PEERS_MAX);
        if full || self.pairing.len() >= PEERS_MAX {
            return;
        }
        let instance = peer.instance;
        let own = instance == self.instance;
        // A new pair with the same peer: it has given an older one up. With itself a stack has two.
        if !own {
            self.pairing.retain(|pairing| pairing.peer.instance != instance);
        }
        let Ok((region, file)) = OwnRegion::create(self.shared.about.shape) else { return };
        let fds = [file.as_fd(), self.shared.page_file.as_fd()];
        if protocol::send(&socket, PAIRED, &fds).is_ok() {
            let until = Instant::now() + PAIRING_MAX;
            self.pairing.push(Pairing { peer, socket: Arc::new(socket), region, routes: Vec::new(), until });
        }
    }

    /// The peer's half has come, or its end.
    fn finish_pairing(&mut self, socket: &Arc<OwnedFd>) {
        let Some(at) = self.pairing.iter().position(|pairing| Arc::ptr_eq(&pairing.socket, socket)) else {
            return;
        };
        let received = match protocol::receive(&self.pairing[at].socket) {
            Ok(None) => return,
            Ok(Some(received)) => Ok(received),
            Err(error) => Err(error),
        };
        let Pairing { peer, socket, region, routes, .. } = self.pairing.swap_remove(at);
        let joined = received.and_then(|received| joined(region, received)).and_then(|joined| {
            stack::watch(&self.shared.event, &socket)?;
            Ok(joined)
        });
        match joined {
            Ok((regions, page)) => {
                let link = Link::new(regions, page, socket, self.shared.page.clone());
                let pair = Pair::new(peer, Arc::new(link));
                let (instance, own) = (pair.peer.instance, pair.peer.instance == self.instance);
                self.shared.with(|state| {
                    if let Some(older) = state.pair_of(instance).filter(|_| !own) {
                        state.drain();
                        state.lose_pair(older);
                    }
                    state.add_pair(pair);
                    for to in routes {
                        state.route(End::from(to), instance);
                    }
                });
            }
            Err(_) => routes.into_iter().for_each(|to| self.no_route(to, Failure::PeerLost)),
        }
        self.shared.wake_driver();
    }

    /// Gives up pairs whose other half has not come in time.
    fn expire(&mut self) {
        let now = Instant::now();
        let (late, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pairing).into_iter().partition(|pairing| pairing.until <= now);
        self.pairing = waiting;
        for pairing in late {
            pairing.routes.into_iter().for_each(|to| self.no_route(to, Failure::PeerLost));
        }
    }

    /// A peer's socket hung up: it is dead, or deals with us no more.
    fn lose_peer(&self, socket: &Arc<OwnedFd>) {
        self.shared.with(|state| {
            // What it said before its death counts.
            state.drain();
            let of = |pair: &Option<Pair>| {
                pair.as_ref().is_some_and(|pair| Arc::ptr_eq(&pair.link.socket, socket))
            };
            if let Some(pair) = state.pairs.iter().position(of) {
                state.lose_pair(pair);
            }
        });
        self.shared.wake_driver();
    }

    /// Live connections go on. What waits for the manager's word does not.
    fn lose_manager(&mut self) {
        self.manager = None;
        self.pause = RETRY.0;
        self.next_attempt = Instant::now() + self.pause;
        let waiting = self.shared.with(|state| {
            state.managed = false;
            let routing =
                state.connections.iter().filter(|(_, c)| c.phase == crate::connection::Phase::Routing);
            routing.map(|(_, connection)| connection.remote).collect::<Vec<_>>()
        });
        for to in waiting {
            self.no_route(to.into(), Failure::NoManager);
        }
    }

    /// Tries to be admitted again, by the manager that has come back, as who we are.
    fn return_to_manager(&mut self) {
        let peers: Vec<u64> =
            self.shared.with(|state| state.pairs.iter().flatten().map(|pair| pair.peer.instance).collect());
        let Ok((session, _)) = admit(&self.options, self.instance, &peers, self.shared.page_file.as_fd())
        else {
            self.pause = (self.pause * 2).min(RETRY.1);
            self.next_attempt = Instant::now() + self.pause;
            return;
        };
        self.instance = session.instance;
        self.manager = Some(session.socket);
        let listeners = self.shared.with(|state| {
            state.managed = true;
            state.listeners.keys().copied().collect::<Vec<_>>()
        });
        for at in listeners {
            self.say(&ToManager::Listen(at.into()));
        }
    }

    /// The stack is no more: its peers see their sockets hang up.
    fn end(self) {
        self.shared.with(|state| {
            state.stopped = true;
            for pair in 0..state.pairs.len() {
                state.lose_pair(pair);
            }
        });
        self.shared.wake_driver();
    }
}

/// Checks and maps what a peer sent.
pub(crate) fn joined(region: OwnRegion, received: protocol::Received) -> io::Result<(Regions, StatusPage)> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "a peer's half of a pair is not as agreed");
    if received.bytes != PAIRED {
        return Err(wrong());
    }
    let [file, page]: [OwnedFd; 2] = received.fds.try_into().map_err(|_| wrong())?;
    Ok((region.join(&file)?, StatusPage::open(&page)?))
}
