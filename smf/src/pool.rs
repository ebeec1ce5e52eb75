//! UE address pools, one of IPv4 addresses and one of IPv6 prefixes for each DNN and slice.
//!
//! What was never used is given first, then what has been free longest: packets that are still under way to its
//! last owner have gone by then.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use tern_types::{Ipv4Network, Ipv6Network};

/// Bits of an IPv6 address behind a session's prefix.
const INTERFACE_BITS: u32 = 64;

/// Why no address is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Every address or prefix is in use.
    #[error("no free address")]
    Exhausted,
    /// The static address or prefix is another session's.
    #[error("static address {0} is in use")]
    InUse(IpAddr),
    /// The static address or prefix lies outside the pool, or is the network's, broadcast or gateway address.
    #[error("static address {0} is none of the pool's")]
    Outside(IpAddr),
}

/// The addresses of one network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pool {
    network: Ipv4Network,
    numbers: Numbers,
}

impl Pool {
    /// All free. `reserved`: ranges, both ends included, kept for static addresses.
    pub fn new(network: Ipv4Network, gateway: Ipv4Addr, reserved: &[(Ipv4Addr, Ipv4Addr)]) -> Self {
        let number = |address: Ipv4Addr| u64::from(address.to_bits());
        let reserved = reserved.iter().map(|&(first, last)| (number(first), number(last))).collect();
        // Neither the network's own address nor the broadcast address.
        let ends = (number(network.first()) + 1, number(network.last()) - 1);
        Self { network, numbers: Numbers::new(ends, number(gateway), reserved) }
    }

    /// An address for a session without a static one.
    pub fn allocate(&mut self) -> Result<Ipv4Addr, PoolError> {
        let number = self.numbers.allocate().ok_or(PoolError::Exhausted)?;
        u32::try_from(number).map(Ipv4Addr::from_bits).map_err(|_| PoolError::Exhausted)
    }

    /// A subscriber's static address (TS 29.503 DnnConfiguration `staticIpAddress`).
    pub fn claim(&mut self, address: Ipv4Addr) -> Result<(), PoolError> {
        if !self.network.contains(address) {
            return Err(PoolError::Outside(address.into()));
        }
        self.numbers.claim(address.to_bits().into(), address.into())
    }

    /// Gives an address back.
    pub fn release(&mut self, address: Ipv4Addr) {
        self.numbers.release(address.to_bits().into());
    }

    /// How many addresses are in use.
    pub fn used(&self) -> usize {
        self.numbers.in_use.len()
    }
}

/// The prefixes of 64 bits of one network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PrefixPool {
    network: Ipv6Network,
    numbers: Numbers,
}

impl PrefixPool {
    /// All free. `gateway`: an address whose prefix is never given; `reserved`: ranges of prefixes, both ends
    /// included, kept for static ones.
    pub fn new(network: Ipv6Network, gateway: Ipv6Addr, reserved: &[(Ipv6Addr, Ipv6Addr)]) -> Self {
        let reserved = reserved.iter().map(|&(first, last)| (prefix(first), prefix(last))).collect();
        let ends = (prefix(network.first()), prefix(network.last()));
        Self { network, numbers: Numbers::new(ends, prefix(gateway), reserved) }
    }

    /// A prefix for a session without a static one: an address whose last 64 bits are zero.
    pub fn allocate(&mut self) -> Result<Ipv6Addr, PoolError> {
        self.numbers.allocate().map(address).ok_or(PoolError::Exhausted)
    }

    /// A subscriber's static prefix, or that of the subscriber's static address (TS 29.503 DnnConfiguration
    /// `staticIpAddress`).
    pub fn claim(&mut self, fixed: Ipv6Addr) -> Result<Ipv6Addr, PoolError> {
        if !self.network.contains(fixed) {
            return Err(PoolError::Outside(fixed.into()));
        }
        self.numbers.claim(prefix(fixed), fixed.into())?;
        Ok(address(prefix(fixed)))
    }

    /// Gives a prefix back.
    pub fn release(&mut self, of: Ipv6Addr) {
        self.numbers.release(prefix(of));
    }

    /// How many prefixes are in use.
    pub fn used(&self) -> usize {
        self.numbers.in_use.len()
    }
}

/// The 64 bits of a session's prefix.
fn prefix(address: Ipv6Addr) -> u64 {
    (address.to_bits() >> INTERFACE_BITS) as u64
}

fn address(prefix: u64) -> Ipv6Addr {
    Ipv6Addr::from_bits(u128::from(prefix) << INTERFACE_BITS)
}

