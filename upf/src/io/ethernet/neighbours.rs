//! Whose Ethernet address an IPv4 address has: RFC 826, with what RFC 1122 §2.3.2 asks of its users.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use smoltcp::wire::EthernetAddress;

/// Neighbours of one link.
const NEIGHBOURS_MAX: usize = 1_024;
/// Between two requests for one address (RFC 1122 §2.3.2.1: at most one a second).
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Requests without an answer until an address is given up.
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

/// What all workers know of a link.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    known: Mutex<HashMap<Ipv4Addr, Neighbour>>,
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

impl Neighbours {
    /// Looks an address up for the sake of a packet to it.
    fn look(&self, now: Instant, address: Ipv4Addr) -> (Found, Instant) {
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

    /// Takes what an ARP packet that was for us says of its sender, whether somebody asked for it or not.
    pub(super) fn heard(&self, now: Instant, address: Ipv4Addr, mac: EthernetAddress) {
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

    fn lock(&self) -> MutexGuard<'_, HashMap<Ipv4Addr, Neighbour>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One worker's copy of what is known, which takes no lock for an address that it has.
#[derive(Debug, Default)]
pub(super) struct View {
    generation: u64,
    known: HashMap<Ipv4Addr, (EthernetAddress, Instant)>,
}

impl View {
    /// Forgets what may have changed, before each burst.
    pub(super) fn renew(&mut self, neighbours: &Neighbours) {
        let generation = neighbours.generation.load(Ordering::Relaxed);
        if generation != self.generation {
            self.generation = generation;
            self.known.clear();
        }
    }

    /// Looks an address up for the sake of a packet to it.
    pub(super) fn look(&mut self, neighbours: &Neighbours, now: Instant, address: Ipv4Addr) -> Found {
        if let Some((mac, until)) = self.known.get(&address)
            && now < *until
        {
            return Found { mac: Some(*mac), ask: false, lost: false };
        }
        let (found, until) = neighbours.look(now, address);
        match found.mac {
            Some(mac) => _ = self.known.insert(address, (mac, until)),
            None => _ = self.known.remove(&address),
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);

    fn after(now: Instant, seconds: u64) -> Instant {
        now + Duration::from_secs(seconds)
    }

    #[test]
    fn when_nobody_answers_then_three_requests_are_sent_and_the_address_is_given_up_for_a_while() {
        let (neighbours, mut view) = (Neighbours::default(), View::default());
        let now = Instant::now();
        let mut asked = Vec::new();
        for tenth in 0..110 {
            let at = now + Duration::from_millis(100) * tenth;
            let found = view.look(&neighbours, at, ADDRESS);
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
        let (neighbours, mut view) = (Neighbours::default(), View::default());
        let now = Instant::now();
        assert!(view.look(&neighbours, now, ADDRESS).ask);
        neighbours.heard(now, ADDRESS, MAC);
        view.renew(&neighbours);
        let known = |ask| Found { mac: Some(MAC), ask, lost: false };
        assert_eq!(view.look(&neighbours, after(now, 59), ADDRESS), known(false));
        assert_eq!(view.look(&neighbours, after(now, 60), ADDRESS), known(true));
        assert_eq!(view.look(&neighbours, after(now, 60), ADDRESS), known(false));
        assert_eq!(view.look(&neighbours, after(now, 61), ADDRESS), known(true));
        assert_eq!(view.look(&neighbours, after(now, 62), ADDRESS), known(true));
        assert!(view.look(&neighbours, after(now, 63), ADDRESS).lost);
    }

    #[test]
    fn when_an_address_moves_then_every_worker_follows() {
        let neighbours = Neighbours::default();
        let mut views = [View::default(), View::default()];
        let now = Instant::now();
        for mac in [MAC, EthernetAddress([2, 0, 0, 0, 0, 9])] {
            neighbours.heard(now, ADDRESS, mac);
            for view in &mut views {
                view.renew(&neighbours);
                assert_eq!(view.look(&neighbours, now, ADDRESS).mac, Some(mac));
            }
        }
        neighbours.heard(now, ADDRESS, EthernetAddress::BROADCAST);
        assert_ne!(views[0].look(&neighbours, after(now, 61), ADDRESS).mac, Some(EthernetAddress::BROADCAST));
    }

    #[test]
    fn when_more_addresses_are_heard_of_than_there_is_room_for_then_the_known_ones_stay() {
        let (neighbours, mut view) = (Neighbours::default(), View::default());
        let now = Instant::now();
        neighbours.heard(now, ADDRESS, MAC);
        for number in 0..2 * NEIGHBOURS_MAX as u32 {
            neighbours.heard(now, Ipv4Addr::from(0x0b00_0000 + number), MAC);
        }
        assert_eq!(neighbours.lock().len(), NEIGHBOURS_MAX);
        assert_eq!(view.look(&neighbours, now, ADDRESS).mac, Some(MAC));
        assert!(view.look(&neighbours, now, Ipv4Addr::BROADCAST).lost);
    }
}
