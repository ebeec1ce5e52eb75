//! Simulator of gNBs and UEs.
pub mod config;
pub mod env;
pub mod error;
pub mod gnb;
pub mod icmp;
pub mod report;
pub mod tun;
/// stub
pub mod ue { 
/// stub
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub struct Trick; }
