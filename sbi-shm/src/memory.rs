//! Memory that two processes share: the owner writes it, the peer reads it.

#![allow(unsafe_code, reason = "mapped memory has no owner that the compiler knows")]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

use crate::pool::Ticket;

/// Seals of a region: it neither shrinks under a reader nor grows, and nobody but the owner, whose
/// mapping is older than the seals, can ever write it.
const SEALS: SealFlags =
    SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::FUTURE_WRITE).union(SealFlags::SEAL);

/// Mapped memory of a sealed file.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
    writable: bool,
}

// SAFETY: the mapping belongs to no thread; all access is by atomics, by volatile-like word reads, or
// by `write`, whose callers own the octets they write (see `write`).
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `start` and `len` are of a mapping that this value alone owns.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// Makes a memory file of `len` octets, maps it writable and seals it. The descriptor is for peers.
pub(crate) fn create(name: &str, len: usize) -> io::Result<(Mapping, OwnedFd)> {
    let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::fs::ftruncate(&file, len as u64)?;
    let mapping = map(&file, len, true)?;
    rustix::fs::fcntl_add_seals(&file, SEALS)?;
    Ok((mapping, file))
}

/// Maps a peer's file read-only, if it is sealed and exactly `len` octets long.
pub(crate) fn open(file: impl AsFd, len: usize) -> io::Result<Mapping> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("a peer's memory {what}"));
    let seals = rustix::fs::fcntl_get_seals(&file).map_err(|_| wrong("is not a memory file"))?;
    if !seals.contains(SEALS) {
        return Err(wrong("is not sealed"));
    }
    let size = rustix::fs::fstat(&file)?.st_size;
    if usize::try_from(size) != Ok(len) {
        return Err(wrong("has another size than agreed"));
    }
    map(&file, len, false)
}

fn map(file: impl AsFd, len: usize, writable: bool) -> io::Result<Mapping> {
    let protection = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
    // SAFETY: a new mapping at an address of the kernel's choice aliases nothing.
    let start = unsafe {
        rustix::mm::mmap(std::ptr::null_mut(), len, protection, MapFlags::SHARED, file.as_fd(), 0)?
    };
    let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
    Ok(Mapping { start, len, writable })
}

impl Mapping {
    /// Length in octets.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The word at `offset`; storing to it is for the owner alone.
    pub(crate) fn u32(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset + 4 <= self.len, "invariant: within the region");
        // SAFETY: in bounds and aligned (mappings begin at pages); lives as long as `self`; every
        // access to words of regions is atomic.
        unsafe { self.start.add(offset).cast::<AtomicU32>().as_ref() }
    }

    /// The word at `offset`; storing to it is for the owner alone.
    pub(crate) fn u64(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len, "invariant: within the region");
        // SAFETY: as in `u32`.
        unsafe { self.start.add(offset).cast::<AtomicU64>().as_ref() }
    }

    /// Copies octets out, each read once: the peer may be changing them.
    pub(crate) fn read(&self, offset: usize, into: &mut [u8]) {
        assert!(offset <= self.len && into.len() <= self.len - offset, "invariant: within the region");
        let head = offset.next_multiple_of(8).min(offset + into.len()) - offset;
        let (unaligned, rest) = into.split_at_mut(head);
        for (index, octet) in unaligned.iter_mut().enumerate() {
            *octet = self.octet(offset + index);
        }
        let mut at = offset + head;
        let mut words = rest.chunks_exact_mut(8);
        for chunk in &mut words {
            // SAFETY: in bounds by the assertion above, aligned by construction of `head`.
            let word = unsafe { self.start.add(at).cast::<AtomicU64>().as_ref() };
            chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
            at += 8;
        }
        for (index, octet) in words.into_remainder().iter_mut().enumerate() {
            *octet = self.octet(at + index);
        }
    }

    fn octet(&self, offset: usize) -> u8 {
        assert!(offset < self.len, "invariant: within the region");
        // SAFETY: in bounds; an octet has no alignment.
        unsafe { self.start.add(offset).cast::<AtomicU8>().as_ref() }.load(Ordering::Relaxed)
    }

    /// Copies octets in. The caller holds the buffer there: no other thread of this process writes or
    /// reads it, and the peer only ever reads.
    pub(crate) fn write(&self, offset: usize, from: &[u8]) {
        assert!(self.writable, "invariant: only the owner writes");
        assert!(offset <= self.len && from.len() <= self.len - offset, "invariant: within the region");
        // SAFETY: in bounds, writable, and nobody in this process accesses the octets meanwhile.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), self.start.add(offset).as_ptr(), from.len()) }
    }

    /// A buffer to write in place.
    ///
    /// The caller holds the buffer, exclusively, for as long as it uses the slice: a [`crate::Loan`]
    /// does, whose buffer nobody else is given.
    pub(crate) fn slice_mut<'a>(&'a self, holder: &'a mut Ticket, offset: usize, len: usize) -> &'a mut [u8] {
        assert!(self.writable, "invariant: only the owner writes");
        assert!(offset <= self.len && len <= self.len - offset, "invariant: within the region");
        let _ = holder;
        // SAFETY: in bounds and writable; the exclusive borrow of the buffer's holder lasts as long as
        // the slice, so no second slice of the buffer exists in this process, and no peer can write.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(offset).as_ptr(), len) }
    }
}

