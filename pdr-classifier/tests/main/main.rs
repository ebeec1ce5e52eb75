//! The crate as its users see it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod adversarial;
mod concurrent;
mod differential;
mod filters;
mod model;
mod oracle;
mod random;
mod vectors;
