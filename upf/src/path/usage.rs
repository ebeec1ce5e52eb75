//! Usage counting: what the workers count, and when they call.

use std::sync::OnceLock;
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
    /// There from the first threshold or quota on, which most never have.
    ends: OnceLock<Box<Ends>>,
}

/// When a measurement ends.
#[derive(Debug)]
struct Ends {
    has_quota: AtomicBool,
    has_threshold: AtomicBool,
    threshold: AtomicLimits,
    quota: AtomicLimits,
}

impl Default for Ends {
    fn default() -> Self {
        Self {
            has_quota: AtomicBool::new(false),
            has_threshold: AtomicBool::new(false),
            threshold: AtomicLimits::never(),
            quota: AtomicLimits::never(),
        }
    }
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
            ends: OnceLock::new(),
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
        if let Some(ends) = self.ends_for(limits) {
            ends.threshold.set(limits);
            ends.has_threshold.store(limits != Limits::NEVER, RELAXED);
        }
    }

    pub(crate) fn set_quota(&self, limits: Limits) {
        if let Some(ends) = self.ends_for(limits) {
            ends.quota.set(limits);
            ends.has_quota.store(limits != Limits::NEVER, RELAXED);
        }
    }

    /// Where these limits go, unless there is nothing to say.
    fn ends_for(&self, limits: Limits) -> Option<&Ends> {
        match limits {
            Limits::NEVER => self.ends.get().map(Box::as_ref),
            _ => Some(self.ends.get_or_init(Box::default)),
        }
    }

    /// Asks for what counting needs.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch(&self.uplink);
    }

    /// Whether the quota is used up, so that no packet passes.
    #[inline]
    pub(crate) fn is_exhausted(&self) -> bool {
        let Some(ends) = self.ends.get() else { return false };
        ends.has_quota.load(RELAXED) && ends.quota.reached(&self.counts())
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
        let Some(ends) = self.ends.get() else { return (false, false) };
        let (threshold, quota) = (ends.has_threshold.load(RELAXED), ends.has_quota.load(RELAXED));
        if !threshold && !quota {
            return (false, false);
        }
        let counts = self.counts();
        (threshold && ends.threshold.reached(&counts), quota && ends.quota.reached(&counts))
    }

    /// After a threshold was told, it is not told again until the core sets the next one.
    pub(crate) fn silence(&self) {
        self.set_threshold(Limits::NEVER);
    }
}
