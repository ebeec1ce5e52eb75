//! PDU session release, network side: TS 24.501 §6.3.3 and §6.4.3, TS 23.502 §4.3.4.2.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_pfcp::{Message, SessionDeletionRequest};
use tern_sbi::namf_comm::N1N2MessageTransfer;
use tern_sbi::npcf_sm::DeleteSmPolicy;
use tern_sbi::nsmf_pdusession::{N2SmInfoType, SmContextStatusNotify};
use tern_sbi::nudm_uecm::DeregisterSmf;
use tern_sbi::{Reply, TransportError};
use tern_types::{Duration, Instant};

use crate::cause::GsmCause;
use crate::context::{Next, PduSession, State, Supervised, T3592, Usage};
use crate::core::Core;
use crate::gsm::{Unfinished, connection, message};
use crate::io::{Awaited, Token};
use crate::n2;
use crate::sbi::pdu_session::{self, Updated};
use crate::sbi::{data_change, policy, registration, status, transfer};

/// A release that is under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Release {
    step: Step,
    cause: Cause,
}

/// Why a context ends, as far as it decides who hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// By a PDU SESSION RELEASE COMMAND; the AMF hears of the end.
    Commanded,
    /// The establishment was refused; the AMF hears of the end.
    Refused,
    /// The AMF could not deliver; it hears of the end.
    Undelivered,
    /// The AMF said so; it needs no notification.
    ByAmf,
    /// Another session of the UE has the PDU session identity now: the registration at the UDM
    /// is that one's. The AMF hears of the end if its callback differs.
    Duplicate {
        /// Whether the AMF hears of the end.
        notify: bool,
    },
}

/// Read downwards: TS 23.502 §4.3.4.2.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Step {
    /// Steps 2 to 11: the UPF, the access network and the UE let go.
    Releasing {
        deletion: Option<Token>,
        transfer: Option<Awaited<N1N2MessageTransfer>>,
        /// T3592 runs until the UE has answered.
        command: Option<Supervised>,
        pti: u8,
        /// When the access network should have answered.
        access: Option<Instant>,
    },
    /// Steps 12 to 15: PCF, AMF and UDM are told.
    Concluding {
        policy: Option<Awaited<DeleteSmPolicy>>,
        registration: Option<Awaited<DeregisterSmf>>,
        notification: Option<Awaited<SmContextStatusNotify>>,
    },
}

/// PDU SESSION RELEASE REQUEST: the command goes with the AMF's answer (TS 23.502 step 3a).
pub fn requested(core: &mut Core<'_>, session: &mut PduSession, pti: u8, answer: Token) -> Next {
    with_answer(core, session, pti, GsmCause::RegularDeactivation, answer)
}

/// The AMF asks for the release of the session (TS 23.502 step 1c, 3a).
pub fn asked_by_amf(core: &mut Core<'_>, session: &mut PduSession, cause: GsmCause, answer: Token) -> Next {
    with_answer(core, session, 0, cause, answer)
}

fn with_answer(
    core: &mut Core<'_>,
    session: &mut PduSession,
    pti: u8,
    cause: GsmCause,
    answer: Token,
) -> Next {
    let Some((command, n2)) = command(session, pti, cause) else {
        pdu_session::update_answered(core, answer, Updated::default());
        return locally(core, session, Cause::Commanded);
    };
    let access = n2.is_some().then(|| access_deadline(core));
    let n2 = n2.map(|n2| (N2SmInfoType::PduResRelCmd, n2));
    let updated = Updated { n1: Some(command.clone()), n2, ..Updated::default() };
    pdu_session::update_answered(core, answer, updated);
    let command = Some(Supervised::start(core.now, T3592, command));
    let deletion = delete(core, session);
    tracing::info!(supi = %session.supi, session = %session.id, cause = cause.value(), "PDU session release begins");
    let step = Step::Releasing { deletion, transfer: None, command, pti, access };
    Release { step, cause: Cause::Commanded }.next(core, session)
}

