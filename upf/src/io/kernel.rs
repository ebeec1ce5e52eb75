//! Packet I/O on UDP sockets for N3, one for each version of IP, and TUN queues for N6.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::n3::N3Socket;
use super::tun::TunQueue;
use super::{PacketIo, Wake, Waker};
use crate::path::{DropReason, Packet, Peer};

/// One worker's sockets and queues.
pub(crate) struct KernelIo {
    n3: Vec<N3Socket>,
    networks: Vec<TunQueue>,
    /// Packets to a network without a device, or a peer without a socket of its version of IP.
    nowhere: usize,
    wake: Wake,
    /// Whether the last look brought packets: then there are probably more, and asking the kernel
    /// which source has some is a system call too many.
    busy: bool,
    /// Whether the last look ended because there was no room for more.
    behind: bool,
}

impl KernelIo {
    /// Binds sockets of its own to N3, one of each version of IP at most.
    pub(crate) fn bind(
        at: &[SocketAddr],
        receive_buffer: usize,
        networks: Vec<TunQueue>,
    ) -> io::Result<Self> {
        let n3 = at.iter().map(|at| N3Socket::bind(*at, receive_buffer)).collect::<io::Result<_>>()?;
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
        let share = share.div_ceil(self.n3.len().max(1));
        self.behind = false;
        for socket in &mut self.n3 {
            let until = (count + share).min(packets.len());
            while count < until && socket.take(&mut packets[count])? {
                count += 1;
            }
            self.behind |= count == until;
        }
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
        let mut sources = vec![PollFd::from_borrowed_fd(self.wake.as_fd(), PollFlags::IN)];
        sources.extend(self.n3.iter().map(|socket| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)));
        sources
            .extend(self.networks.iter().map(|queue| PollFd::from_borrowed_fd(queue.as_fd(), PollFlags::IN)));
        let timeout = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        match poll(&mut sources, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => Ok(0),
            Ok(_) => {
                if !sources[0].revents().is_empty() {
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

    fn send_access(&mut self, packet: &Packet, to: Peer) {
        match self.n3.iter_mut().find(|socket| socket.speaks(to.address)) {
            Some(socket) => socket.send(packet.bytes(), packet.tos, to),
            None => self.nowhere += 1,
        }
    }

    fn send_network(&mut self, packet: &Packet, network: u16) {
        match self.networks.get_mut(usize::from(network)) {
            Some(queue) => queue.send(packet.bytes()),
            None => self.nowhere += 1,
        }
    }

    fn flush(&mut self, dropped: &mut dyn FnMut(DropReason, usize)) {
        let networks: usize = self.networks.iter_mut().map(TunQueue::flush).sum();
        let n3: usize = self.n3.iter_mut().map(N3Socket::flush).sum();
        let refused = n3 + networks + std::mem::take(&mut self.nowhere);
        dropped(DropReason::SendFailed, refused);
    }
}
