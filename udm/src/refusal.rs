//! Refusals of the UDM's services: the causes of TS 29.503 and TS 29.500 Table 5.2.7.2-1.

use tern_sbi::{OperationError, ProblemDetails};

/// The cause of an unknown subscriber.
const USER_NOT_FOUND: &str = "USER_NOT_FOUND";

/// What a handler refuses with.
pub(crate) type Refused = OperationError<ProblemDetails>;

/// A refusal with its status and cause.
pub(crate) fn refuse(status: u16, cause: &str) -> Refused {
    OperationError::Problem(ProblemDetails::new(status, cause))
}

/// The same with a text for humans.
pub(crate) fn refuse_with(status: u16, cause: &str, detail: impl std::fmt::Display) -> Refused {
    OperationError::Problem(ProblemDetails::new(status, cause).with_detail(detail))
}

/// Of what the repository answered: a 404 is `not_found` unless the subscriber is unknown, a 403
/// goes on with its cause, no answer is 504, anything else our failure.
pub(crate) fn of_repository(error: Refused, not_found: &str) -> Refused {
    if is_unknown_user(&error) {
        return refuse(404, USER_NOT_FOUND);
    }
    match error {
        OperationError::Transport(error) => refuse_with(504, "TARGET_NF_NOT_REACHABLE", error),
        OperationError::Problem(problem) if problem.status == Some(403) => OperationError::Problem(problem),
        error => match status(&error) {
            Some(404) => refuse(404, not_found),
            Some(503) => refuse_with(503, "NF_CONGESTION", error),
            _ => refuse_with(500, "SYSTEM_FAILURE", error),
        },
    }
}

/// The status of an answer that is no success.
pub(crate) fn status(error: &Refused) -> Option<u16> {
    match error {
        OperationError::Refused { status, .. } => Some(*status),
        OperationError::Problem(problem) => problem.status,
        OperationError::Transport(_) | OperationError::Malformed(_) => None,
    }
}

fn cause(error: &Refused) -> Option<&str> {
    match error {
        OperationError::Refused { body: problem, .. } | OperationError::Problem(problem) => {
            problem.cause.as_deref()
        }
        OperationError::Transport(_) | OperationError::Malformed(_) => None,
    }
}

/// Whether the repository does not know the subscriber at all.
pub(crate) fn is_unknown_user(error: &Refused) -> bool {
    cause(error) == Some(USER_NOT_FOUND)
}
