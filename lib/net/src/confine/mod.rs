//! Endpoints that share a namespace, each kept to its own addresses: a cgroup for each, and programs of BPF
//! that the kernel runs when a socket in it is given an address, connects or sends.
//!
//! The programs are held by their names in a file system of BPF that is the network's own: when that is
//! unmounted, they are gone with it, whoever was killed before.

mod object;
mod program;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use aya::Ebpf;
use aya::programs::links::FdLink;
use aya::programs::{CgroupAttachMode, CgroupSockAddr};
use rustix::fs::statfs;
use rustix::mount::{MountFlags, mount};

use crate::declared::{self, Own};
use crate::{Name, NetError, namespace};

/// The file system of BPF (`linux/magic.h`: BPF_FS_MAGIC).
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;
/// Writes the program for one of the hooks.
type Write = fn(&Own) -> Vec<u8>;
/// Where programs are asked, by the kernel's names.
const HOOKS: [(&str, Write); 6] = [
    ("bind4", program::bind4),
    ("bind6", program::bind6),
    ("connect4", program::connect4),
    ("connect6", program::connect6),
    ("sendmsg4", program::sendmsg4),
    ("sendmsg6", program::sendmsg6),
];

/// Takes the calling process, with all its threads, into the cgroup of an endpoint `tenant/name`, where
/// sockets have no other addresses than `own`.
pub fn enter(network: &Name, endpoint: &str, own: &Own) -> Result<(), NetError> {
    let cgroup = cgroups()?.join(cgroup(network, endpoint));
    make_directory(&cgroup)?;
    let pins = directory(network);
    make_directory(&pins)?;
    if !statfs(&pins).is_ok_and(|found| found.f_type == BPF_FS_MAGIC) {
        mount("bpf", &pins, "bpf", MountFlags::empty(), None).map_err(NetError::errno(shown(&pins)))?;
    }
    // In names there, dots are not allowed.
    let endpoint = endpoint.replace('/', "_");
    let now = format!("{endpoint}_{:016x}", declared::fnv1a(&format!("{own:?}")));
    let missing: Vec<_> =
        HOOKS.iter().filter(|(hook, _)| !pins.join(format!("{now}_{hook}")).exists()).collect();
    if !missing.is_empty() {
        let object = object::of(missing.iter().map(|(hook, program)| (*hook, program(own))));
        let mut programs = Ebpf::load(&object).map_err(|error| refused("the programs", &error))?;
        let group = File::open(&cgroup).map_err(NetError::io(shown(&cgroup)))?;
        for (hook, _) in missing {
            attach(&mut programs, hook, &group, &pins.join(format!("{now}_{hook}")))
                .map_err(|error| refused(hook, error.as_ref()))?;
        }
    }
    // Those of other addresses, that the endpoint had before, go when the new ones are in force.
    for pin in entries(&pins)? {
        if pin.starts_with(&format!("{endpoint}_")) && !pin.starts_with(&now) {
            let pin = pins.join(pin);
            fs::remove_file(&pin).map_err(NetError::io(shown(&pin)))?;
        }
    }
    let members = cgroup.join("cgroup.procs");
    fs::write(&members, "0").map_err(NetError::io(shown(&members)))
}

fn attach(
    programs: &mut Ebpf,
    hook: &str,
    group: &File,
    pin: &Path,
) -> Result<(), Box<dyn std::error::Error>> {
    let program = programs.program_mut(hook).ok_or("it is not in the object")?;
    let program: &mut CgroupSockAddr = program.try_into()?;
    program.load()?;
    // No flags: by way of a link there may be others of other owners anyway.
    let link = program.attach(group, CgroupAttachMode::Single)?;
    let link: FdLink = program.take_link(link)?.try_into()?;
    link.pin(pin)?;
    Ok(())
}

/// Processes in the cgroups of a network, by cgroup.
pub fn processes(network: &Name) -> Result<Vec<(String, Vec<i32>)>, NetError> {
    let mut all = Vec::new();
    for group in groups(network)? {
        let members = group.join("cgroup.procs");
        let text = fs::read_to_string(&members).map_err(NetError::io(shown(&members)))?;
        let processes: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        if !processes.is_empty() {
            all.push((shown(&group), processes));
        }
    }
    Ok(all)
}

/// Removes the cgroups of a network, in which no process is, and its programs.
pub fn remove(network: &Name) -> Result<(), NetError> {
    for group in groups(network)? {
        fs::remove_dir(&group).map_err(NetError::io(shown(&group)))?;
    }
    let pins = directory(network);
    namespace::unmount_all(&pins)?;
    namespace::gone(&pins, fs::remove_dir(&pins))
}

/// The cgroups of a network; none where there are no cgroups of version 2.
fn groups(network: &Name) -> Result<Vec<PathBuf>, NetError> {
    let Ok(root) = cgroups() else { return Ok(Vec::new()) };
    let prefix = declared::prefix(network);
    let names = entries(&root)?.into_iter().filter(|name| name.starts_with(&prefix));
    Ok(names.map(|name| root.join(name)).collect())
}

fn cgroup(network: &Name, endpoint: &str) -> String {
    format!("{}{}", declared::prefix(network), endpoint.replace('/', "."))
}

/// The file system of BPF of a network.
fn directory(network: &Name) -> PathBuf {
    PathBuf::from(format!("/run/tern-net-{network}"))
}

/// Where cgroups of version 2 are. Programs belong to those alone.
fn cgroups() -> Result<PathBuf, NetError> {
    const MOUNTS: &str = "/proc/self/mounts";
    let text = fs::read_to_string(MOUNTS).map_err(NetError::io(MOUNTS))?;
    let place = text.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let place = fields.next()?;
        (fields.next() == Some("cgroup2")).then(|| PathBuf::from(place))
    });
    place.ok_or_else(|| NetError::Unconfined {
        why: "no cgroups of version 2 are mounted (mount -t cgroup2 none /sys/fs/cgroup/unified)".to_owned(),
    })
}

fn refused(what: &str, error: &dyn std::error::Error) -> NetError {
    let mut why = format!("{what}: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        why = format!("{why}: {error}");
        source = error.source();
    }
    NetError::Unconfined { why }
}

fn entries(directory: &Path) -> Result<Vec<String>, NetError> {
    let entries = fs::read_dir(directory).map_err(NetError::io(shown(directory)))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

fn make_directory(path: &Path) -> Result<(), NetError> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(NetError::io(shown(path))(error)),
        _ => Ok(()),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
