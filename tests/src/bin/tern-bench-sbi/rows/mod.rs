//! One file for each row of the goals table, or for what explains one.

pub mod codec;
pub mod connect;
pub mod core;
pub mod hop;
pub mod idle;
pub mod message;
pub mod pieces;
pub mod rate;
pub mod stream;
pub mod tenants;
