//! The manager's loop.

use std::collections::{HashMap, HashSet};
use std::hash::Hasher as _;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::net::SocketFlags;

use super::client::{Admitted, Client};
use super::forward::Forwarder;
use super::options::{ManagerOptions, OptionsError};
use crate::counters::{self, Counters};
use crate::protocol::{self, FromManager, NAME_MAX, ToManager, VERSION};
use crate::region::StatusPage;
use crate::socket;
use crate::state::NotListening;

/// How long a process may take to say who it is.
const HELLO_MAX: Duration = Duration::from_secs(2);
/// Processes of one domain that connected and have not said who they are.
const STRANGERS_MAX: usize = 64;
/// Messages of one process before the others have their turn.
const TURN: usize = 16;
/// Listeners of one process.
const LISTENERS_MAX: usize = 64;
/// Connections that wait for the manager.
const BACKLOG: i32 = 256;
/// What is told of each process is made anew at most this often.
const STATUS_PAUSE: Duration = Duration::from_millis(100);

/// A process, as [`Manager::status`] tells of it.
#[derive(Debug, Clone)]
pub struct ClientStatus {
    /// Its domain.
    pub domain: String,
    /// What it calls itself.
    pub name: String,
    /// Where it listens.
    pub listens: Vec<SocketAddr>,
    /// Processes that it is paired with.
    pub peers: usize,
    /// Its counters, read from its page without its doing.
    pub counters: Counters,
}

/// The manager of a node.
pub struct Manager {
    pub(super) options: ManagerOptions,
    listener: OwnedFd,
    stop: Arc<OwnedFd>,
    node: [u8; 16],
    pub(super) clients: Vec<Client>,
    /// Of each domain that has its messages forwarded.
    pub(super) forwarders: Vec<Option<Forwarder>>,
    next_instance: u64,
    /// The number of the last pair; 0 is of those made by a manager before this one.
    pub(super) last_pair: u64,
    status: Arc<Mutex<Vec<ClientStatus>>>,
    refused: u64,
}

/// Stops a manager from another thread, and tells of its clients.
#[derive(Clone)]
pub struct Stopper {
    stop: Arc<OwnedFd>,
    status: Arc<Mutex<Vec<ClientStatus>>>,
}

impl Stopper {
    /// Makes [`Manager::run`] return.
    pub fn stop(&self) {
        // A full counter stops as well.
        let _ = rustix::io::write(&*self.stop, &1u64.to_ne_bytes());
    }

