//! Sessions whose user plane the UE wants back: with a SERVICE REQUEST (TS 24.501 §5.6.1.4) or a
//! registration update (TS 24.501 §5.5.1.3.4), TS 23.502 §4.2.3.2.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_nas::nas_5gs::NasPduSessionReactivationResult;
use tern_types::{Duration, Instant, PduSessionId};

use crate::Amf;
use crate::gmm::{self, Procedure, registration, service_request};
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
    deadline: Instant,
}

impl Activation {
    /// Asks the SMFs of those sessions that have no resources.
    pub(crate) fn start(ue: &mut UeContext, amf: &mut Amf, sessions: &[u8]) -> Self {
        let wanted: Vec<PduSessionId> = sessions.iter().copied().filter_map(PduSessionId::new).collect();
        for &id in &wanted {
            if ue.sessions.get(&id).is_some_and(|session| !session.resources) {
                session::push(ue, amf, id, Work::Activate);
            }
        }
        let wanted = wanted.into_iter().map(|id| (id, None)).collect();
        Self { wanted, deadline: amf.now + ACTIVATION_WITHIN }
    }

    /// When the SMFs' time is over.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How many sessions are wanted.
    pub fn len(&self) -> usize {
        self.wanted.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
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
        if self.is_empty() {
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
    match (n2, of(ue).and_then(|activation| activation.wanted.get_mut(&id))) {
        (Some((N2SmKind::SetupRequest, transfer)), Some(wanted)) => {
            *wanted = Some(transfer.clone());
            true
        }
        _ => false,
    }
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
    let wanted = activation.map(|activation| activation.wanted).unwrap_or_default();
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
}
