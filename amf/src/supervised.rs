//! Timers of the network side and the messages they supervise: TS 24.501 Table 10.2.2.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_types::{Duration, Instant, Timer};

/// REGISTRATION ACCEPT awaits REGISTRATION COMPLETE; the fifth expiry aborts.
pub const T3550: Timer = Timer { duration: Duration::from_secs(6), expiries_max: 5 };
/// AUTHENTICATION REQUEST and SECURITY MODE COMMAND await their answers.
pub const T3560: Timer = Timer { duration: Duration::from_secs(6), expiries_max: 5 };
/// IDENTITY REQUEST awaits IDENTITY RESPONSE.
pub const T3570: Timer = Timer { duration: Duration::from_secs(6), expiries_max: 5 };
/// CONFIGURATION UPDATE COMMAND awaits CONFIGURATION UPDATE COMPLETE.
pub const T3555: Timer = Timer { duration: Duration::from_secs(6), expiries_max: 5 };
/// DEREGISTRATION REQUEST of the network awaits DEREGISTRATION ACCEPT.
pub const T3522: Timer = Timer { duration: Duration::from_secs(6), expiries_max: 5 };

/// Which security header a message leaves with (TS 24.501 §9.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protection {
    /// Integrity protected and ciphered once NAS security is on, plain before.
    Current,
    /// Integrity protected with a new security context: SECURITY MODE COMMAND alone.
    NewContext,
}

/// A message awaiting its answer. Leaving the step drops it, so no expiry is stale.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Supervised {
    timer: Timer,
    /// The plain message; each transmission protects it anew.
    pub message: Bytes,
    /// How it is protected.
    pub protection: Protection,
    deadline: Instant,
    expiries: u8,
}

/// What an expiry asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// The deadline has not come.
    NotYet,
    /// Send the message again.
    Retransmit,
    /// Give the procedure up.
    Abort,
}

impl Supervised {
    /// Starts the timer for a message sent now.
    pub fn new(now: Instant, timer: Timer, message: Bytes, protection: Protection) -> Self {
        Self { timer, message, protection, deadline: now + timer.duration, expiries: 0 }
    }

    /// When the timer expires next.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Starts the timer again without counting an expiry.
    pub fn restart(&mut self, now: Instant) {
        self.deadline = now + self.timer.duration;
    }

    /// Looks at the time; a retransmission restarts the timer.
    pub fn expire(&mut self, now: Instant) -> Expiry {
        if now < self.deadline {
            return Expiry::NotYet;
        }
        self.expiries += 1;
        if self.expiries >= self.timer.expiries_max {
            return Expiry::Abort;
        }
        self.restart(now);
        Expiry::Retransmit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_no_answer_comes_then_four_retransmissions_and_the_fifth_expiry_aborts() {
        let start = Instant::from_micros(0);
        let mut sent = Supervised::new(start, T3560, Bytes::new(), Protection::Current);
        for expiry in 1..=5u64 {
            let at = start + T3560.duration * u32::try_from(expiry).unwrap();
            assert_eq!(sent.expire(at - Duration::from_micros(1)), Expiry::NotYet);
            let wanted = if expiry < 5 { Expiry::Retransmit } else { Expiry::Abort };
            assert_eq!(sent.expire(at), wanted);
        }
    }
}
