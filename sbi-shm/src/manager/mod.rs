//! The manager of a node: admits processes by their user, grants them addresses, and pairs them.
//!
//! It keeps off the way of data. It can die and come back: live connections go on, and the stacks
//! tell the new one who they are. There are no threads and no timers in it, but for a domain that has
//! its messages forwarded; [`Manager::run`] is its whole life.

mod client;
mod forward;
mod options;
mod pairing;
mod serve;

pub use options::{Domain, ManagerOptions, OptionsError};
pub use serve::{ClientStatus, Manager, ManagerError, Stopper};
