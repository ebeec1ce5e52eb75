//! Nudm_UECM and Nudm_SDM, consumed: TS 29.503.

use tern_nf::{Selection, Target};
use tern_sbi::common::{NfType, RFSP_INDICES, RatType, ServiceName};
use tern_sbi::nudm_sdm::{
    AccessAndMobilitySubscriptionData, DataChangeNotify, DataSetName, GetDataSets, SdmSubscription,
    Subscribe, SubscriptionDataSets, Unsubscribe,
};
use tern_sbi::nudm_uecm::{
    Amf3GppAccessRegistration, Amf3GppAccessRegistrationModification, DeregistrationNotify, RegisterAmf3gpp,
    UpdateAmf3gpp,
};
use tern_sbi::{Location, OperationError};
use tern_types::{PlmnId, Snssai, Supi};
use tracing::warn;

use crate::Amf;
use crate::error::Refusal;
use crate::gmm::service_area;
use crate::io::Awaited;
use crate::ue::{SubscribedDnn, Subscription, UeContext};

fn target(service: ServiceName, supi: &Supi) -> Target {
    let selection = Selection { supi: Some(supi.clone()), ..Selection::default() };
    Target::selected(NfType::Udm, service, selection)
}

/// Registers this AMF as the UE's (TS 23.502 §4.2.2.2.2 step 14a).
pub(crate) fn register(
    ue: &mut UeContext,
    amf: &mut Amf,
    supi: &Supi,
    initial: bool,
) -> Awaited<RegisterAmf3gpp> {
    let callback = amf.uri(&DeregistrationNotify::callback_path(&supi.to_string()));
    let registration = Amf3GppAccessRegistration {
        pei: ue.pei.clone(),
        initial_registration_ind: Some(initial),
        ..Amf3GppAccessRegistration::new(amf.nf_instance_id, callback, amf.config.guami(), RatType::Nr)
    };
    let operation = RegisterAmf3gpp { ue_id: supi.clone(), registration };
    amf.request(ue.id, target(ServiceName::NudmUecm, supi), &operation)
}

/// Fetches what the AMF needs of the subscription, at once (step 14b).
pub(crate) fn get_data(ue: &mut UeContext, amf: &mut Amf, supi: &Supi) -> Awaited<GetDataSets> {
    let operation = GetDataSets {
        supi: supi.clone(),
        dataset_names: vec![DataSetName::Am, DataSetName::SmfSel],
        plmn_id: Some(amf.serving_plmn(ue)),
        supported_features: None,
    };
    amf.request(ue.id, target(ServiceName::NudmSdm, supi), &operation)
}

/// Subscribes to changes of it (step 14c).
pub(crate) fn subscribe(ue: &mut UeContext, amf: &mut Amf, supi: &Supi) -> Awaited<Subscribe> {
    let callback = amf.uri(&DataChangeNotify::callback_path(&supi.to_string()));
    let resources = ["am-data", "smf-select-data"].map(|data| format!("/nudm-sdm/v2/{supi}/{data}"));
    let subscription = SdmSubscription {
        implicit_unsubscribe: Some(true),
        // A request that is repeated, since its answer was lost, is of one subscription.
        subscription_id: Some(format!("{}-{}", amf.nf_instance_id, amf.next_token)),
        plmn_id: Some(amf.serving_plmn(ue)),
        ..SdmSubscription::new(amf.nf_instance_id, callback, resources.into())
    };
    let operation = Subscribe { ue_id: supi.clone(), subscription };
    amf.request(ue.id, target(ServiceName::NudmSdm, supi), &operation)
}

/// Ends the subscription to changes.
pub(crate) fn unsubscribe(ue: &mut UeContext, amf: &mut Amf, supi: &Supi, subscription: &Location) {
    let Some(subscription_id) = subscription.last_segment() else { return };
    let operation = Unsubscribe { ue_id: supi.clone(), subscription_id };
    amf.tell(ue.id, Target::ApiRoot(subscription.api_root.clone()), &operation);
}

/// Tells the UDM that this AMF has nothing of the UE any more.
pub(crate) fn purge(ue: &mut UeContext, amf: &mut Amf, supi: &Supi) {
    let modification = Amf3GppAccessRegistrationModification {
        purge_flag: Some(true),
        ..Amf3GppAccessRegistrationModification::new(amf.config.guami())
    };
    let operation = UpdateAmf3gpp { ue_id: supi.clone(), modification };
    amf.tell(ue.id, target(ServiceName::NudmUecm, supi), &operation);
}

/// What the AMF keeps of the subscription.
pub(crate) fn subscription(sets: &SubscriptionDataSets, serving: PlmnId) -> Subscription {
    let am = sets.am_data.as_ref();
    let nssai = am.and_then(|am| am.nssai.as_ref());
    let mut subscription = Subscription {
        ambr: am.and_then(|am| am.subscribed_ue_ambr),
        rfsp: am.and_then(|am| am.rfsp_index).filter(|index| RFSP_INDICES.contains(index)),
        default_slices: nssai.map(|n| n.default_single_nssais.clone()).unwrap_or_default(),
        slices: nssai.map(|n| n.single_nssais.clone()).unwrap_or_default(),
        dnns: Vec::new(),
        service_area: am
            .and_then(|am| am.service_area_restriction.as_ref())
            .and_then(|restriction| service_area::of(restriction, serving)),
        barred: am.and_then(barring),
    };
    let slices = sets.smf_sel_data.iter().flat_map(|data| &data.subscribed_snssai_infos);
    for (slice, info) in slices {
        let Ok(slice) = slice.parse::<Snssai>() else { continue };
        let served = info.dnn_infos.iter().filter(|dnn| dnn.dnn_barred != Some(true));
        let dnns = served.map(|dnn| SubscribedDnn {
            dnn: dnn.dnn.dnn().cloned(),
            default: dnn.default_dnn_indicator == Some(true),
        });
        subscription.dnns.push((slice, dnns.collect()));
    }
    subscription
}

/// Why a subscriber is not to be served: operator determined barring is #11, a subscription for other core
/// networks #27 (TS 24.501 Annex A.2).
fn barring(am: &AccessAndMobilitySubscriptionData) -> Option<Refusal> {
    if am.is_barred() {
        return Some(Refusal::PlmnNotAllowed);
    }
    am.excludes_5gc().then_some(Refusal::N1ModeNotAllowed)
}

/// What a refusal of the UDM means to the UE.
pub(crate) fn refusal(ue: &UeContext, error: &OperationError) -> Refusal {
    warn!(ue = ue.name(), %error, "refused by the UDM");
    let cause = error.problem().and_then(|problem| problem.cause.as_deref());
    match error.status() {
        Some(404) => Refusal::IllegalUe,
        Some(403) if cause == Some("ROAMING_NOT_ALLOWED") => Refusal::PlmnNotAllowed,
        Some(403) => Refusal::ServicesNotAllowed,
        _ => Refusal::Congestion,
    }
}

/// Where a resource that was created lives.
pub(crate) fn location(uri: Option<&str>) -> Option<Location> {
    uri.and_then(Location::parse)
}
