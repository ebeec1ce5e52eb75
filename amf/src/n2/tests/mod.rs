//! N2 against gNBs that speak NGAP over the in-memory SCTP.

mod conformance;
mod core;
mod gnb;
mod processes;
