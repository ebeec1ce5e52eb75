//! PDU session modification, network side: TS 24.501 §6.3.2 and §6.4.2, TS 23.502 §4.3.3.2.

use serde::{Deserialize, Serialize};
use tern_pfcp::Message;
use tern_sbi::namf_comm::N1N2MessageTransfer;
use tern_sbi::{Reply, TransportError};
use tern_types::{Ambr, Instant};

use crate::cause::GsmCause;
use crate::context::{Connection, Next, PduSession, State, Supervised, T3591, UpCnxState};
use crate::core::Core;
use crate::gsm::connection;
use crate::gsm::message::{self, ModificationRequest, Modified};
use crate::gsm::release::{self, Cause};
use crate::io::{Awaited, Token};
use crate::sbi::pdu_session::{self, Updated};
use crate::sbi::transfer;
use crate::{n2, n4};

/// A modification that is under way: T3591 runs until the UE has answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Modification {
    command: Supervised,
    /// The UE's PTI; 0 if the network began.
    pti: u8,
    transfer: Option<Awaited<N1N2MessageTransfer>>,
    /// The UPF's answer to the new Session-AMBR.
    n4: Option<Token>,
    /// What holds again if the UE refuses: Session-AMBR and 5QI.
    before: Option<(Ambr, u8)>,
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
    let modification = Modification { command, pti, transfer: None, n4: None, before: None };
    Next::State(State::ModificationPending(modification, connection))
}

/// What a new policy decision changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NewPolicy {
    /// New Session-AMBR.
    pub ambr: Option<Ambr>,
    /// New 5QI of the default QoS flow.
    pub five_qi: Option<u8>,
}

/// The policy changed (TS 23.502 §4.3.3.2 step 1b): UPF, access network and UE are told.
pub fn by_policy(
    core: &mut Core<'_>,
    session: &mut PduSession,
    connection: Connection,
    policy: NewPolicy,
) -> Next {
    let Some(granted) = &mut session.granted else { return Next::State(State::Active(connection)) };
    let ambr = policy.ambr.filter(|ambr| *ambr != granted.ambr);
    let five_qi = policy.five_qi.filter(|five_qi| *five_qi != granted.five_qi);
    if ambr.is_none() && five_qi.is_none() {
        return Next::State(State::Active(connection));
    }
    let before = (granted.ambr, granted.five_qi);
    set(session, ambr.unwrap_or(before.0), five_qi.unwrap_or(before.1));
    let change = Modified { ambr, five_qi, ..Default::default() };
    let parts = core.network(session).and_then(|network| {
        let n1 = message::modification_command(session, 0, &change, network).ok()?;
        let connected = session.user_plane.as_ref().is_some_and(|u| u.connection == UpCnxState::Activated);
        let n2 = session
            .granted
            .as_ref()
            .filter(|_| connected)
            .map(|granted| n2::modify_request(granted, ambr, five_qi.is_some()));
        Some((n1, n2.transpose().ok()?))
    });
    let Some((n1, n2)) = parts else {
        set(session, before.0, before.1);
        return Next::State(State::Active(connection));
    };
    let n4 = ambr.and_then(|ambr| {
        let (upf, seid) = connection::endpoint(session)?;
        Some(core.out.n4(session.reference, upf, seid, n4::new_ambr(ambr)))
    });
    let n2 = n2.map(|n2| (transfer::N2Kind::ModifyRequest, n2));
    let transfer = Some(transfer::send(core, session, Some(n1.clone()), n2));
    tracing::info!(supi = %session.supi, session = %session.id, ?ambr, ?five_qi, "PDU session modified by policy");
    let command = Supervised::start(core.now, T3591, n1);
    let modification = Modification { command, pti: 0, transfer, n4, before: Some(before) };
    Next::State(State::ModificationPending(modification, connection))
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
            tracing::warn!(supi = %session.supi, session = %session.id, "UPF did not take the new session AMBR");
        }
        mine
    }

    /// The UPF has the session again; the request that restored it may be older than the modification.
    pub fn on_restored(&mut self, core: &mut Core<'_>, session: &PduSession) {
        if let (Some((upf, seid)), Some(granted)) = (connection::endpoint(session), &session.granted) {
            self.n4 = Some(core.out.n4(session.reference, upf, seid, n4::new_ambr(granted.ambr)));
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

    fn undo(self, core: &mut Core<'_>, session: &mut PduSession) {
        let Some((ambr, five_qi)) = self.before else { return };
        let changed = session.granted.as_ref().is_some_and(|granted| granted.ambr != ambr);
        set(session, ambr, five_qi);
        if let Some((upf, seid)) = connection::endpoint(session).filter(|_| changed) {
            // Its answer changes nothing here: a refusal leaves the newer AMBR enforced.
            let _ = core.out.n4(session.reference, upf, seid, n4::new_ambr(ambr));
        }
    }
}

fn set(session: &mut PduSession, ambr: Ambr, five_qi: u8) {
    if let Some(granted) = &mut session.granted {
        (granted.ambr, granted.five_qi) = (ambr, five_qi);
        if let Some(flow) = granted.flows.first_mut() {
            flow.five_qi = five_qi;
        }
    }
}
