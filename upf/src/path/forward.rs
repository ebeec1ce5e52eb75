//! One packet through the rules: TS 29.244 §5.2.1 (detection), §5.2.2 (usage), §5.2.3 (forwarding),
//! §5.4 (QoS).

use std::sync::atomic::Ordering;

use pdr_classifier::Key;
use tern_gtpu::{GpduHeader, PduSessionContainer};

use super::account::{QUOTA, START, THRESHOLD};
use super::flow::Flow;
use super::ipv6;
use super::look::{Look, Looks, Shown};
use super::lookup::{show_network, show_user};
use super::meter::conforms;
use super::metered;
use super::more::{Redirect, answer_http};
use super::signalling;
use super::tables::Place;
use super::{
    Action, Copies, DropReason, Event, Marking, Measured, Packet, PathCounters, Pdr, Peer, Remote, Session,
    Side, Tables, Towards, Tunnel,
};
use crate::io::BURST;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send its octets by N3.
    ToAccess(Peer),
    /// Send its octets to a data network.
    ToNetwork(u16),
    /// It waits in its session.
    Buffered,
    /// It was for us and needs no answer.
    Consumed,
    /// It is dropped.
    Drop(DropReason),
}

/// What forwarding works with.
pub(crate) struct Context<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) now_ns: u64,
    /// Whether no other worker counts for the sessions, so that counting needs no locked instruction.
    pub(crate) alone: bool,
    pub(crate) counters: &'a PathCounters,
    /// Tells the PFCP core; false if it cannot take more now.
    pub(crate) events: &'a dyn Fn(Event) -> bool,
    /// Whether one more error indication may be sent now.
    pub(crate) error_indications: &'a mut signalling::Allowance,
    /// Whether the packets have waited in their session and leave it now.
    pub(crate) leaves_buffer: bool,
    /// Copies that rules ask for.
    pub(crate) copies: &'a mut Copies,
    /// Room for what the packets of a burst show.
    pub(crate) looks: &'a mut Looks,
    pub(crate) forwarded: Forwarded,
}

/// How a packet came.
#[derive(Clone, Copy)]
struct Came {
    /// From the UE, on whichever way.
    uplink: bool,
    /// Octets of GTP-U in front of it.
    front: u16,
    /// The QoS flow that its tunnel says.
    qfi: Option<u8>,
}

/// What a burst adds to the counters that all workers share.
#[derive(Default)]
pub(crate) struct Forwarded {
    uplink: [u64; 2],
    downlink: [u64; 2],
}

impl Forwarded {
    pub(super) fn add(&mut self, uplink: bool, octets: usize) {
        let [packets, total] = if uplink { &mut self.uplink } else { &mut self.downlink };
        *packets += 1;
        *total += octets as u64;
    }

    fn settle(self, counters: &PathCounters) {
        let both = [
            (self.uplink, &counters.uplink_packets, &counters.uplink_octets),
            (self.downlink, &counters.downlink_packets, &counters.downlink_octets),
        ];
        for ([packets, octets], all_packets, all_octets) in both {
            if packets > 0 {
                all_packets.fetch_add(packets, Ordering::Relaxed);
                all_octets.fetch_add(octets, Ordering::Relaxed);
            }
        }
    }
}

/// Decides about packets, in order, and rewrites each for where it goes.
#[inline]
pub(crate) fn process(
    context: &mut Context<'_>,
    packets: &mut [Packet],
    mut done: impl FnMut(&mut Packet, Verdict),
) {
    let tables = context.tables;
    for burst in packets.chunks_mut(BURST) {
        let mut looks = std::mem::take(context.looks);
        let (found, places) = looks.find(tables, burst);
        for (place, packet) in places.iter().zip(&*burst) {
            place.iter().for_each(|place| place.prefetch_rest(packet.side == Side::Access));
        }
        for ((packet, look), place) in burst.iter_mut().zip(found).zip(places) {
            let verdict = decide(context, packet, look, place).unwrap_or_else(|reason| {
                context.counters.dropped(reason);
                Verdict::Drop(reason)
            });
            done(packet, verdict);
            context.copies.send(&mut done);
        }
        std::mem::take(&mut context.forwarded).settle(context.counters);
        *context.looks = looks;
    }
}

