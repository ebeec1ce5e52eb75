//! The whole core, in simulation.

mod authentication;
mod identities;
mod outcome;
mod registration;
mod simulation;
mod timers;
