//! One packet through the rules: TS 29.244 §5.2.1 (detection), §5.2.2 (usage), §5.2.3 (forwarding),
//! §5.4 (QoS).

use std::sync::atomic::Ordering;

use pdr_classifier::Key;
use tern_gtpu::{DecodeError, GpduHeader, PduSessionContainer};

use super::flow::{Ends, Flow};
use super::ipv6;
use super::lookup::{Origin, show_plain, show_tunnelled};
use super::meter::conforms;
use super::more::{Redirect, answer_http};
use super::signalling;
use super::usage::{QUOTA, START, THRESHOLD};
use super::{
    Action, Copies, DropReason, Event, Marking, Measured, Packet, PathCounters, Pdr, Peer, Qer, Session,
    Side, Tables, Tunnel,
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
}

/// What the packets of a burst show: room that is kept from burst to burst.
#[derive(Debug, Default)]
pub(crate) struct Looks(Vec<Look>);

/// What the first look at a packet shows, and then where its session is.
#[derive(Debug, Default)]
pub(super) struct Look {
    shown: Shown,
    /// Of its tunnel, and what that says of the QoS flow.
    teid: u32,
    qfi: Option<u8>,
    /// Octets of GTP-U in front of the user packet. No datagram has more.
    front: u16,
    /// Of a user packet.
    flow: Flow,
    slot: Option<u32>,
}

/// What a packet is, before anything is known of its session.
#[derive(Debug, Default)]
enum Shown {
    /// A user packet.
    User,
    /// What claims to be one.
    Unsound(DropReason),
    /// GTP-U that carries no user packet.
    #[default]
    Message,
    /// What claims to be GTP-U.
    Unreadable(DecodeError),
}

impl Look {
    /// Looks at a packet. It is written where it stays: see [`Flow::read`].
    #[inline]
    fn at(&mut self, packet: &Packet) {
        let user = match packet.side {
            Side::Network(_) => packet.bytes(),
            Side::Access => match tern_gtpu::Packet::parse(packet.bytes()) {
                Ok(parsed) if parsed.is_g_pdu() => {
                    self.teid = parsed.teid;
                    self.qfi = parsed.container.map(|container| container.qfi);
                    self.front = parsed.header_length as u16;
                    parsed.payload
                }
                Ok(_) => {
                    self.shown = Shown::Message;
                    return;
                }
                Err(error) => {
                    self.shown = Shown::Unreadable(error);
                    return;
                }
            },
        };
        self.shown = match self.flow.read(user) {
            Ok(()) => Shown::User,
            Err(reason) => Shown::Unsound(reason),
        };
    }

    /// Asks for what finding the session needs.
    #[inline]
    fn prefetch(&self, side: Side, tables: &Tables) {
        match (side, self.flow.ends) {
            (Side::Access, _) => tables.prefetch_teid(self.teid),
            (Side::Network(_), Ends::V4 { destination, .. }) => tables.prefetch_address(destination),
            (Side::Network(_), Ends::V6 { .. }) => {}
        }
    }

    /// Where the session is.
    #[inline]
    fn slot(&self, packet: &Packet, tables: &Tables) -> Option<u32> {
        match (&self.shown, packet.side) {
            (Shown::User | Shown::Unsound(_), Side::Access) => tables.by_teid(self.teid),
            (Shown::User, Side::Network(_)) => match self.flow.ends {
                Ends::V4 { destination, .. } => tables.by_address(destination),
                Ends::V6 { .. } => tables.by_prefix(ipv6::addresses(packet.bytes()).1.into()),
            },
            _ => None,
        }
    }

    /// The session, once it has been looked up.
    #[inline]
    pub(super) fn session<'t>(&self, tables: &'t Tables) -> Option<&'t Session> {
        tables.session(self.slot?)
    }

    /// Whether a packet of this session is from the UE.
    #[inline]
    pub(super) fn is_uplink(&self, packet: &Packet, session: &Session) -> bool {
        packet.side == Side::Access && session.origin(self.teid) == Origin::Access
    }

    /// The session's rule that a user packet matches.
    #[inline]
    pub(super) fn rule<'s>(&self, packet: &Packet, session: &'s Session) -> Option<&'s Pdr> {
        let mut key = Key::new();
        let rules = match packet.side {
            Side::Access => {
                let origin = session.origin(self.teid);
                let user = packet.behind(self.front.into());
                show_tunnelled(&mut key, &self.flow, user, origin, self.teid, self.qfi);
                if origin == Origin::Access { &session.rules.uplink } else { &session.rules.downlink }
            }
            Side::Network(network) => {
                show_plain(&mut key, &self.flow, packet.bytes(), network);
                &session.rules.downlink
            }
        };
        rules.find(&key)
    }

    /// The length of a user packet, in octets, if it is sound.
    pub(super) fn user_octets(&self) -> Option<usize> {
        matches!(self.shown, Shown::User).then_some(self.flow.total_length as usize)
    }
}

