//! The UPFs: which there are, which are associated, and which one a session gets
//! (TS 23.501 §6.3.3); and how much they have to do (TS 29.244 §6.2.3, §6.2.4).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use tern_pfcp::{LoadControlInformation, OverloadControlInformation};
use tern_types::{Dnn, Duration, Instant, Snssai};

use crate::config::{Config, Served};

/// A UPF and what it serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpfProfile {
    /// N4 endpoint.
    pub endpoint: SocketAddr,
    /// What it serves; everything if empty.
    pub serves: Vec<Served>,
}

/// What is known of one UPF.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Upf {
    serves: Vec<Served>,
    configured: bool,
    listed: bool,
    /// A PFCP association exists.
    pub associated: bool,
    /// Sessions on it.
    pub sessions: usize,
    /// What it said of its load.
    #[serde(default)]
    pub load: Load,
}

/// What a UPF says of its load; of each the sequence number that it came with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// In percent.
    metric: Option<(u32, u8)>,
    /// How much less it wants to be asked for, in percent, and until when.
    reduction: Option<(u32, u8, Option<Instant>)>,
    /// New sessions so far that the reduction has kept away, in hundredths.
    kept_away: u32,
}

/// Load and overload control information of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadReport {
    /// Load.
    pub load: Option<LoadControlInformation>,
    /// Overload.
    pub overload: Option<OverloadControlInformation>,
}

/// Whether information with this sequence number is newer than what is known.
fn is_newer(known: Option<u32>, sequence: u32) -> bool {
    known.is_none_or(|known| sequence.wrapping_sub(known).cast_signed() > 0)
}

impl Load {
    fn take(&mut self, now: Instant, report: &LoadReport) {
        if let Some(load) = &report.load
            && is_newer(self.metric.map(|(sequence, _)| sequence), load.sequence_number.0)
        {
            self.metric = Some((load.sequence_number.0, load.metric.0.min(100)));
        }
        let Some(overload) = &report.overload else { return };
        let sequence = overload.sequence_number.0;
        let known = self.reduction.map(|(sequence, ..)| sequence);
        // The same again holds for longer.
        if known == Some(sequence) || is_newer(known, sequence) {
            let until = overload.timer.seconds().map(|validity| now + Duration::from_secs(validity.into()));
            self.reduction = Some((sequence, overload.metric.0.min(100), until));
        }
    }

    /// In percent, if it said so.
    pub fn percent(&self) -> Option<u8> {
        self.metric.map(|(_, metric)| metric)
    }

    /// How much less is to be asked for at this time, in percent.
    pub fn reduction(&self, now: Instant) -> u8 {
        match self.reduction {
            Some((_, reduction, until)) if until.is_none_or(|until| now < until) => reduction,
            _ => 0,
        }
    }

    /// Whether one more session may be asked for: of a hundred, the reduction keeps as many away.
    fn admits(&mut self, now: Instant) -> bool {
        self.kept_away += u32::from(self.reduction(now));
        let keeps_away = self.kept_away >= 100;
        if keeps_away {
            self.kept_away -= 100;
        }
        !keeps_away
    }
}

impl Upf {
    fn serves(&self, dnn: &Dnn, snssai: Snssai) -> bool {
        self.serves.is_empty() || self.serves.iter().any(|s| s.dnn == *dnn && s.snssai == snssai)
    }
}

/// All UPFs, by N4 endpoint.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Upfs {
    upfs: BTreeMap<SocketAddr, Upf>,
}

impl Upfs {
    /// Those of the configuration.
    pub fn new(config: &Config) -> Self {
        let upf = |serves: &[Served]| Upf {
            serves: serves.to_vec(),
            configured: true,
            listed: true,
            associated: false,
            sessions: 0,
            load: Load::default(),
        };
        let upfs = config.upfs.iter().map(|u| (u.endpoint(), upf(&u.serves))).collect();
        Self { upfs }
    }

    /// Takes what the NRF lists; the endpoints that are new. At most `max` are kept.
    pub fn discovered(&mut self, profiles: Vec<UpfProfile>, max: usize) -> Vec<SocketAddr> {
        for upf in self.upfs.values_mut().filter(|upf| !upf.configured) {
            upf.listed = false;
        }
        let mut new = Vec::new();
        for profile in profiles {
            if let Some(upf) = self.upfs.get_mut(&profile.endpoint) {
                upf.listed = true;
                if !upf.configured {
                    upf.serves = profile.serves;
                }
            } else if self.upfs.len() < max {
                let serves = profile.serves;
                let upf = Upf {
                    serves,
                    configured: false,
                    listed: true,
                    associated: false,
                    sessions: 0,
                    load: Load::default(),
                };
                self.upfs.insert(profile.endpoint, upf);
                new.push(profile.endpoint);
            }
        }
        new
    }

    /// The UPF for a session: serves DNN and slice, is associated, has the fewest sessions. One that is
    /// overloaded is spared as it asks to be; none, if that leaves none.
    pub fn select(&mut self, now: Instant, dnn: &Dnn, snssai: Snssai) -> Option<SocketAddr> {
        let fits = |upf: &Upf| upf.associated && upf.listed && upf.serves(dnn, snssai);
        let mut candidates: Vec<(&SocketAddr, &mut Upf)> =
            self.upfs.iter_mut().filter(|(_, upf)| fits(upf)).collect();
        candidates.sort_by_key(|(_, upf)| upf.sessions);
        candidates.into_iter().find_map(|(&endpoint, upf)| upf.load.admits(now).then_some(endpoint))
    }

