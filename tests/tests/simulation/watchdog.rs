//! Ends the process if a simulation stops moving: a loop that never waits lets no virtual time pass.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

/// Real time that one simulation may take.
const REAL_TIME_MAX: Duration = Duration::from_secs(100);

/// Watched until dropped.
pub struct Watched {
    _end: Sender<()>,
}

impl Watched {
    /// From now on.
    pub fn new() -> Self {
        let (end, ended) = mpsc::channel();
        let name = std::thread::current().name().unwrap_or("a simulation").to_owned();
        std::thread::spawn(move || {
            if ended.recv_timeout(REAL_TIME_MAX) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{name}: no end after {REAL_TIME_MAX:?} of real time");
                std::process::abort();
            }
        });
        Self { _end: end }
    }
}
