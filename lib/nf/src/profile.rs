//! What a network function tells the NRF of itself: TS 29.510 §6.1.6.2.2.

use std::net::IpAddr;

use tern_sbi::Location;
use tern_sbi::common::{NfInstanceId, NfType, ServiceName, UriScheme};
use tern_sbi::nnrf_nfm::{
    AmfInfo, AusfInfo, CustomInfo, IpEndPoint, NfProfile, NfService, NfServiceStatus, NfServiceVersion,
    NfStatus, PcfInfo, SmfInfo, TransportProtocol, UdmInfo, UdrInfo, UpfInfo,
};
use tern_types::{Instant, PlmnId, Snssai};

/// What differs between the profiles of network functions.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileSeed {
    /// Its type.
    pub nf_type: NfType,
    /// Services produced; none for a UPF.
    pub services: Vec<ServiceName>,
    /// PLMNs served; none for all.
    pub plmns: Vec<PlmnId>,
    /// Slices served; none for all.
    pub snssais: Vec<Snssai>,
    /// 0 (highest) to 65535.
    pub priority: u16,
    /// Share of the load among those of one priority.
    pub capacity: u16,
    /// An AMF's set, region, GUAMIs and TAIs.
    pub amf_info: Option<AmfInfo>,
    /// An SMF's slices and DNNs.
    pub smf_info: Option<SmfInfo>,
    /// A UPF's slices, DNNs and interfaces.
    pub upf_info: Option<UpfInfo>,
    /// A UDM's subscribers.
    pub udm_info: Option<UdmInfo>,
    /// A UDR's subscribers.
    pub udr_info: Option<UdrInfo>,
    /// An AUSF's subscribers.
    pub ausf_info: Option<AusfInfo>,
    /// A PCF's subscribers and DNNs.
    pub pcf_info: Option<PcfInfo>,
    /// Since when it has its contexts (TS 29.510 `recoveryTime`); the start of the process if none.
    pub since: Option<Instant>,
}

impl ProfileSeed {
    /// For all PLMNs, slices and subscribers.
    pub fn new(nf_type: NfType, services: Vec<ServiceName>) -> Self {
        Self {
            nf_type,
            services,
            plmns: Vec::new(),
            snssais: Vec::new(),
            priority: 0,
            capacity: 100,
            amf_info: None,
            smf_info: None,
            upf_info: None,
            udm_info: None,
            udr_info: None,
            ausf_info: None,
            pcf_info: None,
            since: None,
        }
    }

    /// The profile of an instance that serves at `api_root`; its recovery time is `started` if the seed has none.
    pub(crate) fn profile(
        &self,
        id: NfInstanceId,
        api_root: &str,
        started: Instant,
        node: Option<String>,
    ) -> NfProfile {
        let (host, port) = host_and_port(api_root);
        let started = self.since.unwrap_or(started);
        let mut profile = NfProfile {
            nf_instance_name: Some(format!("tern-{}", self.nf_type.as_str().to_lowercase())),
            priority: Some(self.priority),
            capacity: Some(self.capacity),
            recovery_time: Some(started.into()),
            plmn_list: self.plmns.clone(),
            s_nssais: self.snssais.clone(),
            amf_info: self.amf_info.clone(),
            smf_info: self.smf_info.clone(),
            upf_info: self.upf_info.clone(),
            udm_info: self.udm_info.clone(),
            udr_info: self.udr_info.clone(),
            ausf_info: self.ausf_info.clone(),
            pcf_info: self.pcf_info.clone(),
            custom_info: node.map(|node| CustomInfo { tern_node: Some(node) }),
            ..NfProfile::new(id, self.nf_type.clone(), NfStatus::Registered)
        };
        match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => profile.ipv4_addresses.push(address),
            Ok(IpAddr::V6(address)) => profile.ipv6_addresses.push(address),
            Err(_) => profile.fqdn = Some(host.to_owned()),
        }
        let services = self.services.iter().map(|name| service(name, host, port, started));
        profile.nf_services = services.collect();
        profile
    }
}

fn service(name: &ServiceName, host: &str, port: u16, started: Instant) -> NfService {
    let version = api_version(name);
    let version = NfServiceVersion::new(version.to_owned(), format!("{}.0.0", &version[1..]));
    let mut end_point =
        IpEndPoint { transport: Some(TransportProtocol::Tcp), port: Some(port), ..IpEndPoint::default() };
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => end_point.ipv4_address = Some(address),
        Ok(IpAddr::V6(address)) => end_point.ipv6_address = Some(address),
        Err(_) => {}
    }
    let registered = NfServiceStatus::Registered;
    NfService {
        recovery_time: Some(started.into()),
        ip_end_points: vec![end_point],
        ..NfService::new(name.to_string(), name.clone(), vec![version], UriScheme::Http, registered)
    }
}

/// The version in the service's URIs, Rel-17.
fn api_version(name: &ServiceName) -> &'static str {
    match name {
        ServiceName::NudmSdm | ServiceName::NudrDr | ServiceName::NnssfNsselection => "v2",
        _ => "v1",
    }
}

fn host_and_port(api_root: &str) -> (&str, u16) {
    let root = Location::parse(api_root).map_or(0, |location| api_root.len() - location.path.len());
    let authority = api_root[..root].trim_start_matches("http://").trim_start_matches("https://");
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().unwrap_or(80)),
        _ => (authority, 80),
    };
    (host.trim_matches(['[', ']']), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_split() {
        assert_eq!(host_and_port("http://10.0.0.1:8080"), ("10.0.0.1", 8080));
        assert_eq!(host_and_port("http://amf.example"), ("amf.example", 80));
        assert_eq!(host_and_port("http://[::1]:7"), ("::1", 7));
        assert_eq!(host_and_port("http://[::1]"), ("::1", 80));
    }
}
