//! UE-requested PDU session establishment, network side: TS 24.501 §6.4.1, TS 23.502 §4.3.2.2.1.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_ngap::transfer::SetupResponse;
use tern_pfcp::{Cause as PfcpCause, Message};
use tern_sbi::namf_comm::N1N2MessageTransfer;
use tern_sbi::npcf_sm::CreateSmPolicy;
use tern_sbi::nudm_sdm::GetSmData;
use tern_sbi::{Reply, TransportError};
use tern_types::{Duration, Instant};

use crate::cause::Refusal;
use crate::context::{Connection, Next, PduSession, State, UpCnxState, UserPlane};
use crate::core::Core;
use crate::gsm::release::{self, Cause};
use crate::gsm::{admission, connection, message};
use crate::io::{Awaited, Token};
use crate::sbi::{data_change, pdu_session, policy, registration, subscription, transfer};
use crate::{n2, n4, router};

/// An establishment that is under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Establishment {
    step: Step,
}

/// Read downwards: the call flow of TS 23.502 §4.3.2.2.1.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Step {
    /// Step 4: the subscription; the AMF's request waits for it.
    Subscribing { data: Awaited<GetSmData>, answer: Token },
    /// Step 7b: the policy association.
    Policing(Awaited<CreateSmPolicy>),
    /// Step 10: the UPF; without a token it is gone, and asked when it comes again.
    Installing(Option<Token>),
    /// Steps 11 to 15: the accept goes to the UE and the access network; its answer comes back.
    Accepting { transfer: Option<Awaited<N1N2MessageTransfer>>, deadline: Instant },
    /// Step 16: the UPF learns the access network's end of the tunnel; without a token it has lost the
    /// session, and is told when it has it again.
    Connecting { n4: Option<Token>, answer: Token },
}

/// Begins: the AMF's request is valid, and waits for its answer.
pub fn start(core: &mut Core<'_>, session: &PduSession, answer: Token) -> Next {
    let data = subscription::get(core, session);
    step(Step::Subscribing { data, answer })
}

impl Establishment {
    /// When the access network should have answered.
    pub fn deadline(&self) -> Option<Instant> {
        match self.step {
            Step::Accepting { deadline, .. } => Some(deadline),
            _ => None,
        }
    }

    /// The AMF has not heard the answer to its request, and asks again.
    pub fn asked_for_again(self, core: &mut Core<'_>, session: &PduSession, again: Token) -> Next {
        match self.step {
            Step::Subscribing { data, answer } => {
                // Nobody waits for the first answer any more, and the UE is not to hear of it.
                pdu_session::create_superseded(core, answer, None);
                step(Step::Subscribing { data, answer: again })
            }
            other => {
                pdu_session::created(core, again, session);
                step(other)
            }
        }
    }

    /// The establishment is abandoned: the AMF's request that waits for its answer, and what others
    /// are about to create.
    pub fn abandon(self) -> (Option<Waiting>, Option<Unfinished>) {
        match self.step {
            Step::Subscribing { answer, .. } => (Some(Waiting::Creation(answer)), None),
            Step::Policing(awaited) => (None, Some(Unfinished::Policy(awaited))),
            Step::Installing(token) => (None, token.map(Unfinished::Installation)),
            Step::Accepting { .. } => (None, None),
            Step::Connecting { answer, .. } => (Some(Waiting::Update(answer)), None),
        }
    }

    /// A reply that the establishment may wait for.
    pub fn on_reply(
        self,
        core: &mut Core<'_>,
        session: &mut PduSession,
        token: Token,
        reply: Result<Reply, TransportError>,
    ) -> Next {
        match self.step {
            Step::Subscribing { data, answer } if data.is(token) => {
                on_subscription(core, session, answer, reply)
            }
            Step::Policing(awaited) if awaited.is(token) => on_policy(core, session, reply),
            Step::Accepting { transfer: Some(awaited), deadline } if awaited.is(token) => {
                match transfer::delivered(reply) {
                    Ok(()) => step(Step::Accepting { transfer: None, deadline }),
                    Err(error) => {
                        tracing::warn!(supi = %session.supi, session = %session.id, %error, "accept not delivered");
                        release::locally(core, session, Cause::Undelivered)
                    }
                }
            }
            other => step(other),
        }
    }

