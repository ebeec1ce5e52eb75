//! Slice selection: TS 29.531 §5.2.2.2, TS 23.501 §5.15.5.2.1.

use tern_sbi::ProblemDetails;
use tern_sbi::common::{AccessType, NfInstanceId};
use tern_sbi::nnssf_nsselection::{
    AllowedNssai, AllowedSnssai, AuthorizedNetworkSliceInfo, ConfiguredSnssai, NsiInformation,
    SliceInfoForPduSession, SliceInfoForRegistration,
};
use tern_types::{PlmnId, Snssai, Tac, Tai};

use crate::Config;
use crate::config::{AmfSet, Plmn, Slice};

/// Slices of an allowed NSSAI (TS 24.501 §4.6.2.1).
pub const ALLOWED_MAX: usize = 8;
/// Slices of a configured NSSAI (TS 24.501 §4.6.2.1).
pub const CONFIGURED_MAX: usize = 16;

/// Who asks, and where the UE is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// The AMF's NF instance identity.
    pub nf_id: NfInstanceId,
    /// The UE's tracking area.
    pub tai: Option<Tai>,
    /// The UE's home network, if not the serving one.
    pub home_plmn: Option<PlmnId>,
}

/// A slice as it is called here and in the UE's home network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mapped {
    serving: Snssai,
    home: Snssai,
}

/// What becomes of the slices that a UE asks for or is subscribed to.
#[derive(Debug, Default)]
struct Sorted {
    allowed: Vec<Mapped>,
    rejected_in_plmn: Vec<Snssai>,
    rejected_in_ta: Vec<Snssai>,
}

/// One selection's configuration, network and UE.
struct Selection<'a> {
    plmn: &'a Plmn,
    tac: Option<Tac>,
    /// `Some` for a roamer.
    home_plmn: Option<PlmnId>,
    /// Discovery at the NSSF's own NRF.
    nrf: Option<&'a str>,
}

impl<'a> Selection<'a> {
    fn new(config: &'a Config, asker: &Asker) -> Result<Self, ProblemDetails> {
        let served = config.plmn(asker.tai.map(|tai| tai.plmn_id));
        let plmn = served.ok_or_else(|| not_supported("the network is not served"))?;
        Ok(Self {
            plmn,
            tac: asker.tai.map(|tai| tai.tac),
            home_plmn: asker.home_plmn.filter(|home| *home != plmn.plmn),
            nrf: config.sbi.nrf.as_deref(),
        })
    }