#[inline]
fn decide(
    context: &mut Context<'_>,
    packet: &mut Packet,
    look: &Look,
    place: Option<&Place>,
) -> Result<Verdict, DropReason> {
    let unsound = match look.shown {
        Shown::User => None,
        Shown::Unsound(reason) => Some(reason),
        Shown::Other => return signalling::on_other(context, packet),
    };
    let Some((place, session)) = place.and_then(|place| Some((place, place.session.as_deref()?))) else {
        return match packet.side {
            Side::Access => signalling::on_unknown_teid(context, packet),
            Side::Network(_) => Err(unsound.unwrap_or(DropReason::UnknownUe)),
        };
    };
    if let Some(reason) = unsound {
        return Err(reason);
    }
    if let Some(straight) = &place.straight {
        return straight.pass(context, session, look, packet);
    }
    let (uplink, rule) = look.rule(packet.side, session);
    if uplink && is_spoofed(session, look, packet, rule) {
        return Err(DropReason::SpoofedSource);
    }
    let rule = rule.ok_or(DropReason::NoRule)?;
    let came = Came { uplink, front: look.front, qfi: look.qfi() };
    packet.narrow(look.front.into(), look.total_length as usize);
    let verdict = enforce(context, session, rule, packet, came);
    if let Err(reason) = verdict
        && session.is_unusual
    {
        metered::drop(context, session, rule, (uplink, look.total_length as usize), reason);
    }
    verdict
}

/// Whether the source is not the UE's. What a UE says on its link has no address that others could know, and
/// goes no further than into a tunnel, to who plays the router (TS 23.501 §5.8.2.2).
#[inline]
pub(super) fn is_spoofed(session: &Session, look: &Look, packet: &Packet, rule: Option<&Pdr>) -> bool {
    match look.source_v4() {
        source @ Some(_) if source == session.ue_address => false,
        Some(source) => session.is_foreign(source.into()),
        None => {
            let ends = ipv6::addresses(packet.behind(look.front.into()));
            let is_tunnelled = || rule.is_some_and(|rule| session.action(rule).tunnel().is_some());
            session.is_foreign(ends.0.into()) && !(ipv6::is_of_link(ends) && is_tunnelled())
        }
    }
}

/// Gates, FAR, rates, usage, headers: in this order, so that what is not forwarded is not counted
/// and what waits is metered when it leaves.
fn enforce(
    context: &mut Context<'_>,
    session: &Session,
    rule: &Pdr,
    packet: &mut Packet,
    came: Came,
) -> Result<Verdict, DropReason> {
    let uplink = came.uplink;
    let (qers, usages) = (&session.qers[..], &session.usages[..]);
    if session.is_unusual && rule.qers.of(qers).any(|qer| !qer.is_open(uplink)) {
        return Err(DropReason::GateClosed);
    }
    let octets = packet.len();
    let action = session.action(rule);
    match action {
        Action::ToTunnel(_) | Action::ToNetwork(_) => {}
        Action::Drop | Action::Nowhere | Action::Buffer { .. } => {
            return keep_back(context, session, rule, action, packet, came);
        }
    }
    if session.is_unusual
        && let Some(kept) = keep_behind(context, session, packet, came)
    {
        return if kept { Ok(Verdict::Buffered) } else { Err(DropReason::BufferFull) };
    }
    if rule.usages.find(usages, |measured| measured.usage.is_exhausted(uplink)).is_some() {
        return Err(DropReason::QuotaExhausted);
    }
    if !conforms((&rule.meters, qers), uplink, octets, context.now_ns, context.alone) {
        return Err(DropReason::RateExceeded);
    }
    // None of them ends it.
    let _ = rule.usages.find(usages, |measured| {
        count(context, session, measured, uplink, octets);
        false
    });
    if session.is_unusual
        && let Some(verdict) = besides(context, session, rule, packet)?
    {
        return Ok(verdict);
    }
    let tunnel = match action {
        Action::ToTunnel(tunnel) => tunnel,
        Action::ToNetwork(network) => {
            context.forwarded.add(true, octets);
            return Ok(Verdict::ToNetwork(*network));
        }
        Action::Drop | Action::Buffer { .. } | Action::Nowhere => return Err(DropReason::NoWay),
    };
    context.forwarded.add(tunnel.towards != Towards::Access, octets);
    let (container, dscp) = (container(rule, came), rule.flow.and_then(|flow| flow.dscp));
    match tunnel.towards {
        Towards::Access => tunnel.wrap(packet, dscp, container),
        Towards::Core => {
            tunnel.wrap(packet, dscp, container.map(|shown| PduSessionContainer::uplink(shown.qfi)))
        }
        Towards::Control => tunnel.wrap(packet, None, None),
    }
}