    /// The processes that are attached, as of the manager's last change.
    pub fn status(&self) -> Vec<ClientStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Why there is no manager.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// Its options make no sense.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// It cannot listen at its socket.
    #[error("cannot listen at {socket}: {source}")]
    Socket {
        /// The socket.
        socket: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Manager {
    /// Listens. Processes attach from now on, and are answered by [`Manager::run`].
    pub fn bind(options: ManagerOptions) -> Result<Self, ManagerError> {
        options.check()?;
        let failed = |source: io::Error| ManagerError::Socket { socket: options.socket.clone(), source };
        let listener = socket::listen(&options.socket, BACKLOG).map_err(failed)?;
        if !options.socket.starts_with('@') {
            // Who may attach is decided by the user of the process, not by the file's mode.
            let mode = rustix::fs::Mode::from_raw_mode(0o666);
            rustix::fs::chmod(&*options.socket, mode).map_err(|error| failed(error.into()))?;
        }
        let stop = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| failed(error.into()))?;
        let node = node(&options.socket);
        let forwarders = options.domains.iter().map(|domain| {
            // Even, where those of processes are odd.
            let instance = crate::seed() & !1;
            domain.forward.then(|| Forwarder::start(instance, domain.pool)).transpose()
        });
        let forwarders = forwarders.collect::<io::Result<_>>().map_err(failed)?;
        Ok(Self {
            options,
            listener,
            stop: Arc::new(stop),
            node,
            clients: Vec::new(),
            forwarders,
            // Numbers of a manager before this one are never met again.
            next_instance: crate::seed() | 1,
            last_pair: 0,
            status: Arc::default(),
            refused: 0,
        })
    }

    /// Stops it from elsewhere.
    pub fn stopper(&self) -> Stopper {
        Stopper { stop: self.stop.clone(), status: self.status.clone() }
    }

    /// Serves until it is stopped. `log` is told, one line each, what an operator wants to know.
    pub fn run(mut self, mut log: impl FnMut(String)) -> io::Result<()> {
        let mut told = Instant::now();
        loop {
            let (ready, clients) = (self.wait()?, self.clients.len());
            if ready[0] {
                return Ok(());
            }
            if ready[1] {
                self.accept(&mut log);
            }
            for (index, ready) in ready[2..2 + clients].iter().enumerate() {
                if *ready {
                    self.hear(index, &mut log);
                }
            }
            if ready[2 + clients..].contains(&true) {
                self.forwarders.iter_mut().flatten().for_each(Forwarder::finish_pairings);
            }
            self.bury(&mut log);
            if ready[1..].contains(&true) || told.elapsed() > STATUS_PAUSE {
                told = Instant::now();
                self.tell();
            }
        }
    }

    /// Which of stop, listener, clients and the forwarders' new pairs have something.
    fn wait(&self) -> io::Result<Vec<bool>> {
        let mut fds =
            vec![PollFd::new(&*self.stop, PollFlags::IN), PollFd::new(&self.listener, PollFlags::IN)];
        fds.extend(self.clients.iter().map(|client| PollFd::new(&client.socket, PollFlags::IN)));
        let forwarders = self.forwarders.iter().flatten();
        fds.extend(
            forwarders.flat_map(Forwarder::sockets).map(|socket| PollFd::new(&**socket, PollFlags::IN)),
        );
        let now = Instant::now();
        let strangers = self.clients.iter().filter(|client| client.admitted.is_none());
        let timeout = strangers.map(|client| client.until.saturating_duration_since(now)).min();
        let timeout = timeout.map(|wait| Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(wait.subsec_nanos()),
        });
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect())
    }

    fn accept(&mut self, log: &mut impl FnMut(String)) {
        for _ in 0..TURN {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let Ok(end) = rustix::net::accept_with(&self.listener, flags) else { return };
            let Ok(user) = socket::user_of(&end) else { continue };
            let domain = self.options.domains.iter().position(|domain| domain.user == user);
            let stranger = |client: &&Client| client.admitted.is_none() && Some(client.domain) == domain;
            let strangers = self.clients.iter().filter(stranger).count();
            let until = Instant::now() + HELLO_MAX;
            let mut client = Client { socket: end, domain: 0, until, admitted: None, gone: false };
            match domain {
                None => {
                    self.refused += 1;
                    log(format!(
                        "refused a process of user {user}: no domain is of that user ({} so far)",
                        self.refused
                    ));
                    client.say(&FromManager::Denied(format!("no domain is of user {user}")), &[]);
                }
                Some(_) if strangers >= STRANGERS_MAX => {}
                Some(domain) => self.clients.push(Client { domain, ..client }),
            }
        }
    }

    /// Hears a client, a bounded number of messages.
    fn hear(&mut self, index: usize, log: &mut impl FnMut(String)) {
        for _ in 0..TURN {
            if self.clients[index].gone {
                return;
            }
            let received = match protocol::receive(&self.clients[index].socket) {
                Ok(Some(received)) => received,
                Ok(None) => return,
                Err(_) => {
                    self.clients[index].gone = true;
                    return;
                }
            };
            match ToManager::read(&received.bytes) {
                Ok(message) => self.on_message(index, message, received.fds, log),
                Err(_) => {
                    log(format!("{} says what means nothing: it is given up", self.name(index)));
                    self.clients[index].gone = true;
                }
            }
        }
    }

    fn on_message(
        &mut self,
        index: usize,
        message: ToManager,
        fds: Vec<OwnedFd>,
        log: &mut impl FnMut(String),
    ) {
        let known = self.clients[index].admitted.is_some();
        match message {
            ToManager::Hello { version, instance, name, peers } if !known => {
                self.on_hello(index, version, instance, name, peers, fds, log);
            }
            ToManager::Listen(at) if known => self.on_listen(index, at, log),
            ToManager::Unlisten(at) if known => {
                let client = &mut self.clients[index];
                if let Some(admitted) = &mut client.admitted {
                    admitted.listens.retain(|listens| *listens != at);
                    if let Some(forwarder) = &self.forwarders[client.domain] {
                        forwarder.unlisten(at, admitted.instance);
                    }
                }
            }
            ToManager::Connect(to) if known => self.on_connect(index, to),
            ToManager::Lost(peer, pair) if known => self.on_lost(index, peer, pair),
            _ => self.clients[index].gone = true,
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one message")]
    fn on_hello(
        &mut self,
        index: usize,
        version: u32,
        instance: u64,
        name: String,
        peers: Vec<u64>,
        fds: Vec<OwnedFd>,
        log: &mut impl FnMut(String),
    ) {
        let at = self.clients[index].domain;
        let domain = &self.options.domains[at];
        let admitted = |client: &&Client| client.domain == at && client.admitted.is_some();
        let page = fds.first().map(StatusPage::open);
        let why = match page {
            _ if version != VERSION => Some(format!("it speaks version {version}, this manager {VERSION}")),
            _ if self.clients.iter().filter(admitted).count() >= domain.processes_max => {
                Some(format!("{} processes are attached already", domain.processes_max))
            }
            Some(Ok(_)) => None,
            _ => Some("its status page is not as agreed".to_owned()),
        };
        let page = match (why, page) {
            (None, Some(Ok(page))) => page,
            (why, _) => {
                let why = why.unwrap_or_default();
                log(format!("refused {name:?} of {}: {why}", domain.name));
                self.clients[index].say(&FromManager::Denied(why), &[]);
                self.clients[index].gone = true;
                return;
            }
        };
        let welcome = |instance| FromManager::Welcome {
            instance,
            node: self.node,
            domain: domain.name.clone(),
            shape: domain.pool,
            addresses: domain.addresses.clone(),
        };
        // One that comes back keeps its number, unless somebody has it.
        let taken = instance == 0 || self.clients.iter().any(|client| client.instance() == Some(instance));
        let instance = if taken { self.next_instance } else { instance };
        let welcome = welcome(instance);
        log(format!("attached: {name} of {}", domain.name));
        self.next_instance = self.next_instance.wrapping_add(2);
        let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect();
        let peers: HashMap<u64, u64> = peers.into_iter().map(|peer| (peer, 0)).collect();
        let client = &mut self.clients[index];
        client.admitted = Some(Admitted { instance, name, page, listens: Vec::new(), peers });
        client.say(&welcome, &[]);
        if self.forwarders[at].is_some() {
            self.pair_with_forwarder(index);
        }
    }

    fn on_listen(&mut self, index: usize, at: SocketAddr, log: &mut impl FnMut(String)) {
        let own = self.clients[index].domain;
        let granted = self.options.domains[own].addresses.iter().any(|range| range.contains(at.ip()));
        // One that died just now has not been buried yet.
        let taken = |client: &Client| client.domain == own && client.listens_at(at) && !client.hung_up();
        let outcome = if !granted {
            Err(NotListening::NotGranted)
        } else if self.clients.iter().enumerate().any(|(other, client)| other != index && taken(client)) {
            Err(NotListening::Taken)
        } else {
            Ok(())
        };
        let Some(admitted) = &mut self.clients[index].admitted else { return };
        let outcome = match outcome {
            Ok(()) if admitted.listens.contains(&at) => Ok(()),
            Ok(()) if admitted.listens.len() >= LISTENERS_MAX => Err(NotListening::Full),
            outcome => outcome,
        };
        match outcome {
            Ok(()) if !admitted.listens.contains(&at) => admitted.listens.push(at),
            Ok(()) => {}
            Err(why) => log(format!("{} may not listen at {at}: {why:?}", admitted.name)),
        }
        if let (Ok(()), Some(forwarder)) = (outcome, &self.forwarders[own]) {
            forwarder.listen(at, admitted.instance);
        }
        self.clients[index].say(&FromManager::Listening(at, outcome), &[]);
    }

    fn name(&self, index: usize) -> String {
        let client = &self.clients[index];
        let domain = &self.options.domains[client.domain].name;
        let name = client.admitted.as_ref().map_or("a process", |admitted| &admitted.name);
        format!("{name} of {domain}")
    }

    /// Forgets those who are gone or never said who they are.
    fn bury(&mut self, log: &mut impl FnMut(String)) {
        let now = Instant::now();
        for index in 0..self.clients.len() {
            let client = &self.clients[index];
            if client.gone && client.admitted.is_some() {
                log(format!("gone: {}", self.name(index)));
            }
        }
        let dead: HashSet<u64> =
            self.clients.iter().filter(|client| client.gone).filter_map(Client::instance).collect();
        self.clients.retain(|client| !client.gone && (client.admitted.is_some() || client.until > now));
        if dead.is_empty() {
            return;
        }
        for forwarder in self.forwarders.iter_mut().flatten() {
            dead.iter().for_each(|instance| forwarder.gone(*instance));
        }
        for client in &mut self.clients {
            if let Some(admitted) = &mut client.admitted {
                admitted.peers.retain(|peer, _| !dead.contains(peer));
            }
        }
    }

    fn tell(&self) {
        let status = self.clients.iter().filter_map(|client| {
            let admitted = client.admitted.as_ref()?;
            Some(ClientStatus {
                domain: self.options.domains[client.domain].name.clone(),
                name: admitted.name.clone(),
                listens: admitted.listens.clone(),
                peers: admitted.peers.len(),
                counters: counters::read(&admitted.page),
            })
        });
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status.collect();
    }
}

/// The same for each manager at this socket until the machine is started anew.
fn node(socket: &str) -> [u8; 16] {
    let boot = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/net").unwrap_or_default();
    let half = |salt: u8| {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write_u8(salt);
        hasher.write(&boot);
        hasher.write(namespace.as_os_str().as_encoded_bytes());
        hasher.write(socket.as_bytes());
        hasher.finish().to_be_bytes()
    };
    let mut node = [0; 16];
    node[..8].copy_from_slice(&half(1));
    node[8..].copy_from_slice(&half(2));
    node
}
