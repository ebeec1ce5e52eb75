//! What waits in a worker that cannot keep up.

use super::Packet;
use crate::io::BURST;

/// Packets that may wait: more than a worker forwards between two looks at its interfaces, or the time until it
/// looks would be wasted.
pub(crate) const BACKLOG_PACKETS: usize = 2_048;
/// Room among it for packets within a guaranteed bit rate alone.
pub(crate) const BACKLOG_RESERVED: usize = 256;

const _: () = assert!(BACKLOG_PACKETS.is_multiple_of(BURST), "it is made of whole bursts");

/// Packets in the order in which they came. A packet changes places with an empty buffer: nothing is copied and
/// nothing allocated once it is made.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// A ring: so many packets from the first on, the others are empty buffers.
    packets: Vec<Packet>,
    /// When each came.
    queued_ns: Vec<u64>,
    first: usize,
    count: usize,
}

impl Backlog {
    /// Makes the room, if there is none yet.
    pub(crate) fn make(&mut self) {
        if self.packets.is_empty() {
            self.packets = (0..BACKLOG_PACKETS / BURST).flat_map(|_| Packet::burst()).collect();
            self.queued_ns = vec![0; BACKLOG_PACKETS];
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether only packets within a guaranteed bit rate have room.
    pub(crate) fn is_full(&self) -> bool {
        self.count + BACKLOG_RESERVED >= self.packets.len()
    }

    /// When the oldest came.
    pub(crate) fn oldest_ns(&self) -> Option<u64> {
        if self.is_empty() { None } else { self.queued_ns.get(self.first).copied() }
    }

    /// Takes a packet and leaves an empty buffer in its place; false if there is no room for it.
    #[inline]
    pub(crate) fn push(&mut self, packet: &mut Packet, is_guaranteed: bool, now_ns: u64) -> bool {
        let has_room = if is_guaranteed { self.count < self.packets.len() } else { !self.is_full() };
        if has_room {
            let at = (self.first + self.count) % self.packets.len();
            std::mem::swap(&mut self.packets[at], packet);
            self.queued_ns[at] = now_ns;
            self.count += 1;
        }
        has_room
    }

    /// The oldest, as many as are worked on at once; they no longer wait.
    pub(crate) fn pop(&mut self) -> &mut [Packet] {
        let (first, room) = (self.first, self.packets.len());
        let count = self.count.min(BURST).min(room - first);
        self.count -= count;
        self.first = if first + count == room { 0 } else { first + count };
        &mut self.packets[first..first + count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(number: u32) -> Packet {
        let mut packet = Packet::new();
        packet.set(&number.to_be_bytes());
        packet
    }

    fn numbers(packets: &[Packet]) -> Vec<u32> {
        let number = |packet: &Packet| u32::from_be_bytes(packet.bytes().try_into().expect("four octets"));
        packets.iter().map(number).collect()
    }

    #[test]
    fn when_packets_wait_then_they_leave_in_order_however_often_the_ring_goes_round() {
        let mut backlog = Backlog::default();
        assert!(backlog.is_full() && backlog.pop().is_empty(), "there is no room yet");
        backlog.make();
        let (mut next, mut due) = (0, 0);
        for round in 0..200 {
            for _ in 0..(round * 37) % 130 {
                assert!(backlog.push(&mut numbered(next), false, u64::from(next)));
                next += 1;
            }
            assert_eq!(backlog.oldest_ns(), (due < next).then_some(u64::from(due)));
            for number in numbers(backlog.pop()) {
                assert_eq!(number, due);
                due += 1;
            }
        }
        assert!(next > 4 * BACKLOG_PACKETS as u32);
    }

    #[test]
    fn when_the_backlog_is_full_then_a_packet_stays_where_it_is_and_guaranteed_ones_have_room() {
        let mut backlog = Backlog::default();
        backlog.make();
        backlog.make();
        let ordinary = BACKLOG_PACKETS - BACKLOG_RESERVED;
        assert_eq!(
            (0..).take_while(|number| backlog.push(&mut numbered(*number), false, 0)).count(),
            ordinary
        );
        let mut refused = numbered(7);
        assert!(backlog.is_full() && !backlog.push(&mut refused, false, 0));
        assert_eq!(numbers(&[refused]), [7]);
        let guaranteed = (0..).take_while(|number| backlog.push(&mut numbered(*number), true, 0)).count();
        assert_eq!(guaranteed, BACKLOG_RESERVED);
        assert_eq!(backlog.packets.len(), BACKLOG_PACKETS);
        backlog.pop();
        assert!(backlog.is_full() && backlog.push(&mut numbered(0), true, 0));
    }
}
