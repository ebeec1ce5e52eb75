//! Access and mobility decisions: TS 29.507 §4.2, TS 23.503 §6.1.2.1.

use tern_sbi::common::{Area, ServiceAreaRestriction};
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
    // Of what any policy decides the PCF has the last word for every UE: it repeats what is subscribed where no
    // policy fits, and must hear when that changes.
    let any = |decides: fn(&AccessPolicy) -> bool| config.access.iter().any(decides);
    let mut decision = PolicyAssociation::new(SUPPORTED_FEATURES.to_owned());
    if any(|policy| policy.service_area.is_some()) {
        let area = policy.service_area.as_ref().map(restriction);
        decision.serv_area_res = area.or_else(|| request.serv_area_res.clone());
        decision.triggers.push(RequestTrigger::ServAreaCh);
    }
    if any(|policy| policy.rfsp.is_some()) {
        decision.rfsp = policy.rfsp.or(request.rfsp);
        decision.triggers.push(RequestTrigger::RfspCh);
    }
    if any(|policy| policy.ue_ambr.is_some()) {
        decision.ue_ambr = policy.ue_ambr.or(request.ue_ambr);
        decision.triggers.push(RequestTrigger::UeAmbrCh);
    }
    decision
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
    let PolicyAssociationUpdateRequest { triggers, serv_area_res, rfsp, ue_ambr, user_loc, guami, .. } =
        update;
    // A trigger that was met without a value: nothing is subscribed any more.
    let gone = |trigger| triggers.contains(&trigger);
    if serv_area_res.is_some() || gone(RequestTrigger::ServAreaCh) {
        request.serv_area_res = serv_area_res;
    }
    if rfsp.is_some() || gone(RequestTrigger::RfspCh) {
        request.rfsp = rfsp;
    }
    if ue_ambr.is_some() || gone(RequestTrigger::UeAmbrCh) {
        request.ue_ambr = ue_ambr;
    }
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
/// Areas that are not restricted any more are said as none that is not allowed.
pub fn changes(
    resource_uri: String,
    old: &PolicyAssociation,
    new: &PolicyAssociation,
) -> Option<PolicyUpdate> {
    if old == new {
        return None;
    }
    let mut update = PolicyUpdate::new(resource_uri);
    if old.serv_area_res != new.serv_area_res {
        update.serv_area_res =
            Some(new.serv_area_res.clone().unwrap_or_else(ServiceAreaRestriction::unrestricted));
    }
    if old.rfsp != new.rfsp {
        update.rfsp = new.rfsp;
    }
    if old.ue_ambr != new.ue_ambr {
        update.ue_ambr = new.ue_ambr;
    }
    if old.triggers != new.triggers {
        update.triggers = new.triggers.clone();
    }
    Some(update)
}

/// The policy as an answer to an update, of an AMF that knows `old`.
pub fn update(resource_uri: String, old: &PolicyAssociation, decision: &PolicyAssociation) -> PolicyUpdate {
    let lifted = || old.serv_area_res.as_ref().map(|_| ServiceAreaRestriction::unrestricted());
    PolicyUpdate {
        serv_area_res: decision.serv_area_res.clone().or_else(lifted),
        rfsp: decision.rfsp,
        ue_ambr: decision.ue_ambr,
        triggers: decision.triggers.clone(),
        ..PolicyUpdate::new(resource_uri)
    }
}

#[cfg(test)]
mod tests {
    use tern_sbi::common::RestrictionType;

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

    /// Of what some policy decides, the PCF says what holds for everybody, and wants to hear of changes.
    #[test]
    fn when_no_policy_fits_but_one_could_then_what_is_subscribed_is_decided() {
        let config: Config = tern_config::Sample::sample().unwrap();
        let area = ServiceAreaRestriction {
            restriction_type: Some(RestrictionType::AllowedAreas),
            ..ServiceAreaRestriction::default()
        };
        let mut request =
            PolicyAssociationRequest { rfsp: Some(7), serv_area_res: Some(area.clone()), ..request() };
        let decision = decide(&config, &request, &[]);
        assert_eq!((decision.rfsp, decision.serv_area_res.as_ref()), (Some(7), Some(&area)));
        assert_eq!(decision.triggers, [RequestTrigger::ServAreaCh, RequestTrigger::RfspCh]);
        // A trigger without a value: nothing is subscribed any more.
        let triggers = vec![RequestTrigger::RfspCh, RequestTrigger::ServAreaCh];
        apply(&mut request, PolicyAssociationUpdateRequest { triggers, ..Default::default() });
        let lifted = decide(&config, &request, &[]);
        assert_eq!((lifted.rfsp, lifted.serv_area_res.as_ref()), (None, None));
        let told = update("x".into(), &decision, &lifted).serv_area_res.unwrap();
        assert_eq!(told.restriction_type, Some(RestrictionType::NotAllowedAreas));
        assert_eq!(update("x".into(), &lifted, &lifted).serv_area_res, None);
    }

    #[test]
    fn when_a_restriction_is_lifted_then_it_is_said_that_no_area_is_forbidden() {
        let config: Config = tern_config::Sample::sample().unwrap();
        let visitor = decide(&config, &request(), &["visitor".into()]);
        let none = decide(&config, &request(), &[]);
        let told = |old, new| changes("x".into(), old, new);
        assert_eq!(told(&visitor, &visitor), None);
        assert_eq!(told(&none, &visitor).unwrap().serv_area_res, visitor.serv_area_res);
        let lifted = told(&visitor, &none).unwrap().serv_area_res.unwrap();
        assert_eq!(lifted.restriction_type, Some(RestrictionType::NotAllowedAreas));
        assert!(lifted.areas.is_empty());
    }
}
