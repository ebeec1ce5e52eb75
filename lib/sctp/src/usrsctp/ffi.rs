//! The part of usrsctp 0.9.5's C interface that tern uses: layouts and numbers
//! as its public header gives them for Linux. They differ from the kernel's.

use libc::{c_char, c_int, c_uint, c_void, size_t, sockaddr, sockaddr_storage, socklen_t, ssize_t};

/// usrsctp's own socket; only ever behind a pointer.
#[repr(C)]
pub(super) struct UsrSocket {
    _private: [u8; 0],
}

pub(super) const MSG_NOTIFICATION: c_int = 0x2000;
pub(super) const MSG_EOR: c_int = libc::MSG_EOR;

pub(super) const SCTP_RTOINFO: c_int = 0x01;
pub(super) const SCTP_ASSOCINFO: c_int = 0x02;
pub(super) const SCTP_INITMSG: c_int = 0x03;
pub(super) const SCTP_NODELAY: c_int = 0x04;
pub(super) const SCTP_PEER_ADDR_PARAMS: c_int = 0x0a;
pub(super) const SCTP_DELAYED_SACK: c_int = 0x0f;
pub(super) const SCTP_FRAGMENT_INTERLEAVE: c_int = 0x10;
pub(super) const SCTP_EVENT: c_int = 0x1e;
pub(super) const SCTP_RECVRCVINFO: c_int = 0x1f;
pub(super) const SCTP_REMOTE_UDP_ENCAPS_PORT: c_int = 0x24;
pub(super) const SCTP_STATUS: c_int = 0x100;
pub(super) const SCTP_BINDX_ADD_ADDR: c_int = 0x8001;

pub(super) const SCTP_SENDV_SNDINFO: c_uint = 1;
pub(super) const SCTP_RECVV_RCVINFO: c_uint = 1;
pub(super) const SCTP_ABORT: u16 = 0x0200;
pub(super) const SCTP_UNORDERED: u16 = 0x0400;

pub(super) const SPP_HB_ENABLE: u32 = 1;

#[repr(C)]
pub(super) struct Initmsg {
    pub outbound: u16,
    pub inbound_max: u16,
    pub attempts_max: u16,
    pub timeout_ms_max: u16,
}

#[repr(C)]
pub(super) struct Rtoinfo {
    pub association: u32,
    pub initial: u32,
    pub max: u32,
    pub min: u32,
}

#[repr(C)]
pub(super) struct Assocparams {
    pub association: u32,
    pub peer_window: u32,
    pub local_window: u32,
    pub cookie_life: u32,
    pub retransmissions_max: u16,
    pub peer_destinations: u16,
}

#[repr(C)]
pub(super) struct Paddrparams {
    pub address: sockaddr_storage,
    pub association: u32,
    pub heartbeat: u32,
    pub path_mtu: u32,
    pub flags: u32,
    pub flow_label: u32,
    pub retransmissions_max: u16,
    pub dscp: u8,
}

#[repr(C)]
pub(super) struct SackInfo {
    pub association: u32,
    pub delay: u32,
    pub frequency: u32,
}

#[repr(C)]
pub(super) struct EventOption {
    pub association: u32,
    pub kind: u16,
    pub on: u8,
}

#[repr(C)]
pub(super) struct Udpencaps {
    pub address: sockaddr_storage,
    pub association: u32,
    pub port: u16,
}

#[repr(C)]
#[derive(Default)]
pub(super) struct Sndinfo {
    pub stream: u16,
    pub flags: u16,
    pub ppid: u32,
    pub context: u32,
    pub association: u32,
}

#[repr(C)]
#[derive(Default)]
pub(super) struct Rcvinfo {
    pub stream: u16,
    pub sequence: u16,
    pub flags: u16,
    pub ppid: u32,
    pub tsn: u32,
    pub cumulative_tsn: u32,
    pub context: u32,
    pub association: u32,
}

pub(super) type Upcall = unsafe extern "C" fn(*mut UsrSocket, *mut c_void, c_int);

