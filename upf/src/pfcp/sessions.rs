//! All sessions of the control side, and what leads to them.

use std::collections::BTreeSet;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use foldhash::quality::RandomState;
use tern_pfcp::FSeid;
use tern_types::Random;

use super::SessionContext;
use crate::index::Index;
use crate::path::{Session, slot_of};

/// Slots that are allocated together.
const PIECE: usize = 256;

/// Where the SMF's ends of sessions are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CpEnd {
    /// The SMF whose association they belong to.
    pub(crate) smf: IpAddr,
    ipv4: Option<Ipv4Addr>,
    ipv6: Option<Ipv6Addr>,
}

impl CpEnd {
    /// Of this endpoint.
    pub(crate) fn new(smf: IpAddr, f_seid: &FSeid) -> Self {
        Self { smf, ipv4: f_seid.ipv4, ipv6: f_seid.ipv6 }
    }

    /// Where requests about the sessions go.
    pub(crate) fn address(&self) -> IpAddr {
        self.ipv4.map(IpAddr::V4).or(self.ipv6.map(IpAddr::V6)).unwrap_or(self.smf)
    }
}

/// Sessions in slots, which are the lower halves of their SEIDs; the upper halves are drawn at random, so that
/// nobody who has not seen a SEID can guess it, and none comes again soon.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    /// In pieces, so that nothing moves when there are more.
    slots: Vec<Box<[Option<SessionContext>]>>,
    free: Vec<u32>,
    len: usize,
    /// By a hash of the SMF and its SEID, which SMFs choose: with a seed.
    by_cp: Index,
    /// By a hash of a remote tunnel, which SMFs choose, too.
    by_tunnel: Index,
    hasher: RandomState,
    /// Of all sessions, each once: there are few.
    cp_ends: BTreeSet<Arc<CpEnd>>,
}

impl Sessions {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Keys that lead to sessions, and where the SMFs' ends are.
    pub(crate) fn indexed(&self) -> usize {
        self.by_cp.len() + self.by_tunnel.len() + self.cp_ends.len()
    }

    /// The SEID of the next session.
    pub(crate) fn next_seid(&self, random: &mut Random) -> u64 {
        let unused = (self.slots.len() * PIECE) as u32;
        let slot = self.free.last().copied().unwrap_or(unused);
        u64::from(random.u32().max(1)) << 32 | u64::from(slot)
    }

    /// Puts a session in whose SEID was the next one; others may have gone since.
    pub(crate) fn insert(&mut self, session: SessionContext) {
        let slot = slot_of(session.seid());
        if slot as usize >= self.slots.len() * PIECE {
            self.slots.push((0..PIECE).map(|_| None).collect());
            self.free.extend((slot + 1..slot + PIECE as u32).rev());
        } else if let Some(at) = self.free.iter().rposition(|free| *free == slot) {
            self.free.remove(at);
        }
        self.set_cp(&session, slot);
        let published = session.published.clone();
        if let Some(place) = slot_mut(&mut self.slots, slot) {
            *place = Some(session);
            self.len += 1;
        }
        self.set_tunnels(&published);
    }

    pub(crate) fn get(&self, seid: u64) -> Option<&SessionContext> {
        self.at(slot_of(seid)).filter(|session| session.seid() == seid)
    }

    pub(crate) fn get_mut(&mut self, seid: u64) -> Option<&mut SessionContext> {
        slot_mut(&mut self.slots, slot_of(seid))?.as_mut().filter(|session| session.seid() == seid)
    }

