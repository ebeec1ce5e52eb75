//! What few rules do besides forwarding: markings of the outer header, copies, redirection.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use super::flow::{Ends, Flow};
use super::{DropReason, Metered, Packet, ReferencePoint, Side, Tunnel, Verdict, checksum, redirect_http};

/// Bits of a ToS octet that are the DSCP. The others are of ECN, which no rule sets.
const DSCP: u8 = 0xFC;

/// Copies that one rule may have made of a packet.
pub(crate) const COPIES_MAX: usize = 4;

/// Flows of a session whose redirection is remembered, for the way back; the oldest is forgotten first.
const REDIRECTED_MAX: usize = 256;

/// The ToS octet of an outer header, and of which interface its source is. It has not an octet for each, since
/// there are millions of tunnels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Marking {
    /// Bits that are always set.
    value: u8,
    /// Bits that are the inner header's.
    copied: u8,
    /// Bits that the SMF has said, and [`N9`].
    said: u8,
}

/// Among the bits that the SMF has said, where none is of ECN: the source is of N9.
const N9: u8 = 1;

impl Marking {
    /// The inner header's DSCP.
    pub(crate) const INNER: Self = Self { value: 0, copied: DSCP, said: 0 };

    /// This DSCP, but for what the SMF has said.
    pub(crate) const fn or_dscp(self, dscp: u8) -> Self {
        Self { value: self.value & self.said | dscp << 2 & !self.said, copied: 0, said: self.said }
    }

    /// What the SMF says; the bits that its mask leaves stay as they are.
    pub(crate) const fn with(self, value: u8, mask: u8) -> Self {
        let mask = mask & DSCP;
        let said = mask | self.said & N9;
        Self { value: self.value & !mask | value & mask, copied: self.copied & !mask, said }
    }

    /// From this interface.
    pub(crate) const fn from(self, interface: ReferencePoint) -> Self {
        match interface {
            ReferencePoint::N3 => self,
            ReferencePoint::N9 => Self { said: self.said | N9, ..self },
        }
    }

    /// The interface of its source.
    #[inline]
    pub(crate) const fn interface(self) -> ReferencePoint {
        if self.said & N9 == 0 { ReferencePoint::N3 } else { ReferencePoint::N9 }
    }

    /// The octet around a packet with this one.
    #[inline]
    pub(crate) const fn tos(self, inner: u8) -> u8 {
        self.value | inner & self.copied
    }
}

/// Where a copy goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Copy {
    /// Into a tunnel.
    Tunnel(Tunnel),
    /// To the data network of this index.
    Network(u16),
}

/// What a rule redirects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// A server at this address takes the place of the packet's destination.
    Address(Ipv4Addr),
    /// Requests of HTTP are answered with this response, as if by their server; all else is dropped. The answers
    /// come from the data network of this index.
    Http { response: Box<str>, network: u16 },
}

/// What a rule does besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct More {
    pub(crate) copies: Box<[Copy]>,
    pub(crate) redirect: Option<Redirect>,
}

/// What few sessions have.
#[derive(Debug, Default)]
pub(crate) struct Besides {
    /// By the places of the actions.
    pub(crate) mores: Box<[More]>,
    /// If one of them redirects to an address.
    pub(crate) redirections: Option<Arc<Redirections>>,
    /// What URRs measure besides volume, by their places among the usages.
    pub(crate) metered: Box<[(u8, Arc<Metered>)]>,
}

impl More {
    /// The copies that a packet makes.
    pub(crate) fn copy(&self, packet: &Packet, copies: &mut Copies) {
        for copy in &self.copies {
            copies.add(packet, copy);
        }
    }
}

/// Copies of the packets of a burst, each with where it goes; kept, so that they cost no allocation.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    packets: Vec<(Packet, Verdict)>,
    used: usize,
}

impl Copies {
    fn add(&mut self, original: &Packet, copy: &Copy) {
        if self.used == self.packets.len() {
            self.packets.push((Packet::new(), Verdict::Consumed));
        }
        let (packet, verdict) = &mut self.packets[self.used];
        packet.set(original.bytes());
        packet.came(original.side, original.from);
        *verdict = match copy {
            Copy::Tunnel(tunnel) => match tunnel.wrap(packet, None, None) {
                Ok(verdict) => verdict,
                Err(_) => return,
            },
            Copy::Network(network) => Verdict::ToNetwork(*network),
        };
        self.used += 1;
    }

