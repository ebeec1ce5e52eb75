//! A PDU session as the AMF sees it: where its SMF context is, and what is on its way there.
//!
//! One request a session is outstanding; the others wait their turn, so that the SMF sees them
//! in the order of the UE and the gNB.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_sbi::Location;
use tern_sbi::nsmf_pdusession::{PostSmContexts, ReleaseSmContext, UpdateSmContext};
use tern_types::{Dnn, Instant, PduSessionId, Snssai};
use tracing::{debug, info, warn};

use crate::Amf;
use crate::admission::{self, ACCEPT_WITHIN, ACCESS_WITHIN};
use crate::gmm::nas_transport::{self, NotForwarded};
use crate::gmm::{activation, configuration_update};
use crate::io::{Awaited, ReplyResult, Token};
use crate::ngap::handover::{self, HoUpdate};
use crate::ngap::{modify_indication, pdu_session_resource};
use crate::sbi::smf::{self, Created};
use crate::ue::{HeldMessage, N2SmKind, UeContext};

/// A PDU session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// Its identity.
    pub id: PduSessionId,
    /// Its slice.
    pub snssai: Snssai,
    /// Its data network.
    pub dnn: Dnn,
    /// The SM context's URI; `None` until it is created.
    pub context: Option<Location>,
    /// Whether the gNB has resources for it.
    pub resources: bool,
    /// Whether its SMF waits for a gNB's answer about them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    setting_up: bool,
    /// Until when its establishment counts as in progress, once the SMF has created the context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counted_until: Option<Instant>,
    step: Step,
    queue: VecDeque<Work>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Step {
    Idle,
    Creating(Awaited<PostSmContexts>, Bytes),
    Updating(Awaited<UpdateSmContext>, Work),
    Releasing(Awaited<ReleaseSmContext>, Option<Box<NewSession>>),
}

/// A session to be created.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NewSession {
    pub id: PduSessionId,
    pub snssai: Snssai,
    pub dnn: Dnn,
    /// "existing PDU session" rather than "initial request".
    pub existing: bool,
    /// 5GSM message.
    pub n1: Bytes,
}

/// Something to tell the SMF.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Work {
    /// 5GSM message of the UE.
    N1(Bytes),
    /// N2 SM information of the gNB.
    N2(N2FromGnb, Bytes),
    /// What becomes of a handover by N2, of this number.
    Handover(u64, HoUpdate),
    /// What the gNB has changed, in an indication of this number.
    Indicated(u64, Bytes),
    /// The user plane connection is to be deactivated.
    Deactivate,
    /// The user plane connection is to be activated.
    Activate,
    /// The session is to be released; the other one takes its place.
    Release(Option<Box<NewSession>>),
}

impl Work {
    /// Whether UE or gNB, or both, take the session for one that is there.
    fn is_of_a_session_in_use(&self) -> bool {
        match self {
            Self::N1(_) | Self::Handover(..) | Self::Indicated(..) => true,
            Self::N2(kind, _) => *kind != N2FromGnb::ReleaseResponse,
            Self::Deactivate | Self::Activate | Self::Release(_) => false,
        }
    }

    /// Whether it is the gNB's answer to an establishment.
    fn ends_establishment(&self) -> bool {
        matches!(self, Self::N2(N2FromGnb::SetupResponse | N2FromGnb::SetupUnsuccessful, _))
    }
}

/// N2 SM information from a gNB: TS 29.502 N2SmInfoType.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum N2FromGnb {
    SetupResponse,
    SetupUnsuccessful,
    ReleaseResponse,
    ModifyResponse,
    ModifyUnsuccessful,
    Notify,
    NotifyReleased,
    PathSwitchRequest,
    PathSwitchSetupFailed,
}

impl Session {
    /// Whether its context is at one of these.
    pub(crate) fn is_at(&self, api_roots: &[String]) -> bool {
        self.context.as_ref().is_some_and(|context| api_roots.contains(&context.api_root))
    }

    /// Whether it is being released.
    pub(crate) fn is_leaving(&self) -> bool {
        matches!(self.step, Step::Releasing(_, None))
            || self.queue.iter().any(|work| matches!(work, Work::Release(None)))
    }

