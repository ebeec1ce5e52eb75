//! Primary authentication: 5G AKA here (TS 24.501 §5.4.1.3, TS 33.501 §6.1.3.2), EAP in [`eap`]. The home
//! network chooses.

mod eap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_crypto::{HresStar, KAmf, KSeaf, ResStar};
use tern_nas::nas_5gs::{
    GmmCause, NasAbba, NasAuthenticationFailure, NasAuthenticationParameterAutn,
    NasAuthenticationParameterRand, NasAuthenticationRequest, NasAuthenticationResponse,
};
use tern_nas::{NgKsi, registration};
use tern_nf::Target;
use tern_sbi::common::Octets;
use tern_sbi::nausf_auth::{
    AuthData, AuthResult, Authenticate, AuthenticationInfo, Confirm5gAka, ConfirmationDataResponse,
    EapAuthMethod, ResynchronizationInfo, UeAuthenticationCtx,
};
use tern_sbi::{Location, Operation, OperationError, PathParams};
use tern_types::{Instant, Supi};
use tracing::{debug, warn};

use crate::Amf;
use crate::error::Refusal;
use crate::gmm::{self, Progress};
use crate::io::{Awaited, ReplyResult, Token};
use crate::sbi::ausf;
use crate::supervised::{Expiry, Protection, Supervised, T3560};
use crate::ue::UeContext;

/// ABBA of this release (TS 33.501 annex A.7.1).
pub const ABBA: [u8; 2] = [0, 0];
/// Times that a challenge is repeated under another ngKSI (cause #71).
const KSI_CHANGES_MAX: u8 = 3;

/// Authentication of one identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Authentication {
    /// SUCI, or the SUPI of a 5G-GUTI, as the SBI writes them.
    identity: String,
    /// Whether the UE named itself by SUCI: then there is no better identity to ask for.
    by_suci: bool,
    ksi: NgKsi,
    resynchronised: bool,
    ksi_changes: u8,
    step: Step,
}

/// Read downwards: the call flow.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Step {
    /// The AUSF is asked for a vector.
    Requesting(Awaited<Authenticate>),
    /// AUTHENTICATION REQUEST was sent.
    Challenging(Challenge, Supervised),
    /// The AUSF checks RES*.
    Confirming(Awaited<Confirm5gAka>),
    /// AUTHENTICATION REQUEST was sent with an EAP request.
    PassingOn(eap::Session, Supervised),
    /// The AUSF judges the UE's EAP response.
    Judging(eap::Session, Awaited<EapAuthMethod>),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Challenge {
    rand: [u8; 16],
    autn: [u8; 16],
    hxres_star: HresStar,
    confirmation: Location,
}

/// What authentication proved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Authenticated {
    pub supi: Supi,
    pub k_amf: KAmf,
    pub ksi: NgKsi,
    /// EAP-Success for the UE, where EAP was used.
    pub eap_success: Option<Bytes>,
}

/// Why a UE is not authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotAuthenticated {
    /// T3560 expired for the fifth time.
    NoAnswer,
    /// The identity may be wrong: the SUCI is to be asked for, and authentication begun anew.
    AskIdentity,
    /// AUTHENTICATION REJECT, with EAP-Failure where EAP was used.
    Rejected { eap_failure: Option<Bytes> },
    /// The procedure is refused.
    Refused(Refusal),
}

type Next = Progress<Authentication, Authenticated, NotAuthenticated>;

impl Authentication {
    /// Asks the AUSF for a vector. `known` is the key set that the UE has.
    pub(crate) fn start(
        ue: &mut UeContext,
        amf: &mut Amf,
        identity: String,
        by_suci: bool,
        known: Option<NgKsi>,
    ) -> Self {
        let current = ue.security.as_ref().map(|context| context.ksi());
        let mut ksi = current.or(known).map_or(NgKsi::new(0), |ksi| Some(ksi.next()));
        if ksi == known {
            ksi = ksi.map(NgKsi::next);
        }
        let ksi = ksi.expect("invariant: 0 is a key set identifier, and the next of one is one");
        let step = Step::Requesting(request(ue, amf, &identity, None));
        Self { identity, by_suci, ksi, resynchronised: false, ksi_changes: 0, step }
    }

