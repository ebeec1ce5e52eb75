//! The whole core, in simulation.

mod authentication;
mod collisions;
mod determinism;
mod gnbs;
mod identities;
mod outcome;
mod registration;
mod sbi_faults;
mod sessions;
mod simulation;
mod timers;
