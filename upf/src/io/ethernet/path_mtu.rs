//! How long packets to our peers may be: what "packet too big" says of ways that are narrower than our link (RFC
//! 8201). A router fragments packets of IPv4, but none of IPv6.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::ipv6::MTU_MIN;

/// Peers whose ways are remembered.
const PATHS_MAX: usize = 1_024;
/// How long a way is believed to be narrow (RFC 8201 §4: ten minutes).
const LIFETIME: Duration = Duration::from_secs(600);

/// Ways of one link, for all workers.
#[derive(Debug, Default)]
pub(super) struct PathMtus {
    /// Who looks for none takes no lock.
    any: AtomicBool,
    known: Mutex<HashMap<Ipv6Addr, (usize, Instant)>>,
}

impl PathMtus {
    /// Octets of the longest packet to a peer, if something is known, and it matters for one of `length`.
    #[inline]
    pub(super) fn of(&self, now: Instant, peer: Ipv6Addr, length: usize) -> Option<usize> {
        // Every way takes so many.
        if length <= MTU_MIN || !self.any.load(Ordering::Relaxed) {
            return None;
        }
        self.lock().get(&peer).filter(|(_, until)| now < *until).map(|(mtu, _)| *mtu)
    }

    /// A way is no wider than this. No more is remembered than there is room for.
    pub(super) fn learn(&self, now: Instant, peer: Ipv6Addr, mtu: usize) {
        let mut known = self.lock();
        if known.len() >= PATHS_MAX && !known.contains_key(&peer) {
            known.retain(|_, (_, until)| now < *until);
        }
        if known.len() < PATHS_MAX || known.contains_key(&peer) {
            // Less than what every link takes is none of its business (RFC 8201 §4).
            known.insert(peer, (mtu.max(MTU_MIN), now + LIFETIME));
            self.any.store(true, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Ipv6Addr, (usize, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u32) -> Ipv6Addr {
        Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(number))
    }

    #[test]
    fn when_a_way_is_narrow_then_it_is_for_ten_minutes_and_never_below_the_least() {
        let (now, paths) = (Instant::now(), PathMtus::default());
        assert_eq!(paths.of(now, peer(1), 1_500), None);
        paths.learn(now, peer(1), 1_400);
        paths.learn(now, peer(2), 68);
        assert_eq!(paths.of(now, peer(1), 1_500), Some(1_400));
        assert_eq!(paths.of(now, peer(2), 1_281), Some(MTU_MIN));
        assert_eq!((paths.of(now, peer(2), 1_280), paths.of(now, peer(3), 1_500)), (None, None));
        assert_eq!(paths.of(now + LIFETIME, peer(1), 1_500), None);
    }

    #[test]
    fn when_more_ways_are_told_of_than_there_is_room_for_then_the_known_ones_stay() {
        let (now, paths) = (Instant::now(), PathMtus::default());
        (0..2 * PATHS_MAX as u32).for_each(|number| paths.learn(now, peer(number), 1_300));
        assert_eq!(paths.lock().len(), PATHS_MAX);
        assert_eq!(paths.of(now, peer(0), 1_500), Some(1_300));
        paths.learn(now + LIFETIME, peer(5_000), 1_350);
        assert_eq!(paths.lock().len(), 1);
    }
}
