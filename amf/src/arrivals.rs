//! UEs that come to register while other network functions have enough to do for those before them:
//! who waits for its turn, and who is told to back off (TS 24.501 §5.5.1.2.5: 5GMM cause #22).
//!
//! What a registration costs, it costs while another network function works on it. Only so many are at
//! that point at the same time (`limits.registrations_at_work`); UEs beyond wait here, before anything was
//! done for them, and begin in their order. So the latency of those that have begun does not grow with the
//! number of those that come, while a UE that takes its time to answer holds up nobody.
//!
//! A burst only waits. Where the queue has not been empty for [`OVERLOAD_AFTER`] more come than can be
//! served: until it is short again, further ones are turned away at once, and those that come in have waited
//! for little more than [`WAIT_IN_OVERLOAD`]. Where nobody's turn comes any more, since what is asked does
//! not answer, nothing is known of how much can be served, and all wait.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_types::{Duration, Instant};
use tracing::{debug, warn};

use crate::Amf;
use crate::n2::message::GnbId;
use crate::ngap::initial_ue_message::{self, Origin};

/// How long the queue may be in use before that is overload.
pub const OVERLOAD_AFTER: Duration = Duration::from_secs(1);
/// In overload nobody is added to a queue whose first one has waited so long.
pub const WAIT_IN_OVERLOAD: Duration = Duration::from_millis(20);
/// How long a UE waits at most: a little less than T3510 (15 s, TS 24.501 Table 10.2.1), after which it
/// gives up.
pub const WAITING_WITHIN: Duration = Duration::from_secs(14);

/// Between two lines of the log about UEs that are turned away.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// A UE that waits, at a gNB that knows it by its RAN UE NGAP ID.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Arrival {
    since: Instant,
    origin: Origin,
    nas: Bytes,
}

/// UEs that wait, and how many came.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// The lowest place comes first.
    queue: BTreeMap<u64, Arrival>,
    by_ran_id: BTreeMap<(GnbId, u32), u64>,
    next_place: u64,
    /// Places that have been taken or left since [`Arrivals::take_changed`], where somebody stores them.
    changed: Option<BTreeSet<u64>>,
    /// Since when somebody has been waiting.
    busy_since: Option<Instant>,
    /// When it was somebody's turn.
    last_turn: Option<Instant>,
    /// Since [`Arrivals::take_load`].
    load: Load,
    /// Turned away since the log last told.
    untold: u64,
    told: Option<Instant>,
}

/// UEs that came in some time, and those of them for which there was too much to do.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) came: u64,
    pub(crate) turned_away: u64,
}

impl Arrivals {
    /// UEs that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The gNBs at which they wait, each perhaps several times.
    pub(crate) fn gnbs(&self) -> impl Iterator<Item = GnbId> {
        self.by_ran_id.keys().map(|&(gnb, _)| gnb)
    }