/// The network releases the session (TS 24.501 §6.3.3.2): the command goes by
/// N1N2MessageTransfer (TS 23.502 step 3b).
pub fn by_network(core: &mut Core<'_>, session: &mut PduSession, cause: GsmCause) -> Next {
    let Some((command, n2)) = command(session, 0, cause) else {
        return locally(core, session, Cause::Commanded);
    };
    let access = n2.is_some().then(|| access_deadline(core));
    let n2 = n2.map(|n2| (transfer::N2Kind::ReleaseCommand, n2));
    let transfer = Some(transfer::send(core, session, Some(command.clone()), n2));
    let command = Some(Supervised::start(core.now, T3592, command));
    let deletion = delete(core, session);
    tracing::info!(supi = %session.supi, session = %session.id, cause = cause.value(), "PDU session released by the network");
    let step = Step::Releasing { deletion, transfer, command, pti: 0, access };
    Release { step, cause: Cause::Commanded }.next(core, session)
}

/// The context ends without the UE being told by a release command.
pub fn locally(core: &mut Core<'_>, session: &mut PduSession, cause: Cause) -> Next {
    let deletion = delete(core, session);
    let step = Step::Releasing { deletion, transfer: None, command: None, pti: 0, access: None };
    Release { step, cause }.next(core, session)
}

/// The establishment is refused after the AMF has the context: the UE is told by N1, and when the
/// AMF has taken that, the AMF by the context's end.
pub fn refused(core: &mut Core<'_>, session: &mut PduSession, reject: Option<Bytes>) -> Next {
    let transfer = reject.map(|reject| transfer::send(core, session, Some(reject), None));
    let deletion = delete(core, session);
    let step = Step::Releasing { deletion, transfer, command: None, pti: 0, access: None };
    Release { step, cause: Cause::Refused }.next(core, session)
}

/// Another session replaces this one: only the access network hears of it
/// (TS 24.501 §6.4.1.7: the network releases it locally, the UE already has).
pub fn replaced(core: &mut Core<'_>, session: &mut PduSession, notify: bool) -> Next {
    if session.is_connected()
        && let Ok(n2) = n2::release_command()
    {
        // Its delivery changes nothing here: the reply is not awaited.
        let _ = transfer::send(core, session, None, Some((transfer::N2Kind::ReleaseCommand, n2)));
    }
    locally(core, session, Cause::Duplicate { notify })
}

