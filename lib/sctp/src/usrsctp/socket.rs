//! One usrsctp socket, owned: the only place that calls the library.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use libc::{c_int, c_uint, c_void, sockaddr, socklen_t};

use super::ffi::{self, UsrSocket};
use super::stack::{self, Registration, Signal};
use crate::association::BoxFuture;
use crate::driver::{Flag, Read, StackSocket};
use crate::error::SctpError;
use crate::options::{ADDRESSES_MAX, Limits, Streams, Timers};
use crate::wire::{self, Kinds};

const IPPROTO_SCTP: c_int = 132;
/// Room for what `SCTP_STATUS` fills, octets.
const STATUS_ROOM: usize = 512;

const KINDS: Kinds = Kinds {
    association_change: 0x0001,
    address_change: 0x0002,
    shutdown: 0x0005,
    address_available: 0x0001,
    address_unreachable: 0x0002,
    comm_up: 0x0001,
};

/// The kinds of notification wanted: association, address, shutdown.
const WANTED: [u16; 3] = [KINDS.association_change, KINDS.address_change, KINDS.shutdown];

/// A socket of the stack. All its calls are safe to make from several threads:
/// the stack locks inside.
#[derive(Debug)]
pub(super) struct Socket {
    raw: *mut UsrSocket,
    registration: Registration,
}

// SAFETY: the library is thread-safe; the pointer is used for its calls alone
// and stays valid until `drop`, which closes it once.
unsafe impl Send for Socket {}
// SAFETY: as above.
unsafe impl Sync for Socket {}

impl Socket {
    /// A non-blocking one-to-one socket.
    pub(super) fn new(v6: bool) -> Result<Self, SctpError> {
        let domain = if v6 { libc::AF_INET6 } else { libc::AF_INET };
        let null = std::ptr::null();
        let held = stack::hold();
        // SAFETY: no callbacks are given, so no argument is needed.
        let raw = unsafe {
            ffi::usrsctp_socket(domain, libc::SOCK_STREAM, IPPROTO_SCTP, null, null, 0, null.cast_mut())
        };
        if raw.is_null() {
            return Err(SctpError::last_os("usrsctp_socket"));
        }
        drop(held);
        Self::adopt(raw)
    }

    fn adopt(raw: *mut UsrSocket) -> Result<Self, SctpError> {
        let socket = Self { raw, registration: Registration::new() };
        let _held = stack::hold();
        // SAFETY: the socket is open; the argument is a number.
        unsafe {
            check("usrsctp_set_non_blocking", ffi::usrsctp_set_non_blocking(raw, 1))?;
            let argument = socket.registration.argument();
            check("usrsctp_set_upcall", ffi::usrsctp_set_upcall(raw, Some(stack::upcall), argument))?;
        }
        Ok(socket)
    }

    pub(super) fn signal(&self) -> &Signal {
        self.registration.signal()
    }

    /// Everything that is set before listening or connecting; an accepted
    /// socket inherits it.
    pub(super) fn configure(
        &self,
        streams: Streams,
        timers: Timers,
        limits: Limits,
    ) -> Result<(), SctpError> {
        let on: c_int = 1;
        self.set(IPPROTO_SCTP, ffi::SCTP_NODELAY, &on)?;
        self.set(IPPROTO_SCTP, ffi::SCTP_RECVRCVINFO, &on)?;
        // A message received in parts is not interleaved with another one.
        self.set(IPPROTO_SCTP, ffi::SCTP_FRAGMENT_INTERLEAVE, &0u32)?;
        self.set(libc::SOL_SOCKET, libc::SO_SNDBUF, &buffer(limits.send_buffer))?;
        self.set(libc::SOL_SOCKET, libc::SO_RCVBUF, &buffer(limits.receive_buffer))?;
        for kind in WANTED {
            self.set(IPPROTO_SCTP, ffi::SCTP_EVENT, &ffi::EventOption { association: 0, kind, on: 1 })?;
        }
        let init = ffi::Initmsg {
            outbound: streams.outbound,
            inbound_max: streams.inbound_max,
            attempts_max: timers.init_retransmissions_max,
            timeout_ms_max: u16::try_from(timers.rto_max.as_millis()).unwrap_or(u16::MAX),
        };
        self.set(IPPROTO_SCTP, ffi::SCTP_INITMSG, &init)?;
        let rto = ffi::Rtoinfo {
            association: 0,
            initial: milliseconds(timers.rto_initial),
            max: milliseconds(timers.rto_max),
            min: milliseconds(timers.rto_min),
        };
        self.set(IPPROTO_SCTP, ffi::SCTP_RTOINFO, &rto)?;
        let association = ffi::Assocparams {
            association: 0,
            peer_window: 0,
            local_window: 0,
            cookie_life: 0,
            retransmissions_max: timers.association_retransmissions_max,
            peer_destinations: 0,
        };
        self.set(IPPROTO_SCTP, ffi::SCTP_ASSOCINFO, &association)?;
        let path = ffi::Paddrparams {
            address: no_address(),
            association: 0,
            heartbeat: milliseconds(timers.heartbeat),
            path_mtu: 0,
            flags: ffi::SPP_HB_ENABLE,
            flow_label: 0,
            retransmissions_max: timers.path_retransmissions_max,
            dscp: 0,
        };
        self.set(IPPROTO_SCTP, ffi::SCTP_PEER_ADDR_PARAMS, &path)?;
        let sack = ffi::SackInfo { association: 0, delay: 1, frequency: 1 };
        self.set(IPPROTO_SCTP, ffi::SCTP_DELAYED_SACK, &sack)
    }

