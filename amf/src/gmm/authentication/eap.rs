//! EAP based primary authentication: TS 24.501 §5.4.1.2, TS 33.501 §6.1.3.1.
//!
//! The AUSF is the server. The AMF passes packets on and looks at no more of them than their code and
//! identifier (RFC 3748 §2.3).

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_eap::{Code, header};
use tern_nas::nas_5gs::{
    NasAbba, NasAuthenticationRequest, NasAuthenticationResponse, NasAuthenticationResult, NasEapMessage,
};
use tern_nas::registration;
use tern_sbi::common::Base64;
use tern_sbi::nausf_auth::{AuthData, AuthResult, EapAuthMethod, EapSession, UeAuthenticationCtx};
use tern_sbi::{Location, Operation, PathParams};
use tracing::{debug, warn};

use super::{ABBA, Authenticated, Authentication, Next, NotAuthenticated, Step};
use crate::Amf;
use crate::error::Refusal;
use crate::gmm::{self, Progress};
use crate::sbi::ausf;
use crate::supervised::{Protection, T3560};
use crate::ue::UeContext;

/// An EAP session at the AUSF.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Session {
    /// The request that awaits the UE's response.
    request: Bytes,
    /// Where responses go.
    uri: Location,
}

impl Session {
    /// The session that the AUSF has begun.
    pub(super) fn of(context: &UeAuthenticationCtx) -> Option<Self> {
        let AuthData::EapPayload(Base64(request)) = &context.auth_data else { return None };
        Self::at(request, &context.eap_session_uri()?)
    }

    fn at(request: &[u8], uri: &str) -> Option<Self> {
        let uri = Location::parse(uri)?;
        PathParams::matching(EapAuthMethod::PATH, &uri.path)?;
        let request = Bytes::copy_from_slice(request);
        matches!(header(&request), Ok((Code::Request, _))).then_some(Self { request, uri })
    }

    /// The same with the AUSF's next request.
    fn with(&self, request: &[u8]) -> Option<Self> {
        let request = Bytes::copy_from_slice(request);
        let uri = self.uri.clone();
        matches!(header(&request), Ok((Code::Request, _))).then_some(Self { request, uri })
    }

    /// RFC 3748 §4.1: any other packet is discarded.
    fn is_answered_by(&self, packet: &[u8]) -> bool {
        match (header(packet), header(&self.request)) {
            (Ok((Code::Response, identifier)), Ok((_, wanted))) => identifier == wanted,
            _ => false,
        }
    }
}

impl Authentication {
    /// An EAP request goes to the UE (TS 24.501 §5.4.1.2).
    pub(super) fn pass_request(mut self, ue: &mut UeContext, amf: &mut Amf, session: Session) -> Next {
        let abba = NasAbba::new(ABBA.to_vec());
        let message = NasAuthenticationRequest::new(registration::ngksi(Some(self.ksi)), abba)
            .with_eap_message(NasEapMessage::new(session.request.to_vec()));
        let sent = gmm::send_supervised(ue, amf, T3560, message, Protection::Current);
        self.step = Step::PassingOn(session, sent);
        Progress::Running(self)
    }

    /// The UE's EAP response goes to the AUSF. What is no response to the request is discarded: T3560 has
    /// the request sent again.
    pub(super) fn pass_response(
        mut self,
        ue: &mut UeContext,
        amf: &mut Amf,
        response: &NasAuthenticationResponse,
    ) -> Next {
        let Step::PassingOn(session, _) = &self.step else { return Progress::Running(self) };
        let packet = response.eap_message.as_ref().map(|ie| &ie.value[..]);
        let Some(packet) = packet.filter(|packet| session.is_answered_by(packet)) else {
            debug!(ue = ue.name(), "no response to the EAP request");
            amf.count("amf.gmm.eap_discarded");
            return Progress::Running(self);
        };
        match ausf::pass_on(ue, amf, &session.uri, packet) {
            Some(awaited) => {
                self.step = Step::Judging(session.clone(), awaited);
                Progress::Running(self)
            }
            None => Progress::Failed(NotAuthenticated::Refused(Refusal::Congestion)),
        }
    }

    /// What the AUSF says of a response.
    pub(super) fn judged(
        self,
        ue: &mut UeContext,
        amf: &mut Amf,
        session: &Session,
        answer: EapSession,
    ) -> Next {
        let packet = &answer.eap_payload.0;
        let code = header(packet).map(|(code, _)| code);
        match (answer.auth_result, code) {
            (None | Some(AuthResult::AuthenticationOngoing), Ok(Code::Request)) => {
                match session.with(packet) {
                    Some(session) => self.pass_request(ue, amf, session),
                    None => self.no_session(ue),
                }
            }
            (Some(AuthResult::AuthenticationSuccess), Ok(Code::Success)) => {
                let (Some(supi), Some(k_seaf)) = (answer.supi, answer.k_seaf) else {
                    return self.no_session(ue);
                };
                let k_seaf = tern_crypto::KSeaf::from(*k_seaf.expose());
                let k_amf = tern_crypto::k_amf(&k_seaf, &supi.to_string(), &ABBA);
                let eap_success = Some(Bytes::copy_from_slice(packet));
                Progress::Done(Authenticated { supi, k_amf, ksi: self.ksi, eap_success })
            }
            (Some(AuthResult::AuthenticationFailure), Ok(Code::Failure)) => {
                let failure = Bytes::copy_from_slice(packet);
                match self.mistrust(ue, amf, "EAP-Failure of the home network") {
                    // The session ends before the UE is asked who it is (TS 24.501 §5.4.1.2).
                    NotAuthenticated::AskIdentity => {
                        let eap = NasEapMessage::new(failure.to_vec());
                        let ksi = registration::ngksi(Some(self.ksi));
                        gmm::send_message(ue, amf, NasAuthenticationResult::new(ksi, eap));
                        Progress::Failed(NotAuthenticated::AskIdentity)
                    }
                    _ => Progress::Failed(NotAuthenticated::Rejected { eap_failure: Some(failure) }),
                }
            }
            _ => self.no_session(ue),
        }
    }

    fn no_session(self, ue: &UeContext) -> Next {
        warn!(ue = ue.name(), "the AUSF's answer makes no sense");
        Progress::Failed(NotAuthenticated::Refused(Refusal::Congestion))
    }
}
