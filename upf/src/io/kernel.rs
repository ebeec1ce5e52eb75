//! Packet I/O on UDP sockets for N3 and N9, one for each version of IP, and TUN queues for N6.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::n3::N3Socket;
use super::tun::TunQueue;
use super::{PacketIo, Wake, Waker};
use crate::path::{DropReason, Packet, Peer, ReferencePoint};

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
    /// Binds sockets of its own to N3 and N9, one of each version of IP at most.
    pub(crate) fn bind(
        at: &[(SocketAddr, ReferencePoint)],
        receive_buffer: usize,
        networks: Vec<TunQueue>,
    ) -> io::Result<Self> {
        let bind =
            |(at, interface): &(SocketAddr, ReferencePoint)| N3Socket::bind(*at, *interface, receive_buffer);
        let n3 = at.iter().map(bind).collect::<io::Result<_>>()?;
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

    fn send_access(&mut self, packet: &mut Packet, to: Peer) {
        match self.n3.iter_mut().find(|socket| socket.leads_to(to)) {
            Some(socket) => socket.send(packet.bytes(), packet.tos, to),
            None => self.nowhere += 1,
        }
    }

    fn send_network(&mut self, packet: &mut Packet, network: u16) {
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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;

    const N3: Ipv4Addr = Ipv4Addr::new(127, 0, 3, 1);
    const N9: Ipv4Addr = Ipv4Addr::new(127, 0, 9, 1);

    /// A port that is free at both addresses.
    fn bound() -> (KernelIo, u16) {
        let free = UdpSocket::bind((N3, 0)).expect("binds");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let at = |address: Ipv4Addr, point| (SocketAddr::from((address, port)), point);
        let at = [at(N3, ReferencePoint::N3), at(N9, ReferencePoint::N9)];
        (KernelIo::bind(&at, 1 << 20, Vec::new()).expect("binds"), port)
    }

    #[test]
    fn when_n9_has_an_address_of_its_own_then_packets_come_and_leave_by_it() {
        let (mut io, port) = bound();
        let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("binds");
        other.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
        let mut packets = Packet::burst();
        for (address, point) in [(N9, ReferencePoint::N9), (N3, ReferencePoint::N3)] {
            other.send_to(&[7; 20], (address, port)).expect("sends");
            let count = (0..5).map(|_| io.receive(&mut packets, Duration::from_secs(1)).expect("receives"));
            assert_eq!(count.into_iter().find(|count| *count > 0), Some(1));
            let from = packets[0].from;
            assert_eq!(from.at, point);
            io.send_access(&mut packets[0], from);
            io.flush(&mut |_, refused| assert_eq!(refused, 0));
            let mut buffer = [0; 64];
            let (length, sender) = other.recv_from(&mut buffer).expect("an answer");
            assert_eq!((length, sender), (20, SocketAddr::from((address, port))));
        }
    }
}
