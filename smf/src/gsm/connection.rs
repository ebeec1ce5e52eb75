//! The user-plane connection of an active session: its selective activation and deactivation
//! (TS 23.502 §4.2.3.2, §4.2.6, §4.3.7) and downlink data notification (§4.2.3.3).

use std::net::SocketAddr;

use tern_ngap::transfer::{GtpTunnel, PathSwitchRequest, SetupResponse, encode_path_switch_acknowledge};
use tern_pfcp::{Message, SessionModificationRequest};
use tern_sbi::nsmf_pdusession::{HoState, N2SmInfoType};
use tern_sbi::{Reply, TransportError};
use tern_types::{Duration, Instant};

use crate::context::{Change, Confirm, Connection, Granted, Later, PduSession, UpCnxState, UserPlane};
use crate::core::Core;
use crate::gsm::{Handover, admission};
use crate::io::Token;
use crate::sbi::pdu_session::{self, Updated};
use crate::sbi::transfer;
use crate::{n2, n4};

/// How long packets wait until the AMF is asked again for a UE that could not be paged just then.
const NOTIFY_AGAIN: Duration = Duration::from_secs(2);

/// Where the UPF's half of the session is reached.
pub fn endpoint(session: &PduSession) -> Option<(SocketAddr, u64)> {
    let user_plane = session.user_plane.as_ref()?;
    Some((user_plane.upf, user_plane.up_seid?))
}

/// The UPF's end of the tunnel.
pub fn uplink(session: &PduSession) -> Option<GtpTunnel> {
    session.user_plane.as_ref()?.uplink
}

/// Whether the UPF took a change.
pub fn accepted(answer: Option<&Message>) -> bool {
    matches!(answer, Some(Message::SessionModificationResponse(response)) if response.cause.is_accepted())
}

impl Connection {
    /// upCnxState DEACTIVATED: the access network has released its resources (TS 23.502 §4.2.6).
    pub fn deactivate(&mut self, core: &mut Core<'_>, session: &mut PduSession, answer: Option<Token>) {
        self.later = None;
        self.end_handover(core, session);
        if self.data_waits {
            // The connection went before the packets that it was set up for had left: the UPF has told of
            // them already.
            self.later = Some(Later::Notify(core.now + NOTIFY_AGAIN));
        }
        if let Some(user_plane) = &mut session.user_plane {
            user_plane.downlink = None;
        }
        self.change(core, session, n4::deactivation(), UpCnxState::Deactivated, answer);
    }

    /// upCnxState ACTIVATING: the access network is asked for its resources again.
    pub fn activate(&mut self, core: &mut Core<'_>, session: &mut PduSession, answer: Token) {
        let n2 = match (&session.granted, &session.user_plane) {
            (Some(granted), Some(user_plane)) => n2::setup_request(granted, user_plane).ok(),
            _ => None,
        };
        let (Some(n2), Some(user_plane)) = (n2, &mut session.user_plane) else {
            pdu_session::update_refused(core, answer, 403, "N2_SM_ERROR", None);
            return;
        };
        user_plane.connection = UpCnxState::Activating;
        let drops = matches!(self.later.take(), Some(Later::Buffer(_)));
        let updated = Updated {
            up_cnx_state: Some(UpCnxState::Activating),
            n2: Some((N2SmInfoType::PduResSetupReq, n2)),
            ..Default::default()
        };
        pdu_session::update_answered(core, answer, updated);
        if drops {
            // The UE is back: packets wait for the tunnel again.
            self.change(core, session, n4::deactivation(), UpCnxState::Activating, None);
        }
    }

