//! The `tern` binary as its users run it: processes, signals, files, network namespaces.

mod burst;
mod hostile;
mod refusals;
mod world;
