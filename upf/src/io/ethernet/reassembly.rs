//! Fragments of packets to us, put together again: RFC 791 §3.2, with what RFC 5722 and RFC 1858 have learnt
//! about fragments that overlap.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::path::PACKET_MAX;

/// Packets of which fragments wait, in all and of one sender.
const PARTIALS_MAX: usize = 128;
const PARTIALS_OF_ONE_MAX: usize = 32;
/// Fragments of one packet: the longest is of seven on a link of 1500 octets.
const FRAGMENTS_MAX: usize = 32;
/// How long the first fragment waits for the last. RFC 791 leaves it to us; the fragments of a packet leave
/// their sender one after the other.
const LIFETIME: Duration = Duration::from_secs(5);
/// Octets of the longest payload that is put together: a packet, and the header in front of it.
const PAYLOAD_MAX: usize = PACKET_MAX + 64;
/// All fragments but the last hold a multiple of it.
const UNIT: usize = 8;

/// What fragments of one packet have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whose {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: u8,
    pub(super) identification: u32,
}

/// Where a fragment belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fragment<'a> {
    /// Octets of the payload in front of it.
    pub(super) offset: usize,
    /// Whether others follow.
    pub(super) more: bool,
    pub(super) octets: &'a [u8],
}

/// Packets that are not yet whole, the oldest first. Each worker has its own: a packet's fragments come to one.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    partials: VecDeque<Partial>,
}

#[derive(Debug)]
struct Partial {
    whose: Whose,
    until: Instant,
    /// The octets that are there, by where they begin and end; none overlap.
    pieces: Vec<(usize, usize)>,
    payload: Vec<u8>,
    /// Known from the last fragment.
    length: Option<usize>,
    /// Some fragment contradicted another: none of the packet is taken any more.
    refused: bool,
    /// Fragments that are kept.
    fragments: usize,
}

/// What became of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Others are awaited.
    Waits,
    /// It was the last one: the payload.
    Whole(Vec<u8>),
    /// So many are dropped: itself and those of its packet, or those of another packet, for its sake.
    Dropped(usize),
}

impl Reassembly {
    /// Whether something waits.
    pub(super) fn is_empty(&self) -> bool {
        self.partials.is_empty()
    }

    /// Forgets what has waited in vain; how many fragments were lost.
    pub(super) fn expire(&mut self, now: Instant) -> usize {
        let mut lost = 0;
        while let Some(oldest) = self.partials.pop_front_if(|partial| partial.until <= now) {
            lost += oldest.fragments;
        }
        lost
    }

    /// Takes a fragment.
    pub(super) fn take(&mut self, now: Instant, whose: Whose, fragment: Fragment<'_>) -> Taken {
        let at = self.partials.iter().position(|partial| partial.whose == whose);
        let (at, evicted) = match at {
            Some(at) => (at, 0),
            None => self.begin(now, whose),
        };
        let partial = &mut self.partials[at];
        if !partial.add(fragment) {
            return Taken::Dropped(evicted + partial.refuse());
        }
        if partial.is_whole()
            && let Some(whole) = self.partials.remove(at)
        {
            return Taken::Whole(whole.payload);
        }
        if evicted > 0 { Taken::Dropped(evicted) } else { Taken::Waits }
    }

    /// Makes room for another packet, if need be of the oldest; its place, and how many fragments that cost.
    fn begin(&mut self, now: Instant, whose: Whose) -> (usize, usize) {
        let of_one = |partial: &Partial| partial.whose.source == whose.source;
        let oldest = if self.partials.iter().filter(|partial| of_one(partial)).count() >= PARTIALS_OF_ONE_MAX
        {
            self.partials.iter().position(of_one)
        } else {
            (self.partials.len() >= PARTIALS_MAX).then_some(0)
        };
        let evicted = oldest.and_then(|at| self.partials.remove(at)).map_or(0, |partial| partial.fragments);
        self.partials.push_back(Partial {
            whose,
            until: now + LIFETIME,
            pieces: Vec::new(),
            payload: Vec::new(),
            length: None,
            refused: false,
            fragments: 0,
        });
        (self.partials.len() - 1, evicted)
    }
}

