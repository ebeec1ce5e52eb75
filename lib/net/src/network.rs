//! A network brought up, taken down, listed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::linux::fs::MetadataExt as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::declared::{self, Declared};
use crate::found::{Found, FoundKind};
use crate::netlink::Socket;
use crate::plan::Plan;
use crate::{Name, NetError, apply, confine, message, namespace, observe, workers};

/// How long who brings a network up or down waits for others to be done with it. Long enough for what a
/// process that is being started holds of its parent's for a moment.
const UP_TIME: Duration = Duration::from_secs(1);
/// The same for who becomes an endpoint.
const ENTER_TIME: Duration = Duration::from_secs(60);
/// How often it looks.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// Seconds that a process has to end once it is killed.
const END_S_MAX: i64 = 10;

/// What is to be done for a network, which is not touched.
pub fn plan(declared: &Declared) -> Result<Plan, NetError> {
    Ok(Plan::of(declared, &observe::observe(&declared::prefix(&declared.name))?))
}

/// Makes what a network lacks and removes what it has beyond. What was done.
pub fn up(declared: &Declared) -> Result<Plan, NetError> {
    let _alone = Lock::wait(&declared.name, UP_TIME)?;
    let plan = plan(declared)?;
    if !plan.is_empty() {
        apply::apply(&plan, declared)?;
    }
    Ok(plan)
}

/// Removes all that is of a network, which no file need declare; the number of namespaces. Processes inside
/// are ended where `kill` says so, else nothing is touched.
pub fn down(name: &Name, kill: bool) -> Result<usize, NetError> {
    let _alone = Lock::wait(name, UP_TIME)?;
    let prefix = declared::prefix(name);
    let names = namespace::names(&prefix)?;
    let inside = processes(&names)?.into_iter().chain(confine::processes(name)?);
    for (namespace, processes) in inside {
        if !kill {
            return Err(NetError::InUse { namespace, processes });
        }
        processes.into_iter().try_for_each(end)?;
    }
    remove_vxlans(&names)?;
    workers::each(&names, |name| namespace::remove(name))?;
    confine::remove(name)?;
    Ok(names.len())
}

/// Makes the calling process an endpoint, `tenant/name`: the calling thread is in its namespace, and where
/// others share that, all threads have its addresses alone.
pub fn enter(declared: &Declared, endpoint: &str) -> Result<(), NetError> {
    let place = declared.endpoints.get(endpoint).ok_or_else(|| NetError::NoEndpoint {
        found: endpoint.to_owned(),
        some: declared.endpoints.keys().next().map_or("none".to_owned(), |name| format!("`{name}`")),
    })?;
    if place.shared {
        let _alone = Lock::wait(&declared.name, ENTER_TIME)?;
        // Where the network is down, nothing is to be left of it.
        namespace::open(&place.namespace)?;
        confine::enter(&declared.name, endpoint, &place.own)?;
    }
    namespace::enter(&place.namespace)
}

/// What there is of all networks, or of one.
pub fn list(name: Option<&Name>) -> Result<Found, NetError> {
    observe::observe(&name.map_or(format!("{}.", declared::PREFIX), declared::prefix))
}

/// VXLANs go before their namespaces: those the kernel takes apart when it finds the time, and until then
/// it would refuse another VXLAN of the same identifier.
fn remove_vxlans(names: &[String]) -> Result<(), NetError> {
    // A switch is the one whose name has no endpoint.
    const SWITCH_DOTS: usize = 2;
    let switches =
        names.iter().filter(|name| name.matches('.').count() == SWITCH_DOTS && namespace::is_there(name));
    workers::each(switches.collect::<Vec<_>>(), |name| {
        namespace::enter(name)?;
        let links = observe::inside()?.links;
        let vxlans = links.iter().filter(|(_, link)| matches!(link.kind, FoundKind::Vxlan { .. }));
        Socket::open()?.run(vxlans.map(|(link, _)| message::remove_link(link)).collect())
    })?;
    Ok(())
}

/// Processes other than ours that are inside namespaces, by these.
fn processes(names: &[String]) -> Result<BTreeMap<String, Vec<i32>>, NetError> {
    let mut namespaces = BTreeMap::new();
    for name in names.iter().filter(|name| namespace::is_there(name)) {
        let path = namespace::path(name);
        let found = fs::metadata(&path).map_err(NetError::io(path.display().to_string()))?;
        namespaces.insert((found.st_dev(), found.st_ino()), name);
    }
    let mut inside: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    if namespaces.is_empty() {
        return Ok(inside);
    }
    for process in fs::read_dir("/proc").map_err(NetError::io("/proc"))?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if Ok(pid) == i32::try_from(std::process::id()) {
            continue;
        }
        // Each thread may be in another one. One that ends meanwhile is in none.
        let threads = fs::read_dir(process.path().join("task")).into_iter().flatten().flatten();
        let mut found = threads.filter_map(|thread| fs::metadata(thread.path().join("ns/net")).ok());
        if let Some(name) = found.find_map(|found| namespaces.get(&(found.st_dev(), found.st_ino()))) {
            inside.entry((*name).clone()).or_default().push(pid);
        }
    }
    Ok(inside)
}

/// Ends a process, and waits until it has ended.
fn end(pid: i32) -> Result<(), NetError> {
    let what = || format!("the end of process {pid}");
    let Some(number) = Pid::from_raw(pid) else { return Ok(()) };
    let process = match pidfd_open(number, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(()),
        process => process.map_err(NetError::errno(what()))?,
    };
    match pidfd_send_signal(&process, Signal::KILL) {
        Err(Errno::SRCH) => return Ok(()),
        sent => sent.map_err(NetError::errno(what()))?,
    }
    let timeout = Timespec { tv_sec: END_S_MAX, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout));
    match ended.map_err(NetError::errno(what()))? {
        0 => Err(NetError::io(what())(io::ErrorKind::TimedOut.into())),
        _ => Ok(()),
    }
}

/// Keeps others from working on the same network. The name of a socket is free again when its process has
/// ended, however that ended, and there is no file to be left behind. It is one of the namespace that we run
/// in: processes in two of those do not see one another.
struct Lock {
    _socket: UnixDatagram,
}

impl Lock {
    /// Waits while others are at work.
    fn wait(network: &Name, most: Duration) -> Result<Self, NetError> {
        let begun = Instant::now();
        loop {
            match Self::take(network) {
                Err(NetError::Busy(_)) if begun.elapsed() < most => std::thread::sleep(BUSY_PAUSE),
                taken => return taken,
            }
        }
    }

    fn take(network: &Name) -> Result<Self, NetError> {
        let bind =
            || UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(format!("tern-net/{network}"))?);
        match bind() {
            Ok(socket) => Ok(Self { _socket: socket }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                Err(NetError::Busy(network.to_string()))
            }
            Err(error) => Err(NetError::io("the lock of the network")(error)),
        }
    }
}
