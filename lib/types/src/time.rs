//! The cores' own clock and the timers of the specifications.

use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

pub use std::time::Duration;

/// A point in time: microseconds since the Unix epoch, monotonic, virtual in simulation.
///
/// Serialises as that number, so that a deadline outlives its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Instant(u64);

impl Instant {
    /// Microseconds since the Unix epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Time passed since `earlier`; zero if it lies in the future.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(micros))
    }
}

/// A timer of a specification's table: how long it runs, and how many expiries end the procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// From start to expiry.
    pub duration: Duration,
    /// The expiry with this number aborts the procedure; those before it retransmit.
    pub expiries_max: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_add_and_subtract_without_overflow() {
        let now = Instant::from_micros(5);
        assert_eq!((now + Duration::from_micros(7)).as_micros(), 12);
        assert_eq!((now - Duration::from_secs(1)).as_micros(), 0);
        assert_eq!((now + Duration::MAX).as_micros(), u64::MAX);
        assert_eq!(now.since(now + Duration::from_secs(1)), Duration::ZERO);
    }
}
