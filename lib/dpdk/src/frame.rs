//! A frame, and the buffer of DPDK's that it is in.
#![expect(unsafe_code, reason = "buffers are memory of DPDK's")]

use std::ffi::c_void;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::ffi::{self, Raw};

/// All octets of a buffer: those in front of a frame, of it, and behind it. It goes back to its pool when nobody has
/// it any more.
pub struct Buffer {
    octets: NonNull<[u8]>,
    mbuf: *mut c_void,
}

/// A frame that has come, or that is to be sent.
#[derive(Debug)]
pub struct Frame {
    /// Where it is.
    pub buffer: Buffer,
    /// Octets in front of it.
    pub start: usize,
    /// Octets of it.
    pub length: usize,
}

// SAFETY: who has the buffer alone has its octets, and any thread may free it.
unsafe impl Send for Buffer {}
// SAFETY: it is only read through a shared reference.
unsafe impl Sync for Buffer {}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the buffer is ours, and so many octets long; DPDK's memory comes from the kernel, and so all of it
        // has been written.
        unsafe { self.octets.as_ref() }
    }
}

impl DerefMut for Buffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and nobody else has a reference.
        unsafe { self.octets.as_mut() }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut raw = Raw { mbuf: self.mbuf, ..Raw::NONE };
        // SAFETY: the buffer is ours, and is freed once.
        unsafe { ffi::tern_free(&raw mut raw, 1) };
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Buffer({} octets)", self.len())
    }
}

impl Frame {
    /// # Safety
    ///
    /// The buffer is as long as is said of it, and the caller has it alone; the caller forgets it.
    #[inline]
    pub(crate) unsafe fn new(raw: &Raw) -> Self {
        let first = NonNull::new(raw.buffer).expect("invariant: a frame has a buffer");
        let octets = NonNull::slice_from_raw_parts(first, raw.size as usize);
        let buffer = Buffer { octets, mbuf: raw.mbuf };
        Self { buffer, start: raw.start as usize, length: raw.length as usize }
    }

    /// The same, of which the caller takes care; what is said to be behind the buffer's end is cut off.
    #[inline]
    pub(crate) fn into_raw(self) -> Raw {
        let buffer = ManuallyDrop::new(self.buffer);
        let size = buffer.len();
        let start = self.start.min(size);
        let length = self.length.min(size - start);
        // A buffer has no more octets than these can say.
        let (size, start, length) = (size as u32, start as u32, length as u32);
        Raw { mbuf: buffer.mbuf, buffer: buffer.octets.as_ptr().cast(), size, start, length }
    }
}

impl Deref for Frame {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.buffer.get(self.start..self.start.saturating_add(self.length)).unwrap_or_default()
    }
}
