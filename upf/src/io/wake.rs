//! Ends the wait of a worker.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::EventfdFlags;

/// Ends a worker's wait, whatever it waits by.
#[derive(Clone)]
pub(crate) enum Waker {
    /// It waits for descriptors.
    Descriptor(Wake),
    /// It looks at its ports again and again.
    #[cfg_attr(not(feature = "dpdk"), allow(dead_code))]
    Flag(Arc<AtomicBool>),
}

/// A descriptor that becomes readable.
#[derive(Clone)]
pub(crate) struct Wake(Arc<OwnedFd>);

impl Waker {
    /// Ends the wait that is going on, or the next one.
    pub(crate) fn wake(&self) {
        match self {
            // It fails only if it was woken 2^64 times without looking.
            Self::Descriptor(wake) => _ = rustix::io::write(&wake.0, &1u64.to_ne_bytes()),
            Self::Flag(flag) => flag.store(true, Ordering::Release),
        }
    }
}

impl Wake {
    pub(super) fn new() -> io::Result<Self> {
        let fd = rustix::event::eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self(Arc::new(fd)))
    }

    pub(super) fn clear(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