unsafe extern "C" {
    pub(super) fn usrsctp_init_nothreads(
        port: u16,
        output: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, size_t, u8, u8) -> c_int>,
        debug: Option<unsafe extern "C" fn(*const c_char, ...)>,
    );
    // Not in the header, like the next two; exported by Debian's 0.9.5.
    pub(super) fn recv_thread_init();
    pub(super) fn usrsctp_handle_timers(elapsed_milliseconds: u32);
    pub(super) fn sctp_common_input_processing(
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
    );
    pub(super) fn usrsctp_socket(
        domain: c_int,
        kind: c_int,
        protocol: c_int,
        receive: *const c_void,
        send: *const c_void,
        threshold: u32,
        argument: *mut c_void,
    ) -> *mut UsrSocket;
    pub(super) fn usrsctp_setsockopt(
        socket: *mut UsrSocket,
        level: c_int,
        name: c_int,
        value: *const c_void,
        length: socklen_t,
    ) -> c_int;
    pub(super) fn usrsctp_getsockopt(
        socket: *mut UsrSocket,
        level: c_int,
        name: c_int,
        value: *mut c_void,
        length: *mut socklen_t,
    ) -> c_int;
    pub(super) fn usrsctp_getpaddrs(
        socket: *mut UsrSocket,
        association: u32,
        addresses: *mut *mut sockaddr,
    ) -> c_int;
    pub(super) fn usrsctp_freepaddrs(addresses: *mut sockaddr);
    pub(super) fn usrsctp_getladdrs(
        socket: *mut UsrSocket,
        association: u32,
        addresses: *mut *mut sockaddr,
    ) -> c_int;
    pub(super) fn usrsctp_freeladdrs(addresses: *mut sockaddr);
    pub(super) fn usrsctp_sendv(
        socket: *mut UsrSocket,
        data: *const c_void,
        length: size_t,
        to: *mut sockaddr,
        addresses: c_int,
        info: *mut c_void,
        info_length: socklen_t,
        info_kind: c_uint,
        flags: c_int,
    ) -> ssize_t;
    pub(super) fn usrsctp_recvv(
        socket: *mut UsrSocket,
        data: *mut c_void,
        length: size_t,
        from: *mut sockaddr,
        from_length: *mut socklen_t,
        info: *mut c_void,
        info_length: *mut socklen_t,
        info_kind: *mut c_uint,
        flags: *mut c_int,
    ) -> ssize_t;
    pub(super) fn usrsctp_bindx(
        socket: *mut UsrSocket,
        addresses: *mut sockaddr,
        count: c_int,
        flags: c_int,
    ) -> c_int;
    pub(super) fn usrsctp_bind(socket: *mut UsrSocket, address: *mut sockaddr, length: socklen_t) -> c_int;
    pub(super) fn usrsctp_listen(socket: *mut UsrSocket, backlog: c_int) -> c_int;
    pub(super) fn usrsctp_accept(
        socket: *mut UsrSocket,
        address: *mut sockaddr,
        length: *mut socklen_t,
    ) -> *mut UsrSocket;
    pub(super) fn usrsctp_connectx(
        socket: *mut UsrSocket,
        addresses: *const sockaddr,
        count: c_int,
        association: *mut u32,
    ) -> c_int;
    pub(super) fn usrsctp_close(socket: *mut UsrSocket);
    pub(super) fn usrsctp_shutdown(socket: *mut UsrSocket, how: c_int) -> c_int;
    pub(super) fn usrsctp_set_non_blocking(socket: *mut UsrSocket, on: c_int) -> c_int;
    pub(super) fn usrsctp_set_upcall(
        socket: *mut UsrSocket,
        upcall: Option<Upcall>,
        argument: *mut c_void,
    ) -> c_int;

    /// Not of the public header, but behind `usrsctp_register_address`.
    pub(super) fn sctp_add_addr_to_vrf(
        vrf: u32,
        interface: *mut c_void,
        interface_index: u32,
        interface_kind: u32,
        interface_name: *const c_char,
        unused: *mut c_void,
        address: *mut sockaddr,
        flags: u32,
        dynamic: c_int,
    ) -> *mut c_void;

    pub(super) fn usrsctp_sysctl_set_sctp_no_csum_on_loopback(value: u32) -> c_int;
    pub(super) fn usrsctp_sysctl_set_sctp_blackhole(value: u32) -> c_int;
    pub(super) fn usrsctp_sysctl_set_sctp_asconf_enable(value: u32) -> c_int;
    pub(super) fn usrsctp_sysctl_set_sctp_auto_asconf(value: u32) -> c_int;
    pub(super) fn usrsctp_sysctl_set_sctp_ecn_enable(value: u32) -> c_int;
    pub(super) fn usrsctp_sysctl_set_sctp_nrsack_enable(value: u32) -> c_int;
    pub(super) fn usrsctp_sysctl_set_sctp_pktdrop_enable(value: u32) -> c_int;
    pub(super) fn usrsctp_sysctl_set_sctp_sack_freq_default(value: u32) -> c_int;
    pub(super) fn usrsctp_sysctl_set_sctp_delayed_sack_time_default(value: u32) -> c_int;
}
