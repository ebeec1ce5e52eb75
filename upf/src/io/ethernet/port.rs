//! What sends and receives Ethernet frames.

/// One worker's queue of a port.
pub trait Port: Send {
    /// Gives frames that have come to `each`, at most so many; how many. A frame for which it returns another
    /// worker goes to that one's queue of the same port.
    fn receive(&mut self, most: usize, each: &mut dyn FnMut(&mut [u8]) -> Option<usize>) -> usize;
    /// A frame of this length to fill, which the next [`flush`](Self::flush) sends at the latest; `None`
    /// without a buffer for it.
    fn frame(&mut self, length: usize) -> Option<&mut [u8]>;
    /// Sends what waits; how many frames were not taken since the last time.
    fn flush(&mut self) -> usize;
}

#[cfg(feature = "dpdk")]
impl Port for tern_dpdk::Queue {
    fn receive(&mut self, most: usize, each: &mut dyn FnMut(&mut [u8]) -> Option<usize>) -> usize {
        Self::receive(self, most, each)
    }

    fn frame(&mut self, length: usize) -> Option<&mut [u8]> {
        Self::frame(self, length)
    }

    fn flush(&mut self) -> usize {
        Self::flush(self)
    }
}
