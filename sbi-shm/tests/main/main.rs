//! The crate as its users see it.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::duplicate_mod, reason = "one suite, for each way that messages go")]

mod child;
mod event_loops;
mod faults;
mod node;
mod stress;
mod users;

/// Between two processes.
#[path = "."]
mod direct {
    use crate::node::Direct as Node;

    #[path = "streams.rs"]
    mod streams;
    #[path = "tokio_streams.rs"]
    mod tokio_streams;
}

/// The same, through the manager.
#[path = "."]
mod forwarded {
    use crate::node::Forwarded as Node;

    #[path = "streams.rs"]
    mod streams;
    #[path = "tokio_streams.rs"]
    mod tokio_streams;

    #[path = "forwarding.rs"]
    mod forwarding;
}