impl Looks {
    /// Looks at the packets of a burst, and finds their sessions.
    ///
    /// What the packets need of tables and sessions is asked for before any of it is used, so that they wait for
    /// memory together and not one after the other.
    #[inline]
    pub(super) fn find(&mut self, tables: &Tables, burst: &[Packet]) -> &[Look] {
        self.0.resize_with(BURST, Look::default);
        let looks = &mut self.0[..burst.len()];
        for (look, packet) in looks.iter_mut().zip(burst) {
            look.at(packet);
            look.prefetch(packet.side, tables);
        }
        for (look, packet) in looks.iter_mut().zip(burst) {
            look.slot = look.slot(packet, tables);
            look.slot.iter().for_each(|slot| tables.prefetch_slot(*slot));
        }
        looks.iter().filter_map(|look| look.session(tables)).for_each(Session::prefetch);
        looks
    }
}

/// How a packet came.
#[derive(Clone, Copy)]
struct Came {
    /// From the UE, on whichever way.
    uplink: bool,
    /// Octets of GTP-U in front of it.
    front: usize,
    /// The QoS flow that its tunnel says.
    qfi: Option<u8>,
}

/// What a burst adds to the counters that all workers share.
#[derive(Default)]
struct Forwarded {
    uplink: [u64; 2],
    downlink: [u64; 2],
}

