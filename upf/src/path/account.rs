//! What packets are metered and counted in: what the workers count, and when they call.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use pdr_classifier::prefetch;

use super::Meter;
use super::session::{CACHE_LINE, COUNTS};

const RELAXED: Ordering = Ordering::Relaxed;

/// A threshold.
pub(crate) const THRESHOLD: u8 = 1;
/// A quota.
pub(crate) const QUOTA: u8 = 1 << 1;
/// The next packet.
pub(crate) const START: u8 = 1 << 2;

/// The maximum bit rates of one QER and the volume of one URR, or of one of them. A packet mostly needs both: so they
/// are side by side, and what a direction needs is one line of memory.
///
/// Counts only grow while the URR lives; reports are differences that the core takes.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Account {
    uplink: Way,
    downlink: Way,
    /// There from the first threshold or quota on, which most never have.
    ends: OnceLock<Box<Ends>>,
}

/// One direction.
#[derive(Debug)]
struct Way {
    meter: Meter,
    octets: AtomicU64,
    packets: AtomicU64,
    /// Whether there are ends: who only wants to know that does not look there.
    has_ends: AtomicBool,
}

const _: () = assert!(
    COUNTS + size_of::<Way>() == CACHE_LINE && COUNTS + size_of::<Account>() == 2 * CACHE_LINE,
    "a direction needs a second line of memory"
);

/// What somebody waits for.
#[derive(Debug)]
struct Ends {
    /// Of [`THRESHOLD`], [`QUOTA`] and [`START`].
    awaited: AtomicU8,
    threshold: AtomicLimits,
    quota: AtomicLimits,
}

impl Default for Ends {
    fn default() -> Self {
        Self { awaited: AtomicU8::new(0), threshold: AtomicLimits::never(), quota: AtomicLimits::never() }
    }
}

impl Ends {
    fn set_awaited(&self, what: u8, is_awaited: bool) {
        if is_awaited {
            self.awaited.fetch_or(what, RELAXED);
        } else {
            self.awaited.fetch_and(!what, RELAXED);
        }
    }

    fn reached(&self, counts: impl FnOnce() -> Counts) -> u8 {
        let awaited = self.awaited.load(RELAXED);
        if awaited == 0 {
            return 0;
        }
        let counts = counts();
        let is = |what: u8, limits: &AtomicLimits| {
            if awaited & what != 0 && limits.reached(&counts) { what } else { 0 }
        };
        awaited & START | is(THRESHOLD, &self.threshold) | is(QUOTA, &self.quota)
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
    /// Reached at once.
    pub(crate) const NONE: Self = Self { total: 0, uplink: 0, downlink: 0 };
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

impl Way {
    fn new(kbps: u64) -> Self {
        Self::with(Meter::new(kbps))
    }

    fn with(meter: Meter) -> Self {
        let zero = || AtomicU64::new(0);
        Self { meter, octets: zero(), packets: zero(), has_ends: AtomicBool::new(false) }
    }
}

impl Default for Account {
    /// Of no QER.
    fn default() -> Self {
        Self::metering(0, 0)
    }
}

impl Account {
    /// Of a QER with these rates.
    pub(crate) fn metering(uplink_kbps: u64, downlink_kbps: u64) -> Self {
        Self { uplink: Way::new(uplink_kbps), downlink: Way::new(downlink_kbps), ends: OnceLock::new() }
    }

    /// Of the same QER with these rates; where a rate stays, what has passed counts on.
    pub(crate) fn metering_on(&self, uplink_kbps: u64, downlink_kbps: u64) -> Self {
        let [uplink, downlink] = [(&self.uplink, uplink_kbps), (&self.downlink, downlink_kbps)]
            .map(|(way, kbps)| Way::with(way.meter.at(kbps)));
        Self { uplink, downlink, ends: OnceLock::new() }
    }

    /// The QER's rates, uplink and downlink.
    pub(crate) fn kbps(&self) -> (u64, u64) {
        (self.uplink.meter.kbps(), self.downlink.meter.kbps())
    }

    /// The QER's meter of this direction.
    #[inline]
    pub(crate) fn meter(&self, uplink: bool) -> &Meter {
        &self.way(uplink).meter
    }

    #[inline]
    fn way(&self, uplink: bool) -> &Way {
        if uplink { &self.uplink } else { &self.downlink }
    }

    /// What was counted so far.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            uplink: self.uplink.octets.load(RELAXED),
            downlink: self.downlink.octets.load(RELAXED),
            uplink_packets: self.uplink.packets.load(RELAXED),
            downlink_packets: self.downlink.packets.load(RELAXED),
        }
    }

