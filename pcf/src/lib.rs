//! Policy control function: Npcf_AMPolicyControl (TS 29.507) and Npcf_SMPolicyControl
//! (TS 29.512).
//!
//! The operator's policies are in the configuration; what a subscriber's policy data in the UDR
//! adds is its categories. A decision is a function of the two and of the request ([`access`],
//! [`session`]); associations are kept in the store ([`associations`]), so that they outlive the
//! process. What the SMF cannot enforce is held back ([`failures`]).

pub mod access;
pub mod associations;
pub mod config;
pub mod failures;
pub mod flow;
pub mod session;

mod net;
mod sbi;

pub use config::Config;
pub use net::run;
