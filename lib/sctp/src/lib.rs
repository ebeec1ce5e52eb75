//! SCTP (RFC 9260) behind one trait, with three backends.
//!
//! - [`kernel`]: the kernel's one-to-one sockets, where it has SCTP;
//! - [`usrsctp`]: a userspace stack on IP protocol 132 or inside UDP (RFC 6951);
//! - [`mem`]: in one process, with seeded faults, on tokio's clock: simulation.
//!
//! [`choose`] picks the first two by what the host allows. An [`Association`]
//! splits into a cloneable sender and one receiver; no backend queues without
//! a bound: an unread message stays in the receive buffer, whose window then
//! stops the peer, and a full send buffer is told to the caller.

pub mod kernel;
pub mod mem;
pub mod usrsctp;

mod admission;
mod association;
mod choose;
mod counters;
mod driver;
mod error;
mod options;
mod wire;

pub use association::{
    Association, AssociationInfo, AssociationReceiver, AssociationSender, BoxFuture, Event, Message,
    PathState, SctpBackend, SctpListener,
};
pub use choose::{Chosen, SctpMode, choose};
pub use counters::{Counter, SctpCounters};
pub use error::{LostCause, SctpError, SendError};
pub use options::{ConnectOptions, Limits, ListenOptions, NGAP_PORT, NGAP_PPID, Streams, Timers, UDP_PORT};