    /// Gives them away.
    #[inline]
    pub(crate) fn send(&mut self, mut done: impl FnMut(&mut Packet, Verdict)) {
        if self.used > 0 {
            self.packets.iter_mut().take(self.used).for_each(|(packet, verdict)| done(packet, *verdict));
            self.used = 0;
        }
    }
}

/// A flow that was redirected, as its packets from the server show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Redirected {
    server: Ipv4Addr,
    protocol: u8,
    /// Of the server, then of the UE.
    ports: Option<(u16, u16)>,
    /// Who the UE believes to talk with.
    original: Ipv4Addr,
}

/// Where the flows of a session that are redirected were meant to go.
#[derive(Debug, Default)]
pub(crate) struct Redirections(Mutex<Vec<Redirected>>);

impl Redirections {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Redirected>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A packet of the UE goes to the server in the place of its destination.
    pub(crate) fn forth(&self, packet: &mut Packet, server: Ipv4Addr) -> Result<(), DropReason> {
        let flow = Flow::parse(packet.bytes())?;
        // There is no IPv4 server in the place of an IPv6 one.
        let Ends::V4 { destination, .. } = flow.ends else { return Err(DropReason::NoWay) };
        if destination == server {
            return Ok(());
        }
        let ports = flow.ports.map(|(own, other)| (other, own));
        let new = Redirected { server, protocol: flow.protocol, ports, original: destination };
        let mut known = self.lock();
        let same = |old: &Redirected| Redirected { original: new.original, ..*old } == new;
        match known.iter().position(same) {
            Some(at) => known[at] = new,
            None => {
                if known.len() >= REDIRECTED_MAX {
                    known.remove(0);
                }
                known.push(new);
            }
        }
        drop(known);
        checksum::set_address(packet.bytes_mut(), checksum::DESTINATION, server);
        Ok(())
    }

    /// A packet of a server, if it answers a redirected one, gets the address that the UE knows.
    pub(crate) fn back(&self, packet: &mut Packet) {
        let Ok(flow) = Flow::parse(packet.bytes()) else { return };
        let Ends::V4 { source, .. } = flow.ends else { return };
        let answers =
            |old: &&Redirected| (old.server, old.protocol, old.ports) == (source, flow.protocol, flow.ports);
        let original = self.lock().iter().find(answers).map(|old| old.original);
        if let Some(original) = original {
            checksum::set_address(packet.bytes_mut(), checksum::SOURCE, original);
        }
    }
}

/// The packet of a UE becomes the answer of the server that it believes to talk with.
pub(crate) fn answer_http(packet: &mut Packet, response: &str, network: u16) -> Result<(), DropReason> {
    let answer = redirect_http::answer(packet.bytes(), response).ok_or(DropReason::Redirected)?;
    let from = packet.from;
    packet.set(&answer);
    packet.came(Side::Network(network), from);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Marking, ReferencePoint};

    #[test]
    fn when_a_marking_has_a_mask_then_only_its_bits_are_set_and_ecn_never() {
        assert_eq!(Marking::default().tos(0xFF), 0);
        assert_eq!(Marking::INNER.tos(0xBB), 0xB8);
        assert_eq!(Marking::INNER.or_dscp(46).tos(0x28), 0xB8);
        assert_eq!(Marking::default().with(0x28, 0xFF).or_dscp(46).tos(0xFF), 0x28);
        assert_eq!(Marking::default().with(0x80, 0xE0).or_dscp(46).tos(0xFF), 0x98);
        assert_eq!(Marking::INNER.with(0x80, 0xE0).tos(0x7F), 0x9C);
        assert_eq!(Marking::INNER.with(0, 0).tos(0x28), 0x28);
    }

    #[test]
    fn when_a_marking_is_of_n9_then_it_stays_so_and_marks_as_it_would() {
        let of_n9 = Marking::INNER.from(ReferencePoint::N9);
        assert_eq!((of_n9.interface(), of_n9.tos(0xBB)), (ReferencePoint::N9, 0xB8));
        for marking in [of_n9.or_dscp(46), of_n9.with(0xB8, 0xFF), of_n9.with(0x80, 0xE0).or_dscp(46)] {
            assert_eq!(marking.interface(), ReferencePoint::N9);
        }
        assert_eq!((of_n9.or_dscp(46).tos(3), of_n9.with(0x80, 0xE0).or_dscp(46).tos(3)), (0xB8, 0x98));
        assert_eq!(Marking::INNER.with(0xFF, 0xFF).or_dscp(63).interface(), ReferencePoint::N3);
    }
}