    /// PDU_RES_SETUP_RSP.
    pub fn on_setup_response(
        &mut self,
        core: &mut Core<'_>,
        session: &mut PduSession,
        answer: Token,
        n2: &[u8],
    ) {
        let change = SetupResponse::decode(n2).ok().and_then(|response| {
            n4::activation(&response.downlink, uplink(session)).map(|change| (response, change))
        });
        let Some((response, change)) = change else {
            pdu_session::update_refused(core, answer, 403, "N2_SM_ERROR", None);
            return;
        };
        if let Some(user_plane) = &mut session.user_plane {
            user_plane.downlink = Some(response.downlink);
        }
        admission::refused(core, session, &response.failed, None);
        (self.data_waits, self.later) = (false, None);
        self.change(core, session, change, UpCnxState::Activated, Some(answer));
    }

    /// PDU_RES_MOD_IND: the access network moves its end of the tunnel (TS 38.413 §8.2.5).
    pub fn on_modify_indication(
        &mut self,
        core: &mut Core<'_>,
        session: &mut PduSession,
        answer: Token,
        octets: &[u8],
    ) {
        let taken = n2::modify_indication(octets).ok().and_then(|(downlink, flows)| {
            let user_plane = session.user_plane.as_mut().filter(|u| u.connection == UpCnxState::Activated)?;
            let confirm = n2::modify_confirm(user_plane, &flows).ok()?;
            let change = n4::activation(&downlink, user_plane.uplink)?;
            user_plane.downlink = Some(downlink);
            Some((change, confirm))
        });
        let Some((change, confirm)) = taken else {
            pdu_session::update_refused(core, answer, 403, "N2_SM_ERROR", None);
            return;
        };
        self.change(core, session, change, UpCnxState::Activated, Some(answer));
        if let Some(changing) = &mut self.changing {
            changing.confirm = Some(Confirm::Modified(confirm));
        }
    }

    /// PATH_SWITCH_REQ: the UE is in another gNB's cell (TS 29.502 §5.2.2.3, TS 23.502 §4.9.1.2.2).
    /// The UPF ends the tunnel to the one before.
    pub fn on_path_switch(
        &mut self,
        core: &mut Core<'_>,
        session: &mut PduSession,
        answer: Token,
        octets: &[u8],
    ) {
        let default_qfi = session.granted.as_ref().map(Granted::default_qfi);
        let request = PathSwitchRequest::decode(octets).ok();
        let request = request.filter(|request| request.flows.iter().any(|&qfi| Some(qfi) == default_qfi));
        let taken = request.and_then(|PathSwitchRequest { downlink, flows }| {
            let user_plane = session.user_plane.as_mut().filter(|u| u.connection == UpCnxState::Activated)?;
            let confirm = encode_path_switch_acknowledge(user_plane.uplink).ok()?;
            let change = n4::path_switch(&downlink, user_plane.uplink)?;
            user_plane.downlink = Some(downlink);
            Some((change, confirm, flows))
        });
        let Some((change, confirm, flows)) = taken else {
            return pdu_session::path_switch_refused(core, answer, 403, "N2_SM_ERROR");
        };
        core.out.count("smf.path_switch");
        // The target gNB has no resources for the others (TS 23.502 §4.9.1.2.2).
        let others = admission::not_among(session.granted.as_ref(), &flows);
        admission::refused(core, session, &others, None);
        self.change(core, session, change, UpCnxState::Activated, Some(answer));
        if let Some(changing) = &mut self.changing {
            changing.confirm = Some(Confirm::Switched(confirm));
        }
    }

    /// PDU_RES_SETUP_FAIL: the connection stays as it was before it was asked for.
    pub fn on_setup_failure(&mut self, core: &mut Core<'_>, session: &mut PduSession, answer: Token) {
        let updated = Updated { up_cnx_state: Some(UpCnxState::Deactivated), ..Default::default() };
        pdu_session::update_answered(core, answer, updated);
        if self.data_waits {
            return self.on_unreachable(core, session);
        }
        if let Some(user_plane) = &mut session.user_plane
            && user_plane.connection == UpCnxState::Activating
        {
            user_plane.connection = UpCnxState::Deactivated;
        }
    }

