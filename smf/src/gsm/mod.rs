//! 5GS session management, network side (TS 24.501 §6): one file per procedure.

pub mod admission;
mod connection;
mod establishment;
mod handover;
pub mod message;
mod modification;
pub mod options;
mod qos;
pub mod release;

pub use establishment::{Establishment, Unfinished, Waiting, start as establish};
pub use handover::Handover;
pub use modification::{
    Modification, Unanswered, answered as modification_answered, by_policy, pushed as policy_pushed,
    requested as modify, to as modify_to,
};
pub use release::{Cause, Release};
