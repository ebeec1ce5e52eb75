//! What a test of the whole system needs: namespaces, processes, captures and their reading.
//! `make demo` uses the same pieces: there is one way to bring a core up.

pub mod bench;
pub mod capture;
pub mod core;
pub mod netns;
pub mod process;
pub mod timeline;
pub mod topology;
pub mod upf;
