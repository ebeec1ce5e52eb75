//! `shim/shim.h`.
#![expect(unsafe_code, reason = "DPDK is a C library")]

use std::ffi::{c_char, c_int, c_void};

/// One frame: its buffer, and the octets in it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Raw {
    pub(crate) mbuf: *mut c_void,
    /// All octets of the buffer.
    pub(crate) buffer: *mut u8,
    /// How many these are.
    pub(crate) size: u32,
    /// Where in it the frame begins, and how long it is.
    pub(crate) start: u32,
    pub(crate) length: u32,
}

impl Raw {
    pub(crate) const NONE: Self =
        Self { mbuf: std::ptr::null_mut(), buffer: std::ptr::null_mut(), size: 0, start: 0, length: 0 };

    /// Octets that fit from the frame's beginning on.
    pub(crate) fn room(&self) -> usize {
        self.size.saturating_sub(self.start) as usize
    }

    /// Where the frame begins.
    pub(crate) fn octets(&self) -> *mut u8 {
        self.buffer.wrapping_add(self.start as usize)
    }
}

/// What a port is.
#[repr(C)]
#[derive(Default)]
pub(crate) struct About {
    pub(crate) mac: [u8; 6],
    pub(crate) queues_max: u16,
    pub(crate) mtu_max: u16,
}

unsafe extern "C" {
    pub(crate) fn tern_eal_init(argc: c_int, argv: *mut *mut c_char) -> c_int;
    pub(crate) fn tern_thread_register() -> c_int;
    pub(crate) fn tern_thread_unregister();
    pub(crate) fn tern_error(code: c_int) -> *const c_char;
    pub(crate) fn tern_pool_create(
        name: *const c_char,
        buffers: u32,
        room: u16,
        pool: *mut *mut c_void,
    ) -> c_int;
    pub(crate) fn tern_port_find(name: *const c_char, port: *mut u16) -> c_int;
    pub(crate) fn tern_port_about(port: u16, about: *mut About) -> c_int;
    pub(crate) fn tern_cable(one: *const c_char, other: *const c_char, queues: u16, frames: u32) -> c_int;
    pub(crate) fn tern_port_start(port: u16, queues: u16, mtu: u16, pool: *mut c_void) -> c_int;
    pub(crate) fn tern_port_stop(port: u16);
    pub(crate) fn tern_receive(port: u16, queue: u16, frames: *mut Raw, most: u16) -> u16;
    pub(crate) fn tern_allocate(pool: *mut c_void, frames: *mut Raw, count: u16) -> u16;
    pub(crate) fn tern_send(port: u16, queue: u16, frames: *mut Raw, count: u16) -> u16;
    pub(crate) fn tern_free(frames: *mut Raw, count: u16);
    pub(crate) fn tern_inbox_create(name: *const c_char, frames: u32, inbox: *mut *mut c_void) -> c_int;
    pub(crate) fn tern_inbox_free(inbox: *mut c_void);
    pub(crate) fn tern_give(inbox: *mut c_void, frames: *mut Raw, count: u16) -> u16;
    pub(crate) fn tern_take(inbox: *mut c_void, frames: *mut Raw, most: u16) -> u16;
    pub(crate) fn tern_tsc_hz() -> u64;
}
