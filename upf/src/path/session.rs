//! A session as the data path sees it: compiled, immutable, published as a whole.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use pdr_classifier::{Prefix, prefetch};
use smallvec::SmallVec;
use tern_gtpu::PduSessionContainer;

use super::near::Near;
use super::{Account, Besides, Buffers, Marking, More, Origin, Peer, Qer, Redirections, SharedRules, Side};

/// QERs, and URRs, of one PDR.
pub(crate) const REFERENCES_MAX: usize = 7;

/// A remote tunnel endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tunnel {
    pub(crate) teid: u32,
    pub(crate) towards: Towards,
    /// The sessions of one gNB have it in common.
    pub(crate) remote: Arc<Remote>,
}

/// To which side a tunnel leads: by that packets say in it of which QoS flow they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Towards {
    /// N3, or N9 to a UPF that is nearer to the access.
    Access,
    /// N9 to a UPF that is nearer to the core.
    Core,
    /// The CP function.
    Control,
}

/// What tunnels to one peer have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Remote {
    /// At the port of GTP-U.
    pub(crate) end: Peer,
    /// Of the IP header around.
    pub(crate) marking: Marking,
}

impl Tunnel {
    pub(crate) fn new(teid: u32, peer: IpAddr, marking: Marking, towards: Towards) -> Self {
        let end = Peer::gtpu(peer).on(marking.interface());
        Self { teid, towards, remote: Arc::new(Remote { end, marking }) }
    }
}

/// What a FAR does with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Drop,
    /// Keep it; tell the CP function about the first one if `notify`.
    Buffer {
        notify: bool,
    },
    /// Into a tunnel.
    ToTunnel(Tunnel),
    /// To a data network, by its index in the configuration.
    ToNetwork(u16),
    /// The FAR forwards, but names no way that we have.
    Nowhere,
}

impl Action {
    /// The tunnel that packets leave by.
    pub(crate) fn tunnel(&self) -> Option<&Tunnel> {
        if let Self::ToTunnel(tunnel) = self { Some(tunnel) } else { None }
    }

    /// The same, to be changed.
    pub(crate) fn tunnel_mut(&mut self) -> Option<&mut Tunnel> {
        if let Self::ToTunnel(tunnel) = self { Some(tunnel) } else { None }
    }
}

/// What a packet detection rule refers to, by places in its session: so that sessions with equal rules share
/// them.
#[derive(Debug)]
pub(crate) struct Pdr {
    pub(crate) id: u16,
    /// Of [`Session::actions`].
    pub(crate) action: u8,
    /// Of [`Session::qers`].
    pub(crate) qers: Places,
    /// Those of them that have maximum bit rates.
    pub(crate) meters: Places,
    /// Of [`Session::usages`].
    pub(crate) usages: Places,
    /// What the first of its QERs that has a QFI says of the packets.
    pub(crate) flow: Option<QosFlow>,
}

/// How packets of a QoS flow are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QosFlow {
    /// Of downlink packets.
    pub(crate) container: PduSessionContainer,
    /// DSCP that the configuration has for the QFI.
    pub(crate) dscp: Option<u8>,
}

/// Some of a session's QERs or URRs, by their places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    count: u8,
    places: [u8; REFERENCES_MAX],
}

