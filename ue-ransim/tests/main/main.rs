//! The simulator against a scripted core on one thread and a paused clock.

#![allow(clippy::unwrap_used)]

mod network;
mod scenarios;
mod script;