/// What a pool gives, by numbers that follow one another.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Numbers {
    /// Both included.
    ends: (u64, u64),
    gateway: u64,
    /// Never given dynamically: kept for what is static.
    reserved: Vec<(u64, u64)>,
    in_use: BTreeSet<u64>,
    /// Free again, the longest free first.
    returned: VecDeque<u64>,
    /// Nothing from here on was given dynamically yet; `None` if all was.
    fresh: Option<u64>,
}

impl Numbers {
    fn new(ends: (u64, u64), gateway: u64, reserved: Vec<(u64, u64)>) -> Self {
        let (in_use, returned) = (BTreeSet::new(), VecDeque::new());
        Self { ends, gateway, reserved, in_use, returned, fresh: Some(ends.0) }
    }

    fn allocate(&mut self) -> Option<u64> {
        while let Some(number) = self.fresh.filter(|fresh| *fresh <= self.ends.1) {
            let reserved = self.reserved_range(number);
            self.fresh = reserved.map_or(number, |(_, last)| last).checked_add(1);
            if reserved.is_none() && number != self.gateway && self.in_use.insert(number) {
                return Some(number);
            }
        }
        self.fresh = None;
        // Bounded: each is returned at most once between two allocations.
        while let Some(number) = self.returned.pop_front() {
            if self.in_use.insert(number) {
                return Some(number);
            }
        }
        None
    }

    /// `named`: for the error.
    fn claim(&mut self, number: u64, named: IpAddr) -> Result<(), PoolError> {
        if !(self.ends.0..=self.ends.1).contains(&number) || number == self.gateway {
            return Err(PoolError::Outside(named));
        }
        if !self.in_use.insert(number) {
            return Err(PoolError::InUse(named));
        }
        self.returned.retain(|&free| free != number);
        Ok(())
    }

    fn release(&mut self, number: u64) {
        let was_given = self.fresh.is_none_or(|fresh| number < fresh);
        let dynamic = self.reserved_range(number).is_none() && was_given;
        if self.in_use.remove(&number) && dynamic {
            self.returned.push_back(number);
        }
    }

    fn reserved_range(&self, number: u64) -> Option<(u64, u64)> {
        self.reserved.iter().copied().find(|&(first, last)| first <= number && number <= last)
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
        assert_eq!(pool.claim(fixed), Err(PoolError::InUse(fixed.into())));
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

    fn prefixes(reserved: &[(Ipv6Addr, Ipv6Addr)]) -> PrefixPool {
        let network: Ipv6Network = "2001:db8:45:8::/62".parse().unwrap();
        PrefixPool::new(network, network.first_host(), reserved)
    }

    fn v6(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    #[test]
    fn when_prefixes_are_given_then_each_once_and_never_the_gateways() {
        let mut pool = prefixes(&[]);
        let all: Vec<_> = std::iter::from_fn(|| pool.allocate().ok()).map(|a| a.to_string()).collect();
        assert_eq!(all, ["2001:db8:45:9::", "2001:db8:45:a::", "2001:db8:45:b::"]);
        assert_eq!((pool.allocate(), pool.used()), (Err(PoolError::Exhausted), 3));
        pool.release(v6("2001:db8:45:a::"));
        assert_eq!(pool.allocate(), Ok(v6("2001:db8:45:a::")));
    }

    #[test]
    fn when_a_prefix_is_static_then_it_has_one_owner_and_is_of_the_pool() {
        let mut pool = prefixes(&[(v6("2001:db8:45:a::"), v6("2001:db8:45:b::"))]);
        assert_eq!(pool.claim(v6("2001:db8:45:b::77")), Ok(v6("2001:db8:45:b::")));
        assert_eq!(pool.claim(v6("2001:db8:45:b::")), Err(PoolError::InUse(v6("2001:db8:45:b::").into())));
        for outside in ["2001:db8:45:c::", "2001:db8:45:8::5"] {
            assert_eq!(pool.claim(v6(outside)), Err(PoolError::Outside(v6(outside).into())));
        }
        assert_eq!(pool.allocate(), Ok(v6("2001:db8:45:9::")));
        assert_eq!(pool.allocate(), Err(PoolError::Exhausted));
        pool.release(v6("2001:db8:45:b::"));
        assert_eq!(pool.allocate(), Err(PoolError::Exhausted), "reserved ones are static only");
        assert_eq!(pool.claim(v6("2001:db8:45:b::")), Ok(v6("2001:db8:45:b::")));
    }

    #[test]
    fn when_the_last_prefix_there_can_be_is_given_then_no_other_is() {
        let network: Ipv6Network = "ffff:ffff:ffff:fffc::/62".parse().unwrap();
        let mut pool = PrefixPool::new(network, network.first_host(), &[]);
        assert_eq!(std::iter::from_fn(|| pool.allocate().ok()).count(), 3);
        pool.release(network.last());
        assert_eq!(pool.allocate().map(|a| a.segments()[3]), Ok(0xffff));
    }
}
