//! What sends and receives Ethernet frames.

use crate::path::Packet;

/// One worker's queue of a port.
pub trait Port: Send {
    /// Packets become the frames that have come, from the first one on; how many.
    fn receive(&mut self, packets: &mut [Packet]) -> usize;
    /// Gives a frame, as it has come, to another worker's queue of the same port.
    fn give(&mut self, packet: &mut Packet, worker: usize);
    /// A frame of this length to fill, which the next [`flush`](Self::flush) sends at the latest; `None`
    /// without a buffer for it.
    fn frame(&mut self, length: usize) -> Option<&mut [u8]>;
    /// Sends what a packet has become, as [`frame`](Self::frame) would; false without a buffer for it. Its own may
    /// leave with it.
    fn send(&mut self, packet: &mut Packet) -> bool {
        copied(self, packet.bytes())
    }
    /// Sends what waits; how many frames were not taken since the last time.
    fn flush(&mut self) -> usize;
}

#[cfg(feature = "dpdk")]
impl Port for tern_dpdk::Queue {
    fn receive(&mut self, packets: &mut [Packet]) -> usize {
        let most = packets.len();
        let mut places = packets.iter_mut();
        Self::receive(self, most, |frame| {
            if let Some(packet) = places.next() {
                packet.hold(frame);
            }
        })
    }

    #[inline]
    fn give(&mut self, packet: &mut Packet, worker: usize) {
        packet.leave().into_iter().for_each(|frame| Self::give(self, worker, frame));
    }

    fn frame(&mut self, length: usize) -> Option<&mut [u8]> {
        Self::frame(self, length)
    }

    #[inline]
    fn send(&mut self, packet: &mut Packet) -> bool {
        match packet.leave() {
            Some(frame) => {
                Self::send(self, frame);
                true
            }
            None => copied(self, packet.bytes()),
        }
    }

    fn flush(&mut self) -> usize {
        Self::flush(self)
    }
}

/// Sends octets from a buffer of the port's; false without one.
fn copied(port: &mut (impl Port + ?Sized), octets: &[u8]) -> bool {
    port.frame(octets.len()).map(|frame| frame.copy_from_slice(octets)).is_some()
}
