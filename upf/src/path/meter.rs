//! QoS enforcement: gates, maximum and guaranteed bit rates.
//!
//! What is metered, in both directions, are the octets of the user's IP packet with its header: neither GTP-U
//! nor what carries it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tern_gtpu::PduSessionContainer;

use super::{Account, Places, QosFlow};

/// The meters' unit of time: at high rates a small packet takes only a few nanoseconds.
const TICKS_PER_NS: u64 = 64;

/// How far ahead of its rate a flow may run: bursts of this length pass. A TCP sender with a short round trip
/// fills any bucket at once, loses the rest, and is silent until its retransmission timer ends, 200 ms at the
/// least with Linux. What the rate brings meanwhile must have room, or it is lost: with a bucket of 100 ms such a
/// sender got half of its rate.
const BURST_TICKS: u64 = 250_000_000 * TICKS_PER_NS;

/// What a burst may always hold, so that slow rates let a full packet pass.
const BURST_OCTETS_MIN: u64 = 3_000;

/// Bits behind the point of a meter's ticks for one octet.
const FRACTION_BITS: u32 = 16;

/// A token bucket in the form of a theoretical arrival time, shared by the workers.
#[derive(Debug)]
pub(crate) struct Meter {
    kbps: u64,
    /// What an octet takes at the rate: ticks, with [`FRACTION_BITS`]. 0 at no rate at all.
    ticks_per_octet: u64,
    /// When the packets so far would have been sent at the rate, in ticks.
    arrival: AtomicU64,
}

impl Meter {
    pub(crate) fn new(kbps: u64) -> Self {
        Self::with(kbps, 0)
    }

    fn with(kbps: u64, arrival: u64) -> Self {
        // A kilobit is 1000 bits, so an octet takes 8,000,000 / kbps ns.
        let ticks_per_octet = ((8_000_000 * TICKS_PER_NS) << FRACTION_BITS).checked_div(kbps);
        Self { kbps, ticks_per_octet: ticks_per_octet.unwrap_or(0), arrival: AtomicU64::new(arrival) }
    }

    /// Kilobits a second.
    pub(crate) fn kbps(&self) -> u64 {
        self.kbps
    }

    /// A meter of this rate: as this one is, if the rate is the same.
    pub(crate) fn at(&self, kbps: u64) -> Self {
        let arrival = if kbps == self.kbps { self.arrival.load(Ordering::Relaxed) } else { 0 };
        Self::with(kbps, arrival)
    }

    fn ticks(&self, octets: u64) -> u64 {
        octets.saturating_mul(self.ticks_per_octet) >> FRACTION_BITS
    }

    /// Takes the packet into account if it conforms; `alone` if no other thread asks this meter.
    #[inline]
    pub(crate) fn take(&self, octets: usize, now_ns: u64, alone: bool) -> bool {
        if self.kbps == 0 {
            return false;
        }
        let now = now_ns.saturating_mul(TICKS_PER_NS);
        let cost = self.ticks(octets as u64);
        let latest = now.saturating_add(BURST_TICKS.max(self.ticks(BURST_OCTETS_MIN)));
        let after = |arrival: u64| {
            let next = arrival.max(now).saturating_add(cost);
            (next <= latest).then_some(next)
        };
        if !alone {
            return self.arrival.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after).is_ok();
        }
        let next = after(self.arrival.load(Ordering::Relaxed));
        if let Some(next) = next {
            self.arrival.store(next, Ordering::Relaxed);
        }
        next.is_some()
    }

    /// Gives back what was taken for a packet that another meter refused.
    #[cold]
    fn give_back(&self, octets: usize) {
        let cost = self.ticks(octets as u64);
        let back = |arrival: u64| Some(arrival.saturating_sub(cost));
        let _ = self.arrival.fetch_update(Ordering::Relaxed, Ordering::Relaxed, back);
    }
}