impl Places {
    /// `None` if there are too many.
    pub(crate) fn new(places: &[u8]) -> Option<Self> {
        let mut all = [0; REFERENCES_MAX];
        all.get_mut(..places.len())?.copy_from_slice(places);
        Some(Self { count: places.len() as u8, places: all })
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.places[..usize::from(self.count).min(REFERENCES_MAX)]
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Those of them where such a one is.
    pub(crate) fn only<T>(&self, all: &[T], is_one: impl Fn(&T) -> bool) -> Self {
        let mut only = Self::default();
        for &place in
            self.as_slice().iter().filter(|&&place| all.get(usize::from(place)).is_some_and(&is_one))
        {
            only.places[usize::from(only.count)] = place;
            only.count += 1;
        }
        only
    }

    /// What is at these places.
    #[inline]
    pub(crate) fn of<'a, T>(&'a self, all: &'a [T]) -> impl Iterator<Item = &'a T> + Clone {
        self.as_slice().iter().filter_map(move |&place| all.get(usize::from(place)))
    }

    /// The first at these places that is such a one. As [`of`](Self::of) has it, but the first place, which mostly
    /// is the only one, costs no loop.
    #[inline(always)]
    pub(crate) fn find<'a, T>(&self, all: &'a [T], mut is_it: impl FnMut(&T) -> bool) -> Option<&'a T> {
        let (&first, rest) = self.as_slice().split_first()?;
        let mut found = |&place: &u8| all.get(usize::from(place)).filter(|one| is_it(one));
        found(&first).or_else(|| rest.iter().find_map(found))
    }
}

/// A usage reporting rule as the data path sees it.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) urr_id: u32,
    pub(crate) usage: Arc<Account>,
}

/// Packets in the order in which they came, each as it came and from where.
pub(crate) type Waiting = VecDeque<(Side, Box<[u8]>)>;

/// What of a session lives on when its rules change.
#[derive(Debug)]
pub(crate) struct SessionState {
    /// Packets that wait, and where each came from; a lock that only buffering
    /// takes. Most sessions never have any. It is there until the last one has left, so that none overtakes.
    buffer: Mutex<Option<Box<Buffer>>>,
    /// Where room for them is had.
    buffers: Arc<Buffers>,
    /// Whether there is a buffer: who only wants to know that takes no lock.
    holds: AtomicBool,
    /// The CP function knows that packets wait.
    notified: AtomicBool,
    /// When the last packet passed, ns of the workers' clock.
    last_packet_ns: AtomicU64,
}

/// What waits of one session.
#[derive(Debug, Default)]
struct Buffer {
    packets: Waiting,
    octets: usize,
    /// Of the newest rules that had a packet wait.
    generation: u32,
    /// A worker is sending what waits.
    leaves: bool,
}

impl SessionState {
    pub(crate) fn new(buffers: Arc<Buffers>) -> Self {
        Self {
            buffer: Mutex::default(),
            buffers,
            holds: AtomicBool::new(false),
            notified: AtomicBool::new(false),
            last_packet_ns: AtomicU64::new(0),
        }
    }

    /// Keeps a packet as it came, by the rules of this generation; false if there is no room.
    pub(crate) fn push(&self, generation: u32, from: Side, packet: &[u8]) -> bool {
        let mut buffer = self.lock();
        let buffer = buffer.get_or_insert_default();
        buffer.generation = buffer.generation.max(generation);
        self.holds.store(true, Ordering::Relaxed);
        let held = (buffer.packets.len(), buffer.octets);
        self.keep(buffer, held, from, packet)
    }

    /// Whether packets may wait, or be on their way out.
    #[inline]
    pub(crate) fn holds(&self) -> bool {
        self.holds.load(Ordering::Relaxed)
    }

    /// Keeps a packet behind those that wait; `None` if none does and it may go. The session's own bound is for what
    /// waits for the UE: behind what is on its way there is room as long as all sessions together have some, or a
    /// session would lose packets whenever the worker that sends is kept from it.
    pub(crate) fn push_behind(&self, from: Side, packet: &[u8]) -> Option<bool> {
        let mut buffer = self.lock();
        let buffer = buffer.as_deref_mut()?;
        let held = if buffer.leaves { (0, 0) } else { (buffer.packets.len(), buffer.octets) };
        Some(self.keep(buffer, held, from, packet))
    }

    /// `held`: packets and octets that count for the session's bound.
    fn keep(&self, buffer: &mut Buffer, held: (usize, usize), from: Side, packet: &[u8]) -> bool {
        let room = self.buffers.take(held, packet.len());
        if room {
            buffer.octets += packet.len();
            buffer.packets.push_back((from, packet.into()));
        }
        room
    }

