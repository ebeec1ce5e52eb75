//! Sessions that a UPF has lost in a restart are set up at it again, with the addresses and tunnels
//! that they had (TS 23.527 §4.3.2): UEs and access networks go on without a word.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use tern_pfcp::{Cause as PfcpCause, Message};
use tern_types::{Duration, Instant};

use crate::context::{Next, PduSession, SmContextRef, State};
use crate::core::Core;
use crate::dispatch::without_user_plane;
use crate::io::Token;
use crate::{n4, router};

/// Until a UPF that did not answer is asked once more.
const RETRY: Duration = Duration::from_secs(1);

/// The UPF has lost the session: what waits for it waits until it is restored.
pub fn lost(core: &mut Core<'_>, session: &mut PduSession, state: State) -> Next {
    if let Some(user_plane) = &mut session.user_plane {
        (user_plane.up_seid, user_plane.restoring) = (None, None);
    }
    Next::State(match state {
        State::Inactive(establishment) => return establishment.on_lost(),
        State::Active(mut connection) => {
            connection.on_lost(core);
            State::Active(connection)
        }
        State::ModificationPending(modification, mut connection) => {
            connection.on_lost(core);
            State::ModificationPending(modification, connection)
        }
        State::InactivePending(release) => return release.on_user_plane_lost(core, session),
    })
}

/// Whether the session, in this state, is to be set up at its UPF again.
pub fn is_wanted(session: &PduSession, state: &State) -> bool {
    let lost = session.user_plane.as_ref().is_some_and(|u| u.is_lost() && u.restoring.is_none());
    match state {
        State::Inactive(establishment) => lost || establishment.is_to_be_installed(),
        State::Active(_) | State::ModificationPending(..) => lost,
        State::InactivePending(_) => false,
    }
}

/// Asks the UPF to have the session again; `None` if there is nothing to ask.
pub fn start(core: &mut Core<'_>, session: &mut PduSession, state: &mut State) -> Option<Token> {
    if !is_wanted(session, state) {
        return None;
    }
    if let State::Inactive(establishment) = state
        && let Some(token) = establishment.install_again(core, session)
    {
        return Some(token);
    }
    let node = core.config.n4.address;
    let mut request = n4::restoration(session, session.granted.as_ref()?, node, &core.config.timers)?;
    router::add_rules(&mut request, session, core.config);
    let user_plane = session.user_plane.as_mut()?;
    let token = core.out.n4(session.reference, user_plane.upf, 0, request);
    user_plane.restoring = Some(token);
    Some(token)
}

/// The UPF's answer to the request that restores the session.
pub fn on_answer(
    core: &mut Core<'_>,
    session: &mut PduSession,
    state: State,
    answer: Option<Message>,
) -> Next {
    let Some(user_plane) = &mut session.user_plane else { return Next::State(state) };
    user_plane.restoring = None;
    // Without an answer, or without an association, it is asked once more.
    let Some(Message::SessionEstablishmentResponse(response)) = answer else { return Next::State(state) };
    if response.cause == PfcpCause::NO_ESTABLISHED_PFCP_ASSOCIATION {
        return Next::State(state);
    }
    if response.cause.is_accepted() {
        user_plane.up_seid = response.up_f_seid.map(|f_seid| f_seid.seid);
    }
    // What it does not name is as it was asked for.
    let moved = n4::allocated(&response).is_some_and(|tunnel| Some(tunnel) != user_plane.uplink)
        || n4::allocated_for_router(&response).is_some_and(|tunnel| Some(tunnel) != session.router.tunnel);
    if user_plane.up_seid.is_none() || moved {
        tracing::warn!(
            supi = %session.supi, session = %session.id, cause = %response.cause, moved,
            "session not restored"
        );
        core.out.count("smf.restoration.refused");
        return without_user_plane(core, session, state);
    }
    core.out.count("smf.restoration.completed");
    Next::State(match state {
        State::Inactive(establishment) => return establishment.on_restored(core, session),
        State::Active(mut connection) => {
            connection.on_restored(core, session);
            State::Active(connection)
        }
        State::ModificationPending(mut modification, mut connection) => {
            connection.on_restored(core, session);
            modification.on_restored(core, session);
            State::ModificationPending(modification, connection)
        }
        state @ State::InactivePending(_) => state,
    })
}

/// Which sessions wait for their UPFs.
#[derive(Debug, Default)]
pub struct Restorations {
    upfs: BTreeMap<SocketAddr, Absence>,
    under_way: BTreeMap<Token, SocketAddr>,
}

