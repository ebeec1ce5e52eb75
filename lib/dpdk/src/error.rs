//! What can go wrong.

use std::ffi::CStr;

use crate::ffi;

/// Why a port or the environment cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DpdkError {
    /// DPDK refuses a call, with what its error code says.
    #[error("DPDK: {what}: {why}")]
    Refused {
        /// What was tried.
        what: String,
        /// What its code means.
        why: String,
    },
    /// An argument that holds a NUL.
    #[error("DPDK: {0:?} holds a NUL")]
    Nul(String),
    /// A process has one environment.
    #[error("DPDK: this process has started it already")]
    Started,
    /// Fewer queues than workers.
    #[error("DPDK: the port {device} has {has} queues, {wanted} are needed: one for each worker")]
    Queues {
        /// The port.
        device: String,
        /// Its queues.
        has: u16,
        /// What was asked for.
        wanted: u16,
    },
    /// Longer packets than the port takes.
    #[error("DPDK: the port {device} takes an MTU of up to {has}, {wanted} is asked for")]
    Mtu {
        /// The port.
        device: String,
        /// Its most.
        has: u16,
        /// What was asked for.
        wanted: u16,
    },
}

impl DpdkError {
    /// What a call's code says; `Ok` if it is no error.
    pub(crate) fn check(code: i32, what: impl FnOnce() -> String) -> Result<(), Self> {
        if code >= 0 {
            return Ok(());
        }
        Err(Self::Refused { what: what(), why: text(code) })
    }
}

#[expect(unsafe_code, reason = "the text of an error is DPDK's")]
fn text(code: i32) -> String {
    // SAFETY: it gives a string with a NUL that lives until this thread asks again; it is copied at once.
    unsafe { CStr::from_ptr(ffi::tern_error(code)) }.to_string_lossy().into_owned()
}