    /// The UPF's answer.
    pub fn on_n4(
        self,
        core: &mut Core<'_>,
        session: &mut PduSession,
        token: Token,
        answer: Option<Message>,
    ) -> Next {
        match self.step {
            Step::Installing(Some(n4)) if n4 == token => on_installed(core, session, answer),
            Step::Connecting { n4: Some(n4), answer: waiting } if n4 == token => {
                on_connected(core, session, waiting, answer)
            }
            other => step(other),
        }
    }

    /// PDU_RES_SETUP_RSP: the access network has set up its resources.
    pub fn on_setup_response(
        self,
        core: &mut Core<'_>,
        session: &mut PduSession,
        answer: Token,
        n2: &[u8],
    ) -> Next {
        if !matches!(self.step, Step::Accepting { .. }) {
            pdu_session::update_refused(core, answer, 403, "N2_SM_ERROR", None);
            return step(self.step);
        }
        let default_qfi = session.granted.as_ref().map(|granted| granted.default_qfi());
        let response = match SetupResponse::decode(n2) {
            Ok(response) if response.flows.iter().any(|&qfi| Some(qfi) == default_qfi) => response,
            Ok(_) => return self.on_setup_failure(core, session, answer),
            Err(error) => {
                tracing::warn!(supi = %session.supi, session = %session.id, %error, "N2 SM information refused");
                pdu_session::update_refused(core, answer, 403, "N2_SM_ERROR", None);
                return step(self.step);
            }
        };
        let Some(change) = n4::activation(&response.downlink, connection::uplink(session)) else {
            return self.on_setup_failure(core, session, answer);
        };
        admission::refused(core, session, &response.failed, None);
        let n4 = match connection::endpoint(session) {
            Some((upf, seid)) => Some(core.out.n4(session.reference, upf, seid, change)),
            None if session.user_plane.as_ref().is_some_and(UserPlane::is_lost) => None,
            None => return self.on_setup_failure(core, session, answer),
        };
        if let Some(user_plane) = &mut session.user_plane {
            user_plane.downlink = Some(response.downlink);
        }
        step(Step::Connecting { n4, answer })
    }

    /// The UPF has lost the session: what it was asked waits until it comes again.
    pub fn on_lost(self) -> Next {
        step(match self.step {
            Step::Installing(_) => Step::Installing(None),
            Step::Connecting { answer, .. } => Step::Connecting { n4: None, answer },
            other => other,
        })
    }

    /// Whether the session is not at the UPF yet, and the UPF has to come again first.
    pub fn is_to_be_installed(&self) -> bool {
        matches!(self.step, Step::Installing(None))
    }

    /// The UPF is there again. Installs the session if that is what the establishment waits for.
    pub fn install_again(&mut self, core: &mut Core<'_>, session: &PduSession) -> Option<Token> {
        let Step::Installing(waiting @ None) = &mut self.step else { return None };
        *waiting = install(core, session);
        *waiting
    }

    /// The UPF has the session again.
    pub fn on_restored(self, core: &mut Core<'_>, session: &PduSession) -> Next {
        let Step::Connecting { n4: None, answer } = self.step else { return step(self.step) };
        let downlink = session.user_plane.as_ref().and_then(|user_plane| user_plane.downlink);
        let change = downlink.and_then(|downlink| n4::activation(&downlink, connection::uplink(session)));
        let n4 = change
            .zip(connection::endpoint(session))
            .map(|(change, (upf, seid))| core.out.n4(session.reference, upf, seid, change));
        step(Step::Connecting { n4, answer })
    }

    /// PDU_RES_SETUP_FAIL: the access network has not; the UE has not seen the accept
    /// (TS 38.413 §8.2.1.2), so it is told now.
    pub fn on_setup_failure(self, core: &mut Core<'_>, session: &mut PduSession, answer: Token) -> Next {
        if !matches!(self.step, Step::Accepting { .. }) {
            pdu_session::update_refused(core, answer, 403, "N2_SM_ERROR", None);
            return step(self.step);
        }
        let refusal = Refusal::AccessNetwork;
        tracing::warn!(supi = %session.supi, session = %session.id, %refusal, "PDU session refused");
        core.out.count("smf.establishment.refused");
        let reject = reject(session, refusal);
        pdu_session::update_answered(core, answer, pdu_session::Updated { n1: reject, ..Default::default() });
        release::locally(core, session, Cause::Refused)
    }

