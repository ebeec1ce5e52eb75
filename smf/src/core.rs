//! What the procedures of all sessions share, lent to one of them at a time.

use tern_types::{Dnn, Instant, PlmnId, Snssai};

use crate::config::{Config, DataNetwork};
use crate::context::PduSession;
use crate::io::Outputs;
use crate::pool::{Pool, PrefixPool};
use crate::upf::Upfs;

/// Who this SMF is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// NF instance ID, a UUID.
    pub instance: uuid::Uuid,
    /// Scheme and authority of its services, such as `http://127.0.0.17:8080`.
    pub api_root: String,
}

/// The shared parts.
pub struct Core<'a> {
    /// The time of the input.
    pub now: Instant,
    /// Configuration.
    pub config: &'a Config,
    /// Who this SMF is.
    pub identity: &'a Identity,
    /// Addresses and prefixes.
    pub pools: &'a mut Pools,
    /// The UPFs.
    pub upfs: &'a mut Upfs,
    /// Where outputs go.
    pub out: &'a mut Outputs,
}

impl Core<'_> {
    /// The data network of a session.
    pub fn network(&self, session: &PduSession) -> Option<&DataNetwork> {
        let index = self.network_index(&session.dnn, session.snssai)?;
        self.config.data_networks.get(index)
    }

    /// The addresses of a session's data network.
    pub fn pool(&mut self, session: &PduSession) -> Option<&mut Pool> {
        let index = self.network_index(&session.dnn, session.snssai)?;
        self.pools.v4(self.config, index)
    }

    /// The prefixes of a session's data network.
    pub fn prefixes(&mut self, session: &PduSession) -> Option<&mut PrefixPool> {
        let index = self.network_index(&session.dnn, session.snssai)?;
        self.pools.v6(self.config, index)
    }

    /// Gives back what a session holds here.
    pub fn free(&mut self, session: &mut PduSession) {
        if let Some(granted) = session.granted.take() {
            if let (Some(address), Some(pool)) = (granted.ipv4, self.pool(session)) {
                pool.release(address);
            }
            if let (Some(link), Some(pool)) = (granted.ipv6, self.prefixes(session)) {
                pool.release(link.prefix);
            }
        }
        if let Some(user_plane) = session.user_plane.take() {
            self.upfs.session_removed(user_plane.upf);
        }
    }

    fn network_index(&self, dnn: &Dnn, snssai: Snssai) -> Option<usize> {
        self.config.data_networks.iter().position(|n| n.dnn == *dnn && n.snssai == snssai)
    }
}

/// Addresses and prefixes of the data networks of a configuration. Those with the same pool share the first one's.
#[derive(Debug)]
pub struct Pools {
    v4: Vec<Option<Pool>>,
    v6: Vec<Option<PrefixPool>>,
}

impl Pools {
    /// All free.
    pub fn new(config: &Config) -> Self {
        let v4 =
            |network: &DataNetwork| Some(Pool::new(network.pool?, network.gateway()?, &network.reserved));
        let v6 = |network: &DataNetwork| {
            let ipv6 = network.ipv6.as_ref()?;
            Some(PrefixPool::new(ipv6.pool, ipv6.gateway(), &ipv6.reserved))
        };
        let networks = &config.data_networks;
        Self { v4: networks.iter().map(v4).collect(), v6: networks.iter().map(v6).collect() }
    }

    /// The addresses of a data network.
    pub fn v4(&mut self, config: &Config, network: usize) -> Option<&mut Pool> {
        self.v4.get_mut(first_with(config, network, |n| n.pool)?)?.as_mut()
    }

    /// The prefixes of a data network.
    pub fn v6(&mut self, config: &Config, network: usize) -> Option<&mut PrefixPool> {
        self.v6.get_mut(first_with(config, network, DataNetwork::prefixes)?)?.as_mut()
    }

    /// How many addresses and how many prefixes of a data network are in use.
    pub fn used(&self, config: &Config, network: usize) -> (usize, usize) {
        let v4 = first_with(config, network, |n| n.pool).and_then(|at| self.v4.get(at)?.as_ref());
        let v6 = first_with(config, network, DataNetwork::prefixes).and_then(|at| self.v6.get(at)?.as_ref());
        (v4.map_or(0, Pool::used), v6.map_or(0, PrefixPool::used))
    }
}

/// The first data network with the same pool.
fn first_with<T: PartialEq>(
    config: &Config,
    network: usize,
    pool: impl Fn(&DataNetwork) -> Option<T>,
) -> Option<usize> {
    let own = pool(config.data_networks.get(network)?)?;
    config.data_networks.iter().position(|other| pool(other).as_ref() == Some(&own))
}

/// The network identifier of a DNN: without the operator identifier
/// `mnc<MNC>.mcc<MCC>.gprs` (TS 23.003 §9.1).
pub fn network_identifier(dnn: &Dnn, plmn: PlmnId) -> Dnn {
    let suffix = format!(".mnc{:0>3}.mcc{}.gprs", plmn.mnc(), plmn.mcc());
    let text = dnn.as_str();
    let cut = text
        .len()
        .checked_sub(suffix.len())
        .filter(|&at| text.is_char_boundary(at) && text[at..].eq_ignore_ascii_case(&suffix));
    cut.and_then(|at| Dnn::new(&text[..at]).ok()).unwrap_or_else(|| dnn.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_identifier_is_left_out() {
        let plmn = PlmnId::new("001", "01").unwrap();
        let full = Dnn::new("internet.mnc001.MCC001.gprs").unwrap();
        assert_eq!(network_identifier(&full, plmn).as_str(), "internet");
        let other = Dnn::new("internet.mnc002.mcc001.gprs").unwrap();
        assert_eq!(network_identifier(&other, plmn), other);
    }
}
