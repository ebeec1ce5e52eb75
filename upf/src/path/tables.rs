//! Which session a packet belongs to. Each worker has its own.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::session::CACHE_LINE;
use super::{Prefixes, Session, Straight};
use crate::index::Index;

/// Sessions by local TEID, by UE address and by prefix. The first two are spread by a hash that everybody knows:
/// TEIDs are drawn at random by the UPF, UE addresses come from the SMF's pools, so nobody outside can make them
/// collide.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// By their slots, in pieces that stay where they are while others come.
    pieces: Vec<Box<[Place]>>,
    by_teid: Index,
    by_address: Index,
    by_prefix: Prefixes,
    /// Sessions with a guaranteed flow.
    guaranteed: usize,
}

/// Places of one piece: a power of two.
const PIECE: usize = 1_024;

/// A session, and what most packets need of it: one line of memory.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Place {
    pub(crate) session: Option<Arc<Session>>,
    pub(crate) straight: Option<Straight>,
}

const _: () = assert!(size_of::<Place>() == CACHE_LINE, "most packets need a second line of each session");

impl Tables {
    /// Puts a session in, in place of what it was before.
    pub(crate) fn publish(&mut self, session: &Arc<Session>, before: Option<&Session>) {
        if let Some(before) = before.filter(|before| !leads_to_the_same(before, session)) {
            self.remove(before);
        }
        let slot = session.slot();
        let (piece, at) = parts(slot);
        if self.pieces.len() <= piece {
            let vacant = || (0..PIECE).map(|_| Place::default()).collect();
            self.pieces.resize_with(piece + 1, vacant);
        }
        let place = &mut self.pieces[piece][at];
        let gone = place.session.replace(session.clone());
        place.straight = Straight::of(session);
        self.guaranteed += usize::from(session.is_guaranteed());
        self.guaranteed -= usize::from(gone.is_some_and(|gone| gone.is_guaranteed()));
        for teid in &session.teids {
            self.by_teid.set(*teid, slot, |_| true);
        }
        for address in &session.ue_addresses {
            self.by_address.set(u32::from(*address), slot, |_| true);
        }
        session.prefixes().iter().for_each(|prefix| self.by_prefix.insert(*prefix, slot));
    }

    /// Takes a session out. An address that meanwhile belongs to another session stays.
    pub(crate) fn remove(&mut self, session: &Session) {
        let slot = session.slot();
        let (piece, at) = parts(slot);
        let Some(place) = self.pieces.get_mut(piece).and_then(|piece| piece.get_mut(at)) else { return };
        let Some(gone) = place.session.take_if(|found| found.seid == session.seid) else { return };
        place.straight = None;
        self.guaranteed -= usize::from(gone.is_guaranteed());
        for teid in &session.teids {
            self.by_teid.remove(*teid, slot);
        }
        for address in &session.ue_addresses {
            self.by_address.remove(u32::from(*address), slot);
        }
        session.prefixes().iter().for_each(|prefix| self.by_prefix.remove(*prefix, slot));
    }

    /// TEIDs, addresses and prefixes that lead to a session.
    pub(crate) fn len(&self) -> usize {
        self.by_teid.len() + self.by_address.len() + self.by_prefix.len()
    }

    /// Whether a session has a guaranteed flow.
    #[inline]
    pub(crate) fn has_guaranteed(&self) -> bool {
        self.guaranteed > 0
    }

    #[inline]
    pub(crate) fn by_teid(&self, teid: u32) -> Option<u32> {
        self.by_teid.find(teid, |_| true)
    }

    #[inline]
    pub(crate) fn by_address(&self, address: Ipv4Addr) -> Option<u32> {
        match self.by_address.find(u32::from(address), |_| true) {
            Some(slot) => Some(slot),
            None => self.by_prefix(address.into()),
        }
    }

    /// The session with the longest prefix that holds the address.
    #[inline(never)]
    pub(crate) fn by_prefix(&self, address: IpAddr) -> Option<u32> {
        self.by_prefix.find(address)
    }

    #[inline]
    pub(crate) fn session(&self, slot: u32) -> Option<&Session> {
        self.place(slot)?.session.as_deref()
    }

    /// Where the session of this slot is, if there is one.
    #[inline]
    pub(crate) fn place(&self, slot: u32) -> Option<&Place> {
        let (piece, at) = parts(slot);
        self.pieces.get(piece)?.get(at)
    }

    /// Asks for what finding this TEID needs.
    #[inline]
    pub(crate) fn prefetch_teid(&self, teid: u32) {
        self.by_teid.prefetch(teid);
    }

    /// Asks for what finding this address needs.
    #[inline]
    pub(crate) fn prefetch_address(&self, address: Ipv4Addr) {
        self.by_address.prefetch(u32::from(address));
    }
}

impl Place {
    /// Asks for the rest of what a packet of this direction needs, when this is near.
    #[inline]
    pub(crate) fn prefetch(&self, uplink: bool) {
        match (&self.straight, &self.session) {
            (Some(straight), _) => straight.prefetch(uplink),
            (None, Some(session)) => session.prefetch(),
            (None, None) => {}
        }
    }

    /// The same, when that is near.
    #[inline]
    pub(crate) fn prefetch_rest(&self, uplink: bool) {
        if let (None, Some(session)) = (&self.straight, &self.session) {
            session.prefetch_rest(uplink);
        }
    }
}

/// The piece of a slot, and its place there.
#[inline]
const fn parts(slot: u32) -> (usize, usize) {
    (slot as usize / PIECE, slot as usize % PIECE)
}

/// Whether what led to the session before leads to it still: nothing has to go then. Prefixes cannot be put in
/// twice.
fn leads_to_the_same(before: &Session, session: &Session) -> bool {
    let has_prefixes = !before.prefixes().is_empty() || !session.prefixes().is_empty();
    !has_prefixes && before.teids == session.teids && before.ue_addresses == session.ue_addresses
}
