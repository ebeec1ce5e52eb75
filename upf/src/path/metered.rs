//! What few URRs measure besides volume: time without inactivity, downlink packets that are dropped, and what QERs
//! keep back (TS 29.244 §5.2.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::forward::{Context, count};
use super::{Besides, DropReason, Event, Pdr, Session};

const RELAXED: Ordering = Ordering::Relaxed;

/// No packet yet, or no threshold.
const NEVER: u64 = u64::MAX;

/// Packets and octets.
pub(crate) type Dropped = [u64; 2];

/// The measurements of one URR. Counts only grow while the rule lives.
#[derive(Debug)]
pub(crate) struct Metered {
    /// Without packets for so long time rests.
    idle_after_ns: AtomicU64,
    /// When the last packet passed, ns of the workers' clock.
    last_ns: AtomicU64,
    /// Time up to the last packet.
    time_ns: AtomicU64,
    dropped: [AtomicU64; 2],
    /// Counts at which the PFCP core wants to know.
    dropped_limits: [AtomicU64; 2],
    /// Whether what QERs keep back is counted, too.
    before_qos: AtomicBool,
}

impl Default for Metered {
    fn default() -> Self {
        Self {
            idle_after_ns: AtomicU64::new(NEVER),
            last_ns: AtomicU64::new(NEVER),
            time_ns: AtomicU64::new(0),
            dropped: Default::default(),
            dropped_limits: [AtomicU64::new(NEVER), AtomicU64::new(NEVER)],
            before_qos: AtomicBool::new(false),
        }
    }
}

impl Metered {
    /// A packet passes, or time begins.
    pub(crate) fn pass(&self, now_ns: u64) {
        let last = self.last_ns.swap(now_ns, RELAXED);
        let gap = if last == NEVER { 0 } else { now_ns.saturating_sub(last) };
        self.time_ns.fetch_add(gap.min(self.idle_after_ns.load(RELAXED)), RELAXED);
    }

    /// The time that was measured until now.
    pub(crate) fn time_ns(&self, now_ns: u64) -> u64 {
        let last = self.last_ns.load(RELAXED);
        let gap = if last == NEVER { 0 } else { now_ns.saturating_sub(last) };
        self.time_ns.load(RELAXED).saturating_add(gap.min(self.idle_after_ns.load(RELAXED)))
    }

    /// Whether time rests until the next packet.
    pub(crate) fn rests(&self, now_ns: u64) -> bool {
        let last = self.last_ns.load(RELAXED);
        last == NEVER || now_ns.saturating_sub(last) >= self.idle_after_ns.load(RELAXED)
    }

    /// Time rests without packets for so long from now on; `None` if it never does.
    pub(crate) fn set_idle_after(&self, idle_after_ns: Option<u64>, now_ns: u64) {
        let idle_after_ns = idle_after_ns.unwrap_or(NEVER);
        if self.idle_after_ns.load(RELAXED) == idle_after_ns {
            return;
        }
        if idle_after_ns == NEVER || self.last_ns.load(RELAXED) != NEVER {
            self.pass(now_ns);
        }
        self.idle_after_ns.store(idle_after_ns, RELAXED);
    }

    /// Whether what QERs keep back is counted from now on.
    pub(crate) fn set_before_qos(&self, is_before: bool) {
        self.before_qos.store(is_before, RELAXED);
    }

    /// Downlink packets that were dropped until now.
    pub(crate) fn dropped(&self) -> Dropped {
        self.dropped.each_ref().map(|count| count.load(RELAXED))
    }

    /// The core wants to know when one of these counts is reached.
    pub(crate) fn await_dropped(&self, limits: Option<Dropped>) {
        let limits = limits.unwrap_or([NEVER; 2]);
        self.dropped_limits.iter().zip(limits).for_each(|(limit, new)| limit.store(new, RELAXED));
    }

    /// Counts a packet that is dropped; true for the one caller that has to tell that a limit is reached.
    fn count_dropped(&self, octets: usize) -> bool {
        let mut tells = false;
        for ((count, limit), more) in self.dropped.iter().zip(&self.dropped_limits).zip([1, octets as u64]) {
            let count = count.fetch_add(more, RELAXED).saturating_add(more);
            tells |= count >= limit.load(RELAXED) && limit.swap(NEVER, RELAXED) != NEVER;
        }
        tells
    }

    /// It could not be told: the next packet tries again.
    fn tell_again(&self) {
        self.await_dropped(Some([0; 2]));
    }
}

impl Besides {
    /// What is measured of a rule's packets, by its places among the session's usages.
    pub(super) fn metered<'a>(&'a self, rule: &'a Pdr) -> impl Iterator<Item = &'a (u8, Arc<Metered>)> {
        self.metered.iter().filter(|(place, _)| rule.usages.as_slice().contains(place))
    }
}

/// A packet of this rule is dropped.
#[cold]
pub(super) fn drop(
    context: &Context<'_>,
    session: &Session,
    rule: &Pdr,
    (uplink, octets): (bool, usize),
    reason: DropReason,
) {
    let Some(besides) = session.besides() else { return };
    let by_qos = matches!(reason, DropReason::GateClosed | DropReason::RateExceeded);
    for (place, metered) in besides.metered(rule) {
        let Some(measured) = session.usages.get(usize::from(*place)) else { continue };
        if by_qos && metered.before_qos.load(RELAXED) {
            count(context, session, measured, uplink, octets);
        }
        if !uplink && metered.count_dropped(octets) {
            let event = Event::TrafficDropped { seid: session.seid, urr_id: measured.urr_id };
            if !(context.events)(event) {
                metered.tell_again();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_packets_come_seldom_then_time_rests_between_them() {
        let metered = Metered::default();
        metered.set_idle_after(Some(10), 100);
        assert!(metered.rests(100));
        assert_eq!(metered.time_ns(200), 0);
        metered.pass(200);
        assert_eq!((metered.rests(209), metered.time_ns(209)), (false, 9));
        assert_eq!((metered.rests(210), metered.time_ns(500)), (true, 10));
        metered.pass(500);
        assert_eq!(metered.time_ns(503), 13);
        // Without an end of patience nothing rests, from then on.
        metered.set_idle_after(None, 600);
        assert_eq!((metered.rests(9_000), metered.time_ns(9_000)), (false, 20 + 8_400));
    }

    #[test]
    fn when_enough_is_dropped_then_one_packet_tells_it() {
        let metered = Metered::default();
        metered.await_dropped(Some([2, NEVER]));
        let tells: Vec<bool> = (0..4).map(|_| metered.count_dropped(100)).collect();
        assert_eq!(tells, [false, true, false, false]);
        metered.tell_again();
        assert!(metered.count_dropped(1));
        metered.await_dropped(Some([NEVER, 500]));
        assert_eq!((metered.count_dropped(98), metered.count_dropped(1)), (false, true));
        assert_eq!(metered.dropped(), [7, 500]);
    }
}
