//! Which backend this host can run.

use std::sync::Arc;

use crate::association::SctpBackend;
use crate::error::SctpError;
use crate::kernel::KernelBackend;
use crate::options::UDP_PORT;
use crate::usrsctp::{Encapsulation, UsrsctpBackend, raw_sockets_allowed};

/// What the configuration asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SctpMode {
    /// The kernel if it has SCTP, else raw IP if allowed, else UDP.
    #[default]
    Auto,
    /// The kernel's SCTP.
    Kernel,
    /// usrsctp on IP protocol 132; needs CAP_NET_RAW.
    Raw,
    /// usrsctp inside UDP (RFC 6951).
    Udp {
        /// Our UDP port; 9899 by default.
        port: u16,
    },
}

/// The backend chosen.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The backend itself.
    pub backend: Arc<dyn SctpBackend>,
    /// Its name.
    pub name: &'static str,
    /// Why this one, for the log.
    pub why: String,
}

/// Chooses and starts a backend, and logs it. usrsctp is started once a
/// process: a second call must ask for the same mode.
pub fn choose(mode: SctpMode) -> Result<Chosen, SctpError> {
    let (backend, why): (Arc<dyn SctpBackend>, String) = match mode {
        SctpMode::Auto => automatic()?,
        SctpMode::Kernel => (KernelBackend::new()?, "configured".into()),
        SctpMode::Raw => (UsrsctpBackend::start(Encapsulation::Raw)?, "configured".into()),
        SctpMode::Udp { port } => (UsrsctpBackend::start(Encapsulation::Udp { port })?, "configured".into()),
    };
    let name = backend.name();
    tracing::info!(backend = name, %why, "SCTP backend chosen");
    Ok(Chosen { backend, name, why })
}

fn automatic() -> Result<(Arc<dyn SctpBackend>, String), SctpError> {
    let no_kernel = match KernelBackend::new() {
        Ok(backend) => return Ok((backend, "the kernel has SCTP".into())),
        Err(error) => error,
    };
    if raw_sockets_allowed() {
        let backend = UsrsctpBackend::start(Encapsulation::Raw)?;
        return Ok((backend, format!("raw sockets are allowed and {no_kernel}")));
    }
    let backend = UsrsctpBackend::start(Encapsulation::Udp { port: UDP_PORT })?;
    Ok((backend, format!("raw sockets are not allowed and {no_kernel}")))
}