    /// The access network has not answered in time.
    pub fn expire(self, core: &mut Core<'_>, session: &mut PduSession) -> Next {
        match self.step {
            Step::Accepting { deadline, .. } if deadline <= core.now => {
                tracing::warn!(supi = %session.supi, session = %session.id, "no answer of the access network");
                release::by_network(core, session, crate::cause::GsmCause::InsufficientResources)
            }
            other => step(other),
        }
    }

    /// The UPF has lost the session.
    pub fn on_user_plane_lost(self, core: &mut Core<'_>, session: &mut PduSession) -> Next {
        match self.step {
            before @ (Step::Subscribing { .. } | Step::Policing(_)) => step(before),
            Step::Installing(_) => refuse(core, session, Refusal::Upf),
            Step::Accepting { .. } => {
                release::by_network(core, session, crate::cause::GsmCause::ReactivationRequested)
            }
            Step::Connecting { answer, .. } => {
                pdu_session::update_refused(core, answer, 504, "UPF_NOT_RESPONDING", None);
                release::by_network(core, session, crate::cause::GsmCause::ReactivationRequested)
            }
        }
    }
}

/// A request of the AMF that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Create SM Context.
    Creation(Token),
    /// Update SM Context.
    Update(Token),
}

/// What an abandoned establishment has asked for: it is undone once it is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Unfinished {
    /// The policy association.
    Policy(Awaited<CreateSmPolicy>),
    /// The UPF's session.
    Installation(Token),
}

fn step(step: Step) -> Next {
    Next::State(State::Inactive(Establishment { step }))
}

fn on_subscription(
    core: &mut Core<'_>,
    session: &mut PduSession,
    answer: Token,
    reply: Result<Reply, TransportError>,
) -> Next {
    let granted = subscription::read(reply).and_then(|data| subscription::grant(core, session, &data));
    let granted = match granted {
        Ok(granted) => granted,
        Err(refusal) => {
            tracing::warn!(supi = %session.supi, session = %session.id, dnn = %session.dnn, %refusal, "PDU session refused");
            core.out.count("smf.establishment.refused");
            pdu_session::create_refused(core, answer, refusal, reject(session, refusal));
            // The one that it replaces may have left its registration.
            return if session.registered {
                release::locally(core, session, Cause::ByAmf)
            } else {
                Next::Gone
            };
        }
    };
    let (granted, upf) = granted;
    core.upfs.session_added(upf);
    let connection = UpCnxState::Deactivated;
    session.granted = Some(granted);
    let (up_seid, restoring, uplink, downlink) = (None, None, None, None);
    session.user_plane = Some(UserPlane { upf, up_seid, restoring, uplink, downlink, connection });
    // Step 5: the AMF learns the context; what fails from here on is told to the UE by N1.
    pdu_session::created(core, answer, session);
    step(Step::Policing(policy::create(core, session)))
}

fn on_policy(core: &mut Core<'_>, session: &mut PduSession, reply: Result<Reply, TransportError>) -> Next {
    if let Err(refusal) = policy::created(core, session, reply) {
        return refuse(core, session, refusal);
    }
    match install(core, session) {
        Some(n4) => step(Step::Installing(Some(n4))),
        None => refuse(core, session, Refusal::Upf),
    }
}

fn install(core: &mut Core<'_>, session: &PduSession) -> Option<Token> {
    let (granted, user_plane) = (session.granted.as_ref()?, session.user_plane.as_ref()?);
    let mut request = n4::establishment(session, granted, core.config.n4.address, &core.config.timers);
    router::add_rules(&mut request, session, core.config);
    Some(core.out.n4(session.reference, user_plane.upf, 0, request))
}