    /// The peer's UDP port, for encapsulation.
    pub(super) fn encapsulate(&self, port: u16) -> Result<(), SctpError> {
        let option = ffi::Udpencaps { address: no_address(), association: 0, port: port.to_be() };
        self.set(IPPROTO_SCTP, ffi::SCTP_REMOTE_UDP_ENCAPS_PORT, &option)
    }

    /// Binds to these addresses; none is the wildcard.
    pub(super) fn bind(&self, addresses: &[IpAddr], port: u16, v6: bool) -> Result<(), SctpError> {
        let first = SocketAddr::new(addresses.first().copied().unwrap_or(super::wildcard(v6)), port);
        for loopback in addresses.iter().filter(|ip| ip.is_loopback() && ip.is_ipv4()) {
            stack::learn_loopback(SocketAddr::new(*loopback, 0));
        }
        let _held = stack::hold();
        let mut packed = wire::pack([first]);
        let length = packed.len() as socklen_t;
        // SAFETY: one whole socket address of that length.
        let result = unsafe { ffi::usrsctp_bind(self.raw, packed.as_mut_ptr().cast(), length) };
        bound(result, first)?;
        for address in addresses.iter().skip(1) {
            let address = SocketAddr::new(*address, port);
            let mut packed = wire::pack([address]);
            let pointer = packed.as_mut_ptr().cast();
            // SAFETY: one whole socket address; the library copies it.
            let result = unsafe { ffi::usrsctp_bindx(self.raw, pointer, 1, ffi::SCTP_BINDX_ADD_ADDR) };
            bound(result, address)?;
        }
        Ok(())
    }

    pub(super) fn listen(&self, backlog: c_int) -> Result<(), SctpError> {
        let _held = stack::hold();
        // SAFETY: an open socket and a number.
        check("usrsctp_listen", unsafe { ffi::usrsctp_listen(self.raw, backlog) })
    }

    /// Begins to connect; how it ends is a notification or an error of `read`.
    pub(super) fn connect(&self, remote: &[SocketAddr]) -> Result<(), SctpError> {
        let packed = wire::pack(remote.iter().copied());
        let mut association = 0u32;
        let count = remote.len() as c_int;
        let _held = stack::hold();
        // SAFETY: `count` whole socket addresses, packed; the library copies them.
        let result =
            unsafe { ffi::usrsctp_connectx(self.raw, packed.as_ptr().cast(), count, &raw mut association) };
        match check("usrsctp_connectx", result) {
            Err(SctpError::Io { source, .. }) if source.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
            other => other,
        }
    }

