//! The user plane function: N4, N3 and N6 (TS 23.501 §6.2.3, TS 29.244, TS 29.281).
//!
//! [`run`] is the whole of it. Inside, `pfcp` is the control side without I/O: sessions and their
//! rules, compiled and published to `path`, the data path, whose workers move packets through
//! what `io` gives them: sockets and TUN devices of the kernel, or ports of DPDK.

mod config;
mod index;
mod io;
mod net;
mod path;
mod pfcp;
#[cfg(test)]
mod testing;
mod user_plane;
mod workers;

pub use config::{
    Addresses, ApplicationConfig, ClassifierKind, Config, DataPathKind, DpdkConfig, LinkConfig, MemoryKind,
    N3Config, N4Config, N6Config, N9Config, OverloadConfig, PfdConfig, PredefinedAction, PredefinedRule,
    RatesKbps, WORKERS_MAX,
};
pub use io::{BURST, PacketIo};
#[cfg(feature = "dpdk")]
pub use io::{EthernetIo, Port, dpdk_io, worker_of_ue};
pub use net::run;
pub use path::{DropReason, PACKET_MAX, Packet, Peer, ReferencePoint, Side, Worker};
pub use user_plane::UserPlane;