    /// Whether its establishment is in progress, as [`admission`] counts.
    pub(crate) fn is_establishing(&self) -> bool {
        match self.step {
            Step::Creating(..) => true,
            Step::Idle | Step::Updating(..) => self.counted_until.is_some(),
            Step::Releasing(..) => false,
        }
    }

    /// When its establishment counts no longer, whatever has become of it.
    pub(crate) fn counted_until(&self) -> Option<Instant> {
        self.counted_until
    }

    /// Its establishment is over, or takes too long, or nobody is there for it.
    pub(crate) fn count_no_longer(&mut self) {
        self.counted_until = None;
    }

    /// Whether a gNB has been asked for its resources and has not answered.
    pub(crate) fn is_setting_up(&self) -> bool {
        self.setting_up
    }

    /// Whether its SMF has yet to answer what the gNB has changed, in the indication of this number.
    pub(crate) fn has_indicated(&self, number: u64) -> bool {
        let of = |work: &Work| matches!(work, Work::Indicated(own, _) if *own == number);
        matches!(&self.step, Step::Updating(_, work) if of(work)) || self.queue.iter().any(of)
    }

    /// Whether the SMF has something left to answer.
    pub(crate) fn is_busy(&self) -> bool {
        !matches!(self.step, Step::Idle) || !self.queue.is_empty()
    }
}

/// Releases the sessions of slices that the UE may not use any more.
pub(crate) fn release_slices(ue: &mut UeContext, amf: &mut Amf) {
    let gone = ue.sessions.values().filter(|s| !ue.allowed.contains(&s.snssai) && !s.is_leaving());
    for id in gone.map(|session| session.id).collect::<Vec<_>>() {
        info!(ue = ue.name(), session = %id, "session of a slice that is no longer allowed is released");
        amf.count("amf.session.slice_not_allowed");
        if ue.sessions.get_mut(&id).is_some_and(|session| std::mem::take(&mut session.resources)) {
            pdu_session_resource::release(ue, amf, id);
        }
        push(ue, amf, id, Work::Release(None));
    }
}

/// The session whose step awaits this reply.
pub(crate) fn awaiting(ue: &UeContext, token: Token) -> Option<PduSessionId> {
    let awaits = |session: &&Session| match &session.step {
        Step::Idle => false,
        Step::Creating(awaited, _) => awaited.is(token),
        Step::Updating(awaited, _) => awaited.is(token),
        Step::Releasing(awaited, _) => awaited.is(token),
    };
    ue.sessions.values().find(awaits).map(|session| session.id)
}

/// Asks an SMF for a session; one with the same identity goes first.
pub(crate) fn create(ue: &mut UeContext, amf: &mut Amf, new: NewSession) {
    if admission::repeat(ue, amf, &new) {
        return;
    }
    let Some(session) = ue.sessions.get_mut(&new.id) else { return admission::request(ue, amf, new) };
    if matches!(&session.step, Step::Creating(_, n1) if *n1 == new.n1) {
        // The UE asks again while the SMF is at work (T3580).
        amf.count("amf.session.create_repeated");
        return;
    }
    info!(session = %new.id, "session is replaced");
    session.queue.clear();
    if std::mem::take(&mut session.resources) {
        let id = session.id;
        pdu_session_resource::release(ue, amf, id);
    }
    push(ue, amf, new.id, Work::Release(Some(Box::new(new))));
}

/// Asks an SMF for a session whose turn it is.
pub(crate) fn start(ue: &mut UeContext, amf: &mut Amf, new: NewSession) {
    match smf::create(ue, amf, &new) {
        Some(awaited) => {
            let session = Session {
                id: new.id,
                snssai: new.snssai,
                dnn: new.dnn,
                context: None,
                resources: false,
                setting_up: false,
                counted_until: None,
                step: Step::Creating(awaited, new.n1),
                queue: VecDeque::new(),
            };
            ue.sessions.insert(new.id, session);
        }
        None => nas_transport::not_forwarded(ue, amf, new.id, &new.n1, NotForwarded::Unspecified),
    }
}

