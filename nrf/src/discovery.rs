//! Which NF instances fit a query: TS 29.510 §6.2.3.2.3.1.

use std::cmp::Reverse;

use tern_sbi::common::ServiceName;
use tern_sbi::nnrf_disc::SearchNfInstances;
use tern_sbi::nnrf_nfm::{
    AmfInfo, NfProfile, NfService, NfServiceStatus, NfStatus, SmfInfo, SupiRange, TaiRange, UpfInfo,
};
use tern_types::{PlmnId, Snssai, Supi, Tai};

/// Instances in one answer.
pub const INSTANCES_MAX: usize = 256;

/// The profiles that fit all parameters, with the services asked for alone; best first:
/// preferred locality, then priority, load and capacity.
pub fn search<'a>(
    profiles: impl Iterator<Item = &'a NfProfile>,
    query: &SearchNfInstances,
) -> Vec<NfProfile> {
    let mut found: Vec<NfProfile> = profiles
        .filter(|profile| fits(profile, query))
        .filter_map(|profile| answer(profile, query))
        .collect();
    let preferred = query.preferred_locality.as_deref();
    found.sort_by_key(|profile| {
        (
            preferred.is_some() && profile.locality.as_deref() != preferred,
            profile.priority.unwrap_or(u16::MAX),
            profile.load.unwrap_or(0),
            Reverse(profile.capacity.unwrap_or(0)),
            profile.nf_instance_id,
        )
    });
    let limit = query.limit.map_or(INSTANCES_MAX, |limit| usize::try_from(limit).unwrap_or(INSTANCES_MAX));
    found.truncate(limit.min(INSTANCES_MAX));
    found
}

fn fits(profile: &NfProfile, query: &SearchNfInstances) -> bool {
    profile.nf_status == NfStatus::Registered
        && profile.nf_type == query.target_nf_type
        && allows(&profile.allowed_nf_types, &query.requester_nf_type)
        && query.target_nf_instance_id.is_none_or(|id| id == profile.nf_instance_id)
        && query.target_nf_set_id.as_ref().is_none_or(|set| profile.nf_set_id_list.contains(set))
        && overlap(&profile.plmn_list, query.target_plmn_list.as_deref())
        && allows_plmns(&profile.allowed_plmns, query.requester_plmn_list.as_deref())
        && overlap(&profile.s_nssais, query.snssais.as_deref())
        && allowed_nssais(profile, query.snssais.as_deref())
        && query.supi.as_ref().is_none_or(|supi| serves_supi(profile, supi))
        && serves_group(profile, query)
        && query.dnn.as_ref().is_none_or(|dnn| {
            let dnns = profile.pcf_info.as_ref().map(|info| info.dnn_list.as_slice());
            dnns.is_none_or(|list| list.is_empty() || list.contains(dnn))
        })
        && profile.amf_info.as_ref().is_none_or(|info| amf_fits(info, query))
        && profile.smf_info.as_ref().is_none_or(|info| smf_fits(info, query))
        && profile.upf_info.as_ref().is_none_or(|info| upf_fits(info, query))
        && has_required_info(profile, query)
}

/// The profile with the services that were asked for; `None` if it has none of them.
fn answer(profile: &NfProfile, query: &SearchNfInstances) -> Option<NfProfile> {
    let mut answer = profile.clone();
    // What concerns the NRF alone is not in discovery's NFProfile.
    answer.heart_beat_timer = None;
    answer.nf_profile_changes_support_ind = None;
    answer.nf_profile_changes_ind = None;
    if let Some(names) = &query.service_names {
        let wanted = |service: &NfService| offered(service, names, query);
        answer.nf_services.retain(wanted);
        answer.nf_service_list.retain(|_, service| wanted(service));
        answer.services().next()?;
    }
    Some(answer)
}

fn offered(service: &NfService, names: &[ServiceName], query: &SearchNfInstances) -> bool {
    names.contains(&service.service_name)
        && service.nf_service_status == NfServiceStatus::Registered
        && allows(&service.allowed_nf_types, &query.requester_nf_type)
        && allows_plmns(&service.allowed_plmns, query.requester_plmn_list.as_deref())
        && overlap(&service.s_nssais, query.snssais.as_deref())
}

/// An empty list allows all.
fn allows<T: PartialEq>(allowed: &[T], one: &T) -> bool {
    allowed.is_empty() || allowed.contains(one)
}

