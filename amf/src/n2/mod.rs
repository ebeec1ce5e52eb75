//! The N2 termination: SCTP, NGAP framing and gNB contexts, with messages as its interface.
//!
//! [`Termination`] is the core, free of I/O: it answers by itself what concerns a gNB and not a
//! UE (TS 38.413 §8.7, §10), and hands everything else to the AMF as [`message::N2Event`].
//! [`start`] runs it inside the AMF, or reaches it in another process; [`run`] is that process
//! (`tern n2`), which keeps the associations while an AMF comes and goes.

mod amf_configuration_update;
mod bridge;
mod config;
mod error_indication;
mod hearing;
pub mod message;
mod net;
mod ng_reset;
mod ng_setup;
mod outbound;
mod outbox;
mod process;
mod ran_configuration_update;
mod termination;
#[cfg(test)]
mod tests;
mod unheard;

pub use config::{Config, Limits};
pub(crate) use hearing::Hearing;
pub use net::{N2Handle, start};
pub use outbox::Outbox;
pub use process::run;
pub(crate) use termination::NON_UE_STREAM;
pub use termination::{Input, Output, Termination};
