//! Sessions whose user plane the UE wants back: with a SERVICE REQUEST (TS 24.501 §5.6.1.4) or a
//! registration update (TS 24.501 §5.5.1.3.4), TS 23.502 §4.2.3.2.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_nas::nas_5gs::NasPduSessionReactivationResult;
use tern_types::{Duration, Instant, PduSessionId};

use crate::Amf;
use crate::gmm::{self, Procedure, paging, registration, service_request};
use crate::ngap::initial_context_setup::{self, SessionResources};
use crate::session::{self, Session, Work};
use crate::supervised::Protection;
use crate::ue::{ContextSetup, HeldMessage, N2SmKind, UeContext};

/// How long the SMFs have to activate sessions; the others are told as not reactivated.
pub const ACTIVATION_WITHIN: Duration = Duration::from_secs(5);

/// Sessions to reactivate, which SMFs are asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Activation {
    /// The transfer once the SMF gave it.
    wanted: BTreeMap<PduSessionId, Option<Bytes>>,
    /// Whether the UE asked for any: it is told which of them did not come back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    asked: bool,
    /// What the UE was paged for besides; it goes after the accept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    after: Vec<HeldMessage>,
    deadline: Instant,
}

impl Activation {
    /// Asks the SMFs of those sessions that have no resources. Those that the UE was paged for come
    /// as well: their SMFs have said already how (TS 23.502 §4.2.3.2 step 12).
    pub(crate) fn start(ue: &mut UeContext, amf: &mut Amf, sessions: &[u8]) -> Self {
        let (mut wanted, mut after) = (BTreeMap::new(), Vec::new());
        for message in paging::take(ue) {
            match message {
                HeldMessage { session, n1: None, n2: Some((N2SmKind::SetupRequest, transfer)) } => {
                    session::setting_up(ue, session);
                    wanted.insert(session, Some(transfer));
                }
                message => after.push(message),
            }
        }
        let sessions: Vec<PduSessionId> = sessions.iter().copied().filter_map(PduSessionId::new).collect();
        for &id in &sessions {
            if wanted.contains_key(&id) {
                continue;
            }
            if ue.sessions.get(&id).is_some_and(|session| !session.resources) {
                session::push(ue, amf, id, Work::Activate);
            }
            wanted.insert(id, None);
        }
        Self { wanted, asked: !sessions.is_empty(), after, deadline: amf.now + ACTIVATION_WITHIN }
    }

    /// The connection is gone before anything of it was sent: what the SMFs have begun ends with it, in
    /// [`session::suspend_all`].
    pub(crate) fn abandon(&self, ue: &mut UeContext) {
        self.wanted.keys().for_each(|&id| session::setting_up(ue, id));
    }

    /// When the SMFs' time is over.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How many sessions are to come back.
    pub fn count(&self) -> usize {
        self.wanted.len()
    }

    fn is_waiting(&self, ue: &UeContext, now: Instant) -> bool {
        let busy = |id| ue.sessions.get(id).is_some_and(Session::is_busy);
        now < self.deadline && self.wanted.iter().any(|(id, transfer)| transfer.is_none() && busy(id))
    }

    /// PDU session reactivation result; `None` if none was wanted.
    pub(crate) fn result(&self, ue: &UeContext) -> Option<NasPduSessionReactivationResult> {
        let up = |id| ue.sessions.get(id).is_some_and(|session| session.resources);
        let failed = self.wanted.iter().filter(|(id, transfer)| transfer.is_none() && !up(id));
        let failed: Vec<u8> = failed.map(|(id, _)| id.get()).collect();
        if !self.asked {
            return None;
        }
        NasPduSessionReactivationResult::from_failed_sessions(&failed).ok()
    }
}

fn of(ue: &mut UeContext) -> Option<&mut Activation> {
    match &mut ue.procedure {
        Some(Procedure::Service(service)) => Some(&mut service.activation),
        Some(Procedure::Registration(registration)) => registration.activation(),
        _ => None,
    }
}

/// An SMF has activated a session: its N2 information waits for the others. Says whether it was
/// taken.
pub(crate) fn activated(ue: &mut UeContext, id: PduSessionId, n2: &Option<(N2SmKind, Bytes)>) -> bool {
    let Some((N2SmKind::SetupRequest, transfer)) = n2 else { return false };
    let Some(wanted) = of(ue).and_then(|activation| activation.wanted.get_mut(&id)) else { return false };
    *wanted = Some(transfer.clone());
    session::setting_up(ue, id);
    true
}

/// Goes on with the procedure once no SMF is waited for.
pub(crate) fn proceed(ue: &mut UeContext, amf: &mut Amf) {
    let now = amf.now;
    let Some(activation) = of(ue).cloned() else { return };
    if activation.is_waiting(ue, now) {
        return;
    }
    match ue.procedure.take() {
        Some(Procedure::Service(service)) => service_request::accept(ue, amf, service),
        Some(Procedure::Registration(machine)) => registration::Registration::activated(*machine, ue, amf),
        other => ue.procedure = other,
    }
}

/// Sends an accept and sets the sessions up: in INITIAL CONTEXT SETUP REQUEST unless the gNB has
/// the context already.
pub(crate) fn deliver(ue: &mut UeContext, amf: &mut Amf, plain: &Bytes, activation: Option<Activation>) {
    let (wanted, after) = activation.map(|a| (a.wanted, a.after)).unwrap_or_default();
    let resources =
        wanted.into_iter().filter_map(|(id, transfer)| Some(SessionResources { id, transfer: transfer? }));
    match ue.n2.as_ref().map(|n2| n2.context) {
        Some(ContextSetup::None) => {
            if let Some(octets) = gmm::protect(ue, amf, plain, Protection::Current) {
                initial_context_setup::request(ue, amf, octets, resources.collect());
            }
        }
        Some(ContextSetup::Requested | ContextSetup::Done) => {
            gmm::send(ue, amf, plain, Protection::Current);
            for SessionResources { id, transfer } in resources {
                let n2 = Some((N2SmKind::SetupRequest, transfer));
                session::downlink(ue, amf, HeldMessage { session: id, n1: None, n2 });
            }
        }
        None => {}
    }
    for message in after {
        session::downlink_after_paging(ue, amf, message);
    }
}
