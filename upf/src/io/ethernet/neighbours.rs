//! Who has an address on a link, and at which Ethernet address: what ARP (RFC 826) and neighbour discovery (RFC 4861)
//! have in common, with what RFC 1122 §2.3.2 asks of the users of the first.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use smoltcp::wire::EthernetAddress;

/// Neighbours of one link, of each version of IP.
const NEIGHBOURS_MAX: usize = 1_024;
/// Between two requests for one address (RFC 1122 §2.3.2.1: at most one a second; RFC 4861 §10: `RETRANS_TIMER`).
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Requests without an answer until an address is given up (RFC 4861 §10: `MAX_MULTICAST_SOLICIT`).
const REQUESTS_MAX: u32 = 3;
/// How long an answer is believed; then it is asked for again, while it is used.
const FRESH: Duration = Duration::from_secs(60);
/// How long an address that was given up is not asked for.
const GIVEN_UP: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Neighbour {
    mac: Option<EthernetAddress>,
    /// Requests since the last answer.
    asked: u32,
    /// When it is due to be asked for again.
    ask_at: Instant,
}

/// What all workers know of a link, by addresses of one version of IP.
#[derive(Debug)]
struct Neighbours<A> {
    known: Mutex<HashMap<A, Neighbour>>,
    /// Changes with each Ethernet address that is new or another one.
    generation: AtomicU64,
}

/// What is known of an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its Ethernet address.
    pub(super) mac: Option<EthernetAddress>,
    /// Whether the caller is to ask for it now.
    pub(super) ask: bool,
    /// Whether it has been given up: what waits for it waits in vain.
    pub(super) lost: bool,
}

impl<A> Default for Neighbours<A> {
    fn default() -> Self {
        Self { known: Mutex::default(), generation: AtomicU64::new(0) }
    }
}

impl<A: Copy + Eq + Hash> Neighbours<A> {
    /// Looks an address up for the sake of a packet to it.
    fn look(&self, now: Instant, address: A) -> (Found, Instant) {
        let mut known = self.lock();
        if known.len() >= NEIGHBOURS_MAX && !known.contains_key(&address) {
            known.retain(|_, neighbour| neighbour.mac.is_some() || now < neighbour.ask_at);
        }
        if known.len() >= NEIGHBOURS_MAX && !known.contains_key(&address) {
            return (Found { mac: None, ask: false, lost: true }, now);
        }
        let neighbour = known.entry(address).or_insert(Neighbour { mac: None, asked: 0, ask_at: now });
        let due = now >= neighbour.ask_at;
        let given_up = neighbour.asked > REQUESTS_MAX;
        match (due, given_up) {
            (true, true) => (neighbour.asked, neighbour.ask_at) = (1, now + ASK_AGAIN),
            (true, false) if neighbour.asked == REQUESTS_MAX => {
                if neighbour.mac.take().is_some() {
                    self.generation.fetch_add(1, Ordering::Relaxed);
                }
                (neighbour.asked, neighbour.ask_at) = (REQUESTS_MAX + 1, now + GIVEN_UP);
            }
            (true, false) => {
                neighbour.asked += 1;
                neighbour.ask_at = now + ASK_AGAIN;
            }
            (false, _) => {}
        }
        let lost = neighbour.asked > REQUESTS_MAX;
        (Found { mac: neighbour.mac, ask: due && !lost, lost }, neighbour.ask_at)
    }

    fn heard(&self, now: Instant, address: A, mac: EthernetAddress) {
        if !mac.is_unicast() {
            return;
        }
        let mut known = self.lock();
        if known.len() >= NEIGHBOURS_MAX && !known.contains_key(&address) {
            return;
        }
        let neighbour = known.entry(address).or_insert(Neighbour { mac: None, asked: 0, ask_at: now });
        if neighbour.mac.replace(mac) != Some(mac) {
            self.generation.fetch_add(1, Ordering::Relaxed);
        }
        (neighbour.asked, neighbour.ask_at) = (0, now + FRESH);
    }

