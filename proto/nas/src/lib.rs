//! NAS 5GS (TS 24.501): the façade over the codec, which this crate alone names, and NAS security.
//!
//! [`nas_5gs`] holds the messages and IEs; [`decode`], [`decode_gmm`] and [`decode_gsm`] are the
//! bounded ways in.

mod error;

pub use error::{DecodeError, EncodeError, MESSAGE_OCTETS_MAX, decode, decode_gmm, decode_gsm, encode};
pub use oxirush_nas::nas_5gs;