/// A UPF that is gone, or has come again without its sessions.
#[derive(Debug)]
struct Absence {
    since: Instant,
    give_up_at: Instant,
    waiting: VecDeque<SmContextRef>,
    /// When those that wait are tried again.
    retry_at: Option<Instant>,
    under_way: usize,
    sessions: usize,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// The UPF is asked once more.
    Retry(SocketAddr),
    /// Its sessions wait no longer.
    GiveUp(SocketAddr),
}

/// A UPF whose sessions wait no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Those that it had lost.
    pub sessions: usize,
    /// From the loss until now.
    pub took: Duration,
}

impl Restorations {
    /// The UPF is gone; its sessions wait until `give_up_at`.
    pub fn gone(&mut self, now: Instant, upf: SocketAddr, give_up_at: Instant) -> usize {
        let absence = self.upfs.entry(upf).or_insert(Absence {
            since: now,
            give_up_at,
            waiting: VecDeque::new(),
            retry_at: None,
            under_way: 0,
            sessions: 0,
        });
        absence.sessions
    }

    /// The UPF has lost these sessions, the most urgent first; they wait until `give_up_at`.
    pub fn lost(&mut self, now: Instant, upf: SocketAddr, sessions: Vec<SmContextRef>, give_up_at: Instant) {
        self.gone(now, upf, give_up_at);
        self.under_way.retain(|_, of| *of != upf);
        if let Some(absence) = self.upfs.get_mut(&upf) {
            absence.give_up_at = give_up_at;
            (absence.retry_at, absence.under_way) = (None, 0);
            absence.sessions = sessions.len();
            absence.waiting = sessions.into();
        }
    }

    /// The UPF is there: those that wait may be tried.
    pub fn resume(&mut self, upf: SocketAddr) {
        if let Some(absence) = self.upfs.get_mut(&upf) {
            absence.retry_at = None;
        }
    }

    /// The session whose turn it is, if not too many are under way.
    pub fn next(&mut self, upf: SocketAddr, max: usize) -> Option<SmContextRef> {
        let absence = self.upfs.get_mut(&upf)?;
        if absence.retry_at.is_some() || absence.under_way >= max.max(1) {
            return None;
        }
        absence.waiting.pop_front()
    }

    /// The UPF is asked for a session.
    pub fn begun(&mut self, token: Token, upf: SocketAddr) {
        if let Some(absence) = self.upfs.get_mut(&upf) {
            absence.under_way += 1;
            self.under_way.insert(token, upf);
        }
    }

    /// The UPF has answered, or does not; which UPF, if the token is of a restoration.
    pub fn ended(&mut self, token: Token) -> Option<SocketAddr> {
        let upf = self.under_way.remove(&token)?;
        if let Some(absence) = self.upfs.get_mut(&upf) {
            absence.under_way -= 1;
        }
        Some(upf)
    }

    /// The session is tried once more, with the others that wait.
    pub fn again(&mut self, now: Instant, upf: SocketAddr, session: SmContextRef) {
        if let Some(absence) = self.upfs.get_mut(&upf) {
            absence.waiting.push_back(session);
            absence.retry_at.get_or_insert(now + RETRY);
        }
    }

    /// Forgets a UPF that nothing waits for any more.
    pub fn done(&mut self, now: Instant, upf: SocketAddr) -> Option<Done> {
        let over = |absence: &&Absence| absence.waiting.is_empty() && absence.under_way == 0;
        let absence = self.upfs.get(&upf).filter(over)?;
        let done = Done { sessions: absence.sessions, took: now.since(absence.since) };
        self.forget(upf);
        Some(done)
    }

    /// Forgets a UPF.
    pub fn forget(&mut self, upf: SocketAddr) {
        self.upfs.remove(&upf);
        self.under_way.retain(|_, of| *of != upf);
    }

    /// When something is due.
    pub fn deadline(&self) -> Option<Instant> {
        let of =
            |absence: &Absence| absence.retry_at.map_or(absence.give_up_at, |at| at.min(absence.give_up_at));
        self.upfs.values().map(of).min()
    }

    /// What is due now, each once.
    pub fn due(&mut self, now: Instant) -> Vec<Due> {
        let mut due = Vec::new();
        for (&upf, absence) in &mut self.upfs {
            if absence.give_up_at <= now {
                due.push(Due::GiveUp(upf));
            } else if absence.retry_at.take_if(|at| *at <= now).is_some() {
                due.push(Due::Retry(upf));
            }
        }
        due
    }
}
