//! GTP-U messages that are not user packets: TS 29.281 §7.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use pdr_classifier::{Key, Lane};
use tern_gtpu::{DecodeError, Elements, element, message_type};

use super::forward::{Context, Verdict};
use super::lookup::{Origin, show_tunnel};
use super::{DropReason, Event, Packet, Peer};
use crate::config::TunnelEnds;

/// Error indications in one second, of one worker; and as many errors of ICMP.
const ERRORS_PER_SECOND: u32 = 100;

/// How many errors may still be told in this second: a flood of packets with unknown TEIDs must not make
/// us flood the peers.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    second: u64,
    used: u32,
    /// Before that there is none: sessions of before a restart may be about to be restored.
    from_ns: u64,
    /// Our addresses, one of which goes into the error indication.
    addresses: Option<TunnelEnds>,
}

impl Allowance {
    pub(crate) fn new(addresses: TunnelEnds, after: Duration) -> Self {
        let from_ns = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        Self { second: 0, used: 0, from_ns, addresses: Some(addresses) }
    }

    /// Whether one more may be told now.
    pub(crate) fn take(&mut self, now_ns: u64) -> bool {
        if now_ns < self.from_ns {
            return false;
        }
        let second = now_ns / 1_000_000_000;
        if second != self.second {
            (self.second, self.used) = (second, 0);
        }
        self.used += 1;
        self.used <= ERRORS_PER_SECOND
    }
}

/// A G-PDU for a tunnel that we do not have (TS 29.281 §7.3.1).
pub(crate) fn on_unknown_teid(context: &mut Context<'_>, packet: &mut Packet) -> Result<Verdict, DropReason> {
    let Ok(parsed) = tern_gtpu::Packet::parse(packet.bytes()) else {
        return Err(DropReason::MalformedGtpu);
    };
    context.counters.dropped(DropReason::UnknownTeid);
    // What was sent to, as far as we know: our address of that version.
    let addresses = context.error_indications.addresses.map(|addresses| addresses.of(packet.from.at));
    let Some(address) = addresses.and_then(|addresses| addresses.like(packet.from.address)) else {
        return Ok(Verdict::Consumed);
    };
    // TEID 0 is of signalling: no tunnel was meant. What waited here has no sender any more.
    if parsed.teid == 0
        || packet.from.address.is_unspecified()
        || !context.error_indications.take(context.now_ns)
    {
        return Ok(Verdict::Consumed);
    }
    let mut answer = [0; 40];
    let port = Some(packet.from.port);
    let length = tern_gtpu::error_indication(parsed.teid, address, port, &mut answer);
    packet.set(&answer[..length]);
    // It goes to the peer's GTP-U port, not to the port the packet came from (TS 29.281 §4.4.2.3).
    Ok(Verdict::ToAccess(Peer::gtpu(packet.from.address).on(packet.from.at)))
}

/// What is no G-PDU: a signalling message, or what claims to be GTP-U.
pub(crate) fn on_other(context: &Context<'_>, packet: &mut Packet) -> Result<Verdict, DropReason> {
    let parsed = match tern_gtpu::Packet::parse(packet.bytes()) {
        Ok(parsed) => parsed,
        Err(error) => return on_unreadable(packet, error),
    };
    match parsed.message_type {
        message_type::ECHO_REQUEST => {
            let mut answer = [0; 14];
            let length = tern_gtpu::echo_response(parsed.sequence.unwrap_or(0), &mut answer);
            packet.set(&answer[..length]);
            Ok(Verdict::ToAccess(packet.from))
        }
        message_type::ERROR_INDICATION => {
            let elements = Elements::new(parsed.payload);
            let teid = elements.find(element::TEID_DATA_I).and_then(|value| value.try_into().ok());
            let peer = elements.find(element::GTPU_PEER_ADDRESS).and_then(address);
            let (Some(teid), Some(peer)) = (teid, peer) else {
                return Err(DropReason::MalformedGtpu);
            };
            // Only a peer itself may say that it has no tunnel.
            if peer == packet.from.address {
                (context.events)(Event::ErrorIndication { peer, teid: u32::from_be_bytes(teid) });
            }
            Ok(Verdict::Consumed)
        }
        message_type::END_MARKER => Ok(on_end_marker(context, packet).unwrap_or(Verdict::Consumed)),
        message_type::ECHO_RESPONSE | message_type::SUPPORTED_EXTENSION_HEADERS_NOTIFICATION => {
            Ok(Verdict::Consumed)
        }
        _ => Err(DropReason::UnknownMessage),
    }
}

/// The end of a tunnel. If its packets are forwarded to another gNB, it follows them (TS 23.502 §4.9.1.3.3).
fn on_end_marker(context: &Context<'_>, packet: &mut Packet) -> Option<Verdict> {
    let teid = tern_gtpu::Packet::parse(packet.bytes()).ok()?.teid;
    let session = context.tables.session(context.tables.by_teid(teid)?)?;
    let origin = session.origin(teid);
    if origin != Origin::Forwarded {
        return None;
    }
    let mut key = Key::new().with(Lane::SourceInterface, origin.interface() as u32);
    show_tunnel(&mut key, teid, None);
    let tunnel = session.action(session.rules.downlink.find(&key)?).tunnel()?;
    packet.set_end_marker(tunnel.teid);
    Some(Verdict::ToAccess(tunnel.remote.end))
}

/// A GTP-U Peer Address (TS 29.281 §8.4).
fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => value.try_into().ok().map(|octets: [u8; 4]| Ipv4Addr::from(octets).into()),
        16 => value.try_into().ok().map(|octets: [u8; 16]| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

/// An extension header that must be understood is answered with those that are (TS 29.281 §7.2.3);
/// all else that cannot be read is dropped.
fn on_unreadable(packet: &mut Packet, error: DecodeError) -> Result<Verdict, DropReason> {
    let DecodeError::UnsupportedExtension(_) = error else {
        return Err(DropReason::MalformedGtpu);
    };
    let mut answer = [0; 16];
    let length = tern_gtpu::supported_extension_headers_notification(&mut answer);
    packet.set(&answer[..length]);
    Ok(Verdict::ToAccess(packet.from))
}
