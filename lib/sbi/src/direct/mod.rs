//! Service requests as typed messages through shared memory: no HTTP, no JSON.
//!
//! A frame is eight octets, length and number of the request, both little-endian, and as many octets
//! of [`tern_sbi::direct`]. Number 0 is for what concerns the connection. One connection carries many
//! requests; answers come in any order.

mod client;
mod frame;
mod server;

pub(crate) use client::{Answer, Connection};
pub(crate) use server::connection;
