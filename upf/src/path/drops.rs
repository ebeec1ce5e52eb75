//! Why packets are dropped, and how many of each.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a packet was dropped; each has a counter of its own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum DropReason {
            $($(#[$doc])* $name,)*
        }

        impl DropReason {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As counters name it.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("upf.drop.", $text),)*
                }
            }
        }
    };
}

reasons! {
    /// Not a GTP-U packet that can be processed.
    MalformedGtpu = "malformed_gtpu",
    /// A message type that is not handled.
    UnknownMessage = "unknown_message",
    /// No session has this TEID.
    UnknownTeid = "unknown_teid",
    /// No session has this UE address.
    UnknownUe = "unknown_ue",
    /// The user packet is no sound packet of its version of IP.
    MalformedInner = "malformed_inner",
    /// The user packet is neither IPv4 nor IPv6.
    NotIp = "not_ip",
    /// An uplink packet with another source address than the UE's.
    SpoofedSource = "spoofed_source",
    /// No PDR matches.
    NoRule = "no_rule",
    /// The FAR says so.
    FarDrop = "far_drop",
    /// A gate is closed.
    GateClosed = "gate_closed",
    /// A maximum bit rate is exceeded.
    RateExceeded = "rate_exceeded",
    /// The worker cannot keep up, its backlog is full, and the packet is within no guaranteed bit rate.
    Overload = "overload",
    /// A quota is used up.
    QuotaExhausted = "quota_exhausted",
    /// The FAR forwards to where nothing leads, or to a link that has no address of the packet's version of IP.
    NoWay = "no_way",
    /// What a rule redirects, and cannot be redirected or needs no answer.
    Redirected = "redirected",
    /// The buffer of the session is full, or those of all together.
    BufferFull = "buffer_full",
    /// The socket, the TUN device or the port did not take it.
    SendFailed = "send_failed",
    /// Longer than the way takes, and not to be fragmented. Its sender is told.
    TooLong = "too_long",
    /// A fragment of a GTP-U packet whose others did not come, or contradict it, or were too many.
    OuterFragment = "outer_fragment",
    /// The next hop's Ethernet address is not known, or there is no next hop.
    NoNeighbour = "no_neighbour",
    /// A frame that holds no sound IP packet or message of neighbour discovery.
    MalformedFrame = "malformed_frame",
    /// A frame for another host, or of a protocol that is not spoken here.
    NotForUs = "not_for_us",
    /// The port has no buffer for it.
    NoBuffer = "no_buffer",
}

/// Counters of the data path.
#[derive(Debug, Default)]
pub(crate) struct PathCounters {
    drops: [AtomicU64; DropReason::ALL.len()],
    /// Packets forwarded to N6.
    pub(crate) uplink_packets: AtomicU64,
    /// Packets forwarded to N3.
    pub(crate) downlink_packets: AtomicU64,
    /// Octets of user packets forwarded to N6.
    pub(crate) uplink_octets: AtomicU64,
    /// Octets of user packets forwarded to N3.
    pub(crate) downlink_octets: AtomicU64,
    /// Bursts that brought packets.
    pub(crate) bursts: AtomicU64,
    /// Those of them behind which there may have been more.
    pub(crate) full_bursts: AtomicU64,
}

impl PathCounters {
    pub(crate) fn dropped(&self, reason: DropReason) {
        self.dropped_many(reason, 1);
    }

    pub(crate) fn dropped_many(&self, reason: DropReason, count: u64) {
        if count > 0 {
            self.drops[reason as usize].fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(crate) fn drops(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize].load(Ordering::Relaxed)
    }

    /// All counters with their names.
    pub(crate) fn snapshot(&self) -> Vec<(&'static str, u64)> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut all = vec![
            ("upf.uplink.packets", load(&self.uplink_packets)),
            ("upf.downlink.packets", load(&self.downlink_packets)),
            ("upf.uplink.octets", load(&self.uplink_octets)),
            ("upf.downlink.octets", load(&self.downlink_octets)),
        ];
        all.extend(DropReason::ALL.iter().map(|reason| (reason.name(), load(&self.drops[*reason as usize]))));
        all
    }
}
