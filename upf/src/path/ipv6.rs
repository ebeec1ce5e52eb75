//! What rules look at in an IPv6 packet: its header and the extension headers behind it (RFC 8200).

use std::net::Ipv6Addr;

use super::DropReason;
use super::flow::{Ends, Flow, Upper};

pub(crate) const IPV6_HEADER: usize = 40;
/// Extension headers in front of what a packet carries. RFC 8200 §4.1 has seven, Destination Options twice.
const EXTENSION_HEADERS_MAX: usize = 8;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
pub(crate) const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
/// The first address of multicast on one link or less far: ff01 and ff02 (RFC 4291 §2.7).
const SCOPE_OF_LINK: u8 = 2;

impl Flow {
    /// Reads an IPv6 packet; it may be longer than its header says, not shorter. Its addresses stay where they
    /// are: see [`addresses`].
    #[inline(never)]
    pub(crate) fn parse_v6(packet: &[u8]) -> Result<Self, DropReason> {
        let header: &[u8; IPV6_HEADER] = packet.first_chunk().ok_or(DropReason::MalformedInner)?;
        let word = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
        let total_length = IPV6_HEADER + usize::from(u16::from_be_bytes([header[4], header[5]]));
        // A jumbogram (RFC 2675) says 0, and is cut off here in its Hop-by-Hop Options.
        let payload = packet.get(IPV6_HEADER..total_length).ok_or(DropReason::MalformedInner)?;
        let upper = upper_layer(header[6], payload).ok_or(DropReason::MalformedInner)?;
        let Upper { protocol, ports, spi } = upper;
        Ok(Self {
            ends: Ends::V6 { flow_label: word & 0x000F_FFFF },
            protocol,
            tos: (word >> 20) as u8,
            ports,
            spi,
            total_length: total_length as u32,
        })
    }
}

/// Source and destination of a packet whose header has been read.
#[inline]
pub(crate) fn addresses(packet: &[u8]) -> (Ipv6Addr, Ipv6Addr) {
    let at = |place: usize| {
        let octets = packet.get(place..).and_then(|rest| rest.first_chunk::<16>());
        octets.map_or(Ipv6Addr::UNSPECIFIED, |octets| Ipv6Addr::from(*octets))
    };
    (at(8), at(24))
}

/// Whether a packet may be from a UE's link-local address, or from none yet, to somebody on its link: neighbour
/// and router discovery (TS 23.501 §5.8.2.2). No router forwards it.
pub(crate) fn is_of_link((source, destination): (Ipv6Addr, Ipv6Addr)) -> bool {
    let is_multicast_here = destination.is_multicast() && destination.octets()[1] & 0x0F <= SCOPE_OF_LINK;
    (source.is_unicast_link_local() || source.is_unspecified())
        && (destination.is_unicast_link_local() || is_multicast_here)
}

/// What is behind the extension headers; `None` if they are cut off, too many or out of order.
fn upper_layer(mut next: u8, mut payload: &[u8]) -> Option<Upper> {
    let mut fragmented = false;
    for number in 0..=EXTENSION_HEADERS_MAX {
        let length = match next {
            // Only behind the IPv6 header (RFC 8200 §4.1).
            HOP_BY_HOP if number > 0 => return None,
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => 8 + 8 * usize::from(*payload.get(1)?),
            FRAGMENT if fragmented => return None,
            FRAGMENT => 8,
            _ => return Some(Upper::of(next, payload)),
        };
        let (header, rest) = payload.split_at_checked(length)?;
        if next == FRAGMENT {
            fragmented = true;
            let offset = u16::from_be_bytes([header[2], header[3]]) >> 3;
            if offset > 0 {
                return Some(Upper { protocol: header[0], ports: None, spi: None });
            }
        }
        (next, payload) = (header[0], rest);
    }
    None
}
