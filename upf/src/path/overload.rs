//! What a worker does that cannot keep up, so that guaranteed flows lose nothing.
//!
//! The only queue of a worker that keeps up is the receive queue of its interfaces; when that is full, everybody
//! loses. So a worker of guaranteed flows that finds packets left behind by each receive is overloaded: it takes all
//! that its interfaces have, forwards what is within a guaranteed bit rate, and puts the rest into a backlog, which
//! it works on until it is time to look again. What the backlog has no room for is lost. Guaranteed flows meet a
//! receive queue that is nearly empty.
//!
//! Order is kept within a QoS flow, whose packets are treated alike (TS 23.501 §5.7.1.1): a packet within the
//! guaranteed bit rate waits behind those of its flow that were above it and still wait.

use smallvec::SmallVec;

use super::look::{Look, Looks};
use super::tables::Place;
use super::{Packet, Tables};
use crate::io::BURST;

/// How long packets may be left behind by every receive. A burst is no overload.
const PATIENCE_NS: u64 = 2_000_000;
/// How long the backlog is worked on until the interfaces are looked at again: 1,024 frames, which a port holds,
/// are two and a half million a second.
pub(super) const SERVICE_NS: u64 = 400_000;
/// How long the interfaces may take to be emptied, which leaves a seventeenth of the time to the backlog.
const DRAIN_LONG_NS: u64 = 16 * SERVICE_NS;
/// The same while that does not empty them: there is more than can be received, guaranteed flows lose whatever is
/// done, and the others are not to lose the time as well.
const DRAIN_SHORT_NS: u64 = SERVICE_NS / 2;
/// How long it is tried to empty them, and how often.
const TRIAL_NS: u64 = 1_000_000_000;
const TRIAL_EVERY_NS: u64 = 20_000_000_000;

/// Whether a worker keeps up.
#[derive(Debug, Default)]
pub(crate) struct Overload {
    /// Since when every receive has left packets behind.
    behind_since_ns: Option<u64>,
    /// When the interfaces were last seen empty; `None` if the worker keeps up.
    emptied_ns: Option<u64>,
}

impl Overload {
    pub(crate) fn is_on(&self) -> bool {
        self.emptied_ns.is_some()
    }

    /// Takes note of a receive of a worker that keeps up: whether it left packets behind.
    #[inline]
    pub(crate) fn observe(&mut self, behind: bool, now_ns: u64) {
        if !behind {
            self.behind_since_ns = None;
        } else if now_ns >= *self.behind_since_ns.get_or_insert(now_ns) + PATIENCE_NS {
            *self = Self { behind_since_ns: None, emptied_ns: Some(now_ns) };
        }
    }

    /// The worker keeps up again.
    pub(crate) fn end(&mut self) {
        *self = Self::default();
    }

    /// Takes note that the interfaces have been emptied.
    pub(crate) fn emptied(&mut self, now_ns: u64) {
        self.emptied_ns = Some(now_ns);
    }

    /// Whether the interfaces are emptied further, after so long.
    pub(crate) fn drains_on(&self, began_ns: u64, now_ns: u64, is_full: bool) -> bool {
        let since = began_ns.saturating_sub(self.emptied_ns.unwrap_or(began_ns));
        let taken = now_ns.saturating_sub(began_ns);
        if since % TRIAL_EVERY_NS < TRIAL_NS {
            taken < DRAIN_LONG_NS
        } else {
            taken < DRAIN_SHORT_NS && !is_full
        }
    }
}

/// What becomes of a packet that an overloaded worker has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It goes at once: it is within a guaranteed bit rate, or of no session.
    Now,
    /// It is within a guaranteed bit rate, but waits behind others of its flow.
    Behind,
    /// It waits.
    Waits,
}

/// Says of each packet of a burst what becomes of it, by the time since when the oldest waits, if any does. What
/// is within a guaranteed bit rate uses it up.
pub(crate) fn sort(
    tables: &Tables,
    looks: &mut Looks,
    burst: &[Packet],
    oldest_ns: Option<u64>,
    (now_ns, alone): (u64, bool),
) -> SmallVec<[Turn; BURST]> {
    // What is queued of this burst is not older.
    let oldest_ns = oldest_ns.unwrap_or(now_ns);
    let turn = |((look, packet), place): ((&Look, &Packet), Option<&Place>)| {
        let Some(session) = place.and_then(|place| place.session.as_deref()) else { return Turn::Now };
        if !session.is_guaranteed() {
            return Turn::Waits;
        }
        let Some(octets) = look.user_octets() else { return Turn::Waits };
        let (uplink, Some(rule)) = look.rule(packet.side, session) else { return Turn::Waits };
        let mut qers = rule.qers.of(&session.qers);
        let Some(guarantee) = qers.find_map(|qer| qer.guaranteed.as_deref()) else { return Turn::Waits };
        let is_within = guarantee.take(uplink, octets, now_ns, alone);
        if is_within && guarantee.queued_ns(uplink) < oldest_ns {
            return Turn::Now;
        }
        guarantee.queue(uplink, now_ns);
        if is_within { Turn::Behind } else { Turn::Waits }
    };
    let (looks, places) = looks.find(tables, burst);
    looks.iter().zip(burst).zip(places).map(turn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn when_packets_are_left_behind_for_a_moment_then_a_worker_is_not_overloaded() {
        let mut overload = Overload::default();
        for round in 0..100 {
            let now_ns = round * 10 * MS;
            overload.observe(true, now_ns);
            overload.observe(true, now_ns + PATIENCE_NS - 1);
            overload.observe(false, now_ns + PATIENCE_NS);
            assert!(!overload.is_on());
        }
        overload.observe(true, 2_000 * MS);
        overload.observe(true, 2_000 * MS + PATIENCE_NS);
        assert!(overload.is_on());
        overload.end();
        overload.observe(true, 2_000 * MS + PATIENCE_NS);
        assert!(!overload.is_on(), "and is patient again");
    }

    #[test]
    fn when_the_interfaces_are_not_emptied_then_it_is_tried_for_a_while_and_again_later() {
        let mut overload = Overload::default();
        overload.emptied(0);
        let drains = |began_ns, taken_ns, is_full| overload.drains_on(began_ns, began_ns + taken_ns, is_full);
        for (began_ns, is_trial) in [
            (0, true),
            (TRIAL_NS - 1, true),
            (TRIAL_NS, false),
            (TRIAL_EVERY_NS - 1, false),
            (TRIAL_EVERY_NS, true),
            (TRIAL_EVERY_NS + TRIAL_NS, false),
        ] {
            let most = if is_trial { DRAIN_LONG_NS } else { DRAIN_SHORT_NS };
            assert!(drains(began_ns, most - 1, false) && !drains(began_ns, most, false), "{began_ns}");
            assert_eq!(drains(began_ns, 1, true), is_trial, "{began_ns}");
        }
    }
}
