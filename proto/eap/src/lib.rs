//! EAP packets (RFC 3748) and EAP-AKA' (RFC 4187, RFC 9048).
//!
//! [`Packet::decode`] takes any octets; a packet whose MAC matters is verified by
//! [`Packet::is_authentic`] with the octets that it was read from.

mod attributes;
mod packet;

pub use attributes::{Attribute, Attributes, KDFS_MAX, NETWORK_NAME_OCTETS_MAX};
pub use packet::{AkaPrime, Body, Code, Packet, Subtype, header};

/// Longest packet that is read: what the EAP message IE of NAS holds (TS 24.501 §9.11.2.2).
pub const PACKET_OCTETS_MAX: usize = 1500;

/// The key derivation function with CK', IK' and PRF' (RFC 9048 §3.3).
pub const KDF_CK_PRIME: u16 = 1;

/// AT_NOTIFICATION "General failure", before authentication (RFC 4187 §10.19).
pub const GENERAL_FAILURE: u16 = 16384;

/// AT_CLIENT_ERROR_CODE "unable to process packet" (RFC 4187 §10.20).
pub const UNABLE_TO_PROCESS: u16 = 0;

/// What is wrong with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer octets than the header or its length field say, or more than are read.
    #[error("{octets} octets are no EAP packet of length {length}")]
    Length {
        /// Octets there are.
        octets: usize,
        /// What the length field says.
        length: usize,
    },
    /// No code of RFC 3748 §4.
    #[error("EAP code {0}")]
    Code(u8),
    /// No subtype of EAP-AKA'.
    #[error("EAP-AKA' subtype {0}")]
    Subtype(u8),
    /// An attribute that does not fit its length, or whose value cannot be.
    #[error("attribute {kind} at octet {offset} is malformed")]
    Attribute {
        /// Its type.
        kind: u8,
        /// Where it begins in the packet.
        offset: usize,
    },
    /// An attribute stands twice that must not.
    #[error("attribute {0} stands twice")]
    Repeated(u8),
    /// An attribute that is not known here and must not be skipped (RFC 4187 §8.1).
    #[error("attribute {0} is not recognized and cannot be skipped")]
    Unrecognized(u8),
}
