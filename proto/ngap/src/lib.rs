//! NGAP (TS 38.413): the façade over the codec, which this crate alone names.
//!
//! [`ngap`] holds the generated types, [`build_ngap!`] and [`extract_ngap_ies!`] build and read
//! messages, [`decode`] is the bounded way in. What is ours: conversions to and from
//! [`tern_types`] ([`convert`]), causes ([`cause`]), PDU session resource transfers
//! ([`transfer`]), security capabilities ([`capability`]).

pub mod capability;
pub mod cause;
pub mod convert;
mod error;
pub mod transfer;

pub use cause::{NgapCause, Verdict, judge};
pub use error::{DecodeError, EncodeError, PDU_OCTETS_MAX, decode, decode_borrowed, encode};
pub use oxirush_ngap::ngap;
pub use oxirush_ngap::ngap::{NGAP_PDU, NgapPduKind};
pub use oxirush_ngap::{
    AsnType, BitString, Bits, Deviation, Error as CodecError, ErrorKind as CodecErrorKind, Fault, Message,
    Octets, aper, ie,
};
pub use oxirush_ngap::{build_ngap, build_ngap_ie, extract_ngap_ies, with_ngap_ie_mut};

/// SCTP payload protocol identifier of NGAP (TS 38.412 §7).
pub const PPID: u32 = 60;

/// SCTP port of NGAP (TS 38.412 §7).
pub const PORT: u16 = 38412;
