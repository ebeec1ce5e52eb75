//! A process's I/O stack, and how its threads and its event loop sleep.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, epoll};

use crate::address::AddressRange;
use crate::connection::Waiter;
use crate::control::{self, Control};
use crate::counters::{self, Counter, Counters};
use crate::descriptor::End;
use crate::error::AttachError;
use crate::memory::{BELLS_MAX, Bells};
use crate::region::{PoolShape, StatusPage};
use crate::sleep::{self, Bed};
use crate::spin::Spin;
use crate::state::{Driver, EPHEMERAL, Relief, State};
use crate::sync::Ordering;

/// Connections that wait to be accepted, unless told otherwise.
pub const BACKLOG: usize = 128;
/// Buffers that a connection may have with its peer, each way, unless told otherwise.
pub const WINDOW: u32 = 8;

/// Peers that send without a pause keep an event loop from going to sleep this often in a row; then
/// it looks at its other sources.
const ARM_TRIES_MAX: usize = 16;

/// How a process attaches.
#[derive(Debug, Clone)]
pub struct AttachOptions {
    /// The manager's socket: a path, or an abstract name behind an `@`.
    pub manager: String,
    /// What this process calls itself, in the manager's list; at most 64 octets count.
    pub name: String,
    /// How threads and event loops wait.
    pub waiting: Waiting,
    /// How long to wait for the manager.
    pub timeout: Duration,
}

impl AttachOptions {
    /// With the defaults: event-driven, 2 s of patience.
    pub fn new(manager: impl Into<String>, name: impl Into<String>) -> Self {
        let (manager, name) = (manager.into(), name.into());
        Self { manager, name, waiting: Waiting::default(), timeout: Duration::from_secs(2) }
    }
}

/// How a stack waits for its peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Waiting {
    /// Sleeps; spins first, for a bounded time, where that has paid.
    #[default]
    Adaptive,
    /// Sleeps at once.
    Sleep,
    /// Never sleeps: for comparison. It burns a processor.
    Poll,
}

/// A process's end of shared memory: its peers, its connections, its listeners. Clones are one.
///
/// It lives until its last clone, stream and listener are dropped.
#[derive(Clone)]
pub struct Stack {
    pub(crate) handle: Arc<Handle>,
}

/// Ends the control thread with the last of those who use the stack.
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.control.stop();
    }
}

/// What the threads of a process share of its stack.
pub(crate) struct Shared {
    pub(crate) page: StatusPage,
    /// The descriptor of the page, for peers.
    pub(crate) page_file: OwnedFd,
    /// What wakes an event loop: an epoll of `nudge` and of every pair's socket. None is read for each
    /// event, so it is to be watched edge-triggered.
    pub(crate) event: OwnedFd,
    /// Written by this process to wake its event loop.
    nudge: OwnedFd,
    pub(crate) control: Control,
    pub(crate) waiting: Waiting,
    pub(crate) about: About,
    state: Mutex<State>,
    spin: Mutex<Spin>,
    /// A runtime drives by its park hooks.
    hooked: AtomicBool,
    /// A thread of the crate's own drives.
    pub(crate) own_driver: AtomicBool,
    #[cfg(feature = "tokio")]
    pub(crate) driven: AtomicBool,
}

/// What the manager said when it admitted the process.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) domain: String,
    pub(crate) node: [u8; 16],
    pub(crate) shape: PoolShape,
    pub(crate) addresses: Vec<AddressRange>,
}

impl Stack {
    /// Attaches to the manager of this node. Blocks until it answers.
    pub fn attach(options: &AttachOptions) -> Result<Self, AttachError> {
        let (page, page_file) = StatusPage::create()?;
        let nudge = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(io::Error::from)?;
        let event = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(io::Error::from)?;
        watch(&event, &nudge)?;
        let (session, about) = control::admit(options, 0, &[], page_file.as_fd())?;
        let control = Control::new()?;
        let mut state = State::new(page.clone(), first_port(session.instance()));
        state.addresses.clone_from(&about.addresses);
        let shared = Arc::new(Shared {
            page,
            page_file,
            event,
            nudge,
            control,
            waiting: options.waiting,
            about,
            state: Mutex::new(state),
            spin: Mutex::default(),
            hooked: AtomicBool::new(false),
            own_driver: AtomicBool::new(false),
            #[cfg(feature = "tokio")]
            driven: AtomicBool::new(false),
        });
        control::spawn(shared.clone(), session, options.clone())?;
        Ok(Self { handle: Arc::new(Handle { shared }) })
    }

    /// The security domain that this process belongs to.
    pub fn domain(&self) -> &str {
        &self.shared().about.domain
    }

    /// The identity of this node: the same for all processes of one manager, and after its return.
    pub fn node(&self) -> [u8; 16] {
        self.shared().about.node
    }

    /// The addresses that the manager grants this process.
    pub fn addresses(&self) -> &[AddressRange] {
        &self.shared().about.addresses
    }

    /// Whether the manager grants `ip` to this process.
    pub fn may_use(&self, ip: IpAddr) -> bool {
        self.addresses().iter().any(|range| range.contains(ip))
    }

