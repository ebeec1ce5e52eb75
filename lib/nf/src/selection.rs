//! Which producer a consumer wants, and which of those found it takes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tern_sbi::common::{NfInstanceId, NfType, ServiceName, UriScheme};
use tern_sbi::nnrf_disc::SearchNfInstances;
use tern_sbi::nnrf_nfm::{NfProfile, NfService, NfServiceStatus, NfStatus, SupiRange};
use tern_types::{Dnn, Guami, PlmnId, Snssai, Supi, Tai};

/// Whom a request is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Target {
    /// Any producer of a service, as the NRF tells.
    Service {
        /// Its NF type.
        nf_type: NfType,
        /// The service.
        service: ServiceName,
        /// What it must serve.
        selection: Selection,
    },
    /// The producer at this apiRoot: one that a resource of ours lives at.
    ApiRoot(String),
}

impl Target {
    /// Any producer of `service`.
    pub fn service(nf_type: NfType, service: ServiceName) -> Self {
        Self::Service { nf_type, service, selection: Selection::default() }
    }

    /// Those of `service` that serve `selection`.
    pub fn selected(nf_type: NfType, service: ServiceName, selection: Selection) -> Self {
        Self::Service { nf_type, service, selection }
    }
}

/// What a producer must serve (TS 29.510 §6.2.3.2.3.1); what is `None` is all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Selection {
    /// Data network.
    pub dnn: Option<Dnn>,
    /// Slice.
    pub snssai: Option<Snssai>,
    /// PLMN of the producer.
    pub plmn: Option<PlmnId>,
    /// Tracking area.
    pub tai: Option<Tai>,
    /// Subscriber. Compared here with what the profiles say, so that one discovery serves all.
    pub supi: Option<Supi>,
    /// AMF.
    pub guami: Option<Guami>,
    /// One instance.
    pub nf_instance_id: Option<NfInstanceId>,
    /// Locality that is preferred.
    pub preferred_locality: Option<String>,
}

impl Selection {
    /// What the NRF is asked for: see [`supi`](Self::supi).
    pub(crate) fn for_any_subscriber(&self) -> Self {
        Self {
            dnn: self.dnn.clone(),
            snssai: self.snssai,
            plmn: self.plmn,
            tai: self.tai,
            supi: None,
            guami: self.guami,
            nf_instance_id: self.nf_instance_id,
            preferred_locality: self.preferred_locality.clone(),
        }
    }

    /// The request to the NRF.
    pub(crate) fn search(
        &self,
        requester: &NfType,
        nf_type: &NfType,
        service: Option<&ServiceName>,
    ) -> SearchNfInstances {
        SearchNfInstances {
            target_nf_type: nf_type.clone(),
            requester_nf_type: requester.clone(),
            service_names: service.map(|service| vec![service.clone()]),
            requester_nf_instance_id: None,
            target_nf_instance_id: self.nf_instance_id,
            target_plmn_list: self.plmn.map(|plmn| vec![plmn]),
            requester_plmn_list: None,
            snssais: self.snssai.map(|snssai| vec![snssai]),
            dnn: self.dnn.clone(),
            smf_serving_area: None,
            tai: self.tai,
            amf_region_id: None,
            amf_set_id: None,
            guami: self.guami,
            supi: None,
            routing_indicator: None,
            group_id_list: None,
            target_nf_set_id: None,
            access_type: None,
            pdu_session_types: None,
            preferred_locality: self.preferred_locality.clone(),
            limit: None,
            requester_features: None,
        }
    }
}

/// A producer of one service.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) api_root: String,
    /// What stands before each path (`apiPrefix`); mostly empty.
    pub(crate) prefix: String,
    pub(crate) priority: u16,
    pub(crate) capacity: u16,
    supi_ranges: Vec<SupiRange>,
}

impl Candidate {
    pub(crate) fn serves(&self, supi: Option<&Supi>) -> bool {
        let Some(supi) = supi else { return true };
        self.supi_ranges.is_empty() || self.supi_ranges.iter().any(|range| range.contains(supi))
    }
}

/// The producers of `service` among these profiles; best first.
pub(crate) fn candidates(profiles: &[Arc<NfProfile>], service: &ServiceName) -> Vec<Candidate> {
    let registered = profiles.iter().filter(|profile| profile.nf_status == NfStatus::Registered);
    let mut candidates: Vec<Candidate> = registered
        .flat_map(|profile| profile.services().map(move |offered| (profile, offered)))
        .filter(|(_, offered)| {
            offered.service_name == *service && offered.nf_service_status == NfServiceStatus::Registered
        })
        .filter_map(|(profile, offered)| candidate(profile, offered))
        .collect();
    candidates.sort_by_key(|candidate| candidate.priority);
    candidates
}

