//! Namf_Location, produced: TS 29.518 §5.5.2, ProvideLocationInfo.

use serde::{Deserialize, Serialize};
use tern_sbi::common::RatType;
use tern_sbi::namf_loc::{ProvideLocInfo, ProvideLocationInfo, RequestLocInfo};
use tern_sbi::{Operation, OperationError, ProblemDetails, Response};
use tern_types::{Duration, Instant, Supi};
use tracing::debug;

use super::user_location;
use crate::Amf;
use crate::gmm::paging;
use crate::io::Token;
use crate::ngap::location_reporting;
use crate::ue::UeContext;

/// How long a gNB has to say where a UE is; a page of it may take longer.
pub const LOCATED_WITHIN: Duration = Duration::from_secs(5);
/// Largest AgeOfLocationEstimate, in minutes (TS 29.572).
const AGE_MAX: u64 = 32_767;

/// Somebody waits for the current location of a UE.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Locating {
    waiting: Vec<(Token, bool)>,
    deadline: Instant,
}

impl Locating {
    /// When the last known location must do.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

/// ProvideLocationInfo: answered at once with what is known, or later with what the gNB says.
pub(crate) fn on_provide(amf: &mut Amf, token: Token, request: &ProvideLocationInfo) {
    let supi = request.ue_context_id.parse::<Supi>().ok();
    let ue = supi.and_then(|supi| amf.by_supi.get(&supi)).copied();
    let Some(id) = ue.filter(|id| amf.ues.contains_key(id)) else {
        return refuse(amf, token, 404, "CONTEXT_NOT_FOUND");
    };
    amf.count("amf.namf.location_wanted");
    let data = request.data.clone();
    amf.with_ue(id, |ue, amf| provide(ue, amf, token, &data));
}

fn provide(ue: &mut UeContext, amf: &mut Amf, token: Token, data: &RequestLocInfo) {
    let rat = data.req_rat_type == Some(true);
    if data.req_current_loc != Some(true) {
        return answer(ue, amf, token, rat, false);
    }
    if let Some(locating) = &mut ue.locating {
        if locating.waiting.len() >= amf.config.limits.pending_per_ue {
            return refuse(amf, token, 503, "NF_CONGESTION");
        }
        locating.waiting.push((token, rat));
        return;
    }
    let asked = match &ue.n2 {
        // An idle UE is paged: its answer shows where it is.
        None => paging::call(ue, amf).is_ok(),
        Some(_) => location_reporting::ask(ue, amf),
    };
    if !asked {
        // A UE whose context the gNB has not yet has come just now: its first message said where it is.
        let current = ue.n2.is_some();
        return answer(ue, amf, token, rat, current);
    }
    let paging = &amf.config.paging;
    let pages = paging.t3513_s.saturating_mul(paging.attempts.into());
    let within = if ue.n2.is_some() { LOCATED_WITHIN } else { LOCATED_WITHIN + Duration::from_secs(pages) };
    ue.locating = Some(Locating { waiting: vec![(token, rat)], deadline: amf.now + within });
}

/// Whoever waits is answered: with the current location, or with the last one that is known.
pub(crate) fn answer_all(ue: &mut UeContext, amf: &mut Amf, current: bool) {
    let Some(locating) = ue.locating.take() else { return };
    for (token, rat) in locating.waiting {
        answer(ue, amf, token, rat, current);
    }
}

/// Time has passed.
pub(crate) fn expire(ue: &mut UeContext, amf: &mut Amf) {
    if ue.locating.as_ref().is_some_and(|locating| locating.deadline <= amf.now) {
        debug!(ue = ue.name(), "its location is not told in time: the last one known is given");
        answer_all(ue, amf, false);
    }
}

/// The context is gone.
pub(crate) fn forget(amf: &mut Amf, locating: Option<Locating>) {
    for (token, _) in locating.map(|locating| locating.waiting).unwrap_or_default() {
        refuse(amf, token, 404, "CONTEXT_NOT_FOUND");
    }
}

fn answer(ue: &UeContext, amf: &mut Amf, token: Token, rat: bool, current: bool) {
    let minutes = ue.located_at.map(|at| amf.now.since(at).as_secs() / 60);
    let age = minutes.map(|minutes| minutes.min(AGE_MAX) as u16);
    let mut location = user_location(ue);
    if let Some(nr) = location.as_mut().and_then(|location| location.nr_location.as_mut()) {
        nr.age_of_location_information = age;
    }
    let info = ProvideLocInfo {
        current_loc: location.is_some().then_some(current),
        location_age: age.filter(|_| location.is_some()),
        location,
        rat_type: rat.then_some(RatType::Nr),
        ..ProvideLocInfo::default()
    };
    amf.answer(token, ProvideLocationInfo::to_reply(Ok(Response::ok(info))));
}

fn refuse(amf: &mut Amf, token: Token, status: u16, cause: &str) {
    let problem = ProblemDetails::new(status, cause);
    amf.answer(token, ProvideLocationInfo::to_reply(Err(OperationError::Problem(problem))));
}
