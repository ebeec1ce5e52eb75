//! Usage counting: what the workers count, and when they call.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pdr_classifier::prefetch;

const RELAXED: Ordering = Ordering::Relaxed;

/// Octets and packets of one URR, and the values at which the PFCP core wants to know.
/// Counts only grow while the rule lives; reports are differences that the core takes.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Usage {
    uplink: AtomicU64,
    downlink: AtomicU64,
    uplink_packets: AtomicU64,
    downlink_packets: AtomicU64,
    /// Whether there is a quota, and whether a threshold: without them nobody looks for their values, which
    /// are in another line of memory.
    has_quota: AtomicBool,
    has_threshold: AtomicBool,
    threshold: AtomicLimits,
    quota: AtomicLimits,
}

/// Counts at which something happens; `u64::MAX` is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) total: u64,
    pub(crate) uplink: u64,
    pub(crate) downlink: u64,
}

impl Limits {
    pub(crate) const NEVER: Self = Self { total: u64::MAX, uplink: u64::MAX, downlink: u64::MAX };
}

#[derive(Debug)]
struct AtomicLimits {
    total: AtomicU64,
    uplink: AtomicU64,
    downlink: AtomicU64,
}

impl AtomicLimits {
    fn never() -> Self {
        let never = || AtomicU64::new(u64::MAX);
        Self { total: never(), uplink: never(), downlink: never() }
    }

    fn set(&self, limits: Limits) {
        self.total.store(limits.total, RELAXED);
        self.uplink.store(limits.uplink, RELAXED);
        self.downlink.store(limits.downlink, RELAXED);
    }

    fn reached(&self, counts: &Counts) -> bool {
        counts.uplink >= self.uplink.load(RELAXED)
            || counts.downlink >= self.downlink.load(RELAXED)
            || counts.uplink.saturating_add(counts.downlink) >= self.total.load(RELAXED)
    }
}

/// A reading of the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) uplink: u64,
    pub(crate) downlink: u64,
    pub(crate) uplink_packets: u64,
    pub(crate) downlink_packets: u64,
}

impl Default for Usage {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            uplink: zero(),
            downlink: zero(),
            uplink_packets: zero(),
            downlink_packets: zero(),
            has_quota: AtomicBool::new(false),
            has_threshold: AtomicBool::new(false),
            threshold: AtomicLimits::never(),
            quota: AtomicLimits::never(),
        }
    }
}

impl Usage {
    /// What was counted so far.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            uplink: self.uplink.load(RELAXED),
            downlink: self.downlink.load(RELAXED),
            uplink_packets: self.uplink_packets.load(RELAXED),
            downlink_packets: self.downlink_packets.load(RELAXED),
        }
    }

    pub(crate) fn set_threshold(&self, limits: Limits) {
        self.threshold.set(limits);
        self.has_threshold.store(limits != Limits::NEVER, RELAXED);
    }

    pub(crate) fn set_quota(&self, limits: Limits) {
        self.quota.set(limits);
        self.has_quota.store(limits != Limits::NEVER, RELAXED);
    }

    /// Asks for what counting needs.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch(&self.uplink);
    }

    /// Whether the quota is used up, so that no packet passes.
    #[inline]
    pub(crate) fn is_exhausted(&self) -> bool {
        self.has_quota.load(RELAXED) && self.quota.reached(&self.counts())
    }

    /// Counts a packet; `alone` if no other thread does. Says whether the threshold, and whether the quota, is
    /// reached.
    #[inline]
    pub(crate) fn count(&self, uplink: bool, octets: usize, alone: bool) -> (bool, bool) {
        let (volume, packets) = if uplink {
            (&self.uplink, &self.uplink_packets)
        } else {
            (&self.downlink, &self.downlink_packets)
        };
        if alone {
            volume.store(volume.load(RELAXED).wrapping_add(octets as u64), RELAXED);
            packets.store(packets.load(RELAXED).wrapping_add(1), RELAXED);
        } else {
            volume.fetch_add(octets as u64, RELAXED);
            packets.fetch_add(1, RELAXED);
        }
        let (threshold, quota) = (self.has_threshold.load(RELAXED), self.has_quota.load(RELAXED));
        if !threshold && !quota {
            return (false, false);
        }
        let counts = self.counts();
        (threshold && self.threshold.reached(&counts), quota && self.quota.reached(&counts))
    }

    /// After a threshold was told, it is not told again until the core sets the next one.
    pub(crate) fn silence(&self) {
        self.set_threshold(Limits::NEVER);
    }
}
