//! What the operator tells the manager.

use super::forward;
use crate::address::AddressRange;
use crate::region::PoolShape;

/// A security domain: one operator's processes, which all run as one user. Processes of different
/// domains never meet, even if their addresses are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Its name, in messages.
    pub name: String,
    /// The user that its processes run as; no other domain has it.
    pub user: u32,
    /// Where its processes may listen and connect from.
    pub addresses: Vec<AddressRange>,
    /// The buffers between each two of its processes.
    pub pool: PoolShape,
    /// Processes at a time.
    pub processes_max: usize,
    /// Whether all messages go through the manager: for comparison, see the README.
    pub forward: bool,
}

impl Domain {
    /// With the default pool and limits.
    pub fn new(name: impl Into<String>, user: u32, addresses: Vec<AddressRange>) -> Self {
        let pool = PoolShape::default();
        Self { name: name.into(), user, addresses, pool, processes_max: PROCESSES_MAX, forward: false }
    }
}

/// Processes of a domain, unless told otherwise.
const PROCESSES_MAX: usize = 64;
/// Longest name of a domain, in octets.
const NAME_MAX: usize = 64;

/// What a manager is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagerOptions {
    /// Its socket: a path, or an abstract name behind an `@`.
    pub socket: String,
    /// Whom it admits.
    pub domains: Vec<Domain>,
}

impl ManagerOptions {
    /// At this socket, with nobody to admit yet.
    pub fn new(socket: impl Into<String>) -> Self {
        Self { socket: socket.into(), domains: Vec::new() }
    }
}

/// What is wrong with [`ManagerOptions`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Which domain, and what.
    #[error("domain {domain:?}: {what}")]
    Domain {
        /// Its name.
        domain: String,
        /// What was expected.
        what: String,
    },
    /// No domain: nobody could attach.
    #[error("no domain: nobody could attach")]
    NoDomain,
}

impl ManagerOptions {
    /// Whether each domain makes sense, and no two are of one user.
    pub fn check(&self) -> Result<(), OptionsError> {
        if self.domains.is_empty() {
            return Err(OptionsError::NoDomain);
        }
        for (index, domain) in self.domains.iter().enumerate() {
            let wrong = |what: String| Err(OptionsError::Domain { domain: domain.name.clone(), what });
            if domain.name.is_empty() || domain.name.len() > NAME_MAX {
                return wrong(format!("expected a name of 1 to {NAME_MAX} octets"));
            }
            if domain.addresses.is_empty() {
                return wrong("expected at least one address".into());
            }
            if domain.addresses.len() > crate::protocol::RANGES_MAX {
                return wrong(format!(
                    "expected at most {} addresses or ranges",
                    crate::protocol::RANGES_MAX
                ));
            }
            if !domain.pool.is_valid() {
                return wrong(
                    "expected a pool of 4 to 65536 buffers of 64 to 65536 octets, powers of two".into(),
                );
            }
            if domain.forward && domain.processes_max > forward::PROCESSES_MAX {
                return wrong(format!(
                    "expected at most {} processes to forward for",
                    forward::PROCESSES_MAX
                ));
            }
            if let Some(other) = self.domains[..index].iter().find(|other| other.user == domain.user) {
                return wrong(format!(
                    "expected a user of its own: {:?} has user {} as well",
                    other.name, domain.user
                ));
            }
            if self.domains[..index].iter().any(|other| other.name == domain.name) {
                return wrong("expected a name of its own".into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(name: &str, user: u32) -> Domain {
        Domain::new(name, user, vec!["10.0.0.0/8".parse().unwrap()])
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let options = |domains| ManagerOptions { socket: "@test".into(), domains };
        assert_eq!(options(vec![domain("a", 1), domain("b", 2)]).check(), Ok(()));
        assert_eq!(options(vec![]).check(), Err(OptionsError::NoDomain));
        let shape = PoolShape { buffers: 3, buffer_size: 64 };
        for wrong in [
            vec![domain("a", 1), domain("b", 1)],
            vec![domain("a", 1), domain("a", 2)],
            vec![domain("", 1)],
            vec![Domain::new("a", 1, vec![])],
            vec![Domain { pool: shape, ..domain("a", 1) }],
            vec![Domain { forward: true, processes_max: 128, ..domain("a", 1) }],
        ] {
            assert!(matches!(options(wrong).check(), Err(OptionsError::Domain { .. })));
        }
    }
}
