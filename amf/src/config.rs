//! The AMF's configuration file.

mod reports;

use serde::{Deserialize, Serialize};
use tern_config::Sample;
use tern_crypto::{CipheringAlgorithm, IntegrityAlgorithm};
use tern_nf::SbiConfig;
use tern_types::{AmfId, Guami, PlmnId, Snssai, Tac, Tai};

use crate::n2::message::{ServedAmf, SupportedPlmn};

pub use reports::{AreaOfInterestConfig, InactiveReports, LocationReportingConfig, RrcInactiveConfig};

/// Tracking areas of a registration area (TS 24.501 §9.11.3.9).
const REGISTRATION_AREA_MAX: usize = 16;

/// Everything an operator sets for an AMF.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Service based interface.
    #[serde(default = "default_sbi")]
    pub sbi: SbiConfig,
    /// AMF Name of NG SETUP RESPONSE; printable ASCII.
    #[serde(default = "default_name")]
    pub name: String,
    /// N2.
    #[serde(default)]
    pub n2: crate::n2::Config,
    /// This AMF's identity: region, set and pointer. Its PLMN is the first one served.
    #[serde(default)]
    pub amf_id: AmfIdConfig,
    /// Networks served, with their tracking areas and slices; the first names the GUAMI.
    #[serde(default = "default_served")]
    pub served: Vec<ServedPlmn>,
    /// Relative AMF Capacity, 0 to 255.
    #[serde(default = "default_capacity")]
    pub relative_capacity: u8,
    /// NAS security.
    #[serde(default)]
    pub security: SecurityConfig,
    /// Timers told to UEs.
    #[serde(default)]
    pub timers: TimerConfig,
    /// How UEs in CM-IDLE are paged.
    #[serde(default)]
    pub paging: PagingConfig,
    /// What gNBs are told for RRC_INACTIVE, and what they report of it.
    #[serde(default)]
    pub rrc_inactive: RrcInactiveConfig,
    /// What gNBs report of UEs' locations.
    #[serde(default)]
    pub location_reporting: LocationReportingConfig,
    /// When gNBs are asked for less.
    #[serde(default)]
    pub overload: OverloadConfig,
    /// Bounds.
    #[serde(default)]
    pub limits: Limits,
    /// Seconds that the AMF goes on once it is asked to stop and has told gNBs so (AMF STATUS INDICATION).
    #[serde(default)]
    pub drain_s: u64,
    /// Which shard of the AMF this process is: the top four bits of each 5G-TMSI and
    /// AMF UE NGAP ID.
    #[serde(default)]
    pub shard: u8,
}

fn default_sbi() -> SbiConfig {
    SbiConfig::loopback(16)
}

fn default_name() -> String {
    "tern-amf".into()
}

fn default_capacity() -> u8 {
    255
}

fn default_served() -> Vec<ServedPlmn> {
    vec![ServedPlmn::default()]
}

/// AMF region (8 bits), set (10 bits), pointer (6 bits).
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmfIdConfig {
    /// 0 to 255.
    pub region: u8,
    /// 0 to 1023.
    pub set: u16,
    /// 0 to 63.
    pub pointer: u8,
}

impl Default for AmfIdConfig {
    fn default() -> Self {
        Self { region: 1, set: 1, pointer: 0 }
    }
}

/// A network served.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServedPlmn {
    /// The network, `{ mcc: "001", mnc: "01" }`.
    pub plmn: PlmnId,
    /// Tracking area codes, six hexadecimal digits.
    pub tacs: Vec<Tac>,
    /// Slices supported in them.
    pub slices: Vec<Snssai>,
}

impl Default for ServedPlmn {
    fn default() -> Self {
        Self {
            plmn: PlmnId::new("001", "01").expect("invariant: digits"),
            tacs: vec![Tac::new(1).expect("invariant: below 2^24")],
            slices: vec![Snssai::new(1, None)],
        }
    }
}

/// When a UE whose message proves its security context is authenticated again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Reauthentication {
    /// Only if its context cannot be used any more.
    #[default]
    WhenNeeded,
    /// At each initial registration.
    Always,
    /// At each registration of any kind: a UE that is connected gets new AS keys as well.
    EachRegistration,
}

/// NAS security.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecurityConfig {
    /// Integrity algorithms, the preferred one first (TS 33.501 §5.5.2).
    pub integrity: Vec<IntegrityAlgorithm>,
    /// Ciphering algorithms, the preferred one first.
    pub ciphering: Vec<CipheringAlgorithm>,
    /// Whether NIA0 may be chosen; TS 33.501 §5.5.2 allows it for emergency alone.
    pub allow_null_integrity: bool,
    /// Whether a UE with a valid context is authenticated again.
    pub reauthentication: Reauthentication,
}

