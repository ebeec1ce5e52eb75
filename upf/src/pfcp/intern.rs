//! What many sessions have in common, kept once.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Weak};

use foldhash::quality::RandomState;

use crate::index::Index;
use crate::path::{Remote, SharedRules, Tunnel};

/// What sessions have in common.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) rules: Interner<SharedRules>,
    pub(crate) remotes: Remotes,
}

/// The other ends of tunnels. Each is there as long as a tunnel to it is.
#[derive(Debug, Default)]
pub(crate) struct Remotes {
    known: HashMap<Remote, Weak<Remote>>,
    /// With more of them, those that are gone are taken out.
    look_beyond: usize,
}

/// Fewer are not worth a look at which are gone.
const REMOTES_MIN: usize = 64;

impl Remotes {
    /// The tunnel has its other end in common with all others to there.
    pub(crate) fn share(&mut self, tunnel: &mut Tunnel) {
        let known = self.known.get(&*tunnel.remote).and_then(Weak::upgrade);
        if let Some(known) = known {
            tunnel.remote = known;
            return;
        }
        if self.known.len() > self.look_beyond {
            self.known.retain(|_, remote| remote.strong_count() > 0);
            self.look_beyond = REMOTES_MIN.max(2 * self.known.len());
        }
        self.known.insert(*tunnel.remote, Arc::downgrade(&tunnel.remote));
    }
}

/// Values by the octets that they are made from. Each is there as long as a session uses it: there are never
/// more than sessions.
#[derive(Debug)]
pub(crate) struct Interner<T> {
    entries: Vec<Option<Entry<T>>>,
    /// Places of `entries` where nothing is.
    free: Vec<u32>,
    /// By a hash of the octets with a seed of its own, since SMFs choose them.
    index: Index,
    hasher: RandomState,
}

#[derive(Debug)]
struct Entry<T> {
    octets: Box<[u8]>,
    users: u32,
    value: Arc<T>,
}

/// One use of a value, to be given back.
#[derive(Debug)]
pub(crate) struct Use(u32);

impl Default for Use {
    /// Of nothing.
    fn default() -> Self {
        Self(u32::MAX)
    }
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            index: Index::default(),
            hasher: RandomState::default(),
        }
    }
}

impl<T> Interner<T> {
    /// The value of these octets for one more user, made if nobody has it.
    pub(crate) fn take<E>(
        &mut self,
        octets: &[u8],
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<(Use, Arc<T>), E> {
        let tag = self.tag(octets);
        let is_it = |place: u32| matches!(self.entry(place), Some(entry) if *entry.octets == *octets);
        if let Some(place) = self.index.find(tag, is_it)
            && let Some(Some(entry)) = self.entries.get_mut(place as usize)
        {
            entry.users += 1;
            return Ok((Use(place), entry.value.clone()));
        }
        let value = Arc::new(make()?);
        let entry = Some(Entry { octets: octets.into(), users: 1, value: value.clone() });
        let place = match self.free.pop() {
            Some(place) => {
                self.entries[place as usize] = entry;
                place
            }
            None => {
                self.entries.push(entry);
                self.entries.len() as u32 - 1
            }
        };
        self.index.set(tag, place, |_| false);
        Ok((Use(place), value))
    }

    /// One user fewer; after the last one the value goes.
    pub(crate) fn give_back(&mut self, Use(place): Use) {
        let Some(slot) = self.entries.get_mut(place as usize) else { return };
        let Some(entry) = slot else { return };
        entry.users -= 1;
        if entry.users > 0 {
            return;
        }
        if let Some(entry) = slot.take() {
            let tag = self.tag(&entry.octets);
            self.index.remove(tag, place);
            self.free.push(place);
        }
    }

    /// What a value was made from.
    pub(crate) fn octets(&self, Use(place): &Use) -> &[u8] {
        self.entry(*place).map_or(&[], |entry| &entry.octets)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    fn entry(&self, place: u32) -> Option<&Entry<T>> {
        self.entries.get(place as usize)?.as_ref()
    }

    fn tag(&self, octets: &[u8]) -> u32 {
        self.hasher.hash_one(octets) as u32
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use super::{Interner, REMOTES_MIN, Remotes};
    use crate::path::{Marking, Towards, Tunnel};

    fn tunnel(peer: u32, teid: u32) -> Tunnel {
        Tunnel::new(teid, std::net::Ipv4Addr::from_bits(peer).into(), Marking::INNER, Towards::Access)
    }

    #[test]
    fn when_tunnels_lead_to_one_peer_then_they_have_its_end_in_common() {
        let mut remotes = Remotes::default();
        let mut tunnels = [tunnel(1, 5), tunnel(1, 6), tunnel(2, 5)];
        tunnels.iter_mut().for_each(|tunnel| remotes.share(tunnel));
        let [one, other, elsewhere] = tunnels;
        assert!(Arc::ptr_eq(&one.remote, &other.remote) && one.teid != other.teid);
        assert_eq!(elsewhere, tunnel(2, 5));
    }

    #[test]
    fn when_peers_come_and_go_then_those_that_are_gone_are_not_kept() {
        let mut remotes = Remotes::default();
        let mut stays = tunnel(0, 1);
        for peer in 0..10 * REMOTES_MIN as u32 {
            remotes.share(&mut tunnel(peer, 1));
            remotes.share(&mut stays);
        }
        assert!(remotes.known.len() <= REMOTES_MIN + 2, "{} are kept", remotes.known.len());
        let mut again = tunnel(0, 2);
        remotes.share(&mut again);
        assert!(Arc::ptr_eq(&again.remote, &stays.remote));
    }

    #[test]
    fn when_the_last_user_gives_a_value_back_then_it_goes() {
        let mut interner = Interner::default();
        let take = |interner: &mut Interner<u8>, octets: &[u8], value: u8| {
            let taken: Result<_, Infallible> = interner.take(octets, || Ok(value));
            taken.expect("is made")
        };
        let (first, one) = take(&mut interner, b"a", 1);
        let (second, again) = take(&mut interner, b"a", 2);
        assert!(Arc::ptr_eq(&one, &again) && *take(&mut interner, b"b", 3).1 == 3);
        interner.give_back(first);
        assert_eq!(interner.len(), 2);
        interner.give_back(second);
        assert_eq!((interner.len(), Arc::strong_count(&one)), (1, 2));
        assert_eq!(*take(&mut interner, b"a", 4).1, 4);
    }

    #[test]
    fn when_a_value_cannot_be_made_then_nothing_is_kept() {
        let mut interner: Interner<u8> = Interner::default();
        assert!(interner.take(b"a", || Err(())).is_err());
        assert_eq!(interner.len(), 0);
    }
}
