//! The stack of this process: started once, entered by one thread at a time.
//!
//! usrsctp has locks of its own, but they do not cover the life of a socket: a thread that has a
//! packet wakes the socket, or the listener, that another one is closing, and writes into freed
//! memory. So [`hold`] stands before every entrance: the calls of `socket.rs`, the timers here, and
//! the packets of the stack's receive threads, which `build.rs` has led to [`tern_usrsctp_input`].
//! Those threads sleep until a packet comes: [`tern_usrsctp_setsockopt`].

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use libc::{c_int, c_void, sockaddr, socklen_t};
use tokio::sync::Notify;

use super::ffi::{self, UsrSocket};
use super::{Encapsulation, NAME_RAW, NAME_UDP};
use crate::error::SctpError;
use crate::wire;

static STACK: OnceLock<Mutex<Option<Encapsulation>>> = OnceLock::new();
static SIGNALS: OnceLock<Mutex<HashMap<u64, Arc<Signal>>>> = OnceLock::new();
static NEXT: AtomicU64 = AtomicU64::new(1);
static LIBRARY: Mutex<()> = Mutex::new(());

thread_local! {
    /// What the library has called back about while this thread held it.
    static RAISED: RefCell<Vec<Arc<Signal>>> = const { RefCell::new(Vec::new()) };
}

/// How often the stack's timers are looked at. Its own thread does so a hundred times a second,
/// for ever, with associations or without; the shortest timer that we let it have is RTO.Min.
const TICK: Duration = Duration::from_millis(40);

/// Linux capability CAP_NET_RAW.
const CAP_NET_RAW: u32 = 13;
/// `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// How a socket's upcall reaches the task that waits for it.
#[derive(Debug, Default)]
pub(super) struct Signal {
    reader: Mutex<Option<Waker>>,
    writable: Notify,
}

impl Signal {
    pub(super) fn register(&self, waker: &Waker) {
        let mut reader = lock(&self.reader);
        match &mut *reader {
            Some(known) if known.will_wake(waker) => {}
            other => *other = Some(waker.clone()),
        }
    }

    pub(super) fn writable(&self) -> &Notify {
        &self.writable
    }

    pub(super) fn raise(&self) {
        let waker = lock(&self.reader).take();
        if let Some(waker) = waker {
            waker.wake();
        }
        self.writable.notify_waiters();
    }
}

/// Keeps a signal reachable by upcalls while it lives.
#[derive(Debug)]
pub(super) struct Registration {
    number: u64,
    signal: Arc<Signal>,
}

impl Registration {
    pub(super) fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let signal = Arc::new(Signal::default());
        lock(signals()).insert(number, Arc::clone(&signal));
        Self { number, signal }
    }

    pub(super) fn signal(&self) -> &Signal {
        &self.signal
    }

    pub(super) fn argument(&self) -> *mut c_void {
        std::ptr::without_provenance_mut(self.number as usize)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(signals()).remove(&self.number);
    }
}

/// Called by the stack, and so by the thread that holds it: something changed on a socket. The
/// signal is raised when the thread lets go, for a waker may drop a task and the sockets in it.
pub(super) unsafe extern "C" fn upcall(_: *mut UsrSocket, argument: *mut c_void, _: c_int) {
    let signal = lock(signals()).get(&(argument.addr() as u64)).cloned();
    RAISED.with_borrow_mut(|raised| raised.extend(signal));
}

/// The right to call into the library, of one thread at a time.
#[must_use]
pub(super) struct Held(Option<MutexGuard<'static, ()>>);

/// Waits until no other thread is in the library. Not to be called by a thread that holds it.
pub(super) fn hold() -> Held {
    Held(Some(lock(&LIBRARY)))
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0 = None;
        RAISED.take().iter().for_each(|signal| signal.raise());
    }
}

/// A packet that one of the stack's receive threads has read.
///
/// # Safety
///
/// For the library alone, whose `sctp_common_input_processing` it stands for: the same arguments.
#[unsafe(no_mangle)]
unsafe extern "C" fn tern_usrsctp_input(
    packet: *mut *mut c_void,
    ip_header: c_int,
    offset: c_int,
    length: c_int,
    source: *mut sockaddr,
    destination: *mut sockaddr,
    common_header: *mut c_void,
    first_chunk: *mut c_void,
    check: u8,
    ecn: u8,
    vrf: u32,
    udp_port: u16,
) {
    let _held = hold();
    // SAFETY: the arguments are the library's own for this very function.
    unsafe {
        ffi::sctp_common_input_processing(
            packet,
            ip_header,
            offset,
            length,
            source,
            destination,
            common_header,
            first_chunk,
            check,
            ecn,
            vrf,
            udp_port,
        );
    }
}

