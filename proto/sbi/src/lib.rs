//! The service-based interface: models and service operations (TS 29.500, TS 29.501 and the
//! specification of each service). Wire formats only; HTTP is in `lib/sbi`.
//!
//! A service operation is a type ([`Operation`]): its request is the value, its answer and its
//! error body are associated types. [`Request`] and [`Reply`] are the forms that travel; a
//! second encoding of them needs no change in any network function.

mod message;
mod operation;
mod problem;

pub use message::{Body, Headers, Method, Part, PartKind, Reply, Request};
pub use operation::{Call, Location, Operation, OperationError, PathParams, Response, TransportError};
pub use problem::{InvalidParam, ProblemDetails};
