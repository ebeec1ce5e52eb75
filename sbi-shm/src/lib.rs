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

#[cfg(all(test, not(loom)))]
mod tests;

/// The README's example is compiled and run.
#[cfg(all(doctest, not(loom)))]
#[doc = include_str!("../README.md")]
pub struct Readme;

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

/// Keeps other processes of the same user from reading this process's memory and from opening its
/// descriptors through `/proc` (`PR_SET_DUMPABLE`, which also ends core dumps). For processes whose
/// user is shared by others that are trusted less. Root is not kept out.
#[cfg(not(loom))]
pub fn harden() -> std::io::Result<()> {
    Ok(rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?)
}

/// A number that differs from process to process.
#[cfg(not(loom))]
fn seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
