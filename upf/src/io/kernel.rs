//! Packet I/O on a UDP socket for N3 and TUN queues for N6.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::AsFd as _;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::n3::N3Socket;
use super::tun::TunQueue;
use super::{PacketIo, Wake, Waker};
use crate::path::{DropReason, Packet};

/// One worker's socket and queues.
pub(crate) struct KernelIo {
    n3: N3Socket,
    networks: Vec<TunQueue>,
    /// Packets to a network without a device.
    nowhere: usize,
    wake: Wake,
    /// Whether the last look brought packets: then there are probably more, and asking the kernel
    /// which source has some is a system call too many.
    busy: bool,
    /// Whether the last look ended because there was no room for more.
    behind: bool,
}

impl KernelIo {
    /// Binds a socket of its own to N3.
    pub(crate) fn bind(at: SocketAddrV4, receive_buffer: usize, networks: Vec<TunQueue>) -> io::Result<Self> {
        let n3 = N3Socket::bind(at, receive_buffer)?;
        Ok(Self { n3, networks, nowhere: 0, wake: Wake::new()?, busy: false, behind: false })
    }

    /// Ends the waits of this worker.
    pub(crate) fn waker(&self) -> Waker {
        Waker::Descriptor(self.wake.clone())
    }

    fn receive_now(&mut self, packets: &mut [Packet]) -> io::Result<usize> {
        let mut count = 0;
        // Half of the burst at most from one side, so that neither starves the other.
        let share = packets.len().div_ceil(2);
        while count < share && self.n3.take(&mut packets[count])? {
            count += 1;
        }
        self.behind = count == share;
        for queue in &mut self.networks {
            while count < packets.len() && queue.take(&mut packets[count])? {
                count += 1;
            }
        }
        self.behind |= count == packets.len();
        Ok(count)
    }
}

impl PacketIo for KernelIo {
    fn receive(&mut self, packets: &mut [Packet], wait: Duration) -> io::Result<usize> {
        self.behind = false;
        if self.busy {
            let count = self.receive_now(packets)?;
            self.busy = count > 0;
            if self.busy {
                return Ok(count);
            }
        }
        let mut sources = vec![
            PollFd::from_borrowed_fd(self.n3.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.wake.as_fd(), PollFlags::IN),
        ];
        sources
            .extend(self.networks.iter().map(|queue| PollFd::from_borrowed_fd(queue.as_fd(), PollFlags::IN)));
        let timeout = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        match poll(&mut sources, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => Ok(0),
            Ok(_) => {
                if !sources[1].revents().is_empty() {
                    self.wake.clear();
                }
                let count = self.receive_now(packets)?;
                self.busy = count > 0;
                Ok(count)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn is_behind(&self) -> bool {
        self.behind
    }

    fn send_access(&mut self, packet: &Packet, to: SocketAddrV4) {
        self.n3.send(packet.bytes(), packet.tos, to);
    }

    fn send_network(&mut self, packet: &Packet, network: u16) {
        match self.networks.get_mut(usize::from(network)) {
            Some(queue) => queue.send(packet.bytes()),
            None => self.nowhere += 1,
        }
    }

    fn flush(&mut self, dropped: &mut dyn FnMut(DropReason, usize)) {
        let networks: usize = self.networks.iter_mut().map(TunQueue::flush).sum();
        let refused = self.n3.flush() + networks + std::mem::take(&mut self.nowhere);
        dropped(DropReason::SendFailed, refused);
    }
}
