//! One packet through the rules: TS 29.244 §5.2.1 (detection), §5.2.2 (usage), §5.2.3 (forwarding),
//! §5.4 (QoS).

use std::net::SocketAddrV4;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;
use tern_gtpu::{DecodeError, GpduHeader, PduSessionContainer};

use super::flow::{Ends, Flow};
use super::ipv6;
use super::lookup::{Origin, downlink_key, tunnelled_key};
use super::meter::conforms;
use super::more::{Redirect, answer_http};
use super::signalling;
use super::usage::{QUOTA, START, THRESHOLD};
use super::{
    Action, Copies, DropReason, Event, Marking, Packet, PathCounters, Pdr, Qer, Session, Side, Tables, Tunnel,
};
use crate::io::BURST;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send its octets by N3.
    ToAccess(SocketAddrV4),
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
}

/// What the first look at a packet shows, before anything is known of its session.
pub(super) enum Look {
    /// A user packet in a tunnel.
    Tunnelled { teid: u32, qfi: Option<u8>, front: usize, flow: Result<Flow, DropReason> },
    /// A packet of the data network of this index.
    Plain { network: u16, flow: Flow },
    /// GTP-U that carries no user packet.
    Message,
    /// What claims to be GTP-U.
    Unreadable(DecodeError),
    /// What claims to be IP.
    Unsound(DropReason),
}

impl Look {
    #[inline]
    fn at(packet: &Packet) -> Self {
        match packet.side {
            Side::Access => match tern_gtpu::Packet::parse(packet.bytes()) {
                Ok(parsed) if parsed.is_g_pdu() => Self::Tunnelled {
                    teid: parsed.teid,
                    qfi: parsed.container.map(|container| container.qfi),
                    front: parsed.header_length,
                    flow: Flow::parse(parsed.payload),
                },
                Ok(_) => Self::Message,
                Err(error) => Self::Unreadable(error),
            },
            Side::Network(network) => match Flow::parse(packet.bytes()) {
                Ok(flow) => Self::Plain { network, flow },
                Err(reason) => Self::Unsound(reason),
            },
        }
    }

    /// Asks for what finding the session needs.
    #[inline]
    fn prefetch(&self, tables: &Tables) {
        match self {
            Self::Tunnelled { teid, .. } => tables.prefetch_teid(*teid),
            Self::Plain { flow: Flow { ends: Ends::V4 { destination, .. }, .. }, .. } => {
                tables.prefetch_address(*destination);
            }
            Self::Plain { .. } | Self::Message | Self::Unreadable(_) | Self::Unsound(_) => {}
        }
    }

    /// Where the session is.
    #[inline]
    fn slot(&self, packet: &Packet, tables: &Tables) -> Option<u32> {
        match self {
            Self::Tunnelled { teid, .. } => tables.by_teid(*teid),
            Self::Plain { flow, .. } => match flow.ends {
                Ends::V4 { destination, .. } => tables.by_address(destination),
                Ends::V6 { .. } => tables.by_prefix(ipv6::addresses(packet.bytes()).1.into()),
            },
            Self::Message | Self::Unreadable(_) | Self::Unsound(_) => None,
        }
    }

    /// The session's rule that the packet matches.
    #[inline]
    pub(super) fn rule<'s>(&self, packet: &Packet, session: &'s Session) -> Option<&'s Pdr> {
        match self {
            Self::Tunnelled { teid, qfi, front, flow: Ok(flow) } => {
                let origin = session.origin(*teid);
                let shared = &session.rules;
                let rules = if origin == Origin::Access { &shared.uplink } else { &shared.downlink };
                rules.find(&tunnelled_key(flow, packet.behind(*front), origin, *teid, *qfi))
            }
            Self::Plain { network, flow } => {
                session.rules.downlink.find(&downlink_key(flow, packet.bytes(), *network))
            }
            _ => None,
        }
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

