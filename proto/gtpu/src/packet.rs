//! Reading: the header (TS 29.281 §5.1) and its extension headers (§5.2).

use crate::extension_type;
use crate::{PduSessionContainer, message_type};

/// How many extension headers one packet may carry.
pub const EXTENSION_HEADERS_MAX: usize = 8;

/// Version 1, protocol type GTP.
const FLAGS_V1: u8 = 0x30;
const FLAG_PN: u8 = 1;
const FLAG_S: u8 = 2;
const FLAG_E: u8 = 4;
const HEADER: usize = 8;
/// The header with its optional part, and a PDU Session Container of four octets.
const USUAL: usize = 16;

/// A GTP-U packet, borrowed from its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Message type.
    pub message_type: u8,
    /// Tunnel endpoint identifier of the receiver.
    pub teid: u32,
    /// Sequence number, if the S flag is set.
    pub sequence: Option<u16>,
    /// The PDU Session Container, if there is one that can be understood.
    pub container: Option<PduSessionContainer>,
    /// UDP port of the G-PDU that caused an error indication (TS 29.281 §5.2.2.1).
    pub udp_port: Option<u16>,
    /// Octets in front of the payload.
    pub header_length: usize,
    /// The T-PDU, or the information elements of a signalling message.
    pub payload: &'a [u8],
}

/// Why a datagram is not a GTP-U packet that can be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than the header, or than its length field says.
    #[error("truncated at offset {0}")]
    Truncated(usize),
    /// Not version 1 of GTP (GTP' included).
    #[error("flags {0:#04x} are not those of GTP version 1")]
    Version(u8),
    /// An extension header of length 0, or one that goes beyond the packet.
    #[error("extension header at offset {0} has a wrong length")]
    ExtensionLength(usize),
    /// More than [`EXTENSION_HEADERS_MAX`] extension headers.
    #[error("too many extension headers")]
    TooManyExtensions,
    /// An extension header that must be understood and is not (TS 29.281 §5.2.1).
    #[error("extension header {0:#04x} is not supported")]
    UnsupportedExtension(u8),
}

impl<'a> Packet<'a> {
    /// Reads a datagram. What is behind the length of the header is ignored.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        match Self::parse_usual(bytes) {
            Some(packet) => Ok(packet),
            None => Self::parse_any(bytes),
        }
    }

    /// A G-PDU with a PDU Session Container of four octets and nothing else in front of the user packet: what nearly
    /// all packets of N3 are.
    #[inline]
    fn parse_usual(bytes: &'a [u8]) -> Option<Self> {
        let header: &[u8; USUAL] = bytes.first_chunk()?;
        let [_, _, l1, l0, t3, t2, t1, t0, ..] = *header;
        let is_usual = header[..2] == [FLAGS_V1 | FLAG_E, message_type::G_PDU]
            && header[11..13] == [extension_type::PDU_SESSION_CONTAINER, 1]
            && header[15] == extension_type::NONE;
        if !is_usual {
            return None;
        }
        Some(Self {
            message_type: message_type::G_PDU,
            teid: u32::from_be_bytes([t3, t2, t1, t0]),
            sequence: None,
            container: PduSessionContainer::read(&header[13..15]),
            udp_port: None,
            header_length: USUAL,
            payload: bytes.get(USUAL..HEADER + usize::from(u16::from_be_bytes([l1, l0])))?,
        })
    }

    fn parse_any(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let Some((&[flags, kind, l1, l0, t3, t2, t1, t0], rest)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(DecodeError::Truncated(bytes.len()));
        };
        // Version 1, protocol type GTP; the spare bit is not evaluated.
        if flags & 0xF0 != FLAGS_V1 {
            return Err(DecodeError::Version(flags));
        }
        let length = usize::from(u16::from_be_bytes([l1, l0]));
        let Some(rest) = rest.get(..length) else {
            return Err(DecodeError::Truncated(bytes.len()));
        };
        let mut packet = Self {
            message_type: kind,
            teid: u32::from_be_bytes([t3, t2, t1, t0]),
            sequence: None,
            container: None,
            udp_port: None,
            header_length: HEADER,
            payload: rest,
        };
        if flags & (FLAG_E | FLAG_S | FLAG_PN) != 0 {
            packet.read_optional(flags, rest)?;
            packet.header_length = HEADER + length - packet.payload.len();
        }
        Ok(packet)
    }

    #[inline]
    fn read_optional(&mut self, flags: u8, rest: &'a [u8]) -> Result<(), DecodeError> {
        let Some((&[s1, s0, _, next], rest)) = rest.split_first_chunk::<4>() else {
            return Err(DecodeError::Truncated(HEADER + rest.len()));
        };
        if flags & FLAG_S != 0 {
            self.sequence = Some(u16::from_be_bytes([s1, s0]));
        }
        self.payload = rest;
        if flags & FLAG_E != 0 {
            self.read_extensions(next)?;
        }
        Ok(())
    }

    #[inline]
    fn read_extensions(&mut self, mut next: u8) -> Result<(), DecodeError> {
        let mut offset = HEADER + 4;
        for _ in 0..EXTENSION_HEADERS_MAX {
            if next == extension_type::NONE {
                return Ok(());
            }
            let length = usize::from(*self.payload.first().ok_or(DecodeError::Truncated(offset))?) * 4;
            let (header, rest) = match self.payload.split_at_checked(length) {
                Some(split) if length > 0 => split,
                _ => return Err(DecodeError::ExtensionLength(offset)),
            };
            let content = &header[1..length - 1];
            match next {
                extension_type::PDU_SESSION_CONTAINER => {
                    self.container = self.container.or_else(|| PduSessionContainer::read(content));
                }
                extension_type::UDP_PORT => {
                    self.udp_port = content.first_chunk().map(|port| u16::from_be_bytes(*port));
                }
                // Bits 8 and 7 are 1: an endpoint that does not understand it must say so. 10:
                // only the receiving endpoint, which we are. 0x: may be ignored.
                unknown if unknown & 0x80 != 0 && unknown != extension_type::PDCP_PDU_NUMBER => {
                    return Err(DecodeError::UnsupportedExtension(unknown));
                }
                _ => {}
            }
            next = header[length - 1];
            self.payload = rest;
            offset += length;
        }
        if next == extension_type::NONE { Ok(()) } else { Err(DecodeError::TooManyExtensions) }
    }

    /// Whether it is a user packet.
    #[inline]
    pub fn is_g_pdu(&self) -> bool {
        self.message_type == message_type::G_PDU
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// Nearly the usual packet: a few of its octets are others, and its end is anywhere.
        #[test]
        fn what_is_read_as_usual_is_what_is_read_octet_by_octet(
            changes in prop::collection::vec((0usize..24, any::<u8>()), 0..3),
            length in 0u16..20,
            end in 0usize..=24,
        ) {
            let mut datagram = [0; 24];
            datagram[..USUAL].copy_from_slice(&[0x34, 255, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0x85, 1, 0x10, 9, 0]);
            datagram[2..4].copy_from_slice(&length.to_be_bytes());
            changes.iter().for_each(|(at, octet)| datagram[*at] = *octet);
            let datagram = &datagram[..end];
            prop_assert_eq!(Packet::parse(datagram), Packet::parse_any(datagram));
        }
    }
}
