//! PDU session modification, network side: TS 24.501 §6.3.2 and §6.4.2, TS 23.502 §4.3.3.2.

use serde::{Deserialize, Serialize};
use tern_pfcp::{Message, SessionModificationRequest};
use tern_sbi::namf_comm::N1N2MessageTransfer;
use tern_sbi::npcf_sm::SmPolicyDecision;
use tern_sbi::{Reply, TransportError};
use tern_types::Instant;

use crate::binding::FlowChanges;
use crate::cause::GsmCause;
use crate::context::{Connection, Granted, Next, PduSession, State, Supervised, T3591, UpCnxState};
use crate::core::Core;
use crate::gsm::connection;
use crate::gsm::message::{self, ModificationRequest, Modified};
use crate::gsm::release::{self, Cause};
use crate::io::{Awaited, Token};
use crate::sbi::pdu_session::{self, Updated};
use crate::sbi::{policy, transfer};
use crate::{n2, n4};

/// A modification that is under way: T3591 runs until the UE has answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Modification {
    command: Supervised,
    /// The UE's PTI; 0 if the network began.
    pti: u8,
    transfer: Option<Awaited<N1N2MessageTransfer>>,
    /// The UPF's answer to what is new.
    n4: Option<Token>,
    /// What holds again if the UE refuses.
    before: Option<Box<Granted>>,
    /// The UPF was being asked to have the session again, as it was before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    restoring: bool,
}

/// PDU SESSION MODIFICATION REQUEST. QoS that the UE asks for is refused with #37; always-on and
/// options are answered by a command (TS 24.501 §6.4.2.3, §6.4.2.4).
pub fn requested(
    core: &mut Core<'_>,
    session: &mut PduSession,
    connection: Connection,
    pti: u8,
    request: &ModificationRequest,
    answer: Token,
) -> Next {
    let always_on = core.network(session).is_some_and(|network| network.always_on);
    let change = Modified {
        always_on: request.always_on.then_some(always_on),
        options: request.options.clone(),
        ..Default::default()
    };
    let command = match core.network(session) {
        Some(network) if !request.qos => message::modification_command(session, pti, &change, network).ok(),
        _ => None,
    };
    let Some(command) = command else {
        let cause = if request.qos { GsmCause::QosNotAccepted } else { GsmCause::RequestRejected };
        tracing::warn!(supi = %session.supi, session = %session.id, cause = cause.value(), "modification refused");
        let n1 = message::modification_reject(session.id, pti, cause).ok();
        pdu_session::update_answered(core, answer, Updated { n1, ..Default::default() });
        return Next::State(State::Active(connection));
    };
    let n1 = Some(command.clone());
    pdu_session::update_answered(core, answer, Updated { n1, ..Default::default() });
    let command = Supervised::start(core.now, T3591, command);
    let modification =
        Modification { command, pti, transfer: None, n4: None, before: None, restoring: false };
    Next::State(State::ModificationPending(modification, connection))
}

/// The policy changed (TS 23.502 §4.3.3.2 step 1b): UPF, access network and UE are told.
pub fn by_policy(
    core: &mut Core<'_>,
    session: &mut PduSession,
    connection: Connection,
    decision: &SmPolicyDecision,
) -> Next {
    let max = core.config.limits.rules_per_session_max;
    match policy::decided(session, decision, max) {
        Some(after) => to(core, session, connection, after),
        None => Next::State(State::Active(connection)),
    }
}

