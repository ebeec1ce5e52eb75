//! The access and mobility management function (TS 23.501 §6.2.1).
//!
//! [`Amf`] is the core: 5GMM (TS 24.501) and NGAP (TS 38.413) procedures and the AMF's side of
//! the SBI as state machines, without I/O: [`Input`]s come in with the time, [`Output`]s go out.
//! [`n2`] is the N2 termination, [`net`] the edge around both.
//!
//! A UE's way: `ngap/initial_ue_message.rs`, `gmm/registration.rs` (read its `Step`), then
//! `gmm/nas_transport.rs` and `session.rs`.

mod admission;
mod amf;
mod arrivals;
mod config;
mod error;
mod gmm;
mod io;
mod kept;
pub mod n2;
mod net;
mod ngap;
mod overload;
pub mod record;
mod requests;
mod resume;
mod sbi;
mod session;
mod status;
mod supervised;
#[cfg(test)]
mod tests;
mod ue;

pub use admission::{ACCEPT_WITHIN, ACCESS_WITHIN, WAITING_WITHIN, Waiting};
pub use amf::{Amf, RELEASE_COMPLETE_WITHIN};
pub use config::{
    AmfIdConfig, AreaOfInterestConfig, Config, InactiveReports, Limits, LocationReportingConfig,
    OverloadConfig, PagingConfig, PagingPriorityConfig, Reauthentication, RrcInactiveConfig, SecurityConfig,
    ServedPlmn, TimerConfig,
};
pub use error::Refusal;
pub use gmm::{Paging, Procedure};
pub use io::{Awaited, Input, Output, Token};
pub use net::run;
pub use ngap::handover::Handover;
pub use ngap::handover_preparation::{ALLOCATION_WITHIN, EXECUTION_WITHIN, N2Handover, SMF_WITHIN};
pub use ngap::location_reporting::Presence;
pub use ngap::path_switch_request::{EARLY_WITHIN, EarlySwitch, PathSwitch, SWITCH_WITHIN, Target};
pub use ngap::rrc_inactive::RrcState;
pub use ngap::ue_context_modification::{REKEYING_WITHIN, Rekeying};
pub use sbi::{AmfRequest, LOCATED_WITHIN, Locating};
pub use session::Session;
pub use supervised::{Expiry, Protection, Supervised, T3522, T3550, T3560, T3570};
pub use ue::{
    Connection, ContextSetup, GmmState, HeldMessage, N2SmKind, Reachability, SCHEMA_VERSION, SubscribedDnn,
    Subscription, UeContext, UeId,
};
