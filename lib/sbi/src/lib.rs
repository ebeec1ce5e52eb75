//! Carries the service requests of [`tern_sbi`]: HTTP/2 over any byte stream, or memory.
//!
//! A network function gives its [`Routes`] to a [`Transport`] and sends its own requests
//! through the same; which transport it is decides the process or the simulation.
//! HTTP/2 as TS 29.500 §5 uses it is in [`http`]; its limits are in [`HttpLimits`]. What does
//! not pass an interface is shown to readers of captures by a [`tap`].

pub mod http;
pub mod tap;

mod direct;
mod hybrid;
mod memory;
mod multipart;
mod place;
mod producers;
mod routes;
mod transport;

pub use http::{Http, HttpLimits};
pub use hybrid::{Codec, Connections, Hybrid, HybridOptions, TransportChoice};
pub use memory::{Fault, Faults, MemoryTransport, Observed, What};
pub use multipart::{MultipartError, PART_HEADER_MAX, PARTS_MAX};
pub use routes::{REQUESTS_IN_PROGRESS_MAX, Routes};
pub use sbi_shm::{Stack, Waiting, harden};
pub use transport::{BoxFuture, Service, Serving, Transport};
