//! Networks in the kernel. Each test has one of its own, which goes with it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod confine;
mod file;
mod network;
mod plan;
mod tenants;
mod world;