    /// The next connection that waits, if any, and from where.
    pub(super) fn accept(&self) -> Result<Option<(Self, SocketAddr)>, SctpError> {
        let mut from = [0u8; 128];
        let mut length = from.len() as socklen_t;
        let held = stack::hold();
        // SAFETY: room and its length; the library writes at most that much.
        let raw = unsafe { ffi::usrsctp_accept(self.raw, from.as_mut_ptr().cast(), &raw mut length) };
        if raw.is_null() {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::EWOULDBLOCK | libc::ECONNABORTED | libc::EINTR) => Ok(None),
                _ => Err(SctpError::Io { call: "usrsctp_accept", source: error }),
            };
        }
        drop(held);
        let socket = Self::adopt(raw)?;
        let unknown = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let from = wire::unpack(&from).map_or(unknown, |(address, _)| address);
        Ok(Some((socket, from)))
    }

    /// Reads what waits, without waiting.
    fn read(&self, room: &mut [u8]) -> Option<Read> {
        let mut from = [0u8; 128];
        let mut from_length = from.len() as socklen_t;
        let mut info = ffi::Rcvinfo::default();
        let mut info_length = size_of::<ffi::Rcvinfo>() as socklen_t;
        let (mut info_kind, mut flags): (c_uint, c_int) = (0, 0);
        let _held = stack::hold();
        // SAFETY: every pointer has the length told beside it.
        let length = unsafe {
            ffi::usrsctp_recvv(
                self.raw,
                room.as_mut_ptr().cast(),
                room.len(),
                from.as_mut_ptr().cast(),
                &raw mut from_length,
                (&raw mut info).cast(),
                &raw mut info_length,
                &raw mut info_kind,
                &raw mut flags,
            )
        };
        if length < 0 {
            return match errno() {
                libc::EWOULDBLOCK | libc::EINTR => None,
                other => Some(Read::Failed(other)),
            };
        }
        if length == 0 {
            return Some(Read::End);
        }
        let length = (length as usize).min(room.len());
        let end = flags & ffi::MSG_EOR != 0;
        if flags & ffi::MSG_NOTIFICATION != 0 {
            return Some(Read::Notification(wire::notification(&room[..length], &KINDS)));
        }
        let known = info_kind == ffi::SCTP_RECVV_RCVINFO;
        let (stream, ppid) = if known { (info.stream, u32::from_be(info.ppid)) } else { (0, 0) };
        let unordered = info.flags & ffi::SCTP_UNORDERED != 0;
        Some(Read::Data { length, end, stream, ppid, unordered })
    }

    fn set<T>(&self, level: c_int, name: c_int, value: &T) -> Result<(), SctpError> {
        let pointer = (&raw const *value).cast();
        let length = size_of::<T>() as socklen_t;
        let _held = stack::hold();
        // SAFETY: one readable value of its length.
        let result = unsafe { ffi::usrsctp_setsockopt(self.raw, level, name, pointer, length) };
        check("usrsctp_setsockopt", result)
    }
}

impl StackSocket for Socket {
    fn poll_read(&self, context: &mut Context<'_>, room: &mut [u8]) -> Poll<Read> {
        // Before the read, so that no upcall is missed between.
        self.signal().register(context.waker());
        self.read(room).map_or(Poll::Pending, Poll::Ready)
    }

