//! Which session a packet belongs to. Each worker has its own.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::{Prefixes, Session};

/// Sessions by local TEID, by UE address and by prefix.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    by_teid: HashMap<u32, Arc<Session>, BuildHasherDefault<NumberHasher>>,
    by_address: HashMap<u32, Arc<Session>, BuildHasherDefault<NumberHasher>>,
    by_prefix: Prefixes,
}

impl Tables {
    /// Puts a session in, in place of what it was before.
    pub(crate) fn publish(&mut self, session: &Arc<Session>, before: Option<&Session>) {
        if let Some(before) = before {
            self.remove(before);
        }
        for teid in &session.teids {
            self.by_teid.insert(*teid, session.clone());
        }
        for address in &session.ue_addresses {
            self.by_address.insert(u32::from(*address), session.clone());
        }
        session.prefixes().iter().for_each(|prefix| self.by_prefix.insert(*prefix, session));
    }

    /// Takes a session out. An address that meanwhile belongs to another session stays.
    pub(crate) fn remove(&mut self, session: &Session) {
        for teid in &session.teids {
            if self.by_teid.get(teid).is_some_and(|found| found.seid == session.seid) {
                self.by_teid.remove(teid);
            }
        }
        for address in &session.ue_addresses {
            let address = u32::from(*address);
            if self.by_address.get(&address).is_some_and(|found| found.seid == session.seid) {
                self.by_address.remove(&address);
            }
        }
        session.prefixes().iter().for_each(|prefix| self.by_prefix.remove(*prefix, session));
    }

    /// TEIDs, addresses and prefixes that lead to a session.
    pub(crate) fn len(&self) -> usize {
        self.by_teid.len() + self.by_address.len() + self.by_prefix.len()
    }

    #[inline]
    pub(crate) fn by_teid(&self, teid: u32) -> Option<&Session> {
        self.by_teid.get(&teid).map(Arc::as_ref)
    }

    #[inline]
    pub(crate) fn by_address(&self, address: Ipv4Addr) -> Option<&Session> {
        match self.by_address.get(&u32::from(address)) {
            Some(session) => Some(session),
            None => self.by_prefix(address.into()),
        }
    }

    /// The session with the longest prefix that holds the address.
    #[inline(never)]
    pub(crate) fn by_prefix(&self, address: IpAddr) -> Option<&Session> {
        self.by_prefix.find(address)
    }
}

/// Multiplicative hashing of one number. The keys are ours (TEIDs are drawn at random by the
/// UPF, UE addresses come from the SMF's pools), so nobody outside can make them collide.
#[derive(Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write_u128(&mut self, number: u128) {
        self.0 =
            ((number >> 64) as u64 ^ (number as u64).rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}
