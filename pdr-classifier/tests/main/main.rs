//! The tests of the crate's public face.
#![allow(clippy::unwrap_used)]

mod model;
