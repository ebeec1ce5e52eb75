//! Ports of DPDK for one data path: start its environment, open ports, receive and send frames in bursts.
//!
//! A shim in C stands between: it is compiled against the headers that are installed, so nothing here depends
//! on the version of DPDK, and nothing is generated. Frames are octets in buffers of DPDK's: who receives one has
//! its buffer, with room in front and behind, and may send another one in it.
//!
//! A port may have several queues, one for each thread. A frame that came on a queue and belongs to another
//! thread goes to its inbox, a ring, without being copied.
//!
//! Without the feature `dpdk` the crate is empty.
#![cfg(feature = "dpdk")]

mod eal;
mod error;
mod ffi;
mod frame;
mod port;

pub use eal::{Eal, Memory, Options, is_pci, port_name};
pub use error::DpdkError;
pub use frame::{Buffer, Frame};
pub use port::{BURST, Port, Queue};