/// Has something told to the session's SMF, after what waits already. Says whether it will be.
pub(crate) fn push(ue: &mut UeContext, amf: &mut Amf, id: PduSessionId, work: Work) -> bool {
    let Some(session) = ue.sessions.get_mut(&id) else { return false };
    if session.queue.len() >= amf.config.limits.pending_per_ue {
        amf.count("amf.session.queue_full");
        if work.ends_establishment() {
            session.count_no_longer();
        }
        return false;
    }
    session.queue.push_back(work);
    pump(ue, amf, id);
    true
}

/// Sends what comes next, if nothing is outstanding.
fn pump(ue: &mut UeContext, amf: &mut Amf, id: PduSessionId) {
    let Some(session) = ue.sessions.get_mut(&id) else { return };
    if !matches!(session.step, Step::Idle) {
        return;
    }
    let Some(work) = session.queue.pop_front() else { return };
    let Some(context) = session.context.clone() else {
        ue.sessions.remove(&id);
        return;
    };
    let step = match work {
        Work::Release(successor) => {
            let released = smf::release(ue, amf, &context, successor.is_none());
            released.map(|awaited| Step::Releasing(awaited, successor))
        }
        work => smf::update(ue, amf, &context, &work).map(|awaited| Step::Updating(awaited, work)),
    };
    match (step, ue.sessions.get_mut(&id)) {
        (Some(step), Some(session)) => session.step = step,
        _ => {
            ue.sessions.remove(&id);
        }
    }
}

/// The SMF's reply to what is outstanding.
pub(crate) fn on_reply(ue: &mut UeContext, amf: &mut Amf, id: PduSessionId, reply: ReplyResult) {
    let Some(session) = ue.sessions.get_mut(&id) else { return };
    match std::mem::replace(&mut session.step, Step::Idle) {
        Step::Idle => {}
        Step::Creating(awaited, n1) => on_created(ue, amf, id, smf::created(awaited.read(reply)), &n1),
        Step::Updating(awaited, work) => {
            if work.ends_establishment() {
                session.count_no_longer();
            }
            on_updated(ue, amf, id, smf::updated(awaited.read(reply)), work);
        }
        Step::Releasing(awaited, successor) => {
            if let Err(error) = awaited.read(reply) {
                // What the SMF does not know is released as well.
                debug!(ue = ue.name(), session = %id, %error, "release of the SM context");
            }
            ue.sessions.remove(&id);
            if let Some(new) = successor {
                admission::request(ue, amf, *new);
            }
        }
    }
    pump(ue, amf, id);
}

fn on_created(
    ue: &mut UeContext,
    amf: &mut Amf,
    id: PduSessionId,
    created: Result<Created, smf::SmfRefusal>,
    n1: &Bytes,
) {
    match created {
        Ok(created) => {
            amf.count("amf.session.created");
            if let Some(session) = ue.sessions.get_mut(&id) {
                session.context = Some(created.context);
                session.counted_until = ue.n2.is_some().then_some(amf.now + ACCEPT_WITHIN);
            }
        }
        Err(refusal) => {
            warn!(ue = ue.name(), session = %id, why = refusal.why, "PDU session refused by the SMF");
            amf.count("amf.session.refused");
            // A successor may wait behind the session that came to nothing.
            let queue = ue.sessions.remove(&id).map(|session| session.queue).unwrap_or_default();
            match refusal.n1 {
                Some(reject) => nas_transport::send_sm(ue, amf, id, &reject),
                None => nas_transport::not_forwarded(ue, amf, id, n1, refusal.not_forwarded),
            }
            if let Some(Work::Release(Some(new))) = queue.into_iter().next_back() {
                admission::request(ue, amf, *new);
            }
        }
    }
}

