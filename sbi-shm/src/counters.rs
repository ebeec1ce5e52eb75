//! What a stack counts. The counters are in the page that its peers and the manager map, so anybody
//! who may read them does so without stopping anything.

use crate::region::StatusPage;
use crate::sync::Ordering;

macro_rules! counters {
    ($($(#[$meta:meta])* $variant:ident $field:ident,)+) => {
        /// A counter's place in the page.
        #[derive(Debug, Clone, Copy)]
        pub(crate) enum Counter { $($variant,)+ }

        /// A reading of a stack's counters. Each only grows, `connections` and `peers` excepted.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counters { $($(#[$meta])* pub $field: u64,)+ }

        impl Counters {
            /// Every counter with its name.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($field), self.$field),)+].into_iter()
            }
        }

        /// Reads all.
        pub(crate) fn read(page: &StatusPage) -> Counters {
            Counters { $($field: page.counter(Counter::$variant as usize).load(Ordering::Relaxed),)+ }
        }
    };
}

counters! {
    /// Connections now, listeners not counted.
    Connections connections,
    /// Peers now.
    Peers peers,
    /// Connections opened from here.
    Opened opened,
    /// Connections accepted here.
    Accepted accepted,
    /// Connections refused here: no listener, or a limit.
    Refused refused,
    /// Data messages sent.
    Sent sent,
    /// Octets in them.
    OctetsSent octets_sent,
    /// Data messages received.
    Received received,
    /// Octets in them.
    OctetsReceived octets_received,
    /// Connections that a peer reset, or that died with it.
    Resets resets,
    /// Peers that died.
    PeersLost peers_lost,
    /// Times that a sleeping peer was woken.
    Rung rung,
    /// Times that this stack went to sleep.
    Slept slept,
    /// Spins that ended with something to do.
    SpinsPaid spins_paid,
    /// Spins that ended without.
    SpinsWasted spins_wasted,
    /// Writes that waited for buffers to come back.
    WindowFull window_full,
    /// Messages of no connection, or of one that had ended.
    Stray stray,
    /// Slots that mean nothing.
    Malformed malformed,
    /// Messages from or to an address that is not the sender's or not ours.
    OutOfDomain out_of_domain,
    /// Descriptors of buffers that do not exist, or of impossible lengths.
    OutOfRange out_of_range,
    /// Descriptors of buffers whose life is over or that are here already.
    Stale stale,
    /// Buffers given back that the peer did not have.
    ForgedReturn forged_return,
    /// Peers whose ring indexes made no sense.
    Corrupt corrupt,
}

/// Adds to a counter. Only under the stack's lock, or where losing a count to a race is all the same.
pub(crate) fn add(page: &StatusPage, counter: Counter, n: u64) {
    let word = page.counter(counter as usize);
    word.store(word.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

/// Sets a gauge.
pub(crate) fn set(page: &StatusPage, counter: Counter, n: u64) {
    page.counter(counter as usize).store(n, Ordering::Relaxed);
}