    /// What a UPF says of its load.
    pub fn set_load(&mut self, now: Instant, endpoint: SocketAddr, report: &LoadReport) {
        if let Some(upf) = self.upfs.get_mut(&endpoint) {
            upf.load.take(now, report);
        }
    }

    /// Whether a UPF is associated that has this N4 address.
    pub fn set_associated(&mut self, endpoint: SocketAddr, associated: bool) {
        if let Some(upf) = self.upfs.get_mut(&endpoint) {
            upf.associated = associated;
            // One that comes again begins anew.
            upf.load = Load::default();
        }
    }

    /// Whether a UPF with this N4 address is associated.
    pub fn is_associated(&self, endpoint: SocketAddr) -> bool {
        self.upfs.get(&endpoint).is_some_and(|upf| upf.associated)
    }

    /// One session more on it.
    pub fn session_added(&mut self, endpoint: SocketAddr) {
        if let Some(upf) = self.upfs.get_mut(&endpoint) {
            upf.sessions += 1;
        }
    }

    /// One session less on it.
    pub fn session_removed(&mut self, endpoint: SocketAddr) {
        if let Some(upf) = self.upfs.get_mut(&endpoint) {
            upf.sessions = upf.sessions.saturating_sub(1);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&SocketAddr, &Upf)> {
        self.upfs.iter()
    }
}

#[cfg(test)]
mod tests {
    use tern_pfcp::{Metric, SequenceNumber, Timer};

    use super::*;

    const NOW: Instant = Instant::from_micros(1_000_000);

    fn endpoint(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 8805))
    }

    fn profile(last: u8, dnns: &[&str]) -> UpfProfile {
        let served = |dnn: &&str| Served { dnn: Dnn::new(dnn).unwrap(), snssai: Snssai::new(1, None) };
        UpfProfile { endpoint: endpoint(last), serves: dnns.iter().map(served).collect() }
    }

    #[test]
    fn when_several_upfs_serve_then_the_one_with_fewest_sessions_is_selected() {
        let mut upfs = Upfs::default();
        let new = upfs.discovered(
            vec![profile(1, &["internet"]), profile(2, &["internet", "ims"]), profile(3, &[])],
            2,
        );
        assert_eq!(new, [endpoint(1), endpoint(2)]);
        let (internet, ims) = (Dnn::new("internet").unwrap(), Dnn::new("ims").unwrap());
        let slice = Snssai::new(1, None);
        assert_eq!(upfs.select(NOW, &internet, slice), None);
        upfs.set_associated(endpoint(1), true);
        upfs.set_associated(endpoint(2), true);
        assert_eq!(upfs.select(NOW, &internet, slice), Some(endpoint(1)));
        upfs.session_added(endpoint(1));
        assert_eq!(upfs.select(NOW, &internet, slice), Some(endpoint(2)));
        assert_eq!(upfs.select(NOW, &ims, slice), Some(endpoint(2)));
        assert_eq!(upfs.select(NOW, &ims, Snssai::new(2, None)), None);
    }

    #[test]
    fn when_the_nrf_lists_a_upf_no_longer_then_it_gets_no_new_session() {
        let mut upfs = Upfs::default();
        upfs.discovered(vec![profile(1, &[])], 2);
        upfs.set_associated(endpoint(1), true);
        assert!(upfs.select(NOW, &Dnn::new("a").unwrap(), Snssai::new(9, None)).is_some());
        upfs.discovered(Vec::new(), 2);
        assert_eq!(upfs.select(NOW, &Dnn::new("a").unwrap(), Snssai::new(9, None)), None);
    }

    fn overload(sequence: u32, reduction: u8) -> LoadReport {
        let overload = OverloadControlInformation {
            sequence_number: SequenceNumber(sequence),
            metric: Metric(reduction),
            timer: Timer::from_seconds(60),
            ..Default::default()
        };
        LoadReport { load: None, overload: Some(overload) }
    }

    /// TS 29.244 §6.2.4.
    #[test]
    fn when_a_upf_is_overloaded_then_it_is_asked_for_less_until_it_is_not() {
        let mut upfs = Upfs::default();
        upfs.discovered(vec![profile(1, &[])], 1);
        upfs.set_associated(endpoint(1), true);
        let asked = |upfs: &mut Upfs, now| {
            let dnn = Dnn::new("a").unwrap();
            (0..100).filter(|_| upfs.select(now, &dnn, Snssai::new(1, None)).is_some()).count()
        };
        upfs.set_load(NOW, endpoint(1), &overload(5, 30));
        assert_eq!(asked(&mut upfs, NOW), 70);
        // What is older does not count.
        upfs.set_load(NOW, endpoint(1), &overload(4, 90));
        assert_eq!(asked(&mut upfs, NOW), 70);
        upfs.set_load(NOW, endpoint(1), &overload(6, 100));
        assert_eq!(asked(&mut upfs, NOW), 0);
        assert_eq!(asked(&mut upfs, NOW + Duration::from_secs(61)), 100);
        upfs.set_load(NOW, endpoint(1), &overload(7, 0));
        assert_eq!(asked(&mut upfs, NOW), 100);
    }

    #[test]
    fn when_one_of_two_upfs_is_overloaded_then_the_other_gets_what_it_is_spared() {
        let mut upfs = Upfs::default();
        upfs.discovered(vec![profile(1, &[]), profile(2, &[])], 2);
        upfs.set_associated(endpoint(1), true);
        upfs.set_associated(endpoint(2), true);
        upfs.set_load(NOW, endpoint(1), &overload(1, 100));
        let dnn = Dnn::new("a").unwrap();
        assert_eq!(upfs.select(NOW, &dnn, Snssai::new(1, None)), Some(endpoint(2)));
    }
}