impl Release {
    /// When something is to be repeated or given up.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.step {
            Step::Releasing { command, access, .. } => {
                command.as_ref().map(|command| command.deadline).into_iter().chain(*access).min()
            }
            Step::Concluding { .. } => None,
        }
    }

    /// PDU SESSION RELEASE COMPLETE.
    pub fn on_complete(mut self, core: &mut Core<'_>, session: &mut PduSession) -> Next {
        if let Step::Releasing { command, .. } = &mut self.step {
            *command = None;
        }
        self.next(core, session)
    }

    /// PDU SESSION RELEASE REQUEST while the release is under way: with the PTI of the
    /// procedure a repetition, which gets the same answer; else a collision, in which the network
    /// goes on (TS 24.501 §6.3.3.5).
    pub fn on_request(&self, core: &mut Core<'_>, requested_pti: u8, answer: Token) {
        let n1 = match &self.step {
            Step::Releasing { command: Some(command), pti, .. } if *pti == requested_pti => {
                Some(command.message.clone())
            }
            _ => None,
        };
        pdu_session::update_answered(core, answer, Updated { n1, ..Default::default() });
    }

    /// PDU_RES_REL_RSP, or the access network says in another way that its resources are gone.
    pub fn on_access_released(mut self, core: &mut Core<'_>, session: &mut PduSession) -> Next {
        if let Step::Releasing { access, .. } = &mut self.step {
            *access = None;
        }
        self.next(core, session)
    }

    /// The AMF ends the context itself.
    pub fn on_released_by_amf(mut self, core: &mut Core<'_>, session: &mut PduSession) -> Next {
        if let Step::Releasing { command, access, .. } = &mut self.step {
            (*command, *access) = (None, None);
            if self.cause == Cause::Commanded {
                self.cause = Cause::ByAmf;
            }
        }
        self.next(core, session)
    }

    /// Another session has the identity now: the UE and the UDM know that one.
    pub fn on_replaced(mut self, core: &mut Core<'_>, session: &mut PduSession, notify: bool) -> Next {
        let notify = notify && self.cause != Cause::ByAmf;
        self.cause = Cause::Duplicate { notify };
        if let Step::Releasing { command, access, .. } = &mut self.step {
            (*command, *access) = (None, None);
        }
        self.next(core, session)
    }

    /// The UPF's answer: whatever it says, the session is gone there.
    pub fn on_n4(
        mut self,
        core: &mut Core<'_>,
        session: &mut PduSession,
        token: Token,
        answer: Option<Message>,
    ) -> Next {
        let Step::Releasing { deletion, .. } = &mut self.step else { return self.next(core, session) };
        if matches!(session.unfinished, Some(Unfinished::Installation(waiting)) if waiting == token) {
            session.unfinished = None;
            if installed(session, answer.as_ref()) {
                *deletion = delete(core, session);
            }
        } else if deletion.take_if(|waiting| *waiting == token).is_some() {
            match answer {
                Some(Message::SessionDeletionResponse(response)) => {
                    add_usage(&mut session.usage, &response.usage_report);
                }
                _ => {
                    tracing::warn!(supi = %session.supi, session = %session.id, "UPF did not answer the deletion")
                }
            }
        }
        self.next(core, session)
    }

    /// The UPF lost the session: there is nothing left to delete.
    pub fn on_user_plane_lost(mut self, core: &mut Core<'_>, session: &mut PduSession) -> Next {
        if let Step::Releasing { deletion, .. } = &mut self.step {
            *deletion = None;
        }
        session.unfinished.take_if(|unfinished| matches!(unfinished, Unfinished::Installation(_)));
        self.next(core, session)
    }

    /// A reply that the release may wait for.
    pub fn on_reply(
        mut self,
        core: &mut Core<'_>,
        session: &mut PduSession,
        token: Token,
        reply: Result<Reply, TransportError>,
    ) -> Next {
        if matches!(&session.unfinished, Some(Unfinished::Policy(awaited)) if awaited.is(token)) {
            session.unfinished = None;
            // Whatever it says: an association that is there is deleted in the end.
            let _ = policy::created(core, session, reply);
            return self.next(core, session);
        }
        match &mut self.step {
            Step::Releasing { transfer, command, access, .. } => {
                if transfer.take_if(|waiting| waiting.is(token)).is_some()
                    && let Err(error) = transfer::delivered(reply)
                {
                    tracing::warn!(supi = %session.supi, session = %session.id, %error, "release command not delivered");
                    (*command, *access) = (None, None);
                }
            }
            Step::Concluding { policy, registration, notification } => {
                let awaited = policy.take_if(|waiting| waiting.is(token)).is_some()
                    || registration.take_if(|waiting| waiting.is(token)).is_some()
                    || notification.take_if(|waiting| waiting.is(token)).is_some();
                let failed = reply.as_ref().map_or(true, |reply| reply.status >= 300);
                if awaited && failed {
                    let status = reply.map(|reply| reply.status);
                    tracing::warn!(supi = %session.supi, session = %session.id, ?status, "release not taken notice of");
                }
            }
        }
        self.next(core, session)
    }

    /// The UE has not answered its page: it learns of the release when it comes (TS 24.501 §5.6.1.4.1).
    pub fn on_not_delivered(mut self, core: &mut Core<'_>, session: &mut PduSession) -> Next {
        if let Step::Releasing { command, access, .. } = &mut self.step {
            (*command, *access) = (None, None);
        }
        self.next(core, session)
    }

    /// T3592 has expired, or the access network has not answered in time.
    pub fn expire(mut self, core: &mut Core<'_>, session: &mut PduSession) -> Next {
        let now = core.now;
        if let Step::Releasing { command, access, transfer, .. } = &mut self.step {
            if access.is_some_and(|deadline| deadline <= now) {
                *access = None;
            }
            if let Some(supervised) = command.as_mut().filter(|command| command.deadline <= now) {
                match supervised.expire(now) {
                    Some(message) => *transfer = Some(transfer::send(core, session, Some(message), None)),
                    None => {
                        tracing::warn!(supi = %session.supi, session = %session.id, "T3592: no answer of the UE");
                        (*command, *access) = (None, None);
                    }
                }
            }
        }
        self.next(core, session)
    }

    /// Something that the release may have waited for is over.
    pub fn go_on(self, core: &mut Core<'_>, session: &mut PduSession) -> Next {
        self.next(core, session)
    }

    /// Goes on when nothing is waited for any more.
    fn next(mut self, core: &mut Core<'_>, session: &mut PduSession) -> Next {
        if let Step::Releasing { deletion: None, command: None, access: None, transfer, .. } = &self.step {
            // A reject that is still under way would find no session at the AMF any more.
            if session.unfinished.is_none()
                && !data_change::is_subscribing(session)
                && (transfer.is_none() || self.cause != Cause::Refused)
            {
                self.step = conclude(core, session, self.cause);
            }
        }
        match self.step {
            Step::Concluding { policy: None, registration: None, notification: None } => {
                let Usage { uplink, downlink } = session.usage;
                tracing::info!(supi = %session.supi, session = %session.id, uplink, downlink, "PDU session released");
                core.out.count("smf.release.completed");
                Next::Gone
            }
            step => Next::State(State::InactivePending(Self { step, cause: self.cause })),
        }
    }
}