    pub(crate) fn set_threshold(&self, limits: Limits) {
        if let Some(ends) = self.ends_for(limits != Limits::NEVER) {
            ends.threshold.set(limits);
            ends.set_awaited(THRESHOLD, limits != Limits::NEVER);
        }
    }

    pub(crate) fn set_quota(&self, limits: Limits) {
        if let Some(ends) = self.ends_for(limits != Limits::NEVER) {
            ends.quota.set(limits);
            ends.set_awaited(QUOTA, limits != Limits::NEVER);
        }
    }

    /// Whether the next packet is to be told.
    pub(crate) fn set_start(&self, is_awaited: bool) {
        if let Some(ends) = self.ends_for(is_awaited) {
            ends.set_awaited(START, is_awaited);
        }
    }

    /// True for the one caller that has to tell that a packet came.
    pub(crate) fn must_tell_start(&self) -> bool {
        self.ends.get().is_some_and(|ends| ends.awaited.fetch_and(!START, RELAXED) & START != 0)
    }

    /// Where it is kept what somebody waits for, unless nobody does and never did.
    fn ends_for(&self, is_awaited: bool) -> Option<&Ends> {
        if !is_awaited {
            return self.ends.get().map(Box::as_ref);
        }
        let ends = self.ends.get_or_init(Box::default);
        [&self.uplink, &self.downlink].iter().for_each(|way| way.has_ends.store(true, RELAXED));
        Some(ends)
    }

    /// Asks for what a packet of this direction needs.
    #[inline]
    pub(crate) fn prefetch(&self, uplink: bool) {
        prefetch(self.way(uplink));
    }

    /// Whether the quota is used up, so that no packet of this direction passes.
    #[inline]
    pub(crate) fn is_exhausted(&self, uplink: bool) -> bool {
        self.way(uplink).has_ends.load(RELAXED) && self.has_reached_quota()
    }

    #[inline(never)]
    fn has_reached_quota(&self) -> bool {
        let Some(ends) = self.ends.get() else { return false };
        ends.awaited.load(RELAXED) & QUOTA != 0 && ends.quota.reached(&self.counts())
    }

    /// Counts a packet; `alone` if no other thread does. Says what of [`THRESHOLD`], [`QUOTA`] and [`START`] is
    /// reached.
    #[inline]
    pub(crate) fn count(&self, uplink: bool, octets: usize, alone: bool) -> u8 {
        let way = self.way(uplink);
        if alone {
            way.octets.store(way.octets.load(RELAXED).wrapping_add(octets as u64), RELAXED);
            way.packets.store(way.packets.load(RELAXED).wrapping_add(1), RELAXED);
        } else {
            way.octets.fetch_add(octets as u64, RELAXED);
            way.packets.fetch_add(1, RELAXED);
        }
        if way.has_ends.load(RELAXED) { self.reached() } else { 0 }
    }

    #[inline(never)]
    fn reached(&self) -> u8 {
        self.ends.get().map_or(0, |ends| ends.reached(|| self.counts()))
    }

    /// After a threshold was told, it is not told again until the core sets the next one.
    pub(crate) fn silence(&self) {
        self.set_threshold(Limits::NEVER);
    }
}
