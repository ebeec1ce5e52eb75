//! When spinning before sleep pays.

use std::time::{Duration, Instant};

/// One spin lasts at most this long: about what a wake-up on another processor costs.
const SPIN_MAX: Duration = Duration::from_micros(20);
/// Of all time, one part in this many may be spent spinning without result.
const SHARE: u32 = 20;
/// Unspent time that is saved up.
const SAVED_MAX: Duration = Duration::from_millis(2);
/// Of the last spins, weighted by age, this many of 256 must have paid.
const PAID_MIN: u32 = 96;
/// Where nothing paid lately, one spin in this many is tried all the same.
const TRIAL: u32 = 64;

/// The account of a stack's spins.
#[derive(Debug)]
pub(crate) struct Spin {
    saved: Duration,
    counted_from: Option<Instant>,
    /// Share of spins that paid, of 256.
    paid: u32,
    refused: u32,
}

impl Default for Spin {
    fn default() -> Self {
        Self { saved: Duration::ZERO, counted_from: None, paid: 128, refused: 0 }
    }
}

impl Spin {
    /// How long a spin may last now; `None` for not at all.
    pub(crate) fn allowance(&mut self, now: Instant) -> Option<Duration> {
        let since = self.counted_from.map_or(Duration::ZERO, |from| now.saturating_duration_since(from));
        self.counted_from = Some(now);
        self.saved = (self.saved + since / SHARE).min(SAVED_MAX);
        if self.saved < SPIN_MAX {
            return None;
        }
        if self.paid < PAID_MIN {
            self.refused += 1;
            if !self.refused.is_multiple_of(TRIAL) {
                return None;
            }
        }
        Some(SPIN_MAX)
    }

    /// A spin is over.
    pub(crate) fn spent(&mut self, time: Duration, paid: bool) {
        self.saved = self.saved.saturating_sub(time);
        self.paid = (self.paid * 7 + if paid { 256 } else { 0 }) / 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_share_is_spent() {
        let mut spin = Spin::default();
        let mut now = Instant::now();
        let mut spent = Duration::ZERO;
        for _ in 0..100_000 {
            now += Duration::from_micros(10);
            if let Some(budget) = spin.allowance(now) {
                spent += budget;
                spin.spent(budget, true);
            }
        }
        assert!(spent <= Duration::from_secs(1) / SHARE + SAVED_MAX, "{spent:?}");
        assert!(spent >= Duration::from_secs(1) / SHARE / 2, "{spent:?}");
    }

    #[test]
    fn what_never_pays_is_tried_seldom() {
        let mut spin = Spin::default();
        let mut now = Instant::now();
        let mut spins = 0;
        for _ in 0..10_000 {
            now += Duration::from_millis(1);
            if let Some(budget) = spin.allowance(now) {
                spins += 1;
                spin.spent(budget, false);
            }
        }
        assert!(spins < 10_000 / TRIAL as usize + 10, "{spins}");
    }
}