    /// When T3560 expires.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.step {
            Step::Challenging(_, sent) | Step::PassingOn(_, sent) => Some(sent.deadline()),
            Step::Requesting(_) | Step::Confirming(_) | Step::Judging(..) => None,
        }
    }

    /// Whether the AUSF works on it.
    pub(crate) fn awaits_reply(&self) -> bool {
        matches!(self.step, Step::Requesting(_) | Step::Confirming(_) | Step::Judging(..))
    }

    /// The AUSF's reply; `None` if another one is awaited.
    pub(crate) fn on_reply(
        mut self,
        ue: &mut UeContext,
        amf: &mut Amf,
        token: Token,
        reply: ReplyResult,
    ) -> Next {
        match &self.step {
            Step::Requesting(awaited) if awaited.is(token) => match awaited.read(reply) {
                Ok(answer) => match (Challenge::of(&answer.body), eap::Session::of(&answer.body)) {
                    (Some(challenge), _) => self.challenge(ue, amf, challenge),
                    (None, Some(session)) => self.pass_request(ue, amf, session),
                    (None, None) => {
                        warn!(ue = ue.name(), "the AUSF's challenge is neither of 5G AKA nor of EAP");
                        Progress::Failed(NotAuthenticated::Refused(Refusal::Congestion))
                    }
                },
                Err(error) => Progress::Failed(not_authenticated(ue, &error)),
            },
            Step::Confirming(awaited) if awaited.is(token) => match awaited.read(reply) {
                Ok(answer) => self.confirmed(ue, amf, answer.body),
                Err(error) => Progress::Failed(not_authenticated(ue, &error)),
            },
            Step::Judging(session, awaited) if awaited.is(token) => match awaited.read(reply) {
                Ok(answer) => {
                    let session = session.clone();
                    self.judged(ue, amf, &session, answer.body)
                }
                Err(error) => Progress::Failed(not_authenticated(ue, &error)),
            },
            _ => {
                amf.count("amf.sbi.reply_unknown");
                self.step = self.step.clone();
                Progress::Running(self)
            }
        }
    }

    fn challenge(mut self, ue: &mut UeContext, amf: &mut Amf, challenge: Challenge) -> Next {
        let message =
            NasAuthenticationRequest::new(registration::ngksi(Some(self.ksi)), NasAbba::new(ABBA.to_vec()))
                .with_authentication_parameter_rand(NasAuthenticationParameterRand::from_rand(challenge.rand))
                .with_authentication_parameter_autn(NasAuthenticationParameterAutn::from_autn(
                    challenge.autn,
                ));
        let sent = gmm::send_supervised(ue, amf, T3560, message, Protection::Current);
        self.step = Step::Challenging(challenge, sent);
        Progress::Running(self)
    }

    /// AUTHENTICATION RESPONSE: RES* is compared here, then by the home network, which alone reads EAP.
    pub(crate) fn on_response(
        mut self,
        ue: &mut UeContext,
        amf: &mut Amf,
        response: &NasAuthenticationResponse,
    ) -> Next {
        let Step::Challenging(challenge, _) = &self.step else {
            return self.pass_response(ue, amf, response);
        };
        let parameter = response.authentication_response_parameter.as_ref();
        let Some(&res_star) = parameter.and_then(|ie| ie.res_star()) else {
            return Progress::Failed(self.mistrust(ue, amf, "no RES*"));
        };
        let hres_star = tern_crypto::hres_star(&challenge.rand, &ResStar::from(res_star));
        if hres_star != challenge.hxres_star {
            return Progress::Failed(self.mistrust(ue, amf, "HRES* is not HXRES*"));
        }
        match ausf::confirm(ue, amf, &challenge.confirmation, res_star) {
            Some(awaited) => {
                self.step = Step::Confirming(awaited);
                Progress::Running(self)
            }
            None => Progress::Failed(NotAuthenticated::Refused(Refusal::Congestion)),
        }
    }

    /// A wrong answer (TS 24.501 §5.4.1.3.5): the identity may be to blame unless it is a SUCI.
    fn mistrust(&self, ue: &UeContext, amf: &mut Amf, why: &'static str) -> NotAuthenticated {
        amf.count("amf.gmm.authentication_failed");
        warn!(ue = ue.name(), identity = self.identity, why, "authentication failed");
        if self.by_suci {
            NotAuthenticated::Rejected { eap_failure: None }
        } else {
            NotAuthenticated::AskIdentity
        }
    }

    fn confirmed(self, ue: &UeContext, amf: &mut Amf, result: ConfirmationDataResponse) -> Next {
        let success = result.auth_result == AuthResult::AuthenticationSuccess;
        match (result.supi, result.kseaf) {
            (Some(supi), Some(k_seaf)) if success => {
                let k_seaf = KSeaf::from(*k_seaf.expose());
                let k_amf = tern_crypto::k_amf(&k_seaf, &supi.to_string(), &ABBA);
                Progress::Done(Authenticated { supi, k_amf, ksi: self.ksi, eap_success: None })
            }
            // As where RES* is wrong here: TS 33.501 §6.1.3.2.2 makes no difference.
            _ => Progress::Failed(self.mistrust(ue, amf, "the home network rejects RES*")),
        }
    }

    /// AUTHENTICATION FAILURE (TS 24.501 §5.4.1.3.7). Under EAP it says no more than that the ngKSI is in
    /// use (TS 24.501 §5.4.1.2); all else is in EAP responses.
    pub(crate) fn on_failure(
        mut self,
        ue: &mut UeContext,
        amf: &mut Amf,
        failure: &NasAuthenticationFailure,
    ) -> Next {
        debug!(ue = ue.name(), cause = %failure.fgmm_cause, "AUTHENTICATION FAILURE");
        let cause = failure.fgmm_cause.cause();
        let challenge = match &self.step {
            Step::Challenging(challenge, _) => challenge,
            Step::PassingOn(session, _) => {
                let session = session.clone();
                if cause != Some(GmmCause::NgKsiAlreadyInUse) || self.ksi_changes >= KSI_CHANGES_MAX {
                    return Progress::Failed(self.mistrust(ue, amf, "the UE refuses the EAP request"));
                }
                self.change_ksi();
                return self.pass_request(ue, amf, session);
            }
            _ => return Progress::Running(self),
        };
        match cause {
            Some(GmmCause::MacFailure) => Progress::Failed(self.mistrust(ue, amf, "MAC failure at the UE")),
            Some(GmmCause::SynchFailure) if !self.resynchronised => {
                let parameter = failure.authentication_failure_parameter.as_ref();
                let Some(&auts) = parameter.and_then(|ie| ie.auts()) else {
                    return Progress::Failed(NotAuthenticated::Rejected { eap_failure: None });
                };
                let rand = challenge.rand;
                self.resynchronised = true;
                self.step = Step::Requesting(request(ue, amf, &self.identity, Some((rand, auts))));
                Progress::Running(self)
            }
            Some(GmmCause::NgKsiAlreadyInUse) if self.ksi_changes < KSI_CHANGES_MAX => {
                let challenge = challenge.clone();
                self.change_ksi();
                self.challenge(ue, amf, challenge)
            }
            _ => Progress::Failed(self.mistrust(ue, amf, "the UE refuses the challenge")),
        }
    }

    fn change_ksi(&mut self) {
        self.ksi = self.ksi.next();
        self.ksi_changes += 1;
    }

    /// T3560 may have expired.
    pub(crate) fn expire(mut self, ue: &mut UeContext, amf: &mut Amf) -> Next {
        let (Step::Challenging(_, sent) | Step::PassingOn(_, sent)) = &mut self.step else {
            return Progress::Running(self);
        };
        match gmm::resupervise(ue, amf, sent) {
            Expiry::Abort => Progress::Failed(NotAuthenticated::NoAnswer),
            Expiry::NotYet | Expiry::Retransmit => Progress::Running(self),
        }
    }
}