impl Default for SecurityConfig {
    fn default() -> Self {
        use CipheringAlgorithm::{Nea0, Nea1, Nea2, Nea3};
        use IntegrityAlgorithm::{Nia1, Nia2, Nia3};
        Self {
            integrity: vec![Nia2, Nia1, Nia3],
            ciphering: vec![Nea2, Nea1, Nea3, Nea0],
            allow_null_integrity: false,
            reauthentication: Reauthentication::WhenNeeded,
        }
    }
}

/// Timers told to UEs, in seconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimerConfig {
    /// T3512: periodic registration update.
    pub t3512_s: u64,
    /// T3346: back-off after a rejection for congestion; a random part of as much is added.
    pub t3346_s: u64,
}

impl Default for TimerConfig {
    fn default() -> Self {
        Self { t3512_s: 60 * 60, t3346_s: 16 }
    }
}

/// Paging.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PagingConfig {
    /// T3513 in seconds: until a UE that does not answer is paged again, or given up.
    pub t3513_s: u64,
    /// Times that it is paged; at least 1.
    pub attempts: u8,
    /// ARP priority levels of priority services, and the Paging Priority of each
    /// (TS 23.502 §4.2.3.3 step 4b); others have none.
    pub priorities: Vec<PagingPriorityConfig>,
}

/// Which Paging Priority goes with an ARP.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagingPriorityConfig {
    /// ARP priority level, 1 to 15.
    pub arp: u8,
    /// Paging Priority, 1 to 8; 1 comes first.
    pub priority: u8,
}

impl Default for PagingConfig {
    fn default() -> Self {
        Self { t3513_s: 3, attempts: 4, priorities: Vec::new() }
    }
}

impl PagingConfig {
    /// The Paging Priority for an ARP priority level.
    pub fn priority(&self, arp: u8) -> Option<u8> {
        self.priorities.iter().find(|entry| entry.arp == arp).map(|entry| entry.priority)
    }

    fn check(&self) -> Result<(), String> {
        if self.attempts == 0 || self.t3513_s == 0 {
            return Err("paging: attempts and t3513_s are at least 1".into());
        }
        let fits = |p: &PagingPriorityConfig| (1..=15).contains(&p.arp) && (1..=8).contains(&p.priority);
        if !self.priorities.iter().all(fits) {
            return Err("paging.priorities: arp is 1 to 15 and priority 1 to 8".into());
        }
        Ok(())
    }
}

/// Overload Start and Overload Stop (TS 38.413 §8.7.7, §8.7.8).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OverloadConfig {
    /// It begins with this share of `limits.registrations`, or when UEs are turned away since more come for some
    /// time than can be served; above 100: never.
    pub start_percent: u8,
    /// It ends with this one.
    pub stop_percent: u8,
    /// AMF Traffic Load Reduction Indication, 1 to 99: how much of the signalling gNBs turn away at first.
    pub reduction_percent: u8,
    /// Whether a registered UE is deregistered for one with priority where `limits.ues` leaves no room. What says that a
    /// UE has priority is its establishment cause, which nobody has authenticated: gNBs are to bar those who have none.
    pub room_for_priority: bool,
}

impl Default for OverloadConfig {
    fn default() -> Self {
        Self { start_percent: 80, stop_percent: 50, reduction_percent: 50, room_for_priority: false }
    }
}

impl OverloadConfig {
    fn check(&self) -> Result<(), String> {
        if self.stop_percent >= self.start_percent || !(1..=99).contains(&self.reduction_percent) {
            return Err("overload: stop_percent below start_percent, and reduction_percent 1 to 99".into());
        }
        Ok(())
    }
}

/// Bounds: what a peer can make the AMF hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// UE contexts, registered or not.
    pub ues: usize,
    /// UEs that are not yet registered and have a procedure running; beyond it #22.
    pub registrations: usize,
    /// Those of them that wait for another network function at the same time, at least 1; further UEs wait for
    /// their turn. So many ÷ the time for which a registration waits for others is the highest rate.
    pub registrations_at_work: usize,
    /// Service requests that wait for SMFs at the same time; beyond it #22.
    pub services: usize,
    /// PDU sessions of a UE.
    pub sessions_per_ue: usize,
    /// PDU session establishments in progress at the same time; at least 1.
    pub sessions_establishing: usize,
    /// PDU session requests that wait for their turn; beyond it #22.
    pub sessions_waiting: usize,
    /// Messages held for a UE or one of its sessions while another is on its way.
    pub pending_per_ue: usize,
    /// Connections whose release a gNB has not confirmed.
    pub releasing: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ues: 200_000,
            registrations: 1024,
            registrations_at_work: 64,
            services: 4096,
            sessions_per_ue: 15,
            sessions_establishing: 64,
            sessions_waiting: 2048,
            pending_per_ue: 16,
            releasing: 20_000,
        }
    }
}