fn candidate(profile: &NfProfile, service: &NfService) -> Option<Candidate> {
    let (scheme, default_port) = match service.scheme {
        UriScheme::Http => ("http", 80),
        UriScheme::Https => ("https", 443),
        UriScheme::Other(_) => return None,
    };
    let end_point = service.ip_end_points.first();
    let port = end_point.and_then(|e| e.port).unwrap_or(default_port);
    let ipv4 = end_point.and_then(|e| e.ipv4_address).or(profile.ipv4_addresses.first().copied());
    let ipv6 = end_point.and_then(|e| e.ipv6_address).or(profile.ipv6_addresses.first().copied());
    let fqdn = service.fqdn.as_ref().or(profile.fqdn.as_ref());
    // An address spares the name's resolution.
    let host = ipv4
        .map(|ip| ip.to_string())
        .or_else(|| ipv6.map(|ip| format!("[{ip}]")))
        .or_else(|| fqdn.cloned())?;
    let prefix = service.api_prefix.as_deref().unwrap_or_default().trim_matches('/');
    let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
    let ranges = [
        profile.udm_info.as_ref().map(|info| &info.supi_ranges),
        profile.udr_info.as_ref().map(|info| &info.supi_ranges),
        profile.ausf_info.as_ref().map(|info| &info.supi_ranges),
        profile.pcf_info.as_ref().map(|info| &info.supi_ranges),
    ];
    Some(Candidate {
        api_root: format!("{scheme}://{host}:{port}"),
        prefix,
        priority: service.priority.or(profile.priority).unwrap_or(0),
        capacity: service.capacity.or(profile.capacity).unwrap_or(100),
        supi_ranges: ranges.into_iter().flatten().flatten().cloned().collect(),
    })
}

/// The order in which to try: among the best, `turn` decides, in proportion to capacity.
pub(crate) fn order<'c>(candidates: &'c [Candidate], supi: Option<&Supi>, turn: u64) -> Vec<&'c Candidate> {
    let fitting: Vec<&Candidate> = candidates.iter().filter(|c| c.serves(supi)).collect();
    let Some(best) = fitting.first().map(|c| c.priority) else { return Vec::new() };
    let equals = fitting.iter().take_while(|c| c.priority == best);
    let weight = |c: &Candidate| u64::from(c.capacity.max(1));
    let total: u64 = equals.clone().map(|c| weight(c)).sum();
    let mut at = turn % total.max(1);
    let mut chosen = 0;
    for (index, candidate) in equals.enumerate() {
        if at < weight(candidate) {
            chosen = index;
            break;
        }
        at -= weight(candidate);
    }
    let first = std::iter::once(fitting[chosen]);
    let others = fitting.iter().enumerate().filter(|(index, _)| *index != chosen).map(|(_, c)| *c);
    first.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use tern_sbi::nnrf_nfm::{IpEndPoint, NfServiceVersion, UdmInfo};

    use super::*;

    fn profile(host: &str, priority: u16, capacity: u16) -> NfProfile {
        let version = NfServiceVersion::new("v1".into(), "1.0.0".into());
        let service = NfService {
            ip_end_points: vec![IpEndPoint {
                ipv4_address: Some(host.parse().unwrap()),
                port: Some(8080),
                ..IpEndPoint::default()
            }],
            priority: Some(priority),
            capacity: Some(capacity),
            ..NfService::new(
                "1".into(),
                ServiceName::NudmUeau,
                vec![version],
                UriScheme::Http,
                NfServiceStatus::Registered,
            )
        };
        NfProfile {
            nf_services: vec![service],
            ..NfProfile::new(NfInstanceId::nil(), NfType::Udm, NfStatus::Registered)
        }
    }

    #[test]
    fn the_best_priority_is_first_and_capacity_shares_the_turns() {
        let profiles: Vec<_> = [("10.0.0.3", 1, 1), ("10.0.0.1", 0, 1), ("10.0.0.2", 0, 3)]
            .map(|(host, priority, capacity)| Arc::new(profile(host, priority, capacity)))
            .into();
        let candidates = candidates(&profiles, &ServiceName::NudmUeau);
        let firsts: Vec<String> =
            (0..4).map(|turn| order(&candidates, None, turn)[0].api_root.clone()).collect();
        assert_eq!(firsts[0], "http://10.0.0.1:8080");
        assert!(firsts[1..].iter().all(|root| root == "http://10.0.0.2:8080"));
        assert_eq!(order(&candidates, None, 0)[2].api_root, "http://10.0.0.3:8080");
    }

    #[test]
    fn a_producer_with_supi_ranges_serves_only_them() {
        let range = SupiRange {
            start: Some("001010000000000".into()),
            end: Some("001010000000009".into()),
            pattern: None,
        };
        let udm_info = Some(UdmInfo { supi_ranges: vec![range], ..UdmInfo::default() });
        let profiles = [Arc::new(NfProfile { udm_info, ..profile("10.0.0.1", 0, 1) })];
        let candidates = candidates(&profiles, &ServiceName::NudmUeau);
        let found = |supi: &str| order(&candidates, Some(&supi.parse().unwrap()), 0).len();
        assert_eq!((found("imsi-001010000000005"), found("imsi-001010000000010")), (1, 0));
    }
}