fn conclude(core: &mut Core<'_>, session: &mut PduSession, cause: Cause) -> Step {
    core.free(session);
    let notify = match cause {
        Cause::Commanded | Cause::Refused | Cause::Undelivered => true,
        Cause::ByAmf => false,
        Cause::Duplicate { notify } => notify,
    };
    let deregister = !matches!(cause, Cause::Duplicate { .. });
    if deregister {
        data_change::unsubscribe(core, session);
    }
    Step::Concluding {
        policy: policy::delete(core, session),
        registration: if deregister { registration::deregister(core, session) } else { None },
        notification: notify.then(|| status::released(core, session, cause)),
    }
}

/// Whether the UPF has set up a session after all; then it can be deleted.
fn installed(session: &mut PduSession, answer: Option<&Message>) -> bool {
    let Some(Message::SessionEstablishmentResponse(response)) = answer else { return false };
    let accepted = response.cause.is_accepted();
    match (&mut session.user_plane, &response.up_f_seid) {
        (Some(user_plane), Some(f_seid)) if accepted => user_plane.up_seid = Some(f_seid.seid),
        _ => return false,
    }
    true
}

/// The release command for the UE, and the one for the access network if it has resources.
fn command(session: &PduSession, pti: u8, cause: GsmCause) -> Option<(Bytes, Option<Bytes>)> {
    let n1 = message::release_command(session.id, pti, cause).ok()?;
    let n2 = if session.is_connected() { Some(n2::release_command().ok()?) } else { None };
    Some((n1, n2))
}

fn delete(core: &mut Core<'_>, session: &mut PduSession) -> Option<Token> {
    if let Some(token) = session.user_plane.as_mut().and_then(|user_plane| user_plane.restoring.take()) {
        // It is deleted once it is there.
        session.unfinished = Some(Unfinished::Installation(token));
    }
    let (upf, seid) = connection::endpoint(session)?;
    if let Some(user_plane) = &mut session.user_plane {
        user_plane.up_seid = None;
    }
    Some(core.out.n4(session.reference, upf, seid, SessionDeletionRequest::default()))
}

fn access_deadline(core: &Core<'_>) -> Instant {
    core.now + Duration::from_secs(core.config.timers.an_response_s)
}

/// Adds what the UPF reports.
pub fn add_usage(usage: &mut Usage, reports: &[tern_pfcp::UsageReport]) {
    for volume in reports.iter().filter_map(|report| report.volume) {
        usage.uplink = usage.uplink.saturating_add(volume.uplink.unwrap_or(0));
        usage.downlink = usage.downlink.saturating_add(volume.downlink.unwrap_or(0));
    }
}
