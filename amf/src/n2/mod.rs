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
pub mod message;
mod net;
mod ng_reset;
mod ng_setup;
mod outbound;
mod process;
mod ran_configuration_update;
mod termination;
#[cfg(test)]
mod tests;

pub use config::{Config, Limits};
pub use net::{N2Handle, start};
pub use process::run;
pub(crate) use termination::NON_UE_STREAM;
pub use termination::{Input, Output, Termination};
