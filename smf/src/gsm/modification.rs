//! PDU session modification, network side: TS 24.501 §6.3.2 and §6.4.2, TS 23.502 §4.3.3.2.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_ngap::cause::NgapCause;
use tern_pfcp::{Cause as PfcpCause, Message, SessionModificationRequest};
use tern_sbi::namf_comm::N1N2MessageTransfer;
use tern_sbi::npcf_sm::{FailureCode, SmPolicyDecision};
use tern_sbi::{Reply, TransportError};
use tern_types::{Ambr, Duration, Instant, Qfi};

use crate::binding::FlowChanges;
use crate::cause::GsmCause;
use crate::context::{Connection, Granted, Next, PduSession, State, Supervised, T3591, UpCnxState};
use crate::core::Core;
use crate::gsm::message::{self, ModificationRequest, Modified};
use crate::gsm::release::{self, Cause};
use crate::gsm::{admission, connection};
use crate::io::{Awaited, Token};
use crate::policy_rules::{PolicyRules, RuleFailure};
use crate::sbi::pdu_session::{self, Updated};
use crate::sbi::policy::{self, Decided};
use crate::sbi::{rule_report, transfer};
use crate::{n2, n4};

/// How long a command waits that the AMF cannot pass on just then.
const AGAIN: Duration = Duration::from_secs(2);

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
    /// The rules of the PCF that it was of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rules_before: Option<Box<PolicyRules>>,
    /// What the access network is asked for, and has not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n2: Option<Bytes>,
    /// The AMF could not pass the command on just then: it is sent again before T3591 expires.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deferred: bool,
    /// What was before cannot hold again: UPF or access network do not have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    forced: bool,
    /// The UPF has refused what is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upf_refused: Option<FailureCode>,
    /// The UPF was being asked to have the session again, as it was before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    restoring: bool,
}

/// A modification that the UE has completed before the UPF or the access network have answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unanswered {
    /// What the session was granted before.
    pub before: Granted,
    /// The rules of the PCF before.
    pub rules: Option<Box<PolicyRules>>,
    /// The UPF's answer.
    pub n4: Option<Token>,
    /// The access network has not answered.
    pub n2: bool,
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
        let n1 = message::modification_reject(session.id.get(), pti, cause).ok();
        pdu_session::update_answered(core, answer, Updated { n1, ..Default::default() });
        return Next::State(State::Active(connection));
    };
    let n1 = Some(command.clone());
    pdu_session::update_answered(core, answer, Updated { n1, ..Default::default() });
    let command = Supervised::start(core.now, T3591, command);
    Next::State(State::ModificationPending(Modification::of(command, pti), connection))
}

/// The policy changed (TS 23.502 §4.3.3.2 step 1b): UPF, access network and UE are told.
pub fn by_policy(
    core: &mut Core<'_>,
    session: &mut PduSession,
    connection: Connection,
    decision: &SmPolicyDecision,
) -> Next {
    let rules_before = session.policy_rules.clone();
    let Decided { granted, failures } =
        policy::decided(session, decision, core.config.limits.rules_per_session_max);
    rule_report::add(core, session, failures);
    match granted {
        Some(after) => begin(core, session, connection, after, rules_before),
        None => Next::State(State::Active(connection)),
    }
}

/// The same of a policy that the PCF has pushed, which hears at once what of it does not hold.
pub fn pushed(
    core: &mut Core<'_>,
    session: &mut PduSession,
    connection: Connection,
    decision: &SmPolicyDecision,
    answer: Token,
) -> Next {
    let rules_before = session.policy_rules.clone();
    let Decided { granted, failures } =
        policy::decided(session, decision, core.config.limits.rules_per_session_max);
    rule_report::answer(core, session, answer, decision, &failures);
    match granted {
        Some(after) => begin(core, session, connection, after, rules_before),
        None => Next::State(State::Active(connection)),
    }
}

/// The session is granted something else.
pub fn to(core: &mut Core<'_>, session: &mut PduSession, connection: Connection, after: Granted) -> Next {
    let rules_before = session.policy_rules.clone();
    begin(core, session, connection, after, rules_before)
}

fn begin(
    core: &mut Core<'_>,
    session: &mut PduSession,
    mut connection: Connection,
    after: Granted,
    rules_before: Option<Box<PolicyRules>>,
) -> Next {
    connection.unanswered = None;
    let Some(before) = session.granted.replace(after) else { return Next::State(State::Active(connection)) };
    let Some((change, n4)) = changed(session, &before) else {
        session.granted = Some(before);
        return Next::State(State::Active(connection));
    };
    let Some((n1, n2)) = told(core, session, &change, &change.flows, change.ambr) else {
        restore(core, session, before, rules_before, FailureCode::NfMal);
        return Next::State(State::Active(connection));
    };
    let n4 = n4.and_then(|n4| {
        let (upf, seid) = connection::endpoint(session)?;
        Some(core.out.n4(session.reference, upf, seid, n4))
    });
    let mut modification = Modification::send(core, session, &change, n1, n2);
    core.out.count("smf.modification.by_policy");
    modification.before = Some(Box::new(before));
    (modification.rules_before, modification.n4) = (rules_before, n4);
    Next::State(State::ModificationPending(modification, connection))
}

