//! Network namespaces by their names, as `ip netns` has them.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use rustix::fs::statfs;
use rustix::io::Errno;
use rustix::mount::{
    MountPropagationFlags, UnmountFlags, mount_bind, mount_bind_recursive, mount_change, unmount,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::NetError;
use crate::message::{LOOPBACK, link_up};
use crate::netlink::Socket;

/// Where names are.
pub const DIRECTORY: &str = "/run/netns";
const CURRENT: &str = "/proc/thread-self/ns/net";
/// The file system of namespaces (`linux/magic.h`: NSFS_MAGIC).
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// The file of a name.
pub fn path(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

/// Makes names while it lives: of one file, since a file system on a disk takes much longer to find room for
/// a file than for another name of one.
pub struct Names(PathBuf);

impl Names {
    /// Of a network whose namespaces' names begin with `prefix`.
    pub fn begin(prefix: &str) -> Result<Self, NetError> {
        make_directory()?;
        // No tenant has this name. Where one is left by somebody who was killed, it is as good, and goes.
        let file = path(&format!("{prefix}0"));
        File::create(&file).map_err(NetError::io(file.display().to_string()))?;
        Ok(Self(file))
    }

    /// Makes a name. One that is there already is what somebody left who was killed before there was a
    /// namespace behind it.
    fn make(&self, name: &Path) -> Result<(), NetError> {
        match fs::hard_link(&self.0, name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !is_namespace(name) => Ok(()),
            made => made.map_err(NetError::io(name.display().to_string())),
        }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        // What is left goes with the network.
        drop(fs::remove_file(&self.0));
    }
}

/// Makes the directory of names: mounts in it are to be seen by all, whoever unmounts them, else a
/// namespace lives on in the mounts of others.
pub fn make_directory() -> Result<(), NetError> {
    fs::create_dir_all(DIRECTORY).map_err(NetError::io(DIRECTORY))?;
    let share = || mount_change(DIRECTORY, MountPropagationFlags::SHARED | MountPropagationFlags::REC);
    let shared = match share() {
        // It is no mount of its own yet.
        Err(Errno::INVAL) => mount_bind_recursive(DIRECTORY, DIRECTORY).and_then(|()| share()),
        done => done,
    };
    shared.map_err(NetError::errno(format!("{DIRECTORY} as a shared mount")))
}

/// Makes a namespace and takes the calling thread into it. Nobody finds it by its name before its loopback
/// interface is up. In a `quiet` one no link gets addresses of IPv6. A socket there.
pub fn make(names: &Names, name: &str, quiet: bool) -> Result<Socket, NetError> {
    unshare(CloneFlags::CLONE_NEWNET)
        .map_err(|error| NetError::io(format!("namespace {name}"))(error.into()))?;
    if quiet {
        for links in ["all", "default"] {
            let parameter = PathBuf::from(format!("/proc/sys/net/ipv6/conf/{links}/disable_ipv6"));
            // A kernel without IPv6 is as quiet.
            if parameter.exists() {
                write_parameter(&parameter, "1")?;
            }
        }
    }
    let socket = Socket::open()?;
    socket.run(vec![link_up("lo", LOOPBACK)])?;
    let path = path(name);
    names.make(&path)?;
    mount_bind(CURRENT, &path).map_err(NetError::errno(format!("namespace {name}")))?;
    Ok(socket)
}

/// Takes the calling thread into a namespace.
pub fn enter(name: &str) -> Result<(), NetError> {
    enter_opened(&open(name)?, name)
}

/// Takes the calling thread into a namespace that is open.
pub fn enter_opened(namespace: &File, name: &str) -> Result<(), NetError> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(NetError::errno(format!("namespace {name}")))
}

/// The calling thread's namespace.
pub fn current() -> Result<File, NetError> {
    File::open(CURRENT).map_err(NetError::io(CURRENT))
}

/// Opens a namespace.
pub fn open(name: &str) -> Result<File, NetError> {
    let path = path(name);
    File::open(&path).map_err(NetError::io(path.display().to_string()))
}

/// Names that begin with `prefix`, whether there is a namespace behind them or the rest of one.
pub fn names(prefix: &str) -> Result<Vec<String>, NetError> {
    let entries = match fs::read_dir(DIRECTORY) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(NetError::io(DIRECTORY))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(NetError::io(DIRECTORY))?.file_name();
        names.extend(name.into_string().ok().filter(|name| name.starts_with(prefix)));
    }
    names.sort();
    Ok(names)
}

/// Whether there is a namespace behind a name: a file without one is what is left of a making that was
/// killed.
pub fn is_there(name: &str) -> bool {
    is_namespace(&path(name))
}

fn is_namespace(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| found.f_type == NSFS_MAGIC)
}

/// Takes a name away. The namespace goes when nobody is inside.
pub fn remove(name: &str) -> Result<(), NetError> {
    let path = path(name);
    unmount_all(&path)?;
    gone(&path, fs::remove_file(&path))
}

/// Unmounts what is mounted at a path, however often: two who made it at the same time have mounted it twice.
pub fn unmount_all(path: &Path) -> Result<(), NetError> {
    loop {
        match unmount(path, UnmountFlags::DETACH) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            Err(error) => return Err(NetError::errno(path.display().to_string())(error)),
        }
    }
}

/// The outcome of a removal: what is not there is gone as well.
pub fn gone(path: &Path, removed: io::Result<()>) -> Result<(), NetError> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(NetError::io(path.display().to_string())(error))
        }
        _ => Ok(()),
    }
}

/// Has the calling thread's namespace forward packets, or not.
pub fn set_forwarding(on: bool) -> Result<(), NetError> {
    // The one that is looked at later is written last: what was not finished is done again.
    for parameter in FORWARDING.iter().rev().map(Path::new).filter(|path| path.exists()) {
        write_parameter(parameter, if on { "1" } else { "0" })?;
    }
    Ok(())
}

const FORWARDING: [&str; 2] = ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"];

fn write_parameter(path: &Path, value: &str) -> Result<(), NetError> {
    fs::write(path, value).map_err(NetError::io(path.display().to_string()))
}
