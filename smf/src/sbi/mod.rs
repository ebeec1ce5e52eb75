//! The service produced (Nsmf_PDUSession) and those consumed, one file each.

pub mod data_change;
pub mod pdu_session;
pub mod policy;
pub mod registration;
pub mod rule_report;
pub mod status;
pub mod subscription;
pub mod transfer;
