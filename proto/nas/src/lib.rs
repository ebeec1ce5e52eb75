//! NAS 5GS (TS 24.501): the façade over the codec, which this crate alone names, and NAS security.
//!
//! [`nas_5gs`] holds the messages and IEs; [`decode`], [`decode_gmm`] and [`decode_gsm`] are the
//! bounded ways in. What is ours: [`security`] (TS 24.501 §4.4), conversions to and from
//! [`tern_types`] ([`identity`], [`registration`], [`session`]), and which messages are believed
//! without protection ([`unprotected`]).

mod error;
pub mod identity;
pub mod registration;
pub mod security;
pub mod session;
pub mod unprotected;

pub use error::{DecodeError, EncodeError, MESSAGE_OCTETS_MAX, decode, decode_gmm, decode_gsm, encode};
pub use identity::{MobileIdentity, NgKsi, Suci};
pub use oxirush_nas::nas_5gs;
pub use security::{HeaderType, NasSecurityContext, Side};