impl Sample for Config {
    const SAMPLE: &'static str = include_str!("../sample.yaml");
}

impl Default for Config {
    fn default() -> Self {
        Self::with_sbi(default_sbi())
    }
}

impl Config {
    /// A configuration with defaults for all but the SBI.
    pub fn with_sbi(sbi: SbiConfig) -> Self {
        Self {
            sbi,
            name: default_name(),
            n2: crate::n2::Config::default(),
            amf_id: AmfIdConfig::default(),
            served: default_served(),
            relative_capacity: default_capacity(),
            security: SecurityConfig::default(),
            timers: TimerConfig::default(),
            paging: PagingConfig::default(),
            rrc_inactive: RrcInactiveConfig::default(),
            location_reporting: LocationReportingConfig::default(),
            overload: OverloadConfig::default(),
            limits: Limits::default(),
            drain_s: 0,
            shard: 0,
        }
    }

    /// This AMF's GUAMI: TS 23.003 §2.10.1.
    pub fn guami(&self) -> Guami {
        let plmn_id = self.served.first().map_or_else(|| ServedPlmn::default().plmn, |s| s.plmn);
        let AmfIdConfig { region, set, pointer } = self.amf_id;
        Guami { plmn_id, amf_id: AmfId::new(region, set, pointer) }
    }

    /// Whether a network is served.
    pub fn serves_plmn(&self, plmn: PlmnId) -> bool {
        self.served.iter().any(|s| s.plmn == plmn)
    }

    /// Whether a tracking area is served.
    pub fn serves(&self, tai: Tai) -> bool {
        self.served.iter().any(|s| s.plmn == tai.plmn_id && s.tacs.contains(&tai.tac))
    }

