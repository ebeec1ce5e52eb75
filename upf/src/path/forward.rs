//! One packet through the rules: TS 29.244 §5.2.1 (detection), §5.2.2 (usage), §5.2.3 (forwarding),
//! §5.4 (QoS).

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tern_gtpu::{GpduHeader, PduSessionContainer};

use super::flow::Flow;
use super::lookup::{downlink_key, uplink_key};
use super::meter::conforms;
use super::signalling;
use super::{Action, DropReason, Event, Packet, PathCounters, Pdr, Session, Side, Tables, Tunnel};

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send its octets by N3.
    ToAccess(SocketAddrV4),
    /// Send its octets to a data network.
    ToNetwork(usize),
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
    pub(crate) counters: &'a PathCounters,
    /// Tells the PFCP core; false if it cannot take more now.
    pub(crate) events: &'a dyn Fn(Event) -> bool,
    /// Whether one more error indication may be sent now.
    pub(crate) error_indications: &'a mut signalling::Allowance,
}

/// Decides about a packet and rewrites it for where it goes.
#[inline]
pub(crate) fn process(context: &mut Context<'_>, packet: &mut Packet) -> Verdict {
    let verdict = match packet.side {
        Side::Access => from_access(context, packet),
        Side::Network(_) => from_network(context, packet),
    };
    match verdict {
        Ok(verdict) => verdict,
        Err(reason) => {
            context.counters.dropped(reason);
            Verdict::Drop(reason)
        }
    }
}

fn from_access(context: &mut Context<'_>, packet: &mut Packet) -> Result<Verdict, DropReason> {
    let parsed = match tern_gtpu::Packet::parse(packet.bytes()) {
        Ok(parsed) => parsed,
        Err(error) => return signalling::on_unreadable(packet, error),
    };
    if !parsed.is_g_pdu() {
        return signalling::on_message(context, packet);
    }
    let Some(session) = context.tables.by_teid(parsed.teid) else {
        return signalling::on_unknown_teid(context, packet);
    };
    let flow = Flow::parse(parsed.payload)?;
    if !session.ue_addresses.is_empty() && !session.ue_addresses.contains(&flow.source) {
        return Err(DropReason::SpoofedSource);
    }
    let key = uplink_key(&flow, parsed.teid, parsed.container.map(|container| container.qfi));
    let rule = session.uplink.find(&key).ok_or(DropReason::NoRule)?;
    let front = parsed.header_length;
    packet.narrow(front, flow.total_length);
    enforce(context, session, rule, true, packet)
}

fn from_network(context: &mut Context<'_>, packet: &mut Packet) -> Result<Verdict, DropReason> {
    let flow = Flow::parse(packet.bytes())?;
    let session = context.tables.by_address(flow.destination).ok_or(DropReason::UnknownUe)?;
    let key = downlink_key(&flow);
    let rule = session.downlink.find(&key).ok_or(DropReason::NoRule)?;
    packet.narrow(0, flow.total_length);
    enforce(context, session, rule, false, packet)
}

/// Gates, FAR, rates, usage, headers: in this order, so that what is not forwarded is not counted
/// and what waits is metered when it leaves.
fn enforce(
    context: &Context<'_>,
    session: &Arc<Session>,
    rule: &Pdr,
    uplink: bool,
    packet: &mut Packet,
) -> Result<Verdict, DropReason> {
    if rule.qers.iter().any(|qer| !qer.is_open(uplink)) {
        return Err(DropReason::GateClosed);
    }
    match rule.action {
        Action::Drop => return Err(DropReason::FarDrop),
        Action::Nowhere => return Err(DropReason::NoWay),
        Action::Buffer { notify } => return buffer(context, session, rule, notify, packet),
        Action::ToAccess(_) | Action::ToNetwork(_) => {}
    }
    let octets = packet.bytes().len();
    if rule.usages.iter().any(|(_, usage)| usage.is_exhausted()) {
        return Err(DropReason::QuotaExhausted);
    }
    if !conforms(&rule.qers, uplink, octets, context.now_ns) {
        return Err(DropReason::RateExceeded);
    }
    session.state.touch(context.now_ns);
    count(context, session, rule, uplink, octets);
    match rule.action {
        Action::ToNetwork(network) => {
            context.counters.uplink_packets.fetch_add(1, Ordering::Relaxed);
            context.counters.uplink_octets.fetch_add(octets as u64, Ordering::Relaxed);
            Ok(Verdict::ToNetwork(network))
        }
        Action::ToAccess(tunnel) => {
            context.counters.downlink_packets.fetch_add(1, Ordering::Relaxed);
            context.counters.downlink_octets.fetch_add(octets as u64, Ordering::Relaxed);
            encapsulate(rule, tunnel, packet)
        }
        Action::Drop | Action::Buffer { .. } | Action::Nowhere => Err(DropReason::NoWay),
    }
}

fn encapsulate(rule: &Pdr, tunnel: Tunnel, packet: &mut Packet) -> Result<Verdict, DropReason> {
    let length = packet.bytes().len();
    let header = GpduHeader { teid: tunnel.teid, container: container(rule) };
    let room = packet.prepend(header.length()).ok_or(DropReason::NoWay)?;
    header.write(room, length);
    Ok(Verdict::ToAccess(tunnel.peer))
}

/// The PDU Session Container of downlink packets: from the QER that has a QFI.
fn container(rule: &Pdr) -> Option<PduSessionContainer> {
    let qer = rule.qers.iter().find(|qer| qer.qfi.is_some())?;
    let qfi = qer.qfi?;
    Some(PduSessionContainer { uplink: false, qfi, rqi: qer.rqi, ppi: qer.ppi })
}

fn count(context: &Context<'_>, session: &Session, rule: &Pdr, uplink: bool, octets: usize) {
    for (urr_id, usage) in &rule.usages {
        let (threshold, quota) = usage.count(uplink, octets);
        if !threshold && !quota {
            continue;
        }
        let event = Event::UsageReached { seid: session.seid, urr_id: *urr_id, quota };
        if (context.events)(event) && !quota {
            usage.silence();
        }
    }
}

fn buffer(
    context: &Context<'_>,
    session: &Session,
    rule: &Pdr,
    notify: bool,
    packet: &Packet,
) -> Result<Verdict, DropReason> {
    let kept = session.state.push(packet.bytes());
    if notify && session.state.must_notify() {
        let event = Event::Buffered { seid: session.seid, pdr_id: rule.id, qfi: rule.qfi() };
        if !(context.events)(event) {
            session.state.notify_again();
        }
    }
    if kept { Ok(Verdict::Buffered) } else { Err(DropReason::BufferFull) }
}
