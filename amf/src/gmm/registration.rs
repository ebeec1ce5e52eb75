//! Registration, network side: TS 24.501 §5.5.1, TS 23.502 §4.2.2.2.2.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_nas::nas_5gs::{Nas5gmmMessage, NasAuthenticationReject, NasEapMessage};
use tern_ngap::cause;
use tern_ngap::ngap::{CauseNas, CauseRadioNetwork};
use tern_sbi::nnssf_nsselection::GetSliceSelectionInfo;
use tern_sbi::npcf_am::CreateAmPolicy;
use tern_sbi::nudm_sdm::{GetDataSets, Subscribe};
use tern_sbi::nudm_uecm::RegisterAmf3gpp;
use tern_types::{Instant, Snssai};
use tracing::{debug, info, warn};

use crate::error::Refusal;
use crate::gmm::authentication::{Authenticated, NotAuthenticated};
use crate::gmm::identification::NotIdentified;
use crate::gmm::registration_request::{RegistrationKind, RegistrationRequest};
use crate::gmm::security_mode::NoAnswer;
use crate::gmm::{
    self, Activation, Authentication, Identification, Procedure, Progress, SecurityModeControl, Uplink,
    deregistration, registration_accept, registration_reject::reject,
};
use crate::io::{Awaited, ReplyResult, Token};
use crate::ngap::ue_context_modification::{self, is_giving_keys};
use crate::supervised::{Expiry, Supervised, T3560};
use crate::ue::UeContext;
use crate::{Amf, ngap};

/// A registration that is running.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registration {
    /// The request as far as it is known: the one of a NAS message container replaces the first.
    pub(crate) request: RegistrationRequest,
    /// The first message's octets, to know a repetition (TS 24.501 §5.5.1.2.8).
    pub(super) first: Bytes,
    /// Whether the UE's whole request is known; else security mode control asks for it again
    /// (RINMR, TS 24.501 §5.4.2.2).
    pub(super) whole: bool,
    /// The UE has switched off while security mode control ran, which alone goes on (TS 24.501 §5.4.2.7 d).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) left: bool,
    /// Rejected slices; whether for the whole network, else for the registration area.
    pub(super) rejected: Vec<(bool, Snssai)>,
    pub(super) step: Step,
}

/// Read downwards: the call flow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Step {
    /// TS 24.501 §5.4.3.
    Identifying(Identification),
    /// TS 24.501 §5.4.1.
    Authenticating(Authentication),
    /// TS 33.501 §6.9.5: the gNB is being given AS keys, and NAS keys wait for it.
    AwaitingAccess { proved: Box<Authenticated>, until: Instant },
    /// TS 24.501 §5.4.2.
    SecuringNas(SecurityModeControl),
    /// TS 23.502 §4.2.2.2.2 step 14: registration and data of the UDM.
    Subscribing { registered: Option<Awaited<RegisterAmf3gpp>>, data: Option<Awaited<GetDataSets>> },
    /// TS 23.502 §4.2.2.2.3: the NSSF, where a subscribed slice is not served by this AMF.
    SelectingSlices(Awaited<GetSliceSelectionInfo>),
    /// TS 23.502 §4.2.2.2.2 steps 14c and 16: changes of the data, access policy.
    Preparing { changes: Option<Awaited<Subscribe>>, policy: Option<Awaited<CreateAmPolicy>> },
    /// TS 23.502 §4.2.2.2.2 step 17: sessions that the UE wants back.
    Activating(Activation),
    /// TS 24.501 §5.5.1.2.4: REGISTRATION ACCEPT under T3550.
    Accepting(Supervised),
}

impl Step {
    /// Before the first step.
    pub(super) fn none() -> Self {
        Self::Subscribing { registered: None, data: None }
    }
}

impl Registration {
    pub(super) fn run(self, ue: &mut UeContext) {
        ue.procedure = Some(Procedure::Registration(Box::new(self)));
    }

