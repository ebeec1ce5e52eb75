//! What the packets of a burst show, and where their sessions are.

use std::net::Ipv4Addr;

use pdr_classifier::{Key, Lane, prefetch};

use super::flow::Flow;
use super::ipv6;
use super::lookup::{Origin, show_network, show_tunnel, show_user};
use super::tables::Place;
use super::{DropReason, Packet, Pdr, Session, SharedRules, Side, Tables};
use crate::io::BURST;

/// What the packets of a burst show: room that is kept from burst to burst.
#[derive(Debug, Default)]
pub(crate) struct Looks(Vec<Look>);

/// What the first look at a packet shows. All of it is written where it stays:
/// fields that are written one by one and then moved together make the processor wait until all are written.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// What rules see of a user packet.
    key: Key,
    pub(super) shown: Shown,
    /// Octets of GTP-U in front of the user packet. No datagram has more.
    pub(super) front: u16,
    /// Octets of the user packet, as its header says.
    pub(super) total_length: u32,
}

/// What a packet is, before anything is known of its session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Shown {
    /// A user packet.
    User,
    /// What claims to be one.
    Unsound(DropReason),
    /// Another message of GTP-U, or none.
    #[default]
    Other,
}

impl Look {
    #[inline]
    fn at(&mut self, packet: &Packet) {
        self.key = Key::new();
        let user = match packet.side {
            Side::Access => match tern_gtpu::Packet::parse(packet.bytes()) {
                Ok(parsed) if parsed.is_g_pdu() => {
                    show_tunnel(&mut self.key, parsed.teid, parsed.container.map(|container| container.qfi));
                    self.front = parsed.header_length as u16;
                    parsed.payload
                }
                _ => {
                    self.shown = Shown::Other;
                    return;
                }
            },
            Side::Network(network) => {
                show_network(&mut self.key, network);
                self.front = 0;
                packet.bytes()
            }
        };
        let is_v4 = matches!(user, [first, ..] if first >> 4 == 4);
        let read = if is_v4 { self.user_v4(user) } else { self.user_other(user) };
        self.shown = match read {
            Ok(()) => Shown::User,
            Err(reason) => Shown::Unsound(reason),
        };
    }

    #[inline]
    fn user_v4(&mut self, packet: &[u8]) -> Result<(), DropReason> {
        let flow = Flow::parse_v4(packet)?;
        show_user(&mut self.key, &flow, packet);
        self.total_length = flow.total_length;
        Ok(())
    }

    #[inline(never)]
    fn user_other(&mut self, packet: &[u8]) -> Result<(), DropReason> {
        let flow = Flow::parse(packet)?;
        show_user(&mut self.key, &flow, packet);
        self.total_length = flow.total_length;
        Ok(())
    }

    /// An address of IPv4.
    #[inline]
    fn address_v4(&self, lane: Lane) -> Option<Ipv4Addr> {
        (self.key.get(Lane::IpVersion) == 4).then(|| Ipv4Addr::from_bits(self.key.get(lane)))
    }

    /// Asks for what finding the session needs.
    #[inline]
    fn prefetch(&self, side: Side, tables: &Tables) {
        match side {
            Side::Access => tables.prefetch_teid(self.teid()),
            Side::Network(_) => tables.prefetch_address(self.key.get(Lane::Destination0).into()),
        }
    }

    /// Where the session is.
    #[inline]
    fn slot(&self, packet: &Packet, tables: &Tables) -> Option<u32> {
        match (self.shown, packet.side) {
            (Shown::User | Shown::Unsound(_), Side::Access) => tables.by_teid(self.teid()),
            (Shown::User, Side::Network(_)) => match self.address_v4(Lane::Destination0) {
                Some(destination) => tables.by_address(destination),
                None => tables.by_prefix(ipv6::addresses(packet.bytes()).1.into()),
            },
            _ => None,
        }
    }

    #[inline]
    fn teid(&self) -> u32 {
        self.key.get(Lane::Teid)
    }

    /// The QoS flow that the packet's tunnel says.
    #[inline]
    pub(super) fn qfi(&self) -> Option<u8> {
        u8::try_from(self.key.get(Lane::Qfi)).ok()
    }

    /// The source of a user packet of IPv4.
    #[inline]
    pub(super) fn source_v4(&self) -> Option<Ipv4Addr> {
        self.address_v4(Lane::Source0)
    }

    /// Whether a packet of this session is from the UE, and the rule that it matches; it is a user packet.
    #[inline]
    pub(super) fn rule<'s>(&self, side: Side, session: &'s Session) -> (bool, Option<&'s Pdr>) {
        match side {
            Side::Access => match session.origin(self.teid()) {
                Origin::Access => (true, self.rule_of(true, &session.rules)),
                other => {
                    let key = self.key.with(Lane::SourceInterface, other.interface() as u32);
                    (false, session.rules.downlink.find(&key))
                }
            },
            Side::Network(_) => (false, self.rule_of(false, &session.rules)),
        }
    }

    /// The rule of this direction that a user packet matches, if it came the way that packets of this direction come.
    #[inline]
    pub(super) fn rule_of<'r>(&self, uplink: bool, rules: &'r SharedRules) -> Option<&'r Pdr> {
        let rules = if uplink { &rules.uplink } else { &rules.downlink };
        rules.find(&self.key)
    }

    /// The length of a user packet, in octets, if it is sound.
    pub(super) fn user_octets(&self) -> Option<usize> {
        matches!(self.shown, Shown::User).then_some(self.total_length as usize)
    }
}

impl Looks {
    /// Looks at the packets of a burst, and finds where their sessions are.
    ///
    /// What the packets need of tables and sessions is asked for before any of it is used, so that they wait for
    /// memory together and not one after the other.
    #[inline]
    pub(super) fn find<'t>(
        &mut self,
        tables: &'t Tables,
        burst: &[Packet],
    ) -> (&[Look], [Option<&'t Place>; BURST]) {
        self.0.resize_with(BURST, Look::default);
        let looks = &mut self.0[..burst.len()];
        for (look, packet) in looks.iter_mut().zip(burst) {
            look.at(packet);
            look.prefetch(packet.side, tables);
        }
        let mut places = [None; BURST];
        for ((look, packet), place) in looks.iter().zip(burst).zip(&mut places) {
            *place = look.slot(packet, tables).and_then(|slot| tables.place(slot));
            place.iter().for_each(|place| prefetch(*place));
        }
        for (place, packet) in places.iter().zip(burst) {
            place.iter().for_each(|place| place.prefetch(packet.side == Side::Access));
        }
        (looks, places)
    }
}
