//! The SMF's core, driven by hand: one input at a time, every output looked at.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::result_large_err,
    clippy::type_complexity,
    reason = "tests"
)]

mod abnormal;
mod bench;
mod connection;
mod edge;
mod establishment;
mod handover;
mod ipv6;
mod modification;
mod mortal;
mod n3;
mod n4;
mod networks;
mod path_switch;
mod policy_rules;
mod qos_flows;
mod refusals;
mod release;
mod restoration;
mod robustness;
mod router;
