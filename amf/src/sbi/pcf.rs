//! Npcf_AMPolicyControl, consumed: TS 29.507.

use tern_nf::{Selection, Target};
use tern_sbi::Location;
use tern_sbi::common::{
    AccessType, NfType, PlmnIdNid, RFSP_INDICES, RatType, ServiceAreaRestriction, ServiceName,
};
use tern_sbi::npcf_am::{
    AmPolicyUpdateNotify, CreateAmPolicy, DeleteAmPolicy, PolicyAssociation, PolicyAssociationRequest,
    PolicyAssociationUpdateRequest, PolicyUpdate, RequestTrigger, UpdateAmPolicy,
};
use tern_types::Supi;

use crate::Amf;
use crate::gmm::service_area;
use crate::io::Awaited;
use crate::ue::UeContext;

/// Creates the AM policy association (TS 23.502 §4.2.2.2.2 step 16).
pub(crate) fn create(ue: &mut UeContext, amf: &mut Amf, supi: &Supi) -> Awaited<CreateAmPolicy> {
    // The PCF adds `/update` or `/terminate` to the URI.
    let path = AmPolicyUpdateNotify::callback_path(&supi.to_string());
    let callback = amf.uri(path.strip_suffix("/update").unwrap_or(&path));
    let plmn = amf.serving_plmn(ue);
    let subscription = ue.subscription.as_ref();
    let request = PolicyAssociationRequest {
        access_type: Some(AccessType::ThreeGpp),
        pei: ue.pei.clone(),
        user_loc: super::user_location(ue),
        serving_plmn: Some(PlmnIdNid::new(plmn)),
        rat_type: Some(RatType::Nr),
        serv_area_res: subscription
            .and_then(|subscription| subscription.service_area.as_ref())
            .map(service_area::restriction),
        rfsp: subscription.and_then(|subscription| subscription.rfsp),
        ue_ambr: subscription.and_then(|subscription| subscription.ambr),
        guami: Some(amf.config.guami()),
        allowed_snssais: ue.allowed.clone(),
        ..PolicyAssociationRequest::new(callback, "0".into(), supi.clone())
    };
    let selection = Selection { supi: Some(supi.clone()), ..Selection::default() };
    let target = Target::selected(NfType::Pcf, ServiceName::NpcfAmPolicyControl, selection);
    amf.request(ue.id, target, &CreateAmPolicy { request })
}

/// Tells the PCF what has changed of the subscription (TS 29.507 §4.2.3.1); nothing without an association.
pub(crate) fn update(
    ue: &mut UeContext,
    amf: &mut Amf,
    triggers: Vec<RequestTrigger>,
) -> Option<Awaited<UpdateAmPolicy>> {
    let policy = ue.am_policy.clone()?;
    let pol_asso_id = policy.last_segment()?;
    let subscription = ue.subscription.as_ref();
    let met = |trigger| subscription.filter(|_| triggers.contains(&trigger));
    let area = met(RequestTrigger::ServAreaCh).map(|subscription| {
        subscription
            .service_area
            .as_ref()
            .map_or_else(ServiceAreaRestriction::unrestricted, service_area::restriction)
    });
    let request = PolicyAssociationUpdateRequest {
        serv_area_res: area,
        rfsp: met(RequestTrigger::RfspCh).and_then(|subscription| subscription.rfsp),
        ue_ambr: met(RequestTrigger::UeAmbrCh).and_then(|subscription| subscription.ambr),
        triggers,
        ..PolicyAssociationUpdateRequest::default()
    };
    amf.count("amf.policy.change_told");
    Some(amf.request(ue.id, Target::ApiRoot(policy.api_root), &UpdateAmPolicy { pol_asso_id, request }))
}

/// What the PCF has decided for a new association.
pub(crate) fn decided(ue: &mut UeContext, amf: &Amf, decision: PolicyAssociation) {
    forget(ue);
    let PolicyAssociation { serv_area_res, rfsp, ue_ambr, triggers, .. } = decision;
    apply(
        ue,
        amf,
        PolicyUpdate { serv_area_res, rfsp, ue_ambr, triggers, ..PolicyUpdate::new(String::new()) },
    );
}

/// What the PCF changes of its decision; what it does not name stays as it is (TS 29.507 §4.2.4.2).
pub(crate) fn apply(ue: &mut UeContext, amf: &Amf, update: PolicyUpdate) {
    if let Some(area) = &update.serv_area_res {
        ue.policy_area = service_area::of(area, amf.serving_plmn(ue));
    }
    ue.policy_ambr = update.ue_ambr.or(ue.policy_ambr);
    ue.policy_rfsp = update.rfsp.filter(|index| RFSP_INDICES.contains(index)).or(ue.policy_rfsp);
    if !update.triggers.is_empty() {
        ue.policy_triggers = update.triggers;
    }
}

/// Nothing of the PCF's holds any more.
pub(crate) fn forget(ue: &mut UeContext) {
    (ue.policy_area, ue.policy_ambr, ue.policy_rfsp) = (None, None, None);
    ue.policy_triggers.clear();
    ue.policy_update = None;
}

/// Ends it.
pub(crate) fn delete(ue: &mut UeContext, amf: &mut Amf, policy: &Location) {
    let Some(pol_asso_id) = policy.last_segment() else { return };
    let _ = amf.insist(ue.id, Target::ApiRoot(policy.api_root.clone()), &DeleteAmPolicy { pol_asso_id });
}