    fn writable(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.signal().writable().notified())
    }

    fn send(&self, data: &[u8], stream: u16, ppid: u32, flag: Flag) -> Result<(), i32> {
        let flags = match flag {
            Flag::Ordered => 0,
            Flag::Unordered => ffi::SCTP_UNORDERED,
            Flag::Abort => ffi::SCTP_ABORT,
        };
        let mut info = ffi::Sndinfo { stream, flags, ppid: ppid.to_be(), ..Default::default() };
        let length = size_of::<ffi::Sndinfo>() as socklen_t;
        let _held = stack::hold();
        // SAFETY: data and info are readable for their lengths and are copied
        // before the call returns; no address is given.
        let sent = unsafe {
            ffi::usrsctp_sendv(
                self.raw,
                data.as_ptr().cast(),
                data.len(),
                std::ptr::null_mut(),
                0,
                (&raw mut info).cast(),
                length,
                ffi::SCTP_SENDV_SNDINFO,
                0,
            )
        };
        if sent < 0 { Err(errno()) } else { Ok(()) }
    }

    fn shutdown(&self) {
        let _held = stack::hold();
        // SAFETY: an open socket. A failure means that it is down already.
        unsafe { ffi::usrsctp_shutdown(self.raw, libc::SHUT_WR) };
    }

    fn take_error(&self) -> i32 {
        let mut error: c_int = 0;
        let mut length = size_of::<c_int>() as socklen_t;
        let value = (&raw mut error).cast::<c_void>();
        let _held = stack::hold();
        // SAFETY: room for one integer.
        let result = unsafe {
            ffi::usrsctp_getsockopt(self.raw, libc::SOL_SOCKET, libc::SO_ERROR, value, &raw mut length)
        };
        if result < 0 { 0 } else { error }
    }

    fn streams(&self) -> Option<(u16, u16)> {
        let mut status = [0u8; STATUS_ROOM];
        let mut length = status.len() as socklen_t;
        let value = status.as_mut_ptr().cast();
        let _held = stack::hold();
        // SAFETY: more room than the structure needs, and its length.
        let result = unsafe {
            ffi::usrsctp_getsockopt(self.raw, IPPROTO_SCTP, ffi::SCTP_STATUS, value, &raw mut length)
        };
        let number = |at: usize| u16::from_ne_bytes([status[at], status[at + 1]]);
        (result == 0).then(|| (number(16), number(18)))
    }

    fn peer_addresses(&self) -> Vec<SocketAddr> {
        let mut list: *mut sockaddr = std::ptr::null_mut();
        let _held = stack::hold();
        // SAFETY: the library allocates the list; it is freed once, below.
        let count = unsafe { ffi::usrsctp_getpaddrs(self.raw, 0, &raw mut list) };
        let addresses = read_list(list, count);
        if !list.is_null() {
            // SAFETY: from getpaddrs, freed once.
            unsafe { ffi::usrsctp_freepaddrs(list) };
        }
        addresses
    }

    fn local_addresses(&self) -> Vec<SocketAddr> {
        let mut list: *mut sockaddr = std::ptr::null_mut();
        let _held = stack::hold();
        // SAFETY: the library allocates the list; it is freed once, below.
        let count = unsafe { ffi::usrsctp_getladdrs(self.raw, 0, &raw mut list) };
        let addresses = read_list(list, count);
        if !list.is_null() {
            // SAFETY: from getladdrs, freed once.
            unsafe { ffi::usrsctp_freeladdrs(list) };
        }
        addresses
    }

    fn abort_on_close(&self, abort: bool) {
        let linger = libc::linger { l_onoff: c_int::from(abort), l_linger: 0 };
        // A socket that is already disconnected refuses it, and needs it no more.
        let _ = self.set(libc::SOL_SOCKET, libc::SO_LINGER, &linger);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _held = stack::hold();
        // SAFETY: the only close of this pointer, while no other thread is in the library.
        unsafe { ffi::usrsctp_close(self.raw) };
    }
}

/// Socket addresses one after the other, as the library allocated them.
fn read_list(list: *const sockaddr, count: c_int) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    if list.is_null() {
        return addresses;
    }
    let mut at = list.cast::<u8>();
    for _ in 0..usize::try_from(count).unwrap_or(0).min(ADDRESSES_MAX) {
        // SAFETY: `count` whole addresses stand in the list; the family says how
        // long this one is, and no more than that is read.
        let octets = unsafe {
            let family = i32::from(at.cast::<u16>().read_unaligned());
            let length = if family == libc::AF_INET6 { 28 } else { 16 };
            std::slice::from_raw_parts(at, length)
        };
        let Some((address, length)) = wire::unpack(octets) else { break };
        addresses.push(address);
        // SAFETY: the next address begins where this one ends.
        at = unsafe { at.add(length) };
    }
    addresses
}

fn no_address() -> libc::sockaddr_storage {
    // SAFETY: plain integers and arrays: all zero is the family AF_UNSPEC.
    unsafe { std::mem::zeroed() }
}

fn bound(result: c_int, address: SocketAddr) -> Result<(), SctpError> {
    if result < 0 {
        return Err(SctpError::Bind { address, source: io::Error::last_os_error() });
    }
    Ok(())
}

fn check(call: &'static str, result: c_int) -> Result<(), SctpError> {
    if result < 0 { Err(SctpError::last_os(call)) } else { Ok(()) }
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

fn buffer(octets: usize) -> c_int {
    c_int::try_from(octets).unwrap_or(c_int::MAX)
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