    /// The slice of the network, if it is available where the UE is.
    fn available(&self, snssai: Snssai) -> Option<&'a Slice> {
        self.plmn.slice(snssai).filter(|slice| slice.is_available(self.tac))
    }

    fn nsi(&self, snssai: Snssai) -> Option<NsiInformation> {
        let slice = self.plmn.slice(snssai)?;
        let nrf = slice.nrf.as_deref().or(self.nrf)?;
        Some(NsiInformation {
            nsi_id: slice.nsi.clone(),
            ..NsiInformation::new(format!("{nrf}/nnrf-disc/v1"))
        })
    }

    /// A slice of the home network as it is called here.
    fn home_slice(&self, home: Snssai) -> Mapped {
        let serving = self.home_plmn.map_or(home, |plmn| self.plmn.serving_of(plmn, home));
        Mapped { serving, home }
    }

    /// A slice that the UE named, with the mapping that it told.
    fn requested_slice(&self, info: &SliceInfoForRegistration, serving: Snssai) -> Mapped {
        let told = info.mapping_of_nssai.iter().find(|mapping| mapping.serving_snssai == serving);
        let ours = || {
            let plmn = self.home_plmn?;
            let is = |m: &&crate::config::Mapping| m.home_plmn == plmn && m.serving == serving;
            self.plmn.mappings.iter().find(is).map(|mapping| mapping.home)
        };
        let home = told.map(|mapping| mapping.home_snssai).or_else(ours).unwrap_or(serving);
        Mapped { serving, home }
    }

    fn sort(&self, info: &SliceInfoForRegistration, wanted: &[Mapped]) -> Sorted {
        let is_subscribed = |home: Snssai| {
            let subscribed = &info.subscribed_nssai;
            subscribed.is_empty() || subscribed.iter().any(|item| item.subscribed_snssai == home)
        };
        let mut sorted = Sorted::default();
        for &slice in wanted {
            if !is_subscribed(slice.home) || self.plmn.slice(slice.serving).is_none() {
                add(&mut sorted.rejected_in_plmn, slice.serving);
            } else if self.available(slice.serving).is_none() {
                add(&mut sorted.rejected_in_ta, slice.serving);
            } else if sorted.allowed.len() < ALLOWED_MAX {
                add(&mut sorted.allowed, slice);
            }
        }
        sorted
    }

    fn allowed(&self, allowed: &[Mapped]) -> AllowedNssai {
        let item = |slice: &Mapped| AllowedSnssai {
            mapped_home_snssai: self.home_plmn.map(|_| slice.home),
            nsi_information_list: self.nsi(slice.serving).into_iter().collect(),
            ..AllowedSnssai::new(slice.serving)
        };
        AllowedNssai::new(allowed.iter().map(item).collect(), AccessType::ThreeGpp)
    }

    /// Every subscribed slice of the network.
    fn configured(&self, info: &SliceInfoForRegistration) -> Vec<ConfiguredSnssai> {
        let subscribed = info.subscribed_nssai.iter().map(|item| self.home_slice(item.subscribed_snssai));
        let ours = subscribed.filter(|slice| self.plmn.slice(slice.serving).is_some());
        let item = |slice: Mapped| ConfiguredSnssai {
            mapped_home_snssai: self.home_plmn.map(|_| slice.home),
            ..ConfiguredSnssai::new(slice.serving)
        };
        ours.take(CONFIGURED_MAX).map(item).collect()
    }

    /// The AMF set that must serve these slices; `None` if the asking AMF may, or none can. A set
    /// without a list of AMFs is named to every asker: one that is in it goes on by itself.
    fn amf_set(&self, asker: NfInstanceId, allowed: &[Mapped]) -> Option<&'a AmfSet> {
        let serves = |set: &AmfSet| allowed.iter().all(|slice| set.slices.contains(&slice.serving));
        let mut fitting = self.plmn.amf_sets.iter().filter(|set| serves(set));
        if fitting.clone().any(|set| set.amfs.contains(&asker)) { None } else { fitting.next() }
    }
}

/// For a registration: allowed, configured and rejected NSSAI, and the AMF set if another.
pub fn for_registration(
    config: &Config,
    asker: &Asker,
    info: &SliceInfoForRegistration,
) -> Result<AuthorizedNetworkSliceInfo, ProblemDetails> {
    let selection = Selection::new(config, asker)?;
    if info.request_mapping == Some(true) {
        let mapped: Vec<_> =
            info.s_nssai_for_mapping.iter().map(|&home| selection.home_slice(home)).collect();
        return Ok(AuthorizedNetworkSliceInfo {
            allowed_nssai_list: vec![selection.allowed(&mapped)],
            ..AuthorizedNetworkSliceInfo::default()
        });
    }
    let requested: Vec<_> =
        info.requested_nssai.iter().map(|&slice| selection.requested_slice(info, slice)).collect();
    let mut sorted = selection.sort(info, &requested);
    if sorted.allowed.is_empty() {
        let defaults = info.subscribed_nssai.iter().filter(|item| item.default_indication == Some(true));
        let defaults: Vec<_> = defaults.map(|item| selection.home_slice(item.subscribed_snssai)).collect();
        sorted.allowed = selection.sort(info, &defaults).allowed;
    }
    if sorted.allowed.is_empty() {
        return Err(not_supported("no subscribed slice is available to the UE"));
    }
    // A UE whose configured NSSAI is absent, the default one or wrong needs a new one.
    let stale = info.default_configured_snssai_ind == Some(true)
        || requested.is_empty()
        || !sorted.rejected_in_plmn.is_empty();
    let target = selection.amf_set(asker.nf_id, &sorted.allowed);
    Ok(AuthorizedNetworkSliceInfo {
        allowed_nssai_list: vec![selection.allowed(&sorted.allowed)],
        configured_nssai: if stale { selection.configured(info) } else { Vec::new() },
        rejected_nssai_in_plmn: sorted.rejected_in_plmn,
        rejected_nssai_in_ta: sorted.rejected_in_ta,
        target_amf_set: target
            .filter(|set| set.amfs.is_empty())
            .map(|set| set_text(selection.plmn.plmn, set)),
        nrf_amf_set: target.and(selection.nrf).map(|nrf| format!("{nrf}/nnrf-disc/v1")),
        candidate_amf_list: target.map(|set| set.amfs.clone()).unwrap_or_default(),
        ..AuthorizedNetworkSliceInfo::default()
    })
}

