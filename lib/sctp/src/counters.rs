//! Counters of one backend.

use std::sync::atomic::{AtomicU64, Ordering};

/// One monotonic count.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The count now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}

/// What a backend counts; shared by its listeners and associations.
#[derive(Debug, Default)]
pub struct SctpCounters {
    /// Associations that a listener accepted.
    pub accepted: Counter,
    /// Associations opened from here.
    pub connected: Counter,
    /// Refused with ABORT: the listener's limit was reached.
    pub refused_limit: Counter,
    /// Refused with ABORT: the limit of one peer address was reached.
    pub refused_peer_limit: Counter,
    /// Aborted because a received message was longer than the limit.
    pub aborted_too_long: Counter,
    /// Messages received.
    pub messages_in: Counter,
    /// Messages given to the stack.
    pub messages_out: Counter,
    /// Times a send met a full send buffer.
    pub send_full: Counter,
}

impl SctpCounters {
    /// Every counter with its name, in a fixed order.
    pub fn snapshot(&self) -> [(&'static str, u64); 8] {
        [
            ("sctp_accepted", self.accepted.get()),
            ("sctp_connected", self.connected.get()),
            ("sctp_refused_limit", self.refused_limit.get()),
            ("sctp_refused_peer_limit", self.refused_peer_limit.get()),
            ("sctp_aborted_too_long", self.aborted_too_long.get()),
            ("sctp_messages_in", self.messages_in.get()),
            ("sctp_messages_out", self.messages_out.get()),
            ("sctp_send_full", self.send_full.get()),
        ]
    }
}
