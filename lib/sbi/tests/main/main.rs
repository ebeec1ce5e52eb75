//! What every transport must do, and what HTTP must not let a peer do.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod conformance;
mod hostile;
mod service;
mod tap;
