//! Npcf_AMPolicyControl, consumed: TS 29.507.

use tern_nf::{Selection, Target};
use tern_sbi::Location;
use tern_sbi::common::{AccessType, NfType, PlmnIdNid, RatType, ServiceName};
use tern_sbi::npcf_am::{AmPolicyUpdateNotify, CreateAmPolicy, DeleteAmPolicy, PolicyAssociationRequest};
use tern_types::Supi;

use crate::Amf;
use crate::io::Awaited;
use crate::ue::UeContext;

/// Creates the AM policy association (TS 23.502 §4.2.2.2.2 step 16).
pub(crate) fn create(ue: &mut UeContext, amf: &mut Amf, supi: &Supi) -> Awaited<CreateAmPolicy> {
    // The PCF adds `/update` or `/terminate` to the URI.
    let path = AmPolicyUpdateNotify::callback_path(&supi.to_string());
    let callback = amf.uri(path.strip_suffix("/update").unwrap_or(&path));
    let plmn = amf.serving_plmn(ue);
    let request = PolicyAssociationRequest {
        access_type: Some(AccessType::ThreeGpp),
        pei: ue.pei.clone(),
        user_loc: super::user_location(ue),
        serving_plmn: Some(PlmnIdNid::new(plmn)),
        rat_type: Some(RatType::Nr),
        ue_ambr: ue.subscription.as_ref().and_then(|subscription| subscription.ambr),
        guami: Some(amf.config.guami()),
        allowed_snssais: ue.allowed.clone(),
        ..PolicyAssociationRequest::new(callback, "0".into(), supi.clone())
    };
    let selection = Selection { supi: Some(supi.clone()), ..Selection::default() };
    let target = Target::selected(NfType::Pcf, ServiceName::NpcfAmPolicyControl, selection);
    amf.request(ue.id, target, &CreateAmPolicy { request })
}

/// Ends it.
pub(crate) fn delete(ue: &mut UeContext, amf: &mut Amf, policy: &Location) {
    let Some(pol_asso_id) = policy.last_segment() else { return };
    let _ = amf.insist(ue.id, Target::ApiRoot(policy.api_root.clone()), &DeleteAmPolicy { pol_asso_id });
}