fn on_updated(
    ue: &mut UeContext,
    amf: &mut Amf,
    id: PduSessionId,
    updated: Result<smf::Updated, smf::SmfRefusal>,
    work: Work,
) {
    handover::answered(ue, id, &work, &updated);
    if let Work::Indicated(number, _) = &work {
        let answer = match &updated {
            Ok(updated) => updated.confirm.clone().ok_or(None),
            Err(refusal) => Err(refusal.n2.clone()),
        };
        modify_indication::answered(ue, amf, id, *number, answer);
    }
    match updated {
        Ok(_) if matches!(work, Work::Handover(..)) => {}
        Ok(updated) => {
            let n2 = updated.n2;
            if n2.is_none() && updated.n1.is_none() {
                return;
            }
            if matches!(work, Work::Activate) && activation::activated(ue, id, &n2) {
                return;
            }
            downlink(ue, amf, HeldMessage { session: id, n1: updated.n1, n2 });
        }
        Err(refusal) => {
            warn!(ue = ue.name(), session = %id, why = refusal.why, "update refused by the SMF");
            amf.count("amf.session.update_refused");
            if refusal.gone {
                drop_session(ue, amf, id);
                if work.is_of_a_session_in_use() {
                    configuration_update::start(ue, amf);
                }
            }
            match (refusal.n1, work) {
                (Some(reject), _) => nas_transport::send_sm(ue, amf, id, &reject),
                (None, Work::N1(n1)) => {
                    nas_transport::not_forwarded(ue, amf, id, &n1, refusal.not_forwarded);
                }
                _ => {}
            }
        }
    }
}

/// Sends session messages to the UE and the gNB. What needs the gNB's UE context is held until
/// Initial Context Setup is done, and until a handover is. Says whether the message was sent or held.
pub(crate) fn downlink(ue: &mut UeContext, amf: &mut Amf, message: HeldMessage) -> bool {
    use crate::ue::ContextSetup;
    let limit = amf.config.limits.pending_per_ue;
    // Without a 5GSM message the release is of a session that another one replaces: the answer to
    // that one's creation may have come first.
    let replaced = message.n1.is_none();
    let nothing = |s: &Session| !s.resources && (replaced || matches!(s.step, Step::Creating(..)));
    if matches!(message.n2, Some((N2SmKind::ReleaseCommand, _)))
        && ue.sessions.get(&message.session).is_some_and(nothing)
    {
        // The SMF releases one of before that this AMF has forgotten: the gNB has nothing of it.
        amf.count("amf.session.release_of_nothing");
        return true;
    }
    let between_gnbs = handover::is_between_gnbs(ue);
    let Some(n2) = &mut ue.n2 else {
        amf.count("amf.session.downlink_lost");
        return false;
    };
    if matches!(message.n2, Some((N2SmKind::SetupRequest, _)))
        && let Some(session) = ue.sessions.get_mut(&message.session)
    {
        session.setting_up = true;
    }
    if message.n2.is_some() && (n2.context != ContextSetup::Done || between_gnbs) {
        if n2.held.len() >= limit {
            amf.count("amf.session.held_full");
            return false;
        }
        n2.held.push(message);
        return true;
    }
    match message.n2 {
        None => {
            if let Some(n1) = &message.n1 {
                nas_transport::send_sm(ue, amf, message.session, n1);
            }
        }
        Some((kind, data)) => {
            let until = amf.now + ACCESS_WITHIN;
            if kind == N2SmKind::SetupRequest
                && let Some(session) = ue.sessions.get_mut(&message.session)
            {
                session.counted_until = session.counted_until.map(|before| before.min(until));
            }
            pdu_session_resource::send(ue, amf, message.session, kind, &data, message.n1.as_ref());
        }
    }
    true
}

/// Initial Context Setup is done, or a handover over: what was held goes out.
pub(crate) fn release_held(ue: &mut UeContext, amf: &mut Amf) {
    let held = ue.n2.as_mut().map(|n2| std::mem::take(&mut n2.held)).unwrap_or_default();
    for message in held {
        downlink(ue, amf, message);
    }
}

/// The SMF has released the session, or does not know it any more.
pub(crate) fn drop_session(ue: &mut UeContext, amf: &mut Amf, id: PduSessionId) {
    let Some(session) = ue.sessions.remove(&id) else { return };
    info!(ue = ue.name(), session = %id, dnn = %session.dnn, "PDU session released");
    amf.count("amf.session.released");
    if session.resources {
        pdu_session_resource::release(ue, amf, id);
    }
    if let Some(Work::Release(Some(new))) = session.queue.into_iter().next_back() {
        admission::request(ue, amf, *new);
    }
}