/// A packet that its FAR does not forward.
#[cold]
fn keep_back(
    context: &mut Context<'_>,
    session: &Session,
    rule: &Pdr,
    action: &Action,
    packet: &mut Packet,
    came: Came,
) -> Result<Verdict, DropReason> {
    match action {
        Action::Drop => {
            session.more(rule).iter().for_each(|more| more.copy(packet, context.copies));
            Err(DropReason::FarDrop)
        }
        Action::Buffer { notify } => buffer(context, session, rule, *notify, packet, came),
        _ => Err(DropReason::NoWay),
    }
}

/// Keeps a downlink packet behind those that wait, as it came; `None` if none does. With one worker what waited has
/// left before any other packet comes.
#[cold]
fn keep_behind(context: &Context<'_>, session: &Session, packet: &mut Packet, came: Came) -> Option<bool> {
    let may_wait = session.has_buffered && !context.alone && !context.leaves_buffer && !came.uplink;
    if !may_wait || !session.state.holds() {
        return None;
    }
    let length = packet.bytes().len();
    restore(packet, came);
    let kept = session.state.push_behind(packet.side, packet.bytes());
    if kept.is_none() {
        packet.narrow(came.front.into(), length);
    }
    kept
}

/// What few sessions do before a packet goes its way; the verdict, if it takes another one.
#[cold]
fn besides(
    context: &mut Context<'_>,
    session: &Session,
    rule: &Pdr,
    packet: &mut Packet,
) -> Result<Option<Verdict>, DropReason> {
    if session.is_watched {
        session.state.touch(context.now_ns);
    }
    if let Some(besides) = session.besides() {
        besides.metered(rule).for_each(|(_, metered)| metered.pass(context.now_ns));
    }
    if let Some(more) = session.more(rule) {
        more.copy(packet, context.copies);
        match &more.redirect {
            Some(Redirect::Http { response, network }) => {
                return answer(context, session, packet, response, *network).map(Some);
            }
            Some(Redirect::Address(server)) => {
                session.redirections().ok_or(DropReason::NoWay)?.forth(packet, *server)?;
            }
            None => {}
        }
    }
    if let (Side::Network(_), Some(redirections)) = (packet.side, session.redirections()) {
        redirections.back(packet);
    }
    Ok(None)
}

/// The answer to a packet that is redirected goes to the UE, by the session's rules for that.
fn answer(
    context: &mut Context<'_>,
    session: &Session,
    packet: &mut Packet,
    response: &str,
    network: u16,
) -> Result<Verdict, DropReason> {
    // A downlink rule redirects nothing: this ends.
    if packet.side != Side::Access {
        return Err(DropReason::NoWay);
    }
    answer_http(packet, response, network)?;
    let flow = Flow::parse(packet.bytes())?;
    let mut key = Key::new();
    show_network(&mut key, network);
    show_user(&mut key, &flow, packet.bytes());
    let rule = session.rules.downlink.find(&key).ok_or(DropReason::NoRule)?;
    enforce(context, session, rule, packet, Came { uplink: false, front: 0, qfi: None })
}

