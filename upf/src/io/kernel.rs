//! Packet I/O on an ordinary UDP socket for N3 and TUN queues for N6.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};
use tun_rs::SyncDevice;

use super::PacketIo;
use crate::path::{Packet, Side};

/// Socket buffers: what arrives while a worker works on a burst.
const SOCKET_BUFFER: usize = 4 << 20;

/// One worker's socket and queues.
pub(crate) struct KernelIo {
    n3: UdpSocket,
    networks: Vec<SyncDevice>,
    wake: Waker,
    /// Whether the last look brought packets: then there are probably more, and asking the kernel
    /// which source has some is a system call too many.
    busy: bool,
}

/// Ends a worker's wait.
#[derive(Clone)]
pub(crate) struct Waker(Arc<OwnedFd>);

impl Waker {
    fn new() -> io::Result<Self> {
        let fd = rustix::event::eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self(Arc::new(fd)))
    }

    /// Ends the wait that is going on, or the next one.
    pub(crate) fn wake(&self) {
        // It fails only if it was woken 2^64 times without looking.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    fn clear(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

impl KernelIo {
    /// Binds a socket of its own to N3. Several workers share the address: the kernel gives the
    /// packets of one peer to one of them.
    pub(crate) fn bind(at: SocketAddrV4, networks: Vec<SyncDevice>) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        // The kernel gives less if its limit is lower.
        socket.set_recv_buffer_size(SOCKET_BUFFER)?;
        socket.set_send_buffer_size(SOCKET_BUFFER)?;
        socket.bind(&SocketAddr::V4(at).into())?;
        Ok(Self { n3: socket.into(), networks, wake: Waker::new()?, busy: false })
    }

    /// Ends the waits of this worker.
    pub(crate) fn waker(&self) -> Waker {
        self.wake.clone()
    }

    fn receive_now(&mut self, packets: &mut [Packet]) -> io::Result<usize> {
        let mut count = 0;
        // Half of the burst at most from one side, so that neither starves the other.
        let share = packets.len().div_ceil(2);
        while count < share {
            let packet = &mut packets[count];
            match self.n3.recv_from(packet.room()) {
                Ok((length, SocketAddr::V4(from))) => {
                    packet.received(length, Side::Access, from);
                    count += 1;
                }
                Ok((_, SocketAddr::V6(_))) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An ICMP error about an earlier packet: the peer's matter.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error),
            }
        }
        for (index, queue) in self.networks.iter().enumerate() {
            while count < packets.len() {
                let packet = &mut packets[count];
                match queue.recv(packet.room()) {
                    Ok(length) => {
                        packet.received(length, Side::Network(index), packet.from);
                        count += 1;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(count)
    }
}

impl PacketIo for KernelIo {
    fn receive(&mut self, packets: &mut [Packet], wait: Duration) -> io::Result<usize> {
        if self.busy {
            let count = self.receive_now(packets)?;
            self.busy = count > 0;
            if self.busy {
                return Ok(count);
            }
        }
        let mut sources = vec![
            PollFd::from_borrowed_fd(self.n3.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.wake.0.as_fd(), PollFlags::IN),
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

    fn send_access(&mut self, packet: &Packet, to: SocketAddrV4) -> bool {
        self.n3.send_to(packet.bytes(), to).is_ok()
    }

    fn send_network(&mut self, packet: &Packet, network: usize) -> bool {
        self.networks.get(network).is_some_and(|queue| queue.send(packet.bytes()).is_ok())
    }
}