fn allows_plmns(allowed: &[PlmnId], requester: Option<&[PlmnId]>) -> bool {
    overlap(allowed, requester)
}

/// Whether both have something in common; an absent or empty list is everything.
fn overlap<T: PartialEq>(own: &[T], asked: Option<&[T]>) -> bool {
    let Some(asked) = asked else { return true };
    own.is_empty() || asked.is_empty() || asked.iter().any(|one| own.contains(one))
}

fn allowed_nssais(profile: &NfProfile, asked: Option<&[Snssai]>) -> bool {
    overlap(&profile.allowed_nssais, asked)
}

fn serves_supi(profile: &NfProfile, supi: &Supi) -> bool {
    let in_ranges = |ranges: &[SupiRange]| ranges.is_empty() || ranges.iter().any(|r| r.contains(supi));
    profile.udm_info.as_ref().is_none_or(|info| in_ranges(&info.supi_ranges))
        && profile.udr_info.as_ref().is_none_or(|info| in_ranges(&info.supi_ranges))
        && profile.ausf_info.as_ref().is_none_or(|info| in_ranges(&info.supi_ranges))
        && profile.pcf_info.as_ref().is_none_or(|info| in_ranges(&info.supi_ranges))
}

fn serves_group(profile: &NfProfile, query: &SearchNfInstances) -> bool {
    if let Some(groups) = &query.group_id_list {
        let own = [
            profile.udm_info.as_ref().and_then(|info| info.group_id.as_ref()),
            profile.udr_info.as_ref().and_then(|info| info.group_id.as_ref()),
            profile.ausf_info.as_ref().and_then(|info| info.group_id.as_ref()),
            profile.pcf_info.as_ref().and_then(|info| info.group_id.as_ref()),
        ];
        if !own.into_iter().flatten().any(|group| groups.contains(group)) {
            return false;
        }
    }
    query.routing_indicator.as_ref().is_none_or(|indicator| {
        profile.udm_info.as_ref().is_none_or(|info| allows(&info.routing_indicators, indicator))
            && profile.ausf_info.as_ref().is_none_or(|info| allows(&info.routing_indicators, indicator))
    })
}

fn serves_tai(list: &[Tai], ranges: &[TaiRange], asked: Option<&Tai>) -> bool {
    let Some(tai) = asked else { return true };
    (list.is_empty() && ranges.is_empty())
        || list.contains(tai)
        || ranges.iter().any(|range| range.contains(tai))
}

fn amf_fits(info: &AmfInfo, query: &SearchNfInstances) -> bool {
    let same = |own: &str, asked: &Option<String>| {
        asked.as_ref().is_none_or(|asked| own.eq_ignore_ascii_case(asked))
    };
    same(&info.amf_region_id, &query.amf_region_id)
        && same(&info.amf_set_id, &query.amf_set_id)
        && query.guami.is_none_or(|guami| info.guami_list.contains(&guami))
        && serves_tai(&info.tai_list, &info.tai_range_list, query.tai.as_ref())
}

fn smf_fits(info: &SmfInfo, query: &SearchNfInstances) -> bool {
    let sliced = info.s_nssai_smf_info_list.iter().any(|item| {
        asked_for(query.snssais.as_deref(), &item.s_nssai)
            && query.dnn.as_ref().is_none_or(|dnn| item.dnn_smf_info_list.iter().any(|d| d.dnn.covers(dnn)))
    });
    (sliced || (query.snssais.is_none() && query.dnn.is_none()))
        && query.access_type.is_none_or(|access| allows(&info.access_type, &access))
        && serves_tai(&info.tai_list, &info.tai_range_list, query.tai.as_ref())
}

fn upf_fits(info: &UpfInfo, query: &SearchNfInstances) -> bool {
    let sliced = info.s_nssai_upf_info_list.iter().any(|item| {
        asked_for(query.snssais.as_deref(), &item.s_nssai)
            && query.dnn.as_ref().is_none_or(|dnn| item.dnn_upf_info_list.iter().any(|d| d.dnn == *dnn))
    });
    (sliced || (query.snssais.is_none() && query.dnn.is_none()))
        && overlap(&info.pdu_session_types, query.pdu_session_types.as_deref())
        && query.smf_serving_area.as_ref().is_none_or(|area| allows(&info.smf_serving_area, area))
        && serves_tai(&info.tai_list, &info.tai_range_list, query.tai.as_ref())
}

fn asked_for(asked: Option<&[Snssai]>, own: &Snssai) -> bool {
    asked.is_none_or(|asked| asked.is_empty() || asked.contains(own))
}