    /// The UPF's answer; `false` if it is not about the connection, or if the change was taken.
    /// `true` if the UPF has failed the session.
    pub fn on_n4(
        &mut self,
        core: &mut Core<'_>,
        session: &mut PduSession,
        token: Token,
        answer: Option<&Message>,
    ) -> bool {
        if self.on_forwarding(core, token, answer) {
            return false;
        }
        let Some(change) = self.changing.take_if(|change| change.n4 == Some(token)) else { return false };
        if !accepted(answer) {
            tracing::warn!(supi = %session.supi, session = %session.id, "UPF did not take a change");
            match (change.answer, change.confirm) {
                (Some(waiting), Some(Confirm::Switched(_))) => {
                    pdu_session::path_switch_refused(core, waiting, 504, "UPF_NOT_RESPONDING");
                }
                (Some(waiting), _) => {
                    pdu_session::update_refused(core, waiting, 504, "UPF_NOT_RESPONDING", None);
                }
                (None, _) => {}
            }
            return true;
        }
        if let Some(user_plane) = &mut session.user_plane {
            user_plane.connection = change.to;
        }
        if let Some(waiting) = change.answer {
            let n2 = |kind, transfer| Updated { n2: Some((kind, transfer)), ..Default::default() };
            let updated = match change.confirm {
                Some(Confirm::Modified(transfer)) => n2(N2SmInfoType::PduResModCfm, transfer),
                Some(Confirm::Switched(transfer)) => n2(N2SmInfoType::PathSwitchReqAck, transfer),
                Some(Confirm::HandedOver) => {
                    Updated { ho_state: Some(HoState::Completed), ..Default::default() }
                }
                None => Updated { up_cnx_state: Some(change.to), ..Default::default() },
            };
            pdu_session::update_answered(core, waiting, updated);
        }
        false
    }

    /// The UPF has lost the session: a change waits until it is restored.
    pub fn on_lost(&mut self, core: &mut Core<'_>) {
        self.forget_forwarding(core);
        if let Some(change) = &mut self.changing {
            change.n4 = None;
        }
    }

    /// The UPF has the session again, as it was before the change that waits.
    pub fn on_restored(&mut self, core: &mut Core<'_>, session: &PduSession) {
        let Some(change) = &mut self.changing else { return };
        let downlink = session.user_plane.as_ref().and_then(|user_plane| user_plane.downlink);
        let request = match change.to {
            UpCnxState::Activated => downlink.and_then(|downlink| n4::activation(&downlink, uplink(session))),
            UpCnxState::Activating | UpCnxState::Deactivated => Some(n4::deactivation()),
        };
        if let (Some(request), Some((upf, seid))) = (request, endpoint(session)) {
            change.n4 = Some(core.out.n4(session.reference, upf, seid, request));
        }
    }

    /// Downlink packets wait at the UPF: the AMF is asked for the access network's resources,
    /// once (TS 23.502 §4.2.3.3 step 3a).
    pub fn on_downlink_data(&mut self, core: &mut Core<'_>, session: &mut PduSession) {
        let deactivated =
            session.user_plane.as_ref().is_some_and(|u| u.connection == UpCnxState::Deactivated);
        self.data_waits |= deactivated;
        if self.notifying.is_some() || !deactivated {
            return;
        }
        if self.changing.is_some() {
            // The UPF tells but once: what it tells while it changes is looked at again.
            self.later.get_or_insert(Later::Notify(core.now + NOTIFY_AGAIN));
            return;
        }
        self.later = None;
        let (Some(granted), Some(user_plane)) = (&session.granted, &session.user_plane) else { return };
        let Ok(n2) = n2::setup_request(granted, user_plane) else { return };
        let awaited = transfer::send(core, session, None, Some((transfer::N2Kind::SetupRequest, n2)));
        self.notifying = Some(awaited.token());
        if let Some(user_plane) = &mut session.user_plane {
            user_plane.connection = UpCnxState::Activating;
        }
    }

