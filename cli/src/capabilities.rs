//! Capabilities that the file of this program gives: an image's user is nobody special, and still the UPF
//! makes TUN devices and the AMF may speak SCTP on raw IP.

use rustix::thread::{CapabilitySets, capabilities, set_capabilities};

/// Puts in force what this process may have. A file that gives capabilities and also puts them in force
/// (`setcap …+ep`) cannot be executed where one of them is forbidden; one that only gives them (`+p`) can,
/// with those that are allowed, and the program must put them in force itself.
///
/// Call it while there is one thread.
pub fn put_in_force() {
    let Ok(sets) = capabilities(None) else { return };
    if sets.effective != sets.permitted {
        // Who needs one that is refused says so itself.
        let _ = set_capabilities(None, CapabilitySets { effective: sets.permitted, ..sets });
    }
}