    /// Whether packets wait.
    pub(crate) fn has_waiting(&self) -> bool {
        self.lock().as_deref().is_some_and(|buffer| !buffer.packets.is_empty())
    }

    /// All packets that wait: they are not sent.
    pub(crate) fn take(&self) -> Waiting {
        self.notified.store(false, Ordering::Relaxed);
        let mut buffer = self.lock();
        let leaves = buffer.as_deref().is_some_and(|buffer| buffer.leaves);
        let Some(waiting) = buffer.as_deref_mut() else { return Waiting::default() };
        let packets = self.empty(waiting);
        if !leaves {
            *buffer = None;
            self.holds.store(false, Ordering::Relaxed);
        }
        packets
    }

    /// Begins to send what waits, by the rules of this generation: false if nothing does, newer rules have it
    /// wait, or another worker is at it. Then [`next`](Self::next) until it says `None`.
    pub(crate) fn begin_to_send(&self, generation: u32) -> bool {
        let mut buffer = self.lock();
        let waiting = buffer.as_deref_mut().filter(|buffer| buffer.generation <= generation);
        let Some(buffer) = waiting else { return false };
        self.notified.store(false, Ordering::Relaxed);
        !std::mem::replace(&mut buffer.leaves, true)
    }

    /// The packets that are next, when those of before are sent; `None` when there are no more, and others
    /// no longer wait behind them, or when newer rules have them wait.
    pub(crate) fn next(&self, generation: u32) -> Option<Waiting> {
        let mut buffer = self.lock();
        if let Some(newer) = buffer.as_deref_mut().filter(|buffer| buffer.generation > generation) {
            newer.leaves = false;
            return None;
        }
        let packets = buffer.as_deref_mut().map(|waiting| self.empty(waiting)).unwrap_or_default();
        if packets.is_empty() {
            *buffer = None;
            self.holds.store(false, Ordering::Relaxed);
            return None;
        }
        Some(packets)
    }

