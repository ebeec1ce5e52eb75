//! A subscription or a policy that changes while its UE is registered takes effect at once: TS 23.502
//! §4.5.1, §4.2.4.2.
//!
//! The gNB is told a new UE-AMBR, and the UE hears of its slices and its service area; one that is idle is
//! paged for that.

use serde::{Deserialize, Serialize};
use tern_sbi::npcf_am::RequestTrigger;
use tern_sbi::nudm_sdm::GetDataSets;
use tern_types::{Ambr, ServiceArea};
use tracing::{info, warn};

use crate::Amf;
use crate::gmm::deregistration::{self, Reason};
use crate::gmm::{configuration_update, paging, service_area, slices};
use crate::io::{Awaited, ReplyResult, Token};
use crate::ngap::ue_context_modification;
use crate::sbi::{pcf, udm};
use crate::ue::{Subscription, UeContext};

/// What a UE has yet to hear of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Subscribed and allowed slices.
    pub slices: bool,
    /// Where there is service.
    pub service_area: bool,
}

impl Changes {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What held before a change.
pub(crate) struct Before {
    ambr: Option<Ambr>,
    rfsp: Option<u16>,
    service_area: Option<ServiceArea>,
}

impl Before {
    pub(crate) fn of(ue: &UeContext) -> Self {
        Self { ambr: ue.ambr(), rfsp: ue.rfsp(), service_area: service_area::in_force(ue).cloned() }
    }
}

/// The UDM says that data have changed: they are fetched.
pub(crate) fn start(ue: &mut UeContext, amf: &mut Amf) {
    amf.count("amf.sbi.data_changed");
    // What was asked before may be answered with what was before.
    if let Some(supi) = ue.supi.clone() {
        ue.changed_data = Some(udm::get_data(ue, amf, &supi));
    }
}

/// Whether this reply brings changed data, or what the PCF makes of them.
pub(crate) fn awaits(ue: &UeContext, token: Token) -> bool {
    let data = ue.changed_data.as_ref().is_some_and(|awaited| awaited.is(token));
    data || ue.policy_update.as_ref().is_some_and(|awaited| awaited.is(token))
}

/// One of them.
pub(crate) fn on_reply(ue: &mut UeContext, amf: &mut Amf, token: Token, reply: ReplyResult) {
    match ue.changed_data.take_if(|awaited| awaited.is(token)) {
        Some(awaited) => on_data(ue, amf, &awaited, reply),
        None => on_policy(ue, amf, reply),
    }
}

fn on_data(ue: &mut UeContext, amf: &mut Amf, awaited: &Awaited<GetDataSets>, reply: ReplyResult) {
    let answer = match awaited.read(reply) {
        Ok(answer) => answer,
        Err(error) => {
            amf.count("amf.sbi.optional_failed");
            warn!(ue = ue.name(), %error, "changed data are not known yet");
            // Without its data the next registration of any kind asks the UDM.
            ue.at_udm = false;
            return;
        }
    };
    let serving = amf.serving_plmn(ue);
    let subscription = udm::subscription(&answer.body, serving);
    if subscription.barred.is_some() {
        return deregistration::start(ue, amf, Reason::SubscriptionWithdrawn);
    }
    let before = Before::of(ue);
    let old = replace(ue, amf, subscription);
    let same = |(old, new): (Subscription, &Subscription)| {
        old.default_slices == new.default_slices && old.slices == new.slices
    };
    ue.changes.slices |= !old.zip(ue.subscription.as_ref()).is_some_and(same);
    took_effect(ue, amf, &before);
}

/// Keeps a subscription in the place of another one, and tells the PCF what is new, if it wants to hear of it.
pub(crate) fn replace(ue: &mut UeContext, amf: &mut Amf, subscription: Subscription) -> Option<Subscription> {
    let mut met = ue.subscription.as_ref().map(|old| triggers(old, &subscription)).unwrap_or_default();
    met.retain(|trigger| ue.policy_triggers.contains(trigger));
    let old = ue.subscription.replace(subscription);
    if !met.is_empty() {
        // Its answer to what it was told before is none to this.
        ue.policy_update = pcf::update(ue, amf, met);
    }
    old
}

/// What a PCF may want to hear of (TS 29.507 §4.2.3.2).
fn triggers(old: &Subscription, new: &Subscription) -> Vec<RequestTrigger> {
    let changes = [
        (old.service_area != new.service_area, RequestTrigger::ServAreaCh),
        (old.rfsp != new.rfsp, RequestTrigger::RfspCh),
        (old.ambr != new.ambr, RequestTrigger::UeAmbrCh),
    ];
    changes.into_iter().filter_map(|(changed, trigger)| changed.then_some(trigger)).collect()
}

/// What the PCF decides, now that it knows what has changed.
fn on_policy(ue: &mut UeContext, amf: &mut Amf, reply: ReplyResult) {
    let Some(awaited) = ue.policy_update.take() else { return };
    let before = Before::of(ue);
    match awaited.read(reply) {
        Ok(answer) => pcf::apply(ue, amf, answer.body),
        Err(error) => {
            amf.count("amf.sbi.optional_failed");
            warn!(ue = ue.name(), %error, "the PCF does not decide on changed data");
            if error.status() != Some(404) {
                return;
            }
            // It has lost the association: the subscription holds until there is another one.
            ue.am_policy = None;
            pcf::forget(ue);
        }
    }
    took_effect(ue, amf, &before);
}

/// Something has changed: whom it concerns is told.
pub(crate) fn took_effect(ue: &mut UeContext, amf: &mut Amf, before: &Before) {
    let (ambr, rfsp) = (ue.ambr() != before.ambr, ue.rfsp() != before.rfsp);
    if ambr || rfsp {
        info!(ue = ue.name(), ambr = ?ue.ambr(), rfsp = ue.rfsp(), "UE-AMBR or RFSP index changed");
        ue_context_modification::tell(ue, amf, ambr, rfsp);
    }
    ue.changes.service_area |= service_area::in_force(ue) != before.service_area.as_ref();
    if ue.changes.is_empty() || !ue.registered {
        return;
    }
    if ue.changes.slices && !review_slices(ue, amf) {
        return;
    }
    if ue.n2.is_none() {
        // One that cannot be paged hears of it when it comes.
        let _ = paging::call(ue, amf);
        return;
    }
    tell(ue, amf);
}

/// Tells a connected UE, once nothing else is under way.
pub(crate) fn tell(ue: &mut UeContext, amf: &mut Amf) {
    let connected = ue.n2.as_ref().is_some_and(|n2| n2.secured);
    let free = ue.procedure.is_none() && ue.deregistering.is_none();
    if ue.changes.is_empty() || !ue.registered || !connected || !free {
        return;
    }
    // The registration that was under way may have allowed what is gone.
    if ue.changes.slices && !review_slices(ue, amf) {
        return;
    }
    configuration_update::tell_changes(ue, amf);
}

/// Allows what is left of the allowed slices, or the default ones (TS 23.501 §5.15.5.2.2). Their SMFs, which
/// hear of it as well, release the sessions of the others with a word to the UE. Says whether the UE may stay.
fn review_slices(ue: &mut UeContext, amf: &mut Amf) -> bool {
    let allowed = ue.allowed.clone();
    ue.allowed = slices::served(ue, amf, Some(&allowed)).allowed;
    if ue.allowed.is_empty() {
        deregistration::start(ue, amf, Reason::NoNetworkSlicesAvailable);
        return false;
    }
    true
}
