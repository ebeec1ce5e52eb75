//! What a worker drops when it cannot keep up, so that guaranteed flows lose nothing.
//!
//! A worker has one queue, the receive queue of its interfaces, and when that is full everybody loses. So a
//! worker that finds packets left behind by each receive for longer than [`PATIENCE_NS`] sheds: a share of the
//! packets is dropped as soon as their rule is known, before they cost a send. The share grows by steps while
//! the queue stays filled and shrinks by a part of itself when it is seen empty, which is why it settles where
//! the worker just keeps up. Packets within a guaranteed bit rate are never among them.

use std::cell::Cell;

use super::{Pdr, Session};

/// How long packets may be left behind by every receive before any is shed. A burst is no overload, nor is what
/// has come while the worker was off the CPU.
const PATIENCE_NS: u64 = 20_000_000;
/// The time between two changes of the share.
const STEP_NS: u64 = 1_000_000;
/// The share is a part of this.
const WHOLE: u32 = 1 << 16;
/// What a step adds: from nothing to everything in 16 ms.
const RISE: u32 = WHOLE / 16;
/// What a step takes off is this part of the share: down to a half in 11 ms.
const FALL: u32 = 16;
/// The most: a few packets of every flow pass, so that a sender that obeys losses goes on.
const SHARE_MAX: u32 = WHOLE - WHOLE / 64;

/// Whether a worker keeps up, and what it sheds.
#[derive(Debug)]
pub(crate) struct Overload {
    /// Whether anything is ever shed.
    is_on: bool,
    /// Of [`WHOLE`].
    share: u32,
    /// Since when every receive has left packets behind.
    behind_since_ns: Option<u64>,
    changed_ns: u64,
    /// A xorshift generator: which packets go must not follow a pattern that a flow could have.
    random: Cell<u32>,
}

impl Overload {
    pub(crate) fn new(is_on: bool) -> Self {
        Self { is_on, share: 0, behind_since_ns: None, changed_ns: 0, random: Cell::new(0x9E37_79B9) }
    }

    /// Takes note of a receive: whether it left packets behind.
    #[inline]
    pub(crate) fn observe(&mut self, behind: bool, now_ns: u64) {
        if !behind {
            self.behind_since_ns = None;
            if self.share == 0 {
                return;
            }
        }
        let patient = behind && now_ns < *self.behind_since_ns.get_or_insert(now_ns) + PATIENCE_NS;
        if !self.is_on || patient || now_ns < self.changed_ns + STEP_NS {
            return;
        }
        self.changed_ns = now_ns;
        self.share = if behind {
            (self.share + RISE).min(SHARE_MAX)
        } else {
            // A share below one step of falling is none.
            let less = self.share - self.share / FALL;
            if less < RISE / FALL { 0 } else { less }
        };
    }

    /// Whether this packet is to be shed. One within a guaranteed rate of its rule is not.
    #[inline]
    pub(crate) fn sheds(
        &self,
        session: &Session,
        rule: &Pdr,
        uplink: bool,
        octets: usize,
        now_ns: u64,
        alone: bool,
    ) -> bool {
        if self.share == 0 {
            return false;
        }
        let mut qers = rule.qers.of(&session.qers);
        !qers.any(|qer| qer.guarantees(uplink, octets, now_ns, alone)) && self.draw() < self.share
    }

    /// With this share, as long as nothing is observed.
    #[cfg(test)]
    pub(crate) fn of_share(share: f64) -> Self {
        Self { share: (f64::from(WHOLE) * share) as u32, ..Self::new(true) }
    }

    /// A number below [`WHOLE`].
    fn draw(&self) -> u32 {
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        self.random.set(random);
        random >> 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const PATIENCE_MS: u64 = PATIENCE_NS / MS;

    /// Looks once every 100 µs for so long; the share at the end.
    fn look(overload: &mut Overload, now_ns: &mut u64, ms: u64, behind: bool) -> u32 {
        for _ in 0..ms * 10 {
            overload.observe(behind, *now_ns);
            *now_ns += MS / 10;
        }
        overload.share
    }

    #[test]
    fn when_packets_are_left_behind_for_a_moment_then_nothing_is_shed() {
        let (mut overload, mut now) = (Overload::new(true), 7 * MS);
        for _ in 0..100 {
            assert_eq!(look(&mut overload, &mut now, PATIENCE_MS, true), 0);
            overload.observe(false, now);
        }
    }

    #[test]
    fn when_packets_are_left_behind_again_and_again_then_the_share_grows_and_falls_when_they_are_not() {
        let (mut overload, mut now) = (Overload::new(true), 7 * MS);
        look(&mut overload, &mut now, PATIENCE_MS, true);
        let first = look(&mut overload, &mut now, 8, true);
        assert!((6 * RISE..=9 * RISE).contains(&first), "{first}");
        assert_eq!(look(&mut overload, &mut now, 100, true), SHARE_MAX);
        let half = look(&mut overload, &mut now, 11, false);
        assert!((SHARE_MAX * 2 / 5..SHARE_MAX * 3 / 5).contains(&half), "{half}");
        assert_eq!(look(&mut overload, &mut now, 200, false), 0);
        // And from there it is patient again.
        assert_eq!(look(&mut overload, &mut now, PATIENCE_MS, true), 0);
    }

    #[test]
    fn when_shedding_is_off_then_there_is_none() {
        let (mut overload, mut now) = (Overload::new(false), 7 * MS);
        assert_eq!(look(&mut overload, &mut now, 1_000, true), 0);
    }

    #[test]
    fn when_a_share_is_shed_then_it_is_that_share_of_every_flow() {
        let (mut overload, mut now) = (Overload::new(true), 0);
        look(&mut overload, &mut now, PATIENCE_MS + 8, true);
        let share = f64::from(overload.share) / f64::from(WHOLE);
        // Two flows whose packets alternate.
        let mut shed = [0; 2];
        for packet in 0..20_000 {
            shed[packet % 2] += usize::from(overload.draw() < overload.share);
        }
        for shed in shed {
            assert!((shed as f64 / 10_000.0 - share).abs() < 0.02, "{shed} for {share}");
        }
    }
}
