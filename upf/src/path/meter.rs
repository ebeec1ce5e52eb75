//! QoS enforcement: gates and maximum bit rates.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far ahead of its rate a flow may run: bursts of this length pass.
const BURST_NS: u64 = 100_000_000;

/// What a burst may always hold, so that slow rates let a full packet pass.
const BURST_OCTETS_MIN: u64 = 3_000;

/// A token bucket in the form of a theoretical arrival time, shared by the workers.
#[derive(Debug)]
pub(crate) struct Meter {
    kbps: u64,
    /// When the packets so far would have been sent at the rate, ns.
    arrival_ns: AtomicU64,
}

impl Meter {
    pub(crate) fn new(kbps: u64) -> Self {
        Self { kbps, arrival_ns: AtomicU64::new(0) }
    }

    pub(crate) fn kbps(&self) -> u64 {
        self.kbps
    }

    fn cost_ns(&self, octets: usize) -> u64 {
        // Kilobits are 1000 bits: octets * 8 bits / (kbps * 1000 bit/s) in ns.
        (octets as u64).saturating_mul(8_000_000) / self.kbps
    }

    /// Takes the packet into account if it conforms.
    #[inline]
    pub(crate) fn take(&self, octets: usize, now_ns: u64) -> bool {
        if self.kbps == 0 {
            return false;
        }
        let cost = self.cost_ns(octets);
        let burst = BURST_NS.max(self.cost_ns(BURST_OCTETS_MIN as usize));
        self.arrival_ns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |arrival| {
                let next = arrival.max(now_ns).saturating_add(cost);
                (next <= now_ns.saturating_add(burst)).then_some(next)
            })
            .is_ok()
    }

    /// Gives back what was taken for a packet that another meter refused.
    fn give_back(&self, octets: usize) {
        if self.kbps != 0 {
            let cost = self.cost_ns(octets);
            let back = |arrival: u64| Some(arrival.saturating_sub(cost));
            let _ = self.arrival_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, back);
        }
    }
}

/// One QER. Its meters outlive changes of other rules, and of itself if the rate stays.
#[derive(Clone, Debug)]
pub(crate) struct Qer {
    pub(crate) uplink_open: bool,
    pub(crate) downlink_open: bool,
    pub(crate) uplink: Option<Arc<Meter>>,
    pub(crate) downlink: Option<Arc<Meter>>,
    pub(crate) qfi: Option<u8>,
    pub(crate) rqi: bool,
    pub(crate) ppi: Option<u8>,
}

impl Qer {
    fn meter(&self, uplink: bool) -> Option<&Meter> {
        if uplink { self.uplink.as_deref() } else { self.downlink.as_deref() }
    }

    pub(crate) fn is_open(&self, uplink: bool) -> bool {
        if uplink { self.uplink_open } else { self.downlink_open }
    }
}

/// Whether the packet conforms to the rates of all QERs; a refused one uses up none of them.
#[inline]
pub(crate) fn conforms(qers: &[Arc<Qer>], uplink: bool, octets: usize, now_ns: u64) -> bool {
    for (index, qer) in qers.iter().enumerate() {
        if qer.meter(uplink).is_some_and(|meter| !meter.take(octets, now_ns)) {
            for taken in &qers[..index] {
                if let Some(meter) = taken.meter(uplink) {
                    meter.give_back(octets);
                }
            }
            return false;
        }
    }
    true
}
