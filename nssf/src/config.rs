//! Configuration: which slices are served where, and by which AMFs.

use serde::{Deserialize, Serialize};
use tern_config::Sample;
use tern_nf::SbiConfig;
use tern_sbi::common::NfInstanceId;
use tern_types::{PlmnId, Snssai, Tac};

/// The NSSF's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where it serves, and its NRF.
    pub sbi: SbiConfig,
    /// The networks served; the first one is meant where a request names no tracking area.
    pub plmns: Vec<Plmn>,
}

impl Sample for Config {
    const SAMPLE: &'static str = include_str!("../sample.yaml");
}

impl Default for Config {
    fn default() -> Self {
        let slice = Slice { slice: Snssai::new(1, None), tacs: Vec::new(), nsi: None, nrf: None };
        let plmn = PlmnId::new("001", "01").expect("invariant: digits");
        Self {
            sbi: SbiConfig::loopback(15),
            plmns: vec![Plmn { plmn, slices: vec![slice], mappings: Vec::new(), amf_sets: Vec::new() }],
        }
    }
}

/// A network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plmn {
    /// Its identity.
    pub plmn: PlmnId,
    /// Its slices.
    pub slices: Vec<Slice>,
    /// What the slices of roamers' home networks are here; the same, if not told.
    #[serde(default)]
    pub mappings: Vec<Mapping>,
    /// Sets of AMFs that serve some of the slices only; none: any AMF serves all.
    #[serde(default)]
    pub amf_sets: Vec<AmfSet>,
}

/// A slice of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The slice.
    pub slice: Snssai,
    /// Tracking areas where it is available; none: everywhere.
    #[serde(default)]
    pub tacs: Vec<Tac>,
    /// Its network slice instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nsi: Option<String>,
    /// apiRoot of the NRF of that instance, if not the NSSF's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nrf: Option<String>,
}

impl Slice {
    /// Whether it is available in `tac`; anywhere, if `None`.
    pub fn is_available(&self, tac: Option<Tac>) -> bool {
        self.tacs.is_empty() || tac.is_none_or(|tac| self.tacs.contains(&tac))
    }
}

/// A slice of a home network, and what it is here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The home network.
    pub home_plmn: PlmnId,
    /// Its slice.
    pub home: Snssai,
    /// Ours.
    pub serving: Snssai,
}

/// A set of AMFs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmfSet {
    /// AMF region, 8 bits.
    pub region: u8,
    /// AMF set, 10 bits.
    pub set: u16,
    /// What it serves.
    pub slices: Vec<Snssai>,
    /// Its AMFs, by NF instance identity.
    #[serde(default)]
    pub amfs: Vec<NfInstanceId>,
}

impl Config {
    /// What the types do not say; the error names field and expectation.
    pub fn check(&self) -> Result<(), String> {
        if self.plmns.is_empty() {
            return Err("plmns: expected at least one".to_owned());
        }
        for (index, plmn) in self.plmns.iter().enumerate() {
            let wrong = |what: String| Err(format!("plmns[{index}].{what}"));
            let known = |slice: &Snssai| plmn.slices.iter().any(|own| own.slice == *slice);
            if plmn.slices.is_empty() {
                return wrong("slices: expected at least one".to_owned());
            }
            for (set, amf_set) in plmn.amf_sets.iter().enumerate() {
                if amf_set.set > 0x3ff {
                    return wrong(format!("amf_sets[{set}].set: expected 0 to 1023"));
                }
                if let Some(slice) = amf_set.slices.iter().find(|slice| !known(slice)) {
                    return wrong(format!("amf_sets[{set}].slices: {slice} is no slice of the network"));
                }
            }
            if let Some(mapping) = plmn.mappings.iter().find(|mapping| !known(&mapping.serving)) {
                return wrong(format!("mappings: {} is no slice of the network", mapping.serving));
            }
        }
        Ok(())
    }

    /// The network of a request; the first if it names none.
    pub fn plmn(&self, plmn: Option<PlmnId>) -> Option<&Plmn> {
        match plmn {
            Some(plmn) => self.plmns.iter().find(|own| own.plmn == plmn),
            None => self.plmns.first(),
        }
    }
}

impl Plmn {
    /// Its slice with this identity.
    pub fn slice(&self, snssai: Snssai) -> Option<&Slice> {
        self.slices.iter().find(|own| own.slice == snssai)
    }

    /// What `home_plmn`'s slice `home` is here.
    pub fn serving_of(&self, home_plmn: PlmnId, home: Snssai) -> Snssai {
        let is = |m: &&Mapping| m.home_plmn == home_plmn && m.home == home;
        self.mappings.iter().find(is).map_or(home, |mapping| mapping.serving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_read_and_checked() {
        let config: Config = Config::sample().unwrap();
        config.check().unwrap();
        assert_eq!(config.sbi, Config::default().sbi);
        assert_eq!(config.plmns[0].slices.len(), 3);
        assert_eq!(config.plmns[0].plmn, Config::default().plmns[0].plmn);
        assert_eq!(tern_config::parse::<Config>("printed", &tern_config::print(&config)).unwrap(), config);
        Config::default().check().unwrap();
    }

    #[test]
    fn contradictions_are_named() {
        let mut config: Config = Config::sample().unwrap();
        config.plmns[0].amf_sets[0].slices.push(Snssai::new(99, None));
        assert!(config.check().unwrap_err().contains("plmns[0].amf_sets[0].slices: 99"));
        config.plmns[0].slices.clear();
        assert!(config.check().unwrap_err().contains("plmns[0].slices"));
        config.plmns.clear();
        assert!(config.check().is_err());
    }
}
