//! UE IPv4 address pools, one for each DNN and slice.
//!
//! Addresses never used are given first, then the one that has been free longest: packets that
//! are still under way to its last owner have gone by then.

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use tern_types::Ipv4Network;

/// Why no address is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Every address is in use.
    #[error("no free address")]
    Exhausted,
    /// The static address is another session's.
    #[error("static address {0} is in use")]
    InUse(Ipv4Addr),
    /// The static address lies outside the pool, or is the network's, broadcast or gateway address.
    #[error("static address {0} is none of the pool's")]
    Outside(Ipv4Addr),
}

/// The addresses of one network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pool {
    network: Ipv4Network,
    gateway: Ipv4Addr,
    /// Never given dynamically: kept for subscribers' static addresses.
    reserved: Vec<(Ipv4Addr, Ipv4Addr)>,
    in_use: BTreeSet<Ipv4Addr>,
    /// Free again, the longest free first.
    returned: VecDeque<Ipv4Addr>,
    /// No address from here on was given dynamically yet.
    fresh: u32,
}

impl Pool {
    /// All free. `reserved`: ranges, both ends included, kept for static addresses.
    pub fn new(network: Ipv4Network, gateway: Ipv4Addr, reserved: &[(Ipv4Addr, Ipv4Addr)]) -> Self {
        let fresh = u32::from(network.first()) + 1;
        let (in_use, returned) = (BTreeSet::new(), VecDeque::new());
        Self { network, gateway, reserved: reserved.to_vec(), in_use, returned, fresh }
    }

    /// An address for a session without a static one.
    pub fn allocate(&mut self) -> Result<Ipv4Addr, PoolError> {
        let last = u32::from(self.network.last());
        while self.fresh < last {
            let address = Ipv4Addr::from(self.fresh);
            self.fresh += 1;
            if address == self.gateway {
                continue;
            }
            if let Some((_, end)) = self.reserved_range(address) {
                self.fresh = self.fresh.max(u32::from(end).saturating_add(1));
                continue;
            }
            if self.in_use.insert(address) {
                return Ok(address);
            }
        }
        // Bounded: each address is returned at most once between two allocations.
        while let Some(address) = self.returned.pop_front() {
            if self.in_use.insert(address) {
                return Ok(address);
            }
        }
        Err(PoolError::Exhausted)
    }

    /// A subscriber's static address (TS 29.503 DnnConfiguration `staticIpAddress`).
    pub fn claim(&mut self, address: Ipv4Addr) -> Result<(), PoolError> {
        let no_host = [self.network.first(), self.network.last(), self.gateway].contains(&address);
        if !self.network.contains(address) || no_host {
            return Err(PoolError::Outside(address));
        }
        if !self.in_use.insert(address) {
            return Err(PoolError::InUse(address));
        }
        self.returned.retain(|&free| free != address);
        Ok(())
    }

    /// Gives an address back.
    pub fn release(&mut self, address: Ipv4Addr) {
        let dynamic = self.reserved_range(address).is_none() && u32::from(address) < self.fresh;
        if self.in_use.remove(&address) && dynamic {
            self.returned.push_back(address);
        }
    }

    /// How many addresses are in use.
    pub fn used(&self) -> usize {
        self.in_use.len()
    }

    fn reserved_range(&self, address: Ipv4Addr) -> Option<(Ipv4Addr, Ipv4Addr)> {
        self.reserved.iter().copied().find(|&(first, last)| first <= address && address <= last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(length: u8) -> Pool {
        let network = Ipv4Network::new(Ipv4Addr::new(10, 0, 0, 0), length).unwrap();
        Pool::new(network, Ipv4Addr::new(10, 0, 0, 1), &[])
    }

    #[test]
    fn when_network_is_given_then_its_ends_and_the_gateway_are_never_allocated() {
        let mut pool = pool(29);
        let all: Vec<_> = std::iter::from_fn(|| pool.allocate().ok()).map(|a| a.octets()[3]).collect();
        assert_eq!(all, [2, 3, 4, 5, 6]);
        assert_eq!(pool.allocate(), Err(PoolError::Exhausted));
    }

    #[test]
    fn when_addresses_return_then_the_longest_free_is_reused_after_all_fresh_ones() {
        let mut pool = pool(29);
        let (a, b) = (pool.allocate().unwrap(), pool.allocate().unwrap());
        pool.release(b);
        pool.release(a);
        pool.release(a);
        let rest: Vec<_> = std::iter::from_fn(|| pool.allocate().ok()).map(|x| x.octets()[3]).collect();
        assert_eq!(rest, [4, 5, 6, 3, 2]);
    }

    #[test]
    fn when_address_is_static_then_it_has_one_owner_and_is_not_given_to_another() {
        let mut pool = pool(29);
        let fixed = Ipv4Addr::new(10, 0, 0, 2);
        pool.claim(fixed).unwrap();
        assert_eq!(pool.claim(fixed), Err(PoolError::InUse(fixed)));
        assert_eq!(pool.allocate().unwrap(), Ipv4Addr::new(10, 0, 0, 3));
        for outside in [[10, 0, 0, 0], [10, 0, 0, 1], [10, 0, 0, 7], [10, 0, 0, 8]] {
            assert!(matches!(pool.claim(outside.into()), Err(PoolError::Outside(_))));
        }
        pool.release(fixed);
        pool.claim(fixed).unwrap();
        let rest: Vec<_> = std::iter::from_fn(|| pool.allocate().ok()).collect();
        assert!(!rest.contains(&fixed));
    }

    #[test]
    fn when_a_range_is_reserved_then_only_static_addresses_come_from_it() {
        let network = "10.0.0.0/28".parse().unwrap();
        let reserved = [(Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 12))];
        let mut pool = Pool::new(network, Ipv4Addr::new(10, 0, 0, 1), &reserved);
        pool.claim(Ipv4Addr::new(10, 0, 0, 5)).unwrap();
        pool.release(Ipv4Addr::new(10, 0, 0, 5));
        let all: Vec<_> = std::iter::from_fn(|| pool.allocate().ok()).map(|a| a.octets()[3]).collect();
        assert_eq!(all, [13, 14]);
    }
}