    fn answered(&self, now: Instant, address: A, mac: EthernetAddress, overrides: bool) {
        let known = self.lock().get(&address).map(|neighbour| neighbour.mac);
        let is_wanted = known.is_some_and(|before| overrides || before.is_none_or(|before| before == mac));
        if is_wanted {
            self.heard(now, address, mac);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<A, Neighbour>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One worker's way to what is known, with a copy that takes no lock for an address that it has.
#[derive(Debug)]
pub(super) struct View<A> {
    neighbours: Arc<Neighbours<A>>,
    generation: u64,
    /// No more than [`NEIGHBOURS_MAX`] of them, by a hash that each worker seeds for itself.
    known: HashMap<A, (EthernetAddress, Instant), foldhash::fast::RandomState>,
    /// The last of them that was looked up: mostly the next one as well.
    last: Option<(A, EthernetAddress, Instant)>,
}

impl<A> Default for View<A> {
    fn default() -> Self {
        Self { neighbours: Arc::default(), generation: 0, known: HashMap::default(), last: None }
    }
}

impl<A: Copy + Eq + Hash> View<A> {
    /// The same for another worker.
    pub(super) fn another(&self) -> Self {
        Self { neighbours: self.neighbours.clone(), ..Self::default() }
    }

    /// Forgets what may have changed, before each burst.
    pub(super) fn renew(&mut self) {
        let generation = self.neighbours.generation.load(Ordering::Relaxed);
        if generation != self.generation {
            self.generation = generation;
            self.known.clear();
            self.last = None;
        }
    }

    /// An Ethernet address that is known and need not be asked for.
    #[inline]
    pub(super) fn known(&mut self, now: Instant, address: A) -> Option<EthernetAddress> {
        if self.last.is_none_or(|(last, ..)| last != address) {
            self.last = self.known.get(&address).map(|(mac, until)| (address, *mac, *until));
        }
        self.last.filter(|(.., until)| now < *until).map(|(_, mac, _)| mac)
    }

    /// Looks an address up for the sake of a packet to it.
    pub(super) fn look(&mut self, now: Instant, address: A) -> Found {
        if let mac @ Some(_) = self.known(now, address) {
            return Found { mac, ask: false, lost: false };
        }
        let (found, until) = self.neighbours.look(now, address);
        self.last = None;
        match found.mac {
            Some(mac) => _ = self.known.insert(address, (mac, until)),
            None => _ = self.known.remove(&address),
        }
        found
    }

    /// Takes what somebody who asked us says of itself, whether anybody asked for it or not.
    pub(super) fn heard(&self, now: Instant, address: A, mac: EthernetAddress) {
        self.neighbours.heard(now, address, mac);
    }

    /// Takes what is said of an address to those who want to know it (RFC 4861 §7.2.5), and are there; another
    /// Ethernet address than before only if that is said to be meant.
    pub(super) fn answered(&self, now: Instant, address: A, mac: EthernetAddress, overrides: bool) {
        self.neighbours.answered(now, address, mac, overrides);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);

    fn after(now: Instant, seconds: u64) -> Instant {
        now + Duration::from_secs(seconds)
    }

    #[test]
    fn when_nobody_answers_then_three_requests_are_sent_and_the_address_is_given_up_for_a_while() {
        let mut view = View::default();
        let now = Instant::now();
        let mut asked = Vec::new();
        for tenth in 0..110 {
            let at = now + Duration::from_millis(100) * tenth;
            let found = view.look(at, ADDRESS);
            assert_eq!(found.mac, None);
            if found.ask {
                asked.push(tenth);
            }
            // Given up three seconds after the first request, for five.
            assert_eq!(found.lost, (30..80).contains(&tenth), "{tenth}");
        }
        assert_eq!(asked, [0, 10, 20, 80, 90, 100]);
    }

    #[test]
    fn when_it_answers_then_it_is_used_and_asked_again_before_it_is_forgotten() {
        let mut view = View::default();
        let now = Instant::now();
        assert!(view.look(now, ADDRESS).ask);
        view.heard(now, ADDRESS, MAC);
        view.renew();
        let known = |ask| Found { mac: Some(MAC), ask, lost: false };
        assert_eq!(view.look(after(now, 59), ADDRESS), known(false));
        assert_eq!(view.look(after(now, 60), ADDRESS), known(true));
        assert_eq!(view.look(after(now, 60), ADDRESS), known(false));
        assert_eq!(view.look(after(now, 61), ADDRESS), known(true));
        assert_eq!(view.look(after(now, 62), ADDRESS), known(true));
        assert!(view.look(after(now, 63), ADDRESS).lost);
    }

    #[test]
    fn when_an_address_moves_then_every_worker_follows() {
        let view = View::default();
        let mut views = [view.another(), view];
        let now = Instant::now();
        for mac in [MAC, EthernetAddress([2, 0, 0, 0, 0, 9])] {
            views[0].heard(now, ADDRESS, mac);
            for view in &mut views {
                view.renew();
                assert_eq!(view.look(now, ADDRESS).mac, Some(mac));
            }
        }
        views[1].heard(now, ADDRESS, EthernetAddress::BROADCAST);
        assert_ne!(views[0].look(after(now, 61), ADDRESS).mac, Some(EthernetAddress::BROADCAST));
    }

    #[test]
    fn when_more_addresses_are_heard_of_than_there_is_room_for_then_the_known_ones_stay() {
        let mut view = View::default();
        let now = Instant::now();
        view.heard(now, ADDRESS, MAC);
        for number in 0..2 * NEIGHBOURS_MAX as u32 {
            view.heard(now, Ipv4Addr::from(0x0b00_0000 + number), MAC);
        }
        assert_eq!(view.neighbours.lock().len(), NEIGHBOURS_MAX);
        assert_eq!(view.look(now, ADDRESS).mac, Some(MAC));
        assert!(view.look(now, Ipv4Addr::BROADCAST).lost);
    }

    /// RFC 4861 §7.2.5.
    #[test]
    fn when_nobody_has_asked_then_an_answer_is_nothing_and_another_one_counts_only_if_it_is_meant() {
        let mut view = View::default();
        let now = Instant::now();
        let other = EthernetAddress([2, 0, 0, 0, 0, 9]);
        view.answered(now, ADDRESS, MAC, true);
        assert_eq!(view.look(now, ADDRESS), Found { mac: None, ask: true, lost: false });
        for (mac, overrides, expected) in [(MAC, false, MAC), (other, false, MAC), (other, true, other)] {
            view.answered(now, ADDRESS, mac, overrides);
            view.renew();
            assert_eq!(view.look(now, ADDRESS).mac, Some(expected));
        }
    }
}