    /// Whether the manager answers now.
    pub fn is_managed(&self) -> bool {
        self.shared().with(|state| state.managed)
    }

    /// Whether a connection to `to` would need no word of the manager's.
    pub fn knows(&self, to: SocketAddr) -> bool {
        self.shared().with(|state| state.routes.contains_key(&End::from(to)))
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        counters::read(&self.shared().page)
    }

    /// Buffers at home, and in all, over all peers.
    pub fn pool_level(&self) -> (u64, u64) {
        self.shared().with(|state| {
            state.drain();
            let pools = state.pairs.iter().flatten().map(|pair| &pair.pool);
            pools.fold((0, 0), |(free, all), pool| {
                (free + u64::from(pool.free()), all + u64::from(pool.len()))
            })
        })
    }

    /// The peers: each one's name and whether a connection to it is open.
    pub fn peers(&self) -> Vec<(String, u32)> {
        let each = |pair: &crate::pair::Pair| (pair.peer.name.clone(), pair.connections);
        self.shared().with(|state| state.pairs.iter().flatten().map(each).collect())
    }

    /// What to do before a thread that runs this stack's event loop parks. See [`Stack::hook_runtime`].
    pub fn before_park(&self) {
        self.shared().before_park();
    }

    /// What to do after it has parked.
    pub fn after_unpark(&self) {
        self.shared().after_unpark();
    }