/// Prepares a socket of the stack's receive threads. They ask to be woken ten times a second to see
/// whether the stack has ended; this one never ends, and an idle thread uses no CPU.
///
/// # Safety
///
/// For the library alone, whose `setsockopt` it stands for: the same arguments.
#[unsafe(no_mangle)]
unsafe extern "C" fn tern_usrsctp_setsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: socklen_t,
) -> c_int {
    if (level, name) == (libc::SOL_SOCKET, libc::SO_RCVTIMEO) {
        return 0;
    }
    // SAFETY: the arguments are the library's own for this very function.
    unsafe { libc::setsockopt(fd, level, name, value, len) }
}

/// What the stack does with packets of no association here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strangers {
    /// Nothing. A peer on this host has its own stack in this namespace, and both see every
    /// packet: each would abort the other's associations.
    Ignored,
    /// ABORT, as RFC 9260 §8.4 says.
    Aborted,
}

/// Says what becomes of strangers' packets. A stack begins with [`Strangers::Ignored`], since it
/// sees packets from its first moment on; one endpoint on this host's own addresses keeps it so.
pub(super) fn strangers(wanted: Strangers) {
    static NOW: Mutex<Option<Strangers>> = Mutex::new(None);
    let mut now = lock(&NOW);
    match (*now, wanted) {
        (Some(Strangers::Ignored), _) | (Some(Strangers::Aborted), Strangers::Aborted) => return,
        (_, Strangers::Ignored) => {
            tracing::info!("raw SCTP on this host's own addresses: packets of no association are ignored");
        }
        (_, Strangers::Aborted) => {}
    }
    *now = Some(wanted);
    set_blackhole(wanted);
}

fn set_blackhole(strangers: Strangers) {
    // 2 covers INIT and every other chunk.
    let value = if strangers == Strangers::Ignored { 2 } else { 0 };
    let _held = hold();
    // SAFETY: a plain integer.
    unsafe { ffi::usrsctp_sysctl_set_sctp_blackhole(value) };
}

/// Makes a loopback address known. The stack has read the host's list of
/// addresses, where all of 127.0.0.0/8 but 127.0.0.1 is missing.
pub(super) fn learn_loopback(address: SocketAddr) {
    static KNOWN: Mutex<Vec<IpAddr>> = Mutex::new(Vec::new());
    let mut known = lock(&KNOWN);
    if known.contains(&address.ip()) {
        return;
    }
    known.push(address.ip());
    let mut packed = wire::pack([address]);
    let name = c"lo";
    let _held = hold();
    // SAFETY: the stack runs; it copies name and address, and finds the loopback
    // interface by its index. 0 is its only routing table.
    unsafe {
        ffi::sctp_add_addr_to_vrf(
            0,
            std::ptr::null_mut(),
            libc::if_nametoindex(name.as_ptr()),
            0,
            name.as_ptr(),
            std::ptr::null_mut(),
            packed.as_mut_ptr().cast(),
            0,
            0,
        );
    }
}

/// Starts the stack, or finds it started in the same mode.
pub(super) fn start(encapsulation: Encapsulation) -> Result<(), SctpError> {
    let mut started = lock(STACK.get_or_init(Mutex::default));
    match *started {
        Some(running) if running == encapsulation => return Ok(()),
        Some(running) => {
            let why = format!("this process already runs it as {running:?}");
            return Err(SctpError::Unavailable { backend: encapsulation.name(), why });
        }
        None => {}
    }
    match encapsulation {
        Encapsulation::Raw => start_raw()?,
        Encapsulation::Udp { port } => start_udp(port)?,
    }
    *started = Some(encapsulation);
    Ok(())
}

/// Whether this process may open raw sockets of protocol 132.
pub fn raw_sockets_allowed() -> bool {
    // SAFETY: plain system calls with constant arguments; the descriptor is
    // closed once and used by nobody else.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 132);
        if fd < 0 {
            return false;
        }
        libc::close(fd);
    }
    true
}

fn start_raw() -> Result<(), SctpError> {
    if !raw_sockets_allowed() {
        let why = "raw sockets need CAP_NET_RAW".to_owned();
        return Err(SctpError::Unavailable { backend: NAME_RAW, why });
    }
    if other_raw_stack() {
        tracing::warn!(
            "another SCTP stack has raw sockets in this network namespace: except on loopback, \
             each aborts the other's associations; use a namespace each, or UDP"
        );
    }
    init(0, NAME_RAW)
}

