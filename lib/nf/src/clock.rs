//! Time and randomness of a process or a simulation.

use std::sync::{Arc, Mutex, PoisonError};

use tern_types::{Duration, Instant, Random};

/// Where a simulation's time begins: 2026-01-01T00:00:00Z.
const SIMULATED_EPOCH_MICROS: u64 = 1_767_225_600_000_000;

/// Tells the time: tokio's clock, so that a paused one works, counted from the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: tokio::time::Instant,
    started_at: Instant,
}

impl Clock {
    /// Starts at the system's time and goes on monotonically.
    pub fn real() -> Self {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let micros = since_epoch.map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX));
        Self { started: tokio::time::Instant::now(), started_at: Instant::from_micros(micros) }
    }

    /// Starts at a fixed time.
    pub fn simulated() -> Self {
        let started_at = Instant::from_micros(SIMULATED_EPOCH_MICROS);
        Self { started: tokio::time::Instant::now(), started_at }
    }

    /// Now.
    pub fn now(&self) -> Instant {
        self.started_at + self.started.elapsed()
    }

    /// Waits until `deadline`; not at all if it lies in the past.
    pub async fn sleep_until(&self, deadline: Instant) {
        let wait = deadline.since(self.now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Waits for `duration`.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Gives generators: seeded by the operating system, or by the scenario.
#[derive(Debug, Clone)]
pub struct Entropy(Arc<Mutex<Random>>);

impl Entropy {
    /// Seeded by the operating system.
    pub fn real() -> std::io::Result<Self> {
        use std::io::Read as _;
        let mut seed = [0; 32];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
        Ok(Self::from_random(Random::from_seed(seed)))
    }

    /// Every generator given follows from `seed` and the order of asking.
    pub fn simulated(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self::from_random(Random::from_seed(bytes))
    }

    /// Every generator given follows from `random`.
    pub fn from_random(random: Random) -> Self {
        Self(Arc::new(Mutex::new(random)))
    }

    /// A generator of the caller's own.
    pub fn random(&self) -> Random {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fork()
    }

    /// A random UUID (version 4).
    pub fn uuid(&self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.random().array()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_moves_with_tokios() {
        let clock = Clock::simulated();
        let start = clock.now();
        clock.sleep_until(start + Duration::from_secs(3600)).await;
        assert_eq!(clock.now().since(start), Duration::from_secs(3600));
        clock.sleep_until(start).await;
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let draw = |seed| {
            let entropy = Entropy::simulated(seed);
            (entropy.random().u64(), entropy.uuid())
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