/// An SMF has lost its contexts: the sessions are gone, and the UE is told (TS 23.527 §6.2). What the SMF
/// has of them after all, if it has come again meanwhile, it lets go.
pub(crate) fn release_lost(ue: &mut UeContext, amf: &mut Amf, api_roots: &[String]) {
    let lost = |s: &&Session| s.is_at(api_roots) && !s.is_leaving();
    let lost: Vec<PduSessionId> = ue.sessions.values().filter(lost).map(|session| session.id).collect();
    if lost.is_empty() {
        return;
    }
    for id in lost {
        amf.count("amf.session.lost");
        if ue.sessions.get_mut(&id).is_some_and(|session| std::mem::take(&mut session.resources)) {
            pdu_session_resource::release(ue, amf, id);
        }
        if !push(ue, amf, id, Work::Release(None)) {
            drop_session(ue, amf, id);
        }
    }
    configuration_update::start(ue, amf);
}

/// The UE's connection is gone: it waits for no session, and what was being established has nobody
/// to go on with.
pub(crate) fn disconnected(ue: &mut UeContext, amf: &mut Amf) {
    admission::leave(ue, amf);
    ue.sessions.values_mut().for_each(Session::count_no_longer);
}

/// The UE has entered CM-IDLE: the SMFs stop sending to the gNB (TS 23.502 §4.2.6).
pub(crate) fn suspend_all(ue: &mut UeContext, amf: &mut Amf) {
    let up = ue.sessions.values().filter(|session| session.resources || session.setting_up);
    let up: Vec<PduSessionId> = up.map(|session| session.id).collect();
    for id in up {
        set_resources(ue, id, false);
        push(ue, amf, id, Work::Deactivate);
    }
}

/// The sessions that stay.
pub(crate) fn active(ue: &UeContext) -> Vec<u8> {
    ue.sessions.values().filter(|session| !session.is_leaving()).map(|session| session.id.get()).collect()
}

/// The UE has told which sessions it has: the others are released at their SMFs, without a word
/// to the UE (TS 24.501 §5.5.1.3.4, §5.6.1.4.1).
pub(crate) fn release_inactive(ue: &mut UeContext, amf: &mut Amf, active: impl Fn(PduSessionId) -> bool) {
    let gone: Vec<PduSessionId> = ue.sessions.keys().copied().filter(|&id| !active(id)).collect();
    for id in gone {
        push(ue, amf, id, Work::Release(None));
    }
}

/// The UE has left: every session is released at its SMF, whatever it answers.
pub(crate) fn release_all(ue: &mut UeContext, amf: &mut Amf) {
    admission::leave(ue, amf);
    for (id, session) in std::mem::take(&mut ue.sessions) {
        if session.resources {
            pdu_session_resource::release(ue, amf, id);
        }
        match session.context {
            Some(context) => {
                let _ = smf::release(ue, amf, &context, true);
            }
            // Its creation is on its way: the SMF learns from the next session, or from the UDM.
            None => amf.count("amf.session.orphaned"),
        }
    }
}

/// The gNB's word on resources: they are there, or not.
pub(crate) fn set_resources(ue: &mut UeContext, id: PduSessionId, resources: bool) {
    if let Some(session) = ue.sessions.get_mut(&id) {
        (session.resources, session.setting_up) = (resources, false);
    }
}

/// Its SMF waits for a gNB's answer: if the connection goes before it comes, the SMF is told.
pub(crate) fn setting_up(ue: &mut UeContext, id: PduSessionId) {
    if let Some(session) = ue.sessions.get_mut(&id) {
        session.setting_up = true;
    }
}

/// Sends a message that the UE was paged for. Of resources that the gNB does not have it hears nothing.
pub(crate) fn downlink_after_paging(ue: &mut UeContext, amf: &mut Amf, mut message: HeldMessage) {
    let Some(session) = ue.sessions.get(&message.session) else { return };
    let held = matches!(message.n2, Some((N2SmKind::ReleaseCommand | N2SmKind::ModifyRequest, _)));
    if held && !session.resources && !session.setting_up {
        message.n2 = None;
    }
    downlink(ue, amf, message);
}