/// Whether a raw socket of protocol 132 is open in this namespace.
fn other_raw_stack() -> bool {
    // The local port of a raw socket is its protocol: 132 is 84 in hexadecimal.
    let of_sctp = |line: &str| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(":0084"));
    std::fs::read_to_string("/proc/net/raw").is_ok_and(|sockets| sockets.lines().any(of_sctp))
}

/// The stack tries to open raw sockets in this mode too. With them it would
/// answer, with ABORT, the associations of another stack in this namespace, so
/// it is started in a thread that has given CAP_NET_RAW away.
fn start_udp(port: u16) -> Result<(), SctpError> {
    if port == 0 {
        return Err(SctpError::Options("UDP encapsulation needs a port"));
    }
    // The stack would not tell that the port is taken.
    if let Err(source) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)) {
        return Err(SctpError::Bind { address: (Ipv4Addr::UNSPECIFIED, port).into(), source });
    }
    let begin = move || {
        drop_raw_capability();
        init(port, NAME_UDP)
    };
    let thread = std::thread::Builder::new().name("sctp-start".into()).spawn(begin);
    let ended = thread.map_err(|source| SctpError::Io { call: "thread", source })?.join();
    ended.map_err(|_| SctpError::Unavailable {
        backend: NAME_UDP,
        why: "its start-up thread ended early".to_owned(),
    })?
}

fn init(udp_port: u16, backend: &'static str) -> Result<(), SctpError> {
    // SAFETY: called once in this process, under the lock of STACK, before any
    // other call into the library; null callbacks are allowed.
    unsafe { ffi::usrsctp_init_nothreads(udp_port, None, None) };
    // Before it receives: it would abort the associations of the stacks beside it.
    set_blackhole(Strangers::Ignored);
    // SAFETY: the stack is initialised and no thread of it runs yet; the knobs are
    // plain integers. The last call is what `usrsctp_init` does behind all this; its timer
    // thread has ours in its place.
    unsafe {
        ffi::usrsctp_sysctl_set_sctp_no_csum_on_loopback(0);
        // Addresses of an association are those it began with.
        ffi::usrsctp_sysctl_set_sctp_asconf_enable(0);
        ffi::usrsctp_sysctl_set_sctp_auto_asconf(0);
        // Extensions that no N2 peer needs: less to attack.
        ffi::usrsctp_sysctl_set_sctp_ecn_enable(0);
        ffi::usrsctp_sysctl_set_sctp_nrsack_enable(0);
        ffi::usrsctp_sysctl_set_sctp_pktdrop_enable(0);
        // A peer with Nagle on waits for a delayed SACK.
        ffi::usrsctp_sysctl_set_sctp_sack_freq_default(1);
        ffi::usrsctp_sysctl_set_sctp_delayed_sack_time_default(1);
        ffi::recv_thread_init();
    }
    if udp_port != 0 {
        // In UDP each process has a port of its own and sees nobody else's packets.
        set_blackhole(Strangers::Aborted);
    }
    let thread = std::thread::Builder::new().name("sctp-timers".into()).spawn(keep_time);
    thread.map_err(|error| SctpError::Unavailable { backend, why: format!("no timer thread: {error}") })?;
    Ok(())
}

/// Tells the stack how much time has passed, as long as the process lives.
fn keep_time() {
    let mut told = Instant::now();
    loop {
        std::thread::sleep(TICK);
        let passed = u32::try_from(told.elapsed().as_millis()).unwrap_or(u32::MAX);
        // What is left of a millisecond counts with the next one.
        told += Duration::from_millis(passed.into());
        let _held = hold();
        // SAFETY: the stack was initialised before this thread began, and is never ended.
        unsafe { ffi::usrsctp_handle_timers(passed) };
    }
}

/// Takes CAP_NET_RAW from the calling thread; the threads it makes inherit that.
fn drop_raw_capability() {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: c_int,
    }
    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    let mut header = Header { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 takes one header and two data structures, as here; pid
    // 0 is the calling thread. A failure leaves the thread as it was.
    unsafe {
        if libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) == 0 {
            data[0].effective &= !(1 << CAP_NET_RAW);
            libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr());
        }
    }
}

fn signals() -> &'static Mutex<HashMap<u64, Arc<Signal>>> {
    SIGNALS.get_or_init(Mutex::default)
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
