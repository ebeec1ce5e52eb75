//! One kernel SCTP socket: structures and numbers of `linux/sctp.h`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use libc::{c_int, c_void, socklen_t};
use tokio::io::unix::AsyncFd;

use crate::association::BoxFuture;
use crate::driver::{Flag, Read, StackSocket};
use crate::error::SctpError;
use crate::options::{ADDRESSES_MAX, Limits, Streams, Timers};
use crate::wire::{self, Kinds};

const SOCKOPT_BINDX_ADD: c_int = 100;
const SOCKOPT_GET_PEER_ADDRESSES: c_int = 108;
const SOCKOPT_GET_LOCAL_ADDRESSES: c_int = 109;
const SOCKOPT_CONNECTX: c_int = 110;
const SPP_HB_ENABLE: u32 = 1;
const MSG_NOTIFICATION: c_int = 0x8000;
const SNDINFO_UNORDERED: u16 = 1;
const SNDINFO_ABORT: u16 = 4;
/// `struct sctp_event_subscribe` up to `sctp_shutdown_event`: association,
/// address and shutdown events.
const SUBSCRIBED: [u8; 8] = [0, 1, 1, 0, 0, 1, 0, 0];

const KINDS: Kinds = Kinds {
    association_change: 0x8001,
    address_change: 0x8002,
    shutdown: 0x8005,
    address_available: 0,
    address_unreachable: 1,
    comm_up: 0,
};

/// A control message's room: header and the larger of the two infos.
#[repr(C, align(8))]
struct Control([u8; 128]);

/// A non-blocking one-to-one socket.
#[derive(Debug)]
pub(super) struct Socket {
    fd: AsyncFd<OwnedFd>,
}

/// Whether the kernel has SCTP.
pub(super) fn probe() -> io::Result<()> {
    open(libc::AF_INET).map(drop)
}

