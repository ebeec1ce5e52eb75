//! Admission of PDU session establishments: how many are in progress at the same time, who waits
//! for a turn, and who is told to back off (TS 24.501 §5.4.5.3.1: 5GMM cause #22).
//!
//! An establishment is in progress from CreateSMContext until the SMF has answered the update that
//! carries the gNB's result. It ends earlier where nothing of it is left: the SMF refuses it or does
//! not answer, the session is released or replaced, the UE deregisters, or its connection goes; in the
//! last case a CreateSMContext without reply counts on, because the SMF is at work on it. While the
//! gNB is at work it counts for [`ACCESS_WITHIN`] at most, and without anything to send to the gNB
//! for [`ACCEPT_WITHIN`]: UEs out of coverage cannot hold others up for long.
//!
//! All of this follows from the UE contexts. [`Admission`] is an index over them, made anew for a
//! context each time it is put back, so no way out of an establishment can be forgotten.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tern_types::{Duration, Instant, PduSessionId};
use tracing::{debug, warn};

use crate::Amf;
use crate::config::Limits;
use crate::gmm::nas_transport::{self, NotForwarded};
use crate::session::{self, NewSession, Session};
use crate::ue::{UeContext, UeId};

/// How long a request waits: a little less than T3580 (16 s, TS 24.501 Table 10.3.1), so that the UE
/// hears of congestion before it repeats the request.
pub const WAITING_WITHIN: Duration = Duration::from_secs(15);
/// From the SM context's creation to its N2 SM information: T3580, after which the UE asks again.
pub const ACCEPT_WITHIN: Duration = Duration::from_secs(16);
/// How long an establishment counts while the gNB sets up its resources.
pub const ACCESS_WITHIN: Duration = Duration::from_secs(1);

/// Between two lines of the log about congestion.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// A session request that waits for its turn.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Waiting {
    new: NewSession,
    /// Its place in the queue; the lowest comes first.
    place: u64,
    /// When the UE is told to back off.
    until: Instant,
}

/// What one UE has of it.
#[derive(Debug)]
struct Share {
    establishing: usize,
    places: Vec<u64>,
}

/// Establishments in progress, and requests that wait, of all UEs.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    shares: BTreeMap<UeId, Share>,
    establishing: usize,
    queue: BTreeMap<u64, (UeId, PduSessionId)>,
    next_place: u64,
    /// Requests turned away since the log last told.
    turned_away: u64,
    told: Option<Instant>,
}

impl Admission {
    /// Takes in what a context holds now.
    pub(crate) fn settle(&mut self, ue: &UeContext) {
        self.forget(ue.id);
        let establishing = establishing(ue);
        if establishing == 0 && ue.waiting.is_empty() {
            return;
        }
        let places: Vec<u64> = ue.waiting.values().map(|waiting| waiting.place).collect();
        // Places of before this process are taken.
        self.next_place =
            places.iter().map(|place| place + 1).chain([self.next_place]).max().unwrap_or_default();
        self.establishing += establishing;
        self.queue.extend(ue.waiting.iter().map(|(&id, waiting)| (waiting.place, (ue.id, id))));
        self.shares.insert(ue.id, Share { establishing, places });
    }

    /// A context is gone.
    pub(crate) fn forget(&mut self, ue: UeId) {
        let Some(share) = self.shares.remove(&ue) else { return };
        self.establishing -= share.establishing;
        for place in share.places {
            self.queue.remove(&place);
        }
    }

    /// Takes whose turn it is out of the queue, if there is room.
    pub(crate) fn next(&mut self, limits: &Limits) -> Option<(UeId, PduSessionId)> {
        let room = self.establishing < limits.sessions_establishing;
        let (_, next) = room.then(|| self.queue.pop_first()).flatten()?;
        Some(next)
    }

    /// Establishments in progress.
    pub(crate) fn establishing(&self) -> usize {
        self.establishing
    }

    /// Requests that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Both, with what a context that is being worked on holds now.
    fn load(&self, ue: &UeContext) -> (usize, usize) {
        let share = self.shares.get(&ue.id);
        let (before, places) = share.map_or((0, 0), |share| (share.establishing, share.places.len()));
        let waiting = (self.queue.len() + ue.waiting.len()).saturating_sub(places);
        (self.establishing - before + establishing(ue), waiting)
    }

