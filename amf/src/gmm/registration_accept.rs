//! REGISTRATION ACCEPT: TS 24.501 §5.5.1.2.4, §5.5.1.3.4, §8.2.7.

use bytes::Bytes;
use tern_nas::nas_5gs::{
    NasFGsNetworkFeatureSupport, NasFGsRegistrationResult, NasPduSessionStatus, NasRegistrationAccept,
    NasRejectedNssai, NasT3512Value, RegistrationResult, RejectedNssaiCause,
};
use tern_nas::{EncodeError, MobileIdentity, registration as nas};
use tern_types::Snssai;
use tracing::error;

use crate::Amf;
use crate::gmm::activation::{self, Activation};
use crate::gmm::subscription_change::Changes;
use crate::gmm::{self, Registration, service_area, slices::SliceRejection};
use crate::session;
use crate::supervised::{Protection, Supervised, T3550};
use crate::ue::{ContextSetup, Subscription, UeContext};

/// Sends the ACCEPT: inside INITIAL CONTEXT SETUP REQUEST unless the gNB has the context already.
/// With it go the sessions that come back.
pub(crate) fn send(
    ue: &mut UeContext,
    amf: &mut Amf,
    registration: &Registration,
    sessions: Option<Activation>,
) -> Supervised {
    let mut message = build(ue, amf, registration);
    if let Some(result) = sessions.as_ref().and_then(|activation| activation.result(ue)) {
        message = message.with_pdu_session_reactivation_result(result);
    }
    let plain = gmm::encode(amf, message);
    activation::deliver(ue, amf, &plain, sessions);
    Supervised::new(amf.now, T3550, plain, Protection::Current)
}

/// Sends it again under a new NAS COUNT.
pub(crate) fn resend(ue: &mut UeContext, amf: &mut Amf, plain: &Bytes) {
    gmm::send(ue, amf, plain, Protection::Current);
}

fn build(ue: &mut UeContext, amf: &mut Amf, registration: &Registration) -> NasRegistrationAccept {
    let guti = amf.assign_guti(ue);
    // All that may have changed stands in it.
    ue.changes = Changes::default();
    if let Some(location) = ue.location {
        let subscribed = ue.subscription.as_ref().map(Subscription::configured);
        let slices = subscribed.unwrap_or_else(|| ue.allowed.clone());
        let area = amf.config.registration_area(location.tai, &slices);
        if ue.registered && ue.registration_area != area {
            // Either may be the one that the UE has (TS 24.501 §5.5.1.3.8 a).
            ue.old_registration_area = std::mem::take(&mut ue.registration_area);
        }
        ue.registration_area = area;
    }
    let result = NasFGsRegistrationResult::from_result(RegistrationResult::ThreeGppAccess);
    let mut accept = NasRegistrationAccept::new(result)
        .with_fgs_network_feature_support(NasFGsNetworkFeatureSupport::new(vec![0, 0]));
    if let Some(ie) = ours(MobileIdentity::Guti(guti).to_ie()) {
        accept = accept.with_fg_guti(ie);
    }
    if let Some(ie) = ours(nas::tai_list(&ue.registration_area)) {
        accept = accept.with_tai_list(ie);
    }
    if let Some(ie) = ours(nas::nssai(&ue.allowed)) {
        accept = accept.with_allowed_nssai(ie);
    }
    if let Some(ie) = service_area::list(ue) {
        accept = accept.with_service_area_list(ie);
    }
    // A gNB that has the UE's context hears of it with the ACCEPT.
    if let Some(n2) = ue.n2.as_mut().filter(|n2| n2.context == ContextSetup::Done) {
        n2.outdated = true;
    }
    // What the UE asks for it gets (TS 23.501 §5.4.5).
    ue.paging_drx = registration.request.paging_drx;
    if let Some(drx) = ue.paging_drx.and_then(nas::drx) {
        accept = accept.with_negotiated_drx_parameters(drx);
    }
    if !registration.rejected_slices().is_empty() {
        accept = with_rejected(accept, ue, registration);
    }
    if let Ok(timer) = NasT3512Value::from_seconds(t3512_seconds(amf.config.timers.t3512_s)) {
        accept = accept.with_t3512_value(timer);
    }
    with_sessions(accept, ue, registration)
}

/// A rejected NSSAI comes with the configured one, so that the UE can do better.
fn with_rejected(
    accept: NasRegistrationAccept,
    ue: &UeContext,
    registration: &Registration,
) -> NasRegistrationAccept {
    let rejected = registration.rejected_slices();
    let mut accept = accept;
    if let Some(ie) = rejected_nssai(&rejected) {
        accept = accept.with_rejected_nssai(ie);
    }
    let Some(subscription) = &ue.subscription else { return accept };
    match ours(nas::nssai(&subscription.configured())) {
        Some(ie) => accept.with_configured_nssai(ie),
        None => accept,
    }
}

/// PDU session status, where the UE asked (TS 24.501 §5.5.1.3.4).
fn with_sessions(
    accept: NasRegistrationAccept,
    ue: &UeContext,
    registration: &Registration,
) -> NasRegistrationAccept {
    let mut accept = accept;
    let active = session::active(ue);
    if registration.request.pdu_sessions.is_some()
        && let Ok(status) = NasPduSessionStatus::from_sessions(&active)
    {
        accept = accept.with_pdu_session_status(status);
    }
    accept
}

/// The IE for rejected slices; `None` if there are none.
pub(crate) fn rejected_nssai(rejected: &[(SliceRejection, Snssai)]) -> Option<NasRejectedNssai> {
    if rejected.is_empty() {
        return None;
    }
    let cause = |why| match why {
        SliceRejection::Plmn => RejectedNssaiCause::NotAvailableInPlmnOrSnpn,
        SliceRejection::RegistrationArea => RejectedNssaiCause::NotAvailableInRegistrationArea,
    };
    let entries: Vec<_> = rejected.iter().map(|&(why, slice)| (cause(why), slice)).collect();
    ours(nas::rejected_nssai(&entries))
}

/// T3512 in steps that GPRS timer 3 can carry: seconds by two, minutes, then tens of minutes.
pub(crate) fn t3512_seconds(seconds: u64) -> u64 {
    match seconds {
        0..=62 => seconds.next_multiple_of(2),
        63..=1860 => seconds.next_multiple_of(60),
        1861..=18_600 => seconds.next_multiple_of(600),
        _ => seconds.next_multiple_of(3600),
    }
}

fn ours<T>(encoded: Result<T, EncodeError>) -> Option<T> {
    encoded.map_err(|error| error!(%error, "an IE of REGISTRATION ACCEPT is left out")).ok()
}