impl Forwarded {
    fn add(&mut self, uplink: bool, octets: usize) {
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
    mut done: impl FnMut(&Packet, Verdict),
) {
    let tables = context.tables;
    for burst in packets.chunks_mut(BURST) {
        let mut looks = std::mem::take(context.looks);
        let found = looks.find(tables, burst);
        let session = |look: &Look| look.session(tables);
        found.iter().filter_map(session).for_each(Session::prefetch_rest);
        let mut forwarded = Forwarded::default();
        for (packet, look) in burst.iter_mut().zip(found) {
            let verdict = decide(context, &mut forwarded, packet, look, session(look));
            let verdict = verdict.unwrap_or_else(|reason| {
                context.counters.dropped(reason);
                Verdict::Drop(reason)
            });
            done(packet, verdict);
            context.copies.send(&mut done);
        }
        forwarded.settle(context.counters);
        *context.looks = looks;
    }
}

#[inline]
fn decide(
    context: &mut Context<'_>,
    forwarded: &mut Forwarded,
    packet: &mut Packet,
    look: &Look,
    session: Option<&Session>,
) -> Result<Verdict, DropReason> {
    let sound = match look.shown {
        Shown::User => Ok(()),
        Shown::Unsound(reason) => Err(reason),
        Shown::Message => return signalling::on_message(context, packet),
        Shown::Unreadable(error) => return signalling::on_unreadable(packet, error),
    };
    let flow = &look.flow;
    let (session, rule, came) = match packet.side {
        Side::Access => {
            let Some(session) = session else { return signalling::on_unknown_teid(context, packet) };
            sound?;
            let (front, uplink) = (usize::from(look.front), look.is_uplink(packet, session));
            let rule = look.rule(packet, session);
            if uplink && is_spoofed(session, flow, packet.behind(front), rule) {
                return Err(DropReason::SpoofedSource);
            }
            (session, rule, Came { uplink, front, qfi: look.qfi })
        }
        Side::Network(_) => {
            sound?;
            let session = session.ok_or(DropReason::UnknownUe)?;
            (session, look.rule(packet, session), Came { uplink: false, front: 0, qfi: None })
        }
    };
    let rule = rule.ok_or(DropReason::NoRule)?;
    packet.narrow(came.front, flow.total_length as usize);
    enforce(context, forwarded, session, rule, packet, came)
}

/// Whether the source is not the UE's. What a UE says on its link has no address that others could know, and
/// goes no further than into a tunnel, to who plays the router (TS 23.501 §5.8.2.2).
#[inline]
fn is_spoofed(session: &Session, flow: &Flow, packet: &[u8], rule: Option<&Pdr>) -> bool {
    match flow.ends {
        Ends::V4 { source, .. } => {
            !session.ue_addresses.contains(&source) && session.is_foreign(source.into())
        }
        Ends::V6 { .. } => {
            let ends = ipv6::addresses(packet);
            let is_tunnelled = || rule.is_some_and(|rule| session.action(rule).tunnel().is_some());
            session.is_foreign(ends.0.into()) && !(ipv6::is_of_link(ends) && is_tunnelled())
        }
    }
}

/// Gates, FAR, rates, usage, headers: in this order, so that what is not forwarded is not counted
/// and what waits is metered when it leaves.
fn enforce(
    context: &mut Context<'_>,
    forwarded: &mut Forwarded,
    session: &Session,
    rule: &Pdr,
    packet: &mut Packet,
    came: Came,
) -> Result<Verdict, DropReason> {
    let uplink = came.uplink;
    let (all_qers, all_usages) = (&session.qers[..], &session.usages[..]);
    let qers = rule.qers.of(all_qers);
    if qers.clone().any(|qer| !qer.is_open(uplink)) {
        return Err(DropReason::GateClosed);
    }
    let octets = packet.bytes().len();
    let action = session.action(rule);
    match action {
        Action::Drop => {
            session.more(rule).iter().for_each(|more| more.copy(packet, context.copies));
            return Err(DropReason::FarDrop);
        }
        Action::Nowhere => return Err(DropReason::NoWay),
        Action::Buffer { notify } => return buffer(context, session, rule, notify, packet, came),
        Action::ToAccess(_) | Action::ToCore(_) | Action::ToControl(_) | Action::ToNetwork(_) => {}
    }
    // With one worker what waited has left before any other packet comes.
    if session.has_buffered
        && !context.alone
        && !context.leaves_buffer
        && matches!(packet.side, Side::Network(_))
        && let Some(kept) = session.state.push_behind(packet.side, packet.bytes())
    {
        return if kept { Ok(Verdict::Buffered) } else { Err(DropReason::BufferFull) };
    }
    if rule.usages.of(all_usages).any(|measured| measured.usage.is_exhausted()) {
        return Err(DropReason::QuotaExhausted);
    }
    if !conforms(qers, uplink, octets, context.now_ns, context.alone) {
        return Err(DropReason::RateExceeded);
    }
    if session.is_watched {
        session.state.touch(context.now_ns);
    }
    count(context, session.seid, rule.usages.of(all_usages), uplink, octets);
    if session.besides().is_some() {
        let instead = besides(context, forwarded, session, rule, packet)?;
        if let Some(verdict) = instead {
            return Ok(verdict);
        }
    }
    match action {
        Action::ToNetwork(network) => {
            forwarded.add(true, octets);
            Ok(Verdict::ToNetwork(network))
        }
        Action::ToAccess(tunnel) => {
            forwarded.add(false, octets);
            let flow = flow_of(all_qers, rule);
            tunnel.wrap(packet, flow, container(flow, came))
        }
        Action::ToCore(tunnel) => {
            forwarded.add(true, octets);
            let flow = flow_of(all_qers, rule);
            let uplink = container(flow, came).map(|container| PduSessionContainer::uplink(container.qfi));
            tunnel.wrap(packet, flow, uplink)
        }
        Action::ToControl(tunnel) => {
            forwarded.add(true, octets);
            tunnel.wrap(packet, None, None)
        }
        Action::Drop | Action::Buffer { .. } | Action::Nowhere => Err(DropReason::NoWay),
    }
}

/// What few rules do before a packet goes its way; the verdict, if it takes another one.
#[cold]
fn besides(
    context: &mut Context<'_>,
    forwarded: &mut Forwarded,
    session: &Session,
    rule: &Pdr,
    packet: &mut Packet,
) -> Result<Option<Verdict>, DropReason> {
    if let Some(more) = session.more(rule) {
        more.copy(packet, context.copies);
        match &more.redirect {
            Some(Redirect::Http { response, network }) => {
                return answer(context, forwarded, session, packet, response, *network).map(Some);
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
    forwarded: &mut Forwarded,
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
    show_plain(&mut key, &flow, packet.bytes(), network);
    let rule = session.rules.downlink.find(&key).ok_or(DropReason::NoRule)?;
    enforce(context, forwarded, session, rule, packet, Came { uplink: false, front: 0, qfi: None })
}

impl Tunnel {
    /// Puts the packet into the tunnel.
    #[inline]
    pub(crate) fn wrap(
        &self,
        packet: &mut Packet,
        flow: Option<&Qer>,
        container: Option<PduSessionContainer>,
    ) -> Result<Verdict, DropReason> {
        let length = packet.bytes().len();
        let marking = match flow.and_then(|qer| qer.dscp) {
            Some(dscp) => self.marking.or_dscp(dscp),
            None => self.marking,
        };
        if marking != Marking::default() {
            packet.tos = marking.tos(tos_of(packet.bytes()));
        }
        let header = GpduHeader { teid: self.teid, container };
        let room = packet.prepend(header.length()).ok_or(DropReason::NoWay)?;
        header.write(room, length);
        Ok(Verdict::ToAccess(Peer::gtpu(self.peer)))
    }
}

/// The QER that says which QoS flow a downlink packet is of: the first that has a QFI.
#[inline]
fn flow_of<'s>(qers: &'s [Qer], rule: &'s Pdr) -> Option<&'s Qer> {
    rule.qers.of(qers).find(|qer| qer.qfi.is_some())
}

/// The ToS octet of an IPv4 header, or the traffic class of an IPv6 one.
fn tos_of(packet: &[u8]) -> u8 {
    match *packet {
        [first, second, ..] if first >> 4 == 6 => first << 4 | second >> 4,
        [_, second, ..] => second,
        _ => 0,
    }
}

/// The PDU Session Container of downlink packets: of the QoS flow's QER, else the QoS flow that the packet had in
/// the tunnel that it came by.
#[inline]
fn container(flow: Option<&Qer>, came: Came) -> Option<PduSessionContainer> {
    match flow.and_then(|qer| Some((qer.qfi?, qer))) {
        Some((qfi, qer)) => Some(PduSessionContainer { uplink: false, qfi, rqi: qer.rqi, ppi: qer.ppi }),
        None => came.qfi.map(PduSessionContainer::downlink),
    }
}

#[inline]
fn count<'a>(
    context: &Context<'_>,
    seid: u64,
    usages: impl Iterator<Item = &'a Measured>,
    uplink: bool,
    octets: usize,
) {
    for measured in usages {
        let reached = measured.usage.count(uplink, octets, context.alone);
        if reached == 0 {
            continue;
        }
        let urr_id = measured.urr_id;
        if reached & START != 0
            && measured.usage.must_tell_start()
            && !(context.events)(Event::TrafficStarted { seid, urr_id })
        {
            measured.usage.set_start(true);
        }
        if reached & (THRESHOLD | QUOTA) == 0 {
            continue;
        }
        let quota = reached & QUOTA != 0;
        let event = Event::UsageReached { seid, urr_id, quota };
        if (context.events)(event) && !quota {
            measured.usage.silence();
        }
    }
}

fn buffer(
    context: &Context<'_>,
    session: &Session,
    rule: &Pdr,
    notify: bool,
    packet: &mut Packet,
    came: Came,
) -> Result<Verdict, DropReason> {
    let length = packet.bytes().len();
    // It waits with the header that it came with, which says how it was matched; what was behind the user
    // packet is gone.
    if let Some([_, _, high, low, rest @ ..]) = packet.prepend(came.front) {
        let length = u16::try_from(rest.len().saturating_sub(4) + length).unwrap_or(u16::MAX);
        [*high, *low] = length.to_be_bytes();
    }
    let kept = session.state.push(session.generation, packet.side, packet.bytes());
    if notify && session.state.must_notify() {
        let qfi = container(flow_of(&session.qers, rule), came).map(|container| container.qfi);
        let event = Event::Buffered { seid: session.seid, pdr_id: rule.id, qfi };
        if !(context.events)(event) {
            session.state.notify_again();
        }
    }
    if kept { Ok(Verdict::Buffered) } else { Err(DropReason::BufferFull) }
}
