//! REGISTRATION REJECT: TS 24.501 §5.5.1.2.5, §5.5.1.3.5, §8.2.9.

use tern_nas::nas_5gs::{NasFGmmCause, NasGprsTimer2, NasRegistrationReject};
use tern_ngap::cause;
use tern_ngap::ngap::CauseNas;
use tracing::warn;

use crate::error::Refusal;
use crate::gmm::slices::SliceRejection;
use crate::gmm::{self, deregistration, registration_accept};
use crate::ue::UeContext;
use crate::{Amf, ngap};

/// REGISTRATION REJECT (TS 24.501 §5.5.1.2.5, §5.5.1.3.5), then the connection is released.
pub(crate) fn reject(
    ue: &mut UeContext,
    amf: &mut Amf,
    refusal: Refusal,
    rejected: &[(SliceRejection, tern_types::Snssai)],
) {
    let gmm_cause = refusal.cause();
    warn!(ue = ue.name(), cause = gmm_cause as u8, why = %refusal, "REGISTRATION REJECT");
    amf.count("amf.gmm.registration_rejected");
    let mut message = NasRegistrationReject::new(NasFGmmCause::from_cause(gmm_cause));
    if refusal == Refusal::Congestion
        && let Some(timer) = back_off(amf)
    {
        message = message.with_t3346_value(timer);
    }
    if let Some(ie) = registration_accept::rejected_nssai(rejected) {
        message = message.with_rejected_nssai(ie);
    }
    gmm::send_message(ue, amf, message);
    ngap::ue_context_release::command(ue, amf, cause::nas(CauseNas::normal_release));
    ue.deregistering = None;
    if ue.registered || ue.at_udm || !ue.sessions.is_empty() {
        deregistration::leave(ue, amf);
    }
    gmm::become_idle(ue, amf);
}

/// T3346 with a random part, so that those turned away do not all return at once.
pub(crate) fn back_off(amf: &mut Amf) -> Option<NasGprsTimer2> {
    let base = amf.config.timers.t3346_s.max(1);
    let seconds = base + amf.random.u64() % (base + 1);
    // GPRS timer 2 counts in steps of two seconds up to 62, then in minutes.
    let seconds = if seconds <= 62 { seconds.next_multiple_of(2) } else { seconds.next_multiple_of(60) };
    NasGprsTimer2::from_seconds(seconds.min(31 * 60)).ok()
}
