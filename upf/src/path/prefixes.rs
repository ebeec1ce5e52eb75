//! Which session a prefix leads to: the longest that holds an address. Each worker has its own.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::net::IpAddr;
use std::sync::Arc;

use pdr_classifier::Prefix;

use super::Session;
use super::tables::NumberHasher;

/// Sessions by prefix: IPv6 prefixes of UEs, and networks behind UEs.
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
type Table = HashMap<u128, Arc<Session>, BuildHasherDefault<NumberHasher>>;

impl Prefixes {
    /// Leads a prefix to a session, whoever had it.
    pub(crate) fn insert(&mut self, prefix: Prefix, session: &Arc<Session>) {
        let lengths = self.of_mut(prefix.is_v4());
        let at = lengths.0.partition_point(|(length, _)| *length > prefix.length());
        if lengths.0.get(at).is_none_or(|(length, _)| *length != prefix.length()) {
            lengths.0.insert(at, (prefix.length(), Table::default()));
        }
        let key = bits(prefix.address()) & mask(prefix.length());
        lengths.0[at].1.insert(key, session.clone());
    }

    /// Takes a prefix from a session. If it meanwhile leads to another one, it stays.
    pub(crate) fn remove(&mut self, prefix: Prefix, session: &Session) {
        let lengths = self.of_mut(prefix.is_v4());
        let key = bits(prefix.address()) & mask(prefix.length());
        let Some((_, table)) = lengths.0.iter_mut().find(|(length, _)| *length == prefix.length()) else {
            return;
        };
        if table.get(&key).is_some_and(|found| found.seid == session.seid) {
            table.remove(&key);
        }
        lengths.0.retain(|(_, table)| !table.is_empty());
    }

    /// The session with the longest prefix that holds the address.
    pub(crate) fn find(&self, address: IpAddr) -> Option<&Session> {
        let lengths = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        let bits = bits(address);
        let found = lengths.0.iter().find_map(|(length, table)| table.get(&(bits & mask(*length))));
        found.map(Arc::as_ref)
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
