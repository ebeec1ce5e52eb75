//! Writing packets into a buffer of the caller.

use std::net::IpAddr;

use crate::information::element;
use crate::{PduSessionContainer, extension_type, message_type};

const FLAGS: u8 = 0x30;
const FLAG_S: u8 = 2;
const FLAG_E: u8 = 4;

/// The header in front of a T-PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpduHeader {
    /// Tunnel endpoint identifier of the receiver.
    pub teid: u32,
    /// PDU Session Container, on N3 and N9.
    pub container: Option<PduSessionContainer>,
}

impl GpduHeader {
    /// Octets that the longest header takes; reserve them in front of a packet.
    pub const LENGTH_MAX: usize = 20;

    /// Octets that this header takes.
    #[inline]
    pub const fn length(&self) -> usize {
        match &self.container {
            Some(container) => 12 + container.length(),
            None => 8,
        }
    }

    /// Writes the header of a payload of this many octets. `out` has exactly [`Self::length`]
    /// octets. A payload that does not fit the 16-bit length is the caller's fault: check it
    /// against the MTU before.
    #[inline]
    pub fn write(&self, out: &mut [u8], payload_length: usize) {
        self.write_as(message_type::G_PDU, out, payload_length);
    }

    #[inline]
    fn write_as(&self, kind: u8, out: &mut [u8], payload_length: usize) {
        let [length1, length0] = ((out.len() - 8 + payload_length) as u16).to_be_bytes();
        let [teid3, teid2, teid1, teid0] = self.teid.to_be_bytes();
        let header = |flags| [flags, kind, length1, length0, teid3, teid2, teid1, teid0];
        let Some(container) = &self.container else {
            out.copy_from_slice(&header(FLAGS));
            return;
        };
        // All in one piece: a packet has one of these, and eight octets are one store.
        let (front, extension) = out.split_at_mut(12);
        front[..8].copy_from_slice(&header(FLAGS | FLAG_E));
        front[8..].copy_from_slice(&[0, 0, 0, extension_type::PDU_SESSION_CONTAINER]);
        container.write(extension_type::NONE, extension);
    }
}

/// Echo Request (TS 29.281 §7.2.1); returns its length.
pub fn echo_request(sequence: u16, out: &mut [u8; 12]) -> usize {
    signalling(message_type::ECHO_REQUEST, 0, Some(sequence), &[], out)
}

/// Echo Response (TS 29.281 §7.2.2), whose Recovery is 0 in GTP-U; returns its length.
pub fn echo_response(sequence: u16, out: &mut [u8; 14]) -> usize {
    signalling(message_type::ECHO_RESPONSE, 0, Some(sequence), &[element::RECOVERY, 0], out)
}

/// Error Indication (TS 29.281 §7.3.1) about a G-PDU that came for `teid` to `address`, from
/// UDP port `port`, which goes into the UDP Port extension header; returns its length.
pub fn error_indication(teid: u32, address: IpAddr, port: Option<u16>, out: &mut [u8; 40]) -> usize {
    let mut elements = [0; 24];
    elements[0] = element::TEID_DATA_I;
    elements[1..5].copy_from_slice(&teid.to_be_bytes());
    elements[5] = element::GTPU_PEER_ADDRESS;
    let end = match address {
        IpAddr::V4(address) => {
            elements[6..8].copy_from_slice(&4u16.to_be_bytes());
            elements[8..12].copy_from_slice(&address.octets());
            12
        }
        IpAddr::V6(address) => {
            elements[6..8].copy_from_slice(&16u16.to_be_bytes());
            elements[8..24].copy_from_slice(&address.octets());
            24
        }
    };
    let elements = &elements[..end];
    let Some(port) = port else {
        return signalling(message_type::ERROR_INDICATION, 0, Some(0), elements, out);
    };
    let [port1, port0] = port.to_be_bytes();
    let length = (8 + elements.len()) as u16;
    out[..8].copy_from_slice(&[FLAGS | FLAG_S | FLAG_E, message_type::ERROR_INDICATION, 0, 0, 0, 0, 0, 0]);
    out[2..4].copy_from_slice(&length.to_be_bytes());
    out[8..12].copy_from_slice(&[0, 0, 0, extension_type::UDP_PORT]);
    out[12..16].copy_from_slice(&[1, port1, port0, extension_type::NONE]);
    out[16..16 + elements.len()].copy_from_slice(elements);
    16 + elements.len()
}

/// Supported Extension Headers Notification (TS 29.281 §7.2.3) with the PDU Session Container
/// and the UDP Port; returns its length.
pub fn supported_extension_headers_notification(out: &mut [u8; 16]) -> usize {
    let list = [
        element::EXTENSION_HEADER_TYPE_LIST,
        2,
        extension_type::UDP_PORT,
        extension_type::PDU_SESSION_CONTAINER,
    ];
    signalling(message_type::SUPPORTED_EXTENSION_HEADERS_NOTIFICATION, 0, Some(0), &list, out)
}

/// End Marker (TS 29.281 §7.3.2) for a tunnel; returns its length. On N3 it carries the PDU
/// Session Container as user packets do.
pub fn end_marker(teid: u32, container: Option<PduSessionContainer>, out: &mut [u8; 20]) -> usize {
    let header = GpduHeader { teid, container };
    let length = header.length();
    header.write_as(message_type::END_MARKER, &mut out[..length], 0);
    length
}

fn signalling(kind: u8, teid: u32, sequence: Option<u16>, elements: &[u8], out: &mut [u8]) -> usize {
    let start = if sequence.is_some() { 12 } else { 8 };
    out[0] = FLAGS;
    out[1] = kind;
    out[2..4].copy_from_slice(&((start - 8 + elements.len()) as u16).to_be_bytes());
    out[4..8].copy_from_slice(&teid.to_be_bytes());
    if let Some(sequence) = sequence {
        out[0] |= FLAG_S;
        out[8..10].copy_from_slice(&sequence.to_be_bytes());
        out[10..12].copy_from_slice(&[0, 0]);
    }
    out[start..start + elements.len()].copy_from_slice(elements);
    start + elements.len()
}