    fn take_place(&mut self) -> u64 {
        let place = self.next_place;
        self.next_place += 1;
        place
    }
}

fn establishing(ue: &UeContext) -> usize {
    ue.sessions.values().filter(|session| session.is_establishing()).count()
}

/// Begins an establishment, or lets it wait, or tells the UE to back off.
pub(crate) fn request(ue: &mut UeContext, amf: &mut Amf, new: NewSession) {
    let Some(n2) = &ue.n2 else {
        // Who asked has gone meanwhile.
        return amf.count("amf.session.request_dropped");
    };
    let (establishing, waiting) = amf.admission.load(ue);
    let limits = &amf.config.limits;
    let room = if n2.priority {
        // As much again is kept for those with priority; beyond it they wait as everybody does.
        establishing < limits.sessions_establishing.saturating_mul(2)
    } else {
        establishing < limits.sessions_establishing && waiting == 0
    };
    if room {
        return session::start(ue, amf, new);
    }
    if waiting >= limits.sessions_waiting {
        return turn_away(ue, amf, &new);
    }
    debug!(ue = ue.name(), session = %new.id, waiting, "PDU session request waits");
    amf.count("amf.session.queued");
    let place = amf.admission.take_place();
    ue.waiting.insert(new.id, Waiting { place, until: amf.now + WAITING_WITHIN, new });
}

/// The UE asks again for what waits: the request keeps its place. Says whether it was so.
pub(crate) fn repeat(ue: &mut UeContext, amf: &mut Amf, new: &NewSession) -> bool {
    let Some(waiting) = ue.waiting.get_mut(&new.id) else { return false };
    if waiting.new.n1 == new.n1 {
        amf.count("amf.session.create_repeated");
    } else {
        // Another request of the same identity: the first one is over for the UE.
        amf.count("amf.session.queue_replaced");
        waiting.new = new.clone();
        waiting.until = amf.now + WAITING_WITHIN;
    }
    true
}

/// Its turn has come.
pub(crate) fn admit(ue: &mut UeContext, amf: &mut Amf, id: PduSessionId) {
    if let Some(waiting) = ue.waiting.remove(&id) {
        session::start(ue, amf, waiting.new);
    }
}

/// The UE leaves, or its connection has gone: it waits for nothing any more.
pub(crate) fn leave(ue: &mut UeContext, amf: &mut Amf) {
    for _ in std::mem::take(&mut ue.waiting) {
        amf.count("amf.session.request_dropped");
    }
}

/// When it has to look at the time.
pub(crate) fn deadline(ue: &UeContext) -> Option<Instant> {
    let waiting = ue.waiting.values().map(|waiting| waiting.until);
    let counted = ue.sessions.values().filter_map(Session::counted_until);
    waiting.chain(counted).min()
}

/// Time has passed: who has waited too long is told so, and what takes too long counts no longer.
pub(crate) fn expire(ue: &mut UeContext, amf: &mut Amf) {
    let now = amf.now;
    for session in ue.sessions.values_mut() {
        if session.counted_until().is_some_and(|until| until <= now) {
            session.count_no_longer();
            amf.count("amf.session.establishment_overdue");
        }
    }
    let late = |(_, waiting): &(&PduSessionId, &Waiting)| waiting.until <= now;
    let late: Vec<PduSessionId> = ue.waiting.iter().filter(late).map(|(&id, _)| id).collect();
    for id in late {
        if let Some(waiting) = ue.waiting.remove(&id) {
            amf.count("amf.session.queue_expired");
            turn_away(ue, amf, &waiting.new);
        }
    }
}

/// 5GMM cause #22 with a back-off timer; one line in a while for all who are told so.
fn turn_away(ue: &mut UeContext, amf: &mut Amf, new: &NewSession) {
    debug!(ue = ue.name(), session = %new.id, "congestion: PDU session request turned away");
    amf.count("amf.session.congestion");
    nas_transport::give_back(ue, amf, new.id, &new.n1, NotForwarded::Congestion);
    let now = amf.now;
    let admission = &mut amf.admission;
    admission.turned_away += 1;
    if admission.told.is_none_or(|told| now >= told + TOLD_EVERY) {
        let (establishing, waiting) = (admission.establishing, admission.queue.len());
        let requests = std::mem::take(&mut admission.turned_away);
        warn!(establishing, waiting, requests, "congestion: PDU session requests turned away");
        admission.told = Some(now);
    }
}
