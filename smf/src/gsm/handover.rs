//! Handover by N2, as far as a session's user plane is concerned: TS 29.502 §5.2.2.3.4, TS 23.502 §4.9.1.3.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_ngap::cause::{self, NgapCause};
use tern_ngap::ngap::CauseRadioNetwork;
use tern_ngap::transfer::{
    GtpTunnel, HandoverCommand, HandoverRequestAcknowledge, HandoverRequired,
    decode_handover_allocation_unsuccessful, encode_handover_preparation_unsuccessful,
};
use tern_pfcp::Message;
use tern_sbi::nsmf_pdusession::{HoState, N2SmInfoType};
use tern_types::{Duration, Instant, Qfi};

use super::admission;
use super::connection::{accepted, endpoint, uplink};
use crate::context::{Confirm, Connection, Granted, PduSession, UpCnxState};
use crate::core::Core;
use crate::io::Token;
use crate::sbi::pdu_session::{self, Updated};
use crate::{n2, n4};

/// How long a handover may take: the AMF has forgotten it by then.
const HANDOVER_WITHIN: Duration = Duration::from_secs(30);
/// How long the UPF forwards for the source gNB after the path was switched (TS 23.502 §4.9.1.3.3 step 15).
const FORWARDING_TIME: Duration = Duration::from_secs(2);

/// A handover that is under way, or whose packets may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    step: Step,
    /// Whether source and target gNB reach one another.
    direct: bool,
    /// Whether the UPF forwards from one to the other.
    forwarded: bool,
    /// Flows that the target gNB does not admit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refused: Vec<(Qfi, NgapCause)>,
    deadline: Instant,
}

/// Read downwards: the call flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    /// The target gNB is asked for resources.
    Preparing,
    /// The UPF is asked for a tunnel in which the source gNB's packets get to the target.
    Tunnelling { n4: Token, answer: Token, downlink: GtpTunnel, flows: Vec<Qfi> },
    /// The target gNB's end of the tunnel is known; packets still go to the source.
    Prepared { downlink: GtpTunnel },
    /// Packets go to the target.
    Switched,
}

impl Handover {
    /// When something is to be done about it.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The request of the AMF that waits for the UPF.
    pub(super) fn waiting(&self) -> Option<Token> {
        match &self.step {
            Step::Tunnelling { answer, .. } => Some(*answer),
            _ => None,
        }
    }
}

impl Connection {
    /// hoState PREPARING, HANDOVER_REQUIRED: what the target gNB is asked for.
    pub fn on_handover_required(
        &mut self,
        core: &mut Core<'_>,
        session: &PduSession,
        answer: Token,
        octets: &[u8],
    ) {
        let request = match (&session.granted, &session.user_plane) {
            (Some(granted), Some(user_plane)) if user_plane.connection == UpCnxState::Activated => {
                n2::setup_request(granted, user_plane).ok()
            }
            _ => None,
        };
        let (Some(request), Ok(required)) = (request, HandoverRequired::decode(octets)) else {
            return pdu_session::handover_refused(core, answer, 403, "N2_SM_ERROR");
        };
        // What is left of an earlier one.
        self.end_handover(core, session);
        core.out.count("smf.handover.prepared");
        self.handover = Some(Handover {
            step: Step::Preparing,
            direct: required.direct_forwarding,
            forwarded: false,
            refused: Vec::new(),
            deadline: core.now + HANDOVER_WITHIN,
        });
        let n2 = Some((N2SmInfoType::PduResSetupReq, request));
        pdu_session::update_answered(
            core,
            answer,
            Updated { n2, ho_state: Some(HoState::Preparing), ..Default::default() },
        );
    }

    /// hoState PREPARED, HANDOVER_REQ_ACK: the target gNB has its end of the tunnel, and one for packets that
    /// the source gNB forwards, which may have to go by the UPF.
    pub fn on_handover_acknowledged(
        &mut self,
        core: &mut Core<'_>,
        session: &PduSession,
        answer: Token,
        octets: &[u8],
    ) {
        let default_qfi = session.granted.as_ref().map(Granted::default_qfi);
        let acknowledge = HandoverRequestAcknowledge::decode(octets).ok();
        let acknowledge = acknowledge.filter(|acknowledge| {
            let has_default = acknowledge.flows.iter().any(|&(qfi, _)| Some(qfi) == default_qfi);
            has_default && n4::path_switch(&acknowledge.downlink, uplink(session)).is_some()
        });
        let handover = self.handover.as_mut().filter(|handover| handover.step == Step::Preparing);
        let (Some(acknowledge), Some(handover)) = (acknowledge, handover) else {
            return pdu_session::handover_refused(core, answer, 403, "N2_SM_ERROR");
        };
        let HandoverRequestAcknowledge { downlink, forwarding, flows, failed } = acknowledge;
        handover.refused = failed;
        let flows: Vec<Qfi> =
            flows.into_iter().filter(|(_, forwarded)| *forwarded).map(|(qfi, _)| qfi).collect();
        let forwarding = forwarding.filter(|_| !flows.is_empty());
        let by_upf = forwarding.as_ref().filter(|_| !handover.direct);
        if let Some(request) = by_upf.and_then(|to| n4::forwarding(to, uplink(session)))
            && let Some((upf, seid)) = endpoint(session)
        {
            let n4 = core.out.n4(session.reference, upf, seid, request);
            handover.step = Step::Tunnelling { n4, answer, downlink, flows };
            return;
        }
        handover.step = Step::Prepared { downlink };
        let forwarding = forwarding.filter(|_| handover.direct);
        let flows = if forwarding.is_some() { flows } else { Vec::new() };
        command(core, answer, HandoverCommand { forwarding, flows });
    }

