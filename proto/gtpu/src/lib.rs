//! GTP-U version 1 (TS 29.281), with the PDU Session Container of N3 (TS 38.415).
//!
//! [`Packet::parse`] borrows from the datagram and allocates nothing; the writers fill a buffer
//! of the caller. A T-PDU and its payload are one slice away:
//!
//! ```
//! use tern_gtpu::{GpduHeader, Packet, PduSessionContainer, message_type};
//! let mut buffer = [0; 64];
//! let header = GpduHeader { teid: 7, container: Some(PduSessionContainer::uplink(9)) };
//! let start = header.length();
//! buffer[start..start + 4].copy_from_slice(b"data");
//! header.write(&mut buffer[..start], 4);
//! let packet = Packet::parse(&buffer[..start + 4]).unwrap();
//! assert_eq!((packet.message_type, packet.teid), (message_type::G_PDU, 7));
//! assert_eq!((packet.payload, packet.container.unwrap().qfi), (&b"data"[..], 9));
//! ```

mod container;
mod information;
mod packet;
mod write;

pub use container::PduSessionContainer;
pub use information::{Element, Elements, element};
pub use packet::{DecodeError, EXTENSION_HEADERS_MAX, Packet};
pub use write::{
    GpduHeader, echo_request, echo_response, end_marker, error_indication,
    supported_extension_headers_notification,
};

/// The UDP port of GTP-U (TS 29.281 §4.4.2).
pub const PORT: u16 = 2152;

/// Message types (TS 29.281 §6.1).
pub mod message_type {
    /// Echo Request.
    pub const ECHO_REQUEST: u8 = 1;
    /// Echo Response.
    pub const ECHO_RESPONSE: u8 = 2;
    /// Error Indication.
    pub const ERROR_INDICATION: u8 = 26;
    /// Supported Extension Headers Notification.
    pub const SUPPORTED_EXTENSION_HEADERS_NOTIFICATION: u8 = 31;
    /// End Marker.
    pub const END_MARKER: u8 = 254;
    /// G-PDU: a user packet.
    pub const G_PDU: u8 = 255;
}

/// Next Extension Header Type (TS 29.281 §5.2.1).
pub mod extension_type {
    /// No more extension headers.
    pub const NONE: u8 = 0x00;
    /// Service Class Indicator.
    pub const SERVICE_CLASS_INDICATOR: u8 = 0x20;
    /// UDP Port.
    pub const UDP_PORT: u8 = 0x40;
    /// PDU Session Container.
    pub const PDU_SESSION_CONTAINER: u8 = 0x85;
    /// PDCP PDU Number.
    pub const PDCP_PDU_NUMBER: u8 = 0xC0;
}
