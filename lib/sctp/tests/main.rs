//! The conformance suite, once for each backend.

mod kernel;
mod mem;
mod namespaces;
mod processes;
mod suite;
mod support;
mod udp;
