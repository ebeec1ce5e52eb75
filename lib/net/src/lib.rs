//! Networks of endpoints in bulk: from one file the namespaces, veth pairs, bridges, VXLANs, addresses and
//! routes of hundreds of network functions, gNBs and UEs.
//!
//! There is no file of state: what a network has is found by the names of its namespaces, and all that is of
//! it is inside these. [`up`] compares that with what the file declares and takes the steps between, so it
//! may be repeated, and goes on where one that was killed stopped. A veth pair is made with each end in its
//! place, in batches: to move an interface costs the kernel milliseconds of waiting.

mod apply;
mod check;
mod cidr;
mod confine;
pub mod declared;
mod error;
pub mod file;
pub mod found;
mod message;
mod name;
pub mod namespace;
mod netlink;
mod network;
mod observe;
pub mod one_by_one;
mod plan;
mod workers;

pub use check::{load, parse};
pub use cidr::{Cidr, NotACidr};
pub use declared::Declared;
pub use error::NetError;
pub use name::{NAME_MAX, Name, NotAName};
pub use network::{down, enter, list, plan, up};
pub use plan::{Pair, Plan, Setting, Switch};
