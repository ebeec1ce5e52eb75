//! The UPFs: which there are, which are associated, and which one a session gets
//! (TS 23.501 §6.3.3).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use tern_types::{Dnn, Snssai};

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
                let upf = Upf { serves, configured: false, listed: true, associated: false, sessions: 0 };
                self.upfs.insert(profile.endpoint, upf);
                new.push(profile.endpoint);
            }
        }
        new
    }

    /// The UPF for a session: serves DNN and slice, is associated, has the fewest sessions.
    pub fn select(&self, dnn: &Dnn, snssai: Snssai) -> Option<SocketAddr> {
        let fits = |upf: &Upf| upf.associated && upf.listed && upf.serves(dnn, snssai);
        let candidates = self.upfs.iter().filter(|(_, upf)| fits(upf));
        candidates.min_by_key(|(_, upf)| upf.sessions).map(|(&endpoint, _)| endpoint)
    }

    /// Whether a UPF is associated that has this N4 address.
    pub fn set_associated(&mut self, endpoint: SocketAddr, associated: bool) {
        if let Some(upf) = self.upfs.get_mut(&endpoint) {
            upf.associated = associated;
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
    use super::*;

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
        assert_eq!(upfs.select(&internet, slice), None);
        upfs.set_associated(endpoint(1), true);
        upfs.set_associated(endpoint(2), true);
        assert_eq!(upfs.select(&internet, slice), Some(endpoint(1)));
        upfs.session_added(endpoint(1));
        assert_eq!(upfs.select(&internet, slice), Some(endpoint(2)));
        assert_eq!(upfs.select(&ims, slice), Some(endpoint(2)));
        assert_eq!(upfs.select(&ims, Snssai::new(2, None)), None);
    }

    #[test]
    fn when_the_nrf_lists_a_upf_no_longer_then_it_gets_no_new_session() {
        let mut upfs = Upfs::default();
        upfs.discovered(vec![profile(1, &[])], 2);
        upfs.set_associated(endpoint(1), true);
        assert!(upfs.select(&Dnn::new("a").unwrap(), Snssai::new(9, None)).is_some());
        upfs.discovered(Vec::new(), 2);
        assert_eq!(upfs.select(&Dnn::new("a").unwrap(), Snssai::new(9, None)), None);
    }
}