    /// Promises that [`Stack::before_park`] and [`Stack::after_unpark`] are called whenever the event
    /// loop's only thread parks (tokio: `on_thread_park` and `on_thread_unpark` of a current-thread
    /// runtime). Peers then wake the process only when it really sleeps.
    pub fn hook_runtime(&self) {
        self.shared().hooked.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}

/// Stacks that share an address begin at different ports.
fn first_port(instance: u64) -> u16 {
    let span = u64::from(EPHEMERAL.end() - EPHEMERAL.start()) + 1;
    EPHEMERAL.start() + (instance.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u16 % span as u16
}

/// What a blocked thread does next.
enum Next<T> {
    Return(Option<T>, Relief),
    /// There may be something to take in.
    Again,
    /// It drives: sleeps on the bells.
    Drive(Bells),
    /// Somebody else drives, and wakes it.
    Park,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the state; then, without the lock, wakes and rings those who are due.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let done = work(&mut state);
        if state.wakes.is_empty() && state.rings.is_empty() {
            return done;
        }
        let (wakes, rings) = (std::mem::take(&mut state.wakes), std::mem::take(&mut state.rings));
        // The thread that drives sleeps on the bells, not parked: what another thread of this process
        // does to its stream reaches it there.
        let to_driver =
            state.driver == Driver::Thread && wakes.iter().any(|waiter| matches!(waiter, Waiter::Thread(_)));
        drop(state);
        rings.iter().for_each(|link| link.ring());
        if to_driver {
            self.control.ring();
        }
        wakes.into_iter().for_each(Waiter::wake);
        done
    }

    pub(crate) fn is_hooked(&self) -> bool {
        self.hooked.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Blocks the calling thread until `ready` gives something, or until `deadline`; then `None`.
    ///
    /// Of the blocked threads one drives: it sleeps on the bells of all peers and takes in what
    /// arrives, for itself and the others. Who leaves hands the role on. `register` makes the handler
    /// wake the caller.
    pub(crate) fn block<T>(
        &self,
        deadline: Option<Instant>,
        mut ready: impl FnMut(&mut State) -> Option<T>,
        mut register: impl FnMut(&mut State, Waiter),
    ) -> Option<T> {
        let this = std::thread::current();
        let mut driving = false;
        loop {
            let late = deadline.is_some_and(|deadline| deadline <= Instant::now());
            let next = self.with(|state| {
                if std::mem::take(&mut driving) {
                    sleep::disarm(self.page.word());
                    state.driver = Driver::Nobody;
                }
                state.blocked.retain(|thread| thread.id() != this.id());
                let mut done = ready(state);
                if done.is_none() {
                    state.drain();
                    done = ready(state);
                }
                if done.is_some() || late {
                    return Next::Return(done, state.relief());
                }
                register(state, Waiter::Thread(this.clone()));
                if state.driver != Driver::Nobody {
                    state.blocked.push_back(this.clone());
                    return Next::Park;
                }
                self.lie_down(state)
            });
            match next {
                Next::Return(done, relief) => {
                    self.hand_over(relief);
                    return done;
                }
                Next::Again => {}
                Next::Drive(bells) => {
                    // It fails only if the kernel has no such call; then this loop polls.
                    if bells.wait(deadline.map(timespec)).is_err() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    self.publish_cpu();
                    driving = true;
                }
                Next::Park => match deadline {
                    Some(deadline) => std::thread::park_timeout(deadline - Instant::now()),
                    None => std::thread::park(),
                },
            }
        }
    }

    /// Makes the caller the driver, about to sleep on the bells, unless there is something to take in.
    fn lie_down<T>(&self, state: &mut State) -> Next<T> {
        if self.waiting == Waiting::Poll || self.spin_while_idle(state) {
            return Next::Again;
        }
        // What rings after this ends the sleep; what rang before shows as input.
        let bells = self.bells(state);
        sleep::arm(self.page.word(), Bed::Bells);
        if state.has_input() {
            sleep::disarm(self.page.word());
            return Next::Again;
        }
        state.driver = Driver::Thread;
        state.count(Counter::Slept);
        Next::Drive(bells)
    }

    /// The words that peers change to wake a driver. Beyond what one wait can watch, the peers' bells
    /// are not heard until something else wakes the driver.
    fn bells(&self, state: &State) -> Bells {
        let mut bells = Bells::default();
        bells.watch(self.control.bell());
        for pair in state.pairs.iter().flatten().take(BELLS_MAX - 1) {
            bells.watch(pair.link.regions.peer_bell());
        }
        bells
    }

    /// Who leaves wakes another one, if nobody drives.
    fn hand_over(&self, relief: Relief) {
        match relief {
            Relief::NotNeeded => {}
            Relief::Thread(thread) => thread.unpark(),
            Relief::Runtime => self.wake_runtime(),
        }
    }

    /// Wakes the event loop, as a peer would.
    pub(crate) fn wake_runtime(&self) {
        let _ = rustix::io::write(&self.nudge, &1u64.to_ne_bytes());
    }

    /// Wakes a driving thread: the state has changed beside the rings.
    pub(crate) fn wake_driver(&self) {
        let driver = self.with(|state| state.driver);
        match driver {
            Driver::Thread => self.control.ring(),
            Driver::Runtime => self.wake_runtime(),
            Driver::Nobody => {}
        }
    }

    pub(crate) fn before_park(&self) {
        let woken = self.with(|state| {
            state.drain();
            !state.wakes.is_empty()
        });
        if self.waiting == Waiting::Poll {
            return self.wake_runtime();
        }
        if !woken {
            self.spin_while_idle(&self.lock());
        }
        // Also if a task was woken: whether it keeps this event loop awake is not known here.
        for _ in 0..ARM_TRIES_MAX {
            if self.arm_runtime() {
                return;
            }
        }
        self.wake_runtime();
    }

    /// Sleeps in the name of the event loop. Whether it may: not if there is something to take in.
    pub(crate) fn arm_runtime(&self) -> bool {
        self.with(|state| {
            if state.driver == Driver::Thread {
                state.runtime_relies_on_thread = true;
                return true;
            }
            sleep::arm(self.page.word(), Bed::Event);
            if state.has_input() {
                sleep::disarm(self.page.word());
                state.drain();
                return false;
            }
            state.driver = Driver::Runtime;
            state.count(Counter::Slept);
            true
        })
    }

    pub(crate) fn after_unpark(&self) {
        self.disarm_runtime();
    }

    /// The event loop is awake: takes in what arrived.
    pub(crate) fn disarm_runtime(&self) {
        self.publish_cpu();
        let passed_on = self.with(|state| {
            state.runtime_relies_on_thread = false;
            if state.driver == Driver::Runtime {
                sleep::disarm(self.page.word());
                state.driver = Driver::Nobody;
            }
            state.empty_sockets();
            state.drain();
            // Threads that relied on the event loop to drive now drive themselves.
            if state.driver == Driver::Nobody { state.blocked.pop_front() } else { None }
        });
        if let Some(thread) = passed_on {
            thread.unpark();
        }
    }

    fn publish_cpu(&self) {
        self.page.cpu().store(rustix::thread::sched_getcpu() as u32, Ordering::Relaxed);
    }

    /// Spins for a while, if that has paid lately and a peer runs on another processor. Whether
    /// something arrived.
    fn spin_while_idle(&self, state: &State) -> bool {
        if self.waiting != Waiting::Adaptive {
            return false;
        }
        let cpu = rustix::thread::sched_getcpu() as u32;
        if !state.pairs.iter().flatten().any(|pair| pair.link.peer_runs_elsewhere(cpu)) {
            return false;
        }
        let mut spin = self.spin.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(paid) = spin.until(|| state.has_input()) else { return false };
        state.count(if paid { Counter::SpinsPaid } else { Counter::SpinsWasted });
        paid
    }
}

/// Adds a descriptor to an epoll: each time that it is written is news.
pub(crate) fn watch(event: &OwnedFd, what: &OwnedFd) -> io::Result<()> {
    let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
    Ok(epoll::add(event, what, epoll::EventData::new_u64(0), flags)?)
}

impl AsFd for Shared {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// A point of the monotonic clock, which `Instant` is of.
fn timespec(deadline: Instant) -> rustix::thread::futex::Timespec {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let wait = deadline.saturating_duration_since(Instant::now());
    let nanos = now.tv_nsec + i64::from(wait.subsec_nanos());
    let seconds = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX / 2);
    rustix::thread::futex::Timespec {
        tv_sec: now.tv_sec.saturating_add(seconds).saturating_add(nanos / 1_000_000_000),
        tv_nsec: nanos % 1_000_000_000,
    }
}
