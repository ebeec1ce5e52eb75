//! GTP-U messages that are not user packets: TS 29.281 §7.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tern_gtpu::{DecodeError, Elements, element, message_type};

use super::forward::{Context, Verdict};
use super::{DropReason, Event, Packet};

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
    /// Our N3 address, which goes into the error indication.
    pub(crate) address: Option<Ipv4Addr>,
}

impl Allowance {
    pub(crate) fn new(address: Ipv4Addr, after: Duration) -> Self {
        let from_ns = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        Self { second: 0, used: 0, from_ns, address: Some(address) }
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
    let Some(address) = context.error_indications.address else { return Ok(Verdict::Consumed) };
    // TEID 0 is of signalling: no tunnel was meant. What waited here has no sender any more.
    if parsed.teid == 0
        || packet.from.ip().is_unspecified()
        || !context.error_indications.take(context.now_ns)
    {
        return Ok(Verdict::Consumed);
    }
    let mut answer = [0; 40];
    let port = Some(packet.from.port());
    let length = tern_gtpu::error_indication(parsed.teid, IpAddr::V4(address), port, &mut answer);
    packet.set(&answer[..length]);
    // It goes to the peer's GTP-U port, not to the port the packet came from (TS 29.281 §4.4.2.3).
    packet.from.set_port(tern_gtpu::PORT);
    Ok(Verdict::ToAccess(packet.from))
}

/// A signalling message.
pub(crate) fn on_message(context: &Context<'_>, packet: &mut Packet) -> Result<Verdict, DropReason> {
    let Ok(parsed) = tern_gtpu::Packet::parse(packet.bytes()) else {
        return Err(DropReason::MalformedGtpu);
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
            let four = |kind| elements.find(kind).and_then(|value| <[u8; 4]>::try_from(value).ok());
            // An IPv6 address is none of our peers'.
            let (teid, address) = (four(element::TEID_DATA_I), four(element::GTPU_PEER_ADDRESS));
            let (Some(teid), Some(address)) = (teid, address) else {
                return Err(DropReason::MalformedGtpu);
            };
            let peer = Ipv4Addr::from(address);
            // Only a peer itself may say that it has no tunnel.
            if peer == *packet.from.ip() {
                (context.events)(Event::ErrorIndication { peer, teid: u32::from_be_bytes(teid) });
            }
            Ok(Verdict::Consumed)
        }
        message_type::ECHO_RESPONSE
        | message_type::END_MARKER
        | message_type::SUPPORTED_EXTENSION_HEADERS_NOTIFICATION => Ok(Verdict::Consumed),
        _ => Err(DropReason::UnknownMessage),
    }
}

/// An extension header that must be understood is answered with those that are (TS 29.281 §7.2.3);
/// all else that cannot be read is dropped.
pub(crate) fn on_unreadable(packet: &mut Packet, error: DecodeError) -> Result<Verdict, DropReason> {
    let DecodeError::UnsupportedExtension(_) = error else {
        return Err(DropReason::MalformedGtpu);
    };
    let mut answer = [0; 16];
    let length = tern_gtpu::supported_extension_headers_notification(&mut answer);
    packet.set(&answer[..length]);
    Ok(Verdict::ToAccess(packet.from))
}
