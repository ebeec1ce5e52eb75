//! Access and mobility decisions: TS 29.507 §4.2, TS 23.503 §6.1.2.1.

use tern_sbi::common::{Area, RestrictionType, ServiceAreaRestriction};
use tern_sbi::npcf_am::{
    PolicyAssociation, PolicyAssociationRequest, PolicyAssociationUpdateRequest, PolicyUpdate, RequestTrigger,
};

use crate::Config;
use crate::config::{AccessPolicy, ServiceArea};

/// No optional feature of TS 29.507 is supported.
pub const SUPPORTED_FEATURES: &str = "0";

/// Decides an association; `categories` are the subscriber's (UDR policy data).
pub fn decide(
    config: &Config,
    request: &PolicyAssociationRequest,
    categories: &[String],
) -> PolicyAssociation {
    let fits = |policy: &&AccessPolicy| policy.when.fits(&request.supi, categories);
    let none = AccessPolicy::default();
    let policy = config.access.iter().find(fits).unwrap_or(&none);
    let mut triggers = Vec::new();
    // What the policy replaces must be told again when the subscription changes it.
    if policy.service_area.is_some() {
        triggers.push(RequestTrigger::ServAreaCh);
    }
    if policy.rfsp.is_some() {
        triggers.push(RequestTrigger::RfspCh);
    }
    if policy.ue_ambr.is_some() {
        triggers.push(RequestTrigger::UeAmbrCh);
    }
    PolicyAssociation {
        serv_area_res: policy.service_area.as_ref().map(restriction),
        rfsp: policy.rfsp,
        ue_ambr: policy.ue_ambr,
        triggers,
        ..PolicyAssociation::new(SUPPORTED_FEATURES.to_owned())
    }
}

fn restriction(area: &ServiceArea) -> ServiceAreaRestriction {
    ServiceAreaRestriction {
        restriction_type: Some(area.restriction.clone()),
        areas: vec![Area { tacs: area.tacs.clone(), area_code: None }],
        max_num_of_tas: None,
    }
}

/// Takes over what an update tells of the UE.
pub fn apply(request: &mut PolicyAssociationRequest, update: PolicyAssociationUpdateRequest) {
    if let Some(uri) = update.notification_uri {
        request.notification_uri = uri;
    }
    let PolicyAssociationUpdateRequest { serv_area_res, rfsp, ue_ambr, user_loc, guami, .. } = update;
    request.serv_area_res = serv_area_res.or(request.serv_area_res.take());
    request.rfsp = rfsp.or(request.rfsp);
    request.ue_ambr = ue_ambr.or(request.ue_ambr);
    request.user_loc = user_loc.or(request.user_loc.take());
    request.guami = guami.or(request.guami);
    for (own, told) in [
        (&mut request.allowed_snssais, update.allowed_snssais),
        (&mut request.target_snssais, update.target_snssais),
    ] {
        if !told.is_empty() {
            *own = told;
        }
    }
    if !update.access_types.is_empty() {
        request.access_types = update.access_types;
    }
    if !update.rat_types.is_empty() {
        request.rat_types = update.rat_types;
    }
}

/// What a UE's AMF has to hear that knows `old` now that `new` is decided; nothing if they are the same.
/// What a policy no longer says is as subscribed; areas that are not restricted any more are said as none
/// that is not allowed.
pub fn changes(
    resource_uri: String,
    request: &PolicyAssociationRequest,
    old: &PolicyAssociation,
    new: &PolicyAssociation,
) -> Option<PolicyUpdate> {
    if old == new {
        return None;
    }
    let unrestricted = || ServiceAreaRestriction {
        restriction_type: Some(RestrictionType::NotAllowedAreas),
        ..ServiceAreaRestriction::default()
    };
    let mut update = PolicyUpdate::new(resource_uri);
    if old.serv_area_res != new.serv_area_res {
        let area = new.serv_area_res.clone().or_else(|| request.serv_area_res.clone());
        update.serv_area_res = Some(area.unwrap_or_else(unrestricted));
    }
    if old.rfsp != new.rfsp {
        update.rfsp = new.rfsp.or(request.rfsp);
    }
    if old.ue_ambr != new.ue_ambr {
        update.ue_ambr = new.ue_ambr.or(request.ue_ambr);
    }
    if old.triggers != new.triggers {
        update.triggers = new.triggers.clone();
    }
    Some(update)
}

/// The policy as an answer to an update.
pub fn update(resource_uri: String, decision: &PolicyAssociation) -> PolicyUpdate {
    PolicyUpdate {
        serv_area_res: decision.serv_area_res.clone(),
        rfsp: decision.rfsp,
        ue_ambr: decision.ue_ambr,
        triggers: decision.triggers.clone(),
        ..PolicyUpdate::new(resource_uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> PolicyAssociationRequest {
        PolicyAssociationRequest::new(
            "http://amf/x".into(),
            "0".into(),
            "imsi-001010000000001".parse().unwrap(),
        )
    }

    #[test]
    fn when_no_policy_fits_then_the_subscription_holds() {
        let decision = decide(&Config::default(), &request(), &[]);
        assert_eq!(decision, PolicyAssociation::new("0".into()));
    }

    #[test]
    fn when_the_category_fits_then_the_policy_holds() {
        let config: Config = tern_config::Sample::sample().unwrap();
        assert_eq!(decide(&config, &request(), &[]).rfsp, None);
        let decision = decide(&config, &request(), &["visitor".into()]);
        assert_eq!(decision.rfsp, Some(2));
        assert_eq!(decision.serv_area_res.unwrap().areas[0].tacs.len(), 2);
        assert_eq!(decision.triggers, [RequestTrigger::ServAreaCh, RequestTrigger::RfspCh]);
    }

    #[test]
    fn when_a_restriction_is_lifted_then_it_is_said_that_no_area_is_forbidden() {
        let config: Config = tern_config::Sample::sample().unwrap();
        let visitor = decide(&config, &request(), &["visitor".into()]);
        let none = decide(&config, &request(), &[]);
        let told = |old, new| changes("x".into(), &request(), old, new);
        assert_eq!(told(&visitor, &visitor), None);
        assert_eq!(told(&none, &visitor).unwrap().serv_area_res, visitor.serv_area_res);
        let lifted = told(&visitor, &none).unwrap().serv_area_res.unwrap();
        assert_eq!(lifted.restriction_type, Some(RestrictionType::NotAllowedAreas));
        assert!(lifted.areas.is_empty());
    }
}