fn on_installed(core: &mut Core<'_>, session: &mut PduSession, answer: Option<Message>) -> Next {
    let Some(Message::SessionEstablishmentResponse(response)) = answer else {
        return refuse(core, session, Refusal::Upf);
    };
    if response.cause == PfcpCause::NO_ESTABLISHED_PFCP_ASSOCIATION {
        // It has started again, and is asked once more when it is associated.
        return step(Step::Installing(None));
    }
    if let (Some(user_plane), Some(seid)) = (&mut session.user_plane, response.up_f_seid) {
        user_plane.up_seid = Some(seid.seid);
    }
    if !response.cause.is_accepted() {
        tracing::warn!(supi = %session.supi, session = %session.id, cause = %response.cause, "UPF refused the session");
        if let Some(user_plane) = &mut session.user_plane {
            user_plane.up_seid = None;
        }
        let full = [PfcpCause::NO_RESOURCES_AVAILABLE, PfcpCause::PFCP_ENTITY_IN_CONGESTION];
        let refusal = if full.contains(&response.cause) { Refusal::NoUpf } else { Refusal::Upf };
        return refuse(core, session, refusal);
    }
    let uplink = n4::allocated(&response);
    if let Some(user_plane) = &mut session.user_plane {
        user_plane.uplink = uplink;
    }
    session.router.tunnel = n4::allocated_for_router(&response);
    let has_link = session.granted.as_ref().is_some_and(|granted| granted.ipv6.is_some());
    if uplink.is_none() || response.up_f_seid.is_none() || has_link && session.router.tunnel.is_none() {
        return refuse(core, session, Refusal::Upf);
    }
    let (n1, n2) = match accept(core, session) {
        Ok(parts) => parts,
        Err(error) => {
            tracing::error!(supi = %session.supi, session = %session.id, %error, "accept not built");
            return refuse(core, session, Refusal::Upf);
        }
    };
    if let Some(user_plane) = &mut session.user_plane {
        user_plane.connection = UpCnxState::Activating;
    }
    let transfer = transfer::send(core, session, Some(n1), Some((transfer::N2Kind::SetupRequest, n2)));
    registration::register(core, session);
    data_change::subscribe(core, session);
    let deadline = core.now + Duration::from_secs(core.config.timers.an_response_s);
    step(Step::Accepting { transfer: Some(transfer), deadline })
}

fn accept(core: &Core<'_>, session: &PduSession) -> Result<(Bytes, Bytes), String> {
    let granted = session.granted.as_ref().ok_or("nothing granted")?;
    let user_plane = session.user_plane.as_ref().ok_or("no user plane")?;
    let network = core.network(session).ok_or("data network is no longer configured")?;
    let n1 = message::establishment_accept(session, granted, network).map_err(|error| error.to_string())?;
    let n2 = n2::setup_request(granted, user_plane).map_err(|error| error.to_string())?;
    Ok((n1, n2))
}

fn on_connected(
    core: &mut Core<'_>,
    session: &mut PduSession,
    waiting: Token,
    answer: Option<Message>,
) -> Next {
    if !connection::accepted(answer.as_ref()) {
        tracing::warn!(supi = %session.supi, session = %session.id, "UPF did not take the tunnel");
        pdu_session::update_refused(core, waiting, 504, "UPF_NOT_RESPONDING", None);
        return release::by_network(core, session, crate::cause::GsmCause::NetworkFailure);
    }
    if let Some(user_plane) = &mut session.user_plane {
        user_plane.connection = UpCnxState::Activated;
    }
    let up_cnx_state = Some(UpCnxState::Activated);
    pdu_session::update_answered(core, waiting, pdu_session::Updated { up_cnx_state, ..Default::default() });
    if let Some(granted) = &session.granted {
        tracing::info!(
            supi = %session.supi, session = %session.id, dnn = %session.dnn, slice = %session.snssai,
            address = ?granted.ipv4, prefix = ?granted.ipv6.map(|link| link.prefix), "PDU session established"
        );
    }
    router::start(core, session);
    core.out.count("smf.establishment.completed");
    Next::State(State::Active(Connection::default()))
}

/// Refuses after the AMF has the context: the UE is told by N1, the AMF by the context's end.
fn refuse(core: &mut Core<'_>, session: &mut PduSession, refusal: Refusal) -> Next {
    tracing::warn!(supi = %session.supi, session = %session.id, dnn = %session.dnn, %refusal, "PDU session refused");
    core.out.count("smf.establishment.refused");
    let reject = reject(session, refusal);
    release::refused(core, session, reject)
}

fn reject(session: &PduSession, refusal: Refusal) -> Option<Bytes> {
    message::establishment_reject(session.id.get(), session.request.pti, refusal).ok()
}
