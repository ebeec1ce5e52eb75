//! The manager's socket: where it is and how it is reached.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// A path, or an abstract name behind an `@`, which belongs to the network namespace.
pub(crate) fn address(socket: &str) -> io::Result<SocketAddrUnix> {
    Ok(match socket.strip_prefix('@') {
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
        None => SocketAddrUnix::new(socket)?,
    })
}

fn new() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// Connects. Never waits long: a full backlog is [`io::ErrorKind::WouldBlock`].
pub(crate) fn connect(socket: &str) -> io::Result<OwnedFd> {
    let end = new()?;
    rustix::net::connect(&end, &address(socket)?)?;
    Ok(end)
}

/// Listens. A socket file that nobody listens at any more is replaced.
pub(crate) fn listen(socket: &str, backlog: i32) -> io::Result<OwnedFd> {
    let end = new()?;
    let address = address(socket)?;
    match rustix::net::bind(&end, &address) {
        Err(rustix::io::Errno::ADDRINUSE) if !socket.starts_with('@') && connect(socket).is_err() => {
            std::fs::remove_file(socket)?;
            rustix::net::bind(&end, &address)?;
        }
        outcome => outcome?,
    }
    rustix::net::listen(&end, backlog)?;
    Ok(end)
}

/// The user of the process at the other end, which may be in another PID namespace, as in another container.
pub(crate) fn user_of(end: impl AsFd) -> io::Result<u32> {
    Ok(nix::sys::socket::getsockopt(&end, nix::sys::socket::sockopt::PeerCredentials)?.uid())
}