impl Partial {
    /// Whether a fragment fits to what is there. One that is there already, octet for octet, changes nothing.
    fn add(&mut self, fragment: Fragment<'_>) -> bool {
        let (start, end) = (fragment.offset, fragment.offset + fragment.octets.len());
        let is_sound =
            start < end && end <= PAYLOAD_MAX && (!fragment.more || (end - start).is_multiple_of(UNIT));
        if self.refused || !is_sound {
            return false;
        }
        if self.pieces.contains(&(start, end)) {
            let is_last = self.length == Some(end);
            return self.payload[start..end] == *fragment.octets && is_last != fragment.more;
        }
        let overlaps = self.pieces.iter().any(|(from, to)| start < *to && *from < end);
        let is_beyond = self.length.is_some_and(|length| end > length || !fragment.more);
        let is_short = !fragment.more && self.payload.len() > end;
        if overlaps || is_beyond || is_short || self.fragments == FRAGMENTS_MAX {
            return false;
        }
        if !fragment.more {
            self.length = Some(end);
        }
        self.payload.resize(self.payload.len().max(end), 0);
        self.payload[start..end].copy_from_slice(fragment.octets);
        self.pieces.push((start, end));
        self.fragments += 1;
        true
    }

    fn is_whole(&self) -> bool {
        let there: usize = self.pieces.iter().map(|(start, end)| end - start).sum();
        self.length == Some(there)
    }

    /// Drops the packet, but remembers it, so that its later fragments are no new one (RFC 5722 §4); how many
    /// fragments that costs, the one that came included.
    fn refuse(&mut self) -> usize {
        self.refused = true;
        (self.pieces, self.payload) = (Vec::new(), Vec::new());
        1 + std::mem::take(&mut self.fragments)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn whose(sender: u8, identification: u32) -> Whose {
        let address = |last| IpAddr::V4(Ipv4Addr::new(10, 3, 0, last));
        Whose { source: address(sender), destination: address(1), protocol: 17, identification }
    }

    /// A piece of the octets 0, 1, 2, ….
    fn piece(offset: usize, length: usize, more: bool, octets: &mut Vec<u8>) -> Fragment<'_> {
        *octets = (offset..offset + length).map(|at| at as u8).collect();
        Fragment { offset, more, octets }
    }

    fn take(
        table: &mut Reassembly,
        now: Instant,
        id: u32,
        (offset, length, more): (usize, usize, bool),
    ) -> Taken {
        table.take(now, whose(2, id), piece(offset, length, more, &mut Vec::new()))
    }

    #[test]
    fn when_all_fragments_come_in_any_order_then_the_packet_is_whole_once() {
        let now = Instant::now();
        let pieces = [(0, 16, true), (16, 8, true), (24, 5, false)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
            let mut table = Reassembly::default();
            let (last, others) = order.split_last().expect("three");
            for at in others {
                assert_eq!(take(&mut table, now, 7, pieces[*at]), Taken::Waits, "{order:?}");
                // The same again changes nothing.
                assert_eq!(take(&mut table, now, 7, pieces[*at]), Taken::Waits, "{order:?}");
                // Nor does another packet's.
                assert_eq!(take(&mut table, now, 8, pieces[*at]), Taken::Waits, "{order:?}");
            }
            let whole = Taken::Whole((0..29).collect());
            assert_eq!(take(&mut table, now, 7, pieces[*last]), whole, "{order:?}");
            assert_eq!(table.partials.len(), 1);
        }
    }

