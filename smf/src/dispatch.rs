//! Which procedure of a session an input belongs to: state by event.

use bytes::Bytes;
use tern_nas::DecodeError;
use tern_pfcp::{Message, PfcpSrReqFlags, ReportType};
use tern_sbi::nsmf_pdusession::{
    Cause as AmfCause, HoState, N2SmInfoType, UpCnxState as UpCnxStateText, UpdateSmContext,
};

use crate::cause::GsmCause;
use crate::context::{Next, PduSession, State};
use crate::core::Core;
use crate::gsm::message::{self, Content, Uplink};
use crate::gsm::{Cause, Establishment, Waiting, admission, modification_answered, modify, release};
use crate::io::{Report, Token};
use crate::restoration;
use crate::sbi::pdu_session::{self, Updated};

/// Update SM Context (TS 29.502 §5.2.2.3): one of its purposes at a time, in this order.
pub fn on_update(
    core: &mut Core<'_>,
    session: &mut PduSession,
    state: State,
    answer: Token,
    operation: UpdateSmContext,
) -> Next {
    session.unused = false;
    let data = operation.data;
    if let Some(status) = data.sm_context_status_uri.as_deref().and_then(tern_sbi::Location::parse) {
        session.status = status;
    }
    if let Some(amf) = data.serving_nf_id {
        session.amf = amf;
    }
    session.guami = data.guami.or(session.guami);
    if data.release == Some(true) {
        return on_release_asked(core, session, state, data.cause, answer);
    }
    if let Some(octets) = operation.n1_sm_msg {
        return on_n1(core, session, state, answer, &octets);
    }
    if let Some(ho_state) = data.ho_state {
        let n2 = (data.n2_sm_info_type, operation.n2_sm_info.unwrap_or_default());
        return on_handover(core, session, state, answer, &ho_state, n2);
    }
    if let Some(kind) = data.n2_sm_info_type {
        let octets = operation.n2_sm_info.unwrap_or_default();
        return on_n2(core, session, state, answer, &kind, &octets);
    }
    match data.up_cnx_state {
        Some(UpCnxStateText::Deactivated) => on_deactivated(core, session, state, answer),
        Some(UpCnxStateText::Activating) => on_activating(core, session, state, answer),
        _ => {
            pdu_session::update_answered(core, answer, Updated::default());
            Next::State(state)
        }
    }
}

/// An uplink 5GSM message.
fn on_n1(core: &mut Core<'_>, session: &mut PduSession, state: State, answer: Token, octets: &[u8]) -> Next {
    let uplink = match message::read(octets) {
        Ok(uplink) => uplink,
        Err(error) => {
            tracing::warn!(supi = %session.supi, session = %session.id, %error, "5GSM message not understood");
            core.out.count("smf.nas.decode_error");
            let n1 = match error {
                DecodeError::Syntax { answer, .. } => answer,
                _ => None,
            };
            pdu_session::update_refused(core, answer, 403, "N1_SM_ERROR", n1);
            return Next::State(state);
        }
    };
    let Uplink { id, pti, content } = uplink;
    if id != session.id.get() {
        let n1 = message::status(id, pti, GsmCause::InvalidPduSessionIdentity).ok();
        pdu_session::update_refused(core, answer, 403, "N1_SM_ERROR", n1);
        return Next::State(state);
    }
    match content {
        Content::ReleaseRequest | Content::ModificationRequest(_) if pti == 0 => {
            // A request has a PTI (TS 24.501 §7.3.1).
            let n1 = message::status(id, pti, GsmCause::InvalidPtiValue).ok();
            pdu_session::update_refused(core, answer, 403, "N1_SM_ERROR", n1);
            Next::State(state)
        }
        Content::ReleaseRequest => on_release_request(core, session, state, pti, answer),
        Content::ModificationRequest(request) => match state {
            State::Active(connection) => modify(core, session, connection, pti, &request, answer),
            State::ModificationPending(modification, connection) => {
                modification.on_request(core, pti, answer);
                Next::State(State::ModificationPending(modification, connection))
            }
            // The release goes on (TS 24.501 §6.3.3.5 b).
            State::InactivePending(release) => {
                pdu_session::update_answered(core, answer, Updated::default());
                Next::State(State::InactivePending(release))
            }
            state => {
                // It is inactive (TS 24.501 §6.4.2.6 b).
                let cause = GsmCause::InvalidPduSessionIdentity;
                let n1 = message::modification_reject(id, pti, cause).ok();
                pdu_session::update_answered(core, answer, Updated { n1, ..Updated::default() });
                Next::State(state)
            }
        },
        Content::EstablishmentRequest(_) | Content::Other => {
            let n1 = message::status(id, pti, GsmCause::MessageTypeNotCompatible).ok();
            pdu_session::update_refused(core, answer, 403, "N1_SM_ERROR", n1);
            Next::State(state)
        }
        response => {
            pdu_session::update_answered(core, answer, Updated::default());
            on_response(core, session, state, response)
        }
    }
}

