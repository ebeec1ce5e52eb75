//! The service-based interface: models and service operations (TS 29.500, TS 29.501 and the
//! specification of each service). Wire formats only; HTTP is in `lib/sbi`.
//!
//! A service operation is a type ([`Operation`]): its request is the value, its answer and its
//! error body are associated types. [`Request`] and [`Reply`] are the forms that travel, their
//! [`Content`] a model until a transport writes it: as JSON over HTTP, or in the [`direct`] form.
//!
//! One module a service. Attributes that a procedure of ours neither writes nor reads are left
//! out of the models; a decoder ignores them.

mod content;
mod define;
mod encoding;
mod message;
mod model;
mod operation;
mod problem;
mod related;

pub mod common;
pub mod direct;
pub mod namf_comm;
pub mod namf_loc;
pub mod nausf_auth;
pub mod nnrf_disc;
pub mod nnrf_nfm;
pub mod nnssf_nsselection;
pub mod npcf_am;
pub mod npcf_sm;
pub mod nsmf_pdusession;
pub mod nudm_sdm;
pub mod nudm_ueau;
pub mod nudm_uecm;
pub mod nudr_dr;

pub use content::Content;
pub use encoding::{JSON_LEN_MAX, cause};
pub use message::{Body, Headers, Method, Part, PartKind, Reply, Request};
pub use operation::{
    Call, Failure, Location, Operation, OperationError, PRIORITY_OF_NEW_WORK, PathParams, Response,
    TransportError, percent_decode,
};
pub use problem::{InvalidParam, ProblemDetails};
pub use related::{ErrorModel, RefToBinaryData, RefersToParts, Related};