/// The guaranteed bit rates of a QER.
#[derive(Debug)]
pub(crate) struct Guarantee {
    uplink: Meter,
    downlink: Meter,
    /// When a packet last began to wait in the backlog of a worker, uplink and downlink.
    queued_ns: [AtomicU64; 2],
}

impl Guarantee {
    pub(crate) fn new(uplink_kbps: u64, downlink_kbps: u64) -> Self {
        let (uplink, downlink) = (Meter::new(uplink_kbps), Meter::new(downlink_kbps));
        Self { uplink, downlink, queued_ns: Default::default() }
    }

    /// Uplink and downlink.
    pub(crate) fn kbps(&self) -> (u64, u64) {
        (self.uplink.kbps, self.downlink.kbps)
    }

    /// A guarantee of these rates for the same flow; where a rate stays, what has passed counts on.
    pub(crate) fn at(&self, uplink_kbps: u64, downlink_kbps: u64) -> Self {
        let queued_ns = [true, false].map(|uplink| self.queued_ns(uplink).into());
        let (uplink, downlink) = (self.uplink.at(uplink_kbps), self.downlink.at(downlink_kbps));
        Self { uplink, downlink, queued_ns }
    }

    /// Whether the packet is within the guaranteed rate, which it then uses up.
    pub(crate) fn take(&self, uplink: bool, octets: usize, now_ns: u64, alone: bool) -> bool {
        let meter = if uplink { &self.uplink } else { &self.downlink };
        meter.take(octets, now_ns, alone)
    }

    /// When a packet of this direction last began to wait.
    pub(crate) fn queued_ns(&self, uplink: bool) -> u64 {
        self.queued_ns[usize::from(!uplink)].load(Ordering::Relaxed)
    }

    /// A packet of this direction begins to wait.
    pub(crate) fn queue(&self, uplink: bool, now_ns: u64) {
        self.queued_ns[usize::from(!uplink)].store(now_ns, Ordering::Relaxed);
    }
}

/// One QER. Its meters outlive changes of other rules, and of itself if the rates stay.
#[derive(Clone, Debug)]
pub(crate) struct Qer {
    pub(crate) id: u32,
    pub(crate) uplink_open: bool,
    pub(crate) downlink_open: bool,
    pub(crate) qfi: Option<u8>,
    pub(crate) rqi: bool,
    pub(crate) ppi: Option<u8>,
    /// DSCP that the configuration has for the QFI.
    pub(crate) dscp: Option<u8>,
    /// Where its rates are metered, if they are limited.
    pub(crate) meters: Option<Arc<Account>>,
    /// Of a GBR flow.
    pub(crate) guaranteed: Option<Arc<Guarantee>>,
}

impl Qer {
    fn meter(&self, uplink: bool) -> Option<&Meter> {
        Some(self.meters.as_deref()?.meter(uplink))
    }

    /// How its packets are marked, if it says of which QoS flow they are.
    pub(crate) fn flow(&self) -> Option<QosFlow> {
        let Self { rqi, ppi, dscp, .. } = *self;
        let container = |qfi| PduSessionContainer { uplink: false, qfi, rqi, ppi };
        self.qfi.map(|qfi| QosFlow { container: container(qfi), dscp })
    }

    pub(crate) fn is_open(&self, uplink: bool) -> bool {
        if uplink { self.uplink_open } else { self.downlink_open }
    }
}

/// Whether the packet conforms to the rates of all these QERs; a refused one uses up none of them.
#[inline(always)]
pub(crate) fn conforms(
    (places, qers): (&Places, &[Qer]),
    uplink: bool,
    octets: usize,
    now_ns: u64,
    alone: bool,
) -> bool {
    let mut taken = 0;
    let refusing = places.find(qers, |qer| {
        let takes = qer.meter(uplink).is_none_or(|meter| meter.take(octets, now_ns, alone));
        taken += usize::from(takes);
        !takes
    });
    if refusing.is_some() {
        let taken = places.of(qers).take(taken).filter_map(|qer| qer.meter(uplink));
        taken.for_each(|meter| meter.give_back(octets));
    }
    refusing.is_none()
}
