//! PFCP, the protocol of N4: TS 29.244 (Rel-17), as typed messages and information elements.
//!
//! [`Frame`] is one PFCP message with its header; [`Message`] its typed content. Decoding takes
//! any bytes: it never panics and what it allocates is bounded by the datagram. Unknown IEs are
//! kept as [`RawIe`] and written back after the known ones. Encoding writes IEs in the order of
//! the specification's tables.
//!
//! ```
//! use tern_pfcp::{Frame, HeartbeatRequest, Message, RecoveryTimeStamp};
//! let heartbeat = HeartbeatRequest {
//!     recovery_time_stamp: RecoveryTimeStamp(3_900_000_000),
//!     ..Default::default()
//! };
//! let bytes = Frame::node(7, Message::HeartbeatRequest(heartbeat.clone())).encode().unwrap();
//! assert_eq!(Frame::decode(&bytes).unwrap().message, Message::HeartbeatRequest(heartbeat));
//! ```

mod error;
mod groups;
mod ie;
mod message;
mod node_messages;
mod session_messages;
mod wire;

pub use error::{DecodeError, EncodeError, Fault};
pub use groups::*;
pub use ie::*;
pub use message::{Frame, Header, Message, MessageType};
pub use node_messages::*;
pub use session_messages::*;
pub use wire::{IE_REPEATS_MAX, RawIe, UNKNOWN_IES_MAX};

/// The UDP port of PFCP (TS 29.244 §4.2.2).
pub const PORT: u16 = 8805;
