//! Which session a prefix leads to: the longest that holds an address. Each worker has its own.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::IpAddr;

use pdr_classifier::Prefix;

/// Slots of sessions by prefix: IPv6 prefixes of UEs, and networks behind UEs.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    v4: Lengths,
    v6: Lengths,
}

/// Prefixes of one version of IP: a table for each length that there is, the longest first. A look-up takes as
/// many steps as there are lengths, whatever the number of prefixes.
#[derive(Debug, Default)]
struct Lengths(Vec<(u8, Table)>);

/// By the bits of the prefix, from the left.
type Table = HashMap<u128, u32, BuildHasherDefault<PrefixHasher>>;

impl Prefixes {
    /// Leads a prefix to a session, whoever had it.
    pub(crate) fn insert(&mut self, prefix: Prefix, slot: u32) {
        let lengths = self.of_mut(prefix.is_v4());
        let at = lengths.0.partition_point(|(length, _)| *length > prefix.length());
        if lengths.0.get(at).is_none_or(|(length, _)| *length != prefix.length()) {
            lengths.0.insert(at, (prefix.length(), Table::default()));
        }
        let key = bits(prefix.address()) & mask(prefix.length());
        lengths.0[at].1.insert(key, slot);
    }

    /// Takes a prefix from a session. If it meanwhile leads to another one, it stays.
    pub(crate) fn remove(&mut self, prefix: Prefix, slot: u32) {
        let lengths = self.of_mut(prefix.is_v4());
        let key = bits(prefix.address()) & mask(prefix.length());
        let Some((_, table)) = lengths.0.iter_mut().find(|(length, _)| *length == prefix.length()) else {
            return;
        };
        if table.get(&key) == Some(&slot) {
            table.remove(&key);
        }
        lengths.0.retain(|(_, table)| !table.is_empty());
    }

    /// The session with the longest prefix that holds the address.
    pub(crate) fn find(&self, address: IpAddr) -> Option<u32> {
        let lengths = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        let bits = bits(address);
        lengths.0.iter().find_map(|(length, table)| table.get(&(bits & mask(*length))).copied())
    }

    /// How many prefixes lead to a session.
    pub(crate) fn len(&self) -> usize {
        self.v4.0.iter().chain(&self.v6.0).map(|(_, table)| table.len()).sum()
    }

    fn of_mut(&mut self, v4: bool) -> &mut Lengths {
        if v4 { &mut self.v4 } else { &mut self.v6 }
    }
}

/// The bits of an address, from the left.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn mask(length: u8) -> u128 {
    !u128::MAX.checked_shr(length.into()).unwrap_or(0)
}

/// Multiplicative hashing: the prefixes come from the SMF, so nobody outside can make them collide.
#[derive(Default)]
struct PrefixHasher(u64);

impl Hasher for PrefixHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u128(u128::from(self.0 ^ u64::from(*byte)));
        }
    }

    fn write_u128(&mut self, number: u128) {
        let folded = (number >> 64) as u64 ^ (number as u64).rotate_left(32);
        self.0 = folded.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}
