//! Registration, the home network's part: TS 23.502 §4.2.2.2.2 steps 14 to 16.

use tern_sbi::Operation;
use tern_sbi::nnssf_nsselection::GetSliceSelectionInfo;
use tern_sbi::npcf_am::CreateAmPolicy;
use tern_sbi::nudm_sdm::Subscribe;
use tern_types::Snssai;
use tracing::warn;

use crate::Amf;
use crate::error::Refusal;
use crate::gmm::activation::{self, Activation};
use crate::gmm::registration::{Registration, Step};
use crate::gmm::registration_accept;
use crate::gmm::registration_reject::reject;
use crate::gmm::registration_request::RegistrationKind;
use crate::gmm::service_area;
use crate::gmm::slices::{self, SliceRejection, Slices};
use crate::gmm::subscription_change;
use crate::io::{ReplyResult, Token};
use crate::sbi::{nssf, pcf, udm};
use crate::session;
use crate::ue::UeContext;

impl Registration {
    /// The UE is known and its NAS messages are secure: the home network comes next.
    pub(super) fn subscribe(mut self, ue: &mut UeContext, amf: &mut Amf) {
        let Some(supi) = ue.supi.clone() else { return reject(ue, amf, Refusal::IllegalUe, &[]) };
        if self.request.kind == RegistrationKind::Initial {
            // An initial registration begins without sessions (TS 24.501 §5.5.1.2.4).
            session::release_all(ue, amf);
        } else if let Some(active) = &self.request.pdu_sessions {
            session::release_inactive(ue, amf, |id| active.contains(&id.get()));
        }
        if self.request.kind != RegistrationKind::Initial
            && ue.registered
            && ue.at_udm
            && ue.subscription.is_some()
        {
            return self.select_slices(ue, amf);
        }
        let registered = udm::register(ue, amf, &supi, self.request.kind == RegistrationKind::Initial);
        let data = udm::get_data(ue, amf, &supi);
        self.step = Step::Subscribing { registered: Some(registered), data: Some(data) };
        self.run(ue);
    }

    pub(super) fn on_subscription(
        mut self: Box<Self>,
        ue: &mut UeContext,
        amf: &mut Amf,
        token: Token,
        reply: ReplyResult,
    ) {
        let Step::Subscribing { registered, data } = &mut self.step else { return self.run(ue) };
        let outcome = if let Some(awaited) = registered.take_if(|awaited| awaited.is(token)) {
            awaited.read(reply).map(|_| ue.at_udm = true).map_err(|error| udm::refusal(ue, &error))
        } else if let Some(awaited) = data.take_if(|awaited| awaited.is(token)) {
            let read = awaited.read(reply).map_err(|error| udm::refusal(ue, &error));
            let serving = amf.serving_plmn(ue);
            read.map(|answer| {
                // Of a UE that comes again the PCF may want to hear what has changed.
                subscription_change::replace(ue, amf, udm::subscription(&answer.body, serving));
            })
        } else {
            amf.count("amf.sbi.told");
            Ok(())
        };
        match outcome {
            Err(refusal) => reject(ue, amf, refusal, &[]),
            Ok(()) if registered.is_some() || data.is_some() => self.run(ue),
            Ok(()) => match ue.subscription.as_ref().and_then(|subscription| subscription.barred) {
                Some(refusal) => reject(ue, amf, refusal, &[]),
                None => self.select_slices(ue, amf),
            },
        }
    }

    fn select_slices(mut self, ue: &mut UeContext, amf: &mut Amf) {
        let slices = self.served_slices(ue, amf);
        let elsewhere = slices.rejected.iter().any(|(why, _)| *why == SliceRejection::RegistrationArea);
        self.keep_slices(ue, amf, slices);
        if elsewhere {
            self.step = Step::SelectingSlices(nssf::select(ue, amf, self.request.requested.as_deref()));
            return self.run(ue);
        }
        self.prepare(ue, amf);
    }

    /// What the UE asks for, the subscription has, and this AMF and the gNB serve here.
    fn served_slices(&self, ue: &UeContext, amf: &Amf) -> Slices {
        // An update without a requested NSSAI leaves the allowed one as it is.
        let kept = (self.request.kind != RegistrationKind::Initial && !ue.allowed.is_empty())
            .then_some(&ue.allowed[..]);
        slices::served(ue, amf, self.request.requested.as_deref().or(kept))
    }

    fn keep_slices(&mut self, ue: &mut UeContext, amf: &mut Amf, slices: Slices) {
        ue.allowed = slices.allowed;
        // TS 23.501 §5.15.5.2.2: the sessions of slices that the UE may not use here end.
        session::release_slices(ue, amf);
        let plmn = |&(why, slice): &(SliceRejection, _)| (why == SliceRejection::Plmn, slice);
        self.rejected = slices.rejected.iter().map(plmn).collect();
    }

