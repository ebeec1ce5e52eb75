//! The answer to requests of HTTP whose rule redirects to a URL. No connection is kept: each segment is answered
//! by what it says itself.

use std::net::Ipv4Addr;

use super::checksum;
use super::flow::{Ends, Flow};

const IPV4_HEADER: usize = 20;
const TCP_HEADER: usize = 20;
const TCP: u8 = 6;
const TIME_TO_LIVE: u8 = 64;
const WINDOW: u16 = 65_535;

const FIN: u8 = 1;
const SYN: u8 = 1 << 1;
const RST: u8 = 1 << 2;
const PSH: u8 = 1 << 3;
const ACK: u8 = 1 << 4;

/// What a request begins with.
const METHODS: [&[u8]; 8] =
    [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT "];

/// The longest URL: the response fits into one segment.
pub(crate) const URL_MAX: usize = 1_024;

/// The response that leads to this URL; `None` if it can be none: a header's value is visible ASCII.
pub(crate) fn response(url: &str) -> Option<Box<str>> {
    let is_fit = !url.is_empty() && url.len() <= URL_MAX && url.bytes().all(|octet| octet.is_ascii_graphic());
    is_fit.then(|| {
        format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .into()
    })
}

/// The packet that answers this one; `None` if it needs no answer or is not TCP over IPv4.
pub(crate) fn answer(packet: &[u8], response: &str) -> Option<Vec<u8>> {
    let flow = Flow::parse(packet).ok()?;
    let Ends::V4 { source, destination } = flow.ends else { return None };
    let is_fragment = u16::from_be_bytes([packet[6], packet[7]]) & 0x3FFF != 0;
    if flow.protocol != TCP || is_fragment {
        return None;
    }
    let header = usize::from(packet[0] & 0x0F) * 4;
    let segment = packet.get(header..flow.total_length as usize)?;
    let tcp: &[u8; TCP_HEADER] = segment.first_chunk()?;
    let data = segment.get(usize::from(tcp[12] >> 4) * 4..)?;
    let number = |at: usize| u32::from_be_bytes([tcp[at], tcp[at + 1], tcp[at + 2], tcp[at + 3]]);
    let (sequence, acknowledged, flags) = (number(4), number(8), tcp[13]);
    let behind = sequence.wrapping_add(u32::try_from(data.len()).ok()?);
    let is = |flag: u8| flags & flag != 0;
    let ports = (u16::from_be_bytes([tcp[2], tcp[3]]), u16::from_be_bytes([tcp[0], tcp[1]]));
    let reply = |sequence, acknowledges, flags, data: &str| {
        let numbers = (sequence, acknowledges);
        Some(segment_of((destination, source), ports, numbers, flags, data))
    };
    match () {
        () if is(RST) => None,
        () if is(SYN) => reply(initial(source, destination, ports), behind.wrapping_add(1), SYN | ACK, ""),
        () if METHODS.iter().any(|method| data.starts_with(method)) => {
            reply(acknowledged, behind, PSH | FIN | ACK, response)
        }
        () if is(FIN) => reply(acknowledged, behind.wrapping_add(1), ACK, ""),
        () if !data.is_empty() => reply(acknowledged, behind, ACK, ""),
        () => None,
    }
}

/// A sequence number to begin with: the same for each repetition of a flow's SYN. Nobody gains by knowing it: the
/// answers go to the UE alone, and say the same to all.
fn initial(source: Ipv4Addr, destination: Ipv4Addr, (own, other): (u16, u16)) -> u32 {
    let seed = u64::from(u32::from(source)) << 32 | u64::from(u32::from(destination));
    let mixed = (seed ^ u64::from(own) << 16 ^ u64::from(other)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 32) as u32
}

fn segment_of(
    (source, destination): (Ipv4Addr, Ipv4Addr),
    (from, to): (u16, u16),
    (sequence, acknowledges): (u32, u32),
    flags: u8,
    data: &str,
) -> Vec<u8> {
    let length = IPV4_HEADER + TCP_HEADER + data.len();
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0x40, 0, TIME_TO_LIVE, TCP, 0, 0]);
    packet.extend_from_slice(&source.octets());
    packet.extend_from_slice(&destination.octets());
    checksum::fill(&mut packet);
    let pseudo = u32::from(TCP) + (TCP_HEADER + data.len()) as u32;
    let pseudo = checksum::sum(&packet[checksum::SOURCE..], pseudo);
    packet.extend_from_slice(&from.to_be_bytes());
    packet.extend_from_slice(&to.to_be_bytes());
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&acknowledges.to_be_bytes());
    packet.extend_from_slice(&[((TCP_HEADER / 4) << 4) as u8, flags]);
    packet.extend_from_slice(&WINDOW.to_be_bytes());
    packet.extend_from_slice(&[0; 4]);
    packet.extend_from_slice(data.as_bytes());
    let checksum = checksum::fold(checksum::sum(&packet[IPV4_HEADER..], pseudo));
    packet[IPV4_HEADER + 16..IPV4_HEADER + 18].copy_from_slice(&checksum.to_be_bytes());
    packet
}
