//! The `tern` binary as its users run it: processes, signals, files, network namespaces.

mod burst;
mod configuration;
mod crash;
mod data_changes;
mod handover;
mod hardened;
mod health;
mod hostile;
mod ipv6;
mod launcher;
mod load;
mod n2;
mod n3;
mod net;
mod paging;
mod refusals;
mod reports;
mod restoration;
mod subscriber;
mod user_plane;
mod world;
