//! A process that is attached, as the manager knows it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use crate::protocol::{self, FromManager};
use crate::region::StatusPage;

/// An end of the manager's socket.
pub(super) struct Client {
    pub(super) socket: OwnedFd,
    /// Index of its domain.
    pub(super) domain: usize,
    /// When it must have said who it is.
    pub(super) until: Instant,
    /// Once it has said who it is.
    pub(super) admitted: Option<Admitted>,
    /// It is not to be heard any more.
    pub(super) gone: bool,
}

pub(super) struct Admitted {
    pub(super) instance: u64,
    pub(super) name: String,
    pub(super) page: StatusPage,
    pub(super) listens: Vec<SocketAddr>,
    /// Whom it is paired with, and the number of the pair.
    pub(super) peers: HashMap<u64, u64>,
}

impl Client {
    /// Says something. One that does not read what it is told is given up.
    pub(super) fn say(&mut self, message: &FromManager, fds: &[BorrowedFd<'_>]) {
        if protocol::send(self.socket.as_fd(), &message.write(), fds).is_err() {
            self.gone = true;
        }
    }

    pub(super) fn instance(&self) -> Option<u64> {
        self.admitted.as_ref().map(|admitted| admitted.instance)
    }

    pub(super) fn listens_at(&self, at: SocketAddr) -> bool {
        self.admitted.as_ref().is_some_and(|admitted| admitted.listens.contains(&at))
    }

    /// Whether its process has hung up, whatever else is still to be read of it.
    pub(super) fn hung_up(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::new(&self.socket, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }
}