    /// RFC 5722 §4: none of the packet is used, nor what comes of it later.
    #[test]
    fn when_fragments_overlap_or_contradict_each_other_then_the_whole_packet_is_refused() {
        let now = Instant::now();
        for second in [
            (8, 16, true),
            (0, 8, true),
            (0, 24, true),
            (8, 8, false),
            // Behind the end, an end in front of what is there, and one that is not a multiple of eight.
            (40, 8, true),
            (16, 4, true),
            (24, 8, false),
            (65_000, 8, true),
        ] {
            let mut table = Reassembly::default();
            assert_eq!(take(&mut table, now, 7, (0, 16, true)), Taken::Waits);
            assert_eq!(take(&mut table, now, 7, (32, 8, false)), Taken::Waits);
            assert_eq!(take(&mut table, now, 7, second), Taken::Dropped(3), "{second:?}");
            assert_eq!(take(&mut table, now, 7, (16, 16, true)), Taken::Dropped(1), "{second:?}");
            assert_eq!(table.expire(now + LIFETIME), 0);
            assert!(table.is_empty());
        }
        // The same octets at the same place, but others.
        let mut table = Reassembly::default();
        assert_eq!(take(&mut table, now, 7, (0, 8, true)), Taken::Waits);
        let other = Fragment { offset: 0, more: true, octets: &[9; 8] };
        assert_eq!(table.take(now, whose(2, 7), other), Taken::Dropped(2));
    }

    #[test]
    fn when_fragments_do_not_come_then_the_others_are_given_up_and_counted() {
        let (now, mut table) = (Instant::now(), Reassembly::default());
        for id in 0..3 {
            assert_eq!(take(&mut table, now + LIFETIME / 4 * id, id, (0, 16, true)), Taken::Waits);
            assert_eq!(take(&mut table, now + LIFETIME / 4 * id, id, (16, 8, true)), Taken::Waits);
        }
        assert_eq!((table.expire(now + LIFETIME / 2), table.expire(now + LIFETIME)), (0, 2));
        assert_eq!(take(&mut table, now + LIFETIME, 2, (24, 8, false)), Taken::Whole((0..32).collect()));
        assert_eq!(table.expire(now + LIFETIME * 2), 2);
        assert!(table.is_empty());
    }

    #[test]
    fn when_fragments_flood_then_the_table_is_bounded_and_one_sender_takes_no_more_than_its_share() {
        let (now, mut table) = (Instant::now(), Reassembly::default());
        assert_eq!(take(&mut table, now, 1, (0, 16, true)), Taken::Waits);
        let mut dropped = 0;
        for id in 0..10_000 {
            match table.take(now, whose(3, id), piece(0, 8, true, &mut Vec::new())) {
                Taken::Dropped(count) => dropped += count,
                taken => assert_eq!(taken, Taken::Waits),
            }
        }
        assert_eq!((table.partials.len(), dropped), (PARTIALS_OF_ONE_MAX + 1, 10_000 - PARTIALS_OF_ONE_MAX));
        // The other sender's packet is still there.
        assert_eq!(take(&mut table, now, 1, (16, 1, false)), Taken::Whole((0..17).collect()));
        for sender in 4..=255 {
            for id in 0..2 {
                table.take(now, whose(sender, id), piece(0, 8, true, &mut Vec::new()));
            }
        }
        assert_eq!(table.partials.len(), PARTIALS_MAX);
        // As many fragments as there may be of one packet, and one more.
        let mut table = Reassembly::default();
        for number in 0..FRAGMENTS_MAX {
            assert_eq!(take(&mut table, now, 1, (number * 16, 8, true)), Taken::Waits);
        }
        assert_eq!(take(&mut table, now, 1, (8, 8, true)), Taken::Dropped(FRAGMENTS_MAX + 1));
    }

    proptest::proptest! {
        #[test]
        fn any_fragments_are_taken_without_harm(
            fragments in proptest::collection::vec((0usize..40, 0usize..60, proptest::bool::ANY), 0..100),
        ) {
            let (now, mut table) = (Instant::now(), Reassembly::default());
            for (unit, length, more) in fragments {
                if let Taken::Whole(whole) = take(&mut table, now, 1, (unit * UNIT, length, more)) {
                    let expected: Vec<u8> = (0..whole.len()).map(|at| at as u8).collect();
                    proptest::prop_assert_eq!(whole, expected);
                }
            }
        }
    }
}