/// Waits until a word differs from what was seen of it, or until `timeout`. Spurious ends happen.
#[derive(Debug, Default)]
pub(crate) struct Bells(smallvec::SmallVec<[rustix::thread::futex::Wait; 4]>);

/// How many words one call can wait on (FUTEX_WAITV_MAX).
pub(crate) const BELLS_MAX: usize = 128;

impl Bells {
    /// Adds a word, with the value that it has now. The word outlives the wait: the caller keeps its
    /// mapping.
    pub(crate) fn watch(&mut self, word: &AtomicU32) {
        let mut wait = rustix::thread::futex::Wait::new();
        wait.val = u64::from(word.load(Ordering::Acquire));
        wait.uaddr = rustix::thread::futex::WaitPtr::new(std::ptr::from_ref(word).cast_mut().cast());
        wait.flags = rustix::thread::futex::WaitFlags::SIZE_U32;
        self.0.push(wait);
    }

    /// Waits. `until` is on the monotonic clock.
    pub(crate) fn wait(&self, until: Option<rustix::thread::futex::Timespec>) -> io::Result<()> {
        let flags = rustix::thread::futex::WaitvFlags::empty();
        let clock = rustix::thread::futex::ClockId::Monotonic;
        match rustix::thread::futex::waitv(&self.0, flags, until.as_ref(), clock) {
            Ok(_) => Ok(()),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Wakes who waits on a word. The word may be in a mapping that is only readable.
pub(crate) fn wake(word: &AtomicU32) {
    // The word is of a live mapping, and waking nobody is no error.
    let _ = rustix::thread::futex::wake(word, rustix::thread::futex::Flags::empty(), u32::MAX);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_owner_writes_the_peer_reads_at_any_alignment() {
        let (own, file) = create("test", 4096).unwrap();
        let peer = open(&file, 4096).unwrap();
        let text: Vec<u8> = (0..100).collect();
        for offset in 0..17 {
            for len in 0..40 {
                own.write(offset, &text[..len]);
                let mut read = vec![0xff; len];
                peer.read(offset, &mut read);
                assert_eq!(read, text[..len]);
            }
        }
    }

    #[test]
    fn a_peer_cannot_map_it_writable_or_write_it() {
        let (_own, file) = create("test", 4096).unwrap();
        assert!(map(&file, 4096, true).is_err());
        assert!(rustix::io::pwrite(&file, b"x", 0).is_err());
        assert!(rustix::fs::ftruncate(&file, 0).is_err());
    }

    #[test]
    fn what_is_not_sealed_or_has_another_size_is_refused() {
        let (_own, file) = create("test", 4096).unwrap();
        assert!(open(&file, 8192).is_err());
        let loose = rustix::fs::memfd_create("loose", MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&loose, 4096).unwrap();
        assert!(open(&loose, 4096).is_err());
    }
}