/// The session is granted something else.
pub fn to(core: &mut Core<'_>, session: &mut PduSession, connection: Connection, after: Granted) -> Next {
    let Some(before) = session.granted.replace(after) else { return Next::State(State::Active(connection)) };
    let Some((change, n4)) = changed(session, &before) else {
        session.granted = Some(before);
        return Next::State(State::Active(connection));
    };
    let connected = session.user_plane.as_ref().is_some_and(|u| u.connection == UpCnxState::Activated);
    let n2 = n2::modify_request(change.ambr, &change.flows).filter(|_| connected).transpose();
    let n1 = core.network(session).map(|network| message::modification_command(session, 0, &change, network));
    let (Some(Ok(n1)), Ok(n2)) = (n1, n2) else {
        tracing::error!(supi = %session.supi, session = %session.id, "a policy that cannot be told");
        session.granted = Some(before);
        return Next::State(State::Active(connection));
    };
    let n4 = n4.and_then(|n4| {
        let (upf, seid) = connection::endpoint(session)?;
        Some(core.out.n4(session.reference, upf, seid, n4))
    });
    let n2 = n2.map(|n2| (transfer::N2Kind::ModifyRequest, n2));
    let transfer = Some(transfer::send(core, session, Some(n1.clone()), n2));
    let FlowChanges { new_flows, changed_flows, gone_flows, new_rules, changed_rules, gone_rules } =
        &change.flows;
    tracing::info!(
        supi = %session.supi, session = %session.id, ambr = ?change.ambr,
        flows = format!("+{} ~{} -{}", new_flows.len(), changed_flows.len(), gone_flows.len()),
        rules = format!("+{} ~{} -{}", new_rules.len(), changed_rules.len(), gone_rules.len()),
        "PDU session modified by policy"
    );
    core.out.count("smf.modification.by_policy");
    let command = Supervised::start(core.now, T3591, n1);
    let restoring = session.user_plane.as_ref().is_some_and(|u| u.restoring.is_some());
    let before = Some(Box::new(before));
    let modification = Modification { command, pti: 0, transfer, n4, before, restoring };
    Next::State(State::ModificationPending(modification, connection))
}

/// What is other than `before` for the UE, and for the UPF; `None` if nothing is.
fn changed(session: &PduSession, before: &Granted) -> Option<(Modified, Option<SessionModificationRequest>)> {
    let after = session.granted.as_ref()?;
    let ambr = (after.ambr != before.ambr).then_some(after.ambr);
    let flows = FlowChanges::between(&before.flows, &after.flows);
    if ambr.is_none() && flows.is_empty() {
        return None;
    }
    let n4 = n4::modification(session, after, ambr, &flows);
    Some((Modified { ambr, flows, ..Default::default() }, n4))
}

impl Modification {
    /// When T3591 expires.
    pub fn deadline(&self) -> Instant {
        self.command.deadline
    }

    /// PDU SESSION MODIFICATION COMPLETE.
    pub fn on_complete(self, core: &mut Core<'_>, session: &PduSession, connection: Connection) -> Next {
        tracing::debug!(supi = %session.supi, session = %session.id, "modification complete");
        core.out.count("smf.modification.completed");
        Next::State(State::Active(connection))
    }

    /// PDU SESSION MODIFICATION COMMAND REJECT: what was before holds again; #43 says that the UE
    /// has no such session (TS 24.501 §6.3.2.4, §6.3.2.5).
    pub fn on_command_reject(
        self,
        core: &mut Core<'_>,
        session: &mut PduSession,
        connection: Connection,
        cause: u8,
    ) -> Next {
        tracing::warn!(supi = %session.supi, session = %session.id, cause, "modification rejected by the UE");
        if cause == GsmCause::InvalidPduSessionIdentity.value() {
            return release::locally(core, session, Cause::Commanded);
        }
        self.undo(core, session);
        Next::State(State::Active(connection))
    }

    /// PDU SESSION MODIFICATION REQUEST while a modification is under way: with the same PTI a
    /// repetition, which gets the same answer; another one is ignored (TS 24.501 §6.3.2.5 d).
    pub fn on_request(&self, core: &mut Core<'_>, pti: u8, answer: Token) {
        let n1 = (pti == self.pti).then(|| self.command.message.clone());
        pdu_session::update_answered(core, answer, Updated { n1, ..Default::default() });
    }