    /// Takes a session out, and what leads to it. A key that meanwhile leads to another session stays.
    pub(crate) fn remove(&mut self, seid: u64) -> Option<SessionContext> {
        let slot = slot_of(seid);
        let place = slot_mut(&mut self.slots, slot)?;
        let session = place.take_if(|session| session.seid() == seid)?;
        self.free.push(slot);
        self.len -= 1;
        self.forget_cp(&session);
        self.forget_tunnels(&session.published);
        Some(session)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &SessionContext> {
        self.slots.iter().flatten().flatten()
    }

    /// The session of this endpoint of an SMF.
    pub(crate) fn by_cp(&self, smf: IpAddr, cp_seid: u64) -> Option<&SessionContext> {
        let tag = self.tag(&(smf, cp_seid));
        self.by_cp.find(tag, |slot| self.is_of_cp(slot, smf, cp_seid)).and_then(|slot| self.at(slot))
    }

    /// The session that sends into this tunnel.
    pub(crate) fn by_tunnel(&self, peer: IpAddr, teid: u32) -> Option<&SessionContext> {
        let tag = self.tag(&(peer, teid));
        self.by_tunnel.find(tag, |slot| self.sends_into(slot, (peer, teid))).and_then(|slot| self.at(slot))
    }

    /// This place, as all sessions have it whose ends are there.
    pub(crate) fn cp_end(&mut self, end: CpEnd) -> Arc<CpEnd> {
        if let Some(known) = self.cp_ends.get(&end) {
            return known.clone();
        }
        let end = Arc::new(end);
        self.cp_ends.insert(end.clone());
        end
    }

    /// The SMF's endpoint of this session, which is out, leads to it no longer.
    fn forget_cp(&mut self, session: &SessionContext) {
        let tag = self.tag(&(session.cp.smf, session.cp_seid));
        self.by_cp.remove(tag, slot_of(session.seid()));
        // The session's own and ours.
        if Arc::strong_count(&session.cp) <= 2 {
            self.cp_ends.remove(&session.cp);
        }
    }

    fn set_cp(&mut self, session: &SessionContext, slot: u32) {
        let (smf, cp_seid) = (session.cp.smf, session.cp_seid);
        let tag = self.tag(&(smf, cp_seid));
        let mut index = std::mem::take(&mut self.by_cp);
        index.set(tag, slot, |other| self.is_of_cp(other, smf, cp_seid));
        self.by_cp = index;
    }

    /// The remote tunnels of these rules lead to their session, which is in.
    pub(crate) fn set_tunnels(&mut self, published: &Session) {
        let mut index = std::mem::take(&mut self.by_tunnel);
        for tunnel in published.tunnels() {
            index.set(self.tag(&tunnel), published.slot(), |other| self.sends_into(other, tunnel));
        }
        self.by_tunnel = index;
    }

    /// They lead to it no longer.
    pub(crate) fn forget_tunnels(&mut self, published: &Session) {
        for tunnel in published.tunnels() {
            self.by_tunnel.remove(self.tag(&tunnel), published.slot());
        }
    }

    /// The SMF has another endpoint of this session.
    pub(crate) fn change_cp(&mut self, seid: u64, cp: FSeid) {
        let slot = slot_of(seid);
        let Some(mut session) = slot_mut(&mut self.slots, slot).and_then(Option::take) else { return };
        self.forget_cp(&session);
        session.cp_seid = cp.seid;
        session.cp = self.cp_end(CpEnd::new(session.cp.smf, &cp));
        self.set_cp(&session, slot);
        if let Some(place) = slot_mut(&mut self.slots, slot) {
            *place = Some(session);
        }
    }

    fn at(&self, slot: u32) -> Option<&SessionContext> {
        self.slots.get(slot as usize / PIECE)?.get(slot as usize % PIECE)?.as_ref()
    }

    fn is_of_cp(&self, slot: u32, smf: IpAddr, cp_seid: u64) -> bool {
        self.at(slot).is_some_and(|session| (session.cp.smf, session.cp_seid) == (smf, cp_seid))
    }

    fn sends_into(&self, slot: u32, tunnel: (IpAddr, u32)) -> bool {
        self.at(slot).is_some_and(|session| session.published.tunnels().any(|other| other == tunnel))
    }

    fn tag(&self, key: &impl std::hash::Hash) -> u32 {
        self.hasher.hash_one(key) as u32
    }
}

fn slot_mut(slots: &mut [Box<[Option<SessionContext>]>], slot: u32) -> Option<&mut Option<SessionContext>> {
    slots.get_mut(slot as usize / PIECE)?.get_mut(slot as usize % PIECE)
}
