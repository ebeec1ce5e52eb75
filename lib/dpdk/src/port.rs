//! A port and its queues.
#![expect(unsafe_code, reason = "DPDK is a C library, and frames are octets in its buffers")]

use std::ffi::CString;
use std::sync::Arc;

use crate::eal::{Eal, is_pci, register_thread};
use crate::error::DpdkError;
use crate::ffi::{self, Frame};

/// Frames that are received, or sent, with one call; `BURST_MAX` of the shim.
pub const BURST: usize = 64;

/// A port that runs. It stops when the last of its queues is gone.
#[derive(Debug)]
pub struct Port {
    number: u16,
    eal: Eal,
    device: String,
    mac: [u8; 6],
}

impl Port {
    /// Starts the port of a device that [`Eal::start`] was told, and gives so many queues. A packet of `mtu`
    /// octets is the longest; a virtual device has the MTU that its operator gave it, whatever DPDK says of it.
    pub fn start(eal: Eal, device: &str, queues: u16, mtu: u16) -> Result<Vec<Queue>, DpdkError> {
        let name = device.split(',').next().unwrap_or_default();
        let text = CString::new(name).map_err(|_| DpdkError::Nul(name.to_owned()))?;
        let mut number = 0;
        // SAFETY: DPDK runs, as `eal` shows; a string with a NUL, and a place for the number.
        let code = unsafe { ffi::tern_port_find(text.as_ptr(), &raw mut number) };
        DpdkError::check(code, || format!("find the port {name}"))?;
        let mut about = ffi::About::default();
        // SAFETY: a port that exists, and a place for what it is.
        let code = unsafe { ffi::tern_port_about(number, &raw mut about) };
        DpdkError::check(code, || format!("ask the port {name}"))?;
        let device = name.to_owned();
        if queues > about.queues_max {
            return Err(DpdkError::Queues { device, has: about.queues_max, wanted: queues });
        }
        let mtu = if is_pci(&device) { mtu } else { 0 };
        if mtu > about.mtu_max {
            return Err(DpdkError::Mtu { device, has: about.mtu_max, wanted: mtu });
        }
        // SAFETY: a port that exists and was not started; a pool of this environment.
        let code = unsafe { ffi::tern_port_start(number, queues, mtu, eal.pool) };
        DpdkError::check(code, || format!("start the port {name} with {queues} queues"))?;
        let port = Arc::new(Self { number, eal, device, mac: about.mac });
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

    /// Gives what has come to `each`, at most so many frames; how many.
    pub fn receive(&mut self, most: usize, mut each: impl FnMut(&[u8])) -> usize {
        register_thread();
        let mut frames = [Frame::NONE; BURST];
        let most = u16::try_from(most.min(BURST)).expect("invariant: a small number");
        // SAFETY: a queue of a port that runs, used by this thread alone; room for so many frames.
        let count = unsafe { ffi::tern_receive(self.port.number, self.queue, frames.as_mut_ptr(), most) };
        for frame in &frames[..usize::from(count)] {
            // SAFETY: the buffer is ours until it is freed below, and holds so many octets.
            each(unsafe { std::slice::from_raw_parts(frame.octets, frame.length as usize) });
        }
        // SAFETY: frames that were received above, each once.
        unsafe { ffi::tern_free(frames.as_mut_ptr(), count) };
        count.into()
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

    /// Sends the frames that wait; how many the port did not take since the last time.
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