    /// The AMF's answer to a downlink data notification.
    pub fn on_reply(
        &mut self,
        core: &mut Core<'_>,
        session: &mut PduSession,
        token: Token,
        reply: Result<Reply, TransportError>,
    ) {
        if self.notifying.take_if(|waiting| *waiting == token).is_none() {
            return;
        }
        let Err(error) = transfer::delivered(reply) else { return };
        tracing::info!(supi = %session.supi, session = %session.id, %error, "UE not reached for downlink data");
        if !error.for_now {
            return self.on_unreachable(core, session);
        }
        if let Some(user_plane) = &mut session.user_plane
            && user_plane.connection == UpCnxState::Activating
        {
            user_plane.connection = UpCnxState::Deactivated;
            self.later = Some(Later::Notify(core.now + NOTIFY_AGAIN));
        }
    }

    /// The UE is not reached for downlink data: the UPF drops what waits, and what comes for a while
    /// (TS 23.502 §4.2.3.3 step 3c).
    pub fn on_unreachable(&mut self, core: &mut Core<'_>, session: &mut PduSession) {
        let waits = session.user_plane.as_ref().is_some_and(|u| u.connection == UpCnxState::Activating);
        if !waits {
            return;
        }
        core.out.count("smf.ue_unreachable");
        (self.data_waits, self.notifying) = (false, None);
        let quiet = Duration::from_secs(core.config.timers.unreachable_s);
        self.later = Some(Later::Buffer(core.now + quiet));
        self.change(core, session, n4::discarding(), UpCnxState::Deactivated, None);
    }

    /// When something is to be done about a UE that was not reached, or about a handover.
    pub fn deadline(&self) -> Option<Instant> {
        let handover = self.handover.as_ref().map(Handover::deadline);
        self.later.map(Later::at).into_iter().chain(handover).min()
    }

    /// Time has passed.
    pub fn expire(&mut self, core: &mut Core<'_>, session: &mut PduSession) {
        if self.handover.as_ref().is_some_and(|handover| handover.deadline() <= core.now) {
            self.end_handover(core, session);
        }
        let Some(later) = self.later.take_if(|later| later.at() <= core.now) else { return };
        let deactivated =
            session.user_plane.as_ref().is_some_and(|u| u.connection == UpCnxState::Deactivated);
        match later {
            Later::Buffer(_) if deactivated => {
                self.change(core, session, n4::deactivation(), UpCnxState::Deactivated, None);
            }
            Later::Notify(_) if self.data_waits => self.on_downlink_data(core, session),
            Later::Buffer(_) | Later::Notify(_) => {}
        }
    }

    /// The requests of the AMF that wait, when the session is released.
    pub fn abandon(self, core: &mut Core<'_>) {
        let of_handover = self.handover.as_ref().and_then(Handover::waiting);
        for waiting in self.changing.and_then(|change| change.answer).into_iter().chain(of_handover) {
            pdu_session::update_refused(core, waiting, 404, "CONTEXT_NOT_FOUND", None);
        }
    }

    pub(super) fn change(
        &mut self,
        core: &mut Core<'_>,
        session: &PduSession,
        request: SessionModificationRequest,
        to: UpCnxState,
        answer: Option<Token>,
    ) {
        // A newer change replaces the one under way: the UPF takes both in their order.
        if let Some(waiting) = self.changing.take().and_then(|change| change.answer) {
            pdu_session::update_answered(core, waiting, Updated::default());
        }
        let n4 = match endpoint(session) {
            Some((upf, seid)) => Some(core.out.n4(session.reference, upf, seid, request)),
            None if session.user_plane.as_ref().is_some_and(UserPlane::is_lost) => None,
            None => {
                if let Some(answer) = answer {
                    pdu_session::update_refused(core, answer, 504, "UPF_NOT_RESPONDING", None);
                }
                return;
            }
        };
        self.changing = Some(Change { n4, answer, to, confirm: None });
    }
}
