//! The crate as its users see it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod node;
mod streams;
mod tokio_streams;