    /// The slices configured for a tracking area.
    pub fn slices(&self, tai: Tai) -> impl Iterator<Item = Snssai> + '_ {
        let here = move |s: &&ServedPlmn| s.plmn == tai.plmn_id && s.tacs.contains(&tai.tac);
        self.served.iter().filter(here).flat_map(|s| s.slices.iter().copied())
    }

    /// The registration area of a UE in `tai`: itself, and the tracking areas of its network in which the same
    /// ones of the UE's slices are supported, so that what is allowed, and what is not, holds in all of it
    /// (TS 23.501 §5.15.4.1.1); at most 16 (TS 24.501 §9.11.3.9).
    pub fn registration_area(&self, tai: Tai, slices: &[Snssai]) -> Vec<Tai> {
        let supports = |tai: Tai, slice: Snssai| self.slices(tai).any(|own| own == slice);
        let mut area = vec![tai];
        let tacs = self.served.iter().filter(|s| s.plmn == tai.plmn_id).flat_map(|s| &s.tacs);
        for other in tacs.map(|&tac| Tai { plmn_id: tai.plmn_id, tac }) {
            let same = slices.iter().all(|&slice| supports(other, slice) == supports(tai, slice));
            if area.len() < REGISTRATION_AREA_MAX && !area.contains(&other) && same {
                area.push(other);
            }
        }
        area
    }

    /// What N2 tells the gNBs.
    pub fn served_amf(&self) -> ServedAmf {
        let mut plmns: Vec<SupportedPlmn> = Vec::new();
        for served in &self.served {
            let position = plmns.iter().position(|p| p.plmn == served.plmn);
            let position = position.unwrap_or_else(|| {
                plmns.push(SupportedPlmn { plmn: served.plmn, slices: Vec::new() });
                plmns.len() - 1
            });
            for &slice in &served.slices {
                if !plmns[position].slices.contains(&slice) {
                    plmns[position].slices.push(slice);
                }
            }
        }
        let tais = self.served.iter().flat_map(|s| s.tacs.iter().map(|&tac| Tai { plmn_id: s.plmn, tac }));
        ServedAmf {
            name: self.name.clone(),
            guamis: vec![self.guami()],
            plmns,
            tais: tais.collect(),
            relative_capacity: self.relative_capacity,
        }
    }

    /// Says what is wrong with values that parse.
    pub fn check(&self) -> Result<(), String> {
        if self.served.is_empty() {
            return Err("served: at least one PLMN is needed".into());
        }
        for served in &self.served {
            if served.tacs.is_empty() || served.slices.is_empty() {
                return Err(format!("served {}: tacs and slices must not be empty", served.plmn));
            }
        }
        if self.amf_id.set > 0x3ff || self.amf_id.pointer > 0x3f {
            return Err("amf_id: set is 0 to 1023 and pointer 0 to 63".into());
        }
        if self.shard > 0xf {
            return Err("shard: 0 to 15".into());
        }
        if self.security.integrity.is_empty() || self.security.ciphering.is_empty() {
            return Err("security: integrity and ciphering must not be empty".into());
        }
        let null = self.security.integrity.contains(&IntegrityAlgorithm::Nia0);
        if null && !self.security.allow_null_integrity {
            return Err("security.integrity: NIA0 needs allow_null_integrity: true".into());
        }
        if self.limits.sessions_establishing == 0 {
            return Err("limits.sessions_establishing: at least 1, or no session is ever established".into());
        }
        if self.limits.registrations_at_work == 0 {
            return Err("limits.registrations_at_work: at least 1, or no UE ever registers".into());
        }
        self.paging.check()?;
        self.location_reporting.check()?;
        self.overload.check()?;
        if self.n2.addresses.is_empty() {
            return Err("n2.addresses: at least one address is needed".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_has_every_default() {
        let sample: Config = Config::sample().unwrap();
        let json = |config: &Config| serde_json::to_value(config).unwrap();
        assert_eq!(json(&sample), json(&Config::default()));
        sample.check().unwrap();
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let null = "security: { integrity: [NIA2, NIA0] }";
        let config: Config = tern_config::parse("amf.yaml", null).unwrap();
        assert!(config.check().unwrap_err().contains("allow_null_integrity"));
        assert!(tern_config::parse::<Config>("amf.yaml", "nmae: x").is_err());
        let no_session = "limits: { sessions_establishing: 0 }";
        let config: Config = tern_config::parse("amf.yaml", no_session).unwrap();
        assert!(config.check().unwrap_err().contains("sessions_establishing"));
        let nobody = "limits: { registrations_at_work: 0 }";
        let config: Config = tern_config::parse("amf.yaml", nobody).unwrap();
        assert!(config.check().unwrap_err().contains("registrations_at_work"));
    }

    #[test]
    fn the_registration_area_is_that_of_the_network() {
        let tac = |n| Tac::new(n).unwrap();
        let plmn = PlmnId::new("001", "01").unwrap();
        let served = ServedPlmn { tacs: vec![tac(1), tac(2)], ..ServedPlmn::default() };
        let config = Config { served: vec![served], ..Config::default() };
        let tai = |n| Tai { plmn_id: plmn, tac: tac(n) };
        let slice = Snssai::new(1, None);
        assert_eq!(config.registration_area(tai(2), &[slice]), [tai(2), tai(1)]);
        assert_eq!(config.registration_area(tai(3), &[slice]), [tai(3)]);
    }

    /// TS 23.501 §5.15.4.1.1.
    #[test]
    fn the_registration_area_is_where_the_same_slices_are() {
        let tac = |n| Tac::new(n).unwrap();
        let (one, two) = (Snssai::new(1, None), Snssai::new(2, None));
        let entry = |tacs: &[u32], slices: &[Snssai]| ServedPlmn {
            tacs: tacs.iter().map(|&n| tac(n)).collect(),
            slices: slices.to_vec(),
            ..ServedPlmn::default()
        };
        let many: Vec<u32> = (10..40).collect();
        let served = vec![entry(&[1, 2], &[one]), entry(&[2, 3], &[two]), entry(&many, &[one, two])];
        let config = Config { served, ..Config::default() };
        let tai = |n| Tai { plmn_id: ServedPlmn::default().plmn, tac: tac(n) };
        assert_eq!(config.registration_area(tai(3), &[two])[..3], [tai(3), tai(2), tai(10)]);
        assert_eq!(config.registration_area(tai(1), &[one])[..3], [tai(1), tai(2), tai(10)]);
        assert_eq!(config.registration_area(tai(2), &[one, two])[..2], [tai(2), tai(10)]);
        assert_eq!(config.registration_area(tai(3), &[one, two]), [tai(3)]);
        assert_eq!(config.registration_area(tai(2), &[one]).len(), REGISTRATION_AREA_MAX);
    }

    #[test]
    fn an_area_of_interest_has_tracking_areas() {
        let wrong = "location_reporting: { areas_of_interest: [ { tacs: [] } ] }";
        let config: Config = tern_config::parse("amf.yaml", wrong).unwrap();
        assert!(config.check().unwrap_err().contains("areas_of_interest"));
    }
}