/// A 5GSM message that has no answer of its own.
fn on_response(core: &mut Core<'_>, session: &mut PduSession, state: State, content: Content) -> Next {
    match (content, state) {
        (Content::ReleaseComplete, State::InactivePending(release)) => release.on_complete(core, session),
        (Content::ModificationComplete, State::ModificationPending(modification, connection)) => {
            modification.on_complete(core, session, connection)
        }
        (Content::ModificationCommandReject(cause), State::ModificationPending(modification, connection)) => {
            modification.on_command_reject(core, session, connection, cause)
        }
        (Content::Status(cause), state) => on_status(core, session, state, cause),
        (content, state) => {
            tracing::debug!(supi = %session.supi, session = %session.id, ?content, state = state.name(), "ignored");
            core.out.count("smf.nas.unexpected");
            Next::State(state)
        }
    }
}

/// 5GSM STATUS (TS 24.501 §6.5.3): #43 ends the session; another cause that refuses a command
/// ends its procedure.
fn on_status(core: &mut Core<'_>, session: &mut PduSession, state: State, cause: u8) -> Next {
    const INVALID_ID: u8 = GsmCause::InvalidPduSessionIdentity.value();
    tracing::info!(supi = %session.supi, session = %session.id, cause, "5GSM STATUS");
    match state {
        State::InactivePending(release) if cause == INVALID_ID => release.on_complete(core, session),
        State::Active(connection) if cause == INVALID_ID => {
            connection.abandon(core);
            release::locally(core, session, Cause::Commanded)
        }
        State::ModificationPending(modification, connection) => {
            modification.on_command_reject(core, session, connection, cause)
        }
        state => Next::State(state),
    }
}

/// PDU SESSION RELEASE REQUEST.
fn on_release_request(
    core: &mut Core<'_>,
    session: &mut PduSession,
    state: State,
    pti: u8,
    answer: Token,
) -> Next {
    match state {
        State::InactivePending(release) => {
            release.on_request(core, pti, answer);
            Next::State(State::InactivePending(release))
        }
        State::Active(connection) | State::ModificationPending(_, connection) => {
            connection.abandon(core);
            release::requested(core, session, pti, answer)
        }
        State::Inactive(establishment) => {
            answer_waiting(core, session, establishment);
            release::requested(core, session, pti, answer)
        }
    }
}

/// The AMF asks for the session's release (TS 29.502 §5.2.2.3).
fn on_release_asked(
    core: &mut Core<'_>,
    session: &mut PduSession,
    state: State,
    cause: Option<AmfCause>,
    answer: Token,
) -> Next {
    let connection = match state {
        State::InactivePending(release) => {
            pdu_session::update_answered(core, answer, Updated::default());
            return Next::State(State::InactivePending(release));
        }
        State::Inactive(establishment) => {
            answer_waiting(core, session, establishment);
            None
        }
        State::Active(connection) | State::ModificationPending(_, connection) => Some(connection),
    };
    if let Some(connection) = connection {
        connection.abandon(core);
    }
    match cause {
        // The UE has no such session: there is nobody to command.
        Some(AmfCause::PduSessionStatusMismatch) => {
            pdu_session::update_answered(core, answer, Updated::default());
            release::locally(core, session, Cause::Commanded)
        }
        Some(AmfCause::RelDueToReactivation) => {
            release::asked_by_amf(core, session, GsmCause::ReactivationRequested, answer)
        }
        _ => release::asked_by_amf(core, session, GsmCause::RegularDeactivation, answer),
    }
}

