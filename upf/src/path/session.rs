//! A session as the data path sees it: compiled, immutable, published as a whole.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::{Qer, Rules, Usage};

/// A remote tunnel endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tunnel {
    pub(crate) teid: u32,
    pub(crate) peer: SocketAddrV4,
}

/// What a FAR does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Drop,
    /// Keep it; tell the CP function about the first one if `notify`.
    Buffer {
        notify: bool,
    },
    /// Into a tunnel towards the access side.
    ToAccess(Tunnel),
    /// To a data network, by its index in the configuration.
    ToNetwork(usize),
    /// The FAR forwards, but names no way that we have.
    Nowhere,
}

/// What a packet detection rule refers to.
#[derive(Debug)]
pub(crate) struct Pdr {
    pub(crate) id: u16,
    pub(crate) action: Action,
    pub(crate) qers: Vec<Arc<Qer>>,
    pub(crate) usages: Vec<(u32, Arc<Usage>)>,
}

impl Pdr {
    /// The first QFI among its QERs, for the PDU Session Container.
    pub(crate) fn qfi(&self) -> Option<u8> {
        self.qers.iter().find_map(|qer| qer.qfi)
    }
}

/// What of a session lives on when its rules change.
#[derive(Debug)]
pub(crate) struct SessionState {
    /// Downlink packets that wait; a lock that only buffering takes.
    buffer: Mutex<VecDeque<Vec<u8>>>,
    buffer_max: usize,
    /// The CP function knows that packets wait.
    notified: AtomicBool,
    /// When the last packet passed, ns of the workers' clock.
    last_packet_ns: AtomicU64,
}

impl SessionState {
    pub(crate) fn new(buffer_max: usize) -> Self {
        Self {
            buffer: Mutex::default(),
            buffer_max,
            notified: AtomicBool::new(false),
            last_packet_ns: AtomicU64::new(0),
        }
    }

    /// Keeps a packet; false if there is no room.
    pub(crate) fn push(&self, packet: &[u8]) -> bool {
        let mut buffer = self.lock();
        let room = buffer.len() < self.buffer_max;
        if room {
            buffer.push_back(packet.to_vec());
        }
        room
    }

    /// Whether packets wait.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.lock().is_empty()
    }

    /// All packets that wait.
    pub(crate) fn take(&self) -> VecDeque<Vec<u8>> {
        self.notified.store(false, Ordering::Relaxed);
        std::mem::take(&mut *self.lock())
    }

    /// True for the one caller that has to notify.
    pub(crate) fn must_notify(&self) -> bool {
        !self.notified.swap(true, Ordering::Relaxed)
    }

    /// The notification did not get through: the next packet tries again.
    pub(crate) fn notify_again(&self) {
        self.notified.store(false, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn touch(&self, now_ns: u64) {
        self.last_packet_ns.store(now_ns, Ordering::Relaxed);
    }

    pub(crate) fn last_packet_ns(&self) -> u64 {
        self.last_packet_ns.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.buffer.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A session's rules, as they are published.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) seid: u64,
    /// Grows with each publication.
    pub(crate) generation: u64,
    pub(crate) ue_addresses: Vec<Ipv4Addr>,
    pub(crate) teids: Vec<u32>,
    pub(crate) uplink: Rules,
    pub(crate) downlink: Rules,
    pub(crate) state: Arc<SessionState>,
}

impl Session {
    /// Whether some downlink rule still buffers.
    pub(crate) fn buffers(&self) -> bool {
        self.downlink.all().iter().any(|rule| matches!(rule.action, Action::Buffer { .. }))
    }
}
