//! The whole core, in simulation.

mod admission;
mod areas;
mod authentication;
mod collisions;
mod compliance;
mod congestion;
mod determinism;
mod eap;
mod gnbs;
mod handover;
mod handover_n2;
mod identities;
mod n4;
mod outcome;
mod paging;
mod procedures;
mod registration;
mod rekeying;
mod restarts;
mod restoration;
mod sbi_faults;
mod scas;
mod sessions;
mod simulation;
mod stress;
mod timers;