/// N2 SM information, by its N2SmInfoType of TS 29.502.
fn on_n2(
    core: &mut Core<'_>,
    session: &mut PduSession,
    state: State,
    answer: Token,
    kind: &N2SmInfoType,
    octets: &[u8],
) -> Next {
    match (kind, state) {
        (N2SmInfoType::PduResSetupRsp, State::Inactive(establishment)) => {
            establishment.on_setup_response(core, session, answer, octets)
        }
        (N2SmInfoType::PduResSetupFail, State::Inactive(establishment)) => {
            establishment.on_setup_failure(core, session, answer)
        }
        (N2SmInfoType::PduResSetupRsp, State::Active(mut connection)) => {
            connection.on_setup_response(core, session, answer, octets);
            Next::State(State::Active(connection))
        }
        (N2SmInfoType::PduResSetupRsp, State::ModificationPending(modification, mut connection)) => {
            connection.on_setup_response(core, session, answer, octets);
            Next::State(State::ModificationPending(modification, connection))
        }
        (N2SmInfoType::PduResModInd, State::Active(mut connection)) => {
            connection.on_modify_indication(core, session, answer, octets);
            Next::State(State::Active(connection))
        }
        // The gNB passes the command on only with resources that it modifies (TS 38.413 §8.2.3.2).
        (N2SmInfoType::PduResModFail, State::ModificationPending(modification, connection)) => {
            pdu_session::update_answered(core, answer, Updated::default());
            modification.on_not_delivered(core, session, connection)
        }
        (N2SmInfoType::PduResSetupFail, State::Active(mut connection)) => {
            connection.on_setup_failure(core, session, answer);
            Next::State(State::Active(connection))
        }
        (N2SmInfoType::PathSwitchReq, State::Active(mut connection)) => {
            connection.on_path_switch(core, session, answer, octets);
            Next::State(State::Active(connection))
        }
        (N2SmInfoType::PathSwitchReq, State::ModificationPending(modification, mut connection)) => {
            connection.on_path_switch(core, session, answer, octets);
            Next::State(State::ModificationPending(modification, connection))
        }
        (N2SmInfoType::PathSwitchReq, state) => {
            pdu_session::path_switch_refused(core, answer, 403, "N2_SM_ERROR");
            Next::State(state)
        }
        // The target gNB has no resources for it: the session stays without a user plane
        // (TS 23.502 §4.9.1.2.2 step 1).
        (N2SmInfoType::PduResNtyRel | N2SmInfoType::PathSwitchSetupFail, state) => {
            on_deactivated(core, session, state, answer)
        }
        (
            N2SmInfoType::PduResRelRsp | N2SmInfoType::PduResSetupFail | N2SmInfoType::PduResSetupRsp,
            State::InactivePending(release),
        ) => {
            pdu_session::update_answered(core, answer, Updated::default());
            if *kind == N2SmInfoType::PduResSetupRsp {
                // The resources came up while they were being released: the command follows.
                return Next::State(State::InactivePending(release));
            }
            release.on_access_released(core, session)
        }
        (N2SmInfoType::PduResModRsp, state) => {
            admission::on_modify_response(core, session, state, answer, octets)
        }
        (N2SmInfoType::PduResNty, state) => admission::on_notify(core, session, state, answer, octets),
        // Nothing follows from these: resources that a session before this one had are gone.
        (
            N2SmInfoType::PduResRelRsp
            | N2SmInfoType::PduResModFail
            | N2SmInfoType::PduResSetupFail
            | N2SmInfoType::SecondaryRatUsage,
            state,
        ) => {
            tracing::debug!(supi = %session.supi, session = %session.id, %kind, "N2 SM information noted");
            pdu_session::update_answered(core, answer, Updated::default());
            Next::State(state)
        }
        (kind, state) => {
            tracing::warn!(supi = %session.supi, session = %session.id, %kind, "N2 SM information not served");
            pdu_session::update_refused(core, answer, 403, "N2_SM_ERROR", None);
            Next::State(state)
        }
    }
}