    /// When the first one has waited for too long.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|(_, first)| first.since + WAITING_WITHIN)
    }

    /// How many came since the last call.
    pub(crate) fn take_load(&mut self) -> Load {
        std::mem::take(&mut self.load)
    }

    /// Whether UEs have been turned away since then, for there was too much to do.
    pub(crate) fn turns_away(&self) -> bool {
        self.load.turned_away > 0
    }

    /// Whether more have come for some time than can be served.
    fn is_overload(&self, now: Instant) -> bool {
        let waited = |first: &Arrival| now >= first.since + WAIT_IN_OVERLOAD;
        self.busy_since.is_some_and(|since| now >= since + OVERLOAD_AFTER)
            && self.last_turn.is_some_and(|last| now < last + OVERLOAD_AFTER)
            && self.queue.first_key_value().is_some_and(|(_, first)| waited(first))
    }

    fn push(&mut self, now: Instant, origin: Origin, nas: Bytes) {
        self.restore(self.next_place, Arrival { since: now, origin, nas });
    }

    /// Takes in who waits at a place, of this process or of the one before.
    pub(crate) fn restore(&mut self, place: u64, arrival: Arrival) {
        self.next_place = self.next_place.max(place + 1);
        self.note(place);
        self.by_ran_id.insert((arrival.origin.gnb, arrival.origin.ran_ue_ngap_id), place);
        self.busy_since.get_or_insert(arrival.since);
        self.queue.insert(place, arrival);
    }

    /// From now on [`Arrivals::take_changed`] tells what is to be stored.
    pub(crate) fn keep(&mut self) {
        self.changed = Some(BTreeSet::new());
    }

    /// Places of which what is stored is to be stored anew.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<u64> {
        self.changed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn note(&mut self, place: u64) {
        if let Some(changed) = &mut self.changed {
            changed.insert(place);
        }
    }

    /// Who waits at a place.
    pub(crate) fn at(&self, place: u64) -> Option<&Arrival> {
        self.queue.get(&place)
    }

    fn pop(&mut self) -> Option<Arrival> {
        let (place, arrival) = self.queue.pop_first()?;
        self.note(place);
        self.by_ran_id.remove(&(arrival.origin.gnb, arrival.origin.ran_ue_ngap_id));
        self.rest();
        Some(arrival)
    }

    /// Nobody waits any more: that is no overload.
    fn rest(&mut self) {
        if self.queue.is_empty() {
            self.busy_since = None;
        }
    }

    /// The gNB has nothing of a UE any more, or uses its identity for another one.
    pub(crate) fn forget(&mut self, gnb: GnbId, ran_ue_ngap_id: u32) {
        if let Some(place) = self.by_ran_id.remove(&(gnb, ran_ue_ngap_id)) {
            self.queue.remove(&place);
            self.note(place);
            self.rest();
        }
    }

    /// The same of all its UEs.
    pub(crate) fn forget_all(&mut self, gnb: GnbId) {
        let of_gnb = self.by_ran_id.range((gnb, 0)..=(gnb, u32::MAX));
        for ran_id in of_gnb.map(|(&(_, ran_id), _)| ran_id).collect::<Vec<_>>() {
            self.forget(gnb, ran_id);
        }
    }
}

/// A UE that is not known, or does not prove that it is, has come: it begins, waits or is turned away.
pub(crate) fn come(amf: &mut Amf, origin: Origin, nas: Bytes) {
    amf.arrivals.load.came += 1;
    if initial_ue_message::too_many_register(amf, origin.priority)
        || !origin.priority && amf.arrivals.is_overload(amf.now)
    {
        amf.arrivals.load.turned_away += 1;
        return turn_away(amf, &origin, &nas);
    }
    if initial_ue_message::has_no_room(amf, origin.priority) {
        return turn_away(amf, &origin, &nas);
    }
    if origin.priority || amf.arrivals.queue.is_empty() && has_turn(amf) {
        return initial_ue_message::begin(amf, origin, &nas);
    }
    amf.count("amf.gmm.registration_queued");
    amf.arrivals.push(amf.now, origin, nas);
}

/// Begins what has its turn, and turns away what has waited for too long.
pub(crate) fn proceed(amf: &mut Amf) {
    while amf.arrivals.deadline().is_some_and(|deadline| deadline <= amf.now) {
        let Some(Arrival { origin, nas, .. }) = amf.arrivals.pop() else { break };
        turn_away(amf, &origin, &nas);
    }
    while has_turn(amf)
        && let Some(Arrival { origin, nas, .. }) = amf.arrivals.pop()
    {
        amf.arrivals.last_turn = Some(amf.now);
        initial_ue_message::begin(amf, origin, &nas);
    }
}

/// Whether other network functions have room for one more.
fn has_turn(amf: &Amf) -> bool {
    amf.at_work.len() < amf.config.limits.registrations_at_work
}

fn turn_away(amf: &mut Amf, origin: &Origin, nas: &Bytes) {
    debug!(gnb = ?origin.gnb, ran_id = origin.ran_ue_ngap_id, "congestion: UE turned away");
    initial_ue_message::turn_away(amf, origin, nas);
    let (now, at_work, waiting) = (amf.now, amf.at_work.len(), amf.arrivals.waiting());
    let registering = amf.registering.len();
    let arrivals = &mut amf.arrivals;
    arrivals.untold += 1;
    if arrivals.told.is_none_or(|told| now >= told + TOLD_EVERY) {
        let ues = std::mem::take(&mut arrivals.untold);
        warn!(ues, registering, at_work, waiting, "congestion: UEs turned away");
        arrivals.told = Some(now);
    }
}