    /// The NSSF knows whether another area or AMF serves what this one does not. Without its word
    /// the slices stay rejected for the registration area.
    pub(super) fn on_selection(
        mut self: Box<Self>,
        ue: &mut UeContext,
        amf: &mut Amf,
        token: Token,
        reply: ReplyResult,
    ) {
        match &self.step {
            Step::SelectingSlices(awaited) if awaited.is(token) => match awaited.read(reply) {
                Ok(answer) => {
                    for (plmn, slice) in &mut self.rejected {
                        *plmn |= answer.body.rejected_nssai_in_plmn.contains(slice);
                    }
                }
                Err(error) => optional_failed(ue, amf, GetSliceSelectionInfo::NAME, &error),
            },
            _ => {
                amf.count("amf.sbi.told");
                return self.run(ue);
            }
        }
        self.prepare(ue, amf);
    }

    fn prepare(mut self, ue: &mut UeContext, amf: &mut Amf) {
        if ue.allowed.is_empty() {
            let rejected = self.rejected_slices();
            return reject(ue, amf, Refusal::NoNetworkSlicesAvailable, &rejected);
        }
        let Some(supi) = ue.supi.clone() else { return reject(ue, amf, Refusal::IllegalUe, &[]) };
        let changes = ue.sdm_subscription.is_none().then(|| udm::subscribe(ue, amf, &supi));
        let policy = ue.am_policy.is_none().then(|| pcf::create(ue, amf, &supi));
        if changes.is_none() && policy.is_none() {
            return self.accept(ue, amf);
        }
        self.step = Step::Preparing { changes, policy };
        self.run(ue);
    }

    /// Rejected slices and why.
    pub(crate) fn rejected_slices(&self) -> Vec<(SliceRejection, Snssai)> {
        let why = |plmn| if plmn { SliceRejection::Plmn } else { SliceRejection::RegistrationArea };
        self.rejected.iter().map(|&(plmn, slice)| (why(plmn), slice)).collect()
    }

    pub(super) fn on_preparation(
        mut self: Box<Self>,
        ue: &mut UeContext,
        amf: &mut Amf,
        token: Token,
        reply: ReplyResult,
    ) {
        let Step::Preparing { changes, policy } = &mut self.step else { return self.run(ue) };
        // Neither is needed to serve the UE: a failure is told to the operator alone.
        if let Some(awaited) = changes.take_if(|awaited| awaited.is(token)) {
            match awaited.read(reply) {
                Ok(answer) => ue.sdm_subscription = udm::location(answer.location.as_deref()),
                Err(error) => optional_failed(ue, amf, Subscribe::NAME, &error),
            }
        } else if let Some(awaited) = policy.take_if(|awaited| awaited.is(token)) {
            match awaited.read(reply) {
                Ok(answer) => {
                    ue.am_policy = udm::location(answer.location.as_deref());
                    pcf::decided(ue, amf, answer.body);
                }
                Err(error) => optional_failed(ue, amf, CreateAmPolicy::NAME, &error),
            }
        } else {
            amf.count("amf.sbi.told");
        }
        if changes.is_some() || policy.is_some() { self.run(ue) } else { self.accept(ue, amf) }
    }

    /// The UE may be served: sessions that it wants back come first.
    fn accept(mut self, ue: &mut UeContext, amf: &mut Amf) {
        // Without service there is no user plane (TS 24.501 §5.3.5.2).
        let wanted = self.request.uplink_data.clone().filter(|_| !service_area::forbids(ue));
        let wanted = wanted.unwrap_or_default();
        self.step = Step::Activating(Activation::start(ue, amf, &wanted));
        self.run(ue);
        activation::proceed(ue, amf);
    }

    /// No SMF is waited for: REGISTRATION ACCEPT.
    pub(crate) fn activated(mut self, ue: &mut UeContext, amf: &mut Amf) {
        let sessions = match std::mem::replace(&mut self.step, Step::none()) {
            Step::Activating(activation) => Some(activation),
            _ => None,
        };
        let sent = registration_accept::send(ue, amf, &self, sessions);
        self.step = Step::Accepting(sent);
        self.run(ue);
    }
}

fn optional_failed<E>(ue: &UeContext, amf: &mut Amf, operation: &str, error: &tern_sbi::OperationError<E>)
where
    tern_sbi::OperationError<E>: std::fmt::Display,
{
    amf.count("amf.sbi.optional_failed");
    warn!(ue = ue.name(), operation, %error, "registration goes on without");
}
