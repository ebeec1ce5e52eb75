//! A port and its queues.
#![expect(unsafe_code, reason = "DPDK is a C library, and frames are octets in its buffers")]

use std::ffi::{CString, c_void};
use std::sync::Arc;

use crate::eal::{Eal, is_pci, port_name, register_thread};
use crate::error::DpdkError;
use crate::ffi::{self, Frame};

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
        for queue in 0..if queues > 1 { queues } else { 0 } {
            port.inboxes.push(Inbox::new(&format!("inbox_{number}_{queue}"))?);
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
    fn new(name: &str) -> Result<Self, DpdkError> {
        let text = CString::new(name).map_err(|_| DpdkError::Nul(name.to_owned()))?;
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
        // Another port may have the number as soon as this one is closed, and names its rings by it.
        self.inboxes.clear();
        // SAFETY: the port was started, and nobody has a queue of it any more.
        unsafe { ffi::tern_port_stop(self.number) };
    }
}

/// A receive and a send queue of a port, for one thread.
pub struct Queue {
    port: Arc<Port>,
    queue: u16,
    /// Buffers that wait for a frame: the first `spare` are allocated.
    spares: Box<[Frame; BURST]>,
    spare: usize,
    /// Frames that wait to be sent: the first `held` are there.
    held_frames: Box<[Frame; BURST]>,
    held: usize,
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
            spares: Box::new([Frame::NONE; BURST]),
            spare: 0,
            held_frames: Box::new([Frame::NONE; BURST]),
            held: 0,
            refused: 0,
        }
    }

    /// The port.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// Gives what has come to `each`, at most so many frames; how many. What `each` returns is the queue to
    /// whose thread the frame goes in the place of being forgotten: it is given to `each` again there.
    pub fn receive(&mut self, most: usize, mut each: impl FnMut(&mut [u8]) -> Option<usize>) -> usize {
        register_thread();
        let mut frames = [Frame::NONE; BURST];
        let most = u16::try_from(most.min(BURST)).expect("invariant: a small number");
        let mut count = 0;
        if let Some(inbox) = self.port.inboxes.get(usize::from(self.queue)) {
            // SAFETY: the inbox of this queue, from which this thread alone takes; room for so many frames.
            count = unsafe { ffi::tern_take(inbox.0, frames.as_mut_ptr(), most) };
        }
        if count < most {
            let came = frames[usize::from(count)..].as_mut_ptr();
            // SAFETY: a queue of a port that runs, used by this thread alone; room for so many frames.
            count += unsafe { ffi::tern_receive(self.port.number, self.queue, came, most - count) };
        }
        let frames = &mut frames[..usize::from(count)];
        let mut to = [None; BURST];
        let mut others = false;
        for (frame, to) in frames.iter().zip(&mut to) {
            // SAFETY: the buffer is ours until it is freed or given away below, and holds so many octets.
            *to = each(unsafe { std::slice::from_raw_parts_mut(frame.octets, frame.length as usize) });
            others |= to.is_some();
        }
        if others {
            self.hand_out(frames, &to);
        } else {
            // SAFETY: frames that were received above, each once.
            unsafe { ffi::tern_free(frames.as_mut_ptr(), count) };
        }
        count.into()
    }

    /// Frees what goes to nobody, and gives the others to the queues that are named.
    fn hand_out(&mut self, frames: &[Frame], to: &[Option<usize>; BURST]) {
        let mut left = 0u64;
        for at in 0..frames.len() {
            left |= 1 << at;
        }
        while left != 0 {
            let whose = to[left.trailing_zeros() as usize];
            let mut same = [Frame::NONE; BURST];
            let mut count = 0;
            for (at, frame) in frames.iter().enumerate() {
                if left & (1 << at) != 0 && to[at] == whose {
                    same[usize::from(count)] = *frame;
                    count += 1;
                    left &= !(1 << at);
                }
            }
            match whose.and_then(|queue| self.port.inboxes.get(queue)) {
                Some(inbox) => {
                    // SAFETY: a ring that any thread may give to; frames that were received, each once, which
                    // are no longer ours afterwards.
                    let given = unsafe { ffi::tern_give(inbox.0, same.as_mut_ptr(), count) };
                    self.refused += usize::from(count - given);
                }
                // SAFETY: frames that were received, each once.
                None => unsafe { ffi::tern_free(same.as_mut_ptr(), count) },
            }
        }
    }

    /// A frame to write, of this length, that the next [`flush`](Self::flush) sends; what is in it is not
    /// defined. None if no buffer is left, or the frame is too long for one.
    pub fn frame(&mut self, length: usize) -> Option<&mut [u8]> {
        if self.held == BURST {
            self.send();
        }
        if self.spare == 0 {
            register_thread();
            let count = BURST as u16;
            // SAFETY: the pool of this environment; room for so many frames.
            let got = unsafe { ffi::tern_allocate(self.port.eal.pool, self.spares.as_mut_ptr(), count) };
            self.spare = got.into();
        }
        let mut frame = self.spares[self.spare.checked_sub(1)?];
        if length > frame.room as usize {
            return None;
        }
        frame.length = length as u32;
        self.spare -= 1;
        self.held_frames[self.held] = frame;
        self.held += 1;
        // SAFETY: the buffer is ours until it is sent, and has room for so many octets; DPDK's memory comes
        // from the kernel, and so all of it has been written.
        Some(unsafe { std::slice::from_raw_parts_mut(frame.octets, length) })
    }

    /// Sends the frames that wait; how many the port, or the inbox of another queue, did not take since the
    /// last time.
    pub fn flush(&mut self) -> usize {
        self.send();
        std::mem::take(&mut self.refused)
    }

    fn send(&mut self) {
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
