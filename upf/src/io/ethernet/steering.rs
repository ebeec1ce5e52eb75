//! Which worker has a session's packets: the one that its UE's address leads to, in both directions, whatever
//! queue of a port a packet comes on. A port spreads frames by what it sees, which on N3 are the addresses of a
//! gNB and of the UPF, and so tells nothing of sessions.

/// A number that spreads others evenly.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
/// Where addresses stand in a header of IPv4 and of IPv6.
const IPV4_SOURCE: usize = 12;
const IPV4_DESTINATION: usize = 16;
const IPV6_SOURCE: usize = 8;
const IPV6_DESTINATION: usize = 24;

/// One worker among all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steering {
    me: usize,
    workers: usize,
}

/// The UE's end of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ue {
    Source,
    Destination,
}

impl Steering {
    /// The worker of this number, of so many.
    pub(crate) fn new(me: usize, workers: usize) -> Self {
        Self { me, workers: workers.max(1) }
    }

    /// This worker's number.
    pub(super) fn me(self) -> usize {
        self.me
    }

    /// The other worker that a GTP-U packet belongs to; `None` if it is this one's, or of no session.
    #[inline]
    pub(super) fn of_gtpu(self, octets: &[u8]) -> Option<usize> {
        if self.workers == 1 {
            return None;
        }
        let parsed = tern_gtpu::Packet::parse(octets).ok().filter(tern_gtpu::Packet::is_g_pdu)?;
        // A tunnel that carries no IP has a session too.
        let number = number_of(parsed.payload, Ue::Source).unwrap_or(parsed.teid);
        self.other(number)
    }

    /// The other worker that a packet to a UE belongs to.
    #[inline]
    pub(super) fn of_packet(self, octets: &[u8]) -> Option<usize> {
        if self.workers == 1 {
            return None;
        }
        self.other(number_of(octets, Ue::Destination)?)
    }

    fn other(self, number: u32) -> Option<usize> {
        Some(worker_of(number, self.workers)).filter(|worker| *worker != self.me)
    }
}

/// The worker, of so many, that has the session of a UE's IPv4 address.
pub fn worker_of_ue(address: std::net::Ipv4Addr, workers: usize) -> usize {
    worker_of(address.into(), workers.max(1))
}

fn worker_of(number: u32, workers: usize) -> usize {
    let spread = u64::from(number).wrapping_mul(SPREAD) >> 32;
    // Below `workers`, as it is a part of it.
    ((spread * workers as u64) >> 32) as usize
}

/// What stands for a UE: its IPv4 address, or a number of its IPv6 prefix, which is of 64 bits.
#[inline]
fn number_of(octets: &[u8], ue: Ue) -> Option<u32> {
    let word = |at: usize| Some(u32::from_be_bytes(octets.get(at..at + 4)?.try_into().ok()?));
    match (octets.first()? >> 4, ue) {
        (4, Ue::Source) => word(IPV4_SOURCE),
        (4, Ue::Destination) => word(IPV4_DESTINATION),
        (6, Ue::Source) => Some(word(IPV6_SOURCE)? ^ word(IPV6_SOURCE + 4)?),
        (6, Ue::Destination) => Some(word(IPV6_DESTINATION)? ^ word(IPV6_DESTINATION + 4)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::testing::{gtpu, udp};

    const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

    fn ue(number: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from_be_bytes([10, 45, 0, 0]) + number)
    }

    #[test]
    fn both_directions_of_a_session_are_on_one_worker() {
        for workers in [2, 3, 8] {
            for number in 0..200 {
                let owner = worker_of_ue(ue(number), workers);
                let uplink = gtpu(number.wrapping_mul(77), Some(9), &udp(ue(number), SERVER, (1, 2), 60));
                let downlink = udp(SERVER, ue(number), (2, 1), 60);
                for me in 0..workers {
                    let steering = Steering::new(me, workers);
                    let expected = (owner != me).then_some(owner);
                    assert_eq!(steering.of_gtpu(&uplink), expected);
                    assert_eq!(steering.of_packet(&downlink), expected);
                }
            }
        }
    }

    #[test]
    fn sessions_are_spread_evenly() {
        for workers in [2, 3, 8, 64] {
            let mut count = vec![0; workers];
            (0..64_000).for_each(|number| count[worker_of_ue(ue(number), workers)] += 1);
            let fair = 64_000 / workers;
            assert!(count.iter().all(|count| (fair * 8 / 10..fair * 12 / 10).contains(count)), "{count:?}");
        }
    }

    #[test]
    fn what_is_of_no_session_stays_where_it_came() {
        let steering = Steering::new(1, 8);
        let mut echo = [0; 12];
        tern_gtpu::echo_request(7, &mut echo);
        for octets in [&echo[..], &[], &[0x30], &[0x45; 12]] {
            assert_eq!(steering.of_gtpu(octets), None, "{octets:?}");
            assert!(octets.first() != Some(&0x45) || steering.of_packet(octets).is_none());
        }
        assert_eq!(Steering::new(0, 1).of_packet(&udp(SERVER, ue(5), (1, 2), 60)), None);
    }
}
