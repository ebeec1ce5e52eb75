//! What came of a UE's step.

use std::fmt::Debug;

use ue_ransim::SimError;

/// The cause that the network gave; panics if it did not say no.
pub fn cause<T: Debug>(result: Result<T, SimError>) -> u8 {
    match result {
        Err(SimError::Rejected { cause, .. }) => cause,
        other => panic!("expected a rejection, got {other:?}"),
    }
}

/// The message that said no, and its cause.
pub fn rejection<T: Debug>(result: Result<T, SimError>) -> (&'static str, u8) {
    match result {
        Err(SimError::Rejected { message, cause, .. }) => (message, cause),
        other => panic!("expected a rejection, got {other:?}"),
    }
}

/// Whether this is how the specification lets a step fail when something is lost: the network
/// says no, the connection is released, or the UE's own timer expires.
pub fn is_allowed<T>(result: &Result<T, SimError>) -> bool {
    matches!(
        result,
        Ok(_) | Err(SimError::Rejected { .. } | SimError::Released { .. } | SimError::Timeout { .. })
    )
}