    fn empty(&self, buffer: &mut Buffer) -> Waiting {
        self.buffers.give_back(buffer.packets.len(), buffer.octets);
        buffer.octets = 0;
        std::mem::take(&mut buffer.packets)
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

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Box<Buffer>>> {
        self.buffer.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for SessionState {
    /// A session may go while packets wait.
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// A session's rules, as they are published.
///
/// Most packets need nothing of it ([`Straight`](super::Straight)). What the others need of it is in front, in two
/// lines of memory with the counts of who holds the session, or one step away, so that it can be asked for before it
/// is needed.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Session {
    pub(crate) rules: Arc<SharedRules>,
    pub(crate) rare: Option<Box<Rare>>,
    /// By ID.
    pub(crate) qers: Near<Qer, 1>,
    /// By ID.
    pub(crate) usages: Near<Measured, 1>,
    /// By the order of the FARs' IDs.
    pub(crate) actions: Near<Action, 2>,
    /// The first of its addresses.
    pub(crate) ue_address: Option<Ipv4Addr>,
    /// Whether there is more to do with a packet than to meter, count and forward it: a gate is closed, packets
    /// may wait, it is watched, or a FAR does something besides.
    pub(crate) is_unusual: bool,
    /// Whether the state is to say when the last packet passed.
    pub(crate) is_watched: bool,
    /// Whether packets may still wait of when it buffered, which no other may overtake.
    pub(crate) has_buffered: bool,
    pub(crate) state: Arc<SessionState>,
    pub(crate) seid: u64,
    pub(crate) ue_addresses: SmallVec<[Ipv4Addr; 2]>,
    pub(crate) teids: SmallVec<[u32; 2]>,
    /// Grows with each publication, up to its end.
    pub(crate) generation: u32,
}

/// Octets that the caches take at once.
pub(super) const CACHE_LINE: usize = 64;
/// Octets that an [`Arc`] has in front of what it holds.
pub(super) const COUNTS: usize = 16;
const _: () = assert!(
    COUNTS + std::mem::offset_of!(Session, state) <= 2 * CACHE_LINE,
    "a packet needs a third line of each session"
);

/// What few sessions have.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    /// The UE's addresses that are not single ones of IPv4: IPv6 prefixes, and networks behind it.
    pub(crate) prefixes: Box<[Prefix]>,
    /// TEIDs whose packets come from elsewhere than the access side, in their order.
    pub(crate) origins: Box<[(u32, Origin)]>,
    /// What its rules do besides.
    pub(crate) besides: Option<Besides>,
}

impl Session {
    /// Where tables have it: no two sessions that are there at the same time have the same slot.
    #[inline]
    pub(crate) const fn slot(&self) -> u32 {
        slot_of(self.seid)
    }

    /// What the FAR of a rule does.
    #[inline]
    pub(crate) fn action(&self, rule: &Pdr) -> &Action {
        self.actions.get(usize::from(rule.action)).unwrap_or(&Action::Nowhere)
    }

    /// The UE's prefixes.
    pub(crate) fn prefixes(&self) -> &[Prefix] {
        self.rare.as_ref().map_or(&[], |rare| &rare.prefixes)
    }

    /// Whether an address is not the UE's, which is known to have others.
    #[inline(never)]
    pub(crate) fn is_foreign(&self, source: IpAddr) -> bool {
        let prefixes = self.prefixes();
        let is_known = !self.ue_addresses.is_empty() || !prefixes.is_empty();
        let is_single = matches!(source, IpAddr::V4(source) if self.ue_addresses.contains(&source));
        is_known && !is_single && !prefixes.iter().any(|prefix| prefix.contains(source))
    }

    /// Whether one of its flows has a guaranteed bit rate.
    #[inline]
    pub(crate) fn is_guaranteed(&self) -> bool {
        self.qers.iter().any(|qer| qer.guaranteed.is_some())
    }

    /// Where packets of one of the session's TEIDs come from.
    #[inline]
    pub(crate) fn origin(&self, teid: u32) -> Origin {
        match &self.rare {
            None => Origin::Access,
            Some(rare) => {
                let at = rare.origins.binary_search_by_key(&teid, |(other, _)| *other);
                at.ok().and_then(|at| rare.origins.get(at)).map_or(Origin::Access, |(_, origin)| *origin)
            }
        }
    }

    /// What few sessions do.
    #[inline]
    pub(crate) fn besides(&self) -> Option<&Besides> {
        self.rare.as_ref()?.besides.as_ref()
    }

    /// What the FAR of a rule does besides.
    pub(crate) fn more(&self, rule: &Pdr) -> Option<&More> {
        self.besides()?.mores.get(usize::from(rule.action))
    }

    /// Flows that were redirected.
    pub(crate) fn redirections(&self) -> Option<&Arc<Redirections>> {
        self.besides()?.redirections.as_ref()
    }

    /// Whether some rule still buffers, of whichever direction: what waits would only be put back.
    pub(crate) fn buffers(&self) -> bool {
        let mut rules = self.rules.uplink.all().iter().chain(self.rules.downlink.all());
        rules.any(|rule| matches!(self.action(rule), Action::Buffer { .. }))
    }

    /// Remote tunnels: by these an error indication finds the session.
    pub(crate) fn tunnels(&self) -> impl Iterator<Item = (IpAddr, u32)> {
        let tunnels = self.actions.iter().filter_map(Action::tunnel);
        tunnels.map(|tunnel| (tunnel.remote.end.address, tunnel.teid))
    }

    /// Asks for what packets need of the session itself.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch(&self.rules);
        prefetch(&self.ue_address);
    }

    /// Asks for the rest of what a packet of this direction needs, when the session itself is near.
    #[inline]
    pub(crate) fn prefetch_rest(&self, uplink: bool) {
        let meters = self.qers.first().and_then(|qer| qer.meters.as_ref());
        let counts = self.usages.first().map(|measured| &measured.usage);
        meters.into_iter().chain(counts).for_each(|account| account.prefetch(uplink));
    }
}

/// The slot of a session with this SEID.
#[inline]
pub(crate) const fn slot_of(seid: u64) -> u32 {
    seid as u32
}