impl Challenge {
    fn of(context: &UeAuthenticationCtx) -> Option<Self> {
        let AuthData::Av5gAka(vector) = &context.auth_data else { return None };
        let confirmation = Location::parse(&context.confirmation_uri()?)?;
        PathParams::matching(Confirm5gAka::PATH, &confirmation.path)?;
        Some(Self {
            rand: vector.rand.0,
            autn: vector.autn.0,
            hxres_star: HresStar::from(vector.hxres_star.0),
            confirmation,
        })
    }
}

fn request(
    ue: &mut UeContext,
    amf: &mut Amf,
    identity: &str,
    resynchronisation: Option<([u8; 16], [u8; 14])>,
) -> Awaited<Authenticate> {
    let plmn = amf.serving_plmn(ue);
    let mut info = AuthenticationInfo::new(identity.to_owned(), plmn.serving_network_name());
    info.resynchronization_info =
        resynchronisation.map(|(rand, auts)| ResynchronizationInfo::new(Octets(rand), Octets(auts)));
    let target: Target = ausf::target(identity);
    amf.begin(ue, target, &Authenticate { info })
}

/// What a refusal of the AUSF means to the UE (TS 29.509 §6.1.7.3).
fn not_authenticated(ue: &UeContext, error: &OperationError) -> NotAuthenticated {
    warn!(ue = ue.name(), %error, "no authentication by the AUSF");
    let (status, cause) = match error {
        OperationError::Refused { status, body } => (*status, body.cause.as_deref()),
        OperationError::Problem(problem) => (problem.status.unwrap_or(0), problem.cause.as_deref()),
        OperationError::Transport(_) | OperationError::Malformed(_) => (0, None),
    };
    match (status, cause) {
        // The context is gone, not the subscriber.
        (404, Some("CONTEXT_NOT_FOUND")) => NotAuthenticated::Refused(Refusal::Congestion),
        (404, _) => NotAuthenticated::Refused(Refusal::IllegalUe),
        (403, Some("SERVING_NETWORK_NOT_AUTHORIZED")) => {
            NotAuthenticated::Refused(Refusal::ServingNetworkNotAuthorized)
        }
        // The SUCI cannot be revealed, and never will be: trying again does not help.
        (403 | 501, _) => NotAuthenticated::Rejected { eap_failure: None },
        _ => NotAuthenticated::Refused(Refusal::Congestion),
    }
}