/// A handover by N2 (TS 29.502 §5.2.2.3.4).
fn on_handover(
    core: &mut Core<'_>,
    session: &mut PduSession,
    state: State,
    answer: Token,
    ho_state: &HoState,
    (kind, octets): (Option<N2SmInfoType>, Bytes),
) -> Next {
    let (modification, mut connection) = match state {
        State::Active(connection) => (None, connection),
        State::ModificationPending(modification, connection) => (Some(modification), connection),
        state => {
            // It is not there yet, or not any more.
            match ho_state {
                HoState::Cancelled => pdu_session::update_answered(core, answer, Updated::default()),
                _ => pdu_session::handover_refused(core, answer, 403, "N2_SM_ERROR"),
            }
            return Next::State(state);
        }
    };
    match (ho_state, kind) {
        (HoState::Preparing, Some(N2SmInfoType::HandoverRequired)) => {
            connection.on_handover_required(core, session, answer, &octets);
        }
        (HoState::Prepared, Some(N2SmInfoType::HandoverReqAck)) => {
            connection.on_handover_acknowledged(core, session, answer, &octets);
        }
        (HoState::Prepared, Some(N2SmInfoType::HandoverResAllocFail)) => {
            connection.on_handover_not_allocated(core, session, answer, &octets);
        }
        (HoState::Completed, _) => connection.on_handover_completed(core, session, answer),
        (HoState::Cancelled, _) => connection.on_handover_cancelled(core, session, answer),
        _ => pdu_session::handover_refused(core, answer, 403, "N2_SM_ERROR"),
    }
    Next::State(match modification {
        Some(modification) => State::ModificationPending(modification, connection),
        None => State::Active(connection),
    })
}

fn on_deactivated(core: &mut Core<'_>, session: &mut PduSession, state: State, answer: Token) -> Next {
    match state {
        State::Active(mut connection) => {
            connection.deactivate(core, session, Some(answer));
            Next::State(State::Active(connection))
        }
        State::ModificationPending(modification, mut connection) => {
            connection.deactivate(core, session, Some(answer));
            Next::State(State::ModificationPending(modification, connection))
        }
        // The access network went before it answered: so did the accept.
        State::Inactive(establishment) => establishment.on_setup_failure(core, session, answer),
        State::InactivePending(release) => {
            pdu_session::update_answered(core, answer, Updated::default());
            release.on_access_released(core, session)
        }
    }
}

fn on_activating(core: &mut Core<'_>, session: &mut PduSession, state: State, answer: Token) -> Next {
    match state {
        State::Active(mut connection) => {
            connection.activate(core, session, answer);
            Next::State(State::Active(connection))
        }
        State::ModificationPending(modification, mut connection) => {
            connection.activate(core, session, answer);
            Next::State(State::ModificationPending(modification, connection))
        }
        state => {
            pdu_session::update_refused(core, answer, 403, "N2_SM_ERROR", None);
            Next::State(state)
        }
    }
}

/// Release SM Context (TS 29.502 §5.2.2.4): the AMF has forgotten the session.
pub fn on_released_by_amf(core: &mut Core<'_>, session: &mut PduSession, state: State) -> Next {
    match state {
        State::InactivePending(release) => release.on_released_by_amf(core, session),
        State::Active(connection) | State::ModificationPending(_, connection) => {
            connection.abandon(core);
            release::locally(core, session, Cause::ByAmf)
        }
        State::Inactive(establishment) => abandon(core, session, establishment, Cause::ByAmf),
    }
}

/// Another session has this one's identity now.
pub fn on_replaced(core: &mut Core<'_>, session: &mut PduSession, state: State, notify: bool) -> Next {
    match state {
        State::Inactive(establishment) => answer_waiting(core, session, establishment),
        State::Active(connection) | State::ModificationPending(_, connection) => connection.abandon(core),
        // It goes its own way already; its end must not end the new session's registration.
        State::InactivePending(release) => return release.on_replaced(core, session, notify),
    }
    release::replaced(core, session, notify)
}

/// Ends an establishment that is under way.
pub fn abandon(
    core: &mut Core<'_>,
    session: &mut PduSession,
    establishment: Establishment,
    cause: Cause,
) -> Next {
    answer_waiting(core, session, establishment);
    release::locally(core, session, cause)
}

fn answer_waiting(core: &mut Core<'_>, session: &mut PduSession, establishment: Establishment) {
    let (id, pti) = (session.id.get(), session.request.pti);
    let (waiting, unfinished) = establishment.abandon();
    session.unfinished = unfinished;
    match waiting {
        Some(Waiting::Creation(answer)) => {
            let n1 = message::establishment_reject(
                id,
                pti,
                crate::cause::Refusal::InvalidRequest(GsmCause::RequestRejected),
            );
            pdu_session::create_superseded(core, answer, n1.ok());
        }
        Some(Waiting::Update(answer)) => pdu_session::update_answered(core, answer, Updated::default()),
        None => {}
    }
}

