//! Service area restrictions: TS 23.501 §5.3.4.1.2, TS 24.501 §5.3.5.

use tern_nas::nas_5gs::NasServiceAreaList;
use tern_nas::registration;
use tern_ngap::convert;
use tern_ngap::ngap::MobilityRestrictionList;
use tern_sbi::common::{Area, RestrictionType, ServiceAreaRestriction};
use tern_types::{PlmnId, ServiceArea, Tai};

use crate::ue::UeContext;

/// Tracking areas that the UE and its gNB are told (TS 24.501 §9.11.3.49, TS 38.413 §9.3.1.85).
const TAIS_MAX: usize = 16;

/// What a restriction of the UDM or the PCF says of the serving network; `None` if it restricts nothing.
pub(crate) fn of(restriction: &ServiceAreaRestriction, plmn: PlmnId) -> Option<ServiceArea> {
    let tacs = restriction.areas.iter().flat_map(|area| &area.tacs);
    let tais: Vec<Tai> = tacs.map(|&tac| Tai { plmn_id: plmn, tac }).collect();
    match restriction.restriction_type.as_ref()? {
        RestrictionType::AllowedAreas => Some(ServiceArea { allowed: true, tais }),
        RestrictionType::NotAllowedAreas if !tais.is_empty() => Some(ServiceArea { allowed: false, tais }),
        _ => None,
    }
}

/// A restriction as the PCF is told.
pub(crate) fn restriction(area: &ServiceArea) -> ServiceAreaRestriction {
    let kind = if area.allowed { RestrictionType::AllowedAreas } else { RestrictionType::NotAllowedAreas };
    let tacs = area.tais.iter().map(|tai| tai.tac).collect();
    ServiceAreaRestriction {
        restriction_type: Some(kind),
        areas: vec![Area { tacs, area_code: None }],
        max_num_of_tas: None,
    }
}

/// The restriction in force: the PCF's, else the subscribed one (TS 23.501 §5.3.4.1.2).
pub(crate) fn in_force(ue: &UeContext) -> Option<&ServiceArea> {
    let subscribed = || ue.subscription.as_ref().and_then(|subscription| subscription.service_area.as_ref());
    ue.policy_area.as_ref().or_else(subscribed)
}

/// Whether the UE is where it has no service. Who comes with priority is not restricted
/// (TS 24.501 §5.3.5.2).
pub(crate) fn forbids(ue: &UeContext) -> bool {
    let priority = ue.n2.as_ref().is_some_and(|n2| n2.priority);
    let here = ue.location.map(|location| location.tai);
    match (in_force(ue), here) {
        (Some(area), Some(tai)) => !priority && !area.serves(tai),
        _ => false,
    }
}

/// As much of it as fits into a message: what is of the registration area comes first. Where no tracking
/// area is allowed, those of the registration area are not allowed.
pub(crate) fn told(ue: &UeContext) -> Option<ServiceArea> {
    let area = in_force(ue)?;
    let (near, far): (Vec<Tai>, Vec<Tai>) =
        area.tais.iter().copied().partition(|tai| ue.registration_area.contains(tai));
    let tais: Vec<Tai> = near.into_iter().chain(far).take(TAIS_MAX).collect();
    if tais.is_empty() {
        return Some(ServiceArea { allowed: false, tais: ue.registration_area.clone() });
    }
    Some(ServiceArea { allowed: area.allowed, tais })
}

/// Service area list for the UE; `None` if nothing is restricted.
pub(crate) fn list(ue: &UeContext) -> Option<NasServiceAreaList> {
    registration::service_area_list(&told(ue)?).ok()
}

/// Mobility Restriction List for the gNB (TS 38.413 §9.3.1.85).
pub(crate) fn mobility_restrictions(ue: &UeContext, serving: PlmnId) -> MobilityRestrictionList<'static> {
    let area = told(ue).map(|area| convert::service_area(serving, &area));
    MobilityRestrictionList::new(convert::plmn(serving), None, None, None, area, None)
}

#[cfg(test)]
mod tests {
    use tern_types::Tac;

    use super::*;
    use crate::ue::{Subscription, UeId};

    fn tai(tac: u32) -> Tai {
        Tai { plmn_id: PlmnId::new("001", "01").unwrap(), tac: Tac::new(tac).unwrap() }
    }

    fn restricted(kind: RestrictionType, tacs: &[u32]) -> UeContext {
        let tacs = tacs.iter().map(|&tac| tai(tac).tac).collect();
        let restriction = ServiceAreaRestriction {
            restriction_type: Some(kind),
            areas: vec![Area { tacs, area_code: None }],
            max_num_of_tas: None,
        };
        let mut ue = UeContext::new(UeId(1));
        let service_area = of(&restriction, tai(1).plmn_id);
        ue.subscription = Some(Subscription { service_area, ..Subscription::default() });
        ue.registration_area = vec![tai(20), tai(21)];
        ue
    }

    #[test]
    fn when_more_areas_are_allowed_than_fit_then_those_of_the_registration_area_come_first() {
        let ue = restricted(RestrictionType::AllowedAreas, &(1..=20).collect::<Vec<_>>());
        let area = told(&ue).unwrap();
        assert!(area.allowed);
        assert_eq!((area.tais.len(), area.tais[0], area.tais[1]), (16, tai(20), tai(1)));
    }

    #[test]
    fn when_no_area_is_allowed_then_the_registration_area_is_not() {
        let ue = restricted(RestrictionType::AllowedAreas, &[]);
        assert_eq!(told(&ue).unwrap(), ServiceArea { allowed: false, tais: vec![tai(20), tai(21)] });
        let ue = restricted(RestrictionType::NotAllowedAreas, &[]);
        assert_eq!(told(&ue), None);
    }
}
