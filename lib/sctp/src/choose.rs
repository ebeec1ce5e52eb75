//! Which backend this host can run.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::association::SctpBackend;
use crate::error::SctpError;
use crate::kernel::KernelBackend;
use crate::options::UDP_PORT;
use crate::usrsctp::{Encapsulation, UsrsctpBackend, raw_sockets_allowed};

/// What the configuration asks for. Text and `serde` form: `auto`, `kernel`, `raw`, `udp` or
/// `udp:<port>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

impl FromStr for SctpMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match (text, text.strip_prefix("udp:").map(str::parse)) {
            ("auto", _) => Self::Auto,
            ("kernel", _) => Self::Kernel,
            ("raw", _) => Self::Raw,
            ("udp", _) => Self::Udp { port: UDP_PORT },
            (_, Some(Ok(port))) => Self::Udp { port },
            _ => return Err(format!("expected auto, kernel, raw, udp or udp:<port>, got {text:?}")),
        })
    }
}

impl TryFrom<String> for SctpMode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<SctpMode> for String {
    fn from(mode: SctpMode) -> Self {
        mode.to_string()
    }
}

impl fmt::Display for SctpMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Kernel => f.write_str("kernel"),
            Self::Raw => f.write_str("raw"),
            Self::Udp { port } => write!(f, "udp:{port}"),
        }
    }
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
    let why = format!("raw sockets are not allowed and {no_kernel}");
    match UsrsctpBackend::start(Encapsulation::Udp { port: UDP_PORT }) {
        // A core beside it has the port. Whoever only connects needs no certain one.
        Err(SctpError::Bind { source, .. }) if source.kind() == io::ErrorKind::AddrInUse => {
            let free = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| socket.local_addr());
            let port = free.map_err(|source| SctpError::Io { call: "bind", source })?.port();
            let backend = UsrsctpBackend::start(Encapsulation::Udp { port })?;
            Ok((backend, format!("{why}; UDP port {UDP_PORT} is taken, {port} is used: it can only connect")))
        }
        started => Ok((started?, why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_read_and_write_their_text() {
        for mode in [SctpMode::Auto, SctpMode::Kernel, SctpMode::Raw, SctpMode::Udp { port: 9900 }] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert_eq!("udp".parse(), Ok(SctpMode::Udp { port: UDP_PORT }));
        assert!("udp:x".parse::<SctpMode>().is_err());
    }
}
