//! A port and its queues.
#![expect(unsafe_code, reason = "DPDK is a C library, and frames are octets in its buffers")]

use std::ffi::{CString, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::eal::{Eal, is_pci, port_name, register_thread};
use crate::error::DpdkError;
use crate::ffi::{self, Raw};
use crate::frame::Frame;

/// Frames that are received, or sent, with one call; `BURST_MAX` of the shim.
pub const BURST: usize = 64;
/// Frames that wait for a thread which they did not come to; a power of two, one more than that.
const INBOX_FRAMES: u32 = 2_048;

/// A port that runs. It stops when the last of its queues is gone.
#[derive(Debug)]
pub struct Port {
    number: u16,
    eal: Eal,
    device: String,
    mac: [u8; 6],
    /// Of each queue; none if there is one queue alone.
    inboxes: Vec<Inbox>,
}

/// Frames that other threads give to the one of a queue.
#[derive(Debug)]
struct Inbox(*mut c_void);

// SAFETY: a ring of DPDK's, made for any number of threads that give and one that takes.
unsafe impl Send for Inbox {}
// SAFETY: as above.
unsafe impl Sync for Inbox {}

impl Port {
    /// Starts the port of a device that [`Eal::start`] was told, and gives so many queues. A packet of `mtu`
    /// octets is the longest; a virtual device has the MTU that its operator gave it, whatever DPDK says of it.
    pub fn start(eal: Eal, device: &str, queues: u16, mtu: u16) -> Result<Vec<Queue>, DpdkError> {
        let name = port_name(device);
        let text = CString::new(name.as_str()).map_err(|_| DpdkError::Nul(name.clone()))?;
        let mut number = 0;
        // SAFETY: DPDK runs, as `eal` shows; a string with a NUL, and a place for the number.
        let code = unsafe { ffi::tern_port_find(text.as_ptr(), &raw mut number) };
        DpdkError::check(code, || format!("find the port {name}"))?;
        let mut about = ffi::About::default();
        // SAFETY: a port that exists, and a place for what it is.
        let code = unsafe { ffi::tern_port_about(number, &raw mut about) };
        DpdkError::check(code, || format!("ask the port {name}"))?;
        let device = name;
        if queues > about.queues_max {
            return Err(DpdkError::Queues { device, has: about.queues_max, wanted: queues });
        }
        let mtu = if is_pci(&device) { mtu } else { 0 };
        if mtu > about.mtu_max {
            return Err(DpdkError::Mtu { device, has: about.mtu_max, wanted: mtu });
        }
        // SAFETY: a port that exists and was not started; a pool of this environment.
        let code = unsafe { ffi::tern_port_start(number, queues, mtu, eal.pool) };
        DpdkError::check(code, || format!("start the port {device} with {queues} queues"))?;
        let mut port = Self { number, eal, device, mac: about.mac, inboxes: Vec::new() };
        for _ in 0..if queues > 1 { queues } else { 0 } {
            port.inboxes.push(Inbox::new()?);
        }
        let port = Arc::new(port);
        Ok((0..queues).map(|queue| Queue::new(port.clone(), queue)).collect())
    }

    /// Its Ethernet address.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Its name.
    pub fn device(&self) -> &str {
        &self.device
    }
}

impl Inbox {
    fn new() -> Result<Self, DpdkError> {
        // Of its own: a port's number is another one's before its rings are gone.
        static MADE: AtomicU64 = AtomicU64::new(0);
        let name = format!("inbox_{}", MADE.fetch_add(1, Ordering::Relaxed));
        let text = CString::new(name.as_str()).map_err(|_| DpdkError::Nul(name.clone()))?;
        let mut inbox = std::ptr::null_mut();
        // SAFETY: DPDK runs, as there is a port; the name has a NUL and is copied.
        let code = unsafe { ffi::tern_inbox_create(text.as_ptr(), INBOX_FRAMES, &raw mut inbox) };
        DpdkError::check(code, || format!("make the ring {name}"))?;
        Ok(Self(inbox))
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        // SAFETY: the ring was made, and who gives and takes has the port that is going.
        unsafe { ffi::tern_inbox_free(self.0) };
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // SAFETY: the port was started, and nobody has a queue of it any more.
        unsafe { ffi::tern_port_stop(self.number) };
    }
}

/// A receive and a send queue of a port, for one thread.
pub struct Queue {
    port: Arc<Port>,
    queue: u16,
    /// Buffers that wait for a frame: the first `spare` are allocated.
    spares: Box<[Raw; BURST]>,
    spare: usize,
    /// Frames that wait to be sent: the first `held` are there.
    held_frames: Box<[Raw; BURST]>,
    held: usize,
    /// Frames of other queues, each with whose it is; no more than a burst.
    given: Vec<(usize, Frame)>,
    refused: usize,
}

// SAFETY: it is used by one thread at a time, since all its functions take `&mut self`; DPDK asks for no more,
// and its buffers may be freed by any thread.
unsafe impl Send for Queue {}

impl Queue {
    fn new(port: Arc<Port>, queue: u16) -> Self {
        Self {
            port,
            queue,
            spares: Box::new([Raw::NONE; BURST]),
            spare: 0,
            held_frames: Box::new([Raw::NONE; BURST]),
            held: 0,
            given: Vec::with_capacity(BURST),
            refused: 0,
        }
    }

    /// The port.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// Gives the frames that have come to `each`, at most so many; how many.
    pub fn receive(&mut self, most: usize, mut each: impl FnMut(Frame)) -> usize {
        let mut raw = [Raw::NONE; BURST];
        let count = self.take(&mut raw, most);
        for raw in &raw[..count] {
            // SAFETY: a frame that has come, of which nobody else knows.
            each(unsafe { Frame::new(raw) });
        }
        count
    }

    /// Frees the frames that have come, at most so many; how many.
    pub fn discard(&mut self, most: usize) -> usize {
        let mut raw = [Raw::NONE; BURST];
        let count = self.take(&mut raw, most);
        // SAFETY: frames that have come, each once. Their number is that of a burst.
        unsafe { ffi::tern_free(raw.as_mut_ptr(), count as u16) };
        count
    }

    /// Takes frames that have come, first those that others gave.
    fn take(&mut self, raw: &mut [Raw; BURST], most: usize) -> usize {
        register_thread();
        let most = most.min(BURST) as u16;
        let mut count = 0;
        if let Some(inbox) = self.port.inboxes.get(usize::from(self.queue)) {
            // SAFETY: the inbox of this queue, from which this thread alone takes; room for so many frames.
            count = unsafe { ffi::tern_take(inbox.0, raw.as_mut_ptr(), most) };
        }
        if count < most {
            let came = raw[usize::from(count)..].as_mut_ptr();
            // SAFETY: a queue of a port that runs, used by this thread alone; room for so many frames.
            count += unsafe { ffi::tern_receive(self.port.number, self.queue, came, most - count) };
        }
        count.into()
    }

    /// Gives a frame to the thread of another queue of this port, with the next [`flush`](Self::flush) at the
    /// latest. It is forgotten if there is no such queue.
    pub fn give(&mut self, queue: usize, frame: Frame) {
        if self.given.len() == BURST {
            self.hand_out();
        }
        self.given.push((queue, frame));
    }

    /// To each queue what is its own, in order.
    fn hand_out(&mut self) {
        while let Some(&(queue, _)) = self.given.first() {
            let mut raw = [Raw::NONE; BURST];
            let mut count = 0;
            for (_, frame) in self.given.extract_if(.., |(other, _)| *other == queue) {
                raw[count] = frame.into_raw();
                count += 1;
            }
            // The number is that of a burst.
            let (frames, count) = (raw.as_mut_ptr(), count as u16);
            match self.port.inboxes.get(queue) {
                Some(inbox) => {
                    // SAFETY: a ring that any thread may give to; frames that are no longer ours afterwards.
                    let given = unsafe { ffi::tern_give(inbox.0, frames, count) };
                    self.refused += usize::from(count - given);
                }
                // SAFETY: frames that were ours, each once.
                None => unsafe { ffi::tern_free(frames, count) },
            }
        }
    }

    /// A frame to write, of this length, that the next [`flush`](Self::flush) sends; what is in it is not
    /// defined. None if no buffer is left, or the frame is too long for one.
    pub fn frame(&mut self, length: usize) -> Option<&mut [u8]> {
        if self.spare == 0 {
            register_thread();
            let count = BURST as u16;
            // SAFETY: the pool of this environment; room for so many frames.
            let got = unsafe { ffi::tern_allocate(self.port.eal.pool, self.spares.as_mut_ptr(), count) };
            self.spare = got.into();
        }
        let mut raw = self.spares[self.spare.checked_sub(1)?];
        if length > raw.room() {
            return None;
        }
        raw.length = length as u32;
        self.spare -= 1;
        self.hold(raw);
        // SAFETY: the buffer is ours until it is sent, and has room for so many octets; DPDK's memory comes
        // from the kernel, and so all of it has been written.
        Some(unsafe { std::slice::from_raw_parts_mut(raw.octets(), length) })
    }

    /// Sends a frame in the buffer that it is in, with the next [`flush`](Self::flush) at the latest.
    #[inline]
    pub fn send(&mut self, frame: Frame) {
        self.hold(frame.into_raw());
    }

    #[inline]
    fn hold(&mut self, raw: Raw) {
        if self.held == BURST {
            self.send_held();
        }
        self.held_frames[self.held] = raw;
        self.held += 1;
    }

    /// Sends the frames that wait, and gives others theirs; how many the port, or the inbox of another queue, did
    /// not take since the last time.
    pub fn flush(&mut self) -> usize {
        self.send_held();
        self.hand_out();
        std::mem::take(&mut self.refused)
    }

    fn send_held(&mut self) {
        if self.held == 0 {
            return;
        }
        let count = u16::try_from(self.held).expect("invariant: a burst");
        // SAFETY: a queue of a port that runs, used by this thread alone; so many frames with their buffers,
        // which are no longer ours afterwards.
        let sent =
            unsafe { ffi::tern_send(self.port.number, self.queue, self.held_frames.as_mut_ptr(), count) };
        self.refused += self.held - usize::from(sent);
        self.held = 0;
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        for (frames, count) in [(&mut self.spares, self.spare), (&mut self.held_frames, self.held)] {
            let count = u16::try_from(count).expect("invariant: a burst");
            // SAFETY: frames that were allocated and not sent, each once.
            unsafe { ffi::tern_free(frames.as_mut_ptr(), count) };
        }
    }
}
