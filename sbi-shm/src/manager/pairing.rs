//! How processes are brought together: each two by a socket of their own, or each with the forwarder.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::client::Client;
use super::serve::Manager;
use crate::pair::PeerInfo;
use crate::protocol::{FromManager, PEERS_MAX};

/// Both ends of a socket for a pair.
fn ends() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

impl Manager {
    /// A process wants to reach who listens at `to`.
    pub(super) fn on_connect(&mut self, index: usize, to: SocketAddr) {
        let own = self.clients[index].domain;
        let listens = |client: &&Client| client.domain == own && client.listens_at(to) && !client.hung_up();
        let Some(peer) = self.clients.iter().position(|client| listens(&client)) else {
            return self.clients[index].say(&FromManager::NoRoute(to), &[]);
        };
        let Some(instance) = self.clients[peer].instance() else { return };
        if let Some(forwarder) = &self.forwarders[own] {
            let through = forwarder.instance;
            let known = self.clients[index].admitted.as_ref().and_then(|a| a.peers.get(&through).copied());
            let route = known.or_else(|| self.pair_with_forwarder(index));
            let answer = route.map_or(FromManager::NoRoute(to), |pair| FromManager::Route(to, through, pair));
            return self.clients[index].say(&answer, &[]);
        }
        match self.pair_of(index, peer).or_else(|| self.pair(index, peer)) {
            Some(pair) => self.clients[index].say(&FromManager::Route(to, instance, pair), &[]),
            None => self.clients[index].say(&FromManager::NoRoute(to), &[]),
        }
    }

    /// One of the two has lost their pair, though both live: they may have a new one.
    pub(super) fn on_lost(&mut self, index: usize, peer: u64, pair: u64) {
        let Some(own) = self.clients[index].instance() else { return };
        for client in &mut self.clients {
            let Some(admitted) = &mut client.admitted else { continue };
            let other = if admitted.instance == own { peer } else { own };
            // Not one that was made since.
            if (admitted.instance == own || admitted.instance == peer)
                && admitted.peers.get(&other) == Some(&pair)
            {
                admitted.peers.remove(&other);
            }
        }
    }

    /// The number of the pair of two, if they are one.
    fn pair_of(&self, one: usize, other: usize) -> Option<u64> {
        let other = self.clients[other].instance()?;
        self.clients[one].admitted.as_ref()?.peers.get(&other).copied()
    }

    /// Gives both an end of a socket of their own, and each other's names. The number of the pair.
    fn pair(&mut self, one: usize, other: usize) -> Option<u64> {
        let ends = ends().ok()?;
        let full = |at: usize| self.clients[at].admitted.as_ref().is_none_or(|a| a.peers.len() >= PEERS_MAX);
        if full(one) || full(other) {
            return None;
        }
        let addresses = &self.options.domains[self.clients[one].domain].addresses;
        let about = |at: usize| {
            let admitted = self.clients[at].admitted.as_ref()?;
            let (instance, name) = (admitted.instance, admitted.name.clone());
            Some((instance, FromManager::Pair { instance, name, addresses: addresses.clone() }))
        };
        let ((first, to_other), (second, to_one)) = (about(one)?, about(other)?);
        self.clients[one].say(&to_one, &[ends.0.as_fd()]);
        self.clients[other].say(&to_other, &[ends.1.as_fd()]);
        self.last_pair += 1;
        for (at, peer) in [(one, second), (other, first)] {
            if let Some(admitted) = &mut self.clients[at].admitted {
                admitted.peers.insert(peer, self.last_pair);
            }
        }
        Some(self.last_pair)
    }

    /// Pairs a process with its domain's forwarder. The number of the pair.
    pub(super) fn pair_with_forwarder(&mut self, index: usize) -> Option<u64> {
        let domain = self.clients[index].domain;
        let forwarder = self.forwarders[domain].as_mut()?;
        let ends = ends().ok()?;
        let addresses = self.options.domains[domain].addresses.clone();
        let admitted = self.clients[index].admitted.as_ref()?;
        let (instance, name) = (admitted.instance, admitted.name.clone());
        let through = forwarder.instance;
        forwarder.begin_pairing(PeerInfo { instance, name, addresses: addresses.clone() }, ends.1).ok()?;
        let pair = FromManager::Pair { instance: through, name: "manager".into(), addresses };
        self.clients[index].say(&pair, &[ends.0.as_fd()]);
        self.last_pair += 1;
        self.clients[index].admitted.as_mut()?.peers.insert(through, self.last_pair);
        Some(self.last_pair)
    }
}
