//! The bodies of the fuzz targets: octets in, and what must hold whatever they are.
//!
//! Each body takes the octets that libFuzzer made, as a few small records ([`Input`]), so that what is mutated
//! is inside a message and not only in front of it. It panics where something does not hold. What it returns
//! says how far an input came: the test of the corpus asserts that the seeds come far.
//!
//! `scripts/fuzz` runs the targets; `cargo test -p tern-fuzz` the corpus.

mod edit;
pub mod gtpu_packet;
mod input;
mod messages;
pub mod pfcp_message;
pub mod smf_n4;
pub mod upf_n4;
pub mod upf_packets;
mod wire;

pub use input::Input;

/// One fuzz target.
pub struct Target {
    /// Its name: that of its binary and of the directory of its corpus.
    pub name: &'static str,
    /// Runs one input; how often something got through.
    pub run: fn(&[u8]) -> usize,
    /// Inputs made of valid messages.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 5] = [
    Target { name: "pfcp_message", run: pfcp_message::run, seeds: pfcp_message::seeds },
    Target { name: "gtpu_packet", run: gtpu_packet::run, seeds: gtpu_packet::seeds },
    Target { name: "upf_n4", run: upf_n4::run, seeds: upf_n4::seeds },
    Target { name: "upf_packets", run: upf_packets::run, seeds: upf_packets::seeds },
    Target { name: "smf_n4", run: smf_n4::run, seeds: smf_n4::seeds },
];
