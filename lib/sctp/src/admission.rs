//! Counts a listener's live associations, in all and by peer address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::counters::SctpCounters;
use crate::options::Limits;

/// The count of one listener.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: Limits,
    counters: Arc<SctpCounters>,
    live: Mutex<Live>,
}

#[derive(Debug, Default)]
struct Live {
    all: usize,
    by_peer: BTreeMap<IpAddr, usize>,
    /// Peers whose refusal was logged, until one of their associations ends: one line for each
    /// flood, however long.
    told: BTreeSet<IpAddr>,
}

/// A place in the count, held as long as the association lives.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    peer: IpAddr,
}

impl Admission {
    pub(crate) fn new(limits: Limits, counters: Arc<SctpCounters>) -> Arc<Self> {
        Arc::new(Self { limits, counters, live: Mutex::default() })
    }

    /// A place for one more association of this peer; None at a limit, counted.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Permit> {
        let mut live = self.lock();
        if live.all >= self.limits.associations_max {
            self.counters.refused_limit.add(1);
            let limit = self.limits.associations_max;
            if live.tell(peer, limit) {
                tracing::warn!(%peer, limit, "associations refused: too many in all");
            }
            return None;
        }
        let of_peer = live.by_peer.get(&peer).copied().unwrap_or(0);
        if of_peer >= self.limits.associations_per_peer_max {
            self.counters.refused_peer_limit.add(1);
            let limit = self.limits.associations_per_peer_max;
            if live.tell(peer, limit) {
                tracing::warn!(%peer, limit, "associations refused: too many of this peer");
            }
            return None;
        }
        live.all += 1;
        live.by_peer.insert(peer, of_peer + 1);
        self.counters.accepted.add(1);
        Some(Permit { admission: Arc::clone(self), peer })
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// Whether a refusal is news; peers beyond `limit` are none.
    fn tell(&mut self, peer: IpAddr, limit: usize) -> bool {
        self.told.len() < limit && self.told.insert(peer)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut live = self.admission.lock();
        live.all = live.all.saturating_sub(1);
        live.told.remove(&self.peer);
        if let Some(count) = live.by_peer.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                live.by_peer.remove(&self.peer);
            }
        }
    }
}