/// What names one AMF, set or region finds only AMFs that say so.
fn has_required_info(profile: &NfProfile, query: &SearchNfInstances) -> bool {
    let names_amf = query.guami.is_some() || query.amf_set_id.is_some() || query.amf_region_id.is_some();
    !names_amf || profile.amf_info.is_some()
}

#[cfg(test)]
mod tests {
    use tern_sbi::Operation;
    use tern_sbi::common::{NfInstanceId, NfType, UriScheme};
    use tern_sbi::nnrf_nfm::{DnnSmfInfoItem, NfServiceVersion, SnssaiSmfInfoItem};

    use super::*;

    fn service(name: ServiceName) -> NfService {
        let version = NfServiceVersion::new("v1".into(), "1.0.0".into());
        let registered = NfServiceStatus::Registered;
        NfService::new(name.to_string(), name, vec![version], UriScheme::Http, registered)
    }

    fn smf(id: u128, sst: u8, dnn: &str) -> NfProfile {
        let dnn = DnnSmfInfoItem::new(dnn.parse::<tern_types::Dnn>().unwrap().into());
        let item = SnssaiSmfInfoItem::new(Snssai::new(sst, None), vec![dnn]);
        NfProfile {
            nf_services: vec![service(ServiceName::NsmfPdusession), service(ServiceName::NsmfEventExposure)],
            smf_info: Some(SmfInfo::new(vec![item])),
            ..NfProfile::new(NfInstanceId::from_u128(id), NfType::Smf, NfStatus::Registered)
        }
    }

    /// A query as it travels.
    fn query(parameters: &[(&str, &str)]) -> SearchNfInstances {
        let query = [("target-nf-type", "SMF"), ("requester-nf-type", "AMF")].iter().chain(parameters);
        let request = tern_sbi::Request {
            method: tern_sbi::Method::Get,
            path: String::new(),
            query: query.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            headers: tern_sbi::Headers::default(),
            body: tern_sbi::Body::Empty,
        };
        SearchNfInstances::from_request(&tern_sbi::PathParams::default(), &request).unwrap()
    }

    fn ids(profiles: &[NfProfile], parameters: &[(&str, &str)]) -> Vec<u128> {
        search(profiles.iter(), &query(parameters)).iter().map(|p| p.nf_instance_id.as_u128()).collect()
    }

    #[test]
    fn slice_and_dnn_must_fit_together() {
        let profiles = [smf(1, 1, "internet"), smf(2, 2, "ims")];
        assert_eq!(ids(&profiles, &[]), [1, 2]);
        assert_eq!(ids(&profiles, &[("dnn", "ims")]), [2]);
        assert_eq!(ids(&profiles, &[("dnn", "ims"), ("snssais", r#"[{"sst":2}]"#)]), [2]);
        assert!(ids(&profiles, &[("dnn", "ims"), ("snssais", r#"[{"sst":1}]"#)]).is_empty());
    }

    #[test]
    fn only_the_services_asked_for_are_in_the_answer() {
        let found = search([smf(1, 1, "a")].iter(), &query(&[("service-names", "nsmf-pdusession")]));
        let names: Vec<_> = found[0].services().map(|s| s.service_name.clone()).collect();
        assert_eq!(names, [ServiceName::NsmfPdusession]);
        assert!(ids(&[smf(1, 1, "a")], &[("service-names", "nudm-sdm")]).is_empty());
    }

    #[test]
    fn priority_then_load_then_capacity_decide_the_order() {
        let with = |id, priority, load, capacity| NfProfile {
            priority: Some(priority),
            load: Some(load),
            capacity: Some(capacity),
            ..smf(id, 1, "a")
        };
        let profiles = [with(1, 1, 0, 1), with(2, 0, 9, 1), with(3, 0, 1, 1), with(4, 0, 1, 9)];
        assert_eq!(ids(&profiles, &[]), [4, 3, 2, 1]);
        assert_eq!(ids(&profiles, &[("limit", "2")]), [4, 3]);
    }

    #[test]
    fn who_is_suspended_or_does_not_allow_the_requester_is_not_found() {
        let suspended = NfProfile { nf_status: NfStatus::Suspended, ..smf(1, 1, "a") };
        let closed = NfProfile { allowed_nf_types: vec![NfType::Pcf], ..smf(2, 1, "a") };
        assert!(ids(&[suspended, closed], &[]).is_empty());
    }
}
