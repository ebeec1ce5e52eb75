//! Packet I/O in bursts. What is behind the trait, sockets and TUN devices or a DPDK port, is of
//! no concern to the data path.

mod dpdk;
// Without a port there is nothing that uses it, but its tests.
#[cfg_attr(not(feature = "dpdk"), allow(dead_code))]
mod ethernet;
mod kernel;
mod n3;
mod tun;
mod wake;

#[cfg(feature = "dpdk")]
pub use dpdk::dpdk_io;
pub(crate) use dpdk::dpdk_workers;
#[cfg(feature = "dpdk")]
pub use ethernet::{EthernetIo, Port, worker_of_ue};
pub(crate) use kernel::KernelIo;
pub(crate) use tun::TunDevice;
use wake::Wake;
pub(crate) use wake::Waker;

use std::time::Duration;

use crate::path::{DropReason, Packet, Peer};

/// Packets that are received and sent at once.
pub const BURST: usize = 64;

/// The packet interfaces of one worker.
pub trait PacketIo: Send {
    /// Waits until a packet is there or the time is over; fills packets from the front and
    /// returns how many.
    fn receive(&mut self, packets: &mut [Packet], wait: Duration) -> std::io::Result<usize>;
    /// Whether the last receive left packets behind, as far as it knows: there was more than it had room for.
    fn is_behind(&self) -> bool {
        false
    }
    /// Sends to a peer on N3, or holds the packet back until the end of the burst. Headers may be written in front of
    /// the packet, and its buffer may leave with it.
    fn send_access(&mut self, packet: &mut Packet, to: Peer);
    /// The same to the data network of this index.
    fn send_network(&mut self, packet: &mut Packet, network: u16);
    /// Sends what is held back, at the end of a burst; tells how many packets were dropped since the last
    /// time, and why.
    fn flush(&mut self, dropped: &mut dyn FnMut(DropReason, usize));
}