impl Tunnel {
    /// Puts the packet into the tunnel.
    #[inline]
    pub(crate) fn wrap(
        &self,
        packet: &mut Packet,
        dscp: Option<u8>,
        container: Option<PduSessionContainer>,
    ) -> Result<Verdict, DropReason> {
        let length = packet.len();
        let Remote { end, marking } = *self.remote;
        let marking = dscp.map_or(marking, |dscp| marking.or_dscp(dscp));
        if marking != Marking::default() {
            packet.tos = marking.tos(tos_of(packet.bytes()));
        }
        let header = GpduHeader { teid: self.teid, container };
        let room = packet.prepend(header.length()).ok_or(DropReason::NoWay)?;
        header.write(room, length);
        Ok(Verdict::ToAccess(end))
    }
}

/// The ToS octet of an IPv4 header, or the traffic class of an IPv6 one.
fn tos_of(packet: &[u8]) -> u8 {
    match *packet {
        [first, second, ..] if first >> 4 == 6 => first << 4 | second >> 4,
        [_, second, ..] => second,
        _ => 0,
    }
}

/// The PDU Session Container of downlink packets: of the rule's QoS flow, else the QoS flow that the packet had in the
/// tunnel that it came by.
#[inline]
fn container(rule: &Pdr, came: Came) -> Option<PduSessionContainer> {
    match rule.flow {
        Some(flow) => Some(flow.container),
        None => came.qfi.map(PduSessionContainer::downlink),
    }
}

#[inline(always)]
pub(super) fn count(
    context: &Context<'_>,
    session: &Session,
    measured: &Measured,
    uplink: bool,
    octets: usize,
) {
    let reached = measured.usage.count(uplink, octets, context.alone);
    if reached != 0 {
        tell(context, session.seid, measured, reached);
    }
}

/// Tells what a URR has reached.
#[cold]
pub(super) fn tell(context: &Context<'_>, seid: u64, measured: &Measured, reached: u8) {
    let urr_id = measured.urr_id;
    if reached & START != 0
        && measured.usage.must_tell_start()
        && !(context.events)(Event::TrafficStarted { seid, urr_id })
    {
        measured.usage.set_start(true);
    }
    if reached & (THRESHOLD | QUOTA) == 0 {
        return;
    }
    let quota = reached & QUOTA != 0;
    let event = Event::UsageReached { seid, urr_id, quota };
    if (context.events)(event) && !quota {
        measured.usage.silence();
    }
}

/// The header that a packet came with, which says how it was matched; what was behind the user packet is gone.
fn restore(packet: &mut Packet, came: Came) {
    let length = packet.bytes().len();
    if let Some([_, _, high, low, rest @ ..]) = packet.prepend(came.front.into()) {
        let length = u16::try_from(rest.len().saturating_sub(4) + length).unwrap_or(u16::MAX);
        [*high, *low] = length.to_be_bytes();
    }
}

#[cold]
fn buffer(
    context: &Context<'_>,
    session: &Session,
    rule: &Pdr,
    notify: bool,
    packet: &mut Packet,
    came: Came,
) -> Result<Verdict, DropReason> {
    restore(packet, came);
    let kept = session.state.push(session.generation, packet.side, packet.bytes());
    if notify && session.state.must_notify() {
        let qfi = container(rule, came).map(|container| container.qfi);
        let event = Event::Buffered { seid: session.seid, pdr_id: rule.id, qfi };
        if !(context.events)(event) {
            session.state.notify_again();
        }
    }
    if kept { Ok(Verdict::Buffered) } else { Err(DropReason::BufferFull) }
}
