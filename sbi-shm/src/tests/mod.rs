//! The stack against peers and processes that do not keep to the rules.

#![allow(clippy::unwrap_used, reason = "tests")]

mod forgery;
mod fuzz;
mod hostile_client;
mod invariants;
mod rig;
mod wakes;
