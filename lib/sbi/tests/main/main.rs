//! What every transport must do, and what HTTP must not let a peer do.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod both_ways;
mod conformance;
mod flood;
mod hostile;
#[allow(dead_code, reason = "shared with the tests of the models")]
#[path = "../../../../proto/sbi/tests/samples/mod.rs"]
mod samples;
mod service;
mod tap;