/// Flows that the access network has refused are taken back from the UE and the UPF (TS 23.502 §4.3.3.2): it is told
/// of what else follows.
pub fn take_back(
    core: &mut Core<'_>,
    session: &mut PduSession,
    mut connection: Connection,
    after: Granted,
    refused: &[Qfi],
) -> Next {
    connection.unanswered = None;
    let Some(before) = session.granted.replace(after) else { return Next::State(State::Active(connection)) };
    let Some((change, n4)) = changed(session, &before) else { return Next::State(State::Active(connection)) };
    let Some((n1, n2)) = told(core, session, &change, &change.flows.without(refused), None) else {
        return Next::State(State::Active(connection));
    };
    let n4 = n4.and_then(|n4| {
        let (upf, seid) = connection::endpoint(session)?;
        Some(core.out.n4(session.reference, upf, seid, n4))
    });
    let mut modification = Modification::send(core, session, &change, n1, n2);
    core.out.count("smf.modification.taken_back");
    (modification.before, modification.n4, modification.forced) = (Some(Box::new(before)), n4, true);
    Next::State(State::ModificationPending(modification, connection))
}

/// The UPF's answer to a modification that the UE has completed.
pub fn answered(
    core: &mut Core<'_>,
    session: &mut PduSession,
    mut connection: Connection,
    answer: Option<&Message>,
) -> Next {
    match (connection.unanswered.take(), refusal(answer)) {
        (Some(unanswered), Some(code)) => {
            let Unanswered { before, rules, .. } = *unanswered;
            revert(core, session, connection, before, rules, code)
        }
        (Some(unanswered), None) => {
            let unanswered = Unanswered { n4: None, ..*unanswered };
            connection.unanswered = Some(Box::new(unanswered)).filter(|unanswered| unanswered.n2);
            Next::State(State::Active(connection))
        }
        (None, _) => Next::State(State::Active(connection)),
    }
}

/// The UPF has refused what the UE and the access network have by now: they hear that what was before holds again.
fn revert(
    core: &mut Core<'_>,
    session: &mut PduSession,
    connection: Connection,
    before: Granted,
    rules: Option<Box<PolicyRules>>,
    code: FailureCode,
) -> Next {
    let Some(refused) = restore(core, session, before, rules, code) else {
        return Next::State(State::Active(connection));
    };
    let Some((change, _)) = changed(session, &refused) else { return Next::State(State::Active(connection)) };
    let flows = change.flows.without(&session.refused);
    let Some((n1, n2)) = told(core, session, &change, &flows, change.ambr) else {
        return Next::State(State::Active(connection));
    };
    let modification = Modification { forced: true, ..Modification::send(core, session, &change, n1, n2) };
    core.out.count("smf.modification.reverted");
    Next::State(State::ModificationPending(modification, connection))
}

/// What the session was granted holds again, and the rules that it was of; the PCF hears of those that failed. What
/// was granted meanwhile comes back.
fn restore(
    core: &mut Core<'_>,
    session: &mut PduSession,
    before: Granted,
    rules: Option<Box<PolicyRules>>,
    code: FailureCode,
) -> Option<Granted> {
    let failed = std::mem::replace(&mut session.policy_rules, rules);
    let none = PolicyRules::default();
    let (failed, holds) =
        (failed.as_deref().unwrap_or(&none), session.policy_rules.as_deref().unwrap_or(&none));
    let failure =
        |rule: &str| RuleFailure { rule: rule.to_owned(), code: code.clone(), active: holds.has(rule) };
    let failures = holds.differing(failed).map(failure).collect();
    rule_report::add(core, session, failures);
    session.granted.replace(before)
}

/// The command for the UE, and what the access network is asked of `flows`, if it has the session and there is
/// something.
fn told(
    core: &Core<'_>,
    session: &PduSession,
    change: &Modified,
    flows: &FlowChanges,
    ambr: Option<Ambr>,
) -> Option<(Bytes, Option<Bytes>)> {
    let connected = session.user_plane.as_ref().is_some_and(|u| u.connection == UpCnxState::Activated);
    let n2 = n2::modify_request(ambr, flows).filter(|_| connected).transpose();
    let n1 = core.network(session).map(|network| message::modification_command(session, 0, change, network));
    match (n1, n2) {
        (Some(Ok(n1)), Ok(n2)) => Some((n1, n2)),
        _ => {
            tracing::error!(supi = %session.supi, session = %session.id, "a modification that cannot be told");
            None
        }
    }
}

