//! What rules look at in a user packet.

use std::net::Ipv4Addr;

use super::DropReason;

const IPV4_HEADER: usize = 20;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const ESP: u8 = 50;
const AH: u8 = 51;

/// The header fields of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) ends: Ends,
    pub(crate) protocol: u8,
    /// IPv4 type of service or IPv6 traffic class.
    pub(crate) tos: u8,
    /// Source and destination port; absent in later fragments and in protocols without ports.
    pub(crate) ports: Option<(u16, u16)>,
    /// IPsec security parameter index.
    pub(crate) spi: Option<u32>,
    /// The length that the header says.
    pub(crate) total_length: u32,
}

/// Between whom a packet goes. The addresses of IPv6 stay in the packet, so that those of IPv4 need no more
/// room than they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    V4 { source: Ipv4Addr, destination: Ipv4Addr },
    V6 { flow_label: u32 },
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Upper {
    pub(crate) protocol: u8,
    pub(crate) ports: Option<(u16, u16)>,
    pub(crate) spi: Option<u32>,
}

impl Upper {
    /// Of the payload of a packet that is whole, or of a first fragment.
    #[inline]
    pub(crate) fn of(protocol: u8, payload: &[u8]) -> Self {
        let word = |at: usize| payload.get(at..at + 4);
        let (mut ports, mut spi) = (None, None);
        match protocol {
            TCP | UDP | SCTP => {
                ports = word(0).map(|w| (u16::from_be_bytes([w[0], w[1]]), u16::from_be_bytes([w[2], w[3]])));
            }
            ESP => spi = word(0).map(|w| u32::from_be_bytes([w[0], w[1], w[2], w[3]])),
            AH => spi = word(4).map(|w| u32::from_be_bytes([w[0], w[1], w[2], w[3]])),
            _ => {}
        }
        Self { protocol, ports, spi }
    }
}

impl Flow {
    /// Reads the headers; the packet may be longer than its header says, not shorter.
    pub(crate) fn parse(packet: &[u8]) -> Result<Self, DropReason> {
        let version = packet.first().ok_or(DropReason::MalformedInner)? >> 4;
        match version {
            4 => Self::parse_v4(packet),
            6 => Self::parse_v6(packet),
            _ => Err(DropReason::NotIp),
        }
    }

    /// Of a packet whose version is 4.
    #[inline]
    pub(crate) fn parse_v4(packet: &[u8]) -> Result<Self, DropReason> {
        let header: &[u8; IPV4_HEADER] = packet.first_chunk().ok_or(DropReason::MalformedInner)?;
        let header_length = usize::from(header[0] & 0x0F) * 4;
        let total_length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header_length < IPV4_HEADER || total_length < header_length || total_length > packet.len() {
            return Err(DropReason::MalformedInner);
        }
        let first_fragment = u16::from_be_bytes([header[6], header[7]]) & 0x1FFF == 0;
        let protocol = header[9];
        let upper = if first_fragment {
            Upper::of(protocol, &packet[header_length..total_length])
        } else {
            Upper { protocol, ports: None, spi: None }
        };
        let Upper { protocol, ports, spi } = upper;
        let ends = Ends::V4 {
            source: Ipv4Addr::new(header[12], header[13], header[14], header[15]),
            destination: Ipv4Addr::new(header[16], header[17], header[18], header[19]),
        };
        Ok(Self { ends, protocol, tos: header[1], ports, spi, total_length: total_length as u32 })
    }
}
