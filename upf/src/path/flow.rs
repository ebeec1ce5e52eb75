//! What rules look at in a user packet.

use std::net::Ipv4Addr;

use super::DropReason;

const IPV4_HEADER: usize = 20;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const ESP: u8 = 50;
const AH: u8 = 51;

/// The header fields of one IPv4 packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) protocol: u8,
    pub(crate) tos: u8,
    /// Source and destination port; absent in later fragments and in protocols without ports.
    pub(crate) ports: Option<(u16, u16)>,
    /// IPsec security parameter index.
    pub(crate) spi: Option<u32>,
    /// The length that the header says.
    pub(crate) total_length: usize,
}

impl Flow {
    /// Reads the headers; the packet may be longer than its header says, not shorter.
    #[inline]
    pub(crate) fn parse(packet: &[u8]) -> Result<Self, DropReason> {
        let header: &[u8; IPV4_HEADER] = packet.first_chunk().ok_or(DropReason::MalformedInner)?;
        if header[0] >> 4 != 4 {
            return Err(DropReason::NotIpv4);
        }
        let header_length = usize::from(header[0] & 0x0F) * 4;
        let total_length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header_length < IPV4_HEADER || total_length < header_length || total_length > packet.len() {
            return Err(DropReason::MalformedInner);
        }
        let first_fragment = u16::from_be_bytes([header[6], header[7]]) & 0x1FFF == 0;
        let payload = &packet[header_length..total_length];
        let protocol = header[9];
        let word = |at: usize| payload.get(at..at + 4);
        let (mut ports, mut spi) = (None, None);
        if first_fragment {
            match protocol {
                TCP | UDP | SCTP => {
                    ports =
                        word(0).map(|w| (u16::from_be_bytes([w[0], w[1]]), u16::from_be_bytes([w[2], w[3]])));
                }
                ESP => spi = word(0).map(|w| u32::from_be_bytes([w[0], w[1], w[2], w[3]])),
                AH => spi = word(4).map(|w| u32::from_be_bytes([w[0], w[1], w[2], w[3]])),
                _ => {}
            }
        }
        Ok(Self {
            source: Ipv4Addr::new(header[12], header[13], header[14], header[15]),
            destination: Ipv4Addr::new(header[16], header[17], header[18], header[19]),
            protocol,
            tos: header[1],
            ports,
            spi,
            total_length,
        })
    }
}