fn open(domain: c_int) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: constants; a descriptor that is returned is ours alone.
    unsafe {
        let fd = libc::socket(domain, kind, libc::IPPROTO_SCTP);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

impl Socket {
    pub(super) fn new(v6: bool) -> Result<Self, SctpError> {
        let domain = if v6 { libc::AF_INET6 } else { libc::AF_INET };
        let fd = open(domain).map_err(|source| SctpError::Io { call: "socket", source })?;
        Self::adopt(fd)
    }

    fn adopt(fd: OwnedFd) -> Result<Self, SctpError> {
        // SAFETY: an OwnedFd stays the same open descriptor while it is owned.
        let fd = unsafe { AsyncFd::register(fd) };
        let fd = fd.map_err(|error| SctpError::Io { call: "epoll", source: error.into() })?;
        Ok(Self { fd })
    }

    fn raw(&self) -> RawFd {
        self.fd.get_ref().as_raw_fd()
    }

    pub(super) fn configure(
        &self,
        streams: Streams,
        timers: Timers,
        limits: Limits,
    ) -> Result<(), SctpError> {
        let on: c_int = 1;
        self.set_sctp(libc::SCTP_NODELAY, &on.to_ne_bytes())?;
        self.set_sctp(libc::SCTP_RECVRCVINFO, &on.to_ne_bytes())?;
        self.set_sctp(libc::SCTP_FRAGMENT_INTERLEAVE, &0i32.to_ne_bytes())?;
        self.set_sctp(libc::SCTP_EVENTS, &SUBSCRIBED)?;
        self.set(libc::SOL_SOCKET, libc::SO_SNDBUF, &integer(limits.send_buffer))?;
        self.set(libc::SOL_SOCKET, libc::SO_RCVBUF, &integer(limits.receive_buffer))?;
        // struct sctp_initmsg
        let mut init = Vec::new();
        init.extend(streams.outbound.to_ne_bytes());
        init.extend(streams.inbound_max.to_ne_bytes());
        init.extend(timers.init_retransmissions_max.to_ne_bytes());
        let timeout = u16::try_from(timers.rto_max.as_millis()).unwrap_or(u16::MAX);
        init.extend(timeout.to_ne_bytes());
        self.set_sctp(libc::SCTP_INITMSG, &init)?;
        // struct sctp_rtoinfo: association, initial, max, min
        let rto = [0, ms(timers.rto_initial), ms(timers.rto_max), ms(timers.rto_min)];
        self.set_sctp(libc::SCTP_RTOINFO, &rto.map(u32::to_ne_bytes).concat())?;
        // struct sctp_assocparams: association, retransmissions, destinations,
        // peer and local window, cookie life
        let mut association = vec![0u8; 20];
        association[4..6].copy_from_slice(&timers.association_retransmissions_max.to_ne_bytes());
        self.set_sctp(libc::SCTP_ASSOCINFO, &association)?;
        // struct sctp_paddrparams, packed: association, address, heartbeat,
        // retransmissions, MTU, SACK delay, flags, flow label, DSCP
        let mut path = vec![0u8; 156];
        path[132..136].copy_from_slice(&ms(timers.heartbeat).to_ne_bytes());
        path[136..138].copy_from_slice(&timers.path_retransmissions_max.to_ne_bytes());
        path[146..150].copy_from_slice(&SPP_HB_ENABLE.to_ne_bytes());
        self.set_sctp(libc::SCTP_PEER_ADDR_PARAMS, &path)?;
        // struct sctp_sack_info: association, delay, frequency; 1 is at once
        let sack = [0u32, 1, 1].map(u32::to_ne_bytes).concat();
        self.set_sctp(libc::SCTP_DELAYED_SACK, &sack)
    }

    pub(super) fn bind(&self, addresses: &[IpAddr], port: u16, v6: bool) -> Result<(), SctpError> {
        let wildcard: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let first = SocketAddr::new(addresses.first().copied().unwrap_or(wildcard), port);
        let packed = wire::pack([first]);
        // SAFETY: one whole socket address and its length.
        let result = unsafe { libc::bind(self.raw(), packed.as_ptr().cast(), packed.len() as socklen_t) };
        if result < 0 {
            return Err(SctpError::Bind { address: first, source: io::Error::last_os_error() });
        }
        for address in addresses.iter().skip(1).map(|ip| SocketAddr::new(*ip, port)) {
            let packed = wire::pack([address]);
            self.set_sctp(SOCKOPT_BINDX_ADD, &packed).map_err(|error| match error {
                SctpError::Io { source, .. } => SctpError::Bind { address, source },
                other => other,
            })?;
        }
        Ok(())
    }

    pub(super) fn listen(&self, backlog: c_int) -> Result<(), SctpError> {
        // SAFETY: an open descriptor and a number.
        let result = unsafe { libc::listen(self.raw(), backlog) };
        if result < 0 { Err(SctpError::last_os("listen")) } else { Ok(()) }
    }

    /// Begins to connect; how it ends is a notification or an error of a read.
    pub(super) fn connect(&self, remote: &[SocketAddr]) -> Result<(), SctpError> {
        let packed = wire::pack(remote.iter().copied());
        match self.set_sctp(SOCKOPT_CONNECTX, &packed) {
            Err(SctpError::Io { source, .. }) if source.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
            other => other,
        }
    }

    pub(super) fn poll_accept(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(Self, SocketAddr), SctpError>> {
        let failed = |source| SctpError::Io { call: "accept", source };
        loop {
            let mut ready = ready!(self.fd.poll_read_ready(context)).map_err(failed)?;
            let mut from = [0u8; 128];
            let mut length = from.len() as socklen_t;
            let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            let address = from.as_mut_ptr().cast();
            // SAFETY: room and its length; a returned descriptor is ours alone.
            let fd = unsafe { libc::accept4(self.raw(), address, &raw mut length, flags) };
            if fd < 0 {
                let error = io::Error::last_os_error();
                match error.raw_os_error() {
                    Some(libc::EAGAIN) => ready.clear_ready(),
                    Some(libc::ECONNABORTED | libc::EINTR) => {}
                    _ => return Poll::Ready(Err(failed(error))),
                }
                continue;
            }
            // SAFETY: just returned by accept4.
            let socket = Self::adopt(unsafe { OwnedFd::from_raw_fd(fd) })?;
            let unknown = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
            let from = wire::unpack(&from).map_or(unknown, |(address, _)| address);
            return Poll::Ready(Ok((socket, from)));
        }
    }

    /// One `recvmsg`; None when nothing waits.
    fn receive(&self, room: &mut [u8]) -> Option<Read> {
        let mut control = Control([0; 128]);
        let mut part = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
        // SAFETY: an all-zero msghdr is valid: no name, no parts, no control.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = control.0.len();
        // SAFETY: every pointer in the header has its length beside it.
        let length = unsafe { libc::recvmsg(self.raw(), &raw mut header, 0) };
        if length < 0 {
            return match errno() {
                libc::EAGAIN | libc::EINTR => None,
                other => Some(Read::Failed(other)),
            };
        }
        if length == 0 {
            return Some(Read::End);
        }
        let length = (length as usize).min(room.len());
        if header.msg_flags & MSG_NOTIFICATION != 0 {
            return Some(Read::Notification(wire::notification(&room[..length], &KINDS)));
        }
        let end = header.msg_flags & libc::MSG_EOR != 0;
        let (mut stream, mut ppid, mut unordered) = (0, 0, false);
        // SAFETY: the kernel filled the control room; the CMSG walk stays in it,
        // and the info is read unaligned from a message of its type.
        unsafe {
            let mut message = libc::CMSG_FIRSTHDR(&raw const header);
            while !message.is_null() {
                let kind = ((*message).cmsg_level, (*message).cmsg_type);
                if kind == (libc::IPPROTO_SCTP, libc::SCTP_RCVINFO) {
                    let data = libc::CMSG_DATA(message).cast::<libc::sctp_rcvinfo>();
                    let info = data.read_unaligned();
                    stream = info.rcv_sid;
                    ppid = u32::from_be(info.rcv_ppid);
                    unordered = info.rcv_flags & SNDINFO_UNORDERED != 0;
                }
                message = libc::CMSG_NXTHDR(&raw const header, message);
            }
        }
        Some(Read::Data { length, end, stream, ppid, unordered })
    }

    fn addresses(&self, option: c_int) -> Vec<SocketAddr> {
        // struct sctp_getaddrs: association, count, addresses
        let mut room = [0u8; 8 + 28 * ADDRESSES_MAX];
        if self.get(libc::IPPROTO_SCTP, option, &mut room).is_none() {
            return Vec::new();
        }
        let count = u32::from_ne_bytes([room[4], room[5], room[6], room[7]]) as usize;
        let mut addresses = Vec::new();
        let mut rest = &room[8..];
        while addresses.len() < count.min(ADDRESSES_MAX) {
            let Some((address, length)) = wire::unpack(rest) else { break };
            addresses.push(address);
            rest = rest.get(length..).unwrap_or_default();
        }
        addresses
    }

    fn set_sctp(&self, name: c_int, value: &[u8]) -> Result<(), SctpError> {
        self.set(libc::IPPROTO_SCTP, name, value)
    }

    fn set(&self, level: c_int, name: c_int, value: &[u8]) -> Result<(), SctpError> {
        let (pointer, length) = (value.as_ptr().cast::<c_void>(), value.len() as socklen_t);
        // SAFETY: readable octets and their number; the kernel checks both.
        let result = unsafe { libc::setsockopt(self.raw(), level, name, pointer, length) };
        // CONNECTX returns the association's number, not 0.
        if result < 0 { Err(SctpError::last_os("setsockopt")) } else { Ok(()) }
    }

    fn get(&self, level: c_int, name: c_int, room: &mut [u8]) -> Option<()> {
        let mut length = room.len() as socklen_t;
        let pointer = room.as_mut_ptr().cast::<c_void>();
        // SAFETY: writable octets and their number.
        let result = unsafe { libc::getsockopt(self.raw(), level, name, pointer, &raw mut length) };
        (result == 0).then_some(())
    }
}

impl StackSocket for Socket {
    fn poll_read(&self, context: &mut Context<'_>, room: &mut [u8]) -> Poll<Read> {
        loop {
            let mut ready = match ready!(self.fd.poll_read_ready(context)) {
                Ok(ready) => ready,
                Err(_) => return Poll::Ready(Read::Failed(libc::EIO)),
            };
            match self.receive(room) {
                Some(read) => return Poll::Ready(read),
                None => ready.clear_ready(),
            }
        }
    }

    fn writable(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // `send` met a full buffer: the readiness known is stale.
            if let Ok(mut ready) = self.fd.writable().await {
                ready.clear_ready();
            }
            // An error shows itself at the next send.
            drop(self.fd.writable().await);
        })
    }

    fn send(&self, data: &[u8], stream: u16, ppid: u32, flag: Flag) -> Result<(), i32> {
        // SAFETY: plain integers; all zero is valid.
        let mut info: libc::sctp_sndinfo = unsafe { std::mem::zeroed() };
        info.snd_sid = stream;
        info.snd_ppid = ppid.to_be();
        info.snd_flags = match flag {
            Flag::Ordered => 0,
            Flag::Unordered => SNDINFO_UNORDERED,
            Flag::Abort => SNDINFO_ABORT,
        };
        let size = size_of::<libc::sctp_sndinfo>() as u32;
        let mut control = Control([0; 128]);
        let mut part = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
        // SAFETY: the control room is larger than CMSG_SPACE of one info and is
        // aligned; data is only read; every pointer has its length beside it.
        let sent = unsafe {
            let mut header: libc::msghdr = std::mem::zeroed();
            header.msg_iov = &raw mut part;
            header.msg_iovlen = 1;
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = libc::CMSG_SPACE(size) as usize;
            let message = libc::CMSG_FIRSTHDR(&raw const header);
            (*message).cmsg_level = libc::IPPROTO_SCTP;
            (*message).cmsg_type = libc::SCTP_SNDINFO;
            (*message).cmsg_len = libc::CMSG_LEN(size) as usize;
            libc::CMSG_DATA(message).cast::<libc::sctp_sndinfo>().write_unaligned(info);
            libc::sendmsg(self.raw(), &raw const header, libc::MSG_NOSIGNAL)
        };
        if sent < 0 { Err(errno()) } else { Ok(()) }
    }

    fn shutdown(&self) {
        // SAFETY: an open descriptor. A failure means that it is down already.
        unsafe { libc::shutdown(self.raw(), libc::SHUT_WR) };
    }

    fn abort_on_close(&self, abort: bool) {
        // struct linger: on, 0 seconds
        let linger = [i32::from(abort), 0].map(i32::to_ne_bytes).concat();
        // A socket that is already disconnected needs it no more.
        let _ = self.set(libc::SOL_SOCKET, libc::SO_LINGER, &linger);
    }

    fn take_error(&self) -> i32 {
        let mut error = [0u8; 4];
        match self.get(libc::SOL_SOCKET, libc::SO_ERROR, &mut error) {
            Some(()) => i32::from_ne_bytes(error),
            None => 0,
        }
    }

    fn streams(&self) -> Option<(u16, u16)> {
        // struct sctp_status: inbound and outbound streams at 16 and 18
        let mut status = [0u8; 256];
        self.get(libc::IPPROTO_SCTP, libc::SCTP_STATUS, &mut status)?;
        let number = |at: usize| u16::from_ne_bytes([status[at], status[at + 1]]);
        Some((number(16), number(18)))
    }

    fn peer_addresses(&self) -> Vec<SocketAddr> {
        self.addresses(SOCKOPT_GET_PEER_ADDRESSES)
    }

    fn local_addresses(&self) -> Vec<SocketAddr> {
        self.addresses(SOCKOPT_GET_LOCAL_ADDRESSES)
    }
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

fn integer(octets: usize) -> [u8; 4] {
    i32::try_from(octets).unwrap_or(i32::MAX).to_ne_bytes()
}

fn ms(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