    /// The UPF's answer; `true` if it was about the modification.
    pub fn on_n4(&mut self, session: &PduSession, token: Token, answer: Option<&Message>) -> bool {
        let mine = self.n4.take_if(|waiting| *waiting == token).is_some();
        if mine && !connection::accepted(answer) {
            tracing::warn!(supi = %session.supi, session = %session.id, "UPF did not take the modification");
        }
        mine
    }

    /// The UPF has the session again; the request that restored it may be older than the modification.
    pub fn on_restored(&mut self, core: &mut Core<'_>, session: &PduSession) {
        let (Some(before), Some(after)) = (&self.before, &session.granted) else { return };
        let ambr = (after.ambr != before.ambr).then_some(after.ambr);
        // Rules that it has already it would refuse to create.
        let flows = if self.restoring {
            FlowChanges::between(&before.flows, &after.flows)
        } else {
            FlowChanges::default()
        };
        let n4 = n4::modification(session, after, ambr, &flows);
        if let (Some((upf, seid)), Some(n4)) = (connection::endpoint(session), n4) {
            self.n4 = Some(core.out.n4(session.reference, upf, seid, n4));
        }
    }

    /// A reply that the modification may wait for.
    pub fn on_reply(
        mut self,
        core: &mut Core<'_>,
        session: &mut PduSession,
        connection: Connection,
        token: Token,
        reply: Result<Reply, TransportError>,
    ) -> Next {
        if self.transfer.take_if(|waiting| waiting.is(token)).is_some()
            && let Err(error) = transfer::delivered(reply)
        {
            tracing::warn!(supi = %session.supi, session = %session.id, %error, "modification command not delivered");
            self.undo(core, session);
            return Next::State(State::Active(connection));
        }
        Next::State(State::ModificationPending(self, connection))
    }

    /// The UE has not answered its page, or the gNB has not passed the command on: what was before holds
    /// again (TS 24.501 §6.3.2.5 e, f).
    pub fn on_not_delivered(
        self,
        core: &mut Core<'_>,
        session: &mut PduSession,
        connection: Connection,
    ) -> Next {
        tracing::warn!(supi = %session.supi, session = %session.id, "modification command: it does not reach the UE");
        self.undo(core, session);
        Next::State(State::Active(connection))
    }

    /// T3591 has expired: the command is repeated, at the fifth expiry the procedure aborted
    /// (TS 24.501 §6.3.2.5 a).
    pub fn expire(mut self, core: &mut Core<'_>, session: &mut PduSession, connection: Connection) -> Next {
        if self.command.deadline > core.now {
            return Next::State(State::ModificationPending(self, connection));
        }
        match self.command.expire(core.now) {
            Some(message) => {
                self.transfer = Some(transfer::send(core, session, Some(message), None));
                Next::State(State::ModificationPending(self, connection))
            }
            None => {
                tracing::warn!(supi = %session.supi, session = %session.id, "T3591: no answer of the UE");
                self.undo(core, session);
                Next::State(State::Active(connection))
            }
        }
    }

    /// What was before holds again, at the UPF and the access network too.
    fn undo(self, core: &mut Core<'_>, session: &mut PduSession) {
        let Some(before) = self.before else { return };
        let Some(refused) = session.granted.replace(*before) else { return };
        let Some((change, n4)) = changed(session, &refused) else { return };
        if let (Some((upf, seid)), Some(n4)) = (connection::endpoint(session), n4) {
            // Its answer changes nothing here: a refusal leaves the newer rules enforced.
            let _ = core.out.n4(session.reference, upf, seid, n4);
        }
        let connected = session.user_plane.as_ref().is_some_and(|u| u.connection == UpCnxState::Activated);
        let n2 = n2::modify_request(None, &change.flows).filter(|_| connected);
        if let Some(Ok(n2)) = n2 {
            let _ = transfer::send(core, session, None, Some((transfer::N2Kind::ModifyRequest, n2)));
        }
    }
}