    /// When its current step wants to be woken.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.step {
            Step::Identifying(child) => Some(child.deadline()),
            Step::Authenticating(child) => child.deadline(),
            Step::AwaitingAccess { until, .. } => Some(*until),
            Step::SecuringNas(child) => Some(child.deadline()),
            Step::Activating(activation) => Some(activation.deadline()),
            Step::Accepting(sent) => Some(sent.deadline()),
            Step::Subscribing { .. } | Step::SelectingSlices(_) | Step::Preparing { .. } => None,
        }
    }

    /// The sessions it waits for.
    pub(crate) fn activation(&mut self) -> Option<&mut Activation> {
        if let Step::Activating(activation) = &mut self.step { Some(activation) } else { None }
    }

    /// Whether a UE that wants to leave has to wait for it: it has been asked who it is, or an update of it has
    /// been accepted (TS 24.501 §5.4.3.6 f, §5.5.1.3.8 g).
    pub(crate) fn comes_before_leaving(&self) -> bool {
        match self.step {
            Step::Identifying(_) => true,
            Step::Accepting(_) => self.request.kind != RegistrationKind::Initial,
            _ => false,
        }
    }

    /// Whether another network function works on it.
    pub(crate) fn awaits_reply(&self) -> bool {
        match &self.step {
            Step::Authenticating(child) => child.awaits_reply(),
            Step::Subscribing { .. } | Step::SelectingSlices(_) | Step::Preparing { .. } => true,
            Step::Identifying(_)
            | Step::AwaitingAccess { .. }
            | Step::SecuringNas(_)
            | Step::Activating(_)
            | Step::Accepting(_) => false,
        }
    }

    /// Whether SECURITY MODE COMMAND awaits its answer.
    pub(crate) fn is_securing(&self) -> bool {
        matches!(self.step, Step::SecuringNas(_))
    }

    /// Whether REGISTRATION ACCEPT was sent.
    pub(crate) fn is_accepted(&self) -> bool {
        matches!(self.step, Step::Accepting(_))
    }

    pub(super) fn authenticate(mut self, ue: &mut UeContext, amf: &mut Amf, identity: String, by_suci: bool) {
        let known = self.request.ksi;
        let child = Authentication::start(ue, amf, identity, by_suci, known);
        self.step = Step::Authenticating(child);
        self.run(ue);
    }

    /// An answer of the UE to the step that runs.
    pub(crate) fn on_answer(mut self: Box<Self>, ue: &mut UeContext, amf: &mut Amf, uplink: Uplink) {
        use Nas5gmmMessage as M;
        match (self.step.clone(), uplink.message) {
            (Step::Identifying(_), M::IdentityResponse(response)) => {
                let progress = Identification::on_identity(&response.mobile_identity);
                self.identified(ue, amf, progress);
            }
            (Step::Authenticating(child), M::AuthenticationResponse(response)) => {
                let progress = child.on_response(ue, amf, &response);
                self.authenticated(ue, amf, progress);
            }
            (Step::Authenticating(child), M::AuthenticationFailure(failure)) => {
                let progress = child.on_failure(ue, amf, &failure);
                self.authenticated(ue, amf, progress);
            }
            (Step::SecuringNas(_), M::SecurityModeComplete(complete)) => {
                let count = uplink.count.unwrap_or_default();
                let secured = SecurityModeControl::on_complete(ue, &complete, count);
                self.secured(ue, amf, secured.container);
            }
            (Step::SecuringNas(_), M::SecurityModeReject(reject_message)) => {
                warn!(ue = ue.name(), cause = %reject_message.fgmm_cause, "SECURITY MODE REJECT");
                restore_security(ue);
                if self.left {
                    return gmm::release(ue, amf, cause::nas(CauseNas::deregister));
                }
                reject(ue, amf, Refusal::SecurityModeRejected, &[]);
            }
            (Step::Accepting(_), M::RegistrationComplete(_)) => self.complete(ue, amf),
            (step, message) => {
                self.step = step;
                debug!(ue = ue.name(), message = ?message.message_type(), "not expected in this step");
                amf.count("amf.nas.unexpected");
                self.run(ue);
            }
        }
    }

    /// A reply that the step may be waiting for.
    pub(crate) fn on_reply(
        mut self: Box<Self>,
        ue: &mut UeContext,
        amf: &mut Amf,
        token: Token,
        reply: ReplyResult,
    ) {
        match self.step {
            Step::Authenticating(child) => {
                self.step = Step::none();
                let progress = child.on_reply(ue, amf, token, reply);
                self.authenticated(ue, amf, progress);
            }
            Step::Subscribing { .. } => self.on_subscription(ue, amf, token, reply),
            Step::SelectingSlices(_) => self.on_selection(ue, amf, token, reply),
            Step::Preparing { .. } => self.on_preparation(ue, amf, token, reply),
            Step::Identifying(_)
            | Step::AwaitingAccess { .. }
            | Step::SecuringNas(_)
            | Step::Activating(_)
            | Step::Accepting(_) => {
                amf.count("amf.sbi.told");
                self.run(ue);
            }
        }
    }

    /// Time has passed.
    pub(crate) fn expire(mut self: Box<Self>, ue: &mut UeContext, amf: &mut Amf) {
        match self.step {
            Step::Identifying(child) => {
                self.step = Step::none();
                let progress = child.expire(ue, amf);
                self.identified(ue, amf, progress);
            }
            Step::Authenticating(child) => {
                self.step = Step::none();
                let progress = child.expire(ue, amf);
                self.authenticated(ue, amf, progress);
            }
            Step::AwaitingAccess { until, .. } if amf.now < until => self.run(ue),
            Step::AwaitingAccess { .. } => no_answer(ue, amf, "what gives the gNB its keys"),
            Step::SecuringNas(child) => {
                self.step = Step::none();
                match child.expire(ue, amf) {
                    Progress::Running(child) => {
                        self.step = Step::SecuringNas(child);
                        self.run(ue);
                    }
                    Progress::Done(secured) => self.secured(ue, amf, secured.container),
                    Progress::Failed(NoAnswer) => {
                        restore_security(ue);
                        no_answer(ue, amf, "SECURITY MODE COMMAND");
                    }
                }
            }
            Step::Accepting(mut sent) => match sent.expire(amf.now) {
                Expiry::NotYet => {
                    self.step = Step::Accepting(sent);
                    self.run(ue);
                }
                Expiry::Retransmit => {
                    amf.count("amf.nas.retransmission");
                    let accept = sent.message.clone();
                    self.step = Step::Accepting(sent);
                    self.run(ue);
                    registration_accept::resend(ue, amf, &accept);
                }
                // TS 24.501 §5.5.1.2.8: both 5G-GUTIs stay valid; 5GMM-REGISTERED.
                Expiry::Abort => {
                    amf.count("amf.gmm.registration_unconfirmed");
                    warn!(ue = ue.name(), "no REGISTRATION COMPLETE");
                    ue.registered = true;
                }
            },
            Step::Subscribing { .. }
            | Step::SelectingSlices(_)
            | Step::Preparing { .. }
            | Step::Activating(_) => self.run(ue),
        }
    }

    fn identified(
        mut self: Box<Self>,
        ue: &mut UeContext,
        amf: &mut Amf,
        progress: Progress<Identification, String, NotIdentified>,
    ) {
        match progress {
            Progress::Running(child) => {
                self.step = Step::Identifying(child);
                self.run(ue);
            }
            // It leaves instead.
            Progress::Done(_) | Progress::Failed(NotIdentified::NoSuci) if ue.leaving => {}
            Progress::Done(suci) => self.authenticate(ue, amf, suci, true),
            Progress::Failed(NotIdentified::NoSuci) => reject(ue, amf, Refusal::IdentityUnknown, &[]),
            Progress::Failed(NotIdentified::NoAnswer) => no_answer(ue, amf, "IDENTITY REQUEST"),
        }
    }

    fn authenticated(
        mut self: Box<Self>,
        ue: &mut UeContext,
        amf: &mut Amf,
        progress: Progress<Authentication, Authenticated, NotAuthenticated>,
    ) {
        match progress {
            Progress::Running(child) => {
                self.step = Step::Authenticating(child);
                self.run(ue);
            }
            Progress::Done(proved) => {
                deregistration::take_over(ue, amf, &proved.supi);
                if ue.n2.as_ref().is_some_and(is_giving_keys) {
                    let until = amf.now + T3560.duration;
                    self.step = Step::AwaitingAccess { proved: Box::new(proved), until };
                    return self.run(ue);
                }
                self.secure(ue, amf, proved);
            }
            Progress::Failed(NotAuthenticated::AskIdentity) => {
                self.step = Step::Identifying(Identification::start(ue, amf));
                self.run(ue);
            }
            Progress::Failed(NotAuthenticated::NoAnswer) => no_answer(ue, amf, "AUTHENTICATION REQUEST"),
            Progress::Failed(NotAuthenticated::Rejected { eap_failure }) => {
                authentication_reject(ue, amf, eap_failure);
            }
            Progress::Failed(NotAuthenticated::Refused(refusal)) => reject(ue, amf, refusal, &[]),
        }
    }

    fn secure(mut self: Box<Self>, ue: &mut UeContext, amf: &mut Amf, proved: Authenticated) {
        match SecurityModeControl::start(ue, amf, proved, !self.whole) {
            Ok(child) => {
                self.step = Step::SecuringNas(child);
                self.run(ue);
            }
            Err(refusal) => reject(ue, amf, refusal, &[]),
        }
    }

    /// The gNB has its keys: those of NAS may be changed.
    pub(crate) fn keys_given(mut self: Box<Self>, ue: &mut UeContext, amf: &mut Amf) {
        match std::mem::replace(&mut self.step, Step::none()) {
            Step::AwaitingAccess { proved, .. } => self.secure(ue, amf, *proved),
            step => {
                self.step = step;
                self.run(ue);
            }
        }
    }

    /// The request in SECURITY MODE COMPLETE replaces the first one (TS 24.501 §5.4.2.4).
    fn secured(mut self: Box<Self>, ue: &mut UeContext, amf: &mut Amf, container: Option<Bytes>) {
        let before = ue.previous_security.take().map(|context| context.ksi());
        let new_k_amf = before != ue.security.as_ref().map(|context| context.ksi());
        if self.left {
            return gmm::release(ue, amf, cause::nas(CauseNas::deregister));
        }
        match container.map(RegistrationRequest::of_container) {
            None => {}
            Some(Some(Ok(request))) => {
                if !request.capability.is_empty() && request.capability != ue.capability {
                    // What was replayed is not what the UE has: somebody changed the first message.
                    return reject(ue, amf, Refusal::SecurityCapabilitiesMismatch, &[]);
                }
                self.request = request;
                self.whole = true;
            }
            Some(Some(Err(refusal))) => return reject(ue, amf, refusal, &[]),
            Some(None) => return reject(ue, amf, Refusal::InvalidMandatoryInformation, &[]),
        }
        if new_k_amf {
            ue_context_modification::start(ue, amf);
        }
        self.subscribe(ue, amf);
    }

    fn complete(self, ue: &mut UeContext, amf: &mut Amf) {
        amf.confirm_guti(ue);
        ue.old_registration_area.clear();
        ue.registered = true;
        amf.count("amf.gmm.registered");
        let slices: Vec<String> = ue.allowed.iter().map(ToString::to_string).collect();
        info!(ue = ue.name(), kind = ?self.request.kind, slices = slices.join(","), "UE registered");
        ngap::rrc_inactive::inform(ue, amf);
    }

    /// The connection is gone (TS 24.501 §5.5.1.2.8 a): after the ACCEPT the UE counts as
    /// registered, under either 5G-GUTI.
    pub(crate) fn connection_lost(self: Box<Self>, ue: &mut UeContext, amf: &mut Amf) {
        amf.count("amf.gmm.registration_aborted");
        match self.step {
            Step::Accepting(_) => ue.registered = true,
            Step::SecuringNas(_) => restore_security(ue),
            _ => {}
        }
    }
}