    /// The UPF's answer about a tunnel between the gNBs; `false` if it is about something else. Without a
    /// tunnel nothing is forwarded.
    pub(super) fn on_forwarding(
        &mut self,
        core: &mut Core<'_>,
        token: Token,
        answer: Option<&Message>,
    ) -> bool {
        let Some(handover) = &mut self.handover else { return false };
        let Step::Tunnelling { n4, answer: waiting, downlink, flows } = &mut handover.step else {
            return false;
        };
        if *n4 != token {
            return false;
        }
        let (waiting, downlink, flows) = (*waiting, *downlink, std::mem::take(flows));
        let tunnel = answer.filter(|answer| accepted(Some(answer))).and_then(n4::forwarding_tunnel);
        handover.step = Step::Prepared { downlink };
        handover.forwarded = tunnel.is_some();
        if tunnel.is_none() {
            core.out.count("smf.handover.not_forwarded");
        }
        let flows = if tunnel.is_some() { flows } else { Vec::new() };
        command(core, waiting, HandoverCommand { forwarding: tunnel, flows });
        true
    }

    /// HANDOVER_RES_ALLOC_FAIL: the target gNB has no resources for the session, and the source gNB is told.
    pub fn on_handover_not_allocated(
        &mut self,
        core: &mut Core<'_>,
        session: &PduSession,
        answer: Token,
        octets: &[u8],
    ) {
        self.end_handover(core, session);
        let unspecified = || NgapCause::of(&cause::radio_network(CauseRadioNetwork::unspecified));
        let why = decode_handover_allocation_unsuccessful(octets).unwrap_or_else(|_| unspecified());
        let n2 = encode_handover_preparation_unsuccessful(why).ok();
        let n2 = n2.map(|transfer: Bytes| (N2SmInfoType::HandoverPrepFail, transfer));
        pdu_session::update_answered(
            core,
            answer,
            Updated { n2, ho_state: Some(HoState::None), ..Default::default() },
        );
    }

    /// hoState COMPLETED: the UE is in the target gNB's cell. The UPF ends the tunnel to the one before.
    pub fn on_handover_completed(&mut self, core: &mut Core<'_>, session: &mut PduSession, answer: Token) {
        let downlink = match &self.handover {
            Some(Handover { step: Step::Prepared { downlink }, .. }) => Some(*downlink),
            _ => None,
        };
        let uplink = uplink(session);
        let change = downlink.and_then(|downlink| n4::path_switch(&downlink, uplink));
        let (Some(change), Some(user_plane)) = (change, &mut session.user_plane) else {
            return pdu_session::update_refused(core, answer, 403, "N2_SM_ERROR", None);
        };
        core.out.count("smf.handover.completed");
        user_plane.downlink = downlink;
        self.change(core, session, change, UpCnxState::Activated, Some(answer));
        if let Some(changing) = &mut self.changing {
            changing.confirm = Some(Confirm::HandedOver);
        }
        let handover = self.handover.take();
        let refused = handover.as_ref().map_or(&[][..], |handover| &handover.refused);
        admission::refused(core, session, refused, None);
        let forwarded = handover.filter(|handover| handover.forwarded);
        self.handover = forwarded.map(|handover| Handover {
            step: Step::Switched,
            deadline: core.now + FORWARDING_TIME,
            ..handover
        });
    }

    /// hoState CANCELLED: packets go where they went.
    pub fn on_handover_cancelled(&mut self, core: &mut Core<'_>, session: &PduSession, answer: Token) {
        core.out.count("smf.handover.cancelled");
        self.end_handover(core, session);
        let updated = Updated { ho_state: Some(HoState::Cancelled), ..Default::default() };
        pdu_session::update_answered(core, answer, updated);
    }

    /// Nothing is left of a handover, neither here nor at the UPF.
    pub(super) fn end_handover(&mut self, core: &mut Core<'_>, session: &PduSession) {
        let Some(handover) = self.handover.take() else { return };
        let asked = matches!(handover.step, Step::Tunnelling { .. });
        if let Step::Tunnelling { answer, .. } = handover.step {
            pdu_session::handover_refused(core, answer, 403, "N2_SM_ERROR");
        }
        if let Some((upf, seid)) = endpoint(session).filter(|_| handover.forwarded || asked) {
            // Whatever it answers, it forwards no longer.
            let _ = core.out.n4(session.reference, upf, seid, n4::forwarding_end());
        }
    }

    /// The UPF has lost the session, and with it what it forwards.
    pub(super) fn forget_forwarding(&mut self, core: &mut Core<'_>) {
        let Some(handover) = &mut self.handover else { return };
        handover.forwarded = false;
        if let Step::Tunnelling { answer, downlink, .. } = handover.step {
            handover.step = Step::Prepared { downlink };
            command(core, answer, HandoverCommand::default());
        }
    }
}

fn command(core: &mut Core<'_>, answer: Token, command: HandoverCommand) {
    match command.encode() {
        Ok(transfer) => {
            let n2 = Some((N2SmInfoType::HandoverCmd, transfer));
            let updated = Updated { n2, ho_state: Some(HoState::Prepared), ..Default::default() };
            pdu_session::update_answered(core, answer, updated);
        }
        Err(error) => {
            tracing::error!(%error, "Handover Command Transfer not encoded");
            pdu_session::handover_refused(core, answer, 403, "N2_SM_ERROR");
        }
    }
}