/// For a PDU session: the slice's instance and its NRF.
pub fn for_pdu_session(
    config: &Config,
    asker: &Asker,
    info: &SliceInfoForPduSession,
) -> Result<AuthorizedNetworkSliceInfo, ProblemDetails> {
    let selection = Selection::new(config, asker)?;
    if selection.available(info.s_nssai).is_none() {
        return Err(not_supported(format_args!("slice {} is not available to the UE", info.s_nssai)));
    }
    let nsi_information = selection.nsi(info.s_nssai);
    Ok(AuthorizedNetworkSliceInfo { nsi_information, ..AuthorizedNetworkSliceInfo::default() })
}

fn not_supported(why: impl std::fmt::Display) -> ProblemDetails {
    ProblemDetails::new(403, "SNSSAI_NOT_SUPPORTED").with_detail(why)
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// `targetAmfSet`: MCC, MNC, region (2 hexadecimal digits) and set (3).
fn set_text(plmn: PlmnId, set: &AmfSet) -> String {
    format!("{}-{}-{:02x}-{:03x}", plmn.mcc(), plmn.mnc(), set.region, set.set)
}

#[cfg(test)]
mod tests {
    use tern_sbi::nnssf_nsselection::{RoamingIndication, SubscribedSnssai};

    use super::*;

    fn config() -> Config {
        tern_config::Sample::sample().unwrap()
    }

    fn asker(tac: u32) -> Asker {
        let tai = Tai { plmn_id: PlmnId::new("001", "01").unwrap(), tac: Tac::new(tac).unwrap() };
        Asker { nf_id: NfInstanceId::from_u128(1), tai: Some(tai), home_plmn: None }
    }

    fn slice(text: &str) -> Snssai {
        text.parse().unwrap()
    }

    /// Subscribed slices, a `*` behind the default ones, and requested ones.
    fn info(subscribed: &[&str], requested: &[&str]) -> SliceInfoForRegistration {
        let subscribed = subscribed.iter().map(|text| SubscribedSnssai {
            default_indication: Some(text.ends_with('*')),
            ..SubscribedSnssai::new(slice(text.trim_end_matches('*')))
        });
        SliceInfoForRegistration {
            subscribed_nssai: subscribed.collect(),
            requested_nssai: requested.iter().map(|text| slice(text)).collect(),
            ..SliceInfoForRegistration::default()
        }
    }

    fn allowed(answer: &AuthorizedNetworkSliceInfo) -> Vec<String> {
        let list = &answer.allowed_nssai_list[0].allowed_snssai_list;
        list.iter().map(|item| item.allowed_snssai.to_string()).collect()
    }

    fn texts(slices: &[Snssai]) -> Vec<String> {
        slices.iter().map(Snssai::to_string).collect()
    }

    #[test]
    fn when_slices_are_requested_then_each_is_allowed_or_rejected() {
        let info = info(&["1*", "1-000001", "9"], &["1", "1-000001", "2", "9", "1"]);
        let answer = for_registration(&config(), &asker(3), &info).unwrap();
        assert_eq!(allowed(&answer), ["1"]);
        assert_eq!(texts(&answer.rejected_nssai_in_plmn), ["2", "9"]);
        assert_eq!(texts(&answer.rejected_nssai_in_ta), ["1-000001"]);
        assert_eq!(answer.configured_nssai.len(), 2);
        let answer = for_registration(&config(), &asker(1), &info).unwrap();
        assert_eq!(allowed(&answer), ["1", "1-000001"]);
    }

    #[test]
    fn when_nothing_requested_is_allowed_then_the_default_slices_are() {
        for requested in [&[][..], &["9"]] {
            let answer = for_registration(&config(), &asker(1), &info(&["1*", "2"], requested)).unwrap();
            assert_eq!(allowed(&answer), ["1"]);
            assert_eq!(answer.configured_nssai.len(), 2);
        }
    }

    #[test]
    fn when_no_slice_can_be_had_then_the_request_is_refused() {
        let not_supported = |asker: &Asker, info: &SliceInfoForRegistration| {
            let refusal = for_registration(&config(), asker, info).unwrap_err();
            (refusal.status, refusal.cause) == (Some(403), Some("SNSSAI_NOT_SUPPORTED".to_owned()))
        };
        assert!(not_supported(&asker(1), &info(&["9*"], &["9"])));
        assert!(not_supported(&asker(3), &info(&["1-000001*"], &[])));
        let mut elsewhere = asker(1);
        elsewhere.tai.as_mut().unwrap().plmn_id = PlmnId::new("999", "99").unwrap();
        assert!(not_supported(&elsewhere, &info(&["1*"], &["1"])));
    }

    #[test]
    fn when_another_amf_set_must_serve_then_it_is_named() {
        let wants = |slices| info(&["1*", "1-000001", "2"], slices);
        let answer = for_registration(&config(), &asker(1), &wants(&["1-000001"])).unwrap();
        assert_eq!(answer.target_amf_set.as_deref(), Some("001-01-01-001"));
        let answer = for_registration(&config(), &asker(1), &wants(&["2"])).unwrap();
        assert_eq!((answer.target_amf_set, answer.candidate_amf_list.len()), (None, 1));
        let own = Asker { nf_id: answer.candidate_amf_list[0], ..asker(1) };
        let answer = for_registration(&config(), &own, &wants(&["2"])).unwrap();
        assert!(answer.candidate_amf_list.is_empty());
        let answer = for_registration(&Config::default(), &asker(1), &wants(&["1"])).unwrap();
        assert_eq!((answer.target_amf_set, answer.nrf_amf_set), (None, None));
    }

    #[test]
    fn when_a_roamer_registers_then_its_slices_are_mapped() {
        let roamer = Asker { home_plmn: Some(PlmnId::new("999", "70").unwrap()), ..asker(1) };
        let answer = for_registration(&config(), &roamer, &info(&["1-0000ff*"], &["1"])).unwrap();
        let item = &answer.allowed_nssai_list[0].allowed_snssai_list[0];
        assert_eq!((item.allowed_snssai, item.mapped_home_snssai), (slice("1"), Some(slice("1-0000ff"))));
    }

    #[test]
    fn when_a_session_is_set_up_then_its_instance_is_told() {
        let info = |text| SliceInfoForPduSession::new(slice(text), RoamingIndication::NonRoaming);
        let answer = for_pdu_session(&config(), &asker(1), &info("1-000001")).unwrap();
        let nsi = answer.nsi_information.unwrap();
        assert_eq!(nsi.nsi_id.as_deref(), Some("factory"));
        assert_eq!(nsi.nrf_id, "http://127.0.0.10:8080/nnrf-disc/v1");
        assert!(for_pdu_session(&config(), &asker(3), &info("1-000001")).is_err());
        assert!(for_pdu_session(&config(), &asker(1), &info("9")).is_err());
    }
}