/// Looks at the packets of a burst, and finds their sessions.
///
/// What the packets need of tables and sessions is asked for before any of it is used, so that they wait for memory
/// together and not one after the other.
#[inline]
pub(super) fn find<'t>(
    tables: &'t Tables,
    burst: &[Packet],
    looks: &mut SmallVec<[Look; BURST]>,
    sessions: &mut SmallVec<[Option<&'t Session>; BURST]>,
) {
    // Filled where they stay: a move of them would cost more than they do.
    for packet in burst {
        let look = Look::at(packet);
        look.prefetch(tables);
        looks.push(look);
    }
    let mut slots: SmallVec<[Option<u32>; BURST]> = SmallVec::new();
    for (look, packet) in looks.iter().zip(burst) {
        let slot = look.slot(packet, tables);
        slot.iter().for_each(|slot| tables.prefetch_slot(*slot));
        slots.push(slot);
    }
    for slot in slots {
        let session = slot.and_then(|slot| tables.session(slot));
        session.iter().for_each(|session| session.prefetch());
        sessions.push(session);
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
        let (mut looks, mut sessions) = (SmallVec::new(), SmallVec::new());
        find(tables, burst, &mut looks, &mut sessions);
        for session in sessions.iter().flatten() {
            session.prefetch_rest();
        }
        let mut forwarded = Forwarded::default();
        for ((packet, look), session) in burst.iter_mut().zip(&looks).zip(sessions) {
            let rule = session.and_then(|session| look.rule(packet, session));
            let verdict = decide(context, &mut forwarded, packet, look, session, rule);
            let verdict = verdict.unwrap_or_else(|reason| {
                context.counters.dropped(reason);
                Verdict::Drop(reason)
            });
            done(packet, verdict);
            context.copies.send(&mut done);
        }
        forwarded.settle(context.counters);
    }
}

#[inline]
fn decide(
    context: &mut Context<'_>,
    forwarded: &mut Forwarded,
    packet: &mut Packet,
    look: &Look,
    session: Option<&Session>,
    rule: Option<&Pdr>,
) -> Result<Verdict, DropReason> {
    match *look {
        Look::Tunnelled { teid, front, qfi, flow } => {
            let Some(session) = session else { return signalling::on_unknown_teid(context, packet) };
            let flow = flow?;
            let uplink = session.origin(teid) == Origin::Access;
            if uplink && is_spoofed(session, &flow, packet.behind(front), rule) {
                return Err(DropReason::SpoofedSource);
            }
            let rule = rule.ok_or(DropReason::NoRule)?;
            packet.narrow(front, flow.total_length as usize);
            enforce(context, forwarded, session, rule, packet, Came { uplink, front, qfi })
        }
        Look::Plain { flow, .. } => {
            let session = session.ok_or(DropReason::UnknownUe)?;
            let rule = rule.ok_or(DropReason::NoRule)?;
            packet.narrow(0, flow.total_length as usize);
            enforce(context, forwarded, session, rule, packet, Came { uplink: false, front: 0, qfi: None })
        }
        Look::Message => signalling::on_message(context, packet),
        Look::Unreadable(error) => signalling::on_unreadable(packet, error),
        Look::Unsound(reason) => Err(reason),
    }
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
    let qers = rule.qers.of(&session.qers);
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
    if rule.usages.of(&session.usages).any(|measured| measured.usage.is_exhausted()) {
        return Err(DropReason::QuotaExhausted);
    }
    if !conforms(qers, uplink, octets, context.now_ns, context.alone) {
        return Err(DropReason::RateExceeded);
    }
    if session.is_watched {
        session.state.touch(context.now_ns);
    }
    count(context, session, rule, uplink, octets);
    if session.besides.is_some() {
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
            let flow = flow_of(session, rule);
            tunnel.wrap(packet, flow, container(flow, came))
        }
        Action::ToCore(tunnel) => {
            forwarded.add(true, octets);
            let flow = flow_of(session, rule);
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
    let key = downlink_key(&flow, packet.bytes(), network);
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
        Ok(Verdict::ToAccess(self.peer))
    }
}

/// The QER that says which QoS flow a downlink packet is of: the first that has a QFI.
#[inline]
fn flow_of<'s>(session: &'s Session, rule: &'s Pdr) -> Option<&'s Qer> {
    rule.qers.of(&session.qers).find(|qer| qer.qfi.is_some())
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
fn container(flow: Option<&Qer>, came: Came) -> Option<PduSessionContainer> {
    match flow.and_then(|qer| Some((qer.qfi?, qer))) {
        Some((qfi, qer)) => Some(PduSessionContainer { uplink: false, qfi, rqi: qer.rqi, ppi: qer.ppi }),
        None => came.qfi.map(PduSessionContainer::downlink),
    }
}

fn count(context: &Context<'_>, session: &Session, rule: &Pdr, uplink: bool, octets: usize) {
    for measured in rule.usages.of(&session.usages) {
        let reached = measured.usage.count(uplink, octets, context.alone);
        if reached == 0 {
            continue;
        }
        let (seid, urr_id) = (session.seid, measured.urr_id);
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
        let qfi = container(flow_of(session, rule), came).map(|container| container.qfi);
        let event = Event::Buffered { seid: session.seid, pdr_id: rule.id, qfi };
        if !(context.events)(event) {
            session.state.notify_again();
        }
    }
    if kept { Ok(Verdict::Buffered) } else { Err(DropReason::BufferFull) }
}