/// The UPF's answer to a session request.
pub fn on_n4(
    core: &mut Core<'_>,
    session: &mut PduSession,
    state: State,
    token: Token,
    answer: Option<Message>,
) -> Next {
    if session.user_plane.as_ref().is_some_and(|user_plane| user_plane.restoring == Some(token)) {
        return restoration::on_answer(core, session, state, answer);
    }
    match state {
        State::Inactive(establishment) => establishment.on_n4(core, session, token, answer),
        State::Active(connection) if connection.awaits_modification(token) => {
            modification_answered(core, session, connection, answer.as_ref())
        }
        State::Active(mut connection) => {
            if connection.on_n4(core, session, token, answer.as_ref()) {
                return release::by_network(core, session, GsmCause::NetworkFailure);
            }
            Next::State(State::Active(connection))
        }
        State::ModificationPending(mut modification, mut connection) => {
            let mine = modification.on_n4(session, token, answer.as_ref());
            if !mine && connection.on_n4(core, session, token, answer.as_ref()) {
                return release::by_network(core, session, GsmCause::NetworkFailure);
            }
            Next::State(State::ModificationPending(modification, connection))
        }
        State::InactivePending(release) => release.on_n4(core, session, token, answer),
    }
}

/// A report of the UPF about the session (TS 29.244 §7.5.8).
pub fn on_report(core: &mut Core<'_>, session: &mut PduSession, state: State, report: &Report) -> Next {
    let report = &report.message;
    release::add_usage(&mut session.usage, &report.usage_report);
    let has = |kind| report.report_type.contains(kind);
    if report.flags.is_some_and(|flags| flags.contains(PfcpSrReqFlags::PSDBU)) {
        tracing::warn!(supi = %session.supi, session = %session.id, "UPF deleted the session");
        return on_user_plane_lost(core, session, state);
    }
    let (modification, mut connection) = match state {
        State::Active(connection) => (None, connection),
        State::ModificationPending(modification, connection) => (Some(modification), connection),
        state => return Next::State(state),
    };
    if has(ReportType::ERIR) {
        // The access network does not know the tunnel: it is set up again when packets come
        // (TS 23.527 §5.3.2).
        tracing::warn!(supi = %session.supi, session = %session.id, "access network lost the tunnel");
        core.out.count("smf.n4.error_indication");
        connection.deactivate(core, session, None);
    }
    if has(ReportType::DLDR) {
        connection.on_downlink_data(core, session);
    }
    Next::State(match modification {
        Some(modification) => State::ModificationPending(modification, connection),
        None => State::Active(connection),
    })
}

/// The AMF has paged the UE in vain (TS 29.518 §5.2.2.3.2).
pub fn on_transfer_failure(core: &mut Core<'_>, session: &mut PduSession, state: State) -> Next {
    tracing::info!(supi = %session.supi, session = %session.id, "the UE does not answer its page");
    match state {
        State::Active(mut connection) => {
            connection.on_unreachable(core, session);
            Next::State(State::Active(connection))
        }
        State::ModificationPending(modification, mut connection) => {
            connection.on_unreachable(core, session);
            modification.on_not_delivered(core, session, connection)
        }
        State::InactivePending(release) => release.on_not_delivered(core, session),
        state @ State::Inactive(_) => Next::State(state),
    }
}

/// The UPF has no session any more: the UE is told to set it up again.
pub fn on_user_plane_lost(core: &mut Core<'_>, session: &mut PduSession, state: State) -> Next {
    if let Some(user_plane) = &mut session.user_plane {
        (user_plane.up_seid, user_plane.restoring) = (None, None);
    }
    without_user_plane(core, session, state)
}

/// The session cannot go on at its UPF: the UE is told to set it up again.
pub fn without_user_plane(core: &mut Core<'_>, session: &mut PduSession, state: State) -> Next {
    match state {
        State::Inactive(establishment) => establishment.on_user_plane_lost(core, session),
        State::Active(connection) | State::ModificationPending(_, connection) => {
            connection.abandon(core);
            release::by_network(core, session, GsmCause::ReactivationRequested)
        }
        State::InactivePending(release) => release.on_user_plane_lost(core, session),
    }
}