/// What the UPF says that it cannot do; `None` if it does it, or says nothing.
fn refusal(answer: Option<&Message>) -> Option<FailureCode> {
    match answer {
        Some(Message::SessionModificationResponse(response)) if !response.cause.is_accepted() => {
            let full = [PfcpCause::NO_RESOURCES_AVAILABLE, PfcpCause::PFCP_ENTITY_IN_CONGESTION];
            let limited = full.contains(&response.cause);
            Some(if limited { FailureCode::ResLim } else { FailureCode::NfMal })
        }
        _ => None,
    }
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
    fn of(command: Supervised, pti: u8) -> Self {
        Self {
            command,
            pti,
            transfer: None,
            n4: None,
            before: None,
            rules_before: None,
            n2: None,
            deferred: false,
            forced: false,
            upf_refused: None,
            restoring: false,
        }
    }

    /// Sends the command of the network's own modification.
    fn send(
        core: &mut Core<'_>,
        session: &PduSession,
        change: &Modified,
        n1: Bytes,
        n2: Option<Bytes>,
    ) -> Self {
        let asked = n2.clone().map(|n2| (transfer::N2Kind::ModifyRequest, n2));
        let transfer = Some(transfer::send(core, session, Some(n1.clone()), asked));
        let FlowChanges { new_flows, changed_flows, gone_flows, new_rules, changed_rules, gone_rules } =
            &change.flows;
        tracing::info!(
            supi = %session.supi, session = %session.id, ambr = ?change.ambr,
            flows = format!("+{} ~{} -{}", new_flows.len(), changed_flows.len(), gone_flows.len()),
            rules = format!("+{} ~{} -{}", new_rules.len(), changed_rules.len(), gone_rules.len()),
            "PDU session modified by the network"
        );
        let restoring = session.user_plane.as_ref().is_some_and(|u| u.restoring.is_some());
        Self { transfer, n2, restoring, ..Self::of(Supervised::start(core.now, T3591, n1), 0) }
    }

    /// When T3591 expires.
    pub fn deadline(&self) -> Instant {
        self.command.deadline
    }

    /// PDU SESSION MODIFICATION COMPLETE.
    pub fn on_complete(
        self,
        core: &mut Core<'_>,
        session: &mut PduSession,
        mut connection: Connection,
    ) -> Next {
        tracing::debug!(supi = %session.supi, session = %session.id, "modification complete");
        core.out.count("smf.modification.completed");
        let Some(before) = self.before.filter(|_| !self.forced) else {
            return Next::State(State::Active(connection));
        };
        if let Some(code) = self.upf_refused {
            return revert(core, session, connection, *before, self.rules_before, code);
        }
        let unanswered =
            Unanswered { before: *before, rules: self.rules_before, n4: self.n4, n2: self.n2.is_some() };
        connection.unanswered = (self.n2.is_some() || self.n4.is_some()).then(|| Box::new(unanswered));
        Next::State(State::Active(connection))
    }

    /// PDU_RES_MOD_RSP: these flows are as they were, or are not.
    pub fn on_modify_response(
        &mut self,
        core: &mut Core<'_>,
        session: &mut PduSession,
        failed: &[(Qfi, NgapCause)],
    ) {
        self.n2 = None;
        let before = self.before.as_deref().filter(|_| !self.forced);
        admission::refused(
            core,
            session,
            failed,
            before.map(|before| (before, self.rules_before.as_deref())),
        );
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
            self.upf_refused = refusal(answer);
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

    /// A reply that the modification may wait for. While the UE registers or is handed over, the AMF passes nothing
    /// on (TS 29.518 §5.2.2.3.1): the command is sent again.
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
            if error.for_now {
                (self.deferred, self.command.deadline) = (true, core.now + AGAIN);
                return Next::State(State::ModificationPending(self, connection));
            }
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
                let connected =
                    session.user_plane.as_ref().is_some_and(|u| u.connection == UpCnxState::Activated);
                let asked = std::mem::take(&mut self.deferred) && connected;
                let n2 = self.n2.clone().filter(|_| asked).map(|n2| (transfer::N2Kind::ModifyRequest, n2));
                self.transfer = Some(transfer::send(core, session, Some(message), n2));
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
        let Some(before) = self.before.filter(|_| !self.forced) else { return };
        let upf_has = self.upf_refused.is_none();
        let code = self.upf_refused.unwrap_or(FailureCode::ResAlloFail);
        let Some(refused) = restore(core, session, *before, self.rules_before, code) else { return };
        let Some((change, n4)) = changed(session, &refused) else { return };
        if let (Some((upf, seid)), Some(n4)) = (connection::endpoint(session), n4.filter(|_| upf_has)) {
            // Its answer changes nothing here: a refusal leaves the newer rules enforced.
            let _ = core.out.n4(session.reference, upf, seid, n4);
        }
        let connected = session.user_plane.as_ref().is_some_and(|u| u.connection == UpCnxState::Activated);
        let flows = change.flows.without(&session.refused);
        let n2 = n2::modify_request(None, &flows).filter(|_| connected);
        if let Some(Ok(n2)) = n2 {
            let _ = transfer::send(core, session, None, Some((transfer::N2Kind::ModifyRequest, n2)));
        }
    }
}

impl Connection {
    /// Whether an answer of the UPF is of a modification that the UE has completed.
    pub fn awaits_modification(&self, token: Token) -> bool {
        self.unanswered.as_ref().is_some_and(|unanswered| unanswered.n4 == Some(token))
    }
}
