//! Sockets on shared memory, for processes of one machine.
//!
//! A [`Stack`] attaches to a [`manager`](manager) of the node, which admits it by its user and grants
//! it addresses. [`Stack::listen`] and [`Stack::connect`] give [`ShmListener`] and [`ShmStream`], with
//! blocking `Read` and `Write` as sockets have them, or tokio's `AsyncRead` and `AsyncWrite`. Two
//! stacks exchange data through rings of their own; the manager only brings them together.
//!
//! The README has the design: memory, waking, back-pressure, what a hostile peer can and cannot do.

#[cfg(not(loom))]
mod address;
#[cfg(not(loom))]
mod connection;
#[cfg(not(loom))]
mod control;
#[cfg(not(loom))]
mod counters;
#[cfg(not(loom))]
mod descriptor;
#[cfg(not(loom))]
mod driver;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod link;
#[cfg(not(loom))]
mod listener;
#[cfg(not(loom))]
mod loan;
#[cfg(not(loom))]
pub mod manager;
#[cfg(not(loom))]
mod memory;
#[cfg(not(loom))]
mod pair;
#[cfg(not(loom))]
mod pool;
#[cfg(not(loom))]
mod protocol;
#[cfg(not(loom))]
mod region;
#[cfg(not(loom))]
mod socket;
#[cfg(not(loom))]
mod spin;
#[cfg(not(loom))]
mod stack;
#[cfg(not(loom))]
mod state;
#[cfg(not(loom))]
mod stream;
#[cfg(all(feature = "tokio", not(loom)))]
mod tokio;

pub mod returns;
pub mod ring;
pub mod sleep;
mod sync;

#[cfg(not(loom))]
pub use self::{
    address::{AddressRange, NotAnAddressRange},
    connection::ConnectionCounters,
    counters::Counters,
    error::{AttachError, ConnectError, ListenError},
    link::SharedBytes,
    listener::{ListenOptions, ShmListener},
    loan::Loan,
    region::PoolShape,
    stack::{AttachOptions, BACKLOG, Stack, WINDOW, Waiting},
    stream::{ConnectOptions, ShmStream},
};

/// A number that differs from process to process.
#[cfg(not(loom))]
fn seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
