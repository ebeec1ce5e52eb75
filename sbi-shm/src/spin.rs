//! When spinning before sleep pays.

use std::time::{Duration, Instant};

/// One spin lasts at most this long: about what a wake-up on another processor costs.
const SPIN_MAX: Duration = Duration::from_micros(20);
/// Of all time, one part in this many may be spent spinning beyond what sleeping would have cost.
const SHARE: u32 = 20;
/// What a sleep and its wake-up take of both processors: a spin that pays saves it. Two ends that
/// block on two processors spend 10 µs a round trip, which is two of them (`make bench-sbi`).
const SLEEP_COST: Duration = Duration::from_micros(4);
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
    /// Spins until there is input, for a while, if it may: whether there was; `None` if it may not.
    pub(crate) fn until(&mut self, mut has_input: impl FnMut() -> bool) -> Option<bool> {
        let started = Instant::now();
        let budget = self.allowance(started)?;
        let mut paid = false;
        while !paid && started.elapsed() < budget {
            std::hint::spin_loop();
            paid = has_input();
        }
        self.spent(started.elapsed(), paid);
        Some(paid)
    }

    /// How long a spin may last now; `None` for not at all.
    fn allowance(&mut self, now: Instant) -> Option<Duration> {
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
    fn spent(&mut self, time: Duration, paid: bool) {
        let beyond_sleep = if paid { time.saturating_sub(SLEEP_COST) } else { time };
        self.saved = self.saved.saturating_sub(beyond_sleep);
        self.paid = (self.paid * 7 + if paid { 256 } else { 0 }) / 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is spent of a second if each spin lasts so long and pays.
    fn spent_in_a_second(each: Duration) -> Duration {
        let mut spin = Spin::default();
        let mut now = Instant::now();
        let end = now + Duration::from_secs(1);
        let mut spent = Duration::ZERO;
        while now < end {
            now += Duration::from_micros(10);
            if spin.allowance(now).is_some() {
                now += each;
                spent += each;
                spin.spent(each, true);
            }
        }
        spent
    }

    #[test]
    fn no_more_than_the_share_is_spent_beyond_what_sleeping_costs() {
        let spent = spent_in_a_second(SPIN_MAX).mul_f64(1.0 - SLEEP_COST.div_duration_f64(SPIN_MAX));
        assert!(spent <= Duration::from_secs(1) / SHARE + SAVED_MAX, "{spent:?}");
        assert!(spent >= Duration::from_secs(1) / SHARE / 2, "{spent:?}");
    }

    #[test]
    fn what_pays_at_once_is_always_tried() {
        let spent = spent_in_a_second(SLEEP_COST);
        assert!(spent > Duration::from_millis(270), "{spent:?} of 4 µs in each 14");
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