/// Security mode control came to nothing: the context before it holds again.
pub(super) fn restore_security(ue: &mut UeContext) {
    let before = ue.previous_security.take();
    ue.security = match (before, ue.security.take()) {
        (Some(before), Some(changed)) if before.ksi() == changed.ksi() => Some(before.continuing(&changed)),
        (before, _) => before,
    };
    if ue.security.is_none()
        && let Some(n2) = &mut ue.n2
    {
        n2.secured = false;
    }
}

/// A common procedure had no answer: the procedure is aborted and the connection released.
fn no_answer(ue: &mut UeContext, amf: &mut Amf, to: &'static str) {
    amf.count("amf.gmm.no_answer");
    warn!(ue = ue.name(), to, "the UE does not answer");
    gmm::release(ue, amf, cause::nas(CauseNas::unspecified));
}

/// AUTHENTICATION REJECT (TS 24.501 §5.4.1.2, §5.4.1.3.5): the UE is not who it says.
fn authentication_reject(ue: &mut UeContext, amf: &mut Amf, eap_failure: Option<Bytes>) {
    amf.count("amf.gmm.authentication_rejected");
    warn!(ue = ue.name(), "AUTHENTICATION REJECT");
    let mut message = NasAuthenticationReject::new();
    if let Some(failure) = eap_failure {
        message = message.with_eap_message(NasEapMessage::new(failure.to_vec()));
    }
    gmm::send_message(ue, amf, message);
    gmm::release(ue, amf, cause::nas(CauseNas::authentication_failure));
}

/// The gNB could not set up the UE's context: the ACCEPT never reached the UE.
pub(crate) fn context_setup_failed(ue: &mut UeContext, amf: &mut Amf) {
    warn!(ue = ue.name(), "INITIAL CONTEXT SETUP FAILURE");
    amf.count("amf.ngap.context_setup_failed");
    ngap::ue_context_release::command(
        ue,
        amf,
        cause::radio_network(CauseRadioNetwork::release_due_to_5gc_generated_reason),
    );
    gmm::connection_lost(ue, amf);
}
